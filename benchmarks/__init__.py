"""Speed and memory, measured by hand: `python -m benchmarks.run`."""
