"""Settings of the objective and the pipeline that classify. Imports nothing heavy."""

from typing import Any

from maskwright.params import params, setting, slot


def _items(make_data: Any) -> Any:
    """Tiny labelled items for the contract checks."""
    from maskwright_torch.example_parts import example_items

    return make_data(example_items())


@params
class Classify:
    """Fine-tune an encoder on labels: all of it, its last blocks, or a linear map on top of it."""

    encoder: Any = slot(
        "encoder",
        needs={"torch", "pooled"},
        help='what is fine-tuned; a trained ViT: from-run with set = { pool = "mean", final_norm = false }',
    )
    classes: int = setting(ge=2, help="number of classes; labels run from 0")
    norm: bool = setting(True, help="a new norm on the pooled vector, in place of the encoder's final one")
    head_std: float = setting(
        2e-5, gt=0, help="deviation of the head's first weights; 0.01 for a linear probe"
    )
    label_smoothing: float = setting(0.0, ge=0, lt=1, help="share of the target spread over all classes")
    mixup: float = setting(
        0.0, ge=0, help="of pictures: blend two; own share from Beta(mixup, mixup); MAE: 0.8"
    )
    cutmix: float = setting(
        0.0, ge=0, help="of pictures: paste a rectangle; area from Beta(cutmix, cutmix); MAE: 1.0"
    )
    mix_probability: float = setting(1.0, ge=0, le=1, help="share of the batches that are mixed at all")
    layer_decay: float = setting(
        1.0,
        gt=0,
        le=1,
        help="factor on the learning rate from each layer to the one below; MAE: 0.65 to 0.75",
    )
    trained_blocks: int = setting(-1, ge=-1, help="last blocks that are trained; -1: all, 0: the head alone")

    default_pipeline = "label"

    def tags(self):
        return {"whole-batch"} if self.mix_probability and (self.mixup or self.cutmix) else set()

    def check(self):
        if self.trained_blocks == 0 and self.layer_decay != 1.0:
            yield "layer_decay", "the head alone is trained (trained_blocks = 0): layer_decay = 1"

    def build(self, seed: int):
        from maskwright_torch.classify import Classify as Built
        from maskwright_torch.mixing import Mixing
        from maskwright_torch.part import seeded

        names = "classes norm head_std label_smoothing layer_decay trained_blocks"
        settings = {name: getattr(self, name) for name in names.split()}
        settings["mixing"] = Mixing(self.mixup, self.cutmix, self.mix_probability)
        return seeded(seed, lambda: Built(self.encoder, **settings))

    @classmethod
    def example(cls):
        from maskwright_torch.example_parts import example_encoder

        return cls(encoder=example_encoder(), classes=2)

    @classmethod
    def example_data(cls, make_data):
        return _items(make_data)


@params
class Label:
    """The most likely class of each item, and how likely the model takes it to be."""

    objective: Any = slot("objective", needs={"torch", "classifies"}, help="what was fine-tuned")
    batch: int = setting(64, ge=1, help="items at a time")

    def build(self):
        from maskwright_torch.classify import Labeller as Built

        return Built(self.objective, self.batch)

    @classmethod
    def example(cls):
        return cls(objective=Classify.example(), batch=4)

    @classmethod
    def example_data(cls, make_data):
        return _items(make_data)


@params
class Accuracy:
    """How often a fine-tuned model names the right class."""

    max_test: int = setting(0, ge=0, help="test items to judge at most, drawn by a hash of their ids; 0: all")

    def build(self):
        from maskwright_torch.accuracy import Accuracy as Built

        return Built(self.max_test)

    @classmethod
    def example(cls):
        return cls()

    @classmethod
    def example_case(cls, make_data):
        return cls(), Classify.example(), _items(make_data)
