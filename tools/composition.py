"""Which parts of the installed plugins work together: every combination planned, a cover of them run.

    python tools/composition.py plan               # writes docs/composition.md; a minute and a half
    python tools/composition.py plan --check       # compares it with what is committed instead
    python tools/composition.py run [--most 300]   # a pairwise cover of what is planned as working, trained a few steps

Parts are the examples that their Params classes give (`example()`), the data are generated. Whatever works is then
planned once more inside of each objective that wraps others. "works" in the table means that the plan has no mistake;
`run` then means: the loss is finite and falls on items that stay the same, as many units are hidden and pruned as were
asked for, and a resumed run ends in the same bytes. What only the parts themselves can tell (a ratio of 0 for the MAE
loss) they refuse in plain words; that is printed, and is no failure.
"""

import argparse
import itertools
import json
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
from composition_checks import check_run

from maskwright import api
from maskwright.catalogue import Listed, catalogue
from maskwright.cli.main import main as command
from maskwright.errors import Mistake, UserError
from maskwright.params import SlotSpec, fields_of
from maskwright_testing.cases import Case, Skipped

PAGE = Path(__file__).parent.parent / "docs" / "composition.md"
DATA: tuple[Mapping[str, Any], ...] = (
    {"use": "topic-chains", "count": 64, "test_count": 8},
    {"use": "key-values", "count": 64, "test_count": 8},
    {"use": "shapes", "count": 64, "test_count": 8, "size": 16},
)
"""Generated data; those that fit best are taken."""
CLASSES = 8
"""More than any of these data have."""
STEPS = 8
SLOTS = ("encoder", "masker", "ratio")
KIND = {"encoder": "encoder", "masker": "masker", "ratio": "schedule"}
QUARTER = {"use": "cubic", "start": 0.0, "end": 0.25, "hold_start": 0.0, "hold_end": 0.7}
"""Reached before the first checkpoint: from there on the loss has to fall."""
WRAPPERS: Mapping[str, Callable[[Any], dict[str, Any]]] = {
    "cap": lambda inner: {"use": "cap", "inner": inner, "sparsity": QUARTER, "extra": 16},
    "meta": lambda inner: {"use": "meta", "tasks": [inner], "depth": 1.0, "inner_rate": 0.01},
}
"""Objectives that hold others; their examples hold parts of their own."""


@attrs.frozen
class Combination:
    """An objective with what fills its slots; `parts` in the order of SLOTS, those that it has."""

    objective: str
    parts: tuple[tuple[str, str], ...]
    raw: Mapping[str, Any] = attrs.field(eq=False)
    wrapper: str = ""

    @property
    def learned(self) -> str:
        return f"{self.wrapper} of {self.objective}" if self.wrapper else self.objective

    def pairs(self) -> Iterator[tuple[str, str]]:
        """Every two of its parts, as `slot=name`. An objective that is wrapped counts as another one."""
        named = [f"objective={self.learned}", *(f"{slot}={name}" for slot, name in self.parts)]
        yield from itertools.combinations(named, 2)


def example(listed: Listed, folder: Path) -> Mapping[str, Any] | None:
    """The example of a component as raw tables; None where it has none."""
    place = folder / f"{listed.kind}-{listed.name}"
    place.mkdir(parents=True, exist_ok=True)
    case = Case(listed, place)
    try:
        return case.raw(case.example())
    except Skipped:
        return None


def torch_parts(kind: str, folder: Path) -> dict[str, Mapping[str, Any]]:
    """Name -> example of all components of a kind that work on tensors; all schedules."""
    found = {
        listed.name: example(listed, folder)
        for listed in catalogue().of_kind(kind)
        if kind == "schedule" or "torch" in listed.component.provides
    }
    return {name: raw for name, raw in sorted(found.items()) if raw is not None}


def slots_of(listed: Listed) -> list[str]:
    fields = fields_of(listed.params_class())
    return [name for name in SLOTS if name in fields and isinstance(fields[name].spec, SlotSpec)]


def with_own_words(encoders: dict[str, Mapping[str, Any]], folder: Path) -> None:
    """Give hf-text a tokenizer that can spell the generated words: to that of its example they are all unknown, and
    what is unknown is never hidden."""
    codec = {"use": "subwords", "model": "bpe", "vocabulary": 1000}
    encoder = {**encoders["text"], "codec": codec, "length": 48}
    recipe, _ = planned({"use": "mlm", "encoder": encoder})
    api.run({**recipe, "steps": 1}, out=folder / "words", pictures=False)
    command(["export", str(folder / "words"), str(folder / "bert"), "--to", "transformers", "-q"])
    encoders["hf-text"] = {**encoders["hf-text"], "path": folder / "bert", "length": 48}


