"""Read text that people made: UTF-8, and one clear message when it is not."""

import csv
import io
from pathlib import Path

from maskwright.errors import UserError


def text_of(path: Path) -> str:
    """The content of a UTF-8 file, without a byte order mark."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path.name} is not UTF-8 text (byte {error.start})", where=str(path), cure="save it as UTF-8"
        ) from None
    except OSError as error:
        raise UserError(
            f"{path.name} cannot be read: {error.strerror}", where=str(path), cure="check the path and rights"
        ) from None


def cells_of(text: str, delimiter: str, path: Path) -> list[list[str]]:
    """Rows of cells, blanks around them removed."""
    try:
        rows = list(csv.reader(io.StringIO(text), delimiter=delimiter))
    except csv.Error as error:
        raise UserError(
            f"{path.name} is no table: {error}", where=str(path), cure="check quotes and separators"
        ) from None
    return [[cell.strip() for cell in row] for row in rows]
