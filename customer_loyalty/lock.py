"""A lock between processes that ends with the process that holds it, even after kill -9."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from customer_loyalty.errors import InUse


@contextmanager
def locked(path: Path, wait: float, otherwise: str) -> Iterator[None]:
    """Hold the lock of a file, which stays there, empty.

    wait: seconds to wait at most for another holder. Raises InUse with the message ``otherwise``
    after that, and OSError where the file can't be opened.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Read access is enough for flock, so several users can share a lock file.
    lock = os.open(path, os.O_RDONLY | os.O_CREAT, 0o666)
    try:
        wait_for(lambda: _acquire(lock), wait, otherwise)
        yield
    finally:
        os.close(lock)


def wait_for(attempt: Callable[[], bool], wait: float, otherwise: str) -> None:
    """Repeat an attempt until it succeeds, for ``wait`` seconds at most.

    Raises InUse with the message ``otherwise``.
    """
    until = time.monotonic() + wait
    while not attempt():
        if time.monotonic() >= until:
            raise InUse(otherwise)
        time.sleep(0.1)


def _acquire(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
