"""Prepares cases in parallel, each into a file that is whole or absent."""

from collections.abc import Callable, Iterator, Sequence
import functools
import json
from pathlib import Path
from typing import Any
from urllib import parse

import numpy as np
import threadpoolctl
from tqdm import tqdm

from jaxsyn import storage
from jaxsyn.data import preprocess
from jaxsyn.data.cases import Case, CaseVolumes, Problem
from jaxsyn.data.preprocess import CaseInfo, PrepareSettings
from jaxsyn.errors import DataError

# From work and items to pairs of an item and what was made of it, in their order.
Spread = Callable[[Callable, Sequence], Iterator[tuple[Any, Any]]]


def stage(
    cases: Sequence[Case | Problem],
    settings: PrepareSettings,
    folder: Path,
    *,
    read: Callable[[Case | Problem], CaseVolumes],
    spread: Spread,
    skip_bad: bool = False,
) -> dict[str, str]:
    """Prepares the cases that `folder` does not hold yet.

    Args:
      cases: All of them.
      settings: What to make of them.
      folder: Where to.
      read: Reads a case; must be picklable.
      spread: What does the work: `workers.in_parallel`, or `beam.in_parallel`.
      skip_bad: Whether to go on after a case that cannot be used.

    Returns:
      Why, for each case that could not be used.

    Raises:
      DataError: A case cannot be used, unless `skip_bad`.
      ResourceError: No space, or a worker was killed.
    """
    folder.mkdir(exist_ok=True)
    missing = [case for case in cases if not staged_file(folder, case.name).exists()]
    missing.sort(key=lambda case: len(case.files))  # Problems, which have none, first.
    refused = {}
    with tqdm(
        total=len(cases),
        initial=len(cases) - len(missing),
        desc="Preparing",
        unit="case",
    ) as bar:
        work = functools.partial(_stage_case, settings, folder, read)
        for case, why in spread(work, missing):
            if why and not skip_bad:
                raise bad_case(case.name, why)
            if why:
                refused[case.name] = why
            bar.update()
    return refused


def staged_file(folder: Path, case: str) -> Path:
    """Where a case is staged: image, label and, as JSON, its info."""
    return folder / f"{parse.quote(case, safe='')}.npz"


def staged_info(folder: Path, case: str) -> CaseInfo:
    """Reads how a staged case was prepared."""
    with np.load(staged_file(folder, case)) as staged:
        return CaseInfo.from_json(json.loads(str(staged["info"])))


def bad_case(case: str, why: str) -> DataError:
    """The error that a case which cannot be used ends a job with."""
    return DataError(
        f"Case {case} cannot be used: {why}",
        hint='Repair it, or leave such cases out with on_bad_case="skip". All of them'
        " are listed by: python -m jaxsyn.data.check DIR",
    )


def _stage_case(settings, folder, read, case):
    """Prepares one case; returns why it is refused, or nothing."""
    try:
        # On a busy machine the threads of small matrix products wait for each other.
        with threadpoolctl.threadpool_limits(1):
            prepared = preprocess.prepare_case(
                read(case), settings, case=case.name, patient=case.patient
            )
    except DataError as error:
        return f"{error.args[0]} {error.hint}".strip()
    path = staged_file(folder, case.name)
    with storage.writing(folder), storage.whole_file(path) as file:
        info = json.dumps(prepared.info.to_json())
        np.savez(file, image=prepared.image, label=prepared.label, info=info)
    return ""
