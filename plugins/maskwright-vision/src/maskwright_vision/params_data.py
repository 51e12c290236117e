"""Settings of the picture data sets. Imports nothing heavy: numpy and Pillow arrive when one is built."""

import re
from pathlib import Path
from typing import Any, Literal

from maskwright.params import params, setting, slot

_CHANNELS = "as-is: what the files have; 1: grey, by brightness; 3: colour, on white; 4: with transparency"
_LABELLED = "whether items get a label; false: pictures without classes"
_SHARE = "share of the training pictures that becomes the test, by hash of the name, if there is no test and no val"
_MATCH = "regular expression: training pictures in whose path it is found are the test"
_AT_LEAST = "decode JPEG at 1/2, 1/4 or 1/8 as long as the shorter side keeps so many pixels; 0: whole"
_BROKEN = "share of the files that may be unreadable; they are left out and listed"
_CACHE = "decode once, into a file in the cache folder that is mapped into memory; pays for small pictures"


def _check_match(test_match: str):
    try:
        re.compile(test_match)
    except re.error as error:
        yield "test_match", f"is no regular expression: {error}"


@params
class ImageFolder:
    """Pictures in a folder or .zip: train/, val/, test/ where there are any; the folders below are the classes.

    val/ is the split `validation`; where there is no test/, it is the split `test`, which evaluators read.
    """

    path: Path = setting(help="the folder, or a .zip of it")
    labelled: bool = setting(True, help=_LABELLED)
    class_depth: int = setting(
        1, ge=0, help="how many folders of the path, from the top, make the class; 0: all"
    )
    test_share: float = setting(0.2, ge=0, lt=1, help=_SHARE)
    test_match: str = setting("", help=_MATCH)
    channels: Literal["as-is", 1, 3, 4] = setting("as-is", help=_CHANNELS)
    at_least: int = setting(0, ge=0, help=_AT_LEAST)
    most_broken: float = setting(0.05, ge=0, le=1, help=_BROKEN)
    cache: bool = setting(False, help=_CACHE)

    def tags(self):
        return {"label"} if self.labelled else set()

    def check(self):
        yield from _check_match(self.test_match)

    def build(self):
        from maskwright_vision.folder_data import image_folder

        return image_folder(self)

    @classmethod
    def example(cls, folder):
        from maskwright_vision.example_files import picture_folder

        return cls(path=picture_folder(folder))


@params
class ImageList:
    """Pictures named in a list: CSV with the header path,label[,split], or JSON lines with these keys."""

    path: Path = setting(help="the list (.csv, .tsv, .jsonl); paths in it are relative to its folder")
    labelled: bool = setting(True, help=_LABELLED)
    test_share: float = setting(0.2, ge=0, lt=1, help=_SHARE)
    test_match: str = setting("", help=_MATCH)
    channels: Literal["as-is", 1, 3, 4] = setting("as-is", help=_CHANNELS)
    at_least: int = setting(0, ge=0, help=_AT_LEAST)
    most_broken: float = setting(0.05, ge=0, le=1, help=_BROKEN)
    cache: bool = setting(False, help=_CACHE)

    def tags(self):
        return {"label"} if self.labelled else set()

    def check(self):
        yield from _check_match(self.test_match)

    def build(self):
        from maskwright_vision.list_data import image_list

        return image_list(self)

    @classmethod
    def example(cls, folder):
        from maskwright_vision.example_files import picture_list

        return cls(path=picture_list(folder), labelled=False)


@params
class Npz:
    """Pictures in one .npz: images and labels, or train_images, train_labels, val_images, test_images and so on."""

    path: Path = setting(help="the .npz file")
    labelled: bool = setting(True, help=_LABELLED)
    test_share: float = setting(0.2, ge=0, lt=1, help=_SHARE)
    channels: Literal["as-is", 1, 3, 4] = setting("as-is", help=_CHANNELS)

    def tags(self):
        return {"label"} if self.labelled else set()

    def build(self):
        from maskwright_vision.npz_data import npz

        return npz(self)

    @classmethod
    def example(cls, folder):
        from maskwright_vision.example_files import array_file

        return cls(path=array_file(folder))


@params
class Idx:
    """Pictures in IDX files, as MNIST and Fashion-MNIST are published, .gz or unpacked."""

    path: Path = setting(help="the folder of the files, or one file with pictures")
    labelled: bool = setting(True, help=_LABELLED)
    classes: list[str] = setting([], help="names of the classes, in the order of the labels")
    test_share: float = setting(0.2, ge=0, lt=1, help=_SHARE)
    channels: Literal["as-is", 1, 3, 4] = setting("as-is", help=_CHANNELS)

    def tags(self):
        return {"label"} if self.labelled else set()

    def build(self):
        from maskwright_vision.idx_data import idx

        return idx(self)

    @classmethod
    def example(cls, folder):
        from maskwright_vision.example_files import idx_folder

        return cls(path=idx_folder(folder), classes=["dark", "light"])


@params
class Shapes:
    """Generated pictures: one filled shape of six kinds in each, anywhere and turned at will."""

    size: int = setting(24, ge=8, le=512, help="side of a picture in pixels")
    count: int = setting(2400, ge=6, help="training pictures")
    test_count: int = setting(600, ge=6, help="test pictures")
    noise: float = setting(0.05, ge=0, le=1, help="deviation of the noise on each pixel, where white is 1")

    def build(self, seed: int):
        from maskwright_vision.shapes import shapes

        return shapes(self.size, self.count, self.test_count, self.noise, seed)

    @classmethod
    def example(cls):
        return cls(count=12, test_count=6)


@params
class Augmented:
    """Crop, flip and recolour the pictures of the train split, anew in every epoch; other splits stay.

    An encoder with fit = "stretch" makes of a random crop what papers call RandomResizedCrop; with "crop" it trims it.
    """

    inner: Any = slot("dataset", needs={"pixels"}, inherit=True, help="where the pictures come from")
    crop: Literal["none", "fixed", "random"] = setting(
        "random",
        help="fixed: a square of 7/8 of the shorter side, anywhere; random: a rectangle by scale and aspect",
    )
    scale: tuple[float, float] = setting(
        (0.2, 1.0), gt=0, le=1, help="random crop: share of the area, from and to"
    )
    aspect: tuple[float, float] = setting(
        (3 / 4, 4 / 3), gt=0, help="random crop: width over height, from and to"
    )
    flip: float = setting(0.5, ge=0, le=1, help="how likely left and right are exchanged")
    shift: int = setting(0, ge=0, help="most pixels that a picture moves each way; its edge is repeated")
    brightness: float = setting(0.0, ge=0, help="colours are multiplied by a factor in [1 - this, 1 + this]")
    contrast: float = setting(0.0, ge=0, help="likewise, the distance from the mean grey")
    saturation: float = setting(0.0, ge=0, help="likewise, the distance from each pixel's grey")
    erase: float = setting(0.0, ge=0, le=1, help="how likely a rectangle is filled with noise")

    def check(self):
        for name in ("scale", "aspect"):
            low, high = getattr(self, name)
            if low > high:
                yield name, f"goes from {low:g} down to {high:g}; give the smaller number first"

    def build(self):
        from maskwright_vision.augmented import Augmented as Built

        return Built(self.inner, self)

    @classmethod
    def example(cls):
        return cls(inner=Shapes.example(), shift=2, brightness=0.4, contrast=0.4, saturation=0.4, erase=0.5)
