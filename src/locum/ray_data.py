"""The same function over many things on a Ray cluster, through Ray Data (https://docs.ray.io/en/latest/data)."""

import pickle
from collections.abc import Callable, Generator, Iterable
from typing import Any, TypeVar

from locum.errors import EngineError
from locum.ray_cluster import connect

A = TypeVar("A")
B = TypeVar("B")


class RayData:
    """`locum.parallel.Each` on the nodes of a cluster, which must have Locum installed, in this version.

    Functions, items and outcomes are pickled; outcomes come in the items' order.
    """

    def __init__(self, address: str, version: Callable[[], str]) -> None:
        """Connect.

        Args:
            address: as for `locum.ray_cluster.connect`.
            version: says what has to be the same on every node for outcomes to be the same as here.

        Raises:
            EngineError: Ray is not installed, or no cluster answers.
        """
        connect(address)
        self._version = version

    def __call__(self, function: Callable[[A], B], items: Iterable[A]) -> Generator[B, None, None]:
        """As `Each`."""
        import ray

        context = ray.data.DataContext.get_current()
        context.execution_options.preserve_order = True
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        rows = [{"item": pickle.dumps(item)} for item in items]
        if not rows:
            return
        wanted = self._version()
        work = _Work(pickle.dumps(function), self._version, wanted)
        # One block an item: logs differ in size by orders of magnitude.
        dataset = ray.data.from_items(rows, override_num_blocks=len(rows)).map(work)
        try:
            for row in dataset.iter_rows():
                if row["version"] != wanted:
                    raise EngineError("a node has another version of Locum or of its libraries; install this one there")
                yield pickle.loads(row["outcome"])
        except ray.exceptions.RayError as error:
            raise EngineError(f"the Ray cluster failed ({type(error).__name__}); its own logs say why") from None


class _Work:
    """What is done on a node, for each item."""

    def __init__(self, function: bytes, version: Callable[[], str], wanted: str) -> None:
        self._function = function
        self._version = version
        self._wanted = wanted

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        version = self._version()
        if version != self._wanted:
            return {"version": version, "outcome": b""}
        return {"version": version, "outcome": pickle.dumps(pickle.loads(self._function)(pickle.loads(row["item"])))}
