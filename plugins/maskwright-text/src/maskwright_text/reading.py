"""What `maskwright apply` hands to models of texts: a .txt file is a text a line."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from maskwright.cli.apply_verb import usual_items
from maskwright.errors import UserError


def read_texts(argument: str, *, blank: bool = False) -> Iterator[Mapping[str, Any]]:
    """Items of a .txt file, one for each line, in their order; anything else as everywhere.

    `blank`: lines without a text are items, too.
    """
    path = Path(argument)
    if path.suffix != ".txt" or not path.is_file():
        yield from usual_items(argument)
        return
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise UserError(
                "not UTF-8 text",
                where=f"{argument}, line {number}",
                why=f"byte {line[error.start]:#04x} at column {error.start + 1}",
                cure="convert the file to UTF-8",
            ) from None
        if blank or text.strip():
            yield {"id": f"{path.name}:{number}", "text": text}
