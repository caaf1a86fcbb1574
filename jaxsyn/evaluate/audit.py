"""A privacy audit: does a generator repeat the patients it was trained on?

Each synthetic image is compared with all training slices. How near is too near is
learnt from patients that the generator has never seen: their real slices, compared in
the same way, cannot be remembered. Where images are made of label maps, those of
training and of unseen patients are rendered; a label map's own patient is left out of
the comparison, as the anatomy was given, and a second comparison asks whether images of
training patients come nearer to the real image of their label map than those of unseen
patients do.
"""

from collections.abc import Iterator, Mapping
import dataclasses
import functools
import hashlib
from pathlib import Path
from typing import Any

from jaxtyping import Bool, Float
import numpy as np

from jaxsyn import settings, storage
from jaxsyn import workdir as workdir_lib
from jaxsyn.data.feed import DataSettings
from jaxsyn.errors import UsageError
from jaxsyn.evaluate import audit_report, audit_sets, tables
from jaxsyn.evaluate.audit_features import Features
from jaxsyn.evaluate.audit_sets import TRAINING, UNSEEN, Slices, Synthetic
from jaxsyn.metrics import memorisation, nearest
from jaxsyn.metrics.memorisation import Verdict
from jaxsyn.metrics.nearest import Index, Matches
from jaxsyn.metrics.statistics import FEWEST_UNITS, Interval
from jaxsyn.report import page
from jaxsyn.synthesis.fitting import FIELDS, check_fits
from jaxsyn.synthesis.generator import Generator

FEATURES = ("auto", "inception", "unet", "orientations")


@dataclasses.dataclass(frozen=True, kw_only=True)
class AuditConfig:
    """What is audited, and with what it is compared.

    Attributes:
      job: `audit`.
      generator: The workdir of a training; or
      export: that of a synthesis job, in the format `brats` or `nifti`.
      data: The real data, prepared as the training's: all its training patients, and
        others that it has not seen.
      slices: How many of each unseen patient are compared, and rendered; and of as many
        training patients. All training slices are what they are compared with.
      samples: Drawn from a generator that makes label maps.
      features: The feature space that is shown beside what decides: `inception`,
        `unet`, `orientations`, or `auto`: the U-Net if `segmenter` is given, else
        Inception if its weights are there, else orientations.
      segmenter: A cell's folder of a judge, for its U-Net.
      seed: Of whatever is drawn.
    """

    job: str
    data: Mapping[str, Any]
    generator: str = ""
    export: str = ""
    slices: int = 8
    samples: int = 1024
    features: str = "auto"
    segmenter: str = ""
    seed: int = 0

    def __post_init__(self):
        if bool(self.generator) == bool(self.export):
            raise UsageError(
                f"config.generator is {self.generator!r} and config.export is"
                f" {self.export!r}.",
                hint="Name the workdir of a training: --config.generator=WORKDIR, or of"
                " a synthesis job: --config.export=WORKDIR",
            )
        if self.features not in FEATURES:
            what = f"config.features={self.features!r}"
            raise settings.unknown(what, self.features, list(FEATURES))
        if self.slices < 1 or self.samples < FEWEST_UNITS:
            raise UsageError(
                f"config.slices is {self.slices}, config.samples {self.samples}.",
                hint=f"Take 1 slice and {FEWEST_UNITS} samples at least.",
            )
        if self.features == "unet" and not self.segmenter:
            raise UsageError(
                "config.features='unet' needs a U-Net, and there is none.",
                hint="Name a cell's folder of a judge: --config.segmenter=DIR",
            )


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Audit:
    """What was found; arrays are in the order of the images they are of.

    Attributes:
      synthetic: The images.
      members: All training slices.
      unseen: Slices of unseen patients.
      found: The synthetic images' nearest training slices.
      real: The unseen slices' nearest training slices.
      strangers: Which of the unseen slices are not of someone trained on under
        another name; thresholds are made of these.
      limit: Of `found.ratio`, the threshold.
      own: Distance to the real image of the label map; NaN where there is none.
      own_limit: Its threshold; NaN if there is none.
      alike: SSIM, or Dice of label maps, with the nearest training slice.
      real_alike: The same of the unseen slices.
      features: Distance to the nearest training slice in the feature space.
      real_features: The same of the unseen slices.
      space: What the feature space is.
      authentic: Which synthetic images are authentic.
      real_authentic: Which unseen ones are.
      twin: The nearest other synthetic image, of another group; -1: there is none.
      twin_distance: To it.
      twin_limit: Below it they are duplicates.
      auc: Of telling training patients from others.
      false_positives: Share of what is of unseen patients, real and synthetic, that
        other unseen patients flag.
    """

    synthetic: Synthetic
    members: Slices
    unseen: Slices
    found: Matches
    real: Matches
    strangers: Bool[np.ndarray, " m"]
    limit: float
    own: Float[np.ndarray, " n"]
    own_limit: float
    alike: Float[np.ndarray, " n"]
    real_alike: Float[np.ndarray, " m"]
    features: Float[np.ndarray, " n"]
    real_features: Float[np.ndarray, " m"]
    space: str
    authentic: Bool[np.ndarray, " n"]
    real_authentic: Bool[np.ndarray, " m"]
    twin: np.ndarray
    twin_distance: Float[np.ndarray, " n"]
    twin_limit: float
    auc: Interval
    false_positives: float

    def below(self, share: float = 1.0) -> Bool[np.ndarray, " n"]:
        """Images nearer than this share of a threshold."""
        own = (self.own < share * self.own_limit) & self.synthetic.made_of(TRAINING)
        return (self.found.ratio < share * self.limit) | own

    @functools.cached_property
    def verdict(self) -> Verdict:
        """What it comes to."""
        return memorisation.judge(
            flagged=self.below(),
            copies=self.below(memorisation.COPY),
            groups=self.synthetic.groups,
            false_positives=self.false_positives,
            auc=self.auc,
            held_out=len(np.unique(self.unseen.patients[self.strangers])),
            members=len(np.unique(self.members.patients)),
        )

    def rows(self) -> Iterator[dict[str, Any]]:
        """One an image, for CSV; None where there is no value."""
        flagged, copies = self.below(), self.below(memorisation.COPY)
        for i, origin in enumerate(self.synthetic.origins):
            values = {
                "distance": self.found.distance[i],
                "ratio": self.found.ratio[i],
                "own_distance": self.own[i],
                "similarity": self.alike[i],
                "feature_distance": self.features[i],
                "twin_distance": self.twin_distance[i],
            }
            yield {
                "image": i,
                "label_map_of": origin or "none",
                "training_patient": int(self.members.patients[self.found.index[i]]),
                **{k: _known(v) for k, v in values.items()},
                "authentic": bool(self.authentic[i]),
                "flagged": bool(flagged[i]),
                "copy": bool(copies[i]),
                "twin": int(self.twin[i]),
            }


