"""A student as an ncnn model, through pnnx, with the blob names that Upscayl and its like
expect."""

from __future__ import annotations

import importlib
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ibsd.export.graph import Picture, example, quietly
from ibsd.inference.exported import NetworkFacts
from ibsd.inference.open import Opened, thread_limit
from ibsd.types import InputError

BLOBS = {"in0": "data", "out0": "output"}
"""What pnnx calls input and output, and what they shall be called."""


def write_ncnn(picture: Picture, facts: NetworkFacts, path: Path) -> None:
    """NAME.param and NAME.bin with weights in fp32, [3, height, width] "data" -> "output".
    `picture` needs `plain_contrast`.

    Errors: InputError if pnnx cannot convert the network.
    """
    import pnnx

    traced = path.with_name(
        "traced.pt"
    )  # pnnx derives its own names from this, and not every name survives
    first, second = example(facts), example(facts, 6, 4)
    with quietly(), torch.inference_mode():
        program: Any = torch.jit.trace(picture, first, check_trace=False)
        program.save(str(traced))
    sizes = [
        f"{name}={str(list(lr.shape)).replace(' ', '')}"
        for name, lr in (("inputshape", first), ("inputshape2", second))
    ]
    said = subprocess.run(
        [pnnx.EXEC_PATH, traced.name, *sizes, "fp16=0"],
        cwd=path.parent,
        capture_output=True,
        text=True,
    )
    param = path.with_name("traced.ncnn.param")
    if said.returncode or not param.is_file():
        raise InputError(f"pnnx cannot convert {facts.name} to ncnn: export another format")
    words = [
        " ".join(BLOBS.get(word, word) for word in line.split())
        for line in param.read_text(encoding="utf-8").splitlines()
    ]
    unknown = sorted({line.split()[0] for line in words[2:] if "." in line.split()[0]})
    if unknown:
        raise InputError(
            f"ncnn has no layer for {', '.join(unknown)}, which {facts.name} needs: export another format"
        )
    path.write_text("\n".join(words) + "\n", encoding="utf-8")
    path.with_name("traced.ncnn.bin").replace(path.with_suffix(".bin"))


def open_ncnn(path: Path, facts: NetworkFacts) -> Opened:
    """A .param file with its .bin on ncnn's CPU kernels in fp32."""
    ncnn: Any = importlib.import_module("ncnn")
    net = ncnn.Net()
    net.opt.num_threads = thread_limit() or ncnn.get_big_cpu_count()
    net.opt.use_vulkan_compute = False
    for option in (
        "use_fp16_packed",
        "use_fp16_storage",
        "use_fp16_arithmetic",
        "use_bf16_storage",
    ):
        setattr(net.opt, option, False)
    if net.load_param(str(path)) or net.load_model(str(path.with_suffix(".bin"))):
        raise InputError(f"{path} cannot be read as an ncnn model: export it again")

    def run(lr: np.ndarray) -> np.ndarray:
        planes = np.ascontiguousarray(
            lr[0]
        )  # named, because ncnn's matrix borrows its memory and must not outlive it
        with net.create_extractor() as extractor:
            extractor.input("data", ncnn.Mat(planes))
            failed, sr = extractor.extract("output")
            assert not failed
            return np.array(sr)[None]

    return Opened(facts, run, "fp32")
