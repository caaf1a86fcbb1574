"""Charts as SVG: cases by method, differences, mean ranks and courses of training.

Colours are Okabe and Ito's, which the colour-blind tell apart
(https://jfly.uni-koeln.de/color/). Letters are drawn as outlines, so a figure looks the
same wherever it is shown. The same numbers give the same bytes.
"""

from collections.abc import Mapping, Sequence
import io
import math

from matplotlib import cbook, style
from matplotlib.figure import Figure
from matplotlib.textpath import TextPath
import numpy as np

from jaxsyn.errors import DataError
from jaxsyn.metrics.statistics import Interval, Ranking

_BLUE, _VERMILLION, _PALE = "#0072B2", "#D55E00", "#dcebf5"
_INK, _GREY = "#23272c", "#767d85"
_COLOURS = (_BLUE, _VERMILLION, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", _INK)
_DASHES = ("-", "--", ":", "-.")
_SIZE = 9.0  # Of letters, in points.
_STYLE = {
    "font.family": "DejaVu Sans",  # Comes with matplotlib.
    "font.size": _SIZE,
    "text.parse_math": False,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _GREY,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": "#e3e5e8",
    "xtick.color": _GREY,
    "ytick.color": _GREY,
    "xtick.labelcolor": _INK,
    "ytick.labelcolor": _INK,
    "legend.frameon": False,
    "svg.fonttype": "path",
    "svg.hashsalt": "jaxsyn",
}
_PLOT = 5.0  # Width of what is drawn between labels, in inches.
_LINE = 0.3  # Height of a method's line, in inches.
_TOP = 1.05  # What stands above the axis of ranks, in inches.


def box_plot(values: Mapping[str, Sequence[float]], *, label: str) -> bytes:
    """Draws a box for each arm, from the first quartile to the third, and all cases.

    The line in a box is the median; whiskers reach to the last case within one and a
    half times the box's length. Each case is a point, in its order from above to below.

    Args:
      values: Of each arm's cases; those that are not finite are left out. An arm
        without any keeps its line, which says so.
      label: Of the values' axis.

    Returns:
      An SVG file.

    Raises:
      DataError: No arm has a value.
    """
    with style.context(_STYLE, after_reset=True):
        return _svg(_boxes(_finite(values), label))


def _boxes(values, label):
    figure, axes = _lines_of(values, label)
    for place, cases in enumerate(values.values()):
        if not len(cases):
            _say(axes, place, "no values")
            continue
        # Axes.boxplot would look for a window system, by way of pyplot.
        (box,) = cbook.boxplot_stats(cases)
        for whisker in ([box["whislo"], box["q1"]], [box["q3"], box["whishi"]]):
            axes.plot(whisker, [place] * 2, color=_BLUE, lw=0.8)
        length, kind = box["q3"] - box["q1"], {"facecolor": _PALE, "edgecolor": _BLUE}
        axes.barh(place, length, 0.62, box["q1"], lw=0.8, **kind)
        middle = [place - 0.31, place + 0.31]
        axes.plot([box["med"]] * 2, middle, color=_INK, lw=1.8, solid_capstyle="butt")
        heights = place + np.linspace(-0.24, 0.24, len(cases) + 2)[1:-1]
        axes.scatter(cases, heights, s=9, color=_BLUE, alpha=0.65, lw=0, zorder=3)
    return figure


def differences(found: Mapping[str, Interval], *, label: str) -> bytes:
    """Draws each arm's mean difference and its interval; zero is marked.

    What differs from zero by its interval is blue and filled; what does not is grey and
    hollow. Numbers stand on the right.

    Args:
      found: For each arm its interval. One that is not finite keeps its line, which
        says so.
      label: Of the differences' axis.

    Returns:
      An SVG file.

    Raises:
      DataError: There is no interval that is finite.
    """
    if not any(_known(interval) for interval in found.values()):
        raise _nothing(found)
    with style.context(_STYLE, after_reset=True):
        return _svg(_forest(found, label))


def _forest(found, label):
    ends = [v for i in found.values() if _known(i) for v in (i.low, i.mean, i.high)]
    digits = _digits(max(map(abs, ends)))
    words = [_in_words(interval, digits) for interval in found.values()]
    figure, axes = _lines_of(found, label, words)
    axes.axvline(0.0, color=_INK, linewidth=1.0)
    for place, interval in enumerate(found.values()):
        if not _known(interval):
            continue
        differs = interval.low > 0.0 or interval.high < 0.0
        colour = _BLUE if differs else _GREY
        axes.plot([interval.low, interval.high], [place] * 2, color=colour, lw=1.8)
        face = colour if differs else "white"
        axes.plot(interval.mean, place, "o", ms=6, mfc=face, mec=colour, mew=1.4)
    return figure


def _known(interval):
    return all(map(math.isfinite, (interval.mean, interval.low, interval.high)))


def _digits(largest):
    """Digits after the point that show three of the largest value."""
    return max(0, 2 - math.floor(math.log10(largest))) if largest else 2


def _in_words(interval, digits):
    if not _known(interval):
        return "no values"
    mean, low, high = (
        f"{value:+.{digits}f}" for value in (interval.mean, interval.low, interval.high)
    )
    words = f"{mean}  [{low}, {high}]  n = {interval.count}"
    return words.replace("-", "−")


def critical_difference(ranking: Ranking) -> bytes:
    """Draws methods by mean rank, the best on the left; bars join what does not differ.

    Demšar 2006, https://www.jmlr.org/papers/v7/demsar06a.html, figure 1.

    Args:
      ranking: From jaxsyn.metrics.statistics.rank.

    Returns:
      An SVG file.
    """
    with style.context(_STYLE, after_reset=True):
        return _svg(_diagram(ranking))


def joined(ranking: Ranking) -> list[tuple[int, ...]]:
    """Largest groups of methods no two of which differ, best first.

    Returns:
      Tuples of two or more indices into `ranking.names`, each from its best to its
      worst. If Friedman's test finds nothing, one group holds all.
    """
    order = np.argsort(ranking.ranks, kind="stable")
    groups, last = [], 0
    for first in range(len(order)):
        # Ranks are in order, so where the outermost two do not differ none do.
        end = first + 1
        while end < len(order) and not ranking.signs[order[first], order[end]]:
            end += 1
        if end > last and end - first > 1:
            groups.append(tuple(order[first:end].tolist()))
        last = max(last, end)
    return groups


def _diagram(ranking):
    ranks, count = np.asarray(ranking.ranks, float), len(ranking.names)
    order = np.argsort(ranks, kind="stable")
    half = (count + 1) // 2
    left = [(i, f"{ranking.names[i]}   {ranks[i]:.2f}") for i in order[:half]]
    right = [
        (i, f"{ranks[i]:.2f}   {ranking.names[i]}") for i in order[: half - 1 : -1]
    ]
    start = max(_width(words) for _, words in left) + 0.45
    stop = start + _PLOT
    x = start + (ranks - 1.0) / (count - 1.0) * _PLOT
    bars = _levels([(x[group[0]], x[group[-1]]) for group in joined(ranking)])
    names = -0.35 - 0.12 * max((level for *_, level in bars), default=0)
    bottom = names - 0.24 * half
    width = stop + max(_width(words) for _, words in right) + 0.45
    figure = Figure((width, _TOP - bottom))
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0), xlim=(0.0, width))
    axes.set_ylim(bottom, _TOP)
    axes.set_axis_off()
    _rank_axis(axes, ranking, start, stop)
    for low, high, level in bars:
        y = -0.14 - 0.12 * level
        axes.plot([low - 0.04, high + 0.04], [y, y], color=_VERMILLION, lw=3.2)
    for side, end, sign in ((left, start, -1), (right, stop, 1)):
        for place, (index, words) in enumerate(side):
            y, edge = names - 0.24 * place, end + 0.22 * sign
            axes.plot([x[index], x[index], edge], [0.0, y, y], color=_INK, lw=0.8)
            align = "left" if sign > 0 else "right"
            axes.text(edge + 0.06 * sign, y, words, ha=align, va="center")
    return figure


