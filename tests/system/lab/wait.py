"""Waiting for a condition, never for a time."""
import time


class TimeoutExpired(AssertionError):
    """A condition did not come true in time."""


def eventually(condition, within=10.0, what="", every=0.02):
    """Calls `condition` until it returns something true, and returns that. An exception counts as not yet.

    `within` is in seconds, a limit and not a duration: the machine may be busy, so be generous.
    """
    deadline = time.monotonic() + within
    trouble = None
    while True:
        try:
            result = condition()
            if result:
                return result
            trouble = None
        except Exception as error:  # the last one is told when time is up
            trouble = error
        if time.monotonic() > deadline:
            told = f"; last: {type(trouble).__name__}: {trouble}" if trouble else ""
            name = what or getattr(condition, "__name__", "condition")
            raise TimeoutExpired(f"not within {within:g} s: {name}{told}") from trouble
        time.sleep(every)
