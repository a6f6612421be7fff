"""What to know of a data set before trusting it, as lines of the log."""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from pipeline import files
from pipeline.config import paths
from pipeline.config.params import Params
from pipeline.data.prepared_faces import face_boxes, frames_of, read_crops
from pipeline.runtime.cli import log
from pipeline.runtime.progress import tracked
from wingloss import pictures
from wingloss.drawing.contact_sheet import Picture
from wingloss.evaluation import duplicates
from wingloss.geometry import Array, apply, context_maps, landmark_boxes, square_frames
from wingloss.pose import projection
from wingloss.protocol import Protocol

YAW_BINS = np.arange(-90, 91, 15)  # degrees
THUMBNAIL = 24  # px, of the likeness that near-duplicates are found by
ALIKE = 0.97  # correlation of two thumbnails above which they are shown as near-duplicates


def tell(
    dataset: str, samples: pd.DataFrame, points: Array, params: Params, rules: Protocol
) -> None:
    """Logs what is odd about the samples, whose landmarks are ``points`` ``(N, L, 2)``."""
    sizes = _picture_sizes(Path(paths.RAW.format(dataset=dataset)), samples)
    _counts(samples, sizes)
    _boxes(samples, points, sizes)
    _yaw(dataset, samples, points, rules)
    _duplicates(dataset, samples, points, params, rules)


def _picture_sizes(root: Path, samples: pd.DataFrame) -> Array:
    """Width and height ``(N, 2)`` of each face's picture, px."""
    sizes = {}
    names = samples.image.unique()
    for name in tracked(names, "measuring pictures", len(names), "pictures"):
        sizes[name] = pictures.size(files.existing(root / name))
    return np.array([sizes[name] for name in samples.image], float)


def _counts(samples: pd.DataFrame, sizes: Array) -> None:
    for split, rows in samples.groupby("split"):
        tags = rows.subsets.str.split().explode().value_counts()
        named = ", ".join(f"{count} {tag}" for tag, count in sorted(tags.items()))
        photographs = rows.photograph.nunique()
        log.info("%s: %d faces in %d photographs; %s", split, len(rows), photographs, named or "-")
    (narrow, low), (wide, high) = sizes.min(axis=0), sizes.max(axis=0)
    log.info(
        "pictures: %d to %d px wide, median %d; %d to %d px high, median %d",
        *(narrow, wide, np.median(sizes[:, 0]), low, high, np.median(sizes[:, 1])),
    )


def _boxes(samples: pd.DataFrame, points: Array, sizes: Array) -> None:
    """How the face boxes lie to the landmarks, and which landmarks lie outside of what."""
    boxes = face_boxes(samples)
    given, tight = square_frames(boxes, 1), square_frames(landmark_boxes(points), 1)
    ratio = given[:, 2] / tight[:, 2]
    shift = (given[:, :2] - tight[:, :2]) / tight[:, 2:3]
    log.info("face size (the landmarks' longer side): %s px", _spread(tight[:, 2], "%.0f"))
    log.info(
        "box side / face size: %s; standard deviation of its logarithm %.3f",
        _spread(ratio, "%.2f"),
        np.log(ratio).std(),
    )
    log.info(
        "box centre - landmarks' centre, in face sizes: mean %.3f right, %.3f down; standard "
        "deviation %.3f, %.3f",
        *shift.mean(axis=0),
        *shift.std(axis=0),
    )
    corners = np.concatenate([np.zeros((len(sizes), 2)), sizes - 1], axis=1)
    frames = frames_of(samples)
    half = frames[:, 2:3] / 2
    for name, limits in (
        ("the face box", boxes),
        ("stage one's frame", np.c_[frames[:, :2] - half, frames[:, :2] + half]),
        ("the picture", corners),
    ):
        beyond = np.maximum(limits[:, None, :2] - points, points - limits[:, None, 2:])
        beyond = beyond.max(axis=(1, 2)) / tight[:, 2]
        worst = int(beyond.argmax())
        log.info(
            "a landmark outside %s: %.1f %% of faces%s",
            name,
            100 * (beyond > 0).mean(),
            f"; farthest {beyond[worst]:.2f} face sizes ({samples.face.iloc[worst]})"
            if beyond[worst] > 0
            else "",
        )


