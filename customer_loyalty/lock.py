"""Waiting for other processes, and a lock that ends with its process, even after kill -9."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from customer_loyalty.errors import InUse, Refusal

Opened = TypeVar("Opened")


@contextmanager
def locked(path: Path, wait: float, otherwise: str) -> Iterator[None]:
    """Hold the lock of a file, which stays there, empty.

    wait: seconds to wait at most for another holder. Raises InUse with the message ``otherwise``
    after that, and OSError where the file can't be opened.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Read access is enough for flock, so several users can share a lock file.
    lock = os.open(path, os.O_RDONLY | os.O_CREAT, 0o666)

    def acquire() -> None:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InUse(otherwise) from None

    try:
        wait_for(acquire, wait)
        yield
    finally:
        os.close(lock)


def wait_for(attempt: Callable[[], Opened], wait: float) -> Opened:
    """Repeat an attempt that raises InUse, for ``wait`` seconds at most, and return what it opens.

    Raises InUse after that.
    """
    until = time.monotonic() + wait
    while True:
        try:
            return attempt()
        except InUse:
            if time.monotonic() >= until:
                raise
        time.sleep(0.1)


def seconds_to_wait() -> float:
    """Seconds to wait for the working database, from LOYALTY_WAIT. Raises Refusal."""
    given = os.environ.get("LOYALTY_WAIT") or "0"
    try:
        seconds = float(given)
    except ValueError:
        seconds = -1
    if not 0 <= seconds < float("inf"):
        raise Refusal(f"LOYALTY_WAIT must be a number of seconds, 0 or more; found {given}")
    return seconds
