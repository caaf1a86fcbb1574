"""C-SG: StyleGAN2 of images, with the label map beside features in both networks."""

from benchmarks.peers import torch_stylegan2


class Peer(torch_stylegan2.Peer):
    """Conditioned on one-hot label maps."""

    def real(self):
        return self.batch.image

    def condition(self):
        return self.batch.one_hot
