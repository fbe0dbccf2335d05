"""Essays: what is one and what is not, how long ones are cut, and where every line goes."""

from pathlib import Path

import pytest
from claude_log import adds_up
from growth import assert_grows_with_size
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from locum.sessions.essay import Essay
from locum.sessions.reader import FileReading
from locum.sessions.registry import reader_of

SENTENCE = "I keep a lamp lit at the edge of the water, and I think about the ships that never come near it. "
PARAGRAPH = SENTENCE * 3
THEIRS = PARAGRAPH.replace("I ", "they ")
BODY = "\n\n".join([PARAGRAPH] * 4)
DATED = '---\ntitle: "On Lamps"\ndate: 2026-02-28\ndraft: false\n---\n\n'


def write(folder: Path, text: str, name: str = "lamps.md") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def read(path: Path) -> FileReading:
    reader = reader_of(path)
    assert isinstance(reader, Essay)
    reading = reader.read(path)
    adds_up(reading)
    assert reading.lines.total == len(path.read_bytes().splitlines())
    return reading


def test_a_short_essay_is_one_post_under_its_title(tmp_path: Path) -> None:
    reading = read(write(tmp_path, f"{DATED}{BODY}\n"))
    (session,) = reading.sessions
    (message,) = session.messages
    assert (session.id, session.format, session.started) == ("lamps", "essay", "2026-02-28T00:00:00.000Z")
    assert (message.role, message.origin, message.time) == ("assistant", "agent", "2026-02-28T00:00:00.000Z")
    assert message.content.startswith(f"# On Lamps\n\n{SENTENCE}")
    assert (reading.lines.used, reading.lines.noise) == (4, {"blank": 4, "front matter": 5})


def test_a_title_alone_needs_the_first_person(tmp_path: Path) -> None:
    path = write(tmp_path, f"# On Lamps\n\n{BODY}\n")
    (session,) = read(path).sessions
    assert session.messages[0].content == f"# On Lamps\n\n{BODY}".replace(" \n", "\n").strip()
    assert session.started is None
    assert reader_of(write(tmp_path, "# On Lamps\n\n" + "\n\n".join([THEIRS] * 4))) is None
    assert reader_of(write(tmp_path, DATED + "\n\n".join([THEIRS] * 4))) is not None


def test_a_long_essay_becomes_posts_that_fit_a_response(tmp_path: Path) -> None:
    sections = [f"## Part {n}\n\n{PARAGRAPH}\n\n{PARAGRAPH}" for n in range(3)]
    many = "\n\n".join([PARAGRAPH] * 12)
    text = f"# On Lamps\n\n{PARAGRAPH}\n\n---\n\nShort.\n\n***\n\n{PARAGRAPH}\n\n" + "\n\n".join([*sections, many])
    reading = read(write(tmp_path, text))
    (session,) = reading.sessions
    posts = [message.content for message in session.messages]
    assert len(posts) > 5
    assert max(map(len, posts)) < 3000
    assert posts[0] == f"# On Lamps\n\n{PARAGRAPH.strip()}"
    assert posts[1] == f"Short.\n\n{PARAGRAPH.strip()}"
    assert [post[:9] for post in posts if post.startswith("##")] == ["## Part 0", "## Part 1", "## Part 2"]
    assert reading.lines.noise["break"] == 2
    said = [line for post in posts for line in post.splitlines() if line]
    written = [line.strip() for line in text.splitlines() if line.strip() not in ("", "---", "***")]
    assert said == written


def test_copies_of_an_essay_share_a_lineage(tmp_path: Path) -> None:
    one = read(write(tmp_path, f"# On Lamps\n\n{BODY}\n", "draft.md")).sessions[0]
    other = read(write(tmp_path, f"{DATED}{BODY}\n", "published.md")).sessions[0]
    another = read(write(tmp_path, f"# On Water\n\n{BODY}\n", "other.md")).sessions[0]
    assert one.lineage == other.lineage != another.lineage


