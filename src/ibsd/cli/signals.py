"""Leaving when asked: the first Ctrl-C or SIGTERM is noted for whoever works, the second ends at
once."""

from __future__ import annotations

import os
import signal
from types import FrameType


class Ended(BaseException):
    """A signal that ends the program now. Like KeyboardInterrupt it is no Exception, so that nobody
    takes it for an error."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.signal = number


class StopRequests:
    """While entered, takes SIGINT and SIGTERM.

    Args:
        at_once: whether already the first one raises `Ended`; else it is kept in `received`, and
            only the second one raises.
        patient: whether all further ones are passed over, because torchrun repeats what the
            terminal has sent already.
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
        os.write(
            2, b"\nstopping after this step, then saving; once more to leave at once\n"
        )  # print is not safe inside a handler

    def reason(self) -> str | None:
        """For `Callbacks.stop_requested`."""
        return f"stopped by {signal.Signals(self.received).name}" if self.received else None
