"""A real BraTS case, prepared and taken back to its files."""

import nibabel as nib
import numpy as np

from jaxsyn.data import sources
from jaxsyn.data.prepare import prepare
from jaxsyn.data.preprocess import PrepareSettings, dequantise

CASE = "BraTS2021_01657"


def test_a_real_case_leads_back_to_its_files(real_data, tmp_path):
    folder = real_data / "brats2021" / CASE
    prepared = prepare(
        sources.load("brats"),
        folder,
        PrepareSettings(image_size=240, min_foreground=0.0, fractions=(1.0, 0.0, 0.0)),
        out_dir=tmp_path,
        jobs=1,
    )
    assert prepared.counts == {"train": 155, "validation": 0, "test": 0}
    cache, info = prepared.cache("train"), prepared.cases[CASE]
    for channel, modality in enumerate(prepared.spec.modalities):
        original = np.asarray(nib.load(folder / f"{CASE}_{modality}.nii.gz").dataobj)
        intensities = info.intensities[channel]
        slices = intensities.invert(dequantise(cache.image[..., channel]))
        back = info.grid.volume(slices, info.kept, order="linear")
        step = intensities.high / 65535
        clipped = np.minimum(original, intensities.high)
        assert np.abs(back - clipped).max() <= 0.51 * step + 1e-4
        # At most one voxel of the brain in a thousand is clipped.
        assert (original > intensities.high).sum() <= 1e-3 * (original > 0).sum() + 1
    seg = np.asarray(nib.load(folder / f"{CASE}_seg.nii.gz").dataobj)
    label = info.grid.volume(cache.label, info.kept, order="nearest")
    for value, index in ((1, 1), (2, 2), (4, 3)):
        np.testing.assert_array_equal(label == index, seg == value)
    np.testing.assert_array_equal(
        info.affine, nib.load(folder / f"{CASE}_t1.nii.gz").affine
    )


def test_small_slices_of_a_real_case_show_its_tumour(real_data, tmp_path):
    prepared = prepare(
        sources.load("brats"),
        real_data / "brats2021" / CASE,
        PrepareSettings(
            image_size=32, fit="resize", crop="brain", fractions=(1.0, 0.0, 0.0)
        ),
        out_dir=tmp_path,
        jobs=1,
    )
    cache = prepared.cache("train")
    names = prepared.spec.label_names
    image, label = dequantise(cache.image), np.asarray(cache.label)
    mean = {
        (name, modality): image[..., channel][label == names.index(name)].mean()
        for name in names
        for channel, modality in enumerate(prepared.spec.modalities)
    }
    # What radiologists know these images by.
    assert mean["oedema", "flair"] > mean["brain", "flair"] + 0.2
    assert mean["enhancing", "t1ce"] > mean["brain", "t1ce"] + 0.2
    assert all(mean["background", m] < -0.95 for m in prepared.spec.modalities)
    # The front of the head is up: frontal lobes are narrower than the back.
    widths = (label > 0)[len(label) // 2].sum(axis=1)
    assert widths[4:12].mean() < widths[16:28].mean()
