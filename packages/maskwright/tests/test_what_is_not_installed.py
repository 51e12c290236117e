"""A recipe that needs a package which is not there: its name and the pip command."""

import pytest

from maskwright import UserError, elsewhere
from maskwright.catalogue import empty_catalogue


@pytest.fixture
def only_the_core(monkeypatch):
    monkeypatch.setattr(elsewhere, "_is_installed", lambda package: package == "maskwright")
    monkeypatch.delenv("MASKWRIGHT_PLUGINS", raising=False)
    return empty_catalogue()


@pytest.mark.parametrize(
    ("kinds", "name", "what", "cure"),
    [
        (
            "recipe",
            "mae",
            'there is no recipe called "mae" — it comes with maskwright-vision',
            "pip install maskwright-vision",
        ),
        (
            ("objective", "encoder"),
            "vit",
            'there is no objective or encoder called "vit" — it comes with maskwright-vision',
            "pip install maskwright-vision",
        ),
        (
            "objective",
            "pmlm@maskwright-text",
            'there is no objective called "pmlm@maskwright-text" — it comes with maskwright-text',
            "pip install maskwright-text",
        ),
        (
            "masker",
            "stripes@acme-stripes",
            'there is no masker called "stripes@acme-stripes" — acme-stripes is not installed',
            "install that package, if you trust it",
        ),
        (
            "objective",
            "pmlm@maskwright-test",
            'there is no objective called "pmlm@maskwright-test" — maskwright-test is not installed — '
            'did you mean "maskwright-text"?',
            "install that package, if you trust it",
        ),
        (
            "dataset",
            "mae",
            'there is no dataset called "mae"',
            "maskwright list dataset   shows what is installed",
        ),
    ],
)
def test_the_package_is_named(only_the_core, kinds, name, what, cure):
    with pytest.raises(UserError) as raised:
        only_the_core.find(kinds, name)
    assert raised.value.what == what
    assert raised.value.cure == cure


def test_a_package_that_is_left_out_is_not_to_be_installed_again(only_the_core, monkeypatch):
    monkeypatch.setattr(elsewhere, "_is_installed", lambda package: True)
    monkeypatch.setenv("MASKWRIGHT_PLUGINS", "text")
    with pytest.raises(UserError) as raised:
        only_the_core.find("recipe", "mae")
    assert raised.value.what.endswith("— MASKWRIGHT_PLUGINS may leave out maskwright-vision")
    assert raised.value.cure == "unset MASKWRIGHT_PLUGINS"
