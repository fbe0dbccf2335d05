"""Answers that rest on what the prompt does not hold, and answers that only seem to."""

from typing import Any

import pytest
from dataset_sessions import calls, harness, human, result, says, session
from growth import assert_grows_with_size
from hypothesis import given, settings
from hypothesis import strategies as st

from locum.dataset.context import Window
from locum.dataset.details import Held
from locum.dataset.turns import Step, steps
from locum.types import Message, Session


def missing(given_session: Session, budget: int = 1000) -> list[tuple[str, ...]]:
    """For every turn that fits into the budgets, what its response rests on that its prompt lacks."""
    window, held = Window(budget, 3000), Held(given_session)
    found = []
    for part in steps(given_session):
        if isinstance(part, Step):
            window.push(part)
        elif (shortened := window.prompt()) is not None:
            found.append(held.missing(part, shortened[0]))
    return found


def after_long_work(told: str, *then: Message, tools: tuple[dict[str, Any], ...] = ()) -> tuple[str, ...]:
    """What the last of `then` misses, where `told` was a tool's result that the budget has long taken away."""
    work = [m for n in range(20) for m in (calls(f"w{n}"), result(f"w{n}", "x" * 100))]
    begun = (human("Begin."), calls("t"), result("t", told), *work)
    return missing(session(*begun, *then, tools=tools))[-1]


@pytest.mark.parametrize(
    ("told", "response", "expected"),
    [
        ("order W4417", "Your order is W4417.", ()),  # too short to be an id
        ("order #W441798", "Your order is #W441798.", ("w441798",)),
        ("order #W441798", "Your order is #w441798!", ("w441798",)),
        ("order #\u212a441798", "Your order is #K441798.", ("k441798",)),  # the Kelvin sign's small letter is a k
        ("card 30912", "Charged to 30912.", ("30912",)),
        ("limit 30000", "The limit is 30000.", ()),
        ("took 12500ms", "It took 12500ms.", ()),
        ("sha256 x86_64 utf-8 rfc3339", "It is sha256 on x86_64, by rfc3339.", ()),
        ("src/billing_cycle.py", "See `src/billing_cycle.py`.", ("billing_cycle.py",)),
        ("src/index.ts README.md package.json", "I read src/index.ts, README.md and package.json.", ()),
        ("payment.total(x) console.log", "Then payment.total and console.log.", ()),
        ("invoice_2231_b", "Paid: invoice_2231_b", ("invoice_2231_b",)),
        ("nothing", "Your order is #W441798.", ()),  # made up, or known from elsewhere: not this rule's to judge
    ],
)
def test_details_of_a_text(told: str, response: str, expected: tuple[str, ...]) -> None:
    assert after_long_work(told, says(response)) == expected
    assert after_long_work(told, human(f"By the way: {told}"), says(response)) == ()


def test_details_of_arguments() -> None:
    def call(**arguments: Any) -> tuple[str, ...]:
        return after_long_work("order #W441798 in src/billing_cycle.py, 30912", calls("z", arguments=arguments))

    assert call(order="#W441798") == ("w441798",)
    assert call(number=30912) == ("30912",)
    assert call(deep=[{"path": "/srv/src/billing_cycle.py"}]) == ("billing_cycle.py",)
    assert call(content="# W441798\nimport billing_cycle.py\n") == ()
    assert call(query="orders") == ()


def test_a_tool_schema_holds_details_too() -> None:
    tool = {"type": "function", "function": {"name": "look", "description": "Never touch W441798."}}
    assert after_long_work("order W441798", says("W441798 it is."), tools=(tool,)) == ()


def test_what_the_agent_alone_has_said_it_may_say_again() -> None:
    work = [m for n in range(20) for m in (calls(f"w{n}"), result(f"w{n}", "x" * 100))]
    named = calls("a", arguments={"path": "notes_of_today.md"})
    spoken = session(human("Begin."), named, result("a", "saved"), *work, says("It is in notes_of_today.md."))
    assert missing(spoken)[-1] == ()


