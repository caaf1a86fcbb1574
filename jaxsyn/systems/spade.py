"""SPADE: semantic image synthesis with spatially-adaptive normalisation.

Park et al. 2019, https://arxiv.org/abs/1903.07291
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp

from jaxsyn.engine.system import Loss, System
from jaxsyn.losses import reconstruction
from jaxsyn.models.patch import MultiscaleDiscriminator
from jaxsyn.models.spade import SpadeGenerator
from jaxsyn.models.spade_encoder import SpadeEncoder
from jaxsyn.models.vgg import Vgg19
from jaxsyn.spec import DataSpec
from jaxsyn.systems import _conditional


@dataclasses.dataclass(frozen=True, kw_only=True)
class Spade(System):
    """SPADE with its multiscale discriminator; a VAE if it is given an encoder.

    Attributes:
      spec: What the data hold.
      ngf: Channels of the generator's last block.
      ndf: Channels of the discriminator's first convolution.
      norm: Of the generator, before each modulation: `batch` or `instance`.
      running_average: Whether images are made with batch norm's running statistics;
        if not, with the batch's own, as in training.
      kernel_size: Side of the modulation's windows.
      kernel_init: How the networks' kernels start: `xavier` (gain 0.02), `normal`
        (deviation 0.02) or `he`.
      upsampling: `normal`, `more` or `most`: 5, 6 or 7 doublings.
      vae: Whether an encoder gives the start of the generator, and its style.
      z_dim: Size of that code.
      num_scales: Discriminators, each at half the scale of the one before.
      feature_matching: Weight of the distance between the discriminator's features
        of real and synthetic images.
      kld: Weight of the code's divergence from a standard normal, with `vae`.
      perceptual: Weight of the VGG19 distance; 0 leaves it out.
      vgg_weights: File of VGG19's weights, needed by that distance.
    """

    spec: DataSpec
    ngf: int = 64
    ndf: int = 64
    norm: str = "batch"
    running_average: bool = True
    kernel_size: int = 3
    kernel_init: str = "xavier"
    upsampling: str = "normal"
    vae: bool = False
    z_dim: int = 256
    num_scales: int = 2
    feature_matching: float = 10.0
    kld: float = 0.05
    perceptual: float = 0.0
    vgg_weights: str = ""

    @functools.cached_property
    def networks(self):
        generator = SpadeGenerator(
            out_channels=len(self.spec.modalities),
            image_size=self.spec.image_size,
            ngf=self.ngf,
            norm=self.norm,
            running_average=self.running_average,
            kernel_size=self.kernel_size,
            kernel_init=self.kernel_init,
            upsampling=self.upsampling,
            z_dim=self.z_dim if self.vae else 0,
        )
        discriminator = MultiscaleDiscriminator(
            ndf=self.ndf,
            num_scales=self.num_scales,
            kernel_init=self.kernel_init,
        )
        networks = {"generator": generator, "discriminator": discriminator}
        if self.vae:
            networks["encoder"] = SpadeEncoder(
                z_dim=self.z_dim, kernel_init=self.kernel_init
            )
        return networks

    @property
    def phases(self):
        return _conditional.phases(
            self, ("generator", "encoder") if self.vae else ("generator",)
        )

    def generate(self, nets, batch):
        """Synthesises images, with a random style if there is an encoder."""
        if not self.vae:
            return nets("generator", batch["one_hot"])
        shape = (batch["one_hot"].shape[0], self.z_dim)
        z = jax.random.normal(nets.rng("style"), shape)
        return nets("generator", batch["one_hot"], z)

    def discriminator_loss(self, nets, batch, memory):
        fake, _ = self._reconstruct(nets, batch)
        return _conditional.discriminator_loss(
            nets, batch["one_hot"], fake, batch["image"]
        )

    def generator_loss(self, nets, batch, memory):
        fake, kld = self._reconstruct(nets, batch)
        terms = _conditional.generator_terms(
            nets,
            batch["one_hot"],
            fake,
            batch["image"],
            feature_matching=self.feature_matching,
        )
        if self.vae:
            terms["kld"] = self.kld * kld
        if self.perceptual:
            distance = self._vgg.distance(fake, batch["image"])
            terms["perceptual"] = self.perceptual * distance
        return Loss(terms)

    def _reconstruct(self, nets, batch):
        """The fake of a training step, and its code's divergence."""
        if not self.vae:
            return nets("generator", batch["one_hot"]), 0.0
        mean, log_variance = nets("encoder", batch["image"])
        epsilon = jax.random.normal(nets.rng("style"), mean.shape)
        z = mean + epsilon * jnp.exp(0.5 * log_variance)
        divergence = reconstruction.kl_divergence(mean, log_variance)
        return nets("generator", batch["one_hot"], z), divergence

    @functools.cached_property
    def _vgg(self):
        return Vgg19.load(self.vgg_weights)
