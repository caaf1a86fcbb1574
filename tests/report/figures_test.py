"""Charts draw the numbers they were given, with the same bytes each time."""

import subprocess
import sys
import xml.etree.ElementTree

from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
import numpy as np
import pytest

from jaxsyn.errors import DataError
from jaxsyn.metrics import statistics
from jaxsyn.report import figures


def a_ranking(ranks, apart, names=None):
    """A ranking as `statistics.rank` makes it, of given mean ranks."""
    ranks = np.asarray(ranks, float)
    gaps = ranks[None] - ranks[:, None]
    return statistics.Ranking(
        names=tuple(names or (f"method number {i}" for i in range(len(ranks)))),
        ranks=ranks,
        count=20,
        statistic=30.0,
        p=0.0004,
        critical_difference=apart,
        signs=np.sign(gaps).astype(int) * (np.abs(gaps) > apart),
    )


def an_interval(low, mean, high):
    return statistics.Interval(mean=mean, low=low, high=high, count=20)


NAN = float("nan")
DRAWN = {
    "box plot": lambda: figures.box_plot({"a": [1, 2, 4], "b": [2]}, label="Dice"),
    "differences": lambda: figures.differences({"a": an_interval(-1, 0, 1)}, label="d"),
    "diagram": lambda: figures.critical_difference(a_ranking([1.2, 2.0, 2.8], 0.9)),
    "curves": lambda: figures.curves({"a": ([1, 2], [3, 4])}, x="step", y="loss"),
}


@pytest.fixture
def drawn(monkeypatch):
    """Figures as they are when they are drawn."""
    kept = []
    svg = figures._svg
    monkeypatch.setattr(figures, "_svg", lambda f: kept.append(f) or svg(f))
    return kept


def labels_beyond_the_axes(figure):
    """Those of ticks that are out of sight, which are not drawn."""
    for axis in figure.findobj(Axis):
        low, high = sorted(axis.get_view_interval())
        for tick in axis.get_major_ticks():
            if not low <= tick.get_loc() <= high:
                yield from (tick.label1, tick.label2)


