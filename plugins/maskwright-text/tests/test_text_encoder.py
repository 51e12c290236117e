"""encoder:text: its variants keep the contracts, and what is particular to each."""

import attrs
import pytest
import torch

from maskwright import Step
from maskwright.build import build_params
from maskwright.errors import UserError
from maskwright_testing.listed_data import ListedData
from maskwright_text.params_models import EXAMPLE_TEXTS, TextEncoder
from maskwright_text.transformer import TextTransformer
from maskwright_torch.batches import collate
from maskwright_torch.contracts import Batch
from maskwright_torch.part import load_state, state_of

ITEMS = [{"id": str(n), "text": text} for n, text in enumerate(EXAMPLE_TEXTS)]
VARIANTS = [
    {"pre_norm": True},
    {"pre_norm": False},
    {"relative": 8, "reach": 6},
    {"relative": 8, "reach": 6, "pre_norm": False, "depth": 3},
    {"depth": 1},
]


def made(**settings: object) -> tuple[TextTransformer, Batch]:
    encoder = build_params(attrs.evolve(TextEncoder.example(), **settings)).double().eval()
    encoder.codec.fit(ListedData({"train": ITEMS}), Step())
    return encoder, collate(ITEMS, range(len(ITEMS)), encoder.prepare, Step())


def causal(batch: Batch, context: int) -> torch.Tensor:
    """bool (B, T, T): the first `context` tokens read each other, later ones what is not after them."""
    count = batch["tokens"].shape[1]
    attend = torch.ones(count, count, dtype=torch.bool).tril()
    attend[:context, :context] = True
    return attend.expand(len(batch["tokens"]), -1, -1)


@pytest.mark.parametrize("settings", VARIANTS)
def test_some_states_are_those_of_a_whole_pass(settings: dict[str, object]):
    encoder, batch = made(**settings)
    index = torch.tensor([[3, 1], [1, 1], [2, 5], [4, 0]])
    hidden = batch["word"] == 2
    with torch.no_grad():
        whole = encoder(batch, hidden).states.gather(1, index[..., None].expand(-1, -1, encoder.width))
        assert torch.allclose(encoder.states_at(batch, hidden, index), whole, atol=1e-12)


@pytest.mark.parametrize("settings", VARIANTS)
def test_a_context_that_reads_only_itself_may_be_computed_apart(settings: dict[str, object]):
    encoder, batch = made(**settings)
    attend = causal(batch, 4)
    position = torch.arange(attend.shape[1]).expand(batch["tokens"].shape)
    index = torch.tensor([[1, 6], [6, 2], [0, 3], [5, 5]])
    with torch.no_grad():
        whole = encoder.attended(batch["tokens"], position, attend)
        apart = encoder.attended(batch["tokens"], position, attend, context=4)
        some = encoder.attended(batch["tokens"], position, attend, context=4, index=index)
    assert torch.allclose(whole, apart, atol=1e-12)
    assert torch.allclose(some, whole.gather(1, index[..., None].expand(-1, -1, encoder.width)), atol=1e-12)


def test_a_relative_bias_goes_by_positions():
    encoder, batch = made(relative=8, reach=6, length=64)
    attend = torch.ones(*batch["tokens"].shape, batch["tokens"].shape[1], dtype=torch.bool)
    near = torch.arange(attend.shape[1]).expand(batch["tokens"].shape)
    with torch.no_grad():
        encoder.positions.weight.zero_()  # what is left of the positions is the bias
        moved = encoder.attended(batch["tokens"], near + 3, attend)
        assert torch.allclose(encoder.attended(batch["tokens"], near, attend), moved, atol=1e-12)
        assert not torch.allclose(encoder.attended(batch["tokens"], near * 2, attend), moved, atol=1e-6)


def test_pooled_vector_is_the_mean_of_the_text_or_the_first_state():
    encoder, batch = made()
    text = batch["real"] & ~batch["special"]
    with torch.no_grad():
        found = encoder(batch)
        for row in range(len(ITEMS)):
            assert torch.allclose(found.pooled[row], found.states[row][text[row]].mean(dim=0), atol=1e-12)
        encoder.pool = "first"
        assert torch.equal(encoder(batch).pooled, found.states[:, 0])


def test_segments_tell_two_texts_apart():
    encoder, _ = made()
    pair = [{"id": "a", "text": "the dog", "other": "the dog"}]
    batch = collate(pair, [0], encoder.prepare, Step())
    with torch.no_grad():
        both = encoder(batch).states
        one = encoder({**batch, "segment": torch.zeros_like(batch["segment"])}).states
    assert not torch.allclose(both, one, atol=1e-6)


@pytest.mark.parametrize(("length", "wanted"), [(8, list(range(8))), (40, [n % 16 for n in range(40)])])
def test_another_length_cuts_or_repeats_the_table_of_positions(length: int, wanted: list[int]):
    encoder, _ = made()
    other, _ = made(length=length)
    load_state(other, state_of(encoder)[0], "here")
    assert torch.equal(other.positions.weight, encoder.positions.weight[wanted])


def test_a_text_longer_than_the_table():
    encoder, batch = made()
    long = {name: torch.cat([tensor] * 3, dim=1) for name, tensor in batch.items() if tensor.ndim == 2}
    with pytest.raises(UserError) as caught:
        encoder(long)
    assert (
        caught.value.what == f"a text of {3 * batch['tokens'].shape[1]} tokens for an encoder of 16 positions"
    )


def test_layers_count_from_the_tables_to_the_last_norm():
    encoder, _ = made()
    found = {name: encoder.layer_of(name) for name, _ in encoder.named_parameters()}
    assert found["tokens.weight"] == found["norm_in.weight"] == 0
    assert found["blocks.0.attn.qkv.weight"] == 1 and found["blocks.1.mlp.fc2.bias"] == 2
    assert found["norm.weight"] == 3


def test_new_weights_are_small_and_norms_neutral():
    encoder, _ = made(width=64, heads=4)
    before = encoder.tokens.weight.detach().clone()
    encoder.reset()
    assert not torch.equal(before, encoder.tokens.weight)
    assert float(encoder.tokens.weight.detach().std()) == pytest.approx(0.02 * 12**0.5, rel=0.1)
    assert torch.equal(encoder.norm.weight, torch.ones(64).double())


def test_dropout_acts_in_training_only():
    encoder, batch = made(dropout=0.5)
    with torch.no_grad():
        assert torch.equal(encoder(batch).states, encoder(batch).states)
        encoder.train()
        assert not torch.equal(encoder(batch).states, encoder(batch).states)


def test_the_control_learns_its_words_from_the_known_texts_only():
    encoder, _ = made()
    known = [{"id": "0", "text": "a fox", "other": "a dog"}, {"id": "1", "text": "a cat"}]
    found = encoder.baseline(known, [{"id": "2", "text": "a fox and an owl"}], Step())
    assert found.name == "tfidf"
    assert found.known.shape == (2, 8)  # a fox dog cat, a-fox fox-a a-dog a-cat
    assert found.asked.nnz == 3  # a, fox, a-fox


def test_texts_without_a_word_have_no_control():
    encoder, _ = made()
    known = [{"id": "0", "text": "…"}, {"id": "1", "text": "?!", "other": ""}]
    with pytest.raises(UserError) as caught:
        encoder.baseline(known, [{"id": "2", "text": "a fox"}], Step())
    assert str(caught.value) == (
        "none of 2 texts to learn from has a word in it\n"
        "  where: tfidf, the control beside an encoder of texts\n"
        "  why:   a word is a run of letters or digits\n"
        "  do:    data with words in its train split"
    )
