"""Settings of models that write: the objective, the pipeline and the evaluators. Imports nothing heavy."""

from typing import Any, Literal

from maskwright.params import params, setting, slot
from maskwright_text.params_models import EXPORTS, TextEncoder

WRITER = {"torch", "tokens", "vocabulary", "takes:attention"}
"""What an encoder needs to write."""

HEAD = {"torch", "text:head"}
"""An objective whose `encoder` and `head` over its vocabulary may be trained on."""

_ON_LONG = "texts that do not fit: cut, and counted; error: the first one ends it"

_EXAMPLES = (
    ("the quick brown fox jumps over the lazy dog", "a fox jumps"),
    ("a lazy dog sleeps while the fox runs in the park", "the dog sleeps"),
    ("every good dog likes a long walk in the park", "dogs like the park"),
    ("the fox", "fox here"),
)


def example_pairs(make_data: Any) -> Any:
    """Four texts with a summary for the contract checks, the same in both splits."""
    items = [
        {"id": str(number), "text": text, "summary": summary, "name": "The.fox"}
        for number, (text, summary) in enumerate(_EXAMPLES)
    ]
    return make_data({"train": items, "test": items})


@params
class Seq2Seq:
    """Learn to write `summary` from `text`: summaries, questions, answers, whatever stands in that field."""

    encoder: Any = slot("encoder", optional=True, needs=WRITER, help="what is trained, with a new head")
    pretrained: Any = slot(
        "objective",
        optional=True,
        needs=HEAD,
        help="in place of encoder: a run of mlm, pmlm or seq2seq, whose encoder and head are both trained on",
        reads=False,  # nothing is hidden by its masker, so the data need not have what that reads
    )
    mode: Literal["v2", "v1", "v0"] = setting(
        "v2",
        help="v2: each target token is predicted at a pseudo mask (UniLMv2); v1: a share of the target is masked "
        "(UniLM); v0: the next token, as causal language models",
    )
    target_length: int = setting(
        48,
        ge=2,
        help="most tokens of a target, the end included; the encoder's other positions are the source's",
    )
    word_drop: float | None = setting(
        None,
        ge=0,
        le=1,
        help="v2: chance that later tokens read a mask in place of a target token, none: 0.5 (0.7 where targets are "
        "copied a lot); v1: share of the target that is masked, none: 0.5; v0: as v2, none: 0",
    )
    pseudo_keep: float = setting(
        0.0, ge=0, le=1, help="chance that a pseudo mask holds the answer itself; the paper's code: 0.1"
    )
    pseudo_random: float = setting(
        0.0, ge=0, le=1, help="chance that a pseudo mask holds any token; the paper's code: 0.1"
    )
    most_masked: int = setting(0, ge=0, help="v1: tokens that are masked in a target at most; 0: no limit")
    label_smoothing: float = setting(
        0.1, ge=0, lt=1, help="share of the target that is spread over all other tokens but padding"
    )
    on_long: Literal["cut", "error"] = setting("cut", help=_ON_LONG)

    default_pipeline = "generate"

    def check(self):
        if (self.encoder is None) == (self.pretrained is None):
            yield "encoder", "give encoder, or pretrained in its place, one of the two"
        if self.pseudo_keep + self.pseudo_random > 1 + 1e-12:
            yield "pseudo_random", f"{self.pseudo_keep} + {self.pseudo_random} is more than 1"
        if self.mode == "v0" and (self.pseudo_keep or self.pseudo_random):
            yield "mode", "v0 has no pseudo masks: pseudo_keep = 0, pseudo_random = 0"
        if self.most_masked and self.mode != "v1":
            yield (
                "most_masked",
                f"only v1 masks a share of the target, the mode is {self.mode}: most_masked = 0",
            )

    def build(self, seed: int):
        from maskwright_text.seq2seq import Seq2Seq as Built
        from maskwright_text.seq2seq import TargetNoise
        from maskwright_torch.part import seeded

        drop = self.word_drop
        if drop is None:
            drop = 0.0 if self.mode == "v0" else 0.5
        noise = TargetNoise(drop, self.pseudo_keep, self.pseudo_random, self.most_masked)
        names = ("mode", "target_length", "label_smoothing", "on_long")
        settings = {name: getattr(self, name) for name in names}
        return seeded(seed, lambda: Built(self.encoder, self.pretrained, noise=noise, **settings))

    @classmethod
    def exports(cls):
        return EXPORTS

    @classmethod
    def example(cls):
        encoder = TextEncoder.example()
        encoder.length = 24
        return cls(encoder=encoder, target_length=8)

    @classmethod
    def example_data(cls, make_data):
        return example_pairs(make_data)


