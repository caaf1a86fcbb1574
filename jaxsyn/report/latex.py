"""A table in LaTeX, with the lines of booktabs."""

import re

from jaxsyn.report.document import PRINTED, Row, Table

_ESCAPES = {c: f"\\{c}" for c in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": "$<$",
    ">": "$>$",
    "|": "$|$",
    "±": r"$\pm$",
    "−": "$-$",
    "–": "--",
    "—": "---",
    "×": r"$\times$",
    "·": r"$\cdot$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "≈": r"$\approx$",
    "→": r"$\to$",
    "Δ": r"$\Delta$",
    "†": r"\dag{}",
    "…": r"\dots{}",
    "\N{NO-BREAK SPACE}": "~",
    "-": "-{}",  # Only of two in a row, which would become a dash.
    "[": "{[}",  # Only of a cell's first, which the end of the row above would take
    "*": "{*}",  # for its argument.
}
_SPECIAL = re.compile(rf"-(?=-)|^[\[*]|[{re.escape(''.join([*_ESCAPES][:-3]))}]")


def render(table: Table) -> str:
    r"""Sets a table in a `table` environment with its caption and its notes.

    The document needs `\usepackage{booktabs}`. The label is `tab:` and the name.
    """
    notes = [_words(note) for note in table.notes]
    if table.has_printed:
        notes.append(_words(PRINTED))
    columns = "".join("r" if numeric else "l" for numeric in table.numeric)
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{_words(table.caption)}}}",
        rf"\label{{tab:{table.name}}}",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        *_heads(table),
        r"\midrule",
        *(_line(_cells(row)) for row in table.rows),
        r"\bottomrule",
        r"\end{tabular}",
        *(rf"\par\footnotesize {note}" for note in notes),
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _heads(table: Table) -> list[str]:
    names = _line(_words(column.name) for column in table.columns)
    if not table.grouped:
        return [names]
    heads, rules, first = [], [], 1
    for group, span in table.groups:
        if group:
            heads.append(rf"\multicolumn{{{span}}}{{c}}{{{_words(group)}}}")
            rules.append(rf"\cmidrule(lr){{{first}-{first + span - 1}}}")
        else:
            heads += [""] * span
        first += span
    return [_line(heads), "".join(rules), names]


def _cells(row: Row) -> list[str]:
    cells = [_words(cell) for cell in row.cells]
    if not row.printed:
        return cells
    head, *others = (rf"\textit{{{cell}}}" if cell else "" for cell in cells)
    return [rf"{head}~\dag{{}}", *others]


def _line(cells) -> str:
    return rf"{' & '.join(cells)} \\"


def _words(text: str) -> str:
    """Text in one line in which nothing is a command."""
    line = re.sub(r"\s*\n\s*", " ", text.strip())
    return _SPECIAL.sub(lambda found: _ESCAPES[found[0]], line)
