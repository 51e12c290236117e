"""Units of text for tests of maskers."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from maskwright_torch.contracts import Units
from maskwright_torch.noise import uniform

SPECIAL = -1


def units_of(words: Sequence[Sequence[int]], **features: Tensor) -> Units:
    """Rows of word numbers, SPECIAL for special tokens and padding."""
    word = torch.tensor(words)
    count = word.shape[1]
    given: Mapping[str, Tensor] = {"word": word, **features}
    return Units(word != SPECIAL, (count,), torch.arange(count), torch.arange(len(word)), given)


def same_rows(row: Sequence[int], rows: int, **features: Sequence[int]) -> Units:
    """One text many times: what differs between the rows was drawn."""
    word = torch.tensor(row).expand(rows, -1)
    given = {name: torch.tensor(values).expand(rows, -1) for name, values in features.items()}
    place = torch.arange(len(row))
    return Units(word != SPECIAL, (len(row),), place, torch.arange(rows), {"word": word, **given})


def texts(rows: int = 40, length: int = 48, padding: int = 0) -> Units:
    """Words of one to some tokens; a special token at both ends and within, padding of another length in each row.

    `padding` further columns change nothing else. One row has special tokens only.
    """
    identities = torch.arange(rows) * 7 + 3
    place = torch.arange(length + padding)
    end = (uniform(1, identities, 1)[:, 0] * (length - 2)).long()[:, None] + 2
    valid = (place > 0) & (place < end) & (place != length // 3)
    valid[rows // 2] = False
    starts = uniform(2, identities, length + padding) < 0.55
    starts[:, 1] = True
    starts[:, 1:] |= ~valid[:, :-1]
    word = ((starts & valid).cumsum(dim=1) - 1).masked_fill(~valid, SPECIAL)
    tag = (uniform(3, identities, length + padding) * 17).long()
    tag = tag.gather(1, word.clamp(min=0)).masked_fill(~valid, SPECIAL)
    tokens = (uniform(4, identities, length + padding) * 30).long()
    features = {"word": word, "tag": tag, "tokens": tokens, "real": valid | (place == 0) | (place == end)}
    return Units(valid, (length + padding,), place, identities, features)


def ratio(value: float, units: Units) -> Tensor:
    return torch.full((len(units.rows),), value, dtype=torch.float64)


def chi_square(counts: Tensor, shares: Tensor) -> float:
    """Of counts against the shares they should have."""
    expected = shares * counts.sum()
    return float(((counts - expected) ** 2 / expected).sum())


def words_in(units: Units, row: int) -> list[list[int]]:
    """Places of the tokens of each word, read one after the other."""
    found: list[list[int]] = []
    last = SPECIAL
    for place, word in enumerate(units.features["word"][row].tolist()):
        if not bool(units.valid[row, place]):
            word = SPECIAL
        elif word == last:
            found[-1].append(place)
        else:
            found.append([place])
        last = word
    return found
