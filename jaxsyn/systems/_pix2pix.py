"""What pix2pix and its descendants share: every label map has its one true image.

Isola et al. 2017, https://arxiv.org/abs/1611.07004
"""

import dataclasses
import functools

from jax import lax
import jax.numpy as jnp

from jaxsyn import settings
from jaxsyn.engine.system import Loss, System
from jaxsyn.losses import adversarial, reconstruction
from jaxsyn.models import pix2pix_unet
from jaxsyn.models.patchgan import PatchGan
from jaxsyn.models.pix2pix_unet import Pix2PixUNet
from jaxsyn.models.resnet import ResnetGenerator
from jaxsyn.spec import DataSpec
from jaxsyn.systems import _conditional

GAMES = {"vanilla": adversarial.vanilla, "lsgan": adversarial.lsgan}
SLOWER = 0.5  # Weight of the discriminator's loss, in the paper and since.


@dataclasses.dataclass(frozen=True, kw_only=True)
class PairedGan(System):
    """A conditional GAN whose generator is held to the true image, too (equation 4).

    Attributes:
      spec: What the data hold.
      l1: Weight of the mean absolute difference from the true image.
      game: Whose adversarial loss: `vanilla`, Goodfellow's, or `lsgan`.
    """

    spec: DataSpec
    l1: float = 100.0
    game: str = "vanilla"

    def __post_init__(self):
        self._check("game", GAMES)

    @property
    def phases(self):
        return _conditional.phases(self)

    def condition(self, batch):
        """What images are made of, [B, H, W, L]."""
        return batch["one_hot"]

    def judged(self, nets, pair):
        """What of condition and image, [B, H, W, L + C], is judged."""
        del nets
        return pair

    def generate(self, nets, batch):
        """Synthesises images."""
        return nets("generator", self.condition(batch))

    def discriminator_loss(self, nets, batch, memory):
        fake = lax.stop_gradient(self.generate(nets, batch))
        game = GAMES[self.game]
        # Two passes: batch norms must not tell a synthetic image by its company.
        return Loss(
            {
                "fake": SLOWER * game.fake(self._logits(nets, batch, fake)),
                "real": SLOWER * game.real(self._logits(nets, batch, batch["image"])),
            }
        )

    def generator_loss(self, nets, batch, memory):
        fake = self.generate(nets, batch)
        logits = self._logits(nets, batch, fake)
        distance = reconstruction.l1(fake, batch["image"])
        return Loss(
            {
                "adversarial": GAMES[self.game].generator(logits),
                "l1": self.l1 * distance,
            }
        )

    def _logits(self, nets, batch, image):
        pair = jnp.concatenate([self.condition(batch), image], axis=-1)
        return nets("discriminator", self.judged(nets, pair))[-1]

    def _check(self, option, known):
        value = getattr(self, option)
        if value not in known:
            where = f"config.system.{option}={value!r}"
            raise settings.unknown(where, value, sorted(known))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pix2PixGan(PairedGan):
    """pix2pix's networks, whatever its images are made of.

    What the options mean is said in `Pix2Pix`, which has no others.
    """

    generator: str = "unet"
    ngf: int = 64
    num_downs: int = 0
    blocks: int = 9
    dropout: float = 0.5
    test_noise: bool = False
    ndf: int = 64
    num_layers: int = 3
    norm: str = "batch"
    kernel_init: str = "normal"

    def __post_init__(self):
        super().__post_init__()
        self._check("generator", ("unet", "resnet"))
        self._check("norm", ("batch", "instance"))

    @functools.cached_property
    def networks(self):
        shared = {"norm": self.norm, "kernel_init": self.kernel_init}
        generator = {
            "out_channels": len(self.spec.modalities),
            "ngf": self.ngf,
            "dropout": self.dropout,
            **shared,
        }
        if self.generator == "unet":
            downs = self.num_downs or pix2pix_unet.levels(self.spec.image_size)
            made = Pix2PixUNet(num_downs=downs, bounded=True, **generator)
        else:
            made = ResnetGenerator(blocks=self.blocks, **generator)
        judge = PatchGan(ndf=self.ndf, num_layers=self.num_layers, **shared)
        return {"generator": made, "discriminator": judge}

    def generate(self, nets, batch):
        train = nets.train or self.test_noise
        return nets("generator", self.condition(batch), train=train)
