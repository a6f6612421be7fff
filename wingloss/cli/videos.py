"""The frames of videos, read and written by OpenCV's FFmpeg."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from wingloss.augmentation.perturbation import Images
from wingloss.datasets.face_record import BadSample
from wingloss.pictures import MOST_PIXELS

# What FFmpeg may take a file for, whatever its name is: a playlist would have it open others.
_ONLY = "protocol_whitelist;file|format_whitelist;mov,mp4,m4a,3gp,3g2,mj2,avi,matroska,webm"
WHOLE = 0.95  # of the frames that a video's header tells, which may be an estimate


class Video:
    """A video's frames ``(H, W, 3)``, RGB, one at a time, turned as viewers show them."""

    def __init__(self, path: Path) -> None:
        """Opens it.

        Raises:
            BadSample: it is none.
        """
        os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] = _ONLY
        os.environ["OPENCV_FFMPEG_LOGLEVEL"] = "-8"  # its words name no file, nor do OpenCV's
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        self.path = path
        self._frames = cv2.VideoCapture(os.path.abspath(path), cv2.CAP_FFMPEG)
        if not self._frames.isOpened():
            raise BadSample(f"{path}: not a whole video, or of a kind that isn't read")
        width, height = (
            self._get(key) for key in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)
        )
        if not 0 < width * height <= MOST_PIXELS:
            raise BadSample(f"{path}: frames of {width:.0f} x {height:.0f} pixels")
        self.rate = self._get(cv2.CAP_PROP_FPS)
        self.expected = int(max(0, self._get(cv2.CAP_PROP_FRAME_COUNT)))
        self.read = 0

    def _get(self, key: int) -> float:
        return float(self._frames.get(key))

    def __iter__(self) -> Iterator[Images]:
        try:
            while True:
                whole, frame = self._frames.read()
                if not whole:
                    break
                self.read += 1
                yield np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), np.uint8)
        finally:
            self._frames.release()
        if not self.read:
            raise BadSample(f"{self.path}: not one frame can be read")

    @property
    def torn(self) -> str | None:
        """What is missing once all has been read that can be."""
        if self.read >= WHOLE * self.expected:
            return None
        return f"torn: {self.read} of {self.expected} frames can be read"


class Writer:
    """Writes frames as MPEG-4."""

    def __init__(self, path: Path, rate: float) -> None:
        self._path, self._rate = path, rate if 0 < rate <= 1000 else 25.0
        self._file: Any = None

    def add(self, frame: Images) -> None:
        """One more frame ``(H, W, 3)``, RGB; all have the first one's size."""
        if self._file is None:
            code = cv2.VideoWriter.fourcc(*"mp4v")
            size = frame.shape[1::-1]
            self._file = cv2.VideoWriter(str(self._path), cv2.CAP_FFMPEG, code, self._rate, size)
            if not self._file.isOpened():
                raise OSError(f"{self._path}: OpenCV can't write videos here")
        self._file.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))

    def close(self) -> None:
        """Completes the file."""
        if self._file is not None:
            self._file.release()
