"""X archives: threads, retweets, replies, notes, links, edits; and what of an archive is never opened."""

import json
from pathlib import Path
from typing import Any

import pytest
from claude_log import adds_up
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from locum.dataset.families import family_of
from locum.dataset.legibility import judge
from locum.dataset.turns import Turn, steps
from locum.errors import SourceError
from locum.progress import silent
from locum.sessions import read_sources
from locum.sessions.reader import FileReading
from locum.sessions.registry import reader_of
from locum.sessions.x_archive import XArchive
from locum.types import Message, Session

LONG = "A long thought about lighthouses and the people who keep them lit. " * 8


def tweet(id_: int, text: str, to: int | None = None, **more: Any) -> dict[str, Any]:
    own: dict[str, Any] = {
        "id_str": str(id_),
        "full_text": text,
        "created_at": f"Wed Mar 04 12:{id_ % 60:02}:00 +0000 2026",
        "entities": {"urls": [], "user_mentions": []},
        "display_text_range": ["0", str(len(text))],
        "truncated": False,
        "retweeted": False,
        "edit_info": {"initial": {"editTweetIds": [str(id_)]}},
    }
    if to is not None:
        own |= {"in_reply_to_status_id_str": str(to), "in_reply_to_screen_name": "keeper"}
    return {"tweet": own | more}


def note(text: str, minute: int, **core: Any) -> dict[str, Any]:
    created = f"2026-03-04T12:{minute:02}:01.000Z"
    return {"noteTweet": {"noteTweetId": "9", "createdAt": created, "core": {"text": text, "urls": [], **core}}}


def write(path: Path, items: list[Any], kind: str = "tweets") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"window.YTD.{kind}.part0 = {json.dumps(items, indent=2)}", encoding="utf-8")
    return path


def read(path: Path) -> FileReading:
    reader = reader_of(path)
    assert isinstance(reader, XArchive)
    reading = reader.read(path)
    adds_up(reading)
    return reading


def posts(reading: FileReading) -> list[list[Message]]:
    return [list(session.messages) for session in reading.sessions]


def one(path: Path, *items: Any) -> Message:
    ((message,),) = posts(read(write(path, list(items))))
    return message


def outcomes(session: Session) -> list[str | None]:
    turns = [step for step in steps(session) if isinstance(step, Turn)]
    return [judge(session, turn, copied=False, response_chars=3000) or family_of(session, (), turn) for turn in turns]


def test_a_thread_is_one_session_and_its_posts_are_posts(tmp_path: Path) -> None:
    items = [tweet(13, "Third.", 12), tweet(20, "Alone."), tweet(11, "First."), tweet(12, "Second.", 11)]
    reading = read(write(tmp_path / "tweets.js", items))
    thread, alone = reading.sessions
    assert [message.content for message in thread.messages] == ["First.", "Second.", "Third."]
    assert (thread.id, thread.lineage, thread.started) == ("11", "x_archive:11", "2026-03-04T12:11:00.000Z")
    assert [message.id for message in alone.messages] == ["20"]
    assert {(m.role, m.origin) for m in thread.messages} == {("assistant", "agent")}
    assert outcomes(thread) == ["post", "post", "post"]
    assert (reading.lines.total, reading.lines.used) == (4, 4)


def test_a_retweet_is_noise_whatever_its_flag_says(tmp_path: Path) -> None:
    reading = read(write(tmp_path / "tweets.js", [tweet(1, "RT @other: not mine"), tweet(2, "Mine.")]))
    assert reading.lines.noise == {"retweet": 1}
    assert len(reading.sessions) == 1


def test_what_answers_somebody_else_drops_as_unreadable_with_all_that_follows(tmp_path: Path) -> None:
    items = [tweet(1, "@other Yes.", 777), tweet(2, "@keeper And more.", 1), tweet(3, "Free.")]
    reply, free = read(write(tmp_path / "tweets.js", items)).sessions
    assert outcomes(reply) == ["unreadable", "unreadable"]
    assert outcomes(free) == ["post"]


def test_names_before_a_reply_go_where_the_text_begins_after_them(tmp_path: Path) -> None:
    path = tmp_path / "tweets.js"
    named = tweet(2, "@keeper @other @typed hello", 1, display_text_range=["15", "27"])
    ((_, message),) = posts(read(write(path, [tweet(1, "First."), named])))
    assert message.content == "@typed hello"
    ((_, message),) = posts(read(write(path, [tweet(1, "First."), tweet(2, "@keeper hi", 1, display_text_range=None)])))
    assert message.content == "hi"
    assert one(path, tweet(1, "@other a greeting is no reply")).content == "@other a greeting is no reply"


