"""Predictions and speeds made by hand, of which tables, verdicts and reports are made."""

import io
import json
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from project import Project

from pipeline.config import paths
from pipeline.config.paths import Run
from pipeline.results import paper_spec
from stages import claims

LOSSES = ["l2", "l1", "smooth_l1", "wing"]
N_FACES = 60
ABOUT = {  # what only the report asks of a run
    "hardware": "a processor",
    "precision": "float32",
    "commit": "unknown",
    "versions": {"Python": "3"},
    "data": {},
}
BEST = "Wing loss makes CNN-6 more accurate than L1 and smooth L1"


def write_predictions(
    project: Project, run: Run, nme: float, split: str = "test", first: int = 0, **about: object
) -> None:
    """Faces, numbered from ``first``, that miss by about ``nme`` % of a face 100 pixels wide."""
    hard = np.random.default_rng(0).uniform(0.5, 1.5, N_FACES)  # the same for every run
    luck = np.random.default_rng([run.seed, *run.loss.encode()]).normal(0, 0.02, N_FACES)
    true = np.full((N_FACES, 68, 2), 50.0)
    miss = hard * (1 + luck)
    miss *= nme / miss.mean()
    path = project.root / run.path(paths.PREDICTIONS)
    path.parent.mkdir(parents=True, exist_ok=True)
    said = {
        "data_stamp": "synthetic",
        "status": "trained",
        "train_seconds": 120,
        "weights": "none",
        "samples_seen": 10,
    }
    np.savez_compressed(
        path,
        run=json.dumps(vars(run) | said | about),
        face=np.array([f"face{first + i}" for i in range(N_FACES)]),
        photograph=np.array([f"photograph{(first + i) // 2}" for i in range(N_FACES)]),
        split=np.array([split] * N_FACES),
        subsets=np.array(["large_pose"] * 20 + [""] * (N_FACES - 20)),
        predicted=true + miss[:, None, None] * (0.6, 0.8),
        true=true,
        normaliser_box=np.full(N_FACES, 100.0),
        normaliser_inter_pupil=np.full(N_FACES, 100.0),
        normaliser_inter_ocular=np.full(N_FACES, 160.0),
        normaliser_diag=np.full(N_FACES, 200.0),
    )


def write_speeds(project: Project, dataset: str = "synthetic", gpu: str | None = None) -> None:
    """CNN-6/7 4 and 3 times as fast as ResNet-50 on a CPU, 2 times on a GPU."""
    machine = {"processor": "a processor", "threads": 2, "gpu": gpu, "cores": 2}
    machine |= {"cores_of_others": 0.1}
    networks = {
        "cnn6_7": {"cpu_speed_1_thread": 40.0, "cpu_speed": 60.0, "gpu_speed": gpu and 100.0},
        "resnet50": {"cpu_speed_1_thread": 10.0, "cpu_speed": 20.0, "gpu_speed": gpu and 50.0},
    }
    path = project.root / paths.SPEED.format(dataset=dataset)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"machine": machine, "networks": networks}))


@pytest.fixture
def table1(project: Project) -> Project:
    """Table 1's four losses with three seeds; L2 is worst, Wing as good as L1."""
    project.set(**{
        "seeds": [0, 1, 2],
        "baselines": [],
        "runs.cnn6.balance": ["none"], "runs.cnn6.loss": LOSSES,
        "runs.cnn6_7.loss": [],
    })  # fmt: skip
    for loss, nme in zip(LOSSES, (4.0, 3.0, 3.1, 3.0), strict=True):
        for seed in (0, 1, 2):
            run = Run("synthetic", "fast", "cnn6", "none", loss, seed)
            write_predictions(project, run, nme * (1 + (seed - 1) / 30))
    write_speeds(project)
    return project


@pytest.fixture
def partial(project: Project) -> Project:
    """300W's validation faces, as CNN-6 + PDB and CNN-6/7 + PDB see them."""
    project.set(**{
        "datasets": ["300w"],
        "seeds": [0, 1, 2],
        "baselines": [],
        "runs.cnn6.balance": ["pdb"], "runs.cnn6.loss": ["wing"],
        "runs.cnn6_7.balance": ["pdb"], "runs.cnn6_7.loss": ["wing"],
    })  # fmt: skip
    for network, nme in (("cnn6", 5.0), ("cnn6_7", 4.0)):
        for seed in (0, 1, 2):
            run = Run("300w", "fast", network, "pdb", "wing", seed)
            write_predictions(project, run, nme, split="val", data_stamp="partial")
    write_speeds(project, "300w", gpu="a GPU")
    return project


def read_table(project: Project, name: str) -> pd.DataFrame:
    """A table's cells by its rows and columns."""
    text = project.read(f"results/synthetic/tables/{name}.csv").decode()
    return pd.read_csv(io.StringIO(text)).set_index(["method", "column"])


def verdicts(project: Project, call: Callable, dataset: str = "synthetic") -> dict[str, dict]:
    """The claims by their text, judged by what there is."""
    status, said = call(project, claims, dataset=dataset)
    assert status == 0, said
    ((recipe, found),) = json.loads(project.read(f"results/{dataset}/claims.json")).items()
    counts = json.loads(project.read(f"results/{dataset}/verdicts.json"))[recipe]
    assert sum(counts.values()) == len(found) == len(paper_spec.claims())
    return {one["claim"].partition(" (claimed of")[0]: one for one in found}
