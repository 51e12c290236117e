"""Any BERT-like model of transformers can be made a writer."""

from pathlib import Path

import pytest
import torch
from text_foreign_models import LONGEST, TEXTS, saved, stirred, their_model, tokenizer

from maskwright import Step
from maskwright_text.decoding_settings import Decoding
from maskwright_text.params_foreign import HfText
from maskwright_text.seq2seq import Seq2Seq
from maskwright_text.seq2seq_batches import pseudo_masks
from maskwright_text.writers import ReencodingWriter
from maskwright_torch.batches import collate

ITEMS = [{"id": str(n), "text": text, "summary": "the dog sleeps"} for n, text in enumerate(TEXTS)]


@pytest.mark.parametrize("kind", ["bert", "roberta", "electra"])
def test_turns_say_what_the_whole_text_says(kind: str, tmp_path: Path):
    folder = saved(stirred(their_model(kind)), tmp_path / "model", tokenizer())
    model = Seq2Seq(HfText(path=folder, length=LONGEST).build(), target_length=8).double().eval()
    assert torch.equal(model.head.dense.weight, model.encoder.make_head().dense.weight)  # the folder's own
    batch = collate(ITEMS, range(3), model.prepare, Step())
    assert batch["cut"].tolist() == [0, 0, 8]
    target = batch["target"]
    with torch.no_grad():
        layout = pseudo_masks(batch, target, torch.full_like(target, model.encoder.space.mask_id))
        whole = model.log_probs(layout, batch["target_real"]).view(*target.shape, -1)
        writer = ReencodingWriter(model, batch)
        turns = [writer.next(target[:, :place]) for place in range(target.shape[1])]
    assert float((torch.stack(turns, dim=1) - whole).abs().max()) < 1e-10
    written = model.generate(ITEMS, Step(), Decoding(beam=3, min_length=2))
    assert all(2 <= len(texts[0].text.split()) <= 8 for texts in written)
