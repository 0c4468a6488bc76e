"""Errors that are meant for the person who runs the build: each message says what to do."""

from __future__ import annotations


class Refusal(RuntimeError):
    """A step that the data or the environment does not allow.

    Prints without a traceback, which dbt would otherwise show for a Python model and bury the
    message in.
    """

    __traceback__ = property(lambda self: None, lambda self, traceback: None)


class FileFault(Refusal):
    """An input file that is not as the contract requires.

    broken: each broken rule with its message. rule: the id of the first one.
    """

    def __init__(self, *broken: tuple[str, str]) -> None:
        self.broken = broken
        self.rule = broken[0][0]
        message = "\n  ".join(text for _, text in broken)
        # A file name that is not UTF-8 could not be printed.
        super().__init__(message.encode(errors="backslashreplace").decode())


class GateError(Refusal):
    """The gate itself is broken: an unreadable suite, or a rule without a result."""


class PublishFault(Refusal):
    """The marts are right but can't be published, or no earlier build can be restored."""


class InUse(Refusal):
    """Another process is using the working database or publishing from it. Try again later."""
