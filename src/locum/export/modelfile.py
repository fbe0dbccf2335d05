"""The Modelfile beside a model file: what makes Ollama prompt it exactly as it was trained.

Ollama guesses a template by similarity where none is given, and the guess drops tools and default system texts; so
template, stop tokens and parameters are always explicit. Format: https://docs.ollama.com/modelfile
"""

import json
import re

import msgspec

from locum.errors import ExportError
from locum.training.base import Base
from locum.training.chat_template import Renderer
from locum.types import Message


class OllamaModel(msgspec.Struct, frozen=True):
    """What Ollama has to be told of a model file, by Modelfile or by its API."""

    template: str
    """A Go template (Ollama's own language), equal in effect to the renderer's Jinja."""
    stop: tuple[str, ...]
    parameters: dict[str, float]
    system: str
    licence: str


_CHATML = """{{- if .Tools }}<|im_start|>system
{{ if .System }}{{ .System }}

{{ end }}You may call these tools:
<tools>
{{- range .Tools }}
{{ . }}
{{- end }}
</tools>
To call one, answer with
<tool_call>
{"name": ..., "arguments": {...}}
</tool_call><|im_end|>
{{ else if .System }}<|im_start|>system
{{ .System }}<|im_end|>
{{ end }}
{{- range $i, $message := .Messages }}
{{- if eq .Role "assistant" }}<|im_start|>assistant
{{ .Content }}
{{- range $j, $call := .ToolCalls }}
{{- if or $j $message.Content }}
{{ end }}<tool_call>
{"name": {{ json $call.Function.Name }}, "arguments": {{ json $call.Function.Arguments }}}
</tool_call>
{{- end }}<|im_end|>
{{ else if ne .Role "system" }}<|im_start|>{{ .Role }}
{{ .Content }}<|im_end|>
{{ end }}
{{- end }}<|im_start|>assistant
"""


def describe_for_ollama(base: Base, renderer: Renderer) -> OllamaModel:
    """Template, stop tokens and parameters for `base`.

    Raises:
        ExportError: the base's chat template is of a kind that has no Go counterpart here.
    """
    if "<|im_start|>" not in renderer.template:
        raise ExportError(
            f"the chat template of {base.name!r} is not ChatML, the only kind that Locum can write for Ollama yet; "
            "deploy with --deploy embedded"
        )
    return OllamaModel(
        template=_CHATML,
        stop=(str(renderer.tokenizer.convert_ids_to_tokens(renderer.end)), "<|im_start|>"),
        parameters={"temperature": 0.0, "repeat_penalty": 1.0},
        system=_default_system(renderer),
        licence=base.licence or "",
    )


def _default_system(renderer: Renderer) -> str:
    """The system text that the base's template puts in where the conversation has none."""
    opening = renderer.prompt_text((Message(role="user", content="?"),))
    found = re.match(r"<\|im_start\|>system\n(.*?)<\|im_end\|>\n", opening, re.DOTALL)
    return found.group(1) if found else ""


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
