"""Workers do what this process would have done, in the same order."""

import os
import time
from itertools import islice

import pytest

from locum.parallel import Processes


def slow_square(number: int) -> tuple[int, int]:
    time.sleep(0.005)
    return number * number, os.getpid()


def reciprocal(number: int) -> float:
    return 1 / number


def test_everything_is_done_in_order_by_this_process_until_the_workers_have_started() -> None:
    with Processes(2) as each:
        for _ in range(2):
            done = list(each(slow_square, range(400)))
            assert [square for square, _ in done] == [number * number for number in range(400)]
            assert {by for _, by in done} - {os.getpid()}
        assert os.getpid() not in {by for _, by in done}, "they had started"


@pytest.mark.parametrize("zero", [0, 300])
def test_an_error_comes_where_its_item_stands(zero: int) -> None:
    with Processes(1) as each:
        outcomes = each(reciprocal, [*range(1, zero + 1), 0, 5])
        assert list(islice(outcomes, zero)) == [1 / number for number in range(1, zero + 1)]
        with pytest.raises(ZeroDivisionError):
            next(outcomes)


def test_nothing_to_do_is_done_and_what_is_closed_early_ends() -> None:
    with Processes(1) as each:
        assert list(each(reciprocal, [])) == []
        begun = each(reciprocal, range(1, 10**6))
        assert next(begun) == 1
        begun.close()
