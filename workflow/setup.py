"""Set up the project's environment `.venv`: `make setup`, with which every other target begins.

The system's Python runs this file by itself, so the standard library has to do. A second set-up
waits for the first. The stamp is written last: an environment without it is incomplete, and is
recreated. It holds the folder, because an environment can be neither copied nor moved, and a hash
of what was requested.
"""

import ast
import configparser
import fcntl
import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

ENVIRONMENT = Path(".venv")
STAMP = ENVIRONMENT / ".complete"
PYTHON = str(ENVIRONMENT / "bin/python")
LOCK = Path(".venv.lock")
REQUIREMENTS = Path("requirements.lock")
PROJECT = Path("pyproject.toml")
CACHE = Path(".cache")
# What Python runs when it starts in the environment: in a process of DVC, workflow/dvc_atomic.py.
PROTECTION = (
    'import os, sys; "dvc" in map(os.path.basename, sys.orig_argv)'
    ' and __import__("workflow.dvc_atomic")\n'
)
# The user's settings of pip that say where packages come from. Others say where they go to, or
# which are refused, and would have them go elsewhere or nowhere (`user`, `target`, `prefix` ...).
SOURCES = (
    *("index-url", "extra-index-url", "find-links", "no-index", "trusted-host", "keyring-provider"),
    *("proxy", "cert", "client-cert", "timeout", "default-timeout", "retries"),
    *("cache-dir", "no-cache-dir"),
)


