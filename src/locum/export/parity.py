"""The parity certificate: the engine that serves renders, tokenizes and predicts as training did.

Conversations of many shapes (with and without system text, tools, tool results, several turns, odd characters) and
the dataset's own held-out prompts go through both sides. The first difference fails the export and is shown.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from locum.errors import ExportError
from locum.export.read_back import WeightAgreement
from locum.training.chat_template import Renderer
from locum.types import Message, Row, ToolCall


class ServingEngine(Protocol):
    """The side that serves: what the certificate asks of it."""

    name: str

    def render(self, messages: Sequence[Message], tools: Sequence[dict[str, Any]] = ()) -> str:
        """The prompt text of a conversation."""
        ...

    def tokenize(self, text: str) -> list[int]:
        """Token ids of rendered text."""
        ...

    def next_tokens(self, prompt: Sequence[int], count: int) -> Sequence["NextToken"]:
        """The likeliest next tokens."""
        ...


class NextToken(Protocol):
    """A candidate next token."""

    @property
    def token(self) -> int:
        """Its id."""
        ...

    @property
    def logprob(self) -> float:
        """Its natural log-probability."""
        ...


class Predictor(Protocol):
    """The training side: the fused model in torch, in full precision."""

    def next_log_probabilities(self, prompt: Sequence[int]) -> npt.NDArray[np.float32]:
        """Log-probabilities of the whole vocabulary after a prompt."""
        ...


class LogprobAgreement(msgspec.Struct, frozen=True):
    """How far the engine's next-token log-probabilities are from the fused model's in torch, in nats."""

    prompts: int
    tokens: int
    mean_abs_difference: float
    max_abs_difference: float
    bound: float
    """The export fails when the mean difference exceeds this."""


class Parity(msgspec.Struct, frozen=True):
    """`model/parity.json`."""

    engine: str
    checked: int
    identical: int
    conversations: tuple[str, ...]
    """What was checked, by name."""
    logprobs: LogprobAgreement | None = None
    weights: WeightAgreement | None = None


MEAN_BOUNDS = {
    "F32": 0.02, "F16": 0.02, "BF16": 0.05, "Q8_0": 0.15, "Q6_K": 0.3, "Q5_K_M": 0.5, "Q5_1": 0.5, "Q5_0": 0.8,
    "Q4_K_M": 1.0, "Q4_1": 1.0, "Q4_0": 1.0,
}  # fmt: skip
"""Nats, by the file's type. SmolLM2-135M measures 0.001, 0.004, 0.014 and 0.070; of the last, 0.065 come from
llama.cpp's rounding of activations to 8 bits. Rotary rows in the wrong order cost 0.15 to 9 nats there, a block's
output at twice its size 0.2 to 3. What is smaller than Q8_0's own noise shows in the weights (`export.read_back`)."""


