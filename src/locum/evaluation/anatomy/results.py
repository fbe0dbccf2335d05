"""What an anatomy says: `RUN/anatomy/anatomy.json`."""

from typing import Literal

import msgspec

from locum.types import Estimate

Label = Literal["valley", "slope", "plateau", "hill", "undetermined"]
Reading = Literal["learned", "needs rows", "resists", "unknown"]


class Response(msgspec.Struct, frozen=True, kw_only=True):
    """How one class responded to training. Losses in nats per token, intervals of 90 %."""

    name: str
    label: Label
    why: str
    tokens: int
    sessions: int
    first: float
    """Loss of the base; of a choice that of the family's base rate, where it is lower."""
    last: float
    losses: tuple[float, ...]
    """At every checkpoint, each session counted alike."""
    drop: Estimate | None
    """First less last; None with one session."""
    half_step: int | None
    """The first checkpoint with half of the drop; None where nothing fell."""
    terminal: float | None
    """Share of the drop that came in the last half of the steps; None where nothing fell."""
    rise: float
    """Last loss less the lowest."""
    memory: Estimate | None = None
    """How much further the training rows fell than the held-out ones."""


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One class, family or choice."""

    response: Response
    share: float | None
    """Of all nats that the held-out rows fell by, how much fell here; None where they did not fall."""
    type: Estimate | None = None
    """What fell under any context, in nats a token (`locum.evaluation.gains`); None where it was not measured."""
    instance: Estimate | None = None
    """What the row's own context added."""
    strengths: tuple[float, ...] = ()
    """Mean loss at every strength of `Anatomy.strengths`, in nats a token."""
    best_strength: float | None = None
    quantized: Estimate | None = None
    """Nats a token that the model file loses more than the adapter in full precision, over sessions; None where nothing
    is exported, and with one session."""
    reading: Reading = "unknown"
    """Both axes together: steps (the label) and rows (a scaling ladder)."""


class Shifted(msgspec.Struct, frozen=True):
    """Tokens that the tuned model wrote, by what the base would have said in their place."""

    name: str
    """Of the class."""
    tokens: int
    unshifted: float
    """Share that the base would have said too."""
    marginal: float
    """Share that the base had second or third."""
    shifted: float
    """Share that the base had further down."""
    top: tuple[tuple[str, int], ...]
    """The commonest shifted tokens, with their counts."""


class Exhibit(msgspec.Struct, frozen=True):
    """A row that sounds right and is not the better for its context: recognisable and wrong in a specific way."""

    row: str
    session: str
    family: str
    type: float
    """Nats a token that fell under any context."""
    instance: float
    """Nats a token that the row's own context added."""
    asked: str
    agent: str
    tuned: str


class Anatomy(msgspec.Struct, frozen=True, kw_only=True):
    """Valleys and plateaus of one run, or of its recipe where it was cross-fitted."""

    steps: tuple[int, ...]
    rows: int
    sessions: int
    train_rows: int
    """Training rows looked at beside the held-out ones."""
    folds: int = 0
    """Over which it was cross-fitted; 0: the run's own checkpoints on its own test rows."""
    classes: tuple[Part, ...]
    """By tokens, the whole (`all`) first."""
    families: tuple[Part, ...]
    choices: tuple[Part, ...]
    """Decisions alone: which of the open options it is."""
    strengths: tuple[float, ...]
    """Of the adapter: 1 is as trained."""
    strength: float = 1.0
    """At which it was written, and at which the model file is compared."""
    model_file: str = ""
    """What is compared with full precision; empty where nothing is exported."""
    shift: tuple[Shifted, ...]
    exhibits: tuple[Exhibit, ...]
    seconds: float
    notes: tuple[str, ...]
