"""SPADE: its networks and losses, with the settings of its published trainer.

Park et al. 2019, https://arxiv.org/abs/1903.07291, written anew.
"""

import itertools

import torch
from torch import nn
import torch.nn.functional as F

from benchmarks.peers.torch_discriminators import Multiscale
from benchmarks.peers.torch_layers import Modulation, SpectralConv
from benchmarks.peers.torch_training import Conditional


class Spade(nn.Module):
    """Normalises, then scales and shifts by what two convolutions make of the map."""

    def __init__(self, channels, labels):
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.modulation = Modulation(labels, channels)

    def forward(self, x, one_hot):
        gamma, beta = self.modulation(one_hot)
        return self.norm(x) * (1 + gamma) + beta


class Block(nn.Module):
    """SPADE's residual block, with a learned shortcut where the width changes."""

    def __init__(self, fin, fout, spade):
        super().__init__()
        middle = min(fin, fout)
        self.spade_0, self.spade_1 = spade(fin), spade(middle)
        self.conv_0 = SpectralConv(fin, middle, 3, padding=1)
        self.conv_1 = SpectralConv(middle, fout, 3, padding=1)
        self.learned = fin != fout
        if self.learned:
            self.spade_s = spade(fin)
            self.conv_s = SpectralConv(fin, fout, 1, bias=False)

    def forward(self, x, *condition):
        shortcut = x
        if self.learned:
            shortcut = self.conv_s(self.spade_s(x, *condition))
        h = self.conv_0(F.leaky_relu(self.spade_0(x, *condition), 0.2))
        h = self.conv_1(F.leaky_relu(self.spade_1(h, *condition), 0.2))
        return shortcut + h


class Generator(nn.Module):
    """Seven blocks, five of them after a doubling."""

    names = ("head", "middle_0", "middle_1", "up_0", "up_1", "up_2", "up_3")
    doubles = (False, True, False, True, True, True, True)

    def __init__(self, width, labels, channels):
        super().__init__()
        widths = [width * n for n in (16, 16, 16, 16, 8, 4, 2, 1)]
        self.start = nn.Conv2d(labels, widths[0], 3, padding=1)
        for name, (fin, fout) in zip(
            self.names, itertools.pairwise(widths), strict=True
        ):
            self.add_module(name, self.block(name, fin, fout, labels))
        self.image = nn.Conv2d(width, channels, 3, padding=1)

    def block(self, name, fin, fout, labels):
        """One of the blocks."""
        del name
        return Block(fin, fout, lambda channels: Spade(channels, labels))

    def forward(self, one_hot, *style):
        x = self.start(shrunk(one_hot, one_hot.shape[-1] // 32))
        for name, double in zip(self.names, self.doubles, strict=True):
            if double:
                x = F.interpolate(x, scale_factor=2, mode="nearest")
            x = getattr(self, name)(x, shrunk(one_hot, x.shape[-1]), *style)
        return torch.tanh(self.image(F.leaky_relu(x, 0.2)))


class Peer(Conditional):
    """SPADE without an encoder."""

    def build(self):
        labels, channels = self.batch.one_hot.shape[1], self.batch.image.shape[1]
        options = self.options
        discriminator = Multiscale(
            labels + channels, options.ndf, options.num_scales, spectral=True
        )
        generator = Generator(options.ngf, labels, channels)
        return {"generator": generator, "discriminator": discriminator}

    def fake(self):
        return self.net("generator", self.batch.one_hot)


def shrunk(maps, size):
    """Square maps at a smaller size, by nearest neighbours."""
    return maps if size == maps.shape[-1] else F.interpolate(maps, size=(size, size))
