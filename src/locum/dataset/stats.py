"""The numbers of a dataset: what was read, what became a row, and where the rest went."""

from typing import Literal

import msgspec

from locum.types import BadLine, Lines, Usage


class LineCounts(msgspec.Struct, frozen=True):
    """Where the lines of the input went: total = used + noise + unknown + bad."""

    total: int = 0
    used: int = 0
    noise: int = 0
    unknown: int = 0
    bad: int = 0

    @classmethod
    def of(cls, lines: Lines) -> "LineCounts":
        """The sums of a reading's account."""
        return cls(
            total=lines.total,
            used=lines.used,
            noise=sum(lines.noise.values()),
            unknown=sum(lines.unknown.values()),
            bad=len(lines.bad) + lines.bad_unlisted,
        )


class Calls(msgspec.Struct, frozen=True):
    """What the turns of one model took, those alone whose log counts it; a copy of a turn is no other turn."""

    calls: int = 0
    input: int = 0
    """Tokens, those that came from the provider's cache included."""
    output: int = 0
    cached: int = 0
    """Of the input."""
    priced: int = 0
    """Calls whose log states US dollars."""
    cost: float = 0.0
    """Theirs, together."""

    def plus(self, usage: Usage) -> "Calls":
        """With one call more."""
        return Calls(
            self.calls + 1,
            self.input + usage.input,
            self.output + usage.output,
            self.cached + usage.cached,
            self.priced + (usage.cost is not None),
            self.cost + (usage.cost or 0.0),
        )


class Stats(msgspec.Struct, frozen=True):
    """What `stats.json` holds."""

    files: int
    sessions: int
    lines: LineCounts
    noise: dict[str, int]
    """Kind of line that is known to say nothing about the conversation -> lines."""
    unknown: dict[str, int]
    """Kind of line that no reader knows -> lines."""
    bad: tuple[BadLine, ...]
    """Lines that are no valid record, by file name and number: the first 100 of each file."""
    turns: int
    """turns = rows + the sum of drops, always."""
    rows: int
    drops: dict[str, int]
    """Reason -> turns, the commonest first."""
    families: dict[str, int]
    """Family -> rows, the commonest first."""
    splits: dict[str, int]
    """Split -> rows."""
    redactions: dict[str, int]
    """Type -> how often a value of it was replaced in the sessions."""
    formats: dict[str, int]
    """Format -> files."""
    narration: int
    """Turns whose text beside a tool call was left out."""
    ordered_by: Literal["time", "appearance"]
    """What `forward` means in the split: appearance where no log has times."""
    untimed: int
    """Lineages without any time, which were put first."""
    sessions_by_split: dict[str, int]
    """Split -> sessions with at least one row in it."""
    without_turns: int
    """Sessions without a single turn of the agent."""
    shortened: int
    """Rows whose prompt was shortened to the budget."""
    tiers: dict[str, int]
    """`verified` and `recorded` -> rows."""
    models: dict[str, int]
    """"provider/model", as far as the log says -> rows."""
    context_chars: int
    """Budget of a prompt, in characters."""
    response_chars: int
    """Budget of a response, in characters."""
    left_aside: dict[str, int] = {}
    """Why a file under the sources was not read -> files."""
    refines: dict[str, str] = {}
    """Family of the user's own -> the structural family that it refines."""
    context: Literal["keep", "absorb"] = "keep"
    """Whether the prompts hold the standing documents, or training is to take them in."""
    documents: int = 0
    """Standing documents."""
    contrasts: int = 0
    """Turns that were taken back and are kept aside for evaluation."""
    bad_unlisted: int = 0
    """How many more of them there are; `lines` counts all."""
    leaks: int = 0
    """Held-out rows that a second look found to be nearly the same as a row of an earlier split."""
    allowed_terms: tuple[str, ...] = ()
    """Providers whose restrictive terms the user took note of, as far as rows fall under them."""
    scored: int = 0
    """Rows whose measured score stands in `scores.jsonl`."""
    scored_under: str | None = None
    """The base that they were scored under, as `--base` named it."""
    usage: dict[str, Calls] = {}
    """"provider/model" -> what its turns took, rows or not; empty where no log counts tokens."""
    notes: tuple[str, ...] = ()
    """What the user has to know before trusting the rest, one sentence each."""


def funnel(stats: Stats) -> list[tuple[str, int]]:
    """The way from sessions to rows, as (label, count): sessions, turns, every drop with its reason, rows."""
    drops = [(f"dropped: {reason}", count) for reason, count in stats.drops.items()]
    return [("sessions", stats.sessions), ("turns", stats.turns), *drops, ("rows", stats.rows)]
