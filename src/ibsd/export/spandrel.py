"""Our networks for programs that load models through spandrel (chaiNNer, ComfyUI and others).

    import spandrel
    from ibsd.export.spandrel import register

    register()
    model = spandrel.ModelLoader().load_from_file("imdn.safetensors")

spandrel is no dependency of ibsd, because it needs torchvision.
"""

from __future__ import annotations

import importlib
from typing import Any

from torch import Tensor

from ibsd.students import STUDENTS, Student, create_student
from ibsd.types import InputError


def register(registry: Any = None) -> list[str]:
    """Adds every network of ibsd to the end of spandrel's main registry, or of the given one.

    spandrel still loads a file with its own network if it has one, such as Omni-SR and SPAN. A
    second call changes nothing.

    Returns:
        The identifiers that were added: "ibsd-imdn", "ibsd-rfdn", ...

    Errors: InputError if spandrel cannot be imported.
    """
    try:
        spandrel: Any = importlib.import_module("spandrel")
    except ImportError as error:
        raise InputError(
            f"spandrel cannot be imported ({error}): install it with pip install spandrel"
        ) from None
    registry = spandrel.MAIN_REGISTRY if registry is None else registry
    wanted = [
        spandrel.ArchSupport.from_architecture(_architecture(spandrel, network))
        for network in STUDENTS.values()
    ]
    return [str(added.architecture.id) for added in registry.add(*wanted, ignore_duplicates=True)]


def _architecture(spandrel: Any, network: type[Student]) -> Any:
    def shapes(state: dict[str, Tensor]) -> dict[str, tuple[int, ...]]:
        return {key: tuple(value.shape) for key, value in state.items()}

    def detect(state: dict[str, Tensor]) -> bool:
        return network.detect(shapes(state)) is not None

    class StudentArchitecture(spandrel.Architecture):
        def __init__(self) -> None:
            name = network.name
            spandrel.Architecture.__init__(self, id=f"ibsd-{name}", name=name, detect=detect)

        def load(self, state_dict: dict[str, Tensor]) -> Any:
            options = network.detect(shapes(state_dict))
            assert options is not None
            student = create_student(network.name, **options)
            tiling = "DISCOURAGED" if student.spec.pools_globally else "SUPPORTED"
            return spandrel.ImageModelDescriptor(
                student,
                state_dict,
                architecture=self,
                purpose="SR" if student.spec.scale > 1 else "Restoration",
                tags=[],
                supports_half=False,  # not certified; bf16 is, by `ibsd export`
                supports_bfloat16=True,
                scale=student.spec.scale,
                input_channels=3,
                output_channels=3,
                size_requirements=spandrel.SizeRequirements(
                    minimum=student.spec.minimum_size_px,
                    multiple_of=student.card.tile_multiple_px,
                ),
                tiling=getattr(spandrel.ModelTiling, tiling),
            )

    return StudentArchitecture()
