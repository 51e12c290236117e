"""Settings of the table data sets. Imports neither numpy nor scikit-learn."""

from typing import Literal

from maskwright.params import params, setting

_SCALE_HELP = (
    "within: centred per class, divided by the pooled within-class deviation of train; raw: as measured"
)


@params
class WineByClass:
    """Three wine cultivars, 178 rows, 13 chemical measurements: three tables. No true graph is known."""

    scale: Literal["within", "raw"] = setting("within", help=_SCALE_HELP)

    def build(self):
        from maskwright_samples.tables import ClassTables

        return ClassTables("wine-by-class", self.scale)

    @classmethod
    def example(cls):
        return cls()


@params
class IrisBySpecies:
    """Three iris species, 150 rows, 4 lengths: three tables. No true graph is known."""

    scale: Literal["within", "raw"] = setting("within", help=_SCALE_HELP)

    def build(self):
        from maskwright_samples.tables import ClassTables

        return ClassTables("iris-by-species", self.scale)

    @classmethod
    def example(cls):
        return cls()
