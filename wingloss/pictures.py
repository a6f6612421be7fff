"""Pictures of files, read as viewers show them: turned by their EXIF orientation."""

import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from wingloss.datasets.face_record import BadSample

Picture = NDArray[np.uint8]  # (H, W, 3), RGB

# What photographs come in; Pillow would also run a program for what says that it is PostScript.
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "PPM", "TIFF", "WEBP")
MOST_PIXELS = 256_000_000  # the largest cameras of telephones have 200 million
STRIP = 256  # rows
SIDEWAYS = (5, 6, 7, 8)  # EXIF's orientations that exchange width and height
# How files begin that are named as pictures, and are none that is read
BEGINNINGS = {
    b"<": "a page of the web (or another text in tags), not a picture",
    b"%PDF": "a PDF, not a picture; save its picture as JPEG",
    b"PK": "an archive, not a picture; unpack it",
}
BRANDS = {  # at byte 8, after "ftyp"
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1"), "HEIC"),
    **dict.fromkeys((b"avif", b"avis"), "AVIF"),
}
Image.MAX_IMAGE_PIXELS = None  # Pillow's own bound comes with words about attacks; see `_check`
warnings.filterwarnings("ignore", module=r"PIL\.")  # of odd notes, in words that name no file


def read(path: Path) -> Picture:
    """A picture ``(H, W, 3)``, RGB. Pillow, because OpenCV takes a truncated JPEG without a word.

    Raises:
        BadSample: it can't be read.
    """
    try:
        with Image.open(path, formats=FORMATS) as image:
            _check(path, image)
            if not _readable(image):  # Pillow would cut off what is beyond 255
                raise BadSample(f"{path}: more than 16 bits per channel; save it with 8")
            # a phone's JPEG may hold a preview and more besides the picture
            count = getattr(image, "n_frames", 1)
            if count > 1 and image.format != "MPO":
                raise BadSample(f"{path}: {count} pictures; save the one that is meant")
            ImageOps.exif_transpose(image, in_place=True)
            return _pixels(image)
    except FileNotFoundError:
        raise BadSample(f"{path}: no such picture") from None
    except BadSample:
        raise
    except UnidentifiedImageError:
        raise BadSample(f"{path}: {_content(path)}") from None
    except MemoryError:
        raise BadSample(f"{path}: not enough memory; save it with fewer pixels") from None
    except Exception as error:  # whatever a broken picture makes Pillow raise
        raise BadSample(f"{path}: not a whole picture ({error})") from error


def _content(path: Path) -> str:
    """What a file is that Pillow doesn't know, as a fault of it."""
    with path.open("rb") as file:
        beginning = file.read(64)
    if not beginning:
        return "the file is empty"
    if beginning[4:8] == b"ftyp" and (kind := BRANDS.get(beginning[8:12])):
        return f"by its content it is {kind}, which is not read here; save it as JPEG"
    for first, kind in BEGINNINGS.items():
        if beginning.lstrip().startswith(first):
            return f"by its content it is {kind}"
    return f"not a whole picture (by its content none of {', '.join(FORMATS)})"


def orientation(path: Path) -> int:
    """How a camera's note has a picture turned that :func:`read` has read: EXIF's 1 (not) to 8."""
    with Image.open(path, formats=FORMATS) as image:  # reads the header only
        noted = image.getexif().get(ExifTags.Base.Orientation)
    return next((turn for turn in range(2, 9) if turn == noted), 1)


def size(path: Path) -> tuple[int, int]:
    """Width and height of a picture that :func:`read` has read, px."""
    with Image.open(path, formats=FORMATS) as image:
        width, height = image.size
    return (height, width) if orientation(path) in SIDEWAYS else (width, height)


def _check(path: Path, image: Image.Image) -> None:
    """Whether a picture, of which only the header has been read, may be decoded."""
    width, height = image.size
    if width * height > MOST_PIXELS:
        raise BadSample(
            f"{path}: {width} x {height} pixels are more than the {MOST_PIXELS / 1e6:.0f} million "
            "that are read; save it with fewer"
        )


def _readable(image: Image.Image) -> bool:
    """Whether a picture has 8 or 16 bits a channel. Of PGM Pillow has 16 in a mode of 32."""
    mode = image.mode
    return (
        mode.startswith("I;16")
        or (mode == "I" and image.format in ("PNG", "PPM"))
        or (not mode.startswith(("I", "F")))
    )


def _pixels(image: Image.Image) -> Picture:
    """The pixels ``(H, W, 3)`` of a picture, converted strip by strip: a copy of a whole one of 200
    million pixels takes 800 MB. Of 16 bits the upper 8 are taken.
    """
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    for top in range(0, image.height, STRIP):
        bottom = min(top + STRIP, image.height)
        strip = image.crop((0, top, image.width, bottom))
        if image.mode.startswith("I"):
            pixels[top:bottom] = (np.asarray(strip, np.int32) >> 8)[..., None]
        else:
            pixels[top:bottom] = np.asarray(strip.convert("RGB"))
    return pixels