def _yaw(dataset: str, samples: pd.DataFrame, points: Array, rules: Protocol) -> None:
    """Whether the pose coefficient is the yaw and what balancing does to it, where it is known."""
    if files.YAW not in samples:
        return
    yaw = samples[files.YAW].to_numpy()
    coefficients = projection.fit(points, rules).coefficients(points)
    log.info(
        "yaw: %.0f to %.0f degrees, median of its size %.0f; its correlation with the pose "
        "coefficient %.3f, of their ranks %.3f",
        *(yaw.min(), yaw.max(), np.median(abs(yaw))),
        abs(np.corrcoef(yaw, coefficients)[0, 1]),
        abs(spearmanr(yaw, coefficients).statistic),
    )
    for balance in paths.BALANCES:
        path = Path(paths.REPEATS.format(dataset=dataset, balance=balance))
        if path.exists():
            repeats = files.read_table(path, face=str).set_index("face").repeats
            times = repeats.reindex(samples.face).fillna(0)
            counts, _ = np.histogram(yaw, YAW_BINS, weights=times)
            log.info("training faces by yaw, %s: %s", balance, " ".join(f"{n:.0f}" for n in counts))


def _duplicates(
    dataset: str, samples: pd.DataFrame, points: Array, params: Params, rules: Protocol
) -> None:
    """Faces that look the same, aligned by their landmarks, on both sides of a split."""
    context = params.context
    maps = context_maps(frames_of(samples), context.scale, context.size)
    mean = projection.fit(points, rules).mean
    canonical = mean / np.ptp(mean, axis=0).max() * 0.8 * THUMBNAIL + (THUMBNAIL - 1) / 2
    likeness = {}
    for split, rows in samples.groupby("split"):
        crops = read_crops(Path(paths.CROPS.format(dataset=dataset, split=split)))
        at = samples.index.get_indexer(rows.index)
        places = apply(maps[at], points[at])
        pairs = tracked(
            zip(crops, places, strict=True), f"comparing faces of {split}", len(rows), "faces"
        )
        thumbnails = [_thumbnail(*pair, canonical) for pair in pairs]
        likeness[split] = duplicates.normalise(np.stack(thumbnails)), rows.face.to_numpy()
    for split, held in (("val", "train"), ("test", "train"), ("test", "val")):
        if not {split, held} <= set(likeness):
            continue
        index, alike = duplicates.nearest(likeness[split][0], likeness[held][0])
        found = np.flatnonzero(alike > ALIKE)
        log.info("%d faces of %s look like one of %s", len(found), split, held)
        for face in found[np.argsort(-alike[found])][:10]:
            other = likeness[held][1][index[face]]
            log.warning("%s looks like %s (%.3f)", likeness[split][1][face], other, alike[face])


def _thumbnail(picture: Picture, points: Array, canonical: Array) -> Picture:
    """The face in grey, turned, scaled and moved so that its landmarks fit the mean shape."""
    angle = projection.rotations(points[None], canonical)[0]
    scale = np.linalg.norm(canonical - canonical.mean(0)) / np.linalg.norm(points - points.mean(0))
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    linear = np.array([[cos, sin], [-sin, cos]])
    shift = canonical.mean(0) - linear @ points.mean(0)
    size = (THUMBNAIL, THUMBNAIL)
    small = cv2.GaussianBlur(picture, (0, 0), float(0.5 / scale)) if scale < 1 else picture
    warped = cv2.warpAffine(small, np.c_[linear, shift], size, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.cvtColor(warped, cv2.COLOR_RGB2GRAY), np.uint8)


def _spread(values: Array, form: str) -> str:
    low, middle, high = np.quantile(values, (0.05, 0.5, 0.95))
    return f"{form}, {form} and {form} (5 %%, median, 95 %%)" % (low, middle, high)
