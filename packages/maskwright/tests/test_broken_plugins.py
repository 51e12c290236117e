"""A broken plugin costs its own components and nothing else; doctor says whose fault it is and what to do."""

import json
from pathlib import Path

import pytest
from commands import run_command, toy_environment, write_distribution

from maskwright.catalogue import load_catalogue
from maskwright.errors import UserError

HEAD = "from maskwright import Component, hookimpl\nMASKWRIGHT_API = 1\n"


def schedule(name: str) -> str:
    return (
        f"@hookimpl\ndef maskwright_schedules():\n"
        f'    yield Component("{name}", "maskwright.schedule_params:Constant", "one more")\n'
    )


BROKEN = {
    # module: (its text, stage, what went wrong, cure)
    "acme_raises": (
        "raise RuntimeError('no luck today')\n",
        "load",
        "RuntimeError: no luck today",
        "update or uninstall acme-raises:  pip install -U acme-raises   |   pip uninstall acme-raises",
    ),
    "acme_exits": (
        "import sys\nsys.exit('goodbye')\n",
        "load",
        "SystemExit: goodbye",
        "update or uninstall acme-exits:",
    ),
    "acme_needs": (
        "import frobnicate.core\n",
        "load",
        "ModuleNotFoundError: No module named 'frobnicate'",
        "reinstall it with what it needs:  pip install --force-reinstall acme-needs",
    ),
    "acme_future": (
        HEAD.replace("API = 1", "API = 99") + schedule("acme-future"),
        "handshake",
        "made for API 99, this maskwright {version} has API 1",
        "pip install -U maskwright",
    ),
    "acme_silent": (
        "from maskwright import hookimpl\n",
        "handshake",
        "MASKWRIGHT_API is missing",
        "the author adds  MASKWRIGHT_API = 1  to acme_silent",
    ),
    "acme_typo": (
        HEAD + schedule("acme-good") + "@hookimpl\ndef maskwright_schedulers():\n    return []\n",
        "hooks",
        'unknown hook maskwright_schedulers — did you mean "maskwright_schedules"?, '
        "or made for a newer maskwright (this is {version})",
        "rename the hook, or  pip install -U maskwright",
    ),
    "acme_argument": (
        HEAD + "@hookimpl\ndef maskwright_schedules(colour):\n    return []\n",
        "register",
        "or it was made for a newer maskwright (this is {version})",
        "pip install -U maskwright",
    ),
    "acme_dies": (
        HEAD + schedule("acme-half") + "    raise KeyError('halfway')\n",
        "declare",
        "KeyError: 'halfway'",
        "update or uninstall acme-dies:",
    ),
    "acme_name": (
        HEAD + schedule("Acme Name"),
        "declare",
        '"Acme Name" is no component name',
        "use a-z, 0-9 and -, beginning with a letter",
    ),
    "acme_twice": (
        HEAD + schedule("acme-twice") + schedule("acme-twice").partition("\n")[2].partition("\n")[2],
        "declare",
        "schedule:acme-twice is declared twice by acme-twice",
        "update or uninstall acme-twice:",
    ),
    "acme_word": (
        HEAD + "@hookimpl\ndef maskwright_schedules():\n    return ['cosine']\n",
        "declare",
        "maskwright_schedules gave 'cosine' instead of a Component",
        "update or uninstall acme-word:",
    ),
    "acme_tags": (
        HEAD
        + "@hookimpl\ndef maskwright_schedules():\n"
        + "    yield Component('acme-tags', 'a.b:C', 'one', provides='per-row')\n",
        "declare",
        "TypeError: expected a set of words, found the text 'per-row'; write {{'per-row'}}",
        "update or uninstall acme-tags:",
    ),
}


@pytest.fixture(scope="module")
def broken_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    site = tmp_path_factory.mktemp("broken")
    for module, (text, *_) in BROKEN.items():
        write_distribution(site, module.replace("_", "-"), f"{module} = {module}", module, "0.2", text)
    return site


