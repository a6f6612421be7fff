"""One predictions file a run: per face and point, predicted and true, and the normalisers."""

from typing import Any

from pipeline import files
from pipeline.config import paths
from pipeline.config.params import load
from pipeline.config.paths import Run
from pipeline.data import predict
from pipeline.data.prepared_faces import frames_of, read_faces, read_frames
from pipeline.results import scoring
from pipeline.runtime import cli
from wingloss import protocol


def run(dataset: str, recipe: str, network: str, balance: str, loss: str, seed: int) -> None:
    """Writes the run's predictions and its cumulative error distribution."""
    context = load().context
    rules = protocol.load(dataset)
    one_run = Run(dataset, recipe, network, balance, loss, seed)
    stage = len(paths.STAGES[network])
    model, found = one_run.path(paths.MODEL, stage=stage), {}
    for split, rows in scoring.faces(dataset).items():
        frames = frames_of(rows) if stage == 1 else read_frames(one_run.path(paths.FRAMES), rows)
        faces = read_faces(dataset, split, rows, frames, context, rules)
        found[split] = predict.predict(model, faces, frames)
    scoring.write(one_run, found, _about(one_run))


def _about(one_run: Run) -> dict[str, Any]:
    """What the summary says of the run besides its errors."""
    stages = range(1, len(paths.STAGES[one_run.network]) + 1)
    made = [files.read_json(one_run.path(paths.MANIFEST, stage=stage)) for stage in stages]
    last = made[-1]
    parameters = last["inputs"]["objective"]["loss"]
    curve = files.read_table(one_run.path(paths.CURVE, stage=len(made)), "samples")
    return {
        "weights": last["inputs"]["recipe"]["weights"],
        "precision": last["precision"],
        "loss_parameters": " ".join(f"{name}={value:g}" for name, value in parameters.items()),
        "status": "diverged" if any(m["status"] == "diverged" for m in made) else "trained",
        "train_seconds": round(sum(m["train_seconds"] for m in made), 1),
        "trained_together": max(m.get("trained_together", 1) for m in made),
        "curve": curve[["samples", "val_nme"]].to_dict("list"),  # of the last stage
        "samples_seen": sum(m["samples_seen"] for m in made),
        "commit": last["commit"],
        "hardware": last["hardware"],
        "versions": {"Python": last["python"], "torch": last["torch"]},
        "data": last["inputs"]["data"],
    }


if __name__ == "__main__":
    cli.main(run)
