"""Where cases come from: one module a data set, found by its name.

A module of this package knows its folders, names and label values, and nothing else.
It defines
- MODALITIES: names of the image channels, in order;
- LABELS: the label table; an entry without values, as `brain`, is derived;
- or, where these are the folder's own, describe(root), which returns the two;
- ORIGIN: where the data can be had;
- LAYOUT: how its files lie, in half a sentence;
- find_cases(root): yields the cases in a folder, without reading images.
"""

import dataclasses
import importlib
from pathlib import Path
import pkgutil
from types import ModuleType

from jaxsyn import settings
from jaxsyn.data import cases
from jaxsyn.data.cases import Case, CaseVolumes, Problem
from jaxsyn.errors import DataError
from jaxsyn.spec import Label

_PHANTOM = ". Or run on the phantom: --config.data.phantom.patients=8"
_OF_PHANTOMS = ("brats", "brats_tumour", "brats_whole", "isles2018")


@dataclasses.dataclass(frozen=True)
class Source:
    """A kind of folder that cases can be read from.

    Attributes:
      name: Of a module of this package.
    """

    name: str

    @property
    def module(self) -> ModuleType:
        """What knows about this kind."""
        return importlib.import_module(f"{__name__}.{self.name}")

    def describe(self, folder: str | Path) -> tuple[tuple[str, ...], tuple[Label, ...]]:
        """Names of the image channels, in order, and the label table.

        Raises:
          DataError: They are the folder's own, and cannot be told.
        """
        if hasattr(self.module, "describe"):
            return self.module.describe(self._checked(folder))
        return self.module.MODALITIES, self.module.LABELS

    def find_cases(
        self, folder: str | Path, *, labelled: bool = True
    ) -> list[Case | Problem]:
        """Finds the cases of a folder, without reading images.

        Nothing is dropped: what looks like a case and is none comes as a Problem,
        and so does every further case of the same name.

        Args:
          folder: Where they are.
          labelled: Whether a case without segmentation is a Problem.

        Raises:
          DataError: No folder is given, it is missing, or there is no case in it.
        """
        folder = self._checked(folder)
        try:
            found = list(self.module.find_cases(folder))
        except OSError as error:
            raise DataError(
                f"{folder} cannot be listed: {error}.", hint="Check your permissions."
            ) from error
        if not found:
            raise DataError(
                f"There is no {self.name} case in {folder}.",
                hint=f"Expected: {self.module.LAYOUT}. {self._origin}",
            )
        if labelled:
            found = [_require_label(case) for case in found]
        return _refuse_repeated(found)

    def read_case(
        self, case: Case | Problem, foreground: str = "nonzero"
    ) -> CaseVolumes:
        """Reads and checks one; see `cases.read_case`."""
        return cases.read_case(case, foreground)

    @property
    def _origin(self):
        return self.module.ORIGIN + _PHANTOM * (self.name in _OF_PHANTOMS)

    def _checked(self, folder):
        """The folder, or the file that stands for one, if it is there."""
        if not str(folder):
            raise DataError("No data.source_dir is given.", hint=self._origin)
        folder = Path(folder)
        if not folder.exists():
            raise DataError(
                f"There is no folder {folder}.", hint=f"Check the path. {self._origin}"
            )
        return folder


def load(name: str) -> Source:
    """The source called `name`; UsageError lists those there are."""
    modules = pkgutil.iter_modules(__path__)
    known = sorted(m.name for m in modules if not m.name.startswith("_"))
    if name not in known:
        raise settings.unknown(f"data.source={name!r}", name, known)
    return Source(name)


def _require_label(case):
    # Tissues without lesions are of a person without a lesion.
    if isinstance(case, Problem) or case.label or case.tissues:
        return case
    files = [path.name for path in case.files]
    folder = case.files[0].parent
    reason = f"{folder} has no segmentation; it has {', '.join(files)}."
    return Problem(name=case.name, reason=reason)


def _refuse_repeated(found):
    first, result = {}, []
    for case in found:
        if isinstance(case, Case) and first.setdefault(case.name, case) is not case:
            folder = case.files[0].parent
            case = Problem(
                name=f"{case.name} (in {folder})",
                reason=f"Another case has this name: {first[case.name].files[0]}.",
                hint="Rename one of them, or move it away if they are the same.",
            )
        result.append(case)
    return result
