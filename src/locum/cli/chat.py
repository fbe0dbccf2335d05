"""`locum chat NAME`: talk to a deployed model, side by side with its base if you like."""

import os
import sys
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from locum.cli.options import names_server
from locum.cli.output import Debug, Json, Output, Quiet


def chat(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A model's name.")],
    beside: Annotated[str | None, typer.Option("--beside", help="`base`: show the base's answer too.")] = None,
    message: Annotated[
        str | None, typer.Option("--message", "-m", help="Say this, print the answer, and leave.")
    ] = None,
    engine: Annotated[
        str, typer.Option("--engine", help="Where: auto, embedded, ollama, or openai:URL, a server of OpenAI's API.")
    ] = "auto",
    system: Annotated[str | None, typer.Option("--system", help="System text to begin with.")] = None,
    max_tokens: Annotated[int, typer.Option("--max-tokens", min=1, help="Longest answer.")] = 256,
    temperature: Annotated[float, typer.Option("--temperature", min=0.0, help="0 is greedy.")] = 0.0,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Talk to it. Without --message: one message a line, until end of input."""
    if beside not in (None, "base"):
        raise typer.BadParameter(f"{beside!r} is not 'base'", param_hint="--beside")
    if engine not in ("auto", "embedded", "ollama") and not names_server(engine):
        raise typer.BadParameter(f"{engine!r} is none of auto, embedded, ollama, openai:URL", param_hint="--engine")
    with Output(json=json, quiet=quiet, debug=debug) as voice:
        from contextlib import ExitStack

        from locum.runtime.protocol import Sampling

        sampling = Sampling(max_tokens=max_tokens, temperature=temperature)
        exchanges: list[dict[str, Any]] = []
        with ExitStack() as stack:
            speakers = _speakers(name, engine, beside, stack)
            histories: dict[str, list[Any]] = {speaker: _opening(system) for speaker in speakers}
            for said in [_text(message)] if message is not None else _lines(voice):
                answers = {
                    speaker: _answer(voice, speaker, len(speakers) > 1, talk, histories[speaker], said, sampling)
                    for speaker, talk in speakers.items()
                }
                exchanges.append({"message": said, "answers": answers})
        voice.result({"name": name, "exchanges": exchanges})


def _opening(system: str | None) -> list[Any]:
    from locum.types import Message

    return [Message(role="system", content=_text(system))] if system else []


def _text(argument: str) -> str:
    """An argument of the command line as text: bytes in it that are no text are replaced."""
    return os.fsencode(argument).decode("utf-8", "replace")


def _speakers(name: str, engine: str, beside: str | None, stack: Any) -> dict[str, Any]:
    """Speaker -> a function from a conversation to pieces of an answer."""
    from pathlib import Path

    from locum.errors import EngineError
    from locum.runtime import store
    from locum.runtime.embedded import Embedded

    if names_server(engine):
        from locum.runtime.openai_server import OpenAIServer

        if beside:
            raise EngineError(f"{name!r} is at a server, which does not keep its base; talk to it without --beside")
        return {name: stack.enter_context(OpenAIServer(engine, name)).chat}
    if engine == "ollama" or (engine == "auto" and not store.is_taken(store.check_name(name))):
        from locum.runtime.ollama import Ollama

        server = Ollama()
        if engine == "ollama" or (server.answers() and server.has(name)):
            if beside:
                raise EngineError(f"{name!r} is in Ollama, where its base is not kept; talk to it without --beside")
            return {name: lambda messages, sampling: server.chat(name, messages, sampling)}
    model, card = store.find(name)
    engines = stack.enter_context(Embedded())
    speakers: dict[str, Any] = {name: engines.open(model).chat}
    if beside:
        base_file = Path(card.base_file)
        if not base_file.is_file():
            raise EngineError(f"the base of {name!r} is no longer at {card.base_file!r}; deploy the run again")
        speakers[f"base ({card.base})"] = engines.open(base_file).chat
    return speakers


def _lines(voice: Output) -> Iterator[str]:
    """The user's messages: asked for on a terminal, read from standard input elsewhere."""
    asking = sys.stdin.isatty()
    if asking:
        voice.say("say something; an empty line or Ctrl-D ends it")
    while True:
        try:
            line = input("you> ") if asking else sys.stdin.readline()
        except (EOFError, KeyboardInterrupt):
            return
        if not line or (asking and not line.strip()):
            return
        if line.strip():
            yield line.strip()


def _answer(voice: Output, speaker: str, several: bool, talk: Any, history: list[Any], said: str, sampling: Any) -> str:
    from locum.types import Message

    history.append(Message(role="user", content=said))
    if several:
        voice.answer(f"{speaker}> ")
    pieces: list[str] = []
    for piece in talk(history, sampling):
        pieces.append(piece)
        voice.answer(piece)
    voice.answer("", end="\n")
    answer = "".join(pieces)
    history.append(Message(role="assistant", content=answer))
    return answer
