"""report, compare, export, import: what can be done with run folders."""

import argparse
import contextlib
import importlib
import inspect
import json
import sys
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from maskwright.api import LoadedRun, begin, load
from maskwright.catalogue import Listed, catalogue
from maskwright.cli.text import table
from maskwright.component import KINDS
from maskwright.errors import UserError, did_you_mean
from maskwright.folder import write_folder
from maskwright.parts import table_of
from maskwright.planner import Planner
from maskwright.planning import plan
from maskwright.runs import new_folder
from maskwright.tree import Node, own_tags, walk_built
from maskwright.values import parse_text


def report(arguments: argparse.Namespace) -> int:
    from maskwright.report import write_report

    for folder in arguments.runs:
        print(write_report(load(folder).folder))
    return 0


def compare(arguments: argparse.Namespace) -> int:
    runs = [load(folder) for folder in arguments.runs]
    metrics = [run.last_metrics() for run in runs]
    settings = [dict(_flat(run)) for run in runs]
    names = list(dict.fromkeys(name for values in metrics for name in values))
    paths = list(dict.fromkeys(path for values in settings for path in values))
    differing = [path for path in paths if len({values.get(path) for values in settings}) > 1]
    if arguments.json:
        answer = {
            "runs": [str(run.folder) for run in runs],
            "status": [run.status["status"] for run in runs],
            "metrics": {name: [values.get(name) for values in metrics] for name in names},
            "settings": {path: [values.get(path) for values in settings] for path in differing},
        }
        print(json.dumps(answer, indent=1))
        return 0
    labels = [f"({number}) {run.folder}" for number, run in enumerate(runs, start=1)]
    columns = [f"({number})" for number in range(1, len(runs) + 1)]
    print("\n".join(f"{label}  {run.status['status']}" for label, run in zip(labels, runs, strict=True)))
    rows: list[dict[str, Any]] = [
        {"metric": n} | {c: m.get(n) for c, m in zip(columns, metrics, strict=True)} for n in names
    ]
    print("\n" + (table(rows) if rows else "no metrics"))
    rows = [
        {"setting": p} | {c: s.get(p, "–") for c, s in zip(columns, settings, strict=True)} for p in differing
    ]
    print("\n" + (table(rows) if rows else "no setting differs"))
    return 0


def _flat(run: LoadedRun) -> list[tuple[str, str]]:
    from maskwright.report import flatten

    return flatten(run.resolved)


def _function(target: str) -> Callable[..., Any]:
    module, _, name = target.partition(":")
    return getattr(importlib.import_module(module), name)


def export(arguments: argparse.Namespace) -> int:
    run, out = load(arguments.run), Path(arguments.out)
    if out.exists():
        raise UserError(f"{out} exists already", cure="choose another place, or remove it")
    offered: dict[str, list[tuple[str, str]]] = {}
    for node in walk_built(run.tree):
        if node.path and not node.is_reference and hasattr(node.cls, "exports"):
            for format, target in node.cls.exports().items():  # type: ignore[union-attr]
                offered.setdefault(format, []).append((node.path, target))
    if arguments.to not in offered:
        raise UserError(
            f'{run.folder} cannot be exported to "{arguments.to}"{did_you_mean(arguments.to, offered)}',
            cure=f"formats: {', '.join(sorted(offered)) or 'none'}",
        )
    choices = [entry for entry in offered[arguments.to] if arguments.part in ("", entry[0])]
    # A part that holds others which could be written too is the whole of them.
    outer = [path for path, _ in choices]
    choices = [entry for entry in choices if not any(entry[0].startswith(f"{path}.") for path in outer)]
    if len(choices) != 1:
        raise UserError(
            f"{len(choices)} parts of {run.folder} match",
            why=f"parts: {', '.join(path for path, _ in offered[arguments.to])}",
            cure="name one with --part",
        )
    path, target = choices[0]
    write = _function(target)
    asked = inspect.signature(write).parameters
    told: dict[str, Any] = {"recipe": table_of(run.tree, path)} if "recipe" in asked else {}
    if "about" in asked:
        told["about"] = _about_data(run)
    write(run.part(path), out, **told)
    print(f"{path} -> {out}")
    return 0


