"""One face: the scene put together, photographed and annotated."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from wingloss.geometry import Array
from wingloss.synthetic import occluders
from wingloss.synthetic.appearance import draw_person, paint_head
from wingloss.synthetic.body import body, ears
from wingloss.synthetic.camera import expose
from wingloss.synthetic.hair import draw_hair, hair_sheets
from wingloss.synthetic.head import CENTRE, draw_shape, head_grid
from wingloss.synthetic.inside import eyeballs, mouth_inside
from wingloss.synthetic.population import FaceDistribution, draw_box, draw_pose, draw_subsets
from wingloss.synthetic.raster import Drawn, draw
from wingloss.synthetic.scene import background, draw_lights

SUPERSAMPLING = 1.5  # buffer pixels a picture pixel
# AFLW's 19 landmarks as means of 68 (brows: left, centre, right; eyes; nose; mouth; chin).
AFLW = ([17], [19], [21], [22], [24], [26], [36], [36, 39], [39], [42], [42, 45], [45],
        [31], [30], [35], [48], [62, 66], [54], [8])  # fmt: skip


@dataclass(frozen=True)
class Face:
    """One picture and its annotation, in image pixels.

    Angles in degrees: positive yaw turns the nose tip towards the viewer's right (+x), positive
    pitch turns it down (+y), positive roll turns the head clockwise. A hidden landmark, be it
    behind the head or an object, is not visible and keeps its place as if these were of glass.
    """

    image: NDArray[np.uint8]  # (S, S, 3), RGB
    points: Array  # (68, 2)
    visible: NDArray[np.bool_]  # (68,)
    points19: Array  # (19, 2), AFLW's scheme
    visible19: NDArray[np.bool_]  # (19,)
    box: Array  # (4,): x_min, y_min, x_max, y_max
    yaw: float
    pitch: float
    roll: float
    subsets: tuple[str, ...]  # of large_pose, occlusion, expression, illumination, blur


def render_face(distribution: FaceDistribution, seed: int, index: int) -> Face:
    """Draws face ``index`` of the population; it depends on nothing but the three arguments.

    The landmarks' tight square covers 46 to 58 % of the picture's side and stays inside it.
    """
    rng = np.random.default_rng([seed, index])
    size = distribution.image_size
    yaw, pitch, roll = draw_pose(distribution, rng)
    subsets = draw_subsets(distribution, yaw, rng)
    turn, distance = rotation(yaw, pitch, roll), rng.uniform(7, 15)
    person = draw_person(rng)
    controls = draw_shape(person.male, "expression" in subsets, rng)
    surface = head_grid().surface(controls)

    landmarks = turned_landmarks(controls, turn, yaw, roll)
    flat = landmarks[:, :2] * (distance / (distance - landmarks[:, 2:]))
    low, high = flat.min(0), flat.max(0)
    zoom = size * rng.uniform(0.46, 0.58) / (high - low).max()  # picture px a head unit
    middle = (size - 1) / 2 + size * rng.uniform(-0.07, 0.07, 2)
    points = (flat - (low + high) / 2) * zoom + middle

    cells = round(size * SUPERSAMPLING)
    scale = cells / size

    def place(turned: Array) -> Array:  # head units round the head's centre -> the buffer's frame
        flat = turned[..., :2] * (distance / (distance - turned[..., 2:]))
        seen = (flat - (low + high) / 2) * zoom + middle
        return np.concatenate([(seen + 0.5) * scale - 0.5, turned[..., 2:]], axis=-1)

    occluder = _draw_occluder(rng) if "occlusion" in subsets else ""
    hair = draw_hair(person, occluder == "hair", rng)
    sheets = [paint_head(surface, person, hair.scalp(), size, rng)]
    sheets += eyeballs(controls, rng) + mouth_inside(controls, rng)
    sheets += ears(surface, person, size, rng)
    above = hair_sheets(hair, surface, person, size, rng)
    if occluder in ("glasses", "sunglasses"):
        above += occluders.glasses(controls, size, occluder == "sunglasses", rng)
    elif occluder == "hand":
        above += occluders.hand(controls, person, size, rng)
    elif occluder == "mask":
        above += occluders.mask(surface, size, rng)
    elif occluder == "thing":
        above += occluders.thing(controls, size, rng)
    for sheet in above:
        sheet.covers = True
    sheets += above
    for sheet in sheets:
        sheet.points = place((sheet.points - CENTRE) @ turn.T)
    follow = rng.uniform(0.3, 0.8)
    lean = rotation(follow * yaw, 0.2 * pitch, 0.3 * roll)
    for sheet in body(person, size, turn, lean, rng):
        sheet.points = place(sheet.points)
        sheets.append(sheet)

    lights = draw_lights("illumination" in subsets, rng)
    drawn = draw(sheets, lights, cells, zoom * scale)
    picture = background(cells, lights.sky + 0.6 * lights.key_colour, rng)
    cover = cv2.GaussianBlur(drawn.cover, (3, 3), 0.6)[..., None]
    picture += cover * (np.where(drawn.cover[..., None] > 0, drawn.colour, picture) - picture)
    visible = _visible(np.c_[points, landmarks[:, 2]], drawn, scale)
    dark = bool((lights.key_colour + lights.sky).mean() < 0.35)
    return Face(
        image=expose(picture, size, "blur" in subsets, dark, rng),
        points=points,
        visible=visible,
        points19=np.array([points[group].mean(0) for group in AFLW]),
        visible19=np.array([visible[group].all() for group in AFLW]),
        box=draw_box(points, distribution, rng),
        yaw=yaw,
        pitch=pitch,
        roll=roll,
        subsets=subsets,
    )


def rotation(yaw: float, pitch: float, roll: float) -> Array:
    """The matrix (3, 3) of yaw, then pitch, then roll; degrees, signs as in ``Face``."""

    def turn(start: int, end: int, degrees: float) -> Array:  # takes axis start towards axis end
        matrix, angle = np.eye(3), np.deg2rad(degrees)
        matrix[[start, end], [start, end]] = np.cos(angle)
        matrix[start, end], matrix[end, start] = -np.sin(angle), np.sin(angle)
        return matrix

    return turn(0, 1, roll) @ turn(2, 1, pitch) @ turn(2, 0, yaw)


def turned_landmarks(controls: Array, turn: Array, yaw: float, roll: float) -> Array:
    """The landmarks (68, 3) round the head's centre, turned; contour landmarks slide."""
    landmarks = (controls[:68] - CENTRE) @ turn.T
    paths = (head_grid().parallels @ controls.astype(np.float32) - CENTRE) @ turn.T  # (17, 48, 3)
    across = np.array([np.cos(np.deg2rad(roll)), np.sin(np.deg2rad(roll)), 0])
    reach = np.sign(yaw) * paths @ across
    outermost = reach.argmax(axis=1)
    away = np.arange(17) * np.sign(yaw) > 8 * np.sign(yaw)
    landmarks[:17][away] = paths[np.arange(17), outermost][away]
    return landmarks


def _draw_occluder(rng: Generator) -> str:
    kinds = ["glasses", "sunglasses", "hand", "hair", "mask", "thing"]
    return str(rng.choice(kinds, p=[0.32, 0.16, 0.2, 0.12, 0.1, 0.1]))


def _visible(landmarks: Array, drawn: Drawn, scale: float) -> NDArray[np.bool_]:
    """Which landmarks (68, 3) nothing hides.

    Hidden are those behind a covering sheet and those 0.1 head units behind the face itself.
    """
    seen = (landmarks[:, :2] + 0.5) * scale - 0.5
    column, row = np.clip(np.rint(seen).astype(int), 0, len(drawn.depth) - 1).T
    nearest = cv2.erode(drawn.depth, np.ones((3, 3)))[row, column]
    covered = cv2.erode(drawn.covering, np.ones((3, 3)))[row, column] > 0
    return nearest < landmarks[:, 2] + np.where(covered, 0, 0.1)
