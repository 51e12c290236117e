"""Speed of models of text: training against transformers, masking, PMLM's single pass, cached decoding.

    python benchmarks/text.py                       # everything, about fifteen minutes; needs maskwright-text
    python benchmarks/text.py --only mlm masking    # some of: mlm, masking, pmlm, decoding

Variants of one comparison take turns in one process, two threads, medians. Seconds depend on the machine and on what
else it does; ratios hold better. Results go to benchmarks/results/text.json.
"""

import argparse
import copy
import sys
from collections.abc import Callable
from typing import Any

import text_decoding
import text_masking
import text_pmlm
import torch
import torch.nn.functional as F
from timing import THREADS, alternate, keep, ratios, show
from torch import Tensor
from words import Words

from maskwright import Step
from maskwright_text.params_models import Mlm, Subwords, TextEncoder
from maskwright_torch.noise import uniform

LENGTH, ROWS, RATIO = 128, 32, 0.15
WIDTH, DEPTH, HEADS = 256, 4, 4


def ours(vocabulary: int) -> Any:
    """BERT's shape: the norm after each part."""
    encoder = TextEncoder(
        codec=Subwords(vocabulary=vocabulary, model="words"),
        length=LENGTH,
        width=WIDTH,
        depth=DEPTH,
        heads=HEADS,
        pre_norm=False,
    )
    made = Mlm(encoder=encoder, ratio=RATIO).build(1)
    made.encoder.codec.fit(Words(vocabulary - 5), Step())
    return made.train()


def rows_of_tokens(vocabulary: int) -> Tensor:
    """int64 (ROWS, LENGTH): random tokens between [CLS] and [SEP]."""
    tokens = 5 + (uniform(1, torch.arange(ROWS), LENGTH) * (vocabulary - 5)).long()
    tokens[:, 0], tokens[:, -1] = 2, 3
    return tokens


def batch_of(tokens: Tensor) -> dict[str, Tensor]:
    special = tokens < 5
    word = torch.arange(-1, LENGTH - 1).expand_as(tokens).masked_fill(special, -1)
    return {
        "tokens": tokens,
        "real": torch.ones_like(special),
        "special": special,
        "word": word,
        "segment": torch.zeros_like(tokens),
        "rows": torch.arange(ROWS),
    }


def everywhere(model: Any, batch: dict[str, Tensor], step: Step) -> Tensor:
    """Our loss with logits at every token, as transformers computes it."""
    hidden = model.choose(batch, step)
    seen, masked = model.corrupted(batch, hidden, step)
    logits = model.head(model.encoder(seen, masked).states, model.encoder.table)
    return F.cross_entropy(logits[hidden], batch["tokens"][hidden])


def peer_and_collator(vocabulary: int, tokenizer: Any) -> tuple[Any, Any]:
    """transformers' model of the same size, and its collator, which masks as ours does."""
    from transformers import (
        BertConfig,
        BertForMaskedLM,
        DataCollatorForLanguageModeling,
        PreTrainedTokenizerFast,
    )

    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        mask_token="[MASK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
    )
    config = BertConfig(
        vocab_size=vocabulary,
        hidden_size=WIDTH,
        num_hidden_layers=DEPTH,
        num_attention_heads=HEADS,
        intermediate_size=4 * WIDTH,
        max_position_embeddings=LENGTH,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    return BertForMaskedLM(config).train(), DataCollatorForLanguageModeling(wrapped, mlm_probability=RATIO)


def trainer(model: Any, loss: Callable[[], Tensor], **options: Any) -> Callable[[], None]:
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-5, **options)

    def step() -> None:
        optimiser.zero_grad()
        loss().backward()
        optimiser.step()

    return step


def training(vocabulary: int, repeats: int) -> dict[str, Any]:
    """Masking, forward, backward and optimiser of both sides; what the masks cost; what projecting less saves."""
    model = ours(vocabulary)
    twin = copy.deepcopy(model)
    tokens = rows_of_tokens(vocabulary)
    batch = batch_of(tokens)
    peer, collate = peer_and_collator(vocabulary, model.encoder.codec.tokenizer)
    other = copy.deepcopy(peer)
    features = [{"input_ids": row} for row in tokens.tolist()]
    numbers = iter(range(10**9))

    def now() -> Step:
        return Step(0, next(numbers), 10**9)

    def mask() -> None:
        model.corrupted(batch, model.choose(batch, step := now()), step)

    times = alternate(
        {
            "ours": trainer(model, lambda: model(batch, now()).value, fused=True),
            "ours, logits everywhere": trainer(twin, lambda: everywhere(twin, batch, now()), fused=True),
            "transformers, fused AdamW": trainer(peer, lambda: peer(**collate(features)).loss, fused=True),
            "transformers, AdamW as torch makes it": trainer(other, lambda: other(**collate(features)).loss),
            "our masks alone": mask,
            "their collator alone": lambda: collate(features),
        },
        repeats,
    )
    masks = {name: times.pop(name) for name in ("our masks alone", "their collator alone")}
    theirs, whole, part = times["transformers, fused AdamW"], times["ours, logits everywhere"], times["ours"]
    return {
        "milliseconds": {**times, **masks},
        "thousand tokens a second": {name: round(ROWS * LENGTH / value, 1) for name, value in times.items()},
        "ratio": ratios(times),
        "share of the gain that comes from fewer logits": round((whole - part) / (theirs - part), 2),
        "masks, share of a step": round(masks["our masks alone"] / part, 3),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    names = ["mlm", "masking", "pmlm", "decoding"]
    parser.add_argument("--only", nargs="+", choices=names, default=names)
    parser.add_argument("--quick", action="store_true", help="few repeats, to see that it works")
    parser.add_argument("--threads", type=int, default=THREADS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    results: dict[str, Any] = {}
    if "mlm" in options.only:
        for vocabulary in (8000, 30000):
            title = f"training step, {DEPTH} x {WIDTH}, {ROWS} x {LENGTH} tokens, vocabulary {vocabulary}"
            results[title] = training(vocabulary, 3 if options.quick else 15)
            show(title, results[title])
    for name, module in (("masking", text_masking), ("pmlm", text_pmlm), ("decoding", text_decoding)):
        if name in options.only:
            for title, found in module.sections(options.quick).items():
                results[title] = found
                show(title, found)
    if not options.quick:
        keep("text", results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
