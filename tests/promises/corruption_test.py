"""One flipped bit, a cut or a loss in any file is found, and named, before use."""

import os
from pathlib import Path
import random
import re
import shutil

import numpy as np
import pytest

from configs import quickstart
from fixtures import brats_spec
from jaxsyn import integrity, storage
from jaxsyn.data import nifti
from jaxsyn.data.cache import Cache
from jaxsyn.data.feed import DataSettings
from jaxsyn.data.prepared import PreparedSet
from jaxsyn.engine.checkpoint import Checkpoints
from jaxsyn.engine.step import TrainState
from jaxsyn.errors import CheckpointError, DataError
from jaxsyn.metrics import inception_weights
from jaxsyn.synthesis import export, standalone
from jaxsyn.synthesis.generator import Generator


def flip(path: Path) -> None:
    """Flips a bit, one of each file's own, and sets the time back."""
    status, content = path.stat(), bytearray(path.read_bytes())
    bit = random.Random(path.name).randrange(8 * len(content))
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def cut(path: Path) -> None:
    os.truncate(path, random.Random(path.name).randrange(path.stat().st_size))


HARMS = [flip, cut, Path.unlink]
each_harm = pytest.mark.parametrize("harm", HARMS, ids=lambda harm: harm.__name__)


def files_of(folder: Path) -> list[Path]:
    """All files that hold something; hidden ones are not read by anybody."""
    found = [path for path in folder.rglob("[!.]*") if path.is_file()]
    return sorted(path for path in found if path.stat().st_size)


def named(path: Path) -> str:
    return re.escape(f"{path} is ")


def refused(path: Path, harm, error, use) -> str:
    """Fails unless `use` raises an error naming the harmed file; mends it again.

    Returns:
      The error's hint.
    """
    whole = path.read_bytes()
    harm(path)
    with pytest.raises(error, match=named(path)) as caught:
        use()
    path.write_bytes(whole)
    return caught.value.hint


def state(step):
    params = {"g": {"kernel": np.arange(300.0) + step, "bias": np.zeros(2)}}
    empty = {"stats": {}, "opt": {}, "ema": {}, "memory": {}}
    return TrainState(step=np.int32(step), params=params, **empty)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A run's folder with checkpoints of the steps 3 and 6."""
    folder = tmp_path_factory.mktemp("run")
    checkpoints = Checkpoints(folder / "checkpoints")
    checkpoints.save(state(3), 3, {"who": "toy"})
    checkpoints.save(state(6), 6, {"who": "toy"})
    checkpoints.close()
    return folder


USES = {
    "resume": lambda folder: Checkpoints(folder / "checkpoints").latest(),
    "generate": Generator.load,
    "meta": lambda folder: opened(folder).meta(6),
    "arrays": lambda folder: opened(folder).restore_arrays(6),
    "state": lambda folder: opened(folder).restore(6, state(6)),
}


def opened(folder):
    return Checkpoints(folder / "checkpoints", readonly=True)


@each_harm
def test_a_damaged_checkpoint_is_refused_and_the_one_before_offered(saved, harm):
    files = files_of(saved / "checkpoints" / "6")
    assert {path.name for path in files} >= {"sha256.json", "_CHECKPOINT_METADATA"}
    assert {path.parts[-2] for path in files} > {"6", "state", "meta"}
    for path in files:
        hint = refused(path, harm, CheckpointError, lambda: opened(saved).choose())
        assert "Step 3 is whole" in hint
    files = files_of(saved / "checkpoints" / "3")
    for path in [p for p in files if p.name != "sha256.json"]:
        hint = refused(path, harm, CheckpointError, lambda: opened(saved).choose(3))
        assert "Step 6 is whole" in hint
    assert opened(saved).choose() == 6
    assert opened(saved).meta(6) == {"who": "toy"}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_whoever_uses_a_damaged_checkpoint_hears_of_it(saved, use):
    for path in files_of(saved / "checkpoints" / "6" / "meta"):
        hint = refused(path, flip, CheckpointError, lambda: use(saved))
        assert "Step 3 is whole" in hint


def test_the_hint_of_a_damaged_checkpoint_leads_back_to_the_good_one(saved, tmp_path):
    folder = shutil.copytree(saved / "checkpoints", tmp_path / "checkpoints")
    flip(max(files_of(folder / "6"), key=lambda path: path.stat().st_size))
    with pytest.raises(CheckpointError) as error:
        Checkpoints(folder).latest()
    _, *arguments = error.value.hint[error.value.hint.index("mv ") :].split()
    shutil.move(*arguments)
    checkpoints = Checkpoints(folder)
    assert checkpoints.latest() == 3
    restored = checkpoints.restore_arrays(3)["params"]["g"]["kernel"]
    np.testing.assert_array_equal(restored, np.arange(300.0) + 3)
    checkpoints.save(state(6), 6, {})
    checkpoints.close()
    assert Checkpoints(folder, readonly=True).choose() == 6


