import jax
import numpy as np
import pytest

from fixtures import brats_spec, label_maps, save_training
from jaxsyn.errors import UsageError
from jaxsyn.synthesis.generator import Generator

SPEC = brats_spec(32)
PGAN = {"name": "pgan", "first_size": 32, "fmap_base": 128, "fmap_max": 8, "latent": 8}
LESIONS = {"name": "wgan3d", "ngf": 8, "ndf": 2, "lesion": ("enhancing",)}
IMAGES = {"name": "spade", "ngf": 4, "ndf": 4, "vae": True, "kernel_init": "he"}


@pytest.fixture(scope="module")
def load(tmp_path_factory):
    folder = tmp_path_factory.mktemp("generators")
    systems = {"labels": (PGAN, 0), "lesions": (LESIONS, 8), "images": (IMAGES, 0)}
    for name, (system, depth) in systems.items():
        save_training(folder / name, system, SPEC, depth=depth)
    return lambda name, **options: Generator.load(folder / name, **options)


def test_label_maps_depend_on_seed_and_index_alone(load):
    generator = load("labels")
    made = generator.sample(5, seed=3)
    assert made["label"].shape == (5, 32, 32) and made["label"].dtype == np.uint8
    assert made["score"].shape == (5,) and set(made) == {"label", "score"}
    assert len(np.unique(made["label"].reshape(5, -1), axis=0)) == 5
    parts = [
        generator.sample(n, seed=3, first=f, batch_size=2) for n, f in ((2, 0), (3, 2))
    ]
    for name, whole in made.items():
        np.testing.assert_allclose(
            np.concatenate([part[name] for part in parts]), whole, rtol=1e-4
        )
    assert (generator.sample(5, seed=4)["label"] != made["label"]).any()


@pytest.mark.parametrize("name", ["images", "labels"])
def test_one_device_makes_what_four_make(load, name):
    one, four = (load(name, devices=jax.devices()[:count]) for count in (1, 4))

    def make(generator):  # Of 7 the last batch has 1, and no batch as many as devices.
        if name == "labels":
            return generator.sample(7, seed=3, batch_size=6)
        labels = label_maps(7, 32)
        return {"image": generator.generate(labels, batch_size=6, normalised=True)}

    expected = make(one)
    for key, array in make(four).items():
        assert len(array) == 7
        np.testing.assert_allclose(array, expected[key], rtol=1e-4, atol=1e-5)
    assert np.abs(expected[key][0] - expected[key][6]).max() > 1e-3


def test_a_batch_is_split_over_all_devices_which_then_wait_for_none(load, monkeypatch):
    generator, put, seen = load("images"), jax.device_put, []
    assert generator.state.step.sharding.num_devices == 4

    def watched(array, sharding):
        seen.append(put(array, sharding))
        return seen[-1]

    monkeypatch.setattr(jax, "device_put", watched)
    generator.generate(label_maps(3, 32), batch_size=16)
    shards = seen[0]["label"].addressable_shards
    assert [shard.data.shape for shard in shards] == [(1, 32, 32)] * 4
    label, index = seen[0]["label"], np.arange(4)
    program = generator._make.lower(generator.state, {"label": label}, index, 0)
    for exchange in ("all-reduce", "all-gather", "all-to-all", "collective-permute"):
        assert exchange not in program.compile().as_text()


def test_volumes_have_the_depth_of_the_training(load):
    made = load("lesions").sample(2)
    assert made["label"].shape == (2, 8, 32, 32)
    assert set(np.unique(made["label"])) <= {0, SPEC.label_index("enhancing")}


def test_coherent_slices_share_their_noise(load):
    labels = np.repeat(label_maps(1, 32), 3, axis=0)
    generator = load("images")
    apart = generator.generate(labels)
    together = generator.generate(labels, coherent=True)
    assert np.abs(apart[0] - apart[1]).max() > 0
    np.testing.assert_array_equal(together[0], together[2])
    np.testing.assert_array_equal(together[0], apart[0])


def test_each_has_its_own_call(load):
    with pytest.raises(UsageError, match="makes label maps; it is given none"):
        load("labels").generate(label_maps(1, 32))
    with pytest.raises(UsageError, match="has to be given them"):
        load("images").sample(1)


def test_options_that_only_generation_knows(load, tmp_path):
    save_training(tmp_path, PGAN, SPEC)
    with pytest.raises(UsageError, match="config.system.psi is not known"):
        Generator.load(tmp_path, options={"psi": 0.5})