def _rank_axis(axes, ranking, start, stop):
    count = len(ranking.names)
    inches = (stop - start) / (count - 1)
    axes.plot([start, stop], [0.0, 0.0], color=_INK, lw=1.2)
    for rank in range(1, count + 1):
        x = start + (rank - 1) * inches
        named = count <= 12 or rank in (1, count) or (not rank % 5 and rank < count - 1)
        axes.plot([x, x], [0.0, 0.09 if named else 0.05], color=_INK, lw=0.8)
        if named:
            axes.text(x, 0.12, str(rank), ha="center", va="bottom")
    length = ranking.critical_difference * inches
    axes.errorbar(start + length / 2, 0.48, xerr=length / 2, color=_INK, capsize=3)
    words = f"CD = {ranking.critical_difference:.2f}"
    axes.text(start, 0.56, words, va="bottom")
    p = "p < 0.001" if ranking.p < 0.001 else f"p = {ranking.p:.2g}"
    words = f"mean rank over {ranking.count} units; 1 is best; Friedman's test: {p}"
    axes.text(start, 0.84, words, va="bottom", color=_GREY)


def _levels(bars):
    """Bars (low, high, level), each on the first level where it touches no other."""
    placed, ends = [], []
    for low, high in bars:
        free = (level for level, end in enumerate(ends) if end + 0.15 < low)
        level = next(free, len(ends))
        ends[level : level + 1] = [high]
        placed.append((low, high, level))
    return placed


