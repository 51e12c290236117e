from text_trees import function, write_tree

from maskwright_samples import source


def _ids(root, **options):
    return [record.id for record in source.records_below(root, "acme", "acme", **options)]


def test_records_have_qualified_names_in_source_order(tmp_path):
    write_tree(
        tmp_path,
        {
            "__init__.py": '"""The package."""\n',
            "tools/cut.py": '"""Cutting."""\nclass Saw:\n    """A saw."""\n'
            "    def cut(self, wood, *, deep=1, **more):\n"
            '        """Cut wood."""\n        def inner():\n            """Deep inside."""\n\ndef bare(): pass\n',
        },
    )
    found = list(source.records_below(tmp_path, "acme", "acme"))
    assert [(r.id, r.kind) for r in found] == [
        ("acme", "module"),
        ("acme.tools.cut", "module"),
        ("acme.tools.cut:Saw", "class"),
        ("acme.tools.cut:Saw.cut", "function"),
        ("acme.tools.cut:Saw.cut.inner", "function"),
    ]
    assert found[3].arguments == ("wood", "deep", "more")


def test_nothing_is_run_and_broken_files_are_passed_over(tmp_path):
    write_tree(
        tmp_path,
        {
            "a.py": "raise SystemExit('imported')\n" + function("f", "Kept."),
            "b.py": "def broken(:\n",
            "c.py": "'''C.'''",
        },
    )
    assert _ids(tmp_path) == ["acme.a:f", "acme.c"]


def test_tests_and_vendored_code_are_left_out(tmp_path):
    kept, dropped = function("kept", "Kept."), function("dropped", "Dropped.")
    write_tree(
        tmp_path,
        {
            "core.py": kept,
            "tests/helper.py": dropped,
            "test_core.py": dropped,
            "conftest.py": dropped,
            "externals/other.py": dropped,
            "deep/_vendor/other.py": dropped,
        },
    )
    assert _ids(tmp_path) == ["acme.core:kept"]


def test_equal_names_get_ids_of_their_own(tmp_path):
    write_tree(tmp_path, {"a.py": function("f", "One.") + function("f", "Two.")})
    assert _ids(tmp_path) == ["acme.a:f", "acme.a:f#2"]


def test_literals_of_add_newdoc_only_when_asked_for(tmp_path):
    text = "Evaluate the wonderful function at every element of the array that is given to it. " * 2
    newdoc = f"add_newdoc('acme.core', 'wonderful', ('sum', '{text}'))\nadd_docstr(acme.abs, '{text}')\n"
    newdoc += f"other('{text}')\n"
    write_tree(tmp_path, {"docs.py": newdoc})
    assert _ids(tmp_path) == []
    found = list(source.records_below(tmp_path, "acme", "acme", literals=True))
    assert [(r.id, r.kind) for r in found] == [
        ("acme.docs:wonderful.sum", "literal"),
        ("acme.docs:acme.abs", "literal"),
    ]
    assert found[0].text.startswith("Evaluate the wonderful")


def test_installed_walks_in_one_order_and_leaves_out_what_is_missing(monkeypatch):
    assert list(source.installed(["networkx", "numpy", "stdlib"])) == ["stdlib", "numpy", "networkx"]
    monkeypatch.setattr(source.importlib.util, "find_spec", lambda name: None)
    assert list(source.installed(["networkx", "stdlib"])) == ["stdlib"]


def test_language_reference_is_read_without_import():
    topics = source.language_reference()
    assert len(topics) > 50 and "lambda" in topics["lambda"]
