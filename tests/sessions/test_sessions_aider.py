"""Aider's chat histories: who wrote which line, commands, failed edits, interrupts, undone commits."""

from pathlib import Path

import pytest
from claude_log import adds_up

from locum.sessions.aider import Aider
from locum.sessions.reader import FileReading
from locum.sessions.registry import reader_of

HEADER = """
# aider chat started at 2026-01-02 10:00:00

> aider --model x  
> Aider v0.60.0  
> Main model: claude-x with diff edit format  
> Repo-map: using 1024 tokens  
"""
COUNTED = "\n> Tokens: 1,000 sent, 20 received. Cost: $0.01 message, $0.01 session.  \n"


def asked(*lines: str) -> str:
    return "\n" + "".join(f"#### {line}  \n" for line in lines)


def read(folder: Path, text: str) -> FileReading:
    path = folder / "history.md"
    path.write_bytes(text.encode())
    reader = reader_of(path)
    assert isinstance(reader, Aider)
    reading = reader.read(path)
    adds_up(reading)
    assert reading.lines.total == len(text.split("\n")) - text.endswith("\n")
    assert not reading.lines.bad
    return reading


def told(reading: FileReading) -> list[list[tuple[str, str]]]:
    return [[(message.origin, message.content) for message in session.messages] for session in reading.sessions]


def test_a_chat_is_a_session(tmp_path: Path) -> None:
    answer = "\nI think so.\n\n> quoted, by the model\n#### A heading\n\nDone.\n"
    reading = read(tmp_path, HEADER + asked("Is it", "ready?") + answer + COUNTED + "> Commit abcdef1 feat: x  \n")
    (session,) = reading.sessions
    assert told(reading) == [[("human", "Is it\nready?"), ("agent", answer.strip())]]
    assert (session.started, session.model, session.provider) == ("2026-01-02T10:00:00.000Z", "claude-x", "anthropic")
    assert session.id == "history:2"
    assert reading.lines.used == 2 + answer.count("\n") - 1
    assert reading.lines.noise == {"blank": 5, "console": 6, "header": 1}


def test_every_header_begins_a_chat(tmp_path: Path) -> None:
    one = HEADER + asked("hi") + "\nHello.\n" + COUNTED
    reading = read(tmp_path, "> the end of an older chat  \n" + one + HEADER + one.replace("10:00:00", "11:00:00"))
    assert [s.id for s in reading.sessions] == ["history:3", "history:23"]
    assert reading.sessions[0].lineage != reading.sessions[1].lineage


def test_output_of_several_lines_is_no_answer(tmp_path: Path) -> None:
    output = "> diff --git a b  \n> index 1\n--- a\n+++ b\n\nmore of it\n"
    reading = read(
        tmp_path, HEADER + "> Here is the map\n\nsrc/a.py:\n" + asked("/diff") + output + asked("hi") + "\nHi.\n"
    )
    assert told(reading) == [[("human", "hi"), ("agent", "Hi.")]]
    assert reading.lines.noise["command"] == 1


@pytest.mark.parametrize(("command", "text"), [("/ask why?", "why?"), ("/code do it", "do it"), ("/architect x", "x")])
def test_commands_that_talk_to_the_model(tmp_path: Path, command: str, text: str) -> None:
    assert told(read(tmp_path, HEADER + asked(command) + "\nSo.\n" + COUNTED)) == [[("human", text), ("agent", "So.")]]


@pytest.mark.parametrize("command", ["/run ls", "/add a.py", "!ls", "<blank>", "/undo"])
def test_commands_that_do_not(tmp_path: Path, command: str) -> None:
    reading = read(tmp_path, HEADER + asked("hi") + "\nHi.\n" + COUNTED + asked(command) + "\na.py\nb.py\n")
    assert told(reading) == [[("human", "hi"), ("agent", "Hi.")]]


def test_prompts_that_aider_writes_are_no_humans(tmp_path: Path) -> None:
    fix = asked("# Fix any errors below, if possible.", "", "a.py:1: E1")
    reading = read(tmp_path, HEADER + asked("go") + "\nOne.\n" + COUNTED + fix + "\nTwo.\n" + COUNTED)
    assert [origin for origin, _ in told(reading)[0]] == ["human", "agent", "harness", "agent"]


def test_an_edit_that_failed_is_what_the_next_answer_answers(tmp_path: Path) -> None:
    failed = "> The LLM did not conform to the edit format.  \n> # 1 SEARCH/REPLACE block failed to match!  \n"
    reading = read(tmp_path, HEADER + asked("go") + "\nOne.\n" + COUNTED + failed + "\nTwo.\n" + COUNTED)
    assert told(reading)[0][2:] == [
        ("harness", "The LLM did not conform to the edit format.\n# 1 SEARCH/REPLACE block failed to match!"),
        ("agent", "Two."),
    ]
    assert [m.signals for m in reading.sessions[0].messages if m.origin == "agent"] == [("tool_error",), ()]


def test_an_edit_that_failed_for_good_is_reported_to_nobody(tmp_path: Path) -> None:
    failed = "> The LLM did not conform to the edit format.  \n> Only 3 reflections allowed, stopping.  \n"
    reading = read(tmp_path, HEADER + asked("go") + "\nOne.\n" + COUNTED + failed + asked("why?") + "\nTwo.\n")
    assert [origin for origin, _ in told(reading)[0]] == ["human", "agent", "human", "agent"]


