"""SAMR: an atlas, a decoder for each modality, label-wise discriminators, a segmenter.

Guo et al. 2020, https://arxiv.org/abs/2006.14761, written anew.
"""

import torch
from torch import nn
import torch.nn.functional as F

from benchmarks.peers import torch_losses
from benchmarks.peers.torch_discriminators import PatchDiscriminator, halved
from benchmarks.peers.torch_layers import Normed, doubling_conv, reflected_conv
from benchmarks.peers.torch_pix2pix import UNet
from benchmarks.peers.torch_resnet import ResnetBlock
from benchmarks.peers.torch_training import Training

REGIONS = ("background", "brain", "lesion")
SCALES = {"full": lambda x: x, "half": halved}


class Encoder(nn.Sequential):
    """A reflected 7x7 convolution, then 3x3 ones that halve."""

    def __init__(self, fin, widths, norm):
        super().__init__()
        for i, width in enumerate(widths):
            if i:
                halving = {"stride": 2, "padding": 1}
                down = Normed(nn.Conv2d, norm, widths[i - 1], width, 3, **halving)
            else:
                down = Normed(reflected_conv, norm, fin, width, 7)
            self.add_module(f"down_{i}", down)

    def forward(self, x):
        for down in self:
            x = F.relu(down(x))
        return x


class Decoder(nn.Module):
    """A residual block, and the encoder's mirror image."""

    def __init__(self, fout, widths, norm):
        super().__init__()
        self.block = ResnetBlock(widths[-1], norm)
        self.ups = [f"up_{i}" for i in reversed(range(len(widths) - 1))]
        for i, name in zip(reversed(range(len(widths) - 1)), self.ups, strict=True):
            up = Normed(doubling_conv, norm, widths[i + 1], widths[i], 3)
            self.add_module(name, up)
        self.image = reflected_conv(widths[0], fout, 7)

    def forward(self, x):
        x = self.block(x)
        for name in self.ups:
            x = F.relu(getattr(self, name)(x))
        return torch.tanh(self.image(x))


class Generator(nn.Module):
    """Encodes label map and atlas, and decodes each modality by itself."""

    def __init__(self, labels, channels, options):
        super().__init__()
        widths = [
            min(options.ngf * 2**i, options.widest) for i in range(options.downs + 1)
        ]
        self.labels = Encoder(labels, widths, options.norm)
        self.atlas = Encoder(3 * channels, widths, options.norm)
        widths = [2 * width for width in widths]
        self.blocks = [f"block_{i}" for i in range(options.blocks)]
        for name in self.blocks:
            self.add_module(name, ResnetBlock(widths[-1], options.norm))
        self.decoders = [f"decoder_{i}" for i in range(channels)]
        for name in self.decoders:
            self.add_module(name, Decoder(1, widths, options.norm))

    def forward(self, one_hot, atlas):
        x = torch.cat([self.labels(one_hot), self.atlas(atlas)], 1)
        for name in self.blocks:
            x = getattr(self, name)(x)
        return torch.cat([getattr(self, name)(x) for name in self.decoders], 1)


class Peer(Training):
    """The full model; its atlas is the batch's mean image, at all heights."""

    critics = tuple(f"{region}_{scale}" for region in REGIONS for scale in SCALES)

    def build(self):
        options, one_hot = self.options, self.batch.one_hot
        labels, channels = one_hot.shape[1], self.batch.image.shape[1]
        mean = self.batch.image.mean(0, keepdim=True)
        self.atlas = mean.repeat(len(one_hot), 3, 1, 1)
        self.masks = dict(
            zip(
                REGIONS,
                (one_hot[:, :1], one_hot[:, -1:], one_hot[:, 1:-1].sum(1, True)),
                strict=True,
            )
        )
        critics = {
            name: PatchDiscriminator(labels + channels, options.ndf, spectral=False)
            for name in self.critics
        }
        segmenter = UNet(
            *(channels, labels, options.segmenter_ngf, options.segmenter_downs),
            bounded=False,
        )
        generator = Generator(labels, channels, options)
        return {"generator": generator, "segmenter": segmenter, **critics}

    def step(self):
        with self.autocast():
            fake = self.fake()
            loss = self.critic_loss(fake.detach())
        self.descend("critic", self.critics, loss)
        with self.autocast():
            loss = self._inconsistency(self.batch.image)
        self.descend("segmenter", ("segmenter",), loss)
        with self.frozen(*self.critics, "segmenter"):
            with self.autocast():
                loss = self.generator_loss(fake)
            self.descend("generator", self.generators, loss)
        self.steps += 1

    def fake(self):
        return self.net("generator", self.batch.one_hot, self.atlas)

    def critic_loss(self, fake):
        game = torch_losses.GAMES[self.options.game]
        fakes, reals = (
            [layers[-1] for layers in self._features(image)]
            for image in (fake, self.batch.image)
        )
        return len(fakes) * torch_losses.critic(game, fakes, reals)

    def generator_loss(self, fake):
        game = torch_losses.GAMES[self.options.game]
        features = self._features(fake)
        with torch.no_grad():
            real = self._features(self.batch.image)
        logits = [layers[-1] for layers in features]
        won = len(features) * torch_losses.mean(game.generator, logits)
        distance = sum(
            F.mse_loss(x, y)
            for ours, theirs in zip(features, real, strict=True)
            for x, y in zip(ours[:-1], theirs[:-1], strict=True)
        )
        matched = self.options.feature_matching * distance
        return won + matched + self._inconsistency(fake)

    def _features(self, image):
        seen = torch.cat([self.batch.one_hot, image], 1)
        return [
            self.net(f"{region}_{scale}", shrink(mask * seen))
            for region, mask in self.masks.items()
            for scale, shrink in SCALES.items()
        ]

    def _inconsistency(self, image):
        logits = self.net("segmenter", image)
        distance = torch_losses.generalised_dice(logits, self.batch.one_hot)
        return self.options.consistency * distance
