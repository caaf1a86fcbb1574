"""Label maps as images that a generator can make, and back."""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxsyn import settings
from jaxsyn.errors import DataError
from jaxsyn.spec import DataSpec

KINDS = ("index", "one_hot")


@dataclasses.dataclass(frozen=True, kw_only=True)
class MaskCodec:
    """How label maps are written as channels in [-1, 1].

    What `decode` gives is always a declared label, whatever it is given.

    Attributes:
      labels: How many labels there are, background included.
      kind: `index`: one channel, with levels at equal distances from -1 for label 0
        to 1 for the last; decoded to the nearest. `one_hot`: a channel a label, 1
        where it is and -1 elsewhere; decoded to the largest.
    """

    labels: int
    kind: str = "index"

    def __post_init__(self):
        if self.kind not in KINDS:
            raise settings.unknown(f"codec={self.kind!r}", self.kind, list(KINDS))
        if self.labels < 2:
            raise DataError(
                f"A label map of {self.labels} label has nothing to encode.",
                hint="Declare the background and at least one label more.",
            )

    @classmethod
    def of_spec(cls, spec: DataSpec, kind: str = "index") -> "MaskCodec":
        """The codec of a data set's labels."""
        return cls(labels=len(spec.labels), kind=kind)

    @property
    def channels(self) -> int:
        """How many channels an encoded map has."""
        return 1 if self.kind == "index" else self.labels

    def encode(self, label: Int[Array, "b ..."]) -> Float[Array, "b ... c"]:
        """Writes indices as channels in [-1, 1]."""
        if self.kind == "index":
            return (label * (2.0 / (self.labels - 1)) - 1.0)[..., None]
        return 2.0 * jax.nn.one_hot(label, self.labels) - 1.0

    def decode(self, channels: Float[Array, "b ... c"]) -> Int[Array, "b ..."]:
        """Reads indices, int32.

        Raises:
          DataError: The number of channels is another codec's.
        """
        if channels.shape[-1] != self.channels:
            raise DataError(
                f"{channels.shape[-1]} channels are no {self.kind} code of"
                f" {self.labels} labels, which has {self.channels}.",
                hint="Use the codec that the generator was trained with.",
            )
        if self.kind == "one_hot":
            return jnp.argmax(channels, axis=-1).astype(jnp.int32)
        level = (channels[..., 0] + 1.0) * ((self.labels - 1) / 2.0)
        return jnp.clip(jnp.round(level), 0, self.labels - 1).astype(jnp.int32)
