"""Reports say what they were given, in every format, and nothing in it is markup."""

import csv
from html import parser
import io
import re

from PIL import Image
import pytest

from jaxsyn.errors import ResourceError, UsageError
from jaxsyn.report import html, latex, markdown
from jaxsyn.report import page as pages
from jaxsyn.report.document import PRINTED, is_number

NASTY = r"<script>alert(1)</script> & a_b 5 % $x$ C:\dir ± – | # ^ ~ {y} `z` *"
SVG = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>'
VOID = {"meta", "img", "br", "link"}


def png():
    file = io.BytesIO()
    Image.new("L", (4, 3)).save(file, format="PNG")
    return file.getvalue()


def a_table(name="dice", cell="0.81 ± 0.02"):
    return pages.Table(
        name,
        f"Caption of {name}",
        (
            pages.Column("trained on"),
            pages.Column("Dice", "ET"),
            pages.Column("HD95", "ET"),
            pages.Column("Dice", "TC"),
            pages.Column("remark"),
        ),
        (
            pages.Row(("real", cell, "–", "1.5", "of 3 seeds")),
            pages.Row(("SPADE", "0.75", "", "0.67", ""), printed=True),
        ),
        notes=("A note.",),
    )


def a_page(*items, title="A title", lead="A lead."):
    return pages.Page(title, lead, (pages.Section("A section", items),))


def everything(words="plain"):
    """A page with each kind of item, `words` wherever words can be."""
    table = pages.Table(
        "words",
        words,
        (pages.Column(words), pages.Column(words, words)),
        (pages.Row((words, words)), pages.Row((words, words), printed=True)),
        (words,),
    )
    items = (
        a_table(),
        table,
        pages.Figure("line", words, SVG, words),
        pages.Figure("grid", words, png(), words),
        pages.Text((words, words)),
        pages.Code(words),
        pages.Notice(words),
    )
    return pages.Page(words, words, (pages.Section(words, items),))


