"""Limits of one server, so that no upload and no visitor can use up the machine."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ServerLimits:
    """`ibsd serve` has options for the ones that users may want to change."""

    upload_bytes: int = 200_000_000
    """Largest file."""
    pixels: int = 64_000_000
    """Largest photograph, before upscaling."""
    part_pixels: int = 2_000_000
    """Photographs from this size on are upscaled in part before the whole, if the page asks."""
    jobs: int = 50
    """Most photographs at a time, in any state."""
    job_seconds: float = 3600
    """Longest time for upscaling one photograph."""
    upload_seconds: float = 300
    """Longest time for one upload."""
    silence_seconds: float = 20
    """Longest pause within an upload, and before the headers of a request are complete."""
    read_seconds: float = 60
    """Longest time to read a photograph before it is queued."""
    lost_seconds: float = 20
    """How long a page may be away before its jobs are cancelled and its photographs removed."""
    idle_seconds: float = 120
    """How long an idle worker process, with its network in memory, is kept."""
    sessions: int = 20
    """Most open pages."""
    stored_bytes: int = 8_000_000_000
    """Disk space of all uploads and results from which on further uploads are refused."""