def test_where_no_checkpoint_is_whole_that_is_said(saved, tmp_path):
    folder = shutil.copytree(saved / "checkpoints", tmp_path / "best")
    flip(files_of(folder / "3")[-1])
    flip(files_of(folder / "6")[-1])
    with pytest.raises(CheckpointError) as error:
        Generator.load(tmp_path, folder="best")
    assert "No other there is whole" in error.value.hint


def test_a_checkpoint_has_its_manifest_before_it_has_its_name(tmp_path, monkeypatch):
    def write(folder, parts):
        assert not (tmp_path / "3").exists()
        raise OSError("killed here")

    checkpoints = Checkpoints(tmp_path)
    monkeypatch.setattr(integrity, "write", write)
    checkpoints.save(state(3), 3, {})
    with pytest.raises(OSError, match="killed here"):
        checkpoints.wait()
    assert not (tmp_path / "3").exists()


def test_a_run_that_is_killed_right_after_a_save_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(Checkpoints, "_list_rest", lambda self: None)
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(state(3), 3, {})
    checkpoints.close()
    assert (tmp_path / "3" / "sha256.json").exists()
    assert Checkpoints(tmp_path).latest() == 3


def test_checkpoints_of_an_earlier_version_are_used_and_that_is_said(
    saved, tmp_path, caplog
):
    folder = shutil.copytree(saved / "checkpoints", tmp_path / "checkpoints")
    for step in ("3", "6"):
        (folder / step / "sha256.json").unlink()
    assert Checkpoints(folder, readonly=True).latest() == 6
    assert f"{folder / '6' / 'sha256.json'} is missing" in caplog.text


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    config = quickstart.get_config("runlocal").data.to_dict()
    data = DataSettings.from_config(config)
    return data.open(tmp_path_factory.mktemp("prepared"))


@each_harm
def test_damage_to_a_prepared_set_is_named(prepared, harm):
    files = [p for p in files_of(prepared.path) if "cache" not in p.parts]
    files = [p for p in files if p.name != "sha256.json"]
    assert {p.name for p in files} >= {"manifest.json", "split.json"}
    assert any("array_record" in p.name for p in files)
    for path in files:
        hint = refused(path, harm, DataError, lambda: PreparedSet.open(prepared.path))
        assert "Delete the set" in hint
    assert PreparedSet.open(prepared.path).key == prepared.key


@each_harm
def test_damage_to_a_cache_is_named(prepared, harm):
    folder = prepared.path / "cache" / "train"
    files = files_of(folder)
    files = [p for p in files if harm is not Path.unlink or p.name != "sha256.json"]
    assert {path.name for path in files} >= {"image.npy", "label.npy", "index.json"}
    for path in files:
        hint = refused(path, harm, DataError, lambda: prepared.cache("train"))
        assert "Delete that folder" in hint
    assert len(prepared.cache("train")) == prepared.counts["train"]


@pytest.mark.parametrize("harm", [flip, cut])
def test_damage_to_a_sets_manifest_is_named(prepared, harm):
    path = prepared.path / "sha256.json"
    hint = refused(path, harm, DataError, lambda: PreparedSet.open(prepared.path))
    assert "Delete the set" in hint


def test_a_lost_manifest_is_said(prepared, caplog, tmp_path):
    folder = shutil.copytree(prepared.path / "cache" / "train", tmp_path / "train")
    (folder / "sha256.json").unlink()
    Cache.open(folder)
    assert f"{folder / 'sha256.json'} is missing" in caplog.text
    integrity.write(folder)
    caplog.clear()
    Cache.open(folder)
    assert not caplog.text


def test_what_was_remembered_is_not_believed_of_copies(prepared, tmp_path, monkeypatch):
    """Nor is it where the memory itself is damaged."""
    monkeypatch.setattr(storage, "_SETTLED_NS", 0)
    memo = ".sha256-memo.json"
    ignore = shutil.ignore_patterns(memo)
    whole = prepared.path / "cache" / "train"
    folder = shutil.copytree(whole, tmp_path / "train", ignore=ignore)
    Cache.open(folder)
    content = (folder / memo).read_bytes()
    for place in range(0, len(content), 7):
        changed = content[:place] + b"7" + content[place + 1 :]
        (folder / memo).write_bytes(changed)
        Cache.open(folder)
    (folder / memo).write_bytes(content)
    copy = shutil.copytree(folder, tmp_path / "copy")
    flip(copy / "image.npy")
    with pytest.raises(DataError, match=named(copy / "image.npy")):
        Cache.open(copy)


