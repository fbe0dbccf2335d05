"""On a cluster the logs are read as here, to the byte; a node that would read them otherwise is refused."""

import json
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from ray_clusters import two_workers

from locum.dataset import cache, extract
from locum.errors import EngineError, SourceError
from locum.ray_data import RayData
from locum.sessions.scripted import write_sessions

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A cluster of two workers on this computer."""
    with two_workers() as found:
        yield found


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    write_sessions(tmp_path / "logs", 6, seed=1)
    (tmp_path / "logs" / "notes.txt").write_text("no log")
    return tmp_path / "logs"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.filterwarnings("ignore")
def test_a_cluster_reads_to_the_byte_what_one_computer_reads(
    address: str, logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    there = extract([logs], tmp_path / "there", each=RayData(address, cache.code))
    cache.forget_readings()
    here = extract([logs], tmp_path / "here")
    assert contents(tmp_path / "there") == contents(tmp_path / "here")
    assert there.stats == here.stats
    assert [skipped.reason for skipped in there.intake.skipped] == ["no known session format"]


@pytest.mark.filterwarnings("ignore")
def test_addresses_in_a_store_are_read_as_files_are(
    address: str, logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    stored = extract([logs.as_uri()], tmp_path / "stored", each=RayData(address, cache.code))
    local = extract([logs], tmp_path / "local")
    assert stored.stats.rows == local.stats.rows
    [first, *_] = (tmp_path / "stored" / "train.jsonl").read_text().splitlines()
    assert json.loads(first)["locum"]["source"].startswith(logs.as_uri())
    with pytest.raises(SourceError, match="nothing at file:"):
        extract([(tmp_path / "none").as_uri()], tmp_path / "no")
    with pytest.raises(SourceError, match="cannot open gopher:"):
        extract(["gopher://somewhere/logs"], tmp_path / "no")


@pytest.mark.filterwarnings("ignore")
def test_another_version_on_a_node_is_refused(
    address: str, logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    each = RayData(address, secrets.token_hex)  # says something else wherever it is asked
    with pytest.raises(EngineError, match="another version of Locum"):
        extract([logs], tmp_path / "no", each=each)
    assert not (tmp_path / "no").exists()


def test_nobody_there_is_told_at_once() -> None:
    for nowhere in ("127.0.0.1:9", "ray://127.0.0.1:9"):
        with pytest.raises(EngineError, match="no Ray cluster at"):
            RayData(nowhere, cache.code)
