"""What is done with volumes before they are sliced, and undone at export."""

import dataclasses
import json

import numpy as np
import pytest
from scipy import ndimage

from jaxsyn.data import nifti, preprocess, steps
from jaxsyn.data.cases import CaseVolumes
from jaxsyn.data.preprocess import CaseInfo, PrepareSettings
from jaxsyn.errors import UsageError

THICK = np.diag([-1.0, -1.0, 4.0, 1.0])


def head(shape=(32, 40, 28), spacing=1.0) -> CaseVolumes:
    """A lopsided ellipsoid with two tissues and a lesion."""
    index = np.indices(shape).astype(float)
    centre = np.array(shape)[:, None, None, None] / 2
    x, y, z = (index - centre) / centre
    brain = x**2 + y**2 * (1 + 0.4 * x) + z**2 < 0.6
    image = np.where(brain, 100.0 + 60 * ((x + 0.2) ** 2 + y**2 < 0.15), 0)
    image[brain & (np.abs(z - 0.2) + np.abs(y + 0.3) < 0.2)] = 30
    label = (brain & (index[1] > shape[1] * 0.6)).astype(np.uint8)
    return CaseVolumes(
        images=(ndimage.gaussian_filter(image, 0.7) * brain,),
        label=label,
        brain=brain,
        affine=np.diag([-spacing, -spacing, spacing, 1.0]),
    )


def dice(a, b):
    return 2 * (a & b).sum() / (a.sum() + b.sum())


def test_unknown_steps_and_options_are_answered_with_those_there_are():
    with pytest.raises(
        UsageError, match=r"steps\[0\]='n3'.*\n.*n4, register, resample"
    ):
        PrepareSettings(steps=("n3",))
    with pytest.raises(UsageError, match=r"steps\[1\].spacing is not.*\n.*spacing_mm"):
        PrepareSettings(steps=("n4", {"name": "resample", "spacing": 2}))
    with pytest.raises(UsageError, match="without a name"):
        PrepareSettings(steps=({"spacing_mm": 2},))
    with pytest.raises(UsageError, match="no template"):
        PrepareSettings(steps=({"name": "register", "template": ""},))
    with pytest.raises(UsageError, match="Give one distance"):
        PrepareSettings(steps=({"name": "resample", "spacing_mm": (1, 2)},))


def test_voxels_get_the_size_asked_for_along_the_patients_axes():
    volumes = dataclasses.replace(head(), affine=THICK)
    (step,) = steps.build([{"name": "resample", "spacing_mm": (2.0, 1.0, 0)}])
    made = step(volumes)
    assert made.label.shape == (16, 40, 28)
    np.testing.assert_allclose(
        np.linalg.norm(made.affine[:3, :3], axis=0), (2.0, 1.0, 4.0)
    )
    # The corner of the image stays: half a voxel before the first voxel's centre.
    corner = [-0.5, -0.5, -0.5, 1.0]
    np.testing.assert_allclose(made.affine @ corner, THICK @ corner)
    (same,) = steps.build([{"name": "resample", "spacing_mm": (1.0, 1.0, 4.0)}])
    assert same(volumes) is volumes


def test_prepared_slices_go_back_to_the_files_grid():
    volumes = head(spacing=1.5)
    settings = PrepareSettings(
        image_size=64, steps=({"name": "resample", "spacing_mm": 1.0},), plane="coronal"
    )
    prepared = preprocess.prepare_case(volumes, settings, case="c", patient="p")
    info = CaseInfo.from_json(json.loads(json.dumps(prepared.info.to_json())))
    assert info == prepared.info and info.spacing_mm == pytest.approx((1.0, 1.0, 1.0))
    back = info.volume(prepared.label, "nearest")
    assert back.shape == volumes.label.shape
    np.testing.assert_array_equal(info.native_affine, volumes.affine)
    assert dice(back > 0, volumes.label > 0) > 0.93
    image = preprocess.dequantise(prepared.image[..., 0])
    image = info.volume(info.intensities[0].invert(image), "linear")
    inside = ndimage.binary_erosion(volumes.brain, iterations=2)
    assert np.abs(image - volumes.images[0])[inside].mean() < 4.0


def test_a_bias_field_is_found():
    pytest.importorskip("SimpleITK")
    volumes = head((48, 48, 32))
    (clean,) = volumes.images
    slope = np.linspace(0.6, 1.4, 48)[:, None, None]
    biased = dataclasses.replace(volumes, images=(clean * slope,))
    (made,) = steps.build(["n4"])[0](biased).images

    def unevenness(image):
        tissue = ndimage.binary_erosion(clean > 140, iterations=1)
        return image[tissue].std() / image[tissue].mean()

    assert unevenness(made) < 0.4 * unevenness(clean * slope)
    assert made.dtype == np.float32 and not made[~volumes.brain].any()


def test_a_case_is_brought_to_a_template_and_back(tmp_path):
    pytest.importorskip("SimpleITK")
    template = head((48, 56, 40))
    path = tmp_path / "template.nii.gz"
    nifti.write(path, template.images[0].astype(np.float32), template.affine)
    # Turned by 8 degrees, 8 % larger, and moved.
    angle = np.deg2rad(8.0)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    move = np.eye(4)
    move[:2, :2] = turn / 1.08
    move[:3, 3] = 3.0, -2.0, 1.0
    affine = np.linalg.inv(move) @ template.affine
    volumes = dataclasses.replace(template, affine=affine)
    (step,) = steps.build([{"name": "register", "template": str(path)}])
    made = step(volumes)
    assert dice(made.brain, template.brain) > 0.97
    assert dice(made.label > 0, template.label > 0) > 0.95
    # The transform that is kept takes what was made of it back.
    back = made.native.carry(made.label, made.affine, order="nearest")
    assert dice(back > 0, volumes.label > 0) > 0.95
    assert steps.files_of([step]) == (path,)
