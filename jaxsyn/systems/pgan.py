"""PGAN: label maps of noise, by networks that grow with the images.

Karras et al. 2018, https://arxiv.org/abs/1710.10196
"""

from collections.abc import Mapping
import dataclasses
import functools
from typing import ClassVar

import jax
from jax import lax
import jax.numpy as jnp

from jaxsyn.data.codec import MaskCodec
from jaxsyn.engine.system import Loss, Phase, Stage, System
from jaxsyn.errors import UsageError
from jaxsyn.losses import penalties
from jaxsyn.losses.adversarial import wasserstein
from jaxsyn.models.pgan import PganCritic, PganGenerator, sides
from jaxsyn.nn import growing, resample
from jaxsyn.spec import DataSpec


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pgan(System):
    """A progressively grown Wasserstein GAN of label maps; nothing conditions it.

    The training begins with images of `first_size`. Each doubling first fades in, in
    both networks and in the real images, and then is trained on by itself.

    Attributes:
      spec: What the data hold; only its labels are made.
      codec: How label maps are images: `index`, one channel, or `one_hot`, one a label.
      fade_images: Images over which a size fades in.
      stable_images: Images of a size after that; the last has all that remain.
      most_batch: Images of the largest batches. That of the full size is the
        configuration's, and half a side has twice as many.
      rates: What multiplies the learning rates, by side of the images.
      gp: Weight of the gradient penalty.
      drift: Weight of the squared score of real images, which keeps scores near 0.
      first_size: Side of the first images, in pixels.
      fmap_base: Twice this over the side are the channels of features,
      fmap_max: of which there are no more than these.
      latent: Size of a latent code.
    """

    makes_labels: ClassVar[bool] = True

    spec: DataSpec
    codec: str = "index"
    fade_images: int = 600_000
    stable_images: int = 600_000
    most_batch: int = 128
    rates: Mapping[str, float] = dataclasses.field(
        default_factory=lambda: {"1024": 1.5}
    )
    gp: float = 10.0
    drift: float = 1e-3
    first_size: int = 4
    fmap_base: int = 8192
    fmap_max: int = 512
    latent: int = 512

    @functools.cached_property
    def networks(self):
        growth = {
            "image_size": self.spec.image_size,
            "first_size": self.first_size,
            "fmap_base": self.fmap_base,
            "fmap_max": self.fmap_max,
        }
        channels = self._codec.channels
        return {
            "generator": PganGenerator(out_channels=channels, **growth),
            "critic": PganCritic(**growth),
        }

    @property
    def phases(self):
        # From one stream, so that the fakes of both are computed once.
        return (
            Phase("critic", ("critic",), self.critic_loss, noise="step"),
            Phase("generator", ("generator",), self.generator_loss, noise="step"),
        )

    def stages(self, whole):
        """One for each size; `whole` says how many images there are in all.

        Raises:
          UsageError: They do not suffice for a step with the full size faded in.
        """
        found, step, seen = [], 0, 0
        images = whole.stop * whole.batch_size
        for i, size in enumerate(sides(self.first_size, whole.image_size)):
            batch = min(self.most_batch, whole.batch_size * whole.image_size // size)
            fade_steps = -(-self.fade_images // batch) if i else 0
            last = size == whole.image_size
            until = i * self.fade_images + (i + 1) * self.stable_images
            steps = -(-((images if last else until) - seen) // batch)
            if last and steps <= fade_steps:
                needed = seen + (fade_steps + 1) * batch
                raise _too_few(images, needed, whole)
            stage = Stage(
                start=step,
                stop=step + max(steps, fade_steps),
                image_size=size,
                batch_size=batch,
                fade_steps=fade_steps,
                reset_optimizers=i > 0,
                rate=self._rates.get(size, 1.0),
            )
            found.append(stage)
            seen += batch * (stage.stop - step)
            step = stage.stop
        return tuple(found)

    def generate(self, nets, batch):
        """Makes label maps of the stage's size, enlarged to the full one, encoded."""
        made = self._make(nets, len(batch["label"]))
        while made.shape[1] < self.spec.image_size:
            made = resample.upsample(made)
        return made

    def decode(self, made):
        """The label maps."""
        return {"label": self._codec.decode(made)}

    def score(self, nets, batch, made):
        """The critic's score, each of an image by itself."""
        critic = self._critic(nets)
        small = _shrink(made, nets.stage.image_size)
        return jax.vmap(lambda image: critic(image[None])[0])(small)

    def critic_loss(self, nets, batch, memory):
        real = self._real(nets, batch)
        fake = lax.stop_gradient(self._make(nets, len(real)))
        alpha = _alpha(nets)
        # Each by itself: the critic also looks at how different images are.
        fake_scores = nets("critic", fake, alpha=alpha)
        real_scores = nets("critic", real, alpha=alpha)
        penalty = penalties.gradient_penalty(
            self._critic(nets), real, fake, nets.rng("between")
        )
        terms = {
            "fake": wasserstein.fake(fake_scores),
            "real": wasserstein.real(real_scores),
            "penalty": self.gp * penalty,
            "drift": self.drift * jnp.mean(jnp.square(real_scores)),
        }
        distance = jnp.mean(real_scores) - jnp.mean(fake_scores)
        return Loss(terms, scalars={"wasserstein": distance})

    def generator_loss(self, nets, batch, memory):
        fake = self._make(nets, len(batch["label"]))
        scores = nets("critic", fake, alpha=_alpha(nets))
        return Loss({"adversarial": wasserstein.generator(scores)})

    def _make(self, nets, count):
        """Images of the stage's size."""
        z = jax.random.normal(nets.rng("latents"), (count, self.latent))
        size = nets.stage.image_size
        return nets("generator", z, size=size, alpha=_alpha(nets))

    def _real(self, nets, batch):
        """Encoded label maps of the stage's size, faded as the synthetic ones are."""
        encoded = self._codec.encode(batch["label"])
        real, alpha = _shrink(encoded, nets.stage.image_size), _alpha(nets)
        if alpha is None:
            return real
        return growing.blend(resample.upsample(growing.shrink(real)), real, alpha)

    def _critic(self, nets):
        """The critic as a function of images, for gradients."""
        return functools.partial(nets.pure("critic"), alpha=_alpha(nets))

    @functools.cached_property
    def _codec(self):
        return MaskCodec.of_spec(self.spec, self.codec)

    @functools.cached_property
    def _rates(self):
        """By number: what went through JSON has strings for keys."""
        return {int(side): rate for side, rate in self.rates.items()}


def _alpha(nets):
    """How far the stage's size has faded in; None where none does."""
    return nets.alpha if nets.stage.fade_steps else None


def _shrink(images, size):
    return growing.shrink(images, images.shape[1] // size)


def _too_few(images, needed, whole):
    steps = -(-needed // whole.batch_size)
    return UsageError(
        f"{images:,} images do not suffice to reach {whole.image_size} px:"
        f" {needed:,} are needed.",
        hint=f"Give config.train.steps at least {steps:,}, or make"
        " config.system.fade_images and stable_images smaller.",
    )
