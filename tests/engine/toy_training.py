"""A training of the engine's toy that several processes run as the command would.

    python toy_training.py --config=toy_training.py --workdir=DIR

stands for `python -m jaxsyn.main`; it compiles in a second.
"""

import itertools
import time

import jax
from ml_collections import ConfigDict
import numpy as np
import optax

from jaxsyn import errors, jobs, main
from jaxsyn.engine import processes, writers
from jaxsyn.engine.checkpoint import Checkpoints
from jaxsyn.engine.loop import Cadence, Run
from jaxsyn.engine.mesh import Layout
from jaxsyn.engine.step import Engine
from jaxsyn.engine.system import Stage
from toys import Pix2Pix, make_batch

BATCH = 8


def get_config():
    return ConfigDict(
        {"job": "train", "steps": 6, "seconds": 0.0, "fails": "", "shard": "none"}
    )


class Rows:
    """The rows, for this process, of batches that are a function of the step."""

    resident = {}

    def __init__(self, seconds, fails):
        self.seconds, self.fails = seconds, fails

    def batches(self, start_step, batch_size):
        for step in itertools.count(start_step):
            time.sleep(self.seconds)
            if step == 5 and self.fails == "last" and not processes.is_first():
                raise errors.DataError("slice 7 is damaged")
            whole = make_batch(step, batch_size)
            count, index = jax.process_count(), jax.process_index()
            yield {name: np.split(x, count)[index] for name, x in whole.items()}

    def prepare(self, raw, resident, key):
        noise = jax.random.normal(key, raw["image"].shape)
        return raw | {"image": raw["image"] + 0.1 * noise}


def run(config, workdir):
    with processes.first_goes_first("preparing the toys"):
        if processes.is_first() and config.fails == "first":
            raise errors.DataError("no folder of toys", hint="Make one.")
        workdir.mkdir(exist_ok=True, parents=True)
    layout = Layout.over(shard=config.shard)
    layout.check_batch_size(BATCH)
    checkpoints = Checkpoints(workdir / "checkpoints", keep=10)
    training = Run(
        engine=Engine(
            system=Pix2Pix(noise="step"),
            optimizers=dict.fromkeys(("generator", "discriminator"), optax.sgd(1e-2)),
            ema_decays={"generator": lambda step: 0.99},
        ),
        stages=(Stage(start=0, stop=config.steps, image_size=8, batch_size=BATCH),),
        feed=Rows(config.seconds, config.fails),
        layout=layout,
        checkpoints=checkpoints,
        writer=_writer(workdir, checkpoints.latest() or 0),
        sample=lambda state, step: None,
        meta={"who": "toy"},
        cadence=Cadence(log_every=1, checkpoint_every=100),
    )
    training.train(training.resume_or_init())
    training.writer.close()
    checkpoints.close()


def _writer(workdir, step):
    """No TensorBoard: it takes seconds to import."""
    if not processes.is_first():
        return writers.Silent()
    return writers.JsonlWriter(workdir / "metrics.jsonl", resume_step=step)


if __name__ == "__main__":
    jobs.JOBS["train"] = "toy_training"
    main.cli()
