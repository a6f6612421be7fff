"""The graphs of both engines as plain data: `python -m graphs OUTPUT`, from a project's root.

Standard input is a list of changes as JSON, each a table of files and their new texts. Each change
is made, looked at with both engines, and taken back. OUTPUT becomes a list of what was seen.
"""

import json
import os
import sys
from pathlib import Path

import networkx
from dvc.dependency.param import ParamsDependency
from dvc.repo import Repo
from snakemake.api import SnakemakeApi
from snakemake.settings.types import DAGSettings, OutputSettings, Quietness, ResourceSettings


def snakemake(forced: bool) -> tuple[dict[str, dict], list[str]]:
    """All stages by name, where ``forced``, and the first ones that would run."""
    quiet = OutputSettings(quiet={Quietness.ALL})
    with SnakemakeApi(quiet) as api:
        workflow = api.workflow(resource_settings=ResourceSettings(cores=2))
        workflow.dag(DAGSettings(forceall=forced)).execute_workflow(executor="dryrun")
        dag = workflow._workflow_store.dag
        jobs = {job: _name(job) for job in dag.jobs if job.rule.name != "all"}
        stages = {
            name: {
                "command": " ".join(job.shellcmd.split()),
                "inputs": sorted(str(file) for file in job.input),
                "outputs": sorted(str(file) for file in job.output),
                "parameters": dict(job.params.get("science", {})),
            }
            for job, name in jobs.items()
        }
        waiting = {job for job in dag.jobs if dag.needrun(job)}
        first = [
            name
            for job, name in jobs.items()
            if job in waiting and not waiting & set(dag.dependencies[job])
        ]
    return stages, sorted(first)


def dvc() -> tuple[dict[str, dict], list[str]]:
    """All stages by name, and the first ones that are not as they were recorded."""
    with Repo() as repo:
        stages = {}
        for stage in repo.index.stages:
            files = [dep for dep in stage.deps if not isinstance(dep, ParamsDependency)]
            parameters = [dep for dep in stage.deps if isinstance(dep, ParamsDependency)]
            # Table 2's own runs are CNN-6's, and rules of the same name make them
            stages[stage.name.replace("_table2@", "@")] = {
                "command": " ".join(stage.cmd.split()),
                "inputs": sorted(_relative(dep) for dep in files),
                "outputs": sorted(_relative(out) for out in stage.outs),
                "parameters": {
                    name: value
                    for dep in parameters
                    for name, value in dep.read_params(flatten=True).items()
                },
            }
        changed = set(repo.status()) if os.path.exists("dvc.lock") else set()
        graph = repo.index.graph  # from a stage to those it depends on
        above = {
            stage.addressing: {other.addressing for other in networkx.descendants(graph, stage)}
            for stage in graph
        }
        first = [name for name in changed if not above[name] & changed]
    for stage in stages.values():  # a folder of others' outputs stands for all of them
        stage["inputs"] = sorted(
            file for path in stage["inputs"] for file in (_inside(path, stages) or [path])
        )
    return stages, sorted(first)


def _inside(folder: str, stages: dict[str, dict]) -> list[str]:
    """The declared outputs below a folder."""
    outputs = [file for stage in stages.values() for file in stage["outputs"]]
    return [file for file in outputs if file.startswith(f"{folder}/")]


def _name(job) -> str:
    return f"{job.rule.name}@{'-'.join(job.wildcards)}"


def _relative(file) -> str:
    return os.path.relpath(file.fs_path)


def main() -> None:
    seen = []
    for change in json.load(sys.stdin):
        before = {file: Path(file).read_text(encoding="utf-8") for file in change}
        for file, text in change.items():
            Path(file).write_text(text, encoding="utf-8")
        recorded = Path("dvc.lock").exists()
        snakemake_stages, snakemake_first = snakemake(forced=not recorded)
        dvc_stages, dvc_first = dvc()
        seen.append(
            {
                "snakemake": snakemake_stages,
                "dvc": dvc_stages,
                "snakemake_first": snakemake_first,
                "dvc_first": dvc_first,
            }
        )
        for file, text in before.items():
            Path(file).write_text(text, encoding="utf-8")
    Path(sys.argv[1]).write_text(json.dumps(seen, sort_keys=True), encoding="utf-8")


if __name__ == "__main__":
    main()
