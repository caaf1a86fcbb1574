"""The comparison: SPADE's train step as a PyTorch user would write it well.

The networks of https://arxiv.org/abs/1903.07291 with the settings of its published
trainer, written anew: generator with synchronised-batch-norm SPADE,
two-scale spectral- and instance-normalised PatchGAN, hinge and feature-matching
losses, Adam with two time scales. The step does what a careful user does: one
generated image serves both updates, and the discriminator's weights get no gradient
in the generator's update.

Started by `benchmarks.run` in an environment that has PyTorch.
"""

import argparse
import itertools

import numpy as np
import torch
from torch import nn
import torch.nn.functional as F

from benchmarks import worker

NUM_LABELS = 5
DISCRIMINATOR_SCALES = 2
FEATURE_MATCHING = 10.0


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
        matrix = self.weight.flatten(1)
        if self.training:
            with torch.no_grad():
                v = F.normalize(matrix.t() @ self.u, dim=0)
                u = F.normalize(matrix @ v, dim=0)
                self.u.copy_(u)
                self.v.copy_(v)
        sigma = torch.dot(self.u.clone(), matrix @ self.v.clone())
        return F.conv2d(x, self.weight / sigma, self.bias, self.stride, self.padding)


class Spade(nn.Module):
    """Normalises, then scales and shifts by what two convolutions make of the map."""

    def __init__(self, channels, labels, hidden=128):
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.shared = nn.Conv2d(labels, hidden, 3, padding=1)
        self.gamma = nn.Conv2d(hidden, channels, 3, padding=1)
        self.beta = nn.Conv2d(hidden, channels, 3, padding=1)

    def forward(self, x, segmentation):
        x = self.norm(x)
        resized = F.interpolate(segmentation, size=x.shape[2:], mode="nearest")
        hidden = F.relu(self.shared(resized))
        return x * (1 + self.gamma(hidden)) + self.beta(hidden)


class Block(nn.Module):
    """SPADE's residual block, with a learned shortcut where the width changes."""

    def __init__(self, fin, fout, labels):
        super().__init__()
        middle = min(fin, fout)
        self.norm_0, self.norm_1 = Spade(fin, labels), Spade(middle, labels)
        self.conv_0 = SpectralConv(fin, middle, 3, padding=1)
        self.conv_1 = SpectralConv(middle, fout, 3, padding=1)
        self.learned = fin != fout
        if self.learned:
            self.norm_s = Spade(fin, labels)
            self.conv_s = SpectralConv(fin, fout, 1, bias=False)

    def forward(self, x, segmentation):
        shortcut = x
        if self.learned:
            shortcut = self.conv_s(self.norm_s(x, segmentation))
        h = self.conv_0(F.leaky_relu(self.norm_0(x, segmentation), 0.2))
        h = self.conv_1(F.leaky_relu(self.norm_1(h, segmentation), 0.2))
        return shortcut + h


class Generator(nn.Module):
    """Seven blocks, five of them after a doubling."""

    def __init__(self, width, labels, channels):
        super().__init__()
        widths = [16, 16, 16, 16, 8, 4, 2, 1]
        self.start = nn.Conv2d(labels, 16 * width, 3, padding=1)
        self.blocks = nn.ModuleList(
            Block(fin * width, fout * width, labels)
            for fin, fout in itertools.pairwise(widths)
        )
        self.doubles = [False, True, False, True, True, True, True]
        self.image = nn.Conv2d(width, channels, 3, padding=1)

    def forward(self, segmentation):
        size = [s // 32 for s in segmentation.shape[2:]]
        x = self.start(F.interpolate(segmentation, size=size, mode="nearest"))
        for block, double in zip(self.blocks, self.doubles, strict=True):
            if double:
                x = F.interpolate(x, scale_factor=2, mode="nearest")
            x = block(x, segmentation)
        return torch.tanh(self.image(F.leaky_relu(x, 0.2)))


class PatchDiscriminator(nn.Module):
    """One scale; returns the features of every layer, the logits last."""

    def __init__(self, channels, width=64):
        super().__init__()
        self.first = nn.Conv2d(channels, width, 4, stride=2, padding=2)
        shapes = [(width, 2 * width, 2), (2 * width, 4 * width, 2)]
        shapes += [(4 * width, 8 * width, 1)]
        self.convs = nn.ModuleList(
            SpectralConv(fin, fout, 4, stride=s, padding=2, bias=False)
            for fin, fout, s in shapes
        )
        self.last = nn.Conv2d(8 * width, 1, 4, padding=2)

    def forward(self, x):
        features = [F.leaky_relu(self.first(x), 0.2)]
        for conv in self.convs:
            h = F.instance_norm(conv(features[-1]))
            features.append(F.leaky_relu(h, 0.2))
        return [*features, self.last(features[-1])]


class Discriminator(nn.Module):
    """The same network at full and at half resolution."""

    def __init__(self, channels):
        super().__init__()
        self.scales = nn.ModuleList(
            PatchDiscriminator(channels) for _ in range(DISCRIMINATOR_SCALES)
        )

    def forward(self, segmentation, fake, real):
        x = torch.cat([fake, real])
        x = torch.cat([segmentation.repeat(2, 1, 1, 1), x], dim=1)
        outputs = []
        for scale in self.scales:
            outputs.append(scale(x))
            x = F.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False)
        return outputs


