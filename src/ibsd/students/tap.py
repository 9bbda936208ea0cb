"""Any network as a student: the outputs of submodules, by name, are the nodes of its Markov
chain."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ibsd.students.student import Shapes, Student, StudentSpec, untouched
from ibsd.types import InputError, Scale

PROBE_PX = 32
"""Side of the grey picture with which a network is tried."""


def tap(
    module: nn.Module,
    nodes: Sequence[str],
    scale: Scale | None = None,
    *,
    minimum_size_px: int = 1,
    receptive_field_px: int = 32,
    cut: str = "",
) -> Tapped:
    """`module` as a student, for every objective, the trainer, `ibsd.upscale` and
    `ibsd.evaluation.evaluate`.

    Args:
        module: any network [N, 3, H, W] in [0, 1] -> [N, 3, sH, sW]. It is not changed, and trained
            in place: after training its weights are the last step's, and
            `trainer.average.student.module` is a copy with the averaged ones.
        nodes: submodule names as `module.named_modules()` gives them, earliest first, such as
            ["head", "body.3", "body.7"]: their outputs are F0, F1, ..., feature maps of one shape
            [N, C, h, w]; of a tuple the first. Each must run once in a forward pass. Where a later
            module works in place on a node's output, the node is what that leaves.
        scale: 1 to 4; by default what the network gives.
        minimum_size_px: smallest LR side the network takes; smaller inputs are padded and cropped.
        receptive_field_px: how far tiles overlap when large pictures are upscaled.
        cut: submodule whose input is Z (`StudentSpec.cut`), for objectives that look there.

    The network runs once, in eval mode without gradients, on a grey picture. The keys of the state
    dict are the module's own.

    Errors: InputError (a ValueError) for unknown names (near ones are suggested), for nodes of
    unequal shape, out of order or that do not run exactly once, and for a network that fails or
    gives no picture of `scale` times the size.

    Example: `ibsd.tap(net, ["head", "body.3", "body.7"]).trace(lr).nodes` are three feature maps.
    """
    return Tapped(module, tuple(nodes), scale, minimum_size_px, receptive_field_px, cut)


class Tapped(Student):
    """What `tap` makes. `module` is the network itself."""

    name: ClassVar[str] = "tapped"

    def __init__(
        self,
        module: nn.Module,
        nodes: tuple[str, ...],
        scale: Scale | None,
        minimum_size_px: int,
        receptive_field_px: int,
        cut: str = "",
    ) -> None:
        super().__init__()
        check_names(module, nodes, cut)
        self.module = module
        self.node_names = nodes
        self.training = module.training
        lr = picture_for(module, max(PROBE_PX, minimum_size_px))
        with untouched(module):
            try:
                sr, maps = self.run(lr, keep_nodes=True)
            except InputError:
                raise
            except Exception as error:  # of anyone's code
                reason = str(error).split("\n")[0] or type(error).__name__
                raise InputError(
                    f"tap: {called(module)} does not run on a picture of shape {list(lr.shape)} "
                    f"({reason}); it must take RGB of any size from minimum_size_px"
                ) from error
        factor = sr.shape[-1] // lr.shape[-1] if sr.dim() else 0
        enlarged = (1, 3, factor * lr.shape[-2], factor * lr.shape[-1])
        if sr.shape != enlarged or scale not in (None, factor):
            wanted = f"{scale} times" if scale else "1 to 4 times"
            raise InputError(
                f"tap: {called(module)} turns {list(lr.shape)} into {list(sr.shape)}, "
                f"which is not RGB of {wanted} the size"
            )
        self.spec = StudentSpec(
            name=self.name,
            scale=factor,
            channels=maps[0].shape[1],
            num_nodes=len(maps),
            minimum_size_px=minimum_size_px,
            receptive_field_px=receptive_field_px,
            pools_globally=True,  # nobody knows: the cautious answer
            cut=f"module.{cut}" if cut else "",
        )

    def run(self, lr: Tensor, keep_nodes: bool) -> tuple[Tensor, tuple[Tensor, ...]]:
        if not keep_nodes:
            return self.checked_picture(self.module(lr)), ()
        seen: list[tuple[str, Any]] = []
        handles = [
            self.module.get_submodule(name).register_forward_hook(keeper(name, seen))
            for name in self.node_names
        ]
        try:
            sr = self.module(lr)
        finally:
            for handle in handles:
                handle.remove()
        return self.checked_picture(sr), checked_nodes(self.node_names, seen)

    def checked_picture(self, sr: Any) -> Tensor:
        if not isinstance(sr, Tensor):
            raise InputError(
                f"tap: {called(self.module)} returns a {type(sr).__name__}; wrap it, so that it "
                "returns SR alone"
            )
        return sr

    @staticmethod
    def detect(shapes: Shapes) -> dict[str, Any] | None:
        return None  # only its author's code can build it

    # The keys are the module's own, so that files load into the network without ibsd. A running
    # average averages every value, so whole numbers (batch norm's counter, tables of positions)
    # are given as float64. That holds them exactly and loads into them again.

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        state = self.module.state_dict(*args, **kwargs)
        for key, value in state.items():
            if isinstance(value, Tensor) and not (value.is_floating_point() or value.is_complex()):
                state[key] = value.double()
        return state

    def load_state_dict(self, state_dict: Any, strict: bool = True, assign: bool = False) -> Any:
        return self.module.load_state_dict(state_dict, strict, assign)


def keeper(name: str, seen: list[tuple[str, Any]]) -> Any:
    """A forward hook that notes a submodule's output, or the first of several."""

    def keep(module: nn.Module, inputs: Any, output: Any) -> None:
        seen.append((name, output[0] if isinstance(output, tuple) and output else output))

    return keep


