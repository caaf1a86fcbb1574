"""ISLES 2018: perfusion maps from computed tomography, and the stroke's core.

Modalities are in the order of Chaparro-Cruz and Montoya-Zegarra 2022 (BORDE); the
computed tomography itself, its series in time and the diffusion image are not read. A
case has 2 to 18 slices.

The 94 training cases are of 63 patients, but the folders do not say which are whose.
A file `*.csv` beside the cases or above them with the columns `case` and `patient` (or
`case_id` and `patient_id`) does, if there is one; otherwise each case counts as a
patient of its own, and slabs of one patient may be divided between training and test.
"""

from collections.abc import Iterator
import dataclasses
from pathlib import Path

from jaxsyn.data.cases import Case, Problem
from jaxsyn.data.sources import _files, _smir, table

_KINDS = {"ct_cbv": "cbv", "ct_cbf": "cbf", "ct_tmax": "tmax", "ct_mtt": "mtt"}
MODALITIES = tuple(_KINDS.values())
LABELS = _smir.LABELS
ORIGIN = "ISLES 2018 is at www.isles-challenge.org (registration)"
LAYOUT = (
    "folders TRAINING/case_N, with SMIR.Brain.XX.O.CT_CBV.NUMBER.nii and so on in them"
    " or in folders of their own"
)


def find_cases(root: Path) -> Iterator[Case | Problem]:
    """Finds the cases of the folder TRAINING, or those in `root` if there is none.

    Raises:
      DataError: A table of patients cannot be read.
    """
    for folder in _files.named(root, "TRAINING") or [root]:
        patients = _patients(dict.fromkeys((root, folder.parent, folder)))
        for case in _smir.find_cases(folder, r"case_\d+", _KINDS):
            yield _of_patient(case, patients) if isinstance(case, Case) else case


def _of_patient(case, patients):
    if patients and case.name not in patients:
        return Problem(
            name=case.name,
            reason=f"The table of patients does not say whose {case.name} is.",
            hint="Add it to the table, or remove the table.",
        )
    return dataclasses.replace(case, patient=patients.get(case.name, case.name))


def _patients(folders):
    """Whose each case is, by the first table that says so; none if no table does."""
    for path in (path for folder in folders for path in sorted(folder.glob("*.csv"))):
        names, lines = table.read_rows(path)
        columns = [name.lower().removesuffix("_id") for name in names]
        if {"case", "patient"} <= set(columns):
            case, patient = columns.index("case"), columns.index("patient")
            return {
                f"case_{cells[case].removeprefix('case_')}": cells[patient]
                for cells in lines.values()
                if cells[patient]
            }
    return {}
