"""Phantoms: written like real cases, the same again, and like brains."""

import itertools
import os
from pathlib import Path
import subprocess
import sys

import nibabel
import numpy as np
import pytest

from jaxsyn.data import check
from jaxsyn.data.phantom import __main__ as command
from jaxsyn.data.phantom import write_phantom
from jaxsyn.data.phantom.modalities import Modality
from jaxsyn.data.phantom.patient import KINDS, Phantom, Settings
from jaxsyn.data.phantom.scanner import acquire
from jaxsyn.data.phantom.template import load_template
from jaxsyn.data.phantom.territories import NONE, territory
from jaxsyn.errors import DataError, ResourceError, UsageError

SMALL = {"shape": (60, 60, 39), "spacing_mm": 4.0}
SMALL_WORDS = "--shape 60 60 39 --spacing 4".split()
BRATS = ("t1", "t1ce", "t2", "flair", "seg")


@pytest.fixture(scope="module")
def tumours(tmp_path_factory):
    """Three small patients with tumours."""
    out = tmp_path_factory.mktemp("phantom") / "tumours"
    return write_phantom(out, patients=3, seed=5, **SMALL)


@pytest.fixture(scope="module")
def heads():
    """By kind, a small set's settings, its first head and the images of it."""

    def look(kind):
        settings = Settings(
            seed=5, kind=kind, shape=SMALL["shape"], spacing_mm=(4.0,) * 3
        )
        phantom = Phantom(settings, load_template())
        head, volumes = phantom.head(1), phantom.draw(1)
        return head, {name: volume[head.box] for name, volume in volumes.items()}

    return {kind: look(kind) for kind in KINDS}


def volumes_of(folder: Path) -> dict[str, np.ndarray]:
    files = {word: folder / f"{folder.name}_{word}.nii.gz" for word in BRATS}
    return {word: np.asarray(nibabel.load(f).dataobj) for word, f in files.items()}


