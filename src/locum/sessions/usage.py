"""Counts of tokens, as providers and those who log them write them, to `Usage`.

Some count what came from the cache within the input (OpenAI, Codex, OpenTelemetry, LangChain), some beside it
(Anthropic, pi, Langfuse); here it is within. A cost of 0 says that whoever logged it knew no price.
"""

from collections.abc import Mapping
from typing import Any

from locum.types import Usage

_DETAILS = ("prompt_tokens_details", "input_tokens_details", "input_token_details")
_READ = ("cached_tokens", "cache_read", "cached_input_tokens")


def usage_of(counts: Any, cost: Any = None) -> Usage | None:
    """The usage that an object of counts tells; None where it tells none.

    Args:
        counts: what stands under `usage`, `last_token_usage`, `usage_metadata` or `usage_details`.
        cost: US dollars, where they stand elsewhere than in it.
    """
    if not isinstance(counts, Mapping):
        return None
    given = _first(counts, "prompt_tokens", "input_tokens", "input")
    answered = _first(counts, "completion_tokens", "output_tokens", "output")
    if given is None and answered is None:
        return None
    within = next((part for name in _DETAILS if isinstance(part := counts.get(name), Mapping)), counts)
    cached = _first(within, *_READ)
    if cached is None:
        read = _first(counts, "cache_read_input_tokens", "cacheRead", "input_cached_tokens", "input_cache_read") or 0
        written = _first(counts, "cache_creation_input_tokens", "cacheWrite", "input_cache_creation") or 0
        given, cached = (given or 0) + read + written, read
    own = counts.get("cost")
    return Usage(
        input=given or 0,
        output=answered or 0,
        cached=min(cached, given or 0),
        cost=_dollars(own.get("total") if isinstance(own, Mapping) else own) or _dollars(cost),
    )


def together(one: Usage | None, other: Usage | None) -> Usage | None:
    """Of two calls that made one message, the sum."""
    if one is None or other is None:
        return one or other
    cost = None if one.cost is None and other.cost is None else (one.cost or 0.0) + (other.cost or 0.0)
    return Usage(one.input + other.input, one.output + other.output, one.cached + other.cached, cost)


def _first(counts: Mapping[Any, Any], *names: str) -> int | None:
    for name in names:
        value = counts.get(name)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 53:
            return value
    return None


def _dollars(value: Any) -> float | None:
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    found = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e6
    return float(value) if found else None
