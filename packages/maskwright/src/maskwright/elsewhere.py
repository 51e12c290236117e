"""Which package brings a component that is not installed, so that an error can name it.

`known_components.toml` lists what the packages of this repository bring; `python tools/known_components.py` writes it.
Read only when something was not found.
"""

import os
import tomllib
from importlib import metadata, resources

from maskwright.errors import did_you_mean


def known_components() -> dict[str, list[str]]:
    """Distribution to `kind:name`."""
    text = resources.files("maskwright").joinpath("known_components.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def how_to_get(kinds: tuple[str, ...], name: str, package: str) -> tuple[str, str]:
    """(which package has it, what to do); both empty where nobody knows. `package` as in `name@package`, or empty."""
    known = known_components()
    have_it = [
        owner for owner, components in known.items() if any(f"{kind}:{name}" in components for kind in kinds)
    ]
    wanted = package or (have_it[0] if have_it else "")
    if not wanted:
        return "", ""
    if _is_installed(wanted):
        if os.environ.get("MASKWRIGHT_PLUGINS"):
            return f"MASKWRIGHT_PLUGINS may leave out {wanted}", "unset MASKWRIGHT_PLUGINS"
        return "", ""
    if wanted not in known:  # a name that somebody wrote is no reason to install it
        return (
            f"{wanted} is not installed{did_you_mean(wanted, known)}",
            "install that package, if you trust it",
        )
    return f"it comes with {wanted}", f"pip install {wanted}"


def _is_installed(package: str) -> bool:
    try:
        metadata.distribution(package)
    except metadata.PackageNotFoundError:
        return False
    return True
