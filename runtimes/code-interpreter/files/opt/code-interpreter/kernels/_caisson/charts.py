"""What a figure of matplotlib shows, as data: lines, points, bars, slices and boxes with their labels and axes."""

import math
import re

from matplotlib import dates
from matplotlib.collections import PathCollection
from matplotlib.container import BarContainer
from matplotlib.lines import Line2D
from matplotlib.patches import PathPatch, Wedge
from .values import plain

# Points of a chart; of one with more, none are told.
MAX_POINTS = 100_000
SCALES = ("linear", "log", "symlog", "logit", "function", "functionlog", "asinh")


def describe(figure):
    charts = [chart for chart in map(of_axes, figure.axes) if chart is not None]
    if not charts:
        return None
    if len(charts) == 1:
        return charts[0]
    title = figure._suptitle.get_text() if figure._suptitle is not None else ""
    return {"type": "superchart", "title": title, "elements": charts}


def of_axes(axes):
    """The first kind that has something to show."""
    for kind in (pie, box_and_whisker, bar, line, scatter):
        chart = kind(axes)
        if chart is not None:
            return chart
    if not axes.has_data():
        return None
    return {"type": "unknown", "title": axes.get_title(), "elements": []}


def pie(axes):
    wedges = [patch for patch in axes.patches if isinstance(patch, Wedge)]
    if not wedges:
        return None
    # Labels and percentages take turns where both are there.
    texts = [text.get_text() for text in axes.texts]
    step = max(1, len(texts) // len(wedges))
    labels = [wedge.get_label() for wedge in wedges]
    elements = [
        {
            "label": texts[at * step] if at * step < len(texts) and hidden(labels[at]) else shown(labels[at]),
            "angle": plain(abs(wedge.theta2 - wedge.theta1)),
            "radius": plain(wedge.r),
        }
        for at, wedge in enumerate(wedges)
    ]
    return {"type": "pie", "title": axes.get_title(), "elements": elements}


def bar(axes):
    containers = [one for one in axes.containers if isinstance(one, BarContainer) and len(one) > 0]
    if not containers:
        return None
    lying = containers[0].orientation == "horizontal"
    bars = [(of_bar(patch, lying), shown(container.get_label())) for container in containers for patch in container]
    if len(bars) > MAX_POINTS:
        return None
    names = tick_names(axes.yaxis if lying else axes.xaxis)
    if any(place not in names for (place, _), _ in bars):
        names = {place: plain_number(place) for (place, _), _ in bars}
    elements = [{"label": names[place], "value": plain(value), "group": group} for (place, value), group in bars]
    return {"type": "bar", **plane(axes), "elements": elements}


def of_bar(patch, lying):
    """Its place on the axis of names, and its length."""
    if lying:
        return round(patch.get_y() + patch.get_height() / 2, 6), patch.get_width()
    return round(patch.get_x() + patch.get_width() / 2, 6), patch.get_height()


def box_and_whisker(axes):
    """Boxes of `boxplot`: each box is a closed line or a patch, and what belongs to it lies at its place."""
    lines = [line for line in axes.lines if len(line.get_xdata()) > 0]
    boxes = [extent(patch.get_path().vertices) for patch in axes.patches if isinstance(patch, PathPatch)]
    boxes += [extent(line.get_xydata()) for line in lines if is_box(line)]
    if not boxes:
        return None
    lying = all(is_lying(box, lines) for box in boxes)
    if lying:
        boxes = [(y0, x0, y1, x1) for x0, y0, x1, y1 in boxes]
    points = [[(y, x) if lying else (x, y) for x, y in line.get_xydata().tolist()] for line in lines]
    names = tick_names(axes.yaxis if lying else axes.xaxis)
    elements = [of_box(box, points, names) for box in sorted(boxes)]
    return {"type": "box_and_whisker", **plane(axes), "elements": elements}


def is_box(line):
    points = line.get_xydata().tolist()
    return len(points) in (5, 11) and points[0] == points[-1] and len({x for x, _ in points}) <= 4


def is_lying(box, lines):
    """Its whiskers leave it to the side."""
    left, low, right, high = box
    middle = (low + high) / 2
    for line in lines:
        points = line.get_xydata().tolist()
        if len(points) != 2 or any(not math.isclose(y, middle) for _, y in points):
            continue
        start, end = sorted(x for x, _ in points)
        if end == left and start < left or start == right and end > right:
            return True
    return False


def of_box(box, points, names):
    left, low, right, high = box
    middle = (left + right) / 2
    here = [line for line in points if all(left - 1e-9 <= x <= right + 1e-9 for x, _ in line)]
    medians = [line for line in here if len(line) == 2 and line[0][1] == line[1][1] and low <= line[0][1] <= high]
    widest = max(medians, key=lambda line: abs(line[0][0] - line[1][0]), default=None)
    whiskers = [y for line in here if len(line) == 2 and line[0][0] == line[1][0] for _, y in line]
    # They are drawn as marks that no line joins.
    outliers = [y for line in here if len(line) not in (2, 5, 11) or is_level(line, middle) for _, y in line]
    bottom, top = min(whiskers, default=low), max(whiskers, default=high)
    return {
        "label": names.get(round(middle, 6), plain_number(middle)),
        "min": plain(bottom),
        "first_quartile": plain(low),
        "median": plain(widest[0][1]) if widest else None,
        "third_quartile": plain(high),
        "max": plain(top),
        "outliers": [plain(y) for y in outliers if y < bottom or y > top],
    }


def is_level(line, middle):
    return len({x for x, _ in line}) == 1 and line[0][0] == middle


def extent(vertices):
    xs, ys = [x for x, _ in vertices], [y for _, y in vertices]
    return min(xs), min(ys), max(xs), max(ys)


def line(axes):
    lines = [one for one in axes.lines if isinstance(one, Line2D) and len(one.get_xdata()) > 0]
    series = [(shown(one.get_label()), one.get_xdata(), one.get_ydata()) for one in lines]
    return points_chart("line", axes, series)


def scatter(axes):
    collections = [one for one in axes.collections if isinstance(one, PathCollection)]
    offsets = [(shown(one.get_label()), one.get_offsets()) for one in collections]
    return points_chart("scatter", axes, [(label, rows[:, 0], rows[:, 1]) for label, rows in offsets])


def points_chart(kind, axes, series):
    if not series or sum(len(xs) for _, xs, _ in series) > MAX_POINTS:
        return None
    x, y = values_of(axes.xaxis), values_of(axes.yaxis)
    elements = [
        {"label": label, "points": [[x(one), y(other)] for one, other in zip(xs, ys)]} for label, xs, ys in series
    ]
    return {"type": kind, **plane(axes), **ticks("x", axes.xaxis), **ticks("y", axes.yaxis), "elements": elements}


def plane(axes):
    x, y = axes.get_xlabel(), axes.get_ylabel()
    return {"title": axes.get_title(), "x_label": x or None, "y_label": y or None, "x_unit": unit(x), "y_unit": unit(y)}


def unit(label):
    """What stands in brackets at the end of a label."""
    found = re.search(r"[(\[]([^()\[\]]+)[)\]]\s*$", label)
    return found.group(1).strip() if found else None


def ticks(name, axis):
    value = values_of(axis)
    low, high = sorted(axis.get_view_interval())
    places = [place for place in axis.get_majorticklocs() if low <= place <= high]
    labels = axis.get_major_formatter().format_ticks(places)
    return {f"{name}_ticks": [value(place) for place in places], f"{name}_tick_labels": labels, f"{name}_scale": scale(axis)}


def scale(axis):
    if is_dated(axis):
        return "datetime"
    if names_of(axis):
        return "categorical"
    found = axis.get_scale()
    return found if found in SCALES else "linear"


def is_dated(axis):
    return isinstance(axis.get_major_formatter(), (dates.DateFormatter, dates.AutoDateFormatter, dates.ConciseDateFormatter))


def names_of(axis):
    """Of an axis of categories: place → name."""
    mapping = getattr(axis.units, "_mapping", None)
    return {place: name for name, place in mapping.items()} if mapping else {}


def values_of(axis):
    """How a coordinate is told."""
    names = names_of(axis)
    if is_dated(axis):
        return lambda value: dates.num2date(value).isoformat() if isinstance(value, (int, float)) else plain(value)
    if names:
        return lambda value: names.get(value, plain(value)) if isinstance(value, (int, float)) else plain(value)
    return plain


def tick_names(axis):
    places = list(axis.get_majorticklocs())
    labels = axis.get_major_formatter().format_ticks(places)
    return {round(float(place), 6): label for place, label in zip(places, labels) if label}


def plain_number(value):
    return f"{value:g}"


def hidden(label):
    return not label or label.startswith("_")


def shown(label):
    """Labels that begin with `_` are matplotlib's own."""
    return "" if hidden(label) else label
