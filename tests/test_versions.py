"""Constraint files, requirement lists and tox environments agree with the packages' metadata."""

import re

import pytest
from repository import PACKAGES, ROOT, distribution, requirement_lines

OURS = {package.name for package in PACKAGES}
BY_NAME = {package.name: package for package in PACKAGES}
LOWEST = {
    "constraints-lowest-core.txt": ["maskwright", "maskwright-testing"],
    "constraints-lowest-causal.txt": [
        "maskwright",
        "maskwright-testing",
        "maskwright-samples",
        "maskwright-causal",
    ],
    "constraints-lowest-vision.txt": [
        "maskwright",
        "maskwright-testing",
        "maskwright-samples",
        "maskwright-causal",
        "maskwright-torch",
        "maskwright-vision",
    ],
    "constraints-lowest-text.txt": [
        "maskwright",
        "maskwright-testing",
        "maskwright-samples",
        "maskwright-causal",
        "maskwright-torch",
        "maskwright-vision",
        "maskwright-text",
        "maskwright-meta",
        "maskwright-cap",
    ],
}


def release(version: str) -> tuple[int, ...]:
    """Numbers of a version without trailing zeros, so that 8 and 8.0.0 are the same."""
    return tuple(int(part) for part in re.sub(r"(\.0)+$", "", version).split("."))


def foreign(names: list[str]) -> dict[str, str]:
    """Direct dependencies of some of our packages on others' packages: name to lower bound.

    One constraint file proves the bounds of several packages, so all of them must state the same one.
    """
    bounds: dict[str, str] = {}
    for name in names:
        for line in BY_NAME[name].requirements():
            bound = re.search(r">=([\d.]+)", line)
            if distribution(line) not in OURS and bound:
                known = bounds.setdefault(distribution(line), bound[1])
                assert known == bound[1], f"{name} asks for {line}, another package for >={known}"
    return bounds


def pins(name: str) -> dict[str, str]:
    lines = [line.split("==") for line in requirement_lines(ROOT / name)]
    return {distribution(left): right for left, right in lines}


def test_constraints_hold_every_direct_dependency():
    pinned = pins("constraints.txt")
    asked = foreign(sorted(OURS))
    assert len(asked) >= 10
    # The full set of solvers is for users; nothing here installs it.
    assert set(asked) - set(pinned) <= {"cvxpy"}
    for name, low in asked.items():
        assert name not in pinned or release(pinned[name]) >= release(low), name


def test_torch_is_pinned_without_a_local_tag():
    assert pins("constraints.txt")["torch"] == "2.13.0"
    assert pins("constraints-cpu.txt")["torch"] == "2.13.0+cpu"


@pytest.mark.parametrize("name", LOWEST)
def test_lowest_means_the_lower_bounds_of_the_metadata(name: str):
    asked = {key: low for key, low in foreign(LOWEST[name]).items() if key != "cvxpy"}
    assert {key: release(value) for key, value in pins(name).items()} == {
        key: release(low) for key, low in asked.items()
    }


@pytest.mark.parametrize("name", ["integration/requirements.txt", "requirements-dev.txt"])
def test_every_package_is_listed(name: str):
    text = (ROOT / name).read_text()
    listed = {distribution(line.removeprefix("-e").strip().rpartition("/")[2]) for line in text.splitlines()}
    assert listed >= OURS


def test_every_package_has_a_tox_environment():
    text = (ROOT / "tox.ini").read_text()
    for package in PACKAGES:
        assert f"pytest {{toxinidir}}/{package.folder.relative_to(ROOT)}/tests" in text, package.name


def test_every_package_is_under_the_import_contracts():
    text = (ROOT / ".importlinter").read_text()
    roots = text.partition("root_packages =")[2].partition("include_external")[0].split()
    layers = text.partition("layers =")[2].partition("[")[0].split()
    assert set(roots) == {package.module.name for package in PACKAGES}
    assert set(layers) - {"|"} == set(roots)
