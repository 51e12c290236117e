"""Do the parts fit together? Tags, fields, references: found before anything is built."""

from typing import Any

import pytest

from maskwright.planning import plan
from maskwright.tree import tags_of


def mistakes(**changes: Any) -> list[str]:
    return [str(mistake) for mistake in plan({"use": "toy-train", **changes}).mistakes]


def test_needs_names_what_fits():
    assert mistakes(objective={"use": "toy-loss", "encoder": "toy-bare"}) == [
        "objective.encoder: objective:toy-loss needs pooled; encoder:toy-bare provides nothing.  "
        "Fits: toy-counts (toyplugin), toy-hash (toyplugin), toy-queue (toyplugin)"
    ]


def test_refuses_a_caveat():
    ratio = {"use": "cosine-of-uniform"}
    assert mistakes(objective={"use": "toy-loss", "ratio": ratio}) == [
        "objective.ratio: objective:toy-loss refuses per-row, which schedule:cosine-of-uniform brings"
    ]


def test_caveats_rise_from_two_levels_down():
    inner = {"use": "toy-loss", "encoder": "toy-queue"}
    assert mistakes(objective={"use": "toy-pure", "inner": inner}) == [
        "objective.inner: objective:toy-pure refuses stateful, which objective:toy-loss brings"
    ]


def test_a_warm_up_passes_on_what_its_schedule_is():
    ratio = {"use": "warm-up", "then": "cosine-of-uniform"}
    assert (
        "refuses per-row, which schedule:warm-up brings"
        in mistakes(objective={"use": "toy-loss", "ratio": ratio})[0]
    )


def test_inherit_passes_capabilities_on():
    wrapped = {"use": "toy-wrapped", "inner": "toy-counts"}
    made = plan({"use": "toy-train", "objective": {"use": "toy-loss", "encoder": wrapped}})
    assert not made.mistakes
    root = made.require()
    assert tags_of(root.slots["objective"].slots["encoder"], {}) == {"pooled", "fitted"}
    assert tags_of(root.slots["objective"], {}) == frozenset()
    bare = {"use": "toy-wrapped", "inner": "toy-bare"}
    assert (
        "objective:toy-loss needs pooled; encoder:toy-wrapped provides nothing"
        in (mistakes(objective={"use": "toy-loss", "encoder": bare})[0])
    )


def test_fields_of_the_data():
    assert mistakes(data="toy-pairs") == [
        "objective.encoder: encoder:toy-hash reads the field text; the data has document, query"
    ]


def test_fields_under_other_names():
    match = {"use": "toy-match"}
    assert mistakes(objective=match, data="toy-pairs") == []
    assert mistakes(objective=match) == [
        "objective.encoder: encoder:toy-hash reads the fields document, query; the data has label, text"
    ]


def test_fields_that_depend_on_settings():
    entries = ["toy-score"]
    assert mistakes(evaluators=entries) == []
    assert mistakes(evaluators=entries, data={"labels": False}) == [
        "evaluators.toy-score: evaluator:toy-score reads the field label; the data has text\n"
        "leave this evaluator out, or use data with it"
    ]


def test_fields_that_a_part_reads_because_of_a_setting():
    def reader(answers: bool) -> dict[str, Any]:
        return {"use": "toy-match", "encoder": {"use": "toy-bare", "answers": answers}}

    assert mistakes(objective=reader(False), data="toy-pairs") == []
    assert mistakes(objective=reader(True), data="toy-pairs") == [
        "objective.encoder: encoder:toy-bare reads the field answer; the data has document, query\n"
        "use data with answer, or answers = false"
    ]


def test_fields_behind_wrappers():
    data = {"use": "few-shot", "shots": 1, "inner": {"use": "toy-lines", "labels": False}}
    assert mistakes(data=data)[0].startswith("data.inner: dataset:few-shot needs label; dataset:toy-lines")
    data = {"use": "subset", "count": 1, "inner": {"use": "subset", "count": 2, "inner": "toy-pairs"}}
    assert mistakes(data=data)[0].endswith("reads the field text; the data has document, query")


def test_a_masker_over_an_encoder():
    assert mistakes(objective="toy-hide") == [
        "objective.masker: masker:toy-patches hides units of an encoder with patches; "
        "encoder:toy-hash provides pooled"
    ]