def conversations(rows: Sequence[Row], limit: int) -> list[tuple[str, tuple[Message, ...], tuple[dict[str, Any], ...]]]:
    """What the certificate is made on: (name, messages, tools) of made-up shapes and of up to `limit` rows' prompts."""
    ask = Message(role="user", content="Which order is late?")
    call = Message(
        role="assistant",
        tool_calls=(
            ToolCall(id="call_1", name="lookup", arguments={"id": "W-17", "n": 2, "ok": True, "note": 'é "<&>"'}),
        ),
    )
    result = Message(role="tool", content='{"late": true, "days": 1.50}', tool_call_id="call_1", tool_name="lookup")
    answer = Message(role="assistant", content="W-17 is.\nTwo days.")
    system = Message(role="system", content="You look after orders.\nBe brief.")
    odd = Message(role="user", content="  naïve 🦉 \t12345  'quoted' \\n {{x}} <b> 中文\r\n\n\nend ")
    tool = {
        "type": "function",
        "function": {
            "name": "lookup",
            "description": "Find an order — by its id.",
            "parameters": {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]},
        },
    }
    shapes: list[tuple[str, tuple[Message, ...], tuple[dict[str, Any], ...]]] = [
        ("one question", (ask,), ()),
        ("system text", (system, ask), ()),
        ("several turns", (ask, answer, odd), ()),
        ("odd characters", (odd,), ()),
        ("tools", (ask,), (tool,)),
        ("tools and system text", (system, ask), (tool,)),
        ("a tool call and its result", (ask, call, result), ()),
        ("a tool call and its result, with tools", (system, ask, call, result, answer, odd), (tool,)),
    ]
    step = max(1, len(rows) // limit) if limit else 1
    chosen = rows[::step][:limit]
    return shapes + [(f"held-out row {row.id[:12]}", row.prompt, row.tools) for row in chosen if row.prompt]


def certify(
    renderer: Renderer,
    engine: ServingEngine,
    rows: Sequence[Row],
    predictor: Predictor | None = None,
    *,
    quantization: str = "Q8_0",
    weights: WeightAgreement | None = None,
    limit: int = 24,
    logprob_prompts: int = 8,
) -> Parity:
    """Hold the training renderer against the engine that will serve.

    Args:
        renderer: the training side's text and tokens.
        engine: the serving side, with the exported file loaded.
        rows: held-out rows whose prompts are checked beside the made-up shapes.
        predictor: the fused model in torch; None leaves the log-probabilities unchecked.
        quantization: the type of the file's matrices, which sets the bound on the log-probabilities.
        weights: what `export.read_back.check_weights` found, for the record.
        limit: how many rows' prompts are checked.
        logprob_prompts: after how many of the prompts the next token's probabilities are compared.

    Raises:
        ExportError: text or tokens differ (with the first difference in context), or the log-probabilities differ by
            more than `MEAN_BOUNDS` allows on average.
    """
    checked = conversations(rows, limit)
    prompts: list[list[int]] = []
    for name, messages, tools in checked:
        ours, theirs = renderer.prompt_text(messages, tools), engine.render(messages, tools)
        if ours != theirs:
            raise ExportError(
                f"{engine.name} renders {name!r} differently from training: {first_difference(ours, theirs)}"
            )
        tokens, served = renderer.tokens(ours), engine.tokenize(ours)
        if tokens != served:
            at = next(
                (i for i, (a, b) in enumerate(zip(tokens, served, strict=False)) if a != b),
                min(len(tokens), len(served)),
            )
            shown = renderer.tokenizer.decode(tokens[max(0, at - 4) : at + 4])
            raise ExportError(
                f"{engine.name} tokenizes {name!r} differently from training, first at token {at}, near {shown!r}: "
                f"trained on {tokens[at : at + 4]}, served as {served[at : at + 4]}"
            )
        prompts.append(tokens)
    agreement = None
    if predictor is not None:
        short = sorted(prompts, key=len)[:logprob_prompts]
        agreement = compare_log_probabilities(engine, predictor, short, MEAN_BOUNDS[quantization])
        # Not-a-number must fail too.
        if not agreement.mean_abs_difference <= agreement.bound:
            raise ExportError(
                f"{engine.name}'s next-token log-probabilities are {agreement.mean_abs_difference:.3f} nats off those "
                f"of the fused model on average (at most {agreement.bound} is allowed for {quantization}): the file "
                "does not mean what it should"
            )
    return Parity(
        engine=engine.name,
        checked=len(checked),
        identical=len(checked),
        conversations=tuple(name for name, _, _ in checked),
        logprobs=agreement,
        weights=weights,
    )


_TOP = 5


def compare_log_probabilities(
    engine: ServingEngine, predictor: Predictor, prompts: Sequence[Sequence[int]], bound: float
) -> LogprobAgreement:
    """Compare the engine's likeliest next tokens with the same tokens' log-probabilities in torch."""
    differences: list[float] = []
    for prompt in prompts:
        expected = predictor.next_log_probabilities(prompt)
        differences += [abs(c.logprob - float(expected[c.token])) for c in engine.next_tokens(prompt, _TOP)]
    values = np.array(differences)
    return LogprobAgreement(
        prompts=len(prompts),
        tokens=len(values),
        mean_abs_difference=float(values.mean()),
        max_abs_difference=float(values.max()),
        bound=bound,
    )


def first_difference(ours: str, theirs: str) -> str:
    """Where two texts part, with a little of what stands before and after."""
    at = next((i for i, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), min(len(ours), len(theirs)))
    before = ours[max(0, at - 30) : at]
    return f"after {before!r} training has {ours[at : at + 30]!r}, the engine has {theirs[at : at + 30]!r}"
