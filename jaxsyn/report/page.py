"""A report's files: a page to read, and its tables and figures to use elsewhere."""

import csv
import io
from pathlib import Path

from jaxsyn import storage
from jaxsyn.report import html, latex, markdown
from jaxsyn.report.document import (
    Code,
    Column,
    Figure,
    Notice,
    Page,
    Row,
    Section,
    Table,
    Text,
)

__all__ = [
    "Code",
    "Column",
    "Figure",
    "Notice",
    "Page",
    "Row",
    "Section",
    "Table",
    "Text",
    "write",
]


def write(page: Page, folder: Path) -> Path:
    """Writes a page to report.html and report.md, and its parts to files beside them.

    report.html needs no other file, no script and no network. Tables are also written
    to tables/NAME.csv and tables/NAME.tex, figures to figures/NAME.svg or .png. The
    same page gives the same bytes.

    Args:
      page: The report.
      folder: Where to; it is made. Files of the same names are replaced, each as a
        whole; others are left alone.

    Returns:
      The path of report.html, which is written last.

    Raises:
      ResourceError: There is no room, or no permission.
    """
    folder = Path(folder)
    files = {}
    for table in page.tables:
        files[f"tables/{table.name}.csv"] = _comma_separated(table)
        files[f"tables/{table.name}.tex"] = latex.render(table)
    files |= {f"figures/{figure.file}": figure.image for figure in page.figures}
    files["report.md"] = markdown.render(page)
    files["report.html"] = html.render(page)
    for name, content in files.items():
        _write(folder / name, content)
    return folder / "report.html"


def _comma_separated(table: Table) -> str:
    """A table as CSV; a last column tells a paper's rows, if there are any."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    mark = (lambda word: [word]) if table.has_printed else lambda word: []
    writer.writerow([*(c.full_name for c in table.columns), *mark("printed")])
    for row in table.rows:
        writer.writerow([*row.cells, *mark("yes" if row.printed else "no")])
    return text.getvalue()


def _write(path, content):
    data = content if isinstance(content, bytes) else content.encode()
    with storage.writing(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        with storage.whole_file(path) as file:
            file.write(data)
