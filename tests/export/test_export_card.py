"""The card says under which licence the base may be passed on, and what the certificate found."""

from pathlib import Path

import pytest

from locum.export.card import model_card
from locum.export.parity import CallCheck, Parity, StopCheck
from locum.training.base import Base

CERTIFIED = Parity(
    engine="llama.cpp",
    checked=9,
    identical=9,
    conversations=(),
    stops=StopCheck(prompts=8, token="<|im_end|>"),
    calls=CallCheck(answers=6, calls=7),
    base_quantized_from="Q4_1",
    base_cost=0.0123,
)


def test_what_the_card_says() -> None:
    card = model_card("triage", Base("tiny", Path(), licence="apache-2.0"), "Q8_0", CERTIFIED)
    assert card.startswith("---\nlicense: apache-2.0\n")
    for line in (
        "9 of 9 conversations",
        "stops at `<|im_end|>`",
        "7 tool calls",
        "exists here only as Q4_1; what that lost is estimated at 0.012 nats/token",
    ):
        assert line in card


@pytest.mark.parametrize(
    ("licence", "said"), [(None, "The base names none"), ("You may.\nAlways.", "You may.\nAlways.")]
)
def test_a_licence_that_has_no_name(licence: str | None, said: str) -> None:
    card = model_card("triage", Base("tiny", Path(), licence=licence), "Q8_0", CERTIFIED)
    assert card.startswith("---\nlicense: other\n")
    assert said in card
