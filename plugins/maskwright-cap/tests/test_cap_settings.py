"""Each setting of objective:cap does what its help says, in a run."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cap_toys import run, series
from torch import Tensor

import maskwright_cap.cap as module
from maskwright import Step
from maskwright_cap.contrast import BankContrast
from maskwright_cap.example_parts import SmallBlocks, example_encoder
from maskwright_cap.params_cap import Cap
from maskwright_torch.contracts import Encoded
from maskwright_torch.params_classify import Classify

pytestmark = pytest.mark.usefixtures("toys")


def classifier(seed: int = 0) -> Classify:
    return Classify(encoder=example_encoder(seed), classes=2, head_std=0.5)


@pytest.mark.parametrize("pool", ["own", "mean"])
def test_vectors_are_pooled_the_same_in_banks_and_in_the_loss(
    pool: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The own vector is the first state here, which is not the mean of all."""
    whole = SmallBlocks.forward

    def forward(self: SmallBlocks, batch: Any, hidden: Tensor | None = None) -> Encoded:
        made = whole(self, batch, hidden)
        return dataclasses.replace(made, pooled=made.states[:, 0])

    monkeypatch.setattr(SmallBlocks, "forward", forward)
    seen: list[tuple[Tensor, Tensor]] = []
    terms = module.contrast_terms

    def told(pairs: Any, vectors: Tensor, rows: Tensor, labels: Tensor, step: Step) -> Any:
        seen.append((vectors.detach(), rows))
        return terms(pairs, vectors, rows, labels, step)

    monkeypatch.setattr(module, "contrast_terms", told)
    whole_one = {"objective__sparsity": 0.0, "objective__inner__encoder__dropout": 0.0}
    made = run(tmp_path / "a", steps=1, objective__pool=pool, **whole_one)
    held = torch.from_numpy(
        np.load(made.folder / "banks/pre-00000000/vectors.npy", allow_pickle=False)
    ).float()
    (vectors, rows) = seen[-1]
    torch.testing.assert_close(torch.nn.functional.normalize(vectors, dim=1), held[rows], rtol=0, atol=2e-3)
    encoder = run(tmp_path / "b", steps=0).part("objective.inner.encoder")
    items = made.part("data")
    batch = encoder.prepare([items.item("train", int(row), Step()) for row in rows], Step())
    with torch.no_grad():
        states = encoder.eval()({**batch, "rows": rows}).states
    wanted = states[:, 0] if pool == "own" else states.mean(dim=1)
    torch.testing.assert_close(vectors, wanted, rtol=0, atol=1e-5)


def test_contrasts_get_their_settings():
    given: dict[str, Any] = {"unsupervised": 0.2, "supervised": 0.05, "temperature": 0.7, "extra": 7}
    part: Any = Cap(
        inner=classifier(), teacher=classifier(1), fic=True, reduction="official", **given
    ).build()
    names = {"pre": "prc", "snap": "snc", "fine": "fic"}
    assert part.contrasts == {
        bank: BankContrast(name=name, reduction="official", **given) for bank, name in names.items()
    }


@pytest.mark.parametrize(
    ("setting", "value"), [("temperature", 0.7), ("reduction", "official"), ("extra", 3)]
)
def test_settings_of_contrasts_change_the_loss(setting: str, value: Any, tmp_path: Path):
    plain, other = (
        run(tmp_path / name, steps=1, **{f"objective__{key}": v for key, v in changes.items()})
        for name, changes in (("a", {}), ("b", {setting: value}))
    )
    assert series(other, "prc_same_label") != pytest.approx(series(plain, "prc_same_label"), rel=0.01)


def test_both_scores_are_softened_by_the_temperature(taught: dict[str, Any], tmp_path: Path):
    made = run(tmp_path / "a", **taught, objective__kd_temperature=3.0, steps=0)
    part = made.part("objective").eval()
    batch = {
        "rows": torch.arange(3),
        "vector": torch.linspace(-1, 1, 24).view(3, 8),
        "label": torch.zeros(3).long(),
    }
    term = part._divergence(batch, part.inner(batch, Step()))
    with torch.no_grad():
        teacher, student = ((x.logits(batch) / 3.0).double() for x in (part.teacher, part.inner))
    wanted = 9.0 * (teacher.softmax(1) * (teacher.log_softmax(1) - student.log_softmax(1))).sum()
    assert float(term.sum.detach()) == pytest.approx(float(wanted), rel=1e-5) and term.weight == 0.9


def test_importance_is_measured_on_so_many_items_in_such_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    seen: list[list[int]] = []
    whole = module.importance

    def told(gates: Any, part: Any, loss_of: Any, batches: Any, per: str) -> Any:
        kept = list(batches)
        seen.extend(batch["rows"].tolist() for batch in kept)
        assert per == "example"
        return whole(gates, part, loss_of, kept, per)

    monkeypatch.setattr(module, "importance", told)
    run(
        tmp_path / "a", steps=4, objective__importance_items=12, objective__importance_batch=5,
        objective__per="example", objective__sparsity={"use": "steps", "start": 0.0, "end": 0.5, "count": 2},
    )  # fmt: skip
    assert [len(rows) for rows in seen] == [5, 5, 2]
    drawn = [row for rows in seen for row in rows]
    assert drawn == sorted(set(drawn)) and drawn != list(range(12)), "drawn from all 40, each once"


def test_what_pruning_began_from_is_known_at_the_end(tmp_path: Path):
    begun, done = run(tmp_path / "a", steps=0).part("objective"), run(tmp_path / "b").part("objective")
    other = run(tmp_path / "c", seed=2, steps=0).part("objective")
    assert done.source_digest() == begun.source_digest() != other.source_digest()
    assert len(done.source_digest()) == 64 and not bool(begun.source.any()) and bool(done.source.any())
