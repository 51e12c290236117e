import importlib.util

import numpy as np
import pytest
from sklearn.metrics import ndcg_score

from maskwright.errors import UserError
from maskwright.step import Step
from maskwright_samples import known_item
from maskwright_samples.items import Items
from maskwright_samples.params_text import KnownItem
from maskwright_samples.ranking import best, measures

STEP = Step(seed=1)


def _generator(name):
    return np.random.Generator(np.random.Philox(key=STEP.stream(name)))


class Vectors:
    """A pipeline that gives each text the vector it was told to."""

    def __init__(self, table):
        self.table = table

    def __call__(self, items, step):
        for item in items:
            yield {**item, "vector": self.table[item["text"]]}


def _data(relevant, documents=20):
    corpus = [{"id": f"d{i:02}", "document": f"document {i}"} for i in range(documents)]
    queries = [{"id": f"q{i}", "query": f"query {i}", "relevant": gains} for i, gains in enumerate(relevant)]
    return Items("toy", {"corpus": corpus, "test": queries}, {})


def _perfect(data):
    """Documents are axes; a query is the sum of its documents, weighted by gain."""
    size = data.length("corpus")
    table = {f"document {i}": np.eye(size)[i] for i in range(size)}
    for index in range(data.length("test")):
        item = data.item("test", index, STEP)
        table[item["query"]] = sum(gain * np.eye(size)[int(id[1:])] for id, gain in item["relevant"].items())
    return Vectors(table)


def test_a_perfect_pipeline_reaches_one():
    data = _data([{"d03": 1}, {"d05": 2, "d07": 1}, {"d01": 1, "d02": 1, "d19": 1}])
    found = KnownItem(bm25=False).build().evaluate(_perfect(data), data, STEP)
    assert found.values == pytest.approx({"ndcg@10": 1.0, "mrr@10": 1.0, "recall@100": 1.0})
    assert [row["first"] for row in found.rows] == [1, 1, 1]


