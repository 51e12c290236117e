"""A run never dies of its logger; maskwright_local.py is a plugin too, and is announced."""

import json
from pathlib import Path

import pytest
from commands import Command, run_command, toy_environment, write_distribution

from maskwright import hookimpl
from maskwright.catalogue import empty_catalogue, set_catalogue
from maskwright.observers import Observers

HEAD = "from maskwright import Component, hookimpl\nMASKWRIGHT_API = 1\n"

OBSERVERS = (
    HEAD
    + """
@hookimpl
def maskwright_run_started(run):
    print("started", run.recipe, run.seed, run.resumed_at)

@hookimpl
def maskwright_metrics(run, step, values):
    print("metrics", step, sorted(values))

@hookimpl
def maskwright_checkpoint_saved(step, path):
    print("checkpoint", step, path.name)

@hookimpl
def maskwright_run_finished(run, status, error):
    print("ended", status, error)
"""
)


def observer(site: Path, name: str, text: str) -> None:
    write_distribution(site, name, f"{name} = {name}", name, "1.0", text)


def test_observers_are_told(toy_site: Path, tmp_path: Path):
    site = tmp_path / "site"
    observer(site, "acme_watch", OBSERVERS)
    env = toy_environment(site, toy_site, plugins="toys,acme_watch")
    done = run_command(
        "run",
        "toy-train",
        "steps=2",
        "--seed",
        "5",
        "-q",
        "--no-pictures",
        "--out",
        "a",
        env=env,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[:6] == [
        "started toy-train 5 None",
        "metrics 1 ['train/loss', 'train/weight']",
        "checkpoint 1 00000001",
        "metrics 2 ['train/loss', 'train/weight']",
        "checkpoint 2 00000002",
        "ended finished None",
    ]


def test_doctor_names_those_that_only_watch(toy_site: Path, tmp_path: Path):
    site = tmp_path / "site"
    observer(site, "acme_watch", OBSERVERS)
    env = toy_environment(site, toy_site, plugins="toys,acme_watch")
    told = run_command("doctor", env=env, cwd=tmp_path).stdout
    assert "  acme_watch 1.0: 0 components, watches runs\n" in told
    assert told.count("watches runs") == 1
    report = json.loads(run_command("doctor", "--json", env=env, cwd=tmp_path).stdout)
    assert [x["name"] for x in report["packages"] if x["watches runs"]] == ["acme_watch"]


def test_the_order_is_that_of_pluggy():
    told: list[str] = []

    def plugin(name: str, **options: bool) -> object:
        class Watch:
            @hookimpl(**options)
            def maskwright_metrics(self) -> None:
                told.append(name)

        return Watch()

    made = empty_catalogue()
    made.manager.register(plugin("first", tryfirst=True), "first")
    made.manager.register(plugin("last", trylast=True), "last")
    made.manager.register(plugin("older"), "older")
    made.manager.register(plugin("newer"), "newer")
    set_catalogue(made)
    Observers().call("maskwright_metrics", run=None, step=1, values={})
    assert told == ["first", "newer", "older", "last"]


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        ("raise ValueError('no connection')", "ValueError: no connection"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
    ],
)
def test_one_that_raises_is_reported_once_and_switched_off(
    raised: str, told: str, toy_site: Path, tmp_path: Path
):
    site = tmp_path / "site"
    text = HEAD + f"@hookimpl\ndef maskwright_metrics(values):\n    {raised}\n"
    text += "@hookimpl\ndef maskwright_run_finished(status):\n    print('never called')\n"
    observer(site, "acme_fails", text)
    observer(site, "acme_watch", OBSERVERS)
    env = toy_environment(site, toy_site, plugins="toys,acme_watch,acme_fails")
    done = run_command("run", "toy-train", "-q", "--no-pictures", "--out", "a", env=env, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == (
        "maskwright: the observer acme_fails:acme_fails failed in maskwright_metrics and is switched off "
        f"for this run ({told})\n"
    )
    assert "never called" not in done.stdout
    assert done.stdout.count("metrics ") == 3
    assert "ended finished None" in done.stdout


def test_one_that_raised_is_not_called_again(capsys: pytest.CaptureFixture[str]):
    class Watch:
        def __init__(self) -> None:
            self.told: list[int] = []

        @hookimpl
        def maskwright_metrics(self, step: int) -> None:
            self.told.append(step)

    class Fails(Watch):
        @hookimpl
        def maskwright_metrics(self, step: int) -> None:
            super().maskwright_metrics(step)
            raise ValueError("no connection")

    watch, fails = Watch(), Fails()
    made = empty_catalogue()
    made.manager.register(watch, "watch")
    made.manager.register(fails, "fails")
    set_catalogue(made)
    observers = Observers()
    for step in (1, 2):
        observers.call("maskwright_metrics", run=None, step=step, values={})
    assert (watch.told, fails.told) == ([1, 2], [1])
    assert capsys.readouterr().err.count("the observer fails failed in maskwright_metrics") == 1


def test_trace_prints_names_and_sizes(command: Command):
    done = command("run", "toy-train", "-q", "--no-pictures", "--out", "a", env={"MASKWRIGHT_TRACE": "1"})
    assert done.returncode == 0
    assert "maskwright trace: maskwright_datasets <- toyplugin: 2 components" in done.stderr
    assert "0.3" not in done.stderr  # never values
    assert "maskwright trace:" in command("list", "-v").stderr
    assert "maskwright trace:" not in command("list").stderr


def test_only_the_wanted_plugins(toy_site: Path, tmp_path: Path):
    site = tmp_path / "site"
    observer(site, "acme_raises", "raise RuntimeError('loaded')")
    done = run_command("list", env=toy_environment(site, toy_site, plugins="toyplugin"), cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "toy-train" in done.stdout


LOCAL = (
    HEAD
    + """
@hookimpl
def maskwright_schedules():
    yield Component("my-own", "maskwright.schedule_params:Constant", "mine")
"""
)


def test_a_local_file_is_announced_used_and_recorded(command: Command, tmp_path: Path):
    (tmp_path / "maskwright_local.py").write_text(LOCAL)
    done = command("list", "schedule")
    assert done.stderr == f"maskwright: using the plugin file {tmp_path / 'maskwright_local.py'}\n"
    assert "my-own" in done.stdout
    words = ["run", "toy-train", "-q", "--no-pictures", "objective.ratio={ use = 'my-own', value = 1 }"]
    assert command(*words, "--out", "a").returncode == 0
    environment = json.loads((tmp_path / "a" / "environment.json").read_text())
    assert len(environment["distributions"]["maskwright_local.py"]["version"]) == 64
    done = command("list", "schedule", "--no-local")
    assert (done.stderr, "my-own" in done.stdout) == ("", False)
    done = command(*words, "--no-local", "--out", "b")
    assert done.returncode == 2
    assert 'there is no schedule called "my-own"' in done.stderr


def test_a_local_file_beside_a_recipe_elsewhere_is_never_run(command: Command, tmp_path: Path):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "maskwright_local.py").write_text("raise SystemExit('was run')")
    (tmp_path / "there" / "recipe.toml").write_text('use = "toy-train"\n')
    done = command("check", "there/recipe.toml")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_local_file_that_breaks(command: Command, tmp_path: Path):
    (tmp_path / "maskwright_local.py").write_text("import nothing_like_this\n")
    done = command("doctor")
    assert done.returncode == 2
    assert "ModuleNotFoundError: No module named 'nothing_like_this'" in done.stdout
    assert "maskwright_local.py, or run with --no-local" in done.stdout
    assert command("run", "toy-train", "-q", "--no-pictures", "--out", "a").returncode == 0


def test_a_local_file_cannot_import_its_neighbours(command: Command, tmp_path: Path):
    (tmp_path / "maskwright_local.py").write_text("import beside\n")
    (tmp_path / "beside.py").write_text("")
    told = command("doctor", env={"PYTHONSAFEPATH": "1"}).stdout  # as the installed command does
    assert "maskwright_local.py cannot import its neighbours: move what it needs of beside into it" in told
