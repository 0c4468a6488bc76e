"""Errors that are meant for the person who runs the build."""

from __future__ import annotations


class Refusal(Exception):
    """The data or the surroundings don't allow a step; the message says what was found and to do.

    dbt prints the traceback of a Python model that raises. Here it would only bury the message.
    """

    __traceback__ = property(lambda self: None, lambda self, traceback: None)  # type: ignore[assignment]


class InUse(RuntimeError):
    """Another process has the working database open, or builds in it: try again later."""
