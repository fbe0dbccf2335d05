"""`--deploy openai:URL` and `--engine openai:URL`, against llama.cpp's own server and a stub."""

import json
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from command import Command
from openai_stub import Stub, chunk, serving

from locum.runtime.llamacpp import LlamaCpp
from locum.training.base import Base


@pytest.fixture
def stub() -> Iterator[Stub]:
    with serving() as server:
        yield server


@pytest.fixture
def run(exported_run: Path, tiny_base: Base) -> Path:
    """With its fused model, too; the adapter changed nothing."""
    (exported_run / "fused").symlink_to(tiny_base.folder)
    return exported_run


def test_a_server_that_serves_the_run(locum: Command, run: Path) -> None:
    with LlamaCpp(run / "model" / "tiny.F32.gguf", context=1024) as engine:
        url = f"openai:{engine.address}"
        named = locum("deploy", str(run), "--name", "nobody", "--deploy", url).error
        assert "has no model 'nobody' (it has: " in named
        name = named.partition("(it has: ")[2].partition(")")[0]
        said = locum("deploy", str(run), "--name", name, "--deploy", url, "--json")
        assert said.code == 0, said.err
        deployed = json.loads(said.out)["deployed"]
        assert (deployed["engine"], deployed["name"]) == (f"{url}/v1", name)
        assert deployed["served"]["not_shown"] == {}
        assert deployed["served"]["prompts"] == deployed["served"]["checked"] == 8
        assert "8 of 8 have as many tokens as in training" in said.err
        assert "nats off on average, at most 0.02 allowed" in said.err
        answered = locum("chat", name, "--engine", url, "-m", "Which order is late?", "--max-tokens", "4", "--json")
        assert answered.code == 0, answered.err
        assert json.loads(answered.out)["exchanges"][0]["answers"][name]


def test_a_server_that_shows_nothing_is_told_part_by_part(locum: Command, run: Path, stub: Stub) -> None:
    said = locum("deploy", str(run), "--name", "mine", "--deploy", f"openai:{stub.url}", "--json")
    assert said.code == 0, said.err
    served = json.loads(said.out)["deployed"]["served"]
    assert set(served["not_shown"]) == {"prompts", "rendering", "logprobs", "stops", "calls"}
    assert said.err.count("not shown by this server: ") == 5


def test_what_a_server_says_wrong_is_one_line_without_the_key(locum: Command, run: Path, stub: Stub) -> None:
    key = f"sk-{secrets.token_hex(16)}"
    stub.key = "another"
    said = locum("chat", "mine", "--engine", f"openai:{stub.url}", "-m", "?", env={"LOCUM_API_KEY": key})
    assert "wants a key (401): put it in LOCUM_API_KEY" in said.error
    assert key not in said.err
    stub.key, stub.events = None, (chunk("It "), {"error": {"message": f"out of memory for {key}"}})
    said = locum("chat", "mine", "--engine", f"openai:{stub.url}", "-m", "?", env={"LOCUM_API_KEY": key})
    assert said.code == 1
    assert "failed in the middle of its answer: out of memory for (key)" in said.err
    assert key not in said.err
    assert "is no address of a server" in locum("chat", "mine", "--engine", "openai:nowhere", "-m", "?").error


def test_choices_that_do_not_go_together(locum: Command, run: Path, stub: Stub) -> None:
    for arguments in (
        ("chat", "mine", "--engine", "vllm", "-m", "?"),
        ("deploy", "--list", "--deploy", f"openai:{stub.url}"),
        ("run", "logs", "--name", "x", "--deploy", f"openai:{stub.url}"),
        ("deploy", str(run), "--name", "x", "--quantize", "Q5_K_M"),
    ):
        assert locum(*arguments).code == 2, arguments
    assert (
        "without --beside"
        in locum("chat", "mine", "--engine", f"openai:{stub.url}", "--beside", "base", "-m", "?").error
    )
    assert "only Ollama quantizes" in locum("deploy", str(run), "--name", "x", "--quantize", "Q8_0").error
