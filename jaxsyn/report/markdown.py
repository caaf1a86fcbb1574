"""A report in Markdown, as GitHub and editors show it."""

import itertools
import re

from jaxsyn.report.document import (
    ADDRESS,
    PRINTED,
    Code,
    Figure,
    Item,
    Notice,
    Page,
    Row,
    Table,
    Text,
)

_ESCAPES = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;"} | {c: f"\\{c}" for c in "\\`*_[]|~$"}
)
# Where a line would otherwise start a heading or a list.
_START = re.compile(r"^(\d+(?=[.)](?:\s|$))|(?=#|[-+=](?:\s|[-=]|$)))")


def render(page: Page) -> str:
    """Lays out a page; figures are those in `figures/` beside it."""
    tables, figures = itertools.count(1), itertools.count(1)
    blocks = [f"# {_words(page.title)}", _words(page.lead)]
    for section in page.sections:
        blocks.append(f"## {_words(section.title)}")
        for item in section.items:
            blocks += _blocks(item, tables, figures)
    return "\n\n".join(block for block in blocks if block) + "\n"


def _blocks(item: Item, tables, figures) -> list[str]:
    match item:
        case Table():
            return _table(item, next(tables))
        case Figure():
            caption = f"**Figure {next(figures)}.** {_words(item.caption)}"
            return [f"![{_words(item.alt)}](figures/{item.file})", caption]
        case Text():
            return [_words(paragraph) for paragraph in item.paragraphs]
        case Notice():
            lines = (_words(line) for line in item.text.splitlines())
            return ["> **Notice.** " + "  \n> ".join(lines)]
        case Code():
            return [_fenced(item.text)]


def _table(table: Table, number: int) -> list[str]:
    rules = ("---:" if numeric else "---" for numeric in table.numeric)
    lines = [
        _line(_words(column.full_name) for column in table.columns),
        _line(rules),
        *(_line(_cells(row)) for row in table.rows),
    ]
    notes = [_words(note) for note in table.notes]
    if table.has_printed:
        notes.append(PRINTED)
    caption = f"**Table {number}.** {_words(table.caption)}"
    return [caption, "\n".join(lines), "  \n".join(notes)]


def _cells(row: Row) -> list[str]:
    cells = [_words(cell) for cell in row.cells]
    if not row.printed:
        return cells
    head, *others = (f"*{cell}*" if cell else "" for cell in cells)
    return [f"{head} †", *others]


def _line(words) -> str:
    return f"| {' | '.join(words)} |"


def _words(text: str) -> str:
    """Text in one line, without markup but for web addresses, which are links."""
    pieces = ADDRESS.split(" ".join(text.split()))
    escaped = [
        f"<{piece}>" if place % 2 else piece.translate(_ESCAPES)
        for place, piece in enumerate(pieces)
    ]
    return _START.sub(r"\1\\", "".join(escaped))


def _fenced(text: str) -> str:
    """Code between fences that are longer than any within it."""
    longest = max((len(ticks) for ticks in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text.rstrip()}\n{fence}"
