"""Layers that several peers share."""

import math

import torch
from torch import nn
import torch.nn.functional as F

ROOT_2 = math.sqrt(2)  # The gain of a (leaky) ReLU.


class SpectralConv(nn.Module):
    """A convolution whose kernel is divided by its largest singular value."""

    def __init__(self, fin, fout, kernel, *, stride=1, padding=0, bias=True):
        super().__init__()
        self.stride, self.padding = stride, padding
        self.weight = nn.Parameter(torch.empty(fout, fin, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(fout)) if bias else None
        self.register_buffer("u", F.normalize(torch.randn(fout), dim=0))
        self.register_buffer("v", torch.zeros(fin * kernel * kernel))

    def forward(self, x):
        with torch.autocast(x.device.type, enabled=False):
            weight = self.weight / self._sigma()
        return F.conv2d(x, weight, self.bias, self.stride, self.padding)

    def _sigma(self):
        matrix = self.weight.flatten(1)
        if self.training:
            with torch.no_grad():
                v = F.normalize(matrix.t() @ self.u, dim=0)
                u = F.normalize(matrix @ v, dim=0)
                self.u.copy_(u)
                self.v.copy_(v)
        return torch.dot(self.u.clone(), matrix @ self.v.clone())


class Modulation(nn.Module):
    """Scale and shift made of a map: gamma and beta are one convolution."""

    def __init__(self, labels, channels, hidden=128):
        super().__init__()
        self.embedding = nn.Conv2d(labels, hidden, 3, padding=1)
        self.both = nn.Conv2d(hidden, 2 * channels, 3, padding=1)

    def forward(self, condition):
        """Returns gamma and beta."""
        return self.both(F.relu(self.embedding(condition))).chunk(2, 1)


class Noise(nn.Module):
    """Adds one map of noise, scaled by a learned weight a channel."""

    def __init__(self, channels):
        super().__init__()
        self.scale = nn.Parameter(torch.zeros(channels))

    def forward(self, x):
        noise = torch.randn(len(x), 1, *x.shape[2:], dtype=x.dtype, device=x.device)
        return x + noise * self.scale.to(x.dtype).view(1, -1, 1, 1)


class LearnedInstanceNorm(nn.Module):
    """Instance norm with scale and shift; a single pixel is not normalised.

    Ours adds 1e-3 to the deviation, which is nearly this.
    """

    def __init__(self, channels):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x):
        if x[0, 0].numel() > 1:
            return F.instance_norm(x, weight=self.weight, bias=self.bias, eps=1e-6)
        shape = (1, -1, *[1] * (x.ndim - 2))
        return x * self.weight.view(shape) + self.bias.view(shape)


class Normed(nn.Module):
    """A convolution with the norm after it: batch, with affine, or instance norm."""

    def __init__(self, conv, norm, *args, **options):
        super().__init__()
        self.conv = conv(*args, bias=norm != "batch", **options)
        self.norm = nn.BatchNorm2d(self.conv.out_channels) if norm == "batch" else None

    def forward(self, x):
        x = self.conv(x)
        return self.norm(x) if self.norm else F.instance_norm(x)


class EqualConv(nn.Module):
    """A convolution with an equalised learning rate."""

    def __init__(
        self, fin, fout, kernel=3, *, gain=ROOT_2, bias=True, stride=1, padding=0
    ):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(fout, fin, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(fout)) if bias else None
        self.scale = gain / math.sqrt(fin * kernel**2)
        self.stride, self.padding = stride, padding

    def forward(self, x):
        weight = self.weight * self.scale
        return F.conv2d(x, weight, self.bias, self.stride, self.padding)


class EqualLinear(nn.Module):
    """A matrix product with an equalised learning rate."""

    def __init__(
        self, fin, fout, *, gain=ROOT_2, bias=True, bias_init=0.0, multiplier=1.0
    ):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(fout, fin) / multiplier)
        start = torch.full((fout,), bias_init / multiplier)
        self.bias = nn.Parameter(start) if bias else None
        self.scale, self.multiplier = multiplier * gain / math.sqrt(fin), multiplier

    def forward(self, x):
        bias = self.bias if self.bias is None else self.bias * self.multiplier
        return F.linear(x, self.weight * self.scale, bias)


def minibatch_stddev(x, group=4):
    """Appends the deviation within groups of images as one channel."""
    batch = len(x)
    members = max(n for n in range(1, min(group, batch) + 1) if batch % n == 0)
    grouped = x.float().reshape(members, batch // members, -1)
    deviation = (grouped.var(0, unbiased=False) + 1e-8).sqrt().mean(1)
    channel = deviation.repeat(members).view(-1, 1, 1, 1).to(x.dtype)
    return torch.cat([x, channel.expand(-1, 1, *x.shape[2:])], 1)


def reflected_conv(fin, fout, kernel, **options):
    """A convolution over an image that is mirrored at its edge."""
    padding = {"padding": kernel // 2, "padding_mode": "reflect"}
    return nn.Conv2d(fin, fout, kernel, **padding, **options)


def doubling_conv(fin, fout, kernel, **options):
    """A transposed convolution that doubles each side; kernel is 3 or 4."""
    return nn.ConvTranspose2d(
        fin, fout, kernel, stride=2, padding=1, output_padding=kernel % 2, **options
    )


def last_flat(x):
    """[B, C, H, W] to [B, H · W · C], in our order."""
    return x.movedim(1, -1).flatten(1)


def initialise(module, kind):
    """Starts kernels as ours: `xavier` (gain 0.02), `normal` (0.02) or `he`."""
    plain = nn.Conv2d | nn.Conv3d | nn.ConvTranspose2d | nn.Linear | SpectralConv
    if not isinstance(module, plain):
        return
    if kind == "normal":
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif kind == "he":
        nn.init.kaiming_normal_(module.weight)
    else:
        nn.init.xavier_normal_(module.weight, gain=0.02)
    if module.bias is not None:
        nn.init.zeros_(module.bias)
