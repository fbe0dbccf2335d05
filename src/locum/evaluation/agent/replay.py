"""The agent asked again on the held-out prompts, and its arm put into an evaluation that is there already.

Every agreement with a log measures the set-up too: where the agent, shown what the row shows, would not do again what
it did, no model can be asked to. So its own agreement is the ceiling, and prompts that say less than it had are counted
apart. Nothing else in Locum asks anybody anything.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from locum.dataset.store import read_rows, read_stats
from locum.errors import ProviderError
from locum.evaluation.agent.dialects import Reply
from locum.evaluation.agent.provider import Provider, RefusedError
from locum.evaluation.agent.replies import Replies
from locum.evaluation.rescore import evaluated, rescore
from locum.evaluation.results import Answer, Replay, Results, Sample, Starved
from locum.progress import Progress, silent
from locum.types import Row

CHARS_PER_TOKEN = 4
"""About what a token of English or JSON has: for what is told before anything is asked."""


def replay(run: Path, provider: Provider, tell: Callable[[str], None], progress: Progress = silent) -> Results:
    """Ask the agent again on every evaluated prompt whose response holds a decision, and compute the figures anew.

    What was answered before is taken from `Replies`; what is answered now is kept there at once, so that an error in
    the middle costs nothing twice.

    Args:
        run: the run folder, evaluated.
        provider: whom to ask.
        tell: told how much will be asked before the first request, and what it took after the last.
        progress: told how many are answered.

    Raises:
        RunError: nothing is evaluated there, or it has changed since.
        DatasetError: the dataset is missing or damaged.
        ProviderError: the provider does not answer, or refuses every prompt.
    """
    _, samples = evaluated(run)
    rows = {row.id: row for row in read_rows(run / "dataset", "test")}
    starved = starvation(run, [rows[sample.row] for sample in samples])
    seen = _seen_tools([*read_rows(run / "dataset", "train"), *rows.values()])
    asked = [sample for sample in samples if sample.agent.decision is not None]
    requests = {sample.row: provider.request(sample.prompt, sample.tools or _offered(sample, seen)) for sample in asked}
    replies, refused, sent = _ask(asked, requests, provider, tell, progress)
    again = {sample.row: _with_reply(sample, replies.get(sample.row), starved[sample.row]) for sample in samples}
    counts = Counter(reason for row in replies for reason in starved[row])
    note = Replay(
        provider=provider.name,
        model=provider.model,
        host=provider.host,
        asked=len(sent),
        kept=len(replies) - len(sent),
        prompt_tokens=sum(reply.prompt_tokens for reply in sent),
        answer_tokens=sum(reply.answer_tokens for reply in sent),
        refused=refused,
        cut_off=sum(reply.finish != "stop" for reply in replies.values()),
        starved=dict(counts),
    )
    return rescore(run, note, again)


def starvation(run: Path, rows: Sequence[Row]) -> dict[str, tuple[Starved, ...]]:
    """Row id -> why its prompt says less than the agent had; empty where it says all that the log holds.

    Args:
        run: the run folder, for whether its dataset left the standing documents out.
        rows: whose prompts.
    """
    absorbed = read_stats(run / "dataset").context == "absorb"
    found: dict[str, tuple[Starved, ...]] = {}
    for row in rows:
        reasons: list[Starved] = []
        if row.shortened:
            reasons.append("shortened")
        if absorbed and row.documents:
            reasons.append("absorbed")
        if row.response.tool_calls and not row.tools:
            reasons.append("tools_unknown")
        found[row.id] = tuple(reasons)
    return found


def _ask(
    samples: Sequence[Sample],
    requests: Mapping[str, dict[str, Any]],
    provider: Provider,
    tell: Callable[[str], None],
    progress: Progress,
) -> tuple[dict[str, Reply], int, list[Reply]]:
    """Replies by row, how many prompts were refused, and the replies that were asked for now."""
    kept = Replies(provider.base_url)
    found = {row: reply for row, request in requests.items() if (reply := kept.get(request)) is not None}
    todo = [sample for sample in samples if sample.row not in found]
    chars = sum(len(msgspec.json.encode(requests[sample.row])) for sample in todo)
    tell(
        f"asking the agent itself ({provider.model} at {provider.host}): {len(todo)} requests, about "
        f"{chars // CHARS_PER_TOKEN:,} tokens of prompts, at most {provider.max_tokens:,} of each answer; "
        f"{len(found)} replies are at hand"
    )
    sent: list[Reply] = []
    refusals: list[RefusedError] = []
    for done, sample in enumerate(todo):
        progress("ask the agent", done, len(todo))
        try:
            reply = provider.ask(requests[sample.row])
        except RefusedError as error:
            refusals.append(error)
            continue
        except ProviderError as error:
            raise ProviderError(f"{error}: {len(found)} of {len(samples)} replies are kept") from None
        kept.put(requests[sample.row], sample.session, reply)
        found[sample.row] = reply
        sent.append(reply)
    progress("ask the agent", len(todo), len(todo))
    if refusals and not found:
        raise ProviderError(f"not one of {len(samples)} prompts was taken: {refusals[0]}")
    tell(
        f"the agent answered {len(sent)} requests: {sum(reply.prompt_tokens for reply in sent):,} tokens of prompts, "
        f"{sum(reply.answer_tokens for reply in sent):,} of answers"
        + (f"; {len(refusals)} were refused, the first because {refusals[0]}" if refusals else "")
    )
    return found, len(refusals), sent


def _with_reply(sample: Sample, reply: Reply | None, starved: tuple[Starved, ...]) -> Sample:
    """The sample with the agent's new answer, which `rescore` judges; one that was cut off is none."""
    said = None
    if reply is not None and reply.finish == "stop":
        said = Answer(text=reply.text, tool_calls=reply.tool_calls)
    return msgspec.structs.replace(sample, replay=said, starved=starved)


def _seen_tools(rows: Sequence[Row]) -> dict[str, set[str]]:
    """Every tool that is called in the rows -> the arguments that it was given."""
    seen: dict[str, set[str]] = {}
    for row in rows:
        for message in row.messages:
            for call in message.tool_calls:
                seen.setdefault(call.name, set()).update(call.arguments)
    return seen


def _offered(sample: Sample, seen: Mapping[str, set[str]]) -> list[dict[str, Any]]:
    """Where the log does not show the tools: those that were seen in use, with the arguments that they were given.
    Without any the agent could not call one at all."""
    if sample.structure != "tool_decision":
        return []
    return [
        {
            "name": name,
            "parameters": {"type": "object", "properties": {argument: {} for argument in sorted(arguments)}},
        }
        for name, arguments in sorted(seen.items())
    ]
