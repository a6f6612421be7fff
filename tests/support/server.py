"""A real HTTP server on this machine, with faults."""

import contextlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread


class Server(ThreadingHTTPServer):
    """Serves ``files`` by path; ``faults`` holds, by path, what goes wrong in the next requests.

    A fault is a number (that status), ``("break", n)`` (the connection breaks after n bytes),
    ``("silent", n)`` (nothing more after n bytes until ``speaking`` is set), ``"mute"`` (the same
    before the answer begins), ``("drip", n)`` (after n bytes one at a time, for as long),
    ``"dripping head"`` (the same of the answer's head),
    ``("long", n)`` or ``("short", n)`` (a Content-Length that many bytes off),
    ``("to", address)`` (a redirect), ``"changed"`` (another version of the file from now on),
    ``"mixed"`` (the same, of which a range is given that was asked of the version before) or
    ``"no ranges"``. ``encoding`` is what the server says that it packs files by; where it
    ``tells_versions``, answers have an ETag.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.faults: dict[str, list] = {}
        self.version = 1
        self.encoding = "identity"
        self.tells_versions = True
        self.reason: str | None = None  # beside the status
        self.speaking = Event()
        self.seen: list[tuple[str, str | None, int]] = []  # path, Range, status

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        waiting = self.server.faults.get(self.path, [])
        fault = waiting.pop(0) if waiting else None
        if fault == "mute":
            self.server.seen.append((self.path, self.headers.get("Range"), 0))
            self.server.speaking.wait()
            self.close_connection = True
            return None
        if fault == "dripping head":
            self.server.seen.append((self.path, self.headers.get("Range"), 0))
            return self._drip(b"HTTP/1.1 200 OK\r\nX: " + bytes(10_000).replace(b"\0", b"x"))
        if fault in ("changed", "mixed"):
            self.server.version += 1
            self.server.files[self.path] = self.server.files[self.path][::-1]
        if isinstance(fault, tuple) and fault[0] == "to":
            return self._answer(302, b"", {"Location": fault[1]})
        if isinstance(fault, int) or self.path not in self.server.files:
            return self._answer(fault or 404, b"no", {"Retry-After": "1"})
        content, tag = self.server.files[self.path], f'"{self.server.version}"'
        headers = {"ETag": tag} if self.server.tells_versions else {}
        headers["Content-Encoding"] = self.server.encoding
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        same = self.headers.get("If-Range") == tag
        if wanted and (same or fault == "mixed") and fault != "no ranges":
            first = int(wanted[1])
            if first >= len(content):
                return self._answer(416, b"", {"Content-Range": f"bytes */{len(content)}"})
            headers["Content-Range"] = f"bytes {first}-{len(content) - 1}/{len(content)}"
            return self._answer(206, content[first:], headers, fault)
        return self._answer(200, content, headers, fault)

    def _answer(
        self, status: int, content: bytes, headers: dict[str, str], fault: object = None
    ) -> None:
        self.server.seen.append((self.path, self.headers.get("Range"), status))
        kind, n = fault if isinstance(fault, tuple) else (None, 0)
        length = len(content) + {"long": n, "short": -n}.get(kind, 0)
        self.send_response(status, self.server.reason)
        for name, value in (headers | {"Content-Length": str(length)}).items():
            self.send_header(name, value)
        self.end_headers()
        sent = n if kind in ("break", "silent", "drip") else length
        self.wfile.write(content[:sent])
        if kind == "silent":
            self.server.speaking.wait()
            with contextlib.suppress(OSError):  # nobody listens any more
                self.wfile.write(content[sent:])
        if kind == "drip":
            self._drip(content[sent:])
        if kind in ("break", "long"):
            self.close_connection = True

    def _drip(self, content: bytes) -> None:
        """One byte at a time, until nobody listens."""
        self.close_connection = True
        with contextlib.suppress(OSError):
            for i in range(len(content)):
                self.wfile.write(content[i : i + 1])
                self.wfile.flush()
                if self.server.speaking.wait(0.02):
                    return

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving() -> Iterator[Server]:
    with Server() as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.speaking.set()
            server.shutdown()
            thread.join()
