"""Deferred shading: the nearest surface of each pixel is found first, and only these are lit.

Camera frame: x and y in buffer pixels, z towards the viewer in head units. Colours are linear
light, 1 is white.
"""

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from wingloss.synthetic.head import Array, Field, unit

# How far light creeps round skin, and how a shadow's edge falls off in it: red, green, blue.
_WRAP, _REDDENING = np.array([[0.32, 0.2, 0.15], [0.75, 1, 1.1]], dtype=np.float32)


@dataclass
class Sheet:
    """A surface patch: a coarse grid of points and, per fine cell, what it is made of."""

    points: NDArray  # (h, w, 3), head units before `project`
    colour: Field  # (H, W, 3), linear
    gloss: Field | float = 0.05  # (H, W) or one for all
    height: Field | float = 0.0  # (H, W): relief, head units
    shown: NDArray[np.bool_] | None = None  # (H, W): cells that exist
    skin: bool = False  # light softens in it
    strands: bool = False  # rows run along hair: anisotropic highlights
    closed: bool = False  # its back is never seen
    covers: bool = False  # hides the face's landmarks, however closely it lies on the skin
    frame: Field = field(init=False)  # (h, w, 6): normals and rows' directions, camera frame
    cells: Field = field(init=False)  # (H * W, 3): fine points


@dataclass(frozen=True)
class Lights:
    """A key light, a rim light from behind, and ambient light; colours are linear."""

    key: Array  # (3,), unit, towards the light
    key_colour: Array  # (3,)
    rim: Array  # (3,)
    rim_colour: Array
    sky: Array  # (3,): ambient light from above
    ground: Array  # (3,): and from below


@dataclass(frozen=True)
class Drawn:
    """What `draw` sees in a square buffer of G pixels a side."""

    colour: Field  # (G, G, 3), linear
    cover: Field  # (G, G): 1 where there is a surface
    depth: Field  # (G, G): of the nearest surface, -inf where none
    covering: Field  # (G, G): 1 where that is a sheet that covers


def refine(grid: NDArray, shape: tuple[int, int]) -> Field:
    """Resamples a grid (h, w, ...) to ``shape``; the cells of both tile the same area."""
    small = np.ascontiguousarray(grid, dtype=np.float32)
    return np.asarray(cv2.resize(small, shape[::-1], interpolation=cv2.INTER_LINEAR))


def draw(sheets: list[Sheet], lights: Lights, size: int, zoom: float) -> Drawn:
    """Draws sheets in the camera's frame; ``zoom`` is in buffer pixels a head unit."""
    pixels, depths, numbers, first = [], [], [], [0]
    for sheet in sheets:
        shape = sheet.colour.shape[:2]
        sheet.frame = _frame(sheet, zoom)
        fine = refine(sheet.points, shape)
        sheet.cells = fine.reshape(-1, 3)
        columns, rows = (fine[..., k].ravel() + np.float32(0.5) for k in (0, 1))
        columns, rows = columns.astype(np.int32), rows.astype(np.int32)
        inside = (columns.view(np.uint32) < size) & (rows.view(np.uint32) < size)
        if sheet.closed:
            inside &= refine(sheet.frame[..., 2], shape).ravel() > -0.15
        if sheet.shown is not None:
            inside &= sheet.shown.ravel()
        which = np.flatnonzero(inside)
        pixels.append(rows[which] * size + columns[which])
        depths.append(sheet.cells[which, 2])
        numbers.append((which + first[-1]).astype(np.int32))
        first.append(first[-1] + shape[0] * shape[1])
    pixel, depth, number = map(np.concatenate, (pixels, depths, numbers))
    entry = np.full(size * size, -1, np.int32)
    order = _far_to_near(depth)
    entry[pixel[order]] = order  # the last, nearest one stays
    front = np.where(entry < 0, np.float32(-8), depth[entry])
    nearest = np.where(entry < 0, -1, number[entry])
    nearest = _close(nearest.reshape(size, size), front.reshape(size, size)).ravel()
    return _shade(sheets, first, nearest, lights, size, zoom)


def _far_to_near(depth: Field) -> NDArray[np.int32]:
    """The order (N,) of growing depth; 16 bits are enough, and NumPy sorts those in linear time."""
    coarse = np.clip((depth + 8) * 4096, 0, 65535).astype(np.uint16)
    return np.argsort(coarse, kind="stable").astype(np.int32)


