"""Tokenizers: trained on the data, or read from a folder. The same object encodes in training, in pipelines and later.

`tokenizers` does the work; what is settled here is which special tokens there are, that offsets and words are known for
every token, and that nothing is ever trained twice.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from tokenizers import (
    AddedToken,
    Encoding,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

from maskwright.contracts import Dataset, items_of
from maskwright.errors import UserError
from maskwright.folder import write_atomic
from maskwright.step import Step
from maskwright_text.tokenizer_files import (
    CLS,
    FILE,
    MASK,
    NAMES,
    PAD,
    SEP,
    UNK,
    Specials,
    find_tokenizer,
    read_tokenizer,
    specials_of,
)
from maskwright_text.wordpiece import train_wordpiece

Model = Literal["bpe", "wordpiece", "words"]

BYTES = 261
"""Tokens for single bytes and the special ones: what model "bpe" begins with."""


class TextCodec:
    """Text to token ids and back."""

    vocabulary: int
    """Ids lie below; a table of embeddings has as many rows."""
    specials: Specials

    def __init__(self, vocabulary: int) -> None:
        self.vocabulary = vocabulary
        self._tokenizer: Tokenizer | None = None
        self._known: int | None = None

    @property
    def tokenizer(self) -> Tokenizer:
        if self._tokenizer is None:
            raise UserError(
                "the tokenizer has not been trained yet",
                why="it is trained on the data of a run, before its first step",
                cure='take the encoder from a run ("from-run"), or a tokenizer from a folder (codec:tokenizer)',
            )
        return self._tokenizer

    @tokenizer.setter
    def tokenizer(self, made: Tokenizer) -> None:
        self._tokenizer, self._known = made, None

    @property
    def known(self) -> int:
        """Ids below stand for something; one that found less than it might leaves rows of the table that do not."""
        if self._known is None:  # a walk through the whole vocabulary, and training asks at every step
            self._known = _rows(self.tokenizer)
        return self._known

    def encode(
        self, texts: Sequence[str], others: Sequence[str] | None = None, *, length: int = 0
    ) -> list[Encoding]:
        """One encoding a text, or a pair of texts, with special tokens; cut to `length` tokens, 0: not cut.

        What was cut off is in `overflowing` of the encoding.
        """
        tokenizer = self.tokenizer
        if length:
            tokenizer.enable_truncation(length)
        else:
            tokenizer.no_truncation()
        both: Any = list(texts) if others is None else list(zip(texts, others, strict=True))
        return tokenizer.encode_batch(both)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of some ids; special tokens are left out."""
        return self.tokenizer.decode(list(ids), skip_special_tokens=True)

    def save(self, folder: Path) -> None:
        write_atomic(folder / FILE, self.tokenizer.to_str(pretty=True).encode())

    def load(self, folder: Path) -> None:
        self.tokenizer = read_tokenizer(folder / FILE)

    def __getstate__(self) -> dict[str, Any]:
        # The tokenizer as JSON: what a loader process needs is text, not a live object.
        made = self._tokenizer
        return {**vars(self), "_tokenizer": None if made is None else made.to_str()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        text = state["_tokenizer"]
        vars(self).update(state, _tokenizer=None if text is None else Tokenizer.from_str(text))


class Subwords(TextCodec):
    """Trained on the train split, once; afterwards loaded.

    Ids 0 to 4 are [PAD] [UNK] [CLS] [SEP] [MASK], so that models can be built before the text has been seen.
    """

    specials = Specials(0, 1, 2, 3, 4, (0, 1, 2, 3, 4))

    def __init__(self, vocabulary: int, model: Model, lowercase: bool, split: str) -> None:
        super().__init__(vocabulary)
        self.model, self.lowercase, self.split = model, lowercase, split

    def fit(self, data: Dataset, step: Step) -> None:
        # Bytes carry the space before a word: a mask takes it too, or a token would be left that is only a space.
        mask = AddedToken(MASK, lstrip=self.model == "bpe", special=True)
        order = [*(AddedToken(name, special=True) for name in (PAD, UNK, CLS, SEP)), mask]
        made = self._trained(lambda: texts_of(data, self.split, step), order)
        if made.get_vocab_size() <= len(order):
            raise UserError(
                f'no token was found in the split "{self.split}"',
                where="codec:subwords",
                why="its texts are empty, or hold nothing but spaces",
                cure="data with text in it",
            )
        if made.get_vocab_size() > self.vocabulary:
            raise UserError(
                f"the tokenizer needs {made.get_vocab_size()} tokens, {self.vocabulary} are allowed",
                where="codec:subwords, setting vocabulary",
                why="single characters come first, and the texts hold more different ones",
                cure=f"vocabulary={made.get_vocab_size()} or more, or model=bpe, which needs {BYTES} for any text",
            )
        made.post_processor = _post_processor(self.model)
        self.tokenizer = made

    def _trained(self, texts: Callable[[], Iterator[str]], order: list[AddedToken]) -> Tokenizer:
        if self.model == "wordpiece":
            return train_wordpiece(
                lambda: _untrained(self.model, self.lowercase), texts, self.vocabulary, order
            )
        made = _untrained(self.model, self.lowercase)
        made.train_from_iterator(texts(), _trainer(self.model, self.vocabulary, order))
        return made


class Loaded(TextCodec):
    """A tokenizer that exists already: `tokenizer.json`, a folder with one, or with a BERT `vocab.txt`.

    `add` names tokens to add to it; those that it has stay as they are.
    """

    def __init__(
        self,
        path: Path,
        cure: str = "a folder that transformers saved, with its tokenizer",
        add: Sequence[str] = (),
    ) -> None:
        made, folder = find_tokenizer(path, cure)
        _add(made, add)
        self.added = tuple(add)
        super().__init__(_rows(made))
        self.tokenizer, self.specials = made, specials_of(made, folder)

    def fit(self, data: Dataset, step: Step) -> None:
        """Nothing is trained. Like a trained one it is kept with the run, which then needs `path` for its size only."""


def _add(tokenizer: Tokenizer, names: Sequence[str]) -> None:
    """Give the tokenizer tokens, in this order. [MASK] and the like stand for no text; others are text."""
    roles = {name for usual in NAMES.values() for name in usual}
    for name in names:
        if not name.strip():
            raise UserError("a token to add is empty", where="add_tokens", cure="leave it out")
        if tokenizer.token_to_id(name) is None:
            tokenizer.add_special_tokens([name]) if name in roles else tokenizer.add_tokens([name])


def _rows(tokenizer: Tokenizer) -> int:
    """Rows that a table needs: one more than the highest id, for ids may have gaps."""
    return max(tokenizer.get_vocab(with_added_tokens=True).values(), default=-1) + 1


def texts_of(data: Dataset, split: str, step: Step) -> Iterator[str]:
    """Every text of a split, whatever field it is in."""
    if split not in data.splits():
        raise UserError(
            f'the data has no split "{split}" to train a tokenizer on',
            where="codec:subwords, setting split",
            cure=f"one of {', '.join(data.splits())}",
        )
    for item in items_of(data, split, step):
        yield from (item[name] for name in ("text", "other", "summary", "query", "document") if name in item)


def _untrained(model: Model, lowercase: bool) -> Tokenizer:
    if model == "bpe":
        # Bytes: any text comes back as it was, and no token is unknown.
        made = Tokenizer(models.BPE())
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        made.decoder = decoders.ByteLevel()
        made.normalizer = normalizers.Lowercase() if lowercase else None
        return made
    made = Tokenizer(
        models.WordPiece(unk_token=UNK) if model == "wordpiece" else models.WordLevel(unk_token=UNK)
    )
    made.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.decoder = decoders.WordPiece()
    return made


def _trainer(model: Model, vocabulary: int, order: list[AddedToken]) -> Any:
    settings: dict[str, Any] = {
        "vocab_size": vocabulary,
        "special_tokens": order,
        "show_progress": False,
    }
    if model == "bpe":
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        return trainers.BpeTrainer(initial_alphabet=alphabet, min_frequency=2, **settings)
    return trainers.WordLevelTrainer(min_frequency=1, **settings)


def _post_processor(model: Model) -> Any:
    """[CLS] text [SEP], and [CLS] text [SEP] other [SEP] with the second part as segment 1."""
    frame = processors.TemplateProcessing(
        single=f"{CLS} $A {SEP}",
        pair=f"{CLS} $A {SEP} $B:1 {SEP}:1",
        special_tokens=[(CLS, 2), (SEP, 3)],
    )
    # Offsets without the space that byte-level tokens begin with.
    return processors.Sequence([processors.ByteLevel(trim_offsets=True), frame]) if model == "bpe" else frame
