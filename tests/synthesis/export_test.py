"""Generators as folders that need jax and numpy alone."""

import importlib.util
import io
import json
import os
from pathlib import Path
import shutil
import subprocess
import sys

import jax
from jax import export
import numpy as np
import pytest

from configs import export as export_config
from fixtures import brats_spec, label_maps, save_training
from jaxsyn import jobs
from jaxsyn.errors import CheckpointError, UsageError
from jaxsyn.nn import target
from jaxsyn.synthesis import exported, standalone
from jaxsyn.synthesis.generator import Generator

SPEC = brats_spec(32)
IMAGES = {"name": "spade", "ngf": 4, "ndf": 4, "vae": True, "kernel_init": "he"}
LABELS = {"name": "pgan", "first_size": 32, "fmap_base": 128, "fmap_max": 8}
# What `pip install jax` brings; flatbuffers is not among it.
BARE = ("jax", "jaxlib", "numpy", "ml_dtypes", "opt_einsum", "scipy")
ABSENT = ("jaxsyn", "flax", "optax", "orbax", "tensorflow", "flatbuffers")
AGREE = {"rtol": 1e-5, "atol": 1e-5}  # Of what is in [-1, 1].


@pytest.fixture(scope="module")
def generators(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trainings")
    for name, system in {"images": IMAGES, "labels": LABELS}.items():
        save_training(folder / name, system, SPEC, trained_on=["anna-berta"])
    return {name: Generator.load(folder / name) for name in ("images", "labels")}


@pytest.fixture(scope="module")
def folders(generators, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    return {k: exported.write(g, folder / k) for k, g in generators.items()}


@pytest.fixture
def copy(folders, tmp_path):
    return shutil.copytree(folders["labels"], tmp_path / "copy")


def in_bare_python(code, folder):
    """Runs code where only jax and what it brings can be imported."""
    packages = folder / "packages"
    packages.mkdir()
    for name in BARE:
        root = Path(importlib.util.find_spec(name).origin).parent
        for path in (root, root.with_name(f"{name}.libs")):
            if path.exists():
                (packages / path.name).symlink_to(path)
    return subprocess.run(
        [sys.executable, "-S", "-c", code],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(packages)},
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_it_runs_where_jaxsyn_is_not_installed(generators, folders, tmp_path):
    labels = label_maps(5, 32)
    np.save(tmp_path / "labels.npy", labels)
    code = f"""
import importlib.util, sys
for name in {ABSENT}:
    assert importlib.util.find_spec(name) is None, name
sys.path.insert(0, {str(folders["images"])!r})
import jaxsyn_generator
import numpy as np

generator = jaxsyn_generator.load()
labels = np.load("labels.npy")
images = generator.generate(labels, seed=3)
few = generator.generate(labels, seed=3, batch_size=2, normalised=True)
together = generator.generate(labels[[0, 0]], 3, coherent=True, normalised=True)
np.savez("images.npz", images=images, few=few, together=together)
drawer = jaxsyn_generator.load({str(folders["labels"])!r})
np.savez("drawn.npz", **drawer.sample(3, seed=4, first=2))
"""
    done = in_bare_python(code, tmp_path)
    assert done.returncode == 0, done.stderr
    made, generator = np.load(tmp_path / "images.npz"), generators["images"]
    expected = generator.generate(labels, seed=3, normalised=True)
    assert np.abs(expected[0] - expected[1]).max() > 0.1
    np.testing.assert_allclose(made["few"], expected, **AGREE)
    np.testing.assert_array_equal(made["together"][0], made["together"][1])
    expected = generator.generate(labels, seed=3)
    assert made["images"].dtype == np.float32 and expected.max() > 100
    np.testing.assert_allclose(made["images"], expected, rtol=1e-5, atol=1e-2)
    drawn = dict(np.load(tmp_path / "drawn.npz"))
    expected = generators["labels"].sample(3, seed=4, first=2)
    assert set(drawn) == {"label", "score"} and drawn["label"].dtype == np.uint8
    assert (drawn["label"] == expected["label"]).mean() > 0.999
    np.testing.assert_allclose(drawn["score"], expected["score"], rtol=1e-3)


def test_a_changed_byte_of_any_file_is_found_and_named(copy):
    files = sorted(path for path in copy.rglob("*") if path.is_file())
    names = {str(path.relative_to(copy)) for path in files}
    programs = {f"programs/{p}.jax_export" for p in ("cpu", "cuda", "tpu")}
    written = {"spec.json", "parameters.npz", "manifest.json", "jaxsyn_generator.py"}
    assert names >= {*written, *programs, "vendor/flatbuffers/table.py"}
    for path in files:
        whole = path.read_bytes()
        for place in (0, len(whole) // 2, -1):
            changed = bytearray(whole)
            changed[place] ^= 1
            path.write_bytes(changed)
            with pytest.raises(standalone.DamagedError, match=f"^{path} is "):
                standalone.load(copy)
        path.unlink()
        with pytest.raises(standalone.DamagedError, match=f"^{path} cannot"):
            standalone.load(copy)
        path.write_bytes(whole)
    standalone.load(copy)


def test_what_it_cannot_use_is_said(folders):
    maker, drawer = (standalone.load(folders[name]) for name in ("images", "labels"))
    assert maker.label_names == SPEC.label_names
    assert maker.modalities == SPEC.modalities
    with pytest.raises(ValueError, match=r"values \[5, 255\]; .* 4 brain"):
        maker.generate(np.array([[0, 5], [255, 4]]).repeat(16, 0).repeat(16, 1))
    with pytest.raises(ValueError, match=r"\(3, 16, 32\); expected \[32, 32\] or"):
        maker.generate(np.zeros((3, 16, 32), int))
    with pytest.raises(ValueError, match="No label maps"):
        maker.generate(np.zeros((0, 32, 32), int))
    with pytest.raises(TypeError, match="float64; expected integers"):
        maker.generate(np.zeros((32, 32)))
    with pytest.raises(ValueError, match="seed is 2147483648"):
        maker.generate(np.zeros((32, 32), int), seed=2**31)
    with pytest.raises(TypeError, match="call `generate`"):
        maker.sample(1)
    with pytest.raises(TypeError, match="call `sample`"):
        drawer.generate(np.zeros((32, 32), int))
    with pytest.raises(ValueError, match="count is 0"):
        drawer.sample(0)


def test_it_holds_what_generation_needs_and_no_more(folders):
    networks = {"images": {"generator"}, "labels": {"generator", "critic"}}
    for folder, expected in networks.items():
        with np.load(folders[folder] / "parameters.npz", allow_pickle=False) as arrays:
            found = {name.split("/")[1] for name in arrays if name[:6] == "params"}
        assert found == expected
        for path in folders[folder].rglob("*.*"):
            for secret in (b"anna", str(Path.home()).encode(), b"jaxsyn/nn/"):
                assert secret not in path.read_bytes(), path


def test_each_platform_has_the_program_that_is_fast_on_it(generators, folders):
    def convolutions(platform):
        data = (folders["images"] / standalone.program_file(platform)).read_bytes()
        program = export.deserialize(bytearray(data))
        assert program.platforms == (platform,)
        return program.mlir_module().count("stablehlo.convolution")

    # On CPUs SPADE's modulations are computed once for all that look alike.
    assert convolutions("cpu") < convolutions("cuda") == convolutions("tpu")
    # What is made for others, on this one.
    generator, labels = generators["images"], label_maps(2, 32)
    with target.traced_for("cuda"):
        made = jax.jit(generator.make)(
            jax.device_get(generator.state), {"label": labels}, np.arange(2), 3
        )
    expected = standalone.load(folders["images"]).generate(labels, 3, normalised=True)
    np.testing.assert_allclose(made["image"], expected, **AGREE)


def test_a_platform_that_it_cannot_be_lowered_for_is_left_out(
    generators, tmp_path, monkeypatch, caplog
):
    def lower(make, platform, *arrays):
        if platform != "tpu":
            raise NotImplementedError("no such operation")
        return b"program"

    monkeypatch.setattr(exported, "_lower", lower)
    folder = exported.write(generators["labels"], tmp_path / "made")
    assert "cannot be lowered for cuda: no such operation" in caplog.text
    with pytest.raises(RuntimeError, match="runs on cpu here; .* exported for tpu"):
        standalone.load(folder)
    with pytest.raises(UsageError, match="none of cpu, cuda"):
        exported.write(generators["labels"], tmp_path / "none", ["cpu", "cuda"])
    assert not (tmp_path / "none").exists()


def test_a_program_of_another_jax_is_said(copy):
    program, manifest = copy / "programs/cpu.jax_export", copy / standalone.MANIFEST
    program.write_bytes(b"of the future")
    hashes = json.loads(manifest.read_text())["files"]
    hashes["programs/cpu.jax_export"] = standalone.sha256(b"of the future")
    manifest.write_bytes(standalone.manifest_of(hashes))
    with pytest.raises(RuntimeError, match=f"written with JAX {jax.__version__}"):
        standalone.load(copy)


def test_parameters_are_never_unpickled(copy):
    manifest, file = copy / standalone.MANIFEST, io.BytesIO()
    np.savez(file, a=np.array([{}]))
    (copy / "parameters.npz").write_bytes(file.getvalue())
    hashes = json.loads(manifest.read_text())["files"]
    hashes["parameters.npz"] = standalone.sha256(file.getvalue())
    manifest.write_bytes(standalone.manifest_of(hashes))
    with pytest.raises(ValueError, match="allow_pickle=False"):
        standalone.load(copy)


def test_the_job_replaces_an_earlier_export(tmp_path, capsys):
    save_training(tmp_path / "run", LABELS, SPEC)
    config = export_config.get_config()
    config.generator, config.platforms = str(tmp_path / "run"), ("cpu",)
    (tmp_path / "out/generator").mkdir(parents=True)
    (tmp_path / "out/generator/old").touch()
    jobs.run(config, tmp_path / "out")
    assert "MB" in capsys.readouterr().out
    assert not (tmp_path / "out/generator/old").exists()
    assert standalone.load(tmp_path / "out/generator").about["step"] == 0
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"config.json", "environment.json", "generator"}


def test_a_job_that_makes_no_sense_is_refused(tmp_path):
    config = export_config.get_config()
    with pytest.raises(UsageError, match="No config.generator"):
        jobs.run(config, tmp_path)
    config.generator, config.platforms = str(tmp_path / "none"), ("cpu", "gpu")
    with pytest.raises(UsageError, match="config.platforms='gpu'") as error:
        jobs.run(config, tmp_path)
    assert "cpu, cuda, tpu" in error.value.hint
    config.platforms = ("cpu",)
    with pytest.raises(CheckpointError, match="No checkpoints"):
        jobs.run(config, tmp_path)
