"""How fast synthetic cases are rendered and written."""

import importlib
from pathlib import Path
import tempfile

import jax
import numpy as np
import optax

from benchmarks import report, slices
from jaxsyn import systems
from jaxsyn.data import device, sources
from jaxsyn.data.preprocess import PrepareSettings, dequantise, prepare_case
from jaxsyn.engine.step import Engine
from jaxsyn.engine.system import Stage
from jaxsyn.synthesis.cases import SyntheticCase
from jaxsyn.synthesis.export import Exporter, Folders
from jaxsyn.synthesis.generator import Generator

SIZE = 256
SYSTEMS = ("spade_brats", "borde_brats", "pix2pix_brats")
RENDERED = 16  # Slices; a volume has more.
COLUMNS = ("what", "slices/s", "volumes/min")
NOTES = (
    "A BraTS case of {count} slices at 256 px. Rendering: published widths, weights of"
    " the first step, {rendered} slices a call, compiled before. Writing: four images"
    " and a label map of 240x240x155 voxels, gzip, with contact sheet and lineage."
)


def measure(source_dir: Path, rounds: int) -> report.Table:
    """Renders with some systems, and writes a case several times."""
    source = sources.load(slices.SOURCE)
    case = slices.usable_cases(source_dir)[0]
    volumes = source.read_case(case)
    settings = PrepareSettings(image_size=SIZE)
    made = prepare_case(volumes, settings, case=case.name, patient=case.patient)
    spec = slices.spec_of(made, source_dir, SIZE)
    count = len(made.label)
    rows = [
        _row(f"rendering, {name.removesuffix('_brats')}", took, RENDERED, count)
        for name in SYSTEMS
        for took in [_render(name, spec, made.label, rounds)]
    ]
    image = dequantise(made.image)

    def write(folder, number):
        layout = Folders(root=folder / "brats", spec=spec, own_values=True)
        name = f"syn_{number:04d}"
        Exporter(folder, layout, spec).write(
            SyntheticCase(
                name=name, label=made.label, info=made.info, lineage={}, image=image
            )
        )

    with tempfile.TemporaryDirectory() as folder:
        numbers = iter(range(rounds))
        took = report.seconds(lambda: write(Path(folder), next(numbers)), rounds)
    rows.append(_row("writing", took, count, count))
    notes = NOTES.format(count=count, rendered=RENDERED)
    return report.Table("Synthesis", COLUMNS, rows, notes)


def _render(config, spec, labels, rounds):
    """Seconds of each call."""
    config = importlib.import_module(f"configs.{config}").get_config().to_dict()
    system = systems.build(config["system"], spec)
    sgd = optax.sgd(0.0)
    engine = Engine(
        system=system, optimizers=dict.fromkeys(system.networks, sgd), ema_decays={}
    )
    stage = Stage(start=0, stop=1, image_size=SIZE, batch_size=1)
    shape = (1, SIZE, SIZE, len(spec.modalities))
    features = device.label_features(jax.numpy.asarray(labels[:1]), spec)
    init = jax.jit(
        engine.init,
        static_argnames="stage",
        compiler_options={"xla_backend_optimization_level": 0},
    )
    state = init({"image": np.zeros(shape, np.float32), **features}, stage=stage)
    generator = Generator(system, spec, state, {})
    chosen = labels[len(labels) // 2 :][:RENDERED]
    generator.generate(chosen, coherent=True)
    return report.seconds(lambda: generator.generate(chosen, coherent=True), rounds)


def _row(what, took, done, count):
    median, _ = report.median_and_best(took)
    rate = done / median
    return what, rate, 60 * rate / count
