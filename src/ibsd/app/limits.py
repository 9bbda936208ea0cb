"""What one server takes on, so that no upload and no visitor can use up the machine."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """All of them are settings of `ibsd serve`."""

    upload_bytes: int = 200_000_000
    """Largest file."""
    pixels: int = 64_000_000
    """Most pixels of a photograph that goes in."""
    jobs: int = 50
    """Most photographs there at a time: arriving, waiting, at work or not yet taken away."""
    job_seconds: float = 3600
    """Longest time at work on one photograph."""
    upload_seconds: float = 300
    """Longest time for one upload to arrive."""
    silence_seconds: float = 20
    """Longest pause within an upload or before a request's headers are whole."""
    look_seconds: float = 60
    """Longest time to read a photograph through before it is queued."""
    lost_seconds: float = 20
    """How long a page may be away until its jobs are cancelled and its photographs removed."""
    idle_seconds: float = 120
    """How long the process that upscales is kept, with its network in memory, while there is
    nothing to do."""
    sessions: int = 20
    """Most pages open at a time."""
    stored_bytes: int = 8_000_000_000
    """Most that uploads and results of all pages may take on the disk before a further upload is
    refused."""
