"""What is known of a network beyond its spec: where it and its weights come from, and how tiles
should lie for it."""

from __future__ import annotations

from dataclasses import dataclass

from ibsd.students.student import Student, StudentSpec


@dataclass(frozen=True)
class Facts:
    """Facts about a network as published. A class attribute `facts` of each network; one without it
    has the defaults."""

    paper: str = "none"
    weights: str = "none published"
    """Whose files `load_student` reads."""
    exported_minimum_px: int = 1
    """Smallest side that a program from `torch.export` with dynamic sizes takes; the network itself
    takes any."""
    tile_multiple_px: int = 1
    """Tiles whose start and side are multiples of this, in LR pixels, meet the network's windows or
    pools as the whole image does. Any other size is padded to one; a program from `torch.export`
    with dynamic sizes takes such sizes only."""
    pads_zeros: bool = False
    """The network itself continues other sizes by zeros; else it replicates edges, or continues
    nothing."""


IMDN_FACTS = Facts("Hui et al., ACM MM 2019", "github.com/Zheng222/IMDN")
"""Here and not in imdn.py, because that file is part of the key under which finished comparison
runs are kept."""


def facts_of(network: type[Student] | Student) -> Facts:
    """The facts of a network or of a student made from it."""
    return getattr(network, "facts", IMDN_FACTS if network.name == "imdn" else Facts())


def tiling_advice(spec: StudentSpec, facts: Facts) -> str:
    """One sentence on upscaling with it tile by tile."""
    aligned = (
        f" that start at multiples of {facts.tile_multiple_px} px"
        if facts.tile_multiple_px > 1
        else ""
    )
    overlap = f"tiles{aligned}, overlapping by {spec.receptive_field_px} px"
    if not spec.pools_globally:
        return f"{overlap}: exactly what the whole image gives"
    return f"{overlap}, as large as fit: what it computes depends on the whole tile, so that none equals the whole image"
