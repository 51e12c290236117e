"""list, doctor: what is there, and what is not. No torch, no numpy, no rich."""

import argparse
import json
import platform
import sys
from importlib import metadata

from maskwright.catalogue import Catalogue, catalogue
from maskwright.component import KINDS
from maskwright.errors import UserError, did_you_mean


def list_components(arguments: argparse.Namespace) -> int:
    found = catalogue()
    kinds: tuple[str, ...] = KINDS
    if arguments.kind is not None:
        kind = arguments.kind.removesuffix("s")
        if kind not in KINDS:
            raise UserError(
                f'there is no kind "{arguments.kind}"{did_you_mean(kind, KINDS)}',
                cure=f"kinds: {', '.join(KINDS)}",
            )
        kinds = (kind,)
    if arguments.json:
        rows = [
            {
                "kind": x.kind,
                "name": x.name,
                "package": x.package,
                "version": x.version,
                "summary": x.component.summary,
                "provides": sorted(x.component.provides),
                "consumes": sorted(x.component.consumes),
                "paper": x.component.paper,
                "deprecated": x.component.deprecated,
            }
            for kind in kinds
            for x in found.of_kind(kind)
        ]
        print(json.dumps(rows, indent=1))
        return 0
    print("\n\n".join(text for kind in kinds if (text := _of_kind(found, kind))) or "nothing is installed")
    if found.problems:
        print(f"maskwright: {found.failures()}", file=sys.stderr)
    return 0


def _of_kind(found: Catalogue, kind: str) -> str:
    entries = found.of_kind(kind)
    if not entries:
        return ""
    names = {x.name for x in entries}
    twice = {name for name in names if sum(x.name == name for x in entries) > 1}
    rows = []
    for x in entries:
        summary = (
            f"(deprecated: {x.component.deprecated}) {x.component.summary}"
            if x.component.deprecated
            else x.component.summary
        )
        rows.append((x.qualified if x.name in twice else x.name, x.package, summary))
    first, second = max(len(r[0]) for r in rows), max(len(r[1]) for r in rows)
    return "\n".join([f"{kind}s", *(f"  {a:<{first}}  {b:<{second}}  {c}" for a, b, c in rows)])


def doctor(arguments: argparse.Namespace) -> int:
    if arguments.contracts:
        return _contracts(arguments.contracts)
    found = catalogue()
    packages = sorted({(x.package, x.version) for x in found.listed} | set(found.owners.values()))
    watching = found.watching()
    clashes = [
        (kind, name, sorted(x.package for x in found.of_kind(kind) if x.name == name))
        for kind in KINDS
        for name in sorted({x.name for x in found.of_kind(kind)})
        if sum(x.name == name for x in found.of_kind(kind)) > 1
    ]
    if arguments.json:
        report = {
            "python": platform.python_version(),
            "packages": [
                {
                    "name": n,
                    "version": v,
                    "components": sum(x.package == n for x in found.listed),
                    "watches runs": n in watching,
                }
                for n, v in packages
            ],
            "problems": [
                {
                    "plugin": p.plugin,
                    "distribution": p.distribution,
                    "version": p.version,
                    "stage": p.stage,
                    "error": p.error,
                    "cure": p.cure,
                }
                for p in found.problems
            ],
            "conflicts": [{"kind": k, "name": n, "packages": p} for k, n, p in clashes],
        }
        print(json.dumps(report, indent=1))
        return 2 if found.problems else 0
    print(
        f"maskwright {metadata.version('maskwright')} on Python {platform.python_version()}, {platform.system()}"
    )
    for name, version in packages:
        count = sum(x.package == name for x in found.listed)
        watches = ", watches runs" if name in watching else ""
        print(f"  {name} {version}: {count} component{'s' if count != 1 else ''}{watches}")
    for kind, name, owners in clashes:
        print(
            f'\n{kind}:{name} is offered by {" and ".join(owners)}\n  do:    write "{name}@{owners[0]}" in recipes'
        )
    for problem in found.problems:
        print(
            f"\nplugin {problem.plugin} is not available\n"
            f"  where: {problem.distribution} {problem.version}, at {problem.stage}\n"
            f"  why:   {problem.error}\n"
            f"  do:    {problem.cure}"
        )
    if not found.problems:
        print("every installed plugin loads")
    return 2 if found.problems else 0


def _contracts(name: str) -> int:
    entries = list(metadata.entry_points(group="maskwright.contracts"))
    if not entries:
        raise UserError(
            "the contract checks are not installed",
            why="they live in a package of their own, so that nothing else needs pytest",
            cure="pip install maskwright-testing",
        )
    return int(entries[0].load()(name))
