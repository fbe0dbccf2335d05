"""What the agent did and should not have done, kept aside: for evaluation, never as a target.

A turn that a human corrected, refused or went back from is no row. Together with what the human said and what the
agent did instead it is a question whose right answer is known and cannot be found by style: both answers are the
agent's own (contrast sets: Gardner et al. 2020, arXiv 2004.02709). `contrast.jsonl` in a dataset folder holds one
a line, in a shape that no trainer reads by mistake.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from locum.dataset.turns import Turn, spoken
from locum.files import digest
from locum.types import ENDORSED, Message, Session, Signal, Split

CONTRASTED: frozenset[str] = frozenset({"corrected", "rejected", "rewound"})
"""The reasons of `legibility.REASONS` for which a turn is kept aside."""
_FAILED: frozenset[Signal] = frozenset({"rejected", "tool_error"})


class After(msgspec.Struct, frozen=True):
    """What came after a message of the agent."""

    said: str = ""
    """What a human said next, before the agent acted soundly again."""
    instead: Message | None = None
    """The agent's next message that nothing speaks against, as rows show it."""


class Contrast(msgspec.Struct, frozen=True, omit_defaults=True):
    """A response that was taken back, with what took its place."""

    id: str
    """Digest of reason, family, prompt and both responses."""
    session: str
    lineage: str
    turn: int
    """Of the response that was taken back."""
    reason: str
    """One of `CONTRASTED`."""
    family: str
    prompt: tuple[Message, ...]
    """What both responses answer; the correction is not in it."""
    rejected: Message
    """What the agent did."""
    correction: str = ""
    """What the human said to it; empty where they only refused or went back."""
    replacement: Message | None = None
    """What the agent did then; None where the session ends before."""
    tools: tuple[dict[str, Any], ...] = ()
    time: str | None = None
    split: Split | None = None
    """That of its lineage; None until the lineages are assigned."""


def aftermath(session: Session) -> dict[int, After]:
    """What came after each of the agent's messages, by the turn's index; one walk, from the end.

    Messages that were rewound, refused, corrected or that failed are passed over, whoever wrote them: what replaces a
    wrong answer is the first one that stood.
    """
    found: dict[int, After] = {}
    turn = sum(_is_turn(message) for message in session.messages)
    said, instead = "", None
    failed: set[str] = set()
    for message in reversed(session.messages):
        if message.role == "tool":
            if message.tool_call_id is not None and _FAILED.intersection(message.signals):
                failed.add(message.tool_call_id)
        elif message.role == "user":
            if message.origin == "human" and message.content.strip() and "rewound" not in message.signals:
                said = message.content
        elif _is_turn(message):
            turn -= 1
            found[turn] = After(said, instead)
            if _stood(message, failed):
                said, instead = "", spoken(message)
    return found


def contrast_of(
    session: Session, turn: Turn, reason: str, prompt: tuple[Message, ...], family: str, after: Mapping[int, After]
) -> Contrast | None:
    """The turn as contrast material; None where nothing is known of what should have been.

    Args:
        session: the session that the turn is from.
        turn: a turn that was dropped.
        reason: why, one of `CONTRASTED`.
        prompt: what a row of it would have shown before it, shortened.
        family: what its row's family would have been.
        after: the session's `aftermath`.
    """
    followed = after.get(turn.index, After())
    correction = followed.said or "\n\n".join(r.content for r in turn.results if "rejected" in r.signals)
    if not correction and followed.instead is None:
        return None
    return Contrast(
        id=digest([reason, family, prompt, turn.response, followed.instead]),
        session=session.id,
        lineage=session.lineage,
        turn=turn.index,
        reason=reason,
        family=family,
        prompt=prompt,
        rejected=turn.response,
        correction=correction,
        replacement=followed.instead,
        tools=session.tools,
        time=turn.message.time,
    )


def _is_turn(message: Message) -> bool:
    return message.role == "assistant" and message.origin == "agent"


def _stood(message: Message, failed: set[str]) -> bool:
    if set(message.signals) - ENDORSED or any(call.id in failed for call in message.tool_calls):
        return False
    return bool(message.tool_calls or message.content.strip())
