"""Whose synthetic images of BraTS look the most real: SPADE's, SEAN's or BORDE's?

Table III of Chaparro-Cruz and Montoya-Zegarra 2022 (BORDE), paper 000.

    python -m jaxsyn.metrics.inception --get
    python -m jaxsyn.main --config=configs/experiments/borde_table3.py \
        --config.datasets.brats.source_dir=DIR --workdir=DIR

Words after a colon, separated by commas:
    runlocal  minutes on a CPU, on a small phantom, with SPADE alone
"""

from configs import common, datasets
from configs.experiments import base, borde_table1

PRINTED = {"SPADE": 11.84, "SEAN": 8.81, "BORDE": 7.12}
ABOUT = """Generators draw images on the label maps of test patients, which are compared
with their real images by the Fréchet distance of Inception's features (FID), the mean
over the four modalities; less is better. The paper takes 10,000 slices, those with the
most regions, and says neither which modality it measures nor of which patients; values
depend on the number of slices and can be compared within this table alone."""


def get_config(arg=None):
    """The configuration; `arg` are the words."""
    words = common.parse(arg)
    config = base.experiment("Table III of BORDE: FID on BraTS 2020", ABOUT)
    config.datasets.brats = datasets.get("brats")
    names = borde_table1.GENERATORS[: 1 if words.runlocal else None]
    for name in names:
        job = name.lower()
        config.jobs[job] = base.train(job, "brats", local=words.runlocal)
        config.jobs[f"quality_{job}"] = base.quality(job, "brats", "fid", "kid", "swd")
    config.quality = tuple(
        {
            "name": name,
            "job": f"quality_{name.lower()}",
            "printed": {"fid": PRINTED[name]},
        }
        for name in names
    )
    return base.shrink(config) if words.runlocal else config
