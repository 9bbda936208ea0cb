"""What may import what, and that importing costs and changes nothing: laws that import-linter does
not know, beside some that it does."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

import ibsd

PACKAGE = Path(ibsd.__file__).parent
CORE = (
    "types",
    "system",
    "distributed",
    "images",
    "data",
    "students",
    "information",
    "distillation",
    "training",
    "metrics",
    "evaluation",
)
ALLOWED_IN_CORE = {"torch", "numpy", "safetensors", "PIL", "ibsd"} | set(sys.stdlib_module_names)
TRITON_KERNEL = "ibsd.information.kernels.fused"


def module_name(path: Path) -> str:
    return ".".join(("ibsd", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(
        ".__init__"
    )


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


@cache
def tree(name: str) -> ast.Module:
    return ast.parse(MODULES[name].read_text(encoding="utf-8"))


def imports(name: str, top_level: bool) -> Iterator[str]:
    """Absolute names that a module imports; with `top_level`, only those that run when it is
    imported."""
    todo: list[ast.AST] = [tree(name)]
    while todo:
        for node in ast.iter_child_nodes(todo.pop()):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{name}: imports are absolute here"
                yield from (
                    f"{node.module}.{alias.name}"
                    if f"{node.module}.{alias.name}" in MODULES
                    else str(node.module)
                    for alias in node.names
                )
            elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
                continue
            elif not (
                top_level and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            ):
                todo.append(node)


def reached(name: str) -> set[str]:
    """Modules of ours that come along, packages above them included, whether at once or when a
    function runs."""
    seen, todo = set(), [name]
    while todo:
        for each in imports(todo.pop(), top_level=False):
            parts = each.split(".")
            for known in (".".join(parts[:k]) for k in range(2, len(parts) + 1)):
                if known in MODULES and known not in seen:
                    seen.add(known)
                    todo.append(known)
    return seen


def part(name: str) -> str:
    return name.split(".")[1] if "." in name else ""


def python(*arguments: str, folder: Path | None = None, **environment: str) -> str:
    run = subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)} | environment,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


@pytest.mark.parametrize(
    "name", [name for name in MODULES if part(name) in ("upscaling", "export")]
)
def test_inference_reaches_nothing_of_training(name: str):
    assert not {part(each) for each in reached(name)} & {
        "distillation",
        "information",
        "training",
        "comparison",
        "evaluation",
    }


@pytest.mark.parametrize(
    "name",
    [name for name in MODULES if part(name) in ("students", "information", "data", "metrics")],
)
def test_the_bottom_layer_is_side_by_side(name: str):
    assert {part(each) for each in reached(name)} <= {
        part(name),
        "images",
        "system",
        "types",
        "weights",
    }


@pytest.mark.parametrize(
    "name", [name for name in MODULES if part(name) in ("distillation", "evaluation", "training")]
)
def test_nobody_but_the_faces_sees_a_config(name: str):
    allowed = {
        "distillation",
        "information",
        "students",
        "data",
        "metrics",
        "images",
        "system",
        "distributed",
        "types",
        "weights",
    }
    allowed |= {"evaluation": {"evaluation"}, "training": {"training", "evaluation"}}.get(
        part(name), set()
    )
    assert {part(each) for each in reached(name)} <= allowed


@pytest.mark.parametrize("name", [name for name in MODULES if part(name) in CORE])
def test_the_training_core_needs_four_packages(name: str):
    extra = {"triton"} if name == TRITON_KERNEL else set()
    assert {each.split(".")[0] for each in imports(name, top_level=True)} <= ALLOWED_IN_CORE | extra


def test_the_triton_kernel_is_imported_only_where_it_runs():
    importers = {
        name
        for name in MODULES
        for each in imports(name, top_level=True)
        if each.startswith(TRITON_KERNEL)
    }
    assert not importers
    assert TRITON_KERNEL in MODULES


@pytest.mark.parametrize("name", MODULES)
def test_nothing_can_execute_what_it_reads(name: str):
    assert not {each.split(".")[0] for each in imports(name, top_level=False)} & {
        "pickle",
        "dill",
        "joblib",
        "cloudpickle",
        "shelve",
        "marshal",
    }
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in (
            "torch.load",
            "torch.hub.load",
            "np.load",
            "numpy.load",
            "eval",
            "exec",
        ):
            assert ast.unparse(node.func) == "torch.load", f"{name}:{node.lineno}"
            assert ("weights_only", "True") in {
                (word.arg, ast.unparse(word.value)) for word in node.keywords
            }, f"{name}:{node.lineno}"


@pytest.mark.parametrize("name", MODULES)
def test_no_module_knows_this_machine_or_hides_behind_a_vague_name(name: str):
    text = MODULES[name].read_text(encoding="utf-8")
    assert not [
        place for place in ("/work/", "../shared", "/root/", "/home/", "/tmp/") if place in text
    ]
    assert MODULES[name].stem not in ("utils", "util", "helpers", "common", "misc", "tools")


# -- in a fresh process


@pytest.mark.parametrize(
    "name", ["ibsd", "ibsd.types", "ibsd.data", "ibsd.cli", "ibsd.cli.main", "ibsd.config.run"]
)
def test_importing_it_does_not_wait_for_torch(name: str):
    loaded = set(python("-c", f"import {name}, sys; print(*sys.modules)").split())
    assert name in loaded
    assert not loaded & {"torch", "scipy", "skimage", "onnx", "openvino", "tensorboardX"}


SIDE_EFFECTS = """
import importlib, os, sys, warnings
import torch
import numpy, PIL.Image, safetensors.torch
def facts():
    return (
        dict(os.environ), os.getcwd(), list(warnings.filters), torch.get_rng_state().tolist(), str(numpy.random.get_state()), sys.stdout,
        torch.get_num_threads(), torch.get_default_dtype(), torch.is_grad_enabled(), PIL.Image.MAX_IMAGE_PIXELS,
    )
