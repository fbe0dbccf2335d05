"""`locum.toml`: what it settles, and one clear line for every mistake in it."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from locum.dataset.families import FAMILIES
from locum.errors import SettingsError
from locum.settings import CONDITIONS, STRUCTURAL, FamilyRule, Price, load_settings

WHOLE = """
[agent]
logins = ["robin-bot", "Robin"]

[[families]]
name = "triage"
of = "reply"
request = "(?i)priority"

[[families]]
name = "git"
of = "tool_decision"
tool = "Ba*"
response = 'git (push|commit)'
format = "claude_code"
source = "*/projects/*"
provider = "anthropic"
model = "claude-*"
"""


def settings_file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "some.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_everything_that_can_be_settled(tmp_path: Path) -> None:
    path = settings_file(tmp_path, WHOLE)
    settings = load_settings(path)
    assert settings.agents == {"robin-bot", "Robin"}
    assert settings.file == str(path)
    triage, git = settings.families
    assert triage == FamilyRule(name="triage", of="reply", request="(?i)priority")
    assert all(getattr(git, name) is not None for name in CONDITIONS if name != "request")


def test_the_file_of_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_settings().families == () == load_settings().agent.logins
    (tmp_path / "locum.toml").write_text(WHOLE)
    assert [rule.name for rule in load_settings().families] == ["triage", "git"]


def test_the_structural_families_are_those_of_the_dataset() -> None:
    assert set(FAMILIES) == STRUCTURAL


RULE = '[[families]]\nname = "x"\nof = "reply"\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("families = 3", "`families` is one table"),
        ("[families]\nname = 'x'", "`families` is one table"),
        ("famlies = []", "unknown key 'famlies'"),
        ("= 3", "is no TOML"),
        (RULE, "families[1] has no condition"),
        (RULE + 'request = "("', "families[1].request '(' is no regular expression"),
        (RULE + 'response = "a{99999999999999}"', "families[1].response"),
        (RULE + 'requests = "a"', "families[1]: Object contains unknown field `requests`"),
        (RULE + "request = 3", "families[1]: Expected `str | null`, got `int` - at `families[1].request`"),
        (RULE + 'tool = "Bash"', "families[1].tool can only hold of tool decisions"),
        ('[[families]]\nname = "x"', "missing required field `of`"),
        ('[[families]]\nname = "x"\nof = "tweet"\nrequest = "a"', "families[1].of 'tweet' is none of"),
        ('[[families]]\nname = "no name"\nof = "reply"\nrequest = "a"', "families[1].name 'no name' is no name"),
        ('[[families]]\nname = "post"\nof = "reply"\nrequest = "a"', "families[1].name 'post' is a family already"),
        (RULE + 'request = "a"\n' + RULE.replace("reply", "post") + 'request = "b"', "families[2].of 'post'"),
        ("[agent]\nlogins = 'me'", "agent: Expected `array`, got `str` - at `agent.logins`"),
        ("[agent]\nlogins = ['']", "agent.logins holds an empty name"),
        ("[agent]\nlogin = ['me']", "agent: Object contains unknown field `login`"),
        ("agent = []", "agent: Expected `object`, got `array`"),
    ],
)
def test_a_mistake_is_one_line_with_file_and_key(tmp_path: Path, text: str, said: str) -> None:
    path = settings_file(tmp_path, text)
    with pytest.raises(SettingsError) as raised:
        load_settings(path)
    message = str(raised.value)
    assert message.startswith(str(path))
    assert said in message


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"missing.toml cannot be read: No such file"):
        load_settings(tmp_path / "missing.toml")
    with pytest.raises(SettingsError, match="cannot be read: Is a directory"):
        load_settings(tmp_path)
    (tmp_path / "latin.toml").write_bytes(b"# \xe4")
    with pytest.raises(SettingsError, match="is not UTF-8 text"):
        load_settings(tmp_path / "latin.toml")


@given(text=st.text(max_size=60) | st.text("[]{}=\"'\n families.nmo", max_size=60))
def test_whatever_the_file_holds_it_is_settings_or_one_error(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with contextlib.suppress(SettingsError):
        load_settings(path)


def test_how_the_agent_is_asked_again(tmp_path: Path) -> None:
    text = '[agent]\nprovider = "openai"\nmodel = "m"\nbase_url = "http://localhost:8000/v1"\nmax_tokens = 9\n'
    agent = load_settings(settings_file(tmp_path, text)).agent
    assert (agent.provider, agent.model, agent.base_url, agent.key_env, agent.max_tokens) == (
        "openai",
        "m",
        "http://localhost:8000/v1",
        None,
        9,
    )
    assert load_settings(settings_file(tmp_path, "")).agent.provider is None


@pytest.mark.parametrize(
    ("line", "match"),
    [
        ('provider = "elsewhere"', "elsewhere"),
        ("max_tokens = 0", "max_tokens"),
        ('api_key = "x"', "api_key"),
        ('base_url = "localhost:8000"', "agent.base_url is no address"),
        ('base_url = "https://"', "agent.base_url is no address"),
        ('base_url = "http://[::1"', "agent.base_url is no address"),
    ],
)
def test_mistakes_about_the_provider(tmp_path: Path, line: str, match: str) -> None:
    with pytest.raises(SettingsError, match=match):
        load_settings(settings_file(tmp_path, f"[agent]\n{line}\n"))


@pytest.mark.parametrize("line", ['key_env = "secret-value-7"', 'base_url = "https://me:secret-value-7@host/v1"'])
def test_a_key_in_the_wrong_place_is_not_repeated(tmp_path: Path, line: str) -> None:
    with pytest.raises(SettingsError) as found:
        load_settings(settings_file(tmp_path, f"[agent]\n{line}\n"))
    assert "secret-value-7" not in str(found.value)


def test_prices(tmp_path: Path) -> None:
    text = '[prices."claude-*"]\ninput = 3\noutput = 15\ncached = 0.3\n[prices."gpt-x"]\ninput = 1\noutput = 2\n'
    found = load_settings(settings_file(tmp_path, text)).prices
    assert found == {"claude-*": Price(input=3, output=15, cached=0.3), "gpt-x": Price(input=1, output=2)}
    for wrong, words in (
        ("[prices]\ninput = 3\n", "prices: Expected `object`"),
        ('[prices."m"]\ninput = 3\n', "missing required field `output`"),
        ('[prices."m"]\ninput = -3\noutput = 1\n', "Expected `float` >= 0"),
        ('[prices."m"]\ninput = 3\noutput = 1\nper_call = 1\n', "per_call"),
    ):
        with pytest.raises(SettingsError, match=words):
            load_settings(settings_file(tmp_path, wrong))
