"""VGG19's features, as a fixed measure of how images look.

Simonyan and Zisserman 2015, https://arxiv.org/abs/1409.1556. The weights are not
shipped. Where PyTorch is, two lines write the file that is read here:

    vgg = torchvision.models.vgg19(weights="IMAGENET1K_V1").features.state_dict()
    numpy.savez("vgg19.npz", **{name: array.numpy() for name, array in vgg.items()})

Its names are `0.weight` [64, 3, 3, 3] and `0.bias` [64] for the first convolution,
`2.weight` [64, 64, 3, 3] and so on, by the convolutions' places in `features`. Those
up to 28, the last that is used, are needed; others are not read.
"""

import dataclasses
import hashlib
import io
from pathlib import Path
import zipfile

import jax
from jax import lax
import jax.numpy as jnp
from jaxtyping import Array, Float
import numpy as np

from jaxsyn.errors import DataError, UsageError
from jaxsyn.losses import reconstruction
from jaxsyn.nn.conv import conv

# Places and output channels of the convolutions up to relu5_1, by block.
BLOCKS = (
    (64, (0, 2)),
    (128, (5, 7)),
    (256, (10, 12, 14, 16)),
    (512, (19, 21, 23, 25)),
    (512, (28,)),
)
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's, RGB.
HINT = "The docstring of jaxsyn.models.vgg has the two lines that write this file."


@dataclasses.dataclass(frozen=True, eq=False)
class Vgg19:
    """The network up to relu5_1, with its weights.

    Attributes:
      weights: Kernel [3, 3, I, O] and bias [O] by place in torchvision's `features`.
      sha256: Of the file they were read from.
    """

    weights: dict[int, tuple[np.ndarray, np.ndarray]]
    sha256: str = ""

    @classmethod
    def load(cls, path: str | Path) -> "Vgg19":
        """Reads the weights from an .npz file; see the module's docstring.

        Raises:
          UsageError: No file is named.
          DataError: There is no such file, or it is not such a file.
        """
        if not path:
            raise UsageError(
                "The perceptual loss needs a file of VGG19's weights.",
                hint=f"Set config.system.vgg_weights. {HINT}",
            )
        try:
            content = Path(path).read_bytes()
            with np.load(io.BytesIO(content), allow_pickle=False) as file:
                weights = _read(file, path)
        except (OSError, ValueError, EOFError, TypeError, zipfile.BadZipFile) as e:
            raise DataError(
                f"{path} is not a readable .npz file of VGG19's weights: {e}", hint=HINT
            ) from e
        return cls(weights, hashlib.sha256(content).hexdigest())

    def features(
        self, images: Float[Array, "b h w c"]
    ) -> list[Float[Array, "_ h2 w2 d"]]:
        """The activations relu1_1, relu2_1, relu3_1, relu4_1 and relu5_1.

        Args:
          images: In [-1, 1], at least 16 px. Three channels are taken as RGB; of
            any other number each is shown by itself, as a grey image.

        Returns:
          Five arrays; their first axis is B, or B times C for grey images.
        """
        x = _normalise(_as_rgb(images))
        outputs = []
        for _, places in BLOCKS:
            if outputs:
                b, h, w, c = x.shape
                x = x[:, : h // 2 * 2, : w // 2 * 2]
                x = x.reshape(b, h // 2, 2, w // 2, 2, c).max((2, 4))
            for place in places:
                kernel, bias = self.weights[place]
                x = conv(x, jnp.asarray(kernel), padding=1)
                x = jax.nn.relu(x + jnp.asarray(bias, x.dtype).reshape(1, 1, 1, -1))
                if place == places[0]:
                    outputs.append(x)
        return outputs

    def distance(
        self, fake: Float[Array, "b h w c"], real: Float[Array, "b h w c"]
    ) -> Float[Array, ""]:
        """The perceptual loss; no gradient flows into the real images."""
        real = lax.stop_gradient(real)
        return reconstruction.perceptual(self.features(fake), self.features(real))


def _read(file, path):
    """Kernels and biases of an open .npz file, checked."""
    weights, inputs = {}, 3
    for outputs, places in BLOCKS:
        for place in places:
            kernel = _array(file, f"{place}.weight", (outputs, inputs, 3, 3), path)
            bias = _array(file, f"{place}.bias", (outputs,), path)
            weights[place] = np.transpose(kernel, (2, 3, 1, 0)), bias
            inputs = outputs
    return weights


def _array(file, name, shape, path):
    if name not in file:
        raise DataError(
            f"{path} has no array {name!r}; it has {sorted(file)[:4]}.", hint=HINT
        )
    array = file[name]
    if array.shape != shape:
        raise DataError(
            f"{path}: {name} has the shape {array.shape}, not {shape}.", hint=HINT
        )
    return array.astype(np.float32)


def _as_rgb(images):
    if images.shape[-1] == 3:
        return images
    b, h, w, c = images.shape
    grey = jnp.moveaxis(images, -1, 1).reshape(b * c, h, w, 1)
    return jnp.broadcast_to(grey, (b * c, h, w, 3))


def _normalise(images):
    mean, deviation = (
        jnp.asarray(v, images.dtype).reshape(1, 1, 1, 3) for v in (MEAN, DEVIATION)
    )
    return ((images + 1.0) / 2.0 - mean) / deviation
