"""WordPiece trained to the same vocabulary in every process.

The trainer of `tokenizers` numbers the letters that go on within a word (##a) in the order of a hash table, which is
another one in each process, and it breaks ties between equally frequent pairs by these numbers. Here they are handed to
it in order before it begins.
"""

from collections.abc import Callable, Iterable

from tokenizers import AddedToken, Tokenizer, models, trainers

GOES_ON = "##"
"""Begins a piece that does not begin a word."""
FEWEST = 2
"""Occurrences of a pair that is joined."""


def train_wordpiece(
    make: Callable[[], Tokenizer],
    texts: Callable[[], Iterable[str]],
    vocabulary: int,
    specials: list[AddedToken],
) -> Tokenizer:
    """`make` gives an untrained tokenizer; `texts`, which are read twice, what it is trained on."""
    training = make()
    # As special tokens they get the first numbers. Only in training: a text may hold ##a, which is no piece there.
    first = [*specials, *(AddedToken(piece, special=True) for piece in inner_letters(training, texts()))]
    training.train_from_iterator(
        texts(),
        trainers.WordPieceTrainer(
            vocab_size=vocabulary, special_tokens=first, show_progress=False, min_frequency=FEWEST
        ),
    )
    made = make()
    made.model = models.WordPiece(vocab=training.get_vocab(), unk_token=made.model.unk_token)
    made.add_special_tokens(specials)
    return made


def inner_letters(tokenizer: Tokenizer, texts: Iterable[str]) -> list[str]:
    """Every letter that goes on within a word of the texts, as a piece, in order."""
    found: set[str] = set()
    for text in texts:
        words = tokenizer.pre_tokenizer.pre_tokenize_str(tokenizer.normalizer.normalize_str(text))
        found.update(*(word[1:] for word, _ in words))
    return [f"{GOES_ON}{letter}" for letter in sorted(found)]
