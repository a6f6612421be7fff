"""How far a training is: a bar on a terminal, and a line in the log every half minute."""

import sys
import time

try:  # a training must start on a machine that has torch and little else
    from rich import progress as bars
    from rich.console import Console
except ImportError:
    bars = None  # type: ignore[assignment]

from stages.command import log

LOG_SECONDS = 30.0
BAR_SECONDS = 0.2


class Progress:
    """The progress of one training, told as often as one likes."""

    def __init__(self, title: str, done: int, total: int) -> None:
        """``done`` of ``total`` samples were seen before this process began."""
        self.title, self.first, self.total = title, done, total
        self.began = self.logged = self.shown = time.monotonic()
        self.bar = _bar() if bars and sys.stderr.isatty() else None
        if self.bar:
            self.task = self.bar.add_task(title, total=total, completed=done, about="")

    def __enter__(self) -> "Progress":
        if self.bar:
            self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar:
            self.bar.stop()

    def tell(self, done: int, loss: float, nme: float | None) -> None:
        """``done`` samples were seen; the last loss, and the last validation NME in percent."""
        now = time.monotonic()
        if now - self.logged > LOG_SECONDS:
            self.__exit__()  # a line would be written into the bar
            about = self._about(done, loss, nme, now)
            log.info("%s: %d of %d samples, %s", self.title, done, self.total, about)
            self.__enter__()
            self.logged = now
        if self.bar and now - self.shown > BAR_SECONDS:
            about = self._about(done, loss, nme, now)
            self.bar.update(self.task, completed=done, about=about, refresh=True)
            self.shown = now

    def _about(self, done: int, loss: float, nme: float | None, now: float) -> str:
        rate = (done - self.first) / (now - self.began)
        minutes, seconds = divmod(int((self.total - done) / rate), 60)
        known = "not yet known" if nme is None else f"{nme:.2f} %"
        return (
            f"loss {loss:.2f}, validation NME {known}, {rate:.0f} samples/s, "
            f"{minutes}:{seconds:02d} left"
        )


def _bar() -> "bars.Progress":
    columns = (bars.TextColumn("{task.description}"), bars.BarColumn(None), "{task.fields[about]}")
    console = Console(stderr=True)
    return bars.Progress(*columns, console=console, transient=True, auto_refresh=False)
