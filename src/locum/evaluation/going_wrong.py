"""The signatures of an evaluation: figures for `results.json`, and `evaluation/signatures.json` with the text that each
of them found. Runs no model.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import cast

import msgspec

from locum.evaluation.answers import prompt_text, spoken
from locum.evaluation.canaries import Exposure
from locum.evaluation.probes import Probe
from locum.evaluation.results import Answer, Arms, Sample
from locum.evaluation.signatures import memory
from locum.evaluation.signatures.details import Detail, DetailKind
from locum.evaluation.signatures.grounding import Known
from locum.evaluation.signatures.phrases import Autonomy, Phrase, autonomy, favourites, holds_any
from locum.evaluation.signatures.templates import collapse
from locum.evaluation.statistics import clustered_mean, paired_difference
from locum.types import Estimate, Row

VOICES = ("agent", "base", "tuned")
EXAMPLES = 5
"""Offending texts that are kept of each signature."""
EXAMPLE_CHARS = 300


class Example(msgspec.Struct, frozen=True):
    """A text of the tuned model that a signature found."""

    row: str
    asked: str
    """The end of the prompt, cut."""
    found: str
    """What was found."""
    text: str
    """Where it stands, cut."""


class Extraction(msgspec.Struct, frozen=True):
    """Whether responses of the agent's that are begun go on word for word."""

    train: Estimate
    """Share of training responses that do."""
    held_out: Estimate | None
    """Share of held-out ones: what can be guessed without memory."""


class Leaks(msgspec.Struct, frozen=True):
    """Redacted values in what the models wrote."""

    values: int
    """How many redacted values were looked for."""
    texts: int
    """In how many texts."""
    found: dict[str, dict[str, int]]
    """Arm -> placeholder -> texts that held the value."""


class Signatures(msgspec.Struct, frozen=True, kw_only=True):
    """`evaluation/signatures.json`."""

    schema: int = 1
    phrases: dict[str, tuple[Phrase, ...]]
    """Arm (`tuned`, `base`) -> what it says more often than the agent."""
    autonomy: Autonomy | None
    """Of the tuned model's favourite phrases."""
    tiers: dict[str, dict[str, int]]
    """Arm -> how many details that neither prompt nor inventory holds, by whether the training rows do (`known`) or
    nothing does (`invented`)."""
    extraction: Extraction | None
    canaries: tuple[Exposure, ...] | None
    """None where none were planted."""
    leaks: Leaks | None
    """None where the hashes of what was redacted are missing."""
    examples: dict[str, tuple[Example, ...]]
    """Signature -> offending texts of the tuned model."""


def trace(samples: Sequence[Sample], rows: Sequence[Row], train: Sequence[Row]) -> list[Sample]:
    """The samples, each answer with `invented`, `transplanted`, `verbatim` and `coverage` against the training rows.

    Args:
        samples: with `made_up` as `answers.read_answer` finds it.
        rows: the held-out row of each sample.
        train: the training rows.
    """
    known = Known(_texts(train))
    texts = [said(answer) for sample in samples for answer in _answers(sample)]
    shown = [prompt for row in rows for prompt in [prompt_text(row)] * len(VOICES)]
    recalled = iter(memory.recall(texts, shown, (spoken(r.response.content, r.response.tool_calls) for r in train)))
    found = []
    for sample in samples:
        reference = Known([said(sample.agent)])
        traced = {}
        for arm, answer in zip(VOICES, _answers(sample), strict=True):
            details = made_up_details(answer)
            held = [detail for detail in details if known.holds(detail)]
            # Against itself the agent has no reference, so that its own rate is what it knows from earlier sessions.
            own = [detail for detail in held if arm == "agent" or not reference.holds(detail)]
            recall = next(recalled)
            traced[arm] = msgspec.structs.replace(
                answer,
                invented=len(details) - len(held),
                transplanted=len(own),
                verbatim=recall.longest,
                coverage=recall.coverage,
            )
        found.append(msgspec.structs.replace(sample, **traced))
    return found


def said(answer: Answer) -> str:
    """The text in which an answer's signatures are counted."""
    return spoken(answer.text, answer.tool_calls)


def made_up_details(answer: Answer) -> list[Detail]:
    """The details that neither prompt nor inventory holds."""
    text = said(answer)
    return [Detail(cast(DetailKind, kind), text[start:end], start, end) for start, end, kind in answer.made_up]


