"""The degradation probe: can a classifier guess the camera (or degradation) of an image from a
student's features?

If the features forgot the degradation, the guess stays at chance. For each node F0, F1, ... a
linear classifier and a small MLP guess the class from the standardised mean and deviation of each
channel of a crop. Photographs are split into train, val and test, crops of one photograph together.
Val chooses the strength of the L2 penalty, the classifier is fitted again on train and val, and
test gives its accuracy (docs/method.md 8). One split of few photographs says little, so a round of
folds tests each photograph once, and rounds repeat with other splits. The interval allows for their
overlap.

    images, labels, groups = ...
    features = {"lr": pixel_statistics(images)} | node_statistics(student, images)
    result = probe(features, labels, groups)
    result.accuracy["F3"]["linear"].mean
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from ibsd.metrics.student_t import t_quantile
from ibsd.students.student import Student, untouched
from ibsd.types import InputError

STRENGTHS = {"linear": (1e-4, 1e-3, 1e-2, 1e-1, 1.0), "mlp": (1e-4, 1e-3, 1e-2)}
"""L2 penalties that validation chooses from. The loss is the mean cross-entropy plus penalty times
half the sum of squared weights."""

HIDDEN = 16
LINEAR_STEPS = 150  # of L-BFGS
MLP_STEPS = 150
MLP_LEARNING_RATE = 0.02


@dataclass(frozen=True)
class Estimate:
    """A mean over the folds of all rounds with its 95 % interval: the corrected resampled t (Nadeau
    and Bengio, Inference for the Generalization Error, Machine Learning 52, 2003)."""

    mean: float
    low: float
    high: float
    folds: tuple[float, ...]
    """The accuracy of each fold, rounds one after the other."""


@dataclass(frozen=True)
class ProbeResult:
    """Accuracies by node and classifier."""

    accuracy: dict[str, dict[str, Estimate]]
    chance: float
    """Share of the largest class: what guessing without looking reaches."""
    num_classes: int
    num_samples: int
    num_groups: int
    folds: int
    rounds: int
    seed: int


def node_statistics(
    student: Student, images: Tensor | Sequence[Tensor], chunk: int = 16
) -> dict[str, Tensor]:
    """Mean and standard deviation of every channel of every node: {"F0": [n, 2C], ...} in fp64.

    Args:
        student: any; runs in eval mode and in fp32, and is left in the mode it came in.
        images: [n, 3, h, w] in [0, 1], or n images [3, h, w] of any sizes.
        chunk: images at a time, where they have one size.
    """
    device = next(student.parameters()).device
    one_size = isinstance(images, Tensor)
    batches = images.split(chunk) if one_size else [image.unsqueeze(0) for image in images]
    moments: dict[str, list[Tensor]] = defaultdict(list)
    with untouched(student):
        for batch in batches:
            for k, node in enumerate(student.trace(batch.to(device)).nodes):
                moments[f"F{k}"].append(_moments(node))
    return {name: torch.cat(parts) for name, parts in moments.items()}


def pixel_statistics(images: Tensor | Sequence[Tensor]) -> Tensor:
    """Statistics of the pixels alone, [n, 18] in fp64: mean and deviation of R, G, B and of the
    absolute differences to the next pixel across and down."""
    rows: list[Tensor] = []
    for image in images:
        parts = (image, image.diff(dim=-1).abs(), image.diff(dim=-2).abs())
        rows.append(torch.cat([_moments(part.unsqueeze(0)) for part in parts], dim=1))
    return torch.cat(rows)


def probe(
    features: Mapping[str, Tensor],
    labels: Sequence[int] | Tensor,
    groups: Sequence[int] | Tensor,
    seed: int = 0,
    folds: int = 5,
    rounds: int = 4,
    classifiers: Sequence[str] = ("linear", "mlp"),
) -> ProbeResult:
    """How well the class is guessed from each set of features.

    Args:
        features: {name: [n, d]}, finite.
        labels: n classes, 0 to K - 1.
        groups: n photographs; those of one photograph never straddle train, val and test.
        seed: of splits and of the MLP's initial weights. Equal seeds, groups and labels give equal
            folds, so results can be paired.
        folds: parts of the photographs per round: one tests, one validates, the rest train.
        rounds: how often all photographs are dealt anew.
        classifiers: of `linear` and `mlp`.

    Errors: InputError for fewer than two classes, fewer groups than folds, or features that do not
    fit or are not finite.
    """
    label = torch.as_tensor(labels).long()
    group = torch.as_tensor(groups).long()
    num_classes = int(label.max()) + 1 if len(label) else 0
    if len(label.unique()) < 2:
        raise InputError("probe: there is one class only; a guess needs at least two")
    if folds < 3 or rounds < 1:
        raise InputError(f"probe: folds is {folds} and rounds {rounds}; give at least 3 and 1")
    for name, values in features.items():
        fits = values.shape[:1] == label.shape == group.shape
        if not fits or not bool(values.isfinite().all()):
            raise InputError(
                f"probe: {name} must hold a finite row for each of the {len(label)} labels "
                f"and {len(group)} groups"
            )
    # [J, n]: which part each sample is in, per split.
    part = torch.cat([deal(label, group, folds, seed + 1000 * k) for k in range(rounds)])
    test = part == 0
    val = part == 1
    accuracy: dict[str, dict[str, Estimate]] = {}
    for name, values in features.items():
        accuracy[name] = {}
        for classifier in classifiers:
            guess = guesses(classifier, values.double(), label, num_classes, test, val, seed)
            hits = ((guess == label) & test).sum(dim=1) / test.sum(dim=1)
            accuracy[name][classifier] = estimate(hits.tolist(), 1 / (folds - 1))
    chance = float(label.bincount().max()) / len(label)
    return ProbeResult(
        accuracy, chance, num_classes, len(label), len(group.unique()), folds, rounds, seed
    )


def deal(label: Tensor, group: Tensor, folds: int, seed: int) -> Tensor:
    """[folds, n] of part numbers: row f is the deal turned by f, so every group is tested (part 0)
    once and validated (part 1) once.

    Groups are shuffled among those with the same classes, so that every part has its share of each
    class.
    """
    signature: dict[int, tuple[int, ...]] = {}
    for photograph in group.unique().tolist():
        signature[photograph] = tuple(sorted(label[group == photograph].unique().tolist()))
    if len(signature) < folds:
        raise InputError(
            f"probe: {len(signature)} photographs are too few for {folds} folds: add some"
        )
    photographs = list(signature)
    generator = torch.Generator().manual_seed(seed)
    order: list[int] = torch.randperm(len(photographs), generator=generator).tolist()
    shuffled = [photographs[k] for k in order]
    # Sorting is stable: photographs stay shuffled within equal classes.
    in_turn = sorted(shuffled, key=lambda photograph: signature[photograph])
    part_of = {photograph: position % folds for position, photograph in enumerate(in_turn)}
    part = torch.tensor([part_of[photograph] for photograph in group.tolist()])
    return (part + torch.arange(folds).unsqueeze(1)) % folds


def guesses(
    classifier: str,
    values: Tensor,
    label: Tensor,
    num_classes: int,
    test: Tensor,
    val: Tensor,
    seed: int,
) -> Tensor:
    """[J, n] classes guessed in each of J splits, by a classifier whose penalty was chosen on that
    split's val."""
    if classifier not in STRENGTHS:
        raise InputError(
            f"probe: there is no classifier {classifier!r}; there are: {', '.join(STRENGTHS)}"
        )
    fit = fit_linear if classifier == "linear" else partial(fit_mlp, seed=seed)
    train = ~(test | val)
    x = standardised(values, train)
    losses: list[Tensor] = []
    for strength in STRENGTHS[classifier]:
        logits = fit(x, label, num_classes, train, values.new_full((len(test),), strength))
        losses.append(cross_entropy(logits, label, val))
    chosen = values.new_tensor(STRENGTHS[classifier])[torch.stack(losses).argmin(dim=0)]
    return fit(standardised(values, ~test), label, num_classes, ~test, chosen).argmax(dim=-1)


