"""The first Ctrl-C or SIGTERM asks the work to stop; the second one ends it at once."""

from __future__ import annotations

import os
import signal
from types import FrameType


class Ended(BaseException):
    """A signal that ends the program now. Like KeyboardInterrupt it is no Exception, so that no
    handler of errors catches it."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.signal = number


class StopRequests:
    """While entered, takes SIGINT and SIGTERM.

    Args:
        at_once: whether the first one raises `Ended`; else `received` holds it, and the second one
            raises.
        patient: whether further ones are ignored, because torchrun repeats those of the terminal.
    """

    def __init__(self, at_once: bool = False, patient: bool = False) -> None:
        self.at_once = at_once
        self.patient = patient
        self.received = 0
        """Number of the first signal, 0 for none yet."""

    def __enter__(self) -> StopRequests:
        self.before = {
            number: signal.signal(number, self.receive)
            for number in (signal.SIGINT, signal.SIGTERM)
        }
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def receive(self, number: int, frame: FrameType | None) -> None:
        if self.received and self.patient:
            return
        if self.at_once or self.received:
            raise Ended(number)
        self.received = number
        # print is not safe inside a handler
        os.write(2, b"\nstopping after this step, then saving; once more to leave at once\n")

    def reason(self) -> str | None:
        """For `Callbacks.stop_requested`."""
        return f"stopped by {signal.Signals(self.received).name}" if self.received else None
