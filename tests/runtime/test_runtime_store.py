"""A name is one model or the one before, never half of each."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from locum import files
from locum.errors import NameTakenError, RunError
from locum.runtime import store
from locum.runtime.store import Card

pytestmark = pytest.mark.usefixtures("home")


def card(name: str = "mine", base: str = "tiny") -> Card:
    return Card(name=name, base=base, base_file="/models/base.gguf", sha256="0" * 64, run="/runs/mine")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "m.gguf"
    path.write_bytes(b"first")
    return path


def other(tmp_path: Path) -> Path:
    path = tmp_path / "other.gguf"
    path.write_bytes(b"second")
    return path


def test_what_is_put_is_found(home: Path, model: Path) -> None:
    assert not store.is_taken("mine")
    store.put(card(), model, force=False)
    assert store.is_taken("mine")
    path, found = store.find("mine")
    assert path.is_relative_to(home)
    assert path.read_bytes() == b"first"
    assert found == card()
    model.unlink()
    assert store.find("mine")[0].read_bytes() == b"first", "the run's file may go"


def test_what_is_removed_is_gone_and_the_runs_file_stays(home: Path, model: Path) -> None:
    store.put(card(), model, force=False)
    store.put(card("other"), model, force=False)
    store.remove("mine")
    assert store.names() == ["other"]
    assert [path.name for path in (home / "models").iterdir()] == ["other"]
    assert model.read_bytes() == b"first"
    with pytest.raises(RunError, match=r"no model named 'mine'.*there is: other"):
        store.remove("mine")


def test_where_files_cannot_be_linked_they_are_copied(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def other_disk(*args: object) -> None:
        raise OSError("invalid cross-device link")

    monkeypatch.setattr("os.link", other_disk)
    store.put(card(), model, force=False)
    model.write_bytes(b"changed")
    assert store.find("mine")[0].read_bytes() == b"first"


def test_a_taken_name_needs_force(tmp_path: Path, model: Path) -> None:
    store.put(card(), model, force=False)
    with pytest.raises(NameTakenError, match=r"'mine' exists already.*--force"):
        store.put(card(base="new"), other(tmp_path), force=False)
    assert store.find("mine")[1].base == "tiny"
    store.put(card(base="new"), other(tmp_path), force=True)
    path, found = store.find("mine")
    assert (path.read_bytes(), found.base) == (b"second", "new")


def test_a_crash_while_writing_leaves_the_model_of_before(
    home: Path, tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put(card(), model, force=False)
    with monkeypatch.context() as patched:

        def full(*args: object) -> None:
            raise OSError("no space left on device")

        patched.setattr(files, "write_json", full)
        with pytest.raises(OSError, match="no space"):
            store.put(card(base="new"), other(tmp_path), force=True)
        with pytest.raises(OSError, match="no space"):
            store.put(card("young"), other(tmp_path), force=False)
    path, found = store.find("mine")
    assert (path.read_bytes(), found.base) == (b"first", "tiny")
    assert store.names() == ["mine"]
    assert [child.name for child in (home / "models").iterdir()] == ["mine"]


def test_a_crash_in_the_middle_of_the_swap_leaves_the_model_of_before(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put(card(), model, force=False)
    rename = Path.rename

    def once(self: Path, target: Path) -> Path:
        if target.name == "mine" and "old" not in self.name:
            raise OSError("input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", once)
    with pytest.raises(OSError, match="input/output"):
        store.put(card(base="new"), other(tmp_path), force=True)
    path, found = store.find("mine")
    assert (path.read_bytes(), found.base) == (b"first", "tiny")


def test_a_missing_name_lists_what_there_is(model: Path) -> None:
    with pytest.raises(RunError, match=r"'absent'.*none yet.*locum demo"):
        store.find("absent")
    for name in ("b", "a"):
        store.put(card(name), model, force=False)
    with pytest.raises(RunError, match=r"'absent' .*\(there is: a, b\)"):
        store.find("absent")


@pytest.mark.parametrize(
    "name", ["", ".", "..", ".hidden", "-x", "a/b", "../x", "a b", "a:b", "é", "a" * 81, "a\n", "x\0"]
)
def test_names_that_cannot_name_a_model(name: str, model: Path) -> None:
    with pytest.raises(RunError, match="cannot name a model"):
        store.check_name(name)
    with pytest.raises(RunError, match="cannot name a model"):
        store.find(name)
    with pytest.raises(RunError, match="cannot name a model"):
        store.put(card(name), model, force=True)


@given(st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}", fullmatch=True))
def test_names_that_can(name: str) -> None:
    assert store.check_name(name) == name
    assert Path("models", name).parent == Path("models")


def test_the_platforms_folder_without_an_override(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOCUM_HOME")
    assert store.models_folder().name == "models"
    assert "locum" in str(store.models_folder())
