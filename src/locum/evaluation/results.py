"""What an evaluation leaves behind: `evaluation/results.json` and `evaluation/samples.jsonl`.

Everything the gate and the report need is here, with the interval beside every figure; neither runs a model.
"""

from typing import Any, Literal

import msgspec

from locum.types import Estimate, Message, Tier, ToolCall, Undefined

Arms = dict[str, Estimate]
"""Arm (`agent`, `base`, `tuned`, `majority`, `knn`, `base_icl`) or comparison (`tuned-base`) -> estimate. `agent` is
the agent against itself: of being right, what it decided when it was asked again."""
Measures = dict[str, dict[str, Arms]]
"""Family -> measure -> arms."""
Stratum = Literal["routine", "novel"]
Starved = Literal["shortened", "absorbed", "tools_unknown"]
"""Why a prompt says less than the agent had: messages were left out or cut; standing documents were; the log does not
show the tools."""


class Sampled(msgspec.Struct, frozen=True):
    """How many held-out rows a measurement used, out of how many, and the cap that chose them."""

    rows: int
    sessions: int
    of_rows: int
    of_sessions: int
    cap: int


class Gain(msgspec.Struct, frozen=True):
    """What training gained on some tokens, in nats a token; total = type + instance."""

    tokens: int
    total: Estimate
    type: Estimate
    """Under other rows' prompts: manner."""
    instance: Estimate
    """What the row's own prompt adds: judgement."""
    type_none: Estimate | None = None
    """A check: type under a prompt that says nothing."""


class Gains(msgspec.Struct, frozen=True, kw_only=True):
    """Type and instance, by class of tokens and by family."""

    rows: int
    """Rows that have their donors; the figures are theirs."""
    too_few: int
    """Scored rows for whose family too few rows of other sessions can lend a prompt."""
    donors: int
    headline: Gain | None
    """Without the classes of what is copied from the prompt, on which any model that can copy has an instance gain."""
    all: Gain
    classes: dict[str, Gain]
    families: dict[str, Gain]
    """Without copied classes, as the headline."""


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """Choosing at the decisions of a family, among the options open there."""

    options: float
    """Labels open at a decision, on average."""
    verified: int
    """Decisions whose outcome the log verifies; the others are as recorded."""
    skill: Arms
    """`base`, `tuned`: 1 is perfect, 0 what the family's base rate gives."""
    right: Arms
    """Share of decisions at which the agent's was the likeliest option; `prior` always takes the commonest."""
    format: Arms
    """Nats: that one of the options comes."""
    choice: Arms
    """Nats: that it is this one."""


class ContrastSet(msgspec.Struct, frozen=True, kw_only=True):
    """Questions of one kind (`questions.KINDS`)."""

    right: Arms
    """Share answered right: `base`, `tuned`, `overlap`, and tuned against both."""
    option_only: Estimate | None
    """Share that the answers alone give away."""
    donor: Estimate | None
    """Share that the tuned model answers under another row's prompt."""
    length_gap: float
    faults: tuple[str, ...] = ()
    """Why the set does not show what it is meant to; empty where no check fails."""


class Replay(msgspec.Struct, frozen=True, kw_only=True):
    """The agent, asked again on the held-out prompts (`locum evaluate --agent`)."""

    provider: str
    model: str
    host: str
    asked: int
    """Requests that the last such command sent."""
    kept: int
    """Replies that were at hand from before."""
    prompt_tokens: int
    """Of the requests sent, as the provider counts them."""
    answer_tokens: int
    refused: int
    """Prompts that the provider does not take."""
    cut_off: int
    """Answers that a cap on tokens or a filter ended: they say nothing about the agent, and are not counted."""
    starved: dict[Starved, int] = {}
    """Why -> answered prompts that say less than the agent had; one may be listed twice."""
    agreement: dict[str, dict[Literal["whole", "starved"], Estimate]] = {}
    """Family -> share of decisions in which it agrees with what it did, under prompts that say all and those that do
    not."""


class Reliability(msgspec.Struct, frozen=True, kw_only=True):
    """The tuned model's decisions drawn several times (`locum evaluate --repeat`)."""

    draws: int
    temperature: float
    families: Measures
    """Family -> `pass^1`, ... (right in so many draws, each of them; Yao et al. 2024, arXiv 2406.12045) and `agreement`
    (two draws decide the same) -> `tuned`."""


