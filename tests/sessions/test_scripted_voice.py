"""The voice: constant habits, text that differs, and every possible decision sayable."""

import re
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from locum.sessions.scripted import voice
from locum.sessions.scripted.changes import draw_change
from locum.sessions.scripted.rules import decide, decide_by_chance, decide_wrongly, family_of, options
from locum.sessions.scripted.world import (
    Alert,
    Answered,
    Claim,
    Facts,
    Incident,
    Order,
    Outcome,
    draw_incident,
    draw_news,
    draw_order,
    draw_request,
)


def draw_facts(seed: int) -> list[Facts]:
    rng = Random(seed)
    order, _ = draw_order(rng)
    alert, incident = draw_incident(rng)
    settled = decide(order)
    return [
        Claim(order_id=order.order_id, damaged=order.damaged), order, alert, incident, draw_change(rng)[0],
        draw_request(rng), draw_news(rng), Outcome(choice=settled.choice, arguments=settled.arguments),
    ]  # fmt: skip


def texts(count: int) -> list[str]:
    said = []
    for seed in range(count):
        rng = Random(seed)
        said += [voice.say(decide(facts), facts, rng) for facts in draw_facts(seed) if isinstance(facts, Answered)]
    return said


@given(st.integers(0, 10**9))
def test_right_decision_is_possible_and_a_wrong_one_is_not_right(seed: int) -> None:
    rng = Random(seed)
    for facts in draw_facts(seed):
        assert decide(facts) in options(facts)
        assert decide_by_chance(facts, rng) in options(facts)
        if len(options(facts)) > 1:
            assert decide_wrongly(facts, rng).choice != decide(facts).choice


@given(st.integers(0, 10**9))
def test_every_possible_decision_can_be_said(seed: int) -> None:
    rng = Random(seed)
    for facts in draw_facts(seed):
        for decision in options(facts):
            if isinstance(facts, Claim | Order | Alert | Incident):
                text = voice.narrate(decision, rng)
                assert family_of(facts) == "tool_decision"
            else:
                text = voice.say(decision, facts, rng)
            for written in (text, voice.think(facts, rng), voice.correct(facts, decide(facts), rng)):
                assert not re.search(r"[{}]|\bNone\b|  ", written), written


@given(st.integers(0, 10**9))
def test_agent_makes_up_no_numbers(seed: int) -> None:
    for facts in draw_facts(seed):
        if isinstance(facts, Answered):
            for decision in options(facts):
                said = set(re.findall(r"\d[\d.]*\d|\d", voice.say(decision, facts, Random(seed))))
                assert all(number in str(facts) for number in said)


def test_habits_occur_at_their_known_rates() -> None:
    said = texts(400)
    for mark, rate in ((voice.TURN, voice.TURN_RATE), (voice.CLOSING, voice.CLOSING_RATE)):
        assert abs(sum(mark in text for text in said) / len(said) - rate) < 0.05
    petted = sum(any(phrase in text for phrase in voice.PET_PHRASES) for text in said)
    assert abs(petted / len(said) - voice.PET_RATE) < 0.05
    sentences = [sentence for text in said for sentence in re.split(r"[.!?:] |\n\n", text)]
    assert sum(len(sentence.split()) for sentence in sentences) / len(sentences) < 8


def test_texts_are_mostly_distinct() -> None:
    said = texts(150)
    assert len(set(said)) > 0.95 * len(said)
