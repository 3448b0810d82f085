"""Work done ahead of who wants it, so that one piece computes where another one waits."""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterable, Iterator
from concurrent import futures
from typing import TypeVar

AT_ONCE = 2  # one alone leaves a core idle for a third of the time; a third gains nothing more

Item = TypeVar("Item")
Result = TypeVar("Result")


def results(
    function: Callable[[Item], Result], items: Iterable[Item], at_once: int = AT_ONCE
) -> Iterator[Result]:
    """`function` of each item, in their order; `at_once` are computed at a time, in threads.

    Raises what the function raises where its result would have come; later items are left out.
    """
    pool = futures.ThreadPoolExecutor(at_once)
    begun: collections.deque[futures.Future[Result]] = collections.deque()
    try:
        for item in items:
            begun.append(pool.submit(function, item))
            if len(begun) > at_once:  # one waits, so that none who is done has to
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
