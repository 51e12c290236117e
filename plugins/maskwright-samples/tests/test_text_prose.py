import pytest

from maskwright_samples.prose import clean, paragraphs, plain
from maskwright_samples.sections import entries, sections, see_also, short_entries

DOCSTRING = """\
Compute the weighted mean. The weights are normalised first.

.. versionadded:: 1.2
   Not prose at all, and two
   lines of it.

.. note:: Weights of zero are skipped
   and never divide anything.

Parameters
----------
a, b : array_like, optional
    Numbers to average.
axis : int
    Where to average along.

Returns
-------
mean : float
    The average of it all.

See Also
--------
median : the middle value
:func:`~acme.stats.mode`, variance

Notes
-----
See [1]_ for ``why`` this *really* works for `x`::

    literal = block()

It is :math:`O(n)` in the length $n$ of the input.

====  =====
one   table
====  =====
1     2
====  =====

:returns: a field that goes
    with its continuation

Examples
--------
An example sentence that is dropped.

>>> mean([1, 2])
1.5

References
----------
.. [1] Somebody wrote this down.
"""


def test_clean_keeps_lead_and_notes_as_prose():
    assert clean(DOCSTRING).paragraphs == (
        "Compute the weighted mean. The weights are normalised first.",
        "Weights of zero are skipped and never divide anything.",
        "See for why this really works for x:",
        "It is O(n) in the length of the input.",
    )


def test_summary_is_the_first_sentence_and_body_the_rest():
    prose = clean(DOCSTRING)
    assert prose.summary == "Compute the weighted mean."
    assert prose.body.startswith("The weights are normalised first.\nWeights of zero")


def test_a_call_signature_is_no_summary():
    prose = clean("mean(a, axis=None) -> float\n\nCompute the mean of values. And more of it.")
    assert prose.summary == "Compute the mean of values."
    assert "axis" not in prose.text


@pytest.mark.parametrize(
    ("text", "summary"),
    [
        ("Always use tools, e.g. The Saw for this. Then stop.", "Always use tools, e.g. The Saw for this."),
        ("No. Take the other one instead. Done.", "No. Take the other one instead."),
        ("One sentence without an end", "One sentence without an end"),
    ],
)
def test_sentence_ends(text, summary):
    assert clean(text).summary == summary


def test_examples_shell_lines_and_grid_tables_go():
    hidden = ">>> f(1)\n1\nstill output\n\n$ make install\n+---+---+\n| a | b |"
    text = f"First words stay here.\n\n{hidden}\n\nLast words stay here."
    assert paragraphs(text) == ["First words stay here.", "Last words stay here."]


def test_list_items_are_paragraphs_of_their_own():
    assert paragraphs("- one item of three\n- another item that\n  goes on\n- short") == [
        "one item of three",
        "another item that goes on",
    ]


def test_plain_strips_markup_and_keeps_words():
    assert plain(":class:`~a.B` and `text <http://x.y>`_ **bold** 2*3*4 see https://x.y/z .") == (
        "a.B and text bold 2*3*4 see."
    )


def test_sections_of_both_styles():
    found = sections(
        "Lead.\n\nArgs:\n    x (int): What x\n        is for.\n    y: Other thing.\n\nBack to prose.\n"
    )
    assert [section.title for section in found] == ["", "args", ""]
    assert [(e.names, e.type, e.description) for e in short_entries(found[1])] == [
        (("x",), "int", "What x\n    is for."),
        (("y",), "", "Other thing."),
    ]
    assert found[2].text.strip() == "Back to prose."


def test_entries_and_links():
    by_title = {section.title: section for section in sections(DOCSTRING)}
    found = entries(by_title["parameters"])
    assert [(e.names, e.type) for e in found] == [(("a", "b"), "array_like, optional"), (("axis",), "int")]
    assert found[1].description == "Where to average along."
    assert see_also(by_title["see also"]) == ["median", "acme.stats.mode", "variance"]
