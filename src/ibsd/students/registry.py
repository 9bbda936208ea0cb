"""Students by name, and from weight files: published `.pth` or safetensors, the network recognised
by its keys and shapes."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from ibsd.students.student import Student
from ibsd.students.weight_files import check_weight_file, refused
from ibsd.system import require_utf8
from ibsd.types import InputError, Scale
from ibsd.weights import named_or_file, no_such_file

HOMES = {
    "imdn": "imdn:IMDN",
    "rfdn": "rfdn:RFDN",
    "rfdn-aim": "rfdn:RFDNAIM",
    "omnisr": "omnisr:OmniSR",
    "cdc": "cdc:CDC",
    "esrt": "esrt:ESRT",
    "shufflemixer": "shufflemixer:ShuffleMixer",
    "span": "span:SPAN",
}
"""Networks, a line each: the name in a config, and where the class is."""

STUDENTS: dict[str, type[Student]] = {
    name: resolve_name(f"ibsd.students.{home}") for name, home in HOMES.items()
}

WRAPPERS = (
    *("params_ema", "params-ema", "params", "state_dict", "model_state_dict"),
    *("model", "net_g", "net", "generator"),
)
"""Keys under which published files nest the state dict, best first."""


def create_student(name: str, scale: Scale = 4, **options: Any) -> Student:
    """A freshly initialised student.

    Args:
        name: one of `STUDENTS`.
        scale: 1 to 4.
        options: what the network offers, such as `width` and `num_blocks` for `imdn`.

    Errors: InputError (a ValueError) for an unknown name, option or scale.
    """
    if name not in STUDENTS:
        raise InputError(f"unknown network {name!r}; there are: {', '.join(STUDENTS)}")
    if isinstance(options.get("node_blocks"), list):  # as JSON and TOML bring it
        options["node_blocks"] = tuple(options["node_blocks"])
    known = [key for key in inspect.signature(STUDENTS[name]).parameters if key != "scale"]
    if unknown := [key for key in options if key not in known]:
        raise InputError(
            f"network {name!r} has no option {', '.join(unknown)}; there are: {', '.join(known)}"
        )
    try:
        return STUDENTS[name](scale=scale, **options)  # type: ignore[call-arg]
    except TypeError as error:
        raise InputError(f"network {name!r} does not take these options ({error})") from None


def load_student(path: str | Path) -> Student:
    """The student that a weight file holds, or shipped weights by their name ("imdn-x4"), in fp32,
    in eval mode.

    Reads safetensors (ours or anyone's) and `.pth`/`.pt` files (never executing code from them);
    strips prefixes that all keys share (`module.`, `_orig_mod.`, `net_g.`), looks into nested
    dicts, and detects network, scale and width from keys and shapes. Half-precision weights are
    widened.

    Errors: InputError naming the file if it is missing, damaged, or holds no network that we know.
    """
    path = named_or_file(path)
    state, metadata = read_state_dict(path)
    shapes = {key: tuple(tensor.shape) for key, tensor in state.items()}
    detected = [(network, network.detect(shapes)) for network in STUDENTS.values()]
    matches = [(network, options) for network, options in detected if options is not None]
    if not matches:
        raise InputError(
            f"{path}: holds no network that ibsd knows ({', '.join(STUDENTS)}); "
            f"its first keys are {', '.join(list(state)[:3])}: take weights of one of these"
        )
    network, options = matches[0]
    try:
        if "student" in metadata:  # our own file holds options that shapes do not tell
            options |= json.loads(metadata["student"]).get("options", {})
        _refuse_giant(options, len(state))
        with torch.device("meta"):  # nothing is allocated before the sizes are known to fit
            sized = create_student(network.name, **options)
    # metadata of another form, or sizes that no network has
    except (TypeError, ValueError, AttributeError, ArithmeticError, RecursionError) as error:
        raise InputError(
            f"{path}: looks like {network.name}, and cannot be built ({error}); use other weights"
        ) from None
    expected = {key: tuple(tensor.shape) for key, tensor in sized.state_dict().items()}
    for key in sorted(expected.keys() | shapes.keys()):
        if expected.get(key) != shapes.get(key):
            fault = f"{key!r} is {shapes.get(key)} and not {expected.get(key)}"
            if key not in shapes:
                fault = f"{key!r} {expected[key]} is missing"
            elif key not in expected:
                fault = f"it also holds {key!r}, a part that this network has not"
            raise InputError(
                f"{path}: looks like {network.name} x{options['scale']}, but {fault}; "
                "use other weights"
            )
    for key, tensor in state.items():
        if not bool(torch.isfinite(tensor).all()):
            raise InputError(f"{path}: {key!r} holds NaN or infinity; use other weights")
    student = create_student(network.name, **options)
    student.load_state_dict({key: tensor.float() for key, tensor in state.items()})
    return student.eval()


def _refuse_giant(options: dict[str, Any], num_tensors: int) -> None:
    """ValueError for more blocks than the file has tensors: they would be built one by one."""
    for name, value in options.items():
        if name.startswith("num_") and isinstance(value, int) and value > num_tensors:
            raise ValueError(f"{name} is {value}, and it has {num_tensors} tensors")


def read_state_dict(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors by key (`without_prefix`) and the safetensors metadata ({} for `.pth`). Errors:
    InputError naming the file."""
    if not path.is_file():
        raise no_such_file(path)
    try:
        require_utf8(path)
        check_weight_file(path)
        if path.suffix == ".safetensors":
            with safe_open(path, framework="pt") as file:
                state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
                return without_prefix(state), dict(file.metadata() or {})
        content = torch.load(path, map_location="cpu", weights_only=True)
    except InputError:
        raise
    # on a broken file the readers raise nearly anything, struct.error and AssertionError included
    except Exception as error:
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        if "Weights only load failed" not in reason:
            raise refused(path, reason) from None
        raise InputError(
            f"{path}: holds a pickled object, which is not loaded, as it could run any code: save "
            "the network's state_dict() where it was made, and name that file"
        ) from None
    for _ in WRAPPERS:  # at most so deep: a dict may hold itself
        wrapper: Any = content if isinstance(content, dict) else {}
        nested = next((key for key in WRAPPERS if isinstance(wrapper.get(key), dict)), None)
        content = wrapper[nested] if nested else content
    entries: dict[Any, Any] = content if isinstance(content, dict) else {}
    state = {str(key): value for key, value in entries.items() if isinstance(value, Tensor)}
    if not state:
        held = ", ".join(map(repr, list(entries)[:6])) or type(content).__name__
        raise InputError(
            f"{path}: holds no tensors by name, but {held}; name a network's state dict"
        )
    # a view can repeat a small storage without end
    if any(tensor.numel() > path.stat().st_size for tensor in state.values()):
        raise refused(path, "its tensors are larger than itself")
    return without_prefix(state), {}


def without_prefix(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors by their keys less what all keys begin with: wrappers such as DataParallel
    (`module.`) and torch.compile (`_orig_mod.`) and trainers (`net_g.`) add a name and a dot."""
    state = {key: tensor for key, tensor in state.items() if key != "n_averaged"}  # AveragedModel's
    for _ in range(4):  # "module._orig_mod." are two
        if len({key.partition(".")[:2] for key in state}) == 1 and "." in next(iter(state)):
            state = {key.partition(".")[2]: tensor for key, tensor in state.items()}
    return state