def environment_of(site: Path, toy_site: Path, *more: str) -> dict[str, str]:
    return toy_environment(site, toy_site, plugins=",".join(["toys", *BROKEN, *more]))


@pytest.fixture(scope="module")
def doctored(broken_site: Path, toy_site: Path, tmp_path_factory: pytest.TempPathFactory):
    env = environment_of(broken_site, toy_site)
    return run_command("doctor", env=env, cwd=tmp_path_factory.mktemp("doctor"))


@pytest.mark.parametrize("module", BROKEN)
def test_doctor_names_distribution_version_stage_and_cure(module: str, doctored):
    from importlib.metadata import version

    _, stage, error, cure = BROKEN[module]
    assert doctored.returncode == 2
    blocks = {b.splitlines()[0]: b for b in doctored.stdout.split("\n\n") if b.startswith("plugin ")}
    block = next(text for head, text in blocks.items() if module in head)
    name = module.replace("_", "-")
    assert f"  where: {name} 0.2, at {stage}\n" in block
    assert error.format(version=version("maskwright")) in block
    assert f"  do:    {cure}" in block
    assert len(blocks) == len(BROKEN)


def test_list_goes_on_with_everything_else(broken_site: Path, toy_site: Path, tmp_path: Path):
    done = run_command("list", env=environment_of(broken_site, toy_site), cwd=tmp_path)
    assert done.returncode == 0
    names = {line.split()[0] for line in done.stdout.splitlines() if line.startswith("  ")}
    assert {"cosine", "toy-train", "toy-lines", "acme-good"} <= names
    assert not {"acme-future", "acme-half", "acme-twice", "acme-tags"} & names
    assert done.stderr.startswith("maskwright: 12 plugins failed to load: acme-argument 0.2, acme-dies 0.2, ")
    assert done.stderr.rstrip().endswith('run "maskwright doctor"')


def test_running_goes_on_too(broken_site: Path, toy_site: Path, tmp_path: Path):
    done = run_command(
        "run", "toy-train", "-q", "--out", "a", env=environment_of(broken_site, toy_site), cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "a" / "status.json").read_text())["status"] == "finished"


def test_an_unknown_name_repeats_that_plugins_failed(broken_site: Path, toy_site: Path, tmp_path: Path):
    env = environment_of(broken_site, toy_site)
    done = run_command("run", "toy-train", "objective=acme-loss", env=env, cwd=tmp_path)
    assert done.returncode == 2
    assert 'there is no objective called "acme-loss"' in done.stderr
    assert "12 plugins failed to load: acme-argument 0.2" in done.stderr


@pytest.mark.parametrize("module", BROKEN)
def test_strict_stops_at_the_first(module: str, broken_site: Path, monkeypatch: pytest.MonkeyPatch):
    from importlib.metadata import version

    _, stage, error, cure = BROKEN[module]
    monkeypatch.syspath_prepend(str(broken_site))
    monkeypatch.setenv("MASKWRIGHT_PLUGINS", module)
    monkeypatch.setenv("MASKWRIGHT_STRICT", "1")
    with pytest.raises(UserError) as stopped:
        load_catalogue()
    text = str(stopped.value)
    assert "failed to load, and MASKWRIGHT_STRICT=1 is set\n" in text
    assert f"  where: {module.replace('_', '-')} 0.2, at {stage}\n" in text
    assert error.format(version=version("maskwright")) in text
    assert f"  do:    {cure}" in text


