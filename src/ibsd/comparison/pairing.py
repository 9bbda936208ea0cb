"""Whether two runs are a pair: same initial weights, same pictures, same batches in the same order
(docs/method.md 8).

Only then is their difference the objective's. The hashes are of what training really used, not of
what a config asked for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor

from ibsd.comparison.store import RunRecord


def weights_hash(state: Mapping[str, Tensor]) -> str:
    """SHA-256 of names, types, shapes and values of a state dict."""
    whole = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        whole.update(f"{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        whole.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return whole.hexdigest()


def layout_hash(state: Mapping[str, Tensor]) -> str:
    """SHA-256 of names, types and shapes alone: equal exactly when inference costs the same."""
    lines = [f"{name} {state[name].dtype} {tuple(state[name].shape)}" for name in sorted(state)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def batches_at(record: RunRecord, num_steps: int) -> str | None:
    """Digest of the first `num_steps` batches of a run; None where it was not kept."""
    if record.pairing["num_steps"] == num_steps:
        return record.pairing["batches"]
    return record.pairing["marks"].get(str(num_steps))


def obstacles(run: RunRecord, baseline: RunRecord) -> list[str]:
    """Why the two may not be compared as a pair, each in a few words; none if they may.

    Where one has a longer schedule, the batches of the shorter one count.
    """
    reasons: list[str] = []
    assert run.identity.data is not None
    assert baseline.identity.data is not None
    if run.identity.data["train"] != baseline.identity.data["train"]:
        reasons.append("they were trained on other pictures")
    if run.pairing["initial_weights"] != baseline.pairing["initial_weights"]:
        reasons.append("their initial weights differ")
    num_steps = min(run.pairing["num_steps"], baseline.pairing["num_steps"])
    ours = batches_at(run, num_steps)
    theirs = batches_at(baseline, num_steps)
    if ours is None or theirs is None or ours != theirs:
        reasons.append("their batches differ")
    return reasons


def other_scores(run: RunRecord, baseline: RunRecord, test: str) -> str | None:
    """Why their scores on a test set may not be subtracted, pair or not; None if they may."""
    if test not in run.tests or test not in baseline.tests:
        return f"{test} was not scored"
    assert run.identity.data is not None
    assert baseline.identity.data is not None
    if run.identity.data["tests"][test] != baseline.identity.data["tests"][test]:
        return f"{test} holds other pictures"
    return None