LISTING = "    41→\tdef settle(order, customer):\n    42→\t    charge(customer, order.total)\n    43→\t    return order"


def test_quoted_lines() -> None:
    old = "def settle(order, customer):\n    charge(customer, order.total)\n    return order"

    def edit(**arguments: str) -> tuple[str, ...]:
        return after_long_work(LISTING, calls("e", arguments=arguments))

    assert edit(old_string=old) == ("charge(customer, order.total)", "def settle(order, customer):")
    assert edit(oldText="    charge(customer, order.total)") == ("charge(customer, order.total)",)
    assert edit(command="charge(customer, order.total)") == ()
    assert edit(content=old + "\n\n\ndef refund(order, customer):\n") == ()  # its own lines beside: written, not quoted
    assert after_long_work(LISTING, human("Again:\n" + old), calls("e", arguments={"old_string": old})) == ()


def test_where_all_is_shown_nothing_is_missing() -> None:
    talk = session(human("Order W441798, card 30912, src/billing_cycle.py."), says("W441798, 30912, billing_cycle.py"))
    assert missing(talk) == [()]


def test_what_was_never_shown_is_missing_too() -> None:
    """A result that came after the agent's next message is in no prompt."""
    late = session(
        human("Go."), calls("a"), says("Waiting."), result("a", "order W441798"), human("So?"), says("W441798")
    )
    assert missing(late)[-1] == ("w441798",)


@given(st.lists(st.integers(10_000, 99_999), min_size=1, max_size=12), st.data())
@settings(max_examples=60, deadline=None)
def test_within_a_large_budget_nothing_that_was_shown_is_missing(numbers: list[int], data: st.DataObject) -> None:
    messages = [human("Begin.")]
    for at, number in enumerate(numbers):
        messages += [calls(f"c{at}"), result(f"c{at}", f"order_{number}")]
        messages.append(says(f"It is order_{data.draw(st.sampled_from(numbers[: at + 1]))}."))
    assert set(missing(session(*messages), budget=100_000)) == {()}
    assert len(missing(session(*messages), budget=100_000)) == 2 * len(numbers)


@given(st.integers(0, 30), st.sampled_from([1000, 2000, 6000]))
@settings(max_examples=40, deadline=None)
def test_a_detail_is_missing_exactly_when_the_prompt_lacks_it(between: int, budget: int) -> None:
    work = [m for n in range(between) for m in (calls(f"w{n}"), result(f"w{n}", "x" * 100))]
    asked = session(human("Begin."), calls("t"), result("t", "order W441798"), *work, says("It is W441798."))
    window, held = Window(budget, 3000), Held(asked)
    prompt: tuple[Message, ...] = ()
    for part in steps(asked):
        if isinstance(part, Step):
            window.push(part)
            continue
        shortened = window.prompt()
        assert shortened is not None
        prompt = shortened[0]
        found = held.missing(part, prompt)
    shown = any("W441798" in message.content for message in prompt)
    assert found == (() if shown else ("w441798",))


def test_cost_is_linear_in_length() -> None:
    def worked(turns: int) -> Session:
        work = [
            m
            for n in range(turns)
            for m in (
                calls(f"w{n}", arguments={"id": f"item_{n:05}"}),
                result(f"w{n}", f"next item_{n + 50:05} " + "x" * 99),
            )
        ]
        return session(harness("/go"), *work, says("Done."))

    sessions = {turns: worked(turns) for turns in (300, 2400)}
    assert sum(map(bool, missing(sessions[2400], 2000))) > 2400 / 3
    assert_grows_with_size(lambda turns: missing(sessions[turns], 2000), 2400)


@pytest.mark.parametrize("piece", ["a", "a.", "a1", "1a-", "a@", "\n", "a(", " ab1234", "→", "İ"])
def test_hostile_texts_cost_no_more_than_others(piece: str) -> None:
    def work(size: int) -> None:
        text = piece * (size // len(piece))
        after_long_work(text, says(text[:3000]), calls("z", arguments={"old": text[:3000], "b": text[:400]}))

    assert_grows_with_size(work, 150_000)
