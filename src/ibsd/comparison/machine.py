"""What a run was made on, and the memory it took."""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from ibsd.system import largest_resident_bytes


def machine_facts(device: torch.device) -> dict[str, Any]:
    """Processor, cores, memory and accelerator; no names of hosts or users."""
    processor = platform.processor() or platform.machine()
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        processor = next(
            (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")),
            processor,
        )
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    machine = {
        "processor": processor,
        "cores": os.cpu_count(),
        "memory_gib": round(memory),
        "device": device.type,
    }
    if device.type == "cuda":
        machine["accelerator"] = torch.cuda.get_device_name(device)
    return machine


def reset_peak_memory() -> None:
    """Starts a new peak, where the system can (Linux); elsewhere the peak is that of the whole
    process."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def peak_memory_mib(device: torch.device) -> float:
    """Largest memory since the last reset: on CUDA what tensors took, elsewhere the whole process
    with torch itself (about 250 MiB)."""
    if device.type == "cuda":
        return round(torch.cuda.max_memory_allocated(device) / 2**20, 1)
    return round(largest_resident_bytes() / 2**20, 1)
