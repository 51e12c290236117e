"""Whatever comes in: a good plan, or mistakes with their paths. Any other exception is a failure."""

import json
import string
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from maskwright.cli.main import main
from maskwright.errors import UserError
from maskwright.planning import plan
from maskwright.values import coerce, parse_text

PROPERTY = settings(
    max_examples=150,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

WORDS = [
    *("toy-train", "toy-loss", "toy-hash", "toy-counts", "toy-score", "toy-lines", "toy-embed", "evaluate"),
    *(
        "experiment",
        "chain",
        "from-run",
        "subset",
        "concat",
        "cosine",
        "none",
        "stage:a",
        "toy-hash@toyplugin",
    ),
    *(
        "encoder:toy-hash",
        "runs/a",
        "..",
        "",
        "objective.encoder",
        "train/loss",
        "a\0b",
        "x" * 300,
        "a/" + "b" * 300,
    ),
]
KEYS = [
    *(
        "use",
        "as",
        "ref",
        "seed",
        "data",
        "objective",
        "evaluators",
        "encoder",
        "ratio",
        "steps",
        "every",
        "on",
    ),
    *("through", "split", "run", "part", "at", "set", "base", "arms", "seeds", "claims", "curve", "metrics"),
    *(
        "control",
        "stages",
        "file",
        "reuse",
        "inner",
        "count",
        "parts",
        "values",
        "speed",
        "weights",
        "path",
        "x",
    ),
    *(
        "subject",
        "workers",
        "pair_by",
        "kind",
        "metric",
        "arm",
        "direction",
        "margin",
        "at_most",
        "label",
        "",
    ),
]
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-3, 10**20)
    | st.floats()
    | st.sampled_from(WORDS)
    | st.text(max_size=8)
    | st.dates()
)
TABLES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=3), inner, max_size=5)
    ),
    max_leaves=12,
)
RECIPES = st.dictionaries(st.sampled_from(KEYS), TABLES, max_size=6).flatmap(
    lambda table: st.sampled_from(["toy-train", "evaluate", "experiment", "chain", "subset", None]).map(
        lambda use: table if use is None else {**table, "use": use}
    )
)
PATHS = st.lists(st.sampled_from(KEYS) | st.text(string.ascii_letters + ".=-", max_size=4), max_size=4).map(
    ".".join
)
OVERRIDES = st.lists(
    st.tuples(PATHS, st.sampled_from(WORDS) | st.text(max_size=10) | TABLES.map(repr)).map("=".join)
    | st.text(max_size=12),
    max_size=3,
)


def outcome(call: Any, *arguments: Any) -> str:
    """`fine`, or the message of the user's error, which must say something."""
    try:
        made = call(*arguments)
        made.require()
        json.dumps(made.resolved())
    except UserError as error:
        assert str(error).strip()
        return str(error)
    return "fine"


@PROPERTY
@given(RECIPES, OVERRIDES)
def test_any_table_with_any_words(table: dict[str, Any], words: list[str]):
    outcome(plan, table, words)


@PROPERTY
@given(RECIPES, st.dictionaries(PATHS, TABLES, max_size=3))
def test_any_table_with_any_values(table: dict[str, Any], changes: dict[str, Any]):
    outcome(plan, table, changes)


@PROPERTY
@given(OVERRIDES)
def test_any_words_on_a_good_recipe(words: list[str]):
    table = {"use": "toy-train", "evaluators": ["toy-score"], "values": {"a": 1.0}}
    outcome(plan, table, words)


@PROPERTY
@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode), st.sampled_from(["toml", "json"]))
def test_any_file(content: bytes, suffix: str):
    path = Path(f"any.{suffix}")
    path.write_bytes(content)
    found = outcome(plan, path)
    assert found == "fine" or path.name in found


@PROPERTY
@given(RECIPES, st.integers(0, 40), st.sampled_from(' {}[]="\n\\#'))
def test_a_recipe_with_a_slip_of_the_pen(table: dict[str, Any], place: int, letter: str):
    text = json.dumps(table, default=str)
    Path("slip.json").write_text(text[:place] + letter + text[place + 1 :])
    outcome(plan, Path("slip.json"))


@PROPERTY
@given(TABLES)
def test_any_value_for_any_type(value: Any):
    for kind in (
        int,
        float,
        bool,
        str,
        Path,
        int | None,
        list[int],
        dict[str, float],
        tuple[int, str],
        list[list[str]],
    ):
        try:
            found = coerce(value, kind)
        except ValueError as error:
            assert str(error)
        else:
            assert coerce(found, kind) == found


@PROPERTY
@given(st.text(max_size=20))
def test_any_text_for_any_type(text: str):
    for kind in (int, float, bool, str, Path, int | None, list[int], dict[str, float], tuple[int, str]):
        try:
            parse_text(text, kind)
        except ValueError as error:
            assert str(error)


@settings(parent=PROPERTY, max_examples=60)
@given(st.lists(st.sampled_from(WORDS) | st.text(max_size=8), min_size=1, max_size=4))
def test_any_words_on_the_command_line(words: list[str]):
    verb, *rest = words
    words = [word for word in ("check", verb, *rest) if "\0" not in word]
    try:
        code = main(words)
    except SystemExit as stop:  # argparse
        code = stop.code
    assert code in (0, 2)