def initialise(module):
    """Xavier normal with gain 0.02, biases zero."""
    if isinstance(module, nn.Conv2d | SpectralConv):
        nn.init.xavier_normal_(module.weight, gain=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def discriminator_loss(outputs):
    """Hinge, mean over scales; the first half of the batch is fake."""
    total = 0.0
    for features in outputs:
        fake, real = features[-1].chunk(2)
        total = total + F.relu(1 + fake).mean() + F.relu(1 - real).mean()
    return total / len(outputs)


def generator_loss(outputs):
    """Hinge and feature matching, mean over scales."""
    total = 0.0
    for features in outputs:
        total = total - features[-1].chunk(2)[0].mean()
        for feature in features[:-1]:
            fake, real = feature.chunk(2)
            total = total + FEATURE_MATCHING * F.l1_loss(fake, real.detach())
    return total / len(outputs)


class Trainer:
    """Holds networks and optimisers; `step` makes one update of each."""

    def __init__(self, *, width, labels, channels, compiled, channels_last):
        torch.manual_seed(0)
        self.generator = Generator(width, labels, channels).apply(initialise)
        self.discriminator = Discriminator(labels + channels).apply(initialise)
        if channels_last:
            self.generator.to(memory_format=torch.channels_last)
            self.discriminator.to(memory_format=torch.channels_last)
        self.run_generator, self.run_discriminator = self.generator, self.discriminator
        if compiled:
            self.run_generator = torch.compile(self.generator)
            self.run_discriminator = torch.compile(self.discriminator)
        betas = (0.0, 0.9)
        self.opt_g = torch.optim.Adam(self.generator.parameters(), 1e-4, betas)
        self.opt_d = torch.optim.Adam(self.discriminator.parameters(), 4e-4, betas)

    def step(self, segmentation, real):
        """Discriminator, then generator, on one generated batch."""
        fake = self.run_generator(segmentation)
        self.opt_d.zero_grad(set_to_none=True)
        loss_d = discriminator_loss(
            self.run_discriminator(segmentation, fake.detach(), real)
        )
        loss_d.backward()
        self.opt_d.step()
        self.discriminator.requires_grad_(False)
        self.opt_g.zero_grad(set_to_none=True)
        loss_g = generator_loss(self.run_discriminator(segmentation, fake, real))
        loss_g.backward()
        self.opt_g.step()
        self.discriminator.requires_grad_(True)
        return loss_d.item(), loss_g.item()


def make_step(batch_file, width, variant):
    """The trainer on one batch; `variant` holds `compiled` and `channels_last`."""
    batch = np.load(batch_file)
    one_hot = np.eye(NUM_LABELS, dtype=np.float32)[batch["label"]]
    segmentation = torch.from_numpy(one_hot).permute(0, 3, 1, 2)
    real = torch.from_numpy(batch["image"]).permute(0, 3, 1, 2)
    layout = torch.contiguous_format
    if "channels_last" in variant:
        layout = torch.channels_last
    segmentation = segmentation.contiguous(memory_format=layout)
    real = real.contiguous(memory_format=layout)
    trainer = Trainer(
        width=width,
        labels=segmentation.shape[1],
        channels=real.shape[1],
        compiled="compiled" in variant,
        channels_last="channels_last" in variant,
    )
    facts = {
        "framework": f"torch {torch.__version__}",
        "threads": torch.get_num_threads(),
    }
    return (lambda: trainer.step(segmentation, real)), facts


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch", required=True)
    parser.add_argument("--width", type=int, required=True)
    parser.add_argument("--variant", default="")
    args = parser.parse_args()
    worker.serve(lambda: make_step(args.batch, args.width, args.variant.split("+")))


if __name__ == "__main__":
    main()
