"""What a run was made with: Python, packages and their versions, code under edit, data."""

import hashlib
import json
import platform
import subprocess
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from maskwright.catalogue import LOCAL_FILE, catalogue
from maskwright.errors import UserError


def describe_environment(packages: Iterable[str]) -> dict[str, Any]:
    """Versions of the given distributions and of what they directly need; hashes of those under edit."""
    found: dict[str, Any] = {}
    for name in sorted(set(packages)):
        # What a package says of itself wins over what others say of it as a requirement.
        own = _distribution(name)
        found = {**own, **found, **{key: own[key] for key in own if key == name}}
    local = catalogue().local_file
    if local is not None and LOCAL_FILE in set(packages):
        found[LOCAL_FILE] = {"version": hashlib.sha256(local.read_bytes()).hexdigest()}
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "distributions": dict(sorted(found.items())),
        "commit": _commit(),
        "data": {},
    }


def _distribution(name: str) -> dict[str, Any]:
    try:
        distribution = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return {}
    found: dict[str, Any] = {name: {"version": distribution.version}}
    source = _edited_source(distribution)
    if source is not None:
        found[name]["source"] = hash_sources(source)
    for requirement in distribution.requires or []:
        if "extra ==" in requirement:
            continue
        needed = requirement.split(";")[0].split("[")[0]
        for sign in "<>=!~ (":
            needed = needed.split(sign)[0]
        try:
            found.setdefault(needed, {"version": metadata.version(needed)})
        except metadata.PackageNotFoundError:
            continue
    return found


def _edited_source(distribution: metadata.Distribution) -> Path | None:
    """The source folder of a distribution installed for editing."""
    text = distribution.read_text("direct_url.json")
    if not text:
        return None
    direct = json.loads(text)
    if not direct.get("dir_info", {}).get("editable"):
        return None
    project = Path(unquote(str(direct["url"]).removeprefix("file://")))
    return project / "src" if (project / "src").is_dir() else project


def hash_sources(folder: Path) -> str:
    """sha256 over the Python and TOML files below a folder, by name and content."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.suffix in (".py", ".toml") and path.is_file():
            digest.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _commit() -> str | None:
    try:
        answer = subprocess.run(
            ["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() or None if answer.returncode == 0 else None


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What changed in a way that may change results, in words."""
    changed = []
    if before.get("python") != now.get("python"):
        changed.append(f"python {before.get('python')} -> {now.get('python')}")
    old, new = before.get("distributions", {}), now.get("distributions", {})
    for name in sorted({*old, *new}):
        one, two = old.get(name, {}), new.get(name, {})
        if one.get("version") != two.get("version"):
            changed.append(f"{name} {one.get('version', 'absent')} -> {two.get('version', 'absent')}")
        elif one.get("source") != two.get("source"):
            changed.append(f"{name} {one.get('version')}: its source was edited")
    return changed


def refuse_drift(before: Mapping[str, Any], now: Mapping[str, Any], where: str) -> None:
    """UserError if the run was begun with other versions."""
    changed = differences(before, now)
    if changed:
        raise UserError(
            "this run was begun in another environment; going on may not give the same result",
            where=where,
            why="; ".join(changed),
            cure="install the versions of environment.json, or go on with --accept-drift",
        )
