"""Pull-request reviews: the APIs' shapes, threads, who the agent is, what is hidden, outcomes, and damaged files."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from claude_log import adds_up
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from locum.dataset.families import family_of
from locum.dataset.turns import Turn, steps
from locum.errors import SourceError
from locum.progress import silent
from locum.sessions import read_sources
from locum.sessions.github_reviews import GitHubReviews
from locum.sessions.github_reviews.texts import said
from locum.sessions.reader import FileReading
from locum.sessions.registry import reader_of
from locum.types import Message, Session

DATA = Path(__file__).parents[2].parent / "shared" / "data"
API = "https://api.github.com/repos/acme/shop"
HUNK = "@@ -1,3 +1,4 @@ def total(cart):\n     total = 0\n+    for item in cart: total =+ item.price"


def inline(id_: int, login: str, body: str, minute: int, **more: Any) -> dict[str, Any]:
    """An inline comment as REST has it."""
    return {
        "id": id_,
        "node_id": f"PRRC_{id_}",
        "pull_request_review_id": 900,
        "user": {"login": login, "type": "Bot" if login.endswith("[bot]") else "User"},
        "body": body,
        "path": "shop/cart.py",
        "line": None,
        "original_line": 3,
        "diff_hunk": HUNK,
        "created_at": f"2026-03-01T10:{minute:02}:00Z",
        "pull_request_url": f"{API}/pulls/7",
        **more,
    }


def review(id_: int, login: str, body: str, state: str = "COMMENTED", minute: int = 1) -> dict[str, Any]:
    return {
        "id": id_,
        "user": {"login": login, "type": "User"},
        "body": body,
        "state": state,
        "commit_id": "abc",
        "submitted_at": f"2026-03-01T10:{minute:02}:00Z",
        "pull_request_url": f"{API}/pulls/7",
    }


def remark(id_: int, login: str, body: str, minute: int, where: str = "pull") -> dict[str, Any]:
    return {
        "id": id_,
        "user": {"login": login, "type": "User"},
        "body": body,
        "created_at": f"2026-03-01T10:{minute:02}:00Z",
        "issue_url": f"{API}/issues/7",
        "html_url": f"https://github.com/acme/shop/{where}/7#issuecomment-{id_}",
        "reactions": {"+1": 0, "-1": 0},
    }


def read(folder: Path, content: Any, agents: frozenset[str] = frozenset()) -> FileReading:
    path = folder / "comments.json"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    assert isinstance(reader_of(path), GitHubReviews)
    reading = GitHubReviews(agents).read(path)
    adds_up(reading)
    return reading


def only(reading: FileReading) -> Session:
    (session,) = reading.sessions
    return session


def turns(session: Session) -> list[Message]:
    return [message for message in session.messages if message.origin == "agent"]


THREAD = [
    inline(1, "lint[bot]", "`=+` assigns; you meant `+=`.", 1),
    inline(2, "ana", "Right, fixed.", 2, in_reply_to_id=1),
    inline(3, "lint[bot]", "Thanks, looks right now.", 3, in_reply_to_id=1),
]


def test_a_thread_is_a_session_about_its_diff(tmp_path: Path) -> None:
    session = only(read(tmp_path, list(reversed(THREAD))))
    assert [(m.role, m.origin) for m in session.messages] == [
        ("user", "harness"),
        ("assistant", "agent"),
        ("user", "human"),
        ("assistant", "agent"),
    ]
    assert session.messages[0].content == f"File: shop/cart.py, line 3\n\n```diff\n{HUNK}\n```"
    assert session.messages[1].content == "`=+` assigns; you meant `+=`."
    assert (session.lineage, session.model, session.provider) == ("github:acme/shop#7", "lint[bot]", "github")
    assert session.started == "2026-03-01T10:01:00.000Z"
    assert session.messages[1].id == "PRRC_1"


def test_a_hunk_that_holds_a_fence_stays_inside_its_own(tmp_path: Path) -> None:
    reading = read(tmp_path, [inline(1, "lint[bot]", "Close it.", 1, diff_hunk="@@ -1 +1 @@\n+````md")])
    assert "\n`````diff\n" in only(reading).messages[0].content


@pytest.mark.parametrize(
    "content",
    [
        json.dumps(THREAD).encode(),
        json.dumps(THREAD, indent=2).encode(),
        (json.dumps(THREAD[:1]) + json.dumps(THREAD[1:])).encode(),
        (json.dumps(THREAD[:1], indent=1) + "\n" + json.dumps(THREAD[1:], indent=1) + "\n").encode(),
        json.dumps([THREAD[:2], THREAD[2:]]).encode(),
        "\n".join(map(json.dumps, THREAD)).encode(),
        b"\xef\xbb\xbf" + json.dumps(THREAD).encode(),
    ],
    ids=["list", "indented", "pages", "indented pages", "slurped", "lines", "byte order mark"],
)
def test_every_layout_reads_the_same(tmp_path: Path, content: bytes) -> None:
    reading = read(tmp_path, content)
    assert reading.lines.used == reading.lines.total == 3
    assert len(only(reading).messages) == 4


def test_of_pages_that_are_cut_the_comments_before_the_cut_are_read(tmp_path: Path) -> None:
    whole = json.dumps(THREAD[:2]) + json.dumps(THREAD[2:])
    reading = read(tmp_path, whole[:-20].encode())
    assert (reading.lines.used, len(reading.lines.bad)) == (2, 1)
    assert len(only(reading).messages) == 3


def test_the_agent_is_whom_the_user_names_else_the_bots_else_the_busiest(tmp_path: Path) -> None:
    comments = [*THREAD, inline(4, "ana", "And here?", 4), inline(5, "bo", "No.", 5)]
    assert {s.model for s in read(tmp_path, comments).sessions} == {"lint[bot]"}
    assert {s.model for s in read(tmp_path, comments, frozenset({"ANA"})).sessions} == {"ana"}
    assert {s.model for s in read(tmp_path, comments, frozenset({"lint"})).sessions} == {"lint[bot]"}
    people = [inline(n, name, f"Note {n}", n) for n, name in enumerate(["ana", "bo", "bo", "cy"], 1)]
    assert {s.model for s in read(tmp_path, people).sessions} == {"bo"}
    tied = [inline(1, "bo", "One", 1), inline(2, "ana", "Two", 2)]
    assert {s.model for s in read(tmp_path, tied).sessions} == {"ana"}


def test_a_name_that_nobody_has_is_said(tmp_path: Path) -> None:
    (tmp_path / "reviews.json").write_text(json.dumps(THREAD))
    with pytest.raises(SourceError, match=r"^nobody named 'robin' says anything in this folder: .*agent\.logins"):
        read_sources([tmp_path], silent, frozenset({"robin"}))
    assert read_sources([tmp_path], silent).sessions


def test_what_is_said_of_the_whole_needs_a_person_to_answer(tmp_path: Path) -> None:
    """The log holds no diff for it: only an answer to somebody can be understood."""
    reading = read(
        tmp_path,
        [
            {"number": 7, "title": "Sum the cart", "merged_at": None, "url": f"{API}/pulls/7", "comments": 3},
            review(1, "rev", "Two bugs, see below.", "CHANGES_REQUESTED", 1),
            review(2, "rev", "", "APPROVED", 2),
            remark(3, "ana", "Is the tax in it?", 3),
            remark(4, "rev", "No, tax is added at checkout.", 4),
            remark(5, "ana", "An issue, not a pull request.", 5, where="issues"),
        ],
        frozenset({"rev"}),
    )
    session = only(reading)
    assert session.messages[0].content == "Pull request: Sum the cart"
    assert [(m.content, m.signals) for m in turns(session)] == [
        ("Two bugs, see below.", ("unreadable",)),
        ("No, tax is added at checkout.", ()),
    ]
    assert reading.lines.noise == {"comment on an issue": 1, "review without words": 1}
    assert reading.lines.used == 4


def test_outcomes_become_signals(tmp_path: Path) -> None:
    pull = {"number": 7, "title": "Sum", "merged_at": "2026-03-02T10:00:00Z", "html_url": f"{API}/pull/7"}
    comments = [
        inline(1, "rev", "Good catch to have.", 1, reactions={"+1": 2, "-1": 1}),
        inline(2, "rev", "Rename it.", 2, reactions={"+1": 0, "-1": 1}),
        inline(3, "rev", "Drop it.", 3),
        inline(4, "ana", "No, that's the public name.", 4, in_reply_to_id=3),
        review(5, "rev", "Not like this.", "DISMISSED", 5),
    ]
    sessions = read(tmp_path, [pull, *comments], frozenset({"rev"})).sessions
    assert [message.signals for session in sessions for message in turns(session)] == [
        ("praised", "merged"),
        ("corrected", "merged"),
        ("merged", "corrected"),
        ("corrected", "merged", "unreadable"),
    ]


def node(id_: int, login: str, body: str, **more: Any) -> dict[str, Any]:
    """A comment as GraphQL has it."""
    return {
        "id": f"PRRC_{id_}",
        "databaseId": id_,
        "author": {"login": login, "__typename": "Bot" if login == "lint" else "User"},
        "body": body,
        "path": "shop/cart.py",
        "diffHunk": HUNK,
        "createdAt": f"2026-03-01T10:{id_:02}:00Z",
        **more,
    }


def answer(*threads: tuple[bool, list[dict[str, Any]]]) -> dict[str, Any]:
    nodes = [{"isResolved": done, "comments": {"nodes": comments}} for done, comments in threads]
    pull = {
        "title": "Sum the cart",
        "url": "https://github.com/acme/shop/pull/7",
        "merged": True,
        "reviewThreads": {"edges": [{"node": thread} for thread in nodes]},
        "comments": {"nodes": [], "pageInfo": {"hasNextPage": False}},
    }
    return {"data": {"repository": {"pullRequest": pull}}}


def test_threads_of_graphql_say_whether_they_were_resolved(tmp_path: Path) -> None:
    reading = read(
        tmp_path,
        answer(
            (True, [node(1, "lint", "Use `+=`."), node(2, "ana", "Done."), node(3, "lint", "Thanks.")]),
            (False, [node(4, "lint", "And test it.")]),
            (True, [node(5, "ana", "Why?"), node(6, "lint", "Because it is summed twice.")]),
        ),
    )
    assert [[m.signals for m in turns(session)] for session in reading.sessions] == [
        [("merged", "resolved"), ("merged",)],
        [("merged",)],
        [("merged",)],  # ana opened it
    ]
    assert {session.lineage for session in reading.sessions} == {"github:acme/shop#7"}
    assert all(session.messages[0].content.startswith("Pull request: Sum the cart\n") for session in reading.sessions)
    assert reading.lines.used == reading.lines.total == 7


def test_a_query_for_the_state_alone_adds_it_to_comments_of_rest(tmp_path: Path) -> None:
    state = answer((True, [{"databaseId": 1}]))
    lines = [*THREAD, state]
    reading = read(tmp_path, "\n".join(map(json.dumps, lines)).encode())
    assert [m.signals for m in turns(only(reading))] == [("merged", "resolved"), ("merged",)]
    assert reading.lines.noise == {"state of a thread": 1}


def test_gh_pr_view_is_read(tmp_path: Path) -> None:
    view = {
        "number": 7,
        "title": "Sum the cart",
        "state": "MERGED",
        "url": "https://github.com/acme/shop/pull/7",
        "reviews": [
            {
                "id": "PRR_1",
                "author": {"login": "rev"},
                "authorAssociation": "MEMBER",
                "body": "Please split it.",
                "submittedAt": "2026-03-01T10:02:00Z",
                "state": "COMMENTED",
                "reactionGroups": [{"content": "THUMBS_UP", "users": {"totalCount": 1}}],
            }
        ],
        "comments": [
            {
                "id": "IC_1",
                "author": {"login": "ana"},
                "authorAssociation": "MEMBER",
                "body": "Ready. How is it?",
                "createdAt": "2026-03-01T10:01:00Z",
                "url": "https://github.com/acme/shop/pull/7#issuecomment-1",
            }
        ],
    }
    session = only(read(tmp_path, view, frozenset({"rev"})))
    assert [m.content for m in session.messages] == [
        "Pull request: Sum the cart",
        "Ready. How is it?",
        "Please split it.",
    ]
    assert turns(session)[0].signals == ("praised", "merged")


def test_copies_are_read_once(tmp_path: Path) -> None:
    same = [THREAD[0], THREAD[0], node(1, "lint", "`=+` assigns; you meant `+=`.")]
    mirrored = inline(99, "lint[bot]", "`=+`  assigns; you meant `+=`.", 1)
    reading = read(tmp_path, "\n".join(map(json.dumps, [*same, mirrored])).encode())
    assert reading.lines.noise == {"copy": 3}
    assert len(turns(only(reading))) == 1


def test_an_answer_to_a_comment_that_is_missing_leans_on_it(tmp_path: Path) -> None:
    reading = read(tmp_path, [inline(3, "lint[bot]", "Because of rounding.", 3, in_reply_to_id=77)])
    assert turns(only(reading))[0].signals == ("unreadable",)


def test_long_chains_and_circles_of_answers_end(tmp_path: Path) -> None:
    chain = [inline(n, "ana" if n % 2 else "rev", f"Note {n}", 0, in_reply_to_id=n - 1 or None) for n in range(1, 3001)]
    chain.reverse()
    session = only(read(tmp_path, chain, frozenset({"rev"})))
    assert len(session.messages) == 3001
    circle = [inline(n, "rev", f"Note {n}", n, in_reply_to_id=n % 3 + 1) for n in (1, 2, 3)]
    assert len(only(read(tmp_path, circle)).messages) == 4


def test_where_no_comment_is_named_as_answered_the_place_is_the_thread(tmp_path: Path) -> None:
    """git-appraise's exports: ids are digests, there is no address, and an answer may resolve what it answers."""

    def note(id_: str, login: str, body: str, minute: int, **more: Any) -> dict[str, Any]:
        raw = inline(0, login, body, minute, pull_request_review_id="r1", _review={"title": "Sum"}, **more)
        return {key: value for key, value in raw.items() if key not in ("node_id", "pull_request_url")} | {"id": id_}

    reading = read(
        tmp_path,
        [
            note("a", "rev", "Why?", 1, resolved=None),
            note("b", "ana", "Done", 2, resolved=True),
            note("c", "rev", "Elsewhere.", 3, original_line=9),
        ],
        frozenset({"rev"}),
    )
    first, second = reading.sessions
    assert [m.content for m in first.messages][1:] == ["Why?", "Done"]
    assert turns(first)[0].signals == ("resolved",)
    assert [m.content for m in second.messages][1:] == ["Elsewhere."]
    assert first.lineage == second.lineage == "github:r1"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("Use it.\n\n```suggestion\ntotal += item.price\n```", None),
        ("<!-- id: 3 -->\nUse it.", "Use it."),
        ("A<!-- a -->B<!-- b\nc -->C", "ABC"),
        ("Use it.\n<details><summary>Why</summary>\n\n```py\n</details>\n```\n</details>\nNow.", "Use it.\n\nNow."),
        ("<details>\n<details>x</details>\ny</details>Kept.", "Kept."),
        ("```html\n<!-- shown -->\n<details>shown</details>\n```", None),
        ("<details>never closed", None),
        ("Broken <!-- never closed", None),
        ("Use it.\n\n---\n*🤖 Generated by a bot*\n\n<sub>Reply with @bot</sub>", "Use it."),
        ("Use it.\n\nWas this helpful? React with 👍 / 👎", "Use it."),
        ("One.\n\n---\n\nTwo.", None),
        ("---", None),
        ("Use it.\r\nNow.", "Use it.\nNow."),
        ("<!-- only -->", ""),
        ("--> </details> x", None),
    ],
)
def test_what_github_hides_and_what_bots_add_is_cut(body: str, text: str | None) -> None:
    assert said(body) == (body if text is None else text)