def curves(
    series: Mapping[str, tuple[Sequence[float], Sequence[float]]], *, x: str, y: str
) -> bytes:
    """Draws lines, each of its own colour and kind of stroke.

    Args:
      series: For each its places on the x axis and its values. Points that are not
        finite are left out. A series without any is named as such.
      x: Label of the x axis.
      y: Label of the y axis.

    Returns:
      An SVG file.

    Raises:
      DataError: No series has a point.
    """
    points = {name: _points(*both) for name, both in series.items()}
    if not any(map(np.size, points.values())):
        raise _nothing(series)
    with style.context(_STYLE, after_reset=True):
        return _svg(_courses(points, x, y))


def _points(x, y):
    points = np.array([x, y], float)
    return points[:, np.isfinite(points).all(axis=0)]


def _courses(series, x, y):
    names = [
        f" {name}" if points.size else f" {name}: no values"
        for name, points in series.items()
    ]  # Legends leave out what starts with an underscore: nothing here does.
    size = _PLOT + max(map(_width, names)) + 1.4, max(3.4, 0.22 * len(names))
    figure = Figure(size, layout="constrained")
    axes = figure.add_subplot(xlabel=x, ylabel=y)
    axes.grid(axis="y")
    lines = []
    for number, points in enumerate(series.values()):
        dashes = _DASHES[number // len(_COLOURS) % len(_DASHES)]
        marker = "o" if points.shape[1] <= 20 else ""
        colour = _COLOURS[number % len(_COLOURS)]
        kind = {"color": colour, "linestyle": dashes, "marker": marker}
        lines += axes.plot(*points, **kind, ms=4, lw=1.5)
    figure.legend(lines, names, loc="outside right upper", handlelength=2.6)
    return figure


def _finite(values):
    """Values that are numbers, by arm."""
    arrays = {name: np.asarray(found, float) for name, found in values.items()}
    finite = {name: found[np.isfinite(found)] for name, found in arrays.items()}
    if not any(map(len, finite.values())):
        raise _nothing(values)
    return finite


def _nothing(names):
    of = f" of {', '.join(names)}" if names else ""
    return DataError(
        f"There is nothing to draw{of}: no value is finite.",
        hint="Leave this figure out, or see why no case has a value.",
    )


def _lines_of(names, label, words=()):
    """A figure with a line for each name, from above to below, and words behind it."""
    across = max(map(_width, names)) + max(map(_width, words), default=0.0)
    size = across + _PLOT + 0.4, len(names) * _LINE + 0.7
    figure = Figure(size, layout="constrained")
    axes = figure.add_subplot(xlabel=label)
    places = range(len(names))
    axes.set_yticks(places, [*names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.spines.left.set_visible(False)
    axes.grid(axis="x")
    if words:
        right = axes.secondary_yaxis("right")
        right.set_yticks(places, words)
        right.tick_params(length=0)
        right.spines.right.set_visible(False)
    return figure, axes


def _say(axes, place, words):
    across = axes.get_yaxis_transform()
    axes.text(0.01, place, words, transform=across, va="center", color=_GREY)


def _width(text):
    """Of words, in inches."""
    extent = TextPath((0, 0), text, size=_SIZE, usetex=False).get_extents()
    return extent.width / 72.0 if text.strip() else 0.0


def _svg(figure):
    file = io.BytesIO()
    figure.savefig(file, format="svg", metadata={"Creator": None, "Date": None})
    return file.getvalue()
