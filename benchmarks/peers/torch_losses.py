"""The losses of the peers' games; means over patches and images, then over scales."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
import torch.nn.functional as F


class Game(NamedTuple):
    """What is lost on logits of synthetic and real images, and by the generator."""

    fake: Callable[[Tensor], Tensor]
    real: Callable[[Tensor], Tensor]
    generator: Callable[[Tensor], Tensor]


def _nearly_one(x):
    return (x - 1).square()


HINGE = Game(lambda x: F.relu(1 + x), lambda x: F.relu(1 - x), lambda x: -x)
LSGAN = Game(torch.square, _nearly_one, _nearly_one)
VANILLA = Game(F.softplus, lambda x: F.softplus(-x), lambda x: F.softplus(-x))
WASSERSTEIN = Game(lambda x: x, lambda x: -x, lambda x: -x)
GAMES = {"vanilla": VANILLA, "lsgan": LSGAN}


def mean(of_logits, scales):
    """The mean over scales of a loss of their logits."""
    return sum(of_logits(logits.float()).mean() for logits in scales) / len(scales)


def critic(game, fakes, reals):
    """What a discriminator loses."""
    return mean(game.fake, fakes) + mean(game.real, reals)


def feature_matching(fake, real):
    """L1 between features, summed over layers but the last, averaged over scales."""
    total = sum(
        F.l1_loss(x, y)
        for ours, theirs in zip(fake, real, strict=True)
        for x, y in zip(ours[:-1], theirs[:-1], strict=True)
    )
    return total / len(fake)


def generalised_dice(logits, target):
    """1 - 2 Σ y p / Σ (y + p), sums over classes, batch and pixels."""
    p = logits.float().softmax(1)
    return 1 - 2 * (p * target).sum() / ((p + target).sum() + 1e-5)


def squared_norms(gradients):
    """Of each image's gradient, [B]."""
    return gradients.flatten(1).square().sum(1)


def gradient_penalty(critic_of, real, fake):
    """The mean of (‖∇critic‖ - 1)² between real and synthetic images."""
    share = torch.rand(len(real), *[1] * (real.ndim - 1), device=real.device)
    between = (real + share * (fake - real)).requires_grad_()
    (gradient,) = torch.autograd.grad(
        critic_of(between).sum(), between, create_graph=True
    )
    return (squared_norms(gradient).sqrt() - 1).square().mean()


def r1(critic_of, real):
    """Half of the mean of ‖∇critic‖² at real images."""
    real = real.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(critic_of(real).sum(), real, create_graph=True)
    return 0.5 * squared_norms(gradient).mean()
