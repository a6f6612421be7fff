"""A clip of rendered faces that turn, with what the package's own model finds in it.

``python -m benchmarks.clip OUT.webp`` writes what ``docs/guide/detecting.md`` shows. Faces are
found in the first frame, and followed from then on.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks import arguments
from pipeline import files
from wingloss import Detector
from wingloss.augmentation.perturbation import Images
from wingloss.cli.results import drawn
from wingloss.synthetic.face import render_face
from wingloss.synthetic.population import FaceDistribution

PEOPLE = (2, 5, 11)  # seeds
SIDE, FRAMES, PAUSE = 192, 30, 80  # px; frames there and back; ms a frame


def main() -> None:
    """Writes the clip to the file on the command line."""
    (out,) = arguments(__doc__)
    shown = list(turning())
    found = Detector.load().track(shown)
    frames = [Image.fromarray(drawn(*frame)) for frame in zip(shown, found, strict=True)]
    with files.whole_file(Path(out)) as partial, partial.open("wb") as file:
        first, *others = frames
        first.save(
            file, "WEBP", save_all=True, append_images=others, duration=PAUSE, loop=0, quality=75
        )


def turning() -> Iterator[Images]:
    """Frames ``(SIDE, 3 SIDE, 3)``: each person turns to their own side, and back."""
    for number in range(FRAMES):
        share = (1 - np.cos(2 * np.pi * number / FRAMES)) / 2
        # a face is the same for the same seed, and its angles are in proportion to these
        turned = FaceDistribution(
            image_size=SIDE,
            yaw_scale=20 * share,
            pitch_std=6 * share,
            roll_std=10 * share,
            **dict.fromkeys(("yaw_tail", "box_shift", "box_scale"), 0.0),
            **dict.fromkeys(("occlusion", "expression", "illumination", "blur"), 0.0),
        )
        yield np.hstack([render_face(turned, seed, index=0).image for seed in PEOPLE])


if __name__ == "__main__":
    main()