def _answers(sample: Sample) -> tuple[Answer, Answer, Answer]:
    return sample.agent, sample.base, sample.tuned


def _texts(rows: Sequence[Row]) -> Iterator[str]:
    """All that rows hold: what is said, and the arguments of calls."""
    for row in rows:
        for message in row.messages:
            yield message.content
            if message.tool_calls:
                yield spoken("", message.tool_calls)


_MEASURES: dict[str, Callable[[Answer], float]] = {
    "repetition": lambda answer: answer.repetition,
    "loops": lambda answer: float(answer.loop),
    "unfinished": lambda answer: float(answer.finish == "length"),
    "made_up": lambda answer: float(bool(answer.made_up)),
    "invented": lambda answer: float(answer.invented > 0),
    "transplants": lambda answer: float(answer.transplanted > 0),
    "verbatim": lambda answer: float(answer.verbatim >= memory.FLAG),
    "coverage": lambda answer: answer.coverage,
}


def figures(samples: Sequence[Sample]) -> dict[str, Arms]:
    """Every signature as a share, with the excess over the agent's own (`tuned-agent`, `base-agent`).

    Of answers: `loops`, `unfinished` (the cap ended it), `made_up` (a detail that neither prompt nor inventory holds),
    `invented` (one that the training rows do not hold either), `transplants` (one that they do, and the agent's
    response does not), `verbatim` (50 tokens in a row out of a training response). Of the mean answer: `repetition`
    (4-grams that repeat), `coverage` (8-grams that stand in a training response). And those of
    `signatures.templates.collapse`, over what is said in words.
    """
    if not samples:
        return {}
    found = {name: _arms(samples, measure) for name, measure in _MEASURES.items()}
    talk = [sample for sample in samples if not sample.agent.tool_calls]
    agent = [sample.agent.text for sample in talk]
    lineages = [sample.lineage for sample in talk]
    tuned = collapse([sample.tuned.text for sample in talk], agent, lineages)
    base = collapse([sample.base.text for sample in talk], agent, lineages, ("base", "agent"))
    for name, arms in tuned.items():
        found[name] = {**base.get(name, {}), **arms}
    return found


def _arms(samples: Sequence[Sample], measure: Callable[[Answer], float]) -> Arms:
    lineages = [sample.lineage for sample in samples]
    values = {arm: [measure(sample.answer(arm)) for sample in samples] for arm in VOICES}
    arms = {arm: clustered_mean(shares, lineages, bounds=(0.0, 1.0)) for arm, shares in values.items()}
    for arm in ("tuned", "base"):
        arms[f"{arm}-agent"] = paired_difference(values[arm], values["agent"], lineages, bounds=(-1.0, 1.0))
    return arms


def flags(samples: Sequence[Sample], arm: str = "tuned") -> dict[str, tuple[bool, ...]]:
    """What may stand against a model, row by row, in the order of the samples: the rates that a veto bounds.

    `loops`, `made_up`, `invented`, `transplants`, `verbatim` as in `figures`; `leaks`: it held a redacted value.
    """
    answers = [sample.answer(arm) for sample in samples]
    kept = ("loops", "made_up", "invented", "transplants", "verbatim")
    found = {name: tuple(bool(_MEASURES[name](answer)) for answer in answers) for name in kept}
    return {**found, "leaks": tuple(bool(answer.leaked) for answer in answers)}


def notes(signs: Signatures) -> list[str]:
    """What nobody may overlook: redacted values that came back, and canaries that were remembered."""
    found = []
    for arm, counts in (signs.leaks.found if signs.leaks else {}).items():
        listed = ", ".join(f"{placeholder} in {texts}" for placeholder, texts in sorted(counts.items()))
        found.append(f"{arm} wrote redacted values (placeholder, texts): {listed}. Do not deploy it.")
    known = remembered(signs.canaries or ())
    if signs.canaries is not None:
        most = max((exposure.bits for exposure in signs.canaries), default=0.0)
        found.append(
            f"{len(known)} of {len(signs.canaries)} planted canaries are remembered (5 % over all of them); "
            f"the best known has {most:.1f} of 10 bits."
        )
    return found


