"""Planted secrets of every type in every place are gone; look-alikes survive.

Secrets are put together at run time, so that scanners do not take this file for a leak.
"""

import base64
import itertools
import json
from typing import Any

import msgspec
import pytest
from dataset_sessions import calls, human, result, says, session
from growth import assert_grows_with_size
from hypothesis import given, settings
from hypothesis import strategies as st

from locum.dataset.detectors import find
from locum.dataset.redaction import Numbering, Redactor, mark
from locum.types import Message, Session, ToolCall, Usage

ALNUM = "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9T0u1V2w3X4y5Z6" * 3
HEX = "0123456789abcdef" * 8


def _jwt() -> str:
    def part(value: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    return ".".join((part({"alg": "HS256", "typ": "JWT"}), part({"sub": "1", "name": "x"}), ALNUM[:43]))


def _private_key(kind: str) -> str:
    body = "\n".join(ALNUM[:64] for _ in range(6))
    return f"-----BEGIN {kind}PRIVATE " + f"KEY-----\n{body}\n-----END {kind}PRIVATE " + "KEY-----"


# Each value stands for itself, wherever it is written.
SHAPED: dict[str, list[str]] = {
    "EMAIL": ["ada.lovelace" + "@" + "analytical.org", "j+x" + "@" + "mail.corp.io"],
    "AWS_KEY": ["AK" + "IA" + "Q3EGRTXVZ7WPL2MD", "AS" + "IA" + "Q3EGRTXVZ7WPL2MD"],
    "API_KEY": [
        "sk-" + "ant-api03-" + ALNUM[:60], "sk-" + "proj-" + ALNUM[:48], "sk-" + ALNUM[:40],
        "AI" + "za" + ALNUM[:35], "sk_" + "live_" + ALNUM[:24], "SG" + "." + ALNUM[:22] + "." + ALNUM[:43],
        "gs" + "k_" + ALNUM[:52], "A" + "C" + HEX[:32], HEX[:32] + "-us" + "12",
    ],
    "TOKEN": [
        "gh" + "p_" + ALNUM[:36], "github" + "_pat_" + ALNUM[:60], "gl" + "pat-" + ALNUM[:20],
        "xox" + "b-" + "123456789012-123456789012-" + ALNUM[:24], "npm" + "_" + ALNUM[:36],
        "h" + "f_" + ALNUM[:34], "pypi-" + "AgEIcHlwaS5vcmc" + ALNUM[:80],
        "123456789" + ":" + "AA" + ALNUM[:33],
        "https://hooks.slack" + ".com/services/T0AB12CD3/B0AB12CD3/" + ALNUM[:24],
        "MT" + ALNUM[:22] + "." + ALNUM[:6] + "." + ALNUM[:27],
    ],
    "JWT": [_jwt()],
    "PRIVATE_KEY": [_private_key("RSA "), _private_key(""), _private_key("OPENSSH ")],
    "PHONE": [
        "+1 415-" + "733-0199", "+44 20 7946" + " 0958", "+49 30 " + "901820", "(415) 733" + "-0199",
        "415-733" + "-0199",
    ],
    "CARD": [
        "4539 1488" + " 0343 6467", "45391488" + "03436467", "3714-496353" + "-98431",
        "5555" + "-5555-5555-4444",
    ],
    "IBAN": ["DE89 3704 0044" + " 0532 0130 00", "GB29NWBK" + "60161331926819",
    "FR14" + "20041010050500013M02606"],
    "IP": ["93.184" + ".216.34", "5.9" + ".77.1", "203.17" + ".250.9"],
}  # fmt: skip
# (text before, value, text after): what is around it gives it away.
IN_CONTEXT: list[tuple[str, str, str, str]] = [
    ("PASSWORD", "DB_PASSWORD=", "correct-horse" + "-battery", "\n"),
    ("PASSWORD", 'password: "', "Tr0ub4dor" + "&3", '"'),
    ("PASSWORD", '{\\"passwd\\": \\"', "hunter" + "2!x", '\\"}'),
    ("PASSWORD", "the password is ", "hunter" + "2!x", "."),
    ("PASSWORD", "mysql --password ", "s3cr" + "3tPw", " db"),
    ("PASSWORD", "<password>", "s3cr" + "3tPw", "</password>"),
    ("API_KEY", "OPENWEATHER_API_KEY=", HEX[:32], "\n"),
    ("API_KEY", "'x-api-key': '", ALNUM[:40], "'"),
    ("API_KEY", "aws_secret_access_key = ", "wJalr" + ALNUM[:35], "\n"),
    ("API_KEY", "const apiKey = '", "f81d4fae-7dec" + "-11d0-a765-00a0c91e6bf6", "';"),
    ("SECRET", "client_secret: ", "GOCSPX-" + ALNUM[:28], "\n"),
    ("TOKEN", '"refresh_token": "', ALNUM[:50], '"'),
    ("TOKEN", "Authorization: Bearer ", ALNUM[:40], "\n"),
    ("TOKEN", "deploy --token ", ALNUM[:40], " --prod"),
    ("URL_CREDENTIALS", "postgres://", "app:xK9" + "%23mP2", "@db.internal:5432/x"),
    ("URL_CREDENTIALS", "curl -u ", "bob:pa55" + "word9", " https://api.site.io"),
    ("URL_CREDENTIALS", "Authorization: Basic ", base64.b64encode(b"bob:" + b"pa55word9").decode(), "\n"),
    ("USER", "cd /Users/", "marta", "/code"),
    ("USER", "ls /home/", "j.doe", "\n"),
    ("USER", "C:\\Users\\", "Marta", "\\Desktop"),
    ("USER", '"C:\\\\Users\\\\', "Marta", '\\\\x"'),
    ("USER", "~/.claude/projects/-Users-", "marta", "-code-app/1.jsonl"),
    ("USER", "/mnt/c/Users/", "marta", "/code"),
    ("USER", "ls /nfs/home/", "marta", "/x"),
    ("USER", "cd /private/home/", "marta", "\n"),
    ("USER", "/mnt/home/", "marta", "/x"),
    ("USER", "open /Volumes/Macintosh HD/Users/", "marta", "/code"),
    ("PHONE", '"phone": "', "0612" + "345678", '"'),
    ("PHONE", "tel: ", "030 90" + "1820 11", "\n"),
]
PLANTED = [(kind, "see ", value, " here") for kind, values in SHAPED.items() for value in values] + IN_CONTEXT

LOOK_ALIKES = [
    "commit 9fceb02d0ae598e95dc970b74767f19372d61af8", "sha256:" + HEX[:64],
    "md5 d41d8cd98f00b204e9800998ecf8427e", "id f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
    "toolu_01A09q90qw90lq917835lq9", "call_" + "Kf3JxQ9pLm2NvB7wRt5YzXcA", "msg_01XFDUDYJgAACzvnptvVoYEL",
    "req_011CSHoEeqs5C35K2UUqR7Fy", "version 10.0.19041.1", "v1.2.3.4", "pip install x==2.31.0.5",
    "Chrome/120.0.0.0", "section 3.2.1.4", "see 3.2.1.4 of 2026-05-13", "api_key_name: my-service-2024-01",
    "SECRET_NAME=prod-db-cred-01", "2026-05-13T06:03:09.093Z", "2026-05-13 06:03:09,123",
    "1700000000000", "1700000000000000000", "ISBN 978-3-16-148410-0", "ISBN 9783161484100",
    "order #W1234567", "item 1151293680 and 4983901480", "credit_card_9513926", "10.0.0.12",
    "192.168.1.254", "127.0.0.1:8080", "8.8.8.8", "0.0.0.0", "your-api-key-here",
    "API_KEY=your-api-key-here", "token: $TOKEN", "api_key = process.env.API_KEY",
    'token = os.environ["GITHUB_TOKEN"]', "password=<password>", "PASSWORD=${DB_PASSWORD}",
    "password: string", '"password": {"type": "string"}', "password = get_password()",
    "const password = user.password;", "max_tokens: 4096", '"token_count": 123456789012', "tokens=123456",
    "--- PASS: TestLogin2 (0.00s)", "AKIAIOSFODNN7" + "EXAMPLE", "sk-" + "x" * 40, "gh" + "p_" + "x" * 36,
    "task-a1b2c3d4e5f6g7h8i9j0k1l2", "sk-loading-spinner-large",
    "cache_key: 9fceb02d0ae598e95dc970b74767f193", "primary_key=12345678901234",
    "git@github.com:org/repo.git", "noreply@anthropic.com", "alice@example.com", "npm i @types/node@18.0.0",
    "logo@2x.png", "@app.route('/x')", "https://site.io/home/about", "/home/user/x", "/Users/<name>/x",
    "/nfs/home-page.html", "/volumes/disk/data", "app/private/home/marta.vue", "/Volumes/Data/src/Users/marta.ts",
    "https://site.io/mnt/home/about", "/api/nfs/home/marta", "src/Users/index.ts",
    "http://localhost:3000/@fs/x", "https://user:password@host/x",
    "eyJub3QiOiJhIGp3dCJ9", "-----BEGIN RSA PRIVATE " + "KEY-----", "docker run -u 1000:1000 x",
    "@@ -12,7 +1234,9 @@", "+2025550143,", "555-1234", "1234 5678 9012 3456", "4111111111111112",
    "Smartphone\": \"1801728040\"", "the token is invalid", "secret: nothing", "DE12 3456 and so on",
    "1-800 people", "a1b2c3d4-us-east-1", "Bearer authentication", "Basic understanding", "0x" + HEX[:40],
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUg" + ALNUM[:80], "3.14159265358979",
    "12.5 (13.7) 14.9 - 15.1", "pass: 12345678",
]  # fmt: skip


def place_in_message(text: str) -> Session:
    return session(human(text))


def place_in_answer(text: str) -> Session:
    return session(says(f"I found this:\n{text}\nok"))


def place_in_result(text: str) -> Session:
    return session(Message("tool", f"line 1\n{text}", tool_call_id="c", tool_name="Read", origin="tool"))


def place_in_arguments(text: str) -> Session:
    deep = {"input": {"edits": [{"new": text}]}, "n": 1}
    return session(Message("assistant", "", (ToolCall("c", "Edit", deep),), origin="agent"))


def place_in_json_string(text: str) -> Session:
    return session(human(json.dumps({"output": text})))


def everything(made: Session) -> str:
    """All text of a session, JSON undone."""
    parts = [message.content for message in made.messages]
    parts += [json.dumps(call.arguments) for message in made.messages for call in message.tool_calls]
    return "\n".join((*parts, json.dumps(made.tools), made.source))


PLACES = [place_in_message, place_in_answer, place_in_result, place_in_arguments, place_in_json_string]


@pytest.mark.parametrize(("kind", "before", "value", "after"), PLANTED)
def test_planted_secrets_are_gone(kind: str, before: str, value: str, after: str) -> None:
    for place in PLACES:
        redactor = Redactor("salt")
        text = everything(redactor.session(place(before + value + after)))
        assert value not in text, place
        assert json.dumps(value)[1:-1] not in text, place
        assert f"<{kind}_1>" in text, place
        assert redactor.counts[kind] >= 1


@pytest.mark.parametrize("text", LOOK_ALIKES)
def test_look_alikes_survive(text: str) -> None:
    for place in PLACES:
        redactor = Redactor("salt")
        made = place(text)
        assert everything(redactor.session(made)) == everything(made), place
        assert not redactor.counts


def test_there_are_more_look_alikes_than_secrets() -> None:
    assert len(LOOK_ALIKES) >= len(PLANTED)


def test_a_key_of_the_arguments_gives_its_value_away() -> None:
    secret = "pl41n" + "words"
    call = Message("assistant", "", (ToolCall("c", "login", {"password": secret, "user": "bob"}),), origin="agent")
    made = Redactor("salt").session(session(call, human(f"I used {secret} there.")))
    assert made.messages[0].tool_calls[0].arguments == {"password": "<PASSWORD_1>", "user": "bob"}
    assert made.messages[1].content == "I used <PASSWORD_1> there."


def test_a_secret_known_by_its_context_is_found_bare_before_it() -> None:
    secret = "c0rrect" + "horse"
    made = Redactor("salt").session(session(human(f"Try {secret}."), says(f"PASSWORD={secret}")))
    assert [message.content for message in made.messages] == ["Try <PASSWORD_1>.", "PASSWORD=<PASSWORD_1>"]


def test_the_same_value_is_the_same_placeholder_everywhere() -> None:
    numbering = Numbering()
    redactor = Redactor("salt", numbering)
    a, b = SHAPED["EMAIL"]
    first = redactor.session(session(human(f"{a} and {b}"), id="s1"))
    second = redactor.session(session(human(f"{b} wrote to {a.upper()}"), id="s2"))
    assert first.messages[0].content == "<EMAIL_1> and <EMAIL_2>"
    assert second.messages[0].content == "<EMAIL_2> wrote to <EMAIL_1>"
    assert redactor.counts["EMAIL"] == 4
    assert [entry.placeholder for entry in numbering.values] == ["<EMAIL_1>", "<EMAIL_2>"]


@pytest.mark.parametrize(
    "written",
    [
        "sk\\u002dant\\u002dapi03-{0}{1}", "sk\\\\u002dant-api03-{0}{1}", "sk\\x2dant-api03-{0}{1}",
        "sk&#45;ant&#x2D;api03-{0}{1}", "%73k%2Dant-api03-{0}{1}",
        "my ANTHROPIC_API_KEY is sk-ant-api03-{0}\n    {1}\n",
        "> my ANTHROPIC_API_KEY is sk-ant-api03-{0}=\r\n> {1} (thanks)",
    ],
)  # fmt: skip
def test_a_value_written_otherwise_is_the_same_placeholder(written: str) -> None:
    first, second = "q7Rk2mZx9TbW4cYv8Ln1", "Hd6Pj3sXf5Gw0uEa2Ko9"
    redactor = Redactor("salt")
    assert redactor.text(f"it is sk-ant-api03-{first}{second}") == "it is <API_KEY_1>"
    redacted = redactor.text(f"here: {written.format(first, second)}")
    assert "<API_KEY_1>" in redacted
    assert not any(part in redacted for part in ("_2>", first, second))


def test_what_only_a_part_of_was_found_goes_whole() -> None:
    """As it is written it stands in no quotes and ends at `&amp;`; as it reads, the user's name is an address."""
    assert Redactor("s").text("password=&quot;h7Tq&amp;k2Tq9wLm4&quot;") == "password=&quot;<PASSWORD_1>&quot;"
    assert "a%20secret" not in Redactor("s").text("https://jo%40site.com:a%20secret@db.site.org/x")


def test_the_next_line_of_a_whole_key_is_left_alone() -> None:
    key = "sk-ant-api03-q7Rk2mZx9TbW4cYv8Ln1Hd6Pj3sXf5Gw0uEa2Ko9"
    for after in ("MODEL=claude-4", "getUserName2 is next", "3f2b8c1e-77aa-4bd0-9c11-52e8c0ffee00", "a" * 40, "end"):
        text = f"export ANTHROPIC_API_KEY={key}\n{after}\n"
        assert Redactor("salt").text(text) == f"export ANTHROPIC_API_KEY=<API_KEY_1>\n{after}\n"


def test_marks_become_the_placeholders_that_one_process_would_have_written() -> None:
    a, b = SHAPED["EMAIL"]
    made = session(human(f"{a}, {b}, {a.upper()}"), human("a mark \ufdd0EMAIL:" + "0" * 64 + "\ufdd0 that a log wrote"))
    direct = Redactor("salt").session(made)
    marked = msgspec.json.encode(Redactor("salt", mark).session(made))
    assert msgspec.json.decode(Numbering().replace_marks(marked), type=Session) == direct
    assert "<EMAIL_3>" not in str(direct)


def test_originals_are_kept_as_salted_hashes_alone() -> None:
    def hashes(salt: str) -> tuple[str, ...]:
        numbering = Numbering()
        Redactor(salt, numbering).text(SHAPED["EMAIL"][0])
        return tuple(entry.sha256 for entry in numbering.values)

    assert hashes("one") == hashes("one") != hashes("two")
    assert all(len(digest) == 64 for digest in hashes("one"))


def test_schemas_and_source_are_redacted_names_are_not() -> None:
    email = SHAPED["EMAIL"][0]
    tool = {
        "type": "function",
        "function": {
            "name": "mail",
            "description": f"Ask {email}.",
            "parameters": {
                "type": "object",
                "properties": {"password": {"type": "string", "description": email}},
            },
        },
    }
    made = Redactor("salt").session(session(human("Hi."), tools=(tool,), source="/Users/marta/x.jsonl"))
    assert email not in json.dumps(made.tools)
    assert made.tools[0]["function"]["name"] == "mail"
    assert list(made.tools[0]["function"]["parameters"]["properties"]) == ["password"]
    assert made.source == "/Users/<USER_1>/x.jsonl"


def test_what_a_call_maps_is_redacted_and_what_may_be_chosen_alike() -> None:
    """A key in a call's arguments is data as often as it is a name."""
    email, key = SHAPED["EMAIL"][0], SHAPED["API_KEY"][0]
    choice = {"type": "string", "enum": [email], "default": key, "examples": [{"to": email}]}
    tool = {
        "type": "function",
        "function": {
            "name": "share",
            "parameters": {"type": "object", "properties": {"with": choice, "name": choice}, "required": ["with"]},
        },
    }
    call = calls("c", arguments={"with": email, email: {"/home/marta/a.py": 1}, email.upper(): [{key: "x"}]})
    made = Redactor("salt").session(session(human("Share."), call, tools=(tool,)))
    written = json.dumps(msgspec.to_builtins(made))
    for value in (email, email.upper(), key, "marta"):
        assert value not in written
    arguments = made.messages[1].tool_calls[0].arguments
    assert arguments == {
        "with": "<EMAIL_1>",
        "<EMAIL_1>": {"/home/<USER_1>/a.py": 1},
        "<EMAIL_1>_": [{"<API_KEY_1>": "x"}],
    }
    parameters = made.tools[0]["function"]["parameters"]
    assert parameters["properties"]["with"]["enum"] == ["<EMAIL_1>"], "or the call would break its schema"
    assert (list(parameters["properties"]), parameters["required"]) == (["with", "name"], ["with"])


def test_ids_in_which_something_is_found_become_digests_and_calls_keep_their_results() -> None:
    email = SHAPED["EMAIL"][0]
    call = msgspec.structs.replace(calls(f"c-{email}", arguments={}), id=f"m-{email}")
    used = says("Done.", usage=Usage(1, 1, model=f"x-{email}"))
    redactor = Redactor("salt")
    made = redactor.session(session(human("Go."), call, result(f"c-{email}"), calls("c"), result("c"), used))
    assert email not in json.dumps(msgspec.to_builtins(made))
    asked, heard, *others = made.messages[1:]
    assert asked.id is not None
    assert asked.id.startswith("redacted-")
    assert asked.tool_calls[0].id == heard.tool_call_id != asked.id
    assert [message.tool_call_id for message in others] == [None, "c", None]
    assert redactor.counts["EMAIL"] == 4


@pytest.mark.parametrize("text", ["ls /home/marta/home/j.doe", "ls " + "x " * 200 + "/home/marta/home/j.doe"])
def test_a_folder_within_a_home_is_nobodys(text: str) -> None:
    assert [text[found.start : found.end] for found in find(text)] == ["marta"]


pieces = st.sampled_from(
    [value for _, before, value, after in PLANTED for value in (before, value, before + value + after)]
    + LOOK_ALIKES
    + [
        " ",
        "\n",
        "é",
        "😀",
        "=",
        '"',
        ": ",
        "\\",
        "@",
        "://",
        "+1 ",
        "-us1",
        "passpasspass key token ",
        "\ud800",
    ]
)


@given(st.lists(pieces | st.text(max_size=12), max_size=12).map("".join))
@settings(max_examples=300, deadline=None)
def test_redaction_is_stable_and_only_replaces(text: str) -> None:
    findings = find(text)
    for a, b in itertools.pairwise(findings):
        assert a.start < a.end <= b.start
    redactor = Redactor("salt")
    once = redactor.text(text)
    once.encode()
    assert sum(redactor.counts.values()) == len(findings)
    kept = [
        text[a:b]
        for a, b in zip([0, *(f.end for f in findings)], [*(f.start for f in findings), len(text)], strict=True)
    ]
    assert all(part.encode("utf-8", "replace").decode() in once for part in kept)


@pytest.mark.parametrize("text", [value for _, before, secret, after in PLANTED for value in [before + secret + after]])
def test_redacting_twice_changes_nothing(text: str) -> None:
    once = Redactor("salt").text(text)
    assert Redactor("salt").text(once) == once


@pytest.mark.parametrize(
    "hostile",
    [
        "pass" * 20_000, "key=" * 20_000, "1." * 40_000, "1 " * 40_000, "a" * 100_000, "@" * 50_000,
        "a@" * 40_000,
        "-----BEGIN PRIVATE " "KEY-----" * 3_000, "+1 (" * 20_000, "://:" * 20_000, "eyJ" * 30_000,
        "\\" * 80_000,
        "password" + "\\" * 80_000, "a.a@a." * 15_000, "A1 " * 30_000, "sk-" * 30_000, "/home/" * 15_000,
    ],
)  # fmt: skip
def test_hostile_texts_take_time_in_proportion_to_their_length(hostile: str) -> None:
    assert_grows_with_size(lambda size: find(hostile[:size]), len(hostile))
