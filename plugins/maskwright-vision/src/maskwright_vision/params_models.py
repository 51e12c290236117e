"""Settings of encoders, maskers and the MAE objective. Imports nothing heavy."""

from typing import Any, Literal

from maskwright.params import params, setting, slot


def _nearest(size: int, patch: int) -> str:
    """Valid sizes around one that is no multiple of the patch."""
    low = size // patch * patch
    return f"{low} or {low + patch}" if low else str(patch)


def _sides(image: int | list[int]) -> tuple[int, int]:
    return (image, image) if isinstance(image, int) else (image[0], image[-1])


_OUT, _IN = "maskwright_vision.exporting", "maskwright_vision.importing"
_EXPORTS = {
    "transformers": f"{_OUT}:to_transformers",
    "transformers-zero-filled": f"{_OUT}:to_transformers_zero_filled",
    "mae-official": f"{_OUT}:to_official",
}
SHAPE_HELP = "written by pruning: [heads, neurons] of each block; empty: all blocks alike"


@params
class Vit:
    """A vision transformer that hidden patches never enter (MAE's encoder)."""

    image: int | list[int] = setting(32, ge=1, help="side of the picture in pixels, or [height, width]")
    patch: int = setting(4, ge=1, help="side of a patch in pixels")
    channels: int = setting(1, ge=1, help="channels of the pictures")
    width: int = setting(96, ge=4, help="numbers in a state; a multiple of 4 and of heads")
    depth: int = setting(6, ge=1, help="transformer blocks")
    heads: int = setting(3, ge=1, help="attention heads")
    mlp_ratio: float = setting(4.0, gt=0, help="hidden width of the MLPs over width")
    drop_path: float = setting(
        0.0, ge=0, lt=1, help="share of branches left out in the last block; less before"
    )
    pool: Literal["class", "mean"] = setting(
        "class", help="the pooled vector: class token, or mean of the patches"
    )
    positions: Literal["sin-cos", "learned"] = setting("sin-cos", help="table of positions")
    final_norm: bool = setting(True, help="norm after the last block; fine-tuning on the mean drops it")
    qkv_bias: bool = setting(True, help="bias of queries, keys and values")
    eps: float = setting(1e-6, gt=0, help="epsilon of the norms")
    mean: list[float] | None = setting(
        None, help="pixel mean for each channel; none: ImageNet's for 3, else 0.5"
    )
    std: list[float] | None = setting(None, gt=0, help="pixel deviation; none: ImageNet's for 3, else 0.5")
    fit: Literal["crop", "stretch", "pad"] = setting(
        "crop", help="how a picture of another shape is made to fit"
    )
    shape: list[list[int]] = setting([], ge=0, help=SHAPE_HELP)

    def check(self):
        if isinstance(self.image, list) and len(self.image) != 2:
            yield "image", f"give one side, or [height, width]; found {self.image}"
            return
        for side in dict.fromkeys(_sides(self.image)):
            if side % self.patch:
                yield (
                    "image",
                    f"{side} is no multiple of the patch {self.patch}; near it: {_nearest(side, self.patch)}",
                )
        if self.width % self.heads:
            yield "width", f"{self.width} is no multiple of {self.heads} heads"
        if self.width % 4:
            yield "width", f"{self.width} is no multiple of 4, which the table of positions needs"
        for name in ("mean", "std"):
            values = getattr(self, name)
            if values is not None and len(values) != self.channels:
                yield name, f"needs one number for each of {self.channels} channels, found {len(values)}"
        from maskwright_torch.block_shapes import shape_mistake

        whole = [[self.heads, round(self.width * self.mlp_ratio)]] * self.depth
        if self.shape and (mistake := shape_mistake(self.shape, whole)):
            yield "shape", mistake

    hides = "drop"

    @classmethod
    def exports(cls):
        return {**_EXPORTS, "timm": f"{_OUT}:to_timm"}

    @classmethod
    def imports(cls):
        mae = {"transformers": f"{_IN}:from_transformers", "mae-official": f"{_IN}:from_official"}
        return mae | {"timm": f"{_IN}:from_timm"}

    @classmethod
    def recognises(cls, format, path):
        from maskwright_vision.transformers_config import is_vit

        return format != "transformers" or is_vit(path)

    def build(self, seed: int):
        from maskwright_torch.part import seeded
        from maskwright_vision.pictures import IMAGENET_MEAN, IMAGENET_STD, ImagePrepare
        from maskwright_vision.vit import VisionTransformer

        height, width = _sides(self.image)
        usual = self.channels == 3
        mean = self.mean or (IMAGENET_MEAN if usual else [0.5] * self.channels)
        std = self.std or (IMAGENET_STD if usual else [0.5] * self.channels)
        prepare = ImagePrepare(height, width, self.channels, tuple(mean), tuple(std), self.fit)
        names = "patch width depth heads mlp_ratio drop_path eps qkv_bias pool positions hides final_norm"
        settings = {name: getattr(self, name) for name in names.split()}
        made = seeded(seed, lambda: VisionTransformer(prepare, **settings))
        return made.with_shape(self.shape) if self.shape else made

    @classmethod
    def example(cls):
        return cls(image=8, patch=2, width=16, depth=2, heads=2)

    @classmethod
    def example_data(cls, make_data):
        from maskwright_vision.example_pictures import shaded_pictures

        return make_data(shaded_pictures())


