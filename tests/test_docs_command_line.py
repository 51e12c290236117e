"""docs/command-line.md is the grammar: it names every verb and every flag, and no other."""

import argparse
import re

from repository import ROOT

from maskwright.cli import main as grammar

PAGE = (ROOT / "docs" / "command-line.md").read_text()


def flags(parser: argparse.ArgumentParser) -> set[str]:
    return {flag for action in parser._actions for flag in action.option_strings if flag.startswith("--")}


def test_every_verb_has_its_line():
    named = set(re.findall(r"^maskwright ([a-z][a-z-]*)", PAGE, re.MULTILINE))
    assert len(grammar.VERBS) >= 13
    assert named == {verb.name for verb in grammar.VERBS}


def test_every_flag_is_named_and_no_other():
    offered = {flag for verb in grammar.VERBS for flag in flags(grammar.verb_parser(verb))} | flags(
        grammar.main_parser()
    )
    named = set(re.findall(r"--[a-z][a-z-]*", PAGE))
    assert len(offered) >= 15
    assert offered - named <= {"--help"}
    assert named - offered == set()


def test_every_variable_is_named():
    sources = (ROOT / "packages" / "maskwright" / "src").rglob("*.py")
    used = {name for path in sources for name in re.findall(r'"(MASKWRIGHT_[A-Z_]+)"', path.read_text())}
    variables = used - {"MASKWRIGHT_API"}
    assert len(variables) >= 4
    assert [name for name in sorted(variables) if f"`{name}" not in PAGE] == []