def combinations(folder: Path) -> Iterator[tuple[Combination, str]]:
    """Each combination with the reason for which it is refused, empty where it works; then those that work, wrapped."""
    working = []
    for made, reason in plain_combinations(folder):
        yield made, reason
        if not reason:
            working.append(made)
    for wrapper, wrap in WRAPPERS.items():
        for made in working:
            recipe = {**made.raw, "objective": wrap(made.raw["objective"])}
            yield attrs.evolve(made, raw=recipe, wrapper=wrapper), first(api.plan(recipe).mistakes)


def plain_combinations(folder: Path) -> Iterator[tuple[Combination, str]]:
    parts = {slot: torch_parts(KIND[slot], folder) for slot in SLOTS}
    with_own_words(parts["encoder"], folder)
    for name, raw in torch_parts("objective", folder).items():
        listed = catalogue().find("objective", name)
        slots = slots_of(listed)
        if "encoder" not in slots:
            continue
        if "classes" in fields_of(listed.params_class()):
            raw = {**raw, "classes": CLASSES}
        for chosen in itertools.product(*(parts[slot] for slot in slots)):
            filled = {slot: parts[slot][part] for slot, part in zip(slots, chosen, strict=True)}
            made, reason = planned({**raw, **filled})
            yield Combination(name, tuple(zip(slots, chosen, strict=True)), made), reason


