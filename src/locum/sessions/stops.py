"""What the reason for which a provider's answer ended says of the answer."""

from typing import Any

from locum.types import Signal

_STOPS: dict[str, Signal] = {
    "max_tokens": "truncated",
    "length": "truncated",
    "model_context_window_exceeded": "truncated",
    # A filter broke it off: what stands before is only its beginning.
    "refusal": "interrupted",
    "content_filter": "interrupted",
}


def stopped(reason: Any) -> tuple[Signal, ...]:
    """The signal of an answer that ended for this reason, in Anthropic's words or OpenAI's; none where it is whole."""
    signal = _STOPS.get(reason) if isinstance(reason, str) else None
    return () if signal is None else (signal,)
