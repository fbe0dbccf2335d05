"""A Ray cluster for tests."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def two_workers() -> Iterator[str]:
    """A cluster of two workers on this computer: its address."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "disabled")
        from ray.cluster_utils import Cluster

        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
        try:
            for _ in range(2):
                cluster.add_node(num_cpus=1)
            yield cluster.address
        finally:
            import ray

            ray.shutdown()
            cluster.shutdown()
