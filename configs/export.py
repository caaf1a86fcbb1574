"""A trained generator as a folder that runs with jax and numpy alone.

    python -m jaxsyn.main --config=configs/export.py \
        --config.generator=WORKDIR --workdir=DIR

DIR/generator can be copied anywhere. There

    import sys; sys.path.insert(0, "DIR/generator")
    import jaxsyn_generator

    images = jaxsyn_generator.load().generate(labels, seed=0)
"""

from ml_collections import ConfigDict


def get_config(arg=None):
    """The configuration; there are no words."""
    del arg
    return ConfigDict(
        {
            "job": "export_generator",
            "generator": "",  # The workdir of a training.
            "folder": "checkpoints",  # Or best.
            "options": {},  # Of its system, e.g. {"truncation": 0.7}.
            "platforms": ("cpu", "cuda", "tpu"),
        }
    )
