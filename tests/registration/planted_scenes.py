"""A planted scene, made and registered once for all tests of this folder."""

from __future__ import annotations

from functools import cache

import numpy as np

from ibsd.data.samples import sample
from ibsd.registration.light import Image
from ibsd.registration.planted import PlantedScene, plant
from ibsd.registration.scene import Registered, corners, register_pair


def part_of(name: str) -> Image:
    """A photograph small enough for quick tests."""
    return np.ascontiguousarray(sample(name)[:380, :440])


@cache
def still() -> PlantedScene:
    """Nothing moves."""
    return plant(sample("stream"), 3, seed=1)


@cache
def moving() -> PlantedScene:
    """Three objects stand elsewhere."""
    return plant(part_of("brushes"), 2, seed=1, other=sample("table"))


@cache
def registered_still() -> Registered:
    return register_pair(still().lr, still().hr)


@cache
def registered_moving() -> Registered:
    return register_pair(moving().lr, moving().hr, 2)


def corner_error(scene: PlantedScene, registered: Registered) -> float:
    """Mean distance in LR pixels of the corners of what is used from where they belong."""
    points = corners(registered.part)
    inverse = np.linalg.inv(scene.mapping.local_matrix(points))
    off = registered.fit.mapping(points) - scene.mapping(points)
    return float(np.linalg.norm(np.einsum("nij,nj->ni", inverse, off), axis=1).mean())
