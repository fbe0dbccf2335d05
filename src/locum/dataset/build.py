"""Sessions to rows and drops: redact, walk the turns, judge each, shorten its prompt, split."""

import secrets
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from locum.dataset.context import Window
from locum.dataset.families import family_of
from locum.dataset.legibility import judge
from locum.dataset.redaction import Redactions, Redactor
from locum.dataset.split import SPLITS, assign, in_order
from locum.dataset.stats import LineCounts, Stats
from locum.dataset.turns import Step, Turn, steps
from locum.errors import DatasetError
from locum.files import digest
from locum.progress import Progress, silent
from locum.types import ENDORSED, BadLine, Drop, Lines, Message, Row, Session, Split, Tier

_EXCERPT = 200


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What a user may choose about a dataset."""

    context_chars: int = 6000
    """Budget of a prompt, in characters; at least 1000."""
    response_chars: int = 3000
    """Budget of a response, in characters."""
    salt: str = msgspec.field(default_factory=lambda: secrets.token_hex(16))
    """Goes into the hashes of what was redacted; nothing else depends on it."""


class Dataset(msgspec.Struct, frozen=True):
    """Rows by split, drops, and the numbers."""

    rows: dict[Split, tuple[Row, ...]]
    drops: tuple[Drop, ...]
    stats: Stats
    redactions: Redactions


def build_dataset(
    sessions: Sequence[Session],
    lines: Lines,
    files: int,
    formats: Mapping[str, int],
    *,
    options: Options | None = None,
    progress: Progress = silent,
) -> Dataset:
    """Turn sessions into a dataset. A function of its arguments alone, in time linear in the sessions'
    length.

    Args:
        sessions: what was read.
        lines: where the lines of the input went.
        files: number of files read.
        formats: format -> files.
        options: budgets and salt.
        progress: told after every session.

    Raises:
        DatasetError: a budget is too small to build a prompt in, or not one turn became a row.
    """
    options = options or Options()
    if options.context_chars < 1000 or options.response_chars < 1:
        raise DatasetError(
            f"budgets of {options.context_chars} characters a prompt and {options.response_chars} a response "
            "are too small: give at least 1000 and 1"
        )
    ordered, ordered_by, untimed = in_order(sessions)
    builder = Builder(options)
    for done, session in enumerate(ordered, start=1):
        builder.add(session)
        progress("building rows", done, len(ordered), f"{len(builder.rows)} rows")
    if not builder.rows:
        raise DatasetError(_nothing(len(sessions), builder))
    weights = Counter(row.lineage for row in builder.rows)
    split_of = assign(weights)
    rows: dict[Split, tuple[Row, ...]] = {
        split: tuple(row for row in builder.rows if split_of[row.lineage] == split) for split in SPLITS
    }
    stats = Stats(
        files=files,
        sessions=len(sessions),
        lines=LineCounts.of(lines),
        noise=dict(lines.noise),
        unknown=dict(lines.unknown),
        # A log's folder names its owner; the file's own name is enough to find the line.
        bad=tuple(BadLine(Path(bad.file).name, bad.line, bad.reason) for bad in lines.bad),
        turns=builder.turns,
        rows=len(builder.rows),
        drops=_ranked(drop.reason for drop in builder.drops),
        families=_ranked(row.family for row in builder.rows),
        splits={split: len(rows[split]) for split in SPLITS},
        redactions=_ranked(builder.redactor.counts.elements()),
        formats=dict(formats),
        narration=builder.narration,
        ordered_by=ordered_by,
        untimed=untimed,
        sessions_by_split={split: len({row.session for row in rows[split]}) for split in SPLITS},
        skipped=builder.skipped,
        shortened=sum(row.shortened > 0 for row in builder.rows),
        tiers=_ranked(row.tier for row in builder.rows),
        models=_ranked(f"{row.provider or 'unknown'}/{row.model or 'unknown'}" for row in builder.rows),
        notes=_notes(rows, ordered_by, untimed),
    )
    return Dataset(rows, tuple(builder.drops), stats, builder.redactor.redactions)


class Builder:
    """Rows and drops of one session after the other."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.redactor = Redactor(options.salt)
        self.rows: list[Row] = []
        self.drops: list[Drop] = []
        self.turns = self.narration = self.skipped = 0
        self._seen: set[tuple[str, str]] = set()
        self._contents: set[str] = set()

    def add(self, session: Session) -> None:
        """Add every turn of a session, as a row or as a drop."""
        session = self.redactor.session(session)
        tools = digest(session.tools)
        window = Window(self.options.context_chars, self.options.response_chars)
        before = self.turns
        for part in steps(session):
            if isinstance(part, Step):
                window.push(part)
                continue
            self.turns += 1
            self.narration += part.narrates
            made = self._row(session, part, window, tools)
            if isinstance(made, Row):
                self.rows.append(made)
            else:
                excerpt = _excerpt(part.message)
                self.drops.append(Drop(session.id, part.index, made, excerpt, session.source))
        self.skipped += self.turns == before

    def _row(self, session: Session, turn: Turn, window: Window, tools: str) -> Row | str:
        """The turn's row, or the reason why it has none."""
        copied = (session.lineage, turn.message.id or "") in self._seen
        reason = judge(session, turn, copied=copied, response_chars=self.options.response_chars)
        # A copy that goes on longer may still hold the result that this log was cut before.
        if turn.message.id is not None and reason != "unanswered_call":
            self._seen.add((session.lineage, turn.message.id))
        if reason is not None:
            return reason
        shortened = window.prompt()
        if shortened is None:
            return "context_too_long"
        prompt, left_out = shortened
        messages = (*prompt, turn.response)
        content = digest([_normalised(message) for message in messages])
        if content in self._contents:
            return "duplicate"
        self._contents.add(content)
        family = family_of(session, prompt, turn)
        return Row(
            id=digest([family, content, tools]),
            session=session.id,
            lineage=session.lineage,
            turn=turn.index,
            family=family,
            messages=messages,
            tools=session.tools,
            time=turn.message.time,
            format=session.format,
            source=session.source,
            provider=session.provider,
            model=session.model,
            tier=_tier(session, turn),
            shortened=left_out,
        )


