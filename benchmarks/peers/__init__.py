"""What jaxsyn is compared with. Each runs in an environment of its own."""
