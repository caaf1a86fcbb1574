"""An audit as a page for those who decide whether a generator may be passed on.

It shows images of training patients, by numbers, not by names.
"""

from collections.abc import Mapping
import io

import numpy as np

from jaxsyn import pictures
from jaxsyn.evaluate.audit_sets import TRAINING, UNSEEN, of_images
from jaxsyn.metrics import memorisation, nearest
from jaxsyn.metrics.memorisation import CANNOT_TELL, FAILS, PASSES, SUSPICIOUS
from jaxsyn.report import figures
from jaxsyn.report.page import Column, Figure, Notice, Page, Row, Section, Table, Text
from jaxsyn.spec import DataSpec

_SHOWN = 12  # Pairs in a sheet.
_BINS = 30
_BOTH = (TRAINING, UNSEEN)
WORDS = {
    PASSES: "No sign that the generator repeats its training patients: its images come"
    " no nearer to them than images of patients whom it has never seen.",
    SUSPICIOUS: "The images come nearer to training patients than chance would have"
    " it. Look at the pairs below before anything is passed on.",
    FAILS: "The images repeat training patients, or give away who they were. They"
    " should be treated as these patients' own data.",
    CANNOT_TELL: "There are too few patients, or images, to say. This is no clearance.",
}


def page_of(audit, spec: DataSpec) -> Page:
    """The report of an `audit.Audit`; `spec` says what its arrays mean."""
    verdict = audit.verdict
    text = f"Verdict: {verdict.word}. {WORDS[verdict.word]}"
    first = Text((text,)) if verdict.word == PASSES else Notice(text)
    return Page(
        title="Privacy audit",
        lead=f"Does a generator repeat the patients it was trained on?"
        f" {len(audit.synthetic)} synthetic images were compared with"
        f" {len(audit.members)} slices of"
        f" {_count(audit.members.patients)} training patients, and with how near"
        f" {len(audit.unseen)} slices of {_count(audit.unseen.patients)} patients whom"
        " it has not seen come to these. Patients and images have numbers here. The"
        " sheets show images of training patients: do not publish them.",
        sections=(
            Section("Verdict", (first, Text(verdict.reasons), *_doubles(audit))),
            Section("How near", (_nearness(audit), _attack(audit), *_curves(audit))),
            Section("The nearest pairs", tuple(_sheets(audit, spec))),
            Section("How it was done", (Text(tuple(_method(audit))),)),
        ),
    )


def _doubles(audit):
    """A warning of people who were trained on under another name."""
    doubles = _count(audit.unseen.patients[~audit.strangers])
    if doubles:
        yield Notice(
            f"{doubles} of the patients who were not trained on resemble a training"
            " patient as only the same person does, perhaps at another visit. They were"
            " left out of the thresholds. Name such cases as one patient, and train"
            " again: results on them are too good."
        )


def _nearness(audit):
    """The table of distances, of synthetic images beside real ones."""
    chance = audit.false_positives
    real, limit = audit.real, audit.limit
    rows = [_row("ratio of distances", audit.found.ratio, real.ratio, limit)]
    rows += [
        _row(name, ours, theirs, _limit(theirs, audit))
        for name, ours, theirs in (
            ("distance of patterns", audit.found.distance, real.distance),
            ("distance of features", audit.features, audit.real_features),
            (f"1 - {_similarity(audit)}", 1 - audit.alike, 1 - audit.real_alike),
        )
    ]
    if audit.synthetic.real is not None:
        ours, theirs = (audit.own[audit.synthetic.made_of(o)] for o in _BOTH)
        name = "to the real image of the label map"
        rows.append(_row(name, ours, theirs, audit.own_limit))
    return Table(
        name="nearness",
        caption="To the nearest training slice; low is near",
        columns=tuple(map(Column, ("", "synthetic", "unseen", "threshold", "below"))),
        rows=tuple(rows),
        notes=(
            "Medians. Below: share of the synthetic images that is nearer than the"
            " threshold, which 5 % of unseen patients pass with any slice (the nearest"
            " of all, if there are fewer than 20).",
            f"Of what is of unseen patients, {chance:.1%} is below what the other"
            " unseen patients set.",
            "The first and the last row decide; the others are for comparison.",
            "In the last row, unseen are synthetic images of unseen patients' label"
            " maps.",
        )[: 4 if audit.synthetic.real is not None else 3],
    )


def _attack(audit):
    verdict, twins = audit.verdict, audit.twin_distance < audit.twin_limit
    rows = {
        "images flagged": memorisation.in_words(verdict.flagged),
        "copies": str(verdict.copies),
        "AUC of membership inference": memorisation.in_words(audit.auc),
        "authenticity": f"{audit.authentic.mean():.3f}",
        "authenticity of unseen real slices": f"{audit.real_authentic.mean():.3f}",
        "duplicates among the synthetic": f"{twins.mean():.3f}",
    }
    return Table(
        name="privacy",
        caption="What may be learnt from the images",
        columns=(Column(""), Column("value")),
        rows=tuple(Row(cells) for cells in rows.items()),
        notes=(
            "Membership: how often a training slice is nearer to a synthetic image"
            " than one of an unseen patient; 0.5 is a guess.",
            "Authenticity: share of images further from their nearest training slice"
            " than that is from other training patients.",
            "Duplicates: nearer to another synthetic image than unseen patients are to"
            " training patients. They tell of few different images, not of memory.",
        ),
    )


