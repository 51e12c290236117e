"""Asking a model what comes next: turn by turn it says what it says of the whole text, with a cache and without."""

import attrs
import pytest
import torch
from torch import Tensor

from maskwright import Step
from maskwright_testing.listed_data import ListedData
from maskwright_text.choosing import Rules
from maskwright_text.decoding_settings import Decoding
from maskwright_text.example_writers import example_writer
from maskwright_text.params_seq2seq import Seq2Seq, example_pairs
from maskwright_text.seq2seq_batches import in_place, pseudo_masks
from maskwright_text.several_at_once import several_at_once
from maskwright_text.writers import CachedWriter, ReencodingWriter, Writer, writer_for
from maskwright_torch.batches import collate
from maskwright_torch.noise import uniform

DATA = example_pairs(ListedData)
ITEMS = [DATA.item("train", number, Step()) for number in range(4)]
VARIANTS = [
    {},
    {"pre_norm": False},
    {"relative": 8, "reach": 6},
    {"relative": 8, "reach": 6, "pre_norm": False, "depth": 3},
    {"depth": 1},
]


def made(dtype: torch.dtype = torch.float64, mode: str = "v2", **encoder: object):
    """A model with weights large enough to tell texts apart, and a batch of sources of different lengths."""
    model = example_writer(DATA, mode=mode, encoder=attrs.evolve(Seq2Seq.example().encoder, **encoder))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2)
    model = model.to(dtype).eval()
    return model, collate(ITEMS, range(4), model.sources, Step())


def some_texts(model: object, count: int) -> Tensor:
    """int64 (4, count) of tokens that stand for text."""
    noise = uniform(9, torch.arange(4), count)
    return 5 + (noise * 20).long()


def turn_by_turn(writer: Writer, texts: Tensor) -> Tensor:
    """(R, T, V)"""
    return torch.stack([writer.next(texts[:, :place]) for place in range(texts.shape[1])], dim=1)


@pytest.mark.parametrize("settings", VARIANTS)
@pytest.mark.parametrize("mode", ["v2", "v1", "v0"])
def test_turns_say_what_the_whole_text_says(mode: str, settings: dict[str, object]):
    model, batch = made(mode=mode, **settings)
    texts = some_texts(model, 6)
    with torch.no_grad():
        if mode == "v0":
            layout = in_place(batch, torch.cat([texts.new_full((4, 1), 3), texts[:, :-1]], dim=1))
        else:
            layout = pseudo_masks(batch, texts, torch.full_like(texts, 4))
        whole = model.log_probs(layout, torch.ones_like(texts, dtype=torch.bool)).view(4, 6, -1)
        for kind in (CachedWriter, ReencodingWriter):
            found = turn_by_turn(kind(model, batch), texts)
            assert float((found - whole).abs().max()) < 1e-10
    assert float((whole[:, 1:] - whole[:, :-1]).abs().max()) > 0.1  # there is something to tell apart


def test_in_single_precision_they_differ_by_rounding_alone():
    model, batch = made(torch.float32)
    texts = some_texts(model, 6)
    with torch.no_grad():
        one, two = (turn_by_turn(kind(model, batch), texts) for kind in (CachedWriter, ReencodingWriter))
    assert one.dtype == torch.float32 and float((one - two).abs().max()) < 1e-5


def test_the_losses_of_a_text_are_those_of_its_turns():
    model, batch = made()
    losses = model.target_losses(ITEMS, Step())
    pairs = collate(ITEMS, range(4), model.prepare, Step())
    with torch.no_grad():
        turns = turn_by_turn(CachedWriter(model, batch), pairs["target"])
    each = -turns.gather(2, pairs["target"][..., None])[..., 0]
    for row, found in enumerate(losses):
        assert torch.allclose(found, each[row, : len(found)], atol=1e-10)


@pytest.mark.parametrize("kind", [CachedWriter, ReencodingWriter])
def test_rows_may_be_chosen_and_repeated(kind: type[Writer]):
    model, batch = made()
    texts = some_texts(model, 5)
    rows = torch.tensor([2, 2, 0, 3, 1])
    with torch.no_grad():
        whole = turn_by_turn(kind(model, batch), texts)
        writer = kind(model, batch)
        for place in range(3):
            writer.next(texts[:, :place])
        writer.select(rows)
        found = torch.stack([writer.next(texts[rows][:, :place]) for place in (3, 4)], dim=1)
    assert torch.allclose(found, whole[rows][:, 3:], atol=1e-10)


def test_a_cache_computes_two_tokens_a_turn():
    counted: list[int] = []
    for wanted, cache in (([13, 1, 2, 2, 2], True), ([14, 15, 16, 17], False)):
        model, batch = made()
        model.encoder.drop.register_forward_hook(lambda m, i, out: counted.append(out.shape[1]))
        counted.clear()
        with torch.no_grad():
            turn_by_turn(writer_for(model, batch, cache), some_texts(model, 4))
        assert batch["tokens"].shape[1] == 13 and counted == wanted


