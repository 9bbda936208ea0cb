"""Upscaling photographs with a finished student: `tiling.py` (which tiles), `strips.py` (any size,
a row of tiles in memory), `alpha.py` (transparency), `network.py` (what a network must be),
`upscaler.py` (one picture in memory), `folders.py` (many files).

Nothing here knows how a student was trained, and nothing needs torch unless the student does.
"""

from ibsd.inference.network import Network
from ibsd.upscaling.folders import Result, summary, upscale_files
from ibsd.upscaling.strips import upscaled_strips
from ibsd.upscaling.tiling import tiled
from ibsd.upscaling.upscaler import upscale

__all__ = ["Network", "Result", "summary", "tiled", "upscale", "upscale_files", "upscaled_strips"]
