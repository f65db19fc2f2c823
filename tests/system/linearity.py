"""Is a history of a register linearizable? (Herlihy and Wing 1990; the search is Wing and Gong's, with Lowe's memory of states.)

An operation is ("put", value), ("delete",) or ("get", what was read; None: nothing was there), with the times at which it was called and
answered. One that was never answered may have happened at any time after its call, or not at all: its end is infinite, and it may be left out.

    history = [Operation(("put", 1), 0.0, 1.0), Operation(("get", None), 2.0, 3.0)]
    linearizable(history)   # False: the value was there when the reading began
"""
import math
from typing import NamedTuple


class Operation(NamedTuple):
    what: tuple
    called: float
    answered: float  # math.inf: never


def apply(state, what):
    """(possible, state afterwards)."""
    if what[0] == "put":
        return True, what[1]
    if what[0] == "delete":
        return True, None
    return what[1] == state, state


def linearizable(history):
    operations = sorted(history, key=lambda one: one.called)
    count = len(operations)
    certain = frozenset(i for i in range(count) if operations[i].answered != math.inf)
    seen = set()
    # Depth first: which operations are placed already, and what the register holds after them.
    stack = [(frozenset(), None)]
    while stack:
        placed, state = stack.pop()
        if certain <= placed:
            return True
        if (placed, state) in seen:
            continue
        seen.add((placed, state))
        open_ = [i for i in range(count) if i not in placed]
        # One may come next only if it was called before any other open one was answered.
        limit = min(operations[i].answered for i in open_)
        for i in reversed(open_):
            if operations[i].called > limit:
                continue
            possible, after = apply(state, operations[i].what)
            if possible:
                stack.append((placed | {i}, after))
    return False

