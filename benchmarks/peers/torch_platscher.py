"""Platscher's pix2pix, and the discriminator of both of his methods.

Platscher et al. 2020, https://arxiv.org/abs/2010.02745, appendix A, written anew.
"""

import torch
from torch import nn
import torch.nn.functional as F

from benchmarks.peers import torch_pix2pix
from benchmarks.peers.torch_layers import LearnedInstanceNorm

MOST_DOWNS = 7


class UNet(nn.Module):
    """A U-Net with instance norms and, to double, nearest neighbours."""

    def __init__(self, fin, fout, ngf, downs, options):
        super().__init__()
        self.downs, self.dropout, self.leak = downs, options.dropout, options.leak
        widths = [ngf * min(2**i, 8) for i in range(downs)]
        for i, width in enumerate(widths):
            channels = widths[i - 1] if i else fin
            conv = nn.Conv2d(channels, width, 4, stride=2, padding=1)
            self.add_module(f"down_{i}", conv)
            if i:
                self.add_module(f"down_{i}_norm", LearnedInstanceNorm(width))
        for i in range(downs - 1, 0, -1):
            channels = widths[i] * (1 if i == downs - 1 else 2)
            conv = nn.Conv2d(channels, widths[i - 1], 4, padding=1)
            self.add_module(f"up_{i}", conv)
            self.add_module(f"up_{i}_norm", LearnedInstanceNorm(widths[i - 1]))
        self.image = nn.Conv2d(2 * ngf, fout, 4, padding=1)

    def forward(self, x):
        skips = []
        for i in range(self.downs):
            x = getattr(self, f"down_{i}")(x)
            if i:
                x = self._act(getattr(self, f"down_{i}_norm")(x))
            skips.append(x)
        x = skips.pop()
        for i in range(self.downs - 1, 0, -1):
            x = self._act(getattr(self, f"up_{i}")(_doubled(x)))
            x = F.dropout(x, self.dropout, self.training)
            x = getattr(self, f"up_{i}_norm")(x)
            x = self._act(torch.cat([x, skips.pop()], 1))
        return torch.tanh(self.image(_doubled(x)))

    def _act(self, x):
        return F.leaky_relu(x, self.leak)


class Discriminator(nn.Module):
    """A PatchGAN with norms after all convolutions but the one that judges."""

    def __init__(self, channels, ndf):
        super().__init__()
        layers = [(ndf, 2), (2 * ndf, 2), (4 * ndf, 2), (4 * ndf, 1)]
        self.strides, fin = [stride for _, stride in layers], channels
        for i, (width, stride) in enumerate(layers):
            conv = nn.Conv2d(fin, width, 4, stride=stride, padding=1)
            self.add_module(f"conv_{i}", conv)
            self.add_module(f"norm_{i}", LearnedInstanceNorm(width))
            fin = width
        self.judge = nn.Conv2d(fin, 1, 4, padding=1)

    def forward(self, x):
        features = []
        for i, stride in enumerate(self.strides):
            x = getattr(self, f"conv_{i}")(x if stride == 2 else _same(x))
            x = F.leaky_relu(getattr(self, f"norm_{i}")(x), 0.2)
            features.append(x)
        return [*features, self.judge(_same(x))]


class Peer(torch_pix2pix.Peer):
    """pix2pix's game, with decaying noise on all that the discriminator sees."""

    def build(self):
        labels, channels = self.batch.one_hot.shape[1], self.batch.image.shape[1]
        judge = Discriminator(labels + channels, self.options.ndf)
        return {"generator": self.make(labels, channels), "discriminator": judge}

    def make(self, labels, channels):
        """The generator."""
        size, options = self.batch.image.shape[-1], self.options
        downs = options.num_downs or torch_pix2pix.levels(size, MOST_DOWNS)
        return UNet(labels, channels, options.ngf, downs, options)

    def judged(self, x):
        left = self.options.noise * (1 - self.options.noise_decay) ** self.steps
        return x + left * torch.randn_like(x)


def _doubled(x):
    return _same(F.interpolate(x, scale_factor=2, mode="nearest"))


def _same(x):
    """Zeros behind the image: a window of 4 px with padding 1 then keeps its size."""
    return F.pad(x, (0, 1, 0, 1))
