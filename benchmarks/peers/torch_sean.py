"""SEAN: SPADE's networks with a style for each region.

Zhu et al. 2020, https://arxiv.org/abs/1911.12861, written anew. Regions' codes go
through the style's kernels before they fill the regions, as ours do; the published code
convolves a map of codes with 512 channels instead.
"""

import torch
from torch import nn
import torch.nn.functional as F

from benchmarks.peers import torch_spade
from benchmarks.peers.torch_discriminators import Multiscale
from benchmarks.peers.torch_layers import (
    Modulation,
    Noise,
    doubling_conv,
    reflected_conv,
)
from benchmarks.peers.torch_spade import Block, Spade
from benchmarks.peers.torch_training import Conditional


class StyleModulation(nn.Module):
    """Gamma and beta of each region's code, by a layer of each label's own."""

    def __init__(self, channels, labels, size):
        super().__init__()
        self.layers_kernel = nn.Parameter(0.02 * torch.randn(labels, size, size))
        self.layers_bias = nn.Parameter(torch.zeros(labels, size))
        self.kernel = nn.Parameter(0.02 * torch.randn(2, 3, 3, size, channels))
        self.bias = nn.Parameter(torch.zeros(2 * channels))

    def forward(self, one_hot, style):
        style = torch.einsum("bls,lst->blt", style, self.layers_kernel)
        style = F.relu(style + self.layers_bias)
        # Rows as `unfold` orders them: labels, then the window's pixels.
        filled = torch.einsum("bls,gyxsc->bgclyx", style, self.kernel)
        batch, _, height, width = one_hot.shape
        filled = filled.reshape(batch, len(self.bias), -1)
        seen = F.unfold(one_hot.to(filled.dtype), 3, padding=1)
        both = torch.baddbmm(self.bias.to(filled.dtype).view(1, -1, 1), filled, seen)
        return both.view(batch, -1, height, width).chunk(2, 1)


class Sean(nn.Module):
    """Adds noise, normalises, then lets label map and styles scale and shift."""

    def __init__(self, channels, labels, size):
        super().__init__()
        self.noise = Noise(channels)
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.style = StyleModulation(channels, labels, size)
        self.modulation = Modulation(labels, channels)
        self.blend = nn.Parameter(torch.zeros(2))

    def forward(self, x, one_hot, style):
        x = self.norm(self.noise(x))
        gamma, beta = self.style(one_hot, style)
        map_gamma, map_beta = self.modulation(one_hot)
        share, beta_share = self.blend.sigmoid()
        gamma = share * gamma + (1 - share) * map_gamma
        return x * (1 + gamma) + beta_share * beta + (1 - beta_share) * map_beta


class NoisySpade(Spade):
    """SPADE's normalisation behind noise; it takes no notice of styles."""

    def __init__(self, channels, labels):
        super().__init__(channels, labels)
        self.noise = Noise(channels)

    def forward(self, x, one_hot, style):
        del style
        return super().forward(self.noise(x), one_hot)


class Generator(torch_spade.Generator):
    """SPADE's, whose last block alone has no styles."""

    def __init__(self, width, labels, channels, style_dim):
        self.style_dim = style_dim
        super().__init__(width, labels, channels)

    def block(self, name, fin, fout, labels):
        if name == self.names[-1]:
            return Block(fin, fout, lambda n: NoisySpade(n, labels))
        return Block(fin, fout, lambda n: Sean(n, labels, self.style_dim))


class Encoder(nn.Module):
    """The mean code of each region of an image."""

    def __init__(self, channels, ngf, style_dim):
        super().__init__()
        self.conv_0 = reflected_conv(channels, ngf, 3)
        self.conv_1 = nn.Conv2d(ngf, 2 * ngf, 3, stride=2, padding=1)
        self.conv_2 = nn.Conv2d(2 * ngf, 4 * ngf, 3, stride=2, padding=1)
        self.conv_3 = doubling_conv(4 * ngf, 8 * ngf, 3)
        self.style = reflected_conv(8 * ngf, style_dim, 3)

    def forward(self, x, one_hot):
        for conv in (self.conv_0, self.conv_1, self.conv_2, self.conv_3):
            x = F.leaky_relu(F.instance_norm(conv(x)), 0.2)
        features = torch.tanh(self.style(x)).flatten(2).float()
        inside = torch_spade.shrunk(one_hot, x.shape[-1]).flatten(2)
        total = torch.einsum("blp,bsp->bls", inside, features)
        return total / inside.sum(-1, keepdim=True).clamp(min=1)


class Peer(Conditional):
    """SEAN in training: the styles are those of the image itself."""

    generators = ("generator", "encoder")

    def build(self):
        labels, channels = self.batch.one_hot.shape[1], self.batch.image.shape[1]
        options = self.options
        return {
            "generator": Generator(options.ngf, labels, channels, options.style_dim),
            "encoder": Encoder(channels, options.encoder_ngf, options.style_dim),
            "discriminator": Multiscale(
                labels + channels, options.ndf, options.num_scales, spectral=True
            ),
        }

    def fake(self):
        style = self.net("encoder", self.batch.image, self.batch.one_hot)
        return self.net("generator", self.batch.one_hot, style)
