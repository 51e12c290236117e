import re

import pytest
from text_trees import function, many_modules, sentences, texts_below, write_tree

from maskwright.errors import UserError
from maskwright.step import Step
from maskwright_samples.name_masking import mask_last_name, mask_names, name_parts
from maskwright_samples.params_text import DocstringTasks
from maskwright_samples.tasks import make_task
from maskwright_samples.tasks_parameters import answer_f1, type_class

STEP = Step()


def _items(data, split):
    return [data.item(split, index, STEP) for index in range(data.length(split))]


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    return texts_below(many_modules(tmp_path_factory.mktemp("tree"), "acme", 60), "acme")


def test_name_parts_are_cut_at_underscores_dots_and_case():
    assert name_parts("acme.io_tools", "HTTPServer.doTheThing") == {
        "acme", "tools", "http", "server", "httpserver", "thing", "the", "dothething",
    }  # fmt: skip


def test_masking_removes_names_and_keeps_the_rest():
    hidden = name_parts("acme.filters", "median_filter", "size")
    assert mask_names("The median filter (Filters) of given SIZE, centred.", hidden) == (
        "The X X (X) of given X, centred."
    )


def test_identifiers_go_only_when_asked_for():
    passage = "Calls f(x) on some_name, a.b and camelCase with n=3 but keeps NASA."
    assert mask_names(passage, frozenset(), identifiers=True) == "Calls X on X X and X with X but keeps NASA."
    assert mask_names(passage, frozenset()) == passage


def test_own_last_name_is_blanked_as_a_word_only():
    assert (
        mask_last_name("Solve by solver: solve_all, solve.", "acme.Tool.solve")
        == "X by solver: solve_all, X."
    )
    assert mask_last_name("Do it or fit it.", "fit") == "Do it or fit it."  # short names are ordinary words


@pytest.mark.parametrize("task", ["topic", "pairs", "pick-one", "summary"])
def test_no_masked_text_holds_a_part_of_its_own_names(tmp_path, task):
    files = {}
    for number in range(30):
        for side in ("alpha", "omega"):
            source = ""
            for place, name in enumerate(("rotor_torque", "rotor_speed")):
                key = 100 * number + 10 * place
                lead = f"Turn the {name[6:]} of {side} by angle. Uses the rotor."
                source += function(name, f"{lead}\n\n{sentences(key, 2)} Rotor, {side}, Angle.", "angle")
            files[f"{side}/place{number}.py"] = source
    found = texts_below(write_tree(tmp_path, files), "acme")

    def leaks(masked):
        data = make_task(task, found, masked, 5, {})
        for split in data.splits():
            for item in _items(data, split):
                shown = f"{item['text']} {item.get('summary', '')}".lower()
                side, name = re.match(r"acme\.(\w+)\.\w+:rotor_(\w+)", item["id"]).groups()
                yield [
                    word for word in (side, name, "rotor", "angle") if word in re.findall(r"[a-z]+", shown)
                ]

    masked = list(leaks(True))
    assert len(masked) > 20 and not any(masked)
    assert all(leaks(False))  # the words are there until they are masked


def test_topic_labels_are_sub_packages_and_methods_stay_together(texts):
    data = make_task("topic", texts, True, 5, {})
    classes = data.about("test")["classes"]
    assert classes == ["acme.part0", "acme.part1"]
    for split in data.splits():
        for item in _items(data, split):
            assert item["id"].startswith(classes[item["label"]] + ".")


def test_methods_of_one_class_are_on_one_side(tmp_path):
    files = {}
    for number in range(40):
        methods = "".join(
            f'    def m{k}(self):\n        """{sentences(number * 10 + k, 2)}"""\n' for k in range(3)
        )
        files[f"part{number % 2}/module{number}.py"] = f"class Thing{number}:\n{methods}"
    data = make_task("topic", texts_below(write_tree(tmp_path, files), "acme"), False, 5, {})
    sides = {}
    for split in data.splits():
        for item in _items(data, split):
            assert sides.setdefault(item["id"].rsplit(".", 1)[0], split) == split
    assert set(sides.values()) == {"train", "test"}


