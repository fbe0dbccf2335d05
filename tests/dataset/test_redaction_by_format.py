"""Secrets planted in a log of every format: none is left in the dataset, and the look-alikes are.

What is planted comes from `benchmarks/planted.py`, one of every type that redaction promises to find.
"""

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from planted_logs import WRITERS, Texts

from locum.dataset import Options, extract, read_rows
from locum.dataset.redaction import Redactor
from locum.dataset.terms import RESTRICTED
from locum.progress import silent
from locum.sessions import read_sources
from locum.sessions.registry import READERS

_FILE = Path(__file__).parents[2] / "benchmarks" / "planted.py"
_SPEC = importlib.util.spec_from_file_location("planted", _FILE)
assert _SPEC is not None
assert _SPEC.loader is not None
planted = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(planted)
BY_TYPE = 2
"""Varieties of every type."""


def lines_of(samples: list[Any]) -> list[Any]:
    """The first samples of every type that fit on a line, private keys excepted."""
    taken: dict[str, list[Any]] = {}
    for sample in samples:
        if sample.template in planted.LEFT:
            continue
        if "\n" not in sample.text.strip() or sample.kind == "PRIVATE_KEY":
            taken.setdefault(sample.kind, []).append(sample)
    return [sample for of_kind in taken.values() for sample in of_kind[:BY_TYPE]]


def texts(made: list[list[Any]]) -> Texts:
    """A text for every place."""
    return Texts(*("The notes:\n" + "\n".join(sample.text.strip() for sample in place) for place in made))


def shown(value: Any) -> Iterator[str]:
    """Every text of a value, those in JSON strings also without their escapes."""
    if isinstance(value, str):
        yield value
        if value.startswith(("{", "[")):
            yield from shown(json.loads(value))
    elif isinstance(value, dict | list | tuple):
        for item in value.values() if isinstance(value, dict) else value:
            yield from shown(item)


def everything(session: Any) -> str:
    return "\n".join(shown(msgspec.to_builtins(session)))


SECRETS = [lines_of(planted.planted(seed)) for seed in range(len(Texts._fields))]
LOOK_ALIKES = [lines_of(planted.look_alikes(seed)) for seed in range(len(Texts._fields))]
OPTIONS = Options(context_chars=100_000, response_chars=50_000)


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCUM_HOME", str(tmp_path_factory.mktemp("home")))


def test_every_format_has_a_writer() -> None:
    assert set(WRITERS) == {reader.name for reader in READERS}


@pytest.mark.parametrize("name", WRITERS)
def test_no_secret_is_left(tmp_path: Path, name: str) -> None:
    writer = WRITERS[name]
    logs = tmp_path / "logs"
    logs.mkdir()
    writer.write(logs, texts(SECRETS))
    secrets = [
        sample.secret
        for field, place in zip(Texts._fields, SECRETS, strict=True)
        if field in writer.places
        for sample in place
    ]
    reading = read_sources([logs], silent)
    assert set(reading.formats) == {name}
    read = "\n".join(map(everything, reading.sessions))
    assert [secret for secret in secrets if secret not in read] == []  # else nothing is tested
    redactor = Redactor("salt")
    redacted = "\n".join(everything(redactor.session(session)) for session in reading.sessions)
    assert [secret for secret in secrets if secret in redacted] == []

    folder = tmp_path / "dataset"
    assert extract([logs], folder, options=OPTIONS, allow_terms=RESTRICTED).stats.rows
    for file in tmp_path.rglob("*"):
        if file.is_file() and logs not in file.parents:
            raw = file.read_text(encoding="utf-8")
            written = [raw, *(f"{part}" for line in raw.splitlines() for part in decoded(line))]
            assert not [secret for secret in secrets if any(secret in text for text in written)], file


def decoded(line: str) -> Iterator[str]:
    try:
        yield from shown(json.loads(line))
    except ValueError:
        return


@pytest.mark.parametrize("name", WRITERS)
def test_look_alikes_survive(tmp_path: Path, name: str) -> None:
    writer = WRITERS[name]
    logs = tmp_path / "logs"
    logs.mkdir()
    writer.write(logs, texts(LOOK_ALIKES))
    sessions = read_sources([logs], silent).sessions
    for session in sessions:
        assert Redactor("salt").session(session) == session
    stats = extract([logs], tmp_path / "dataset", options=OPTIONS, allow_terms=RESTRICTED).stats
    assert not stats.redactions
    rows = "\n".join(
        everything(row) for split in ("train", "valid", "test") for row in read_rows(tmp_path / "dataset", split)
    )
    said = LOOK_ALIKES[Texts._fields.index("said")]
    read = "\n".join(map(everything, sessions))
    alike = [sample.text.strip() for sample in said if sample.text.strip() in read]
    assert len(alike) > len(said) / 2
    assert [text for text in alike if text not in rows] == []