PIECES = ["<!--", "-->", "<details>", "</details>", "\n", "```", "~~~~", "a", " ", "-"]


@given(st.lists(st.sampled_from(PIECES)).map("".join))
def test_cutting_ends_and_adds_nothing(body: str) -> None:
    text = said(body)
    assert said(text) in text
    rest = iter(body)
    assert all(letter in rest for letter in text)


def test_hostile_comments_are_cut_in_linear_time() -> None:
    for body in ("<!--" * 200_000, "<details" * 200_000, "<details>" * 200_000, "```\n" * 200_000, "---\n" * 200_000):
        said(body)


def test_a_comment_on_a_diff_is_a_code_review(tmp_path: Path) -> None:
    session = only(read(tmp_path, THREAD))
    found = [turn for turn in steps(session) if isinstance(turn, Turn)]
    assert [family_of(session, turn.request, turn) for turn in found] == ["code_review", "reply"]


@pytest.mark.parametrize(
    "content",
    [
        [{"title": "An issue", "body": "It fails.", "user": {"login": "ana"}}],
        {"messages": [{"role": "user", "content": "Look at the comments"}], "reviews": []},
        [{"user": {"login": "ana"}, "body": "A gist.", "created_at": "2026-01-01T00:00:00Z"}],
        [{"diff_hunk": "@@", "path": "a"}],
        [[[[[[[]]]]]]],
    ],
)
def test_other_json_is_not_taken_for_reviews(tmp_path: Path, content: Any) -> None:
    path = tmp_path / "other.json"
    path.write_text(json.dumps(content))
    assert not isinstance(reader_of(path), GitHubReviews)


