"""The table of terms, who falls under which line, and what was said once."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from locum.dataset import consent
from locum.dataset.terms import LOOKED_AT, TABLE, check, terms_of
from locum.errors import DatasetError
from locum.sessions.scripted.log import MODEL

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize(
    ("provider", "model", "expected"),
    [
        ("anthropic", "claude-sonnet-4-5-20250929", ("anthropic", "restricted")),
        (None, "openrouter/anthropic/claude-3.5-haiku", ("anthropic", "restricted")),
        ("bedrock", "us.anthropic.claude-opus-4", ("anthropic", "restricted")),
        (None, "gpt-5-codex", ("openai", "restricted")),
        ("openai", "o3", ("openai", "restricted")),
        ("Azure", None, ("openai", "restricted")),
        ("openai", "gpt-oss-120b", ("local", "allowed")),
        ("google", "gemini-2.5-pro", ("google", "restricted")),
        (None, "gemma3:4b", ("google", "allowed")),
        (None, "grok-4-fast", ("xai", "restricted")),
        (None, "mistral-large-2411", ("mistral", "unknown")),
        (None, "llama3.1:8b", ("meta", "allowed")),
        (None, "meta-llama/Llama-3.3-70B-Instruct", ("meta", "allowed")),
        (None, "llama-4-maverick", ("meta", "allowed")),
        (None, "llama-3-2-3b", ("meta", "allowed")),
        (None, "llama3:8b", ("meta", "restricted")),
        (None, "Meta-Llama-3-8B-Instruct", ("meta", "restricted")),
        (None, "llama-3-70b", ("meta", "restricted")),
        (None, "llama2:13b", ("meta", "restricted")),
        (None, "codellama:7b", ("meta", "restricted")),
        ("meta", None, ("meta", "restricted")),
        (None, "deepseek-r1:7b", ("deepseek", "allowed")),
        (None, "qwen3-max", ("alibaba", "restricted")),
        (None, "qwen2.5-coder:7b", ("alibaba", "allowed")),
        (None, "qwq-32b", ("alibaba", "allowed")),
        ("cohere", "command-r-plus", ("cohere", "unknown")),
        ("github", None, ("github", "allowed")),
        ("x", None, ("x", "restricted")),
        ("ollama", "smollm2:135m", ("local", "allowed")),
        (None, MODEL, ("locum", "allowed")),
        ("unknown", "unknown", ("unknown", "unknown")),
        (None, None, ("unknown", "unknown")),
        ("moonshot", "kimi-k2", ("unknown", "unknown")),
    ],
)
def test_the_model_decides_before_the_provider(
    provider: str | None, model: str | None, expected: tuple[str, str]
) -> None:
    found = terms_of(provider, model)
    assert (found.provider, found.standing) == expected


@given(st.none() | st.text(max_size=20), st.none() | st.text(max_size=20))
def test_every_name_has_a_line(provider: str | None, model: str | None) -> None:
    assert terms_of(provider, model) in TABLE


def test_restricted_terms_are_refused_in_one_line_that_says_what_to_do() -> None:
    models = {"anthropic/claude-x": 1200, "unknown/claude-y": 34, "openai/gpt-5": 5, "unknown/unknown": 7}
    with pytest.raises(DatasetError) as error:
        check(models, ["openai"])
    message = str(error.value)
    assert "anthropic (1,234 rows)" in message
    assert "--allow-terms anthropic" in message
    assert "openai" not in message
    assert "\n" not in message
    with pytest.raises(DatasetError, match="--allow-terms anthropic --allow-terms openai"):
        check(models, [])


def test_allowed_terms_are_stated_line_by_line() -> None:
    lines = check({"anthropic/claude-x": 3, f"unknown/{MODEL}": 9, "unknown/llama3.1:8b": 1}, ["anthropic"])
    assert [line.split(",")[0] for line in lines] == ["locum", "anthropic", "meta"]
    assert "3 rows; training on outputs: restricted, taken note of with --allow-terms anthropic" in lines[1]
    assert "1 row;" in lines[2]
    assert "https://www.anthropic.com/legal/commercial-terms" in lines[1]
    assert check({}, []) == ()


def test_the_demo_and_unknown_makers_need_no_word() -> None:
    assert len(check({f"unknown/{MODEL}": 5, "unknown/unknown": 1}, [])) == 2


@pytest.mark.parametrize("word", ["antropic", "", "deepseek", "unknown"])
def test_a_word_that_restricts_nothing_is_refused(word: str) -> None:
    with pytest.raises(DatasetError, match=r"--allow-terms takes one of alibaba, anthropic, google, meta, openai"):
        check({}, [word])


def test_what_was_said_once_is_remembered(home: Path) -> None:
    assert consent.allowed() == ()
    consent.remember([], "2026-01-01T00:00:00+00:00", LOOKED_AT)
    assert not consent.consent_file().exists()
    consent.remember(["openai", "openai"], "2026-01-01T00:00:00+00:00", LOOKED_AT)
    consent.remember(["xai", "openai"], "2027-01-01T00:00:00+00:00", LOOKED_AT)
    assert consent.allowed(["anthropic"]) == ("anthropic", "openai", "xai")
    assert [(said.provider, said.time[:4]) for said in consent.given()] == [("openai", "2026"), ("xai", "2027")]
    assert consent.consent_file() == home / "terms.json"


def test_a_damaged_memory_is_named(home: Path) -> None:
    home.mkdir()
    (home / "terms.json").write_text('{"openai": true}')
    with pytest.raises(DatasetError, match=r"terms\.json is damaged: remove it"):
        consent.allowed()


def test_the_table_is_whole_and_the_page_shows_it() -> None:
    page = " ".join((DOCS / "terms.md").read_text("utf-8").split())
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", LOOKED_AT)
    assert LOOKED_AT in page
    for line in TABLE:
        assert line.url.startswith("https://") or line.provider == "unknown"
        shown = f"| `{line.provider}` | {line.covers} | {line.standing} | {line.says} |"
        assert shown in page
        assert line.url in page
        assert f"{line.version}; {line.seen}" in page
