"""The residual generator of CycleGAN and of pix2pixHD, and its block."""

import torch
from torch import nn
import torch.nn.functional as F

from benchmarks.peers.torch_layers import Normed, doubling_conv, reflected_conv


class ResnetBlock(nn.Module):
    """Adds to its input what two reflected 3x3 convolutions make of it."""

    def __init__(self, channels, norm="instance"):
        super().__init__()
        self.layer_0 = Normed(reflected_conv, norm, channels, channels, 3)
        self.layer_1 = Normed(reflected_conv, norm, channels, channels, 3)

    def forward(self, x):
        return x + self.layer_1(F.relu(self.layer_0(x)))


class ResnetGenerator(nn.Module):
    """Halves images, changes them in residual blocks, and doubles them again."""

    def __init__(self, fin, fout, ngf, downs, blocks, norm="instance"):
        super().__init__()
        widths = [ngf * 2**i for i in range(downs + 1)]
        self.layers = ["start"]
        self.start = Normed(reflected_conv, norm, fin, ngf, 7)
        halving = {"kernel_size": 3, "stride": 2, "padding": 1}
        for i in range(1, downs + 1):
            down = Normed(nn.Conv2d, norm, widths[i - 1], widths[i], **halving)
            self._add(f"down_{i}", down)
        self.blocks = [f"block_{i}" for i in range(blocks)]
        for name in self.blocks:
            self.add_module(name, ResnetBlock(widths[-1], norm))
        self.ups = [f"up_{i}" for i in reversed(range(downs))]
        for i, name in zip(reversed(range(downs)), self.ups, strict=True):
            up = Normed(doubling_conv, norm, widths[i + 1], widths[i], 3)
            self.add_module(name, up)
        self.image = reflected_conv(ngf, fout, 7)

    def forward(self, x):
        for name in self.layers:
            x = F.relu(getattr(self, name)(x))
        for name in self.blocks:
            x = getattr(self, name)(x)
        for name in self.ups:
            x = F.relu(getattr(self, name)(x))
        return torch.tanh(self.image(x))

    def _add(self, name, module):
        self.layers.append(name)
        self.add_module(name, module)