def check_names(module: nn.Module, nodes: Sequence[str], cut: str = "") -> None:
    known = [name for name, _ in module.named_modules() if name]
    for name in (*nodes, cut) if cut else nodes:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=3, cutoff=0.4)
            hint = f"there are: {', '.join(known[:12])}"
            if near:
                hint = f"did you mean {' or '.join(map(repr, near))}?"
            raise InputError(f"tap: {called(module)} has no submodule {name!r}; {hint}")
    if len(set(nodes)) < 2 or len(set(nodes)) < len(nodes):
        raise InputError(
            f"tap: nodes is {list(nodes)}; name at least two different submodules, earliest first"
        )


def checked_nodes(names: Sequence[str], seen: Sequence[tuple[str, Any]]) -> tuple[Tensor, ...]:
    """The nodes, if each ran once, in order, and gave a feature map of one shape."""
    order = [name for name, _ in seen]
    for name in names:
        if order.count(name) != 1:
            raise InputError(
                f"tap: {name!r} runs {order.count(name)} times in a forward pass; "
                "name a submodule that runs once"
            )
    if order != list(names):
        raise InputError(f"tap: nodes run in the order {order}; name them so")
    for name, output in seen:
        if not isinstance(output, Tensor) or output.dim() != 4:
            is_map = isinstance(output, Tensor)
            kind = list(output.shape) if is_map else f"a {type(output).__name__}"
            raise InputError(f"tap: {name!r} gives {kind}; a node is a feature map [N, C, h, w]")
    if len({output.shape for _, output in seen}) > 1:
        shapes = ", ".join(f"{name!r} {list(output.shape)}" for name, output in seen)
        raise InputError(f"tap: nodes must have one shape, and these differ: {shapes}")
    return tuple(output for _, output in seen)


def picture_for(module: nn.Module, size_px: int) -> Tensor:
    """A grey picture where the module's parameters are, of their type."""
    floating = (parameter for parameter in module.parameters() if parameter.is_floating_point())
    like = next(floating, torch.zeros(()))
    return torch.full((1, 3, size_px, size_px), 0.5, dtype=like.dtype, device=like.device)


def called(module: nn.Module) -> str:
    return type(module).__name__
