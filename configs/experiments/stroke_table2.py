"""How many patients, which augmentation and whose anatomies does a U-Net need?

Table II of Platscher et al. 2020, https://arxiv.org/abs/2010.02745, paper 004.

    python -m jaxsyn.main --config=configs/experiments/stroke_table2.py \
        --config.datasets.negative.source_dir=NEGATIVE --workdir=DIR

and what configs/experiments/stroke_table1.py asks for; NEGATIVE holds, in a folder
`stroke`, the patients of the stroke database without a lesion whose anatomies are used,
with masks of zeros, and takes a split_file as the others do.

Words after a colon, separated by commas:
    runlocal  minutes on a CPU, on a small phantom of tumours, with one row of each kind
"""

from configs import common
from configs.experiments import base
from configs.experiments import stroke_table1 as table1

NEGATIVE_CASES = 428
# Dice in per cent, volume's error in per cent, HD and ASSD in mm, precision and recall
# (which is the sensitivity) in per cent.
PRINTED = """
10 %                         26.5  58.2 42.7 14.0 52.7 21.2
25 %                         43.1  42.9 40.5  8.6 68.1 38.3
50 %                         61.1  44.6 47.6  7.8 71.3 57.8
100 %                        62.7  78.7 33.2  4.7 75.6 59.6
100 %, geometry and noise    62.3  86.5 35.3  6.5 74.7 59.4
100 %, no augmentation       58.9  51.1 38.3  6.3 73.7 54.7
100 %, noise                 55.9 166.4 43.4  6.4 72.3 51.0
100 %, geometry, intensity   53.3  33.1 34.9  6.5 80.1 45.1
100 %, intensity             54.9 387.2 42.2  8.0 71.4 51.0
10 % + normal                55.3  29.9 38.6  7.0 79.2 46.6
25 % + normal                56.3  27.9 39.4  7.5 79.8 48.5
50 % + normal                58.0  28.3 36.6  6.3 79.1 51.3
100 % + normal               67.3  15.5 32.2  4.1 81.8 61.8
10 % + negative              51.9  27.4 47.6  8.1 72.8 44.6
25 % + negative              55.9  27.5 42.5  5.2 76.9 50.4
50 % + negative              56.0  35.3 38.0  5.6 77.1 50.9
100 % + negative             58.6  41.8 37.3  7.0 77.0 54.1
100 % + 4 x negative         53.7 137.7 54.6  8.7 68.3 48.6
"""
# Training patients: 310 of 365, the others being the validation.
PATIENTS = {"10 %": 31, "25 %": 78, "50 %": 155, "100 %": -1}
AUGMENT = {
    "no augmentation": "none",
    "noise": "004-noise",
    "intensity": "004-intensity",
    "geometry and noise": "004-geometric-noise",
    "geometry, intensity": "004-geometric-intensity",
}
SYNTHETIC = {
    "normal": table1.NORMAL_CASES,
    "negative": NEGATIVE_CASES,
    "4 x negative": 4 * NEGATIVE_CASES,
}
LOCAL = ("100 %", "100 %, noise", "10 % + normal", "100 % + negative")
ABOUT = """A U-Net in 3D is trained on a share of the patients; on all of them with
other augmentations than shifts, turns, shears and flips; and with synthetic cases of
Pix2Pix besides, whose lesions lie in anatomies of people without stroke (normal) or of
patients in whom none was seen (negative), the latter with one or with four lesions
each. The paper's volume errors exceed 100 % where lesions are small. Its deviations are
over test patients; those here are over seeds, and intervals over patients stand beside
them."""


def get_config(arg=None):
    """The configuration; `arg` are the words."""
    words = common.parse(arg)
    local, generator = words.runlocal, "Pix2Pix10"
    config = table1.experiment(
        "Table II: patients, augmentations, anatomies",
        ABOUT,
        local,
        baseline="100 %",
        others=("negative",),
    )
    table1.add_generator(config, generator, local)
    for data, cases in (("normal", 2027), ("negative", 4 * NEGATIVE_CASES)):
        config.jobs[f"cases_{data}"] = table1.injected(data, generator, cases, local)
    names = LOCAL if local else tuple(_printed())
    config.arms = tuple(_arm(name) for name in names)
    return base.shrink(config) if words.runlocal else config


def _arm(name):
    real, _, synthetic = name.partition(" + ")
    share, _, augment = real.partition(", ")
    row = {
        "augment": AUGMENT.get(augment, "004-geometric"),
        "patients": PATIENTS[share],
        "synthetic_cases": SYNTHETIC.get(synthetic, 0),
    }
    export = f"cases_{synthetic.split()[-1]}" if synthetic else ""
    return base.arm(name, row=row, export=export, printed={"lesion": _printed()[name]})


def _printed():
    """By row, a value a metric."""
    found = {}
    for line in PRINTED.strip().splitlines():
        values = dict(zip(table1.METRICS, map(float, line[27:].split()), strict=True))
        for ratio in ("dice", "precision", "sensitivity"):
            values[ratio] = round(values[ratio] / 100, 3)
        found[line[:27].strip()] = values
    return found
