"""What StyleGAN2 is, whatever it makes and of what.

Karras et al. 2020, https://arxiv.org/abs/1912.04958
"""

import abc
import dataclasses
import functools

import jax
from jax import lax
import jax.numpy as jnp

from jaxsyn.engine.system import Loss, Phase, System
from jaxsyn.losses import penalties
from jaxsyn.losses.adversarial import vanilla
from jaxsyn.models.stylegan2 import Discriminator, Mapping, Synthesis
from jaxsyn.nn import ada
from jaxsyn.spec import DataSpec

GENERATOR = ("mapping", "synthesis")
CRITIC = ("discriminator",)


@dataclasses.dataclass(frozen=True, kw_only=True)
class StyleGan(System):
    """StyleGAN2's networks and game.

    The discriminator is updated first, on the fake that the generator then learns of;
    in the published code the generator is, and each has fakes of its own.

    Attributes:
      spec: What the data hold.
      latent: Size of the latents z.
      style_dim: Size of the intermediate latents w.
      mapping_layers: Dense layers from one to the other.
      fmap_base: A layer that works at n pixels has this over n channels,
      fmap_max: but at most so many.
      r1_gamma: Weight of the squared norm of the discriminator's gradient at real
        images; 0 takes 0.0002·(image size)²/(batch size), as ADA's code.
      r1_every: Steps between updates by that norm, each weighted by this.
      path_weight: Weight of the path lengths' variance; 0 leaves it out.
      path_every: Steps between updates by it, each weighted by this.
      path_decay: Share of the newest lengths in their running mean.
      mixing: Probability that the images of a step have styles of two latents each.
      w_decay: What the running mean of w keeps at a step.
      truncation: How far from that mean generation leaves each w ("psi"); 1 is where
        it was.
      ada: Adaptive augmentation's target, 0.6 as published: the share of real images
        with a positive logit minus that with a negative one. 0 does not augment.
      ada_images: Images over which the augmentation's probability can rise by 1; it
        changes at each step, in the published code at every fourth.
    """

    spec: DataSpec
    latent: int = 512
    style_dim: int = 512
    mapping_layers: int = 8
    fmap_base: int = 32768
    fmap_max: int = 512
    r1_gamma: float = 10.0
    r1_every: int = 16
    path_weight: float = 2.0
    path_every: int = 4
    path_decay: float = 0.01
    mixing: float = 0.9
    w_decay: float = 0.995
    truncation: float = 1.0
    ada: float = 0.0
    ada_images: int = 500_000

    @property
    @abc.abstractmethod
    def image_channels(self) -> int:
        """How many channels of what is made are images: the first ones."""

    @property
    def mask_channels(self) -> int:
        """How many are label maps: those after them."""
        return 0

    @abc.abstractmethod
    def _real(self, batch) -> jax.Array:
        """Real images and label maps, as they are to be made."""

    def _condition(self, batch) -> jax.Array:
        """What they are made of beside noise, [B, H, W, K]; here K is 0."""
        return jnp.zeros((*batch["label"].shape, 0))

    @functools.cached_property
    def networks(self):
        widths = {"fmap_base": self.fmap_base, "fmap_max": self.fmap_max}
        channels = self.image_channels + self.mask_channels
        return {
            "mapping": Mapping(self.style_dim, self.mapping_layers),
            "synthesis": Synthesis(channels, self.spec.image_size, **widths),
            "discriminator": Discriminator(**widths),
        }

    @property
    def phases(self):
        # The first two from one stream, so that their fake is computed once.
        game = (
            Phase("discriminator", CRITIC, self.discriminator_loss, noise="step"),
            Phase("generator", GENERATOR, self.generator_loss, noise="step"),
        )
        r1 = _lazy("r1", CRITIC, self.r1_loss, self.r1_every)
        path = _lazy("path", GENERATOR, self.path_loss, self.path_every)
        return (*game, path, r1) if self.path_weight else (*game, r1)

    def memory(self, batch):
        """Means of path lengths and of w, and the augmentation's probability."""
        del batch
        return {
            "path_mean": jnp.zeros(()),
            "w_mean": jnp.zeros((self.style_dim,)),
            "ada_probability": jnp.zeros(()),
        }

    def generate(self, nets, batch):
        """Makes images and encoded label maps, along channels.

        The network has no bounded output; images are clipped to [-1, 1] here alone.
        """
        z = jax.random.normal(nets.rng("latents"), (len(batch["label"]), self.latent))
        w = nets("mapping", z)
        w -= (1.0 - self.truncation) * (w - nets.memory["w_mean"][None])
        styles = jnp.repeat(w[:, None], self.networks["synthesis"].num_layers, axis=1)
        made = nets("synthesis", styles, self._condition(batch))
        image, mask = jnp.split(made, [self.image_channels], axis=-1)
        return jnp.concatenate([jnp.clip(image, -1.0, 1.0), mask], axis=-1)

    def score(self, nets, batch, made):
        """Logits, each of an image by itself and never augmented."""
        critic = nets.pure("discriminator")

        def alone(image, condition):
            return critic(image[None], condition[None])[0]

        return jax.vmap(alone)(made, self._condition(batch))

    def discriminator_loss(self, nets, batch, memory):
        fake, _ = self._make(nets, batch)
        discriminator = functools.partial(nets, "discriminator")
        # Each by itself: the discriminator also looks at how different images are.
        fake_logits, real_logits = (
            self._critic(discriminator, nets, memory)(images, self._condition(batch))
            for images in (lax.stop_gradient(fake), self._real(batch))
        )
        terms = {"fake": vanilla.fake(fake_logits), "real": vanilla.real(real_logits)}
        if not self.ada:
            return Loss(terms)
        probability = ada.adapt(
            memory["ada_probability"], real_logits, self.ada, self.ada_images
        )
        adapted = {"ada_probability": probability}
        return Loss(terms, memory=adapted, scalars=adapted)

    def generator_loss(self, nets, batch, memory):
        fake, w = self._make(nets, batch)
        critic = self._critic(functools.partial(nets, "discriminator"), nets, memory)
        logits = critic(fake, self._condition(batch))
        newest = lax.stop_gradient(jnp.mean(w, axis=0))
        mean = self.w_decay * memory["w_mean"] + (1.0 - self.w_decay) * newest
        return Loss({"adversarial": vanilla.generator(logits)}, memory={"w_mean": mean})

    def path_loss(self, nets, batch, memory):
        """Keeps path lengths equal (section 3.2), on half of the batch."""
        half = max(1, len(batch["label"]) // 2)
        condition, synthesis = self._condition(batch)[:half], nets.pure("synthesis")
        lengths = penalties.path_lengths(
            lambda styles: synthesis(styles, condition),
            self._styles(nets, half),
            nets.rng("path"),
        )
        newest = lax.stop_gradient(jnp.mean(lengths))
        mean = memory["path_mean"]
        mean += self.path_decay * (newest - mean)
        penalty = jnp.mean(jnp.square(lengths - mean))
        return Loss(
            {"path": self.path_weight * penalty},
            memory={"path_mean": mean},
            scalars={"length": newest},
        )

    def r1_loss(self, nets, batch, memory):
        critic = self._critic(nets.pure("discriminator"), nets, memory)
        penalty = self._r1(critic, self._real(batch), self._condition(batch))
        gamma = self.r1_gamma
        if not gamma:
            gamma = 2e-4 * nets.stage.image_size**2 / nets.stage.batch_size
        return Loss({"r1": gamma * penalty})

    def _r1(self, critic, real, condition):
        """The penalty on the gradient with respect to real images."""
        return penalties.r1(lambda images: critic(images, condition), real)

    def _make(self, nets, batch):
        """A training step's fakes, and each one's (first) w."""
        styles = self._styles(nets, len(batch["label"]))
        return nets("synthesis", styles, self._condition(batch)), styles[:, 0]

    def _styles(self, nets, count):
        """A w for each layer, [B, layers, W]: one, or from some layer on another."""
        z = jax.random.normal(nets.rng("latents"), (count, 2, self.latent))
        w = nets("mapping", z)
        layers = self.networks["synthesis"].num_layers
        cut = jax.random.randint(nets.rng("cut"), (), 1, layers)
        mixed = jax.random.bernoulli(nets.rng("mixing"), self.mixing)
        first = jnp.arange(layers) < jnp.where(mixed, cut, layers)
        return jnp.where(first[None, :, None], w[:, :1], w[:, 1:])

    def _critic(self, discriminator, nets, memory):
        """The discriminator as a function of images and condition, both augmented."""
        if not self.ada:
            return discriminator
        key, probability = nets.rng("ada"), memory["ada_probability"]

        def critic(images, condition):
            seen = jnp.concatenate([images, condition], axis=-1)
            seen = ada.augment(seen, key, probability, self.image_channels)
            return discriminator(*jnp.split(seen, [images.shape[-1]], axis=-1))

        return critic


def _lazy(name, trains, loss, every):
    """A phase that runs now and then, and weighs accordingly more."""
    return Phase(name, trains, loss, every=every, scale=every)
