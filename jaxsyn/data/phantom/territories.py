"""Which artery feeds a place: the cerebral territories, in rough geometry."""

import numpy as np

NONE, ANTERIOR, MIDDLE, POSTERIOR = range(4)

# Points along the course of each artery's branches in MNI coordinates, in mm, with
# |x| because both sides are alike. A place belongs to the nearest branch; compare
# the maps of Tatu et al., Neurology 1998.
_BRANCHES = {
    ANTERIOR: ((6, 50, -8), (8, 52, 20), (10, 30, 45), (10, 0, 58), (10, -30, 62)),
    MIDDLE: (
        (26, 6, 0),
        (40, 30, 8),
        (48, 4, 30),
        (44, -24, 48),
        (52, -24, 8),
        (46, -52, 26),
        (46, 0, -22),
        (28, -10, 26),
    ),
    POSTERIOR: (
        (12, -20, 6),
        (24, -36, -10),
        (10, -60, 14),
        (14, -86, 4),
        (34, -70, -8),
    ),
}


def territory(mni: np.ndarray) -> np.ndarray:
    """The artery that feeds each place.

    Args:
      mni: MNI coordinates, float [3, n], in mm.

    Returns:
      int8 [n]: ANTERIOR, MIDDLE or POSTERIOR cerebral artery, or NONE in the
      cerebellum and the brain stem, which the basilar artery feeds.
    """
    x, y, z = np.abs(mni[0]), mni[1], mni[2]
    nearest = np.full(x.shape, np.inf, np.float32)
    artery = np.zeros(x.shape, np.int8)
    for name, branches in _BRANCHES.items():
        for px, py, pz in branches:
            away = (x - px) ** 2 + (y - py) ** 2 + (z - pz) ** 2
            artery = np.where(away < nearest, np.int8(name), artery)
            nearest = np.minimum(nearest, away)
    tentorium = -12 - 0.15 * np.clip(-y - 40, 0, None)
    below = (z < tentorium) & (y < -36)
    stem = (x < 18) & (y < -8) & (z < -8)
    return np.where(below | stem, np.int8(NONE), artery)
