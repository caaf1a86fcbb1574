"""Inception-v3 up to its pooled features, as the published FIDs use it.

Szegedy et al. 2016, https://arxiv.org/abs/1512.00567, in the form of the TensorFlow
graph of 2015-12-05. It differs from later ones in its pools: averages leave the
padding out, and the last block has a maximum where the others have an average.

Every convolution carries its batch norm in its kernel and bias. What several branches
compute from the same input by 1x1 convolutions is one product, `heads`; where a
branch averages first, the two are exchanged, which is equal: both are linear, and an
average of the bias is the bias.
"""

from collections.abc import Sequence
import functools

from flax import linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float
import numpy as np

from jaxsyn.nn.convolve import conv

FEATURES = 2048
SIDE = 299

Images = Float[Array, "b h w c"]


class InceptionV3(nn.Module):
    """The network; its parameters are float32."""

    @nn.compact
    def __call__(self, images: Float[Array, "b 299 299 3"]) -> Float[Array, "b 2048"]:
        """Features of images in [-1, 1]."""
        x = Conv(32, (3, 3), stride=2, same=False, name="conv")(images)
        x = Conv(32, (3, 3), same=False, name="conv_1")(x)
        x = Conv(64, (3, 3), name="conv_2")(x)
        x = max_pool(x, stride=2)
        x = Conv(80, (1, 1), name="conv_3")(x)
        x = Conv(192, (3, 3), same=False, name="conv_4")(x)
        x = max_pool(x, stride=2)
        for name, pooled in (("mixed", 32), ("mixed_1", 64), ("mixed_2", 64)):
            x = BlockA(pooled, name=name)(x)
        x = BlockB(name="mixed_3")(x)
        for i, width in enumerate((128, 160, 160, 192)):
            x = BlockC(width, name=f"mixed_{4 + i}")(x)
        x = BlockD(name="mixed_8")(x)
        x = BlockE(average=True, name="mixed_9")(x)
        x = BlockE(average=False, name="mixed_10")(x)
        return x.mean((1, 2))