def test_pairs_are_balanced_and_come_from_one_module(texts):
    data = make_task("pairs", texts, False, 5, {})
    bodies = {text.id: text.body for text in texts}
    for item in _items(data, "test"):
        first, _, other = item["id"].partition("|")
        assert item["other"] == bodies[other or first]
        assert item["label"] == (0 if other else 1)
        assert not other or (other != first and other.split(":")[0] == first.split(":")[0])
    labels = [item["label"] for split in data.splits() for item in _items(data, split)]
    assert sum(labels) * 2 == len(labels) > 100


def test_pick_one_holds_the_right_body_at_label_and_uses_every_place(texts):
    data = make_task("pick-one", texts, False, 5, {})
    bodies = {text.id: text.body for text in texts}
    items = _items(data, "train")
    assert all(item["options"][item["label"]] == bodies[item["id"]] for item in items)
    assert all(len(set(item["options"])) == 4 for item in items)
    assert {item["label"] for item in items} == {0, 1, 2, 3}


def test_options_come_from_the_same_side(texts):
    data = make_task("pick-one", texts, False, 5, {})
    train, test = (
        {body for item in _items(data, side) for body in item["options"]} for side in ("train", "test")
    )
    assert not train & test


@pytest.mark.parametrize(
    ("kind", "label"),
    [
        ("int, optional", "int"),
        ("array_like of bool", "array"),
        ("list of str", "sequence"),
        ("{'a', 'b'}", "str"),
        ("bool, default=True", "bool"),
        ("NetworkX graph", "graph"),
        ("int or float", None),
        ("int, RandomState instance or None", None),
        ("", None),
    ],
)
def test_type_class(kind, label):
    assert type_class(kind) == label


def _with_parameters(root):
    files = {}
    for number in range(60):
        described = f"    {sentences(number, 1, 9)}\n"
        files[f"m{number}.py"] = function(
            f"f{number}",
            f"{sentences(number + 300, 2)}\n\nParameters\n----------\nwidth{number} : int\n{described}"
            f"seed : float or None\n    The number every draw of chance starts from.\n",
        )
    return texts_below(write_tree(root, files), "acme")


def test_param_type_reads_descriptions(tmp_path):
    data = make_task("param-type", _with_parameters(tmp_path), True, 5, {})
    item = _items(data, "train")[0]
    assert data.about("train")["classes"][item["label"]] in {"int", "float"}
    assert ":" in item["id"] and item["name"] in item["id"] and item["text"].endswith(".")


def test_param_qa_drops_test_questions_that_training_answers_already_answer(tmp_path):
    data = make_task("param-qa", _with_parameters(tmp_path), True, 5, {})
    train, test = _items(data, "train"), [*_items(data, "test"), *_items(data, "validation")]
    assert any("`seed`" in item["question"] for item in train)
    assert test and not any("`seed`" in item["question"] for item in test)
    known = {}
    for item in train:
        known.setdefault(item["question"].split("`")[1], set()).add(item["answer"])
    for item in test:
        assert all(
            answer_f1(item["answer"], other) < 0.5 for other in known.get(item["question"].split("`")[1], ())
        )
        assert item["answer"].split()[0] in item["document"]


def test_answer_f1_counts_repeated_words():
    assert answer_f1("the the end", "the end") == pytest.approx(0.8)
    assert answer_f1("one", "two") == 0.0


def test_unknown_split_and_item_are_told_with_what_there_is(texts):
    data = make_task("topic", texts, True, 5, {})
    with pytest.raises(UserError, match="no split 'dev'") as caught:
        data.length("dev")
    assert "train, test" in str(caught.value)
    with pytest.raises(UserError, match="no item 'nobody' in split 'test'"):
        data.find("test", "nobody")
    with pytest.raises(IndexError, match=f"has {data.length('test')} items in split 'test', none at -1"):
        data.item("test", -1, STEP)


def test_too_few_texts_for_a_topic_is_an_error(texts):
    with pytest.raises(UserError, match="topic has 0 classes with 5000 texts or more") as caught:
        make_task("topic", texts, True, 5000, {})
    assert "lower fewest" in str(caught.value)


def test_unknown_packages_are_a_mistake_of_the_setting():
    assert list(DocstringTasks(packages=["numpyy"]).check()) == [
        (
            "packages",
            "unknown: numpyy; docstrings are read from stdlib, numpy, scipy, sklearn, networkx, torch",
        )
    ]
    assert not list(DocstringTasks().check())


def test_fields_follow_the_task():
    assert DocstringTasks(task="param-qa").tags() == {"question", "document", "answer"}
