import json
import os
import subprocess
import sys

from text_trees import function, many_modules, sentences, texts_below, write_tree

from maskwright.step import Step
from maskwright_samples.corpus import corpus
from maskwright_samples.splits import h, three_way, two_way, without_copies

STEP = Step()


def _sides(data):
    return {
        data.item(split, i, STEP)["id"]: split for split in data.splits() for i in range(data.length(split))
    }


def _texts(data, split):
    return [data.item(split, i, STEP)["text"] for i in range(data.length(split))]


def _five_grams(text):
    """Written anew on purpose: the check must not share code with what it checks."""
    letters = "".join(c if c.isascii() and c.isalnum() else " " for c in text.lower()).split()
    return {tuple(letters[i : i + 5]) for i in range(len(letters) - 4)}


def test_h_is_fixed_for_good():
    # Worked out once with hashlib.blake2b(digest_size=8), big endian, modulo 100.
    assert [h(name) for name in ("numpy.linalg", "json", "")] == [3, 6, 76]


def test_shares_are_near_ten_and_twenty_per_cent():
    sides = [three_way(f"module{i}") for i in range(5000)]
    assert 0.08 < sides.count("test") / 5000 < 0.12
    assert 0.08 < sides.count("validation") / 5000 < 0.12
    assert 0.18 < [two_way(f"module{i}") for i in range(5000)].count("test") / 5000 < 0.22


def test_adding_a_package_moves_no_text_to_another_side(tmp_path):
    first = texts_below(many_modules(tmp_path / "one", "one", 40), "one")
    second = texts_below(many_modules(tmp_path / "two", "two", 40), "two")
    alone, both = _sides(corpus(first, {})), _sides(corpus([*first, *second], {}))
    assert len(alone) == 120 and len(set(alone.values())) == 3
    for id, side in both.items():
        assert side == alone.get(id, side)
    lost = set(alone) - set(both)
    assert all(alone[id] != "train" for id in lost)  # only the filter of held-out texts may grow


def test_the_texts_of_a_module_stay_together(tmp_path):
    data = corpus(texts_below(many_modules(tmp_path, "acme", 40, functions=6), "acme"), {})
    of_module = {}
    for id, side in _sides(data).items():
        of_module.setdefault(id.split(":")[0], set()).add(side)
    assert len(of_module) == 40 and all(len(sides) == 1 for sides in of_module.values())


def test_held_out_texts_share_less_than_30_percent_of_five_grams_with_train(tmp_path):
    many_modules(tmp_path, "acme", 60)
    copies = {}
    for number in range(60):  # a third copied from the first module, the rest new
        mixed = f"{sentences(0, 1)}\n\n{sentences(500_000, 3)} {sentences(900 + number, 1 + number % 12)}"
        copies[f"mixed/copy{number}.py"] = function("f", mixed)
    texts = texts_below(write_tree(tmp_path, copies), "acme")
    data = corpus(texts, {})
    train = set().union(*(_five_grams(text) for text in _texts(data, "train")))
    held_out = [_five_grams(text) for split in ("validation", "test") for text in _texts(data, split)]
    assert len(held_out) > 15
    assert max(len(grams & train) / len(grams) for grams in held_out) < 0.30
    kept = {id for id, side in _sides(data).items() if side != "train"}
    candidates = {t.id for t in texts if three_way(t.module) != "train"}
    assert candidates - kept, "the tree holds copies, so the filter must drop something"


def test_canary_in_train_never_shows_in_a_held_out_text(tmp_path):
    canary = "Canary words flutter over seven silent mountains before the morning light returns."
    copied = {
        f"m{i}.py": function(f"f{i}", f"{canary} Number {'abcdefghij'[i % 10]}{'vwxyz'[i // 10]} here.")
        for i in range(50)
    }
    assert {three_way(f"acme.m{i}") for i in range(50)} == {"train", "validation", "test"}
    data = corpus(texts_below(write_tree(tmp_path, copied), "acme"), {})
    assert any("flutter" in text for text in _texts(data, "train"))
    assert not any("flutter" in text for split in ("validation", "test") for text in _texts(data, split))


def test_texts_shorter_than_a_five_gram_stay():
    assert list(without_copies(["a b c"], ["a b c d e f"], str.split)) == ["a b c"]


def test_copies_keep_the_first_and_digits_and_case_do_not_count(tmp_path):
    text = "Return the value number 7 of this list of things"
    source = function("a", text) + function("b", text.upper().replace("7", "9"))
    data = corpus(texts_below(write_tree(tmp_path, {"m.py": source}), "acme"), {})
    assert list(_sides(data)) == ["acme.m:a"]


def test_two_processes_with_other_hash_seeds_get_the_same_content(tmp_path):
    many_modules(tmp_path, "acme", 12)
    code = (
        "import json, sys; sys.path.insert(0, sys.argv[2]); from pathlib import Path\n"
        "from text_trees import texts_below; from maskwright_samples.corpus import corpus\n"
        "from maskwright_samples.tasks import make_task\n"
        "texts = texts_below(Path(sys.argv[1]), 'acme')\n"
        "tasks = [make_task(task, texts, True, 5, {}) for task in ('pick-one', 'topic')]\n"
        "print(json.dumps([data.fingerprint() for data in [corpus(texts, {}), *tasks]]))"
    )
    here = os.path.dirname(__file__)
    found = [
        json.loads(
            subprocess.run(
                [sys.executable, "-c", code, str(tmp_path), here],
                env={**os.environ, "PYTHONHASHSEED": seed},
                capture_output=True,
                text=True,
                check=True,
            ).stdout
        )
        for seed in ("1", "2")
    ]
    assert found[0] == found[1]
    assert len(set(found[0])) == 3


def test_fingerprint_follows_the_content(tmp_path):
    one = corpus(texts_below(many_modules(tmp_path / "a", "acme", 6), "acme"), {})
    two = corpus(texts_below(many_modules(tmp_path / "a", "acme", 7), "acme"), {})
    assert len(one.fingerprint()) == 64 and one.fingerprint() != two.fingerprint()
