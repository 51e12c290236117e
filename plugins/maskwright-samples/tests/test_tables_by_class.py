import numpy as np
import pytest
from sklearn.datasets import load_iris, load_wine

from maskwright.errors import UserError
from maskwright.step import Step
from maskwright_samples.params_tables import IrisBySpecies, WineByClass
from maskwright_samples.splits import h
from maskwright_samples.tables import pooled_deviation

STEP = Step()
BOTH = [(WineByClass, load_wine), (IrisBySpecies, load_iris)]


def tables(data, split):
    return [data.item(split, index, STEP) for index in range(data.length(split))]


@pytest.mark.parametrize(("params", "load"), BOTH)
def test_raw_tables_are_the_rows_of_the_file_split_by_hash_of_their_number(params, load):
    data, source = params(scale="raw").build(), load()
    test = np.array([h(str(row)) < 20 for row in range(len(source.data))])
    for split, mask in (("train", ~test), ("test", test)):
        for k, item in enumerate(tables(data, split)):
            assert item["task"] == source.target_names[k]
            assert item["id"] == f"{item['task']}/{split}"
            assert item["variables"] == tuple(source.feature_names)
            assert item["samples"].dtype == np.float64
            assert np.array_equal(item["samples"], source.data[mask & (source.target == k)])
    rows = sum(len(item["samples"]) for split in data.splits() for item in tables(data, split))
    assert rows == len(source.data)


@pytest.mark.parametrize(("params", "load"), BOTH)
def test_within_scale_comes_from_train_rows_only(params, load):
    data, raw = params().build(), params(scale="raw").build()
    train, test = tables(data, "train"), tables(data, "test")
    together = np.concatenate([item["samples"] for item in train])
    assert all(np.allclose(item["samples"].mean(axis=0), 0, atol=1e-12) for item in train)
    assert np.allclose((together**2).mean(axis=0), 1)
    for k, item in enumerate(test):
        raw_train, raw_test = raw.item("train", k, STEP)["samples"], raw.item("test", k, STEP)["samples"]
        scale = raw_train.std(axis=0) / train[k]["samples"].std(axis=0)
        assert np.allclose(item["samples"], (raw_test - raw_train.mean(axis=0)) / scale)
        assert not np.allclose(item["samples"].mean(axis=0), 0, atol=1e-3)


def test_pooled_deviation_is_measured_around_class_means():
    data = np.array([[0.0, 5.0], [2.0, 5.0], [100.0, 8.0], [104.0, 8.0]])
    labels = np.array([0, 0, 1, 1])
    assert np.allclose(pooled_deviation(data, labels), [np.sqrt((1 + 1 + 4 + 4) / 4), 0])


def test_facts_and_limits():
    data = IrisBySpecies().build()
    about = data.about("train")
    assert about["tasks"] == ["setosa", "versicolor", "virginica"] and about["count"] == 3
    assert about["variables"][0] == "sepal length (cm)" and "Fisher" in about["notice"]
    with pytest.raises(IndexError, match="has 3 items in split 'train', none at 3"):
        data.item("train", 3, STEP)
    with pytest.raises(UserError, match="dataset:iris-by-species has no split 'validation'"):
        data.length("validation")


def test_fingerprints_tell_tables_and_scales_apart():
    prints = {params(scale=scale).build().fingerprint() for params, _ in BOTH for scale in ("within", "raw")}
    assert len(prints) == 4
    assert WineByClass().build().fingerprint() == WineByClass().build().fingerprint()


def test_a_caller_cannot_change_the_data():
    data = WineByClass().build()
    data.item("train", 0, STEP)["samples"][:] = 0
    assert data.item("train", 0, STEP)["samples"].any()
