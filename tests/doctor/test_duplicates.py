"""Copies are found in whatever form they come, and different photographs are not taken for
copies."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from ibsd.data.samples import sample, sample_names
from ibsd.doctor.duplicates import near_duplicates, oriented, perceptual_hash


def jpeg(image: np.ndarray) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=40)
    return np.array(Image.open(file))


FORMS = {
    "the same": lambda image: image,
    "jpeg": jpeg,
    "smaller": lambda image: np.array(
        Image.fromarray(image).resize((image.shape[1] // 3, image.shape[0] // 3))
    ),
    "brighter": lambda image: (image * 0.7 + 60).astype(np.uint8),
    "grey": lambda image: np.array(Image.fromarray(image).convert("L").convert("RGB")),
    "mirrored": lambda image: np.ascontiguousarray(image[:, ::-1]),
    "turned": lambda image: np.ascontiguousarray(np.rot90(image)),
    "cut by 1 %": lambda image: image[image.shape[0] // 100 :, image.shape[1] // 100 :],
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.slow
def test_a_copy_is_found_and_only_it(form: str):
    originals = [perceptual_hash(sample(name)) for name in sample_names()]
    for index in (0, 7):
        copy = perceptual_hash(FORMS[form](sample(sample_names()[index])))
        assert near_duplicates([*originals, copy]) == [(index, len(originals))]


def test_photographs_are_not_copies_of_each_other():
    halves = [
        image[:, side]
        for image in map(sample, sample_names())
        for side in (slice(image.shape[1] // 2), slice(image.shape[1] // 2, None))
    ]
    assert near_duplicates([perceptual_hash(half) for half in halves]) == []


def test_flat_pictures_are_nobodys_copies():
    assert (
        near_duplicates(
            [perceptual_hash(np.full((40, 40, 3), level, np.uint8)) for level in (0, 0, 200)]
        )
        == []
    )
    assert near_duplicates([]) == []


def test_each_copy_goes_with_the_earliest():
    a, b = perceptual_hash(sample("coffee")), perceptual_hash(sample("stream"))
    assert near_duplicates([a, b, a, b, a]) == [(0, 2), (1, 3), (0, 4)]


def test_the_eight_orientations_differ():
    image = np.arange(12).reshape(3, 4)
    seen = {
        oriented(image, each).tobytes() + bytes(oriented(image, each).shape) for each in range(8)
    }
    assert len(seen) == 8