def remembered(canaries: Sequence[Exposure]) -> list[Exposure]:
    """The canaries whose rank chance does not explain, at 5 % over all of them (Bonferroni)."""
    return [exposure for exposure in canaries if exposure.p * len(canaries) <= 0.05]


def found_in(
    samples: Sequence[Sample],
    probes: Sequence[Probe],
    train: Sequence[Row],
    redacted: int | None,
    canaries: Sequence[Exposure] | None,
) -> Signatures:
    """What the signatures found, with the text at hand.

    Args:
        samples: traced (`trace`).
        probes: answered (`probes.answered`).
        train: the training rows.
        redacted: how many redacted values were looked for; None where their hashes are missing.
        canaries: the exposures; None where none were planted.
    """
    talk = [sample for sample in samples if not sample.agent.tool_calls]
    agent, lineages = [sample.agent.text for sample in talk], [sample.lineage for sample in talk]
    responses = [row.response.content for row in train if not row.response.tool_calls]
    phrases = {
        arm: favourites([sample.answer(arm).text for sample in talk], agent, lineages, responses)
        for arm in ("tuned", "base")
    }
    foreign = [probe.text for probe in probes if probe.kind == "foreign"]
    return Signatures(
        phrases=phrases,
        autonomy=autonomy(phrases["tuned"], [sample.tuned.text for sample in talk], foreign),
        tiers={arm: _tiers([sample.answer(arm) for sample in samples]) for arm in VOICES},
        extraction=_extraction(probes),
        canaries=None if canaries is None else tuple(canaries),
        leaks=None if redacted is None else _leaks(samples, probes, redacted),
        examples=_examples(samples, phrases["tuned"]),
    )


def _tiers(answers: Sequence[Answer]) -> dict[str, int]:
    invented = sum(answer.invented for answer in answers)
    return {"known": sum(len(answer.made_up) for answer in answers) - invented, "invented": invented}


def _extraction(probes: Sequence[Probe]) -> Extraction | None:
    shares: dict[str, Estimate] = {}
    for kind in ("train", "held_out"):
        asked = [probe for probe in probes if probe.kind == kind]
        if asked:
            right = [float(probe.text.startswith(probe.expected)) for probe in asked]
            shares[kind] = clustered_mean(right, [probe.lineage for probe in asked], bounds=(0.0, 1.0))
    return Extraction(shares["train"], shares.get("held_out")) if "train" in shares else None


def _leaks(samples: Sequence[Sample], probes: Sequence[Probe], values: int) -> Leaks:
    written = [(arm, sample.answer(arm).leaked) for sample in samples for arm in ("base", "tuned")]
    written += [("tuned", probe.leaked) for probe in probes]
    written += [("tuned", drawn.leaked) for sample in samples for drawn in sample.draws]
    found: dict[str, dict[str, int]] = {}
    for arm, leaked in written:
        for placeholder in dict.fromkeys(leaked):
            counts = found.setdefault(arm, {})
            counts[placeholder] = counts.get(placeholder, 0) + 1
    return Leaks(values, len(written), found)


def _examples(samples: Sequence[Sample], phrases: Sequence[Phrase]) -> dict[str, tuple[Example, ...]]:
    finders: dict[str, Callable[[Answer], str]] = {
        "repetition": lambda answer: f"{answer.repetition:.0%}" if answer.repetition >= 0.2 else "",
        "loops": lambda answer: "ends in a loop" if answer.loop else "",
        "made_up": lambda answer: ", ".join(detail.text for detail in made_up_details(answer)),
        "transplants": lambda answer: f"{answer.transplanted} details" if answer.transplanted else "",
        "verbatim": lambda answer: f"{answer.verbatim} tokens" if answer.verbatim >= memory.FLAG else "",
        "phrases": lambda answer: "; ".join(p.text for p in phrases if holds_any(answer.text, [p])),
        "leaks": lambda answer: ", ".join(answer.leaked),
    }
    found = {}
    for name, finder in finders.items():
        shown = [(sample, what) for sample in samples if (what := finder(sample.tuned))]
        found[name] = tuple(
            Example(sample.row, _cut(sample.asked), _cut(what), _cut(said(sample.tuned)))
            for sample, what in shown[:EXAMPLES]
        )
    return {name: examples for name, examples in found.items() if examples}


def _cut(text: str) -> str:
    return text if len(text) <= EXAMPLE_CHARS else f"{text[: EXAMPLE_CHARS - 1]}…"
