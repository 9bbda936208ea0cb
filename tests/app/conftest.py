"""One server for the tests that leave it as it was, and weights for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import tiny
from app.pages import Page, Served
from ibsd.export.weights import save_student

pytest.importorskip("starlette")
pytest.importorskip("pyvips")


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a very small network for x2 and one for x3. Not to be changed."""
    folder = tmp_path_factory.mktemp("weights")
    for scale in (2, 3):
        save_student(tiny.student(scale=scale), folder / f"tiny-x{scale}.safetensors")
    return folder


@pytest.fixture(scope="session")
def serve(weights: Path) -> Iterator[Callable[..., Served]]:
    """`serve(scratch, arguments...)`: a server, killed at the end if it is still there."""
    started: list[Served] = []

    def start(scratch: Path, *arguments: object) -> Served:
        started.append(Served(scratch, "--weights", weights, *arguments))
        return started[-1]

    yield start
    for served in started:
        served.process.kill()
        served.process.communicate()


@pytest.fixture(scope="session")
def server(serve: Callable[..., Served], tmp_path_factory: pytest.TempPathFactory) -> Served:
    limits = ("--max-upload-mb", 6, "--max-megapixels", 30, "--max-photographs", 12)
    return serve(
        tmp_path_factory.mktemp("served"), "--lost-seconds", 1, "--silence-seconds", 2, *limits
    )


@pytest.fixture
def page(server: Served) -> Iterator[Page]:
    with server.page() as page:
        yield page