def _frame(sheet: Sheet, zoom: float) -> Field:
    """Unit normals (h, w, 6) towards the viewer's side, and the direction of the rows' growth."""
    points = (sheet.points * [1, 1, zoom]).astype(np.float32)
    down, across = map(np.asarray, np.gradient(points, axis=(0, 1)))
    normals = unit(np.cross(across, down))
    if not sheet.closed:
        normals *= np.where(normals[..., 2:] < 0, -1, 1)
    return np.concatenate([normals, unit(down)], axis=-1).astype(np.float32)


def _look_up(grid: Field, cell: NDArray[np.int32], shape: tuple[int, int]) -> Field:
    """Values (N, C) of a coarse grid at cells (N,) of its refinement to ``shape``; bilinear."""
    rows, columns = np.divmod(cell, shape[1])
    full = -(-len(cell) // 256) * 256  # OpenCV's maps are limited in length, not in area

    def along(index: NDArray[np.int32], coarse: int, fine: int) -> Field:
        place = (index.astype(np.float32) + 0.5) * np.float32(coarse / fine) - np.float32(0.5)
        return np.resize(place, full).reshape(-1, 256)

    x, y = along(columns, grid.shape[1], shape[1]), along(rows, grid.shape[0], shape[0])
    values = [
        cv2.remap(
            np.ascontiguousarray(part), x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        ).reshape(full, 3)
        for part in (grid[..., :3], grid[..., 3:])
    ]
    return np.asarray(np.concatenate(values, axis=1)[: len(cell)], np.float32)


def _close(nearest: NDArray[np.int32], depth: Field) -> NDArray[np.int32]:
    """Fills pinholes, where a surface's neighbours stand out: they take the foremost one's cell."""
    closed = cv2.morphologyEx(depth, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    rows, columns = np.nonzero(closed > depth + 0.05)
    offsets = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1)]
    y = np.clip([rows + i for i, _ in offsets], 0, len(depth) - 1)
    x = np.clip([columns + j for _, j in offsets], 0, len(depth) - 1)
    best = depth[y, x].argmax(0), np.arange(len(rows))
    nearest[rows, columns] = nearest[y[best], x[best]]
    return nearest


def _shade(
    sheets: list[Sheet],
    first: list[int],
    nearest: NDArray[np.int32],
    lights: Lights,
    size: int,
    zoom: float,
) -> Drawn:
    seen = np.flatnonzero(nearest >= 0)
    cell, count = nearest[seen], len(seen)
    colour, normal = np.empty((count, 3), np.float32), np.empty((count, 3), np.float32)
    tangent, place = np.zeros((count, 3), np.float32), np.empty((count, 3), np.float32)
    gloss, height = np.empty(count, np.float32), np.empty(count, np.float32)
    skin, owner = np.zeros(count, bool), np.zeros(count, np.int16)
    covering = np.zeros(count, np.float32)
    for number, sheet in enumerate(sheets):
        mine = np.flatnonzero((cell >= first[number]) & (cell < first[number + 1]))
        if not len(mine):
            continue
        own = cell[mine] - first[number]
        colour[mine] = sheet.colour.reshape(-1, 3)[own]
        frame = _look_up(sheet.frame, own, sheet.colour.shape[:2])
        normal[mine], place[mine] = frame[:, :3], sheet.cells[own]
        for target, value in ((gloss, sheet.gloss), (height, sheet.height)):
            target[mine] = value.ravel()[own] if isinstance(value, np.ndarray) else value
        if sheet.strands:
            tangent[mine] = frame[:, 3:]
        skin[mine], owner[mine], covering[mine] = sheet.skin, number, sheet.covers

    def image(values: Field, empty: float = 0) -> Field:
        full = np.full((size * size, *values.shape[1:]), empty, np.float32)
        full[seen] = values
        return full.reshape(size, size, *values.shape[1:])

    depth, cover = image(place[:, 2], -np.inf), image(np.ones(count, np.float32))
    relief, surface = image(height) * np.float32(zoom), image(owner.astype(np.float32), -1)
    same = cv2.morphologyEx(surface, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) == 0
    for axis, (dx, dy) in enumerate(((1, 0), (0, 1))):
        slope = cv2.Sobel(relief, cv2.CV_32F, dx, dy, scale=1 / 8) * same
        normal[:, axis] -= np.clip(slope, -1.5, 1.5).ravel()[seen]
    normal /= np.linalg.norm(normal, axis=1, keepdims=True) + 1e-6

    key = normal @ lights.key.astype(np.float32)
    shadow = _shadow(sheets, place, key, lights.key, zoom)
    lit = cv2.GaussianBlur(image(1 - shadow, 1), (0, 0), size / 120).ravel()[seen]
    open_ = _occlusion(depth, zoom).ravel()[seen]
    wrap = np.where(skin[:, None], _WRAP, np.float32(0.1))
    diffuse = np.clip((key[:, None] + wrap) / (1 + wrap), 0, None)
    # Light that has passed through skin is red: shadow edges are.
    through = np.where(skin[:, None], lit[:, None] ** _REDDENING, lit[:, None])
    up = (0.5 - 0.5 * normal[:, 1:2]).astype(np.float32)
    ambient = (lights.ground + (lights.sky - lights.ground) * up).astype(np.float32)
    light = diffuse * through * lights.key_colour.astype(np.float32)
    light += ambient * open_[:, None]
    grazing = np.clip(1 - normal[:, 2], 0, 1)
    rim = np.clip(normal @ lights.rim.astype(np.float32), 0, None) * (0.3 + grazing)
    light += rim[:, None] * lights.rim_colour.astype(np.float32)

    half = unit(lights.key + [0, 0, 1]).astype(np.float32)
    along = np.clip(normal @ half, 0, 1)
    wide = along**14
    mirror = gloss > 0.5  # eyes and dark lenses reflect the lamp only
    sharp = along ** np.where(mirror, np.float32(250), np.float32(70))
    shine = (
        np.where(mirror, np.float32(0.02), np.minimum(gloss, np.float32(0.2)))
        * (0.5 * wide + 0.3 * grazing**3)
        + 1.5 * gloss**2 * sharp
    )
    shine *= 0.15 + 0.85 * lit
    if (hair := np.flatnonzero(tangent.any(axis=1))).size:
        flow = tangent[hair] @ half + 2 * height[hair]  # the relief jitters the highlight
        ring = np.sqrt(np.clip(1 - flow**2, 0, 1))
        shine[hair] = gloss[hair] * (0.25 * ring**12 + 0.6 * ring**60) * lit[hair]
        shine[hair] *= np.clip(key[hair] + 0.3, 0, 1)
    result = colour * light + shine[:, None] * lights.key_colour.astype(np.float32)
    return Drawn(image(result), cover, depth, image(covering))


