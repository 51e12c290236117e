"""What apply hands to models of texts, and what generate writes."""

import json
from pathlib import Path

import pytest
import torch
from text_models import batch_of, model, sentences

from maskwright import Step
from maskwright.contracts import items_of
from maskwright.errors import UserError
from maskwright_text.decoding_settings import Decoding
from maskwright_text.generate import Generate
from maskwright_text.reading import read_texts
from maskwright_torch.contracts import Generated


def test_a_text_file_is_a_text_a_line(tmp_path: Path):
    path = tmp_path / "some.txt"
    path.write_bytes("\ufeffone fox\r\n\r\n  two dogs\n".encode())
    assert list(read_texts(str(path))) == [
        {"id": "some.txt:1", "text": "one fox"},
        {"id": "some.txt:3", "text": "  two dogs"},
    ]


def test_blank_lines_stay_in_place_where_a_line_is_to_be_written_for_each(tmp_path: Path):
    asked: list[str] = []

    class Shouts:
        def generate(self, items, step, decoding):
            asked.extend(item["text"] for item in items)
            return [[Generated(item["text"].upper(), True, 0.0)] for item in items]

    path, out = tmp_path / "some.txt", tmp_path / "out.txt"
    path.write_text("\none\n  \ntwo\n\n")
    pipeline = Generate(Shouts(), Decoding(candidates=2))
    items = list(pipeline(pipeline.read(str(path)), Step()))
    assert asked == ["one", "two"]
    assert items[2]["generated"] == "" and len(items[2]["candidates"]) == 1
    assert pipeline.write_all(items, out) and out.read_text() == "\nONE\n\nTWO\n\n"
    assert not asked[2:] and next(pipeline([items[0]], Step()))["complete"]


def test_json_lines_and_words_are_read_as_everywhere(tmp_path: Path):
    path = tmp_path / "some.jsonl"
    path.write_text(json.dumps({"id": "a", "text": "one"}) + "\n")
    assert list(read_texts(str(path))) == [{"id": "a", "text": "one"}]
    assert list(read_texts("one fox")) == [{"id": "one fox", "text": "one fox"}]


def test_bytes_that_are_no_text(tmp_path: Path):
    path = tmp_path / "some.txt"
    path.write_bytes(b"fine\nna\xefve\n")
    with pytest.raises(UserError) as caught:
        list(read_texts(str(path)))
    assert (caught.value.what, caught.value.where) == ("not UTF-8 text", f"{path}, line 2")
    assert caught.value.why == "byte 0xef at column 3"


def test_written_texts_are_lines_in_the_order_of_the_items(tmp_path: Path):
    pipeline = Generate(None, Decoding(), 4)
    items = [
        {"id": "a", "generated": "one\ntwo"},
        {"id": "b", "generated": ""},
        {"id": "c", "generated": "three"},
    ]
    assert pipeline.write_all(items, tmp_path / "out.txt")
    assert (tmp_path / "out.txt").read_text() == "one two\n\nthree\n"
    assert not pipeline.write_all(items, tmp_path / "out.jsonl")


def texts(subject):
    return batch_of(subject, list(items_of(sentences(), "test", Step())))


# -- what is hidden where the ratio asks for less than a token -------------------------------------------------------


def test_at_least_one_hides_words_whole():
    subject = model(kind="bpe", vocabulary=270, masker="whole-word", ratio=0.01, floor=0.0)
    batch = texts(subject)
    assert int(batch["word"].max()) < batch["word"].shape[1] / 2  # words of several tokens
    for number in range(20):
        hidden = subject.choose(batch, Step(0, number, 20))
        assert bool(hidden.any(dim=1).all())
        for row in range(len(hidden)):
            words = set(batch["word"][row][hidden[row]].tolist())
            inside = torch.tensor([word in words for word in batch["word"][row].tolist()])
            assert torch.equal(hidden[row], inside)


def test_at_least_one_is_drawn_by_the_weights_of_the_masker():
    subject = model(
        masker={"use": "weighted", "source": "token-loss", "whole_words": False}, ratio=0.05, floor=0.0
    )
    batch = texts(subject)
    dear = int(batch["tokens"][0][1])
    subject.masker.losses.scores.fill_(0.0)
    subject.masker.losses.scores[dear] = 50.0
    subject.masker.losses.counts.fill_(1.0)
    rows = (batch["tokens"] == dear).any(dim=1)
    found = [subject.choose(batch, Step(0, number, 200))[rows] for number in range(200)]
    share = torch.stack(found)[:, (batch["tokens"] == dear)[rows]].float().mean()
    valid = subject.encoder.units(batch).valid[rows].sum(dim=1).float()
    assert float(share) > 1.25 * float((1 / valid).mean())


def test_a_whole_batch_with_nothing_hidden_is_told():
    subject = model(ratio=0.01, floor=0.0, at_least_one=False)
    batch = texts(subject)
    with pytest.warns(UserWarning, match="a whole batch has nothing hidden"):
        loss = subject(batch, Step(0, 0, 1))
    assert float(loss.value) == 0.0 and loss.value.requires_grad
    assert float(loss.parts["without_hidden"]) == 1.0
