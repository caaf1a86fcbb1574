from PIL import Image
import pytest

from configs import gallery as gallery_config
from fixtures import save_training
from jaxsyn.data.feed import DataSettings
from jaxsyn.errors import DataError, UsageError
from jaxsyn.synthesis import gallery

SYSTEM = {"name": "pix2pix", "ngf": 4, "ndf": 4, "kernel_init": "he"}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gallery")
    config = gallery_config.get_config("runlocal")
    prepared = DataSettings.from_config(config.data.to_dict()).open(folder / "prepared")
    parts = prepared.split.parts
    save_training(folder / "runs/one", SYSTEM, prepared.spec, parts["train"])
    save_training(folder / "runs/two", SYSTEM, prepared.spec, parts["train"])
    save_training(folder / "seen/one", SYSTEM, prepared.spec, parts["test"])
    return folder


def run(runs, name, **options):
    config = gallery_config.get_config("runlocal")
    config.generators = str(runs / name)
    config.update(options)
    gallery.run(config, runs / f"picture-{name}")


def test_a_column_for_each_generator_between_labels_and_truth(runs, capsys):
    run(runs, "runs", count=3)
    picture = Image.open(runs / "picture-runs" / "gallery.png")
    assert picture.size == (4 * 130 + 2, 22 + 3 * 130 + 2)
    assert "3 label maps by 2 generators" in capsys.readouterr().out


def test_patients_must_be_new_to_all(runs):
    with pytest.raises(DataError, match="were among those"):
        run(runs, "seen")


def test_a_folder_without_trainings(runs):
    with pytest.raises(UsageError, match="holds no training"):
        run(runs, "prepared")


def test_an_unknown_modality(runs):
    with pytest.raises(UsageError, match="config.modality='dwi'"):
        run(runs, "runs", modality="dwi")
