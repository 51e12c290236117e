"""The protein-signalling data of Sachs et al. (Science 308:523, 2005): experimental conditions as tasks.

The file has 11 proteins and 9 columns of 0/1 that say which reagents a cell got; cells with equal columns
form one condition. It is `sachs.2005...experimental...txt` of github.com/cmu-phil/example-causal-datasets
(CC0).
"""

from pathlib import Path

import numpy as np

from maskwright.errors import UserError
from maskwright_causal.readers import Table, read_tables

PROTEINS = ("raf", "mek", "plc", "pip2", "pip3", "erk", "akt", "pka", "pkc", "p38", "jnk")
REAGENTS = ("cd3_cd28", "icam2", "aktinhib", "g0076", "psitect", "u0126", "ly", "pma", "b2camp")
# The measured protein whose activity a reagent sets. The stimulations cd3_cd28 and icam2 set none of them, and ly
# acts on PI3K, which was not measured.
TARGETS = {
    "aktinhib": "akt",
    "g0076": "pkc",
    "psitect": "pip2",
    "u0126": "mek",
    "pma": "pkc",
    "b2camp": "pka",
}


def read_conditions(path: Path) -> tuple[list[Table], list[np.ndarray]]:
    """Tables of the conditions, largest reagent sets last, and bool (11,) which proteins were set in each."""
    file = _experimental_file(Path(path))
    whole = read_tables(file)[0]
    missing = [name for name in (*PROTEINS, *REAGENTS) if name not in whole.variables]
    if missing:
        raise UserError(
            f"{file.name} lacks the column{'s' if len(missing) > 1 else ''} {', '.join(missing)}",
            where=str(file),
            cure="use the file with 11 proteins and 9 columns of 0/1 for the reagents",
        )
    place = {name: index for index, name in enumerate(whole.variables)}
    given = whole.samples[:, [place[name] for name in REAGENTS]]
    if not np.isin(given, (0, 1)).all():
        row = int(np.argwhere(~np.isin(given, (0, 1)))[0][0])
        raise UserError("a reagent column holds something else than 0 or 1", where=f"{file}, line {row + 2}")
    proteins = whole.samples[:, [place[name] for name in PROTEINS]]
    tables, intervened = [], []
    # Conditions in the order of their first cell.
    combinations, first, member = np.unique(given, axis=0, return_index=True, return_inverse=True)
    for number in np.argsort(first):
        reagents = [name for name, on in zip(REAGENTS, combinations[number], strict=True) if on]
        tables.append(Table("+".join(reagents) or "none", proteins[member.ravel() == number], PROTEINS))
        hit = {TARGETS[name] for name in reagents if name in TARGETS}
        intervened.append(np.array([protein in hit for protein in PROTEINS]))
    return tables, intervened


def _experimental_file(path: Path) -> Path:
    if not path.is_dir():
        return path
    found = sorted(path.glob("*experimental*.txt"))
    if len(found) != 1:
        raise UserError(
            f"{len(found)} files in {path} have 'experimental' in their name",
            where="setting path",
            cure="give the path of the experimental file itself",
        )
    return found[0]
