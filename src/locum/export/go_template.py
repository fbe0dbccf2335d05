"""A frame in the language of Ollama's templates: Go's text/template with Ollama's variables.

Ollama gives `.System` (all system texts joined), `.Messages` (neighbours of one role merged), `.Tools` and the function
`json`. It finds the mark of a tool call as the first text inside `if .ToolCalls`, so what only separates calls is
written as an action, not as text. Sources: https://pkg.go.dev/text/template,
https://github.com/ollama/ollama/blob/main/template/template.go and tools/template.go there.
"""

import json

from locum.export.frame import Frame


def go_template(frame: Frame) -> str:
    """The frame as a TEMPLATE of a Modelfile."""
    between = {pair: _text(words) for pair, words in frame.between.items()}
    tools_alone = frame.default_system + frame.tools_after_system if frame.default_system else frame.tools_alone
    calls = frame.calls
    return "".join(
        (
            "{{ $framed := or .System .Tools }}{{ if $framed }}",
            _text(frame.system),
            "{{ .System }}{{ if .Tools }}{{ if .System }}",
            _text(frame.tools_after_system),
            "{{ else }}",
            _text(tools_alone),
            "{{ end }}{{ range $i, $tool := .Tools }}{{ if $i }}",
            _text(frame.between_tools),
            "{{ end }}{{ json $tool }}{{ end }}",
            _text(frame.after_tools),
            "{{ else }}",
            _text(frame.after_system),
            '{{ end }}{{ end }}{{ $was := "" }}{{ range .Messages }}{{ if ne .Role "system" }}',
            '{{ if eq .Role "user" }}{{ if eq $was "assistant" }}',
            between["assistant", "user"],
            '{{ else if eq $was "tool" }}',
            between["tool", "user"],
            "{{ else if $framed }}{{ else }}",
            between["", "user"],
            '{{ end }}{{ else if eq .Role "tool" }}{{ if eq $was "tool" }}',
            between["tool", "tool"],
            "{{ else }}",
            between["assistant", "tool"],
            '{{ end }}{{ else }}{{ if eq $was "tool" }}',
            between["tool", "assistant"],
            "{{ else }}",
            between["user", "assistant"],
            "{{ end }}{{ end }}{{ .Content }}",
            "{{ if .ToolCalls }}{{ $said := .Content }}{{ range $i, $call := .ToolCalls }}{{ if $i }}",
            _action(calls.between),
            "{{ else if $said }}",
            _action(calls.after_text),
            "{{ else }}",
            _action(calls.alone),
            "{{ end }}",
            _text(calls.lead),
            "{{ json $call.Function.Name }}",
            _text(calls.middle),
            "{{ json $call.Function.Arguments }}",
            _text(calls.close),
            '{{ end }}{{ end }}{{ $was = .Role }}{{ end }}{{ end }}{{ if eq $was "tool" }}',
            _text(frame.opening["tool"]),
            "{{ else }}",
            _text(frame.opening["user"]),
            "{{ end }}",
        )
    )


def _text(words: str) -> str:
    """Words outside of actions, where only two braces mean anything."""
    return words.replace("{{", '{{ "{{" }}')


def _action(words: str) -> str:
    """Words as an action that prints them."""
    return f"{{{{ {json.dumps(words, ensure_ascii=False)} }}}}" if words else ""
