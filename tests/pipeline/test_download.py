"""The downloader against a real server that misbehaves, and archives of people who mean ill."""

import gzip
import hashlib
import io
import json
import os
import shutil
import stat
import tarfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from project import ROOT, Project
from server import Server, serving
from trees import WRITERS

from pipeline.acquire import archives, resumable_download, sources
from pipeline.errors import UserError
from pipeline.runtime import cli
from stages import download, prepare

CONTENT = os.urandom(300_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(resumable_download, "BACKOFF", 0.001)
    monkeypatch.setattr(resumable_download, "LONGEST_WAIT", 0.01)
    monkeypatch.setattr(resumable_download, "CHUNK", 10_000)
    monkeypatch.setattr(resumable_download, "TIMEOUT", (5, 0.2))
    monkeypatch.setattr(resumable_download, "LEAST", 1000)
    with serving() as made:
        made.files["/file.zip"] = CONTENT
        yield made


def get(server: Server, target: Path, size: int | None = None, sha256: str | None = None) -> None:
    resumable_download.fetch([f"{server.address}/file.zip"], target, size, sha256)


def left(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


RECORDED = {"file.zip", "file.zip.sha256"}

# fault -> what the server does, in order; whether size and hash are known
MENDED = {
    "broken once": ([("break", 100_000)], False),
    "broken in every request": ([("break", 60_000)] * 12, False),
    "broken before the first byte": ([("break", 0)] * 3, False),
    "silent in the middle": ([("silent", 100_000)], False),
    "silent before the answer": (["mute"], False),
    "a byte at a time in the middle": ([("drip", 100_000)], False),
    "a byte at a time before the answer": (["dripping head"], False),
    "longer than said, size known": ([("short", 1000)], True),
    "shorter than said": ([("long", 1000)], True),
    "changed between two requests": ([("break", 100_000), "changed"], False),
    "no ranges": ([("break", 100_000), "no ranges"], False),
    "a range of another version": ([("break", 100_000), "mixed"], False),
    "429, then 503": ([429, 503], False),
}


@pytest.mark.parametrize("case", MENDED)
def test_what_goes_wrong_for_a_while_is_mended(server: Server, tmp_path: Path, case: str) -> None:
    faults, known = MENDED[case]
    server.faults["/file.zip"] = list(faults)
    get(server, tmp_path / "file.zip", *((len(CONTENT), SHA256) if known else ()))
    assert (tmp_path / "file.zip").read_bytes() == server.files["/file.zip"]
    assert left(tmp_path) == RECORDED


@pytest.mark.parametrize("kind", ["break", "silent"])
def test_a_break_is_taken_up_where_it_was(server: Server, tmp_path: Path, kind: str) -> None:
    server.faults["/file.zip"] = [(kind, 100_000)]
    get(server, tmp_path / "file.zip")
    assert [(wanted, status) for _, wanted, status in server.seen] == [
        (None, 200),
        ("bytes=100000-", 206),
    ]


def test_a_file_is_kept_as_it_is_sent(server: Server, tmp_path: Path) -> None:
    """Some servers take a .tar.gz for a packed .tar; the ranges they give are the .gz's."""
    server.encoding = "gzip"
    server.files["/file.zip"] = gzip.compress(CONTENT)
    server.faults["/file.zip"] = [("break", 100_000)]
    get(server, tmp_path / "file.zip")
    assert (tmp_path / "file.zip").read_bytes() == server.files["/file.zip"]


STOPPED = {
    "404": ([404], None, "the server answers 404 Not Found", set()),
    "503 for ever": ([503] * 99, None, "the server answers 503 Service Unavailable", set()),
    "429 for ever": ([429] * 99, None, "the server answers 429 Too Many Requests", set()),
    "breaks at one place": (
        [("break", 100_000), *[("break", 0)] * 99],
        None,
        "the connection broke (ProtocolError); 100000 bytes are kept, run again to resume",
        {".file.zip.partial", ".file.zip.partial.version"},
    ),
    "silent at one place": (
        [("silent", 100_000), *[("silent", 0)] * 99],
        None,
        "fewer than 1000 bytes came in 0.2 s; 100000 bytes are kept, run again to resume",
        {".file.zip.partial", ".file.zip.partial.version"},
    ),
    "never an answer": (["mute"] * 99, None, "no connection (ConnectionError)", set()),
    "a byte at a time at one place": (
        [("drip", 100_000), *[("drip", 0)] * 99],
        None,
        "fewer than 1000 bytes came in 0.2 s; 1000",
        {".file.zip.partial", ".file.zip.partial.version"},
    ),
    "a byte at a time before any answer": (
        ["dripping head"] * 99,
        None,
        "no connection (ConnectionError)",
        set(),
    ),
    "sent to no address": ([("to", "http://[::x/")], None, "no connection (ValueError)", set()),
    "another file": ([], SHA256[::-1], "another file than the one known (SHA-256 ", set()),
}


@pytest.mark.parametrize("case", STOPPED)
def test_what_stays_wrong_is_said_and_leaves_nothing_false(
    server: Server, tmp_path: Path, case: str
) -> None:
    faults, sha256, message, files = STOPPED[case]
    server.faults["/file.zip"] = list(faults)
    began = time.monotonic()
    with pytest.raises(UserError) as error:
        get(server, tmp_path / "file.zip", None, sha256)
    assert time.monotonic() - began < 30 * resumable_download.TIMEOUT[1]
    assert str(error.value).startswith(f"{server.address}/file.zip: {message}")
    assert left(tmp_path) == files


def test_passwords_are_not_said(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    urls = [
        f"{server.address}/{name}".replace("://", "://anna:s3cr3t@")
        for name in ("gone", "file.zip")
    ]
    caplog.set_level(0)
    server.faults["/file.zip"] = [("break", 1000), 503]
    resumable_download.fetch(urls, tmp_path / "file.zip", None, None)
    assert "http://***@127.0.0.1" in caplog.text and "s3cr3t" not in caplog.text
    with pytest.raises(UserError, match=r"^http://\*\*\*@127\.0\.0\.1:\d+/gone: the server"):
        resumable_download.fetch(urls[:1], tmp_path / "gone", None, None)
    assert "s3cr3t" not in caplog.text
    assert cli.without_passwords("https://a.b/c@d") == "https://a.b/c@d"


def test_a_servers_words_do_not_reach_the_terminal_raw(server: Server, tmp_path: Path) -> None:
    server.faults["/file.zip"] = [599]
    server.reason = "no\x1b[2J\x07"
    with pytest.raises(UserError, match=r"file\.zip: the server answers 599 no\[2J$"):
        get(server, tmp_path / "file.zip")


def test_a_later_call_goes_on_where_an_earlier_one_gave_up(server: Server, tmp_path: Path) -> None:
    server.faults["/file.zip"] = [("break", 100_000), *[("break", 0)] * 5]
    with pytest.raises(UserError):
        get(server, tmp_path / "file.zip")
    server.faults.clear()
    get(server, tmp_path / "file.zip")
    assert server.seen[-1] == ("/file.zip", "bytes=100000-", 206)
    assert (tmp_path / "file.zip").read_bytes() == CONTENT


def test_what_cannot_be_taken_up_again_is_not_kept(server: Server, tmp_path: Path) -> None:
    """Without a mark of its version, what follows could be another file's end."""
    server.tells_versions = False
    server.faults["/file.zip"] = [("break", 100_000)] * 7
    with pytest.raises(UserError, match=r"nothing is kept, because the server can't resume"):
        get(server, tmp_path / "file.zip")
    assert not left(tmp_path)
    get(server, tmp_path / "file.zip")
    assert {wanted for _, wanted, _ in server.seen} == {None}


def test_a_whole_file_that_only_lacks_its_name_is_kept(server: Server, tmp_path: Path) -> None:
    """Some servers answer 416 without the file's length."""
    (tmp_path / ".file.zip.partial").write_bytes(CONTENT)
    (tmp_path / ".file.zip.partial.version").write_text('"1"')
    server.faults["/file.zip"] = [416]
    get(server, tmp_path / "file.zip", len(CONTENT), SHA256)
    assert [status for _, _, status in server.seen] == [416]
    assert left(tmp_path) == RECORDED


@pytest.mark.parametrize("size", [len(CONTENT) - 1, len(CONTENT) + 1])
def test_another_size_than_known_is_refused(server: Server, tmp_path: Path, size: int) -> None:
    with pytest.raises(
        UserError,
        match="it sends more than 299999 bytes|300000 bytes where the published file has 300001",
    ):
        get(server, tmp_path / "file.zip", size)
    assert "file.zip" not in left(tmp_path)


def test_nobody_listening_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resumable_download, "BACKOFF", 0.001)
    with pytest.raises(UserError, match=r"http://127\.0\.0\.1:9/x: no connection \(Connection"):
        resumable_download.fetch(["http://127.0.0.1:9/x"], tmp_path / "x", None, None)


def test_the_next_address_is_tried(server: Server, tmp_path: Path) -> None:
    urls = [f"{server.address}/gone.zip", f"{server.address}/file.zip"]
    resumable_download.fetch(urls, tmp_path / "file.zip", None, SHA256)
    assert (tmp_path / "file.zip").read_bytes() == CONTENT


def test_the_first_downloads_hash_is_recorded_and_checked(server: Server, tmp_path: Path) -> None:
    get(server, tmp_path / "file.zip")
    assert (tmp_path / "file.zip.sha256").read_text() == f"{SHA256}  file.zip\n"
    get(server, tmp_path / "file.zip")
    assert len(server.seen) == 1  # it is there
    (tmp_path / "file.zip").write_bytes(b"spoilt")
    get(server, tmp_path / "file.zip")
    assert (tmp_path / "file.zip").read_bytes() == CONTENT  # mended
    (tmp_path / "file.zip").unlink()
    server.files["/file.zip"] = b"another one"
    with pytest.raises(UserError, match="another file than the one known"):
        get(server, tmp_path / "file.zip")
    assert left(tmp_path) == {"file.zip.sha256"}


# Archives


def zipped(path: Path, **files: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def tarred(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    form = path.suffix.removeprefix(".") or "gz"
    with tarfile.open(name=path, mode=f"w:{form}") as archive:  # type: ignore[call-overload]
        for member, content in members:
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, link
    return made


def linked_zip(path: Path) -> Path:
    info = zipfile.ZipInfo("link")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(info, "/etc/passwd")
    return path


def swollen_header() -> bytes:
    """A .tar whose first header has 70 MiB of further text, which tarfile holds in memory."""
    header = member("pax", tarfile.XHDTYPE)
    header.size = 70 << 20
    return header.tobuf(tarfile.USTAR_FORMAT) + bytes(header.size)


EVIL: dict[str, tuple[Callable[[Path], Path], str]] = {
    "zip: up": (lambda p: zipped(p, **{"../evil": b"x"}), "'../evil' leads out of the folder"),
    "zip: deep up": (lambda p: zipped(p, **{"a/../../evil": b"x"}), "leads out of the folder"),
    "zip: root": (lambda p: zipped(p, **{"/evil": b"x"}), "leads out of the folder"),
    "zip: windows": (lambda p: zipped(p, **{"C:\\evil": b"x"}), "leads out of the folder"),
    "zip: backslash": (lambda p: zipped(p, **{"..\\evil": b"x"}), "leads out of the folder"),
    "zip: link": (linked_zip, "'link' is a link"),
    "zip: bomb": (lambda p: zipped(p, a=b"\0" * (70 << 20)), "it unpacks to more than 64 MiB"),
    "tar: up": (lambda p: tarred(p, (member("../evil"), b"x")), "leads out of the folder"),
    "tar: root": (lambda p: tarred(p, (member("/evil"), b"x")), "leads out of the folder"),
    "tar: words for the terminal": (
        lambda p: tarred(p, (member("\x1b[2J/../x"), b"x")),
        r"'\x1b[2J/../x' leads out of the folder",
    ),
    "tar: link": (
        lambda p: tarred(p, (member("a", tarfile.SYMTYPE, ".."), b""), (member("a/evil"), b"x")),
        "'a' is a link or a device",
    ),
    "tar: hard link": (
        lambda p: tarred(p, (member("a", tarfile.LNKTYPE, "/etc/passwd"), b"")),
        "'a' is a link or a device",
    ),
    "tar: device": (lambda p: tarred(p, (member("a", tarfile.CHRTYPE), b"")), "a device"),
    "tar: bomb": (
        lambda p: tarred(p, (member("a"), b"\0" * (70 << 20))),
        "it unpacks to more than 64 MiB",
    ),
    "tar: bomb of what isn't unpacked": (
        lambda p: tarred(p, (member(".a"), b"\0" * (70 << 20))),
        "it unpacks to more than 64 MiB",
    ),
    "tar: bomb in a header": (
        lambda p: p.write_bytes(gzip.compress(swollen_header(), 1)) and p,
        "it unpacks to more than 64 MiB",
    ),
    "tar: a file is a folder": (
        lambda p: tarred(p, (member("a"), b""), (member("a/b"), b"")),
        "not a whole archive",
    ),
    "tar: spoilt at the end": (
        lambda p: p.write_bytes(tarred(p, (member("a"), b"x")).read_bytes()[:-8] + bytes(8)) and p,
        "not a whole archive (CRC check failed",
    ),
    "zip: a name too long": (lambda p: zipped(p, **{"x" * 300: b""}), "not a whole archive"),
    "a page": (lambda p: p.write_text("<html>log in</html>") and p, "not a whole archive"),
    "nothing": (lambda p: p.touch() or p, "not a whole archive"),
}


@pytest.mark.parametrize("case", EVIL)
def test_an_archive_does_nothing_it_must_not(tmp_path: Path, case: str) -> None:
    make, message = EVIL[case]
    archive = make(tmp_path / "archive")
    target = tmp_path / "out/target"
    with pytest.raises(UserError, match="archive: .*") as error:
        archives.unpack(archive, target)
    assert message in str(error.value)
    inside = {p.name for p in tmp_path.rglob("*")} - {"archive", "out", "target"}
    assert inside <= {"a"}  # what was written before the bound was hit


def test_too_many_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MOST_FILES", 3)
    files = zipped(tmp_path / "a.zip", **{f"{i}": b"x" for i in range(5)})
    folders = tarred(tmp_path / "a.tar.gz", *[(member(f"{i}", tarfile.DIRTYPE), b"")
                                              for i in range(5)])  # fmt: skip
    for archive in (files, folders):
        with pytest.raises(UserError, match="more than 3 files"):
            archives.unpack(archive, tmp_path / "out")


@pytest.mark.parametrize("form", ["zip", "tar.gz", "tar.bz2", "tar.xz"])
def test_an_archive_is_unpacked_without_doubling_its_top_folder(tmp_path: Path, form: str) -> None:
    names = ["afw/a_1.jpg", "afw/.hidden", "__MACOSX/afw/a_1.jpg", "afw/deep/b c.jpg"]
    archive = tmp_path / f"afw.{form}"
    if form == "zip":
        zipped(archive, **{name: name.encode() for name in names})
    else:
        tarred(archive, *((member(name), name.encode()) for name in names))
    archives.unpack(archive, tmp_path / "out/afw")
    found = {str(p.relative_to(tmp_path / "out")) for p in tmp_path.glob("out/**/*") if p.is_file()}
    assert found == {"afw/a_1.jpg", "afw/deep/b c.jpg"}
    assert (tmp_path / "out/afw/a_1.jpg").read_bytes() == b"afw/a_1.jpg"


@pytest.mark.parametrize("form", ["zip", "tar.gz", "tar.bz2", "tar.xz"])
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_spoilt_archive_is_unpacked_or_named(
    tmp_path: Path, form: str, data: st.DataObject
) -> None:
    archive = tmp_path / f"a.{form}"
    if form == "zip":
        zipped(archive, **{"a/b.jpg": CONTENT[:500], "c": b"text" * 50})
    else:
        tarred(archive, (member("a/b.jpg"), CONTENT[:500]), (member("c"), b"text" * 50))
    content = bytearray(archive.read_bytes())
    del content[data.draw(st.integers(0, len(content)), label="length") :]
    for _ in range(data.draw(st.integers(0, 4), label="changes")):
        place = data.draw(st.integers(0, len(content)), label="place")
        content[place : place + 1] = data.draw(st.binary(max_size=3), label="bytes")
    archive.write_bytes(content)
    shutil.rmtree(tmp_path / "out", ignore_errors=True)
    try:
        archives.unpack(archive, tmp_path / "out/target")
    except UserError as error:
        assert str(error).startswith(f"{archive}: ")
    outside = set(tmp_path.rglob("*")) - set(tmp_path.glob("out/target/**/*"))
    assert outside <= {archive, tmp_path / "out", tmp_path / "out/target"}


# The stage


def pack(root: Path, dataset: str) -> dict[str, bytes]:
    """A tiny tree under ``root`` as its publishers pack it: their files' contents by name."""
    packed = {}
    for archive in sources.load(dataset).archives:
        file = root.parent / archive.file
        if file.name.endswith(".zip"):
            folder = root / archive.into
            inside = [path for path in folder.rglob("*") if path.is_file()]
            zipped(file, **{str(p.relative_to(folder)): p.read_bytes() for p in inside}, notes=b"")
        elif file.name.endswith(".tar.gz"):
            stem = file.name.removesuffix(".tar.gz")
            folder = root / stem.replace("aflw-images-", "data/flickr/")
            above = "aflw/" if dataset == "aflw" else ""
            with tarfile.open(file, "w:gz") as tar:
                tar.add(folder, f"{above}{folder.relative_to(root)}")
        else:
            shutil.copy(root / file.name, file)
        packed[file.name] = file.read_bytes()
    return packed


@pytest.fixture
def folder_of_sources(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The sources without sizes and hashes of the real files, and with nobody's address."""
    folder = shutil.copytree(sources.FOLDER, tmp_path / "sources")
    for path in folder.glob("*.yaml"):
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        for archive in content["archives"]:
            archive |= {"bytes": None, "sha256": None, "urls": ["http://127.0.0.1:9/{piece}"]}
        path.write_text(yaml.safe_dump(content), encoding="utf-8")
    monkeypatch.setattr(sources, "FOLDER", folder)
    return folder


@pytest.mark.parametrize("way", ["address", "split address", "mirror", "archives", "pieces"])
@pytest.mark.parametrize("dataset", WRITERS)
def test_published_files_become_faces(
    project: Project,
    call: Callable,
    server: Server,
    folder_of_sources: Path,
    monkeypatch: pytest.MonkeyPatch,
    dataset: str,
    way: str,
) -> None:
    """From a mirror's address or folder, or from data/incoming, whole or split."""
    WRITERS[dataset](project.root / "work/tree", train=6, test=2)
    published = pack(project.root / "work/tree", dataset)
    place = project.root / "data/incoming" / dataset
    if way in ("pieces", "split address"):
        published = {
            f"{name}.{i:03d}": part
            for name, value in published.items()
            for i, part in enumerate((value[: len(value) // 2], value[len(value) // 2 :]), start=1)
        }
    if way == "split address":
        path = folder_of_sources / f"{dataset}.yaml"
        path.write_text(path.read_text(encoding="utf-8").replace("urls:", "pieces: 2\n  urls:"))
    if "address" in way:
        server.files = {f"/base/{dataset}/{name}": value for name, value in published.items()}
        for path in server.files:
            server.faults[path] = [503, ("break", 100)]
        monkeypatch.setenv("WINGLOSS_MIRROR", f"{server.address}/base/")
    else:
        if way == "mirror":
            place = project.root / "mirror" / dataset
            monkeypatch.setenv("WINGLOSS_MIRROR", str(place.parent))
        place.mkdir(parents=True)
        for name, value in published.items():
            (place / name).write_bytes(value)
    before = {path: path.read_bytes() for path in place.rglob("*")} if place.exists() else {}
    status, said = call(project, download, dataset=dataset)
    assert status == 0, said
    assert before == ({path: path.read_bytes() for path in place.rglob("*")} if before else {})
    status, said = call(project, prepare, dataset=dataset)
    assert status == 0, said
    stamp = json.loads(project.read(f"data/prepared/{dataset}/stamp.json"))
    assert sum(stamp["faces"].values()) == (10 if dataset == "300w" else 8)
    assert stamp["data_stamp"] == "partial"
    assert not project.left_over()


def test_what_was_fetched_is_not_fetched_again(
    project: Project,
    call: Callable,
    server: Server,
    folder_of_sources: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    WRITERS["cofw"](project.root / "work/tree", train=6, test=2)
    published = pack(project.root / "work/tree", "cofw")
    server.files = {f"/cofw/{name}": value for name, value in published.items()}
    monkeypatch.setenv("WINGLOSS_MIRROR", server.address)
    for _ in range(2):
        assert call(project, download, dataset="cofw")[0] == 0
    assert len(server.seen) == 1
    assert (project.root / "data/downloads/cofw/COFW_color.zip.sha256").exists()


def test_two_downloads_at_once_fetch_once(project: Project, server: Server) -> None:
    """The second waits for the first, and takes what it has fetched."""
    WRITERS["cofw"](project.root / "work/tree", train=6, test=2)
    published = pack(project.root / "work/tree", "cofw")
    shutil.rmtree(project.root / "work")
    path = project.root / "pipeline/acquire/catalogue/cofw.yaml"
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    content["archives"][0] |= {"bytes": None, "sha256": None}
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    server.files = {f"/cofw/{name}": value for name, value in published.items()}
    server.faults["/cofw/COFW_color.zip"] = [("silent", 1000)]
    project.environment["WINGLOSS_MIRROR"] = server.address
    first = project.start("stages.download", "--dataset", "cofw")
    assert "fetching" in first.stdout.readline()
    second = project.start("stages.download", "--dataset", "cofw")
    assert "cofw is being made in another process: waiting for it" in second.stdout.readline()
    server.speaking.set()
    assert first.wait(timeout=60) == second.wait(timeout=60) == 0
    assert "is there already" in second.stdout.read()
    assert len(server.seen) == 1
    assert left(project.root / "data/raw/cofw") >= {"COFW_train_color.mat", "COFW_test_color.mat"}
    assert not project.left_over()


def test_a_log_in_page_in_place_of_an_archive_is_forgotten(
    project: Project,
    call: Callable,
    server: Server,
    folder_of_sources: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    WRITERS["cofw"](project.root / "work/tree", train=6, test=2)
    (good,) = pack(project.root / "work/tree", "cofw").values()
    server.files["/cofw/COFW_color.zip"] = b"<html>log in</html>"
    monkeypatch.setenv("WINGLOSS_MIRROR", server.address)
    status, said = call(project, download, dataset="cofw")
    assert status == 1
    assert "error: data/downloads/cofw/COFW_color.zip: not a whole archive (" in said
    assert not left(project.root / "data/downloads/cofw")
    server.files["/cofw/COFW_color.zip"] = good
    assert call(project, download, dataset="cofw")[0] == 0


@pytest.mark.parametrize("dataset", ["aflw", "wflw"])
def test_what_must_be_asked_for_stops_with_a_page(
    project: Project, call: Callable, dataset: str
) -> None:
    status, said = call(project, download, dataset=dataset)
    published = sources.load(dataset)
    assert status == 1
    assert said.startswith(f"error: data/incoming/{dataset}: there is nothing of {dataset}.\n")
    for text in (published.home, published.licence, published.ask):
        assert text in said
    for archive in published.archives:
        assert f"  {archive.file}\n" in said
    assert f"under data/incoming/{dataset}/" in said


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("wflw/WFLW_images.tar.gz", "wflw lies too deep there; move what is in {}/wflw to it"),
        ("a/b/WFLW_images.tar.gz", "wflw lies too deep there; move what is in {}/a/b to it"),
        ("a/1.jpg", "1 files lie there (a/1.jpg), and none where it belongs; expected are WFLW_an"),
    ],
)
def test_files_that_lie_in_other_places_are_not_nothing(
    project: Project, call: Callable, file: str, message: str
) -> None:
    place = project.root / "data/incoming/wflw"
    (place / file).parent.mkdir(parents=True)
    (place / file).write_bytes(b"")
    status, said = call(project, download, dataset="wflw")
    assert status == 1
    where = "data/incoming/wflw"
    assert said.startswith(f"error: {where}: {message.format(where)}") and said.count("\n") == 1


def test_what_cannot_be_fetched_is_said_with_the_page(
    project: Project, call: Callable, folder_of_sources: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resumable_download, "BACKOFF", 0.001)
    status, said = call(project, download, dataset="cofw")
    assert status == 1
    assert "error: http://127.0.0.1:9/COFW_color.zip: no connection (ConnectionError)\n" in said
    assert sources.load("cofw").home in said
    assert not (project.root / "data/raw/cofw").exists()


def test_a_page_in_place_of_an_archive_is_named(project: Project, call: Callable) -> None:
    place = project.root / "data/incoming/wflw"
    place.mkdir(parents=True)
    (place / "WFLW_images.tar.gz").write_text("<html>log in</html>")
    status, said = call(project, download, dataset="wflw")
    assert status == 1
    assert "error: data/incoming/wflw/WFLW_images.tar.gz: not a whole archive (" in said
    assert not project.left_over() and not (project.root / "data/raw/wflw").exists()


def test_a_page_in_place_of_annotations_is_forgotten(
    project: Project,
    call: Callable,
    server: Server,
    folder_of_sources: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server.files = {
        f"/aflw/{archive.file}": b"\n<!doctype html>" for archive in sources.load("aflw").archives
    }
    monkeypatch.setenv("WINGLOSS_MIRROR", server.address)
    status, said = call(project, download, dataset="aflw")
    assert status == 1
    assert "error: data/downloads/aflw/AFLWinfo_release.mat: a page of the web" in said
    assert not [name for name in left(project.root / "data/downloads/aflw") if "info" in name]


def test_annotations_that_cannot_be_read_are_fetched_again(
    project: Project,
    call: Callable,
    server: Server,
    folder_of_sources: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    WRITERS["aflw"](project.root / "work/tree", train=6, test=2)
    published = pack(project.root / "work/tree", "aflw")
    server.files = {f"/aflw/{name}": value for name, value in published.items()}
    mat = "/aflw/AFLWinfo_release.mat"
    server.files[mat] = server.files[mat][:-500]
    monkeypatch.setenv("WINGLOSS_MIRROR", server.address)
    status, said = call(project, download, dataset="aflw")
    assert status == 1
    assert "error: data/downloads/aflw/AFLWinfo_release.mat: not a whole .mat file (" in said
    server.files[mat] = published["AFLWinfo_release.mat"]
    status, said = call(project, download, dataset="aflw")
    assert status == 0, said
    assert len(server.seen) == 4 + 1


LACKING = {  # data set, the published file that isn't there, another in its place, what is said
    "a third of the pictures": (
        *("aflw", "aflw-images-2.tar.gz", None),
        "2 of 8 faces have no picture, for there is no folder aflw/data/flickr/2; "
        "aflw-images-2.tar.gz isn't there",
    ),
    "all pictures": (
        *("wflw", "WFLW_images.tar.gz", None),
        "8 of 8 faces have no picture, for there is no folder WFLW_images; WFLW_images.tar.gz "
        "isn't there",
    ),
    "another archive": (
        *("wflw", "WFLW_images.tar.gz", "WFLW_images.zip"),
        "8 of 8 faces have no picture, for there is no folder WFLW_images; WFLW_images.tar.gz "
        "isn't there; WFLW_images.zip isn't one of the published files: unpack it there",
    ),
}


@pytest.mark.parametrize("case", LACKING)
def test_what_lacks_of_a_data_set_is_named(project: Project, call: Callable, case: str) -> None:
    dataset, absent, other, message = LACKING[case]
    WRITERS[dataset](project.root / "work/tree", train=6, test=2)
    published = pack(project.root / "work/tree", dataset)
    content = published.pop(absent)
    place = project.root / "data/incoming" / dataset
    place.mkdir(parents=True)
    for name, value in (published | ({other: content} if other else {})).items():
        (place / name).write_bytes(value)
    status, said = call(project, download, dataset=dataset)
    assert (status, said.splitlines()[-1]) == (1, f"error: data/incoming/{dataset}: {message}")
    assert not (project.root / f"data/raw/{dataset}").exists() and not project.left_over()


def test_a_missing_last_piece_is_asked_for(project: Project, call: Callable) -> None:
    place = project.root / "data/incoming/wflw"
    place.mkdir(parents=True)
    whole = tarred(project.root / "whole.gz", (member("a"), os.urandom(999))).read_bytes()
    for number in (1, 2):
        (place / f"WFLW_images.tar.gz.{number:03d}").write_bytes(whole[:300])
    status, said = call(project, download, dataset="wflw")
    assert status == 1
    name = "data/incoming/wflw/WFLW_images.tar.gz.001 to .002, joined"
    assert f"error: {name}: not a whole archive (" in said
    assert said.endswith("; is a piece after these missing?\n")


def test_a_broken_picture_in_a_file_of_pictures_is_said(project: Project, call: Callable) -> None:
    WRITERS["cofw"](project.root / "data/incoming/cofw", train=6, test=2)
    path = project.root / "data/incoming/cofw/COFW_train_color.mat"
    with h5py.File(path, "r+") as file:
        file["IsTr"][0, 1] = file.create_dataset("bad", data=np.zeros((4, 5, 5), np.uint8)).ref
    status, said = call(project, download, dataset="cofw")
    assert status == 0, said
    assert "COFW_train_color.mat: picture 2: 4 colours, not 3; its face will have no pict" in said
    project.set(on_bad_sample="skip")
    status, said = call(project, prepare, dataset="cofw")
    assert status == 0, said
    assert "COFW_train_color/0002.png: no such picture" in said
    assert json.loads(project.read("data/prepared/cofw/stamp.json"))["skipped"] == 1


def test_a_missing_piece_is_named(project: Project, call: Callable) -> None:
    place = project.root / "data/incoming/wflw"
    place.mkdir(parents=True)
    for number in (1, 3):
        (place / f"WFLW_images.tar.gz.{number:03d}").write_bytes(b"x")
    status, said = call(project, download, dataset="wflw")
    assert status == 1
    assert "error: data/incoming/wflw/WFLW_images.tar.gz.002: this piece is missing" in said


def test_a_broken_file_with_pictures_is_named_where_it_lies(
    project: Project, call: Callable
) -> None:
    path = project.root / "data/incoming/cofw/COFW_train_color.mat"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"x")
    status, said = call(project, download, dataset="cofw")
    assert status == 1
    assert "error: data/incoming/cofw/COFW_train_color.mat: not a whole MATLAB 7.3 file" in said


def test_the_wrong_file_of_a_known_one_is_named(project: Project, call: Callable) -> None:
    place = project.root / "data/incoming/cofw"
    place.mkdir(parents=True)
    (place / "COFW_color.zip").write_bytes(b"something else")
    status, said = call(project, download, dataset="cofw")
    assert status == 1
    assert (
        "error: data/incoming/cofw/COFW_color.zip: 14 bytes where the published file has "
        "503327162; fetch it again" in said
    )


@pytest.mark.parametrize("path", sorted(sources.FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_source_is_sound_and_documented(path: Path) -> None:
    published = sources.load(path.stem)
    text = (ROOT / "docs/guide/data.md").read_text(encoding="utf-8")
    assert published.home in text
    for archive in published.archives:
        assert archive.file in text
        assert bool(archive.urls) == (published.ask is None)
        assert all(url.startswith("http") for url in archive.urls)
