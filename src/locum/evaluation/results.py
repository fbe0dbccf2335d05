"""What an evaluation leaves behind: `evaluation/results.json` and `evaluation/samples.jsonl`.

Everything the gate and the report need is here, with the interval beside every figure; neither runs a model.
"""

import msgspec

from locum.types import Estimate, ToolCall

Arms = dict[str, Estimate]
"""Arm (`agent`, `base`, `tuned`, `majority`) or comparison (`tuned-base`, `tuned-agent`) -> estimate."""


class Sampled(msgspec.Struct, frozen=True):
    """How many held-out rows a measurement used, out of how many, and the cap that chose them."""

    rows: int
    sessions: int
    of_rows: int
    of_sessions: int
    cap: int


class Results(msgspec.Struct, frozen=True, kw_only=True):
    """`evaluation/results.json`."""

    schema: int = 1
    name: str
    base: str
    model_file: str
    model_sha256: str
    engine: str
    scored: Sampled
    """Rows whose held-out loss was computed."""
    generated: Sampled
    """Rows that base and tuned answered greedily; stratified by family and session."""
    max_new_tokens: int
    loss: Arms
    """Held-out loss of the agent's responses in nats per token: `base`, `tuned` and `base-tuned` (the drop)."""
    loss_by_family: dict[str, Arms]
    resemblance: dict[str, Arms]
    """Sounding right. Measure -> arms: `style` (cosine similarity of function words and punctuation to the agent's
    own, 0 to 1) and `length` (words per answer)."""
    competence: dict[str, dict[str, Arms]]
    """Being right. Family -> measure (`right_tool`, `exact_call`, `verdict`, `stance`) -> arms, each a share."""
    signatures: dict[str, Arms]
    """Ways of going wrong, by name (`repetition`, `loops`, `made_up`), as a share; `tuned-agent` is the excess."""
    seconds: dict[str, float] = {}
    notes: tuple[str, ...] = ()


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one voice said to one prompt."""

    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    finish: str = "stop"
    """`stop`, or `length` where the cap on new tokens ended it."""
    made_up: tuple[tuple[int, int, str], ...] = ()
    """(start, end, kind) of details in `text` (for a tool call: in its JSON) that the prompt does not hold."""
    repetition: float = 0.0
    loop: bool = False
    decision: str | None = None
    """What it decides, as a label (`decisions.decision_label`)."""
    right: bool | None = None
    """Same decision as the agent's (for a tool call: the exact call). None where the agent's response holds none."""
    loss: float | None = None
    """For the agent's response under this model: mean nats per token. Only on `base` and `tuned`."""


class Sample(msgspec.Struct, frozen=True):
    """One held-out prompt with the three voices: a line of `evaluation/samples.jsonl`."""

    row: str
    session: str
    lineage: str
    family: str
    asked: str
    """The end of the prompt: the last human or tool message, as text."""
    agent: Answer
    base: Answer
    tuned: Answer
    majority: str | None = None
    """The family's commonest decision in the training rows."""
    tools_known: bool = False
    refines: str | None = None
    """The structural family, where one of the user's rules gave `family`."""
    tier: str = "recorded"

    @property
    def structure(self) -> str:
        """The family that the row has by its structure, whatever the user's rules call it."""
        return self.refines or self.family
