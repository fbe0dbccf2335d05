"""The same function over many things at once, in order and with bounded memory."""

import gc
import multiprocessing
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import Protocol, TypeVar

A = TypeVar("A")
B = TypeVar("B")
_AHEAD = 4
"""Items that wait for each worker: enough to keep it busy, few enough for memory not to grow with the input."""


class Each(Protocol):
    """How a function is applied to every item; what it yields is in the items' order.

    Once the generator is closed, or has raised, the function runs nowhere any more.
    """

    def __call__(self, function: Callable[[A], B], items: Iterable[A]) -> Generator[B, None, None]: ...


def here(function: Callable[[A], B], items: Iterable[A]) -> Generator[B, None, None]:
    """One item after the other, in this process."""
    yield from map(function, items)


class Processes:
    """Worker processes on this computer, started at the first use and kept until the end of the `with` block.

    Functions and items must be picklable. Until the first worker has started, items are done in this process; so is the
    rest where a worker is killed, or none can start.
    """

    def __init__(self, workers: int | None = None, least: int = 48 * 1024 * 1024, modules: Sequence[str] = ()) -> None:
        """Args:
        workers: at least 1; None takes one a core.
        least: bytes of input below which starting processes costs about what it saves (see `suited`).
        modules: what the functions are made of: on Linux it is imported once for all workers.
        """
        self.least = least
        self._modules = list(modules)
        self._workers = workers or os.cpu_count() or 1
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> "Processes":
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def __call__(self, function: Callable[[A], B], items: Iterable[A]) -> Generator[B, None, None]:
        """As `Each`: items are taken as they are needed."""
        coming = iter(items)
        if self._pool is None:
            yield from self._start(function, coming)
        waiting: deque[tuple[A, Future[B] | None]] = deque()

        def send() -> None:
            for item in coming:
                waiting.append((item, self._submit(function, item)))
                if len(waiting) >= _AHEAD * self._workers:
                    return

        try:
            send()
            while waiting:
                item, future = waiting.popleft()
                try:
                    outcome = function(item) if future is None else future.result()
                except BrokenProcessPool:
                    outcome = function(item)
                yield outcome
                send()
        finally:
            wait([future for _, future in waiting if future is not None and not future.cancel()])

    def _start(self, function: Callable[[A], B], items: Iterator[A]) -> Iterator[B]:
        """Start the workers; what this process does meanwhile: their imports leave a core idle for as long as some
        megabytes of logs take."""
        self._pool = ProcessPoolExecutor(self._workers, _context(self._modules), initializer=_begin)
        starting = threading.Thread(target=self._submit, args=(int, 0))
        starting.start()
        try:
            while starting.is_alive() and (some := list(islice(items, 1))):
                yield function(some[0])
        finally:
            starting.join()

    def _submit(self, function: Callable[[A], B], item: A) -> Future[B] | None:
        assert self._pool is not None
        try:
            return self._pool.submit(function, item)
        except BrokenProcessPool:
            return None


def _context(modules: list[str]) -> multiprocessing.context.BaseContext:
    """How workers are started.

    Not forked from this process: whoever shows the progress may have threads, and a forked child can lock up on theirs.
    On Linux they are forked from a process of its own that has imported the modules and nothing else; on others, whose
    system libraries start threads of their own, each imports them by itself.
    """
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(modules)
    return context


def suited(each: Each, size: int) -> Each:
    """`each`, or `here` where these are processes and there are too few bytes of input for them."""
    return here if isinstance(each, Processes) and size < each.least else each


def _begin() -> None:
    """What a worker does first."""
    # What workers make lives shortly and hardly ever in cycles: looking for these takes a twentieth of their time.
    gc.freeze()
    gc.set_threshold(1_000_000, 50, 50)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A worker whose parent was killed would wait for work for ever: it holds both ends of its queue."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
