"""Malformed recipes beyond single settings: references between parts, arms, claims, stages, broken text."""

import copy
import tomllib
from collections.abc import Iterator
from typing import Any

from malformed import EXPERIMENTS, Base, Case, Draw, base, base_names, table_at
from malformed_recipes import Damage

from maskwright.tree import Node, child_path

# -- parts that refer to each other ----------------------------------------------------------------------------


def reference(draw: Draw, base: Base, raw: dict[str, Any]) -> Any:
    """To nothing, to itself, by something that is no path."""
    node, field, part = draw.one([slot for slot in base.slots() if slot[2].kind != "recipe"])
    table = _table(raw, node)
    inside = base.root.slots.get("base")
    root = "base." if isinstance(inside, Node) else ""
    here = part.path.removeprefix(root)
    target, words = draw.one(
        [
            (5, "ref expects the path of a part, found 5"),
            ("", 'ref expects the path of a part, found ""'),
            (["data"], "ref expects the path of a part, found ['data']"),
            ("qqq.zzz", f'there is no part "{root}qqq.zzz"; there are: '),
            (f"{here}x", f'there is no part "{part.path}x" — did you mean "'),
            (here, f'the reference to "{part.path}" leads back to itself: name another part'),
        ]
    )
    table[field.name] = {"ref": target}
    return part.path, (words,)


def reference_with_settings(draw: Draw, base: Base, raw: dict[str, Any]) -> Any:
    node, field, part = draw.one(base.slots())
    _table(raw, node)[field.name] = {"ref": "data", "steps": 3}
    return child_path(part.path, "steps"), ("a reference takes no settings of its own",)


def from_run(draw: Draw, base: Base, raw: dict[str, Any]) -> Any:
    node, field, part = draw.one([slot for slot in base.slots() if slot[2].kind != "recipe"])
    run, path, words = draw.one(
        [
            ("no/such/run", "", ("no/such/run does not exist", "give a folder that holds resolved.json")),
            (".", "", (". is not a run folder", "give a folder that holds resolved.json")),
            ("stage:first", "", ('there is no earlier stage "first"', "earlier stages: none")),
            ("", "", ('from-run needs run = "FOLDER"',)),
            (7, ".run", ("expected text, found 7",)),
            (None, ".run", ("expected text, found none",)),
        ]
    )
    _table(raw, node)[field.name] = {"use": "from-run"} | ({} if run is None else {"run": run})
    return part.path + path, words


def entry(draw: Draw, base: Base, raw: dict[str, Any]) -> Any:
    """What stands beside an evaluator's own settings, and the names of a list."""
    path = draw.one(["", "base."])
    where = raw if not path else raw["base"]  # KeyError where there is no base
    number = draw.number(len(where["evaluators"]))
    table = where["evaluators"][number]
    place = f"{path}evaluators.{table['as']}"
    key, value, words = draw.one(
        [
            ("on", "objektive.qqq", f'there is no part "{path}objektive.qqq"'),
            ("on", 5, "expected text, found 5 (whole number)"),
            ("every", 0, "must be >= 1, found 0"),
            ("every", 2.5, "expected whole number or none, found 2.5 (number)"),
            ("split", ["test"], "expected text, found ['test'] (list)"),
            ("through", 5, "expected pipeline, found 5"),
            ("through", "qqq", 'there is no pipeline called "qqq"'),
            ("data", "qqq", 'there is no dataset called "qqq"'),
            ("as", "a b", "a name is made of a-z, A-Z, 0-9, - and _; give each its own  as = "),
            ("as", "", "a name is made of a-z, A-Z, 0-9, - and _; give each its own  as = "),
            ("as", 5, "expected text, found 5"),
            ("twice", "", "two entries have this name; give each its own  as = "),
        ]
    )
    if key == "twice":
        where["evaluators"].append(copy.deepcopy(table))
        return place, (words,)
    table[key] = value
    if value == 5 and key == "as":
        return f"{path}evaluators.{number}.as", (words,)
    if key == "as":
        return f"{path}evaluators.{value or number}", (words,)
    return f"{place}.{key}", (words,)


