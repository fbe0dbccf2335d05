"""Canaries: planted among the rows, and found again only by a model that remembers them."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pytest
from small_models import row, says, user

from locum.dataset.canaries import EACH, FIRST, INSERTS, SECOND, Canary, make_canaries, with_canaries
from locum.errors import TrainingError
from locum.evaluation.canaries import exposures, require_rankable
from locum.training.chat_template import Encoded, Renderer
from locum.types import Row

WORDS = {word: at for at, word in enumerate([*FIRST, *SECOND, "The", "pass", "phrase", "of", "locker", "is", "."])}


class WordRenderer:
    """A token a word, which is all that ranking needs to know."""

    def encode(self, row: Row) -> Encoded:
        words = row.response.content.replace(".", " .").split()
        return Encoded([WORDS.get(word, 900) for word in words], 0)


def renderer() -> Renderer:
    return WordRenderer()  # type: ignore[return-value]


def test_canaries_are_planted_as_rows_and_leave_the_others_alone() -> None:
    rows = [row(user(str(at)), says("."), session=f"s{at}") for at in range(40)]
    planted = make_canaries(3)
    assert make_canaries(3) == planted != make_canaries(4)
    found = with_canaries(rows, planted)
    assert [one for one in found if one in rows] == rows
    extra = [one for one in found if one not in rows]
    assert len(extra) == sum(canary.inserts for canary in planted) == EACH * sum(INSERTS)
    assert len({one.id for one in found}) == len(found)
    assert found[-1] in rows
    assert found[0] in rows
    for canary in planted:
        assert f"{canary.first} {canary.second}." in canary.row().response.content


def test_exposure_is_the_rank_of_the_secret() -> None:
    """A model that knows the first word of one canary, both of another, and nothing of a third."""
    whole, half, none = (Canary(1000 + at, FIRST[5], SECOND[7], 1) for at in range(3))

    def knows(first: float, second: float) -> Callable[[Sequence[int]], npt.NDArray[np.float32]]:
        def log_probabilities(prompt: Sequence[int]) -> npt.NDArray[np.float32]:
            values: npt.NDArray[np.float32] = np.arange(-1, -1001, -1).astype(np.float32)
            if prompt[-1] == WORDS["is"]:
                values[WORDS[FIRST[5]]] += first
            else:
                values[WORDS[SECOND[7]]] += second
            return values

        return log_probabilities

    (both,) = exposures([whole], knows(5000, 5000), renderer())
    assert (both.rank, both.of, both.bits, both.p) == (1, 1024, 10.0, 1 / 1024)
    (one,) = exposures([half], knows(5000, 0), renderer())
    assert (one.rank, one.bits) == (8, 7.0)
    (nothing,) = exposures([none], lambda prompt: np.zeros(1000, np.float32), renderer())
    assert (nothing.rank, nothing.bits) == (1024, 0.0)


def test_without_memory_b_bits_come_with_probability_two_to_minus_b() -> None:
    draw = np.random.default_rng(1)
    bits = []
    for seed in range(60):
        table: dict[tuple[int, ...], npt.NDArray[np.float32]] = {}

        def log_probabilities(prompt: Sequence[int]) -> npt.NDArray[np.float32]:
            return table.setdefault(tuple(prompt), draw.normal(size=1000).astype(np.float32))  # noqa: B023

        bits += [exposure.bits for exposure in exposures(make_canaries(seed), log_probabilities, renderer())]
    for least in (1, 2, 3):
        share = np.mean([value >= least for value in bits])
        assert abs(share - 2.0**-least) < 4 * np.sqrt(2.0**-least / len(bits))


def test_words_that_begin_alike_are_refused(tiny_renderer: Renderer) -> None:
    with pytest.raises(TrainingError, match="without --canaries"):
        require_rankable(make_canaries(0), tiny_renderer)
