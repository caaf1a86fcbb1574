"""What can a U-Net learn of one, two or three patients, and does synthesis help?

    python -m jaxsyn.main --config=configs/experiments/few_patients.py \
        --config.datasets.brats.source_dir=DIR --workdir=DIR

Words after a colon, separated by commas:
    data=brats      a data set of configs/datasets.py whose lesions are known
    system=borde    the generator, of configs/SYSTEM_brats.py
    patients=1+2+3  how many are trained on
    cases=10+100    how many synthetic cases there are besides
    runlocal        minutes on a CPU, on a small phantom, with one patient
"""

from configs import common, datasets
from configs.experiments import base
from configs.judge_borde_brats import REGIONS

ABOUT = """A generator and U-Nets know the images and segmentations of the same few
patients. Synthetic cases are drawn on these patients' own label maps, bent another way
each time; or their lesions are put into the brains of other patients, whose own lesions
are taken out, and images are drawn on the result. A U-Net is trained on the few, on the
few and synthetic cases, on synthetic cases alone, and on these first and then on the
few. Every U-Net has as many steps, and none is chosen by a validation, for which there
would be no patients. Which patients the few are is drawn once: see how much it matters
with other values of prepare.split_seed."""


def get_config(arg=None):
    """The configuration; `arg` are the words."""
    words = common.parse(
        arg, data="brats", system="borde", patients="1+2+3", cases="10+100"
    )
    patients, cases = (
        tuple(map(int, words[w].split("+"))) for w in ("patients", "cases")
    )
    if words.runlocal:
        patients, cases = patients[:1], cases[:1]
    config = base.experiment("A few patients", ABOUT, baseline="classical")
    config.seeds = (0, 1, 2, 3, 4)
    config.datasets[words.data] = datasets.get(words.data)
    config.datasets[words.data].prepare.fractions = (0.7, 0.0, 0.3)
    for few in patients:
        config.jobs[f"generator_{few}"] = _generator(words, few)
        config.jobs[f"cases_{few}"] = _transplanted(words.data, few, max(cases))
        config.judges[f"patients_{few}"] = _judge(words.data, few)
    config.arms = tuple(arm for few in patients for arm in _arms(few, cases))
    return base.shrink(config) if words.runlocal else config


def _generator(words, few):
    config = base.train(words.system, words.data, local=words.runlocal)
    config.data.patients = few
    if not words.runlocal:
        config.train.update({"steps": 20_000, "epochs": 0})
    return config


def _transplanted(data, few, cases):
    """The few patients' lesions in the brains of all."""
    config = base.synthesis(
        "transplanted", data, generator=f"generator_{few}", cases=cases
    )
    config.masks.donors = {"set": data, "patients": few}
    config.masks.transplantation = {"lesion": datasets.DATA[data].lesions}
    return config


def _judge(data, few):
    regions = REGIONS if data == "brats" else {}
    config = base.judge("000", data, regions=regions, names=("dice", "hd95"))
    config.data.patients = few  # Whose label maps are drawn on.
    config.selection.by = "last"
    return config


def _arms(few, cases):
    """The arms with so many patients."""
    own, others = {"generator": f"generator_{few}"}, {"export": f"cases_{few}"}
    alone = f"{max(cases)} on other brains alone"
    yield _arm(few, "real", {"augment": "none"})
    yield _arm(few, "classical", {})
    for count in cases:
        more = {"synthetic_cases": count}
        yield _arm(few, f"+ {count} on own label maps", more, **own)
        yield _arm(few, f"+ {count} on other brains", more, **others)
    more = {"patients": 0, "synthetic_cases": max(cases)}
    yield _arm(few, alone, more, **others)
    yield _arm(few, "then the patients", {"start_from": alone})


def _arm(few, name, row, **origin):
    return base.arm(
        name,
        column=f"{few} patient" + "s" * (few > 1),
        judge=f"patients_{few}",
        row={"patients": few, **row},
        **origin,
    )
