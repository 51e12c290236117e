"""All packages side by side, as a user has them: from wheels, through the command line."""

import json
import re
import subprocess
import sys
from collections import Counter
from importlib import metadata
from pathlib import Path

from maskwright.catalogue import Listed, load_catalogue

PACKAGES = re.findall(
    r"^maskwright[\w-]*", (Path(__file__).parent / "requirements.txt").read_text(), re.MULTILINE
)
assert len(PACKAGES) >= 4


def maskwright(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """The command as a user types it, in an empty folder."""
    command = [sys.executable, "-m", "maskwright", *arguments]
    return subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )


def plugin_recipes() -> list[Listed]:
    """Recipes that run as they are, or with a path; those of the core and of the engine are frames to fill."""
    frames = ("maskwright", "maskwright-torch")
    return [listed for listed in load_catalogue().of_kind("recipe") if listed.package not in frames]


def test_every_package_is_installed_and_loads():
    for name in PACKAGES:
        assert metadata.version(name)
    found = load_catalogue()
    assert found.problems == []
    plugins = {entry.dist.name for entry in metadata.entry_points(group="maskwright") if entry.dist}
    assert plugins <= {listed.package for listed in found.listed}
    assert len(plugins) >= 2


def test_no_two_packages_offer_the_same_component():
    counts = Counter(listed.reference for listed in load_catalogue().listed)
    assert len(counts) >= 20
    assert not [name for name, count in counts.items() if count > 1]


def test_list_shows_every_component(tmp_path: Path):
    done = maskwright("list", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    listed = load_catalogue().listed
    assert not [x.reference for x in listed if not re.search(rf"(?m)^\s*{re.escape(x.name)}\s", done.stdout)]


def is_fine(done: subprocess.CompletedProcess[str]) -> bool:
    """A check without mistakes, or whose only mistake is that the user's own data is not named yet."""
    missing = re.findall(r"(?m)^  (\S+) +is required:", done.stderr)
    return done.returncode == 0 or (
        done.returncode == 2
        and "1 problem," in done.stderr
        and [path.removeprefix("base.") for path in missing] == ["data.path"]
    )


def test_every_recipe_passes_its_check_as_named_and_as_a_file(tmp_path: Path):
    recipes = plugin_recipes()
    assert len(recipes) >= 5
    clean = 0
    for recipe in recipes:
        done = maskwright("check", recipe.name, cwd=tmp_path)
        assert is_fine(done), f"{recipe.reference}: {done.stdout}{done.stderr}"
        clean += done.returncode == 0
        text = maskwright("new-recipe", recipe.name, cwd=tmp_path)
        assert text.returncode == 0, text.stderr
        (tmp_path / f"{recipe.name}.toml").write_text(text.stdout)
        edited = maskwright("check", f"{recipe.name}.toml", cwd=tmp_path)
        assert edited.returncode == done.returncode, f"{recipe.reference}: {edited.stdout}{edited.stderr}"
    assert clean >= 5


def test_doctor_finds_nothing_wrong(tmp_path: Path):
    done = maskwright("doctor", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["problems"] == []
