"""Pictures of files, as they are shown; and crops of them."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wingloss import pictures
from wingloss.crops import context_crop
from wingloss.datasets.face_record import PICTURES, BadSample
from wingloss.geometry import Array, compose, enlarge, to_unit, unit_to_pixels


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "the file is empty"),
        (b"\0\0\0\x18ftypheic" + bytes(99), "by its content it is HEIC, which is not read"),
        (b"\0\0\0\x18ftypavif" + bytes(99), "by its content it is AVIF, which is not read"),
        (b"\n<!DOCTYPE html>", "by its content it is a page of the web (or another te"),
        (b"PK\3\4", "by its content it is an archive, not a picture; unpack it"),
        (b"text", "not a whole picture (by its content none of JPEG, PNG, BMP, GIF, PPM"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_picture_is_named(tmp_path: Path, content: bytes, fault: str) -> None:
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(BadSample, match=re.escape(f"a.jpg: {fault}")):
        pictures.read(tmp_path / "a.jpg")


def test_a_torn_note_of_a_camera_is_not_said(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.new("RGB", (20, 20)).save(path, exif=b"Exif\0\0II*\0" + bytes([8, 0, 0, 0, 9]))
    code = f"from wingloss import pictures as p; p.read(p.Path({str(path)!r}))"
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert made.stderr == ""


def test_every_ending_of_the_formats_is_taken() -> None:
    known = Image.registered_extensions()
    del known[".pfm"]  # floats, of which no picture can be made
    assert {ending: known[ending] for ending in PICTURES} == {
        ending: kind for ending, kind in known.items() if kind in pictures.FORMATS
    }


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "CMYK", "RGBA", "LA", "1"])
def test_a_picture_is_converted_strip_by_strip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    monkeypatch.setattr(pictures, "STRIP", 7)
    noise = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    path = tmp_path / "a.tif"
    Image.fromarray(noise).convert(mode).save(path)
    whole = np.asarray(Image.open(path).convert("RGB"))
    assert (pictures.read(path) == whole).all()


def test_a_picture_of_too_many_pixels_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    path = tmp_path / "a.png"
    Image.new("1", (16_320, 12_240)).save(path)  # 200 million; 4 kB
    monkeypatch.setattr(pictures, "_pixels", lambda image: image.size)  # nothing is decoded
    assert pictures.read(path) == (16_320, 12_240)
    monkeypatch.setattr(pictures, "MOST_PIXELS", 199_000_000)
    with pytest.raises(
        BadSample, match=r"^[^\n]*a\.png: 16320 x 12240 pixels are more than the 199 m"
    ):
        pictures.read(path)
    assert not recwarn


def test_a_face_is_cut_out_of_a_picture_of_any_sides() -> None:
    """OpenCV warps none with a side of 32,768 pixels."""
    wide = np.zeros((120, 40_000, 3), np.uint8)
    face = np.random.default_rng(0).integers(0, 256, (120, 120, 3), dtype=np.uint8)
    frame = np.array([59.5, 59.5, 50, 0.3])

    def crop(picture: Array, left: int) -> Array:
        place = frame + [left, 0, 0, 0]
        to_crop = compose(unit_to_pixels(64), to_unit(enlarge(place[None], 2)))[0]
        return context_crop(picture, Path("a.jpg"), place, to_crop, 64)

    for left in (0, 35_000, 39_880):
        wide[:] = 0
        wide[:, left : left + 120] = face
        at_edges = [
            crop(wide, left),
            crop(wide[:, max(0, left - 200) : left + 320], min(left, 200)),
        ]
        np.testing.assert_array_equal(*at_edges)
