"""A training tells how far it is, on a terminal and in a log."""

import io
import logging
import sys

import pytest

from stages import progress
from stages.progress import Progress


class Terminal(io.StringIO):
    """A screen that takes all that is written for what it shows."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def sit_down(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal of 200 columns as stderr; no fixture, because pytest sets stderr after them."""
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TERM", "xterm")
    return screen


def run(clock: list[float], seconds: int) -> None:
    """50 samples a second; the validation NME is known from the fortieth on."""
    with Progress("cnn6", 1000, 5000) as told:
        for second in range(1, seconds + 1):
            clock[0] = 100.0 + second
            told.tell(1000 + 50 * second, 12.344, 6.5 if second >= 40 else None)


def test_a_log_gets_a_line_every_half_minute(
    clock: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    run(clock, 62)
    assert caplog.messages == [
        "cnn6: 2550 of 5000 samples, loss 12.34, validation NME not yet known, 50 samples/s, "
        "0:49 left",
        "cnn6: 4100 of 5000 samples, loss 12.34, validation NME 6.50 %, 50 samples/s, 0:18 left",
    ]


def test_a_terminal_gets_a_bar(clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = sit_down(monkeypatch)
    run(clock, 45)
    shown = terminal.getvalue()
    assert "loss 12.34, validation NME 6.50 %, 50 samples/s, 0:35 left" in shown
    assert "━" in shown


def test_without_rich_a_terminal_gets_the_logs_lines(
    clock: list[float], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    terminal = sit_down(monkeypatch)
    monkeypatch.setattr(progress, "bars", None)
    caplog.set_level(logging.INFO)
    run(clock, 35)
    assert len(caplog.messages) == 1 and terminal.getvalue() == ""