def contents(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_the_command_gives_the_same_bytes_without_tensorflow_jax_or_network(
    tumours, tmp_path
):
    program = (
        "import sys, socket, multiprocessing\n"
        "sys.modules.update(dict.fromkeys(['tensorflow', 'matplotlib']))\n"
        "socket.socket.connect = None\n"
        "from jaxsyn.data.phantom.__main__ import main\n"
        "if __name__ == '__main__':\n"
        "    code = main(sys.argv[1:])\n"
        "    assert 'jax' not in sys.modules\n"
        "    sys.exit(code)\n"
    )
    script = tmp_path / "program.py"
    script.write_text(program)
    words = ["--out", tmp_path / "set", "--patients", "2", "--seed", "5", "--jobs", "2"]
    done = subprocess.run(
        [sys.executable, script, *words, *SMALL_WORDS],
        capture_output=True,
        text=True,
        check=False,
        # Another processor's kernels, where the linear algebra library has them.
        env=os.environ | {"OPENBLAS_CORETYPE": "Haswell"},
    )
    assert done.returncode == 0, done.stderr
    assert "2 phantom patients" in done.stdout
    assert "2/2" in done.stderr
    expected = contents(tumours[0].parent)
    found = contents(tmp_path / "set")
    assert len(found) == 2 * 5 + 1
    assert found.items() <= expected.items()


def test_a_stopped_or_larger_set_goes_on(tmp_path):
    first = write_phantom(tmp_path / "set", patients=2, seed=3, **SMALL)
    before = contents(tmp_path / "set")
    kept = first[1] / f"{first[1].name}_t1.nii.gz"
    stamp = kept.stat().st_mtime_ns
    (first[0] / f"{first[0].name}_t2.nii.gz").unlink()
    folders = write_phantom(tmp_path / "set", patients=3, seed=3, **SMALL)
    assert [f.name for f in folders] == [f"BraTSPhantom_0000{i}" for i in (1, 2, 3)]
    after = contents(tmp_path / "set")
    assert before.items() <= after.items()
    assert len(after) == 3 * 5 + 1
    assert kept.stat().st_mtime_ns == stamp


def test_patients_and_seeds_differ(tumours, tmp_path):
    other = write_phantom(tmp_path / "set", patients=1, seed=6, **SMALL)
    brains = [volumes_of(folder)["t1"] for folder in (*tumours, *other)]
    for a, b in itertools.combinations(brains, 2):
        brain = (a > 0) & (b > 0)
        shell = (a > 0) ^ (b > 0)
        assert shell.sum() > 0.02 * brain.sum()
        assert np.corrcoef(a[brain], b[brain])[0, 1] < 0.9


def test_files_are_those_of_brats(tumours):
    for folder in tumours:
        assert folder.name.startswith("BraTSPhantom_")
        for word in BRATS:
            image = nibabel.load(folder / f"{folder.name}_{word}.nii.gz")
            header = image.header
            assert image.shape == (60, 60, 39)
            assert header.get_zooms() == (4, 4, 4)
            assert header.get_xyzt_units()[0] == "mm"
            assert header["sform_code"] > 0
            assert header["qform_code"] > 0
            expected = np.diag([-4.0, -4.0, 4.0, 1.0])
            expected[1, 3] = 59 * 4
            np.testing.assert_array_equal(image.affine, expected)
            np.testing.assert_allclose(header.get_qform(), expected, atol=1e-4)
            dtype = "uint8" if word == "seg" else "int16"
            assert header.get_data_dtype() == dtype
    assert check.main([str(tumours[0].parent), "--jobs", "1"]) == 0


def test_images_are_zero_outside_the_brain_and_labels_lie_inside(tumours):
    for folder in tumours:
        volumes = volumes_of(folder)
        brain = volumes["t1"] > 0
        assert 1000 < brain.sum() * 0.064 < 1700  # ml
        assert not brain[[0, -1]].any()
        assert not brain[:, [0, -1]].any()
        for word in BRATS[:-1]:
            np.testing.assert_array_equal(volumes[word] != 0, brain)
            assert 300 < np.median(volumes[word][brain]) < 4000
        assert set(np.unique(volumes["seg"])) == {0, 1, 2, 4}
        assert brain[volumes["seg"] > 0].all()
        core = np.isin(volumes["seg"], (1, 4))
        assert 1 < core.sum() * 0.064 < 150  # ml
        assert 3 < (volumes["seg"] == 2).sum() * 0.064 < 200


# From the darkest to the brightest.
ORDERS = {
    ("healthy", "t1"): ("csf", "grey", "white"),
    ("healthy", "t1ce"): ("csf", "grey", "white"),
    ("healthy", "t2"): ("white", "grey", "csf"),
    ("healthy", "flair"): ("csf", "white", "grey"),
    ("tumour", "t1"): ("csf", 1, 2, "white"),
    ("tumour", "t1ce"): ("csf", 1, "white", 4),
    ("tumour", "t2"): ("white", "grey", 2, "csf"),
    ("tumour", "flair"): ("csf", "white", "grey", 2),
    ("stroke-dwi", "dwi"): ("csf", "white", "grey", 1),
    ("stroke-dwi", "adc"): (1, "white", "grey", "csf"),
    ("stroke-dwi", "flair"): ("csf", "white", "grey", 1),
    ("stroke-ctp", "cbv"): (1, "white", "grey"),
    ("stroke-ctp", "cbf"): (1, "penumbra", "white", "grey"),
    ("stroke-ctp", "mtt"): ("grey", "white", "penumbra", 1),
    ("stroke-ctp", "tmax"): ("grey", "white", "penumbra", 1),
}


@pytest.mark.parametrize(("kind", "modality"), ORDERS)
def test_tissues_have_the_contrast_of_the_modality(heads, kind, modality):
    head, volumes = heads[kind]
    image, mask = volumes[modality].astype(float), volumes["mask"]
    medians = []
    for region in ORDERS[kind, modality]:
        if isinstance(region, int):
            where = mask == region
        elif region == "penumbra":
            where = head.lesion.shares["penumbra"] > 0.7
        else:
            where = (getattr(head.tissue, region) > 0.75) & (mask == 0)
        assert where.sum() >= 5, region
        medians.append(np.median(image[where]))
    assert medians == sorted(medians), medians
    assert medians[0] < 0.97 * medians[-1]


def test_enhancement_is_seen_with_contrast_agent_alone(heads):
    head, volumes = heads["tumour"]
    white = (head.tissue.white > 0.75) & (volumes["mask"] == 0)
    ring = volumes["mask"] == 4
    with_agent, without = (
        np.median(volumes[m][ring]) / np.median(volumes[m][white])
        for m in ("t1ce", "t1")
    )
    assert with_agent > 1.2
    assert without < 1.05


def test_the_brain_lies_in_the_image_as_in_brats():
    places = Settings(seed=0).grid().positions()
    # The boxes around five real brains have their middle at (119, 128, 72), the median.
    centre = np.abs(places).sum(0).argmin()
    assert np.unravel_index(centre, places.shape[1:]) in {
        (i, j, 72) for i in (119, 120) for j in (129, 130)
    }


def test_tissue_shares_fill_the_brain(heads):
    for head, _ in heads.values():
        tissue = head.tissue
        total = tissue.csf + tissue.grey + tissue.white
        np.testing.assert_allclose(total[tissue.brain], 1, atol=1e-5)
        assert not total[~tissue.brain].any()
        ml = {n: getattr(tissue, n).sum() * 0.064 for n in ("csf", "grey", "white")}
        assert ml["grey"] > ml["white"] > ml["csf"] > 50


def test_the_same_head_is_healthy_or_ill_and_at_any_spacing():
    template = load_template()

    def volumes(kind, spacing):
        shape = tuple(int(side / spacing) for side in (240, 240, 156))
        settings = Settings(
            seed=8, kind=kind, shape=shape, spacing_mm=(float(spacing),) * 3
        )
        return Phantom(settings, template).draw(2), settings

    fine, _ = volumes("tumour", 2)
    coarse, settings = volumes("tumour", 4)
    healthy, _ = volumes("healthy", 4)
    np.testing.assert_array_equal(healthy["t1"] > 0, coarse["t1"] > 0)
    assert not healthy["mask"].any()
    far = coarse["mask"] == 0
    inside = far & (healthy["t1"] > 0)
    assert np.corrcoef(healthy["t1"][inside], coarse["t1"][inside])[0, 1] > 0.9
    x, y, z = settings.shape
    blocks = (fine["mask"] > 0).reshape(x, 2, y, 2, z, 2).mean((1, 3, 5)) > 0.5
    lesion = coarse["mask"] > 0
    assert 2 * (blocks & lesion).sum() / (blocks.sum() + lesion.sum()) > 0.85


def test_strokes_stay_on_one_side_and_in_one_territory():
    settings = Settings(
        seed=5, kind="stroke-ctp", shape=SMALL["shape"], spacing_mm=(4.0,) * 3
    )
    phantom = Phantom(settings, load_template())
    arteries = set()
    for index in range(1, 9):
        head = phantom.head(index)
        at_risk = head.lesion.shares["infarct"] + head.lesion.shares["penumbra"] > 0
        places = head.tissue.mni[:, at_risk[head.tissue.brain]]
        assert len(set(np.sign(places[0]))) == 1
        shares = np.bincount(territory(places), minlength=4) / places.shape[1]
        assert shares[NONE] < 0.25
        assert shares.max() > 0.65
        arteries.add(int(shares.argmax()))
        assert set(np.unique(head.lesion.labels)) == {0, 1}
        assert (head.lesion.labels[at_risk] == 0).any()
    assert len(arteries) > 1


def test_stored_images_neither_vanish_nor_overflow(heads):
    head, _ = heads["healthy"]
    signals = {"csf": 1.0, "grey": 1.0, "white": 1.0}
    for gain, expected in ((1e-3, 1), (1e9, 32767)):
        modality = Modality(signals=signals, gain=(gain, gain))
        rng = np.random.default_rng(0)
        image = acquire(modality, head.tissue, {}, head.grid, rng)
        assert image.dtype == np.int16
        np.testing.assert_array_equal(image, expected * head.tissue.brain)


def test_the_surface_of_the_brain_is_blurred_with_fluid_not_with_air(heads):
    head, _ = heads["healthy"]
    modality = Modality(
        signals={"csf": 1.0, "grey": 1.0, "white": 1.0},
        gain=(1000, 1000),
        noise=(0, 0),
        blur_mm=(4, 4),
        shading=0,
        texture=0,
    )
    rng = np.random.default_rng(0)
    image = acquire(modality, head.tissue, {}, head.grid, rng)[head.tissue.brain]
    assert 850 < image.min() < image.max() < 1150


def test_files_of_strokes_lie_as_in_isles(tmp_path):
    dwi = write_phantom(
        tmp_path / "dwi", patients=1, seed=1, kind="stroke-dwi", **SMALL
    )
    case = "sub-strokecase0001"
    assert dwi == [tmp_path / "dwi" / case]
    assert set(contents(tmp_path / "dwi")) == {
        "phantom.json",
        f"{case}/ses-0001/dwi/{case}_ses-0001_dwi.nii.gz",
        f"{case}/ses-0001/dwi/{case}_ses-0001_adc.nii.gz",
        f"{case}/ses-0001/anat/{case}_ses-0001_FLAIR.nii.gz",
        f"derivatives/{case}/ses-0001/{case}_ses-0001_msk.nii.gz",
    }
    ctp = write_phantom(
        tmp_path / "ctp",
        patients=2,
        seed=1,
        kind="stroke-ctp",
        shape=(64, 64, 6),
        spacing_mm=(4, 4, 10),
    )
    assert ctp == [tmp_path / "ctp" / "case_1", tmp_path / "ctp" / "case_2"]
    names = sorted(path.stem for path in ctp[1].glob("SMIR*/*.nii"))
    assert [name.split(".")[4] for name in names] == [
        "CT_CBF",
        "CT_CBV",
        "CT_MTT",
        "CT_Tmax",
        "OT",
    ]
    for name in names:
        image = nibabel.load(ctp[1] / name / f"{name}.nii")
        assert image.shape == (64, 64, 6)
        assert image.header.get_zooms() == (4, 4, 10)
        dtype = "uint8" if ".OT." in name else "float32"
        assert image.get_data_dtype() == dtype
        assert np.asarray(image.dataobj).any()


def test_another_sets_folder_is_refused(tumours, tmp_path):
    with pytest.raises(DataError, match="other settings: seed 5, not 6") as refusal:
        write_phantom(tumours[0].parent, patients=1, seed=6, **SMALL)
    assert "Choose another folder" in refusal.value.hint
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match="not empty and holds no phantoms"):
        write_phantom(tmp_path, patients=1, seed=6, **SMALL)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    (tmp_path / "phantom.json").write_text("{")
    with pytest.raises(DataError, match=r"phantom\.json cannot be read"):
        write_phantom(tmp_path, patients=1, seed=6, **SMALL)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"kind": "tumor"}, "'tumor' is not one of tumour, healthy"),
        ({"seed": -1}, "seed -1 is not 0 or more"),
        ({"shape": (60, 60)}, r"shape \(60, 60\) is not three"),
        ({"shape": (60, 60, 0)}, r"shape \(60, 60, 0\) is not three"),
        ({"spacing_mm": 0.0}, "spacing .* is not 0.2 to 20 mm"),
        ({"patients": 0}, "0 patients by 1 jobs"),
        ({"shape": (2, 2, 2), "spacing_mm": 0.2}, "0.4 x 0.4 x 0.4 mm holds no white"),
    ],
)
def test_wrong_arguments_are_refused(tmp_path, wrong, message):
    arguments = {"patients": 1, "seed": 1, **SMALL, **wrong}
    with pytest.raises(UsageError, match=message):
        write_phantom(tmp_path / "set", **arguments)
    good = write_phantom(tmp_path / "set", patients=1, seed=2, **SMALL)
    assert good[0].is_dir()  # The failure left nothing in the way.


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError, match="file/set cannot be a folder"):
        write_phantom(tmp_path / "file" / "set", patients=1, seed=1, **SMALL)


def test_the_commands_exit_codes(tmp_path, capsys, tumours):
    out = ["--out", str(tmp_path / "set")]
    good = [*out, "--patients", "1", "--seed", "1", *SMALL_WORDS, "--jobs", "1"]
    for bad in ([], out, [*good, "--kind", "x"], [*good, "--shape", "60"]):
        with pytest.raises(SystemExit) as end:
            command.main(bad)
        assert end.value.code == 2
    assert command.main([*good, "--spacing", "1", "2"]) == 2
    assert "is not 0.2 to 20 mm along each axis" in capsys.readouterr().err
    taken = ["--out", str(tumours[0].parent), "--patients", "1", "--seed", "1"]
    assert command.main(taken) == 3
    assert "hint: Choose another folder" in capsys.readouterr().err
    assert not os.path.exists(tmp_path / "set")
    assert command.main([*good, "--kind", "healthy"]) == 0
    assert "1 phantom patients are in" in capsys.readouterr().out


def test_a_stopped_command_says_so(monkeypatch, capsys):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "write_phantom", stop)
    assert command.main(["--out", "x", "--patients", "1", "--seed", "1"]) == 75
    assert "the same command goes on" in capsys.readouterr().err
