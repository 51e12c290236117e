import json

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from maskwright.errors import UserError
from maskwright.step import Step
from maskwright_samples.items import Items
from maskwright_samples.params_text import TfIdf

STEP = Step()
TEXTS = ["the wood is cut", "the iron is cold", "cold glass and cold wood", "glass cuts wood"]


def _data(texts=TEXTS):
    return Items("toy", {"train": [{"id": str(i), "text": text} for i, text in enumerate(texts)]}, {})


def _fitted(**settings):
    pipeline = TfIdf(min_count=1, **settings).build()
    pipeline.fit(_data(), STEP)
    return pipeline


def _dense(pipeline, texts):
    return np.vstack(
        [item["vector"].toarray() for item in pipeline([{"id": t, "text": t} for t in texts], STEP)]
    )


def test_vectors_are_those_of_scikit_learn():
    expected = TfidfVectorizer(sublinear_tf=True).fit(TEXTS).transform(TEXTS).toarray()
    assert np.array_equal(_dense(_fitted(), TEXTS), expected)


def test_input_fields_stay_and_order_does_not_matter():
    pipeline = _fitted()
    (item,) = pipeline([{"id": "a", "text": "cold wood", "label": 3}], STEP)
    assert item["label"] == 3 and item["vector"].shape[0] == 1
    assert np.array_equal(_dense(pipeline, TEXTS)[::-1], _dense(pipeline, TEXTS[::-1]))


def test_unknown_words_give_zeros():
    assert not _dense(_fitted(), ["zebra"]).any()


@pytest.mark.parametrize("settings", [{}, {"longest": 2}, {"stop_words": True}])
def test_save_and_load_give_the_same_vectors(tmp_path, settings):
    first = _fitted(**settings)
    first.save(tmp_path / "part")
    second = TfIdf(min_count=1, **settings).build()
    second.load(tmp_path / "part")
    assert np.array_equal(_dense(first, TEXTS), _dense(second, TEXTS))
    assert sorted(path.name for path in (tmp_path / "part").iterdir()) == ["vocabulary.json", "weights.npz"]


def test_a_vector_can_be_written(tmp_path):
    from scipy.sparse import load_npz

    pipeline = _fitted()
    (item,) = pipeline([{"id": "a", "text": "cold wood"}], STEP)
    pipeline.write(item, tmp_path / "a.npz")
    assert np.array_equal(load_npz(tmp_path / "a.npz").toarray(), item["vector"].toarray())


def test_use_before_fit_is_told():
    with pytest.raises(UserError, match="tfidf is not fitted"):
        list(TfIdf().build()([{"text": "a"}], STEP))


def test_a_missing_field_is_told():
    with pytest.raises(UserError, match="split 'train', field 'document'") as caught:
        TfIdf(field="document").build().fit(_data(), STEP)
    assert "field=document" in str(caught.value) or "set split and field" in str(caught.value)


def test_texts_without_words_are_told():
    with pytest.raises(UserError, match="finds no words in the 2 texts of split 'train'"):
        TfIdf(min_count=1).build().fit(_data(["!", "?"]), STEP)


@pytest.mark.parametrize("damage", ["missing", "truncated", "mismatch", "pickle"])
def test_damaged_parts_are_told(tmp_path, damage):
    _fitted().save(tmp_path)
    if damage == "missing":
        (tmp_path / "weights.npz").unlink()
    elif damage == "truncated":
        (tmp_path / "weights.npz").write_bytes((tmp_path / "weights.npz").read_bytes()[:40])
    elif damage == "mismatch":
        (tmp_path / "vocabulary.json").write_text(json.dumps({"words": ["one"]}))
    else:
        with np.load(tmp_path / "weights.npz") as stored:
            np.savez(tmp_path / "weights.npz", idf=stored["idf"].astype(object))
    with pytest.raises(UserError, match="cannot load tfidf from") as caught:
        TfIdf().build().load(tmp_path)
    assert "fit again" in str(caught.value)
