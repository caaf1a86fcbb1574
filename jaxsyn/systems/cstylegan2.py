"""C-SG: StyleGAN2 of images, conditioned on their label maps.

Paper 003 (Vu et al. 2025), of Karras et al. 2020, https://arxiv.org/abs/1912.04958
"""

import dataclasses

import jax.numpy as jnp

from jaxsyn import settings
from jaxsyn.data.codec import KINDS, MaskCodec
from jaxsyn.losses import penalties
from jaxsyn.systems._stylegan2 import StyleGan


@dataclasses.dataclass(frozen=True, kw_only=True)
class CStyleGan2(StyleGan):
    """StyleGAN2 conditioned on label maps; its other options are `StyleGan`'s.

    The map goes beside the output of every modulated convolution, and in the
    discriminator beside the image and the input of every residual block. The network
    has no tanh: images are clipped to [-1, 1] at generation. With adaptive
    augmentation the discriminator sees image and map moved alike.

    Attributes:
      condition: How it is given the map: `one_hot`, a channel a label, or
        `index`, one channel with levels in [-1, 1].
      r1_condition: Whether the discriminator's gradient with respect to the map is
        penalised, too.
    """

    condition: str = "one_hot"
    r1_condition: bool = False

    def __post_init__(self):
        if self.condition not in KINDS:
            where = f"config.system.condition={self.condition!r}"
            raise settings.unknown(where, self.condition, list(KINDS))

    @property
    def image_channels(self):
        return len(self.spec.modalities)

    def _real(self, batch):
        return batch["image"]

    def _condition(self, batch):
        """The label map, [B, H, W, K]."""
        if self.condition == "one_hot":
            return batch["one_hot"]
        return MaskCodec.of_spec(self.spec).encode(batch["label"])

    def _r1(self, critic, real, condition):
        if not self.r1_condition:
            return super()._r1(critic, real, condition)
        pair = jnp.concatenate([real, condition], axis=-1)
        sections = [self.image_channels]
        return penalties.r1(lambda x: critic(*jnp.split(x, sections, axis=-1)), pair)
