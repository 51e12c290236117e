"""Settings of the evaluators. Imports nothing heavy."""

from typing import Any, Literal

from maskwright.params import params, setting, slot
from maskwright_vision.params_models import Mae, Vit

_SHOTS = "labels of each class to learn from, drawn by a hash of seed and id; 0: all"
_POOL = "own: the encoder's pooled vector; class: its class token; mean: the mean of its states"
_TEST = "items to judge at most, drawn by a hash of seed and id; 0: all"
_SPLIT = "split that is judged; choose settings on one that no result is taken from"
Pool = Literal["own", "class", "mean"]


def _pictures(make_data: Any) -> Any:
    """Tiny labelled pictures for the contract checks."""
    from maskwright_vision.example_pictures import CLASSES, shaded_pictures

    return make_data(shaded_pictures(), {"classes": list(CLASSES)})


def _best_encoder() -> Any:
    from maskwright_vision.example_pictures import SideOfTheLight

    return SideOfTheLight()


@params
class PaperProbe:
    """The probe as the MAE paper trains it: batch norm without weights, LARS, no decay; on vectors computed once."""

    epochs: int = setting(
        90, ge=1, help="walks through the training vectors; give more where there are few items"
    )
    batch: int = setting(
        256, ge=2, help="rows of a step; the rate is 0.1 for each 256 of them. The paper: 16384"
    )
    shots: int = setting(0, ge=0, help=_SHOTS)
    pool: Pool = setting("own", help=_POOL)
    max_test: int = setting(0, ge=0, help=_TEST)
    split: str = setting("test", help=_SPLIT)

    def build(self):
        from maskwright_vision.paper_probe import PaperProbe as Built

        return Built(self.epochs, self.batch, self.shots, self.pool, self.max_test, self.split)

    @classmethod
    def example(cls):
        return cls()

    @classmethod
    def example_case(cls, make_data):
        return cls(epochs=5, batch=4), Vit.example(), _pictures(make_data)

    @classmethod
    def perfect(cls, make_data):
        return _best_encoder(), _pictures(make_data), {"accuracy": 1.0, "macro_f1": 1.0}


@params
class Reconstruction:
    """How well hidden patches are predicted, in pixels, beside trivial predictions; and pictures of it."""

    ratio: Any = slot("schedule", optional=True, help="share to hide; none: as in training, at its end")
    split: str = setting("test", help="split whose pictures are filled in")
    most: int = setting(500, ge=0, help="items to judge at most, the first ones of the split; 0: all")
    pictures: int = setting(8, ge=1, help="items to draw, the first ones")

    def build(self):
        from maskwright_vision.reconstruction import Reconstruction as Built

        return Built(self.ratio, self.split, self.most, self.pictures)

    @classmethod
    def example(cls):
        return cls(pictures=2)

    @classmethod
    def example_case(cls, make_data):
        return cls(pictures=2), Mae.example(), _pictures(make_data)