def _about_data(run: LoadedRun) -> Mapping[str, Any]:
    """What the run's data says of its train split; nothing where the data are gone: weights can be written still."""
    try:
        return dict(run.part("data").about("train"))
    except UserError as error:
        print(f"maskwright: what is known of the data is left out: {error.what}", file=sys.stderr)
        return {}


def import_run(arguments: argparse.Namespace) -> int:
    source = Path(arguments.path)
    if not source.exists():
        raise UserError(f"there is no {source}", where=str(source))
    read = _function(_importer(arguments.format, source, arguments.component))
    params, part = read(source, **_options(read, arguments.set))
    planner = Planner(catalogue())
    raw = {
        "use": "imported",
        "part": planner.to_raw(params),
        "source": str(source.absolute()),
        "format": arguments.format,
    }
    made = plan(raw)
    made.require()
    folder = new_folder("imported", Path(arguments.out))
    begin(folder, made, before=lambda place: _keep(place, made.require(), part))
    print(f"imported: {folder}")
    return 0


def _options(read: Callable[..., Any], words: Sequence[str]) -> dict[str, Any]:
    """`key=value` for an importer; what may be set are its keyword arguments, by their types."""
    hints = typing.get_type_hints(read)
    parameters = inspect.signature(read).parameters.values()
    known = {x.name: hints.get(x.name, str) for x in parameters if x.kind is inspect.Parameter.KEYWORD_ONLY}
    found = {}
    for text in words:
        name, _, value = text.partition("=")
        if name not in known:
            raise UserError(
                f'this import has no option "{name}"{did_you_mean(name, known)}',
                where=f"--set {text}",
                cure=f"options: {', '.join(known) or 'none'}",
            )
        try:
            found[name] = parse_text(value, known[name])
        except ValueError as error:
            raise UserError(f"{name}: {error}", where=f"--set {text}") from None
    return found


def _keep(folder: Path, root: Node, part: Any) -> None:
    """The state of an imported part, and of fitted parts inside it, such as a tokenizer: they keep theirs apart."""
    write_folder(folder / "parts" / "part", part.save)
    for node in root.walk():
        if node.path.startswith("part.") and not node.is_reference and "fitted" in own_tags(node):
            inner = part
            for name in node.path.split(".")[1:]:
                inner = getattr(inner, name)
            write_folder(folder / "parts" / node.path, inner.save)


def _importer(format: str, source: Path, wanted: str) -> str:
    """`module:function` that reads `source`. Several plugins may read a format; what a path holds decides."""
    found = importers()
    if format not in found:
        raise UserError(
            f'nothing imports "{format}"{did_you_mean(format, found)}',
            cure=f"formats: {', '.join(sorted(found)) or 'none'}",
        )
    offered = found[format]
    names = {listed.reference: target for listed, target in offered}
    if wanted:
        if wanted not in names:
            raise UserError(
                f'"{wanted}" does not import "{format}"{did_you_mean(wanted, names)}',
                cure=f"--as {' or --as '.join(names)}",
            )
        return names[wanted]
    fitting = {listed.reference: target for listed, target in offered if _recognises(listed, format, source)}
    targets = set((fitting or names).values())
    if len(targets) != 1:
        first = {target: name for name, target in reversed((fitting or names).items())}
        raise UserError(
            f"{source} could be read by several components" if fitting else f"nothing recognises {source}",
            where=str(source),
            why=f'"{format}" is read by {", ".join(names)}',
            cure=f"say what it is: --as {' or --as '.join(sorted(first.values()))}",
        )
    return targets.pop()


def _recognises(listed: Listed, format: str, source: Path) -> bool:
    """Whether a component would read this path; one that cannot tell is asked for all."""
    cls = listed.params_class()
    return not hasattr(cls, "recognises") or cls.recognises(format, source)


def importers() -> dict[str, list[tuple[Listed, str]]]:
    """Format -> every installed component that can read something foreign, and its `module:function`."""
    found: dict[str, list[tuple[Listed, str]]] = {}
    for kind in KINDS:
        for listed in catalogue().of_kind(kind):
            if listed.is_file:
                continue
            with contextlib.suppress(UserError):  # its plugin is broken, which `show` tells
                if hasattr(cls := listed.params_class(), "imports"):
                    for format, target in cls.imports().items():
                        found.setdefault(format, []).append((listed, target))
    return found