def _shadow(
    sheets: list[Sheet], place: Field, facing: Field, key: Array, zoom: float, side: int = 112
) -> Field:
    """How much (0 to 1) of the key light each place (N, 3) misses: a shadow map.

    ``facing`` (N,) is the cosine between normal and light: grazed surfaces shade themselves less.
    """
    across = unit(np.cross([0, 1, 0], key))
    basis = np.stack([across, np.cross(key, across), key], axis=1).astype(np.float32)
    basis[2] *= zoom
    scale = side / (6.4 * zoom)
    middle = place.mean(0, dtype=np.float32)

    def project(points: Field) -> tuple[NDArray[np.int32], Field]:
        seen = (points - middle) @ basis
        column, row = np.clip(seen[:, :2] * scale + side / 2, 0, side - 1).astype(np.int32).T
        return row * side + column, seen[:, 2] / zoom

    casts = [
        sheet.cells[::11] if sheet.shown is None else sheet.cells[::11][sheet.shown.ravel()[::11]]
        for sheet in sheets
    ]
    cell, depth = project(np.concatenate(casts))
    order = _far_to_near(depth)
    map_ = np.full(side * side, -16, np.float32)
    map_[cell[order]] = depth[order]
    full = cv2.morphologyEx(map_.reshape(side, side), cv2.MORPH_CLOSE, np.ones((3, 3))).ravel()
    cell, depth = project(place)
    bias = 0.07 + 0.14 * np.clip(1 - facing, 0, 1)
    return np.clip((full[cell] - depth - bias) / 0.06, 0, 1)


def _occlusion(depth: Field, zoom: float) -> Field:
    """Ambient light that reaches each pixel, 0 to 1: less where the surroundings stand out."""
    small = cv2.resize(np.maximum(depth, -4), None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    open_ = np.ones_like(small)
    for radius, strength in ((0.1, 1.6), (0.3, 0.9)):
        rise = cv2.GaussianBlur(small, (0, 0), radius * zoom / 2) - small
        open_ -= np.clip(strength * rise / radius * 0.35, -0.08, 0.5)
    return np.asarray(cv2.resize(np.clip(open_, 0.15, 1.1), depth.shape[::-1]))
