"""Raw tree to report for every published data set, by Snakemake; DVC's graph is the same.

tests/engines/test_engines.py proves that, and tests/engines/test_workflow.py has DVC run it.
"""

import pandas as pd
import pytest
from project import Project
from trees import WRITERS

from wingloss import protocol

SUBSETS = {  # test faces by subset, of trees with 8 test faces; large poses are a tenth of them
    "300w": {"full": 16, "common": 8, "challenge": 8, "large_pose": 2},
    "aflw": {"full": 8, "frontal": 6, "large_pose": 1},
    "cofw": {"full": 8, "large_pose": 1},
    "wflw": {"full": 8, "pose": 4, "expression": 4, "illumination": 4, "large_pose": 1},
}


@pytest.mark.slow
@pytest.mark.parametrize("dataset", SUBSETS)
def test_a_data_set_from_raw_tree_to_report(project: Project, dataset: str) -> None:
    project.set(
        datasets=[dataset],
        baselines=[],  # tests/engines/test_own_data.py has them
        **{
            "runs.cnn6": {"balance": ["pdb"], "loss": ["wing"]},
            "runs.cnn6_7": {"balance": [], "loss": []},
            "on_bad_sample": "skip",
            f"recipes.fast.cnn6.samples.{dataset}": 12,
        },
    )
    aflw = project.root / "wingloss/protocols/aflw.yaml"
    aflw.write_text(aflw.read_text(encoding="utf-8").replace("count: 20000", "count: 30"))
    WRITERS[dataset](project.root / "data/incoming" / dataset)
    list_ = project.root / "data/incoming/wflw" / protocol.load("wflw").parts[0].path
    if list_.exists():  # one bad face, which is left out
        list_.write_text(list_.read_text(encoding="utf-8") + "1 2 3\n", encoding="utf-8")
    project.snakemake()
    table = pd.read_csv(project.root / f"results/{dataset}/summary.csv")
    test = table[table.split == "test"]
    assert dict(zip(test.subset, test.n_faces, strict=True)) == SUBSETS[dataset]
    stamp = "partial, 1 skipped" if dataset == "wflw" else "partial"
    assert (table.data_stamp == stamp).all()
    assert table[f"nme_{table.auc_normaliser[0]}"].between(1, 1000).all()
    assert table.nme_inter_pupil.isna().all() == (dataset == "aflw")
    assert (project.root / f"results/{dataset}/report.html").exists()
    assert not project.left_over()
