"""The site holds every document once, its links lead to its pages, and every block says what it is."""

import importlib.util
import sys
from types import ModuleType

import pytest
from repository import PACKAGES, ROOT


def module_at(path: str) -> ModuleType:
    """A file that is no part of a package; what lies beside it can be imported by it."""
    file = ROOT / path
    sys.path.insert(0, str(file.parent))
    try:
        spec = importlib.util.spec_from_file_location(f"tried_{file.stem}", file)
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
        return module
    finally:
        sys.path.remove(str(file.parent))


conf = module_at("docs/conf.py")
runner = module_at("tools/run_blocks.py")
recipes = module_at("tools/recipes.py")
PAGES = sorted(path for pattern in runner.PAGES for path in ROOT.glob(pattern) if "_build" not in path.parts)


def test_every_document_is_on_the_site():
    written = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "LICENSE"]
    written += [package.folder / "README.md" for package in PACKAGES]
    written += [path for package in PACKAGES for path in (package.folder / "docs").glob("*.md")]
    assert len(written) > 3 + len(PACKAGES)
    assert [str(path.relative_to(ROOT)) for path in written if path not in conf.PLACES] == []


@pytest.mark.parametrize(
    ("written", "folder", "turned"),
    [
        ("[a](docs/hooks.md)", "", "[a](/hooks.md)"),
        ("[a](docs/hooks.md#watching)", "", "[a](/hooks.md#watching)"),
        ("[a](docs/decisions/)", "", "[a](/decisions/index.md)"),
        ("![a](docs/pictures/throughput.svg)", "", "![a](/pictures/throughput.svg)"),
        ("[a](../../README.md)", "packages/maskwright", "[a](/index.md)"),
        ("[a](packages/maskwright/README.md)", "", "[a](/packages/maskwright.md)"),
        ("[a](plugins/maskwright-text/README.md)", "", "[a](/plugins/text.md)"),
        (
            "[a](docs/text.md)",
            "plugins/maskwright-text",
            "[a](/plugins/text.md#text-masked-language-models-and-models-that-read-and-write)",
        ),
        ("[a](https://example.org/docs/hooks.md)", "", "[a](https://example.org/docs/hooks.md)"),
        ("[a](#watching)", "", "[a](#watching)"),
        ("`x[0](docs/hooks.md)`", "", "`x[0](docs/hooks.md)`"),
        ("```text\n[a](docs/hooks.md)\n```", "", "```text\n[a](docs/hooks.md)\n```"),
    ],
)
def test_links_lead_to_pages_of_the_site(written: str, folder: str, turned: str):
    assert conf.turn_links(written, ROOT / folder) == turned


def test_the_table_of_recipes_is_that_of_the_installed_packages():
    text = recipes.PAGE.read_text(encoding="utf-8")
    assert recipes.page(text, recipes.catalogue().of_kind("recipe")) == text
    assert "| `mae` | pre-train on drawings of characters, look at it, probe it | 2 minutes |" in text
    assert text.count("\n| `") >= 50


def test_every_block_says_what_it_is():
    languages = {"python", "sh", "toml", "json", "text"}
    blocks = [
        block
        for page in PAGES
        for block in runner.blocks_of(page.read_text(encoding="utf-8"), str(page.relative_to(ROOT)))
    ]
    assert len(blocks) >= 70
    assert [f"{b.page}:{b.line}" for b in blocks if b.language not in languages] == []
    assert runner.block_rules.reasons_without_block(blocks) == []
    assert runner.block_rules.reasons_without_block([]) != []
