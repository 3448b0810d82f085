"""How each golden fixture is run: RUNNERS maps its name to (state, inputs, notes) -> outputs.

State dicts, inputs and outputs keep the original layout (OIHW, NCHW); a runner converts.
"""

from collections.abc import Callable

RUNNERS: dict[str, Callable] = {}


def runs(*names: str):
    """Registers a function as the runner of the named fixtures."""

    def keep(function):
        RUNNERS.update(dict.fromkeys(names, function))
        return function

    return keep