LISTS = "\n".join(f"- I keep lamp {n} lit at the edge of the water every night" for n in range(30))
NOT_ESSAYS = {
    "readme": f"# lamps\n\n{BODY}\n\n## Installation\n\n{PARAGRAPH}",
    "badges": f'<div align="center">\n\n# lamps\n\n</div>\n\n{BODY}',
    "named after a file": f"# AGENTS.md\n\n{BODY}",
    "soul": f"# SOUL.md - Who You Are\n\n_You're not a chatbot._\n\n{BODY}",
    "instructions": f"# Keeper\n\nYou are the keeper of the lamp. {PARAGRAPH}\n\n{BODY}",
    "claude": f"# The lamps\n\nThis file provides guidance to whoever keeps them. {PARAGRAPH}\n\n{BODY}",
    "skill": f"---\nname: lamps\ndescription: keeps lamps\n---\n\n# Lamps\n\n{BODY}",
    "rule": f"---\ntitle: Lamps\ndate: 2026-01-01\nglobs: '*.ts'\n---\n\n{BODY}",
    "lists": f"# Lamps\n\n{PARAGRAPH}\n\n{LISTS}\n\n{PARAGRAPH}\n\n{LISTS}\n\n{PARAGRAPH}",
    "code": f"# Lamps\n\n{BODY}\n\n```python\n" + "lamp = 1\n" * 60 + "```",
    "table": f"# Lamps\n\n{BODY}\n\n" + "| a | b |\n" * 60,
    "no title": BODY,
    "short": f"# Lamps\n\n{SENTENCE}",
    "one paragraph": f"# Lamps\n\n{PARAGRAPH * 5}",
    "script": "# Keeps the lamps, as I like it.\n\n"
    + "\n\n".join(f"# I do this.\nlamp({n}) = my[{n}]" for n in range(60)),
    "log": "\n".join(f"2026-01-01 I lit lamp {n}" for n in range(60)),
}


@pytest.mark.parametrize("kind", NOT_ESSAYS)
def test_what_is_no_essay_is_left_alone(kind: str, tmp_path: Path) -> None:
    assert reader_of(write(tmp_path, NOT_ESSAYS[kind])) is None


def test_a_chat_with_aider_is_asked_for_first(tmp_path: Path) -> None:
    text = f"# aider chat started at 2026-01-01 10:00:00\n\n#### I want lamps  \n\n{BODY}\n\n> Tokens: 1 sent  \n"
    reader = reader_of(write(tmp_path, text))
    assert reader is not None
    assert reader.name == "aider"


def test_a_line_that_is_no_text_is_bad_and_its_post_unreadable(tmp_path: Path) -> None:
    path = tmp_path / "lamps.md"
    long = "\n\n".join([PARAGRAPH.strip()] * 12).encode()
    path.write_bytes(b"# On Lamps\n\n" + long + b"\n\nI \xff lamps.\n")
    reading = Essay().read(path)
    adds_up(reading)
    assert [(bad.line, bad.reason) for bad in reading.lines.bad] == [(27, "not UTF-8")]
    (session,) = reading.sessions
    assert [message.signals for message in session.messages][-1] == ("unreadable",)
    assert session.messages[0].signals == ()


@pytest.mark.parametrize("piece", ["# ", "](", "- ", "a-", ". ", "_", "x:", "    ", "# a\n", "`", "\n"])
def test_hostile_texts_cost_no_more_than_others(piece: str, tmp_path: Path) -> None:
    def work(times: int) -> None:
        path = write(tmp_path, f"# On Lamps\n\n{BODY}\n\n{piece * times}x")
        Essay().detects(path.read_bytes()[: 1 << 16], path)
        adds_up(Essay().read(path))

    assert_grows_with_size(work, 100_000)


PIECES = st.sampled_from(
    [
        PARAGRAPH,
        "## Part",
        "# Part",
        "---",
        "***",
        "- a list",
        "```\ncode\n```",
        "```",
        "> said",
        "",
        "    x",
        "\x0c",
        "# ",
    ]
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    start=st.sampled_from(["", DATED, "# On Lamps\n\n", "+++\ntitle = 'x'\n+++\n", "---\ntitle: x\n"]),
    pieces=st.lists(PIECES | st.text(max_size=9), max_size=12),
    at=st.integers(0, 3000),
    junk=st.binary(max_size=4),
    gone=st.integers(0, 50),
)
def test_any_text_is_read_and_every_line_has_one_fate(
    tmp_path: Path, start: str, pieces: list[str], at: int, junk: bytes, gone: int
) -> None:
    raw = (start + "\n\n".join(pieces)).encode()
    raw = raw[:at] + junk + raw[at + gone :]
    path = tmp_path / "any.md"
    path.write_bytes(raw)
    Essay().detects(raw, path)
    reading = Essay().read(path)
    adds_up(reading)
    assert reading.lines.total == raw.count(b"\n") + (not raw.endswith(b"\n") and bool(raw))
