import pytest
from text_trees import function, many_modules, sentences, texts_below, write_tree

from maskwright.step import Step
from maskwright_samples.search import make_search

STEP = Step()


def _items(data, split):
    return [data.item(split, index, STEP) for index in range(data.length(split))]


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    root = many_modules(tmp_path_factory.mktemp("tree"), "acme", 40)
    long = "Parameters\n----------\nwood : str\n    What is cut into planks by the canary.\n\n"
    long += f"Returns\n-------\nplank : str\n    {sentences(4, 1)}\n"
    write_tree(
        root,
        {
            "saw/a.py": function(
                "canary", f"The canary cuts wood along the grain.\n\n{sentences(1, 2)}\n\n{long}"
            ),
            "saw/b.py": function("first", f"Two functions share this summary here.\n\n{sentences(2, 2)}"),
            "saw/c.py": function("second", f"Two functions share this summary here!\n\n{sentences(3, 2)}"),
            "saw/d.py": function("short", "This summary has too little behind it.\n\nOnly these words."),
        },
    )
    return make_search("known-item", texts_below(root, "acme"), {})


def test_queries_are_split_by_module_and_all_documents_are_there(known):
    sides = [{item["id"] for item in _items(known, side)} for side in ("train", "validation", "test")]
    every = {item["id"] for item in _items(known, "queries")}
    assert set.union(*sides) == every and sum(map(len, sides)) == len(every)
    assert every == {item["id"] for item in _items(known, "corpus")}
    modules = [{id.split(":")[0] for id in side} for side in sides]
    assert not modules[0] & modules[1] and not modules[0] & modules[2]


def test_a_document_holds_neither_its_summary_nor_its_name(known):
    item = known.find("corpus", "acme.saw.a:canary")
    assert "canary" not in item["document"].lower() and "X." in item["document"]
    assert "cuts wood along" not in item["document"]
    assert "What is cut into planks" in item["document"]
    assert sentences(4, 1) in item["document"]
    assert known.find("queries", "acme.saw.a:canary")["query"] == "The X cuts wood along the grain."


def test_equal_summaries_share_their_documents(known):
    both = {"acme.saw.b:first": 1, "acme.saw.c:second": 1}
    assert known.find("queries", "acme.saw.b:first")["relevant"] == both
    assert known.find("queries", "acme.saw.c:second")["relevant"] == both


def test_short_documents_are_left_out(known):
    assert "acme.saw.d:short" not in {item["id"] for item in _items(known, "corpus")}


def _linked(number, links):
    also = f"\n\nSee Also\n--------\n{links}\n" if links else ""
    return function(f"work{number}", f"{sentences(number, 1)}\n\n{sentences(number + 50, 2)}{also}")


@pytest.fixture(scope="module")
def related(tmp_path_factory):
    files = {
        "a/one.py": _linked(1, "work2 : same module\nacme.b.work4, nowhere.to_be_found") + _linked(2, ""),
        "a/two.py": _linked(3, "work2"),
        "b/three.py": _linked(4, ":func:`work5`") + _linked(5, ""),
    }
    root = write_tree(tmp_path_factory.mktemp("links"), files)
    return make_search("see-also", texts_below(root, "acme"), {})


def test_links_count_both_ways_and_two_away_counts_less(related):
    found = {item["id"]: item["relevant"] for item in _items(related, "queries")}
    assert found["acme.a.one:work1"] == {
        "acme.a.one:work2": 2,
        "acme.b.three:work4": 2,
        "acme.a.two:work3": 1,
        "acme.b.three:work5": 1,
    }
    assert found["acme.b.three:work4"] == {
        "acme.b.three:work5": 2,
        "acme.a.one:work1": 2,
        "acme.a.one:work2": 1,
    }


def test_only_texts_with_links_ask_and_never_for_themselves(related):
    items = _items(related, "queries")
    assert {item["id"] for item in items} == {"acme.a.one:work1", "acme.a.two:work3", "acme.b.three:work4"}
    assert all(item["excluded"] == item["id"] and item["id"] not in item["relevant"] for item in items)
