"""How kernels start, by the names that configurations use."""

from flax import linen as nn

from jaxsyn import settings

# Xavier with gain 0.02 is SPADE's; N(0, 0.02) is pix2pix's and its descendants'.
_INITIALIZERS = {
    "xavier": nn.initializers.variance_scaling(0.02**2, "fan_avg", "normal"),
    "normal": nn.initializers.normal(0.02),
    "he": nn.initializers.variance_scaling(2.0, "fan_in", "normal"),
}


def initializer(name: str) -> nn.initializers.Initializer:
    """The initialiser of kernels [*window, I, O] called `name`.

    Args:
      name: `xavier`, normal with gain 0.02; `normal`, N(0, 0.02); or `he`, normal.

    Raises:
      UsageError: There is none of that name.
    """
    if name not in _INITIALIZERS:
        raise settings.unknown(f"Initialiser {name!r}", name, list(_INITIALIZERS))
    return _INITIALIZERS[name]
