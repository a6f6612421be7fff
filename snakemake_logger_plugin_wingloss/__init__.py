"""Snakemake's log as progress: jobs done, jobs running, time left.

Each job's start and end is a line. On a terminal the running jobs stand below the lines, and what
the jobs say is woven in; elsewhere a summary comes every half a minute.
`profiles/default/config.yaml` selects it.

Jobs differ in length by a factor of ten and more, so time left is not counted in jobs. A rule may
declare `resources: work=...`, seconds on a machine of one's choice (1 where it declares none); the
Snakefile hands them over before the first job starts:

    onstart:
        announce_work(workflow.dag)
"""

import os
import threading
import time
from logging import LogRecord
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.text import Text
from snakemake.logging import logger
from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

SUMMARY_EVERY = 30.0  # seconds, where there is no terminal
CHATTER = (
    "Assuming unrestricted",
    "Building DAG",
    "Complete log",
    "Conda environments",
    "Elapsed time",
    "Execute ",
    "Exiting because",
    "Select jobs",
    "Shutting down",
    "Using shell",
)
STAGE_FAILED = "returned non-zero exit status 1."  # it has said why, unlike one that was killed


def announce_work(dag: Any) -> None:
    """Tell the progress display the work of each job of `workflow.dag` that is about to run."""
    work = {job.jobid: float(job.resources.get("work", 1)) for job in dag.needrun_jobs()}
    logger.info(None, extra={"event": "work", "work": work})


def duration(seconds: float) -> str:
    """Seconds as people say them: `34 s`, `12 min`, `3 h 05 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


class Progress:
    """The jobs of one run: finished, running and waiting, with their work."""

    def __init__(self, work: dict[int, float]) -> None:
        self.start = time.monotonic()
        self.unfinished = work  # work by job, running or waiting
        self.running: dict[int, tuple[str, float]] = {}  # name and start (monotonic seconds) by job
        self.finished = 0
        self.finished_work = self.finished_seconds = 0.0

    def begin(self, jobid: int, name: str) -> None:
        self.running[jobid] = name, time.monotonic()
        self.unfinished.setdefault(jobid, 1.0)

    def finish(self, jobid: int) -> tuple[str, float]:
        """Count a job as done; its name and its seconds."""
        name, start = self.running.pop(jobid)
        seconds = time.monotonic() - start
        self.finished += 1
        self.finished_work += self.unfinished.pop(jobid)
        self.finished_seconds += seconds
        return name, seconds

    def seconds_left(self) -> float | None:
        """Remaining work over the work done per second so far; None before a job has finished."""
        if not self.finished_work:
            return None
        now, speed = time.monotonic(), self.finished_work / self.finished_seconds
        done, left = self.finished_work, sum(self.unfinished.values())
        for jobid, (_, start) in self.running.items():
            work, partly = self.unfinished[jobid], (now - start) * speed
            done += min(partly, work)
            # A job that takes longer than was thought is not about to end at any moment.
            left += max(work - partly, partly / 10) - work
        return left * (now - self.start) / done

    def summary(self) -> str:
        left = self.seconds_left() if self.unfinished else None
        counts = f"{self.finished} of {self.finished + len(self.unfinished)} jobs done"
        return counts if left is None else f"{counts}, about {duration(left)} left"

    def table(self) -> str:
        """The summary and a line for each running job."""
        now = time.monotonic()
        jobs = [f"  {name}  {duration(now - start)}" for name, start in self.running.values()]
        return "\n".join([f"{self.summary()}; running:", *jobs])


class LogHandler(LogHandlerBase):
    """Snakemake's way in: its events come to `emit`, one at a time, from a thread of its own."""

    writes_to_stream = True
    writes_to_file = has_filter = has_formatter = needs_rulegraph = False

    def __post_init__(self) -> None:
        settings = self.common_settings
        self.console = Console(
            file=os.fdopen(os.dup(1 if settings.stdout else 2), "w"),
            no_color=settings.nocolor,
            highlight=False,
            soft_wrap=True,
        )
        self.progress = Progress({})
        self.view = Live(
            console=self.console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self.relay = threading.Thread(target=self.relay_errors, daemon=True)
        self.closed = threading.Event()
        self.guard = threading.Lock()  # of `progress` and `view`, among the threads

    def emit(self, record: LogRecord) -> None:
        try:
            with self.guard:
                self.tell(record)
        except Exception:  # as the library's handlers do: a fault in the log must not stop the run
            self.handleError(record)

    def tell(self, record: LogRecord) -> None:
        event: dict[str, Any] = record.__dict__
        match event.get("event"):
            case LogEvent.WORKFLOW_STARTED | LogEvent.RESOURCES_INFO:
                pass  # Snakemake's own log file has it
            case LogEvent.JOB_INFO | LogEvent.JOB_FINISHED if self.common_settings.dryrun:
                self.say(self.format(record))
            case "work":
                self.progress = Progress(event["work"])
                if self.console.is_interactive:
                    self.view.start()
                    self.relay.start()
                threading.Thread(target=self.refresh, daemon=True).start()
            case LogEvent.JOB_INFO:
                name = " ".join([event["rule_name"], *event["wildcards"].values()])
                self.progress.begin(event["jobid"], name)
                self.say(f"start  {name}")
            case LogEvent.JOB_FINISHED:
                name, seconds = self.progress.finish(event["job_id"])
                self.say(f"done   {name} in {duration(seconds)} ({self.progress.summary()})")
            case LogEvent.JOB_ERROR:
                name, _ = self.progress.running.pop(event["jobid"], (event["rule_name"], 0.0))
                self.say(f"failed {name}; its log: {', '.join(event['log'])}")
            case LogEvent.JOB_STARTED | LogEvent.PROGRESS:
                pass  # told above
            case _:
                message = record.getMessage().strip()
                if not message.startswith(CHATTER) and not message.endswith(STAGE_FAILED):
                    self.say(self.format(record))

    def say(self, message: str) -> None:
        self.view.update(Text(self.progress.table()))
        if message and message != "None":
            self.console.print(Text.from_ansi(message))

    def refresh(self) -> None:
        while not self.closed.wait(0.5 if self.console.is_interactive else SUMMARY_EVERY):
            with self.guard:
                if self.console.is_interactive:
                    self.view.update(Text(self.progress.table()), refresh=True)
                else:
                    self.say(self.progress.table())

    def relay_errors(self) -> None:
        """Show what jobs write to stderr above the running jobs rather than across them."""
        read, write = os.pipe()
        os.dup2(write, 2)  # jobs started from here on inherit it
        os.close(write)
        for line in os.fdopen(read, errors="replace"):
            with self.guard:
                self.say(line.rstrip())

    def close(self) -> None:
        self.closed.set()
        if self.relay.is_alive():
            os.dup2(self.console.file.fileno(), 2)
            self.relay.join(timeout=1)  # a job that outlived Snakemake may hold the other end
        self.view.stop()
        super().close()
