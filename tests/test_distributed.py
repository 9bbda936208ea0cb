"""Several processes train what one would: the same patches, the same gradients but for the bound,
whose rule is pinned; and none is left behind."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.distributed.run import config_from_args, parse_args

import tiny
from ibsd.config.parsing import parameters_of
from ibsd.data.options import PatchOptions
from ibsd.data.patches import PairPatches
from ibsd.distillation import IBSD, Objective
from ibsd.distillation.registry import OBJECTIVES, declared_options
from ibsd.distributed import ALONE, Processes, process_group
from ibsd.images.rgb import read_rgb, write_rgb
from ibsd.students import create_student
from ibsd.training import Trainer, TrainingOptions
from ibsd.types import InputError
from processes import Command

BATCH = 4
STEPS = 5
BEGIN = 3
"""Step whose gradients are compared: past warm-up and first period, so that every term is there."""

CASES = [
    *(name for name in OBJECTIVES if name != "dlb"),
    "gathered",
    "gathered, normalised",
    "gathered, given degradation",
]


def objective(name: str) -> Objective:
    """Each with all of its terms at work early."""
    if name == "cdc":
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return OBJECTIVES[name](create_student("cdc", 2, width=8, num_hourglasses=4))
    student = tiny.student()
    options: dict[str, Any] = {"lambda_mi": 1e-2, "period": 2, "warm_up": 1, "ramp": 1}
    if name.startswith("gathered"):
        extra = {"normalised": {"normalise": True}, "degradation": {"given": "degradation"}}.get(
            name.split(" ")[-1], {}
        )
        return IBSD(student, gather_negatives=True, **options, **extra)
    early = {
        "ibsd": options,
        "feature-norm": options | {"lambda_hf": 0.1},
        "ps-kd": options,
        "ema-teacher": options,
        "byot": options,
    }.get(name, {})
    known = parameters_of(declared_options(OBJECTIVES[name]))
    return OBJECTIVES[name](student, **{key: value for key, value in early.items() if key in known})


def gradients(name: str, processes: Processes) -> dict[str, torch.Tensor]:
    """Averaged gradients of each term and of the auxiliary parts, at the first steps of a run; all
    of them from the same weights."""
    method = objective(name)
    scale = method.student.spec.scale
    source = tiny.source(scale=scale, batch_size=BATCH, sizes=((16, 17), (18, 16)), patch_px=16)
    number = (processes.rank, processes.world_size)
    source.part = slice(number[0] * BATCH // number[1], (number[0] + 1) * BATCH // number[1])
    method.processes = processes
    method.prepare(source)
    found: dict[str, torch.Tensor] = {}
    for step in range(STEPS):
        method.begin_step(step, 2 * STEPS)
        batch = source.next_batch()
        if step < BEGIN:
            continue
        terms, nodes = method.terms(batch)
        parameters = list(method.student.parameters())
        for term, value in terms.items():
            if not value.requires_grad:
                continue
            method.student.zero_grad()
            value.backward(retain_graph=True)
            processes.average_gradients(parameters)
            found[f"{step} {term}"] = torch.cat(
                [
                    torch.zeros_like(p).flatten() if p.grad is None else p.grad.flatten()
                    for p in parameters
                ]
            )
            found[f"{step} {term} value"] = processes.all_reduce_mean(value.detach())
        method.auxiliary_step(nodes)
        for part in ("chain", "heads"):
            if hasattr(method, part):
                found[f"{step} {part}"] = torch.cat(
                    [p.detach().flatten() for p in getattr(method, part).parameters()]
                )
    return found


def side_by_side(
    *arguments: object, program: str = "ibsd", folder: Path | str = "."
) -> list[Command]:
    """Two processes of one run, started as torchrun starts them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    group = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    return [
        Command(
            *arguments,
            program=program,
            folder=folder,
            environment={**group, "RANK": rank, "LOCAL_RANK": rank},
        )
        for rank in "01"
    ]


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, torch.Tensor]]]:
    """{case: gradients of each of two processes}, all cases in two processes."""
    folder = tmp_path_factory.mktemp("together")
    said = [process.communicate() for process in side_by_side(folder, program=__name__)]
    assert len(list(folder.glob("*.pt"))) == 2, (
        said
    )  # and not its exit code: gloo sometimes aborts when all is done
    ranks = [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]
    return {name: [rank[name] for rank in ranks] for name in CASES}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_averaged_gradients_equal_one_process_on_the_joined_batch(
    name: str, together: dict[str, list[dict[str, torch.Tensor]]]
):
    alone = gradients(name, ALONE)
    first, second = together[name]
    assert alone.keys() == first.keys() == second.keys()
    for term, value in alone.items():
        assert torch.equal(first[term], second[term]), (
            term
        )  # all processes go on with the same bits
        if "bound" in term and not name.startswith("gathered"):
            assert not torch.allclose(first[term], value, rtol=1e-3, atol=1e-7), (
                "the bound has other negatives"
            )
        else:
            scale = float(value.abs().max())
            assert float((first[term] - value).abs().max()) <= 1e-5 * scale + 1e-9, term


