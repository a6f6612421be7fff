"""The arguments of `wingloss`. Every mistake is one line; a file that can't be read is one too."""

import argparse
import sys
from collections.abc import Sequence
from importlib import metadata, resources
from pathlib import Path
from typing import NoReturn, get_args

from wingloss.cli.results import FORMATS
from wingloss.datasets.face_record import BadSample
from wingloss.datasets.names import printable
from wingloss.recipe import Precision


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0; 1 where something failed, or a file could not be read; 2 for usage."""
    parser = argparse.ArgumentParser(prog="wingloss", description="Find facial landmarks.")
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    one = commands.add_parser("detect", help="find landmarks in pictures and videos")
    one.add_argument("sources", nargs="+", type=_path, metavar="PICTURE|VIDEO|FOLDER")
    one.add_argument("--model", type=_path, help="the detector's file (default: the package's own)")
    one.add_argument(
        "--out", required=True, type=_path, metavar="DIR", help="folder for the results"
    )
    one.add_argument(
        "--format",
        type=_formats,
        default=("csv",),
        metavar="LIST",
        help=f"one or more of {','.join(FORMATS)} (default: csv)",
    )
    _add_boxes(one)
    one.add_argument(
        "--yunet", type=_path, metavar="ONNX", help="YuNet's file, to find faces with it, not dlib"
    )
    one.add_argument(
        "--precision",
        choices=get_args(Precision),
        default="float32",
        help="bfloat16 is faster where the processor has it, and less exact (default: float32)",
    )
    one.add_argument(
        "--device",
        metavar="NAME",
        help="where PyTorch computes: cpu, cuda, cuda:1 ... (default: the GPU if there is one)",
    )
    one.set_defaults(run=_detect)
    two = commands.add_parser("info", help="show what a detector was trained on, and its scores")
    two.add_argument(
        "model",
        nargs="?",
        type=_path,
        metavar="MODEL",
        help="the detector's file (default: the package's own)",
    )
    two.set_defaults(run=_info)
    three = commands.add_parser("export", help="write a detector as ONNX")
    three.add_argument(
        "model",
        nargs="?",
        type=_path,
        metavar="MODEL.safetensors",
        help="the detector's file (default: the package's own)",
    )
    three.add_argument("onnx", type=_path, metavar="MODEL.onnx")
    three.add_argument(
        "--int8",
        nargs="+",
        type=_path,
        metavar="PICTURE|FOLDER",
        help="in eight bits, whose ranges fit the faces in these pictures (default: float32)",
    )
    _add_boxes(three)
    three.set_defaults(run=_export)
    given = parser.parse_args(arguments)
    from wingloss.detection.face_detector import NoFaceDetector
    from wingloss.detection.onnx_file import BadOnnx
    from wingloss.detection.torch_networks import NoDevice
    from wingloss.models.model_file import BadModel

    try:
        if given.model is not None and not given.model.is_file():
            what = "a folder" if given.model.is_dir() else "no such file"
            raise BadModel(f"{given.model}: {what}; a detector's file is needed")
        status: int = given.run(given)
        return status
    except KeyboardInterrupt:
        return 130
    except (BadModel, BadOnnx, BadSample, NoDevice, NoFaceDetector) as error:
        said = str(error)
    except OSError as error:
        said = f"{error.filename}: {error.strerror}" if error.filename else str(error)
    print(printable(f"error: {said}"), file=sys.stderr)
    return 1


def _path(text: str) -> Path:
    """A path. An empty one, such as an unset variable's, would be the current folder."""
    if not text:
        raise argparse.ArgumentTypeError("it is empty")
    return Path(text)


def _add_boxes(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--boxes",
        type=_path,
        metavar="CSV",
        help="table of face boxes: image, x_min, y_min, x_max, y_max (default: find the faces)",
    )


class _Version(argparse.Action):
    """Prints it. argparse's own would look it up at each call."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        print(f"wingloss {metadata.version('wingloss')}")
        parser.exit()


def _formats(text: str) -> tuple[str, ...]:
    chosen = tuple(text.split(","))
    if unknown := [one for one in chosen if one not in FORMATS]:
        raise argparse.ArgumentTypeError(f"'{unknown[0]}' is none of {', '.join(FORMATS)}")
    return chosen


def _detect(given: argparse.Namespace) -> int:
    from wingloss.cli.detect import detect
    from wingloss.detection.detector import Detector

    detector = Detector.load(given.model, given.yunet, given.precision, given.device)
    found = detect(given.sources, detector, given.out, given.format, given.boxes)
    print(f"{printable(str(given.out))}: {found.summary()}")
    return int(bool(found.unreadable or found.remarks))


def _info(given: argparse.Namespace) -> int:
    from wingloss.detection.detector import Detector

    card = Detector.load(given.model).card
    data = card.trained_on
    lines = {
        "run": card.run,
        "networks": ", ".join(card.networks),
        "landmarks": card.landmarks,
        "trained on": f"{data.faces} faces of {data.dataset}, stamped '{data.stamp}'",
        "licence of these": data.licence,
        "commit": card.commit,
        **card.scores,
    }
    for name, value in lines.items():
        print(printable(f"{name}: {value}"))
    return 0


def _export(given: argparse.Namespace) -> int:
    from wingloss.cli.export import export
    from wingloss.detection.detector import BUNDLED

    if given.boxes is not None and given.int8 is None:
        raise BadSample("--boxes belongs to --int8, whose pictures it is about")
    with resources.as_file(BUNDLED) as own:
        written = export(given.model or own, given.onnx, given.int8, given.boxes)
    print(printable(" and ".join(str(path) for path in written)))
    return 0
