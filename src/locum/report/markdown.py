"""RUN -> RUN/report.md: what the page says, for terminals and pull requests. Pictures become their tables.

Words out of session logs stand in code spans or escaped, so that nothing in them becomes markup or a link.
"""

import re
from collections.abc import Iterable, Sequence

from locum import __version__
from locum.report.cost import Cost
from locum.report.evidence import Measure
from locum.report.quantization import HEADS, Quantization
from locum.report.scaling import Climbs
from locum.report.valleys import Map
from locum.report.view import Page
from locum.report.voices import Voice, Voices

_MARKUP = re.compile(r"([\\`*_{}\[\]<>#|~!&])|(https?)(?=://)")


def markdown(page: Page) -> str:
    """The page as GitHub's Markdown."""
    parts = [
        f"# {escaped(page.name)}",
        escaped(" · ".join(page.about)),
        f"**{escaped(page.headline.sentence)}**",
        *_verdicts(page),
        *_funnel(page),
        *([f"## The curve\n\n{escaped(page.curve.sentence)}"] if page.curve else []),
        *(_valleys(page.valleys) if page.valleys else []),
        *_evidence(page),
        *_voices(page.voices),
        *(_scaling(page.scaling) if page.scaling else []),
        *(_cost(page.cost) if page.cost else []),
        *_card(page),
        *(_quantization(page.quantization) if page.quantization else []),
        *([f"## What is missing\n\n{_list(page.gaps.values())}"] if page.gaps else []),
        f"Made by locum {__version__} from this run's files. It holds words out of session logs: pass it on as you "
        "would the logs.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def escaped(text: str) -> str:
    """`text` on one line with nothing in it that Markdown would read as markup or turn into a link."""
    return _MARKUP.sub(lambda found: f"\\{found[1]}" if found[1] else f"{found[2]}\u200b", " ".join(text.split()))


def _verdicts(page: Page) -> list[str]:
    rows = [(line.family, line.verdict, f"{line.reason} {line.route}".strip(), line.seen) for line in page.families]
    return ["## What it may do", _table(("family", "verdict", "why", "on what"), rows)] if rows else []


def _funnel(page: Page) -> list[str]:
    if page.funnel is None:
        return []
    rows = [(bar.label, f"{'−' if bar.kind == 'drop' else ''}{bar.count:,}", bar.meaning) for bar in page.funnel.bars]
    texts = [*page.funnel.notes, *page.funnel.sentences]
    return ["## The funnel", _table(("", "turns", ""), rows), *map(escaped, texts)]


def _valleys(found: Map) -> list[str]:
    parts = ["## Valleys and plateaus", escaped(" ".join(filter(None, (found.sentence, found.crossed))))]
    heads = ("what", "tokens", "nats per token", "share", "type", "instance", "label", "best strength", "quantization")
    for ground in found.grounds:
        rows = [
            (
                line.name,
                line.seen,
                line.losses,
                line.share,
                line.type,
                line.instance,
                line.label,
                line.strength,
                line.quantized,
            )
            for line in ground.lines
        ]
        parts += [f"### {ground.title}", _table(heads, rows)]
    return [*parts, escaped(found.shift_sentence), *map(escaped, found.notes)]


def _evidence(page: Page) -> list[str]:
    if page.evidence is None:
        return []
    parts = ["## Sounding right", _measures([*page.evidence.resemblance, *page.evidence.loss_by_family])]
    parts.append("## Being right")
    for family in page.evidence.competence:
        parts += [f"### {escaped(family.name)}", _measures(family.measures)]
    parts += ["## Ways of going wrong", _measures(page.evidence.signatures)]
    return parts


def _measures(measures: Sequence[Measure]) -> str:
    rows = [
        (measure.title, row.label, row.text, measure.evidence)
        for measure in measures
        for plot in (measure.arms, measure.differences)
        if plot
        for row in plot.rows
    ]
    return _table(("measure", "arm", "estimate, 95 % interval", "on what"), rows) if rows else "Nothing was measured."


def _voices(found: Voices) -> list[str]:
    """The prompts in full view; of an answer what it says, what is made up, and how it was judged."""
    if not found.shown:
        return []
    parts = ["## Three voices"]
    for exchange in found.shown:
        parts.append(f"### {escaped(exchange.family)}, row {escaped(exchange.row)}\n\n{escaped(exchange.asked_start)}")
        rows = [
            (voice.arm, voice.judgement or "", _said(voice), "; ".join((*_marks(voice), *voice.flags)))
            for voice in exchange.voices
        ]
        parts.append(_table(("voice", "", "said", "notes"), rows))
        parts += [escaped(voice.effect) for voice in exchange.voices if voice.effect]
    more = len(found.folded) + found.left_out
    if more:
        parts.append(f"{more:,} more prompts in `evaluation/samples.jsonl`.")
    return parts


def _said(voice: Voice) -> str:
    text = "".join(segment.text for segment in voice.text)
    calls = [f"{call.name} {''.join(segment.text for segment in call.arguments)}" for call in voice.calls]
    return " ".join(filter(None, (text, *calls))) or "(nothing)"


def _marks(voice: Voice) -> list[str]:
    """What is underlined and boxed on the page, by name."""
    details = [
        segment.text
        for segments in (voice.text, *(call.arguments for call in voice.calls))
        for segment in segments
        if segment.kind
    ]
    marks = [f"made up: {', '.join(details)}"] if details else []
    return [*marks, *([f"says more often than the agent: {', '.join(voice.favourites)}"] if voice.favourites else [])]


def _scaling(found: Climbs) -> list[str]:
    rows = [
        (
            climb.name,
            "; ".join(f"{rung.loss:.3f} [{rung.low:.3f}, {rung.high:.3f}] at {rung.rows:,}" for rung in climb.rungs),
            f"No forecast: {'; '.join(climb.refused)}" if climb.refused else climb.answer,
        )
        for climb in found.climbs
    ]
    rows += [(line.name, f"{line.first} to {line.last}, fell by {line.fall}", line.answer) for line in found.classes]
    heads = ("what", "loss [80 % band] at rows", "what more rows would bring")
    return ["## More rows", *map(escaped, filter(None, (found.next, found.lever, found.what))), _table(heads, rows)]


def _cost(found: Cost) -> list[str]:
    rows = [(item.what, item.much, item.note) for item in found.items]
    return ["## What it cost", escaped(found.sentence), _table(("", "", ""), rows)]


def _card(page: Page) -> list[str]:
    facts = [(fact.term, fact.detail) for fact in page.card.facts]
    if page.card.parity:
        facts.append(("parity", page.card.parity))
    facts += [("time: " + part.name, part.text) for part in page.card.stages]
    facts += [(fact.term, fact.detail) for fact in page.card.versions]
    return ["## The model", _table(("", ""), facts), _list(page.card.limits)]


def _quantization(found: Quantization) -> list[str]:
    rows = [(line.type, line.size, line.loss, line.decisions, line.verdict) for line in found.lines]
    return ["### Types that were tried", escaped(found.sentence), _table(HEADS, rows)]


def _list(lines: Iterable[str]) -> str:
    return "\n".join(f"- {escaped(line)}" for line in lines)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *([escaped(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
