"""A tiny data set's meaning and batches of it, shared by the tests."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxsyn import systems
from jaxsyn.data import device
from jaxsyn.engine.checkpoint import Checkpoints
from jaxsyn.engine.step import Engine
from jaxsyn.engine.system import Stage
from jaxsyn.spec import DataSpec, IntensityMap, Label

NAMES = ("background", "necrotic", "oedema", "enhancing", "brain")
LABELS = tuple(
    # The brain is what has no label in the files.
    Label(name=name, values=() if name == "brain" else (i,), colour=(40 * i,) * 3)
    for i, name in enumerate(NAMES)
)


def brats_spec(image_size: int = 16, modalities=("t1", "t1ce", "t2", "flair")):
    return DataSpec(
        image_size=image_size,
        modalities=modalities,
        labels=LABELS,
        intensities=(IntensityMap(low=0.0, high=1000.0),) * len(modalities),
    )


def label_maps(count: int, size: int = 16, seed: int = 0) -> np.ndarray:
    """Brains with a tumour of three nested regions: uint8 [N, size, size].

    Each is moved on from the one before, so that no pixel is the same in all.
    """
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:size, :size] / (size - 1)
    maps = np.zeros((count, size, size), np.uint8)
    for i, label_map in enumerate(maps):
        label_map[np.hypot(rows - 0.5, columns - 0.5) < 0.45] = 4
        centre = rng.uniform(0.35, 0.65, 2)
        distance = np.hypot(rows - centre[0], columns - centre[1])
        for radius, index in ((0.22, 2), (0.15, 3), (0.08, 1)):
            label_map[distance < radius] = index
        label_map[:] = np.roll(label_map, 3 * size // 8 * i, axis=(0, 1))
    return maps


def make_batch(spec: DataSpec, count: int = 2, seed: int = 0):
    """A batch as systems see it."""
    labels = label_maps(count, spec.image_size, seed)
    rng = np.random.default_rng(seed)
    shape = (*labels.shape, len(spec.modalities))
    image = jnp.asarray(rng.uniform(-1, 1, shape), jnp.float32)
    position = jnp.linspace(0.0, 1.0, count)
    features = device.label_features(jnp.asarray(labels), spec)
    return {"image": image, "position": position, **features}


def make_volumes(spec: DataSpec, count: int = 2, depth: int = 8):
    """The same of volumes [B, D, H, W], each one slice throughout."""
    batch = make_batch(spec, count)
    return {k: jnp.repeat(v[:, None], depth, axis=1) for k, v in batch.items()}


def save_training(folder, system, spec, trained_on=(), depth=0):
    """Saves a state as it is before the first step, as a training's workdir."""
    built = systems.build(system, spec)
    transform = optax.sgd(1e-3)
    engine = Engine(
        system=built,
        optimizers={name: transform for name in built.networks},
        ema_decays={},
    )
    stage = Stage(start=0, stop=1, image_size=spec.image_size, batch_size=2)
    batch = make_volumes(spec, 2, depth) if depth else make_batch(spec, 2)
    state = jax.jit(engine.init, static_argnames="stage")(batch, stage=stage)
    checkpoints = Checkpoints(folder / "checkpoints")
    meta = {
        "config": {"system": system, "depth": depth},
        "spec": spec.to_json(),
        "trained_on": {"unit": "patient", "names": list(trained_on)},
    }
    checkpoints.save(state, 1, meta)
    checkpoints.wait()
    checkpoints.close()
