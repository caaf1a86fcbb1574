"""BORDE: boundary and sub-region denormalisation for brain image synthesis.

Chaparro-Cruz and Montoya-Zegarra 2022. Each flag is a reading of what the paper
leaves open or an ablation of its Tables IV and V; the defaults are its full model.
"""

import dataclasses
import functools

import jax.numpy as jnp
import numpy as np

from jaxsyn import settings
from jaxsyn.engine.system import Loss, System
from jaxsyn.losses import reconstruction
from jaxsyn.models.borde import BordeGenerator
from jaxsyn.models.patch import BordeDiscriminator, MultiscaleDiscriminator
from jaxsyn.spec import DataSpec
from jaxsyn.systems import _conditional

BOUNDARY, FOREGROUND, LABELS = "boundary", "foreground", "labels"
BOUNDARY_DISTANCES = {
    "l1": reconstruction.l1,
    "bce": reconstruction.binary_cross_entropy,
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Borde(System):
    """BORDE with the discriminator that its paper describes.

    Attributes:
      spec: What the data hold.
      regions: The prior maps in the order of their injection. Each is a group of
        label names, one channel a label; `boundary` is the contour of all regions,
        `foreground` everything that is not background, and `labels` stands for all
        labels of the data but the background and derived ones.
      ngf: Channels of the generator's last block.
      hidden: Channels of a prior map's embedding.
      start: What the first block works on: `latent` noise, a learned `constant`, or
        `seg_noise`, the label map beside noise, as in the published code.
      z_dim: Size of the noise, or of the constant.
      multi_task: Whether the boundary is synthesised too (Table V, row 2).
      residual: Whether blocks have a shortcut (Table V, row 3).
      noise: Whether noise is added before each block (Table V, row 4).
      gamma_offset: 1 scales by 1 + gamma, as the published code; 0 by gamma, as
        equation 1.
      halve: Where channels shrink: at the `first` injection of a block, or `every`.
      skip_second: Whether no block works at the second size, as in the published
        code.
      upsampling: `bilinear`, or `nearest` as in the published code.
      kernel_init: How the networks' kernels start: `xavier` (gain 0.02), `normal`
        (deviation 0.02) or `he`; `gamma_offset` 0 needs one of the last two.
      exclusive_foreground: Whether the foreground leaves the tumour out.
      discriminator: `borde`, as the paper has it, or SPADE's `multiscale`.
      ndf: Channels of the discriminator's first convolution.
      feature_matching: Weight of the distance between the discriminator's features
        of real and synthetic images; the paper does not mention any.
      boundary_weight: Weight of the synthetic boundary's distance to the true one.
      boundary_distance: That distance: `l1`, or `bce`, the cross-entropy.
    """

    spec: DataSpec
    regions: tuple[tuple[str, ...], ...] = (
        (BOUNDARY,),
        (FOREGROUND,),
        ("oedema",),
        ("enhancing", "necrotic"),
    )
    ngf: int = 32
    hidden: int = 128
    start: str = "latent"
    z_dim: int = 256
    multi_task: bool = True
    residual: bool = True
    noise: bool = True
    gamma_offset: float = 1.0
    halve: str = "first"
    skip_second: bool = False
    upsampling: str = "bilinear"
    kernel_init: str = "xavier"
    exclusive_foreground: bool = False
    discriminator: str = "borde"
    ndf: int = 64
    feature_matching: float = 0.0
    boundary_weight: float = 0.0
    boundary_distance: str = "l1"

    def __post_init__(self):
        for name in {name for group in self.regions for name in group}:
            if name not in (BOUNDARY, FOREGROUND, LABELS):
                self.spec.label_index(name)
        for key, known in (
            ("discriminator", ["borde", "multiscale"]),
            ("boundary_distance", sorted(BOUNDARY_DISTANCES)),
        ):
            value = getattr(self, key)
            if value not in known:
                raise settings.unknown(f"config.system.{key}={value!r}", value, known)

    @functools.cached_property
    def networks(self):
        generator = BordeGenerator(
            out_channels=len(self.spec.modalities) + self.multi_task,
            image_size=self.spec.image_size,
            ngf=self.ngf,
            hidden=self.hidden,
            start=self.start,
            z_dim=self.z_dim,
            residual=self.residual,
            noise=self.noise,
            gamma_offset=self.gamma_offset,
            halve=self.halve,
            upsampling=self.upsampling,
            skip_second=self.skip_second,
            kernel_init=self.kernel_init,
            contours=tuple(
                i for i, group in enumerate(self.regions) if BOUNDARY in group
            ),
        )
        if self.discriminator == "borde":
            discriminator = BordeDiscriminator(
                ndf=self.ndf, kernel_init=self.kernel_init
            )
        else:
            discriminator = MultiscaleDiscriminator(
                ndf=self.ndf, kernel_init=self.kernel_init
            )
        return {"generator": generator, "discriminator": discriminator}

    @property
    def phases(self):
        return _conditional.phases(self)

    def generate(self, nets, batch):
        """Synthesises the modalities; the boundary, if there is one, is left out."""
        return self._synthesise(nets, batch)[..., : len(self.spec.modalities)]

    def discriminator_loss(self, nets, batch, memory):
        fake = self._synthesise(nets, batch)
        return _conditional.discriminator_loss(
            nets, batch["one_hot"], fake, self._real(batch)
        )

    def generator_loss(self, nets, batch, memory):
        fake, real = self._synthesise(nets, batch), self._real(batch)
        terms = _conditional.generator_terms(
            nets,
            batch["one_hot"],
            fake,
            real,
            feature_matching=self.feature_matching,
        )
        if self.boundary_weight and self.multi_task:
            distance = BOUNDARY_DISTANCES[self.boundary_distance]
            drawn = distance(fake[..., -1], real[..., -1])
            terms["boundary"] = self.boundary_weight * drawn
        return Loss(terms)

    def prior_maps(self, batch):
        """The maps that are injected, in order: each [B, H, W, labels of a group]."""
        inside = 1.0 - batch["one_hot"][..., :1]
        if self.exclusive_foreground:
            brain = self.spec.label_index("brain")
            inside = batch["one_hot"][..., brain, None]
        made = {BOUNDARY: batch["boundary"], FOREGROUND: inside}

        def channel(name):
            if name in made:
                return made[name]
            if name == LABELS:
                return batch["one_hot"][..., np.array(self.spec.classes[1:])]
            return batch["one_hot"][..., self.spec.label_index(name), None]

        return [
            jnp.concatenate([channel(name) for name in group], axis=-1)
            for group in self.regions
        ]

    def _synthesise(self, nets, batch):
        """All that the generator makes, the boundary last if there is one."""
        return nets("generator", self.prior_maps(batch), batch["one_hot"])

    def _real(self, batch):
        """The images, with the boundary as a channel in [-1, 1] if it is made too."""
        if not self.multi_task:
            return batch["image"]
        return jnp.concatenate([batch["image"], 2.0 * batch["boundary"] - 1.0], axis=-1)
