"""Words of a text with the characters they stand at: what taggers are given, and what tags are tied to.

Tags are aligned by these offsets alone, so no text is ever put together again from tokens.
"""

import re

VERSION = 1
"""Goes up when the same text would fall into other words: kept tags belong to the words they were made for."""

_WORD = re.compile(
    r"""
    <\w+>                            # <unk>
    | (?:[^\W\d_]\.){2,}              # U.S.
    | \d+(?:[.,:/]\d+)+               # 1,000.5  12:30
    | \w+?(?=n['’]t\b)                # did|n't
    | n['’]t\b
    | ['’](?:s|re|ve|ll|d|m)\b        # it|'s
    | \w[\w\u0300-\u036f]*          # a letter may have its accent as a character of its own
      (?:[-'’.&](?!(?:s|re|ve|ll|d|m|t)\b)\w[\w\u0300-\u036f]*)*   # well-known, o'clock
    | ([^\w\s])\1*                    # ... -- ?
    """,
    re.VERBOSE | re.IGNORECASE,
)
_SPACED = re.compile(r"\S+")


def word_offsets(text: str) -> list[tuple[int, int]]:
    """(start, end) of each word and each mark of punctuation, in their order; white space lies in none."""
    return [match.span() for match in _WORD.finditer(text)]


def spaced_words(text: str) -> list[tuple[int, int]]:
    """(start, end) of what stands between white space: the unit in which lengths of texts are given."""
    return [match.span() for match in _SPACED.finditer(text)]
