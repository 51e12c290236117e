"""apply: a pipeline on files, folders, JSON lines or literal text."""

import argparse
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from maskwright.api import load
from maskwright.build import build_raw
from maskwright.errors import UserError
from maskwright.findings import plain_value
from maskwright.folder import write_atomic
from maskwright.step import Step

TEXT_SUFFIXES = ("", ".jsonl", ".ndjson", ".json", ".txt")


def apply(arguments: argparse.Namespace) -> int:
    pipeline = _pipeline(arguments.run, arguments.set, arguments.seed)
    if arguments.out is not None and os.path.exists(arguments.out):
        raise UserError(f"{arguments.out} exists already", cure="choose another --out, or remove it")
    items = list(read_inputs(pipeline, arguments.inputs))
    results = pipeline(items, Step(arguments.seed))
    if arguments.out is None:
        for result in results:
            print(_json_line(result))
        return 0
    out = Path(arguments.out)
    write_results(pipeline, list(results), out)
    print(f"written: {out}", file=sys.stderr)
    return 0


def _pipeline(reference: str, settings: list[str], seed: int) -> Any:
    kind, _, name = reference.partition(":")
    if kind == "pipeline" and not Path("pipeline").is_dir():
        return build_raw({"use": name}, ("pipeline",), reference, seed, settings)[0]
    folder, name = run_and_pipeline(reference)
    return load(folder).pipeline(name, settings)


def run_and_pipeline(reference: str) -> tuple[str, str]:
    """`RUN:PIPELINE`, or `RUN` alone and then an empty name; a folder may have a colon in its own name."""
    folder, _, name = reference.rpartition(":") if not os.path.exists(reference) else (reference, "", "")
    return (folder, name) if folder else (reference, "")


def read_inputs(pipeline: Any, arguments: list[str]) -> Iterator[Mapping[str, Any]]:
    """Items from every argument; without any, what a pipeline that can do without offers by itself."""
    if not arguments:
        if not hasattr(pipeline, "default_items"):
            raise UserError(
                "this pipeline needs input", cure="give files, folders or text, or - for JSON lines on stdin"
            )
        yield from pipeline.default_items()
    for argument in arguments:
        if argument != "-" and looks_like_file(argument) and not os.path.exists(argument):
            raise UserError(
                f"there is no file {argument}",
                why="an argument with a slash or a suffix is a path, never text",
                cure="check the path, or hand over text by JSON lines on - ",
            )
        if argument == "-":
            yield from json_lines(sys.stdin, "standard input")
        elif hasattr(pipeline, "read"):
            yield from pipeline.read(argument)
        else:
            yield from usual_items(argument)


def usual_items(argument: str) -> Iterator[Mapping[str, Any]]:
    """What an argument holds where a pipeline does not read it itself: JSON lines, the text of a file, or the words."""
    if os.path.isfile(argument):
        yield from _file(Path(argument))
    else:
        yield {"id": argument, "text": argument}


def looks_like_file(argument: str) -> bool:
    """Has a slash, or ends in something like `.jpg`; a sentence with a full stop does not."""
    suffix = Path(argument).suffix
    plain_suffix = 1 < len(suffix) <= 8 and suffix[1:].isalnum() and not suffix[1:].isdigit()
    return "/" in argument.split(" ")[0] or (plain_suffix and " " not in argument)


def _file(path: Path) -> Iterator[Mapping[str, Any]]:
    if path.suffix in (".jsonl", ".ndjson"):
        with open(path, encoding="utf-8") as handle:
            yield from json_lines(handle, str(path))
        return
    try:
        yield {"id": path.name, "text": path.read_text(encoding="utf-8")}
    except UnicodeDecodeError:
        raise UserError(
            f"{path} is not UTF-8 text", where=str(path), cure="give text, or JSON lines (.jsonl)"
        ) from None


def json_lines(lines: Iterable[str], where: str) -> Iterator[Mapping[str, Any]]:
    """One JSON object a line; an item without an id gets its line number."""
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            item = json.loads(line)
        except ValueError as error:
            raise UserError("not a JSON line", where=f"{where}, line {number}", why=str(error)) from None
        if not isinstance(item, dict):
            raise UserError(
                "a JSON line must hold an object", where=f"{where}, line {number}", why=f"found {line[:60]}"
            )
        yield {"id": str(number), **item}


def _json_line(result: Mapping[str, Any]) -> str:
    """A result as text; pictures and sound that came in or went out are left to files (--out)."""
    plain = {key: value for key, value in result.items() if getattr(value, "ndim", 0) < 3}
    return json.dumps(plain_value(plain), ensure_ascii=False)


def write_results(pipeline: Any, results: list[Mapping[str, Any]], out: Path) -> None:
    """By the pipeline's own writer where it has one (all in one file where it knows the suffix, else one file an item,
    in a folder for several), else JSON lines."""
    if hasattr(pipeline, "write_all") and pipeline.write_all(results, out):
        return
    if getattr(pipeline, "write", None) is not None:
        if len(results) == 1:
            out.parent.mkdir(parents=True, exist_ok=True)
            pipeline.write(results[0], out)
            return
        out.mkdir(parents=True)
        taken: set[str] = set()
        for number, result in enumerate(results):
            plain = "".join(c if c.isalnum() or c in "-_." else "-" for c in str(result.get("id", number)))
            name = plain.lstrip(".")[:60] or str(number)
            stem, suffix = os.path.splitext(name)
            while name in taken:  # two items of one name, or of names that differ in what was replaced
                stem += f"-{number}"
                name = stem + suffix
            taken.add(name)
            pipeline.write(result, out / name)
        return
    if out.suffix not in TEXT_SUFFIXES:
        raise UserError(
            f"{type(pipeline).__name__} writes no {out.suffix} files",
            where=str(out),
            why="this pipeline's results are JSON lines",
            cure=f"--out {out.with_suffix('.jsonl')}",
        )
    lines = [_json_line(result) for result in results]
    write_atomic(out, ("\n".join(lines) + "\n").encode())
