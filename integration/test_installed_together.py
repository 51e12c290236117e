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


def recipe_files() -> list[Listed]:
    return [listed for listed in load_catalogue().of_kind("recipe") if listed.is_file]


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


def test_every_recipe_passes_its_check(tmp_path: Path):
    recipes = recipe_files()
    assert len(recipes) >= 1
    for recipe in recipes:
        done = maskwright("check", recipe.name, cwd=tmp_path)
        assert done.returncode == 0, f"{recipe.reference}: {done.stdout}{done.stderr}"


def test_every_recipe_comes_as_a_file_to_edit(tmp_path: Path):
    for recipe in recipe_files():
        done = maskwright("new-recipe", recipe.name, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        (tmp_path / f"{recipe.name}.toml").write_text(done.stdout)
        done = maskwright("check", f"{recipe.name}.toml", cwd=tmp_path)
        assert done.returncode == 0, f"{recipe.reference}: {done.stdout}{done.stderr}"


def test_doctor_finds_nothing_wrong(tmp_path: Path):
    done = maskwright("doctor", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["problems"] == []
