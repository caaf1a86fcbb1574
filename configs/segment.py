"""Segments NIfTI cases with a U-Net that a judge has trained.

python -m jaxsyn.main --config=configs/segment.py \
        --config.segmenter=JUDGE/cells/classical-0 --config.source_dir=DIR \
        --workdir=OUT
"""

from ml_collections import ConfigDict


def get_config():
    """The configuration."""
    return ConfigDict(
        {
            "job": "segment",
            "segmenter": "",  # A folder in the cells of a judge's workdir.
            "source_dir": "",  # The cases; segmentations are optional.
            "source": "",  # The kind of folder; empty: that of the training.
            "on_bad_case": "error",  # Or skip.
        }
    )
