"""StyleGAN2 of label maps, of images with their label maps, or of images; of noise.

Karras et al. 2020, https://arxiv.org/abs/1912.04958. Paper 003 (Vu et al. 2025) calls
the first M-SG and the second B-SG; the discriminator's adaptive augmentation is from
https://arxiv.org/abs/2006.06676.
"""

import dataclasses
import functools

import jax.numpy as jnp

from jaxsyn import settings
from jaxsyn.data.codec import MaskCodec
from jaxsyn.systems._stylegan2 import StyleGan

MAKES = ("masks", "pairs", "images")


@dataclasses.dataclass(frozen=True, kw_only=True)
class StyleGan2(StyleGan):
    """StyleGAN2 without a condition; its other options are `StyleGan`'s.

    Its output is a network's last sum, with no tanh: image channels are clipped to
    [-1, 1] at generation, and those of label maps are decoded to the nearest label.

    Attributes:
      makes: What it makes: `masks`, `pairs`, images and label maps that belong
        together, or `images`.
      codec: How label maps are images: `index`, one channel, or `one_hot`, one a label.
    """

    makes: str = "masks"
    codec: str = "index"

    def __post_init__(self):
        if self.makes not in MAKES:
            where = f"config.system.makes={self.makes!r}"
            raise settings.unknown(where, self.makes, list(MAKES))
        MaskCodec.of_spec(self.spec, self.codec)

    @property
    def makes_labels(self):
        return self.makes != "images"

    @property
    def makes_images(self):
        return self.makes != "masks"

    @property
    def image_channels(self):
        return 0 if self.makes == "masks" else len(self.spec.modalities)

    @property
    def mask_channels(self):
        return 0 if self.makes == "images" else self._codec.channels

    def _real(self, batch):
        if self.makes == "images":
            return batch["image"]
        mask = self._codec.encode(batch["label"])
        if self.makes == "masks":
            return mask
        return jnp.concatenate([batch["image"], mask], axis=-1)

    def decode(self, made):
        """The images and the label maps, of those two what it makes."""
        image, mask = jnp.split(made, [self.image_channels], axis=-1)
        decoded = {"image": image} if self.image_channels else {}
        if self.mask_channels:
            decoded["label"] = self._codec.decode(mask)
        return decoded

    @functools.cached_property
    def _codec(self):
        return MaskCodec.of_spec(self.spec, self.codec)
