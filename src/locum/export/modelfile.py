"""The Modelfile beside a model file: what makes Ollama prompt it exactly as it was trained.

Ollama guesses a template by similarity where none is given, and the guess drops tools and default system texts; so
template, stop tokens and parameters are always explicit. Format: https://docs.ollama.com/modelfile
"""

import json

import msgspec

from locum.errors import ExportError
from locum.export.conversations import Conversation, conversations
from locum.export.frame import Frame, find_frame
from locum.export.go_template import go_template
from locum.training.base import Base
from locum.training.chat_template import Renderer


class OllamaModel(msgspec.Struct, frozen=True):
    """What Ollama has to be told of a model file, by Modelfile or by its API."""

    template: str
    """A Go template (Ollama's own language), equal in effect to the renderer's Jinja."""
    stop: tuple[str, ...]
    parameters: dict[str, float]
    system: str
    licence: str


def describe_for_ollama(base: Base, renderer: Renderer) -> OllamaModel:
    """Template, stop tokens and parameters for `base`.

    Raises:
        ExportError: the base's chat template does more than put words between messages, so that no Go template says
            the same; the message says where.
    """
    try:
        frame = find_frame(renderer, plain_conversations())
    except ExportError as error:
        raise ExportError(
            f"no template for Ollama says what training rendered for {base.name!r}: {error}; "
            "deploy with --deploy embedded"
        ) from None
    return OllamaModel(
        template=go_template(frame),
        stop=_stop_tokens(renderer, frame),
        parameters={"temperature": 0.0, "repeat_penalty": 1.0},
        system=frame.default_system,
        licence=base.licence or "",
    )


def plain_conversations() -> list[Conversation]:
    """The certificate's shapes as every engine can have them: some templates cut the space around a message, which
    a Go template cannot."""
    return [
        (name, tuple(msgspec.structs.replace(message, content=message.content.strip()) for message in messages), tools)
        for name, messages, tools in conversations((), 0)
    ]


def _stop_tokens(renderer: Renderer, frame: Frame) -> tuple[str, ...]:
    """What ends the agent's turn, what ends a text, and what would begin a turn of somebody else."""
    tokenizer = renderer.tokenizer
    special = {index for index, token in tokenizer.added_tokens_decoder.items() if token.special}
    next_turn = [index for index in renderer.tokens(frame.between["assistant", "user"]) if index in special]
    found = [renderer.end, *next_turn, *([] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id])]
    return tuple(dict.fromkeys(str(tokenizer.convert_ids_to_tokens(index)) for index in found))


def modelfile(model: OllamaModel, gguf_name: str) -> str:
    """The Modelfile's text, for `ollama create NAME -f Modelfile` in the folder of the model file.

    Raises:
        ExportError: a text holds three quotes in a row, which a Modelfile cannot say; Ollama's API can.
    """
    for text in (model.template, model.system, model.licence):
        if '"""' in text:
            raise ExportError(
                f"no Modelfile can hold three quotes in a row ({text[:40]!r}); deploy through Ollama's API"
            )
    lines = [f"FROM ./{gguf_name}", f'TEMPLATE """{model.template}"""']
    lines += [f"PARAMETER stop {json.dumps(stop)}" for stop in model.stop]
    lines += [f"PARAMETER {key} {value:g}" for key, value in model.parameters.items()]
    if model.system:
        lines.append(f'SYSTEM """{model.system}"""')
    if model.licence:
        lines.append(f'LICENSE """{model.licence}"""')
    return "\n".join(lines) + "\n"