def test_entities_and_links_read_as_they_were_typed(tmp_path: Path) -> None:
    urls = [{"url": "https://t.co/abc", "expanded_url": "https://example.org/?a=1&copy=2"}]
    media = [{"url": "https://t.co/pic", "type": "photo"}]
    made = tweet(1, "1 &lt; 2 &amp;amp; https://t.co/abc https://t.co/pic", entities={"urls": urls, "media": media})
    message = one(tmp_path / "tweets.js", made)
    assert message.content == "1 < 2 &amp; https://example.org/?a=1&copy=2"
    assert message.signals == ()


def test_a_picture_or_a_quotation_alone_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "tweets.js"
    media = [{"url": "https://t.co/pic", "type": "photo"}]
    assert one(path, tweet(1, "https://t.co/pic", entities={"media": media})).signals == ("unreadable",)
    quoted = [{"url": "https://t.co/q", "expanded_url": "https://x.com/other/status/777?s=20"}]
    assert one(path, tweet(1, "So true https://t.co/q", entities={"urls": quoted})).signals == ("unreadable",)
    own = [{"url": "https://t.co/q", "expanded_url": "https://twitter.com/keeper/status/1"}]
    (_, (again,)) = posts(
        read(write(path, [tweet(1, "First."), tweet(2, "See https://t.co/q", entities={"urls": own})]))
    )
    assert again.signals == ()


def test_a_note_replaces_the_text_that_was_cut(tmp_path: Path) -> None:
    links = [{"shortUrl": "https://t.co/abc", "expandedUrl": "https://example.org"}]
    whole = f"See https://t.co/abc &amp; read. {LONG}"
    cut = f"See https://t.co/zzz &amp; read. {LONG}"[:270] + "…"
    tweets = write(tmp_path / "tweets.js", [tweet(1, cut), tweet(30, cut)])
    notes = write(
        tmp_path / "note-tweet.js",
        [note(whole, 1, urls=links), note("Gone.", 5), note("Other " + LONG, 1), {"noteTweet": {"core": {}}}],
        "note_tweet",
    )
    (first,), (second,) = posts(read(tweets))
    assert first.content == f"See https://example.org & read. {LONG}".strip()
    assert first.signals == ()
    assert second.signals == ("truncated",)
    reading = read(notes)
    assert reading.sessions == ()
    assert (reading.lines.total, reading.lines.used) == (4, 1)
    assert reading.lines.noise == {"note without its tweet": 2}
    assert reading.lines.unknown == {"note without text and time": 1}
    assert str(notes) in read(tweets).beside


def test_an_ellipsis_in_a_short_post_cuts_nothing(tmp_path: Path) -> None:
    assert one(tmp_path / "tweets.js", tweet(1, "Well…")).signals == ()


def test_the_last_version_of_an_edited_post_counts(tmp_path: Path) -> None:
    ids = {"editTweetIds": ["1", "2"]}
    items = [
        tweet(1, "Frist.", edit_info={"initial": ids}),
        tweet(2, "First.", edit_info={"edit": {"initialTweetId": "1", "editControlInitial": ids}}),
        tweet(3, "Second.", 1),
    ]
    reading = read(write(tmp_path / "tweets.js", items))
    ((first, second),) = posts(reading)
    assert (first.content, second.content) == ("First.", "Second.")
    assert reading.lines.noise == {"edited later": 1}


def test_a_thread_goes_on_in_another_part(tmp_path: Path) -> None:
    first = write(tmp_path / "tweets.js", [tweet(1, "First.")])
    second = write(tmp_path / "tweets-part1.js", [tweet(2, "Second.", 1), tweet(1, "First.")])
    reading = read_sources([tmp_path], silent)
    ((one, other),) = (session.messages for session in reading.sessions)
    assert (one.content, other.content) == ("First.", "Second.")
    assert read(first).lines.used == 1
    assert (read(second).lines.used, read(second).lines.noise) == (1, {"copy": 1})


def test_replies_in_a_circle_end(tmp_path: Path) -> None:
    items = [tweet(1, "a", 3), tweet(2, "b", 1), tweet(3, "c", 2), tweet(4, "d", 4), tweet(5, "e", 2)]
    reading = read(write(tmp_path / "tweets.js", items))
    assert sorted(len(thread) for thread in posts(reading)) == [1, 4]


def test_a_long_thread_takes_no_long_time(tmp_path: Path) -> None:
    items = [tweet(n, "x", n - 1 if n > 1 else None) for n in range(5_000, 0, -1)]
    ((*thread,),) = posts(read(write(tmp_path / "tweets.js", items)))
    assert len(thread) == 5_000


