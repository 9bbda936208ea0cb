"""What the speed benchmarks share: a clock, medians of things run in turn, peak memory, and the
machine's own ceilings."""

from __future__ import annotations

import argparse
import ctypes
import statistics
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import torch

from ibsd.commands.run_record import versions
from ibsd.comparison.machine import machine_facts, peak_memory_mib, reset_peak_memory

Clock = Literal["wall", "cpu"]
"""`wall`: seconds that pass. `cpu`: seconds that this process computes, for a machine that others
use as well; with one thread only."""

Work = Callable[[], Any]


def options(description: str | None, repeats: int) -> argparse.ArgumentParser:
    """What every speed benchmark can be told; `repeats` is the default of --repeats."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--clock",
        choices=["wall", "cpu"],
        default="wall",
        help="cpu: of this process; for a machine in use, one thread",
    )
    parser.add_argument("--repeats", type=int, default=repeats)
    return parser


def seconds(work: Work, clock: Clock, device: torch.device) -> float:
    now = time.process_time if clock == "cpu" else time.perf_counter
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    start = now()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return now() - start


def in_turn(
    works: Mapping[str, Work], repeats: int, clock: Clock, device: torch.device
) -> dict[str, dict[str, float]]:
    """{name: {"median", "least"}} in seconds, every work once in each round, after one round that
    is not counted."""
    taken: dict[str, list[float]] = {name: [] for name in works}
    for round_number in range(repeats + 1):
        for name, work in works.items():
            spent = seconds(work, clock, device)
            if round_number:
                taken[name].append(spent)
    return {
        name: {"median": statistics.median(times), "least": min(times)}
        for name, times in taken.items()
    }


def extra_memory_mib(work: Work, device: torch.device) -> float:
    """Peak of one call above what was held before it, what it returns included."""
    if device.type == "cpu":
        with suppress(
            OSError
        ):  # glibc keeps what was freed before, which would hide what is taken now
            ctypes.CDLL("libc.so.6").malloc_trim(0)
    reset_peak_memory()
    before = (
        torch.cuda.memory_allocated(device) / 2**20
        if device.type == "cuda"
        else peak_memory_mib(device)
    )
    work()
    return round(peak_memory_mib(device) - before, 1)


def ceilings(clock: Clock, device: torch.device, repeats: int = 5) -> dict[str, float]:
    """Copy bandwidth (bytes read and written, of an array that no cache holds) and rate of large
    matrix products (two operations a multiply-add), in GB/s and GFLOP/s."""
    gpu = device.type == "cuda"
    source = torch.ones(2**28 if gpu else 2**26, device=device)
    target = torch.empty_like(source)
    size = 8192 if gpu else 1024
    a, b = (torch.randn(size, size, device=device) for _ in range(2))
    half_a, half_b = a.bfloat16(), b.bfloat16()
    times = in_turn(
        {
            "copy": lambda: target.copy_(source),
            "fp32": lambda: a @ b,
            "bf16": lambda: half_a @ half_b,
        },
        repeats,
        clock,
        device,
    )
    return {
        "copy_gb_s": round(2 * source.nbytes / times["copy"]["least"] / 1e9, 2),
        "fp32_gflop_s": round(2 * size**3 / times["fp32"]["least"] / 1e9, 1),
        "bf16_gflop_s": round(2 * size**3 / times["bf16"]["least"] / 1e9, 1),
    }


def facts(clock: Clock, device: torch.device) -> dict[str, Any]:
    """Hardware, versions and how time was taken."""
    return {
        "machine": machine_facts(device),
        "versions": versions(),
        "threads": torch.get_num_threads(),
        "clock": clock,
    }