def texts_overlap(figure):
    """Pairs of words that lie on each other, and words outside the figure."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    beyond = set(labels_beyond_the_axes(figure))
    found = [
        (text.get_text(), text.get_window_extent(renderer))
        for text in figure.findobj(Text)
        if text.get_visible() and text.get_text().strip() and text not in beyond
    ]
    inside = figure.bbox
    wrong = [
        (word, "outside")
        for word, box in found
        if box.x0 < 0 or box.y0 < 0 or box.x1 > inside.x1 or box.y1 > inside.y1
    ]
    for i, (word, box) in enumerate(found):
        wrong += [(word, other) for other, b in found[i + 1 :] if box.overlaps(b)]
    return wrong


@pytest.mark.parametrize("draw", DRAWN.values(), ids=DRAWN)
def test_the_same_numbers_give_the_same_bytes_and_sound_svg(draw):
    made = draw()
    assert made == draw()
    root = xml.etree.ElementTree.fromstring(made)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert b"<text" not in made and b"dc:date" not in made


def test_pyplot_stays_away():
    code = "import sys; from jaxsyn.report import page, figures; import numpy as np\n"
    code += "figures.box_plot({'a': [1.0, 2.0]}, label='x')\n"
    code += "sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_boxes_show_medians_quartiles_and_every_finite_case(drawn):
    values = {"a": [4.0, NAN, 1.0, 2.0, 3.0, 10.0], "b": [NAN], "c": [0.5, np.inf]}
    figures.box_plot(values, label="Dice")
    axes = drawn[0].axes[0]
    thick = [line for line in axes.lines if line.get_linewidth() == 1.8]
    assert [list(line.get_xdata()) for line in thick] == [[3.0, 3.0], [0.5, 0.5]]
    box = axes.patches[0]
    assert (box.get_x(), box.get_x() + box.get_width()) == (2.0, 4.0)
    # The case at 10 is further than 1.5 boxes from the box.
    whiskers = [list(line.get_xdata()) for line in axes.lines[:2]]
    assert whiskers == [[1.0, 2.0], [4.0, 4.0]]
    points = [cloud.get_offsets().data for cloud in axes.collections]
    assert points[0][:, 0].tolist() == [4.0, 1.0, 2.0, 3.0, 10.0]
    assert np.ptp(points[0][:, 1]) < 0.62 and len(set(points[0][:, 1])) == 5
    assert points[1].tolist() == [[0.5, 2.0]]
    assert [(t.get_text(), t.get_position()[1]) for t in axes.texts] == [
        ("no values", 1)
    ]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == ["a", "b", "c"] and axes.get_ylim()[0] > axes.get_ylim()[1]


def test_differences_draw_intervals_and_fill_what_differs_from_zero(drawn):
    found = {
        "better": an_interval(0.01, 0.02, 0.03),
        "alike": an_interval(-0.01, 0.001, 0.02),
        "none": an_interval(NAN, NAN, NAN),
        "worse": an_interval(-0.4, -0.25, -0.1),
    }
    figures.differences(found, label="difference")
    axes = drawn[0].axes[0]
    zero, *lines = axes.lines
    assert list(zero.get_xdata()) == [0.0, 0.0]
    drawn_lines = [(*line.get_xdata(), line.get_ydata()[0]) for line in lines[::2]]
    assert drawn_lines == [(0.01, 0.03, 0), (-0.01, 0.02, 1), (-0.4, -0.1, 3)]
    assert [line.get_xdata()[0] for line in lines[1::2]] == [0.02, 0.001, -0.25]
    hollow = [line.get_markerfacecolor() == "white" for line in lines[1::2]]
    assert hollow == [False, True, False]
    (right,) = axes.child_axes
    words = [label.get_text() for label in right.get_yticklabels()]
    assert words == [
        "+0.020  [+0.010, +0.030]  n = 20",
        "+0.001  [−0.010, +0.020]  n = 20",
        "no values",
        "−0.250  [−0.400, −0.100]  n = 20",
    ]


def test_methods_within_the_critical_difference_are_joined():
    # In order 1.5 (b), 2.0 (d), 3.0 (a), 4.5 (c), 4.9 (e); a gap of 1.5 is not more.
    ranking = a_ranking([3.0, 1.5, 4.5, 2.0, 4.9], 1.5, "abcde")
    groups = [[ranking.names[i] for i in group] for group in figures.joined(ranking)]
    assert groups == [["b", "d", "a"], ["a", "c"], ["c", "e"]]
    assert figures.joined(a_ranking([1.0, 2.0, 3.0], 0.5)) == []
    assert figures.joined(a_ranking([1.0, 3.0, 2.0], 2.0)) == [(0, 2, 1)]


def test_without_a_finding_of_friedman_all_are_joined():
    values = {name: np.roll(np.arange(8.0), 2 * i) for i, name in enumerate("abcd")}
    ranking = statistics.rank(values)
    assert ranking.p > 0.05
    (group,) = figures.joined(ranking)
    assert sorted(group) == [0, 1, 2, 3]


def test_the_diagram_draws_bars_ranks_and_the_critical_difference(drawn):
    figures.critical_difference(a_ranking([3.0, 1.5, 4.5, 2.0, 4.9], 1.5, "abcde"))
    axes = drawn[0].axes[0]
    start, stop = (axes.lines[0].get_xdata()[i] for i in (0, 1))
    rank = lambda x: 1.0 + 4.0 * (np.asarray(x) - start) / (stop - start)  # noqa: E731
    bars = [line for line in axes.lines if line.get_linewidth() == 3.2]
    margin = 0.04 * 4.0 / (stop - start)
    ends = [(rank(bar.get_xdata()) + [margin, -margin]).tolist() for bar in bars]
    wanted = [[1.5, 3.0], [3.0, 4.5], [4.5, 4.9]]
    assert np.allclose(ends, wanted)
    levels = [bar.get_ydata()[0] for bar in bars]  # Bars that would touch are apart.
    assert levels[0] == levels[2] != levels[1]
    stems = [line for line in axes.lines if len(line.get_xdata()) == 3]
    tips = sorted(float(rank(line.get_xdata()[0])) for line in stems)
    assert np.allclose(tips, [1.5, 2.0, 3.0, 4.5, 4.9])
    # The outermost are on top, so that no line crosses another.
    depths = {round(float(rank(s.get_xdata()[0])), 1): s.get_ydata()[2] for s in stems}
    assert depths[1.5] > depths[2.0] > depths[3.0] and depths[4.9] > depths[4.5]
    words = [text.get_text() for text in axes.texts]
    assert {"CD = 1.50", "b   1.50", "d   2.00", "4.90   e"} <= set(words)
    (bar,) = axes.containers
    ((low, _), (high, _)) = bar.lines[2][0].get_segments()[0]
    assert rank(high) - rank(low) == pytest.approx(1.5)
    for line in stems:
        x, y = line.get_xdata(), line.get_ydata()
        (name,) = [
            t
            for t in axes.texts
            if t.get_position()[1] == y[2]
            and (t.get_position()[0] - x[2]) * (x[2] - x[0]) > 0
        ]
        assert f"{rank(x[0]):.2f}" in name.get_text()


@pytest.mark.parametrize("count", [3, 5, 26])
def test_words_do_not_lie_on_each_other(drawn, count):
    rng = np.random.default_rng(count)
    names = [f"SPADE, real + {100 * i} %, variant" for i in range(count)]
    cases = {n: 0.8 - 0.01 * i + rng.normal(0, 0.03, 20) for i, n in enumerate(names)}
    figures.critical_difference(statistics.rank(cases))
    figures.box_plot(cases, label="Dice")
    found = {n: an_interval(*np.quantile(v, [0, 0.5, 1])) for n, v in cases.items()}
    figures.differences(found, label="difference")
    lines = {name: (range(20), values) for name, values in cases.items()}
    figures.curves(lines, x="step", y="loss")
    assert [texts_overlap(figure) for figure in drawn] == [[], [], [], []]
    for figure in drawn[1:]:  # Names take nothing from what is drawn.
        inches = figure.axes[0].get_position().width * figure.get_figwidth()
        assert inches == pytest.approx(5.0, abs=0.5)


def test_curves_leave_out_nan_and_name_empty_series(drawn):
    series = {"_a": ([0, 1, 2], [5.0, NAN, 3.0]), "$b$": ([], [])}
    figures.curves(series, x="step", y="loss")
    axes, (legend,) = drawn[0].axes[0], drawn[0].legends
    assert axes.lines[0].get_xydata().tolist() == [[0.0, 5.0], [2.0, 3.0]]
    words = [text.get_text() for text in legend.get_texts()]
    assert words == [" _a", " $b$: no values"]
    assert not any(text.get_parse_math() for text in legend.get_texts())
    assert axes.get_xlabel() == "step" and axes.get_ylabel() == "loss"


@pytest.mark.parametrize(
    "draw",
    [
        lambda: figures.box_plot({"a": [], "b": [NAN]}, label="x"),
        lambda: figures.differences({"a": an_interval(0, NAN, 1)}, label="x"),
        lambda: figures.curves({"a": ([1], [NAN]), "b": ([], [])}, x="x", y="y"),
        lambda: figures.box_plot({}, label="x"),
    ],
)
def test_nothing_to_draw_is_said(draw):
    with pytest.raises(DataError, match="nothing to draw"):
        draw()


def test_settings_of_the_user_do_not_matter():
    from matplotlib import rc_context

    plain = DRAWN["box plot"]()
    with rc_context(
        {"svg.fonttype": "none", "font.size": 20, "figure.facecolor": "red"}
    ):
        assert DRAWN["box plot"]() == plain
