"""CDC: component divide and conquer (Wei et al., ECCV 2020, arXiv:2008.01928), its
stacked-hourglass network HGSR-MHR, state-dict keys as published.

Three hourglasses along the stack each give a picture and a map: for flat regions, edges and
corners. The result is the pictures' mean, weighted by the maps.
"""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ibsd.students.layers import check_width, count_blocks, pad_to
from ibsd.students.student import NetworkCard, Shapes, Student, StudentSpec
from ibsd.types import Scale, require

SLOPE = 0.2
MULTIPLE = 16
"""Four times an hourglass halves the picture."""
COMPONENTS = ("flat", "edge", "corner")


class Components(NamedTuple):
    """What the network gives on the way to its picture, in the order of `COMPONENTS`."""

    sr: Tensor
    """[N, 3, sH, sW]: the sum over components of map times picture."""
    pictures: Tensor
    """[N, 3 components, 3, sH, sW]."""
    maps: Tensor
    """[N, 3 components, 3, sH, sW], positive, summing to 1 over the components at each pixel and
    colour."""


def bare(inputs: int, outputs: int, kernel: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)


class Residual(nn.Module):
    """x + 1x1, 3x3, 1x1 convolutions; x through a 1x1 convolution where the width changes."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        first = bare(inputs, outputs, 1)
        middle = bare(outputs, outputs, 3)
        last = bare(outputs, outputs, 1)
        self.res = nn.Sequential(first, nn.LeakyReLU(SLOPE), middle, nn.LeakyReLU(SLOPE), last)
        self.identity = bare(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.identity(x) + self.res(x)


class Inception(nn.Module):
    """x + 1x1 convolution of three branches that see one, three and five pixels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.res1 = nn.Sequential(bare(width, width, 1), nn.LeakyReLU(SLOPE))
        self.res2 = nn.Sequential(bare(width, width, 1), bare(width, width, 3), nn.LeakyReLU(SLOPE))
        self.res3 = nn.Sequential(
            bare(width, width, 1),
            bare(width, width, 3),
            nn.LeakyReLU(SLOPE),
            bare(width, width, 3),
            nn.LeakyReLU(SLOPE),
        )
        self.filter_concat = bare(3 * width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.filter_concat(torch.cat((self.res1(x), self.res2(x), self.res3(x)), dim=1))


class Step(nn.Module):
    """One step down or up in an hourglass: holds the published key `res_block`."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.res_block = Residual(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.res_block(x)


class Hourglass(nn.Module):
    """Four steps down by max pooling, two blocks at the bottom, four steps up by repetition with a
    skip at each, and a tail."""

    def __init__(self, width: int, tail: bool) -> None:
        super().__init__()
        widths = (width, 2 * width, 2 * width, 4 * width, 4 * width)
        for k in range(4):
            self.add_module(f"down{k + 1}", Step(widths[k], widths[k + 1]))
            self.add_module(f"up{k + 1}", Step(widths[4 - k], widths[3 - k]))
        self.mid_res = nn.Sequential(Residual(widths[4], widths[4]), Residual(widths[4], widths[4]))
        for k in range(5):
            self.add_module(f"skip_conv{k}", Residual(widths[k], widths[k]))
        self.tail = nn.Sequential(Inception(width), Inception(width)) if tail else nn.Identity()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(output, what the tail was applied to), both as `x`."""
        skips: list[Tensor] = [self.get_submodule("skip_conv0")(x)]
        out = x
        for k in range(1, 5):
            out = self.get_submodule(f"down{k}")(out)
            skips.append(self.get_submodule(f"skip_conv{k}")(out))
            out = F.max_pool2d(out, 2)
        out = self.mid_res(out)
        for k in range(1, 5):
            out = self.get_submodule(f"up{k}")(
                F.interpolate(out, scale_factor=2.0, mode="nearest") + skips[5 - k]
            )
        before_tail = out + skips[0]
        return self.tail(before_tail), before_tail


def head(width: int, scale: Scale, kernel: int) -> nn.Sequential:
    """Features to a picture of `scale` times the size; places as published, where x3 has its one
    enlargement unwrapped."""

    def conv(outputs: int, size: int) -> nn.Conv2d:
        return nn.Conv2d(width, outputs, size, padding=size // 2)

    def enlarge(factor: int) -> nn.Sequential:
        return nn.Sequential(
            nn.Upsample(scale_factor=float(factor)), conv(width, 3), nn.LeakyReLU(SLOPE)
        )

    steps = list(enlarge(3)) if scale == 3 else [enlarge(2) for _ in range(scale // 2)]
    return nn.Sequential(
        nn.Sequential(conv(width, 3)),
        *steps,
        nn.Sequential(conv(width, 3), nn.LeakyReLU(SLOPE)),
        nn.Sequential(conv(3, kernel)),
    )


class CDC(Student):
    """HGSR-MHR. x4 has 39,920,530 parameters at the published width 64 with 6 hourglasses.

    Takes any size: it pads by replication at the bottom and right to multiples of 16, the only
    sizes that the published network takes. The nodes have the padded size.

    Args:
        scale: 1 to 4.
        width: channels at full resolution.
        num_hourglasses: at least 4. The second, the middle and the last give the pictures.

    Source: Wei et al., ECCV 2020; nodes as IBSD's published networks place them (docs/method.md
    1): first convolution and the outputs of hourglasses 2, 4 and 6 of 6. `components` gives what
    the network's own losses want.
    """

    name: ClassVar[str] = "cdc"
    card: ClassVar[NetworkCard] = NetworkCard(
        "Wei et al., ECCV 2020",
        "github.com/xiezw5 (CDC)",
        exported_minimum_px=2 * MULTIPLE,
        tile_multiple_px=MULTIPLE,
    )

    def __init__(self, scale: Scale = 4, width: int = 64, num_hourglasses: int = 6) -> None:
        super().__init__()
        check_width(self.name, width, 1)
        require("cdc: num_hourglasses", num_hourglasses, num_hourglasses >= 4, "at least 4")
        self.spec = StudentSpec(
            name=self.name,
            scale=scale,
            channels=width,
            receptive_field_px=64,  # the published overlap of tiles; coarse levels see further
            pools_globally=True,
            cut=f"upsample_{COMPONENTS[-1]}",  # of the deepest branch; the others have theirs
            options={"width": width, "num_hourglasses": num_hourglasses},
        )
        self.places = (1, num_hourglasses // 2, num_hourglasses - 1)
        self.conv_in = nn.Sequential(nn.Conv2d(3, width, 3, padding=1))
        for component in COMPONENTS:
            self.add_module(f"{component}_map", head(width, scale, 1))
            self.add_module(f"upsample_{component}", head(width, scale, 3))
        for k in range(num_hourglasses):
            self.add_module(f"HG_{k}", Hourglass(width, tail=k < num_hourglasses - 1))

    def components(self, lr: Tensor) -> Components:
        """Pictures and maps of [N, 3, H, W]; gradients reach all parameters."""
        return self.divide_and_conquer(lr)[0]

    def run(self, lr: Tensor, keep_nodes: bool) -> tuple[Tensor, tuple[Tensor, ...]]:
        components, nodes = self.divide_and_conquer(lr)
        return components.sr, nodes if keep_nodes else ()

    def divide_and_conquer(self, lr: Tensor) -> tuple[Components, tuple[Tensor, ...]]:
        first = x = self.conv_in(pad_to(lr, multiple=MULTIPLE))
        features: list[Tensor] = []
        nodes: list[Tensor] = [first]
        for k in range(self.spec.options["num_hourglasses"]):
            x, before_tail = self.get_submodule(f"HG_{k}")(x)
            if k in self.places:
                features.append(before_tail)
                nodes.append(x)
        features[-1] = 0.2 * x + first

        def heads(pattern: str) -> Tensor:
            named = zip(COMPONENTS, features, strict=True)
            outputs = [self.get_submodule(pattern.format(name))(feature) for name, feature in named]
            return torch.stack(outputs, dim=1)

        pictures = self.cropped(heads("upsample_{}"), lr)
        maps = self.cropped(heads("{}_map").softmax(dim=1), lr)
        return Components((maps * pictures).sum(dim=1), pictures, maps), tuple(nodes)

    @staticmethod
    def detect(shapes: Shapes) -> dict[str, Any] | None:
        num_hourglasses = count_blocks(shapes, r"HG_(\d+)\.down1\.res_block\.res\.0\.weight$")
        first = shapes.get("conv_in.0.weight")
        scale_of_key = {
            "upsample_flat.2.1.weight": 4,
            "upsample_flat.5.0.weight": 3,
            "upsample_flat.1.0.weight": 1,
            "upsample_flat.2.0.weight": 2,
        }
        scale = next((scale for key, scale in scale_of_key.items() if key in shapes), None)
        if not first or not scale or not num_hourglasses:
            return None
        return {"scale": scale, "width": first[0], "num_hourglasses": num_hourglasses}
