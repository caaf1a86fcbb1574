"""A Wasserstein GAN of lesions as volumes.

Platscher et al. 2020, https://arxiv.org/abs/2010.02745, appendix, written anew.
"""

import math

import torch
from torch import nn
import torch.nn.functional as F

from benchmarks.peers import torch_losses
from benchmarks.peers.torch_layers import LearnedInstanceNorm, last_flat
from benchmarks.peers.torch_training import Training

HIDDEN = 512


class Generator(nn.Module):
    """Codes to probabilities, by doublings of all sides."""

    def __init__(self, classes, sides, options):
        super().__init__()
        self.doublings = max(max(sides).bit_length() - 3, 1)
        self.sides = [side >> self.doublings for side in sides]
        self.width = options.ngf
        self.start = nn.Linear(options.z_dim, self.width * math.prod(self.sides))
        self.start_norm, fin = LearnedInstanceNorm(self.width), self.width
        for i in range(self.doublings):
            fout = max(self.width // 2**i, 1)
            conv = nn.Conv3d(fin, fout, 3, padding=1, bias=False)
            self.add_module(f"conv_{i}", conv)
            self.add_module(f"norm_{i}", LearnedInstanceNorm(fout))
            fin = fout
        self.probabilities = nn.Conv3d(fin, classes, 7, padding=3, bias=False)

    def forward(self, z):
        x = self.start(z).view(-1, *self.sides, self.width).movedim(-1, 1)
        x = F.leaky_relu(self.start_norm(x), 0.2)
        for i in range(self.doublings):
            x = getattr(self, f"norm_{i}")(getattr(self, f"conv_{i}")(x))
            x = F.leaky_relu(x, 0.2)
            x = F.interpolate(x, scale_factor=2, mode="nearest")
        return 2 * self.probabilities(x).softmax(1) - 1


class Critic(nn.Module):
    """Convolutions of stride 2 without norm, then two dense layers; no biases."""

    def __init__(self, classes, sides, options):
        super().__init__()
        halvings = math.ceil(math.log2(max(sides)))
        self.layers, fin = min(options.num_layers, halvings), classes
        for i in range(self.layers):
            fout = options.ndf * 2**i
            conv = nn.Conv3d(fin, fout, 5, stride=2, padding=2, bias=False)
            self.add_module(f"conv_{i}", conv)
            fin, sides = fout, [-(-side // 2) for side in sides]
        self.hidden = nn.Linear(fin * math.prod(sides), HIDDEN, bias=False)
        self.judge = nn.Linear(HIDDEN, 1, bias=False)

    def forward(self, x):
        for i in range(self.layers):
            x = F.leaky_relu(getattr(self, f"conv_{i}")(x), 0.2)
        return self.judge(self.hidden(last_flat(x)))[:, 0]


class Peer(Training):
    """The Wasserstein game with a gradient penalty, an update of each a step."""

    critics = ("critic",)

    def build(self):
        # Background and brain are no lesion, the labels between them are.
        one_hot = self.batch.one_hot
        none = one_hot[:, :1] + one_hot[:, -1:]
        self.real = 2 * torch.cat([none, one_hot[:, 1:-1]], 1) - 1
        classes, *sides = self.real.shape[1:]
        return {
            "generator": Generator(classes, sides, self.options),
            "critic": Critic(classes, sides, self.options),
        }

    def fake(self):
        return self.net("generator", self.noise(len(self.real), self.options.z_dim))

    def critic_loss(self, fake):
        judged = self.net("critic", torch.cat([fake, self.real])).float()
        fakes, reals = judged.chunk(2)
        with self.exact():
            penalty = torch_losses.gradient_penalty(
                self.pure("critic"), self.real, fake.float()
            )
        weighted = self.options.gradient_penalty * penalty
        return fakes.mean() - reals.mean() + weighted

    def generator_loss(self, fake):
        return -self.net("critic", fake).float().mean()
