"""Standing documents: found where clients put them, once by digest, and left out of prompts on purpose."""

import pytest
from dataset_sessions import calls, harness, human, result, says, session, sessions, system
from growth import assert_grows_with_size
from hypothesis import given, settings
from hypothesis import strategies as st

from locum.dataset.documents import Documents, Standing, find_standing, in_force
from locum.types import Message, Session

RULES = (
    "Codebase and user instructions are shown below.\n\nContents of /w/CLAUDE.md (project instructions):\n\nBe brief."
)
REMINDER = f"""<system-reminder>
As you answer the user's questions, you can use the following context:
# claudeMd
{RULES}
# currentDate
Today's date is 2026-01-0{{day}}.

      IMPORTANT: this context may or may not be relevant to your tasks.
</system-reminder>"""


def found(*messages: Message) -> list[tuple[str, str]]:
    return [(one.kind, one.text) for one in find_standing(session(*messages), "keep")[1]]


def absorbed(*messages: Message) -> tuple[Message, ...]:
    return find_standing(session(*messages), "absorb")[0].messages


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        (system("You are an agent."), "system"),
        (system("# Airline Agent Policy\n\nNever refund."), "policy"),
        (harness("<user_instructions>\nBe brief.\n</user_instructions>"), "agents_md"),
        (harness("# AGENTS.md instructions for /w\n\n<INSTRUCTIONS>\nBe brief.\n</INSTRUCTIONS>"), "agents_md"),
        (harness("<system-reminder>\nContents of /w/MEMORY.md:\n\nThe user likes tea.\n</system-reminder>"), "memory"),
        (harness("<system-reminder>\nContents of /w/lib/CLAUDE.md:\n\nBe brief.\n</system-reminder>"), "claude_md"),
    ],
)
def test_whole_messages(message: Message, kind: str) -> None:
    assert found(message, human("Hi."), says("Yes?")) == [(kind, message.content)]
    assert absorbed(message, human("Hi."), says("Yes?")) == (human("Hi."), says("Yes?"))


@pytest.mark.parametrize(
    "message",
    [
        human("<user_instructions>\nBe brief.\n</user_instructions>"),
        harness("<environment_context><cwd>/w</cwd></environment_context>"),
        harness("<system-reminder>\nNote: /w/CLAUDE.md was modified by the user.\n</system-reminder>"),
        harness("<user_instructions>\nnever closed"),
        harness("/compact"),
        system("  "),
    ],
)
def test_what_is_no_standing_document(message: Message) -> None:
    assert found(message, human("Hi."), says("Yes?")) == []
    assert absorbed(message, human("Hi."), says("Yes?"))[0] is message


def test_what_differs_from_session_to_session_stays() -> None:
    documents = Documents()
    for day in (1, 2):
        text = REMINDER.format(day=day)
        cut, standing = find_standing(session(harness(text), human("Hi."), says("Yes?"), id=f"s{day}"), "absorb")
        assert f"2026-01-0{day}" in cut.messages[0].content
        assert "Be brief" not in cut.messages[0].content
        documents.add(standing)
    [document] = documents.all()
    assert (document.kind, document.sessions) == ("claude_md", 2)
    assert document.text == f"# claudeMd\n{RULES}"
    assert document.chars == len(document.text)


def test_several_in_one_message() -> None:
    text = (
        "# AGENTS.md instructions for /w\n\n<INSTRUCTIONS>\nOne.\n</INSTRUCTIONS>\n\n"
        "<environment_context><cwd>/w</cwd></environment_context>\n\n<user_instructions>Two.</user_instructions>"
    )
    assert [kind for kind, _ in found(harness(text), human("Hi."), says("Yes?"))] == ["agents_md"] * 2
    assert absorbed(harness(text), human("Hi."), says("Yes?"))[0] == harness(
        "<environment_context><cwd>/w</cwd></environment_context>"
    )


def test_a_system_message_after_the_agent_has_spoken_stays() -> None:
    talk = (system("Be brief."), human("Hi."), says("Yes?"), system("The user has left."), says("Bye."))
    assert found(*talk) == [("system", "Be brief.")]
    assert absorbed(*talk) == talk[1:]


def test_in_force_from_where_they_stand() -> None:
    late = harness("<system-reminder>\nContents of /w/lib/CLAUDE.md:\n\nLate.\n</system-reminder>")
    _, standing = find_standing(
        session(
            system("S"), human("Hi."), calls("a"), result("a"), late, says("x"), system("S"), human("y"), says("z")
        ),
        "keep",
    )
    first, second = (one.digest for one in standing)
    assert [in_force(standing, turn) for turn in range(3)] == [(first,), (first, second), (first, second)]


def test_each_once_and_counted_by_session() -> None:
    documents = Documents()
    for id, texts in (("a", ["One", "Two"]), ("b", ["Two"]), ("c", ["Two", "Two"])):
        documents.add(find_standing(session(*map(system, texts), human("Hi."), says("x"), id=id), "keep")[1])
    assert [(document.text, document.sessions) for document in documents.all()] == [("Two", 3), ("One", 1)]


_pieces = st.sampled_from(
    [
        "<system-reminder>", "</system-reminder>", "# claudeMd", "\n# currentDate", "Contents of /x/AGENTS.md", "\n",
        "<user_instructions>", "</user_instructions>", "<INSTRUCTIONS>", "</INSTRUCTIONS>", "x",
        "# AGENTS.md instructions for ",
    ]
)  # fmt: skip


@given(st.lists(_pieces, max_size=25).map("".join))
@settings(max_examples=300, deadline=None)
def test_nothing_of_a_message_is_lost(text: str) -> None:
    """What is no document stays, what is one is gone, and together they are the message."""
    given_session = session(harness(text), human("Hi."), says("Yes?"))
    kept, standing = find_standing(given_session, "keep")
    cut, same = find_standing(given_session, "absorb")
    assert kept is given_session
    assert same == standing
    rest = cut.messages[0].content if len(cut.messages) == 3 else ""

    def bare(of: str) -> list[str]:
        return sorted(of.replace("\n", "").replace(" ", ""))

    assert bare(rest + "".join(one.text for one in standing)) == bare(text)


@given(sessions())
@settings(max_examples=60, deadline=None)
def test_the_agents_messages_are_not_touched(given_session: Session) -> None:
    cut, standing = find_standing(given_session, "absorb")
    assert [m for m in cut.messages if m.role == "assistant"] == [
        m for m in given_session.messages if m.role == "assistant"
    ]
    assert all(isinstance(one, Standing) for one in standing)


@pytest.mark.parametrize(
    "piece", ["<system-reminder>", "<system-reminder># claudeMd", "<INSTRUCTIONS>", "# AGENTS.md instructions for "]
)
def test_hostile_texts_cost_no_more_than_others(piece: str) -> None:
    def work(size: int) -> None:
        found(harness(piece * (size // len(piece)) + "</system-reminder>"), human("Hi."), says("x"))

    assert_grows_with_size(work, 400_000)
