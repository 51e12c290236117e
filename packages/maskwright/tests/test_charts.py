"""Charts are well-formed whatever the numbers and names are; text from data cannot become markup."""

import math
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maskwright.charts import HEIGHT, WIDTH, Series, line_chart, thin, ticks

SVG = "{http://www.w3.org/2000/svg}"
ANY_TEXT = st.text(max_size=30)
ANY_NUMBER = st.floats(allow_nan=True, allow_infinity=True)
POINTS = st.lists(st.tuples(ANY_NUMBER, ANY_NUMBER, ANY_NUMBER.map(abs)), max_size=8)


@settings(max_examples=150, derandomize=True, deadline=None)
@given(st.lists(st.tuples(ANY_TEXT, POINTS), max_size=3), ANY_TEXT, ANY_TEXT)
def test_always_well_formed(lines: list, x_label: str, title: str):
    root = ElementTree.fromstring(
        line_chart([Series(name, points) for name, points in lines], x_label, title)
    )
    assert {element.tag for element in root.iter()} <= {
        SVG + tag for tag in ("svg", "text", "path", "circle")
    }


def test_text_is_text():
    name = "<script>alert(1)</script>&\"'\x01\ud800"
    series = [Series(name, [(0.0, 1.0, 0.0)]), Series("b", [(1.0, 2.0, 0.5)])]
    root = ElementTree.fromstring(line_chart(series, name, name))
    texts = [element.text or "" for element in root.iter(SVG + "text")]
    assert sum("<script>alert(1)</script>&\"'" in text for text in texts) == 3
    assert "script" not in {element.tag for element in root.iter()}


def test_points_lie_inside():
    points = [(float(x), math.sin(x), 0.1) for x in range(10)]
    root = ElementTree.fromstring(line_chart([Series("a", points)], "step", "a"))
    circles = list(root.iter(SVG + "circle"))
    assert len(circles) == 10
    for circle in circles:
        assert 0 <= float(circle.get("cx", "nan")) <= WIDTH
        assert 0 <= float(circle.get("cy", "nan")) <= HEIGHT
    assert float(circles[0].get("cx", "")) < float(circles[9].get("cx", ""))
    assert float(circles[0].get("cy", "")) > float(circles[1].get("cy", ""))  # larger is higher


def test_what_is_not_finite_is_left_out():
    points = [(0.0, math.nan, 0.0), (1.0, 2.0, 0.0), (2.0, math.inf, 0.0)]
    svg = line_chart([Series("a", points)], "step", "a")
    assert svg.count("<circle") == 1
    assert "nan" not in svg and "inf" not in svg


@pytest.mark.parametrize(
    ("low", "high", "found"),
    [
        (0, 10, [0, 2, 4, 6, 8, 10]),
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (-1, 1, [-1, -0.5, 0, 0.5, 1]),
        (3, 3, [3]),
    ],
)
def test_ticks(low: float, high: float, found: list[float]):
    assert ticks(low, high) == pytest.approx(found)


def test_thinning_keeps_the_last():
    points = [(float(i), 0.0, 0.0) for i in range(1001)]
    kept = thin(points, 100)
    assert len(kept) <= 101
    assert (kept[0], kept[-1]) == (points[0], points[-1])
    assert thin(points[:5], 100) == points[:5]