def planned(objective: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """A recipe that trains the objective on the data that fit it best, and the first mistake in it."""
    found = []
    for data in DATA:
        recipe = {
            "use": "train", "steps": STEPS, "batch": 16, "lr": 3e-3, "lr_shape": 1.0, "warmup": 0.0, "log_every": 1,
            "checkpoint_every": STEPS // 2, "device": "cpu", "data": data, "objective": objective,
        }  # fmt: skip
        found.append((recipe, api.plan(recipe).mistakes))
    recipe, mistakes = min(found, key=lambda entry: len(entry[1]))
    return recipe, first(mistakes)


def first(mistakes: Sequence[Mistake]) -> str:
    """What is wrong, without where, what there is instead, and what would fit."""
    return mistakes[0].message.partition(";")[0] if mistakes else ""


# -- the page ------------------------------------------------------------------------------------------------


def page(found: list[tuple[Combination, str]]) -> str:
    """A table for each objective, encoders down, maskers across, then schedules; for each wrapper objectives across."""
    reasons: dict[str, int] = {}
    lines = [
        "# What works with what",
        "",
        "Made by `python tools/composition.py plan` from the examples of the installed plugins: each combination",
        "of objective, encoder, masker and schedule is planned, and those that work once more inside of each objective",
        "that wraps others; nothing is trained. A number is the reason for which it is refused, below. What only parts",
        "that are built can tell, such as a ratio that hides nothing, is not here: `run` in place of `plan` prints it.",
        f"{len(found)} combinations, {sum(not reason for _, reason in found)} of them work.",
    ]
    for objective, group in itertools.groupby(
        found, key=lambda entry: entry[0].wrapper or entry[0].objective
    ):
        entries = list(group)
        made = wrapped_table if entries[0][0].wrapper else table
        lines += ["", f"## `objective:{objective}`", "", *made(entries, reasons)]
    lines += ["", "## Reasons", ""]
    lines += [f"{number}. {reason}" for reason, number in reasons.items()]
    return "\n".join(lines) + "\n"


def wrapped_table(entries: list[tuple[Combination, str]], reasons: dict[str, int]) -> Iterator[str]:
    """The objective inside across; a dash where that one does not work alone."""
    cells: dict[tuple[str, str], list[str]] = {}
    for made, reason in entries:
        cells.setdefault((dict(made.parts)["encoder"], made.objective), []).append(reason)
    columns = list(dict.fromkeys(column for _, column in cells))
    yield f"| encoder | {' | '.join(columns)} |"
    yield "|---" * (len(columns) + 1) + "|"
    for row in sorted({row for row, _ in cells}):
        found = (cell(cells[row, column], reasons) if (row, column) in cells else "–" for column in columns)
        yield f"| {row} | {' | '.join(found)} |"
    mixed = {reason for own in cells.values() if "" in own for reason in own if reason}
    yield ""
    said = "" if not mixed else f" Some maskers or schedules are refused there: {numbers(mixed, reasons)}."
    yield f"{len(entries)} combinations, {sum(own.count('') for own in cells.values())} of them work.{said}"


def numbers(found: set[str], reasons: dict[str, int]) -> str:
    return ", ".join(number_of(reason, reasons) for reason in sorted(found))


def table(entries: list[tuple[Combination, str]], reasons: dict[str, int]) -> Iterator[str]:
    slots = [slot for slot, _ in entries[0][0].parts]
    cells: dict[tuple[str, str], list[str]] = {}
    schedules: dict[str, list[str]] = {}
    for made, reason in entries:
        parts = dict(made.parts)
        cells.setdefault((parts["encoder"], parts.get("masker", "–")), []).append(reason)
        if "ratio" in parts:
            schedules.setdefault(parts["ratio"], []).append(reason)
    columns = list(dict.fromkeys(column for _, column in cells))
    yield "| encoder | " + " | ".join(columns if "masker" in slots else ["works"]) + " |"
    yield "|---" * (len(columns) + 1) + "|"
    for row in dict.fromkeys(row for row, _ in cells):
        yield f"| {row} | " + " | ".join(cell(cells[row, column], reasons) for column in columns) + " |"
    if schedules:
        most = max(sum(not reason for reason in found) for found in schedules.values())
        fewer = [name for name, found in schedules.items() if sum(not reason for reason in found) < most]
        yield ""
        yield f"Schedules: {', '.join(name for name in schedules if name not in fewer)}."
        for name in fewer:
            own = next(reason for reason in schedules[name] if f"schedule:{name}" in reason)
            yield f"Not with every part: {name} ({number_of(own, reasons)})."


def cell(found: list[str], reasons: dict[str, int]) -> str:
    """One cell: works, or the reason; where some schedules are refused, those are listed below the table."""
    return "works" if "" in found else number_of(found[0], reasons)


def number_of(reason: str, reasons: dict[str, int]) -> str:
    return str(reasons.setdefault(reason, len(reasons) + 1))


# -- the runs ------------------------------------------------------------------------------------------------


def cover(working: list[Combination], most: int) -> list[Combination]:
    """Few combinations that hold every pair of parts: greedily the one with most new pairs."""
    rest = [(made, frozenset(made.pairs())) for made in working]
    missing = {pair for _, pairs in rest for pair in pairs}
    chosen: list[Combination] = []
    while missing and len(chosen) < most:
        best, pairs = max(rest, key=lambda entry: len(entry[1] & missing))
        missing -= pairs
        chosen.append(best)
    return chosen


def outcome(made: Combination, folder: Path) -> tuple[str, str]:
    """`works`, `refused` (by the parts themselves, in plain words) or `fails`, and why."""
    try:
        run = api.run(made.raw, out=folder / "whole", pictures=False)
    except UserError as error:
        return "refused", error.what
    except Exception as error:  # our fault, and the other combinations are of interest all the same
        return "fails", f"{type(error).__name__}: {error}"
    try:
        problem = check_run(run, STEPS)
    except Exception as error:  # refusing what comes after a run that has finished is a failure too
        return "fails", f"{type(error).__name__}: {error}"
    return ("fails", problem) if problem else ("works", "")


def main() -> int:
    reader = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    reader.add_argument("do", choices=("plan", "run"))
    reader.add_argument("--check", action="store_true", help="compare with the committed page")
    reader.add_argument("--most", type=int, default=300, help="runs at most")
    asked = reader.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = list(combinations(folder))
        if asked.do == "plan":
            text = page(found)
            if not asked.check:
                PAGE.write_text(text, encoding="utf-8")
                return 0
            same = PAGE.is_file() and PAGE.read_text(encoding="utf-8") == text
            print("as committed" if same else f"{PAGE} is out of date: python tools/composition.py plan")
            return 0 if same else 1
        chosen = cover([made for made, reason in found if not reason], asked.most)
        seen: Counter[str] = Counter()
        proven: set[tuple[str, str]] = set()
        begun = time.process_time()
        for number, made in enumerate(chosen, start=1):
            word, why = outcome(made, folder / "run")
            shutil.rmtree(folder / "run", ignore_errors=True)
            seen[word] += 1
            proven |= set(made.pairs()) if word == "works" else set()
            words = " ".join(f"{slot}={part}" for slot, part in made.parts)
            print(f"{number}/{len(chosen)} {made.learned} {words}: {word} {why}".rstrip(), flush=True)
        pairs = {
            "pairs": len({pair for made in chosen for pair in made.pairs()}),
            "pairs_that_ran": len(proven),
        }
        seconds = {"cpu_seconds": round(time.process_time() - begun)}
        print(json.dumps({"runs": len(chosen), **seen, **pairs, **seconds}))
        return 1 if seen["fails"] else 0


if __name__ == "__main__":
    sys.exit(main())
