"""Where synthetic cases get their label maps: from patients, changed or not, or drawn.

Each source gives a case for a number, always the same one for the same number, seed
and configuration.
"""

from collections.abc import Mapping
import dataclasses
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from jaxsyn import settings
from jaxsyn.data.feed import DataSettings
from jaxsyn.data.prepared import PreparedSet
from jaxsyn.errors import DataError, UsageError
from jaxsyn.synthesis.cases import SyntheticCase, plain_info
from jaxsyn.synthesis.fitting import check_fits
from jaxsyn.synthesis.generator import Generator
from jaxsyn.synthesis.lesions import KINDS, Injection, Manipulation, Transplantation
from jaxsyn.synthesis.real_masks import RealMasks, case_name, rng_of, seed_of
from jaxsyn.synthesis.sieve import FilterSettings, Sieve
from jaxsyn.synthesis.transplanted import TransplantedMasks

SOURCES = ["real", "manipulated", "transplanted", "injected", "generated"]


class MaskSource(Protocol):
    """Gives cases without images, or with them if they are made together.

    Attributes:
      generator: The generator of label maps or lesions, if there is one.
      sieve: What label maps have to pass, if they are generated.
    """

    generator: Generator | None
    sieve: Sieve | None

    def draw(self, number: int) -> SyntheticCase:
        """The case of a number.

        Raises:
          DataError: It cannot be made; others can.
        """


@dataclasses.dataclass(frozen=True, kw_only=True)
class MaskSettings:
    """Where label maps come from.

    Attributes:
      kind: `real`: patients' own. `manipulated`: with another lesion, see
        `lesions.Manipulation`. `transplanted`: with another data set's, see
        `lesions.Transplantation`. `injected`: with a lesion drawn in 3D, see
        `lesions.Injection`. `generated`: slices drawn one by one.
      part: Whose label maps are used, of donors and brains too, or compared with.
      generator: The workdir of a training: of lesion volumes if `injected`, of label
        maps if `generated`.
      folder: Which of its checkpoints: `checkpoints`, or `best`.
      options: Of that generator's system, where they differ from the training's.
      manipulation: Fields of `lesions.Manipulation`.
      injection: Fields of `lesions.Injection`.
      transplantation: Fields of `lesions.Transplantation`.
      donors: Of these transplantations, a whole data configuration like config.data:
        whose cases' lesions, matched by the names of labels. Brains are not needed.
      brains: The same of the cases they are put into; none: those of config.data.
        Labels that config.data does not have become its derived one, the brain.
      slices: How many a generated case has.
      most_draws: How often a case's slices are drawn before it is given up, as a
        multiple of their number.
    """

    kind: str = "real"
    part: str = "train"
    generator: str = ""
    folder: str = "checkpoints"
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    manipulation: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    injection: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    transplantation: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    donors: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    brains: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    slices: int = 155
    most_draws: int = 10

    def __post_init__(self):
        if self.kind not in SOURCES:
            what = f"config.masks.kind={self.kind!r}"
            raise settings.unknown(what, self.kind, SOURCES)
        needs = self.kind in ("injected", "generated")
        if needs != bool(self.generator):
            raise UsageError(
                f"config.masks.kind is {self.kind!r} and config.masks.generator is"
                f" {self.generator!r}.",
                hint="Label maps that are generated or injected need the workdir of a"
                " training; others need none.",
            )
        transplanted = self.kind == "transplanted"
        if transplanted != bool(self.donors) or (self.brains and not transplanted):
            raise UsageError(
                f"config.masks.kind is {self.kind!r} and config.masks.donors are"
                f" {'' if self.donors else 'not '}given.",
                hint="Lesions that are transplanted need donors, a data configuration,"
                " and may have brains; others need neither.",
            )

    def build(
        self,
        prepared: PreparedSet,
        seed: int,
        filters: FilterSettings,
        prepared_dir: Path,
    ) -> MaskSource:
        """The source that the settings describe.

        Args:
          prepared: The real set.
          seed: Which cases.
          filters: What generated slices have to pass.
          prepared_dir: Where donors and brains are prepared.

        Raises:
          UsageError: An option is unknown, the generator has other labels, or there
            are filters for what is not generated.
        """
        if self.kind != "generated" and filters.active:
            raise UsageError(
                f"config.filters are given, but label maps are {self.kind}.",
                hint="Filters judge generated label maps; leave them out.",
            )
        real = RealMasks(prepared, self.part, seed)
        if self.kind == "real":
            return real
        if self.kind == "manipulated":
            where = "config.masks.manipulation"
            how = settings.build(Manipulation, self.manipulation, where)
            return ManipulatedMasks(real, how)
        if self.kind == "transplanted":
            where = "config.masks.transplantation"
            how = settings.build(Transplantation, self.transplantation, where)
            donors = self._masks("donors", seed, prepared_dir)
            if self.brains:
                real = self._masks("brains", seed, prepared_dir)
            return TransplantedMasks(real, donors, prepared.spec, how)
        generator = Generator.load(
            self.generator, folder=self.folder, options=self.options
        )
        check_fits(generator, prepared, fields=("image_size", "label_names"))
        if self.kind == "injected":
            where = "config.masks.injection"
            how = settings.build(Injection, self.injection, where)
            return InjectedMasks(real, how, generator)
        labels = prepared.cache(self.part).label
        return GeneratedMasks(
            generator,
            prepared,
            filters.build(prepared.spec, labels, generator),
            slices=self.slices,
            most_draws=self.most_draws * self.slices,
            seed=seed,
        )

    def _masks(self, whose, seed, prepared_dir):
        """The label maps of another data set."""
        where = f"config.masks.{whose}"
        data = DataSettings.from_config(getattr(self, whose), where)
        return RealMasks(data.open(prepared_dir), self.part, seed)


