"""A time limit for checks: one that never ends must not open the gate or block a scheduler."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from customer_loyalty.engine import Engine
from customer_loyalty.errors import Refusal


class TooLong(Refusal):
    """The checks exceeded the time limit."""


@contextmanager
def watchdog(engine: Engine, seconds: float, grace: float = 60) -> Iterator[None]:
    """Interrupt the connection after some seconds, and end the process if that does not help.

    grace: seconds for an interrupted check to end. Raises TooLong.
    """
    done, late = threading.Event(), threading.Event()

    def watch() -> None:
        if done.wait(seconds):
            return
        late.set()
        # Great Expectations continues with the next statement: each must be interrupted.
        interrupting = None
        for _ in range(int(grace * 10)):
            # In a thread of its own: a server that does not answer must not block this one.
            if not interrupting or not interrupting.is_alive():
                interrupting = threading.Thread(target=engine.interrupt, daemon=True)
                interrupting.start()
            if done.wait(0.1):
                return
        print(f"{_too_long(seconds)} The process ends.", file=sys.stderr, flush=True)
        os._exit(1)

    watcher = threading.Thread(target=watch, daemon=True, name="watchdog of the gate")
    watcher.start()
    try:
        yield
    except Exception:
        if not late.is_set():
            raise
    finally:
        done.set()
        watcher.join()
    if late.is_set():
        # The error of the interrupted statement does not matter.
        raise TooLong(_too_long(seconds)) from None


def _too_long(seconds: float) -> str:
    return (
        f"The checks of the inputs took longer than gate_timeout_seconds ({seconds:g}). The gate"
        " stays closed."
    )
