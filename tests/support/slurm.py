"""A real Slurm on this machine: a controller and one node, whose two GPUs are only names.

``python tests/support/slurm.py FOLDER COMMAND...`` runs a command beside it and ends it again. It
needs Debian's `slurm-wlm` and `munge`, and root; everything it writes is in FOLDER.
"""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch")
SYSTEM = Path("/etc/slurm/slurm.conf")  # where a job's commands look, whatever its environment says
CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
MailProg=/bin/true
ReturnToService=2
KillWait=10
SchedulerParameters=sched_interval=1,batch_sched_delay=0
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
GresTypes=gpu
NodeName=node NodeHostname={host} NodeAddr=127.0.0.1 CPUs={cores} RealMemory={memory} Gres=gpu:2
PartitionName=cpu Nodes=node Default=YES
PartitionName=gpu Nodes=node
"""


def missing() -> str:
    """What keeps Slurm from running here; empty if nothing does."""
    absent = [program for program in PROGRAMS if not shutil.which(program)]
    if absent:
        return f"no {absent[0]} (Debian: slurm-wlm, munge)"
    if SYSTEM.exists() and not SYSTEM.is_symlink():
        return f"{SYSTEM} is another Slurm's"
    return "" if os.getuid() == 0 else "not root"


@contextmanager
def running(folder: Path) -> Iterator[dict[str, str]]:
    """The environment in which Slurm's commands reach it; its files go into ``folder``."""
    for name in ("state", "spool", "munge"):
        (folder / name).mkdir(parents=True)
    folder.chmod(0o755)
    key = folder / "munge/key"
    key.write_bytes(secrets.token_bytes(1024))
    key.chmod(0o400)
    host = socket.gethostname().partition(".")[0]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    (folder / "slurm.conf").write_text(
        CONFIGURATION.format(
            host=host, folder=folder, ports=_ports(2), cores=os.cpu_count(), memory=memory - 100
        )
    )
    gpus = [f"NodeName=node Name=gpu File=/dev/{device}\n" for device in ("null", "zero")]
    (folder / "gres.conf").write_text("".join(gpus))
    environment = os.environ | {"SLURM_CONF": str(folder / "slurm.conf")}
    daemons = {
        "munged": [
            *("munged", "--foreground", "--force", f"--key-file={key}"),
            *(f"--{what}-file={folder}/munge/{what}" for what in ("log", "pid", "seed")),
            f"--socket={folder}/munge.socket",
        ],
        "slurmctld": ["slurmctld", "-D", "-c"],
        "slurmd": ["slurmd", "-D", "-N", "node"],
    }
    with ExitStack() as stack:
        SYSTEM.unlink(missing_ok=True)
        SYSTEM.symlink_to(folder / "slurm.conf")
        stack.callback(SYSTEM.unlink)
        for name, command in daemons.items():
            said = stack.enter_context((folder / f"{name}.said").open("w"))
            daemon = subprocess.Popen(command, env=environment, stdout=said, stderr=said)
            stack.callback(_end, daemon)
            if name == "munged":
                _wait(lambda: (folder / "munge.socket").exists(), folder)
        _wait(lambda: _state(environment) == "idle", folder)
        yield environment
        subprocess.run(["scancel", "--user=root"], env=environment)
        _wait(lambda: not _output("squeue", "--noheader", environment=environment), folder)


def _end(daemon: subprocess.Popen) -> None:
    daemon.terminate()
    try:
        daemon.wait(timeout=10)
    except subprocess.TimeoutExpired:  # `slurmd`, now and then
        daemon.kill()
        daemon.wait()


def _state(environment: dict[str, str]) -> str:
    """The node's state, as `sinfo` has it."""
    return _output("sinfo", "--noheader", "--partition=cpu", "--format=%T", environment=environment)


def _output(*command: str, environment: dict[str, str]) -> str:
    return subprocess.run(command, env=environment, capture_output=True, text=True).stdout.strip()


def _wait(condition, folder: Path) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        if time.monotonic() > deadline:
            said = [path.read_text()[-2000:] for path in folder.glob("*.said")]
            raise TimeoutError("Slurm doesn't start or end:\n" + "\n".join(said))
        time.sleep(0.1)


def _ports(count: int) -> list[int]:
    """Ports that nobody has at the moment."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("", 0))) for _ in range(count)]
        return [one.getsockname()[1] for one in sockets]


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if reason := missing():
        sys.exit(f"error: no Slurm here: {reason}")
    with running(Path(sys.argv[1]).absolute()) as environment:
        sys.exit(subprocess.run(sys.argv[2:], env=environment).returncode)
