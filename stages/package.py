"""Each network's best run, and all that it takes to use it, as a file for ``wingloss.Detector``."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
from torch import nn

from pipeline import files
from pipeline.acquire import sources
from pipeline.config import paths
from pipeline.config.params import Context, Params, load
from pipeline.config.paths import STAGES, Run
from pipeline.data.prepared_faces import frames_of, read_crops
from pipeline.errors import UserError
from pipeline.results.predictions_file import SPLITS, Predictions
from pipeline.runtime import cli
from pipeline.runtime.cli import log
from wingloss import protocol
from wingloss.detection import detector_file, face_detector
from wingloss.detection.card import (
    Boxes,
    Card,
    Displacement,
    StageTwo,
    TrainedOn,
    displacement,
    flip_pairs,
)
from wingloss.geometry import landmark_boxes, square_frames
from wingloss.models import model_file
from wingloss.models.correction import frame_errors
from wingloss.protocol import Protocol

KNOWN, FEWEST = 200, 20  # training faces that dlib's detector is compared on, and must find


def run(dataset: str) -> None:
    """Writes DATASET's detectors: of each network the best run by the error on validation faces.

    Where no faces were held out, it is the first run's.

    Raises:
        UserError: a run was trained in other crops than ``params.yaml`` asks for.
    """
    params, rules = load(), protocol.load(dataset)
    runs = paths.runs(params, dataset)
    boxes = known_boxes(dataset, params, rules)
    with files.whole_folder(Path(paths.DETECTORS.format(dataset=dataset))) as folder:
        for network in dict.fromkeys(one.network for one in runs):
            scores = {one: _scores(one, rules) for one in runs if one.network == network}
            trained = [one for one in scores if scores[one]]
            if not trained:
                log.warning("no training of %s has ended well, so there is no detector", network)
                continue
            # without validation faces the first: nothing is chosen on test faces
            judge = f"val {_by(rules)}"
            best = min(trained, key=lambda one: scores[one].get(judge, 0.0))
            networks, commit = _trained(best, params)
            card = _card(best, boxes, params, rules, scores[best], commit)
            name = Path(paths.DETECTOR.format(dataset=dataset, network=network)).name
            detector_file.save(folder / name, card, networks)
            chosen = "the best, on validation faces," if judge in scores[best] else "the first"
            log.info("%s is %s of %d runs", best, chosen, len(scores))


def _trained(best: Run, params: Params) -> tuple[list[nn.Module], str]:
    """A run's networks, stage by stage, and the commit of the code that trained the last one."""
    networks = []
    for stage, name in enumerate(STAGES[best.network], start=1):
        manifest = files.read_json(best.path(paths.MANIFEST, stage=stage))
        if manifest["inputs"]["context"] != asdict(params.context):
            raise UserError(
                f"{best} was trained with another `context`; run 'snakemake --cores all'"
            )
        path = files.existing(best.path(paths.MODEL, stage=stage))
        try:
            found, weights = model_file.load(path)
        except model_file.BadModel as error:
            raise UserError(str(error)) from error
        if found != name:
            raise UserError(f"{path}: holds {found}, not {name}")
        networks.append(weights)
    return networks, manifest["commit"]


def _card(
    one: Run,
    boxes: Boxes,
    params: Params,
    rules: Protocol,
    scores: dict[str, float],
    commit: str,
) -> Card:
    """What the file says; ``commit`` is that of the training."""
    stamp = files.read_json(Path(paths.STAMP.format(dataset=one.dataset)))
    networks = STAGES[one.network]
    stage_two = None
    if len(networks) == 2:
        mean = np.array(files.read_json(Path(paths.POSE.format(dataset=one.dataset)))["mean"])
        shape = tuple((float(x), float(y)) for x, y in mean)
        stage_two = StageTwo(params.correction.margin, shape)
    return Card(
        run=str(one),
        networks=networks,
        landmarks=rules.n_landmarks,
        flip_pairs=flip_pairs(rules.flip_permutation),
        context=params.context,
        boxes=boxes,
        stage_two=stage_two,
        trained_on=TrainedOn(
            one.dataset, stamp["data_stamp"], stamp["faces"]["train"], _licence(one.dataset, params)
        ),
        commit=commit,
        scores=scores,
    )


def _licence(dataset: str, params: Params) -> str:
    """The terms of the data set."""
    if params.raw[dataset] is not None:
        return "rendered by this project, MIT"
    source = sources.load(dataset)
    return source.licence if source else "its owner's own pictures; ask them"


def _scores(one: Run, rules: Protocol) -> dict[str, float]:
    """The run's mean error in percent, first on validation faces; empty if a training diverged."""
    found = Predictions.read(one.path(paths.PREDICTIONS))
    if found.diverged:
        return {}
    errors = found.errors(rules.headline)
    return {
        f"{split} {_by(rules)}": round(100 * float(errors[own].mean()), 3)
        for split in SPLITS
        if (own := found.split == split).any()
    }


def _by(rules: Protocol) -> str:
    return f"NME by {rules.headline}, percent"


def known_boxes(dataset: str, params: Params, rules: Protocol) -> Boxes:
    """How boxes become frames as those of the training faces are: by medians over these."""
    samples = files.read_samples(Path(paths.SAMPLES.format(dataset=dataset)))
    training = samples[samples.split == "train"]
    squares = square_frames(landmark_boxes(files.points(training, rules.n_landmarks)), scale=1)
    from_landmarks = np.median(frame_errors(frames_of(training), squares), axis=0)
    return Boxes(
        scale=params.dataset[dataset].box.scale,
        from_landmarks=displacement(from_landmarks),
        from_dlib=_from_dlib(dataset, params.context),
    )


def _from_dlib(dataset: str, context: Context) -> Displacement | None:
    """From the square about dlib's box to a face's frame; None where it finds too few faces."""
    crops = read_crops(Path(paths.CROPS.format(dataset=dataset, split="train")))
    middle = context.size / 2 - 0.5
    frame = np.array([middle, middle, context.size / context.scale, 0.0])  # in every crop
    chosen = np.unique(np.linspace(0, len(crops) - 1, KNOWN).astype(int))
    offsets = []
    for index in chosen:
        found = square_frames(face_detector.find(crops[index]), scale=1)
        found = found[np.abs(found[:, :2] - frame[:2]).max(axis=1) < frame[2] / 2]
        offsets.append(frame_errors(np.tile(frame, (len(found), 1)), found)[:1])  # the surest
    known = np.concatenate(offsets)
    log.info("dlib's detector finds %d of %d training faces", len(known), len(chosen))
    if len(known) < FEWEST:
        log.warning(
            "dlib found fewer than %d: these detectors can't locate faces, and need their boxes",
            FEWEST,
        )
        return None
    return displacement(np.median(known, axis=0))


if __name__ == "__main__":
    cli.main(run)
