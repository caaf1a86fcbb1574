"""A Wasserstein GAN of lesions, as volumes of labels.

Platscher et al. 2020, https://arxiv.org/abs/2010.02745, section II B and appendix, with
the gradient penalty of Gulrajani et al. 2017, https://arxiv.org/abs/1704.00028.
"""

import dataclasses
import functools
from typing import ClassVar

import jax
from jax import lax
import jax.numpy as jnp
import numpy as np

from jaxsyn.engine.system import Loss, Phase, System
from jaxsyn.errors import UsageError
from jaxsyn.losses.adversarial import wasserstein
from jaxsyn.losses.penalties import gradient_penalty
from jaxsyn.models.lesion3d import LesionCritic, LesionGenerator
from jaxsyn.spec import DataSpec


@dataclasses.dataclass(frozen=True, kw_only=True)
class Wgan3d(System):
    """Makes volumes that hold a lesion and nothing else, of noise alone.

    Its channels are the probabilities of "no lesion" and of each lesion label, p as
    2p - 1; real volumes have one-hot maps in the same range. Where the published code
    generates one channel through tanh and takes three Adam steps for the critic's
    three terms, here they are one softmax and one step.

    Attributes:
      spec: What the data hold.
      lesion: Names of the labels that are lesions; by default all that source files
        have a value for, except the background.
      z_dim: Size of the code.
      ngf: Channels of the generator's first convolution; they halve.
      ndf: Channels of the critic's first convolution; they double.
      num_layers: Of `LesionCritic`.
      anisotropic: Of `LesionGenerator`.
      kernel_init: How kernels start.
      critic_steps: Critic updates per generator update; one is made each step.
      gradient_penalty: Weight of the critic's penalty.
      threshold: A voxel is a lesion where the probabilities of all lesion labels
        together exceed this; which, the largest of them says.
    """

    makes_labels: ClassVar[bool] = True
    axes: ClassVar[tuple[int, ...]] = (3,)

    spec: DataSpec
    lesion: tuple[str, ...] = ()
    z_dim: int = 128
    ngf: int = 128
    ndf: int = 8
    num_layers: int = 7
    anisotropic: bool = True
    kernel_init: str = "normal"
    critic_steps: int = 1
    gradient_penalty: float = 10.0
    threshold: float = 0.5

    def __post_init__(self):
        if not self._lesions or 0 in self._lesions:
            raise UsageError(
                f"config.system.lesion={self.lesion} names no lesion.",
                hint="Name labels other than the background, of:"
                f" {', '.join(self.spec.label_names[1:])}.",
            )

    @functools.cached_property
    def networks(self):
        generator = LesionGenerator(
            classes=1 + len(self._lesions),
            ngf=self.ngf,
            anisotropic=self.anisotropic,
            kernel_init=self.kernel_init,
        )
        critic = LesionCritic(
            ndf=self.ndf, num_layers=self.num_layers, kernel_init=self.kernel_init
        )
        return {"generator": generator, "critic": critic}

    @property
    def phases(self):
        return (
            Phase("critic", ("critic",), self.critic_loss, noise="step"),
            Phase(
                "generator",
                ("generator",),
                self.generator_loss,
                every=self.critic_steps,
                noise="step",
            ),
        )

    def generate(self, nets, batch):
        """Makes volumes [B, D, H, W, 1 + lesions], of the size of the batch's.

        Raises:
          UsageError: The batch holds slices, or its size cannot be made.
        """
        count, *sides = batch["label"].shape
        if len(sides) != 3:
            raise UsageError(
                f"wgan3d makes volumes; the data are slices of {sides}.",
                hint="Set config.depth to the number of slices of a volume.",
            )
        z = jax.random.normal(nets.rng("latents"), (count, self.z_dim))
        return nets("generator", z, tuple(sides))

    def encode(self, label: jax.Array) -> jax.Array:
        """Writes label maps [B, D, H, W] as the generator writes its volumes."""
        channel = np.zeros(len(self.spec.labels), np.int32)
        channel[list(self._lesions)] = 1 + np.arange(len(self._lesions))
        one_hot = jax.nn.one_hot(jnp.asarray(channel)[label], 1 + len(self._lesions))
        return 2.0 * one_hot - 1.0

    def decode(self, made):
        """The lesions' labels; background, index 0, is what is none."""
        lesion = (1.0 - made[..., 0]) / 2.0 > self.threshold
        kind = jnp.asarray(self._lesions, jnp.int32)[jnp.argmax(made[..., 1:], axis=-1)]
        return {"label": jnp.where(lesion, kind, 0)}

    def score(self, nets, batch, made):
        return nets("critic", made)

    def critic_loss(self, nets, batch, memory):
        real = self.encode(batch["label"])
        fake = lax.stop_gradient(self.generate(nets, batch))
        judged = nets("critic", jnp.concatenate([fake, real]))
        fake_logits, real_logits = jnp.split(judged, 2)
        penalty = gradient_penalty(
            nets.pure("critic"), real, fake, nets.rng("interpolation")
        )
        return Loss(
            {
                "fake": wasserstein.fake(fake_logits),
                "real": wasserstein.real(real_logits),
                "penalty": self.gradient_penalty * penalty,
            }
        )

    def generator_loss(self, nets, batch, memory):
        judged = nets("critic", self.generate(nets, batch))
        return Loss({"adversarial": wasserstein.generator(judged)})

    @functools.cached_property
    def _lesions(self):
        """Indices of the lesion labels."""
        if self.lesion:
            return tuple(self.spec.label_index(name) for name in self.lesion)
        return tuple(index for index in self.spec.classes if index)