def _table(raw: dict[str, Any], node: Node) -> dict[str, Any]:
    table = table_at(raw, node.path)
    assert table is not None
    return table


# -- experiments and chains ------------------------------------------------------------------------------------


def arm(draw: Draw, base: Base, raw: dict[str, Any]) -> Any:
    name = draw.one(list(raw["arms"]))
    value, words = draw.one(
        [
            ({"set": {"data.qqq": 1}}, 'data.qqq: unknown setting "qqq"'),
            ({"set": {"qqq.zzz.a": 1}}, 'qqq.zzz.a: unknown setting "qqq"'),
            ({"set": {"seed": -1}}, ""),
            ({"set": {"data": 5}}, "data: expected dataset, found 5"),
            ({"set": 5}, f'arm "{name}": set must be a table, found 5'),
            ({"set": ["a=1"]}, f"arm \"{name}\": set must be a table, found ['a=1']"),
            ({"file": 5}, f'arm "{name}": file must be text, found 5'),
            ({"file": "no/such.toml"}, "the recipe file no/such.toml does not exist maskwright list recipe"),
            ({"file": "qqq"}, 'there is no recipe called "qqq"'),
            ({"recipe": 5}, 'there is no recipe called "5"'),
            (
                {"sett": {}},
                f'arm "{name}": expected {{ set = {{ … }}, file = "…" }}, found {{\'sett\': {{}}}}',
            ),
            (5, f'arm "{name}": expected {{ set = {{ … }}, file = "…" }}, found 5'),
        ]
    )
    if not words:
        return None
    raw["arms"][name] = value
    return f"arms.{name}", (words,)


def arm_name(draw: Draw, base: Base, raw: dict[str, Any]) -> Any:
    name = draw.one(["a b", "../b", "ä", "x" * 81])
    raw["arms"][name] = {"set": {}}
    return f"arms.{name}", (f'"{name}" is no name for an arm', "use a-z, A-Z, 0-9, - and _")


def claim(draw: Draw, base: Base, raw: dict[str, Any]) -> Any:
    first = next(iter(raw["arms"]))
    good = {"metric": "a/b", "arm": first, "at_most": 1.0}
    change, words = draw.one(
        [
            ({"arm": "qqqq"}, f'there is no arm "qqqq"; there are: {first}'),
            ({"arm": f"{first}x"}, f'there is no arm "{first}x" — did you mean "'),
            ({"arm": None}, "arm is required"),
            ({"metric": None}, "metric is required"),
            ({"metric": 5}, "metric: expected text, found 5 (whole number)"),
            ({"metrik": "a"}, 'unknown key "metrik" — did you mean "metric"?; known: metric, arm, '),
            ({"at_most": "low"}, 'at_most: expected number or none, found "low" (text)'),
            ({"at_most": None}, "give control and direction, or one of at_most and at_least"),
            ({"at_least": 0.0}, "give control and direction, or one of at_most and at_least"),
            (
                {"factor": 2.0},
                "at_most compares with a number: control, direction and factor do not belong to it",
            ),
            ({"at_most": None, "control": first, "direction": "up"}, f'arm and control are both "{first}"'),
            ({"at_most": None, "control": "qqqq", "direction": "up"}, 'there is no arm "qqqq"; there are: '),
            (
                {"at_most": None, "control": first, "direction": "left"},
                'direction: expected one of "up", "down", "", found "left" (text)',
            ),
            ({"margin": float("nan")}, "margin: expected a finite number, found nan"),
        ]
    )
    raw["claims"].append({key: value for key, value in {**good, **change}.items() if value is not None})
    return f"claims.{len(raw['claims'])}", (words,)


