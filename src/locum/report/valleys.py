"""The valley map: how deep, how fast, and of what kind each class of tokens fell."""

from collections.abc import Sequence

import msgspec

from locum.evaluation.anatomy.results import Anatomy, Exhibit, Part, Shifted
from locum.report import figures
from locum.report.voices import visible
from locum.types import Estimate

MEANINGS = {
    "all": "every token of the agent's answers",
    "template": "the chat template's own marks",
    "json_syntax": "brackets, quotes and commas of a tool call",
    "tool_name": "which tool is called",
    "argument_key": "names of arguments",
    "argument_copied": "argument values that stand in the prompt",
    "argument_other": "argument values that stand nowhere in the prompt",
    "verdict": "words that decide: approve, request changes, I'd push back",
    "entity_ungrounded": "names, numbers and paths that stand nowhere in the prompt",
    "entity_grounded": "names, numbers and paths out of the prompt",
    "copied_ngram": "four words and more in a row out of the prompt",
    "code": "code",
    "domain_vocabulary": "words of the agent's field",
    "qualifier": "however, that said, I suspect",
    "function_word": "the, of, and",
    "other": "all other words",
}
_READINGS = {
    "learned": "learned: more rows of this kind would not move it",
    "needs rows": "still falls with rows: record more",
    "resists": "neither steps nor rows move it, with this base and this context",
    "unknown": "",
}


class Valley(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the map."""

    name: str
    meaning: str
    label: str
    why: str
    drops: tuple[float, ...]
    """How far below the base's loss it stood at each checkpoint, in nats per token; above it, negative."""
    seen: str
    losses: str
    share: str
    type: str
    instance: str
    strength: str
    quantized: str
    """What the model file loses more than full precision."""
    reading: str
    alternative: str


class Ground(msgspec.Struct, frozen=True):
    """Lines that share one scale."""

    title: str
    note: str
    lines: tuple[Valley, ...]

    @property
    def deepest(self) -> float:
        """The largest fall of all lines, in nats per token; never less than 0.2, or noise would look like a valley."""
        return max(0.2, *(drop for line in self.lines for drop in line.drops))

    @property
    def highest(self) -> float:
        """The largest rise above the base's loss; a little where there is none, so that the base's own line is seen."""
        return max(0.05, *(-drop for line in self.lines for drop in line.drops))


class Map(msgspec.Struct, frozen=True, kw_only=True):
    """The whole section."""

    grounds: tuple[Ground, ...]
    steps: str
    model_file: str
    """What is compared with full precision; empty where nothing is."""
    sentence: str
    crossed: str
    """Over how many folds and sessions it was cross-fitted; empty where it was not."""
    shift: tuple[Shifted, ...]
    shift_sentence: str
    exhibits: tuple[Exhibit, ...]
    notes: tuple[str, ...]


def valley_map(anatomy: Anatomy | None) -> Map | None:
    """The map of a run; None where no anatomy was made."""
    if anatomy is None:
        return None
    decisions = (
        "the loss of which option it is, of those open: style cannot move it; from the base’s, or from what the "
        "agent’s base rate gives where that is lower"
    )
    grounds = (
        Ground("Classes of tokens", "each token belongs to one", _lines(anatomy.classes)),
        Ground("Families", "all tokens of each kind of work", _lines(anatomy.families)),
        Ground("Choices", decisions, _lines(anatomy.choices)),
    )
    return Map(
        grounds=tuple(ground for ground in grounds if ground.lines),
        steps=", ".join(f"{step:,}" for step in anatomy.steps),
        model_file=visible(anatomy.model_file),
        sentence=_sentence(anatomy),
        crossed=_crossed(anatomy),
        shift=tuple(_visible_shift(one) for one in anatomy.shift),
        shift_sentence=_shift_sentence(anatomy.shift),
        exhibits=tuple(_visible_exhibit(one) for one in anatomy.exhibits),
        notes=tuple(map(visible, anatomy.notes)),
    )


def _drops(part: Part) -> tuple[float, ...]:
    return tuple(part.response.first - loss for loss in part.response.losses)


def _lines(parts: Sequence[Part]) -> tuple[Valley, ...]:
    return tuple(map(_line, parts))


def _line(part: Part) -> Valley:
    response = part.response
    losses = f"{figures.number(response.first, 2)} → {figures.number(response.last, 2)}"
    name = visible(response.name.replace("_", " "))
    return Valley(
        name=name,
        meaning=MEANINGS.get(response.name, ""),
        label=response.label,
        why=visible(response.why),
        drops=_drops(part),
        seen=f"{response.tokens:,} of {figures.count(response.sessions, 'session')}",
        losses=losses,
        share="" if part.share is None else figures.percent(part.share),
        type=_signed(part.type),
        instance=_signed(part.instance),
        strength="" if part.best_strength is None else figures.number(part.best_strength, 2),
        quantized="" if part.quantized is None else figures.interval(part.quantized, 3, signed=True),
        reading=_READINGS[part.reading],
        alternative=f"{name}: loss {losses} nats per token over training; {response.label}",
    )


def _signed(estimate: Estimate | None) -> str:
    return "" if estimate is None else figures.interval(estimate, 2, signed=True)


def _sentence(anatomy: Anatomy) -> str:
    """The finding in words: what fell easily and what did not, of the classes that a label could be given."""
    by_label: dict[str, list[str]] = {}
    for part in anatomy.classes[1:]:
        by_label.setdefault(part.response.label, []).append(visible(part.response.name.replace("_", " ")))
    said = [
        f"{word}: {figures.listing(names)}"
        for label, word in (
            ("valley", "valleys"),
            ("slope", "still falling"),
            ("plateau", "plateaus"),
            ("hill", "hills"),
        )
        if (names := by_label.get(label))
    ]
    undecided = len(by_label.get("undetermined", ()))
    if undecided:
        said.append(f"{figures.count(undecided, 'class', 'classes')} undetermined")
    text = "; ".join(said)
    return f"{text[0].upper()}{text[1:]}." if text else ""


def _crossed(anatomy: Anatomy) -> str:
    if not anatomy.folds:
        return ""
    return f"Cross-fitted over {anatomy.folds} folds, {figures.count(anatomy.sessions, 'session')}."


def _shift_sentence(shift: Sequence[Shifted]) -> str:
    if not shift:
        return ""
    whole = shift[0]
    return (
        f"Of {whole.tokens:,} tokens that the tuned model wrote, the base would have said {whole.unshifted:.0%} too, "
        f"had {whole.marginal:.0%} second or third, and {whole.shifted:.0%} further down."
    )


def _visible_shift(one: Shifted) -> Shifted:
    top = tuple((visible(text), count) for text, count in one.top)
    return msgspec.structs.replace(one, name=visible(one.name.replace("_", " ")), top=top)


def _visible_exhibit(one: Exhibit) -> Exhibit:
    return msgspec.structs.replace(
        one,
        row=visible(one.row[:12]),
        session=visible(one.session),
        family=visible(one.family),
        asked=visible(one.asked),
        agent=visible(one.agent),
        tuned=visible(one.tuned),
    )
