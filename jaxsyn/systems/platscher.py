"""Images of stroke, made of label maps as in paper 004.

Platscher et al. 2020, https://arxiv.org/abs/2010.02745. Two things that the authors'
code, https://github.com/MoPl90/image_translation, does are taken for oversights and not
done here: its discriminator is taught to call synthetic images real, too, and its noise
does not decay from step to step. Its pool of earlier synthetic images, which starts
empty in each step and so never holds any, is left out.
"""

import dataclasses
import functools

import jax

from jaxsyn.models import pix2pix_unet
from jaxsyn.models.platscher import PlatscherDiscriminator, PlatscherUNet
from jaxsyn.models.platscher_spade import PlatscherSpadeGenerator
from jaxsyn.systems import _pix2pix

MOST_DOWNS = 7


@dataclasses.dataclass(frozen=True, kw_only=True)
class Platscher(_pix2pix.PairedGan):
    """pix2pix or a small SPADE, with the paper's discriminator.

    Attributes:
      spec: What the data hold.
      l1: Weight of the mean absolute difference from the true image: 10 or 100 in the
        paper; SPADE has it, too.
      game: Whose adversarial loss: `lsgan`, or `vanilla`.
      generator: `pix2pix` or `spade`.
      ngf: Channels of the first level of pix2pix, and half of those of SPADE's first
        block.
      num_downs: Levels of pix2pix; 0 for as many as bring the image to one pixel, at
        most 7. The code has 6 at 128 px, the paper's count of parameters 7.
      dropout: Share of values zeroed in pix2pix, in training.
      z_dim: Size of the noise that SPADE starts from.
      image_kernel: Side of the last window of SPADE: 7 as in the code, or 3 as in the
        paper.
      running_average: Whether SPADE makes images with running statistics; if not,
        with the batch's own, as the code.
      leak: Slope of the generators' activations below 0; the code has 0.02.
      ndf: Channels of the discriminator's first convolution.
      extra_conv: Whether the discriminator has the fourth convolution of the code,
        whose parameters the paper counts, or only the three that the paper lists.
      noise: Standard deviation of the Gaussian noise on all that the discriminator
        sees, label map and image, at the first step.
      noise_decay: What share of it each step takes away: after t steps it is
        noise (1 - noise_decay)^t.
      kernel_init: How the networks' kernels start: `normal` (deviation 0.02),
        `xavier` (gain 0.02) or `he`.
    """

    game: str = "lsgan"
    generator: str = "pix2pix"
    ngf: int = 64
    num_downs: int = 0
    dropout: float = 0.3
    z_dim: int = 128
    image_kernel: int = 7
    running_average: bool = True
    leak: float = 0.2
    ndf: int = 32
    extra_conv: bool = True
    noise: float = 0.2
    noise_decay: float = 0.001
    kernel_init: str = "normal"

    def __post_init__(self):
        super().__post_init__()
        self._check("generator", ("pix2pix", "spade"))

    @functools.cached_property
    def networks(self):
        judge = PlatscherDiscriminator(self.ndf, self.extra_conv, self.kernel_init)
        return {"generator": self._generator(), "discriminator": judge}

    def judged(self, nets, pair):
        """The pair with what noise is left at this step."""
        deviation = self.noise * (1.0 - self.noise_decay) ** nets.step
        return pair + deviation * jax.random.normal(nets.rng("judged"), pair.shape)

    def _generator(self):
        size = self.spec.image_size
        shared = {
            "out_channels": len(self.spec.modalities),
            "leak": self.leak,
            "kernel_init": self.kernel_init,
        }
        if self.generator == "pix2pix":
            return PlatscherUNet(
                ngf=self.ngf,
                num_downs=self.num_downs or pix2pix_unet.levels(size, MOST_DOWNS),
                dropout=self.dropout,
                **shared,
            )
        return PlatscherSpadeGenerator(
            image_size=size,
            width=2 * self.ngf,
            z_dim=self.z_dim,
            image_kernel=self.image_kernel,
            running_average=self.running_average,
            **shared,
        )
