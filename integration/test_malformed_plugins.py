"""Two hundred malformed plugins: everything else goes on, and who asks for one hears whose fault it is."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from malformed_plugins import FAMILIES, VERSION, Plugin, plugins

from maskwright.catalogue import set_catalogue
from maskwright.cli.main import main

STAGES = ("load", "handshake", "hooks", "register", "declare", "tags", "use")

Said = tuple[int, str, str]


@pytest.fixture
def say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., Said]]:
    """`say("list")` gives code, output and errors of a command, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MASKWRIGHT_STRICT", raising=False)
    before = set_catalogue(None)

    def call(*words: str) -> Said:
        capfd.readouterr()
        code = main(words)
        printed = capfd.readouterr()
        return code, printed.out, printed.err

    yield call
    set_catalogue(before)
    for name in [name for name in sys.modules if name.startswith("acme_")]:
        del sys.modules[name]


def install(found: list[Plugin], monkeypatch: pytest.MonkeyPatch) -> None:
    """Put them into a folder where Python finds installed packages, beside a good plugin."""
    site = Path("site").absolute()
    for plugin in found:
        plugin.install(site)
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("MASKWRIGHT_PLUGINS", ",".join(["maskwright-samples", *(x.name for x in found)]))


def test_two_hundred():
    assert set(STAGES) == {*FAMILIES, "use"}
    assert sum(len(plugins(stage)) for stage in STAGES) == 206
    assert min(len(plugins(stage)) for stage in STAGES) > 0


def flat(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("stage", STAGES)
def test_the_others_go_on_and_doctor_names_each(
    stage: str, say: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
):
    found = plugins(stage)
    install(found, monkeypatch)
    code, out, err = say("list")
    assert code == 0, err
    names = {line.split()[0] for line in out.splitlines() if line.startswith("  ")}
    assert {"cosine", "docstrings", "topic-baseline"} <= names
    kept = {plugin.component for plugin in found} & names
    assert kept == ({plugin.component for plugin in found} if stage == "use" else set())
    broken = [] if stage == "use" else found
    assert err.count("\n") == min(1, len(broken)), err
    for plugin in broken:
        assert f"{plugin.distribution} {VERSION}" in err
    code, out, err = say("doctor")
    assert (code, err) == (2 if broken else 0, "")
    blocks = out.split("\n\n")
    for plugin in broken:
        place = f"  where: {plugin.distribution} {VERSION}, at {stage}\n"
        block = next((block for block in blocks if place in block), "")
        assert block, f"{plugin.name}:\n{plugin.text}\n{out}"
        for word in plugin.words:
            assert word in flat(block), f"{plugin.name}: {word}\n{plugin.text}\n{block}"
        assert "  do:    " in block
    code, out, err = say("doctor", "--json")
    assert {problem["distribution"] for problem in json.loads(out)["problems"]} == {
        x.distribution for x in broken
    }


@pytest.mark.parametrize("stage", STAGES)
def test_who_asks_for_one_hears_of_it(stage: str, say: Callable[..., Said], monkeypatch: pytest.MonkeyPatch):
    found = plugins(stage)
    install(found, monkeypatch)
    for plugin in found:
        table = {"use": "topic-baseline", "data": {"use": plugin.component, "count": 3}}
        Path("one.json").write_text(json.dumps(table))
        code, out, err = say("check", "one.json")
        assert (code, out) == (2, ""), f"{plugin.text}\n{plugin.more}\n{err}"
        assert err.startswith("maskwright: one.json: ") and err.count("maskwright: ") == 1, err
        assert any(line.startswith("  data ") for line in err.splitlines()), err
        assert f"{plugin.distribution} {VERSION}" in flat(err), f"{plugin.text}\n{err}"
        if stage == "use":
            for word in plugin.words:
                assert word in flat(err), f"{plugin.name}: {word}\n{plugin.more}\n{err}"
        assert 'run "maskwright doctor"' in err or "pip install" in err, err
        assert say("show", f"dataset:{plugin.component}")[0] == 2
    code, out, err = say("check", "topic-baseline")
    assert code == 0, err
