"""pix2pix: U-Net and PatchGAN, adversarial loss and L1.

Isola et al. 2017, https://arxiv.org/abs/1611.07004, written anew.
"""

import torch
from torch import nn
import torch.nn.functional as F

from benchmarks.peers import torch_losses
from benchmarks.peers.torch_discriminators import PatchGan
from benchmarks.peers.torch_layers import Normed, doubling_conv
from benchmarks.peers.torch_training import Training

DROPPING = 3


class UNet(nn.Module):
    """Strided 4x4 convolutions down to the bottleneck, and back beside the skips."""

    def __init__(self, fin, fout, ngf, downs, *, dropout=0.0, bounded=True):
        super().__init__()
        self.downs, self.dropout, self.bounded = downs, dropout, bounded
        widths = [ngf * min(2**i, 8) for i in range(downs)]
        halving = {"kernel_size": 4, "stride": 2, "padding": 1}
        for i, width in enumerate(widths):
            if 0 < i < downs - 1:
                down = Normed(nn.Conv2d, "batch", widths[i - 1], width, **halving)
            else:
                channels = widths[i - 1] if i else fin
                down = nn.Conv2d(channels, width, bias=False, **halving)
            self.add_module(f"down_{i}", down)
        for i in range(downs - 1, 0, -1):
            channels = widths[i] * (1 if i == downs - 1 else 2)
            up = Normed(doubling_conv, "batch", channels, widths[i - 1], 4)
            self.add_module(f"up_{i}", up)
        self.up_0 = doubling_conv(2 * ngf, fout, 4)

    def forward(self, x):
        skips = []
        for i in range(self.downs):
            x = getattr(self, f"down_{i}")(F.leaky_relu(x, 0.2) if i else x)
            skips.append(x)
        x = skips.pop()
        for i in range(self.downs - 1, 0, -1):
            x = getattr(self, f"up_{i}")(F.relu(x))
            if self.dropout and i > self.downs - 1 - DROPPING:
                x = F.dropout(x, self.dropout, self.training)
            x = torch.cat([skips.pop(), x], 1)
        x = self.up_0(F.relu(x))
        return torch.tanh(x) if self.bounded else x


class Peer(Training):
    """Two passes of the discriminator, whose batch norms must not mix the images."""

    def condition(self):
        """What images are made of."""
        return self.batch.one_hot

    def judged(self, x):
        """What of condition and image the discriminator sees."""
        return x

    def build(self):
        labels, channels = self.condition().shape[1], self.batch.image.shape[1]
        options = self.options
        size = self.batch.image.shape[-1]
        generator = UNet(
            *(labels, channels, options.ngf, options.num_downs or levels(size)),
            dropout=options.dropout,
        )
        judge = PatchGan(
            labels + channels, options.ndf, options.num_layers, options.norm
        )
        return {"generator": generator, "discriminator": judge}

    def fake(self):
        return self.net("generator", self.condition())

    def critic_loss(self, fake):
        game = torch_losses.GAMES[self.options.game]
        logits = [self._logits(image) for image in (fake, self.batch.image)]
        return 0.5 * torch_losses.critic(game, *([each] for each in logits))

    def generator_loss(self, fake):
        game = torch_losses.GAMES[self.options.game]
        won = torch_losses.mean(game.generator, [self._logits(fake)])
        return won + self.options.l1 * F.l1_loss(fake, self.batch.image)

    def _logits(self, image):
        pair = torch.cat([self.condition(), image], 1)
        return self.net("discriminator", self.judged(pair))[-1]


def levels(size, most=8):
    """As many halvings as the size has, at most so many."""
    return min((size & -size).bit_length() - 1, most)