def run(config: Any, workdir: Path) -> None:
    """Audits, prints the verdict and writes the report.

    Args:
      config: A `ConfigDict` as in configs/audit.py.
      workdir: Where report.html, audit.csv, verdict.json and what belongs to them go.
        Patients are numbers there; paths in config.json are hashed.

    Raises:
      JaxsynError: One of its kinds, for all that a user can mend.
    """
    config = config.to_dict()
    job = settings.build(AuditConfig, config, "config")
    data = DataSettings.from_config(job.data)
    anonymous = without_paths(config)
    workdir_lib.check(workdir, anonymous)
    default_dir = workdir.parent / "prepared"
    prepared = data.open(default_dir)
    synthetic, members, unseen = _sets(job, data, prepared, default_dir)
    _claim(workdir, anonymous, prepared.key)
    memory = Path(data.prepared_dir or default_dir) / "features"
    space = Features.of(job.features, job.segmenter, memory, synthetic)
    found = measure(synthetic, members, unseen, space, slices=job.slices, seed=job.seed)
    tables.write_rows(workdir, "audit", found.rows())
    verdict = found.verdict
    with storage.writing(workdir):
        storage.write_json(workdir / "verdict.json", _as_json(found))
    path = page.write(audit_report.page_of(found, prepared.spec), workdir)
    print(f"Verdict: {verdict.word}.", *verdict.reasons, f"Report: {path}", sep="\n")


def measure(
    synthetic: Synthetic,
    members: Slices,
    unseen: Slices,
    space: Features,
    *,
    slices: int,
    seed: int,
) -> Audit:
    """All measures.

    Args:
      synthetic: The images that are audited.
      members: All training slices, of two patients at least.
      unseen: Those slices of unseen patients that are compared.
      space: Of features.
      slices: Of each training patient that is told from unseen ones.
      seed: Of what is drawn.
    """
    training = Index(members, members.patients)
    found = training.search(synthetic, own=synthetic.own)
    real = training.search(unseen)
    neighbours = _neighbours(training, members, found, real)
    kept = memorisation.strangers(real.ratio, unseen.patients)
    limits = {
        name: memorisation.threshold(values[kept], unseen.patients[kept])
        for name, values in (("limit", real.ratio), ("twin_limit", real.distance))
    }
    twins = _twins(synthetic)
    own, chance = _own(synthetic, found.ratio < limits["limit"])
    chance += memorisation.false_positive_rate(real.ratio[kept], unseen.patients[kept])
    return Audit(
        synthetic=synthetic,
        members=members,
        unseen=unseen,
        found=found,
        real=real,
        strangers=kept,
        **limits,
        **own,
        alike=_alike(synthetic, members, found),
        real_alike=_alike(unseen, members, real),
        **space.distances(synthetic, members, unseen),
        space=space.method,
        authentic=memorisation.authentic(found.distance, neighbours[found.index]),
        real_authentic=memorisation.authentic(real.distance, neighbours[real.index]),
        twin=twins.index if twins else np.full(len(synthetic), -1),
        twin_distance=twins.distance if twins else np.full(len(synthetic), np.nan),
        auc=_attack(synthetic, members, unseen, slices, seed),
        false_positives=chance,
    )


