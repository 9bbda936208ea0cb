"""Laws of `ibsd serve` before it serves: what it cannot take is one sentence."""

from __future__ import annotations

import pytest

from .conftest import Call, assert_one_sentence

pytest.importorskip("uvicorn")


def test_a_limit_without_end_is_refused(ibsd: Call) -> None:
    said = ibsd("serve", "--max-upload-mb", "inf")
    assert_one_sentence(said, "--max-upload-mb is inf", "finite")


def test_a_host_that_no_name_can_be_is_refused(ibsd: Call) -> None:
    assert_one_sentence(ibsd("serve", "--host", ".x"), "--host is .x", "leave it out")