@params
class _Writing:
    """How a trained model writes: what the pipeline and the evaluator have in common."""

    beam: int = setting(
        1, ge=1, help="texts kept at each step, 4 to 8 are usual; 1: the likeliest token is taken"
    )
    length_penalty: float = setting(
        0.0, ge=0, help="exponent a: scores are divided by ((5 + tokens) / 6)^a; more favours long texts"
    )
    temperature: float = setting(
        0.0, ge=0, help="above 0 tokens are drawn; 1: as likely as the model takes them"
    )
    top_k: int = setting(0, ge=0, help="draw from the likeliest so many tokens; 0: from all")
    top_p: float = setting(1.0, gt=0, le=1, help="draw from the fewest tokens that together are so likely")
    min_length: int = setting(0, ge=0, help="fewest tokens of a text")
    max_length: int = setting(0, ge=0, help="most tokens with the end token; 0: as in training")
    block_ngrams: int = setting(
        0, ge=0, help="no run of so many tokens twice, 3 is usual; 0: all may be repeated"
    )
    exempt: list[str] = setting(["."], help="words that a run may hold and still be repeated")
    block: int = setting(1, ge=1, help="tokens that are written at once (block-parallel)")
    passes: int = setting(2, ge=1, help="rounds over a block of several; each keeps the surest tokens")

    def check(self):
        yield from self._mistakes()

    def _mistakes(self, **more: int):
        for name, why, cure in self.decoding(**more).mistakes():
            yield name, f"{why}: {cure}"

    def decoding(self, **more: int) -> Any:
        """The settings as the decoder takes them, and `more` of its own."""
        from maskwright_text.decoding_settings import Decoding

        names = "beam length_penalty temperature top_k top_p min_length max_length block_ngrams block passes"
        settings = {name: getattr(self, name) for name in names.split()}
        return Decoding(**settings, exempt=tuple(self.exempt), **more)


@params
class Generate(_Writing):
    """Write a text for each item from its `text`."""

    objective: Any = slot("objective", needs={"torch", "generates"}, help="what was trained to write")
    candidates: int = setting(
        1, ge=1, help="texts for each item; more than one needs a beam or a temperature"
    )
    batch: int = setting(64, ge=1, help="items that are written for at a time")
    on_long: Literal["cut", "error"] = setting("cut", help=_ON_LONG)

    def tags(self):
        return {"candidates"} if self.candidates > 1 else set()

    def check(self):
        yield from self._mistakes(candidates=self.candidates)

    def build(self):
        from maskwright_text.generate import Generate as Built

        decoding = self.decoding(candidates=self.candidates, rows=self.batch)
        return Built(self.objective, decoding, self.on_long)

    @classmethod
    def example(cls):
        return cls(objective=Seq2Seq.example(), beam=3, candidates=2, batch=2)

    @classmethod
    def example_data(cls, make_data):
        return example_pairs(make_data)


@params
class Generation(_Writing):
    """What a model writes for test items: ROUGE, BLEU and exact matches beside trivial answers, and examples."""

    most: int = setting(200, ge=0, help="items to judge at most, drawn by a hash of their ids; 0: all")
    examples: int = setting(20, ge=0, help="items shown in the report, the first of those drawn")

    def build(self):
        from maskwright_text.generation import Generation as Built

        return Built(self.decoding(), self.most, self.examples)

    @classmethod
    def example(cls):
        return cls(most=3, examples=2)

    @classmethod
    def example_case(cls, make_data):
        from maskwright_text.example_writers import example_writer

        data = example_pairs(make_data)
        return cls(most=3, examples=2), example_writer(data), data

    @classmethod
    def perfect(cls, make_data):
        from maskwright_text.example_writers import Parrot

        return (
            Parrot(),
            example_pairs(make_data),
            dict.fromkeys(("rouge1", "rouge2", "rougeL", "exact", "complete"), 1.0) | {"bleu": 100.0},
        )


@params
class Infill:
    """How likely a model takes the right texts to be: the log-likelihood of a target token, and without the source."""

    most: int = setting(500, ge=0, help="items to judge at most, drawn by a hash of their ids; 0: all")

    def build(self):
        from maskwright_text.generation import Infill as Built

        return Built(self.most)

    @classmethod
    def example(cls):
        return cls(most=3)

    @classmethod
    def example_case(cls, make_data):
        from maskwright_text.example_writers import example_writer

        data = example_pairs(make_data)
        return cls(most=3), example_writer(data), data

    @classmethod
    def perfect(cls, make_data):
        from maskwright_text.example_writers import Parrot

        return Parrot(), example_pairs(make_data), {"nll": 0.0, "perplexity": 1.0, "no_source_nll": 0.0}