def test_the_worst_pipeline_does_not():
    data = _data([{"d03": 1}], documents=200 // 2 + 20)
    pipeline = _perfect(data)
    pipeline.table["query 0"] = -pipeline.table["query 0"]
    found = KnownItem(bm25=False).build().evaluate(pipeline, data, STEP)
    assert found.values == {"ndcg@10": 0.0, "mrr@10": 0.0, "recall@100": 0.0}
    assert found.rows[0]["first"] is None


def test_ndcg_agrees_with_scikit_learn():
    rng = _generator("ndcg")
    ids = [f"d{i:03}" for i in range(60)]
    for _ in range(50):
        scores = rng.permutation(60).astype(float)
        gains = rng.choice([0, 0, 0, 1, 2], size=60)
        gains[rng.integers(60)] = 1
        relevant = {id: int(gain) for id, gain in zip(ids, gains, strict=True) if gain}
        ours = measures(best(scores, ids), relevant)["ndcg@10"]
        assert ours == pytest.approx(ndcg_score(gains[None], scores[None], k=10), abs=1e-12)


def test_reciprocal_rank_and_recall_by_hand():
    ranking = [f"d{i}" for i in range(100)]
    found = measures(ranking, {"d3": 1, "d50": 2, "gone": 1, "zero": 0})
    assert found["mrr@10"] == 1 / 4
    assert found["recall@100"] == pytest.approx(2 / 3)
    assert measures(ranking, {"d10": 1})["mrr@10"] == 0.0


def test_ties_are_broken_by_id_whatever_the_order_of_the_corpus():
    many = [f"d{i:03}" for i in range(500)]  # short arrays are sorted stably by chance
    assert best(np.arange(500) % 2, many) == many[1:200:2]
    data = _data([{"d00": 1}])
    backwards = Items(
        "toy",
        {
            "corpus": [data.item("corpus", i, STEP) for i in reversed(range(20))],
            "test": [data.item("test", 0, STEP)],
        },
        {},
    )
    flat = Vectors({f"document {i}": np.ones(2) for i in range(20)} | {"query 0": np.ones(2)})
    evaluator = KnownItem(bm25=False).build()
    assert evaluator.evaluate(flat, data, STEP).rows == evaluator.evaluate(flat, backwards, STEP).rows
    assert evaluator.evaluate(flat, data, STEP).values["mrr@10"] == 1.0


def test_the_excluded_document_is_left_out_of_the_ranking():
    assert best(np.array([3.0, 2.0, 1.0]), ["a", "b", "c"], excluded="a") == ["b", "c"]


def test_dot_and_cosine_differ_for_long_vectors():
    table = {
        "query 0": np.array([1.0, 0.0]),
        "document 0": np.array([0.9, 0.0]),
        "document 1": np.array([5.0, 5.0]),
    }
    data = _data([{"d00": 1}], documents=2)
    ranks = {
        kind: KnownItem(bm25=False, similarity=kind)
        .build()
        .evaluate(Vectors(table), data, STEP)
        .rows[0]["first"]
        for kind in ("cosine", "dot")
    }
    assert ranks == {"cosine": 1, "dot": 2}


def test_bm25_stands_beside_the_pipeline():
    assert importlib.util.find_spec("bm25s"), "the test environment brings the extra [baselines]"
    corpus = [
        {"id": f"d{i}", "document": f"{word} things of this world"}
        for i, word in enumerate(["wood", "iron", "glass"])
    ]
    data = Items(
        "toy", {"corpus": corpus, "test": [{"id": "q", "query": "glass thing", "relevant": {"d2": 1}}]}, {}
    )
    table = {item["document"]: np.array([float(i), 1.0]) for i, item in enumerate(corpus)} | {
        "glass thing": np.array([-1, 0.0])
    }
    found = KnownItem().build().evaluate(Vectors(table), data, STEP)
    (rows,) = found.tables.values()
    assert [row["system"] for row in rows] == ["this pipeline", "BM25"]
    assert rows[1]["ndcg@10"] == 1.0 and rows[0]["ndcg@10"] < 1.0


def test_without_bm25_a_note_says_what_brings_it(monkeypatch):
    monkeypatch.setattr(known_item, "_has_bm25", lambda: False)
    data = _data([{"d03": 1}])
    found = KnownItem().build().evaluate(_perfect(data), data, STEP)
    assert found.notes == [
        "no BM25 row: it needs bm25s and PyStemmer (pip install maskwright-samples[baselines])"
    ]


def test_queries_without_relevant_documents_are_counted_not_judged():
    data = _data([{"d03": 1}, {}])
    pipeline = _perfect(data)
    pipeline.table["query 1"] = np.zeros(20)
    found = KnownItem(bm25=False).build().evaluate(pipeline, data, STEP)
    assert found.values["ndcg@10"] == 1.0
    assert found.notes == ["1 queries have no relevant document and were left out"]


@pytest.mark.parametrize(
    ("vector", "message"),
    [
        (None, "gave item 'd00' no vector"),
        (np.array([np.nan, 1.0]), "a vector holds values that are not finite"),
    ],
)
def test_bad_vectors_are_told(vector, message):
    data = _data([{"d00": 1}], documents=1)
    with pytest.raises(UserError, match=message):
        KnownItem(bm25=False).build().evaluate(Vectors({"document 0": vector, "query 0": vector}), data, STEP)


def test_an_empty_split_is_told():
    with pytest.raises(UserError, match="nothing to search: 20 documents, 0 queries") as caught:
        KnownItem(bm25=False).build().evaluate(Vectors({}), _data([]), STEP)
    assert "splits 'corpus' and 'test'" in str(caught.value)


def test_the_picture_is_the_same_svg_every_time():
    data = _data([{"d03": 1}])
    found = KnownItem(bm25=False).build().evaluate(_perfect(data), data, STEP)
    (one,), (two,) = found.figures(), found.figures()
    assert one.data == two.data and b"<svg" in one.data
