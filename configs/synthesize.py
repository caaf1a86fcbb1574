"""Synthetic cases as files, on any data set.

    python -m jaxsyn.main --config=configs/synthesize.py:data=table \
        --config.generator=WORKDIR --config.data.source_dir=DIR --workdir=DIR

Words after a colon are those of configs/synthesize_brats.py, and
    data=table    a data set of configs/datasets.py
    format=nifti  the default here, which the source `table` reads

Which labels are lesions is known for the papers' sets; for your own, name them where a
filter or manipulation asks for it: --config.filters.lesions, --config.filters.brain,
--config.masks.manipulation.lesion, --config.masks.transplantation.lesion.
"""

from configs import common, datasets, synthesize_brats


def get_config(arg=None):
    """The configuration; `arg` are the words."""
    given = dict.fromkeys(filter(None, (arg or "").split(",")))
    name = "table"
    for word in list(given):
        if word.startswith("data="):
            name = word.removeprefix("data=")
            del given[word]
    if not any(word.startswith("format=") for word in given):
        given["format=nifti"] = None
    config = synthesize_brats.get_config(",".join(given))
    config.data = datasets.get(name)
    if "runlocal" in given:
        common.shrink_data(config)
    lesions = datasets.DATA[name].lesions
    config.filters.lesions = lesions
    for how in (config.masks.manipulation, config.masks.transplantation):
        if "lesion" in how:
            how.lesion = lesions
    return config
