"""Plain text for people: aligned tables and wrapped paragraphs."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from maskwright.values import format_cell


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] | None = None, indent: str = "  ") -> str:
    """Rows under their column names; numbers to the right, four significant digits."""
    columns = list(columns or dict.fromkeys(key for row in rows for key in row))
    cells = [[format_cell(row.get(column)) for column in columns] for row in rows]
    numeric = [all(isinstance(row.get(column), int | float | None) for row in rows) for column in columns]
    widths = [max(len(column), *(len(line[i]) for line in cells), 0) for i, column in enumerate(columns)]
    lines = []
    for line in [list(columns), *cells]:
        padded = [
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(line, widths, numeric, strict=True)
        ]
        lines.append(indent + "  ".join(padded).rstrip())
    return "\n".join(lines)


def wrap(text: str, indent: str = "  ", width: int = 110) -> str:
    return textwrap.fill(" ".join(text.split()), width, initial_indent=indent, subsequent_indent=indent)
