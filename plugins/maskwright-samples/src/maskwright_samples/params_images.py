"""Settings of the picture data sets. Imports neither numpy nor scikit-learn nor matplotlib."""

from typing import Literal

from maskwright.params import params, setting


@params
class Glyphs:
    """Named characters drawn at 32x32 in twelve faces; four faces of another family as far domain."""

    frame: Literal["line", "box"] = setting(
        "line",
        help="line: size and height as in a line of text (captions, labels); box: scaled to fill the picture (MAE)",
    )
    task: Literal["caption", "script", "case", "base-letter", "mark", "any-mark", "stroke", "identity"] = (
        setting(
            "caption",
            help="what `label` tells; caption: no label, all characters; identity: which of the held letters",
        )
    )

    def tags(self):
        return set() if self.task == "caption" else {"label"}

    def build(self):
        from maskwright_samples.glyphs import GlyphData

        return GlyphData(self.frame, self.task)

    @classmethod
    def example(cls):
        return cls(task="mark")


@params
class Digits:
    """scikit-learn's 1,797 scanned digits, 8x8: the first 1,297 train, the last 500 test. A smoke test."""

    def build(self):
        from maskwright_samples.digits import DigitData

        return DigitData()

    @classmethod
    def example(cls):
        return cls()


@params
class SklearnPhotos:
    """Crops of two photographs: left half train, right half test. For pictures in reports, not for claims."""

    size: int = setting(32, ge=8, le=256, help="side of a crop in pixels")

    def build(self):
        from maskwright_samples.photos import PhotoData

        return PhotoData(self.size)

    @classmethod
    def example(cls):
        return cls(size=64)
