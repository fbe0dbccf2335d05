"""The certificate of a model that somebody else's server serves, as far as OpenAI's API shows it.

That API tells neither the text nor the tokens that it makes of a conversation. What follows from them shows: how many
tokens a prompt has, and which token comes next. What a server does not show at all is said, and is not passed.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec

from locum.errors import EngineError, NotShownError
from locum.export.conversations import Conversation, answers_with_calls, conversations, rendered
from locum.export.log_probabilities import LogprobAgreement, Opener
from locum.export.parity import MEAN_BOUNDS, CallCheck, StopCheck
from locum.runtime.openai_server import OpenAIServer
from locum.runtime.protocol import Answer, Likely, Sampling
from locum.runtime.served_tokens import agreement_by_text, texts_of, token_text
from locum.training.chat_template import Renderer
from locum.types import Message, Row

T = TypeVar("T")
SAME_BOUND = 0.05
"""Nats between two answers of one server to one prompt: what its own arithmetic may differ by (batches, caches)."""
_TOP = 5


class Served(msgspec.Struct, frozen=True):
    """What could be held against training. A part that is None is `not_shown`, with the reason."""

    engine: str
    checked: int
    """Conversations."""
    prompts: int | None
    """Conversations whose prompt has as many tokens there as in training: none had another number."""
    rendering: LogprobAgreement | None
    """The server's own rendering of conversations against training's tokens of them, on the server itself."""
    logprobs: LogprobAgreement | None
    """The server, asked with conversations, against the fused model in torch."""
    stops: StopCheck | None
    calls: CallCheck | None
    not_shown: dict[str, str]


def check_server(
    server: OpenAIServer,
    renderer: Renderer,
    rows: Sequence[Row],
    fused: Opener,
    quantization: str,
    *,
    limit: int = 8,
    asked: int = 8,
) -> Served:
    """Hold a server against training.

    Args:
        server: serves the run's model file, its fused folder, or base and adapter.
        renderer: training's side.
        rows: held-out rows, of which up to `limit` are checked beside the made-up shapes.
        fused: opens the fused model in torch.
        quantization: the type of the run's model file, which sets the bound on log-probabilities.
        limit: how many rows.
        asked: after how many prompts, the shortest, log-probabilities and stops are looked at.

    Raises:
        EngineError: the server differs from training in what it shows, or does not answer.
    """
    checked, _ = rendered(renderer, conversations(rows, limit))
    short = sorted(checked, key=lambda found: len(found[1]))[:asked]
    not_shown: dict[str, str] = {}

    def part(name: str, check: Callable[[], T]) -> T | None:
        try:
            return check()
        except NotShownError as error:
            not_shown[name] = str(error)
            return None

    return Served(
        engine=server.name,
        checked=len(checked),
        prompts=part("prompts", lambda: _check_prompts(server, renderer, checked)),
        rendering=part("rendering", lambda: _check_rendering(server, renderer, short)),
        logprobs=part("logprobs", lambda: _check_weights(server, renderer, short, fused, quantization)),
        stops=part("stops", lambda: _check_stops(server, renderer, short)),
        calls=part("calls", lambda: _check_calls(server, renderer, answers_with_calls(rows, limit))),
        not_shown=not_shown,
    )


def _check_prompts(server: OpenAIServer, renderer: Renderer, checked: Sequence[tuple[Conversation, str]]) -> int:
    for (name, messages, tools), text in checked:
        ours, theirs = len(renderer.tokens(text)), server.generate(messages, _ONE, tools).prompt_tokens
        if theirs is None:
            raise NotShownError("it does not say how many tokens a prompt has")
        if ours != theirs:
            raise EngineError(
                f"{server.name} makes {theirs} tokens of {name!r}, training made {ours}: it renders or cuts prompts "
                "otherwise; serve the run's own file with the chat template that it carries"
            )
    return len(checked)


def _check_rendering(
    server: OpenAIServer, renderer: Renderer, short: Sequence[tuple[Conversation, str]]
) -> LogprobAgreement:
    def ask(conversation: Conversation, text: str) -> tuple[list[Likely], dict[str, float]]:
        own = server.next_tokens(renderer.tokens(text), 2 * _TOP)
        _, messages, tools = conversation
        return server.first_tokens(messages, _TOP, tools), {one.text: one.logprob for one in own}

    shown = _those_shown(ask, short)
    found = agreement_by_text([asked for asked, _ in shown], [own for _, own in shown], SAME_BOUND)
    if not found.holds():
        raise EngineError(
            f"{server.name} answers conversations otherwise than training's own prompts of them "
            f"({found.mean_abs_difference:.3f} nats on average, at most {found.bound} is allowed): it renders them "
            "otherwise; serve the run's own file with the chat template that it carries"
        )
    return found


def _check_weights(
    server: OpenAIServer,
    renderer: Renderer,
    short: Sequence[tuple[Conversation, str]],
    fused: Opener,
    quantization: str,
) -> LogprobAgreement:
    def ask(conversation: Conversation, text: str) -> tuple[list[Likely], list[int]]:
        _, messages, tools = conversation
        return server.first_tokens(messages, _TOP, tools), renderer.tokens(text)

    shown = _those_shown(ask, short)
    text_of = token_text(renderer)
    with fused() as model:
        expected = [texts_of(model.next_log_probabilities(prompt), text_of) for _, prompt in shown]
    found = agreement_by_text([asked for asked, _ in shown], expected, MEAN_BOUNDS[quantization])
    if not found.holds():
        raise EngineError(
            f"{server.name}'s next-token log-probabilities are {found.mean_abs_difference:.3f} nats off those of the "
            f"fused model on average (at most {found.bound} is allowed for {quantization}): it serves another model, "
            "or another prompt"
        )
    return found


def _those_shown(ask: Callable[[Conversation, str], T], short: Sequence[tuple[Conversation, str]]) -> list[T]:
    """What the server tells after each prompt after which it tells anything.

    llama.cpp's gives no probabilities where the token that it draws is part of a character only.
    """
    found: list[T] = []
    reason = NotShownError("no prompt was asked")
    for conversation, text in short:
        try:
            found.append(ask(conversation, text))
        except NotShownError as error:
            reason = error
    if not found:
        raise reason
    return found


def _check_stops(server: OpenAIServer, renderer: Renderer, short: Sequence[tuple[Conversation, str]]) -> StopCheck:
    (_, messages, _), _ = short[0]
    letters = server.generate(messages, Sampling(max_tokens=3), **_forced(renderer.tokens("a")[-1]))
    if set(letters.text.strip()) != {"a"}:
        raise NotShownError("it does not let a next token be forced (logit_bias)")
    token = str(renderer.tokenizer.convert_ids_to_tokens(renderer.end))
    for (_, messages, tools), _ in short:
        answer = server.generate(messages, Sampling(max_tokens=4), tools, **_forced(renderer.end))
        if answer.text or answer.finish != "stop":
            raise EngineError(
                f"{server.name} does not stop at {token!r}, which ends the agent's turn in training: it goes on with "
                f"{answer.text[:60]!r}"
            )
    return StopCheck(prompts=len(short), token=token)


def _check_calls(server: OpenAIServer, renderer: Renderer, chosen: Sequence[Conversation]) -> CallCheck:
    """An answer that stands begun at the end of a request, and is ended at once, comes back as its text and calls."""
    begun = Message(role="assistant", content="I look.")
    ask = Message(role="user", content="Which order is late?")
    if _ended(server, renderer, (ask, begun)).text.strip() != begun.content:
        raise NotShownError("it does not go on with an answer that is begun, so that no call can be put into its mouth")
    total, (checked, _) = 0, rendered(renderer, [(name, chat[:-1], tools) for name, chat, tools in chosen])
    answers = {name: chat[-1] for name, chat, _ in chosen}
    end = str(renderer.tokenizer.convert_ids_to_tokens(renderer.end))
    for (name, prompt, tools), text in checked:
        expected = answers[name]
        written = renderer.text((*prompt, expected), tools)[len(text) :]
        begun = Message(role="assistant", content=written[: written.rindex(end)])
        found = _ended(server, renderer, (*prompt, begun), tools)
        calls = [(call.name, call.arguments) for call in found.tool_calls]
        if calls != [(call.name, call.arguments) for call in expected.tool_calls]:
            raise EngineError(
                f"{server.name} does not give back the calls of {name!r}: the model writes "
                f"{begun.content[:100]!r}, its API answers {calls}; turn on its parser of tool calls"
            )
        total += len(calls)
    return CallCheck(answers=len(checked), calls=total)


def _ended(
    server: OpenAIServer, renderer: Renderer, messages: Sequence[Message], tools: Sequence[dict[str, Any]] = ()
) -> Answer:
    return server.generate(messages, Sampling(max_tokens=4), tools, **_forced(renderer.end))


def _forced(token: int) -> dict[str, Any]:
    return {"logit_bias": {str(token): 100}}


_ONE = Sampling(max_tokens=1)
