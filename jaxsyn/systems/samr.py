"""SAMR: synthesis of anatomic and molecular MR images, with an atlas.

Guo et al. 2020, https://arxiv.org/abs/2006.14761
"""

from collections.abc import Sequence
import copy
import dataclasses
import functools

import jax
from jax import lax
import jax.numpy as jnp
import numpy as np

from jaxsyn import settings
from jaxsyn.data import atlas as atlas_lib
from jaxsyn.engine.system import Loss, Phase, System
from jaxsyn.errors import UsageError
from jaxsyn.losses import adversarial, reconstruction, segmentation
from jaxsyn.models.patch import PatchDiscriminator
from jaxsyn.models.pix2pix_unet import Pix2PixUNet
from jaxsyn.models.samr import SamrGenerator
from jaxsyn.nn import resample
from jaxsyn.spec import DataSpec

BACKGROUND, BRAIN, LESION = "background", "brain", "lesion"
SCALES = {"full": lambda x: x, "half": resample.average_pool}
GAMES = {"vanilla": adversarial.vanilla, "lsgan": adversarial.lsgan}
FEATURE_DISTANCES = {
    "squared": lambda fake, real: jnp.mean(jnp.square(fake - real)),
    "l1": reconstruction.l1,
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Samr(System):
    """SAMR, whose generator is shown an atlas beside the label map.

    The atlas has an image for each of some heights. Shown is the one nearest to a
    slice's own height, between the one below and the one above. At generation heights
    may be given as "position" [N], 0 for the lowest slice of a case and 1 for the
    highest; where they are not, the height is taken at which brains are most like that
    of the label map. Atlas and brains are means over the training slices; without a
    call of `fitted` they are the first batch's, the same at all heights.

    Attributes:
      spec: What the data hold.
      ngf: Channels of the generator at full size; they double with each halving
      widest: up to this many.
      downs: How often the generator halves the size.
      blocks: Its residual blocks.
      norm: Its norm: `instance`, as in the published code, or `batch`, as printed.
      kernel_init: How the networks' kernels start: `xavier` (gain 0.02), `normal`
        (deviation 0.02) or `he`.
      stretch_out: Whether each modality has a decoder of its own (Table 2, Exp. 4).
      atlas: Whether there is an atlas (Exp. 4).
      atlas_bins: How many heights it has.
      atlas_file: Where it is read from instead; see `data.atlas.of_file`.
      label_wise: Whether background, brain and lesion have discriminators of their
        own (Exp. 4). Each is two, at full and at half scale.
      lesion: Names of the labels that are lesion, none for all that source files have
        a value for; what is neither lesion nor background, index 0, is brain.
      atlas_to_discriminator: Whether the discriminators see the atlas, as in the
        published code.
      ndf: Channels of the discriminators' first convolutions.
      game: Adversarial loss: `vanilla`, as printed, or `lsgan`, as in the code.
      feature_matching: Weight of the distance between the discriminators' features of
        real and synthetic images.
      feature_distance: That distance: `squared`, as printed, or `l1`, as in the code.
      consistency: Weight of the generalised Dice losses of a segmenter on real and
        synthetic images; 0 for no segmenter (Exp. 4).
      update_u_on_fake: Whether the segmenter learns from synthetic images, too; the
        generator is judged by it in any case.
      segmenter_ngf: Channels of its first level.
      segmenter_downs: Its levels.
    """

    spec: DataSpec
    ngf: int = 64
    widest: int = 256
    downs: int = 5
    blocks: int = 9
    norm: str = "instance"
    kernel_init: str = "normal"
    stretch_out: bool = True
    atlas: bool = True
    atlas_bins: int = 15
    atlas_file: str = ""
    label_wise: bool = True
    lesion: Sequence[str] = ()
    atlas_to_discriminator: bool = False
    ndf: int = 64
    game: str = "vanilla"
    feature_matching: float = 5.0
    feature_distance: str = "squared"
    consistency: float = 1.0
    update_u_on_fake: bool = False
    segmenter_ngf: int = 64
    segmenter_downs: int = 5
    _fitted: dict | None = dataclasses.field(
        default=None, init=False, repr=False, compare=False
    )

    def __post_init__(self):
        if self.label_wise and len(self._lesion) > len(self.spec.labels) - 2:
            raise UsageError(
                f"All of the labels {', '.join(self.spec.label_names[1:])} are lesion;"
                " the brain around it has none.",
                hint="Name those that are: config.system.lesion. Or leave one"
                " discriminator: config.system.label_wise=False.",
            )
        for key, known in (("game", GAMES), ("feature_distance", FEATURE_DISTANCES)):
            value = getattr(self, key)
            if value not in known:
                what = f"config.system.{key}={value!r}"
                raise settings.unknown(what, value, sorted(known))

    @functools.cached_property
    def networks(self):
        networks = {
            "generator": SamrGenerator(
                out_channels=len(self.spec.modalities),
                ngf=self.ngf,
                widest=self.widest,
                downs=self.downs,
                blocks=self.blocks,
                stretch_out=self.stretch_out,
                norm=self.norm,
                kernel_init=self.kernel_init,
            )
        }
        if self.consistency:
            networks["segmenter"] = Pix2PixUNet(
                len(self.spec.labels),
                self.segmenter_ngf,
                self.segmenter_downs,
                self.kernel_init,
            )
        discriminator = PatchDiscriminator(  # pix2pixHD's.
            self.ndf, spectral=False, inner_bias=True, kernel_init=self.kernel_init
        )
        return networks | dict.fromkeys(self._discriminators, discriminator)

    @property
    def phases(self):
        # All see one and the same fake.
        phase = functools.partial(Phase, noise="step")
        segmenter = phase("segmenter", ("segmenter",), self.segmenter_loss)
        return (
            phase("discriminator", self._discriminators, self.discriminator_loss),
            *([segmenter] if self.consistency else []),
            phase("generator", ("generator",), self.generator_loss),
        )

    def fitted(self, slices):
        """Takes the atlas from the training slices, or reads its file.

        Raises:
          DataError: The file is not an atlas of such data.
        """
        if not self.atlas:
            return self
        if self.atlas_file:
            atlas = atlas_lib.of_file(self.atlas_file, self.spec, self.atlas_bins)
        else:
            atlas = atlas_lib.of_slices(slices, self.atlas_bins)
        inside = (label != 0 for label in slices.label)
        brain = atlas_lib.mean_by_height(inside, slices.position, self.atlas_bins)
        system = copy.copy(self)
        object.__setattr__(system, "_fitted", {"atlas": atlas, "brain": brain})
        return system

    def memory(self, batch):
        """The atlas [K, H, W, C] in [-1, 1], and the share of brains at each pixel."""
        if not self.atlas:
            return {}
        if self._fitted:
            return jax.tree.map(jnp.asarray, self._fitted)
        mean = {"atlas": batch["image"].mean(0), "brain": self._inside(batch).mean(0)}
        return {
            name: jnp.broadcast_to(one, (self.atlas_bins, *one.shape))
            for name, one in mean.items()
        }

    def generate(self, nets, batch):
        """Synthesises images; `batch` may hold "position", see above."""
        return self._synthesise(nets, batch, nets.memory)

    def discriminator_loss(self, nets, batch, memory):
        """What the discriminators lose, all together."""
        game, count = GAMES[self.game], len(self._discriminators)
        fake = lax.stop_gradient(self._synthesise(nets, batch, memory))
        terms = {}
        for name, lose, image in (
            ("fake", game.fake, fake),
            ("real", game.real, batch["image"]),
        ):
            features = self._features(nets, batch, memory, image)
            terms[name] = count * lose([layers[-1] for layers in features])
        return Loss(terms)

    def segmenter_loss(self, nets, batch, memory):
        """Equation 4 as far as the segmenter learns from it."""
        terms = {"real": self._inconsistency(nets, batch, batch["image"])}
        if self.update_u_on_fake:
            fake = lax.stop_gradient(self._synthesise(nets, batch, memory))
            terms["fake"] = self._inconsistency(nets, batch, fake)
        return Loss(terms)

    def generator_loss(self, nets, batch, memory):
        """Equation 5 as far as the generator learns from it."""
        fake = self._synthesise(nets, batch, memory)
        features = self._features(nets, batch, memory, fake)
        won = GAMES[self.game].generator([layers[-1] for layers in features])
        terms = {"adversarial": len(features) * won}
        if self.feature_matching:
            real = self._features(nets, batch, memory, batch["image"])
            distance = self._feature_distance(features, real)
            terms["features"] = self.feature_matching * distance
        if self.consistency:
            terms["consistency"] = self._inconsistency(nets, batch, fake)
        return Loss(terms)

    def regions(self, batch):
        """What each pair of discriminators sees: masks [B, H, W, 1] by name."""
        if not self.label_wise:
            return {"whole": jnp.ones_like(batch["boundary"])}
        lesion = batch["one_hot"][..., self._lesion].sum(-1, keepdims=True)
        inside = self._inside(batch)[..., None]
        return {BACKGROUND: 1.0 - inside, BRAIN: inside - lesion, LESION: lesion}

    def atlas_slices(self, batch, memory):
        """What is shown of the atlas with each label map, [B, H, W, 3C]."""
        last = self.atlas_bins - 1
        if "position" in batch:
            k = jnp.rint(batch["position"] * last).astype(int)
        else:
            k = self._likeliest_bin(batch, memory["brain"])
        images = [memory["atlas"][jnp.clip(k + i, 0, last)] for i in (-1, 0, 1)]
        return jnp.concatenate(images, axis=-1)

    def _likeliest_bin(self, batch, brain):
        """Where the squared difference of a label map's brain from `brain` is least."""
        # Without the square of the map's own, which is the same for all.
        common = jnp.einsum("bhw,khw->bk", self._inside(batch), brain)
        return jnp.argmax(2.0 * common - jnp.square(brain).sum((1, 2))[None], axis=1)

    def _inside(self, batch):
        return 1.0 - batch["one_hot"][..., 0]

    def _synthesise(self, nets, batch, memory):
        atlas = self.atlas_slices(batch, memory) if self.atlas else None
        return nets("generator", batch["one_hot"], atlas)

    @property
    def _lesion(self):
        chosen = [self.spec.label_index(name) for name in self.lesion]
        return np.array(chosen or self.spec.classes[1:], int)

    @property
    def _discriminators(self):
        regions = (BACKGROUND, BRAIN, LESION) if self.label_wise else ("whole",)
        return tuple(f"{region}_{scale}" for region in regions for scale in SCALES)

    def _features(self, nets, batch, memory, image):
        """Each discriminator's features of its view of label map and image."""
        seen = [batch["one_hot"], image]
        if self.atlas and self.atlas_to_discriminator:
            seen.append(self.atlas_slices(batch, memory))
        seen = jnp.concatenate(seen, axis=-1)
        return [
            nets(f"{region}_{scale}", shrink(mask * seen))
            for region, mask in self.regions(batch).items()
            for scale, shrink in SCALES.items()
        ]

    def _feature_distance(self, fake, real):
        """Equation 2, summed over the discriminators; logits are no features."""
        distance = FEATURE_DISTANCES[self.feature_distance]
        return sum(
            distance(x, lax.stop_gradient(y))
            for fake_layers, real_layers in zip(fake, real, strict=True)
            for x, y in zip(fake_layers[:-1], real_layers[:-1], strict=True)
        )

    def _inconsistency(self, nets, batch, image):
        logits = nets("segmenter", image)
        return self.consistency * segmentation.generalised_dice(
            logits, batch["one_hot"]
        )