@pytest.mark.parametrize("kind", ["direct_messages", "account", "deleted_tweets", "like", "email_address_change"])
def test_private_files_are_refused_with_the_reason(kind: str, tmp_path: Path) -> None:
    path = write(tmp_path / "tweets.js", [{"tweet": {"id_str": "1", "full_text": "for no eyes"}}], kind)
    with pytest.raises(SourceError, match="of an X archive only tweets and note-tweets are read"):
        read_sources([path], silent)
    write(tmp_path / "tweet.js", [tweet(1, "Mine.")])
    reading = read_sources([tmp_path], silent)
    assert [skipped.path for skipped in reading.skipped] == [str(path)]
    assert "for no eyes" not in str(reading)


def test_no_file_is_opened_for_its_name_or_behind_a_link(tmp_path: Path) -> None:
    """A file beside the tweets counts as notes only if it says that it holds them, and lies there itself."""
    cut = LONG[:270] + "…"
    tweets = write(tmp_path / "data" / "tweets.js", [tweet(1, cut)])
    beside = tmp_path / "data" / "note-tweet.js"
    write(beside, [note(LONG, 1)], "direct_messages")
    assert posts(read(tweets))[0][0].signals == ("truncated",)
    beside.unlink()
    beside.symlink_to(write(tmp_path / "elsewhere" / "note-tweet.js", [note(LONG, 1)], "note_tweet"))
    assert posts(read(tweets))[0][0].signals == ("truncated",)


def test_what_is_no_tweet_is_bad_and_stops_nothing(tmp_path: Path) -> None:
    items: list[Any] = [tweet(1, "One."), {"tweet": {"id_str": "x", "full_text": "y"}}, 5, {"tweet": []}]
    path = write(tmp_path / "tweets.js", [*items, tweet(2, "Two.")])
    reading = read(path)
    assert len(reading.sessions) == 2
    assert [bad.line for bad in reading.lines.bad] == [2, 3, 4]
    path.write_text(path.read_text()[:-90])
    reading = read(path)
    assert len(reading.sessions) == 1
    assert [bad.line for bad in reading.lines.bad] == [2, 3, 4, 5]


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=6), inner, max_size=2),
    max_leaves=4,
)
ID = st.sampled_from(["1", "2", "3", "9" * 30]) | JSON
TEXT = st.sampled_from(["hi", "RT @a: b", "@a @b hi", LONG[:270] + "…", "https://t.co/x"]) | JSON
LINKS = st.lists(st.fixed_dictionaries({"url": TEXT, "expanded_url": TEXT}) | JSON, max_size=2) | JSON
TWEET: st.SearchStrategy[Any] = st.fixed_dictionaries(
    {"id_str": ID, "full_text": TEXT},
    optional={
        "created_at": st.sampled_from(["Wed Mar 04 12:00:00 +0000 2026", "Wed Xyz 99 99:00:00 +0000 2026"]) | JSON,
        "in_reply_to_status_id_str": ID,
        "entities": st.fixed_dictionaries({"urls": LINKS, "media": LINKS}) | JSON,
        "display_text_range": st.lists(ID, max_size=2) | JSON,
        "edit_info": st.fixed_dictionaries({"initial": st.fixed_dictionaries({"editTweetIds": st.lists(ID)})}) | JSON,
        "truncated": JSON,
    },
)
NOTE: st.SearchStrategy[Any] = st.fixed_dictionaries(
    {"createdAt": st.just("2026-03-04T12:00:00.000Z") | JSON, "core": st.fixed_dictionaries({"text": TEXT}) | JSON}
)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    tweets=st.lists(st.fixed_dictionaries({"tweet": TWEET}) | TWEET | JSON, max_size=5),
    notes=st.lists(st.fixed_dictionaries({"noteTweet": NOTE}) | JSON, max_size=3),
    data=st.data(),
)
def test_any_archive_is_read_and_every_record_has_one_fate(
    tmp_path: Path, tweets: list[Any], notes: list[Any], data: st.DataObject
) -> None:
    path = write(tmp_path / "tweets.js", tweets)
    beside = write(tmp_path / "note-tweet.js", notes, "note_tweet")
    for file in (path, beside):
        if data.draw(st.booleans()):
            raw = file.read_bytes()
            at = data.draw(st.integers(raw.index(b"["), len(raw)))
            file.write_bytes(raw[:at] + data.draw(st.binary(max_size=4)) + raw[at + data.draw(st.integers(0, 40)) :])
    reading = XArchive().read(path)
    adds_up(reading)
    adds_up(XArchive().read(beside))
    assert sum(len(session.messages) for session in reading.sessions) == reading.lines.used
