"""Pictures, and the context crops that are cut out of them.

Pictures are read as viewers show them: turned by their EXIF orientation.
"""

import warnings
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from pipeline.data import files
from wingloss.datasets.face_record import BadSample
from wingloss.geometry import Array, apply, compose, invert

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
            if image.mode.startswith(("I", "F")):  # Pillow would cut off what is beyond 255
                raise BadSample(f"{path}: more than 8 bits per channel; save it with 8")
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


def _pixels(image: Image.Image) -> Picture:
    """The pixels ``(H, W, 3)`` of a picture, converted strip by strip: a copy of a whole one of 200
    million pixels takes 800 MB.
    """
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    for top in range(0, image.height, STRIP):
        bottom = min(top + STRIP, image.height)
        strip = image.crop((0, top, image.width, bottom))
        pixels[top:bottom] = np.asarray(strip.convert("RGB"))
    return pixels


def crop(image: Picture, path: Path, frame: Array, transform: Array, size: int) -> Picture:
    """The context crop ``(P, P, 3)`` of a face; outside of the picture its edge is repeated.

    ``image`` ``(H, W, 3)`` was read from ``path``, which an error names; ``frame`` ``(4,)`` is the
    face's in its pixels, and ``transform`` ``(2, 3)`` leads from them to the crop's.

    Raises:
        BadSample: the face isn't in the picture.
    """
    height, width = image.shape[:2]
    low, high = frame[:2] - frame[2] / 2, frame[:2] + frame[2] / 2
    if (high < 0).any() or (low > (width - 1, height - 1)).any():
        raise BadSample(
            f"{path}: its face box lies outside the picture of {width} x {height} pixels"
        )
    # A warp samples its source at points: average first where the crop is much smaller.
    reduction = int(1 / np.sqrt(abs(np.linalg.det(transform[:, :2]))))
    reduction = min(reduction, width, height)
    if reduction > 1:
        scale_x, scale_y = width // reduction / width, height // reduction / height
        size_then = (width // reduction, height // reduction)
        image = np.asarray(cv2.resize(image, size_then, interpolation=cv2.INTER_AREA), np.uint8)
        shrunk = np.array([[scale_x, 0.0, (scale_x - 1) / 2], [0.0, scale_y, (scale_y - 1) / 2]])
        transform = compose(transform, invert(shrunk))
    image, transform = _window(image, transform, size)
    found = cv2.warpAffine(
        image, transform, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(found, np.uint8)


def _window(image: Picture, transform: Array, size: int) -> tuple[Picture, Array]:
    """The part of a picture that a crop of ``size`` px sees, and the map from there to the crop.

    OpenCV warps no picture with a side of 32,768 px or more.
    """
    corners = np.array([[0.0, 0], [size, 0], [0, size], [size, size]])
    seen = apply(invert(transform), corners)
    sides = np.array(image.shape[1::-1])
    low = np.clip(np.floor(seen.min(axis=0)).astype(int) - 2, 0, sides - 1)
    high = np.clip(np.ceil(seen.max(axis=0)).astype(int) + 3, low + 1, sides)
    shift = np.array([[1.0, 0, low[0]], [0, 1, low[1]]])
    return image[low[1] : high[1], low[0] : high[0]], compose(transform, shift)


def write(path: Path, picture: Picture) -> None:
    """Writes a picture ``(H, W, 3)``, RGB, as JPEG."""
    with files.whole_file(path) as partial:
        stored = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
        data = cv2.imencode(".jpg", stored, (cv2.IMWRITE_JPEG_QUALITY, 90))[1]
        partial.write_bytes(data.tobytes())
