"""Deploying into an Ollama, listing what there is, and taking it away again."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from command import Command
from fake_ollama import SUCCESS, FakeOllama, answering_as, serving

from locum import files
from locum.export.gguf_file import write_gguf
from locum.export.parity import MEAN_BOUNDS
from locum.runtime.scorer import Scorer
from locum.training.base import Base
from locum.training.chat_template import Renderer
from locum.training.device import Device


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
    assert "deployed in ollama: ollama run tiny\n" in said.err
    assert "8 more" not in said.err
    assert "prompts as in training" in said.err
    assert "'tiny' exists already" in locum("deploy", str(exported_run), "--name", "tiny", "--json", env=where).error
    assert locum("deploy", str(exported_run), "--name", "tiny", "--force", env=where).code == 0
    listed = json.loads(locum("deploy", "--list", "--json", env=where).out)["models"]
    assert listed == [{"engine": "ollama", "name": "tiny:latest"}]
    removed = json.loads(locum("deploy", "--remove", "tiny", "--json", env=where).out)["removed"]
    assert removed == {"engine": "ollama", "name": "tiny"}
    assert fake.made == {}


@pytest.mark.parametrize("type_", ["Q8_0", "Q4_K_M"])
def test_ollama_brings_the_file_to_a_type(
    locum: Command, fake: FakeOllama, exported_run: Path, tiny_base: Base, tiny_renderer: Renderer, type_: str
) -> None:
    """It answers as a file of that type does, and what it shows is held against what it was asked for."""
    where, file = {"OLLAMA_HOST": fake.host}, exported_run / "model" / "tiny.F32.gguf"
    working = {"status": f"quantizing F32 model to {type_}", "digest": "sha256:00", "total": 4, "completed": 3}
    fake.on_create = (SUCCESS[0], working, *SUCCESS[1:])
    write_gguf(tiny_base.folder, tiny_base, tiny_renderer, locum.folder / "theirs.gguf", type_, "tiny")
    with Scorer(locum.folder / "theirs.gguf", tiny_base.folder, Device("cpu", "float32")) as weights:
        fake.on_generate = answering_as(weights, tiny_renderer)
        said = locum("deploy", str(exported_run), "--name", "tiny", "--quantize", type_, "--json", env=where)
    assert said.code == 0, said.err
    deployed = json.loads(said.out)["deployed"]
    assert (deployed["engine"], deployed["name"], deployed["quantize"]) == ("ollama", "tiny", type_)
    assert 0 < deployed["logprobs"]["mean_abs_difference"] <= deployed["logprobs"]["bound"] == MEAN_BOUNDS[type_]
    assert f"Ollama made {type_} of the run's file" in said.err
    (sent,) = fake.created
    assert (sent["quantize"], list(sent["files"])) == (type_, ["tiny.F32.gguf"])
    assert list(fake.made) == ["tiny:latest"]
    own, shown = files.sha256_file(file), fake.show("tiny:latest")
    assert list(fake.blobs) == [f"sha256:{own}"], "the file went there as it is"
    assert own not in shown["modelfile"]
    assert shown["details"]["quantization_level"] == type_


def test_ollama_is_asked_once_whether_it_answers_and_once_for_the_name(
    locum: Command, fake: FakeOllama, exported_run: Path
) -> None:
    where = {"OLLAMA_HOST": fake.host}
    assert locum("deploy", str(exported_run), "--name", "tiny", env=where).code == 0
    assert fake.listed == 2
    assert locum("deploy", str(exported_run), "--name", "tiny", "--force", env=where).code == 0
    assert fake.listed == 3


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
