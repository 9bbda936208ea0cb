"""Scores of methods on pairs of pictures: every protocol, every image, the means, and bicubic
beside them."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from ibsd.data.pairs import Pair, load_pair
from ibsd.images.rgb import bicubic, to_tensor
from ibsd.metrics import realsr_patches, score
from ibsd.system import finite, json_text
from ibsd.types import InputError, Scale

BICUBIC = "bicubic"

Method = Callable[[Tensor], Tensor]
"""lr [1, 3, h, w] -> sr [1, 3, s*h, s*w]: a student, a tiled student, an exported model."""

LoadedPair = tuple[str, np.ndarray, np.ndarray]
"""(name, LR, HR), images uint8 [H, W, 3]: a pair that is in memory."""

Scores = dict[str, dict[str, float]]
"""{protocol: {metric: value}}, as `ibsd.metrics.score` gives them."""

Figures = Callable[[Tensor, Tensor, Scale], dict[str, float]]
"""(sr, hr, scale) of one image -> {metric: value}"""


@dataclass(frozen=True)
class ScoreRow:
    """One image under one method."""

    image: str
    method: str
    scores: Scores
    seconds: float
    """Time of the method alone, without reading and scoring. That of the first image includes the
    method's warm-up."""
    patches: int
    """Patches of `realsr-testm`, by which that protocol's mean weighs the image: 1 up to 1,200
    px."""


@dataclass(frozen=True)
class ScoreTable:
    """All rows: images in the order of the pairs, and of an image bicubic first, then the methods
    as given."""

    scale: Scale
    rows: tuple[ScoreRow, ...]

    @property
    def methods(self) -> tuple[str, ...]:
        """Bicubic first."""
        return tuple(dict.fromkeys(row.method for row in self.rows))

    @property
    def num_images(self) -> int:
        return len(self.rows) // len(self.methods)

    @property
    def columns(self) -> tuple[tuple[str, str], ...]:
        """(protocol, metric) of every figure, in the protocols' order."""
        protocols = self.rows[0].scores.items()
        return tuple((protocol, metric) for protocol, metrics in protocols for metric in metrics)

    @property
    def means(self) -> dict[str, Scores]:
        """{method: {protocol: {metric: mean over the images}}}; inf where an image is perfect.

        Images count alike whatever their size, except under `realsr-testm`, whose authors average
        over patches.
        """
        means: dict[str, Scores] = {
            method: {protocol: {} for protocol, _ in self.columns} for method in self.methods
        }
        for method in self.methods:
            rows = [row for row in self.rows if row.method == method]
            for protocol, metric in self.columns:
                weights = [row.patches if protocol == "realsr-testm" else 1 for row in rows]
                values = (row.scores[protocol][metric] for row in rows)
                total = sum(weight * value for weight, value in zip(weights, values, strict=True))
                means[method][protocol][metric] = total / sum(weights)
        return means

    @property
    def seconds(self) -> dict[str, float]:
        """{method: seconds over all images}."""
        return {
            method: sum(row.seconds for row in self.rows if row.method == method)
            for method in self.methods
        }

    def to_json(self) -> str:
        """`{"scale", "images", "means": {method: {protocol: {metric}}}, "seconds": {method},
        "rows": [...]}`.

        JSON has no infinity: the PSNR of a perfect image is the string "inf", which `float` reads
        back.
        """
        table = {
            "scale": self.scale,
            "images": self.num_images,
            "means": self.means,
            "seconds": self.seconds,
            "rows": [asdict(row) for row in self.rows],
        }
        return json_text(finite(table))

    def to_csv(self) -> str:
        """A line per image and method: image, method, each `protocol.metric` in full precision,
        seconds. The means are in `to_json`."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        names = (f"{protocol}.{metric}" for protocol, metric in self.columns)
        writer.writerow(["image", "method", *names, "seconds"])
        for row in self.rows:
            scores = (row.scores[protocol][metric] for protocol, metric in self.columns)
            writer.writerow([row.image, row.method, *scores, f"{row.seconds:.6f}"])
        return text.getvalue()


def evaluate(
    methods: Mapping[str, Method],
    pairs: Sequence[Pair | LoadedPair],
    scale: Scale,
    device: str | torch.device = "cpu",
    lpips: bool = True,
    on_image: Callable[[int, str], None] | None = None,
    further: Mapping[str, Figures] | None = None,
) -> ScoreTable:
    """Score every method, and bicubic, on every pair.

    Methods get one image at a time on `device`, without gradients. A network must be in eval mode.
    Figures do not depend on the order of pairs and methods.

    Args:
        lpips: whether protocols with LPIPS compute it.
        on_image: called with (images done, name) after each image.
        further: figures besides those of the protocols, by the name that stands for a protocol.

    Errors: InputError for no pairs, a method called "bicubic", pairs whose HR is not `scale` times
    LR, and methods whose output has another size than HR.
    """
    if not pairs:
        raise InputError("there are no pairs to score: name a folder of LR and HR images")
    if BICUBIC in methods:
        raise InputError(f'a method is named "{BICUBIC}": give it another name')
    device = torch.device(device)
    with_bicubic: dict[str, Method] = {BICUBIC: partial(bicubic, scale=scale), **methods}
    rows: list[ScoreRow] = []
    for done, (name, lr_pixels, hr_pixels) in enumerate(_load(pairs), start=1):
        height, width = hr_pixels.shape[:2]
        if (height, width) != (scale * lr_pixels.shape[0], scale * lr_pixels.shape[1]):
            lr_size = f"{lr_pixels.shape[0]} x {lr_pixels.shape[1]}"
            raise InputError(
                f"pair {name}: HR is {height} x {width} px and LR {lr_size}, "
                f"which is not x{scale}: check the scale and the pairing"
            )
        lr = to_tensor(lr_pixels).to(device)
        hr = to_tensor(hr_pixels).to(device)
        for method, upscale in with_bicubic.items():
            sr, seconds = _timed(upscale, lr)
            if sr.shape != hr.shape:
                sizes = f"{list(sr.shape)} for {name}, where HR is {list(hr.shape)}"
                raise InputError(f"method {method} gives {sizes}: is it made for x{scale}?")
            try:
                scores = score(sr, hr, scale, lpips=lpips)
            except InputError as error:
                raise InputError(f"pair {name}: {error}") from None
            scores |= {title: of(sr, hr, scale) for title, of in (further or {}).items()}
            rows.append(ScoreRow(name, method, scores, seconds, realsr_patches(height, width)))
        if on_image is not None:
            on_image(done, name)
    return ScoreTable(scale, tuple(rows))


def _load(pairs: Sequence[Pair | LoadedPair]) -> Iterable[LoadedPair]:
    for pair in pairs:
        if isinstance(pair, Pair):
            yield (pair.name, *load_pair(pair))
        else:
            yield pair


def _timed(method: Method, lr: Tensor) -> tuple[Tensor, float]:
    start = time.perf_counter()
    with torch.inference_mode():
        sr = method(lr)
    if sr.is_cuda:
        torch.cuda.synchronize(sr.device)
    return sr, time.perf_counter() - start
