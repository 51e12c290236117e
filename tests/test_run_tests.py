"""The bootstrap hands pip's settings to uv."""

import sys
import venv
from pathlib import Path

from repository import ROOT

sys.path.insert(0, str(ROOT / "tools"))
import run_tests

PYTHON = Path(sys.executable)


def test_find_links_of_the_environment_reach_uv_with_commas(tmp_path: Path):
    there = tmp_path / "wheels"
    there.mkdir()
    environ = {"PIP_FIND_LINKS": f"{there} {tmp_path / 'gone'} https://example.org/wheels"}
    settings = run_tests.uv_settings(PYTHON, environ | {"PIP_INDEX_URL": "", "PIP_EXTRA_INDEX_URL": ""})
    assert settings == {
        "PIP_FIND_LINKS": f"{there} https://example.org/wheels",
        "UV_FIND_LINKS": f"{there},https://example.org/wheels",
    }


def test_indexes_reach_uv_and_are_searched_as_pip_does():
    environ = {
        "PIP_FIND_LINKS": "",
        "PIP_INDEX_URL": "https://example.org/a",
        "PIP_EXTRA_INDEX_URL": "https://example.org/b",
    }
    assert run_tests.uv_settings(PYTHON, environ) == {
        "UV_DEFAULT_INDEX": "https://example.org/a",
        "UV_INDEX": "https://example.org/b",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
    }


def test_what_the_user_set_for_uv_stays(tmp_path: Path):
    environ = {
        "PIP_FIND_LINKS": str(tmp_path),
        "UV_FIND_LINKS": "mine",
        "PIP_INDEX_URL": "",
        "PIP_EXTRA_INDEX_URL": "",
    }
    assert run_tests.uv_settings(PYTHON, environ) == {"PIP_FIND_LINKS": str(tmp_path)}


def test_settings_in_files_of_pip_are_read(tmp_path: Path):
    venv.create(tmp_path / "venv", with_pip=True)
    (tmp_path / "pip.conf").write_text("[global]\nfind-links =\n    first\n    second\n")
    environ = {"PIP_CONFIG_FILE": str(tmp_path / "pip.conf")}
    assert run_tests.pip_setting(tmp_path / "venv/bin/python", "find-links", environ) == ["first", "second"]
