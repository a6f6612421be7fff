"""Downloads that go on after a break and are checked before anyone sees them.

A file grows under a temporary name in its own folder (``.name.partial``, with the server's mark of
its version beside it) and takes its name when size and hash are right.
"""

import hashlib
import os
import time
from pathlib import Path

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError
from urllib3.util import Retry

from stages.command import log
from stages.errors import UserError
from stages.files import whole_file
from stages.progress import Progress

TRIES = 5  # without a byte of progress
BACKOFF = 1.0  # s, doubled from try to try
LONGEST_WAIT = 120  # s that a server may ask for
TIMEOUT = (10, 60)  # s to connect, and between two pieces of an answer
CHUNK = 1 << 16  # bytes; what is in the middle of one is lost when the connection breaks
MB = 1e6  # bytes
LARGEST = 64 << 30  # bytes, where nobody says how many there are


class Unavailable(Exception):
    """This address doesn't give the file; the message says why."""


def fetch(urls: list[str], target: Path, size: int | None, sha256: str | None) -> None:
    """Downloads ``target`` from the first of ``urls`` that gives it.

    ``size`` and ``sha256`` are the file's, if known. An unknown hash is recorded in
    ``target.sha256`` at the first download and checked from then on.

    Raises:
        UserError: no address gives the file.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    sha256 = sha256 or recorded(target)
    if target.exists():
        if _fault(target, size, sha256) is None:
            log.info("%s is there already", target)
            return
        log.warning("%s isn't the file that it was: fetching it again", target)
        target.unlink()
    partial = target.with_name(f".{target.name}.partial")
    faults = []
    for url in urls:
        try:
            _download(url, partial, size)
        except Unavailable as error:
            faults.append(f"{url}: {error}")
            log.warning("%s", faults[-1])
            continue
        fault = _fault(partial, size, sha256)
        if fault is None:
            record(target, hash_of(partial))
            os.replace(partial, target)
            _mark_of(partial).unlink(missing_ok=True)
            return
        faults.append(f"{url}: {fault}")
        log.warning("%s: deleted", faults[-1])
        _forget(partial)
    raise UserError("; ".join(faults))


def forget(target: Path) -> None:
    """Deletes a downloaded file that has turned out to be of no use, and its recorded hash."""
    target.unlink(missing_ok=True)
    _hash_of(target).unlink(missing_ok=True)


def recorded(target: Path) -> str | None:
    """The hash that the first download of a file had, if there was one."""
    path = _hash_of(target)
    return path.read_text(encoding="utf-8").split()[0] if path.exists() else None


def record(target: Path, sha256: str) -> None:
    """Keeps a file's hash, in the form that ``sha256sum --check`` takes."""
    with whole_file(_hash_of(target)) as partial:
        partial.write_text(f"{sha256}  {target.name}\n", encoding="utf-8")


def hash_of(path: Path) -> str:
    """The SHA-256 of a file."""
    digest, size = hashlib.sha256(), path.stat().st_size / MB
    with path.open("rb") as file, Progress(f"checking {path.name}", size, "MB") as progress:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
            progress.tell(file.tell() / MB)
    return digest.hexdigest()


def check(path: Path, size: int | None, sha256: str | None) -> None:
    """Whether a file that a person has put there is the published one.

    Raises:
        UserError: it isn't.
    """
    fault = _fault(path, size, sha256)
    if fault is not None:
        raise UserError(f"{path}: {fault}; fetch it again")


def _fault(path: Path, size: int | None, sha256: str | None) -> str | None:
    """What is wrong with a whole file, if anything is."""
    found = path.stat().st_size
    if size is not None and found != size:
        return f"{found} bytes where the published file has {size}"
    if sha256 is not None and (digest := hash_of(path)) != sha256:
        return f"another file than the one known (SHA-256 {digest[:12]}..., not {sha256[:12]}...)"
    return None


