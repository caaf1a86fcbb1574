"""CycleGAN: label maps to images and back, without a loss that compares pairs.

Zhu et al. 2017, https://arxiv.org/abs/1703.10593
"""

import dataclasses
import functools
import logging

from jax import lax

from jaxsyn.engine.system import Loss, Phase, System
from jaxsyn.losses.adversarial import lsgan
from jaxsyn.losses.reconstruction import l1
from jaxsyn.models.patchgan import PatchGan
from jaxsyn.models.resnet import ResnetGenerator
from jaxsyn.spec import DataSpec
from jaxsyn.systems import _pool

_LOG = logging.getLogger(__name__)

# What is made, and by which network of what.
GENERATORS = {"image": "labels_to_image", "labels": "image_to_labels"}
SOURCES = {"image": "labels", "labels": "image"}
CRITICS = {"image": "critic_image", "labels": "critic_labels"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class CycleGan(System):
    """Two generators, one a way, and a critic of what each makes.

    A label map is an image with one channel a label, -1 or 1. Images and label maps of
    a batch belong together, but each loss is a mean over the ones and a mean over the
    others: in whatever order they come, it is the same.

    Attributes:
      spec: What the data hold.
      ngf: Channels of the generators at full size.
      ndf: Channels of the critics' first convolutions.
      downs: How often the generators halve their input.
      blocks: Their residual blocks: 9, as published for images from 256 px on, or 6.
      critic_layers: Convolutions of stride 2 in the critics.
      kernel_init: How the networks' kernels start: `normal` (deviation 0.02),
        `xavier` (gain 0.02) or `he`.
      cycle: Weight of the distance between what went there and back, and what it
        was; of both ways.
      identity: Weight, as a share of `cycle`, of what a generator changes in that
        which it should make anyway. It needs as many labels as modalities; if they
        differ, as is said in the log, it is off.
      pool_size: Past fakes of each kind, among which the critics' are drawn; 0 shows
        them the newest.
    """

    spec: DataSpec
    ngf: int = 64
    ndf: int = 64
    downs: int = 2
    blocks: int = 9
    critic_layers: int = 3
    kernel_init: str = "normal"
    cycle: float = 10.0
    identity: float = 0.5
    pool_size: int = 50

    @functools.cached_property
    def networks(self):
        channels = {
            "image": len(self.spec.modalities),
            "labels": len(self.spec.labels),
        }
        generators = {
            name: ResnetGenerator(
                channels[kind],
                ngf=self.ngf,
                downs=self.downs,
                blocks=self.blocks,
                kernel_init=self.kernel_init,
            )
            for kind, name in GENERATORS.items()
        }
        critic = PatchGan(
            ndf=self.ndf,
            num_layers=self.critic_layers,
            norm="instance",
            kernel_init=self.kernel_init,
        )
        return {**generators, **dict.fromkeys(CRITICS.values(), critic)}

    @property
    def phases(self):
        # From one stream, so that the fakes of both are computed once.
        return (
            Phase("critics", tuple(CRITICS.values()), self.critics_loss, noise="step"),
            Phase(
                "generators",
                tuple(GENERATORS.values()),
                self.generators_loss,
                noise="step",
            ),
        )

    def memory(self, batch):
        """A pool of each kind of fakes."""
        return {
            f"{kind}_pool": _pool.empty(self.pool_size, real.shape[1:])
            for kind, real in _real(batch).items()
        }

    def generate(self, nets, batch):
        """Synthesises images; the way back is for training alone."""
        return nets("labels_to_image", _signed(batch["one_hot"]))

    def critics_loss(self, nets, batch, memory):
        real, terms, pools = _real(batch), {}, {}
        for kind, fake in _fakes(nets, real).items():
            pool, critic = f"{kind}_pool", CRITICS[kind]
            fake = lax.stop_gradient(fake)
            fake, pools[pool] = _pool.exchange(memory[pool], fake, nets.rng("pool"))
            terms[f"{kind}_fake"] = 0.5 * lsgan.fake(nets(critic, fake)[-1])
            terms[f"{kind}_real"] = 0.5 * lsgan.real(nets(critic, real[kind])[-1])
        return Loss(terms, memory=pools)

    def generators_loss(self, nets, batch, memory):
        real, terms = _real(batch), {}
        for kind, fake in _fakes(nets, real).items():
            source = SOURCES[kind]
            terms[f"{kind}_adversarial"] = lsgan.generator(
                nets(CRITICS[kind], fake)[-1]
            )
            back = nets(GENERATORS[source], fake)
            terms[f"{source}_cycle"] = self.cycle * l1(back, real[source])
            if self._identity:
                same = nets(GENERATORS[kind], real[kind])
                terms[f"{kind}_identity"] = self._identity * l1(same, real[kind])
        return Loss(terms)

    @functools.cached_property
    def _identity(self):
        """The weight of the identity losses, which the channels may forbid."""
        labels, modalities = len(self.spec.labels), len(self.spec.modalities)
        if self.identity and labels != modalities:
            _LOG.info(
                "CycleGAN's identity loss is off: images have %d channels, label maps"
                " %d.",
                modalities,
                labels,
            )
            return 0.0
        return self.cycle * self.identity


def _signed(one_hot):
    return 2.0 * one_hot - 1.0


def _real(batch):
    """What the batch has of each kind."""
    return {"image": batch["image"], "labels": _signed(batch["one_hot"])}


def _fakes(nets, real):
    """Each kind, made of the other."""
    return {k: nets(name, real[SOURCES[k]]) for k, name in GENERATORS.items()}
