"""What can a U-Net learn of one, two or three patients, and does synthesis help?

    python -m jaxsyn.main --config=configs/experiments/few_patients.py \
        --config.datasets.brats.source_dir=DIR --workdir=DIR

Words after a colon, separated by commas:
    data=brats      a data set of configs/datasets.py whose lesions are known
    system=spade    the generator, of configs/SYSTEM_brats.py
    patients=1+2+3  how many are trained on
    cases=20+100    how many synthetic cases there are besides
    lesions         other patients' lesions come from segmentations without images, in
                    --config.datasets.lesions.source_dir, and are put into the few's
                    brains; without this word, from the set's other training patients
    healthy         and into the healthy brains of the source oasis_tissues, in
                    --config.datasets.healthy.source_dir
    invented        label maps are drawn, too, by a PGAN that learnt those of the set
    size=64         side of the images, in pixels
    small           a quarter of the channels, batches of four, U-Nets of 600 steps:
                    hours on two cores
    runlocal        minutes on a CPU, on a small phantom, with one patient
"""

from configs import common, datasets, synthesize_brats
from configs.experiments import base, contest

ABOUT = """A generator and U-Nets know the images of the same few patients. Synthetic
cases are drawn on these patients' own label maps, bent another way each time, and on
label maps that have other patients' lesions, of whom no image is used. A U-Net is
trained on the few, on the few and synthetic cases, or for one half of the steps on
synthetic cases alone and for the other on the few. Every U-Net has as many steps, and
none is chosen by a validation, for which there would be no patients."""


def get_config(arg=None):
    """The configuration; `arg` are the words."""
    words = common.parse(
        arg,
        data="brats",
        system="spade",
        patients="1+2+3",
        cases="20+100",
        lesions=False,
        healthy=False,
        invented=False,
        size="256",
        small=False,
    )
    patients, cases = (
        tuple(map(int, words[w].split("+"))) for w in ("patients", "cases")
    )
    if words.runlocal:
        patients, cases = patients[:1], cases[:1]
    config = base.experiment("A few patients", ABOUT, baseline="classical")
    config.datasets.update(_datasets(words))
    if words.invented:
        config.jobs.invented = _training(words, "pgan", {})
    origins = _origins(words)
    for few in patients:
        config.jobs[f"generator_{few}"] = _training(
            words, words.system, {"patients": few}
        )
        for origin, (kind, masks) in origins.items():
            job = base.synthesis(
                kind, words.data, generator=f"generator_{few}", cases=max(cases)
            )
            for key, value in masks(few).items():  # Whole: nothing is merged.
                job.masks[key] = value
            config.jobs[f"{origin}_{few}"] = job
        config.judges[f"patients_{few}"] = _judge(words, few)
    half = config.judges[f"patients_{patients[0]}"].train.steps // 2
    config.arms = tuple(
        arm for few in patients for arm in _arms(few, cases, origins, half)
    )
    return base.shrink(config) if words.runlocal else config


def _datasets(words):
    data = datasets.get(words.data)
    data.prepare.fractions = (0.7, 0.0, 0.3)
    if words.size != "256":
        size = {"image_size": int(words.size), "fit": "resize", "crop": "brain"}
        data.prepare.update(size)
    found = {words.data: data}
    if words.lesions:
        found["lesions"] = synthesize_brats.donors()  # In all the detail they have.
    if words.healthy:
        found["healthy"] = datasets.get("oasis_tissues")
        found["healthy"].prepare.update(data.prepare)
        found["healthy"].prepare.fractions = (1.0, 0.0, 0.0)
    return found


def _origins(words):
    """Where label maps come from that are not the few's: kind, and keys of masks."""
    lesion = {"lesion": datasets.DATA[words.data].lesions}
    found = {"others": ("real", lambda few: {})}
    if words.lesions:
        found["others"] = (
            "transplanted",
            lambda few: {
                "brains": {"set": words.data, "patients": few},
                "donors": {"set": "lesions"},
                "transplantation": lesion,
            },
        )
    if words.healthy:
        donors = "lesions" if words.lesions else words.data
        found["healthy"] = (
            "transplanted",
            lambda few: {
                "brains": {"set": "healthy"},
                "donors": {"set": donors},
                "transplantation": {**lesion, "align": "brain"},
            },
        )
    if words.invented:
        found["invented"] = ("generated", lambda few: {"generator": "cell:invented"})
    return found


def _training(words, system, changes):
    config = base.train(system, words.data, local=words.runlocal)
    config.data.update(changes)
    if "prepare" in config.data:  # One size for all.
        del config.data.prepare
    if words.runlocal:
        return config
    if words.small:
        contest.make_small(config, system)
        steps = 4000 if system == "pgan" else 1200
        config.train.update({"steps": steps, "epochs": 0, "sample_every": 400})
    elif system == words.system:
        config.train.update({"steps": 20_000, "epochs": 0})
    return config


def _judge(words, few):
    config = contest.judge(words, "dice", "hd95")
    config.data.patients = few  # Whose label maps are drawn on.
    config.selection.by = "last"
    return config


def _arms(few, cases, origins, half):
    """The arms with so many patients; `half` are half of the steps."""
    words = {
        "others": "on others' label maps",
        "healthy": "in healthy brains",
        "invented": "on invented label maps",
    }
    yield _arm(few, "real", {"augment": "none"})
    yield _arm(few, "classical", {})
    for count in cases:
        more = {"synthetic_cases": count}
        own = f"+ {count} on own label maps"
        yield _arm(few, own, more, generator=f"generator_{few}")
        for origin in origins:
            name = f"+ {count} {words[origin]}"
            yield _arm(few, name, more, export=f"{origin}_{few}")
    alone = f"{max(cases)} on others' label maps alone, half the steps"
    more = {"patients": 0, "synthetic_cases": max(cases), "steps": half}
    yield _arm(few, alone, more, export=f"others_{few}")
    then = "then the patients, the other half"
    yield _arm(few, then, {"start_from": alone, "steps": half})


def _arm(few, name, row, **origin):
    return base.arm(
        name,
        column=f"{few} patient" + "s" * (few > 1),
        judge=f"patients_{few}",
        row={"patients": few, **row},
        **origin,
    )
