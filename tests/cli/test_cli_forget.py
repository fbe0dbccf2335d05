"""`locum forget`: what goes, what is told, and that no folder of anybody else is touched."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from command import Command

from locum import files
from locum.cli.forget import carry_out
from locum.dataset.card import card
from locum.dataset.stats import LineCounts, Stats
from locum.dataset.store import encode_row, read_rows
from locum.errors import DatasetError
from locum.files import digest
from locum.runtime import store
from locum.types import Drop, Message, Row


def write_dataset(folder: Path, sessions: str, drops: str = "") -> Path:
    """A dataset with one training row for each letter."""
    rows = [
        Row(
            id=digest([name]),
            session=name,
            lineage=name.lower(),
            turn=0,
            family="reply",
            messages=(Message("user", f"asked in {name}"), Message("assistant", f"said in {name}")),
        )
        for name in sessions
    ]
    folder.mkdir(parents=True)
    (folder / "train.jsonl").write_bytes(b"".join(encode_row(row) + b"\n" for row in rows))
    for split in ("valid", "test"):
        (folder / f"{split}.jsonl").touch()
    files.write_jsonl(folder / "drops.jsonl", [Drop(name, 1, "copy", f"dropped in {name}") for name in drops])
    stats = Stats(
        files=1,
        sessions=len(sessions),
        lines=LineCounts(),
        noise={},
        unknown={},
        bad=(),
        turns=len(sessions) + len(drops),
        rows=len(sessions),
        drops={"copy": len(drops)} if drops else {},
        families={"reply": len(sessions)},
        splits={"train": len(sessions), "valid": 0, "test": 0},
        redactions={},
        formats={},
        narration=0,
        ordered_by="time",
        untimed=0,
        sessions_by_split={"train": len(sessions), "valid": 0, "test": 0},
        without_turns=0,
        context_chars=6000,
        response_chars=3000,
        shortened=0,
        tiers={"recorded": len(sessions)},
        models={"unknown/unknown": len(sessions)},
    )
    files.write_json(folder / "stats.json", stats)
    (folder / "README.md").write_text(card(stats), "utf-8")
    return folder


def write_run(run: Path, sessions: str, deployed: dict[str, Any] | None = None, drops: str = "") -> Path:
    """A finished run over such a dataset, with files in the places of adapter and model."""
    write_dataset(run / "dataset", sessions, drops)
    (run / "adapter").mkdir()
    (run / "adapter" / "adapter_config.json").write_text("{}")
    (run / "model").mkdir()
    (run / "model" / "hand.Q8_0.gguf").write_bytes(b"GGUF" + sessions.encode())
    for page in ("report.html", "report.md"):
        (run / page).write_text("a page")
    files.write_json(
        run / "manifest.json",
        {
            "digests": {
                "dataset/train.jsonl": files.sha256_file(run / "dataset" / "train.jsonl"),
                "dataset/test.jsonl": files.sha256_file(run / "dataset" / "test.jsonl"),
            },
            "deployed": deployed or {"engine": "none", "name": None},
        },
    )
    return run


def put(name: str, run: Path) -> None:
    model = run / "model" / "hand.Q8_0.gguf"
    store.put(store.Card(name, "base", "base.gguf", files.sha256_file(model), str(run)), model, force=False)


@pytest.fixture
def place(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "work"
    place.mkdir()
    monkeypatch.chdir(place)
    return place


def test_everything_below_here_and_every_stored_run_is_gone_through(place: Path, tmp_path: Path) -> None:
    apart = write_dataset(place / "data" / "old", "abc")
    run = write_run(place / "runs" / "one", "ab", {"engine": "ollama", "name": "my hand"})
    innocent = write_run(place / "runs" / "two", "c")
    far = write_run(tmp_path / "far" / "run", "ad")
    put("far-hand", far)
    put("two-hand", innocent)
    done = carry_out("a", [], [], lineage=False)
    assert [(Path(gone.dataset), gone.rows) for gone in done["datasets"]] == [
        (far / "dataset", 1),
        (apart, 1),
        (run / "dataset", 1),
    ]
    assert [[row.session for row in read_rows(folder, "train")] for folder in (apart, run / "dataset")] == [
        ["b", "c"],
        ["b"],
    ]
    by_run = {Path(holder.run): holder for holder in done["holders"]}
    assert set(by_run) == {far, run}
    assert by_run[run].adapter == str(run / "adapter")
    assert by_run[run].model_files == (str(run / "model" / "hand.Q8_0.gguf"),)
    assert by_run[run].derived == (str(run / "report.html"), str(run / "report.md"))
    assert by_run[run].remove == f"rm -r {run}"
    assert [(named.name, named.remove) for named in by_run[run].deployed] == [("my hand", "ollama rm 'my hand'")]
    assert [named.name for named in by_run[far].deployed] == ["far-hand"]
    assert by_run[far].deployed[0].remove == f"rm -r {store.models_folder() / 'far-hand'}"
    assert done["unclear"] == ()
    assert (run / "model" / "hand.Q8_0.gguf").exists(), "models are told of, never deleted"


def test_again_it_changes_nothing_and_tells_the_same_holders(place: Path) -> None:
    run = write_run(place / "run", "ab")
    put("hand", run)
    first = carry_out("a", [], [], lineage=False)
    manifest = (run / "manifest.json").read_bytes()
    second = carry_out("a", [], [], lineage=False)
    assert (second["datasets"], second["already"]) == ([], [str(run / "dataset")])
    assert second["holders"] == first["holders"] != ()
    assert (run / "manifest.json").read_bytes() == manifest


def test_a_run_whose_rows_are_elsewhere_is_known_by_their_digest(place: Path) -> None:
    shared = write_dataset(place / "shared", "ab")
    run = write_run(place / "run", "ab")
    shutil.rmtree(run / "dataset")
    other = write_run(place / "other", "c")
    shutil.rmtree(other / "dataset")
    assert [Path(holder.run) for holder in carry_out("a", [], [], lineage=False)["holders"]] == [run]
    assert [Path(holder.run) for holder in carry_out("a", [], [], lineage=False)["holders"]] == [run]
    assert [row.session for row in read_rows(shared, "train")] == ["b"]


def test_a_stored_model_of_another_run_with_the_same_file_is_named(place: Path) -> None:
    run = write_run(place / "run", "a")
    put("hand", run)
    moved = run.rename(place / "moved")
    done = carry_out("a", [], [], lineage=False)
    assert [(Path(holder.run), [named.name for named in holder.deployed]) for holder in done["holders"]] == [
        (moved, ["hand"])
    ]


def test_a_stored_model_whose_run_is_gone_is_told_as_unclear(place: Path) -> None:
    write_dataset(place / "data", "a")
    run = write_run(place / "run", "b")
    put("hand", run)
    shutil.rmtree(run)
    done = carry_out("a", [], [], lineage=False)
    assert done["holders"] == ()
    assert [named.name for named in done["unclear"]] == ["hand"]


def test_drops_alone_taint_the_report_and_no_model(place: Path) -> None:
    run = write_run(place / "run", "b", drops="a")
    for _ in range(2):
        (holder,) = carry_out("a", [], [], lineage=False)["holders"]
        assert (holder.adapter, holder.model_files) == (None, ())
        assert holder.remove == f"rm -r {run / 'report.html'} {run / 'report.md'}"


def test_given_folders_are_all_that_is_touched(place: Path) -> None:
    one, two = write_dataset(place / "one", "ab"), write_dataset(place / "two", "ab")
    carry_out("a", [one], [], lineage=False)
    assert [len(read_rows(folder, "train")) for folder in (one, two)] == [1, 2]
    carry_out("a", [], [place / "two"], lineage=False)
    assert len(read_rows(two, "train")) == 1
    with pytest.raises(DatasetError, match="neither a dataset nor a run"):
        carry_out("a", [place], [], lineage=False)


def test_a_stored_models_run_that_was_not_named_is_told_and_left_alone(place: Path, tmp_path: Path) -> None:
    one, far = write_dataset(place / "one", "ab"), write_run(tmp_path / "far", "ab")
    put("far-hand", far)
    done = carry_out("a", [one], [], lineage=False)
    assert [gone.dataset for gone in done["datasets"]] == [str(one)]
    assert done["left"] == [str(far / "dataset")]
    assert [holder.run for holder in done["holders"]] == [str(far)]
    assert len(read_rows(far / "dataset", "train")) == 2
    # Without any folder it goes out of all that is known.
    assert carry_out("a", [], [], lineage=False)["left"] == []
    assert len(read_rows(far / "dataset", "train")) == 1


def test_links_and_hidden_folders_are_not_followed(place: Path, tmp_path: Path) -> None:
    outside, hidden = write_dataset(tmp_path / "outside", "ab"), write_dataset(place / ".hidden" / "data", "ab")
    (place / "link").symlink_to(outside, target_is_directory=True)
    with pytest.raises(DatasetError, match="none of 0 datasets"):
        carry_out("a", [], [], lineage=False)
    assert [len(read_rows(folder, "train")) for folder in (outside, hidden)] == [2, 2]


def test_a_lineage_takes_all_of_it(place: Path) -> None:
    data = write_dataset(place / "data", "aAb")
    done = carry_out("A", [], [], lineage=False)
    assert done["datasets"][0].kin_left == 1
    assert carry_out("A", [], [], lineage=True)["already"], "its lineage is known no more, it is merely harmless"
    carry_out("a", [], [], lineage=True)
    assert [row.session for row in read_rows(data, "train")] == ["b"]


def test_the_command_says_it_in_words_and_in_json(locum: Command) -> None:
    run = write_run(locum.folder / "run", "ab")
    unknown = locum("forget", "nobody")
    assert "none of 1 datasets holds or held a session 'nobody'" in unknown.error
    said = locum("forget", "a", "--json")
    answer = json.loads(said.out)
    assert said.code == 0
    assert answer["datasets"][0]["rows"] == 1
    assert answer["holders"][0]["adapter"] == str(run / "adapter")
    again = locum("forget", "a")
    assert again.code == 0
    assert f"forgotten before in {run / 'dataset'}" in again.out
    assert f"remove it: rm -r {run}" in again.out
    assert "asked in a" not in said.out + said.err + again.out + again.err
