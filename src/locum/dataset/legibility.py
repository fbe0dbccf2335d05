"""What makes a turn a row: a reader who sees only the prompt can see why the response follows.

Every turn becomes one row or one drop, and every drop has one reason: the first that applies, in the order
below.
"""

from locum.dataset.context import MESSAGE_CHARS, size
from locum.dataset.turns import Turn
from locum.types import Session, Signal

REASONS: dict[str, str] = {
    "copy": "the same message is in another log of this conversation, or earlier in this one",
    "synthetic": "the client wrote it under the agent's name",
    "api_error": "it is the provider's error message",
    "interrupted": "it was stopped before it was complete",
    "truncated": "it was cut off at the token limit",
    "unreadable": "what it says or answers is not in the log as text (an image, a file kept elsewhere)",
    "empty": "it says nothing and calls nothing (hidden thinking only)",
    "rewound": "the human went back to before it",
    "rejected": "a human refused its tool call",
    "unanswered_call": "a tool call of it has no result before the agent's next message",
    "tool_error": "a tool call of it failed",
    "corrected": "the next human message corrects it",
    "failed_session": "the session's own ground truth says that it failed",
    "too_long": "the response is longer than its budget",
    "no_prompt": "the log begins in the middle: what it answers is not in it",
    "context_too_long": "what it answers does not fit into the prompt's budget",
    "rests_on_missing": "it names or quotes what the session held before and the prompt no longer does",
    "duplicate": "an earlier row has the same prompt and the same response",
    "near_duplicate": "a row of an earlier split asks and answers nearly the same",
}
"""Every reason for which a turn is dropped, with what it means."""

ENDS_WITH_TARGET = frozenset({"openai_chat", "sharegpt"})
"""Formats of training examples: a call that ends one is what was to be learned, and never had a result."""

_ON_THE_TURN: tuple[Signal, ...] = ("synthetic", "api_error", "interrupted", "truncated", "unreadable")


def judge(session: Session, turn: Turn, *, copied: bool, response_chars: int) -> str | None:
    """Why a turn cannot be a row; None where nothing speaks against it.

    Args:
        session: the session that the turn is from.
        turn: the turn.
        copied: its message has been seen before in this lineage.
        response_chars: how long a response may be, in characters, arguments of its calls included.
    """
    signals = turn.message.signals
    if copied:
        return "copy"
    for signal in _ON_THE_TURN:
        if signal in signals:
            return signal
    if any("unreadable" in message.signals for message in turn.before):
        return "unreadable"
    calls = turn.response.tool_calls
    if not calls and not turn.response.content.strip():
        return "empty"
    results = {signal for result in turn.results for signal in result.signals}
    if "rewound" in signals:
        return "rewound"
    if "rejected" in signals or "rejected" in results:
        return "rejected"
    if len(turn.results) < len(calls) and not (turn.last and session.format in ENDS_WITH_TARGET):
        return "unanswered_call"
    if "tool_error" in signals or "tool_error" in results:
        return "tool_error"
    if "corrected" in signals:
        return "corrected"
    if session.reward is not None and session.reward < 1:
        return "failed_session"
    if size((turn.response,)) - MESSAGE_CHARS > response_chars:
        return "too_long"
    if turn.orphaned or (calls and not turn.prompted):
        return "no_prompt"
    return None
