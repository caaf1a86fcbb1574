"""SEAN: image synthesis with a style for each region.

Zhu et al. 2020, https://arxiv.org/abs/1911.12861
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp

from jaxsyn.engine.system import Loss, Memory, System
from jaxsyn.errors import DataError
from jaxsyn.models.patch import MultiscaleDiscriminator
from jaxsyn.models.sean import SeanGenerator
from jaxsyn.models.sean_encoder import SeanEncoder
from jaxsyn.models.vgg import Vgg19
from jaxsyn.spec import DataSpec
from jaxsyn.systems import _conditional


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sean(System):
    """SEAN with SPADE's multiscale discriminator.

    In training the styles are those of the image itself. In generation each label has
    its mean style over the training images, unless `Generator.generate` is given a
    reference in `extra`: "style_image" [N, H, W, C] in [-1, 1], its label maps
    "style_label" int [N, H, W] or, without them, the label maps that images are made
    of. An image may be its own reference. Labels that the reference lacks have their
    mean styles; labels that no training image had, the style 0.

    Attributes:
      spec: What the data hold.
      ngf: Channels of the generator's last block.
      ndf: Channels of the discriminator's first convolution.
      encoder_ngf: Channels of the style encoder's first convolution.
      style_dim: Size of a style.
      style_layers: What adapts styles in each normalisation: a layer of each label's
        own, `per_label`, as published, or one that is `shared`, for many labels.
      style_decay: Share of the mean styles that a step keeps. Each label's is averaged
        over the images that have it, those of its latest step weighing 1, of the one
        before `style_decay`, and so on. 1 weighs all alike, though the encoder that
        encoded the first has long changed.
      norm: Of the generator, before each modulation: `batch` or `instance`.
      running_average: Whether images are made with batch norm's running statistics;
        if not, with the batch's own, as in training.
      kernel_init: How the networks' kernels start: `xavier` (gain 0.02), `normal`
        (deviation 0.02) or `he`.
      num_scales: Discriminators, each at half the scale of the one before.
      feature_matching: Weight of the distance between the discriminator's features
        of real and synthetic images.
      perceptual: Weight of the VGG19 distance; 0 leaves it out.
      vgg_weights: File of VGG19's weights, needed by that distance.
    """

    spec: DataSpec
    ngf: int = 64
    ndf: int = 64
    encoder_ngf: int = 32
    style_dim: int = 512
    style_layers: str = "per_label"
    style_decay: float = 0.999
    norm: str = "batch"
    running_average: bool = True
    kernel_init: str = "xavier"
    num_scales: int = 2
    feature_matching: float = 10.0
    perceptual: float = 0.0
    vgg_weights: str = ""

    @functools.cached_property
    def networks(self):
        generator = SeanGenerator(
            out_channels=len(self.spec.modalities),
            image_size=self.spec.image_size,
            ngf=self.ngf,
            norm=self.norm,
            running_average=self.running_average,
            style_layers=self.style_layers,
            kernel_init=self.kernel_init,
        )
        encoder = SeanEncoder(
            style_dim=self.style_dim,
            ngf=self.encoder_ngf,
            kernel_init=self.kernel_init,
        )
        discriminator = MultiscaleDiscriminator(
            ndf=self.ndf, num_scales=self.num_scales, kernel_init=self.kernel_init
        )
        return {
            "generator": generator,
            "encoder": encoder,
            "discriminator": discriminator,
        }

    @property
    def phases(self):
        return _conditional.phases(self, ("generator", "encoder"))

    def memory(self, batch):
        """The sum of each label's styles, and how many they were, both weighted."""
        labels = len(self.spec.labels)
        return {
            "style_sum": jnp.zeros((labels, self.style_dim)),
            "style_count": jnp.zeros((labels,)),
        }

    def generate(self, nets, batch):
        """Synthesises images in the mean styles, or in those of a reference."""
        style = mean_style(nets.memory)[None]
        if "style_image" in batch:
            own, present = nets("encoder", *self._reference(batch))
            style = jnp.where(present[..., None], own, style)
        one_hot = batch["one_hot"]
        style = jnp.broadcast_to(style, (len(one_hot), *style.shape[1:]))
        return nets("generator", one_hot, style)

    def discriminator_loss(self, nets, batch, memory):
        style, _ = nets("encoder", batch["image"], batch["one_hot"])
        fake = nets("generator", batch["one_hot"], style)
        return _conditional.discriminator_loss(
            nets, batch["one_hot"], fake, batch["image"]
        )

    def generator_loss(self, nets, batch, memory):
        style, present = nets("encoder", batch["image"], batch["one_hot"])
        fake = nets("generator", batch["one_hot"], style)
        terms = _conditional.generator_terms(
            nets,
            batch["one_hot"],
            fake,
            batch["image"],
            feature_matching=self.feature_matching,
        )
        if self.perceptual:
            distance = self._vgg.distance(fake, batch["image"])
            terms["perceptual"] = self.perceptual * distance
        return Loss(terms, remember(memory, style, present, self.style_decay))

    def _reference(self, batch):
        """The image that gives the styles, and its one-hot label map."""
        image, label = batch["style_image"], batch.get("style_label", batch["label"])
        size = (self.spec.image_size,) * 2
        expected = {
            "style_image": (*size, len(self.spec.modalities)),
            "style_label": size,
        }
        for name, array in (("style_image", image), ("style_label", label)):
            if array.shape[1:] != expected[name]:
                raise DataError(
                    f"{name} has the shape {array.shape[1:]}; expected"
                    f" {expected[name]}.",
                    hint="Prepare references as the training set was.",
                )
        return image, jax.nn.one_hot(label, len(self.spec.labels))

    @functools.cached_property
    def _vgg(self):
        return Vgg19.load(self.vgg_weights)


def remember(
    memory: Memory, style: jax.Array, present: jax.Array, decay: float
) -> Memory:
    """The memory of `Sean`, advanced by the styles of a batch.

    Args:
      memory: "style_sum" [L, S] and "style_count" [L].
      style: [B, L, S], 0 where a label is absent.
      present: Which labels there are, bool [B, L].
      decay: What the sums keep of a label that is in the batch; others keep all.
    """
    keep = jnp.where(present.any(0), decay, 1.0)
    return {
        "style_sum": keep[:, None] * memory["style_sum"] + style.sum(0),
        "style_count": keep * memory["style_count"] + present.sum(0),
    }


def mean_style(memory: Memory) -> jax.Array:
    """Each label's mean style [L, S]; 0 for a label that was never seen."""
    # A count is either 0 or at least 1.
    return memory["style_sum"] / jnp.maximum(memory["style_count"], 1.0)[:, None]