def test_what_is_no_review_is_named(tmp_path: Path) -> None:
    refusal = {"message": "Not Found", "documentation_url": "https://docs.github.com/rest"}
    deep: Any = "x"
    for _ in range(300):
        deep = [deep]
    reading = read(
        tmp_path, [*THREAD, refusal, {"emoji": "x"}, 3, deep, {**review(8, "ana", "Later."), "state": "PENDING"}]
    )
    assert reading.lines.noise == {"refused by the API": 1, "pending review": 1}
    assert reading.lines.unknown == {"(no comment, review or pull request)": 2}
    assert [bad.reason for bad in reading.lines.bad] == ["nested too deeply"]


ODD: Any = st.none() | st.integers() | st.text(max_size=5) | st.just([]) | st.just({}) | st.just([{"nodes": 3}])
COMMENT: Any = st.builds(
    lambda base, key, odd, luck: {**base, key: odd} if luck else base,
    st.sampled_from(
        [
            *THREAD,
            review(5, "rev", "Split it."),
            remark(6, "ana", "Why?", 4),
            node(7, "lint", "Use it."),
            answer((True, [node(8, "lint", "x"), {"databaseId": 1}])),
            {"title": "T", "number": 7, "url": f"{API}/pulls/7", "merged_at": None, "reviews": [review(9, "b", "c")]},
            inline(20, "ana", "loop", 5, in_reply_to_id=21),
            inline(21, "ana", "loop", 6, in_reply_to_id=20),
        ]
    ),
    st.sampled_from(
        ["id", "user", "author", "body", "state", "path", "reactions", "comments", "data", "in_reply_to_id"]
    ),
    ODD,
    st.booleans(),
)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(COMMENT, max_size=6), st.sampled_from(["list", "lines", "pages"]), st.data())
def test_whatever_a_file_holds_every_record_has_one_fate(
    tmp_path: Path, comments: list[Any], layout: str, data: st.DataObject
) -> None:
    if layout == "lines":
        raw = "\n".join(map(json.dumps, comments)).encode()
    elif layout == "pages":
        raw = (json.dumps(comments[:2]) + json.dumps(comments[2:])).encode()
    else:
        raw = json.dumps(comments).encode()
    if data.draw(st.booleans()):
        at, gone = data.draw(st.integers(0, len(raw))), data.draw(st.integers(0, 40))
        raw = raw[:at] + data.draw(st.binary(max_size=4)) + raw[at + gone :]
    path = tmp_path / "any.json"
    path.write_bytes(raw)
    GitHubReviews().detects(raw[: 1 << 16], path)
    reading = GitHubReviews().read(path)
    adds_up(reading)
    for session in reading.sessions:
        assert msgspec.json.decode(msgspec.json.encode(session), type=Session) == session
        assert turns(session)


@pytest.mark.corpus
@pytest.mark.skipif(not DATA.is_dir(), reason="the corpus does not stand beside the checkout")
def test_real_reviews_are_threads_with_their_diffs() -> None:
    (path,) = (DATA / "code_reviews_git_appraise").iterdir()
    reader = reader_of(path)
    assert isinstance(reader, GitHubReviews)
    reading = reader.read(path)
    adds_up(reading)
    raw = json.loads(path.read_bytes())
    assert reading.lines.total == len(raw)
    assert not reading.lines.unknown
    assert not reading.lines.bad
    assert len(reading.sessions) > 80
    assert len({session.lineage for session in reading.sessions}) > 30
    assert {session.model for session in reading.sessions} == {"ojarjur"}
    shown = [session for session in reading.sessions if "```diff" in session.messages[0].content]
    assert len(shown) > 60
    assert not any("unreadable" in message.signals for session in shown for message in session.messages)
    others = [path for path in DATA.rglob("*") if path.is_file() and isinstance(reader_of(path), GitHubReviews)]
    assert others == [path]