def test_whole_files_are_read_once(prepared, tmp_path, monkeypatch):
    monkeypatch.setattr(storage, "_SETTLED_NS", 0)
    whole = prepared.path / "cache" / "train"
    folder = shutil.copytree(whole, tmp_path / "train")
    Cache.open(folder)
    monkeypatch.setattr(storage.hashlib, "file_digest", None)
    Cache.open(folder)
    with pytest.raises(TypeError):
        integrity.damage(folder)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A finished export of two cases, as the synthesis job leaves it."""
    folder = tmp_path_factory.mktemp("synthetic")
    exporter = exporter_of(folder)
    for name in ("syn_0000", "syn_0001"):
        (folder / "brats" / name).mkdir(parents=True)
        path = folder / "brats" / name / f"{name}_t1.nii.gz"
        nifti.write(path, np.zeros((4, 4, 2), np.uint8), np.eye(4))
        exporter.record(name, {"patients": ["anna"]})
    exporter.finish({"patients": ["anna"]})
    return folder


def exporter_of(folder):
    spec = brats_spec()
    layout = export.Folders(root=folder / "brats", spec=spec, own_values=True)
    return export.Exporter(folder, layout, spec)


@each_harm
def test_damage_to_an_export_is_named(exported, harm):
    files = files_of(exported)
    files = [p for p in files if harm is not Path.unlink or p.name != "sha256.json"]
    assert {p.suffix for p in files} == {".gz", ".json"} and len(files) >= 5
    for path in files:
        refused(path, harm, DataError, lambda: export.check_lineages(exported, ["b"]))
        refused(path, harm, DataError, lambda: export.check_whole(exported))
    export.check_lineages(exported, ["b"])


def test_a_case_that_was_put_into_an_export_is_named(exported, tmp_path):
    folder = shutil.copytree(exported, tmp_path / "export")
    added = folder / "brats" / "syn_0002" / "syn_0002_t1.nii.gz"
    added.parent.mkdir()
    added.write_bytes(b"from elsewhere")
    with pytest.raises(DataError, match=named(added)):
        export.check_whole(folder)


def test_a_job_that_goes_on_does_not_take_damage_for_its_own(exported, tmp_path):
    folder = shutil.copytree(exported, tmp_path / "export")
    (folder / "lineage" / "syn_0001.json").unlink()  # To have it made again.
    damaged = folder / "brats" / "syn_0000" / "syn_0000_t1.nii.gz"
    whole = damaged.read_bytes()
    flip(damaged)
    with pytest.raises(DataError, match=named(damaged)):
        exporter_of(folder)
    damaged.write_bytes(whole)
    assert [*exporter_of(folder).done] == ["syn_0000"]


def test_manifests_have_one_form():
    hashes = {"b/c.json": "12", "a": "34"}
    assert integrity._manifest_of(hashes) == standalone.manifest_of(hashes)


def test_the_command_names_what_is_damaged(exported, tmp_path, capsys):
    folder = shutil.copytree(exported, tmp_path / "export")
    assert integrity.main([str(tmp_path)]) == 0
    assert re.match(r"whole +\S+: \d+ files, .* GB/s\n", capsys.readouterr().out)
    flip(folder / "manifest.json")
    assert integrity.main([str(tmp_path)]) == DataError.exit_code
    assert f"{folder / 'manifest.json'} is damaged" in capsys.readouterr().out
    (tmp_path / "none").mkdir()
    assert integrity.main([str(tmp_path / "none")]) == DataError.exit_code


def test_damaged_inception_weights_are_refused_or_the_same(tmp_path, monkeypatch):
    """A bit of what a zip file says of itself may change no number: that is all."""
    weights = {"conv/kernel": np.arange(64, dtype=np.float32).reshape(4, 4, 4)}
    weights["conv/bias"] = np.ones(4, np.float32)
    monkeypatch.setattr(inception_weights, "SHA256", inception_weights.digest(weights))
    path, refused = tmp_path / "inception.npz", 0
    np.savez(path, **weights)
    content = path.read_bytes()
    inception_weights.load(path)
    draw = random.Random(0)
    for cut_off in (False, True):
        for _ in range(200):
            place = draw.randrange(len(content))
            changed = bytearray(content)
            changed[place] ^= 1 << draw.randrange(8)
            path.write_bytes(content[:place] if cut_off else changed)
            try:
                found = inception_weights.load(path)
            except DataError as error:
                assert str(path) in str(error)
                refused += 1
            else:
                for name in weights:
                    np.testing.assert_array_equal(found[name], weights[name])
    assert refused > 300
