"""What a ladder of types says: `model/ladder.json`. Read without torch."""

import msgspec

from locum.types import Estimate


class Rung(msgspec.Struct, frozen=True):
    """One type, measured against full precision on the same rows."""

    quantization: str
    bytes: int
    loss: Estimate
    """Held-out loss less full precision's, in nats per token."""
    decisions_lost: int
    """Right in full precision and wrong here, less the other way round."""
    decisions: int
    """Held-out rows asked for a decision."""
    holds: bool


class Ladder(msgspec.Struct, frozen=True):
    """`model/ladder.json`."""

    chosen: str
    rungs: tuple[Rung, ...]
    """Those that were tried, in order."""
    loss_margin: float
    """Nats per token that the loss was allowed to rise by."""
    decision_margin: float
    """Share of decisions that might be lost."""
