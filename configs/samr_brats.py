"""SAMR on BraTS, at 256 px, with the paper's losses and schedule.

    python -m jaxsyn.main --config=configs/samr_brats.py \
        --config.data.source_dir=DIR --workdir=DIR

Words after a colon, separated by commas:
    preset=samr   the paper's, its channels bounded so that it can be trained;
                  samr-literal: five halvings and no bound, but a quarter of the
                  channels; samr-code: networks and losses of the published code
    row=full      the row of Table 2, Exp. 4: full, no-stretch-out, no-label-wise,
                  no-atlas or no-consistency
    runlocal      seconds on a CPU, on a small phantom
"""

from configs import common

PRESETS = {
    "samr": {"ngf": 64, "downs": 5, "widest": 256},
    "samr-literal": {"ngf": 16, "downs": 5, "widest": 512},
    "samr-code": {
        "ngf": 64,
        "downs": 3,
        "widest": 512,
        "game": "lsgan",
        "feature_distance": "l1",
    },
}
ROWS = {
    "full": {},
    "no-stretch-out": {"stretch_out": False},
    "no-label-wise": {"label_wise": False},
    "no-atlas": {"atlas": False},
    "no-consistency": {"consistency": 0.0},
}


def get_config(arg=None):
    """The configuration; `arg` are the words."""
    words = common.parse(arg, preset="samr", row="full")
    config = common.base()
    config.system.name = "samr"
    config.system.update({**PRESETS[words.preset], **ROWS[words.row]})
    regions = ["background", "brain", "lesion"]
    if words.row == "no-label-wise":
        regions = ["whole"]
    networks = [f"{region}_{scale}" for region in regions for scale in ("full", "half")]
    networks += ["generator"]
    if words.row != "no-consistency":
        networks += ["segmenter"]
    for name in networks:
        config.optimizers[name] = common.adam(2e-4, 0.5, 0.999, decay_from=0.5)
    config.train.epochs = 500
    if words.runlocal:
        common.shrink(config)
        config.system.update({"ngf": 4, "ndf": 4, "downs": 2, "blocks": 1})
        config.system.update({"segmenter_ngf": 4, "segmenter_downs": 3})
    return config
