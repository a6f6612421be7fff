"""Bring Snakemake's and DVC's records level after either has run: `python -m workflow.sync`.

Each engine has its own idea of what is up to date. Where one is content, what lies in the folder is
what its graph makes of the present code, data and parameters, and the other one only needs to be
told so. Where neither is, something has to be computed, and this stops.
"""

import csv
import json
import subprocess
import sys

import yaml

from pipeline.config.params import load
from pipeline.data import origin
from pipeline.errors import UserError
from pipeline.runtime import engines
from wingloss.datasets.names import some
from workflow import generate_dvc, keep_outputs
from workflow.proof import unproven
from workflow.setup import configure_dvc


def run(*command: str) -> str:
    """The standard output of an engine; where it fails, its errors are shown and this stops."""
    done = subprocess.run([sys.executable, "-m", *command], text=True, capture_output=True)
    if done.returncode:
        sys.exit(f"{done.stderr}error: `{' '.join(command)}` failed")
    return done.stdout


def check_record() -> None:
    """Stops where DVC can't read its record."""
    try:
        with open("dvc.lock", encoding="utf-8") as file:
            dict(yaml.load(file, yaml.CSafeLoader)["stages"])
    except FileNotFoundError:
        return
    except (yaml.YAMLError, ValueError, TypeError, KeyError):
        sys.exit(
            "error: dvc.lock: corrupt, or in a merge conflict; run `git checkout HEAD dvc.lock` to "
            "restore git's version, and then `make sync`"
        )


def main() -> None:
    with engines.alone():
        check_record()
        configure_dvc()
        keep_outputs.main()
        keep_outputs.forget_hashes()
    params = load()
    if generate_dvc.stale(params.runs):
        sys.exit(
            "error: params.yaml: runs: dvc.yaml was generated for other runs; run "
            "`python -m workflow.generate_dvc`, and then `make sync`"
        )
    for dataset in params.datasets:
        if stale := origin.changed(dataset):
            sys.exit(f"error: {stale}; then `make sync`")
    # `snakemake --dry-run` exits with 0 whether or not there is something to do; this table tells.
    table = list(csv.DictReader(run("snakemake", "--summary").splitlines(), delimiter="\t"))
    files = [row["output_file"] for row in table if row["plan"] != "no update"]
    missing = [row["output_file"] for row in table if row["status"] == "missing"]
    stages = list(json.loads(run("dvc", "status", "--json")))  # those not as DVC recorded them
    if files and stages:
        sys.exit(
            "error: neither engine is up to date, so there is something to compute.\n"
            f"Snakemake wants to make {some(files, 5)}.\n"
            f"DVC sees changes in {some(stages, 5)}.\n"
            "Run `make reproduce`, or `dvc repro` and then `make sync`."
        )
    if missing:  # and all that is made of them is there, so that Snakemake doesn't mind
        sys.exit(
            f"error: {some(missing, 5)} is missing.\n"
            "Give its name to `dvc checkout` to restore it as recorded, or to `snakemake` to\n"
            "recreate it; then run `make sync`."
        )
    if files:
        run("snakemake", "--touch", "--cores", "1")
        print("Snakemake now takes what DVC recorded as up to date.")
    elif stages:
        if doubts := unproven(stages):
            rules = dict.fromkeys(generate_dvc.rule_of(name, params.runs) for name in doubts)
            sys.exit(
                f"error: {some(dict.fromkeys(doubts.values()), 5)}: not recorded; run "
                f"`snakemake --forcerun {' '.join(rules)}` to recreate it, and then `make sync`"
            )
        run("dvc", "commit", "--force")
        # which puts files anew where they lie, the later ones not always after the earlier
        run("snakemake", "--touch", "--cores", "1")
        print("DVC has recorded what Snakemake made.")
    else:
        print("Snakemake and DVC agree.")


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
