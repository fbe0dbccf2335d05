"""The three voices on the same prompts: what agent, base and tuned said, with what is wrong in it marked."""

import unicodedata
from collections import defaultdict
from collections.abc import Sequence

import msgspec

from locum.evaluation.results import Answer, Sample
from locum.report import figures

SHOWN = 12
"""Samples in full view; the rest is folded."""
FOLDED = 108
"""Samples beyond this stay in `evaluation/samples.jsonl`, so that a large run's page still opens at once."""
ANSWER_LIMIT = 3_000
"""Characters of one answer on the page."""
ASKED_LIMIT = 6_000
REPEATS = 0.2
"""Repetition from which an answer is flagged, where it is also above the agent's own on that prompt."""

_KEPT = {"\n", "\t", "\u200c", "\u200d"}
"""Format characters that ordinary text needs: line breaks, and the joiners of some scripts."""


class Segment(msgspec.Struct, frozen=True):
    """A piece of an answer; `kind` says what sort of made-up detail it is, None where it is not one."""

    text: str
    kind: str | None = None


class Call(msgspec.Struct, frozen=True):
    """A tool call; its arguments are the JSON that the made-up spans count in."""

    name: str
    arguments: tuple[Segment, ...]


class Voice(msgspec.Struct, frozen=True):
    """One answer."""

    arm: str
    judgement: str | None
    """`right`, `wrong`, or None where the agent's response holds no decision (and for the agent itself)."""
    decision: str | None
    text: tuple[Segment, ...]
    calls: tuple[Call, ...]
    made_up: tuple[str, ...]
    """Kinds of made-up details with their count: `number × 2`."""
    flags: tuple[str, ...]
    loss: str | None


class Exchange(msgspec.Struct, frozen=True):
    """One prompt and its three answers."""

    family: str
    row: str
    session: str
    asked_start: str
    asked: str | None
    """The whole prompt end, where it is longer than its start."""
    voices: tuple[Voice, ...]


class Voices(msgspec.Struct, frozen=True):
    """Section 5 of the page."""

    families: tuple[str, ...]
    shown: tuple[Exchange, ...]
    folded: tuple[Exchange, ...]
    left_out: int


def voices(samples: Sequence[Sample]) -> Voices:
    """Choose and arrange the samples: spread over families first, then over sessions."""
    ordered = spread(samples)
    exchanges = [_exchange(sample) for sample in ordered[: SHOWN + FOLDED]]
    return Voices(
        families=tuple(dict.fromkeys(exchange.family for exchange in exchanges)),
        shown=tuple(exchanges[:SHOWN]),
        folded=tuple(exchanges[SHOWN:]),
        left_out=max(0, len(ordered) - SHOWN - FOLDED),
    )


def spread(samples: Sequence[Sample]) -> list[Sample]:
    """All samples, one family after the other in turn, and within a family one session after the other."""
    by_family: dict[str, dict[str, list[Sample]]] = defaultdict(lambda: defaultdict(list))
    for sample in samples:
        by_family[sample.family][sample.lineage].append(sample)
    return _in_turn([_in_turn(list(sessions.values())) for sessions in by_family.values()])


def _in_turn(queues: Sequence[Sequence[Sample]]) -> list[Sample]:
    longest = max((len(queue) for queue in queues), default=0)
    return [queue[i] for i in range(longest) for queue in queues if i < len(queue)]


def segments(text: str, made_up: Sequence[tuple[int, int, str]]) -> tuple[Segment, ...]:
    """Cut `text` at the made-up spans (characters, end exclusive); overlapping or stray ones are clipped."""
    pieces: list[Segment] = []
    here = 0
    for start, end, kind in sorted(made_up):
        start, end = max(start, here), min(end, len(text))
        if start >= end:
            continue
        if start > here:
            pieces.append(Segment(visible(text[here:start])))
        pieces.append(Segment(visible(text[start:end]), kind))
        here = end
    if here < len(text):
        pieces.append(Segment(visible(text[here:])))
    return tuple(pieces)


def visible(text: str) -> str:
    """`text` with control and direction characters written out, so that what is shown is what is there."""
    return "".join(
        c if c in _KEPT or unicodedata.category(c) not in ("Cc", "Cf", "Cs") else f"⟨U+{ord(c):04X}⟩"
        for c in text.replace("\r\n", "\n")
    )


def _calls(answer: Answer) -> tuple[Call, ...]:
    """The calls, each with its share of the spans: they count through the arguments of all, one a line."""
    calls = []
    offset = 0
    for call in answer.tool_calls:
        arguments = msgspec.json.encode(call.arguments).decode()
        spans = [(start - offset, end - offset, kind) for start, end, kind in answer.made_up]
        calls.append(Call(visible(call.name), segments(_cut(arguments, ANSWER_LIMIT), spans)))
        offset += len(arguments) + 1
    return tuple(calls)


def _exchange(sample: Sample) -> Exchange:
    asked = visible(_cut(sample.asked.strip(), ASKED_LIMIT))
    start = " ".join(asked.split())
    folded = len(start) > 180 or "\n" in asked
    return Exchange(
        family=sample.family,
        row=sample.row[:10],
        session=sample.session[:12],
        asked_start=f"{start[:180].rstrip()} …" if len(start) > 180 else start,
        asked=asked if folded else None,
        voices=tuple(
            _voice(arm, answer, sample.agent)
            for arm, answer in (("agent", sample.agent), ("base", sample.base), ("tuned", sample.tuned))
        ),
    )


def _voice(arm: str, answer: Answer, agent: Answer) -> Voice:
    kinds: dict[str, int] = defaultdict(int)
    for _, _, kind in answer.made_up:
        kinds[kind] += 1
    flags = []
    if answer.loop:
        flags.append("goes in circles")
    elif answer.repetition >= REPEATS and (arm == "agent" or answer.repetition > agent.repetition):
        flags.append(f"repeats itself ({figures.percent(answer.repetition)})")
    if answer.finish == "length":
        flags.append("cut off at the cap on new tokens")
    return Voice(
        arm=arm,
        judgement=None if arm == "agent" or answer.right is None else ("right" if answer.right else "wrong"),
        decision=visible(answer.decision) if answer.decision else None,
        text=segments(_cut(answer.text, ANSWER_LIMIT), () if answer.tool_calls else answer.made_up),
        calls=_calls(answer),
        made_up=tuple(f"{visible(kind)} × {n}" if n > 1 else visible(kind) for kind, n in kinds.items()),
        flags=tuple(flags),
        loss=None if answer.loss is None else figures.number(answer.loss),
    )


def _cut(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    return f"{text[:limit]} … ({figures.count(len(text) - limit, 'more character')})"
