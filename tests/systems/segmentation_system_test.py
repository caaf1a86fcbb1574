import jax
import numpy as np
import optax
import pytest

from fixtures import LABELS, brats_spec, make_batch
from jaxsyn import systems
from jaxsyn.engine.step import Engine
from jaxsyn.engine.system import Stage
from jaxsyn.errors import UsageError
from jaxsyn.spec import DataSpec, Label

STAGE = Stage(start=0, stop=10, image_size=16, batch_size=4)
# The brain around the tumour is derived: files have no value for it.
VALUES = tuple(
    Label(name=label.name, values=() if label.name == "brain" else (i,))
    for i, label in enumerate(LABELS)
)


def spec_with_values():
    spec = brats_spec(16)
    return DataSpec(
        image_size=16,
        modalities=spec.modalities,
        labels=VALUES,
        intensities=spec.intensities,
    )


def build(**options):
    config = {"name": "unet", "widths": (4, 8, 8), **options}
    return systems.build(config, spec_with_values())


def fit(system, steps, batch):
    engine = Engine(
        system=system, optimizers={"segmenter": optax.adam(1e-2)}, ema_decays={}
    )
    state = jax.jit(engine.init, static_argnames="stage")(batch, stage=STAGE)
    step = jax.jit(engine.step, static_argnames=("stage", "due"))
    losses = []
    for i in range(steps):
        state, scalars = step(state, batch, stage=STAGE, due=engine.due(i))
        losses.append(float(scalars[f"segmenter/{system.loss}"]))
    generate = jax.jit(engine.generate, static_argnames="stage")
    return np.asarray(generate(state, batch, stage=STAGE)), losses


@pytest.mark.parametrize(
    "loss", ["cross_entropy", "soft_dice", "weighted_dice", "dice_cross_entropy"]
)
def test_it_learns_what_the_images_show(loss):
    batch = dict(make_batch(brats_spec(16), 4))
    # The first channel shows the label, the others noise.
    shown = batch["label"][..., None] / 2.0 - 1.0
    batch["image"] = batch["image"].at[..., :1].set(shown)
    weights = {"class_weights": (1.0,) * 4} if "entropy" in loss else {}
    probabilities, losses = fit(build(loss=loss, **weights), 240, batch)
    assert losses[-1] < losses[0]
    # Five labels, four classes: the derived brain is background.
    assert probabilities.shape == (4, 16, 16, 4)
    np.testing.assert_allclose(probabilities.sum(-1), 1.0, atol=1e-5)
    target = np.where(batch["label"] == 4, 0, batch["label"])
    assert np.mean(probabilities.argmax(-1) == target) > 0.95


def test_classes_are_the_labels_with_values():
    spec = spec_with_values()
    assert spec.classes == (0, 1, 2, 3)
    assert spec.class_of_label == (0, 1, 2, 3, 0)


@pytest.mark.parametrize("option", [{"loss": "dise"}, {"network": "u"}, {"norms": ""}])
def test_an_unknown_word_lists_the_known(option):
    (name,) = option
    with pytest.raises(UsageError, match=f"config.system.{name}") as error:
        build(**option)
    assert "Known are" in error.value.hint
