"""Platscher's small SPADE: one convolution makes gamma, and one beta, of the mask.

Platscher et al. 2020, https://arxiv.org/abs/2010.02745, appendix A 3, written anew.
"""

import torch
from torch import nn
import torch.nn.functional as F

from benchmarks.peers import torch_platscher

START_SIZE = 4


class Block(nn.Module):
    """Two modulated convolutions, and another beside them if channels change."""

    def __init__(self, fin, fout, labels, leak):
        super().__init__()
        self.leak, self.changes = leak, fin != fout
        self._add("0", fin, fout, labels)
        self._add("1", fout, fout, labels)
        if self.changes:
            self._add("s", fin, fout, labels)

    def forward(self, x, mask):
        h = self._modulated(self._modulated(x, mask, "0"), mask, "1")
        return h + (self._modulated(x, mask, "s") if self.changes else x)

    def _add(self, name, fin, fout, labels):
        self.add_module(f"gamma_{name}", nn.Conv2d(labels, fin, 3, padding=1))
        self.add_module(f"beta_{name}", nn.Conv2d(labels, fin, 3, padding=1))
        self.add_module(f"norm_{name}", nn.BatchNorm2d(fin, 1e-6, affine=False))
        self.add_module(f"conv_{name}", nn.Conv2d(fin, fout, 3, padding=1))

    def _modulated(self, x, mask, name):
        gamma, beta = (getattr(self, f"{n}_{name}")(mask) for n in ("gamma", "beta"))
        h = gamma * getattr(self, f"norm_{name}")(x) + beta
        return getattr(self, f"conv_{name}")(F.leaky_relu(h, self.leak))


class Generator(nn.Module):
    """A block at each size from 4 px to half the image's."""

    def __init__(self, labels, channels, size, options):
        super().__init__()
        self.width = 2 * options.ngf
        self.start = nn.Linear(options.z_dim, self.width * START_SIZE**2)
        self.blocks = (size // START_SIZE).bit_length() - 1
        fin = self.width
        for i in range(self.blocks):
            block = Block(fin, self.width >> i, labels, options.leak)
            self.add_module(f"block_{i}", block)
            fin = self.width >> i
        window = options.image_kernel
        self.image = nn.Conv2d(fin, channels, window, padding=window // 2)

    def forward(self, z, one_hot):
        x = self.start(z).view(-1, START_SIZE, START_SIZE, self.width).movedim(-1, 1)
        for i in range(self.blocks):
            mask = F.max_pool2d(one_hot, one_hot.shape[-1] // x.shape[-1])
            x = getattr(self, f"block_{i}")(x, mask)
            x = F.interpolate(x, scale_factor=2, mode="nearest")
        return torch.tanh(self.image(x))


class Peer(torch_platscher.Peer):
    """The same game with the other generator."""

    def make(self, labels, channels):
        return Generator(labels, channels, self.batch.image.shape[-1], self.options)

    def fake(self):
        z = self.noise(len(self.batch.label), self.options.z_dim)
        return self.net("generator", z, self.batch.one_hot)