@pytest.mark.slow
def test_the_bounds_rule_is_the_mean_over_parts(together: dict[str, list[dict[str, torch.Tensor]]]):
    """Without `gather_negatives` it is the mean of each part's own bound: its negatives come from
    there."""
    parts = []
    for rank in range(2):
        method = objective("ibsd")
        source = tiny.source(batch_size=BATCH, sizes=((16, 17), (18, 16)), patch_px=16)
        source.part = slice(rank * BATCH // 2, (rank + 1) * BATCH // 2)
        method.prepare(source)
        for step in range(BEGIN + 1):
            method.begin_step(step, 2 * STEPS)
            batch = source.next_batch()
        parts.append(method.terms(batch)[0]["bound"].detach())
    assert float(together["ibsd"][0][f"{BEGIN} bound value"]) == pytest.approx(
        float(sum(parts)) / 2, rel=1e-6
    )


def test_dlb_is_refused():
    with pytest.raises(InputError, match="several processes"):
        Trainer(
            OBJECTIVES["dlb"](tiny.student()),
            tiny.source(batch_size=4),
            TrainingOptions(num_steps=1),
            processes=Processes(0, 2),
        )


def test_a_batch_that_cannot_be_shared_is_refused():
    source = tiny.source(batch_size=3)
    with pytest.raises(InputError, match="multiple of 2"):
        PairPatches(source.lr, source.hr, 2, PatchOptions(3, 8), 0, part=(0, 2))


def test_parts_of_a_batch_are_the_batch():
    whole = tiny.source(batch_size=6).next_batch()
    parts = []
    for rank in range(3):
        source = tiny.source(batch_size=6)
        source.part = slice(2 * rank, 2 * rank + 2)
        parts.append(source.next_batch())
    assert torch.equal(torch.cat([part.lr for part in parts]), whole.lr)
    assert torch.equal(torch.cat([part.hr for part in parts]), whole.hr)
    assert [list(Processes(rank, 3).share(7)) for rank in range(3)] == [[0, 1], [2, 3], [4, 5, 6]]


# -- whole runs


@pytest.fixture
def config(tmp_path: Path) -> Path:
    for index, split in enumerate(("train", "train", "val", "val", "val")):
        [pair] = tiny.write_pairs(tmp_path / f"p{index}", [(20, 24)], 2, seed=index)
        for side in ("LR", "HR"):
            folder = tmp_path / "pairs" / f"{split}_{side}"
            folder.mkdir(parents=True, exist_ok=True)
            write_rgb(folder / f"{index}.png", read_rgb(pair.lr if side == "LR" else pair.hr))
    path = tmp_path / "run.toml"
    path.write_text(
        f"""
        student = {{ name = "imdn", scale = 2, options = {{ width = 8, num_blocks = 3 }} }}
        data = {{ pairs = "{tmp_path}/pairs", batch_size = 4, patch_px = 8 }}
        objective = {{ name = "ibsd", options = {{ warm_up = 1, ramp = 2, period = 3 }} }}
        run = {{ threads = 1, folder = "{tmp_path}/run" }}
        [training]
        num_steps = 10
        log_every = 1
        diagnostics_every = 4
        validate_every = 5
        checkpoint_every = 3
        """
    )
    return path


def log(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def tensors(path: Path) -> bytes:
    """The weights of a file, less what stands beside them."""
    content = path.read_bytes()
    return content[8 + int.from_bytes(content[:8], "little") :]


@pytest.mark.slow
def test_a_run_of_two_is_killed_and_goes_on_and_nothing_is_lost(config: Path, tmp_path: Path):
    """One is killed: the others end with a sentence within 30 s; the run resumes and ends bit for
    bit as one that was not."""
    steps = ["training.num_steps=16", "training.validate_every=8", "training.checkpoint_every=4"]

    def train(folder: str, *arguments: str) -> list[Command]:
        return side_by_side("train", config, f"run.folder={tmp_path}/{folder}", *steps, *arguments)

    said = [process.communicate() for process in train("whole")]
    assert json.loads((tmp_path / "whole" / "run.json").read_text())["result"]["finished"], (
        said
    )  # and not the exit code: gloo may abort at the end

    left, killed = train("run")
    deadline = time.monotonic() + 90
    while (
        not list((tmp_path / "run" / "checkpoints").glob("step-*")) and time.monotonic() < deadline
    ):
        time.sleep(0.02)
    killed.send_signal(signal.SIGKILL)
    killed.wait(10)
    started = time.monotonic()
    _, err = left.communicate(60)
    assert time.monotonic() - started < 30
    assert left.returncode == 2
    assert "another process of this run has ended" in err, err[-3000:]
    assert not (tmp_path / "run" / "last.safetensors").exists()

    said = [process.communicate() for process in train("run", "--resume")]
    ours, theirs = tmp_path / "run", tmp_path / "whole"
    assert json.loads((ours / "run.json").read_text())["result"]["finished"], said
    for name in ("last", "last-raw", "best"):
        assert tensors(ours / f"{name}.safetensors") == tensors(theirs / f"{name}.safetensors"), (
            name
        )
    steps_logged = [row["step"] for row in log(ours) if "learning_rate" in row]
    assert steps_logged == list(range(1, 17))  # one writer, no gaps, no repeats
    assert "term/l1" in log(ours)[0]
    assert log(ours) == log(theirs)


def test_the_slurm_file_starts_torchrun_once_a_node(tmp_path: Path) -> None:
    """`srun`, `scontrol` and `torchrun` are stand-ins; torchrun's own parser reads what it was
    given. What the processes then do, the tests above show."""
    (tmp_path / "scontrol").write_text("#!/bin/sh\necho first\necho second\n")
    (tmp_path / "srun").write_text(
        '#!/bin/bash\nfor SLURM_NODEID in 0 1; do export SLURM_NODEID; "$@"; done\n'
    )
    (tmp_path / "torchrun").write_text('#!/bin/sh\nprintf "%s\\n" "$@" > "node-$SLURM_NODEID"\n')
    for tool in tmp_path.iterdir():
        tool.chmod(0o755)
    job = {"SLURM_JOB_NODELIST": "n[1-2]", "SLURM_JOB_NUM_NODES": "2", "PORT": "4321"}
    job |= {"PROCESSES": "3", "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    script = Path(__file__).parents[1] / "configs" / "slurm-train.sh"
    given = ("my config.toml", "training.num_steps=2")
    subprocess.run([str(script), *given], cwd=tmp_path, env=os.environ | job, check=True)
    for node in range(2):
        arguments = (tmp_path / f"node-{node}").read_text().splitlines()
        launch, _, command = config_from_args(parse_args(arguments))
        assert (launch.min_nodes, launch.max_nodes, launch.nproc_per_node) == (2, 2, 3)
        assert launch.rdzv_endpoint == "first:4321"
        assert launch.rdzv_configs["rank"] == node
        assert command[-6:] == ["-m", "ibsd", "train", *given, "--resume"]


if __name__ == "__main__":  # one of the processes of `together`
    with process_group() as processes:
        found = {name: gradients(name, processes) for name in CASES}
        torch.save(found, Path(sys.argv[1]) / f"{processes.rank}.pt")
        processes.barrier()
