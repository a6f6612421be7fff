"""MediaPipe's face mesh, served to ``benchmarks.inference`` by an environment of its own.

MediaPipe 0.10.21, the last release that carries its models, takes another protobuf than ONNX does.
A request on standard input is a picture's height and width, as two 32-bit numbers, and its pixels,
uint8 RGB; the answer is x and y of the 478 points in its pixels, float32, NaN where there is no
face.
"""

import struct
import sys

import mediapipe
import numpy as np

POINTS = 478


def main() -> None:
    """Answers until there is nothing more to read."""
    with mediapipe.solutions.face_mesh.FaceMesh(
        static_image_mode=True, max_num_faces=1, refine_landmarks=True
    ) as mesh:
        while head := sys.stdin.buffer.read(8):
            height, width = struct.unpack("<2i", head)
            pixels = sys.stdin.buffer.read(3 * height * width)
            picture = np.frombuffer(pixels, np.uint8).reshape(height, width, 3)
            points = np.full((POINTS, 2), np.nan, np.float32)
            if faces := mesh.process(picture).multi_face_landmarks:
                shares = [(point.x, point.y) for point in faces[0].landmark]
                points = np.array(shares, np.float32) * (width, height) - 0.5
            sys.stdout.buffer.write(points.astype(np.float32).tobytes())
            sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
