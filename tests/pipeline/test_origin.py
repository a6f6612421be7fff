"""What messages call raw files: by where they came from."""

import shutil
import zipfile
from collections.abc import Callable

from project import Project
from trees import write_small_300w

from pipeline.data import origin
from stages import download, prepare


def test_what_was_unpacked_is_named_with_its_archive(project: Project, call: Callable) -> None:
    root = project.root / "data/incoming/300w"
    write_small_300w(root)
    lines = (root / "afw/one_1.pts").read_text(encoding="utf-8").splitlines()
    (root / "afw/one_1.pts").write_text("\n".join([*lines[:-3], "}"]), encoding="utf-8")
    (root / "ibug/image_003_1.pts").unlink()
    with zipfile.ZipFile(root / "afw.zip", "w") as archive:
        for path in sorted(root.glob("afw/*")):
            archive.write(path, path.relative_to(root))
    shutil.rmtree(root / "afw")
    assert call(project, download, dataset="300w")[0] == 0
    status, said = call(project, prepare, dataset="300w")
    assert status == 1
    for line in (
        "data/incoming/300w/afw.zip: afw/one_1.pts: 66 points where 68 are expected",
        "data/incoming/300w/ibug/image_003_1.pts: no such file; every picture needs its .pts",
    ):
        assert f"warning: {line}" in said
    assert "error: data/incoming/300w/afw.zip: afw/one_1.pts: 66 points" in said
    assert "--forcerun data/raw/300w" in said
    assert origin.changed("300w") is None
    (root / "afw.zip").write_bytes(b"another")
    assert "(1 changed: afw.zip)" in str(origin.changed("300w"))


def test_an_unknown_origin_changes_nothing(project: Project, call: Callable) -> None:
    write_small_300w(project.root / "data/raw/300w")
    (project.root / "data/raw/300w/ibug/image_003_1.pts").unlink()
    _, said = call(project, prepare, dataset="300w")
    assert "error: data/raw/300w/ibug/image_003_1.pts: no such file" in said
    (project.root / "data/raw/.300w.origin.json").write_text("torn", encoding="utf-8")
    assert origin.changed("300w") is None