def rest_of_experiment(draw: Draw, base: Base, raw: dict[str, Any]) -> Any:
    first = next(iter(raw["arms"]))
    key, value, path, words = draw.one(
        [
            ("control", "qqqq", "control", f'there is no arm "qqqq"; there are: {first}'),
            ("seeds", [1, 1], "seeds", "expected different seeds, found [1, 1]"),
            ("seeds", [], "seeds", "expected different seeds, found []"),
            ("seeds", [-1], "seeds", "must be >= 0, found -1"),
            ("arms", {}, "arms", "name at least one arm"),
            ("curve", {"x": 5}, "curve.x", "expected a table of numbers, { arm = number, … }"),
            ("curve", {"x": {"qqqq": 1}}, "curve.x", f'there is no arm "qqqq"; there are: {first}'),
            ("curve", {"x": {}, "y": 1}, "curve.y", 'unknown key "y"; known: x, metrics, label'),
            ("curve", {"x": {}, "label": 5}, "curve.label", "expected text, found 5"),
            ("curve", {"x": {}, "metrics": [5]}, "curve.metrics", "expected a list of metric names"),
        ]
    )
    raw[key] = value
    return path, (words,)


def stage(draw: Draw, base: Base, raw: dict[str, Any]) -> Any:
    name = draw.one(list(raw["stages"]))
    later = {"use": "topic-baseline"}
    part = {"use": "from-run", "part": "subject"}
    value, path, words = draw.one(
        [
            (5, name, "expected a recipe table, found 5"),
            ({"file": 5}, name, "file: expected text, found 5"),
            (
                {"file": "no/such.toml"},
                name,
                "the recipe file no/such.toml does not exist maskwright list recipe",
            ),
            ("no/such.toml", name, "the recipe file no/such.toml does not exist maskwright list recipe"),
            ("qqq", name, 'there is no recipe called "qqq"'),
            ({**later, "steps": 1}, name, 'steps: unknown setting "steps"'),
            (
                {**later, "subject": {**part, "run": f"stage:{name}"}},
                name,
                f'there is no earlier stage "{name}"',
            ),
            ({**later, "subject": {**part, "run": "stage:qqq"}}, name, 'there is no earlier stage "qqq"'),
            ({"use": "chain", "stages": {}}, name, "stages: name at least one stage"),
        ]
    )
    raw["stages"][name] = value
    return f"stages.{path}", (words,)


def stage_name(draw: Draw, base: Base, raw: dict[str, Any]) -> Any:
    name = draw.one(["a b", "../b", "ä", "x" * 81])
    raw["stages"][name] = {"use": "topic-baseline"}
    return f"stages.{name}", (f'"{name}" is no name for a stage', "use a-z, A-Z, 0-9, - and _")


# -- text --------------------------------------------------------------------------------------------------------


def _is_toml(text: bytes) -> bool:
    try:
        tomllib.loads(text.decode())
    except ValueError:
        return False
    return True


def cut_off(draw: Draw, text: bytes) -> Any:
    return text[: draw.number(len(text))], ("is not valid TOML", "see https://toml.io", "(at ")


def key_twice(draw: Draw, text: bytes) -> Any:
    lines = text.splitlines(keepends=True)
    plain = [i for i, line in enumerate(lines) if b" = " in line and not line.startswith((b" ", b"#"))]
    place = draw.one(plain)
    lines.insert(place, lines[place])
    return b"".join(lines), ("is not valid TOML", "see https://toml.io", "(at line ")


def noise(draw: Draw, text: bytes) -> Any:
    place = draw.number(len(text))
    some = draw.noise.integers(0, 256, size=1 + draw.number(6)).astype("uint8").tobytes()
    return text[:place] + some + text[place + len(some) :], ("bad.toml", "do: ")


