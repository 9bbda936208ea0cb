"""Laws of the table of formats: names, and what a format cannot hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from ibsd.images import (
    IMAGE_SUFFIXES,
    PhotographHeader,
    check_writable,
    is_image_name,
    is_photograph_name,
    write_photograph,
)
from ibsd.types import InputError


def test_names_of_photographs() -> None:
    assert all(map(is_photograph_name, ["a.jpg", "A.HEIC", "b.Avif", "c.tiff"]))
    assert not any(map(is_photograph_name, ["a", "a.gif", "._a.jpg", ".png"]))


def test_formats_that_cannot_hold_it_are_refused_and_what_is_lost_is_said(tmp_path: Path) -> None:
    for name, header, words in [
        ("a.jpg", PhotographHeader(2, 2, alpha=True), "transparency"),
        ("a.bmp", PhotographHeader(2, 2, alpha=True), "transparency"),
        ("a.webp", PhotographHeader(2, 16384), "16383 pixels"),
        ("a.avif", PhotographHeader(16385, 2), "16384 pixels"),
        ("a.jpg", PhotographHeader(65501, 2), "65500 pixels"),
        ("a.gif", PhotographHeader(2, 2), "image format"),
        ("a", PhotographHeader(2, 2), "image format"),
        ("a.heic", PhotographHeader(2, 2), "no free encoder"),
    ]:
        with pytest.raises(InputError, match=words):
            check_writable(tmp_path / name, header)
        with pytest.raises(InputError, match=words):
            write_photograph(tmp_path / name, header, iter(()))
    assert check_writable("a.png", PhotographHeader(2, 2, bits=16)) is None
    assert "8" in str(check_writable("a.jpg", PhotographHeader(2, 2, bits=16)))
    assert not list(tmp_path.iterdir())


def test_names_of_images() -> None:
    assert all(
        is_image_name(f"a{suffix}") and is_image_name(Path(f"A{suffix.upper()}"))
        for suffix in IMAGE_SUFFIXES
    )
    assert not any(
        map(is_image_name, ["a", "a.txt", ".png", ".a.png", "._a.jpg", "a.png.part", ""])
    )