@pytest.mark.parametrize(
    ("stopped", "signals"),
    [
        ("\nI wi\n\n>  \n> ^C again to exit  \n", ("interrupted",)),
        (">  \n> ^C again to exit  \n\nI wi\n", ("interrupted",)),
        (">  \n> ^C again to exit  \n\nI will.\n" + COUNTED, ()),  # at the prompt, before the answer
        ("> Model claude-x has hit a token limit!  \n\nI wi\n", ("truncated",)),
        ("> Retrying in 0.2 seconds...  \n\nI will.\n" + COUNTED, ()),
    ],
)
def test_answers_that_are_not_whole(tmp_path: Path, stopped: str, signals: tuple[str, ...]) -> None:
    (session,) = read(tmp_path, HEADER + asked("go") + stopped + asked("thanks")).sessions
    assert session.messages[1].signals == signals


def test_an_undone_commit_rewinds_the_answer_that_made_it(tmp_path: Path) -> None:
    first = asked("one") + "\nOne.\n" + COUNTED + "> Commit aaaaaaa one  \n"
    second = asked("two") + "\nTwo.\n" + COUNTED + "> Commit bbbbbbb two  \n"
    undo = asked("/undo") + "> Removed: aaaaaaa one  \n> HEAD is: ccccccc  \n"
    (session,) = read(tmp_path, HEADER + first + second + undo).sessions
    assert [m.signals for m in session.messages if m.origin == "agent"] == [("rewound",), ()]


def test_a_commit_of_what_the_human_had_changed_is_not_the_answers(tmp_path: Path) -> None:
    commits = "> Committing a.py before applying edits.  \n> Commit aaaaaaa mine  \n> Commit bbbbbbb one  \n"
    for undone, signals in (("aaaaaaa", ()), ("bbbbbbb", ("rewound",))):
        undo = asked("/undo") + f"> Removed: {undone} x  \n"
        (session,) = read(tmp_path, HEADER + asked("one") + "\nOne.\n" + COUNTED + commits + undo).sessions
        assert session.messages[1].signals == signals


def test_a_humans_correction_is_marked(tmp_path: Path) -> None:
    (session,) = read(tmp_path, HEADER + asked("go") + "\nOne.\n" + COUNTED + asked("no, that's wrong")).sessions
    assert session.messages[1].signals == ("corrected",)


def test_lines_of_a_file_that_nobody_has_shown_cannot_be_told_from_made_up_ones(tmp_path: Path) -> None:
    def edit(search: str) -> str:
        return f"\na.py\n```\n<<<<<<< SEARCH\n{search}\n=======\ny = 2\n>>>>>>> REPLACE\n```\n"

    chat = HEADER + asked("the file is:", "x = 1") + edit("x = 1") + COUNTED + asked("more") + edit("y = 2") + COUNTED
    (session,) = read(tmp_path, chat + asked("more") + edit("z = 3") + COUNTED + asked("new file") + edit("")).sessions
    assert [m.signals for m in session.messages if m.origin == "agent"] == [(), (), ("unreadable",), ()]


def test_an_answer_with_or_after_a_line_that_is_not_utf_8_is_no_whole_one(tmp_path: Path) -> None:
    chat = HEADER + asked("one", "ni\u00f1o") + "\nOne.\n" + COUNTED + asked("two") + "\nTwo.\n" + COUNTED
    chat += asked("three") + "\nThree:\nni\u00f1o\n" + COUNTED
    path = tmp_path / "history.md"
    path.write_bytes(chat.encode("latin-1"))
    reading = Aider().read(path)
    adds_up(reading)
    (session,) = reading.sessions
    assert [(m.content, m.signals) for m in session.messages if m.origin == "agent"] == [
        ("One.", ("unreadable",)),
        ("Two.", ()),
        ("Three:", ("unreadable",)),
    ]
    assert [bad.reason for bad in reading.lines.bad] == ["not UTF-8"] * 2


def test_a_cleared_chat_goes_on_as_another_session_of_its_lineage(tmp_path: Path) -> None:
    before = HEADER + asked("one") + "\nOne.\n" + COUNTED
    reading = read(tmp_path, before + asked("/clear") + asked("two") + "\nTwo.\n" + COUNTED)
    assert told(reading) == [[("human", "one"), ("agent", "One.")], [("human", "two"), ("agent", "Two.")]]
    first, second = reading.sessions
    assert (first.model, first.started, first.lineage) == (second.model, second.started, second.lineage)


def test_a_log_whose_trailing_spaces_an_editor_took_away(tmp_path: Path) -> None:
    text = "\n".join(line.rstrip() for line in (HEADER + asked("hi") + "\nHello.\n" + COUNTED).split("\n"))
    assert told(read(tmp_path, text)) == [[("human", "hi"), ("agent", "Hello.")]]


def test_an_unanswered_chat_is_noise(tmp_path: Path) -> None:
    reading = read(tmp_path, HEADER + asked("hi", "there") + "> ^C KeyboardInterrupt  \n")
    assert not reading.sessions
    assert reading.lines.noise["unanswered"] == 2
