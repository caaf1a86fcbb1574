"""What earlier versions left is read by this one.

Each archive in `frozen` is of a version: `run`, a training of pix2pix with two channels
on a phantom; `prepared`, its data; and in `expected.npz` label maps, what the generator
made of them with seed 3, and the slices of the set's test part. For the next version:

    python -m jaxsyn.main --config=configs/pix2pix_brats.py:runlocal --workdir=run \
        --config.system.ngf=2 --config.system.ndf=2 \
        --config.data.prepared_dir=prepared \
        --config.data.prepare.image_size=24 --config.data.prepare.fit=resize
"""

import json
from pathlib import Path
import shutil
import tarfile

from ml_collections import ConfigDict
import numpy as np
import pytest

import jaxsyn
from jaxsyn import integrity, train
from jaxsyn.data.prepared import PreparedSet
from jaxsyn.engine.checkpoint import Checkpoints

ARCHIVES = sorted((Path(__file__).parent / "frozen").glob("*.tar.xz"))


@pytest.fixture(params=ARCHIVES, ids=lambda path: path.name, scope="module")
def frozen(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("frozen")
    with tarfile.open(request.param) as archive:
        archive.extractall(folder, filter="data")
    return folder


def expected(folder):
    with np.load(folder / "expected.npz") as arrays:
        return dict(arrays)


def prepared_of(folder):
    (path,) = (manifest.parent for manifest in folder.glob("prepared/*/manifest.json"))
    return path


def test_a_prepared_set_is_read_and_whole(frozen):
    assert not integrity.damage(prepared_of(frozen))
    slices = PreparedSet.open(prepared_of(frozen)).cache("test")
    known = expected(frozen)
    np.testing.assert_array_equal(slices.image[:4], known["slices"])
    np.testing.assert_array_equal(slices.label[:4], known["labels"])


def test_a_generator_draws_what_it_drew(frozen):
    known = expected(frozen)
    generator = jaxsyn.Generator.load(frozen / "run")
    images = generator.generate(known["labels"], seed=3, normalised=True)
    np.testing.assert_allclose(images, known["images"], atol=1e-4)


def test_a_training_goes_on(frozen, tmp_path):
    shutil.copytree(frozen / "run", tmp_path / "run")
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    config["train"]["steps"] = 6
    config["data"]["prepared_dir"] = str(prepared_of(frozen))
    train.run(ConfigDict(config), tmp_path / "run")
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    steps = [json.loads(line)["step"] for line in lines if "generator" in line]
    assert steps == [2, 4, 6]
    checkpoints = Checkpoints(tmp_path / "run" / "checkpoints", readonly=True)
    assert checkpoints.latest() == 6
