"""Deploying into an Ollama, listing what there is, and taking it away again."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from command import Command
from fake_ollama import FakeOllama, serving


@pytest.fixture
def fake() -> Iterator[FakeOllama]:
    with serving() as server:
        yield server


def test_into_ollama_and_out_again(locum: Command, fake: FakeOllama, exported_run: Path) -> None:
    where = {"OLLAMA_HOST": fake.host}
    said = locum("deploy", str(exported_run), "--name", "tiny", "--json", env=where)
    assert said.code == 0, said.err
    deployed = json.loads(said.out)["deployed"]
    assert (deployed["engine"], deployed["name"]) == ("ollama", "tiny")
    assert deployed["rendering"]["checked"] == 8
    assert deployed["rendering"]["identical"] + deployed["rendering"]["but_for_json"] == 8
    assert deployed["logprobs"] is None
    assert list(fake.made) == ["tiny:latest"]
    assert "does not tell its log-probabilities" in said.err
    assert "8 more" not in said.err
    assert "prompts as in training" in said.err
    assert "'tiny' exists already" in locum("deploy", str(exported_run), "--name", "tiny", "--json", env=where).error
    assert locum("deploy", str(exported_run), "--name", "tiny", "--force", env=where).code == 0
    listed = json.loads(locum("deploy", "--list", "--json", env=where).out)["models"]
    assert listed == [{"engine": "ollama", "name": "tiny:latest"}]
    removed = json.loads(locum("deploy", "--remove", "tiny", "--json", env=where).out)["removed"]
    assert removed == {"engine": "ollama", "name": "tiny"}
    assert fake.made == {}


def test_the_embedded_store(locum: Command, exported_run: Path) -> None:
    assert locum("deploy", str(exported_run), "--name", "tiny", "--deploy", "embedded").code == 0
    listed = json.loads(locum("deploy", "--list", "--json").out)["models"]
    assert [(model["engine"], model["name"], model["bytes"]) for model in listed] == [
        ("embedded", "tiny", (exported_run / "model" / "tiny.F32.gguf").stat().st_size)
    ]
    assert locum("deploy", "--remove", "tiny").code == 0
    assert json.loads(locum("deploy", "--list", "--json").out) == {"models": []}
    assert "no model named 'tiny'" in locum("deploy", "--remove", "tiny").error
    assert "no Ollama answers" in locum("deploy", "--remove", "tiny", "--deploy", "ollama").error