def _curves(audit):
    real = {"unseen real": audit.real.ratio}
    made = {f"synthetic{o}": audit.found.ratio[some] for o, some in _kinds(audit)}
    yield _distribution("ratio", made | real, audit.limit, "ratio of distances")
    if audit.synthetic.real is not None:
        made = {f"synthetic{o}": audit.own[some] for o, some in _kinds(audit)}
        x = "distance to the real image of the label map"
        yield _distribution("own", made, audit.own_limit, x)


def _kinds(audit):
    if audit.synthetic.real is None:
        return [("", np.ones(len(audit.synthetic), bool))]
    return [(f", {o} label maps", audit.synthetic.made_of(o)) for o in _BOTH]


def _distribution(name, sets: Mapping[str, np.ndarray], limit, x):
    """Histograms as lines, with the threshold as one."""
    every = np.concatenate([*sets.values()])
    every = every[np.isfinite(every)]
    low, high = (every.min(), every.max()) if every.size else (0.0, 1.0)
    edges = np.linspace(min(low, limit), max(high, low + 1e-3), _BINS + 1)
    centres = (edges[1:] + edges[:-1]) / 2
    lines = {
        kind: (centres, np.histogram(values, edges)[0] / max(len(values), 1))
        for kind, values in sets.items()
    }
    top = max(shares.max() for _, shares in lines.values())
    lines["threshold"] = ([limit, limit], [0.0, top])
    return Figure(
        name=name,
        caption=f"Distribution of the {x}; left of the threshold is too near.",
        image=figures.curves(lines, x=x, y="share of images"),
        alt=f"Histograms of the {x} of synthetic and of unseen real images.",
    )


def _sheets(audit, spec):
    """Synthetic images beside what they resemble most."""
    members, made, found = audit.members, audit.synthetic, audit.found
    first = np.argsort(found.ratio, kind="stable")[:_SHOWN]
    cells = {
        "synthetic": made[first],
        "as it fits": nearest.fitted(made[first], found.take(first)),
        "nearest training": members[found.index[first]],
    }
    caption = "Each synthetic image beside its nearest training slice"
    yield _sheet("pairs", cells, caption, audit, spec)
    if made.real is not None:
        first = np.argsort(np.where(made.made_of(TRAINING), audit.own, np.inf))
        first = first[: min(_SHOWN, made.made_of(TRAINING).sum())]
        cells = {"synthetic": made[first], "real": made.real[first]}
        caption = "Images of training patients' label maps beside the real ones"
        yield _sheet("own_pairs", cells, caption, audit, spec)
    if (audit.twin >= 0).any():
        first = np.argsort(audit.twin_distance, kind="stable")[:_SHOWN]
        cells = {"synthetic": made[first], "another": made[audit.twin[first]]}
        caption = "Each synthetic image beside the nearest other one"
        yield _sheet("duplicates", cells, caption, audit, spec)


def _sheet(name, cells, caption, audit, spec):
    columns = [[*map(_painter(audit, spec), images)] for images in cells.values()]
    file = io.BytesIO()
    rows = [*zip(*columns, strict=True)]
    pictures.grid(rows, [*cells]).save(file, format="PNG")
    caption = f"{caption}; the nearest {len(rows)}, the very nearest on top."
    return Figure(name=name, caption=caption, image=file.getvalue(), alt=caption)


def _painter(audit, spec):
    """From an image, or a label map of one channel a label, to a picture."""
    if audit.members.view is of_images:
        return lambda image: pictures.grey(image[..., 0])
    return lambda image: pictures.colour_labels(image.argmax(-1), spec.labels)


def _method(audit):
    yield (
        "Images are compared as patterns: 64 px a side, slow changes of brightness"
        " taken out, each channel of mean 0 and one norm. Every image is mirrored,"
        " turned by up to 9 degrees and moved by up to a tenth of its side until it"
        " fits best; the distance is sqrt(2 - 2 r), r being the correlation: 0 of equal"
        " images, 1.41 of unrelated ones."
    )
    yield (
        "The ratio is this distance over the mean distance to the nearest slices of the"
        " next nearest patients: a copy is much nearer to one patient than to any"
        " other, an image that is merely common is near to many."
    )
    if audit.synthetic.real is not None:
        yield (
            "Label maps of training and of unseen patients were rendered. The patient"
            " of the label map is left out of the comparison; instead, images of"
            " training patients' label maps are compared with the real images, and"
            " must not come nearer to them than those of unseen patients do."
        )
    else:
        yield (
            "If label maps of training patients were rendered, their anatomy is in the"
            " images by design, and is found here; audit the generator itself"
            " (config.generator) to tell this from memory."
        )
    yield f"Features: {audit.space}."
    yield (
        "What was not tried: other transformations, combinations of several patients,"
        " and attacks that know the generator's weights. A pass is no proof."
    )


def _row(name, ours, theirs, limit):
    below = f"{(ours < limit).mean():.1%}" if np.isfinite(limit) else "–"
    numbers = (f"{np.median(ours):.3f}", f"{np.median(theirs):.3f}", f"{limit:.3f}")
    return Row((name, *numbers, below))


def _limit(values, audit):
    kept = audit.strangers
    return memorisation.threshold(values[kept], audit.unseen.patients[kept])


def _similarity(audit):
    return "SSIM" if audit.members.view is of_images else "Dice"


def _count(patients):
    return len(np.unique(patients))
