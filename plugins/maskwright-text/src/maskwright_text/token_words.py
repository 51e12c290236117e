"""Which word each token belongs to, for whatever hides words whole.

A tokenizer says what it cut before it made pieces. That is a word where a script has spaces and the tokenizer cuts at
them. Of Chinese, Japanese or Thai it is a whole clause, and without any such cut the whole text. Such a "word" would
never fit into what may be hidden, so that of these texts nothing but marks would be hidden.
"""

import sys
import unicodedata

import numpy as np
from tokenizers import Encoding

NO_WORD = -1


def _table(*ranges: tuple[int, int]) -> np.ndarray:
    """bool: for each code point whether it lies in one of the ranges, whose second number is the first beyond."""
    found = np.zeros(sys.maxunicode + 1, bool)
    for first, beyond in ranges:
        found[first:beyond] = True
    return found


_SPACE = _table(
    (9, 14), (28, 33), (0x85, 0x86), (0xA0, 0xA1), (0x1680, 0x1681), (0x2000, 0x200B), (0x2028, 0x202A),
    (0x202F, 0x2030), (0x205F, 0x2060), (0x3000, 0x3001),
)  # fmt: skip
"""What str.isspace() is true of."""

_UNSPACED = _table(
    (0x0E00, 0x10A0),  # Thai, Lao, Tibetan, Burmese
    (0x1780, 0x1800), (0x1950, 0x1AB0), (0x1B00, 0x1B80),  # Khmer, Tai scripts, Balinese
    (0x2E80, 0x3000), (0x3005, 0x3008), (0x3021, 0x3030), (0x3031, 0x30FB), (0x30FC, 0x3130),  # radicals, kana
    (0x31A0, 0x3200), (0x3400, 0x4DC0), (0x4E00, 0xA000),  # Chinese characters
    (0xA980, 0xAA00), (0xAA60, 0xAAE0), (0xF900, 0xFB00), (0xFF66, 0xFFA0),  # Javanese, Tai Viet, narrow kana
    (0x1B000, 0x1B170), (0x20000, 0x32000),  # rarer kana and Chinese characters
)  # fmt: skip
"""Scripts written without spaces."""


def words_of_tokens(encoding: Encoding, *texts: str) -> np.ndarray:
    """int64 (T,): numbers that rise by one at each new word of the text, or of both texts; -1 for special tokens.

    A new word begins where the tokenizer says so, after white space, and at each token in a script without spaces.
    """
    words = np.array([NO_WORD if word is None else word for word in encoding.word_ids], np.int64)
    # The words of the second text are counted from 0 again.
    sides = np.array([NO_WORD if side is None else side for side in encoding.sequence_ids], np.int64)
    inside = words >= 0
    changed = np.ones(len(words), bool)
    changed[1:] = (words[1:] != words[:-1]) | (sides[1:] != sides[:-1])
    offsets = np.array(encoding.offsets, np.int64).reshape(-1, 2)
    for side, text in enumerate(texts):
        (places,) = (inside & (sides == side)).nonzero()
        changed[places[1:]] |= _begins_word(text, offsets[places])
    return np.where(inside, np.cumsum(changed & inside) - 1, NO_WORD)


def _begins_word(text: str, offsets: np.ndarray) -> np.ndarray:
    """bool (T - 1,): whether a word begins at each token of a text but the first, whose word began before it."""
    codes = np.frombuffer(f"|{text}|".encode("utf-32-le", "surrogatepass"), np.uint32)  # letter k is at k + 1
    space = _SPACE[codes]
    spaces = np.concatenate([[0], np.cumsum(space)])
    starts, ends = offsets.T
    first, before, gap = starts[1:] + 1, ends[:-1], starts[1:]
    # A token that is only a space belongs to the letters after it; a letter of several bytes may be several tokens.
    solid = ends - starts > spaces[ends + 1] - spaces[starts + 1]
    may = solid[:-1] & (starts[1:] >= ends[:-1])
    begins = space[first] | space[gap]
    if not text.isascii():
        unspaced = _UNSPACED[codes]
        begins |= (unspaced[first] | unspaced[before]) & ~_is_mark(codes[first])
    return may & begins


def _is_mark(codes: np.ndarray) -> np.ndarray:
    """bool: accents, vowel and tone signs that stand on another letter."""
    kinds, place = np.unique(codes, return_inverse=True)
    marks = [unicodedata.category(chr(code)).startswith("M") for code in kinds.tolist()]
    return np.array(marks, bool)[place]
