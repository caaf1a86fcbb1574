"""StyleGAN2 without or with a label map, and its lazily regularised step.

Karras et al. 2020, https://arxiv.org/abs/1912.04958, written anew. All images are
convolved with one kernel, their inputs and outputs being scaled, as in our networks.
"""

import math

import torch
from torch import nn
import torch.nn.functional as F

from benchmarks.peers import torch_losses
from benchmarks.peers.torch_layers import (
    EqualConv,
    EqualLinear,
    last_flat,
    minibatch_stddev,
)
from benchmarks.peers.torch_pgan import encoded
from benchmarks.peers.torch_spade import shrunk
from benchmarks.peers.torch_training import Training

START_SIZE = 4
TAPS = (0.125, 0.375, 0.375, 0.125)


class Mapping(nn.Module):
    """Latents to intermediate latents."""

    def __init__(self, latent, features, layers):
        super().__init__()
        for i in range(layers):
            dense = EqualLinear(
                features if i else latent, features, gain=1.0, multiplier=0.01
            )
            self.add_module(f"dense_{i}", dense)

    def forward(self, z):
        x = z * (z.square().mean(-1, keepdim=True) + 1e-8).rsqrt()
        for dense in self.children():
            x = activate(dense(x))
        return x


class ModulatedConv(nn.Module):
    """A convolution modulated by a style; doubles the image if told to."""

    def __init__(self, fin, fout, style, kernel=3, *, demodulate=True, up=False):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(fout, fin, kernel, kernel))
        self.style = EqualLinear(style, fin, gain=1.0, bias_init=1.0)
        self.scale = 1 / math.sqrt(fin * kernel**2)
        self.demodulate, self.up = demodulate, up

    def forward(self, x, w):
        weight, style = self.weight * self.scale, self.style(w)
        x = x * style[:, :, None, None].to(x.dtype)
        if self.up:
            x = F.conv_transpose2d(x, weight.transpose(0, 1), stride=2)
            x = 4 * blur(x, 1)
        else:
            x = F.conv2d(x, weight, padding=weight.shape[-1] // 2)
        if not self.demodulate:
            return x
        norms = style.float().square() @ weight.square().sum((2, 3)).t()
        return x * (norms + 1e-8).rsqrt()[:, :, None, None].to(x.dtype)


class StyledConv(nn.Module):
    """A modulated convolution, noise, bias and activation."""

    def __init__(self, fin, fout, style, *, up=False):
        super().__init__()
        self.conv = ModulatedConv(fin, fout, style, up=up)
        self.noise_strength = nn.Parameter(torch.zeros(()))
        self.bias = nn.Parameter(torch.zeros(fout))

    def forward(self, x, w):
        x = self.conv(x, w)
        noise = torch.randn(len(x), 1, *x.shape[2:], dtype=x.dtype, device=x.device)
        x = x + noise * self.noise_strength.to(x.dtype)
        return activate(x + self.bias.to(x.dtype).view(1, -1, 1, 1))


class ToImage(nn.Module):
    """A modulated 1x1 convolution without demodulation."""

    def __init__(self, fin, fout, style):
        super().__init__()
        self.conv = ModulatedConv(fin, fout, style, 1, demodulate=False)
        self.bias = nn.Parameter(torch.zeros(fout))

    def forward(self, x, w):
        x = self.conv(x, w)
        return x + self.bias.to(x.dtype).view(1, -1, 1, 1)


class Synthesis(nn.Module):
    """Intermediate latents, one for each layer, to images; with skips."""

    def __init__(self, widths, channels, labels, style):
        super().__init__()
        self.sizes, fin = list(widths), widths[START_SIZE]
        self.start = nn.Parameter(torch.randn(1, fin, START_SIZE, START_SIZE))
        for size, width in widths.items():
            if size > START_SIZE:
                up = StyledConv(fin, width, style, up=True)
                self.add_module(f"up_{size}", up)
                fin = width + labels
            self.add_module(f"conv_{size}", StyledConv(fin, width, style))
            fin = width + labels
            self.add_module(f"image_{size}", ToImage(fin, channels, style))

    def forward(self, w, condition):
        x, image = self.start.expand(len(w), -1, -1, -1), None
        for i, size in enumerate(self.sizes):
            if i:
                up = getattr(self, f"up_{size}")
                x = append(up(x, w[:, 2 * i - 1]), condition)
            x = append(getattr(self, f"conv_{size}")(x, w[:, 2 * i]), condition)
            skip = getattr(self, f"image_{size}")(x, w[:, 2 * i + 1])
            image = skip if image is None else doubled(image) + skip
        return image


class ResidualBlock(nn.Module):
    """Two convolutions, of which the second halves, and one beside them."""

    def __init__(self, fin, width, fout):
        super().__init__()
        self.skip = EqualConv(fin, fout, 1, gain=1.0, bias=False)
        self.conv_0 = EqualConv(fin, width, gain=1.0, padding=1)
        self.conv_1 = EqualConv(width, fout, gain=1.0, stride=2)

    def forward(self, x):
        y = activate(self.conv_0(x))
        y = activate(self.conv_1(blur(y, 2)))
        return (y + self.skip(blur(x, 1, stride=2))) * math.sqrt(0.5)


class Discriminator(nn.Module):
    """Residual blocks down to 4x4 pixels."""

    def __init__(self, widths, channels, labels):
        super().__init__()
        self.sizes = sorted(widths, reverse=True)[:-1]
        first, last = widths[self.sizes[0]], widths[START_SIZE]
        self.features = EqualConv(channels + labels, first, 1, gain=1.0)
        for size in self.sizes:
            wide, narrow = widths[size], widths[size // 2]
            block = ResidualBlock(wide + labels, wide, narrow)
            self.add_module(f"block_{size}", block)
        self.conv = EqualConv(last + 1, last, gain=1.0, padding=1)
        self.dense = EqualLinear(last * START_SIZE**2, last, gain=1.0)
        self.judge = EqualLinear(last, 1, gain=1.0)

    def forward(self, image, condition):
        x = activate(self.features(append(image, condition)))
        for size in self.sizes:
            x = getattr(self, f"block_{size}")(append(x, condition))
        x = activate(self.conv(minibatch_stddev(x)))
        return self.judge(activate(self.dense(last_flat(x))))[:, 0]


class Peer(Training):
    """M-SG: label maps as one channel, of noise alone."""

    generators = ("mapping", "synthesis")
    lazy = True

    def real(self):
        """What is to be made."""
        return encoded(self.batch)

    def condition(self):
        """What it is made of."""
        return self.batch.one_hot[:, :0]

    def build(self):
        options, size = self.options, self.batch.label.shape[-1]
        sizes = [START_SIZE * 2**i for i in range((size // START_SIZE).bit_length())]
        widths = {n: min(options.fmap_base // n, options.fmap_max) for n in sizes}
        channels, labels = self.real().shape[1], self.condition().shape[1]
        style, self.layers = options.style_dim, 2 * len(sizes)
        self.path_mean = torch.zeros((), device=self.device)
        self.w_mean = torch.zeros(style, device=self.device)
        return {
            "mapping": Mapping(options.latent, style, options.mapping_layers),
            "synthesis": Synthesis(widths, channels, labels, style),
            "discriminator": Discriminator(widths, channels, labels),
        }

    def step(self):
        step, options = self.steps, self.options
        super().step()
        if step % options.path_every == 0:
            with self.frozen(*self.critics):
                loss = options.path_every * self._path_loss()
                self.descend("path", self.generators, loss)
        if step % options.r1_every == 0:
            loss = options.r1_every * self._r1_loss()
            self.descend("r1", self.critics, loss)

    def fake(self):
        w = self._styles(len(self.batch.label), self.net)
        mean = w[:, 0].detach().float().mean(0)
        self.w_mean.lerp_(mean, 1 - self.options.w_decay)
        return self.net("synthesis", w, self.condition())

    def critic_loss(self, fake):
        fakes, reals = (
            [self.net("discriminator", x, self.condition())]
            for x in (fake, self.real())
        )
        return torch_losses.critic(torch_losses.VANILLA, fakes, reals)

    def generator_loss(self, fake):
        logits = self.net("discriminator", fake, self.condition())
        return torch_losses.mean(torch_losses.VANILLA.generator, [logits])

    def _path_loss(self):
        half = max(1, len(self.batch.label) // 2)
        w = self._styles(half, lambda name, z: self.pure(name)(z))
        images = self.pure("synthesis")(w, self.condition()[:half])
        y = torch.randn_like(images) / math.sqrt(images[0, 0].numel())
        (gradient,) = torch.autograd.grad((images * y).sum(), w, create_graph=True)
        lengths = (torch_losses.squared_norms(gradient) / self.layers).sqrt()
        self.path_mean.lerp_(lengths.detach().mean(), self.options.path_decay)
        variance = (lengths - self.path_mean).square().mean()
        return self.options.path_weight * variance

    def _r1_loss(self):
        real, condition = self.real(), self.condition()
        gamma = self.options.r1_gamma or 2e-4 * real.shape[-1] ** 2 / len(real)
        critic = self.pure("discriminator")
        return gamma * torch_losses.r1(lambda x: critic(x, condition), real)

    def _styles(self, count, net):
        """A w for each layer, [B, layers, W]: one, or from some layer on another."""
        w = net("mapping", self.noise(count, 2, self.options.latent))
        cut = int(torch.randint(1, self.layers, ()))
        if torch.rand(()) >= self.options.mixing:
            cut = self.layers
        first = torch.arange(self.layers, device=self.device) < cut
        return torch.where(first[None, :, None], w[:, :1], w[:, 1:])


def activate(x):
    """Leaky ReLU, times √2."""
    return math.sqrt(2) * F.leaky_relu(x, 0.2)


def append(x, condition):
    """Appends what conditions features, every n-th pixel of it."""
    if not condition.shape[1]:
        return x
    return torch.cat([x, shrunk(condition, x.shape[-1]).to(x.dtype)], 1)


def blur(x, padding, stride=1):
    """Means of 4x4 pixels, weighted by the filter; each channel by itself."""
    channels = x.shape[1]
    taps = torch.tensor(TAPS, dtype=x.dtype, device=x.device)
    kernel = torch.outer(taps, taps).expand(channels, 1, -1, -1)
    return F.conv2d(x, kernel, stride=stride, padding=padding, groups=channels)


def doubled(x):
    """Zeros between pixels, then four times the filter."""
    channels = x.shape[1]
    taps = 2 * torch.tensor(TAPS, dtype=x.dtype, device=x.device)
    kernel = torch.outer(taps, taps).expand(channels, 1, -1, -1)
    return F.conv_transpose2d(x, kernel, stride=2, padding=1, groups=channels)
