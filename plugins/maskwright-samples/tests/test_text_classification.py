import numpy as np
import pytest
from scipy import sparse

from maskwright.errors import UserError
from maskwright.step import Step
from maskwright_samples.items import Items
from maskwright_samples.params_text import Classification

STEP = Step(seed=2)


class Directions:
    """Vectors that show the label as a direction, plus noise; dense or sparse."""

    def __init__(self, noise, sparse_rows=False):
        self.noise, self.sparse_rows = noise, sparse_rows

    def __call__(self, items, step):
        for item in items:
            draw = np.random.Generator(np.random.Philox(key=step.fork(item["id"]).stream("noise")))
            row = np.eye(4)[item["label"]] + self.noise * draw.normal(size=4)
            yield {**item, "vector": sparse.csr_array(row[None]) if self.sparse_rows else row}


def _data(train=200, test=100, classes=("ant", "bee", "cat")):
    def items(split, count):  # two of five are "bee"
        return [{"id": f"{split}{i}", "label": (0, 1, 1, 2, 2 if i % 2 else 1)[i % 5]} for i in range(count)]

    return Items(
        "toy", {"train": items("train", train), "test": items("test", test)}, {"classes": list(classes)}
    )


@pytest.mark.parametrize("sparse_rows", [False, True])
def test_separable_classes_reach_one(sparse_rows):
    found = Classification().build().evaluate(Directions(0.01, sparse_rows), _data(), STEP)
    assert found.values == {"accuracy": 1.0, "macro_f1": 1.0}
    assert all(row["correct"] == 1 for row in found.rows) and len(found.rows) == 100
    assert found.notes == []


def test_noise_does_not_and_the_majority_stands_beside_it():
    data = _data()
    found = Classification().build().evaluate(Directions(50.0), data, STEP)
    (table,) = found.tables.values()
    labels = [data.item("test", i, STEP)["label"] for i in range(100)]
    share = labels.count(1) / 100
    assert table[1]["system"] == "always bee" and table[1]["accuracy"] == pytest.approx(share)
    assert table[1]["macro_f1"] == pytest.approx(2 * share / (1 + share) / 3)
    assert found.values["accuracy"] < 0.75
    assert np.mean([row["correct"] for row in found.rows]) == pytest.approx(found.values["accuracy"])


def test_the_title_says_how_much_was_judged():
    found = Classification().build().evaluate(Directions(0.01), _data(), STEP)
    assert list(found.tables) == ["200 to fit, 100 to judge, 3 classes"]


def test_confusions_are_drawn_with_class_names():
    found = Classification().build().evaluate(Directions(0.5), _data(), STEP)
    (figure,) = found.figures()
    assert figure.name == "confusions" and figure.data.startswith(b"<?xml") and b"</svg>" in figure.data


def test_a_prediction_does_not_depend_on_the_other_items_judged():
    class WithOutlier(Directions):
        def __call__(self, items, step):
            for item in super().__call__(items, step):
                far = 1e6 if item["id"] == "test0" else 1.0
                yield {**item, "vector": item["vector"] * far}

    plain = Classification().build().evaluate(Directions(0.5), _data(), STEP).rows
    disturbed = Classification().build().evaluate(WithOutlier(0.5), _data(), STEP).rows
    assert plain[1:] == disturbed[1:] and 0 < sum(row["correct"] for row in plain) < 100


def test_one_class_is_told():
    one = Items("toy", {"train": [{"id": "a", "label": 1}] * 3, "test": [{"id": "b", "label": 1}]}, {})
    with pytest.raises(UserError, match="split 'train' holds fewer than two classes"):
        Classification().build().evaluate(Directions(0.1), one, STEP)


def test_missing_labels_and_empty_splits_are_told():
    data = Items("toy", {"train": [{"id": "a"}], "test": []}, {})
    with pytest.raises(UserError, match="split 'train' cannot be classified") as caught:
        Classification().build().evaluate(Directions(0.1), data, STEP)
    assert "item 'a' has no label" in str(caught.value)
    with pytest.raises(UserError, match="split 'test' cannot be classified"):
        Classification(train="test").build().evaluate(Directions(0.1), data, STEP)
