"""pix2pixHD: the residual generator alone, and multiscale discriminators.

Wang et al. 2018, https://arxiv.org/abs/1711.11585, written anew.
"""

from benchmarks.peers import torch_losses
from benchmarks.peers.torch_discriminators import Multiscale
from benchmarks.peers.torch_resnet import ResnetGenerator
from benchmarks.peers.torch_training import Conditional


class Peer(Conditional):
    """The global generator, of label maps alone."""

    game = torch_losses.LSGAN
    sums_scales = True

    def build(self):
        labels, channels = self.batch.one_hot.shape[1], self.batch.image.shape[1]
        options = self.options
        generator = ResnetGenerator(
            *(labels, channels, options.ngf, options.downs, options.blocks),
            options.norm,
        )
        discriminator = Multiscale(
            labels + channels, options.ndf, options.num_scales, spectral=False
        )
        return {"generator": generator, "discriminator": discriminator}

    def fake(self):
        return self.net("generator", self.batch.one_hot)
