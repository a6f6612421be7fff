"""Long work tells how far it is, on a terminal and in a log."""

import io
import logging
import sys

import pytest

import snakemake_logger_plugin_wingloss as snakemake_progress
from pipeline.runtime import progress
from pipeline.runtime.progress import Progress, tracked


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
    with Progress("cnn6", 5000, "samples", 1000) as told:
        for second in range(1, seconds + 1):
            clock[0] = 100.0 + second
            known = "6.50 %" if second >= 40 else "not yet known"
            told.tell(1000 + 50 * second, f"loss 12.34, validation NME {known}")


def test_a_title_cannot_steer_the_terminal(
    clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have a file's name, or a server's."""
    screen = sit_down(monkeypatch)
    with Progress("a\x1b]0;b\x07", 10, "MB") as told:
        clock[0] += 1
        told.tell(1)
    assert "\x1b]0;" not in screen.getvalue() and r"a\x1b]0;b\x07" in screen.getvalue()


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


def test_long_work_has_hours_left(clock: list[float], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with Progress("cnn6", 100_000, "samples") as told:
        clock[0] += 31
        told.tell(310)
    assert caplog.messages == ["cnn6: 310 of 100000 samples, 10 samples/s, 2:46:09 left"]


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
    monkeypatch.setitem(sys.modules, "rich", None)
    caplog.set_level(logging.INFO)
    run(clock, 35)
    assert len(caplog.messages) == 1 and terminal.getvalue() == ""


def test_work_of_unknown_length_has_no_time_left(
    clock: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with Progress("unpacking", None, "MB") as told:
        for second in (10, 31):
            clock[0] = 100.0 + second
            told.tell(second / 2)
    assert caplog.messages == ["unpacking: 16 of ? MB, 0.5 MB/s"]


def test_items_are_counted_as_they_pass(
    clock: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for item in tracked("abc", "cropping", 3, "faces"):
        clock[0] += {"a": 10, "b": 30, "c": 1}[item]
    assert caplog.messages == ["cropping: 2 of 3 faces, 0.1 faces/s, 0:20 left"]


def test_jobs_count_by_their_work(clock: list[float]) -> None:
    jobs = snakemake_progress.Progress({1: 10.0, 2: 30.0})
    jobs.begin(1, "short")
    jobs.begin(2, "long")
    assert jobs.seconds_left() is None  # nothing has finished yet
    clock[0] += 20
    jobs.finish(1)  # half a unit of work a second, so 10 of the other's 30 units are done too
    assert jobs.seconds_left() == 20
    assert jobs.summary() == "1 of 2 jobs done, about 20 s left"


def test_a_job_that_takes_longer_than_was_thought_is_not_about_to_end(clock: list[float]) -> None:
    jobs = snakemake_progress.Progress({1: 10.0, 2: 10.0})
    jobs.begin(1, "as thought")
    clock[0] += 10
    jobs.finish(1)
    jobs.begin(2, "longer")
    clock[0] += 100  # 90 seconds more than thought: a tenth as long again
    assert jobs.seconds_left() == 10 * 110 / 20
