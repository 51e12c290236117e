"""Tokens that are new to a model: added to its tokenizer by name, and rows of its table for them.

A new row begins as the mean of the others: an average token, until training tells it apart.
"""

import torch
from torch import Tensor

from maskwright.errors import UserError
from maskwright_text.codecs import Loaded

_LISTED = 5


def rows_with(codec: Loaded, rows: int, new_rows: bool, where: str) -> int:
    """Rows that a table of `rows` has to have for the codec.

    UserError where it has tokens without a row that it was not asked to add, and nobody asked for rows for them.
    """
    names = {number: name for name, number in codec.tokenizer.get_vocab().items()}
    lacking = [
        names[number] for number in sorted(names) if number >= rows and names[number] not in codec.added
    ]
    if lacking and not new_rows:
        more = f" and {len(lacking) - _LISTED} more" if len(lacking) > _LISTED else ""
        raise UserError(
            f"the tokenizer in {where} has {codec.vocabulary} tokens, the model only {rows}",
            where=where,
            why=f"a token without a row in the table could not be read: {', '.join(lacking[:_LISTED])}{more}",
            cure="the tokenizer that the model was trained with; or new_rows=true, which gives them rows to be trained",
        )
    return max(rows, codec.vocabulary)


def grown(values: Tensor, rows: int) -> Tensor:
    """(V, …) -> (rows, …): with further rows, each the mean of those there are."""
    more = values.mean(dim=0, keepdim=True).expand(rows - len(values), *values.shape[1:])
    return torch.cat([values, more])