def test_a_reference_shares_a_part():
    changes = {
        "objective": {"use": "toy-loss", "encoder": {"use": "toy-counts"}},
        "evaluators": [
            {"use": "toy-vectors", "through": {"use": "toy-embed", "encoder": {"ref": "objective.encoder"}}}
        ],
    }
    assert mistakes(**changes) == []


@pytest.mark.parametrize(
    ("encoder", "message"),
    [
        (
            {"ref": "objectiv.encoder"},
            'there is no part "objectiv.encoder" — did you mean "objective.encoder"?',
        ),
        ({"ref": "data"}, "expected encoder, found dataset:toy-lines by reference"),
        ({"ref": "objective"}, "expected encoder, found objective:toy-loss by reference"),
        ({"ref": "objective.encoder"}, 'the reference to "objective.encoder" leads back to itself'),
        ({"ref": "", "as": "x"}, 'ref expects the path of a part, found ""'),
        ({"ref": 5}, "ref expects the path of a part, found 5"),
        ({"ref": "data", "width": 3}, "a reference takes no settings of its own"),
        ({"use": "toy-wrapped", "inner": {"ref": "objective.encoder"}}, "a part cannot hold itself"),
        ({"use": "toy-wrapped", "inner": {"ref": ".inner"}}, "leads back to itself"),
    ],
)
def test_a_wrong_reference(encoder: Any, message: str):
    assert any(message in found for found in mistakes(objective={"use": "toy-loss", "encoder": encoder}))


def test_two_references_in_a_circle():
    found = mistakes(
        objective={"use": "toy-loss", "encoder": {"ref": "evaluators.toy-vectors.through.encoder"}},
        evaluators=[
            {"use": "toy-vectors", "through": {"use": "toy-embed", "encoder": {"ref": "objective.encoder"}}}
        ],
    )
    assert sum("leads back to itself" in line for line in found) == 2


def test_two_wrappers_that_hold_each_other():
    found = mistakes(
        objective={
            "use": "toy-loss",
            "encoder": {"use": "toy-wrapped", "inner": {"ref": "evaluators.v.through.encoder"}},
        },
        evaluators=[
            {
                "use": "toy-vectors",
                "as": "v",
                "through": {
                    "use": "toy-embed",
                    "encoder": {"use": "toy-wrapped", "inner": {"ref": "objective.encoder"}},
                },
            }
        ],
    )
    assert found


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (
            {"use": "toy-score", "on": "objective"},
            "evaluator:toy-score judges a part with pooled; objective:toy-loss provides nothing",
        ),
        (
            {"use": "toy-score", "on": "objective.encodr"},
            'there is no part "objective.encodr" — did you mean "objective.encoder"?',
        ),
        ({"use": "toy-score", "on": 5}, "expected text, found 5"),
        ({"use": "toy-score", "split": 5}, "expected text, found 5"),
        ({"use": "toy-score", "every": "often"}, 'expected whole number or none, found "often"'),
        ({"use": "toy-score", "data": "toy-pairs"}, "evaluator:toy-score reads the field"),
        (
            {"use": "toy-score", "data": "toy-hash"},
            'there is no dataset called "toy-hash" — there is a encoder of that name',
        ),
        ({"use": "toy-vectors"}, "say which part evaluator:toy-vectors judges; parts with vector: none"),
        (
            {"use": "toy-vectors", "through": "toy-shout"},
            "evaluator:toy-vectors judges a part with vector; pipeline:toy-shout provides loud",
        ),
        ({"use": "toy-vectors", "through": "toy-hash"}, 'there is no pipeline called "toy-hash"'),
        ({"use": "toy-score", "extra": "toy-scores"}, 'there is no dataset called "toy-scores"'),
    ],
)
def test_a_wrong_evaluator_entry(entry: dict[str, Any], message: str):
    assert any(message in found for found in mistakes(evaluators=[entry]))


def test_two_parts_that_fit_have_to_be_told_apart():
    data = {"use": "toy-lines"}
    recipe = {
        "use": "evaluate",
        "subject": {"use": "toy-embed", "encoder": {"use": "toy-wrapped", "inner": "toy-hash"}},
        "data": data,
    }
    made = plan({**recipe, "evaluators": ["toy-score"]})
    assert [str(m) for m in made.mistakes] == []


def test_evaluate_needs_something_to_do():
    made = plan({"use": "evaluate", "subject": "toy-hash", "data": "toy-lines"})
    assert [str(m) for m in made.mistakes] == ["evaluators: name at least one evaluator"]