def standardised(values: Tensor, known: Tensor) -> Tensor:
    """[J, n, d]: `values` less their mean and over their deviation among the samples known in each
    of J splits ([J, n])."""
    weight = known.to(values.dtype) / known.sum(dim=1, keepdim=True)
    mean = weight @ values
    variance = (weight @ values.square() - mean.square()).clamp_min(0)
    deviation = (variance + 1e-12 * (1 + mean.square())).sqrt()
    return (values - mean.unsqueeze(1)) / deviation.unsqueeze(1)


def cross_entropy(logits: Tensor, label: Tensor, among: Tensor) -> Tensor:
    """[J]: mean over the samples `among` ([J, n]) of each of J problems."""
    loss = F.cross_entropy(logits.transpose(1, 2), label.expand(len(logits), -1), reduction="none")
    return (loss * among).sum(dim=1) / among.sum(dim=1)


def fit_linear(
    values: Tensor, label: Tensor, num_classes: int, among: Tensor, strength: Tensor
) -> Tensor:
    """Logits [J, n, K] of J multinomial logistic regressions. The joint problem is convex, so
    solving all at once changes none of them."""
    num_problems, _, num_features = values.shape
    weight = values.new_zeros(num_problems, num_features, num_classes, requires_grad=True)
    bias = values.new_zeros(num_problems, 1, num_classes, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [weight, bias],
        max_iter=LINEAR_STEPS,
        history_size=20,
        tolerance_grad=1e-5,
        tolerance_change=1e-10,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        penalty = strength / 2 * weight.square().sum(dim=(1, 2))
        loss = (cross_entropy(values @ weight + bias, label, among) + penalty).sum()
        loss.backward()
        return loss

    with torch.enable_grad():
        optimizer.step(closure)
    return (values @ weight + bias).detach()


def fit_mlp(
    values: Tensor, label: Tensor, num_classes: int, among: Tensor, strength: Tensor, seed: int
) -> Tensor:
    """Logits [J, n, K] of J networks with one hidden layer of `HIDDEN` tanh units: full-batch Adam,
    which keeps the problems apart."""
    values = values.float()
    strength = strength.float()
    num_problems, _, num_features = values.shape
    generator = torch.Generator().manual_seed(seed)
    first = torch.randn(num_features, HIDDEN, generator=generator) / math.sqrt(num_features)
    second = torch.randn(HIDDEN, num_classes, generator=generator) / math.sqrt(HIDDEN)
    parameters = [
        start.expand(num_problems, *start.shape).clone().requires_grad_()
        for start in (first, torch.zeros(1, HIDDEN), second, torch.zeros(1, num_classes))
    ]
    optimizer = torch.optim.Adam(parameters, lr=MLP_LEARNING_RATE)

    def logits() -> Tensor:
        w1, b1, w2, b2 = parameters
        return torch.tanh(values @ w1 + b1) @ w2 + b2

    with torch.enable_grad():
        for _ in range(MLP_STEPS):
            optimizer.zero_grad()
            squares = [weight.square().sum(dim=(1, 2)) for weight in (parameters[0], parameters[2])]
            penalty = squares[0] + squares[1]
            (cross_entropy(logits(), label, among) + strength / 2 * penalty).sum().backward()
            optimizer.step()
    return logits().detach().to(torch.float64)


def estimate(figures: Sequence[float], test_to_train: float) -> Estimate:
    """Mean and 95 % interval of figures from overlapping splits. The variance of a fold counts with
    1 / J + n_test / n_train instead of 1 / J, for J folds (Nadeau and Bengio)."""
    values = torch.tensor(figures, dtype=torch.float64)
    mean = float(values.mean())
    spread = float(values.std()) * math.sqrt(1 / len(values) + test_to_train)
    margin = t_quantile(0.975, len(values) - 1) * spread
    return Estimate(mean, mean - margin, mean + margin, tuple(figures))


def _moments(node: Tensor) -> Tensor:
    """[N, C, h, w] -> [N, 2C] on the CPU: means, then population deviations."""
    node = node.double()
    return torch.cat((node.mean(dim=(2, 3)), node.std(dim=(2, 3), correction=0)), dim=1).cpu()