NUMBERS = st.floats(-100, 100)
SCHEDULES = [
    st.fixed_dictionaries({"use": st.just("constant"), "value": NUMBERS}),
    st.fixed_dictionaries({"use": st.sampled_from(["linear", "cosine"]), "start": NUMBERS, "end": NUMBERS}),
    st.fixed_dictionaries(
        {
            "use": st.just("cubic"),
            "start": NUMBERS,
            "end": NUMBERS,
            "hold_start": st.floats(-0.1, 1.1),
            "hold_end": st.floats(-0.1, 1.1),
        }
    ),
    st.fixed_dictionaries(
        {"use": st.just("steps"), "start": NUMBERS, "end": NUMBERS, "count": st.integers(-1, 30)}
    ),
    st.fixed_dictionaries(
        {
            "use": st.just("piecewise"),
            "at": st.lists(st.floats(0, 1), max_size=5),
            "values": st.lists(NUMBERS, max_size=5),
        }
    ),
    st.fixed_dictionaries(
        {
            "use": st.sampled_from(
                [
                    f"mrd-{x}"
                    for x in ("linear", "cosine", "ascend", "convex", "concave", "up-down", "down-up")
                ]
            ),
            "p": st.floats(-0.1, 0.6),
        }
    ),
    st.fixed_dictionaries(
        {"use": st.just("mrd-warm-decay"), "p": st.floats(0, 0.6), "width": st.floats(-0.1, 1.1)}
    ),
]
assert len(SCHEDULES) == 7


def built(raw: dict[str, Any]) -> Any:
    """The schedule, or None where the settings were refused with a message."""
    from maskwright.build import build_raw

    try:
        return build_raw(raw, ("schedule",), "schedule")[0]
    except UserError as error:
        assert "nothing was started" in str(error)
        return None


@PROPERTY
@given(st.one_of(SCHEDULES), st.floats(0, 1), st.floats(0, 1, exclude_max=True), st.floats(0, 1))
def test_any_schedule_stays_in_its_range(raw: dict[str, Any], progress: float, u: float, width: float):
    for table in (raw, {"use": "warm-up", "then": raw, "width": width, "start": -3.0}):
        schedule = built(table)
        if schedule is None:
            continue
        value = schedule(progress, u)
        low, high = schedule.range
        tolerance = 1e-12 * max(1.0, abs(low), abs(high))  # rounding of a few additions
        assert low - tolerance <= value <= high + tolerance
        assert schedule(progress, u) == value
        assert schedule(-1.0, u) == schedule(0.0, u)
        assert schedule(2.0, u) == schedule(1.0, u)


CURVES = [
    # (settings, value at 0, at half time, at the end)
    ({"use": "linear", "start": 0.3, "end": 0.15}, 0.3, 0.225, 0.15),
    ({"use": "cosine", "start": 0.6, "end": 0.8}, 0.6, 0.7, 0.8),
    ({"use": "cubic", "start": 0.0, "end": 0.8}, 0.0, 0.7, 0.8),
    ({"use": "cubic", "end": 1.0, "hold_start": 0.5, "hold_end": 0.25}, 0.0, 0.0, 1.0),
    ({"use": "steps"}, 0.1, 0.5, 0.9),
    ({"use": "piecewise", "at": [0.0, 0.25, 1.0], "values": [0.0, 1.0, 0.1]}, 0.0, 0.7, 0.1),
    ({"use": "mrd-linear", "p": 0.15}, 0.3, 0.15, 0.0),
    ({"use": "mrd-cosine", "p": 0.15}, 0.32, 0.17, 0.02),
    ({"use": "mrd-ascend", "p": 0.15}, 0.0, 0.15, 0.3),
    ({"use": "mrd-convex", "p": 0.15}, 0.3, 0.075, 0.0),
    ({"use": "mrd-concave", "p": 0.15}, 0.31, 0.235, 0.01),
    ({"use": "mrd-up-down", "p": 0.15}, 0.0, 0.3, 0.0),
    ({"use": "mrd-down-up", "p": 0.15}, 0.31, 0.01, 0.31),
    ({"use": "mrd-warm-decay", "p": 0.15, "width": 0.5}, 0.0, 0.3, 0.0),
    ({"use": "warm-up", "width": 0.5, "then": {"use": "linear", "start": 1.0, "end": 0.0}}, 0.0, 1.0, 0.0),
]


@pytest.mark.parametrize(("raw", "start", "middle", "end"), CURVES)
def test_curves_by_hand(raw: dict[str, Any], start: float, middle: float, end: float):
    schedule = built(raw)
    assert [schedule(x) for x in (0.0, 0.5, 1.0)] == pytest.approx([start, middle, end], abs=1e-12)


def test_the_ratio_that_each_row_draws():
    schedule = built({"use": "cosine-of-uniform"})
    draws = [schedule(0.3, (i + 0.5) / 10_000) for i in range(10_000)]
    assert sum(draws) / len(draws) == pytest.approx(0.63662, abs=1e-5)  # 2 / pi
    assert sorted(draws)[5000] == pytest.approx(0.70711, abs=1e-4)
