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


@cache
def imports(name: str, top_level: bool) -> frozenset[str]:
    """Absolute names that a module imports; with `top_level`, only those that run when it is
    imported."""
    return frozenset(_imports(name, top_level))


def _imports(name: str, top_level: bool) -> Iterator[str]:
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


@cache
def reached(name: str) -> frozenset[str]:
    """Modules of ours that come along, packages above them included, whether at once or when a
    function runs."""
    seen: set[str] = set()
    todo = [name]
    while todo:
        for each in imports(todo.pop(), top_level=False):
            parts = each.split(".")
            for known in (".".join(parts[:k]) for k in range(2, len(parts) + 1)):
                if known in MODULES and known not in seen:
                    seen.add(known)
                    todo.append(known)
    return frozenset(seen)


def part(name: str) -> str:
    return name.split(".")[1] if "." in name else ""


def modules(*parts: str) -> list[str]:
    """Names of the modules in these folders, each of which holds some."""
    names = [name for name in MODULES if part(name) in parts]
    assert set(map(part, names)) == set(parts)
    return names


def reaching(names: list[str], forbidden: set[str]) -> dict[str, set[str]]:
    """Of the modules, those that reach a forbidden folder."""
    return {name: there for name in names if (there := {*map(part, reached(name))} & forbidden)}


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


FOLDERS = {part(name) for name in MODULES}
BOTTOM = {"images", "system", "types", "weights"}


@pytest.mark.slow
def test_inference_reaches_nothing_of_training():
    forbidden = {"distillation", "information", "training", "comparison", "evaluation"}
    assert forbidden <= FOLDERS
    assert reaching(modules("upscaling", "export"), forbidden) == {}


@pytest.mark.parametrize("folder", ["students", "information", "data", "metrics"])
def test_the_bottom_layer_is_side_by_side(folder: str):
    assert reaching(modules(folder), FOLDERS - BOTTOM - {folder}) == {}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("folder", "also"),
    [
        ("distillation", set()),
        ("evaluation", {"evaluation"}),
        ("training", {"evaluation", "export", "inference"}),
    ],
)
def test_no_config_below_the_commands(folder: str, also: set[str]):
    libraries = {"distillation", "information", "students", "data", "metrics", "distributed"}
    allowed = BOTTOM | libraries | also | {folder}
    assert reaching(modules(folder), FOLDERS - allowed) == {}


def test_the_training_core_needs_four_packages():
    for name in modules(*CORE):
        packages = {imported.split(".")[0] for imported in imports(name, top_level=True)}
        extra = {"triton"} if name == TRITON_KERNEL else set()
        assert packages <= ALLOWED_IN_CORE | extra, name


@pytest.mark.slow
def test_the_triton_kernel_is_imported_only_where_it_runs():
    assert TRITON_KERNEL in MODULES
    for name in MODULES:
        assert not any(
            imported.startswith(TRITON_KERNEL) for imported in imports(name, top_level=True)
        ), name


EXECUTING = {"pickle", "dill", "joblib", "cloudpickle", "shelve", "marshal"}
WORKERS = "ibsd.comparison.pool"
"""Pickles the calls that it hands to its own worker processes, and reads no file that way."""
READING = {"torch.load", "torch.hub.load", "np.load", "numpy.load", "eval", "exec"}


@pytest.mark.slow
def test_nothing_can_execute_what_it_reads():
    for name in MODULES:
        packages = {imported.split(".")[0] for imported in imports(name, top_level=False)}
        if name != WORKERS:
            assert not packages & EXECUTING, name
        for node in ast.walk(tree(name)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in READING:
                place = f"{name}:{node.lineno}"
                assert ast.unparse(node.func) == "torch.load", place
                keywords = {(word.arg, ast.unparse(word.value)) for word in node.keywords}
                assert ("weights_only", "True") in keywords, place


def test_no_module_knows_this_machine_or_hides_behind_a_vague_name():
    for name, path in MODULES.items():
        text = path.read_text(encoding="utf-8")
        for place in ("/work/", "../shared", "/root/", "/home/", "/tmp/"):
            assert place not in text, name
        assert path.stem not in ("utils", "util", "helpers", "common", "misc", "tools"), name


# -- in a fresh process


def test_importing_it_does_not_wait_for_torch():
    names = ("ibsd", "ibsd.types", "ibsd.data", "ibsd.cli", "ibsd.cli.main", "ibsd.config.run")
    loaded = set(python("-c", f"import sys, {', '.join(names)}; print(*sys.modules)").split())
    assert loaded.issuperset(names)
    assert not loaded & {
        "torch",
        "scipy",
        "skimage",
        "onnx",
        "openvino",
        "tensorboardX",
        "ray",
        "pyarrow",
        "fsspec",
    }


SIDE_EFFECTS = """
import importlib, os, sys, warnings
from importlib.machinery import PathFinder
find = PathFinder.find_spec
missing = ("rich", "tensorboardX", "cyclopts", "skimage", "scipy", "pywt", "imageio")
def without(name, path=None, target=None):
    return None if name.split(".")[0] in missing else find(name, path, target)
PathFinder.find_spec = without
import torch
import numpy, PIL.Image, safetensors.torch
torch.set_num_threads(1)
def state():
    return (
        dict(os.environ), os.getcwd(), list(warnings.filters), sys.stdout,
        torch.get_rng_state().tolist(), str(numpy.random.get_state()),
        torch.get_num_threads(), torch.get_default_dtype(), torch.is_grad_enabled(),
        PIL.Image.MAX_IMAGE_PIXELS,
    )
before = state()
for name in sys.argv[2:]:
    importlib.import_module(name)
    assert state() == before, name
"""


def importable(name: str) -> bool:
    return not name.endswith("__main__") and (
        name != TRITON_KERNEL or find_spec("triton") is not None
    )


TRAINING = """
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
def test_the_core_imports_in_silence_and_trains_with_four_packages(tmp_path: Path):
    """In one process, which has torch, numpy, Pillow and safetensors alone."""
    names = [name for name in MODULES if importable(name) and part(name) in CORE]
    for folder in ("here", "run"):
        (tmp_path / folder).mkdir()
    script = SIDE_EFFECTS + TRAINING
    said = python("-c", script, str(tmp_path / "run"), *names, folder=tmp_path / "here")
    assert said.strip() == "finished"
    assert not list((tmp_path / "here").iterdir())
