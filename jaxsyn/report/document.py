"""What a report consists of: plain words, numbers as text, and pictures as bytes.

Nothing in it is markup. Whoever writes it escapes what the format needs.
"""

from collections.abc import Iterator
import dataclasses
import itertools
import re

from jaxsyn.errors import UsageError

PRINTED = "Rows in italics, marked †, are the paper's own numbers, as printed."
_PNG = b"\x89PNG\r\n\x1a\n"
ADDRESS = re.compile(r"""(https?://[^\s<>"|]*[^\s<>"|.,;:!?)\]])""")
_NAME = re.compile(r"\w[\w.+-]*", re.ASCII)
_DASHES = ("", "-", "–", "—", "−")


@dataclasses.dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
      name: Its head.
      group: Of the neighbouring columns that share a head above their own.
    """

    name: str
    group: str = ""

    @property
    def full_name(self) -> str:
        """Group and name, where there is one line for both."""
        return f"{self.group} {self.name}".strip()


@dataclasses.dataclass(frozen=True)
class Row:
    """A row of a table.

    Attributes:
      cells: One for each column; the first is the row's head.
      printed: Whether these are a paper's own numbers; they are set in italics.
    """

    cells: tuple[str, ...]
    printed: bool = False


@dataclasses.dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
      name: Of its files: letters, digits, and . + - _ after the first.
      caption: Stands above it.
      columns: The first is that of the rows' heads.
      rows: From top to bottom.
      notes: Stand below it, each in a line of its own.

    Raises:
      UsageError: The name is no file name, or a row has too few or too many cells.
    """

    name: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()

    def __post_init__(self):
        _check_name(self.name, "table")
        for row in self.rows:
            if len(row.cells) != len(self.columns):
                raise UsageError(
                    f"Table {self.name}: a row has {len(row.cells)} cells"
                    f" {row.cells[:3]}, the table {len(self.columns)} columns.",
                    hint="Give each row a cell for each column; it may be empty.",
                )

    @property
    def groups(self) -> tuple[tuple[str, int], ...]:
        """Heads above the columns' own, and how many columns each spans."""
        runs = itertools.groupby(column.group for column in self.columns)
        return tuple((group, len([*columns])) for group, columns in runs)

    @property
    def grouped(self) -> bool:
        """Whether any column belongs to a group."""
        return any(column.group for column in self.columns)

    @property
    def has_printed(self) -> bool:
        """Whether any row is a paper's."""
        return any(row.printed for row in self.rows)

    @property
    def numeric(self) -> tuple[bool, ...]:
        """For each column whether most of its cells are numbers, or none is a word."""
        found = [False]
        for place in range(1, len(self.columns)):
            cells = [row.cells[place].strip() for row in self.rows]
            told = [is_number(cell) for cell in cells if cell not in _DASHES]
            found.append(2 * sum(told) >= len(told))
        return tuple(found)


@dataclasses.dataclass(frozen=True)
class Figure:
    """A picture.

    Attributes:
      name: Of its file, without suffix: letters, digits, and . + - _ after the first.
      caption: Stands below it.
      image: An SVG or PNG file.
      alt: What it shows, for those who cannot see it.

    Raises:
      UsageError: The name is no file name, or the image neither SVG nor PNG.
    """

    name: str
    caption: str
    image: bytes
    alt: str

    def __post_init__(self):
        _check_name(self.name, "figure")
        start = self.image[:100].lstrip()
        if not start.startswith((_PNG, b"<svg", b"<?xml")):
            raise UsageError(
                f"Figure {self.name} is neither SVG nor PNG; it starts with"
                f" {start[:12]!r}.",
                hint="Draw it with jaxsyn.report.figures, or save it as PNG.",
            )

    @property
    def suffix(self) -> str:
        """Of its file, without a dot: svg or png."""
        return "png" if self.image.startswith(_PNG) else "svg"

    @property
    def file(self) -> str:
        """Its file's name."""
        return f"{self.name}.{self.suffix}"


@dataclasses.dataclass(frozen=True)
class Text:
    """Paragraphs. Web addresses in them become links."""

    paragraphs: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Code:
    """Lines that are set as they are, such as a command."""

    text: str


@dataclasses.dataclass(frozen=True)
class Notice:
    """A failure or a warning, set apart from what is around it."""

    text: str


Item = Table | Figure | Text | Code | Notice


@dataclasses.dataclass(frozen=True)
class Section:
    """A part of a page, with its title."""

    title: str
    items: tuple[Item, ...]


@dataclasses.dataclass(frozen=True)
class Page:
    """A report.

    Attributes:
      title: What it is called.
      lead: A paragraph that says what it is about.
      sections: From top to bottom.

    Raises:
      UsageError: Two tables, or two figures, have one name.
    """

    title: str
    lead: str
    sections: tuple[Section, ...]

    def __post_init__(self):
        for kind, items in (("tables", self.tables), ("figures", self.figures)):
            # Some file systems do not tell capitals from small letters.
            names = [item.name.casefold() for item in items]
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise UsageError(
                    f"Two {kind} of a page are called {', '.join(twice)}.",
                    hint=f"Files are called by these names: name the {kind} apart.",
                )

    @property
    def tables(self) -> tuple[Table, ...]:
        """All tables, from top to bottom."""
        return tuple(item for item in self._items() if isinstance(item, Table))

    @property
    def figures(self) -> tuple[Figure, ...]:
        """All figures, from top to bottom."""
        return tuple(item for item in self._items() if isinstance(item, Figure))

    def _items(self) -> Iterator[Item]:
        return itertools.chain.from_iterable(s.items for s in self.sections)


def is_number(cell: str) -> bool:
    """Whether a cell holds a number, alone or with its spread, interval or count."""
    bare = re.sub(r"\b[np]\s*[=<]|(?<=\d)e(?=[-+−]?\d)", "", cell)
    return any(map(str.isdigit, bare)) and not any(map(str.isalpha, bare))


def _check_name(name, kind):
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot be the name of a {kind}'s file.",
            hint="Use letters, digits, and . + - _ after the first.",
        )