class Reader(parser.HTMLParser):
    """Reads a page as a browser does, and objects to tags that do not match."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.words = [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.words.append((self.open[-1] if self.open else "", data))

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]

    def said(self, tag):
        return [words for inside, words in self.words if inside == tag]


def test_the_files_of_a_page(tmp_path):
    made = pages.write(everything(), tmp_path / "new" / "folder")
    assert made == tmp_path / "new" / "folder" / "report.html"
    names = sorted(str(p.relative_to(made.parent)) for p in made.parent.rglob("*.*"))
    assert names == [
        "figures/grid.png",
        "figures/line.svg",
        "report.html",
        "report.md",
        "tables/dice.csv",
        "tables/dice.tex",
        "tables/words.csv",
        "tables/words.tex",
    ]
    assert (made.parent / "figures/grid.png").read_bytes() == png()
    assert (made.parent / "figures/line.svg").read_bytes() == SVG


def test_the_same_page_gives_the_same_bytes(tmp_path):
    one = pages.write(everything(NASTY), tmp_path / "1").parent
    two = pages.write(everything(NASTY), tmp_path / "2").parent
    files = [path.relative_to(one) for path in one.rglob("*.*")]
    assert len(files) == 8
    for file in files:
        assert (one / file).read_bytes() == (two / file).read_bytes()


def test_a_folder_that_is_a_file_is_named(tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(ResourceError, match="taken"):
        pages.write(everything(), tmp_path / "taken")


def test_html_needs_no_other_file_and_runs_nothing():
    text = html.render(everything(NASTY + " https://arxiv.org/abs/1706.08500."))
    read = Reader(text)
    assert not read.all("script") and not read.all("link") and "@import" not in text
    assert not re.search(r"url\(", text)
    sources = [image["src"] for image in read.all("img")]
    assert [source.split(",")[0] for source in sources] == [
        "data:image/svg+xml;base64",
        "data:image/png;base64",
    ]
    assert all(set(a) <= {"href"} for a in read.all("a"))
    policy = next(m for m in read.all("meta") if "http-equiv" in m)
    assert policy["content"].startswith("default-src 'none'; img-src data:;")


def test_html_says_every_word_as_it_is():
    read = Reader(html.render(everything(NASTY)))
    for tag in ("title", "h1", "h2", "p", "th", "td", "i", "li", "code", "a"):
        assert NASTY in read.said(tag), tag
    assert NASTY in read.said("aside")
    assert sum(NASTY in words for words in read.said("figcaption")) == 3
    assert [image["alt"] for image in read.all("img")] == [NASTY, NASTY]


def test_html_is_a_document_with_contents_and_places_of_their_own():
    text = html.render(everything())
    read = Reader(text)
    assert text.startswith("<!DOCTYPE html>\n") and read.all("html") == [{"lang": "en"}]
    assert any(meta.get("name") == "viewport" for meta in read.all("meta"))
    ids = [attributes["id"] for _, attributes in read.tags if "id" in attributes]
    assert len(set(ids)) == len(ids)
    assert [a["href"] for a in read.all("a")] == ["#section-1"]
    named = {a["aria-labelledby"] for _, a in read.tags if "aria-labelledby" in a}
    assert named | {"section-1"} <= set(ids)
    assert read.said("b") == [
        *("Table\N{NO-BREAK SPACE}1.", "Table\N{NO-BREAK SPACE}2."),
        *("Figure\N{NO-BREAK SPACE}1.", "Figure\N{NO-BREAK SPACE}2."),
        "Notice",
    ]


def test_html_tables_have_grouped_heads_numbers_on_the_right_and_marked_rows():
    text = html.render(a_page(a_table()))
    read = Reader(text)
    groups = [a for a in read.all("th") if a["scope"] == "colgroup"]
    assert [a["colspan"] for a in groups] == ["2", "1"]
    assert [a["span"] for a in read.all("colgroup")] == ["1", "2", "1", "1"]
    heads = [a for a in read.all("th") if a["scope"] == "col"]
    assert [a.get("class") for a in heads] == [None, *["numeric"] * 3, None]
    cells = [a.get("class") for a in read.all("td") if "colspan" not in a]
    assert cells == [*["numeric"] * 3, None] * 2
    assert [a.get("class") for a in read.all("tr")] == [None, None, None, "printed"]
    assert read.said("i") == ["SPADE", "0.75", "0.67"]
    assert "the paper's own numbers, as printed" in read.said("li")[-1]
    assert text.index("Caption of dice") < text.index("<table") < text.index("A note.")
    bare = pages.Table("bare", "", (pages.Column("a"),), (pages.Row(("1",)),))
    read = Reader(html.render(a_page(bare)))
    assert len(read.all("tr")) == 2 and not read.all("colgroup")


def test_html_captions_of_figures_stand_below():
    text = html.render(a_page(pages.Figure("line", "Its caption", SVG, "a line")))
    assert text.index("<img") < text.index("Its caption")


def test_html_links_addresses_but_not_the_dot_behind():
    paragraph = "See https://doi.org/10.1002/a_b?x=1&y=2. And <b>."
    read = Reader(html.render(a_page(pages.Text((paragraph,)))))
    assert read.all("a")[-1] == {"href": "https://doi.org/10.1002/a_b?x=1&y=2"}
    assert ". And <b>." in read.said("p")


def test_markdown_by_hand():
    figure = pages.Figure("grid", "Slices", png(), "A [grid]")
    text = pages.Text(("1. First", "# no head", "at https://x.org/a_b."))
    items = (a_table(cell="a|b"), figure, text, pages.Notice("No\nroom"))
    assert (
        markdown.render(a_page(*items, pages.Code("a = ```\n")))
        == r"""# A title

A lead.

## A section

**Table 1.** Caption of dice

| trained on | ET Dice | ET HD95 | TC Dice | remark |
| --- | ---: | ---: | ---: | --- |
| real | a\|b | – | 1.5 | of 3 seeds |
| *SPADE* † | *0.75* |  | *0.67* |  |

A note.@@
Rows in italics, marked †, are the paper's own numbers, as printed.

![A \[grid\]](figures/grid.png)

**Figure 1.** Slices

1\. First

\# no head

at <https://x.org/a_b>.

> **Notice.** No@@
> room

