"""Downloads that resume after an interruption and are checked before anyone sees them.

A file grows under a temporary name in its own folder (``.name.partial``, with the server's mark of
its version beside it) and takes its name when size and hash are right.
"""

import hashlib
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError, ReadTimeoutError
from urllib3.util import Retry

from pipeline.errors import UserError
from pipeline.files import whole_file
from pipeline.runtime.cli import log, without_passwords
from pipeline.runtime.progress import Progress

TRIES = 5  # without a byte of progress
BACKOFF = 1.0  # s, doubled from try to try
LONGEST_WAIT = 120  # s that a server may ask for
TIMEOUT = (10, 60)  # s to connect and to greet, and for the head of an answer or its next piece
LEAST = 60_000  # bytes that must come in each of the latter
CHUNK = 1 << 16  # bytes at a time, at most
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
            faults.append(f"{without_passwords(url)}: {error}")
            log.warning("%s", faults[-1])
            continue
        fault = _fault(partial, size, sha256)
        if fault is None:
            record(target, hash_of(partial))
            os.replace(partial, target)
            _mark_of(partial).unlink(missing_ok=True)
            return
        faults.append(f"{without_passwords(url)}: {fault}")
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
    """Brings ``partial`` to its full length, resuming what an earlier try left."""
    log.info("fetching %s", without_passwords(url))
    with requests.Session() as session:
        retry = Retry(
            total=TRIES,
            backoff_factor=BACKOFF,
            status_forcelist=(429, 500, 502, 503, 504),
            raise_on_status=False,
            retry_after_max=LONGEST_WAIT,
        )
        for scheme in ("http://", "https://"):
            session.mount(scheme, _Adapter(max_retries=retry))
        idle = 0
        furthest = partial.stat().st_size if partial.exists() else 0
        while True:
            began = time.monotonic()
            fault = _resume(session, url, partial, size)
            if fault is None:
                return
            now = partial.stat().st_size if partial.exists() else 0
            expected = LEAST * (time.monotonic() - began) / TIMEOUT[1]
            idle = 0 if now - furthest > expected else idle + 1
            furthest = max(furthest, now)
            if idle == TRIES:
                if _mark_of(partial).exists():
                    raise Unavailable(f"{fault}; {now} bytes are kept, run again to resume")
                _forget(partial)  # another version's end could follow
                raise Unavailable(f"{fault}; nothing is kept, because the server can't resume")
            log.warning("%s: %s after %d bytes: resuming", without_passwords(url), fault, now)
            time.sleep(BACKOFF * 2**idle)


def _resume(session: requests.Session, url: str, partial: Path, size: int | None) -> str | None:
    """One request for what is missing; what interrupted it, or None when the file is whole."""
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
            reason = "".join(filter(str.isprintable, answer.reason or ""))
            raise Unavailable(f"the server answers {answer.status_code} {reason}")
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
            return "the server sends another range than requested"
        length = answer.headers.get("Content-Length", "")
        expected = size or (have + int(length) if length.isdecimal() else None)
        try:
            with (
                partial.open("ab") as file,
                Progress(
                    without_passwords(url), expected and expected / MB, "MB", have / MB
                ) as progress,
                _watched(answer.raw.shutdown, TIMEOUT[1], lambda: have, LEAST) as too_slow,
            ):
                # as it is sent: a server may pack a file, unasked, of which it then gives ranges
                while chunk := answer.raw.read1(CHUNK, decode_content=False):
                    file.write(chunk)
                    have += len(chunk)
                    progress.tell(have / MB)
                    if have > (size or LARGEST):
                        _forget(partial)
                        raise Unavailable(f"it sends more than {size or LARGEST} bytes")
        except ReadTimeoutError:
            too_slow.set()
        except HTTPError as error:
            if not too_slow.is_set():
                return f"the connection broke ({type(error).__name__})"
        if too_slow.is_set():
            return f"fewer than {LEAST} bytes came in {TIMEOUT[1]:g} s"
    return "the server ended early" if expected and have < expected else None


@contextmanager
def _watched(
    stop: Callable[[], object], period: float, done: Callable[[], int], least: int
) -> Iterator[Event]:
    """Calls ``stop`` once less than ``least`` more is done in a ``period``; the event says so.

    The time limit of a socket is for its next byte alone: a byte a second would keep it for ever.
    """
    ended, too_slow = Event(), Event()

    def watch() -> None:
        before = done()
        while not ended.wait(period):
            if done() - before < least:
                too_slow.set()
                with suppress(OSError, RuntimeError, ValueError):  # it has ended meanwhile
                    stop()
                return
            before = done()

    thread = Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield too_slow
    finally:
        ended.set()
        thread.join()


class _Adapter(HTTPAdapter):
    """Connections whose greetings and heads of answers come in time as a whole."""

    def get_connection_with_tls_context(self, *args: Any, **named: Any) -> Any:
        pool = super().get_connection_with_tls_context(*args, **named)
        if not issubclass(pool.ConnectionCls, _InTime):
            pool.ConnectionCls = type("Connection", (_InTime, pool.ConnectionCls), {})
        return pool


class _InTime:
    """What is added to urllib3's connections."""

    handle: socket.socket | None = None  # a second one: TLS takes the first one away

    def _new_conn(self) -> socket.socket:
        made: socket.socket = super()._new_conn()  # type: ignore[misc]
        self.handle = made.dup()
        return made

    def connect(self) -> None:
        with self._bounded(TIMEOUT[0]):
            super().connect()  # type: ignore[misc]

    def getresponse(self) -> Any:
        with self._bounded(TIMEOUT[1]):
            return super().getresponse()  # type: ignore[misc]

    def close(self) -> None:
        super().close()  # type: ignore[misc]
        if self.handle is not None:
            self.handle.close()

    @contextmanager
    def _bounded(self, seconds: float) -> Iterator[None]:
        """Raises TimeoutError where the block takes longer than ``seconds`` over the network."""

        def stop() -> None:
            if self.handle is not None:
                self.handle.shutdown(socket.SHUT_RDWR)

        too_slow = Event()
        try:
            with _watched(stop, seconds, lambda: 0, 1) as too_slow:
                yield
        except Exception as error:  # whatever half an answer is taken for
            if too_slow.is_set():
                raise TimeoutError(f"no answer in {seconds} s") from error
            raise
        if too_slow.is_set():  # an answer that was cut short looks like a whole one
            raise TimeoutError(f"no answer in {seconds} s")


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
