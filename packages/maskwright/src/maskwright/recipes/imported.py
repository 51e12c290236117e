"""recipe:imported: gives a part from elsewhere the shape of a run."""

from pathlib import Path
from typing import Any

from maskwright.errors import UserError
from maskwright.runs import Run


class ImportedRecipe:
    """Its state is put into the folder by `maskwright import`; running it again would have nothing to read."""

    def __init__(self, part: Any, source: Path, format: str) -> None:
        self.part, self.source, self.format = part, source, format

    def run(self, run: Run) -> None:
        if not run.has_part("part"):
            raise UserError(
                "an import is not run by itself",
                cure=f"maskwright import {self.source} --from {self.format} --out FOLDER",
            )
        run.load_part("part", self.part)