def test_strict_on_the_command_line(broken_site: Path, toy_site: Path, tmp_path: Path):
    env = {**environment_of(broken_site, toy_site), "MASKWRIGHT_STRICT": "1"}
    done = run_command("list", env=env, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "plugin acme-argument:acme_argument failed to load" in done.stderr


def test_a_component_whose_settings_cannot_be_imported(toy_site: Path, tmp_path: Path):
    """The plugin lists; only who uses the component hears of the fault, and not `apply`, `export` or `import`."""
    site = tmp_path / "site"
    text = HEAD + "".join(
        f"@hookimpl\ndef maskwright_{kind}s():\n"
        f'    yield Component("acme-{kind}", "acme_missing.params:X", "gone")\n'
        for kind in ("pipeline", "encoder")
    )
    write_distribution(site, "acme-hollow", "acme_hollow = acme_hollow", "acme_hollow", "0.2", text)
    env = toy_environment(site, toy_site, plugins="toys,acme_hollow")
    done = run_command("run", "toy-train", "objective.encoder=acme-encoder", env=env, cwd=tmp_path)
    assert done.returncode == 2
    assert "the settings of encoder:acme-encoder cannot be loaded: ModuleNotFoundError" in done.stderr
    assert "reinstall it with what it needs:  pip install --force-reinstall acme-hollow" in done.stderr
    assert run_command("run", "toy-train", "-q", "--out", "a", env=env, cwd=tmp_path).returncode == 0
    done = run_command("apply", "a:toy-embed", "some words", env=env, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (tmp_path / "counts.json").write_text('{"a": 1}')
    done = run_command("import", "counts.json", "--from", "toy-json", "--out", "b", env=env, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_one_name_in_two_packages(toy_site: Path, tmp_path: Path):
    site = tmp_path / "site"
    for name in ("acme-one", "acme-two"):
        module = name.replace("-", "_")
        write_distribution(site, name, f"{module} = {module}", module, "0.2", HEAD + schedule("wave"))
    env = toy_environment(site, toy_site, plugins="toys,acme_one,acme_two")

    def call(*arguments: str):
        return run_command(*arguments, env=env, cwd=tmp_path)

    listed = call("list", "schedule").stdout
    assert "  wave@acme-one " in listed and "  wave@acme-two " in listed
    done = call("check", "toy-train", "objective.ratio={ use = 'wave', value = 1.0 }")
    assert done.returncode == 2
    assert '"wave" is offered by more than one package' in done.stderr
    assert 'write "wave@acme-one" or "wave@acme-two"' in done.stderr
    assert (
        call("check", "toy-train", "objective.ratio={ use = 'wave@acme-two', value = 1.0 }").returncode == 0
    )
    done = call("doctor")
    assert done.returncode == 0
    assert "schedule:wave is offered by acme-one and acme-two" in done.stdout
    assert 'write "wave@acme-one" in recipes' in done.stdout
    report = json.loads(call("doctor", "--json").stdout)
    assert report["conflicts"] == [{"kind": "schedule", "name": "wave", "packages": ["acme-one", "acme-two"]}]
    saved = call("run", "toy-train", "-q", "--out", "a", "objective.ratio.use=wave@acme-two")
    assert saved.returncode == 0, saved.stderr
    resolved = json.loads((tmp_path / "a" / "resolved.json").read_text())
    assert resolved["objective"]["ratio"]["use"] == "wave@acme-two"


def test_a_half_removed_distribution(toy_site: Path, tmp_path: Path):
    """An interrupted uninstall leaves an entry point without metadata."""
    site = tmp_path / "site"
    write_distribution(site, "acme-left", "acme_left = acme_left")
    (site / "acme_left-1.0.dist-info" / "METADATA").unlink()
    env = toy_environment(site, toy_site, plugins="")
    done = run_command("list", "recipe", env=env, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "toy-train" in done.stdout
    assert "failed to load" in done.stderr


def test_a_plugin_that_was_asked_for_but_is_not_there(toy_site: Path, tmp_path: Path):
    done = run_command("doctor", env=toy_environment(toy_site, plugins="toys,toy"), cwd=tmp_path)
    assert done.returncode == 2
    assert 'no plugin is called "toy" — did you mean "toys"?' in done.stdout
    assert "name the entry point or the distribution, or unset MASKWRIGHT_PLUGINS" in done.stdout
