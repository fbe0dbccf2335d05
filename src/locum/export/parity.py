"""The parity certificate: the engine that serves renders, tokenizes, stops, calls and predicts as training did.

Conversations of many shapes (with and without system text, tools, tool results, several turns, odd characters) and
the dataset's own held-out ones go through both sides. The first difference fails the export and is shown.
"""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import msgspec

from locum.errors import ExportError
from locum.export.conversations import Conversation, answers_with_calls, conversations, rendered
from locum.export.log_probabilities import (
    LogprobAgreement,
    NextToken,
    Opener,
    QuantizationCost,
    agreement,
    cost_rows,
    quantization_cost,
)
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

    def next_tokens(self, prompt: Sequence[int], count: int) -> Sequence[NextToken]:
        """The likeliest next tokens."""
        ...


@runtime_checkable
class SteerableEngine(Protocol):
    """An engine that can be made to write what a model would have to write by itself."""

    def write_end(self, prompt: Sequence[int], end: int) -> tuple[str, bool]:
        """The text written after a prompt whose likeliest next token is made to be `end`, and whether it stopped."""
        ...

    def read_answer(
        self, messages: Sequence[Message], written: str, tools: Sequence[dict[str, Any]], end: int
    ) -> tuple[str, tuple[ToolCall, ...]]:
        """What the API makes of an answer that the model wrote: its text and its calls."""
        ...


class StopCheck(msgspec.Struct, frozen=True):
    """The engine stopped where the agent's turn stops, and wrote nothing after it."""

    prompts: int
    token: str
    """What ends the agent's turn."""


class CallCheck(msgspec.Struct, frozen=True):
    """Calls that a model writes came back from the engine's API as calls, arguments intact."""

    answers: int
    calls: int


class Parity(msgspec.Struct, frozen=True):
    """`model/parity.json`."""

    engine: str
    checked: int
    identical: int
    conversations: tuple[str, ...]
    """What was checked, by name."""
    refused: tuple[str, ...] = ()
    """Shapes that the base's own template refuses: such rows cannot be trained on, nor asked."""
    stops: StopCheck | None = None
    calls: CallCheck | None = None
    logprobs: LogprobAgreement | None = None
    """The engine against the fused model."""
    own_weights: LogprobAgreement | None = None
    """The engine against the model file's own weights in torch: what the engine's arithmetic alone makes of them."""
    weights: WeightAgreement | None = None
    cost: QuantizationCost | None = None
    base_quantized_from: str | None = None
    """Set where the base exists only quantized."""
    base_cost: float | None = None
    """What the base's own rounding is estimated to cost, in nats per token (`export.base_rounding`)."""


MEAN_BOUNDS = {
    "F32": 0.02, "F16": 0.02, "BF16": 0.05, "Q8_0": 0.15, "Q6_K": 0.3, "Q5_K_M": 0.5, "Q5_1": 0.5, "Q5_0": 0.8,
    "Q4_K_M": 1.0, "Q4_1": 1.0, "Q4_0": 1.0,
}  # fmt: skip
"""Nats, by the file's type. SmolLM2-135M measures 0.001, 0.004, 0.014 and 0.070; of the last, 0.065 come from
llama.cpp's rounding of activations to 8 bits. Rotary rows in the wrong order cost 0.15 to 9 nats there, a block's
output at twice its size 0.2 to 3. What is smaller than Q8_0's own noise shows in the weights (`export.read_back`)."""


def engine_bound(quantization: str) -> float:
    """Nats allowed on average between the engine and the file's own weights, by the file's type."""
    return {"F32": 0.02, "F16": 0.02, "BF16": 0.05}.get(quantization, 0.15)