class Conv(nn.Module):
    """A convolution and its ReLU.

    Attributes:
      features: Output channels.
      window: Its sides.
      stride: Its step.
      same: Whether zeros around the input keep its size (at stride 1).
      relu: Whether the ReLU follows.
    """

    features: int
    window: tuple[int, int]
    stride: int = 1
    same: bool = True
    relu: bool = True

    @nn.compact
    def __call__(self, x: Images) -> Images:
        shape = (*self.window, x.shape[-1], self.features)
        kernel = self.param("kernel", nn.initializers.he_normal(), shape)
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        padding = 0
        if self.same:
            # `conv` pads both axes alike: a 1x7 window needs more along one.
            padding = min(self.window) // 2
            rest = [(w // 2 - padding,) * 2 for w in self.window]
            x = jnp.pad(x, [(0, 0), *rest, (0, 0)])
        x = conv(x, kernel, stride=self.stride, padding=padding)
        x += bias.reshape(1, 1, 1, -1)
        return nn.relu(x) if self.relu else x


class BlockA(nn.Module):
    """35 px: a 5x5 branch and one of two 3x3.

    Attributes:
      pooled: Width of the branch that averages.
    """

    pooled: int

    @nn.compact
    def __call__(self, x: Images) -> Images:
        one, five, three, mean = heads(x, (64, 48, 64, self.pooled), average=True)
        five = chain(five, "tower", (64, (5, 5)))
        three = chain(three, "tower_1", (96, (3, 3)), (96, (3, 3)))
        return join(one, five, three, mean)


class BlockB(nn.Module):
    """From 35 to 17 px."""

    @nn.compact
    def __call__(self, x: Images) -> Images:
        (three,) = heads(x, (64,))
        three = chain(three, "tower", (96, (3, 3)))
        one = Conv(384, (3, 3), stride=2, same=False, name="conv")(x)
        three = Conv(96, (3, 3), stride=2, same=False, name="tower_conv_2")(three)
        return join(one, three, max_pool(x, stride=2))


class BlockC(nn.Module):
    """17 px: two branches of 1x7 and 7x1.

    Attributes:
      width: Of what is inside them.
    """

    width: int

    @nn.compact
    def __call__(self, x: Images) -> Images:
        n, row, column = self.width, (1, 7), (7, 1)
        one, two, four, mean = heads(x, (192, n, n, 192), average=True)
        two = chain(two, "tower", (n, row), (192, column))
        four = chain(four, "tower_1", (n, column), (n, row), (n, column), (192, row))
        return join(one, two, four, mean)


class BlockD(nn.Module):
    """From 17 to 8 px."""

    @nn.compact
    def __call__(self, x: Images) -> Images:
        one, seven = heads(x, (192, 192))
        seven = chain(seven, "tower_1", (192, (1, 7)), (192, (7, 1)))
        one = Conv(320, (3, 3), stride=2, same=False, name="tower_conv_1")(one)
        seven = Conv(192, (3, 3), stride=2, same=False, name="tower_1_conv_3")(seven)
        return join(one, seven, max_pool(x, stride=2))


class BlockE(nn.Module):
    """8 px: branches that fork into 1x3 and 3x1.

    Attributes:
      average: Whether the pooled branch averages, or else takes the maximum.
    """

    average: bool

    @nn.compact
    def __call__(self, x: Images) -> Images:
        widths = (320, 384, 448, 192) if self.average else (320, 384, 448)
        one, fork, three, *pooled = heads(x, widths, average=self.average)
        if not self.average:
            pooled = [Conv(192, (1, 1), name="tower_2_conv")(max_pool(x, same=True))]
        three = Conv(384, (3, 3), name="tower_1_conv_1")(three)
        forks = [
            Conv(384, window, name=f"{name}_{suffix}")(branch)
            for name, branch in (("tower", fork), ("tower_1", three))
            for suffix, window in (("mixed_conv", (1, 3)), ("mixed_conv_1", (3, 1)))
        ]
        return join(one, *forks, *pooled)


def heads(x: Images, widths: Sequence[int], *, average: bool = False) -> list[Images]:
    """The first 1x1 convolution of each branch; `average` pools the last branch."""
    x = Conv(sum(widths), (1, 1), relu=False, name="heads")(x)
    *branches, last = jnp.split(x, np.cumsum(widths)[:-1], axis=-1)
    return list(map(nn.relu, [*branches, average_pool(last) if average else last]))


def chain(x: Images, name: str, *layers: tuple[int, tuple[int, int]]) -> Images:
    """Convolutions in a row: output channels and window of each."""
    for i, (features, window) in enumerate(layers, 1):
        x = Conv(features, window, name=f"{name}_conv_{i}")(x)
    return x


def join(*branches: Images) -> Images:
    """Branches side by side."""
    return jnp.concatenate(branches, axis=-1)


def average_pool(x: Images) -> Images:
    """Mean of the pixels in a 3x3 window that lie in the image."""
    counts = [np.convolve(np.ones(n), np.ones(3), "same") for n in x.shape[1:3]]
    inverse = jnp.asarray(1.0 / np.multiply.outer(*counts), x.dtype)
    x = jnp.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)])
    x = x[:, :-2] + x[:, 1:-1] + x[:, 2:]
    x = x[:, :, :-2] + x[:, :, 1:-1] + x[:, :, 2:]
    return x * inverse[None, :, :, None]


def max_pool(x: Images, *, stride: int = 1, same: bool = False) -> Images:
    """Maximum in a 3x3 window."""
    if same:
        rest = [(0, 0), (1, 1), (1, 1), (0, 0)]
        x = jnp.pad(x, rest, constant_values=-jnp.inf)
    # Slices, not a window's reduction: two to eight times faster on the CPU.
    h, w = (n - 2 for n in x.shape[1:3])
    x = functools.reduce(jnp.maximum, (x[:, i : i + h : stride] for i in range(3)))
    return functools.reduce(
        jnp.maximum, (x[:, :, i : i + w : stride] for i in range(3))
    )
