"""When does PGAN draw the most realistic label maps?

Section 4.1 of Foroozandeh and Eklund 2020, https://arxiv.org/abs/2009.05946, paper 001.

    python -m jaxsyn.main --config=configs/experiments/pgan_swd.py \
        --config.datasets.brats18_001.source_dir=HGG --workdir=DIR

HGG is the folder of high-grade gliomas of BraTS 2018, to which
`python -m jaxsyn.data.tissues HGG` has added tissues.

Words after a colon, separated by commas:
    split=patient  or slice, as in the paper, which has patients on both sides
    runlocal       minutes on a CPU, on a small phantom without tissues
"""

from configs import common
from configs.experiments import base
from configs.experiments import pgan_spade_table1 as table1

ABOUT = """PGAN learns to draw label maps of seven classes from all training patients,
and from a fifth of them. While it learns, its label maps are compared with the real
ones by the sliced Wasserstein distance (SWD, times 1000; less is better), and the best
state is kept. The paper finds its least distances, 3.2130 from all and 3.5915 from a
fifth, after 7.2401 and 7.3601 of 12 million images: at once after images of full size
are complete, and not at the end."""


def get_config(arg=None):
    """The configuration; `arg` are the words."""
    words = common.parse(arg, split="patient")
    config = base.experiment("Selecting PGAN's snapshot by SWD", ABOUT)
    source = table1.add_data(config, words)
    for share in table1.SHARES:
        config.jobs[f"pgan_{share}"] = table1.pgan(source, share, words)
    config.curves = {name: "swd" for name in config.jobs}
    return base.shrink(config) if words.runlocal else config