def _tier(session: Session, turn: Turn) -> Tier:
    """`verified` where the session's ground truth says so, or where calls succeeded and nothing speaks
    against."""
    if session.reward is not None:
        return "verified"  # a lower reward than 1 has dropped the whole session
    signals = set(turn.message.signals)
    if signals - ENDORSED:
        return "recorded"
    calls = turn.response.tool_calls
    return "verified" if signals or (calls and len(turn.results) == len(calls)) else "recorded"


def _normalised(message: Message) -> list[object]:
    """What two equal messages have in common whatever their spacing and the ids of their calls."""
    calls = [[call.name, call.arguments] for call in message.tool_calls]
    return [message.role, " ".join(message.content.split()), calls]


def _excerpt(message: Message) -> str:
    """The beginning of a turn, its calls by name and arguments."""
    calls = (f"{call.name}({msgspec.json.encode(call.arguments).decode()})" for call in message.tool_calls)
    return " ".join(" ".join((message.content[: 2 * _EXCERPT], *calls)).split())[:_EXCERPT]


def _ranked(values: Iterator[str] | Sequence[str]) -> dict[str, int]:
    """Counts, the commonest first; of equals in the order of their names."""
    return dict(sorted(Counter(values).items(), key=lambda item: (-item[1], item[0])))


def _notes(rows: Mapping[Split, Sequence[Row]], ordered_by: str, untimed: int) -> tuple[str, ...]:
    notes = []
    if not rows["test"]:
        notes.append("All rows come from one conversation: there is nothing to test on.")
    elif not rows["valid"]:
        notes.append("All rows come from two conversations: there is nothing to validate on while training.")
    if ordered_by == "appearance":
        notes.append("No log has times: the split goes by order of appearance, not forward in time.")
    elif untimed:
        notes.append(f"{untimed} of the conversations have no times; they were put before all others.")
    return tuple(notes)


def _nothing(sessions: int, builder: Builder) -> str:
    if not builder.turns:
        return f"no row: {sessions} sessions hold no message of the agent; point at logs in which it speaks"
    top = list(_ranked(drop.reason for drop in builder.drops).items())[:3]
    reasons = ", ".join(f"{reason} {count}" for reason, count in top)
    dropped = f"all {builder.turns} turns of {sessions} sessions were dropped ({reasons})"
    return f"no row: {dropped}; add other sessions"
