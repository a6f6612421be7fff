"""How far long work is: a bar on a terminal, and a line in the log every half minute."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

from pipeline.runtime.cli import log, printable

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

LOG_SECONDS = 30.0
BAR_SECONDS = 0.2

T = TypeVar("T")


class Progress:
    """The progress of one piece of work, told as often as one likes."""

    def __init__(self, title: str, total: float | None, unit: str, done: float = 0) -> None:
        """``done`` of ``total`` (None where nobody knows) ``unit`` were done before this began."""
        self.title, self.total, self.unit, self.first = printable(title), total, unit, done
        self.began = self.logged = self.shown = time.monotonic()
        self.bar = _bar() if sys.stderr.isatty() else None
        if self.bar:
            self.task = self.bar.add_task(self.title, total=total, completed=int(done), about="")

    def __enter__(self) -> "Progress":
        self._show(lambda bar: bar.start())
        return self

    def __exit__(self, *_: object) -> None:
        self._show(lambda bar: bar.stop())

    def _show(self, change: "Callable[[Bar], object]") -> None:
        """Changes the bar, if there is one. Work may outlive its terminal and the bar."""
        try:
            if self.bar:
                change(self.bar)
        except OSError:
            self.bar = None

    def tell(self, done: float, about: str = "") -> None:
        """``done`` units are done; ``about`` is what else to say of them."""
        now = time.monotonic()
        if now - self.logged > LOG_SECONDS:
            self.__exit__()  # a line would be written into the bar
            of = "?" if self.total is None else f"{self.total:.0f}"
            known = self._about(done, about, now)
            log.info("%s: %.0f of %s %s, %s", self.title, done, of, self.unit, known)
            self.__enter__()
            self.logged = now
        if self.bar and now - self.shown > BAR_SECONDS:
            known = self._about(done, about, now)
            self._show(lambda bar: bar.update(self.task, completed=done, about=known, refresh=True))
            self.shown = now

    def _about(self, done: float, about: str, now: float) -> str:
        rate = (done - self.first) / (now - self.began)
        said = [about] if about else []
        said.append(f"{rate:.{0 if rate >= 10 else 1}f} {self.unit}/s")
        if self.total is not None and rate:
            minutes, seconds = divmod(int(max(0, self.total - done) / rate), 60)
            hours, minutes = divmod(minutes, 60)
            left = f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
            said.append(f"{left} left")
        return ", ".join(said)


def tracked(items: Iterable[T], title: str, total: int | None, unit: str) -> Iterator[T]:
    """The items, with their progress."""
    with Progress(title, total, unit) as progress:
        for done, item in enumerate(items, start=1):
            yield item
            progress.tell(done)


def _bar() -> "Bar | None":
    try:  # a training must start on a machine that has torch and little else
        from rich import progress as bars
        from rich.console import Console
    except ImportError:
        return None
    columns = (bars.TextColumn("{task.description}"), bars.BarColumn(None), "{task.fields[about]}")
    console = Console(stderr=True)
    return bars.Progress(*columns, console=console, transient=True, auto_refresh=False)
