"""What each tissue looks like in each modality.

Signals are relative to the brain's mean except where a modality is quantitative. A
component that a modality does not name looks there like the healthy tissue it is in.
"""

from collections.abc import Mapping
import dataclasses


@dataclasses.dataclass(frozen=True, kw_only=True)
class Modality:
    """How one kind of image comes about.

    Attributes:
      signals: Mean signal of each component.
      gain: Lowest and highest number that a signal of 1 is stored as.
      noise: Lowest and highest standard deviation of the noise, in signal units.
      blur_mm: Lowest and highest sigma of the point spread.
      shading: Largest standard deviation of the log of the coil's sensitivity.
      texture: Standard deviation of the log signal within healthy tissue.
      dtype: What voxels are stored as.
    """

    signals: Mapping[str, float]
    gain: tuple[float, float]
    noise: tuple[float, float] = (0.01, 0.03)
    blur_mm: tuple[float, float] = (0.35, 0.7)
    shading: float = 0.1
    texture: float = 0.03
    dtype: str = "int16"


_FLAIR = {
    "csf": 0.40,
    "grey": 1.05,
    "white": 0.92,
    "necrosis": 1.15,
    "enhancing": 1.3,
    "oedema": 1.55,
    "infarct": 1.4,
}

TUMOUR = {
    "t1": Modality(
        signals={
            "csf": 0.40,
            "grey": 0.86,
            "white": 1.12,
            "necrosis": 0.66,
            "enhancing": 0.90,
            "oedema": 0.86,
        },
        gain=(500, 1400),
    ),
    "t1ce": Modality(
        signals={
            "csf": 0.42,
            "grey": 0.90,
            "white": 1.10,
            "necrosis": 0.70,
            "enhancing": 1.65,
            "oedema": 0.88,
        },
        gain=(500, 1000),
    ),
    "t2": Modality(
        signals={
            "csf": 3.5,
            "grey": 1.15,
            "white": 0.82,
            "necrosis": 2.3,
            "enhancing": 1.7,
            "oedema": 2.0,
        },
        gain=(1000, 2200),
        noise=(0.02, 0.05),
    ),
    "flair": Modality(signals=_FLAIR, gain=(400, 1000)),
}

STROKE_DWI = {
    "dwi": Modality(
        signals={"csf": 0.3, "grey": 1.08, "white": 0.93, "infarct": 2.0},
        gain=(100, 400),
        noise=(0.02, 0.05),
        blur_mm=(0.6, 1.0),
    ),
    "adc": Modality(  # In 1e-3 mm²/s, stored in 1e-6 mm²/s.
        signals={"csf": 2.9, "grey": 0.84, "white": 0.72, "infarct": 0.46},
        gain=(1000, 1000),
        noise=(0.02, 0.05),
        blur_mm=(0.6, 1.0),
        shading=0.0,
    ),
    "flair": Modality(signals=_FLAIR, gain=(100, 400)),
}


def _perfusion(csf, grey, white, penumbra, infarct) -> Modality:
    """A map that is computed from CT perfusion: quantitative, coarse, patchy."""
    return Modality(
        signals={
            "csf": csf,
            "grey": grey,
            "white": white,
            "penumbra": penumbra,
            "infarct": infarct,
        },
        gain=(1, 1),
        noise=(0.01 * grey, 0.05 * grey),
        blur_mm=(1.2, 2.0),
        shading=0.0,
        texture=0.15,
        dtype="float32",
    )


STROKE_CTP = {
    "cbv": _perfusion(0.6, 4.0, 2.2, 3.2, 1.1),  # ml / 100 g
    "cbf": _perfusion(6.0, 60.0, 26.0, 18.0, 6.0),  # ml / 100 g / min
    "mtt": _perfusion(3.0, 4.0, 5.0, 9.5, 13.0),  # s
    "tmax": _perfusion(1.0, 1.4, 2.0, 8.0, 12.0),  # s
}
