"""Several processes that train one network: who this one is among them, and what they do together.

Alone (`ALONE`) every function gives back what it was given, so that nothing of training asks how
many there are. With several, started by torchrun, sums go over `torch.distributed`: gloo between
CPUs, NCCL between GPUs, in one flat buffer and one order, so that the same processes give the same
bits again.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from ibsd.types import InputError

TIMEOUT = timedelta(minutes=10)
"""How long one process may keep the others waiting, validation and checkpoints included. One that
is killed is noticed at once; this is for a machine that vanished with its network."""


class Processes:
    """Process `rank` of `size`, counted from 0."""

    def __init__(self, rank: int = 0, size: int = 1) -> None:
        self.rank, self.size = rank, size

    @property
    def is_main(self) -> bool:
        """Whether this is the one that writes and speaks."""
        return self.rank == 0

    def share(self, count: int) -> range:
        """This process's part of `count` things, in turn of ranks, sizes as equal as can be."""
        return range(self.rank * count // self.size, (self.rank + 1) * count // self.size)

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Every gradient becomes its mean over the processes; parameters without one count as 0."""
        if self.size == 1:
            return
        parameters = [parameter for parameter in parameters if parameter.requires_grad]
        for dtype in dict.fromkeys(parameter.dtype for parameter in parameters):
            ours = [parameter for parameter in parameters if parameter.dtype == dtype]
            gradients = [
                torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
                for parameter in ours
            ]
            flat = self.mean(torch.cat([gradient.flatten() for gradient in gradients]))
            for parameter, part in zip(
                ours, flat.split([parameter.numel() for parameter in ours]), strict=True
            ):
                parameter.grad = part.view_as(parameter)

    def mean(self, tensor: Tensor) -> Tensor:
        """Mean over the processes, without graph."""
        return tensor if self.size == 1 else self.sum(tensor) / self.size

    def sum(self, tensor: Tensor) -> Tensor:
        """Sum over the processes, without graph."""
        if self.size == 1:
            return tensor
        total = tensor.detach().clone()
        with _noticing():
            dist.all_reduce(total)
        return total

    def means(self, figures: Mapping[str, float]) -> dict[str, float]:
        """Each figure's mean over the processes; all must name the same ones."""
        if self.size == 1 or not figures:
            return dict(figures)
        values = self.mean(
            torch.tensor([figures[name] for name in sorted(figures)], dtype=torch.float64)
        )
        return dict(zip(sorted(figures), values.tolist(), strict=True))

    def any(self, flag: bool) -> bool:
        """Whether it is so for one of them: the same answer for all."""
        return flag if self.size == 1 else bool(self.sum(torch.tensor(float(flag))) > 0)

    def gather(self, tensor: Tensor) -> Tensor:
        """[N, ...] -> the joined batch [size N, ...] in order of ranks, N the same everywhere.

        Gradients: every process computes the same function of the joined batch. Its own rows'
            gradient comes back times `size`, so that the mean
        over the processes is the gradient of one process with the whole batch.
        """
        return tensor if self.size == 1 else _Gather.apply(tensor, self)  # type: ignore[return-value]

    def agree(self, facts: Mapping[str, str]) -> None:
        """InputError on every process if one of them has another value under some name."""
        if self.size == 1:
            return
        for name, value in facts.items():
            digest = torch.frombuffer(
                bytearray(hashlib.sha256(value.encode()).digest()), dtype=torch.uint8
            ).double()
            if self.any(not torch.equal(self.sum(digest), self.size * digest)):
                raise InputError(
                    f"the {self.size} processes have different {name}; give all of them the same files, versions and run folder"
                )

    def barrier(self) -> None:
        """Until all are here."""
        self.any(False)


ALONE = Processes()


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: Tensor, processes: Processes) -> Tensor:
        ctx.processes, ctx.rows = processes, tensor.shape[0]
        parts = [
            torch.empty_like(tensor, memory_format=torch.contiguous_format)
            for _ in range(processes.size)
        ]
        with _noticing():
            dist.all_gather(parts, tensor.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        processes, rows = ctx.processes, ctx.rows
        return gradients[0][
            processes.rank * rows : (processes.rank + 1) * rows
        ] * processes.size, None


@contextmanager
def joined() -> Iterator[Processes]:
    """The processes that torchrun started, this one among them; alone where there is no torchrun.
    Errors: InputError if they do not meet."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield ALONE
        return
    if not dist.is_available():
        raise InputError(
            "this torch has no torch.distributed: install one that has, or train in one process"
        )
    try:
        dist.init_process_group(
            "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo", timeout=TIMEOUT
        )
    except (RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"the {size} processes do not find each other ({reason}); start them with torchrun, as in docs/cluster.md"
        ) from None
    try:
        yield Processes(dist.get_rank(), size)
    finally:
        with suppress(RuntimeError):  # of one that has lost the others
            dist.destroy_process_group()


def own_device(device: torch.device, processes: Processes) -> torch.device:
    """Of several processes on one machine each takes a GPU of its own."""
    if processes.size == 1 or device.type != "cuda":
        return device
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    torch.cuda.set_device(device)
    return device


@contextmanager
def _noticing() -> Iterator[None]:
    """Turns what the backends raise when another process is gone into a sentence."""
    try:
        yield
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[0][:200]
        raise InputError(
            f"another process of this run has ended or does not answer ({reason}); see what it said, then start all of them again with --resume"
        ) from None
