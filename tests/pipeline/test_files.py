"""Files that stages have written, and that are torn or changed when they are read."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline import files
from pipeline.errors import UserError

FACES = pd.Series(["a", "b", "NA"])


def write(folder: Path) -> dict[str, Path]:
    """A file of each kind."""
    paths = {kind: folder / f"file.{kind}" for kind in ("npz", "npy", "csv", "json")}
    np.savez_compressed(paths["npz"], a=np.arange(300), b=np.array(["x", "y"]))
    np.save(paths["npy"], np.arange(600, dtype=np.uint8).reshape(10, 60))
    numbers = {"x": [0.25, 1.5, 1e-7], "y": [1, 2, 3]}
    files.write_table(paths["csv"], pd.DataFrame({"face": FACES} | numbers))
    files.write_json(paths["json"], {"key": [1, {"inner": "text"}]})
    return paths


READ: dict[str, Callable[[Path], object]] = {
    "npz": lambda path: files.read_arrays(path)["b"],
    "npy": files.read_array,
    "csv": lambda path: files.read_by_face(path, FACES, "x", "y"),
    "json": lambda path: files.read_json(path)["key"][1]["inner"],
}


@pytest.mark.parametrize("kind", READ)
def test_a_torn_file_is_one_line_that_says_how_to_make_it_anew(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path)[kind]
    content = path.read_bytes()
    READ[kind](path)
    remedy = f"; run 'snakemake --forcerun {path}' or 'dvc repro' to recreate it"
    ends = {0, 1, 5, len(content) // 3, len(content) // 2, len(content) - 5}
    for end in sorted(ends):
        path.write_bytes(content[:end])
        with pytest.raises(UserError) as error:
            READ[kind](path)
        assert str(error.value).startswith(f"{path}: ") and str(error.value).endswith(remedy)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("kind", READ)
def test_a_file_with_flipped_bytes_is_read_or_named(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path)[kind]
    content = path.read_bytes()
    rng, refused = np.random.default_rng(0), 0
    for _ in range(60):
        flipped = bytearray(content)
        flipped[rng.integers(len(flipped))] ^= 1 << rng.integers(8)
        path.write_bytes(flipped)
        try:
            READ[kind](path)
        except UserError as error:
            assert str(error).startswith(f"{path}: ")
            refused += 1
    assert refused > (3 if kind == "npy" else 10)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda text: text.replace("face,", "fade,"), "no column face"),
        (lambda text: text.replace("0.25", "O.25"), "a x in it is missing or no finite number"),
        (lambda text: text.replace("0.25", "inf"), "a x in it is missing or no finite number"),
        (lambda text: text.replace("a,0.25,1\n", ""), "it hasn't one row for each face"),
        (lambda text: text.replace("a,0", "b,0"), "it hasn't one row for each face"),
        (lambda text: "," * 10_000 + text, "more than 10000 columns"),
    ],
)
def test_a_table_of_others_is_named(
    tmp_path: Path, change: Callable[[str], str], fault: str
) -> None:
    path = write(tmp_path)["csv"]
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")
    with pytest.raises(UserError, match=fault):
        READ["csv"](path)


def test_a_key_that_is_missing_is_named(tmp_path: Path) -> None:
    paths = write(tmp_path)
    with pytest.raises(UserError, match=r"file\.json: it has no 'status'; run 'snakemake"):
        files.read_json(paths["json"])["key"][1]["status"]
    with pytest.raises(UserError, match=r"file\.npz: it has no 'true'; run 'snakemake"):
        files.read_arrays(paths["npz"])["true"]
    assert json.dumps(files.read_json(paths["json"])) == '{"key": [1, {"inner": "text"}]}'


def test_an_array_without_rows_is_read(tmp_path: Path) -> None:
    np.save(tmp_path / "empty.npy", np.empty((0, 4, 4, 3), np.uint8))
    assert files.read_array(tmp_path / "empty.npy").shape == (0, 4, 4, 3)
