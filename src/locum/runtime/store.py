"""The embedded store: the names under which models are kept and found on this computer.

    $LOCUM_HOME/models/NAME/  model.gguf  card.json

A name is replaced by renaming a whole folder, so whoever looks finds the old model or the new one.
"""

import os
import re
import shutil
from pathlib import Path

import msgspec

from locum import files
from locum.errors import NameTakenError, RunError
from locum.home import home_folder

NONE_YET = "none yet; `locum demo` makes one"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}")


class Card(msgspec.Struct, frozen=True):
    """What is known of a stored model."""

    name: str
    base: str
    base_file: str
    """The base as a model file of the same quantization, for `--beside base`."""
    sha256: str
    run: str
    licence: str | None = None


def check_name(name: str) -> str:
    """`name`, if it can be a model's name here and in Ollama.

    Raises:
        RunError: it cannot.
    """
    if not _NAME.fullmatch(name):
        raise RunError(
            f"{name!r} cannot name a model: use at most 80 letters, digits, '_', '-' and '.', "
            "beginning with a letter, a digit or '_'"
        )
    return name


def models_folder() -> Path:
    """$LOCUM_HOME/models, else in the platform's data folder."""
    return home_folder() / "models"


def is_taken(name: str) -> bool:
    """Whether a model of this name is stored."""
    return (models_folder() / name / "card.json").is_file()


def names() -> list[str]:
    """The stored names, sorted."""
    found = (path.parent.name for path in models_folder().glob("*/card.json"))
    # What an interrupted swap left is no model's name.
    return sorted(name for name in found if _NAME.fullmatch(name))


def put(card: Card, model: Path, force: bool) -> None:
    """Store a model file under `card.name`.

    Raises:
        NameTakenError: the name exists and `force` is not set.
        RunError: the name cannot name a model.
    """
    check_name(card.name)
    if is_taken(card.name) and not force:
        raise NameTakenError(f"a model named {card.name!r} exists already; choose another name or pass --force")
    with files.atomic_path(models_folder() / card.name) as partial:
        partial.mkdir()
        try:
            # The run keeps its file and no second copy is written, where one file system holds both.
            os.link(model, partial / "model.gguf")
        except OSError:
            shutil.copyfile(model, partial / "model.gguf")
        files.write_json(partial / "card.json", card)


def remove(name: str) -> None:
    """Remove a stored model; raises as `find`."""
    find(name)
    files.remove(models_folder() / name)


def find(name: str) -> tuple[Path, Card]:
    """The model file stored under a name, and its card.

    Raises:
        RunError: there is none; the message lists what there is.
    """
    check_name(name)
    folder = models_folder() / name
    if not (folder / "card.json").is_file():
        known = ", ".join(names()) or NONE_YET
        raise RunError(f"no model named {name!r} on this computer (there is: {known})")
    return folder / "model.gguf", files.read_json(folder / "card.json", Card)
