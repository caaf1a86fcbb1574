"""CycleGAN: label maps to images and back, with pools of past fakes.

Zhu et al. 2017, https://arxiv.org/abs/1703.10593, written anew. There is no identity
loss, since label maps and images differ in channels.
"""

import random

import torch
import torch.nn.functional as F

from benchmarks.peers import torch_losses
from benchmarks.peers.torch_discriminators import PatchGan
from benchmarks.peers.torch_resnet import ResnetGenerator
from benchmarks.peers.torch_training import Training

GAME = torch_losses.LSGAN
GENERATORS = {"image": "labels_to_image", "labels": "image_to_labels"}
OTHER = {"image": "labels", "labels": "image"}


class Pool:
    """Past fakes, one of which may be given for each that is handed in."""

    def __init__(self, size):
        self.size, self.images = size, []

    def exchange(self, images):
        """Hands images in and as many out."""
        return torch.stack([self._one(image) for image in images])

    def _one(self, image):
        if len(self.images) < self.size:
            self.images.append(image.clone())
        elif self.size and random.random() < 0.5:
            place = random.randrange(self.size)
            image, self.images[place] = self.images[place], image.clone()
        return image


class Peer(Training):
    """Two generators and two critics, each pair updated together."""

    critics = ("critic_image", "critic_labels")
    generators = tuple(GENERATORS.values())

    def build(self):
        options = self.options
        self.real = {"image": self.batch.image, "labels": 2 * self.batch.one_hot - 1}
        self.pools = {kind: Pool(options.pool_size) for kind in GENERATORS}
        networks = {
            name: ResnetGenerator(
                *(self.real[OTHER[kind]].shape[1], self.real[kind].shape[1]),
                *(options.ngf, options.downs, options.blocks),
            )
            for kind, name in GENERATORS.items()
        }
        for kind, real in self.real.items():
            networks[f"critic_{kind}"] = PatchGan(
                real.shape[1], options.ndf, options.critic_layers, "instance"
            )
        return networks

    def fake(self):
        return {
            kind: self.net(name, self.real[OTHER[kind]])
            for kind, name in GENERATORS.items()
        }

    def critic_loss(self, fake):
        loss = 0.0
        for kind, made in fake.items():
            given = self.pools[kind].exchange(made)
            logits = [self._logits(kind, each) for each in (given, self.real[kind])]
            loss = loss + torch_losses.critic(GAME, *([each] for each in logits))
        return 0.5 * loss

    def generator_loss(self, fake):
        loss = 0.0
        for kind, made in fake.items():
            won = torch_losses.mean(GAME.generator, [self._logits(kind, made)])
            source = OTHER[kind]
            back = self.net(GENERATORS[source], made)
            cycle = F.l1_loss(back, self.real[source])
            loss = loss + won + self.options.cycle * cycle
        return loss

    def _logits(self, kind, images):
        return self.net(f"critic_{kind}", images)[-1]
