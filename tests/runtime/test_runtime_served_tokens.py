"""Tokens told as text, held against log-probabilities by id."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from locum.errors import NotShownError
from locum.runtime.protocol import Likely
from locum.runtime.served_tokens import agreement_by_text, texts_of, token_text
from locum.training.chat_template import Renderer


def test_what_a_token_adds_to_a_text(tiny_renderer: Renderer) -> None:
    text = token_text(tiny_renderer)
    for words in (" the", "order", "\n", "<|im_end|>"):
        assert "".join(map(text, tiny_renderer.tokens(words))) == words


def test_of_two_tokens_with_one_text_the_likelier_counts() -> None:
    values = np.log(np.array([0.5, 0.3, 0.2], np.float32))
    assert texts_of(values, lambda token: "ab"[token > 0]) == pytest.approx({"a": np.log(0.5), "b": np.log(0.3)})


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.floats(-9, 0)), min_size=1, unique_by=lambda pair: pair[0]))
def test_the_difference_is_the_mean_over_tokens(pairs: list[tuple[str, float]]) -> None:
    served = [Likely(text, value - 0.25) for text, value in pairs]
    found = agreement_by_text([served], [dict(pairs)], bound=0.3)
    assert found.mean_abs_difference == pytest.approx(0.25)
    assert found.max_abs_difference == pytest.approx(0.25)
    assert (found.prompts, found.tokens, found.holds()) == (1, len(pairs), True)


def test_a_token_that_nobody_expects_counts_with_what_it_is_off_at_least() -> None:
    found = agreement_by_text([[Likely("x", -0.1)]], [{"a": -0.5, "b": -4.1}], bound=0.3)
    assert found.mean_abs_difference == pytest.approx(4.0)
    assert not found.holds()


def test_where_nothing_can_be_compared_nothing_is_shown() -> None:
    with pytest.raises(NotShownError, match="whole character"):
        agreement_by_text([[Likely("", -0.1), Likely("\ufffd", -1.0)]], [{"a": -0.5}], bound=0.3)