before = facts()
for name in sys.argv[1:]:
    importlib.import_module(name)
    assert facts() == before, name
"""


def importable(name: str) -> bool:
    return not name.endswith("__main__") and (
        name != TRITON_KERNEL or find_spec("triton") is not None
    )


@pytest.mark.slow
def test_importing_any_module_changes_nothing_and_warns_of_nothing(tmp_path: Path):
    names = [name for name in MODULES if importable(name) and part(name) in CORE]
    python("-c", SIDE_EFFECTS, *names, folder=tmp_path)
    assert not list(tmp_path.iterdir())


BARE = """
import sys
from importlib.machinery import PathFinder
find = PathFinder.find_spec
missing = ("rich", "tensorboardX", "cyclopts", "skimage", "scipy", "pywt", "imageio")
PathFinder.find_spec = lambda name, path=None, target=None: None if name.split(".")[0] in missing else find(name, path, target)
import torch
torch.set_num_threads(1)
import tiny
from ibsd.distillation import IBSD
from ibsd.training import Trainer, TrainingOptions
from ibsd.training.tracking import JsonLines
import ibsd.metrics, ibsd.evaluation.scores, ibsd.assembly
from pathlib import Path
objective = IBSD(tiny.student(), period=2, warm_up=0, ramp=0, soft_target="snapshot")
folder = Path(sys.argv[1])
log = JsonLines(folder / "log.jsonl")
options = TrainingOptions(num_steps=4, diagnostics_every=2)
print(Trainer(objective, tiny.source(), options, checkpoints=folder, trackers=[log]).run().reason)
"""


@pytest.mark.slow
def test_training_runs_with_nothing_but_torch_numpy_pillow_and_safetensors(tmp_path: Path):
    assert python("-c", BARE, str(tmp_path)).strip() == "finished"
