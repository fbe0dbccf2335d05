"""The handful of frozen types that the rooms share. One word per thing: see docs/architecture.md.

Wire formats are converted to these once, in the readers (`locum.sessions`), and from these once, where rows are
written (`locum.dataset.store`). Times are ISO 8601 strings in UTC, or None where the log has none.
"""

from typing import Any, Literal

import msgspec

Role = Literal["system", "user", "assistant", "tool"]
Origin = Literal["system", "human", "agent", "harness", "tool"]
Signal = Literal[
    "synthetic",  # written by the client under the agent's role ("No response requested.")
    "api_error",  # the provider's error, shown as if the agent had said it
    "interrupted",  # the human or a crash stopped this message
    "truncated",  # stopped at the token limit
    "rejected",  # a human refused this tool call
    "tool_error",  # this message's tool call failed (error flag, non-zero exit)
    "rewound",  # the human went back to before this message
    "corrected",  # the next human message corrects this one
    "unreadable",  # what it answers or says is not in the log as text (an image, a file kept elsewhere)
    "kept",  # what this message wrote was still there when the work was committed
    "merged",  # the change that this message belongs to was merged
    "resolved",  # the thread that this message opened was resolved, or its suggestion applied
    "praised",  # a person marked it as good (a thumb up, a positive score)
]
ENDORSED: frozenset[Signal] = frozenset({"kept", "merged", "resolved", "praised"})
"""The signals that speak for a message; every other one speaks against it."""
Split = Literal["train", "valid", "test"]
Tier = Literal["verified", "recorded"]


class ToolCall(msgspec.Struct, frozen=True, omit_defaults=True):
    """One call of a tool; `arguments` is always an object, whatever the log's own encoding was."""

    id: str
    name: str
    arguments: dict[str, Any] = {}


class Usage(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a call to a model took, by the log's own count."""

    input: int
    """Tokens of the prompt, those from the provider's cache and those written to it included."""
    output: int
    """Tokens of the answer, what was thought before it included."""
    cached: int = 0
    """Of the input, those from the cache."""
    cost: float | None = None
    """US dollars, where the log itself states them."""
    model: str | None = None
    """Which it was, where the log says so: a session may go on with another."""


class Message(msgspec.Struct, frozen=True, omit_defaults=True):
    """One message of a conversation, all its log lines merged."""

    role: Role
    content: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    """Only on assistant messages."""
    tool_call_id: str | None = None
    """Only on tool messages: the call this is the result of."""
    tool_name: str | None = None
    """Only on tool messages."""
    origin: Origin = "harness"
    """Who really wrote it: under the user role stand humans, the harness and tools alike."""
    id: str | None = None
    """The log's own message id, the same in every copy of the session."""
    time: str | None = None
    signals: tuple[Signal, ...] = ()
    usage: Usage | None = None
    """Only on the agent's messages, where the log counts tokens."""


class Session(msgspec.Struct, frozen=True, omit_defaults=True):
    """One conversation of the agent, as its log holds it."""

    id: str
    lineage: str
    """Copies, forks, resumed parts and sub-agents of one conversation, and repeated trials of one task, share it:
    the unit that is never split between train and test, and the cluster of every interval."""
    format: str
    source: str
    """The log file's path, as text: it is shown, never followed."""
    messages: tuple[Message, ...]
    tools: tuple[dict[str, Any], ...] = ()
    """Tool schemas in OpenAI's {"type": "function", "function": {...}} shape, where the log holds them."""
    started: str | None = None
    provider: str | None = None
    model: str | None = None
    reward: float | None = None
    """Ground truth of the whole session, 0 to 1, where the log holds one."""


class Row(msgspec.Struct, frozen=True, omit_defaults=True):
    """One training or evaluation example: the messages before, and the agent's response as the last message."""

    id: str
    """Digest of family, prompt, response and tools: equal rows have equal ids."""
    session: str
    lineage: str
    turn: int
    """Index of the response among the agent's messages of the session, from 0."""
    family: str
    messages: tuple[Message, ...]
    tools: tuple[dict[str, Any], ...] = ()
    time: str | None = None
    format: str = ""
    source: str = ""
    provider: str | None = None
    model: str | None = None
    tier: Tier = "recorded"
    """`verified` where the log shows that the response was right: its tool call succeeded and nobody objected,
    or the session's own ground truth says so."""
    shortened: int = 0
    """Messages left out of, or cut within, the prompt to meet the budget."""
    refines: str | None = None
    """The family that the row has by its structure, where a rule of the user's gave it another."""
    documents: tuple[str, ...] = ()
    """Digests of the standing documents in force, whether or not the prompt holds them."""

    @property
    def structure(self) -> str:
        """The family that the row has by its structure, whatever the user's rules call it."""
        return self.refines or self.family

    @property
    def prompt(self) -> tuple[Message, ...]:
        """Everything before the response."""
        return self.messages[:-1]

    @property
    def response(self) -> Message:
        """The agent's message that this row is about."""
        return self.messages[-1]


class Drop(msgspec.Struct, frozen=True, omit_defaults=True):
    """A turn that did not become a row."""

    session: str
    turn: int
    reason: str
    """One of `locum.dataset.legibility.REASONS`."""
    excerpt: str = ""
    """The beginning of the turn, redacted, for a person to look at."""
    source: str = ""
    lineage: str = ""
    """The session's; by it a whole conversation can be forgotten, copies that left no row included."""


class BadLine(msgspec.Struct, frozen=True):
    """A line that is no valid record of its format."""

    file: str
    line: int
    reason: str


class Lines(msgspec.Struct, frozen=True):
    """Where every line (for whole-file JSON: every record) of the input went: total = used + noise + unknown + bad,
    those listed and those not."""

    total: int = 0
    used: int = 0
    noise: dict[str, int] = {}
    unknown: dict[str, int] = {}
    bad: tuple[BadLine, ...] = ()
    """The first of each file."""
    bad_unlisted: int = 0
    """How many more there are."""


class Estimate(msgspec.Struct, frozen=True):
    """A mean with its interval; the interval's unit is the session lineage, not the row."""

    estimate: float
    low: float
    """Lower end of the two-sided 95 % interval; equals the estimate's whole range where one session alone speaks."""
    high: float
    rows: int
    sessions: int
    verified: int | None = None
    """Of the rows, those whose recorded response an outcome verifies; None where being right is not the question."""
    least: float | None = None
    """The least true difference from a fixed value that rows and sessions like these would have shown with
    probability 0.8; None where one session alone speaks."""


class Undefined(msgspec.Struct, frozen=True):
    """A figure that there is not: a result like any other, where a number would say more than is known."""

    kind: Literal["undefined", "too_few"]
    """`undefined`: no number of rows would give it (a ratio to nothing); `too_few`: more rows would."""
    why: str
    """What was seen and what it takes, as a phrase."""
