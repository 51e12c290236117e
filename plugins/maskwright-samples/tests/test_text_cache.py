import pytest

from maskwright.errors import UserError
from maskwright_samples import library
from maskwright_samples.cache import cache_folder, cache_path, remember, write_whole
from maskwright_samples.params_text import Docstrings
from maskwright_samples.source import Record


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("MASKWRIGHT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


class Maker:
    def __init__(self, content):
        self.content, self.calls = content, 0

    def __call__(self):
        self.calls += 1
        return self.content


def test_content_is_made_once_per_key(folder):
    make = Maker(b"glyphs")
    assert [remember("toy", {"version": 1}, make) for _ in range(3)] == [b"glyphs"] * 3
    assert make.calls == 1
    assert remember("toy", {"version": 2}, Maker(b"new")) == b"new"
    assert cache_folder() == folder and cache_path("toy", {"version": 1}).is_file()


@pytest.mark.parametrize("damage", [b"", b"short", b"x" * 60])
def test_damaged_files_are_built_again(damage):
    remember("toy", {}, Maker(b"whole"))
    cache_path("toy", {}).write_bytes(damage)
    make = Maker(b"whole")
    assert remember("toy", {}, make) == b"whole" and make.calls == 1
    assert remember("toy", {}, make) == b"whole" and make.calls == 1


def test_a_folder_that_cannot_be_written_costs_time_only(folder):
    folder.write_text("a file where the folder should be")
    with pytest.warns(UserWarning, match="Set MASKWRIGHT_CACHE to a folder you may write to"):
        assert remember("toy", {}, Maker(b"whole")) == b"whole"


def test_a_failed_write_leaves_the_old_file_and_no_rubbish(tmp_path, monkeypatch):
    target = tmp_path / "file"
    write_whole(target, b"old")
    monkeypatch.setattr(
        "maskwright_samples.cache.os.replace", lambda *_: (_ for _ in ()).throw(OSError("full"))
    )
    with pytest.raises(OSError, match="full"):
        write_whole(target, b"new")
    assert target.read_bytes() == b"old" and list(tmp_path.iterdir()) == [target]


def test_texts_come_back_from_the_cache_as_they_went_in(monkeypatch):
    docstring = "Cut the wood into planks.\n\nParameters\n----------\nwood : str\n    What is cut.\n\n"
    docstring += "Returns\n-------\nplanks : list\n    The planks that were cut.\n\nSee Also\n--------\nsaw"
    record = Record("numpy", "numpy.cut", "cut", "function", ("wood",), docstring)
    monkeypatch.setattr(library, "records", lambda name, literals: iter([record]))
    library._package.cache_clear()
    first = library._package("numpy", "test", False)
    library._package.cache_clear()
    monkeypatch.setattr(library, "records", None)  # the second time nothing is read
    second = library._package("numpy", "test", False)
    library._package.cache_clear()
    assert first == second == (library.cleaned(record),)
    assert second[0].see_also == ("saw",) and second[0].parameters[0].description == "What is cut."


def test_no_installed_package_is_told(monkeypatch):
    monkeypatch.setattr(library, "installed", lambda packages: {})
    with pytest.raises(UserError, match="none of these packages is installed: torch") as caught:
        Docstrings(packages=["torch"]).build()
    assert "stdlib is always there" in str(caught.value)


def test_docstrings_of_an_installed_package(folder):
    library._package.cache_clear()
    data = Docstrings(packages=["networkx", "torch"]).build()
    assert data.splits() == ("train", "validation", "test")
    assert data.length("train") > 1000
    assert "networkx" in data.about("train")["packages"]
    kept = {path.name.split("-")[1] for path in (folder / "samples").iterdir()}
    assert kept == data.about("train")["packages"].keys()
    library._package.cache_clear()
