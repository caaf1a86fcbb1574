"""pix2pix: image-to-image translation with conditional adversarial networks.

Isola et al. 2017, https://arxiv.org/abs/1611.07004
"""

import dataclasses

from jaxsyn.systems import _pix2pix


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pix2Pix(_pix2pix.Pix2PixGan):
    """Makes images of one-hot label maps; the defaults are the paper's.

    Attributes:
      spec: What the data hold.
      l1: Weight of the mean absolute difference from the true image.
      game: Whose adversarial loss: `vanilla`, Goodfellow's, or `lsgan`.
      generator: `unet`, or `resnet`, CycleGAN's.
      ngf: Channels of the generator's first level.
      num_downs: Levels of the U-Net; 0 for as many as bring the image to one pixel,
        8 at 256 px, or as its side can be halved.
      blocks: Residual blocks of the other generator: 9, or 6 for images of 128 px.
      dropout: Share of values zeroed in the generator, in training; in the U-Net
        after the three innermost up-convolutions.
      test_noise: Whether images are made as in training, with dropout and with the
        batch's own statistics, as the paper does (section 3.3). An image then varies
        with the seed; `Generator` makes each in a batch of its own.
      ndf: Channels of the discriminator's first convolution.
      num_layers: Its convolutions of stride 2: 3 judge patches of 70 px.
      norm: `batch` or `instance`, in both networks.
      kernel_init: How the networks' kernels start: `normal` (deviation 0.02),
        `xavier` (gain 0.02) or `he`.
    """