class Results(msgspec.Struct, frozen=True, kw_only=True):
    """`evaluation/results.json`."""

    schema: Literal[1] = 1
    """Of this file; another one is not read."""
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
    at_once: int = 1
    """Prompts that were answered at once; above 1 they are others, and may be others the next time."""
    loss: Arms = {}
    """Held-out loss of the agent's responses in nats per token: `base`, `tuned` and `base-tuned` (the drop)."""
    loss_by_family: dict[str, Arms] = {}
    resemblance: dict[str, Arms] = {}
    """Sounding right. `two_sample` (1: a classifier cannot tell it from the agent), `style` (function words and
    punctuation), `rhythm`, `vocabulary` (the agent's own words in the right places), each 0 to 1 with `agent` against
    itself; `length` (words per answer)."""
    competence: Measures = {}
    """Being right. Measures: `right_tool`, `argument_keys`, `argument_values`, `exact_call`; `verdict` and
    `verdict_balanced` (mean over verdicts of the share right); `stance`. Each a share."""
    signatures: dict[str, Arms] = {}
    """Ways of going wrong, by name (`going_wrong.figures`); `tuned-agent` is the excess."""
    recovery: Arms = {}
    """How far training carried the base towards the agent, (tuned - base) / (agent - base): of each measure of
    resemblance, of `resemblance` (their mean), of `competence`; `gap` is the first less the second."""
    two_sample: dict[str, dict[str, float]] = {}
    """`p_value` (of answers as far apart, were they the agent's) and `length_only` (AUC of the length alone) -> arm."""
    rhythm: dict[str, dict[str, float]] = {}
    """Feature -> voice -> distance from the agent; the agent's own is its distance from itself."""
    verified: Measures = {}
    """`competence` over the rows alone whose recorded response an outcome verifies; the gate judges by these."""
    strata: dict[Stratum, Measures] = {}
    """`competence` over the rows that are like a training row (`routine`), and over the others."""
    tiers: dict[str, dict[Tier, int]] = {}
    """Family -> how many of its answered rows that hold a decision are of which tier."""
    lookups: Arms = {}
    """Families in which the tuned model is not shown to be right more often than a copy of the nearest training row's
    decision, with the difference: there a lookup is the thing to ship."""
    undefined: dict[str, Undefined] = {}
    """Figures that there are not, by their path (`competence/code_review/verdict_balanced/tuned`), and why."""
    digests: dict[str, str] = {}
    """SHA-256 of what the figures were computed from: rows, samples, losses, probes, and Locum's own code."""
    gains: Gains | None = None
    """Type and instance; None where too few rows could lend their prompts."""
    choice: dict[str, Choice] = {}
    """Family -> choosing at its decisions."""
    contrasts: dict[str, ContrastSet] = {}
    """Kind of question -> how often it is answered right."""
    replay: Replay | None = None
    """None where the agent was not asked again."""
    reliability: Reliability | None = None
    """None where decisions were not drawn more than once."""
    token_forwards: dict[str, int] = {}
    """Arm -> tokens that scoring computed, shared beginnings once a pack."""
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
    invented: int = 0
    """How many of these the training rows do not hold either."""
    transplanted: int = 0
    """How many of these the training rows hold, and the agent's response to this prompt does not."""
    verbatim: int = 0
    """Tokens (words and punctuation marks) of the longest run that stands in a training response."""
    coverage: float = 0.0
    """Share of 8-grams that stand in a training response."""
    leaked: tuple[str, ...] = ()
    """Placeholders of the redacted values that the answer held; they stand in the text in the values' place."""
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
    others: dict[str, Answer] = {}
    """Further arms: `knn` (the nearest training row's response), `base_icl` (the base with the nearest rows in its
    prompt)."""
    draws: tuple[Answer, ...] = ()
    """What the tuned model said when it was drawn several times."""
    replay: Answer | None = None
    """What the agent said when it was asked again."""
    starved: tuple[Starved, ...] = ()
    """Why the prompt says less than the agent had; known where it was asked again."""
    prompt: tuple[Message, ...] = ()
    """All messages before the response."""
    tools: tuple[dict[str, Any], ...] = ()
    majority: str | None = None
    """The family's commonest decision in the training rows."""
    nearest: str | None = None
    """The nearest training row's id."""
    similarity: float = 0.0
    """How like that row's prompt this one is, 0 to 1."""
    tools_known: bool = False
    refines: str | None = None
    """The structural family, where one of the user's rules gave `family`."""
    tier: Tier = "recorded"

    def answer(self, arm: str) -> Answer:
        """What an arm said: `agent`, `base`, `tuned`, or one of `others`.

        Raises:
            KeyError: there is no such arm.
        """
        own = {"agent": self.agent, "base": self.base, "tuned": self.tuned}
        return own[arm] if arm in own else self.others[arm]

    @property
    def structure(self) -> str:
        """The family that the row has by its structure, whatever the user's rules call it."""
        return self.refines or self.family
