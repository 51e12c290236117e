"""Settings of the evaluators of encoders. Imports nothing heavy."""

from typing import Any, Literal

from maskwright.params import params, setting

_SHOTS = "labels of each class to learn from, drawn by a hash of seed and id; 0: all"
_POOL = "own: the encoder's pooled vector; class: its class token; mean: the mean of its states"
_TEST = "items to judge at most, drawn by a hash of seed and id; 0: all"
_SPLIT = "split that is judged; choose settings on one that no result is taken from"
Pool = Literal["own", "class", "mean"]


def _case(make_data: Any) -> tuple[Any, Any]:
    """An encoder and tiny labelled items for the contract checks."""
    from maskwright_torch.example_parts import CLASSES, example_encoder, example_items

    return example_encoder(), make_data(example_items(), {"classes": list(CLASSES)})


def _best_case(make_data: Any) -> tuple[Any, Any, dict[str, float]]:
    """An encoder that cannot be beaten on these items, and what it must reach."""
    from maskwright_torch.example_parts import HeavierHalf

    return HeavierHalf(), _case(make_data)[1], {"accuracy": 1.0, "macro_f1": 1.0}


@params
class LinearProbe:
    """Logistic regression on frozen vectors, beside raw input, the untrained encoder and the majority."""

    c: float = setting(1.0, gt=0, help="inverse strength of the L2 penalty, on vectors of unit spread")
    shots: int = setting(0, ge=0, help=_SHOTS)
    pool: Pool = setting("own", help=_POOL)
    max_test: int = setting(0, ge=0, help=_TEST)
    split: str = setting("test", help=_SPLIT)

    def build(self):
        from maskwright_torch.linear_probe import LinearProbe as Built

        return Built(self.c, self.shots, self.pool, self.max_test, self.split)

    @classmethod
    def example(cls):
        return cls()

    @classmethod
    def example_case(cls, make_data):
        return cls(shots=3, max_test=4), *_case(make_data)

    @classmethod
    def perfect(cls, make_data):
        return _best_case(make_data)


@params
class Neighbours:
    """The labels of the nearest training vectors by cosine similarity: no training at all."""

    k: int = setting(1, ge=1, help="neighbours that vote")
    weights: Literal["equal", "similarity"] = setting(
        "equal", help="equal: one vote each; similarity: exp(cosine / 0.07)"
    )
    shots: int = setting(0, ge=0, help=_SHOTS)
    pool: Pool = setting("own", help=_POOL)
    max_test: int = setting(0, ge=0, help=_TEST)
    split: str = setting("test", help=_SPLIT)

    def build(self):
        from maskwright_torch.knn import Neighbours as Built

        return Built(self.k, self.weights, self.shots, self.pool, self.max_test, self.split)

    @classmethod
    def example(cls):
        return cls()

    @classmethod
    def example_case(cls, make_data):
        return cls(k=3), *_case(make_data)

    @classmethod
    def perfect(cls, make_data):
        return _best_case(make_data)


@params
class FineTune:
    """Fine-tune a copy of the encoder on few labels, beside the same network from scratch."""

    shots: int = setting(5, ge=0, help=_SHOTS)
    steps: int = setting(200, ge=1, help="optimiser steps of each arm")
    batch: int = setting(64, ge=1, help="rows of a step; all training items where there are fewer")
    lr: float = setting(1e-3, gt=0, help="highest learning rate")
    decay: float = setting(0.05, ge=0, help="weight decay; biases and norms are left alone")
    warmup: float = setting(0.1, ge=0, lt=1, help="share of the steps in which lr rises from 0")
    layer_decay: float = setting(
        1.0, gt=0, le=1, help="factor on lr from each layer to the one below; scratch always has 1"
    )
    trained_blocks: int = setting(-1, ge=-1, help="last blocks that are trained; -1: all, 0: the head alone")
    norm: bool = setting(True, help="a new norm on the pooled vector")
    head_std: float = setting(2e-5, gt=0, help="deviation of the head's first weights")
    max_test: int = setting(0, ge=0, help=_TEST)
    split: str = setting("test", help=_SPLIT)

    def build(self):
        from maskwright_torch.finetune import FineTune as Built
        from maskwright_torch.finetune import Training

        names = "steps batch lr decay warmup layer_decay norm head_std trained_blocks"
        training = Training(**{name: getattr(self, name) for name in names.split()})
        return Built(training, self.shots, self.max_test, self.split)

    @classmethod
    def example(cls):
        return cls(steps=3)

    @classmethod
    def example_case(cls, make_data):
        return cls(steps=3, shots=3), *_case(make_data)


@params
class FeatureRank:
    """How many directions an encoder's vectors really use: tells collapse, without labels."""

    split: str = setting("test", help="split whose items are encoded")
    most: int = setting(2000, ge=2, help="items to encode at most, the first ones of the split")
    pool: Pool = setting("own", help=_POOL)

    def build(self):
        from maskwright_torch.feature_rank import FeatureRank as Built

        return Built(self.split, self.most, self.pool)

    @classmethod
    def example(cls):
        return cls()

    @classmethod
    def example_case(cls, make_data):
        return cls(), *_case(make_data)