class ManipulatedMasks:
    """Label maps of patients with another lesion."""

    generator = sieve = None

    def __init__(self, real: RealMasks, how: Manipulation):
        """Changes label maps of `real` as `how` says."""
        self._real, self._how = real, how
        for name in (*how.lesion, *how.keep):  # Said now, not at the first case.
            real.prepared.spec.label_index(name)

    def draw(self, number: int) -> SyntheticCase:
        """A patient's label map, changed; if how is left open, it is drawn here."""
        case, rng = self._real.draw(number), rng_of(self._real.seed, number)
        other = self._real.draw(number + 1)
        patients, how = list(case.lineage["patients"]), self._how
        alone = other.lineage["patients"] == patients
        if how.kind == "any":
            kinds = [kind for kind in KINDS if kind != "replace" or not alone]
            how = dataclasses.replace(how, kind=kinds[rng.integers(len(kinds))])
        donor = None
        if how.kind == "replace" and not alone:
            # Slices of the other at the same relative heights.
            heights = np.linspace(0, len(other.label) - 1, len(case.label)).round()
            donor = other.label[heights.astype(int)]
            patients += other.lineage["patients"]
        label = how.apply(case.label, self._real.prepared.spec, rng, donor)
        lineage = {
            **case.lineage,
            "manipulation": dataclasses.asdict(how),
            "patients": patients,
        }
        return dataclasses.replace(case, label=label, lineage=lineage)


class InjectedMasks:
    """Label maps of patients with a lesion that a generator drew in 3D.

    Attributes:
      generator: Of lesion volumes.
    """

    sieve = None

    def __init__(self, real: RealMasks, how: Injection, generator: Generator):
        """Puts lesions of a generator into label maps of `real`."""
        self._real, self._how, self.generator = real, how, generator

    def draw(self, number: int) -> SyntheticCase:
        """A patient's label map with a new lesion."""
        case, drawn = self._real.draw(number), 0
        rng, seed = rng_of(self._real.seed, number), seed_of(self._real.seed, number)

        def draw(attempt):
            nonlocal drawn
            drawn = attempt + 1
            made = self.generator.sample(1, seed=seed, first=attempt, batch_size=1)
            return placed(made["label"][0], len(case.label), rng)

        label = self._how.apply(case.label, draw, self._real.prepared.spec)
        lineage = {**case.lineage, "seed": seed, "lesions_drawn": drawn}
        return dataclasses.replace(case, label=label, lineage=lineage)


class GeneratedMasks:
    """Cases of slices that a generator draws, each by itself; 3D it is not.

    Attributes:
      generator: Of label maps, with their images or without.
      sieve: What they have to pass.
    """

    def __init__(
        self,
        generator: Generator,
        prepared: PreparedSet,
        sieve: Sieve,
        *,
        slices: int,
        most_draws: int,
        seed: int,
    ):
        """Draws `slices` a case, of at most `most_draws`, that pass the sieve."""
        self.generator, self.sieve, self._prepared = generator, sieve, prepared
        self._slices, self._most_draws, self._seed = slices, most_draws, seed
        spacings = [info.spacing_mm for info in prepared.cases.values()]
        self._spacing = np.median(spacings, axis=0).tolist()

    def draw(self, number: int) -> SyntheticCase:
        """A case of new slices."""
        seed, chosen, drawn = seed_of(self._seed, number), [], 0
        before = self.sieve.rejected.copy()
        while sum(len(some["label"]) for some in chosen) < self._slices:
            if drawn >= self._most_draws:
                rejected = (self.sieve.rejected - before).most_common()
                raise DataError(
                    f"Of {drawn} label maps that were drawn too few pass the filters:"
                    f" {sum(len(some['label']) for some in chosen)} of {self._slices}"
                    f" ({', '.join(f'{n} {why}' for why, n in rejected)}).",
                    hint="Train the generator longer, or widen config.filters.",
                )
            made = self.generator.sample(self._slices, seed=seed, first=drawn)
            kept = self.sieve.passes(made)
            chosen.append({name: array[kept] for name, array in made.items()})
            drawn += self._slices
        made = {
            name: np.concatenate([some[name] for some in chosen])[: self._slices]
            for name in chosen[0]
        }
        name = case_name(number)
        info = plain_info(name, self._prepared.spec, self._slices, self._spacing)
        return SyntheticCase(
            name=name,
            label=made["label"],
            info=info,
            lineage={
                "labels": "generated",
                "seed": seed,
                "drawn": drawn,
                "rejected": dict(self.sieve.rejected - before),
                "patients": [],
            },
            image=made.get("image"),
        )


def placed(lesion: np.ndarray, depth: int, rng: np.random.Generator) -> np.ndarray:
    """A lesion volume [D, H, W] at a random height among `depth` slices."""
    extra = depth - len(lesion)
    if extra < 0:
        start = rng.integers(-extra + 1)
        return lesion[start : start + depth]
    below = rng.integers(extra + 1)
    return np.pad(lesion, [(below, extra - below), (0, 0), (0, 0)])