@params
class VitFull(Vit):
    """The control: every patch enters the encoder, hidden ones as mask tokens."""

    hides = "replace"


@params
class PatchBlocks:
    """Rectangles of patches, as BEiT hides them; the count is exact."""

    smallest: int = setting(4, ge=1, help="patches of the smallest rectangle; fewer on tiny grids")
    aspect: float = setting(0.3, gt=0, le=1, help="most stretched rectangle, shorter over longer side")

    def build(self):
        from maskwright_vision.maskers import BlockMasker

        return BlockMasker(self.smallest, self.aspect)

    @classmethod
    def example(cls):
        return cls()


@params
class PatchGrid:
    """A regular grid: of each square of patches one is kept (ratio 3/4); other ratios add or free patches evenly."""

    def build(self):
        from maskwright_vision.maskers import GridMasker

        return GridMasker()

    @classmethod
    def example(cls):
        return cls()


@params
class Fixed:
    """A given order: patches with the highest numbers are hidden, the same in every picture."""

    noise: list[float] = setting(help="one number for each patch, row by row; the lowest stay visible")
    rounding: Literal["nearest", "upstream"] = setting("nearest", help="as masker:random")

    def tags(self):
        return {"inexact-count"} if self.rounding == "upstream" else set()

    def build(self):
        from maskwright_vision.maskers import FixedMasker

        return FixedMasker(self.noise, self.rounding)

    @classmethod
    def example(cls):
        return cls(noise=[(7 * place % 16) / 16 for place in range(16)])

    @classmethod
    def example_grid(cls):
        return (4, 4)


@params
class Mae:
    """Masked autoencoder: predict the pixels of hidden patches from the visible ones."""

    encoder: Any = slot("encoder", default="vit", needs={"torch", "patches"}, help="what is pre-trained")
    masker: Any = slot(
        "masker", default="random", needs={"torch"}, over="encoder", help="which patches are hidden"
    )
    ratio: Any = slot(
        "schedule",
        default=0.75,
        refuses={"per-row"},
        help="share of the patches that is hidden, the same in all rows of a batch",
    )
    target: Literal["pixels", "normalised", "pca", "tokens"] = setting(
        "normalised", help="pixels, pixels normalised in each patch, principal components, or patch clusters"
    )
    components: int = setting(16, ge=1, help="of target = pca")
    vocabulary: int = setting(64, ge=2, help="clusters of target = tokens")
    loss_on: Literal["hidden", "all"] = setting("hidden", help="patches that count; all: an autoencoder too")
    decoder_width: int = setting(512, ge=4, help="width of the decoder; a multiple of 4 and of decoder_heads")
    decoder_depth: int = setting(8, ge=0, help="blocks of the decoder; 0: a linear map")
    decoder_heads: int = setting(16, ge=1, help="attention heads of the decoder")
    eps: float = setting(1e-6, gt=0, help="epsilon of the norms")

    default_pipeline = "fill"

    @classmethod
    def exports(cls):
        return _EXPORTS

    @classmethod
    def imports(cls):
        return {"transformers": f"{_IN}:from_transformers", "mae-official": f"{_IN}:from_official"}

    @classmethod
    def recognises(cls, format, path):
        from maskwright_vision.transformers_config import is_vit

        return format != "transformers" or is_vit(path)

    def tags(self):
        return {"fitted"} if self.target in ("pca", "tokens") else set()

    def check(self):
        if self.decoder_width % self.decoder_heads or self.decoder_width % 4:
            yield (
                "decoder_width",
                f"{self.decoder_width} is no multiple of {self.decoder_heads} heads and of 4",
            )

    def check_parts(self, tags):
        if self.decoder_depth == 0 and "hides:drop" in tags.get("encoder", ()):
            yield (
                "decoder_depth",
                "without blocks the predictions know nothing of the visible patches: at least 1, or encoder vit-full",
            )

    def build(self, seed: int):
        from maskwright_torch.part import seeded
        from maskwright_vision.mae import Mae as Built

        names = "decoder_width decoder_depth decoder_heads target components vocabulary loss_on eps"
        settings = {name: getattr(self, name) for name in names.split()}
        return seeded(seed, lambda: Built(self.encoder, self.masker, self.ratio, **settings))

    @classmethod
    def example(cls):
        return cls(encoder=Vit.example(), decoder_width=16, decoder_depth=1, decoder_heads=2, ratio=0.5)

    @classmethod
    def example_data(cls, make_data):
        return Vit.example_data(make_data)
