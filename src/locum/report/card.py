"""The model card: what was made, from what, how it is served, and how far this evaluation reaches."""

from collections.abc import Mapping
from typing import Any

import msgspec

from locum.evaluation.agent.agreement import sentences
from locum.evaluation.results import Results
from locum.report import figures
from locum.report.inputs import Inputs, Parity
from locum.report.voices import visible

INTERVALS = (
    "Intervals are two-sided 95 % intervals over sessions, not rows: rows of one session are no independent evidence."
)
RECORDED = (
    "Right means the same decision as the agent's own, as its log recorded it; where the agent was wrong, "
    "agreeing with it counts as right."
)


class Fact(msgspec.Struct, frozen=True):
    """A term and what stands beside it; `code` for what is copied rather than read."""

    term: str
    detail: str
    code: bool = False


class Part(msgspec.Struct, frozen=True):
    """One stage's share of the time."""

    name: str
    text: str
    value: float


class Card(msgspec.Struct, frozen=True):
    """Section 6 of the page."""

    facts: tuple[Fact, ...]
    parity: str | None
    parity_holds: bool
    stages: tuple[Part, ...]
    versions: tuple[Fact, ...]
    redactions: tuple[Fact, ...] | None
    limits: tuple[str, ...]


def card(inputs: Inputs) -> Card:
    """The card of a run; what the run does not say is left out."""
    return Card(
        facts=tuple(_facts(inputs)),
        parity=_parity(inputs.parity) if inputs.parity else None,
        parity_holds=inputs.parity is not None and 0 < inputs.parity.checked == inputs.parity.identical,
        stages=_stages(inputs.manifest.get("seconds")),
        versions=_named(inputs.manifest.get("versions")),
        redactions=None
        if inputs.stats is None
        else tuple(Fact(visible(kind), f"{n:,}") for kind, n in inputs.stats.redactions.items()),
        limits=_limits(inputs.results) if inputs.results else (),
    )


def _facts(inputs: Inputs) -> list[Fact]:
    manifest, results = inputs.manifest, inputs.results
    facts = []
    base = manifest.get("base") or (results.base if results else None)
    if base:
        facts.append(Fact("base", visible(str(base)), code=True))
    if results:
        file = figures.file_name(results.model_file)
        path = inputs.run / "model" / file
        weight = f" ({figures.size(path.stat().st_size)})" if path.is_file() else ""
        facts.append(Fact("model file", visible(file) + weight, code=True))
        facts.append(Fact("SHA-256", visible(results.model_sha256), code=True))
        facts.append(Fact("evaluated in", visible(results.engine)))
    deployed = manifest.get("deployed")
    if isinstance(deployed, Mapping) and deployed.get("name"):
        name = visible(str(deployed["name"]))
        engine = visible(str(deployed.get("engine") or "an engine that the manifest does not name"))
        facts.append(Fact("deployed", f"as {name} in {engine}"))
        facts.append(Fact("talk to it", f"locum chat {name}", code=True))
    elif manifest:
        facts.append(Fact("deployed", "nowhere: run `locum deploy` to give it a name"))
    if inputs.stats and inputs.stats.models:
        agents = [f"{visible(name)} ({figures.count(rows, 'row')})" for name, rows in inputs.stats.models.items()]
        facts.append(Fact("agent", figures.listing(agents)))
    return facts


def _parity(parity: Parity) -> str:
    where = f" between training and {visible(parity.engine)}" if parity.engine else ""
    checked = figures.count(parity.checked, "conversation")
    sentence = f"{parity.identical:,} of {checked} identical{where}, token by token"
    logprobs = parity.logprobs
    if logprobs is None or logprobs.mean_abs_difference is None:
        return f"{sentence}; log-probs were not compared."
    sentence += (
        f"; over {figures.count(logprobs.tokens, 'token')} the engine's log-probs and those of the fused model "
        f"differ by {figures.small(logprobs.mean_abs_difference)} nats on average"
    )
    if logprobs.max_abs_difference is not None:
        sentence += f" and {figures.small(logprobs.max_abs_difference)} at most"
    return f"{sentence}."


def _stages(seconds: Any) -> tuple[Part, ...]:
    if not isinstance(seconds, Mapping):
        return ()
    return tuple(
        Part(visible(str(stage)), figures.duration(float(value)), float(value))
        for stage, value in seconds.items()
        if isinstance(value, int | float)
    )


def _named(values: Any) -> tuple[Fact, ...]:
    if not isinstance(values, Mapping):
        return ()
    return tuple(Fact(visible(str(name)), visible(str(value))) for name, value in values.items())


def _limits(results: Results) -> tuple[str, ...]:
    cap = figures.count(results.max_new_tokens, "new token")
    cut = (
        f"Base and tuned answered each prompt once, greedily, with at most {cap}, and at most 32 more than twice the "
        "agent's own."
    )
    asked = sentences(results.replay) if results.replay else ()
    return (INTERVALS, RECORDED, cut, *map(visible, asked), *map(visible, results.notes))
