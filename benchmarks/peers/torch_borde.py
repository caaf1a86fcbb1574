"""BORDE: prior maps injected one after another, and its discriminator.

Chaparro-Cruz and Montoya-Zegarra 2022; there is no published implementation that runs.
"""

import torch
from torch import nn
import torch.nn.functional as F

from benchmarks.peers.torch_layers import Modulation, Noise
from benchmarks.peers.torch_spade import shrunk
from benchmarks.peers.torch_training import Conditional

START_SIZE, WIDEST, PATCHES = 8, 16, 16


class Block(nn.Module):
    """Injects each map through denormalisation, ReLU and a 1x1 convolution."""

    def __init__(self, fin, fout, maps, hidden):
        super().__init__()
        self.count = len(maps)
        self.noise = Noise(fin)
        self.shortcut = nn.Conv2d(fin, fout, 1, bias=False) if fin != fout else None
        for i, channels in enumerate(maps):
            width = fout if i else fin
            self.add_module(f"modulation_{i}", Modulation(channels, width, hidden))
            self.add_module(f"conv_{i}", nn.Conv2d(width, fout, 1))

    def forward(self, x, *maps):
        h = self.noise(x)
        for i, condition in enumerate(maps):
            gamma, beta = getattr(self, f"modulation_{i}")(condition)
            h = F.relu(F.instance_norm(h) * (1 + gamma) + beta)
            h = getattr(self, f"conv_{i}")(h)
        return (self.shortcut(x) if self.shortcut else x) + h


class Generator(nn.Module):
    """A block at each size, from 8 px to the image's; the first map is of lines."""

    def __init__(self, maps, channels, size, options):
        super().__init__()
        self.doublings = (size // START_SIZE).bit_length() - 1
        self.width = options.ngf * min(WIDEST, 2 ** (self.doublings + 1))
        self.start = nn.Linear(options.z_dim, self.width * START_SIZE**2)
        fin = self.width
        for i in range(self.doublings + 1):
            fout = options.ngf * min(WIDEST, 2 ** (self.doublings - i))
            self.add_module(f"block_{i}", Block(fin, fout, maps, options.hidden))
            fin = fout
        self.image = nn.Conv2d(fin, channels, 3, padding=1)

    def forward(self, z, lines, *maps):
        x = self.start(z).view(-1, START_SIZE, START_SIZE, self.width).movedim(-1, 1)
        for i in range(self.doublings + 1):
            if i:
                x = F.interpolate(x, scale_factor=2, mode="bilinear")
            size = x.shape[-1]
            small = [F.max_pool2d(lines, lines.shape[-1] // size)]
            small += [shrunk(each, size) for each in maps]
            x = getattr(self, f"block_{i}")(x, *small)
        return torch.tanh(self.image(F.leaky_relu(x, 0.2)))


class Discriminator(nn.Module):
    """Strided convolutions down to 16x16 patches, then a 1x1 one."""

    def __init__(self, channels, ndf, size):
        super().__init__()
        self.layers = max((size // PATCHES).bit_length() - 1, 2)
        fin = channels
        for i in range(self.layers):
            conv = nn.Conv2d(fin, ndf * 2**i, 4, stride=2, padding=1, bias=False)
            self.add_module(f"conv_{i}", conv)
            fin = ndf * 2**i
        self.judge = nn.Conv2d(fin, 1, 1)

    def forward(self, x):
        features = []
        for i in range(self.layers):
            x = F.leaky_relu(F.instance_norm(getattr(self, f"conv_{i}")(x)), 0.2)
            features.append(x)
        return [[*features, self.judge(x)]]


class Peer(Conditional):
    """BORDE with boundary, foreground and two groups of labels, its full model."""

    def build(self):
        labels, size = self.batch.one_hot.shape[1], self.batch.image.shape[-1]
        channels = self.batch.image.shape[1] + 1
        maps = [each.shape[1] for each in self._maps()]
        return {
            "generator": Generator(maps, channels, size, self.options),
            "discriminator": Discriminator(labels + channels, self.options.ndf, size),
        }

    def fake(self):
        z = self.noise(len(self.batch.label), self.options.z_dim)
        return self.net("generator", z, *self._maps())

    def real(self):
        return torch.cat([self.batch.image, 2 * self.batch.boundary - 1], 1)

    def _maps(self):
        one_hot = self.batch.one_hot
        groups = (one_hot[:, 2:3], one_hot[:, [3, 1]])  # Oedema; enhancing, necrotic.
        return (self.batch.boundary, 1 - one_hot[:, :1], *groups)
