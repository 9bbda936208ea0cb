"""What a request may ask for."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request

from app.pages import run_apart
from ibsd.app.jobs import Job, JobQueue, Session
from ibsd.app.limits import ServerLimits
from ibsd.app.offered_weights import OfferedWeights, find_offered_weights
from ibsd.app.routes import asked_look, upload

PLAIN = OfferedWeights("own", Path("own.safetensors"), 4)
SAFE = find_offered_weights([Path("imdn-safe-x4")])["0"]


def asking(query: str) -> Request:
    return Request({"type": "http", "query_string": query.encode()})


def test_a_look_is_between_faithful_and_crisp_and_names_the_result() -> None:
    assert [asked_look(asking(query), SAFE) for query in ("", "look=", "look=0.4")] == [0, 0, 0.4]
    assert asked_look(asking("look=0"), PLAIN) == 0
    names = [
        Job("", "a.jpg", Path(), SAFE, ".jpg", look=look).result_name for look in (0, 0.4, 1.0)
    ]
    tails = ["", "_look0.4", "_look1"]
    assert names == [f"a_imdn-safe-x4{tail}.jpg" for tail in tails]


@pytest.mark.parametrize("look", ["1.1", "-0.1", "nan", "inf", "crisp"])
def test_any_other_look_is_refused(look: str) -> None:
    with pytest.raises(HTTPException, match="look must be a number from 0, faithful, to 1, crisp"):
        asked_look(asking(f"look={look}"), SAFE)


def test_weights_without_crisp_ones_have_no_look() -> None:
    with pytest.raises(HTTPException, match="these weights have no crisp ones"):
        asked_look(asking("look=0.5"), PLAIN)


def test_a_photograph_of_a_page_that_closed_meanwhile_is_not_kept(tmp_path: Path) -> None:
    async def run() -> None:
        jobs = JobQueue(tmp_path, ServerLimits())
        jobs.sessions["key"] = Session()

        async def receive() -> dict[str, object]:
            jobs.end("key")
            return {"type": "http.request", "body": b"a photograph"}

        state = SimpleNamespace(jobs=jobs, weights={"0": SAFE})
        scope: dict[str, object] = {"type": "http", "headers": []}
        scope |= {"app": SimpleNamespace(state=state)}
        scope |= {"query_string": b"session=key&weights=0&name=a.png"}
        with pytest.raises(HTTPException, match="closed meanwhile"):
            await upload(Request(scope, receive))

    run_apart(run())
    assert not list(tmp_path.iterdir())
