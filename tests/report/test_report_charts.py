"""The pictures are right at their ends, and hold no markup that came in as data."""

import xml.etree.ElementTree as ET
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from locum.report import charts, figures
from locum.report.charts import Best, Line
from locum.types import Estimate

finite = st.floats(-1e6, 1e6, allow_nan=False)


@given(st.lists(finite, min_size=1, max_size=20), st.booleans())
def test_linear_scale_holds_every_value_between_round_ticks(values: list[float], zero: bool) -> None:
    scale = charts.linear(values, zero=zero)
    slack = 1e-6 * (scale.high - scale.low)
    assert scale.low - slack <= min(values)
    assert max(values) <= scale.high + slack
    assert 2 <= len(scale.ticks) <= 12
    assert all(0 <= scale.at(value) <= 100 for value in values)
    steps = {round((b - a) / (scale.high - scale.low), 4) for a, b in pairwise(scale.ticks)}
    assert len(steps) == 1


def test_logarithmic_scale_gives_step_nought_a_place() -> None:
    scale = charts.logarithmic(0, 100)
    assert scale.at(0) == 0
    assert scale.at(100) == 100
    assert scale.ticks == (0.0, 1.0, 3.0, 10.0, 30.0, 100.0)
    assert scale.at(1) < scale.at(10) < scale.at(100)


@given(st.lists(st.floats(0, 100), min_size=1, max_size=6))
def test_labels_are_moved_apart_in_order(heights: list[float]) -> None:
    moved = charts.spread(heights, gap=8.0)
    ranked = sorted(range(len(heights)), key=lambda i: heights[i])
    assert all(moved[b] - moved[a] >= 8.0 - 1e-6 for a, b in pairwise(ranked))
    assert sum(moved) == pytest.approx(sum(heights), abs=1e-6)


def test_dot_stands_at_its_estimate_and_reaches_over_its_interval() -> None:
    drawing = ET.fromstring(charts.dot("tuned", Estimate(0.5, 0.25, 0.9, 12, 5), charts.SHARES))
    reach = next(line for line in drawing.iter("line") if line.get("class") == "reach")
    assert (reach.get("x1"), reach.get("x2")) == ("25.0%", "90.0%")
    assert [inner.get("x") for inner in drawing.iter("svg")][1] == "50.0%"


def test_one_session_has_no_interval() -> None:
    alone = Estimate(2.5, -15.178, 15.178, 12, 1)
    assert figures.interval(alone, 2, signed=True) == "+2.50 (one session: no interval)"
    drawing = ET.fromstring(charts.dot("tuned", alone, charts.linear([0, 5])))
    reach = next(line for line in drawing.iter("line") if line.get("class") == "reach")
    assert reach.get("x1") == reach.get("x2") == [inner.get("x") for inner in drawing.iter("svg")][1]


def test_every_arm_verdict_and_judgement_has_a_shape_of_its_own() -> None:
    arms = [str(charts.arm_mark(arm)).split('d="')[1] for arm in ("agent", "base", "tuned", "majority", "knn")]
    signs = [
        "LIVE",
        "CANARY",
        "SHADOW",
        "INSUFFICIENT",
        "REJECT",
        "right",
        "wrong",
        "undecided",
        "anything else",
    ]
    assert len(set(arms)) == len(arms)
    assert len({str(charts.sign(kind)) for kind in signs}) == len(signs)


def test_curve_says_its_values_and_its_alternative() -> None:
    x, y = charts.linear([0, 10]), charts.linear([1, 4])
    lines = [
        Line("train", [(0, 4.0), (10, 1.0)], "4.000", "training 1.000"),
        Line("valid", [(0, 4.0), (5, 2.0), (10, 2.5)], "4.000", "held-out 2.500"),
    ]
    drawing = ET.fromstring(charts.curve(lines, Best((5, 2.0), "best 2.000 at step 5"), x, y, 'It "fell" <far>.'))
    assert drawing.get("aria-label") == 'It "fell" <far>.'
    texts = [text.text for text in drawing.iter("text")]
    assert {"training 1.000", "held-out 2.500", "best 2.000 at step 5"} <= set(texts)
    assert sum(circle.get("class") == "valid" for circle in drawing.iter("circle")) == 3
    train = next(path for path in drawing.iter("path") if path.get("class") == "train")
    assert train.get("d") == "M0.0 0.0L100.0 100.0"


def test_unknown_arm_is_drawn_and_never_becomes_a_class() -> None:
    hostile = '"><script>alert(1)</script>'
    for drawing in (charts.arm_mark(hostile), charts.dot(hostile, Estimate(0, 0, 0, 1, 1), charts.SHARES)):
        assert "script" not in drawing
        ET.fromstring(drawing)
