"""A U-Net that segments: what judges synthetic images by how much it learns of them.

Ronneberger et al. 2015, https://arxiv.org/abs/1505.04597. The papers' variants are
options of two networks; configs/common.py has them by paper.
"""

from collections.abc import Sequence
import dataclasses
import functools
from typing import ClassVar

import jax
import jax.numpy as jnp

from jaxsyn import settings
from jaxsyn.engine.system import Loss, Phase, System
from jaxsyn.losses.segmentation import LOSSES
from jaxsyn.models.pix2pix_unet import Pix2PixUNet
from jaxsyn.models.unet import UNet
from jaxsyn.spec import DataSpec

NETWORKS = ("unet", "pix2pix")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Segmentation(System):
    """One network, one loss. Its classes are the labels that files have values for.

    Attributes:
      spec: What the data hold.
      network: `unet`, for slices or volumes, or `pix2pix`, paper 002's, for slices.
      widths: Of `UNet`, as are the next seven.
      bridge_convs: Convolutions in the bridge.
      up_kernel: Side of transposed convolutions.
      norms: `all` or `up`.
      transitions: Whether norm, ReLU and a strided convolution join levels.
      use_bias: Whether convolutions that a norm follows have biases.
      dropout: Share of activations zeroed.
      kernel_init: How kernels start.
      ngf: Channels of the first level of `pix2pix`.
      num_downs: Levels of `pix2pix`.
      loss: One of `losses.segmentation.LOSSES`.
      class_weights: A weight for each class in that loss; none: the loss's own.
    """

    axes: ClassVar[tuple[int, ...]] = (2, 3)

    spec: DataSpec
    network: str = "unet"
    widths: Sequence[int] = (64, 128, 256, 512, 1024)
    bridge_convs: int = 2
    up_kernel: int = 2
    norms: str = "all"
    transitions: bool = False
    use_bias: bool = False
    dropout: float = 0.0
    kernel_init: str = "he"
    ngf: int = 64
    num_downs: int = 5
    loss: str = "cross_entropy"
    class_weights: Sequence[float] = ()

    def __post_init__(self):
        for name, known in (
            ("network", NETWORKS),
            ("norms", ("all", "up")),
            ("loss", tuple(LOSSES)),
        ):
            value = getattr(self, name)
            if value not in known:
                where = f"config.system.{name}={value!r}"
                raise settings.unknown(where, value, list(known))

    @functools.cached_property
    def networks(self):
        classes = len(self.spec.classes)
        if self.network == "pix2pix":
            network = Pix2PixUNet(classes, self.ngf, self.num_downs, self.kernel_init)
            return {"segmenter": network}
        network = UNet(
            classes=classes,
            widths=self.widths,
            bridge_convs=self.bridge_convs,
            up_kernel=self.up_kernel,
            norms=self.norms,
            transitions=self.transitions,
            use_bias=self.use_bias,
            dropout=self.dropout,
            kernel_init=self.kernel_init,
        )
        return {"segmenter": network}

    @property
    def phases(self):
        return (Phase("segmenter", ("segmenter",), self.segmentation_loss),)

    def generate(self, nets, batch):
        """Probabilities of the classes, [B, *size, K], of `batch["image"]`."""
        return jax.nn.softmax(nets("segmenter", batch["image"]), axis=-1)

    def segmentation_loss(self, nets, batch, memory):
        """The loss of the logits against the label map."""
        classes = jnp.asarray(self.spec.class_of_label)[batch["label"]]
        target = jax.nn.one_hot(classes, len(self.spec.classes))
        weights = jnp.asarray(self.class_weights) if self.class_weights else None
        logits = nets("segmenter", batch["image"])
        loss = LOSSES[self.loss](logits, target, class_weights=weights)
        return Loss({self.loss: loss})
