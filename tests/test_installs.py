"""The page of what an install brings shows the kept figures, and is about every package."""

import json
import sys

from repository import PACKAGES, ROOT

sys.path.insert(0, str(ROOT / "tools"))
import installs


def test_every_package_for_users_is_measured():
    assert {*installs.PACKAGES, "maskwright-testing"} == {package.name for package in PACKAGES}


def test_the_page_is_made_of_the_kept_figures():
    assert installs.PAGE.read_text(encoding="utf-8") == installs.page(json.loads(installs.DATA.read_text()))


def test_causal_and_what_it_needs_bring_no_torch():
    kept = json.loads(installs.DATA.read_text())
    assert [name for name, row in kept.items() if "torch" not in row["packages"]] == installs.PACKAGES[:3]


def test_the_page_names_what_is_new_only():
    row = {"megabytes": 1, "seconds": 1, "list": 1.0}
    found = {
        "a": row | {"packages": ["a", "x"]},
        "b": row | {"packages": ["a", "b", "torch", "x", "y"]},
    }
    lines = installs.page(found).splitlines()
    assert "| b | 5 | 1 | 1 | yes | 1.0 |" in lines
    assert lines[-2:] == ["- **a**: x", "- **b**: a, and torch, y"]