def main() -> None:
    os.chdir(Path(__file__).parent.parent)
    with LOCK.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("another set-up is running here: waiting for it", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        if reason := unfinished():
            set_up(reason)
        else:
            protect_dvc()
            configure_dvc()


def stamp() -> list[str]:
    """What a finished set-up of this folder as it is now writes down."""
    wanted = REQUIREMENTS.read_bytes() + torch().encode()
    return [os.getcwd(), hashlib.sha256(wanted).hexdigest()]


def unfinished() -> str | None:
    """Why something is to be set up; None where all is."""
    if not os.path.exists(PYTHON) or not STAMP.exists():
        return "making .venv"
    made = STAMP.read_text(encoding="utf-8").splitlines()
    if made[1:] == stamp()[1:]:
        place, here = made[0], os.getcwd()
        return None if place == here else f".venv was made in {place}: recreating it in {here}"
    return "the required packages have changed"


def set_up(reason: str) -> None:
    """Makes the environment, or brings it up to date where only the packages have changed."""
    print(f"set-up: {reason}", flush=True)
    made = STAMP.read_text(encoding="utf-8").splitlines() if STAMP.exists() else []
    if made[:1] != [os.getcwd()] or not os.path.exists(PYTHON):
        STAMP.unlink(missing_ok=True)
        call(
            getattr(sys, "_base_executable", sys.executable), "-I", "-m", "venv", "--clear", ".venv"
        )
    STAMP.unlink(missing_ok=True)
    environment = clean() | sources()
    pip = (PYTHON, "-I", "-m", "pip", "install", "-qq", "--no-input")
    # First what has hashes, torch's own dependencies among it.
    print("set-up 1/3: all packages but torch", flush=True)
    call(*pip, "--require-hashes", "-r", str(REQUIREMENTS), environment=environment)
    # Each platform has a build of its own with libraries of its own, and no hash fits all.
    print("set-up 2/3: torch", flush=True)
    call(*pip, torch(), environment=environment)
    print("set-up 3/3: this project", flush=True)
    call(*pip, "--no-deps", "--no-build-isolation", "--editable", ".", environment=environment)
    call(PYTHON, "-m", "workflow.plots_template")
    protect_dvc()
    configure_dvc()
    call(PYTHON, "-m", "workflow.keep_outputs")
    STAMP.write_text("\n".join(stamp()) + "\n", encoding="utf-8")


def call(*command: str, environment: dict[str, str] | None = None) -> None:
    """Runs a command that says for itself what is wrong; stops where it fails."""
    if subprocess.run(command, env=environment or clean()).returncode:
        sys.exit(f"error: set-up failed at `{' '.join(command)}`; fix that and run `make setup`")


def clean() -> dict[str, str]:
    """The process's environment without what leads Python and pip to another place."""
    other = ("PYTHON", "PIP_", "VIRTUAL_ENV", "CONDA_", "UV_", "__PYVENV_LAUNCHER__")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(other)}
    return kept | {"PYTHONNOUSERSITE": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


def sources() -> dict[str, str]:
    """For pip: no configuration but those of its user's settings that SOURCES names."""
    names = {f"PIP_{key.upper().replace('-', '_')}" for key in SOURCES} | {"PIP_CONFIG_FILE"}
    own = {name: value for name, value in os.environ.items() if name in names}
    own |= {"PIP_USER": "0", "PIP_GLOBAL": "0", "PIP_SITE": "0"}  # each would show one file alone
    listed = subprocess.run(
        [PYTHON, "-I", "-m", "pip", "config", "list"],
        env=clean() | own,
        text=True,
        capture_output=True,
    )
    found = re.findall(r"^(global|install|:env:)\.([a-z-]+)=(.*)$", listed.stdout, re.MULTILINE)
    settings = {"PIP_CONFIG_FILE": os.devnull}
    for section in ("global", "install", ":env:"):  # the later ones overrule
        for kind, key, value in found:
            if kind == section and key in SOURCES:
                settings[f"PIP_{key.upper().replace('-', '_')}"] = str(ast.literal_eval(value))
    return settings


def torch() -> str:
    """The requirement of torch as pyproject.toml has it."""
    (found,) = re.findall(r'"(torch==[0-9.]+)"', PROJECT.read_text(encoding="utf-8"))
    return found


def protect_dvc() -> None:
    """Has the environment's DVC survive being killed while it writes its records."""
    for packages in ENVIRONMENT.glob("lib/python3*/site-packages"):
        path = packages / "wingloss_dvc.pth"  # read after the one that knows this folder
        if not path.exists() or path.read_text(encoding="utf-8") != PROTECTION:
            path.write_text(PROTECTION, encoding="utf-8")


def configure_dvc() -> None:
    """Brings `.dvc/config.local` level with where the project stands.

    It has the page for plots that needs no network; DVC's index of files in the project, where no
    other user of the machine can write what DVC unpickles; and whether there is git, because a
    project may come from an archive and be made a repository later.
    """
    CACHE.mkdir(exist_ok=True)
    CACHE.chmod(0o700)
    here = Path.cwd()
    obstacle = without_git(here)
    wanted = {"core.no_scm": "true" if obstacle else None}
    if Path(".dvc/plots.html").exists():
        wanted["plots.html_template"] = "plots.html"
    if "DVC_SITE_CACHE_DIR" not in os.environ:  # which goes first
        wanted["core.site_cache_dir"] = str(here / CACHE / "dvc")
    path = Path(".dvc/config.local")
    config = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        config.read(path, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError):
        sys.exit(f"error: {path}: not a configuration of DVC's; fix or delete it")
    before = {name: config.get(*name.split("."), fallback=None) for name in wanted}
    wanted = {name: value and quoted(value) for name, value in wanted.items()}
    if wanted == before:
        return
    # `dvc config` can't write what isn't ASCII, such as a folder's name, but DVC reads it.
    for name, value in wanted.items():
        section, key = name.split(".")
        if value:
            config.read_dict({section: {key: value}})
        elif before[name]:
            config.remove_option(section, key)
    partial = path.with_name(f"{path.name}.partial")
    with partial.open("w", encoding="utf-8") as file:
        config.write(file)
    os.replace(partial, path)
    if obstacle and not before["core.no_scm"]:
        print(f"{obstacle}: DVC works without git, so it compares no revisions", flush=True)


def quoted(value: str) -> str:
    """A value as DVC's configuration has it."""
    if "'" in value and '"' in value:
        return f"'''{value}'''"
    mark = '"' if "'" in value else "'"
    return f"{mark}{value}{mark}" if re.search(r"[^\w./-]", value) else value


def without_git(root: Path) -> str | None:
    """Why DVC must do without git; None where it can have it."""
    if not any((folder / ".git").exists() for folder in (root, *root.parents)):
        return "no git repository here"
    for top in ("data", "results"):
        for folder in (root / top, *root.glob(f"{top}/*"), *root.glob(f"{top}/*/*")):
            own = folder.relative_to(root).parts[:2] in {
                ("data", "incoming"),
                ("data", "downloads"),
            }
            if (
                folder.is_symlink()
                and not own
                and not folder.resolve().is_relative_to(root.resolve())
            ):
                return f"{folder.relative_to(root)} is a link out of the project"
    return None


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:
        sys.exit(f"error: set-up: {error.filename or os.getcwd()}: {error.strerror}")
