"""Synthetic BraTS cases as files: label maps, filters, images, export.

    python -m jaxsyn.main --config=configs/synthesize_brats.py \
        --config.generator=WORKDIR --config.data.source_dir=DIR --workdir=DIR

WORKDIR is a training's whose system makes images of label maps. The data must be
prepared and divided as for that training.

Words after a colon, separated by commas:
    masks=real      patients' label maps as they are; manipulated: with another lesion;
                    transplanted: with one of the segmentations, without images, in
                    --config.masks.donors.source_dir; injected: with one that
                    --config.masks.generator draws in 3D; generated: drawn slice by
                    slice by --config.masks.generator
    format=brats    or nifti, or nnunet
    runlocal        on a small phantom
"""

from ml_collections import ConfigDict

from configs import common


def get_config(arg=None):
    """The configuration; `arg` are the words."""
    words = common.parse(arg, masks="real", format="brats")
    config = ConfigDict()
    config.job = "synthesize"
    config.seed = 0
    config.cases = 8
    config.data = common.brats()
    config.generator = ""
    config.masks = ConfigDict(
        {
            "kind": words.masks,
            "part": "train",
            "generator": "",
            "folder": "checkpoints",  # Or best.
            "options": {},  # Of that generator's system, e.g. {"truncation": 0.7}.
            "manipulation": {},
            "injection": {},
            "transplantation": {},
            "donors": {},  # A data configuration: lesions are taken from there,
            "brains": {},  # and put in here, if not into config.data's brains.
            "slices": 155,
            "most_draws": 10,
        }
    )
    if words.masks == "manipulated":
        config.masks.manipulation.lesion = common.TUMOUR
    if words.masks == "transplanted":
        # Where BraTS' brains are in its images, for --config.masks.brains of others.
        config.masks.transplantation = {
            "lesion": common.TUMOUR,
            "middle_mm": (-6.0, 9.0, 0.0),
        }
        config.masks.donors = donors()
    if words.masks == "injected":
        config.masks.injection.parenchyma = ("brain",)
    config.filters = ConfigDict(
        {
            "z_score": 0.0,  # 500 in paper 001, at 256 px.
            "reject_scores": 0.0,
            "connected": 0.0,
            "inside": 0.0,
            "lesions": common.TUMOUR,
            "brain": ("brain",),
        }
    )
    config.export = ConfigDict(
        {"format": words.format, "dataset": {"number": 501, "name": "Synthetic"}}
    )
    if words.format != "nnunet":
        del config.export.dataset
    if words.runlocal:
        common.shrink_data(config)
        if words.masks == "transplanted":
            common.shrink_data(ConfigDict({"data": config.masks.donors}))
        config.cases = 2
        config.masks.slices = 8
    return config


def donors() -> ConfigDict:
    """Segmentations of BraTS without images; all of them, and all of their lesions."""
    config = common.brats()
    del config.augment
    config.source = "label_maps"
    config.prepare.update({"min_foreground": 1e-9, "fractions": (1.0, 0.0, 0.0)})
    return config