def without_paths(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration whose paths are hashed: they may name a patient, or a place."""
    made = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            value = without_paths(value)
        elif isinstance(value, str) and ("/" in value or "\\" in value):
            value = f"sha256:{hashlib.sha256(value.encode()).hexdigest()[:12]}"
        made[key] = value
    return made


def _as_json(found):
    """The verdict and the AUC; JSON has no NaN."""
    about = dataclasses.asdict(found.verdict) | {"auc": dataclasses.asdict(found.auc)}
    for name in ("flagged", "auc"):
        about[name] |= {k: _known(about[name][k]) for k in ("mean", "low", "high")}
    return about


def _known(value):
    return round(float(value), 5) if np.isfinite(value) else None


def _claim(workdir, anonymous, key):
    """As `workdir.claim`, without the command, which holds paths."""
    found = workdir_lib.environment(data=key)
    del found["command"]
    with storage.writing(workdir):
        workdir.mkdir(parents=True, exist_ok=True)
        storage.write_json(workdir / "config.json", anonymous)
        storage.write_json(workdir / "environment.json", found)


def _sets(job, data, prepared, default_dir):
    """Synthetic images, all training slices, and some of unseen patients."""
    if job.export:
        names = audit_sets.behind(Path(job.export))
        members, unseen = audit_sets.divide(prepared, names, audit_sets.of_images)
        made = audit_sets.exported(Path(job.export), data, default_dir)
        return made, members, unseen.spread(len(unseen), job.slices)
    generator = Generator.load(job.generator)
    images = generator.makes_images
    fields = FIELDS if images else ("image_size", "label_names")
    check_fits(generator, prepared, fields)
    view = audit_sets.of_images if images else audit_sets.of_labels(prepared.spec)
    names = generator.trained_on["names"]
    members, unseen = audit_sets.divide(prepared, names, view)
    unseen = unseen.spread(len(unseen), job.slices)
    if generator.makes_labels:
        made = audit_sets.sampled(generator, job.samples, job.seed)
        return made, members, unseen
    same = members.spread(len(np.unique(unseen.patients)), job.slices, job.seed)
    return audit_sets.rendered(generator, same, unseen, job.seed), members, unseen


def _neighbours(training, members, *matches):
    """Of each training slice that is someone's nearest, the distance to its own."""
    places = np.unique(np.concatenate([some.index for some in matches]))
    some = members.take(places)
    apart = np.full(len(members), np.nan)
    apart[places] = training.search(some, own=some.patients).distance
    return apart


def _own(synthetic, copied):
    """Distances to the real images of the label maps, and how near is too near.

    Also which share of images of unseen patients would be called too near. Those that
    show another patient than their label map's tell nothing of that: they are `copied`.
    """
    found = {"own": np.full(len(synthetic), np.nan), "own_limit": np.nan}
    if synthetic.real is None:
        return found, 0.0
    found["own"] = nearest.distances(synthetic, synthetic.real)
    known = synthetic.made_of(UNSEEN) & ~copied
    unseen = found["own"][known], synthetic.groups[known]
    if len(np.unique(unseen[1])) < 2:
        return found, 0.0
    found["own_limit"] = memorisation.threshold(*unseen)
    return found, memorisation.false_positive_rate(*unseen)


def _alike(images, members, matches):
    """SSIM with the nearest, or Dice, as they fit best."""
    labels = members.view is not audit_sets.of_images
    measure_of = nearest.mean_dice if labels else nearest.structural_similarity
    found = []
    for start in range(0, len(images), 64):
        some = np.arange(start, min(start + 64, len(images)))
        fitted = nearest.fitted(images[some], matches.take(some))
        found.append(measure_of(fitted, members[matches.index[some]]))
    return np.concatenate(found)


def _twins(synthetic):
    """The nearest synthetic images of other groups, if there are any."""
    if len(np.unique(synthetic.groups)) < 2:
        return None
    index = Index(synthetic, synthetic.groups)
    return index.search(synthetic, own=synthetic.groups)


def _attack(synthetic, members, unseen, slices, seed):
    """How well training patients are told from unseen ones by synthetic images."""
    if synthetic.real is not None:  # Of both kinds those whose label maps were given.
        chosen = synthetic.made_of(TRAINING)
        members = synthetic.real.take(np.flatnonzero(chosen))
    else:
        members = members.spread(len(members), slices, seed)
    index = Index(synthetic, synthetic.groups)
    ours, theirs = (index.search(some).distance for some in (members, unseen))
    return memorisation.membership_auc(
        ours, members.patients, theirs, unseen.patients, seed=seed
    )
