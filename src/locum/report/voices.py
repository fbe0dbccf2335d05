"""The three voices on the same prompts: what agent, base and tuned said, with what is wrong in it marked."""

import unicodedata
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import groupby

import msgspec

from locum.evaluation.results import Answer, Sample
from locum.evaluation.signatures.phrases import places
from locum.report import figures, tints
from locum.report.tints import Answers

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
    """A piece of an answer that is marked alike."""

    text: str
    kind: str | None = None
    """What sort of made-up detail it is; None where it is not one."""
    favourite: bool = False
    """Whether it is a phrase that this voice says more often than the agent."""
    tint: str = ""
    """What training did to its loss (`tints.Tint`); empty where nothing much, and where it is not known."""


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
    favourites: tuple[str, ...]
    """The favourite phrases that it holds."""
    flags: tuple[str, ...]
    loss: str | None
    effect: str | None = None
    """Of the agent's answer, where its tokens are tinted: the tints in words. `text` is then all of it, calls too."""


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

    @property
    def tinted(self) -> bool:
        """Whether any answer of the agent is tinted."""
        return any(exchange.voices[0].effect for exchange in self.shown)

    @property
    def marked(self) -> bool:
        """Whether any favourite phrase is marked."""
        return any(voice.favourites for exchange in (*self.shown, *self.folded) for voice in exchange.voices)


Favourites = Mapping[str, Sequence[str]]
"""Arm -> the phrases that it says more often than the agent, in lower case."""


def voices(samples: Sequence[Sample], favourites: Favourites | None = None, tokens: Answers | None = None) -> Voices:
    """Choose and arrange the samples: spread over families first, then over sessions.

    Args:
        samples: all there are.
        favourites: phrases to mark.
        tokens: by which the agent's answers are tinted, where they are known; of the samples in full view alone.
    """
    ordered = spread(samples)
    known = tokens or {}
    exchanges = [
        _exchange(sample, favourites or {}, known.get(sample.row, ()) if place < SHOWN else ())
        for place, sample in enumerate(ordered[: SHOWN + FOLDED])
    ]
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


def segments(
    text: str,
    made_up: Sequence[tuple[int, int, str]],
    favourite: Sequence[tuple[int, int]] = (),
    tinted: Sequence[tuple[int, int, str]] = (),
) -> tuple[Segment, ...]:
    """Cut `text` where its marks begin and end (characters, end exclusive).

    Marks that stick out are clipped. Of made-up details that overlap the earlier keeps what they share; marks of
    different sorts may lie over one another.
    """
    size = len(text)
    kinds, said, tint = [-1] * size, [False] * size, [""] * size
    for index, (start, end, _) in enumerate(made_up):
        for at in range(max(start, 0), min(end, size)):
            kinds[at] = index if kinds[at] < 0 else kinds[at]
    for start, end in favourite:
        said[max(start, 0) : min(end, size)] = [True] * (min(end, size) - max(start, 0))
    for start, end, name in tinted:
        tint[start : min(end, size)] = [name] * (min(end, size) - start)
    pieces = groupby(range(size), key=lambda at: (kinds[at], said[at], tint[at]))
    return tuple(
        Segment(visible("".join(text[at] for at in where)), None if index < 0 else made_up[index][2], phrase, name)
        for (index, phrase, name), where in pieces
    )


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


def _exchange(sample: Sample, favourites: Favourites, tokens: Sequence[tints.Token]) -> Exchange:
    asked = visible(_cut(sample.asked.strip(), ASKED_LIMIT))
    start = " ".join(asked.split())
    folded = len(start) > 180 or "\n" in asked
    agent = _voice("agent", sample.agent, sample.agent, ())
    return Exchange(
        family=sample.family,
        row=sample.row[:10],
        session=sample.session[:12],
        asked_start=f"{start[:180].rstrip()} …" if len(start) > 180 else start,
        asked=asked if folded else None,
        voices=(
            _tinted(agent, sample.agent, tokens) if tokens else agent,
            _voice("base", sample.base, sample.agent, favourites.get("base", ())),
            _voice("tuned", sample.tuned, sample.agent, favourites.get("tuned", ())),
        ),
    )


def _tinted(voice: Voice, answer: Answer, tokens: Sequence[tints.Token]) -> Voice:
    """The agent's answer as the model was asked to write it, calls included, every token tinted."""
    whole = "".join(token.text for token in tokens)
    text = _cut(whole, ANSWER_LIMIT)
    return msgspec.structs.replace(
        voice,
        text=segments(text, _made_up_in(whole, answer), tinted=tints.spans(tokens)),
        calls=(),
        effect=visible(tints.sentence(tokens)),
    )


def _made_up_in(whole: str, answer: Answer) -> list[tuple[int, int, str]]:
    """The made-up spans of an answer, found again in the answer as a template writes it (other spaces in its JSON)."""
    lines = [msgspec.json.encode(call.arguments).decode() for call in answer.tool_calls]
    source = "\n".join(lines) if lines else answer.text
    found, here = [], 0
    for start, end, kind in sorted(answer.made_up):
        at = whole.find(source[start:end], here)
        if start < end and at >= 0:
            here = at + end - start
            found.append((at, here, kind))
    return found


def _voice(arm: str, answer: Answer, agent: Answer, favourites: Sequence[str]) -> Voice:
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
    text = _cut(answer.text, ANSWER_LIMIT)
    return Voice(
        arm=arm,
        judgement=None if arm == "agent" or answer.right is None else ("right" if answer.right else "wrong"),
        decision=visible(answer.decision) if answer.decision else None,
        text=segments(text, () if answer.tool_calls else answer.made_up, places(text, favourites)),
        calls=_calls(answer),
        made_up=tuple(f"{visible(kind)} × {n}" if n > 1 else visible(kind) for kind, n in kinds.items()),
        favourites=tuple(visible(phrase) for phrase in favourites if places(text, (phrase,))),
        flags=tuple(flags),
        loss=None if answer.loss is None else figures.number(answer.loss),
    )


def _cut(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    return f"{text[:limit]} … ({figures.count(len(text) - limit, 'more character')})"
