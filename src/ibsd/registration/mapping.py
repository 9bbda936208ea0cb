"""Where LR's points lie in HR: a homography, the radial distortion of both lenses, and a smooth
residual field, as one list of parameters.

Points are (x, y) in pixels with the picture's corners at (0, 0) and (width, height), so that the
centre of the first pixel is (0.5, 0.5).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

NUM_RIGID = 11
"""Eight of the homography, two of LR's lens, one of HR's."""
FIELD_DEGREE = 5
FIELD_POWERS = [(i, n - i) for n in range(2, FIELD_DEGREE + 1) for i in range(n + 1)]
NUM_FIELD = 2 * len(FIELD_POWERS)
_SMALL_PIXELS = 300_000
"""Where the common part has more, a map is computed at fewer points, 16 pixels apart in place of 4.
It is linear between them."""


@dataclass(frozen=True)
class Mapping:
    """Takes LR pixels to HR pixels."""

    lr_size: tuple[int, int]
    """(height, width)"""
    hr_size: tuple[int, int]
    parameters: Array
    """[NUM_RIGID + NUM_FIELD]: the homography between normalised points (its last entry is 1), k1
    and k2 of LR's lens, k1 of HR's lens, and the field's coefficients in LR pixels."""
    box: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)
    """(left, top, right, bottom) of the common part in LR pixels, over which the field is
    defined."""

    @staticmethod
    def from_homography(
        homography: Array, lr_size: tuple[int, int], hr_size: tuple[int, int]
    ) -> Mapping:
        """From [3, 3] between pixels, without distortion and field."""
        inner = np.linalg.inv(_frame(hr_size)) @ homography @ _frame(lr_size)
        parameters = np.zeros(NUM_RIGID + NUM_FIELD)
        parameters[:8] = (inner / inner[2, 2]).ravel()[:8]
        return Mapping(lr_size, hr_size, parameters, (0.0, 0.0, lr_size[1], lr_size[0]))

    def __call__(self, points: Array) -> Array:
        """[..., 2] in LR -> [..., 2] in HR."""
        lr_frame = _frame(self.lr_size)
        hr_frame = _frame(self.hr_size)
        k1, k2, hr_k1 = self.parameters[8:NUM_RIGID]
        inner = (points - lr_frame[:2, 2]) / lr_frame[0, 0]
        square = (inner**2).sum(-1, keepdims=True)
        inner = inner * (1 + square * (k1 + square * k2))
        matrix = np.append(self.parameters[:8], 1.0).reshape(3, 3)
        outer = inner @ matrix[:, :2].T + matrix[:, 2]
        outer = outer[..., :2] / outer[..., 2:]
        outer = outer * (1 + hr_k1 * (outer**2).sum(-1, keepdims=True))
        ratio = np.sqrt(abs(np.linalg.det(matrix[:2, :2]))) * hr_frame[0, 0] / lr_frame[0, 0]
        return outer * hr_frame[0, 0] + hr_frame[:2, 2] + ratio * self._field(points)

    def _field(self, points: Array) -> Array:
        coefficients = self.parameters[NUM_RIGID:].reshape(2, -1)
        if not coefficients.any():
            return np.zeros_like(points)
        left, top, right, bottom = self.box
        centre = np.array([(left + right) / 2, (top + bottom) / 2])
        half = np.array([(right - left) / 2, (bottom - top) / 2])
        # Beyond the common part nothing is known: the edge's values are continued.
        inner = np.clip((points - centre) / half, -1, 1)
        tables = [_legendre(inner[..., axis]) for axis in range(2)]
        basis = np.stack([tables[0][i] * tables[1][j] for i, j in FIELD_POWERS], -1)
        return basis @ coefficients.T

    def moved(self, step: Array) -> Mapping:
        """The mapping with a step added to its parameters."""
        return replace(self, parameters=self.parameters + step)

    def local_matrix(self, points: Array) -> Array:
        """[n, 2] -> [n, 2, 2]: change of HR's point with x and with y of LR's, by differences."""
        step = 0.5
        columns = [
            (self(points + offset) - self(points - offset)) / (2 * step)
            for offset in (np.array([step, 0.0]), np.array([0.0, step]))
        ]
        return np.stack(columns, -1)

    def sensitivity(self, points: Array, num: int) -> Array:
        """[n, 2, num]: change of HR's point with each of the first `num` parameters, by
        differences."""
        step = 1e-5
        columns = [
            (self.moved(nudge)(points) - self.moved(-nudge)(points)) / (2 * step)
            for nudge in step * np.eye(len(self.parameters))[:num]
        ]
        return np.stack(columns, -1)

    def ratio(self, points: Array) -> float:
        """HR pixels for one LR pixel: the median over points [n, 2]."""
        return float(np.median(np.sqrt(abs(np.linalg.det(self.local_matrix(points))))))

    def pixel_map(
        self, left: float, top: float, width: int, height: int, step: float, shrink: int
    ) -> NDArray[np.float32]:
        """[height, width, 2]: for the centres of pixels of side `step` LR pixels, from the corner
        (left, top) on, the index in HR shrunk by `shrink`, as `cv2.remap` takes it."""
        import cv2

        x0, y0, x1, y1 = self.box
        node = 4 if (x1 - x0) * (y1 - y0) < _SMALL_PIXELS * max(step, 1.0) ** 2 else 16
        columns = -(-width // node) + 2
        rows = -(-height // node) + 2
        x = left + step * node * (np.arange(columns) - 0.5)
        y = top + step * node * (np.arange(rows) - 0.5)
        points = np.stack(np.meshgrid(x, y), -1).astype(np.float64)
        nodes = self(points) / shrink - 0.5
        fine = cv2.resize(
            nodes.astype(np.float32), (columns * node, rows * node), interpolation=cv2.INTER_LINEAR
        )
        inside = fine[node : node + height, node : node + width]
        return np.ascontiguousarray(inside, np.float32)


def _frame(size: tuple[int, int]) -> Array:
    """[3, 3] from normalised points to pixels: the centre is 0, half the diagonal is 1."""
    height, width = size
    radius = np.hypot(height, width) / 2
    return np.array([[radius, 0, width / 2], [0, radius, height / 2], [0, 0, 1]])


def _legendre(x: Array) -> list[Array]:
    """Legendre's polynomials of degree 0 to `FIELD_DEGREE`."""
    values = [np.ones_like(x), x]
    for n in range(1, FIELD_DEGREE):
        values.append(((2 * n + 1) * x * values[n] - n * values[n - 1]) / (n + 1))
    return values
