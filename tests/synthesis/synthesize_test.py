"""The synthesis job on a tiny phantom, with generators that were never trained."""

import json

import nibabel
import numpy as np
import pytest

from configs import synthesize_brats
from fixtures import save_training
from jaxsyn.data.feed import DataSettings
from jaxsyn.errors import DataError, UsageError
from jaxsyn.synthesis import synthesize
from jaxsyn.synthesis.masks import MaskSettings
from jaxsyn.synthesis.sieve import FilterSettings

RENDERER = {"name": "pix2pix", "ngf": 4, "ndf": 4, "kernel_init": "he"}
PGAN = {"name": "pgan", "first_size": 32, "fmap_base": 128, "fmap_max": 8, "latent": 8}
LESIONS = {"name": "wgan3d", "ngf": 8, "ndf": 2, "lesion": ("enhancing",)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("synthesis")


@pytest.fixture(scope="module")
def prepared(folder):
    data = configure(folder, "masks=real").data.to_dict()
    return DataSettings.from_config(data).open(folder / "prepared")


@pytest.fixture(scope="module")
def trained(folder, prepared):
    """Workdirs by what their generators make."""
    seen = prepared.split.parts["train"]
    for name, system, depth in (
        ("images", RENDERER, 0),
        ("labels", PGAN, 0),
        ("lesions", LESIONS, 8),
    ):
        save_training(folder / name, system, prepared.spec, seen, depth)
    return folder


def configure(folder, words, **masks):
    config = synthesize_brats.get_config(f"runlocal,{words}")
    config.generator = str(folder / "images")
    config.masks.update(masks)
    config.data.phantom.patients = 4  # Two to train on.
    config.data.prepare.fractions = (0.5, 0.25, 0.25)
    return config


def run(trained, name, words, **masks):
    config = configure(trained, words, **masks)
    synthesize.run(config, trained / name)
    return trained / name


def manifest(workdir):
    return json.loads((workdir / "manifest.json").read_text())


def test_patients_label_maps_come_back_on_their_own_grid(trained, prepared):
    out = run(trained, "real", "masks=real")
    cases = manifest(out)["cases"]
    assert [*cases] == ["syn_0000", "syn_0001"]
    source = DataSettings.from_config(configure(trained, "").data.to_dict())
    phantom = source.find_source_dir(trained / "prepared")
    for name, lineage in cases.items():
        assert lineage["patients"] == [prepared.cases[lineage["labels"]].patient]
        real = nibabel.load(next(phantom.glob(f"**/{lineage['labels']}_flair.nii.gz")))
        for kind in ("t1", "t1ce", "t2", "flair", "seg"):
            made = nibabel.load(out / "brats" / name / f"{name}_{kind}.nii.gz")
            assert made.shape == real.shape
            np.testing.assert_allclose(made.affine, real.affine)
        values = np.unique(np.asarray(made.dataobj))
        assert set(values) <= {0, 1, 2, 4}
        # In the range of the real case: its own intensity map was inverted.
        flair = nibabel.load(out / "brats" / name / f"{name}_flair.nii.gz").get_fdata()
        assert 0 <= flair.min() and 0.2 < flair.max() / real.get_fdata().max() <= 1.01
        assert (out / "sheets" / f"{name}.png").exists()
    assert manifest(out)["patients"] == sorted(prepared.split.parts["train"])
    assert not list(out.rglob("*.partial"))


def test_a_second_call_makes_what_is_missing_alone(trained, capsys):
    out = run(trained, "again", "masks=real")
    before = {p: p.stat().st_mtime_ns for p in (out / "brats").rglob("*.nii.gz")}
    path = out / "brats/syn_0001/syn_0001_t1.nii.gz"
    content = nibabel.load(path).get_fdata()
    (out / "lineage" / "syn_0001.json").unlink()
    run(trained, "again", "masks=real")
    after = {p: p.stat().st_mtime_ns for p in (out / "brats").rglob("*.nii.gz")}
    changed = {p.parent.name for p in after if after[p] != before[p]}
    assert changed == {"syn_0001"}
    # But for rounding: threads may add up in another order.
    np.testing.assert_allclose(nibabel.load(path).get_fdata(), content, atol=1.0)


def test_one_patient_alone_is_behind_the_cases(trained, prepared):
    config = configure(trained, "masks=real,format=nnunet")
    config.data.patients = 1
    synthesize.run(config, trained / "few")
    about = manifest(trained / "few")
    (patient,) = {p for case in about["cases"].values() for p in case["patients"]}
    assert patient in prepared.split.parts["train"]
    # Nor is another among the real cases.
    root = trained / "few" / "nnUNet_raw" / "Dataset501_Synthetic"
    (split,) = json.loads((root / "splits_final.json").read_text())
    assert len(split["train"]) == 3 and len(split["val"]) == 1
    (real,) = [name for name in split["train"] if not name.startswith("syn")]
    assert prepared.cases[real].patient == patient


def test_filters_are_fitted_to_the_patients_there_are(trained, prepared):
    few = prepared.of_patients(1)
    settings = MaskSettings(kind="generated", generator=str(trained / "labels"))
    source = settings.build(few, 0, FilterSettings(z_score=1.0), trained)
    (fitted,) = source.sieve._filters
    labels = np.asarray(few.cache("train").label)
    assert len(labels) < prepared.counts["train"]
    np.testing.assert_allclose(fitted.mean, labels.mean(axis=0))


def test_manipulated_lesions_name_the_patients_behind_them(trained, prepared):
    out = run(
        trained, "manipulated", "masks=manipulated", manipulation={"kind": "replace"}
    )
    for lineage in manifest(out)["cases"].values():
        assert lineage["manipulation"]["kind"] == "replace"
        assert sorted(lineage["patients"]) == sorted(prepared.split.parts["train"])


def test_transplanted_lesions_name_both_patients(trained, prepared):
    config = configure(trained, "masks=transplanted")
    config.masks.donors.phantom.update({"patients": 3, "seed": 7})
    config.masks.donors.prepare.fractions = (1.0, 0.0, 0.0)
    synthesize.run(config, trained / "transplanted")
    cases = manifest(trained / "transplanted")["cases"]
    phantom = next((trained / "prepared").glob("phantom-3-*-7"))
    donors = {path.name for path in phantom.iterdir()}
    seen = prepared.split.parts["train"]
    for name, lineage in cases.items():
        brain, donor = lineage["patients"]
        assert brain in seen and donor in donors
        assert donor == lineage["lesion"]
        made, own, other = (
            np.asarray(nibabel.load(path).dataobj)
            for path in (
                trained / f"transplanted/brats/{name}/{name}_seg.nii.gz",
                next(
                    (trained / "prepared").glob(f"*/*/{lineage['labels']}_seg.nii.gz")
                ),
                phantom / lineage["lesion"] / f"{lineage['lesion']}_seg.nii.gz",
            )
        )
        if lineage["mirrored"]:
            other = other[::-1]
        assert made.shape == own.shape == other.shape
        inside = np.count_nonzero((made > 0) & (other > 0))
        assert inside > 0.7 * np.count_nonzero(made)
        assert np.count_nonzero((made > 0) & (own > 0) & (other == 0)) < 0.3 * inside


def test_brains_of_another_data_set(trained, prepared):
    config = configure(trained, "masks=transplanted")
    config.masks.brains = {
        **config.masks.donors.to_dict(),
        "source": "brats_tumour",
        "patients": 1,
    }
    with pytest.raises(DataError, match="None of 2 cases could be made"):
        synthesize.run(config, trained / "brainless")  # All is background.
    config.masks.brains.source = "brats"
    config.masks.transplantation.align = "brain"
    synthesize.run(config, trained / "brains")
    cases = manifest(trained / "brains")["cases"].values()
    assert len({case["labels"] for case in cases}) == 1
    config.masks.donors.prepare.image_sise = 8
    with pytest.raises(UsageError, match="config.masks.donors.prepare.image_sise"):
        synthesize.run(config, trained / "misspelt")


def test_donors_are_for_transplanted_lesions_alone(trained):
    for words, masks in (
        ("masks=real", {"donors": {"source": "brats"}}),
        ("masks=real", {"brains": {"source": "brats"}}),
        ("masks=transplanted", {"donors": {}}),
    ):
        config = configure(trained, words)
        for key, value in masks.items():
            config.masks[key] = value
        with pytest.raises(UsageError, match="config.masks.donors are"):
            synthesize.run(config, trained / "donors")


def test_what_was_done_is_written_down_if_it_was_left_open(trained):
    out = run(trained, "any", "masks=manipulated")
    kinds = [c["manipulation"]["kind"] for c in manifest(out)["cases"].values()]
    assert "any" not in kinds
    for lineage in manifest(out)["cases"].values():
        replaced = lineage["manipulation"]["kind"] == "replace"
        assert len(lineage["patients"]) == 1 + replaced


def test_generated_slices_go_to_nnunet_with_the_real_cases(trained, prepared):
    config = configure(trained, "masks=generated,format=nnunet")
    config.masks.generator = str(trained / "labels")
    synthesize.run(config, trained / "nnunet")
    root = trained / "nnunet" / "nnUNet_raw" / "Dataset501_Synthetic"
    described = json.loads((root / "dataset.json").read_text())
    assert described["labels"] == {
        "background": 0,
        "necrotic": 1,
        "oedema": 2,
        "enhancing": 3,
    }
    assert list(described["channel_names"].values()) == ["t1", "t1ce", "t2", "flair"]
    names = {p.name.removesuffix(".nii.gz") for p in (root / "labelsTr").iterdir()}
    assert described["numTraining"] == len(names)
    (split,) = json.loads((root / "splits_final.json").read_text())
    assert {"syn_0000", "syn_0001"} < set(split["train"])
    assert not any(name.startswith("syn") for name in split["val"])
    assert names == {*split["train"], *split["val"]}
    part_of = prepared.split.part_of
    assert [part_of[prepared.cases[n].patient] for n in split["val"]] == ["validation"]
    for name in names:
        label = nibabel.load(root / "labelsTr" / f"{name}.nii.gz")
        assert set(np.unique(np.asarray(label.dataobj))) <= {0, 1, 2, 3}
        for channel in range(4):
            image = nibabel.load(root / "imagesTr" / f"{name}_{channel:04d}.nii.gz")
            assert image.shape == label.shape
            np.testing.assert_allclose(image.affine, label.affine)
    assert len(list((root / "labelsTs").iterdir())) == 1
    about = manifest(trained / "nnunet")
    assert about["patients"] == sorted(prepared.split.parts["train"])
    assert set(about["generators"]) == {"labels", "images"}


def test_injected_lesions_lie_in_the_brain(trained):
    injection = {"parenchyma": ("brain",), "min_voxels": 1}
    out = run(
        trained,
        "injected",
        "masks=injected",
        generator=str(trained / "lesions"),
        injection=injection,
    )
    cases = manifest(out)["cases"]
    assert all("lesions_drawn" in lineage for lineage in cases.values())


def test_a_case_that_cannot_be_made_is_counted_and_left_out(trained, caplog):
    with pytest.raises(DataError, match="None of 2 cases could be made"):
        run(
            trained,
            "impossible",
            "masks=injected",
            generator=str(trained / "lesions"),
            injection={"min_voxels": 10**6, "max_draws": 2},
        )
    assert "None of 2 lesions has 1000000 voxels" in caplog.text
    lineage = json.loads((trained / "impossible/lineage/syn_0000.json").read_text())
    assert "None of 2 lesions" in lineage["failed"]


def test_filters_that_let_nothing_pass(trained, caplog):
    config = configure(trained, "masks=generated")
    config.masks.generator = str(trained / "labels")
    config.filters.z_score = 1e-3
    config.cases = 1
    with pytest.raises(DataError, match="None of 1 cases"):
        synthesize.run(config, trained / "strict")
    assert "0 of 8 (80 z-score)" in caplog.text
    assert (trained / "strict" / "rejected.png").exists()


def test_filters_are_for_generated_label_maps(trained):
    config = configure(trained, "masks=real")
    config.filters.connected = 0.9
    with pytest.raises(UsageError, match="label maps are real"):
        synthesize.run(config, trained / "filtered")


def test_a_folder_with_something_else_in_it(trained, tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match="is there already, and no export began it"):
        synthesize.run(configure(trained, "masks=real"), tmp_path)


def test_generators_that_do_not_fit(trained, prepared):
    config = configure(trained, "masks=generated")
    with pytest.raises(UsageError, match="masks.generator is ''"):
        synthesize.run(config, trained / "none")
    config.masks.generator = config.generator
    with pytest.raises(UsageError, match="makes images of label maps"):
        synthesize.run(config, trained / "swapped")
    config = configure(trained, "masks=real")
    config.generator = ""
    with pytest.raises(UsageError, match="label maps come without images"):
        synthesize.run(config, trained / "blank")


def test_rejected_label_maps_are_shown_and_counted(trained, capsys):
    config = configure(trained, "masks=generated")
    config.masks.generator = str(trained / "labels")
    config.filters.reject_scores = 0.5
    config.cases = 1
    synthesize.run(config, trained / "sifted")
    (lineage,) = manifest(trained / "sifted")["cases"].values()
    rejected = lineage["rejected"]["discriminator"]
    assert manifest(trained / "sifted")["rejected"] == {"discriminator": rejected}
    out = capsys.readouterr().out
    assert f"{rejected} of {lineage['drawn']} label maps were rejected" in out
    assert (trained / "sifted" / "rejected.png").exists()
