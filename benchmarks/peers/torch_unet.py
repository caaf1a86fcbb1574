"""The comparison: a U-Net's train step as a PyTorch user would write it well.

Two 3x3 convolutions a level, each with batch norm and ReLU, 2x2 pooling, 2x2
transposed convolutions with batch norm, skips, cross-entropy, Adam.

Started by `benchmarks.run` in an environment that has PyTorch.
"""

import argparse

import numpy as np
import torch
from torch import nn
import torch.nn.functional as F

from benchmarks import worker

NUM_LABELS = 5
LEVELS = 4


def convs(fin, fout):
    """Two convolutions with batch norm."""
    layers = []
    for channels in (fin, fout):
        layers += [
            nn.Conv2d(channels, fout, 3, padding=1, bias=False),
            nn.BatchNorm2d(fout),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)


class UNet(nn.Module):
    """The network of https://arxiv.org/abs/1505.04597 with batch norms."""

    def __init__(self, channels, classes, width):
        super().__init__()
        widths = [width * 2**i for i in range(LEVELS + 1)]
        self.down = nn.ModuleList(
            convs(fin, fout)
            for fin, fout in zip([channels, *widths], widths, strict=False)
        )
        self.grow = nn.ModuleList(
            nn.Sequential(
                nn.ConvTranspose2d(2 * fout, fout, 2, stride=2),
                nn.BatchNorm2d(fout),
                nn.ReLU(inplace=True),
            )
            for fout in widths[:-1]
        )
        self.up = nn.ModuleList(convs(2 * fout, fout) for fout in widths[:-1])
        self.classes = nn.Conv2d(width, classes, 1)

    def forward(self, x):
        skips = []
        for level in self.down[:-1]:
            x = level(x)
            skips.append(x)
            x = F.max_pool2d(x, 2)
        x = self.down[-1](x)
        for i in reversed(range(LEVELS)):
            x = self.up[i](torch.cat([skips[i], self.grow[i](x)], 1))
        return self.classes(x)


def make_step(batch_file, width, variant):
    """The trainer on one batch; `variant` holds `compiled` and `channels_last`."""
    batch = np.load(batch_file)
    layout = torch.contiguous_format
    if "channels_last" in variant:
        layout = torch.channels_last
    image = torch.from_numpy(batch["image"]).permute(0, 3, 1, 2)
    image = image.contiguous(memory_format=layout)
    label = torch.from_numpy(batch["label"]).long()
    network = UNet(image.shape[1], NUM_LABELS, width).to(memory_format=layout)
    adam = torch.optim.Adam(network.parameters(), lr=1e-4)
    forward = torch.compile(network) if "compiled" in variant else network

    def step():
        loss = F.cross_entropy(forward(image), label)
        adam.zero_grad(set_to_none=True)
        loss.backward()
        adam.step()
        return loss.item()

    return step, {"framework": f"torch {torch.__version__}"}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch", required=True)
    parser.add_argument("--width", type=int, required=True)
    parser.add_argument("--variant", default="")
    args = parser.parse_args()
    worker.serve(lambda: make_step(args.batch, args.width, args.variant.split("+")))


if __name__ == "__main__":
    main()
