"""Columns of records (JSON objects, CSV rows, Arrow rows) as fields of items: which, and what they must hold."""

from collections.abc import Mapping, Sequence
from typing import Any

from maskwright.errors import UserError, did_you_mean

LISTS = ("aliases", "options")
"""Fields that stay a list of texts; in all others a list is a text in pieces."""

MISSING = object()


class EmptyEntry(UserError):
    """An entry without text, which may be left out on request."""


class Columns:
    """`fields` maps our names to those of the columns; `target.0` is the first entry of the list `target`."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        self.fields = dict(fields)
        self._first: dict[str, tuple[str, str]] = {}  # column -> (kind, where) of the first record

    def pick(self, record: Mapping[str, Any], where: str) -> dict[str, Any]:
        """The fields of a record; the label as a word. UserError where one is missing, empty or no text."""
        return {ours: self._value(ours, theirs, record, where) for ours, theirs in self.fields.items()}

    def check_kinds(self, record: Mapping[str, Any], where: str) -> None:
        """UserError where a column holds a text in one record and a list in another."""
        for ours, theirs in self.fields.items():
            value = find(record, theirs)
            kind = "list" if isinstance(value, list | tuple) else "text"
            first, place = self._first.setdefault(theirs, (kind, where))
            if first != kind and ours != "label":
                raise UserError(
                    f'"{theirs}" is a {kind} here and a {first} before',
                    where=where,
                    why=f"in {place} it is a {first}",
                    cure="write all of them as texts, or all of them as lists of pieces",
                )

    def _value(self, ours: str, theirs: str, record: Mapping[str, Any], where: str) -> Any:
        value = find(record, theirs)
        if value is MISSING or value is None:
            raise self._missing(ours, theirs, record, where, value)
        if ours == "label":
            return self._label(theirs, value, where)
        if ours in LISTS:
            return self._texts(theirs, value, where)
        if isinstance(value, list | tuple):
            value = join_pieces(self._texts(theirs, value, where))
        elif ours != "text" and isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str):
            raise UserError(
                f'"{theirs}" is no text',
                where=where,
                why=f"it is {_short(value)}",
                cure=f"a text, or a list of its pieces; or name another column, fields.{ours}=COLUMN",
            )
        value = value.strip()
        if not value:
            raise EmptyEntry(
                f'"{theirs}" is empty',
                where=where,
                why=f"it is to be the {ours}",
                cure='fill it in or remove the line; empty = "skip" leaves such lines out and counts them',
            )
        return value

    def _missing(
        self, ours: str, theirs: str, record: Mapping[str, Any], where: str, value: Any
    ) -> UserError:
        names = [str(name) for name in record]
        what = f'there is no "{theirs}"' if value is MISSING else f'"{theirs}" is null'
        return UserError(
            what + (did_you_mean(theirs, names) if value is MISSING else ""),
            where=where,
            why=f"it is to be the {ours}; here are {', '.join(names)[:120] or 'no entries'}",
            cure=f"every line needs it; or name another column, fields.{ours}=COLUMN",
        )

    def _label(self, theirs: str, value: Any, where: str) -> str:
        word = str(value).strip().lower() if isinstance(value, bool) else str(value).strip()
        if not isinstance(value, str | int) or not word:
            raise UserError(
                f'"{theirs}" is no class',
                where=where,
                why=f"it is {_short(value)}, neither a word nor a whole number",
                cure="name the class; or leave fields.label out",
            )
        return word

    def _texts(self, theirs: str, value: Any, where: str) -> list[str]:
        if not isinstance(value, list | tuple) or not all(isinstance(entry, str) for entry in value):
            raise UserError(
                f'"{theirs}" is no list of texts',
                where=where,
                why=f"it is {_short(value)}",
                cure="a list in which every entry is a text; token ids are not raw text",
            )
        return list(value)


def find(record: Mapping[str, Any], path: str) -> Any:
    """What stands at `path`: a column of that name, or else `column.key.0`, from table to list; MISSING if nothing."""
    if path in record:
        return record[path]
    value: Any = record
    for key in path.split("."):
        if isinstance(value, Mapping) and key in value:
            value = value[key]
        elif isinstance(value, list | tuple) and key.isdecimal() and int(key) < len(value):
            value = value[int(key)]
        else:
            return MISSING
    return value


def join_pieces(pieces: Sequence[str]) -> str:
    """Sentences, words or word pieces as one text: spaces between them, and "##" joins a piece to the one before.

    >>> join_pieces(["un", "##like", "##ly", "so"])
    'unlikely so'
    """
    text = ""
    for piece in pieces:
        if piece.startswith("##") and len(piece) > 2 and text:
            text += piece[2:]
        else:
            text += f" {piece}" if text else piece
    return text


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
