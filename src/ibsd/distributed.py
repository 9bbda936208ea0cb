"""Several processes that train one network: which one this is, and what they do together.

With one process (`ALONE`) every method returns its argument, so that training never asks how many
there are. Several processes, started by torchrun, use `torch.distributed`: gloo between CPUs, NCCL
between GPUs. Sums run over one flat buffer in one order, so that results repeat bit for bit.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn

from ibsd.types import InputError

TIMEOUT = timedelta(minutes=10)
"""How long one process may keep the others waiting, validation and checkpoints included. The others
notice a killed process at once; this is for a machine that lost its network."""


class Processes:
    """Process `rank` of `world_size`, counted from 0."""

    def __init__(self, rank: int = 0, world_size: int = 1) -> None:
        self.rank = rank
        self.world_size = world_size

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and messages."""
        return self.rank == 0

    @property
    def is_alone(self) -> bool:
        return self.world_size == 1

    def share(self, count: int) -> range:
        """This process's part of `count` items. Parts follow the ranks and differ by one at
        most."""
        first = self.rank * count // self.world_size
        return range(first, (self.rank + 1) * count // self.world_size)

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Every gradient becomes its mean over the processes. A missing gradient counts as 0."""
        if self.is_alone:
            return
        parameters = [parameter for parameter in parameters if parameter.requires_grad]
        for dtype in dict.fromkeys(parameter.dtype for parameter in parameters):
            same = [parameter for parameter in parameters if parameter.dtype == dtype]
            gradients = [
                torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
                for parameter in same
            ]
            flat = self.all_reduce_mean(torch.cat([gradient.flatten() for gradient in gradients]))
            parts = torch.split(flat, [parameter.numel() for parameter in same])
            for parameter, part in zip(same, parts, strict=True):
                parameter.grad = part.view_as(parameter)

    def all_reduce_mean(self, tensor: Tensor) -> Tensor:
        """Mean over the processes, without graph."""
        return tensor if self.is_alone else self.all_reduce_sum(tensor) / self.world_size

    def all_reduce_sum(self, tensor: Tensor) -> Tensor:
        """Sum over the processes, without graph."""
        if self.is_alone:
            return tensor
        total = tensor.detach().clone()
        with _lost_process_is_input_error():
            dist.all_reduce(total)
        return total

    def mean_values(self, values: Mapping[str, float]) -> dict[str, float]:
        """Mean over the processes of every value. All processes must have the same names."""
        if self.is_alone or not values:
            return dict(values)
        names = sorted(values)
        tensor = torch.tensor([values[name] for name in names], dtype=torch.float64)
        means: list[float] = self.all_reduce_mean(tensor).tolist()
        return dict(zip(names, means, strict=True))

    def any(self, flag: bool) -> bool:
        """Whether `flag` is set in one of them: the same answer for all."""
        if self.is_alone:
            return flag
        return bool(self.all_reduce_sum(torch.tensor(float(flag))) > 0)

    def all_gather(self, tensor: Tensor) -> Tensor:
        """[N, ...] -> the joined batch [world_size N, ...] in order of ranks; N is the same for
        all.

        Gradients: every process computes the same function of the joined batch. The gradient of its
        own rows comes back times `world_size`, so that the mean over the processes is the gradient
        of one process with the whole batch.
        """
        return tensor if self.is_alone else cast(Tensor, _AllGather.apply(tensor, self))

    def check_agreement(self, values: Mapping[str, str]) -> None:
        """InputError on every process if one of them has another value under some name."""
        if self.is_alone:
            return
        for name, value in values.items():
            content = bytearray(hashlib.sha256(value.encode()).digest())
            digest = torch.frombuffer(content, dtype=torch.uint8).double()
            total = self.all_reduce_sum(digest)
            if self.any(not torch.equal(total, self.world_size * digest)):
                raise InputError(
                    f"the {self.world_size} processes have different {name}; give them the same"
                )

    def barrier(self) -> None:
        """Waits until all processes are here."""
        self.any(False)


ALONE = Processes()


class _AllGather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: Tensor, processes: Processes) -> Tensor:
        ctx.processes = processes
        ctx.num_rows = tensor.shape[0]
        own = tensor.contiguous()
        parts = [torch.empty_like(own) for _ in range(processes.world_size)]
        with _lost_process_is_input_error():
            dist.all_gather(parts, own)
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        start = ctx.processes.rank * ctx.num_rows
        own = gradients[0][start : start + ctx.num_rows]
        return own * ctx.processes.world_size, None


@contextmanager
def process_group() -> Generator[Processes]:
    """The processes that torchrun started, or `ALONE` without torchrun.

    Errors: InputError if they do not meet.
    """
    world_size = int(os.environ.get("WORLD_SIZE", "1"))
    if world_size == 1:
        yield ALONE
        return
    if not dist.is_available():
        raise InputError("this torch has no torch.distributed: train in one process")
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    try:
        dist.init_process_group(backend, timeout=TIMEOUT)
    except (RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"the {world_size} processes do not find each other ({reason}); "
            "start them with torchrun, as in docs/cluster.md"
        ) from None
    try:
        yield Processes(dist.get_rank(), world_size)
    finally:
        with suppress(RuntimeError):  # of one that has lost the others
            dist.destroy_process_group()


def local_device(device: torch.device, processes: Processes) -> torch.device:
    """The device of this process: of several on one machine each has a GPU of its own."""
    if processes.is_alone or device.type != "cuda":
        return device
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    torch.cuda.set_device(device)
    return device


@contextmanager
def _lost_process_is_input_error() -> Generator[None]:
    """Turns what the backends raise when another process is gone into a sentence."""
    try:
        yield
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[0][:200]
        raise InputError(
            f"another process of this run has ended or does not answer ({reason}); read its "
            "message, and start all again with --resume"
        ) from None
