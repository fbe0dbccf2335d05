"""The kind of work that a turn is, by its structure alone."""

import re

from locum.dataset.turns import Turn
from locum.types import Message, Session

FAMILIES = {
    "tool_decision": "the agent calls a tool",
    "code_review": "the agent answers, in words, a message that holds a diff",
    "reply": "the agent answers a person, or sums up what its tools told it",
    "post": "the agent speaks with nobody having spoken: a scheduled prompt or a command at most",
}
_DIFF = re.compile(r"^```diff\b|^diff --git |^@@ -\d+(?:,\d+)? \+\d+(?:,\d+)? @@", re.MULTILINE)


def holds_diff(text: str) -> bool:
    """Whether a text holds a diff: fenced as one, of git's making, or with unified hunk headers."""
    return ("diff" in text or "@@ -" in text) and _DIFF.search(text) is not None


def family_of(session: Session, prompt: tuple[Message, ...], turn: Turn) -> str:
    """The family of a turn; a key of `FAMILIES`.

    Args:
        session: the session that the turn is from.
        prompt: what its row shows before it, shortened.
        turn: the turn, which knows what came before it unshortened.
    """
    if turn.response.tool_calls:
        return "tool_decision"
    if any(holds_diff(message.content) for message in turn.request):
        return "code_review"
    return "reply" if turn.addressed else "post"
