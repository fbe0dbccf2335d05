"""The user's own Ollama store, read only: a name's model file and licence.

    $OLLAMA_MODELS (else ~/.ollama/models)/ manifests/HOST/NAMESPACE/MODEL/TAG  blobs/sha256-HEX

Layout and names: https://github.com/ollama/ollama/blob/main/types/model/name.go, manifest/.
"""

import json
import os
import re
from pathlib import Path
from typing import Any

import msgspec

from locum import files
from locum.errors import BaseError

_MODEL, _LICENCE = "application/vnd.ollama.image.model", "application/vnd.ollama.image.license"
_ADAPTER = "application/vnd.ollama.image.adapter"
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}")
_NAMESPACE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,79}")
_HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,349}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class StoredModel(msgspec.Struct, frozen=True):
    """A model in the store."""

    model: Path
    """The GGUF blob."""
    licence: str | None
    """The text of its licence layer."""


def find_model(name: str) -> StoredModel:
    """The model of a name `[host/][namespace/]model[:tag]`; case does not matter, as in Ollama.

    Raises:
        BaseError: there is none of that name, its manifest names no model file or an adapter beside it, or the file is
            gone or is not what the manifest says.
    """
    root = Path(os.environ.get("OLLAMA_MODELS") or Path.home() / ".ollama" / "models")
    manifest = _manifest(root, name)
    if manifest is None:
        raise BaseError(f"no model {name!r} in the Ollama store {root}: run `ollama list` to see what is there")
    try:
        layers = [(str(layer["mediaType"]), str(layer["digest"])) for layer in _layers(manifest)]
        digest = next(digest for media, digest in layers if media == _MODEL)
    except (ValueError, KeyError, TypeError, StopIteration):
        raise BaseError(f"the Ollama manifest of {name!r} names no model file; pull it again") from None
    if any(media == _ADAPTER for media, _ in layers):
        raise BaseError(
            f"{name!r} in the Ollama store is an adapter on another model; give the model that it was made from"
        )
    blob = _blob(root, digest)
    if blob is None:
        raise BaseError(f"the Ollama store misses the model file of {name!r} ({digest[:23]}…); pull it again")
    if f"sha256:{files.sha256_file(blob)}" != digest:
        raise BaseError(f"the model file of {name!r} in the Ollama store is damaged ({digest[:23]}…); pull it again")
    texts = [_blob(root, digest) for media, digest in layers if media == _LICENCE]
    licence = "\n\n".join(path.read_text(encoding="utf-8", errors="replace").strip() for path in texts if path)
    return StoredModel(blob, licence or None)


def _layers(manifest: Path) -> list[Any]:
    layers: list[Any] = json.loads(manifest.read_text(encoding="utf-8"))["layers"]
    return layers


def _blob(root: Path, digest: str) -> Path | None:
    """The file of a digest; nothing else that a manifest may say leads to a file."""
    blob = root / "blobs" / digest.replace(":", "-")
    return blob if _DIGEST.fullmatch(digest) and blob.is_file() else None


def _manifest(root: Path, name: str) -> Path | None:
    path, colon, tag = name.rpartition(":")
    if not colon or "/" in tag:  # the colon, if any, is of a host's port
        path, tag = name, "latest"
    parts = path.split("/")
    if len(parts) > 3:
        return None
    full = ["registry.ollama.ai", "library"][: 3 - len(parts)] + parts
    kinds = (_HOST, _NAMESPACE, _PART, _PART)
    found = root / "manifests"
    for part, kind in zip([*full, tag], kinds, strict=True):
        step = _child(found, part) if kind.fullmatch(part) else None
        if step is None:
            return None
        found = step
    return found if found.is_file() else None


def _child(folder: Path, name: str) -> Path | None:
    """What is called `name` there, else what differs from it in case alone."""
    if not folder.is_dir():
        return None
    names = sorted(path.name for path in folder.iterdir())
    same = [known for known in names if known == name] or [known for known in names if known.lower() == name.lower()]
    return folder / same[0] if same else None
