"""Measurements of a run's health, and the alarms that they raise (docs/method.md 6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from ibsd.distillation.wavelet import details


def gradient_diagnostics(
    terms: Mapping[str, Tensor], weights: Mapping[str, float], parameters: Sequence[nn.Parameter]
) -> dict[str, float]:
    """For every term but `l1`: the norm of its weighted gradient as a share of L1's, and the cosine
    of the angle between the two. Costs a backward pass for each term."""
    gradients: dict[str, Tensor] = {}
    for name, term in terms.items():
        parts = torch.autograd.grad(term, parameters, retain_graph=True, materialize_grads=True)
        gradients[name] = weights[name] * torch.cat([part.flatten() for part in parts])
    reference = gradients.pop("l1")
    diagnostics: dict[str, float] = {}
    for name, gradient in gradients.items():
        diagnostics[f"gradient_share/{name}"] = float(gradient.norm() / reference.norm())
        if weights[name] != 0:
            cosine = torch.cosine_similarity(gradient, reference, dim=0)
            diagnostics[f"gradient_cosine/{name}"] = float(cosine)
    return diagnostics


def node_scales(nodes: Sequence[Tensor]) -> dict[str, float]:
    """Standard deviation of each node."""
    return {f"scale/F{k}": float(node.float().std()) for k, node in enumerate(nodes)}


def flipped_share(sr: Tensor, hr: Tensor, target: Tensor, levels: int = 4) -> float:
    """Share of detail coefficients whose gradient has another sign towards the soft target than
    towards HR. 0 means that the soft target has no effect. All are [N, 3, H, W]."""
    pairs = zip(details(sr - target, levels), details(sr - hr, levels), strict=True)
    flips = [(to_target.sign() != to_hr.sign()).float().flatten() for to_target, to_hr in pairs]
    return float(torch.cat(flips).mean())


def information_alarms(
    first: Mapping[str, float],
    now: Mapping[str, float],
    penalised: bool,
    estimators_learn: bool = True,
) -> list[str]:
    """Sentences for the user, each with what to change. None for a healthy run.

    Args:
        first: `IBSD.diagnostics` from when the bound first had weight.
        now: the latest ones.
        penalised: whether the bound has weight now.
        estimators_learn: False where they are frozen as a control. Their bound and likelihood mean
            nothing then.
    """
    if not penalised:
        return []
    sentences: list[str] = []
    for link in sorted(name.removeprefix("bound/") for name in now if name.startswith("bound/")):
        if estimators_learn:
            sentences += estimator_alarms(link, first, now)
        scale = f"scale/F{int(link.removeprefix('link')) - 1}"
        if now[scale] < 0.25 * first[scale]:
            sentences.append(
                f"{link}: features of {scale.removeprefix('scale/')} shrank to "
                f"{100 * now[scale] / first[scale]:.0f} % of their scale, which lowers the bound "
                "without forgetting anything; lower lambda_mi"
            )
    if (share := now.get("gradient_share/bound", 0.0)) > 1:
        sentences.append(
            f"the bound's gradient is {share:.1f} times that of L1, so it rules the training; "
            "lower lambda_mi"
        )
    return sentences


def estimator_alarms(link: str, first: Mapping[str, float], now: Mapping[str, float]) -> list[str]:
    """What the bound and the likelihood of one link warn of."""
    bound = now[f"bound/{link}"]
    bound_first = first[f"bound/{link}"]
    nll = now[f"nll/{link}"]
    nll_first = first[f"nll/{link}"]
    sentences: list[str] = []
    if bound < -0.05:
        sentences.append(
            f"{link}: the bound is negative ({bound:.2f}), so its estimator lags behind the "
            "student; raise inner_steps or estimator_learning_rate"
        )
    elif bound > 100 and bound > 10 * max(bound_first, 1.0):
        sentences.append(
            f"{link}: the bound exploded to {bound:.0f} nats per element; "
            "raise spread_floor, or lower estimator_learning_rate"
        )
    if bound_first > 0.5 and bound < 0.1 * bound_first and nll > nll_first + 1:
        sentences.append(
            f"{link}: the bound fell to {bound:.2f} while the likelihood loss rose from "
            f"{nll_first:.1f} to {nll:.1f}: the student may be hiding from the estimators rather "
            "than forgetting; lower lambda_mi"
        )
    return sentences
