"""Repetition, loops and made-up details, on texts whose faults are known."""

import pytest
from growth import assert_grows_with_size
from hypothesis import given
from hypothesis import strategies as st

from locum.evaluation.signatures.details import Detail, details
from locum.evaluation.signatures.grounding import made_up
from locum.evaluation.signatures.repetition import loops, seq_rep


def kinds(found: list[Detail]) -> list[tuple[str, str]]:
    return [(detail.kind, detail.text) for detail in found]


# --- repetition


def test_repetition_counts_repeated_four_grams() -> None:
    assert seq_rep("") == seq_rep("one two three") == 0
    assert seq_rep("a b c d e f") == 0
    assert seq_rep("a a a a a") == pytest.approx(1 / 2)
    assert seq_rep("go on and on " * 10) == pytest.approx(1 - 4 / 37)


@pytest.mark.parametrize(
    "text",
    [
        "I am sorry. I am sorry. I am sorry.",
        "All good.\nThe gate holds.\nThe gate holds.\nThe gate holds.\n",
        "first this then\nthat then\nthat then\nthat then\nth",
        "x y z x y z x y z x",
        "so no no no",
    ],
)
def test_a_text_that_ends_in_repeats_loops(text: str) -> None:
    assert loops(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "word",
        "no no",
        "I am sorry. I am sorry. I really am.",
        "the the the end",
        "no no no wait, that is fine",
        "if x {\n  if y {\n    if z {\n    }\n  }\n}",
        "- - -",
    ],
)
def test_a_text_that_moves_on_does_not_loop(text: str) -> None:
    assert not loops(text)


words = st.lists(st.sampled_from(["deploy", "gate", "rows", "and", "x1"]), min_size=1, max_size=5)


@given(words, words, st.integers(3, 6), st.integers(0, 4))
def test_any_block_three_times_loops_wherever_it_breaks_off(
    before: list[str], block: list[str], times: int, cut: int
) -> None:
    text = " ".join(before + block * times + block[: min(cut, len(block))])
    assert loops(text)


# --- details


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("write to <EMAIL_1> now", [("placeholder", "<EMAIL_1>")]),
        ("see https://example.org/a?b=1.", [("url", "https://example.org/a?b=1")]),
        ("ask ops@example.org, please", [("email", "ops@example.org")]),
        ("open src/app/main.py and /etc/hosts.", [("path", "src/app/main.py"), ("path", "/etc/hosts")]),
        ("at ~/.config/x or ./run.sh", [("path", "~/.config/x"), ("path", "./run.sh")]),
        (r"in C:\Temp\x.txt too", [("path", r"C:\Temp\x.txt")]),
        ("commit 9fceb02 by", [("hash", "9fceb02")]),
        ("pay 0x52908400098527886E0F", [("hash", "0x52908400098527886E0F")]),
        ("host 10.0.12.7 is down", [("hash", "10.0.12.7")]),
        ("on 2026-03-01 at 14:05", [("date", "2026-03-01"), ("date", "14:05")]),
        ("at 2026-03-01T14:05:09Z", [("date", "2026-03-01"), ("date", "14:05:09")]),
        ("by March 3rd, 2026 or 4 May", [("date", "March 3rd, 2026"), ("date", "4 May")]),
        ("on v1.2 and 3.11.4-rc1", [("version", "v1.2"), ("version", "3.11.4-rc1")]),
        ("took 1.5 ms of 1,200 MB", [("number", "1.5 ms"), ("number", "1,200 MB")]),
        ("costs $45, 7% off, 10k rows", [("number", "$45"), ("number", "7%"), ("number", "10k")]),
        ("ranges 10-20", [("number", "10"), ("number", "20")]),
        ("fell to -12", [("number", "-12")]),
        ("ping @night-owl", [("handle", "@night-owl")]),
        ("call os.path and get_user", [("identifier", "os.path"), ("identifier", "get_user")]),
        ("use fetchAll from HttpClient", [("identifier", "fetchAll"), ("identifier", "HttpClient")]),
        ("order W2378156, ticket OPS-17", [("identifier", "W2378156"), ("identifier", "OPS-17")]),
        ('it said "not today" twice', [("quoted", "not today")]),
        ("it said “not today” twice", [("quoted", "not today")]),
        ('the file "a/b.txt" is', [("path", "a/b.txt")]),
        ('{"order_id": "W2378156"}', [("identifier", "order_id"), ("identifier", "W2378156")]),
        ("talk to Ada Lovelace in Turin", [("name", "Ada Lovelace"), ("name", "Turin")]),
        ("The Turin office", [("name", "Turin")]),
    ],
)
def test_details_are_found(text: str, expected: list[tuple[str, str]]) -> None:
    assert kinds(details(text)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1. Look at it\n2. Do it\n12) Check",
        "There are 3 of them. Done.",
        "yes and/or no, either/or, tokens/s",
        "e.g. this, i.e. that",
        "## Next Steps And More",
        "**Test Results**: fine",
        "| Name | Test Result |",
        "- First do this\n- Then that",
        "It works. Perhaps. I'm glad!",
        "the 2nd and the 15th",
        "</div>",
        "_emphasis_ and *strength*",
        r"first\nThen a\tTab",  # JSON's escapes
    ],
)
def test_ordinary_prose_has_no_details(text: str) -> None:
    assert details(text) == []


