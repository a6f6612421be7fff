"""Raw tree to report for every published data set, stage by stage in this process.

That both engines have these stages for every data set is in tests/engines/test_engines.py; they run
them in tests/engines/test_own_data.py and test_apart.py.
"""

from collections.abc import Callable, Iterator
from types import ModuleType

import pandas as pd
import pytest
from project import Project
from trees import WRITERS

from stages import (
    balance,
    claims,
    download,
    evaluate,
    figure,
    pose,
    prepare,
    report,
    speed,
    summary,
    table,
    train,
)
from wingloss import protocol

RUN = {"recipe": "fast", "network": "cnn6", "balance": "pdb", "loss": "wing", "seed": 0}
STAGES: list[tuple[ModuleType, dict]] = [
    (download, {}),
    (prepare, {}),
    (pose, {}),
    (balance, {}),
    (train, RUN | {"stage": 1}),
    (evaluate, RUN),
    (summary, {}),
    (speed, {}),
    (table, {"table": 3}),
    (claims, {}),
    (figure, {"figure": 4}),
    (report, {}),
]

SUBSETS = {  # test faces by subset, of trees with 8 test faces; large poses are a tenth of them
    "300w": {"full": 16, "common": 8, "challenge": 8, "large_pose": 2},
    "aflw": {"full": 8, "frontal": 6, "large_pose": 1},
    "cofw": {"full": 8, "large_pose": 1},
    "renderedaflw": {
        "full": 8,
        "expression": 2,
        "illumination": 1,
        "large_pose": 1,
        "occlusion": 1,
    },
    "wflw": {"full": 8, "pose": 4, "expression": 4, "illumination": 4, "large_pose": 1},
}


@pytest.fixture
def own_protocols(project: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Gives this process the project's protocols."""
    monkeypatch.setattr(protocol, "FOLDER", project.root / "wingloss/protocols")
    protocol.load.cache_clear()
    yield
    protocol.load.cache_clear()


@pytest.mark.parametrize("dataset", SUBSETS)
@pytest.mark.usefixtures("own_protocols", "tiny_networks")
def test_a_data_set_from_raw_tree_to_report(
    project: Project, done: Callable, monkeypatch: pytest.MonkeyPatch, dataset: str
) -> None:
    monkeypatch.setattr(speed, "SECONDS", 0.01)
    project.set(
        datasets=[dataset],
        baselines=[],  # tests/engines/test_own_data.py has them
        **{
            "runs.cnn6.balance": ["pdb"],
            "runs.cnn6.loss": ["wing"],
            "runs.cnn6_7.loss": [],
            "on_bad_sample": "skip",
            "raw.renderedaflw.train": 30,
            "raw.renderedaflw.test": 8,
            f"recipes.fast.cnn6.samples.{dataset}": 12,
        },
    )
    aflw = project.root / "wingloss/protocols/aflw.yaml"
    aflw.write_text(aflw.read_text(encoding="utf-8").replace("count: 20000", "count: 30"))
    if dataset in WRITERS:
        WRITERS[dataset](project.root / "data/incoming" / dataset)
    list_ = project.root / "data/incoming/wflw" / protocol.load("wflw").parts[0].path
    if list_.exists():  # one bad face, which is left out
        list_.write_text(list_.read_text(encoding="utf-8") + "1 2 3\n", encoding="utf-8")
    for stage, arguments in STAGES:
        done(project, stage, dataset=dataset, **arguments)
    scores = pd.read_csv(project.root / f"results/{dataset}/summary.csv")
    test = scores[scores.split == "test"]
    assert dict(zip(test.subset, test.n_faces, strict=True)) == SUBSETS[dataset]
    stamp = {"wflw": "partial, 1 skipped", "renderedaflw": "synthetic"}.get(dataset, "partial")
    assert (scores.data_stamp == stamp).all()
    assert scores[f"nme_{scores.auc_normaliser[0]}"].between(1, 1000).all()
    assert scores.nme_inter_pupil.isna().all() == (dataset in ("aflw", "renderedaflw"))
    assert (project.root / f"results/{dataset}/report.html").exists()
    assert not project.left_over()
