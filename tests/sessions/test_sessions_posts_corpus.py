"""Real essays, and an archive in the shape of a real one. See session-formats.md §14, case 16."""

import json
from itertools import pairwise
from pathlib import Path

import pytest
from claude_log import adds_up

from locum.progress import silent
from locum.sessions import read_sources
from locum.sessions.registry import reader_of
from locum.types import Session

DATA = Path(__file__).parents[2].parent / "shared" / "data"
pytestmark = [
    pytest.mark.corpus,
    pytest.mark.skipif(not DATA.is_dir(), reason="the corpus does not stand beside the checkout"),
]
OURS = {"essay", "opencode", "x_archive"}


def test_only_essays_and_archives_are_taken_for_them() -> None:
    taken: dict[str, set[str]] = {}
    for path in DATA.rglob("*"):
        if path.is_file() and (reader := reader_of(path)) and reader.name in OURS:
            taken.setdefault(reader.name, set()).add(str(path.parent.relative_to(DATA)))
    assert taken == {"essay": {"axiom/writing"}, "x_archive": {"twitter_archive_synth/data"}}


def test_every_essay_is_read_whole() -> None:
    files = sorted((DATA / "axiom" / "writing").glob("*.md"))
    reading = read_sources([DATA / "axiom" / "writing"], silent)
    assert (reading.formats, reading.skipped) == ({"essay": len(files)}, ())
    assert len(reading.sessions) == len(files) == 78
    assert set(reading.lines.noise) <= {"blank", "break", "front matter", "title"}
    assert not reading.lines.unknown
    assert not reading.lines.bad
    posts = [message for session in reading.sessions for message in session.messages]
    assert all((post.role, post.origin) == ("assistant", "agent") for post in posts)
    assert max(len(post.content) for post in posts) < 3000
    for session in reading.sessions:
        said = "\n".join(message.content for message in session.messages)
        text = Path(session.source).read_text(encoding="utf-8")
        body = text.split("---\n", 2)[2] if text.startswith("---\n") else text
        assert all(line.rstrip() in said for line in body.splitlines() if line.rstrip() not in ("---", "***"))


def archive() -> dict[str, Session]:
    return {session.id: session for session in read_sources([DATA / "twitter_archive_synth"], silent).sessions}


def test_an_archive_says_what_its_files_say() -> None:
    folder = DATA / "twitter_archive_synth" / "data"
    raw = [item["tweet"] for item in json.loads((folder / "tweets.js").read_text(encoding="utf-8").split("=", 1)[1])]
    own = {tweet["id_str"]: tweet for tweet in raw if not tweet["full_text"].startswith("RT @")}
    reading = read_sources([folder], silent)
    assert [skipped.path for skipped in reading.skipped] == [str(folder / "account.js")]
    assert reading.lines.noise == {"retweet": len(raw) - len(own)}
    assert not reading.lines.unknown
    assert not reading.lines.bad
    posts = {message.id: message for session in reading.sessions for message in session.messages}
    assert posts.keys() == own.keys()
    assert not any("https://t.co/" in post.content or "&amp;" in post.content for post in posts.values())
    assert not any(post.signals for post in posts.values())
    for session in reading.sessions:
        ids = [message.id for message in session.messages]
        assert own[ids[0] or ""].get("in_reply_to_status_id_str") is None
        for before, after in pairwise(ids):
            assert own[after or ""]["in_reply_to_status_id_str"] == before


def test_every_note_is_the_text_of_its_post() -> None:
    folder = DATA / "twitter_archive_synth" / "data"
    notes = json.loads((folder / "note-tweet.js").read_text(encoding="utf-8").split("=", 1)[1])
    said = {message.content for session in archive().values() for message in session.messages}
    assert {item["noteTweet"]["core"]["text"].strip() for item in notes} <= said


@pytest.mark.parametrize("folder", ["axiom/writing", "twitter_archive_synth/data"])
def test_cut_files_stop_nothing(folder: str, tmp_path: Path) -> None:
    for path in sorted((DATA / folder).iterdir())[:8]:
        if (reader := reader_of(path)) is None or path.name == "account.js":
            continue
        raw = path.read_bytes()
        for part in (1, 3, 7, 9):
            cut = tmp_path / path.name
            cut.write_bytes(raw[: len(raw) * part // 10])
            adds_up(reader.read(cut))
