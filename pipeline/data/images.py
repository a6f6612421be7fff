"""Pictures that stages and commands write."""

from pathlib import Path

import cv2

from pipeline import files
from wingloss.pictures import Picture


def write(path: Path, picture: Picture) -> None:
    """Writes a picture ``(H, W, 3)``, RGB, as JPEG."""
    with files.whole_file(path) as partial:
        stored = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
        data = cv2.imencode(".jpg", stored, (cv2.IMWRITE_JPEG_QUALITY, 90))[1]
        partial.write_bytes(data.tobytes())