def _download(url: str, partial: Path, size: int | None) -> None:
    """Brings ``partial`` to its full length, taking up what an earlier try has left."""
    log.info("fetching %s", url)
    with requests.Session() as session:
        retry = Retry(
            total=TRIES,
            backoff_factor=BACKOFF,
            status_forcelist=(429, 500, 502, 503, 504),
            raise_on_status=False,
            retry_after_max=LONGEST_WAIT,
        )
        for scheme in ("http://", "https://"):
            session.mount(scheme, HTTPAdapter(max_retries=retry))
        idle = 0
        furthest = partial.stat().st_size if partial.exists() else 0
        while True:
            fault = _go_on(session, url, partial, size)
            if fault is None:
                return
            now = partial.stat().st_size if partial.exists() else 0
            idle = 0 if now > furthest else idle + 1
            furthest = max(furthest, now)
            if idle == TRIES:
                if _mark_of(partial).exists():
                    raise Unavailable(
                        f"{fault}; {now} bytes are kept, run again to go on from there"
                    )
                _forget(partial)  # another version's end could follow
                raise Unavailable(
                    f"{fault}; nothing is kept, since the server can't go on from there"
                )
            log.warning("%s: %s after %d bytes: going on", url, fault, now)
            time.sleep(BACKOFF * 2**idle)


def _go_on(session: requests.Session, url: str, partial: Path, size: int | None) -> str | None:
    """One request for what is missing; what broke it off, or None when the file is whole."""
    mark = _mark_of(partial)
    have = partial.stat().st_size if partial.exists() and mark.exists() else 0
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers |= {"Range": f"bytes={have}-", "If-Range": mark.read_text(encoding="utf-8")}
    try:
        answer = session.get(url, headers=headers, stream=True, timeout=TIMEOUT)
    except (requests.RequestException, ValueError) as error:  # the latter for a mad redirect
        raise Unavailable(f"no connection ({type(error).__name__})") from error
    with answer:
        if answer.status_code == 416:  # the file ends where we are, or before
            if have == size or answer.headers.get("Content-Range") == f"bytes */{have}":
                return None
            _forget(partial)
            raise Unavailable(f"it has fewer than {have} bytes; deleted")
        if answer.status_code not in (200, 206):
            raise Unavailable(f"the server answers {answer.status_code} {answer.reason}")
        if answer.status_code == 200:  # from the beginning: it has changed, or can't do ranges
            have = 0
            _forget(partial)
            if version := _version(answer):
                mark.write_text(version, encoding="utf-8")
        elif not (
            have
            and answer.headers.get("Content-Range", "").startswith(f"bytes {have}-")
            and _version(answer) in ("", mark.read_text(encoding="utf-8"))
        ):
            _forget(partial)
            return "the server sends another range than asked for"
        length = answer.headers.get("Content-Length", "")
        expected = size or (have + int(length) if length.isdecimal() else None)
        try:
            with (
                partial.open("ab") as file,
                Progress(url, expected and expected / MB, "MB", have / MB) as progress,
            ):
                # as it is sent: a server may pack a file, unasked, of which it then gives ranges
                for chunk in answer.raw.stream(CHUNK, decode_content=False):
                    file.write(chunk)
                    have += len(chunk)
                    progress.tell(have / MB)
                    if have > (size or LARGEST):
                        _forget(partial)
                        raise Unavailable(f"it sends more than {size or LARGEST} bytes")
        except HTTPError as error:
            return f"the connection broke ({type(error).__name__})"
    return "the server ended early" if expected and have < expected else None


def _version(answer: requests.Response) -> str:
    """What tells this version of the file from others; nothing is resumed where it is empty."""
    tag = answer.headers.get("ETag", "")
    weak = not tag or tag.startswith("W/")  # of no use to a request for a range
    return answer.headers.get("Last-Modified", "") if weak else tag


def _mark_of(partial: Path) -> Path:
    return partial.with_name(f"{partial.name}.version")


def _hash_of(target: Path) -> Path:
    return target.with_name(f"{target.name}.sha256")


def _forget(partial: Path) -> None:
    partial.unlink(missing_ok=True)
    _mark_of(partial).unlink(missing_ok=True)
