"""PGAN at its full size, with nothing left to fade in; one channel of label maps.

Karras et al. 2018, https://arxiv.org/abs/1710.10196, written anew. As in our networks,
a change of size and a convolution are one convolution where that is possible.
"""

import math

import torch
from torch import nn
import torch.nn.functional as F

from benchmarks.peers import torch_losses
from benchmarks.peers.torch_layers import (
    EqualConv,
    EqualLinear,
    last_flat,
    minibatch_stddev,
)
from benchmarks.peers.torch_training import Training

SMALLEST = 4


class DoublingConv(EqualConv):
    """Nearest neighbours and a 3x3 convolution, as one transposed 4x4 convolution."""

    def forward(self, x):
        weight = _widened((self.weight * self.scale).flip(2, 3)).transpose(0, 1)
        return F.conv_transpose2d(x, weight, self.bias, stride=2, padding=1)


class HalvingConv(EqualConv):
    """A 3x3 convolution and means of 2x2 pixels, as one 4x4 convolution."""

    def forward(self, x):
        weight = _widened(self.weight * self.scale) / 4
        return F.conv2d(x, weight, self.bias, stride=2, padding=1)


class Start(nn.Module):
    """Latent codes to features of 4x4 pixels."""

    def __init__(self, latent, width):
        super().__init__()
        self.width, pixels = width, SMALLEST**2
        self.dense_0 = EqualLinear(
            latent, width * pixels, gain=math.sqrt(2) / 4, bias=False
        )
        self.bias = nn.Parameter(torch.zeros(width))
        self.conv_0 = EqualConv(width, width, padding=1)

    def forward(self, z):
        x = self.dense_0(z).view(-1, SMALLEST, SMALLEST, self.width).movedim(-1, 1)
        x = _normed(x + self.bias.to(x.dtype).view(1, -1, 1, 1))
        return _normed(self.conv_0(x))


class Grow(nn.Module):
    """Doubles features of the generator."""

    def __init__(self, fin, fout):
        super().__init__()
        self.conv_0 = DoublingConv(fin, fout)
        self.conv_1 = EqualConv(fout, fout, padding=1)

    def forward(self, x):
        return _normed(self.conv_1(_normed(self.conv_0(x))))


class Shrink(nn.Module):
    """Halves features of the critic."""

    def __init__(self, fin, fout):
        super().__init__()
        self.conv_0 = EqualConv(fin, fin, padding=1)
        self.conv_1 = HalvingConv(fin, fout)

    def forward(self, x):
        return _leak(self.conv_1(_leak(self.conv_0(x))))


class Judge(nn.Module):
    """Features of 4x4 pixels to a score of each image."""

    def __init__(self, width):
        super().__init__()
        self.conv_0 = EqualConv(width + 1, width, padding=1)
        self.dense_0 = EqualLinear(width * SMALLEST**2, width)
        self.dense_1 = EqualLinear(width, 1, gain=1.0)

    def forward(self, x):
        x = last_flat(_leak(self.conv_0(minibatch_stddev(x))))
        return self.dense_1(_leak(self.dense_0(x)))[:, 0]


class Generator(nn.Module):
    """All sizes' blocks; the last one's image."""

    def __init__(self, widths, first_size, channels, latent):
        super().__init__()
        self.sizes = list(widths)
        for size, width in widths.items():
            start = size == SMALLEST
            block = Start(latent, width) if start else Grow(widths[size // 2], width)
            self.add_module(f"blocks_{size}", block)
            if size >= first_size:
                conv = EqualConv(width, channels, 1, gain=1.0)
                self.add_module(f"to_image_{size}", conv)

    def forward(self, z):
        x = _pixel_norm(z)
        for size in self.sizes:
            x = getattr(self, f"blocks_{size}")(x)
        return getattr(self, f"to_image_{self.sizes[-1]}")(x)


class Critic(nn.Module):
    """The generator's mirror image."""

    def __init__(self, widths, first_size, channels):
        super().__init__()
        self.sizes = sorted(widths, reverse=True)
        for size, width in widths.items():
            start = size == SMALLEST
            block = Judge(width) if start else Shrink(width, widths[size // 2])
            self.add_module(f"blocks_{size}", block)
            if size >= first_size:
                conv = EqualConv(channels, width, 1)
                self.add_module(f"from_image_{size}", conv)

    def forward(self, x):
        x = _leak(getattr(self, f"from_image_{self.sizes[0]}")(x))
        for size in self.sizes:
            x = getattr(self, f"blocks_{size}")(x)
        return x


class Peer(Training):
    """The Wasserstein game with gradient penalty and drift."""

    critics = ("critic",)

    def build(self):
        options, size = self.options, self.batch.label.shape[-1]
        sizes = [SMALLEST * 2**i for i in range((size // SMALLEST).bit_length())]
        widths = {
            side: max(1, min(2 * options.fmap_base // side, options.fmap_max))
            for side in sizes
        }
        self.real = encoded(self.batch)
        return {
            "generator": Generator(widths, options.first_size, 1, options.latent),
            "critic": Critic(widths, options.first_size, 1),
        }

    def fake(self):
        z = self.noise(len(self.batch.label), self.options.latent)
        return self.net("generator", z)

    def critic_loss(self, fake):
        fakes, reals = (self.net("critic", x).float() for x in (fake, self.real))
        with self.exact():
            penalty = torch_losses.gradient_penalty(
                self.pure("critic"), self.real, fake.float()
            )
        drift = self.options.drift * reals.square().mean()
        return fakes.mean() - reals.mean() + self.options.gp * penalty + drift

    def generator_loss(self, fake):
        return -self.net("critic", fake).float().mean()


def encoded(batch):
    """Label maps as one channel in [-1, 1]."""
    labels = batch.one_hot.shape[1]
    return batch.label[:, None].float() * (2 / (labels - 1)) - 1


def _widened(weight):
    """[O, I, 4, 4]: the sum of a 3x3 kernel at its four places."""
    return sum(F.pad(weight, (x, 1 - x, y, 1 - y)) for y in (0, 1) for x in (0, 1))


def _leak(x):
    return F.leaky_relu(x, 0.2)


def _pixel_norm(x):
    exact = x.float()
    return (exact * (exact.square().mean(1, True) + 1e-8).rsqrt()).to(x.dtype)


def _normed(x):
    return _pixel_norm(_leak(x))
