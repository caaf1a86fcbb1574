"""pix2pixHD: label maps to images, from a coarse network to a fine one.

Wang et al. 2018, https://arxiv.org/abs/1711.11585
"""

import dataclasses
import functools

import jax.numpy as jnp

from jaxsyn.engine.system import Loss, Phase, System
from jaxsyn.errors import UsageError
from jaxsyn.losses.adversarial import lsgan
from jaxsyn.models.patch import MultiscaleDiscriminator
from jaxsyn.models.resnet import ResnetGenerator
from jaxsyn.nn import resample
from jaxsyn.spec import DataSpec
from jaxsyn.systems import _conditional


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pix2PixHd(System):
    """The residual generator, alone or within a local enhancer.

    Of the paper's losses the perceptual one, of a network that has learned
    photographs, is left out, and of its inputs the encoded features of instances.

    Attributes:
      spec: What the data hold.
      ngf: Channels of the global generator's first convolution; the enhancer's has
        half as many.
      ndf: Channels of the discriminators' first convolutions.
      downs: How often the global generator halves its input.
      blocks: Its residual blocks.
      norm: Of the generators: `instance` or `batch`.
      kernel_init: How the networks' kernels start: `normal` (deviation 0.02),
        `xavier` (gain 0.02) or `he`.
      boundary: Whether the label map's contours are an input too, as the paper's
        instance boundaries are.
      enhancer: Whether the global generator works at half the size, and a second
        one, of one halving, around it at full size.
      enhancer_blocks: Residual blocks of the second.
      global_steps: Steps in which the global generator is trained alone, on images
        of half the size; the discriminators then go on. Images made before their end
        are those of an untrained enhancer.
      enhancer_warmup: Steps after those in which it is held fixed. A network's
        learning rate decays by its own updates, not by the steps it is left out of.
      num_scales: Discriminators, each at half the scale of the one before: 2 in the
        published code, 3 in the paper.
      feature_matching: Weight of the distance between the discriminators' features
        of real and synthetic images.
    """

    spec: DataSpec
    ngf: int = 64
    ndf: int = 64
    downs: int = 4
    blocks: int = 9
    norm: str = "instance"
    kernel_init: str = "normal"
    boundary: bool = False
    enhancer: bool = False
    enhancer_blocks: int = 3
    global_steps: int = 0
    enhancer_warmup: int = 0
    num_scales: int = 2
    feature_matching: float = 10.0

    def __post_init__(self):
        if (self.global_steps or self.enhancer_warmup) and not self.enhancer:
            raise UsageError(
                f"global_steps={self.global_steps} and enhancer_warmup="
                f"{self.enhancer_warmup}, but there is no enhancer.",
                hint="Set config.system.enhancer=True, or both to 0.",
            )

    @functools.cached_property
    def networks(self):
        generator = functools.partial(
            ResnetGenerator,
            len(self.spec.modalities),
            norm=self.norm,
            kernel_init=self.kernel_init,
        )
        coarse = generator(self.ngf, self.downs, self.blocks)
        if self.enhancer:
            fine = generator(self.ngf // 2, 1, self.enhancer_blocks)
            generators = {"global": coarse, "enhancer": fine}
        else:
            generators = {"generator": coarse}
        discriminator = MultiscaleDiscriminator(
            num_scales=self.num_scales,
            ndf=self.ndf,
            spectral=False,
            inner_bias=True,
            kernel_init=self.kernel_init,
        )
        return {**generators, "discriminator": discriminator}

    @property
    def phases(self):
        if not self.enhancer:
            return _conditional.phases(self)
        begin, joint = self.global_steps, self.global_steps + self.enhancer_warmup
        discriminator = functools.partial(self.discriminator_loss, half=True)
        generator = functools.partial(self.generator_loss, half=True)
        judge, both = ("discriminator",), ("global", "enhancer")
        phase = functools.partial(Phase, noise="step")
        phases = (
            phase("global_discriminator", judge, discriminator, stop=begin),
            phase("global", ("global",), generator, stop=begin),
            phase("discriminator", judge, self.discriminator_loss, start=begin),
            phase(
                "enhancer", ("enhancer",), self.generator_loss, start=begin, stop=joint
            ),
            phase("generator", both, self.generator_loss, start=joint),
        )
        return tuple(p for p in phases if p.stop is None or p.start < p.stop)

    def generate(self, nets, batch):
        """Synthesises images; with an enhancer, by both networks from the start."""
        return self._synthesise(nets, self._condition(batch))

    def discriminator_loss(self, nets, batch, memory, *, half=False):
        made = self._made(nets, batch, half)
        # The paper adds up the scales, of which `lsgan` takes the mean, and its code
        # halves the discriminator's loss.
        weight = 0.5 * self.num_scales
        return _conditional.discriminator_loss(nets, *made, game=lsgan, weight=weight)

    def generator_loss(self, nets, batch, memory, *, half=False):
        terms = _conditional.generator_terms(
            nets,
            *self._made(nets, batch, half),
            feature_matching=self.feature_matching,
            game=lsgan,
        )
        return Loss({**terms, "adversarial": self.num_scales * terms["adversarial"]})

    def _made(self, nets, batch, half):
        """What images are made of, synthetic and real ones; of half the size or all."""
        condition, real = self._condition(batch), batch["image"]
        if not half:
            return condition, self._synthesise(nets, condition), real
        condition, real = map(resample.average_pool, (condition, real))
        return condition, nets("global", condition), real

    def _condition(self, batch):
        if not self.boundary:
            return batch["one_hot"]
        return jnp.concatenate([batch["one_hot"], batch["boundary"]], axis=-1)

    def _synthesise(self, nets, condition):
        if not self.enhancer:
            return nets("generator", condition)
        coarse = nets("global", resample.average_pool(condition), features=True)
        return nets("enhancer", condition, coarse)