def test_without_extend_everything_is_encoded_again():
    model, batch = made()

    class Plain(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = model.encoder
            self.space, self.codec, self.table = model.encoder.space, model.encoder.codec, model.encoder.table

        def attended(self, *args: object, **settings: object) -> Tensor:
            return self.inner.attended(*args, **settings)

    with torch.no_grad():
        assert isinstance(writer_for(model, batch, True), CachedWriter)
        before = model.generate(ITEMS, Step())
    model.encoder = Plain()
    assert isinstance(writer_for(model, batch, True), ReencodingWriter)
    assert [each[0].text for each in model.generate(ITEMS, Step())] == [each[0].text for each in before]


# -- several tokens at once -----------------------------------------------------------------------------------------


def test_masks_of_a_block_read_each_other_and_new_tokens_do_not_read_masks():
    """Against one pass with the matrix written out: source, two tokens of the first turn, one of the second, masks."""
    model, batch = made()
    count = batch["tokens"].shape[1]
    words = torch.tensor([[7, 8, 9]]).expand(4, -1)
    places, blanks = torch.tensor([[2, 0, 1]]).expand(4, -1), torch.tensor([[3, 4]]).expand(4, -1)
    table = ["xx...", "xx...", "xxx..", "xxxxx", "xxxxx"]
    attend = torch.zeros(4, count + 5, count + 5, dtype=torch.bool)
    attend[:, :, :count] = batch["real"][:, None]
    attend[:, count:, count:] = torch.tensor([[mark == "x" for mark in row] for row in table])
    ends = batch["real"].sum(dim=1, keepdim=True)
    with torch.no_grad():
        states = model.encoder.attended(
            torch.cat([batch["tokens"], words, torch.full((4, 2), 4)], dim=1),
            torch.cat([torch.arange(count).expand(4, -1), ends + places, ends + blanks], dim=1),
            attend,
            segment=(torch.arange(count + 5) >= count).long().expand(4, -1),
        )[:, -2:]
        wanted = model.head(states, model.encoder.table).log_softmax(dim=-1)
        for kind in (CachedWriter, ReencodingWriter):
            writer = kind(model, batch)
            writer.ask(words[:, :2], places[:, :2], blanks)
            found = writer.ask(words[:, 2:], places[:, 2:], blanks)
            assert torch.allclose(found, wanted, atol=1e-10)


class Sure:
    """Log-probabilities of three tokens at five places; token 2 is the surer, the later the place."""

    def __init__(self) -> None:
        self.source = torch.zeros(1, 1, dtype=torch.int64)
        self.asked: list[tuple[list[int], list[int], list[int]]] = []

    def ask(self, tokens: Tensor, places: Tensor, blanks: Tensor) -> Tensor:
        self.asked.append((tokens[0].tolist(), places[0].tolist(), blanks[0].tolist()))
        scores = torch.zeros(1, blanks.shape[1], 3, dtype=torch.float64)
        scores[..., 2] = 1 + blanks
        return scores.log_softmax(dim=-1)


class Free:
    sep, never, min_length = 0, (), 0


def test_the_surest_tokens_of_a_block_are_kept_first():
    writer = Sure()
    found = several_at_once(writer, Free(), Decoding(block=3, passes=2), 5)
    assert writer.asked == [
        ([], [], [0, 1, 2]),
        ([2, 2], [1, 2], [0]),
        ([2], [0], [3, 4]),
        ([2], [4], [3]),
    ]
    assert found[0].tokens == [2] * 5 and not found[0].complete


def test_no_block_follows_the_end():
    class Ends(Sure):
        def ask(self, tokens: Tensor, places: Tensor, blanks: Tensor) -> Tensor:
            return super().ask(tokens, places, blanks).flip(2)  # token 0 is the end

    writer = Ends()
    found = several_at_once(writer, Free(), Decoding(block=2, passes=1), 6)
    assert len(writer.asked) == 1 and found[0].tokens == [] and found[0].complete


def test_blocks_of_one_token_are_the_likeliest_token_after_the_other():
    model, batch = made()
    rules = Rules(model.encoder, Decoding(min_length=3))
    with torch.no_grad():
        single = several_at_once(CachedWriter(model, batch), rules, Decoding(block=1), 8)
    greedy = model.generate(ITEMS, Step(), Decoding(min_length=3))
    codec = model.encoder.codec
    assert [codec.decode(each.tokens) for each in single] == [each[0].text for each in greedy]
    assert [each.score for each in single] == pytest.approx([each[0].score for each in greedy])
    assert all(len(each.tokens) >= 3 for each in single)


def test_a_block_never_holds_what_may_not_be_written():
    model, _ = made()
    found = model.generate(ITEMS, Step(), Decoding(block=4, passes=1, min_length=5))
    assert all(len(each[0].text.split()) >= 5 for each in found)