def not_utf8(draw: Draw, text: bytes) -> Any:
    coding = draw.one(["utf-16", "latin-1", "utf-32"])
    return ("# Zürich, ñ\n" + text.decode()).encode(coding, "replace"), (
        "is not UTF-8 text", "where: bad.toml, byte ", "save it as UTF-8",
    )  # fmt: skip


def slip_of_the_pen(draw: Draw, text: bytes) -> Any:
    places = [i for i, letter in enumerate(text) if chr(letter) in '[]{}="']
    place = draw.one(places)
    return text[:place] + draw.one([b"", b"[", b'"', b"=", b"\\", b"\0"]) + text[place + 1 :], (
        "is not valid TOML", "see https://toml.io", "(at ",
    )  # fmt: skip


TEXT = {
    "cut off": (cut_off, 40),
    "key twice": (key_twice, 30),
    "noise": (noise, 40),
    "not UTF-8": (not_utf8, 20),
    "slip of the pen": (slip_of_the_pen, 40),
}


def text_cases(kind: str) -> Iterator[Case]:
    """Damaged text of the recipe files that plugins ship; what is still TOML is passed over."""
    damage, count = TEXT[kind]
    names = base_names()
    number = made = 0
    while made < count:
        draw = Draw(kind, number)
        name = draw.one(names)
        number += 1
        content, words = damage(draw, base(name).text.encode())
        if _is_toml(content):
            continue
        made += 1
        yield Case(content, ".toml", "", words, f"{kind}, seed {number - 1}: text of {name}")


EMPTY = {
    "": b"", "a line": b"\n", "blanks": b"   \n", "a comment": b"# nothing\n", "no use": b"steps = 5\n",
    "a table": b"[data]\n",
}  # fmt: skip

JSON = {
    "list": (b"[1]", ("holds a list, not a table", 'begin with  use = "name"')),
    "text": (b'"mae"', ("holds a str, not a table", 'begin with  use = "name"')),
    "null": (b"null", ("holds a NoneType, not a table", 'begin with  use = "name"')),
    "open": (b'{"use": "mae"', ("is not valid JSON", "line 1 column 14", "mend the file")),
    "comma": (b'{"use": "mae",}', ("is not valid JSON", "line 1 column 1", "mend the file")),
    "empty": (b"", ("is not valid JSON", "line 1 column 1", "mend the file")),
    "twice": (
        b'{"use": "mae", "steps": 1, "steps": 2}',
        ("cannot be read", 'the key "steps" is there twice'),
    ),
    "twice below": (b'{"use": "mae", "data": {"a": 1, "a": 1}}', ("cannot be read", '"a" is there twice')),
    "deep": (b'{"use": ' + b"[" * 200 + b"]" * 200 + b"}", ("nested more than 64 deep", "simplify the file")),
    "deeper": (b"[" * 99_999, ("cannot be read", "simplify the file")),
    "long": (b'{"use": "mae", "steps": ' + b"9" * 5000 + b"}", ("cannot be read", "simplify the file")),
    "half a character": (b'{"use": "\\ud800"}', ("cannot be read", "surrogates not allowed")),
    "latin-1": (b'{"use": "\xe4"}', ("is not UTF-8 text", "byte 9", "save it as UTF-8")),
}
"""What JSON files hold that are no recipes."""


TOGETHER: dict[str, tuple[Damage, int, list[str]]] = {
    "reference": (reference, 50, []),
    "reference with settings": (reference_with_settings, 20, []),
    "from-run": (from_run, 40, []),
    "entry": (entry, 50, []),
    "arm": (arm, 40, list(EXPERIMENTS)),
    "arm name": (arm_name, 10, list(EXPERIMENTS)),
    "claim": (claim, 50, list(EXPERIMENTS)),
    "rest of an experiment": (rest_of_experiment, 30, list(EXPERIMENTS)),
    "stage": (stage, 40, ["chain"]),
    "stage name": (stage_name, 10, ["chain"]),
}
"""Kind -> (what is done, how many, to which recipes: all where none is named)."""
