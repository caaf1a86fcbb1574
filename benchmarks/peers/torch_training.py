"""A training step as a PyTorch user would write it well; a peer's file fills it in.

A peer is a module `torch_NAME` here, NAME being one of `benchmarks.cases.CONFIGS`, with
a class `Peer`. Its networks have the parameters of ours, under the same names, and its
step makes the same updates. What a careful user does, all of them do: one generated
batch serves the updates of both sides, weights that an update leaves alone get no
gradient, Adam is fused, and convolutions may be compiled, channels last, in bfloat16.
"""

import contextlib
import types

import torch
from torch import nn

from benchmarks.peers import torch_layers, torch_losses


class Training:
    """Networks, their optimisers, and a batch they are trained on.

    Attributes:
      critics: Names of the networks that a step updates first,
      generators: and of those it updates then.
      lazy: Whether steps differ, with a period of `benchmarks.worker.CYCLE`.
      options: All options of our system, as attributes.
      batch: "image" [B, C, H, W], "label" [B, H, W], "one_hot" and "boundary", or the
        same of volumes.
      networks: By name, as in our system.
      steps: How many were made.
      losses: Of each update of the last one.
    """

    critics = ("discriminator",)
    generators = ("generator",)
    lazy = False

    def __init__(self, case, arrays, *, variant="eager", dtype="float32"):
        torch.manual_seed(0)
        torch.set_float32_matmul_precision("high")  # As JAX multiplies by default.
        torch.backends.cudnn.benchmark = True
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.options = types.SimpleNamespace(**case["system"])
        self._half = dtype == "bfloat16"
        self._layout = torch.contiguous_format
        if "channels_last" in variant:
            volumes = arrays["label"].ndim == 4
            self._layout = torch.channels_last_3d if volumes else torch.channels_last
        self.batch = self._put(arrays)
        self.networks = nn.ModuleDict(self.build())
        kind = getattr(self.options, "kernel_init", "normal")
        self.networks.apply(lambda module: torch_layers.initialise(module, kind))
        self.networks.to(self.device)
        for weight in self.networks.parameters():
            if weight.ndim == self.batch.image.ndim:
                weight.data = weight.data.contiguous(memory_format=self._layout)
        self._run = dict(self.networks.items())
        if "compiled" in variant:
            self._run = {k: torch.compile(v) for k, v in self._run.items()}
        self._adams = {
            name: torch.optim.Adam(
                network.parameters(),
                lr=case["optimizers"][name]["learning_rate"],
                betas=tuple(case["optimizers"][name][b] for b in ("b1", "b2")),
                fused=True,
            )
            for name, network in self.networks.items()
        }
        self.steps, self.losses = 0, {}

    def build(self):
        """The networks, by name."""
        raise NotImplementedError

    def fake(self):
        """What the generators make in this step: a tensor, or several by name."""
        raise NotImplementedError

    def critic_loss(self, fake):
        """What the critics lose; no gradient flows through `fake`."""
        raise NotImplementedError

    def generator_loss(self, fake):
        """What the generators lose."""
        raise NotImplementedError

    def step(self):
        """Updates the critics, then the generators."""
        with self.autocast():
            fake = self.fake()
            loss = self.critic_loss(_detached(fake))
        self.descend("critic", self.critics, loss)
        with self.frozen(*self.critics):
            with self.autocast():
                loss = self.generator_loss(fake)
            self.descend("generator", self.generators, loss)
        self.steps += 1

    def net(self, name, *args):
        """Applies a network, compiled where it is so."""
        return self._run[name](*args)

    def pure(self, name):
        """The network itself: gradients of compiled ones have no gradients."""
        return self.networks[name]

    def descend(self, what, names, loss):
        """One step of these networks' optimisers."""
        for name in names:
            self._adams[name].zero_grad(set_to_none=True)
        loss.backward()
        for name in names:
            self._adams[name].step()
        self.losses[what] = loss.detach()

    @contextlib.contextmanager
    def frozen(self, *names):
        """Within it these networks' weights get no gradient."""
        for name in names:
            self.networks[name].requires_grad_(False)
        yield
        for name in names:
            self.networks[name].requires_grad_(True)

    def autocast(self):
        """Within it networks compute in the type that was asked for."""
        return torch.autocast(self.device, torch.bfloat16, enabled=self._half)

    def exact(self):
        """Within it in float32, as penalties need."""
        return torch.autocast(self.device, enabled=False)

    def noise(self, *shape):
        """Standard normal noise."""
        return torch.randn(*shape, device=self.device)

    def _put(self, arrays):
        batch = {"label": torch.from_numpy(arrays["label"]).long().to(self.device)}
        for name in ("image", "one_hot", "boundary"):
            channels_first = torch.from_numpy(arrays[name]).movedim(-1, 1)
            channels_first = channels_first.contiguous(memory_format=self._layout)
            batch[name] = channels_first.to(self.device)
        return types.SimpleNamespace(**batch)


class Conditional(Training):
    """A discriminator that sees condition and image, and whose features may be matched.

    Attributes:
      game: Whose adversarial loss.
      sums_scales: Whether the losses of scales are added up, not averaged.
    """

    game = torch_losses.HINGE
    sums_scales = False

    def condition(self):
        """What images are made of."""
        return self.batch.one_hot

    def real(self):
        """What is to be made."""
        return self.batch.image

    def critic_loss(self, fake):
        pairs = torch.cat([self._pair(fake), self._pair(self.real())])
        outputs = self.net("discriminator", pairs)
        fakes, reals = zip(*(layers[-1].chunk(2) for layers in outputs), strict=True)
        loss = torch_losses.critic(self.game, fakes, reals)
        return loss * (0.5 * len(outputs) if self.sums_scales else 1.0)

    def generator_loss(self, fake):
        outputs = self.net("discriminator", self._pair(fake))
        logits = [layers[-1] for layers in outputs]
        loss = torch_losses.mean(self.game.generator, logits)
        loss = loss * (len(outputs) if self.sums_scales else 1.0)
        if not self.options.feature_matching:
            return loss
        with torch.no_grad():
            real = self.net("discriminator", self._pair(self.real()))
        distance = torch_losses.feature_matching(outputs, real)
        return loss + self.options.feature_matching * distance

    def _pair(self, image):
        return torch.cat([self.condition(), image], 1)


def _detached(fake):
    if isinstance(fake, dict):
        return {name: each.detach() for name, each in fake.items()}
    return fake.detach()
