"""What the heap is told while a model is trained does its work, and is over afterwards."""

import gc
import os
import subprocess
import sys

import pytest

from locum.training.heap import steady_heap

_FAULTS = """
import resource, sys, torch
from locum.training.heap import steady_heap

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(50):
        block = [torch.ones(2**20) for _ in range(8)]
        del block
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

torch.set_num_threads(1)
faults()
plain = faults()
with steady_heap():
    faults()
    print(plain, faults())
"""


def test_old_objects_are_set_aside_and_come_back() -> None:
    before = gc.get_freeze_count()
    with steady_heap():
        assert gc.get_freeze_count() > before + 1000
    assert gc.get_freeze_count() == 0


def test_old_objects_come_back_after_an_error() -> None:
    with pytest.raises(ZeroDivisionError), steady_heap():
        raise ZeroDivisionError
    assert gc.get_freeze_count() == 0


@pytest.mark.skipif(sys.platform != "linux", reason="mallopt is glibc's")
def test_freed_memory_is_not_faulted_in_again() -> None:
    # Left to itself glibc moves its threshold, and whether a block is mapped depends on what was freed before it.
    told = os.environ | {"MALLOC_MMAP_THRESHOLD_": "131072"}
    done = subprocess.run([sys.executable, "-c", _FAULTS], capture_output=True, text=True, check=True, env=told)
    plain, steady = map(int, done.stdout.split())
    assert plain > 10_000
    assert steady < plain / 20
