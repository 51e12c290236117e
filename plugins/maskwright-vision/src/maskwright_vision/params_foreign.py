"""Settings of encoders whose weights another program wrote. Imports nothing heavy."""

from pathlib import Path
from typing import Literal

import attrs

from maskwright.errors import UserError
from maskwright.params import params, setting
from maskwright_vision.params_models import SHAPE_HELP, Vit
from maskwright_vision.transformers_config import read_folder


@params
class HfVit:
    """A ViT from a folder that transformers wrote; needs no transformers."""

    path: Path = setting(help="folder with config.json and model.safetensors")
    image: int | list[int] | None = setting(
        None, ge=1, help="another side, or [height, width], of pictures: the table of positions is resampled"
    )
    pool: Literal["class", "mean"] = setting(
        "class", help="the pooled vector: class token, or mean of the patches"
    )
    final_norm: bool = setting(True, help="norm after the last block; fine-tuning on the mean drops it")
    drop_path: float = setting(
        0.0, ge=0, lt=1, help="share of branches left out in the last block; less before"
    )
    mean: list[float] | None = setting(
        None, help="pixel mean for each channel; none: as preprocessor_config.json"
    )
    std: list[float] | None = setting(None, gt=0, help="pixel deviation; none: as preprocessor_config.json")
    fit: Literal["crop", "stretch", "pad"] | None = setting(
        None, help="how a picture of another shape is made to fit; none: as preprocessor_config.json"
    )
    shape: list[list[int]] = setting([], ge=0, help=SHAPE_HELP)

    model_type = "vit"

    def check(self):
        try:
            vit = self._vit()
        except UserError as error:
            yield (
                "path",
                f"{error.what}: {error.why}\n{error.cure}" if error.why else f"{error.what}\n{error.cure}",
            )
            return
        except ValueError as error:
            yield "path", str(error)
            return
        for name, message in vit.check():
            yield name if getattr(self, name, None) is not None else "path", message

    def _vit(self) -> Vit:
        """The settings of encoder:vit that the folder and this component together give."""
        names = ("image", "pool", "final_norm", "drop_path", "mean", "std", "fit", "shape")
        own = {name: value for name in names if (value := getattr(self, name)) is not None}
        return Vit(**read_folder(self.path, self.model_type).encoder | own)

    def build(self):
        from maskwright_vision.importing import encoder_of_folder

        whole = encoder_of_folder(self.path, self.model_type, attrs.evolve(self._vit(), shape=[]))
        return whole.with_shape(self.shape) if self.shape else whole

    @classmethod
    def exports(cls):
        return Vit.exports()

    @classmethod
    def example(cls, folder):
        from maskwright_vision.exporting import to_transformers

        to_transformers(Vit.example().build(), folder / "vit")
        return cls(path=folder / "vit")

    @classmethod
    def example_data(cls, make_data):
        return Vit.example_data(make_data)


@params
class HfVitMae(HfVit):
    """The encoder of a ViTMAE from a folder that transformers wrote; its decoder stays there."""

    model_type = "vit_mae"

    @classmethod
    def example(cls, folder):
        from maskwright_vision.exporting import to_transformers
        from maskwright_vision.params_models import Mae

        to_transformers(Mae.example().build(), folder / "mae")
        return cls(path=folder / "mae")
