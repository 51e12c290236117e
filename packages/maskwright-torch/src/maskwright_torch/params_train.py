"""Settings of recipe:train. Imports nothing heavy."""

from pathlib import Path
from typing import Any, Literal

from maskwright.params import params, setting, slot


@params
class Train:
    """Train an objective on data, with evaluators on the way and at the end."""

    data: Any = slot("dataset", help="raw items; the train split is trained on")
    objective: Any = slot(
        "objective", needs={"torch"}, help="what is learned, with encoder and masker inside"
    )
    evaluators: Any = slot(
        "evaluator", many=True, default=[], help="what to find out, on the way and at the end"
    )
    split: str = setting("train", help="split of the data that is trained on")

    steps: int | None = setting(None, ge=0, help="optimiser steps; give steps or epochs. 0 trains nothing")
    epochs: float | None = setting(None, ge=0, help="walks through the data; give steps or epochs")
    batch: int = setting(64, ge=1, help="rows that one step sees, over all ranks and pieces")
    accumulate: int = setting(1, ge=1, help="pieces that a batch is worked on in, to save memory")
    optimiser: Literal["adamw", "sgd", "lars"] = setting("adamw", help="what turns gradients into steps")
    lr: float = setting(1e-3, gt=0, help="highest learning rate")
    lr_batch: int = setting(
        0, ge=0, help="rows that lr is meant for: lr * batch / lr_batch (MAE: 256); 0: lr as it is"
    )
    lr_shape: Any = slot(
        "schedule",
        default={"use": "cosine", "start": 1.0, "end": 0.0},
        refuses={"per-row"},
        help="factor on lr after the warm-up, over the rest of the run",
    )
    warmup: float = setting(0.05, ge=0, le=1, help="share of the run in which lr rises from 0")
    betas: tuple[float, float] = setting((0.9, 0.95), ge=0, lt=1, help="AdamW's running means")
    momentum: float = setting(0.9, ge=0, lt=1, help="of sgd and lars")
    decay: float = setting(0.05, ge=0, help="weight decay; biases and norms are left alone")
    clip: float = setting(0.0, ge=0, help="largest norm of the gradient; 0 clips nothing")

    checkpoint_every: int = setting(500, ge=1, help="steps between two checkpoints")
    keep: int = setting(3, ge=1, help="newest checkpoints that stay")
    best: str = setting("", help='"EVALUATOR/METRIC" whose best checkpoint stays too')
    keep_frozen: bool = setting(False, help="put frozen parts into checkpoints too")
    evaluate_every: int = setting(0, ge=0, help="steps between two evaluations; 0: at the end only")
    log_every: int = setting(20, ge=1, help="steps whose mean makes one line of metrics")

    workers: int = setting(0, ge=0, help="processes that read and prepare items; 0: this one")
    device: str = setting("auto", help="auto, cpu, cuda, cuda:1 …")
    precision: Literal["fp32", "bf16", "fp64"] = setting(
        "fp32", help="bf16: autocast; fp64: to check numbers"
    )
    parallel: Literal["reduce", "ddp"] = setting(
        "reduce", help="under torchrun: one sum of all gradients, or torch's overlapping wrapper"
    )
    deterministic: bool = setting(False, help="only algorithms that repeat their bits on a GPU")
    compile: bool = setting(False, help="torch.compile the encoders; needs a C++ compiler on a CPU")

    default_pipeline = ""

    def check(self):
        if (self.steps is None) == (self.epochs is None):
            yield "steps", "give steps or epochs, one of the two"
        if self.accumulate > self.batch:
            yield "accumulate", f"{self.accumulate} pieces of a batch of {self.batch} rows would be empty"
        if self.best and "/" not in self.best:
            yield "best", f'is EVALUATOR/METRIC, such as "probe/accuracy"; found "{self.best}"'

    def check_parts(self, tags):
        if self.accumulate > 1 and "whole-batch" in tags.get("objective", ()):
            yield "accumulate", "this objective compares the rows of a batch with each other: accumulate = 1"
        if self.parallel == "ddp" and "partial-gradient" in tags.get("objective", ()):
            yield "parallel", 'ddp waits for gradients that this objective may not have: parallel = "reduce"'

    def build(self):
        from maskwright_torch.train import TrainRecipe

        return TrainRecipe(self)

    @staticmethod
    def restore_part(run: Path, path: str, at: str, part: Any) -> None:
        """Give a part of the objective the weights it had at a checkpoint."""
        from maskwright_torch.train import restore_part

        restore_part(run, path, at, part)
