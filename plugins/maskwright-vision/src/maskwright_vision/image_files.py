"""Read picture files into arrays, with numpy and Pillow only.

The array is uint8, or uint16 for grey pictures of 16 bits, with the shape (H, W, C): C = 1 for grey and for black and
white, 3 for colour, palettes and CMYK, 4 for anything with transparency. A note of the camera on how it was held (EXIF)
is obeyed. Of animations and stacks the first picture is taken.
"""

import io
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import attrs
import numpy as np
from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageOps,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from maskwright.errors import UserError
from maskwright_vision.picture_sources import SUFFIXES, Folder, Source, is_picture, open_source, unreadable

Channels = Literal["as-is", 1, 3, 4]

# Named, because Pillow would otherwise also start an interpreter for a PostScript file with the suffix .png. It knows
# formats by name only once their modules are imported.
READERS = {
    "PNG": PngImagePlugin,
    "JPEG": JpegImagePlugin,
    "BMP": BmpImagePlugin,
    "GIF": GifImagePlugin,
    "TIFF": TiffImagePlugin,
    "WEBP": WebPImagePlugin,
    "PPM": PpmImagePlugin,
}
FORMATS = tuple(READERS)

MOST_PIXELS = 89_478_485
"""Of one picture (a quarter of a GiB in three bytes each); more is a mistake, or a file made to fill the memory."""

LEVELS_16 = 65535


@attrs.frozen(eq=False)
class Picture:
    """A decoded picture, and what was lost on the way."""

    pixels: np.ndarray
    notice: str = ""


def decode(content: bytes, name: str, at_least: int = 0) -> Picture:
    """The picture in `content`; `name` is what errors call it.

    `at_least` > 0: a JPEG may be decoded at 1/2, 1/4 or 1/8 of its size, which is much faster, as long as its shorter
    side keeps that many pixels.
    """
    if not content:
        raise unreadable(name, "the file is empty")
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            if image.width * image.height > MOST_PIXELS:
                raise unreadable(name, _too_large(image.width, image.height))
            if at_least:
                image.draft(None, (at_least, at_least))
            notice = _notice(image)
            return Picture(_pixels(ImageOps.exif_transpose(image), name), notice)
    except UserError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise unreadable(name, _too_large()) from error
    except UnidentifiedImageError as error:
        raise unreadable(name, f"it is damaged, or none of {', '.join(FORMATS)}") from error
    # Pillow's readers raise whatever a damaged file leads them to: OSError, SyntaxError, struct.error, ValueError …
    except Exception as error:
        raise unreadable(name, str(error) or type(error).__name__) from error


def _too_large(*size: int) -> str:
    shape = f"{size[0]} x {size[1]} pixels are" if size else "it has far"
    return f"{shape} more than {MOST_PIXELS:,} in all; cut it into tiles"


def _notice(image: Image.Image) -> str:
    """Pillow has no colour pictures with more than 8 bits a channel and drops the lower ones while it reads."""
    deep = any("16" in str(tile[3]) for tile in image.tile)
    return "16-bit colour is read with 8 bits a channel" if deep and image.mode in ("RGB", "RGBA") else ""


def _pixels(image: Image.Image, name: str) -> np.ndarray:
    """uint8 or uint16 (H, W, C), C as the file has it."""
    if image.mode.startswith("I"):
        return _whole_numbers(np.asarray(image), name)[..., None]
    if image.mode == "F":
        raise unreadable(name, "it holds floating-point numbers, whose black and white nobody knows")
    if image.has_transparency_data:
        return np.array(image.convert("RGBA"))
    if image.mode in ("1", "L"):
        return np.array(image.convert("L"))[..., None]
    return np.array(image.convert("RGB"))


def _whole_numbers(values: np.ndarray, name: str) -> np.ndarray:
    if values.min() < 0 or values.max() > LEVELS_16:
        raise unreadable(
            name, f"it holds numbers from {values.min()} to {values.max()}, not 16 bits without a sign"
        )
    return values.astype(np.uint16)


def to_channels(pixels: np.ndarray, channels: Channels | int) -> np.ndarray:
    """The same picture with `channels` channels, in the same type of numbers.

    Transparent pictures are laid on white. Colour becomes grey by its brightness, 0.299 R + 0.587 G + 0.114 B (ITU-R
    BT.601). Grey becomes colour by repetition. A fourth channel is opaque.
    """
    found = pixels.shape[2]
    if channels in ("as-is", found):
        return pixels
    if channels == 4:
        colour = to_channels(pixels, 3)
        opaque = np.full_like(colour[..., :1], np.iinfo(pixels.dtype).max)
        return np.concatenate([colour, opaque], axis=2)
    if channels not in (1, 3):
        raise UserError(
            f"pictures have 1, 3 or 4 channels, not {channels}",
            where="channels",
            cure="1 for grey, 3 for colour, 4 for colour with transparency",
        )
    solid = on_white(pixels) if found == 4 else pixels
    if channels == 3:
        return np.repeat(solid, 3, axis=2) if solid.shape[2] == 1 else solid
    return brightness(solid)


def on_white(pixels: np.ndarray) -> np.ndarray:
    """(H, W, 4) -> (H, W, 3), in exact whole numbers."""
    top = np.uint64(np.iinfo(pixels.dtype).max)
    colour, alpha = pixels[..., :3].astype(np.uint64), pixels[..., 3:].astype(np.uint64)
    return ((colour * alpha + top * (top - alpha) + top // np.uint64(2)) // top).astype(pixels.dtype)


def brightness(pixels: np.ndarray) -> np.ndarray:
    """(H, W, 3) -> (H, W, 1), with weights in 1/65536, as Pillow has them."""
    weighted = pixels.astype(np.uint64) @ np.array([19595, 38470, 7471], dtype=np.uint64)
    return ((weighted + np.uint64(1 << 15)) >> np.uint64(16)).astype(pixels.dtype)[..., None]


def read_items(argument: str, channels: int) -> Iterator[dict[str, Any]]:
    """Items {id, pixels} of a picture file, a folder or a zip archive, in the order of their names.

    Of many pictures those that cannot be read are left out with a warning; where that leaves none, it is an error.
    """
    path = Path(argument)
    if path.is_file() and is_picture(path.name):
        return _items(Folder(path.parent, [path.name]), channels)
    if path.is_file() and path.suffix.lower() != ".zip":
        raise UserError(
            f"{path} is neither a picture nor a folder or zip archive of pictures",
            where=argument,
            why=f"pictures end in {', '.join(SUFFIXES)}",
            cure="save it as PNG",
        )
    return _items(open_source(path), channels)


def _items(source: Source, channels: int) -> Iterator[dict[str, Any]]:
    problems = dict(source.refused)
    for name in source.names:
        try:
            picture = decode(source.read(name), name)
        except UserError as error:
            if len(source.names) == 1:
                raise
            problems[name] = error.why
            continue
        yield {"id": name, "pixels": to_channels(picture.pixels, channels)}
    if problems:
        first, why = next(iter(problems.items()))
        total = len(source.names) + len(source.refused)
        message = f"{len(problems)} of {total} pictures cannot be read, the first is {first} ({why})"
        if len(problems) == total:
            raise UserError(
                f"no picture of {source.root} can be read",
                where=str(source.root),
                why=message,
                cure="save them again with another program",
            )
        warnings.warn(f"{source.root}: {message}; they are left out", stacklevel=2)
