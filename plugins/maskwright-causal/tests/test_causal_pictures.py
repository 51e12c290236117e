"""Pictures: every edge is drawn once, as what it is; the same input gives the same bytes."""

import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from maskwright_causal.pictures import (
    _count,
    _edges_of,
    _reach,
    curves_figure,
    frequencies_figure,
    graphs_figure,
    weights_figure,
)

SVG = "{http://www.w3.org/2000/svg}"
# Truth: 0 -> 1 -> 2, 0 -> 2, 3 -> 2. Estimate in the order 0 2 1 3: 0 -> 1 right, 2 -> 1 reversed, 0 -> 3 extra.
TRUTH = np.zeros((1, 4, 4))
TRUTH[0, 0, 1] = TRUTH[0, 1, 2] = TRUTH[0, 0, 2] = TRUTH[0, 3, 2] = 1.0
COEF = np.zeros((1, 4, 4))
COEF[0, 0, 1], COEF[0, 2, 1], COEF[0, 0, 3], COEF[0, 2, 3] = 1.0, -0.8, 0.5, 0.1
ORDER, NAMES = [0, 2, 1, 3], ("a", "b", "c", "d")
GREEN, ORANGE, PURPLE, BLUE, GREY, INK = "#009e73", "#d55e00", "#a6559d", "#0072b2", "#6f7880", "#22282e"


def arcs(figure):
    """Stroke colours of all curved paths that are not filled: the arcs without their heads and letters."""
    root = ElementTree.fromstring(figure.data)
    styles = [
        path.get("style", "")
        for path in root.iter(f"{SVG}path")
        if "C" in path.get("d", "") and "L" not in path.get("d")
    ]
    return sorted(
        re.search(r"stroke: (#\w+)", s).group(1) for s in styles if "fill: none" in s and "stroke:" in s
    )


def test_edges_are_sorted_into_kinds():
    place = np.array([0, 2, 1, 3])
    edges = _edges_of(np.abs(COEF[0]) >= 0.3, TRUTH[0] != 0, place)
    assert edges["recovered"] == [(0, 1)] and edges["reversed"] == [(2, 1)] and edges["extra"] == [(0, 3)]
    assert edges["missed"] == [(0, 2)] and edges["barred"] == [(3, 2)]  # 3 -> 2 runs up the order 0 2 1 3
    assert _count(edges, judged=True) == "1 of 4 · 1 reversed · 1 extra"


def test_arcs_that_run_up_the_order_are_on_the_left():
    place = np.array([0, 2, 1, 3])
    assert _reach(place, (0, 3)) == pytest.approx(0.96) and _reach(place, (3, 0)) == pytest.approx(-0.4)
    assert 0 < _reach(place, (0, 2)) < _reach(place, (0, 1))


def test_each_edge_is_drawn_once_in_its_colour():
    figure = graphs_figure(COEF, ORDER, NAMES, ["only"], TRUTH)
    assert arcs(figure) == sorted([GREEN, ORANGE, PURPLE, GREY, INK])
    assert figure.media == "image/svg+xml" and figure.name == "graphs"
    assert "recovered, missed and wrong edges (weights of 0.3 or more)" in figure.caption


def test_without_truth_edges_are_only_estimated():
    assert arcs(graphs_figure(COEF, ORDER, NAMES, ["only"])) == [BLUE] * 3
    assert arcs(graphs_figure(COEF, ORDER, NAMES, ["only"], threshold=0.0)) == [BLUE] * 4


@pytest.mark.parametrize(("tasks", "variables"), [(1, 2), (3, 6), (8, 30)])
def test_any_size_is_drawn_with_a_panel_for_each_task(tasks, variables):
    coef = np.stack([np.diag(np.ones(variables - 1), 1)] * tasks)
    names = [f"gene_{index}" for index in range(variables)]
    figure = graphs_figure(coef, range(variables), names, [f"t{k}" for k in range(tasks)])
    assert len(arcs(figure)) == tasks * (variables - 1)
    assert f"The graphs of {tasks} task" in figure.caption


def test_an_empty_graph_and_interventions_are_drawn():
    mask = np.array([True, False, False, False])
    plain = graphs_figure(np.zeros((1, 4, 4)), ORDER, NAMES, ["only"])
    marked = graphs_figure(np.zeros((1, 4, 4)), ORDER, NAMES, ["only"], intervened=[mask])
    assert arcs(plain) == [] and plain.data != marked.data


def test_the_same_input_gives_the_same_bytes():
    assert (
        graphs_figure(COEF, ORDER, NAMES, ["t"], TRUTH).data
        == graphs_figure(COEF, ORDER, NAMES, ["t"], TRUTH).data
    )
    assert weights_figure(COEF, TRUTH).data == weights_figure(COEF, TRUTH).data


def test_frames_mark_the_true_edges():
    framed = frequencies_figure(np.abs(COEF[0]), ORDER, NAMES, TRUTH[0] != 0)
    bare = frequencies_figure(np.abs(COEF[0]), ORDER, NAMES)
    count = len(re.findall(rf"stroke: {ORANGE}", framed.data.decode()))
    assert count == 4 and ORANGE not in bare.data.decode()
    assert "frames: true edges" in framed.caption and "frames" not in bare.caption


def test_curves_have_a_band_only_over_several_runs():
    runs = np.array([[3.0, 2.0, 1.0], [5.0, 4.0, 3.0]])
    words = {"x_label": "tasks", "y_label": "SHD", "name": "claim", "caption": "More tasks."}
    several = curves_figure([1, 2, 4], {"joint": runs, "separate": runs + 1}, log_x=True, **words)
    single = curves_figure([1, 2, 4], {"joint": runs[0]}, **words)
    assert several.caption == "More tasks. Line: mean of 2 runs; band: one standard deviation."
    assert single.caption == "More tasks."


def test_png_for_those_who_need_it():
    assert weights_figure(COEF, TRUTH, media="image/png").data.startswith(b"\x89PNG")