def certify(
    renderer: Renderer,
    engine: ServingEngine,
    rows: Sequence[Row],
    fused: Opener | None = None,
    file: Opener | None = None,
    *,
    quantization: str = "Q8_0",
    weights: WeightAgreement | None = None,
    limit: int = 24,
    logprob_prompts: int = 8,
) -> Parity:
    """Hold the training renderer against the engine that will serve.

    Args:
        renderer: the training side's text and tokens.
        engine: the serving side, with the exported file loaded. Stops and calls are checked where it is a
            `SteerableEngine`.
        rows: held-out rows that are checked beside the made-up shapes.
        fused: opens the fused model in torch; None leaves the log-probabilities unchecked.
        file: opens the model file's own weights in torch; None leaves out what needs them.
        quantization: the type of the file's matrices, which sets the bounds on the log-probabilities.
        weights: what `export.read_back.check_weights` found, for the record.
        limit: how many rows are checked.
        logprob_prompts: after how many of the prompts the next token's probabilities are compared.

    Raises:
        ExportError: text or tokens differ (with the first difference in context), the engine does not stop or loses a
            call, or the log-probabilities differ by more than the bounds allow on average.
    """
    checked, refused = rendered(renderer, conversations(rows, limit))
    prompts = [_same_tokens(renderer, engine, conversation, text) for conversation, text in checked]
    short = sorted(prompts, key=len)[:logprob_prompts]
    stops, calls = None, None
    if isinstance(engine, SteerableEngine):
        stops = _check_stops(renderer, engine, engine.name, short)
        calls = _check_calls(renderer, engine, engine.name, answers_with_calls(rows, limit // 3))
    logprobs, own_weights, cost = None, None, None
    if fused is not None:
        served = [engine.next_tokens(prompt, _TOP) for prompt in short]
        encoded = cost_rows(renderer, rows) if file is not None else []
        with fused() as predictor:
            expected = [predictor.next_log_probabilities(prompt) for prompt in short]
            before = predictor.score(encoded) if encoded else []
        logprobs = agreement(served, expected, MEAN_BOUNDS[quantization])
        _require(logprobs, engine.name, "the fused model", quantization)
    if fused is not None and file is not None:
        with file() as predictor:
            expected = [predictor.next_log_probabilities(prompt) for prompt in short]
            after = predictor.score(encoded) if encoded else []
        own_weights = agreement(served, expected, engine_bound(quantization))
        _require(own_weights, engine.name, "the file's own weights", quantization)
        cost = quantization_cost(before, after)
    return Parity(
        engine=engine.name,
        checked=len(checked),
        identical=len(checked),
        conversations=tuple(name for (name, _, _), _ in checked),
        refused=refused,
        stops=stops,
        calls=calls,
        logprobs=logprobs,
        own_weights=own_weights,
        weights=weights,
        cost=cost,
    )


_TOP = 5


def _same_tokens(renderer: Renderer, engine: ServingEngine, conversation: Conversation, ours: str) -> list[int]:
    """The tokens of a prompt that both sides render and cut alike."""
    name, messages, tools = conversation
    theirs = engine.render(messages, tools)
    if ours != theirs:
        raise ExportError(f"{engine.name} renders {name!r} differently from training: {first_difference(ours, theirs)}")
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
    return tokens


def _check_stops(renderer: Renderer, engine: SteerableEngine, name: str, prompts: Sequence[Sequence[int]]) -> StopCheck:
    """The token that ends the agent's turn in training ends it in the engine."""
    token = str(renderer.tokenizer.convert_ids_to_tokens(renderer.end))
    for prompt in prompts:
        text, stopped = engine.write_end(prompt, renderer.end)
        if text or not stopped:
            raise ExportError(
                f"{name} does not stop at {token!r}, which ends the agent's turn in training: "
                f"it goes on with {text[:60]!r}"
            )
    return StopCheck(prompts=len(prompts), token=token)


def _check_calls(renderer: Renderer, engine: SteerableEngine, name: str, chosen: Sequence[Conversation]) -> CallCheck:
    """A call in the words that training teaches comes back as that call."""
    total, (checked, _) = 0, rendered(renderer, [(title, chat[:-1], tools) for title, chat, tools in chosen])
    answers = {title: chat[-1] for title, chat, _ in chosen}
    end = str(renderer.tokenizer.convert_ids_to_tokens(renderer.end))
    for (title, prompt, tools), text in checked:
        answer = answers[title]
        written = renderer.text((*prompt, answer), tools)[len(text) :]
        said, calls = engine.read_answer(prompt, written[: written.rindex(end)], tools, renderer.end)
        found = [(call.name, call.arguments) for call in calls]
        expected = [(call.name, call.arguments) for call in answer.tool_calls]
        if found != expected or said.strip() != answer.content.strip():
            raise ExportError(
                f"{name} does not give back the calls of {title!r}: the model writes {expected} and text "
                f"{answer.content[:60]!r}, its API answers {found} and {said[:60]!r}"
            )
        total += len(expected)
    return CallCheck(answers=len(checked), calls=total)


def _require(found: LogprobAgreement, engine: str, whose: str, quantization: str) -> None:
    if not found.holds():
        raise ExportError(
            f"{engine}'s next-token log-probabilities are {found.mean_abs_difference:.3f} nats off those of {whose} on "
            f"average (at most {found.bound} is allowed for {quantization}): the file does not mean what it should"
        )


def first_difference(ours: str, theirs: str) -> str:
    """Where two texts part, with a little of what stands before and after."""
    at = next((i for i, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), min(len(ours), len(theirs)))
    before = ours[max(0, at - 30) : at]
    return f"after {before!r} training has {ours[at : at + 30]!r}, the engine has {theirs[at : at + 30]!r}"