````
a = ```
````
""".replace("@", " ")
    )


def test_markdown_escapes_what_would_be_markup():
    text = markdown.render(a_page(lead=NASTY)).split("\n\n")[1]
    assert text == (
        r"&lt;script&gt;alert(1)&lt;/script&gt; &amp; a\_b 5 % \$x\$ C:\\dir ± – \|"
        r" # ^ \~ {y} \`z\` \*"
    )


def test_latex_by_hand():
    table = a_table(cell="-0.81 ± 5 %")
    assert (
        latex.render(table)
        == r"""\begin{table}
\centering
\caption{Caption of dice}
\label{tab:dice}
\begin{tabular}{lrrrl}
\toprule
 & \multicolumn{2}{c}{ET} & \multicolumn{1}{c}{TC} &  \\
\cmidrule(lr){2-3}\cmidrule(lr){4-4}
trained on & Dice & HD95 & Dice & remark \\
\midrule
real & -0.81 $\pm$ 5 \% & -- & 1.5 & of 3 seeds \\
\textit{SPADE}~\dag{} & \textit{0.75} &  & \textit{0.67} &  \\
\bottomrule
\end{tabular}
\par\footnotesize A note.
\par\footnotesize PRINTED
\end{table}
""".replace("PRINTED", PRINTED.replace("†", r"\dag{}"))
    )


def test_latex_escapes_what_would_be_a_command():
    rows = tuple(pages.Row((cell,)) for cell in (NASTY, "[0.1, 0.2]", "*a", "--config"))
    table = pages.Table("n", "", (pages.Column("c"),), rows)
    lines = latex.render(table).splitlines()
    start = lines.index(r"\midrule") + 1
    assert lines[start : start + 4] == [
        r"$<$script$>$alert(1)$<$/script$>$ \& a\_b 5 \% \$x\$ C:\textbackslash{}dir"
        r" $\pm$ -- $|$ \# \textasciicircum{} \textasciitilde{} \{y\} `z` * \\",
        r"{[}0.1, 0.2] \\",
        r"{*}a \\",
        r"-{}-config \\",
    ]


def test_csv_joins_group_and_name_and_keeps_cells(tmp_path):
    table = a_table(cell='0,81 "±"\n|')
    pages.write(a_page(table), tmp_path)
    with open(tmp_path / "tables" / "dice.csv", newline="", encoding="utf8") as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["trained on", "ET Dice", "ET HD95", "TC Dice", "remark", "printed"],
        ["real", '0,81 "±"\n|', "–", "1.5", "of 3 seeds", "no"],
        ["SPADE", "0.75", "", "0.67", "", "yes"],
    ]


def test_names_must_be_unlike_and_fit_for_files():
    figure = pages.Figure("dice", "", SVG, "")
    a_page(a_table("dice"), figure)  # Their files are in different folders.
    with pytest.raises(UsageError, match="Two tables of a page are called dice"):
        a_page(a_table("dice"), a_table("Dice"))
    with pytest.raises(UsageError, match="Two figures of a page are called dice"):
        a_page(figure, figure)
    for name in ("", "a/b", "../a", ".hidden", "a b", "é"):
        with pytest.raises(UsageError, match="cannot be the name of a table's file"):
            a_table(name)
        with pytest.raises(UsageError, match="cannot be the name of a figure's file"):
            pages.Figure(name, "", SVG, "")


def test_rows_fit_their_table_and_images_are_images():
    with pytest.raises(UsageError, match="a row has 1 cells .*, the table 2 columns"):
        columns = (pages.Column("a"), pages.Column("b"))
        pages.Table("t", "", columns, (pages.Row(("1",)),))
    with pytest.raises(UsageError, match="neither SVG nor PNG; it starts with b'GIF8"):
        pages.Figure("f", "", b"GIF89a", "")


@pytest.mark.parametrize(
    "cell, number",
    [
        *((c, True) for c in ("1", "0.81 ± 0.02 (n = 18)", "< 0.001", "1e-3", "12 %")),
        *((c, True) for c in ("+0.1 [−0.2, 0.3]", "2/3", "p = 0.03", "p<0.001")),
        *((c, False) for c in ("2D U-Net", "SPADE", "–", "", "of 3", "e", "n")),
    ],
)
def test_numbers_are_told_from_words(cell, number):
    assert is_number(cell) is number