# --- made up


@pytest.mark.parametrize(
    ("text", "prompt"),
    [
        ("about 1200 rows", "it has 1,200 rows"),
        ("about 1,200 rows", 'see {"rows": 1200.0}'),
        ("12 of them", "took 12 ms"),
        ("took 12 ms", "the answer is 12"),
        ("took 12 ms", "it took 12 milliseconds"),
        ("some 10k rows", "exactly 10,000"),
        ("take 100 then", "[100,200]"),
        ("on Python v3.11", "needs Python 3.11"),
        ("in 3.11 too", "since v3.11"),
        ("on 3 March", "due 2026-03-03"),
        ("on 2026-04-03", "due 3/4/2026 or 04/03/2026"),
        ("at 9:30 sharp", "09:30:12 start"),
        ("commit 9fceb02", "commit 9fceb02d0ae598e95dc970b74767f19372d61af8"),
        ("see app/main.py", "changed src/app/main.py"),
        ("see ./a/b", "changed a/b."),
        ("edit main.py", "changed src/app/main.py"),
        ("ask ADA Lovelace or Ada Lovelace", "from ada\nlovelace"),
        ("it was “Not Today” again", "she said: not today"),
        ("call get_user", "you may get_user(id)"),
        ("mail <EMAIL_1>", "from <EMAIL_1>"),
    ],
)
def test_what_the_prompt_holds_is_not_made_up(text: str, prompt: str) -> None:
    assert made_up(text, prompt) == []


@pytest.mark.parametrize(
    ("text", "prompt", "kind"),
    [
        ("costs 15 now", "costs 1.5 now", "number"),
        ("costs 1.5 now", "costs 15 now", "number"),
        ("costs 1.5 now", "release 1.5.3", "number"),
        ("took 12 ms", "took 12 s", "number"),
        ("fell to -12", "fell to 12", "number"),
        ("some 120 rows", "id 41203", "number"),
        ("on v3.1", "on v3.10", "version"),
        ("due 2026-03-03", "on 3 March", "date"),
        ("due 2026-03-04", "due 2026-03-03", "date"),
        ("at 9:31", "at 9:30", "date"),
        ("commit 9fceb03", "commit 9fceb02d0ae598e9", "hash"),
        ("open a/b", "open ab", "path"),
        ("open a/b", "open aa/b", "path"),
        ("open a/b", "open a/b-c", "path"),
        ("open src/a.ts", "open src/a.tsx", "path"),
        ("see https://example.org/a", "see https://example.org/ab", "url"),
        ("call get_user", "call get_users", "identifier"),
        ("ask Ada Lovelace", "ask Ada Byron", "name"),
        ("mail <EMAIL_2>", "from <EMAIL_1>", "placeholder"),
        ("ping @owl", "ping @owls", "handle"),
    ],
)
def test_what_only_looks_alike_is_made_up(text: str, prompt: str, kind: str) -> None:
    assert [detail.kind for detail in made_up(text, prompt)] == [kind]


def test_tools_and_parameters_are_known() -> None:
    text = "I will call get_order with orderId"
    assert len(made_up(text, "please do")) == 2
    assert made_up(text, "please do", inventory={"get_order", "orderId"}) == []


# Texts thick with the characters that details are made of, besides arbitrary ones.
THICK = (
    "a/b 1,200 1.5 v2 2026-03-01 9fceb02 Ada x_y aB @me 0x12ab é ٣ <EMAIL_1> http:// ms % $ 12:30 T May 3rd "
    '1 " “ ” - . , : ** # ~'
)
pieces = st.lists(
    st.sampled_from([" ", "\n", "\\", "C:\\", *THICK.split()]),
    max_size=25,
).map("".join)
HOSTILE = "=+ /a a. ,111 “ _ a@ 1. 1/1/ Aa aB 1 Ab'a a1"


@pytest.mark.parametrize("piece", [*HOSTILE.split(), "Ab Cd "])
def test_time_grows_gently_with_hostile_text(piece: str) -> None:
    assert_grows_with_size(lambda size: made_up(piece * size + "_", piece * size), 5000)


texts = st.one_of(pieces, st.text(max_size=80))


@given(texts)
def test_spans_index_the_text_in_order_without_overlap(text: str) -> None:
    end = 0
    for detail in details(text):
        assert end <= detail.start < detail.end
        assert text[detail.start : detail.end] == detail.text
        end = detail.end


@given(texts, st.sampled_from(["", "before\n"]), st.sampled_from(["", "\nafter"]))
def test_nothing_is_made_up_of_ones_own_prompt(text: str, before: str, after: str) -> None:
    assert made_up(text, before + text + after, inventory=["get_order"]) == []


@given(texts, texts, texts)
def test_a_longer_prompt_supports_no_less(text: str, prompt: str, more: str) -> None:
    fewer = made_up(text, f"{prompt}\n{more}")
    assert set(fewer) <= set(made_up(text, prompt)) <= set(details(text))
