"""The peers' discriminators; all return features of each layer, the logits last."""

from torch import nn
import torch.nn.functional as F

from benchmarks.peers.torch_layers import Normed, SpectralConv

WIDEST = 512


class Patches(nn.Module):
    """Layers `conv_0`, those named in `inner`, and `judge`, which judges patches."""

    def forward(self, x):
        features = [F.leaky_relu(self.conv_0(x), 0.2)]
        for name in self.inner:
            h = self.inner_layer(name, features[-1])
            features.append(F.leaky_relu(h, 0.2))
        return [*features, self.judge(features[-1])]

    def inner_layer(self, name, x):
        return getattr(self, name)(x)


class PatchDiscriminator(Patches):
    """SPADE's; or pix2pixHD's, with biases in place of spectral norms."""

    def __init__(self, channels, ndf, *, spectral, num_layers=4):
        super().__init__()
        self.conv_0 = nn.Conv2d(channels, ndf, 4, stride=2, padding=2)
        self.inner, fin = [], ndf
        for i in range(1, num_layers):
            fout, stride = min(ndf * 2**i, WIDEST), 1 if i == num_layers - 1 else 2
            conv = SpectralConv if spectral else nn.Conv2d
            self.inner.append(f"conv_{i}")
            made = conv(fin, fout, 4, stride=stride, padding=2, bias=not spectral)
            self.add_module(f"conv_{i}", made)
            fin = fout
        self.judge = nn.Conv2d(fin, 1, 4, padding=2)

    def inner_layer(self, name, x):
        return F.instance_norm(getattr(self, name)(x))


class Multiscale(nn.Module):
    """The same network at full, half and so on of the resolution."""

    def __init__(self, channels, ndf, num_scales, *, spectral):
        super().__init__()
        for i in range(num_scales):
            scale = PatchDiscriminator(channels, ndf, spectral=spectral)
            self.add_module(f"scale_{i}", scale)

    def forward(self, x):
        outputs = []
        for i, scale in enumerate(self.children()):
            x = halved(x) if i else x
            outputs.append(scale(x))
        return outputs


class PatchGan(Patches):
    """pix2pix's, of patches of 70 px, and with instance norm CycleGAN's."""

    def __init__(self, channels, ndf, num_layers=3, norm="batch"):
        super().__init__()
        self.conv_0 = nn.Conv2d(channels, ndf, 4, stride=2, padding=1)
        self.inner, fin = [], ndf
        for i in range(1, num_layers + 1):
            fout, stride = ndf * min(2**i, 8), 2 if i < num_layers else 1
            self.inner.append(f"conv_{i}")
            made = Normed(nn.Conv2d, norm, fin, fout, 4, stride=stride, padding=1)
            self.add_module(f"conv_{i}", made)
            fin = fout
        self.judge = nn.Conv2d(fin, 1, 4, padding=1)


def halved(x):
    """3x3 means at stride 2."""
    return F.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False)
