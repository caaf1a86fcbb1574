"""A U-Net of the evaluators: two 3x3 convolutions a level, batch norms, cross-entropy.

Ronneberger et al. 2015, https://arxiv.org/abs/1505.04597, with batch norms.
"""

import torch
from torch import nn
import torch.nn.functional as F

from benchmarks.peers.torch_training import Training


class UNet(nn.Module):
    """The network; `widths` are the channels of its levels, the last the bridge's."""

    def __init__(self, channels, classes, widths):
        super().__init__()
        self.levels, fin = range(len(widths) - 1), channels
        for i, width in enumerate(widths[:-1]):
            self._add(f"down_{i}", fin, width)
            fin = width
        self._add("bridge", fin, widths[-1])
        for i in self.levels:
            grow = nn.ConvTranspose2d(widths[i + 1], widths[i], 2, stride=2)
            self.add_module(f"double_{i}", grow)
            self.add_module(f"double_{i}_norm", nn.BatchNorm2d(widths[i]))
            self._add(f"up_{i}", 2 * widths[i], widths[i])
        self.classes = nn.Conv2d(widths[0], classes, 1)

    def forward(self, x):
        skips = []
        for i in self.levels:
            x = self._convs(f"down_{i}", x)
            skips.append(x)
            x = F.max_pool2d(x, 2)
        x = self._convs("bridge", x)
        for i in reversed(self.levels):
            x = getattr(self, f"double_{i}")(x)
            x = F.relu(getattr(self, f"double_{i}_norm")(x))
            x = self._convs(f"up_{i}", torch.cat([skips[i], x], 1))
        return self.classes(x)

    def _add(self, name, fin, fout):
        for j, channels in enumerate((fin, fout)):
            conv = nn.Conv2d(channels, fout, 3, padding=1, bias=False)
            self.add_module(f"{name}_conv_{j}", conv)
            self.add_module(f"{name}_norm_{j}", nn.BatchNorm2d(fout))

    def _convs(self, name, x):
        for j in (0, 1):
            x = getattr(self, f"{name}_norm_{j}")(getattr(self, f"{name}_conv_{j}")(x))
            x = F.relu(x)
        return x


class Peer(Training):
    """One network, one loss."""

    critics, generators = (), ("segmenter",)

    def build(self):
        # The brain, the last label, is background to a segmenter.
        brain = self.batch.one_hot.shape[1] - 1
        self.target = self.batch.label.where(self.batch.label != brain, 0)
        channels = self.batch.image.shape[1]
        return {"segmenter": UNet(channels, brain, self.options.widths)}

    def step(self):
        with self.autocast():
            logits = self.net("segmenter", self.batch.image).float()
            loss = F.cross_entropy(logits, self.target)
        self.descend("segmenter", self.generators, loss)
        self.steps += 1
