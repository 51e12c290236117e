"""Claims of an experiment: what must hold, and whether the seeds show it."""

import fnmatch
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import attrs

from maskwright.errors import UserError, did_you_mean, one_of
from maskwright.planner import HOLE
from maskwright.statistics import Interval, paired_interval
from maskwright.values import coerce, show

ENOUGH_SEEDS = 3

SHOWN, NOT_SHOWN, TOO_FEW, NO_METRIC = "shown", "not shown", "not enough seeds", "no such metric"


@attrs.frozen
class Claim:
    """`arm` against `factor` × `control`, or against a fixed bound.

    The gain is factor·control − arm when smaller is better (`direction = "down"`), arm − factor·control when
    larger is (`"up"`); bound − arm for `at_most`, arm − bound for `at_least`. Shown: the lower end of the
    paired 95 % t interval of the gain reaches `margin`.
    """

    metric: str
    arm: str
    control: str = ""
    direction: Literal["up", "down", ""] = ""
    factor: float = 1.0
    margin: float = 0.0
    at_most: float | None = None
    at_least: float | None = None
    says: str = ""

    def gain(self, arm: float, control: float) -> float:
        if self.at_most is not None:
            return self.at_most - arm
        if self.at_least is not None:
            return arm - self.at_least
        return self.factor * control - arm if self.direction == "down" else arm - self.factor * control

    def words(self) -> str:
        """The claim as a sentence."""
        if self.says:
            return self.says
        if self.at_most is not None:
            return f"{self.metric} of {self.arm} is at most {self.at_most:g}"
        if self.at_least is not None:
            return f"{self.metric} of {self.arm} is at least {self.at_least:g}"
        times = f"{self.factor:g} × " if self.factor != 1 else ""
        word = "below" if self.direction == "down" else "above"
        by = f" by {self.margin:g}" if self.margin else ""
        return f"{self.metric} of {self.arm} is {word} {times}{self.control}{by}"

    def judge(self, gains: Sequence[float], seeds: int, missing: str, known: Sequence[str]) -> "Verdict":
        """The verdict. `missing` says which pairs lack a value: a run that diverged must never win by absence."""
        if not gains and self.metric not in known:
            return Verdict(None, NO_METRIC, f"no run logged {self.metric}{did_you_mean(self.metric, known)}")
        interval = paired_interval(gains) if gains else None
        if missing:
            return Verdict(interval, NOT_SHOWN, missing)
        if interval is None or min(seeds, len(gains)) < ENOUGH_SEEDS:
            return Verdict(interval, TOO_FEW, "")
        return Verdict(interval, SHOWN if interval.low >= self.margin else NOT_SHOWN, "")


@attrs.frozen
class Verdict:
    """What the seeds say about a claim; `note` where something stood in the way."""

    interval: Interval | None
    word: str
    note: str


_TYPES = {field.name: field.type for field in attrs.fields(Claim)}


def read_claim(raw: Mapping[str, Any], arms: Sequence[str]) -> Claim:
    """A claim from its table; ValueError says what is wrong with it."""
    for key in raw:
        if key not in _TYPES:
            raise ValueError(f'unknown key "{key}"{did_you_mean(key, _TYPES)}; known: {", ".join(_TYPES)}')
    values = {}
    for key, value in raw.items():
        try:
            values[key] = coerce(value, _TYPES[key])
        except ValueError as error:
            raise ValueError(f"{key}: {error}") from None
    for key in ("metric", "arm"):
        if not values.get(key):
            raise ValueError(f"{key} is required")
    for key in ("arm", "control"):
        if values.get(key) and values[key] not in arms:
            raise ValueError(f'there is no arm "{values[key]}"{one_of(values[key], arms)}')
    bounds = [key for key in ("at_most", "at_least") if values.get(key) is not None]
    relative = bool(values.get("control")) and bool(values.get("direction"))
    if len(bounds) + relative != 1:
        raise ValueError("give control and direction, or one of at_most and at_least")
    if bounds and values.keys() & {"control", "direction", "factor"}:
        raise ValueError(
            f"{bounds[0]} compares with a number: control, direction and factor do not belong to it"
        )
    if values.get("control") == values["arm"]:
        raise ValueError(f'arm and control are both "{values["arm"]}"')
    return Claim(**values)


def check_experiment(params: Any) -> Iterator[tuple[str, str]]:
    """Every mistake in an experiment's arms and claims, each arm's own recipe included."""
    from maskwright.recipes.experiment import plan_arm

    if not params.arms:
        yield "arms", "name at least one arm"
    if len(set(params.seeds)) != len(params.seeds) or not params.seeds:
        yield "seeds", f"expected different seeds, found {show(params.seeds)}"
    for name, arm in params.arms.items():
        if params.base is HOLE and isinstance(arm, Mapping) and not arm.keys() & {"file", "recipe"}:
            continue  # it changes a base whose own mistakes are told already
        try:
            for mistake in plan_arm(params.base, name, arm).mistakes:
                yield f"arms.{name}", f"{mistake.path or 'recipe'}: {mistake.message}"
        except UserError as error:
            yield f"arms.{name}", error.as_message()
    if params.control and params.control not in params.arms:
        yield "control", f'there is no arm "{params.control}"{one_of(params.control, params.arms)}'
    for number, raw in enumerate(params.claims):
        try:
            read_claim(raw, list(params.arms))
        except ValueError as error:
            yield f"claims.{number + 1}", str(error)
    yield from _check_curve(params)


def _check_curve(params: Any) -> Iterator[tuple[str, str]]:
    if not params.curve:
        return
    for key in params.curve.keys() - {"x", "metrics", "label"}:
        yield f"curve.{key}", f'unknown key "{key}"; known: x, metrics, label'
    lines = lines_of(params.curve)
    if not all(
        isinstance(places, Mapping)
        and all(isinstance(value, int | float) and not isinstance(value, bool) for value in places.values())
        for places in lines.values()
    ):
        yield (
            "curve.x",
            "expected a table of numbers, { arm = number, … }, or of such tables, { line = { arm = number, … }, … }",
        )
        return
    if not isinstance(label := params.curve.get("label", ""), str):
        yield "curve.label", f"expected text, found {show(label)}"
    entries = params.curve.get("metrics", [])
    if not isinstance(entries, list) or not all(_is_pattern(entry) for entry in entries):
        yield "curve.metrics", "expected a list of metric names, or of lists of them that share a picture"
    for arm in (arm for places in lines.values() for arm in places):
        if arm not in params.arms:
            yield "curve.x", f'there is no arm "{arm}"{one_of(arm, params.arms)}'


def lines_of(curve: Mapping[str, Any]) -> dict[str, Any]:
    """Line -> { arm = place }; a curve of one line needs no name for it."""
    x = curve.get("x")
    if isinstance(x, Mapping) and x and all(isinstance(places, Mapping) for places in x.values()):
        return dict(x)
    return {"": x}


def _is_pattern(entry: Any) -> bool:
    return isinstance(entry, str) or (
        isinstance(entry, list) and all(isinstance(name, str) for name in entry)
    )


def chosen_metrics(names: Sequence[str], patterns: Sequence[str]) -> list[str]:
    """Names that match one of the patterns; all without a pattern."""
    if not patterns:
        return list(names)
    return [name for pattern in patterns for name in names if fnmatch.fnmatchcase(name, pattern)]
