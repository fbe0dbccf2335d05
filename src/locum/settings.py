"""What a user settles once, in `locum.toml`: families of their own, who the agent is, and words of their field.

Read from the file that is named, else from `locum.toml` in the working directory, else nothing is settled. Every
mistake in it is one line that names the file and the key: a rule that silently does nothing would be worse.
"""

import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import urlsplit

import msgspec

from locum.errors import SettingsError

T = TypeVar("T")
FILE_NAME = "locum.toml"
STRUCTURAL: frozenset[str] = frozenset({"tool_decision", "code_review", "reply", "post"})
"""The families that a turn has by its structure; `locum.dataset.families` says what they are."""
CONDITIONS = ("tool", "response", "request", "format", "source", "provider", "model")
_PATTERNS = ("response", "request")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class FamilyRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One `[[families]]` entry: turns of family `of` that meet every condition given are of family `name`.

    Globs are those of `fnmatch`, in which case counts; regular expressions are Python's, and are searched for
    anywhere in the text.
    """

    name: str
    of: str
    """The structural family that it refines."""
    tool: str | None = None
    """Glob: the name of one of the tools called."""
    response: str | None = None
    """Regular expression: the response's text, then each call as `name {"argument":"value"}`, one a line."""
    request: str | None = None
    """Regular expression: what the turn answers."""
    format: str | None = None
    """The log's format, as `locum extract` names it."""
    source: str | None = None
    """Glob: the path of the log."""
    provider: str | None = None
    """Glob."""
    model: str | None = None
    """Glob."""


class AgentSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `[agent]` table."""

    logins: tuple[str, ...] = ()
    """The agent's names in logs that hold several people, as those logs write them."""
    provider: Literal["openai", "anthropic"] | None = None
    """In whose dialect the agent is asked again (`locum evaluate --agent`); every server that speaks it will do."""
    model: str | None = None
    """As the provider names it."""
    base_url: str | None = None
    """Where it is asked, if not at the provider's own address."""
    key_env: str | None = None
    """The environment variable that holds the key, if not the provider's usual one."""
    max_tokens: Annotated[int, msgspec.Meta(ge=1)] = 1024
    """Longest answer; what an agent thinks before it answers may count."""


class Lexicons(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `[lexicons]` table: phrases by which evaluation tells tokens apart, added to those that Locum brings."""

    verdict: tuple[str, ...] = ()
    qualifier: tuple[str, ...] = ()
    function_word: tuple[str, ...] = ()
    domain_vocabulary: tuple[str, ...] = ()


class Price(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A `[prices."MODEL"]` table: what the agent's provider charges, in US dollars per million tokens."""

    input: Annotated[float, msgspec.Meta(ge=0)]
    output: Annotated[float, msgspec.Meta(ge=0)]
    cached: Annotated[float, msgspec.Meta(ge=0)] | None = None
    """Of input that comes from the provider's cache; as other input where it is not given."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All that `locum.toml` settles."""

    families: tuple[FamilyRule, ...] = ()
    agent: AgentSettings = AgentSettings()
    lexicons: Lexicons = Lexicons()
    prices: dict[str, Price] = {}
    """Glob over a model's name -> its price; the first that fits counts."""
    file: str | None = None
    """Where it was read from."""

    @property
    def agents(self) -> frozenset[str]:
        """Who the agent is in logs that hold several people."""
        return frozenset(self.agent.logins)


def load_settings(path: Path | str | None = None) -> Settings:
    """Read the settings.

    Args:
        path: the file; None: `locum.toml` in the working directory, where there is one.

    Raises:
        SettingsError: the file that was named is not there, cannot be read, or says something that is no setting.
    """
    if path is None and not Path(FILE_NAME).is_file():
        return Settings()
    path = Path(path or FILE_NAME)
    try:
        settled = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}; name another file with --settings") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{path} is not UTF-8 text; save it as UTF-8") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise SettingsError(f"{path} is no TOML: {error}; mend it there") from None
    for key in settled:
        if key not in ("families", "agent", "lexicons", "prices"):
            raise SettingsError(
                f"{path}: unknown key {key!r}; there are `[[families]]`, `[agent]`, `[lexicons]` and `[prices]`"
            )
    listed = settled.get("families", [])
    if not isinstance(listed, list):
        raise SettingsError(f"{path}: `families` is one table; begin each rule with [[families]]")
    rules = tuple(_rule(path, f"families[{at}]", item) for at, item in enumerate(listed, start=1))
    _check_names(path, rules)
    agent = _convert(path, "agent", settled.get("agent", {}), AgentSettings)
    if any(not login.strip() for login in agent.logins):
        raise SettingsError(f"{path}: agent.logins holds an empty name; leave it out")
    _check_provider(path, agent)
    lexicons = _convert(path, "lexicons", settled.get("lexicons", {}), Lexicons)
    prices = _convert(path, "prices", settled.get("prices", {}), dict[str, Price])
    return Settings(families=rules, agent=agent, lexicons=lexicons, prices=prices, file=str(path))


def _rule(path: Path, where: str, item: Any) -> FamilyRule:
    rule = _convert(path, where, item, FamilyRule)
    if not _NAME.fullmatch(rule.name):
        raise SettingsError(
            f"{path}: {where}.name {rule.name!r} is no name; use up to 40 of a-z, 0-9 and _, a letter first"
        )
    if rule.name in STRUCTURAL:
        raise SettingsError(f"{path}: {where}.name {rule.name!r} is a family already; give the rule a name of its own")
    if rule.of not in STRUCTURAL:
        raise SettingsError(f"{path}: {where}.of {rule.of!r} is none of {', '.join(sorted(STRUCTURAL))}")
    given = {name: value for name in CONDITIONS if (value := getattr(rule, name)) is not None}
    if not given:
        raise SettingsError(f"{path}: {where} has no condition; give at least one of {', '.join(CONDITIONS)}")
    if "tool" in given and rule.of != "tool_decision":
        raise SettingsError(f"{path}: {where}.tool can only hold of tool decisions, not of {rule.of!r}; leave it out")
    for name in _PATTERNS:
        if name in given:
            try:
                re.compile(given[name])
            except (re.error, RecursionError, OverflowError) as error:
                raise SettingsError(
                    f"{path}: {where}.{name} {given[name]!r} is no regular expression: {error}; mend it there"
                ) from None
    return rule


def _check_provider(path: Path, agent: AgentSettings) -> None:
    # Neither value is quoted: a key may have been put in the place of its variable's name, or into the address.
    if agent.key_env is not None and not _VARIABLE.fullmatch(agent.key_env):
        raise SettingsError(f"{path}: agent.key_env is no name of an environment variable; put the key there, not here")
    if agent.base_url is not None:
        try:
            address = urlsplit(agent.base_url)
            usable = address.scheme in ("http", "https") and bool(address.hostname) and "@" not in address.netloc
        except ValueError:
            usable = False
        if not usable:
            raise SettingsError(
                f"{path}: agent.base_url is no address; write it like https://host/v1, without a name or key in it"
            )


def _check_names(path: Path, rules: tuple[FamilyRule, ...]) -> None:
    """Several rules may name one family, which then is of one structure."""
    structure: dict[str, str] = {}
    for at, rule in enumerate(rules, start=1):
        if structure.setdefault(rule.name, rule.of) != rule.of:
            raise SettingsError(
                f"{path}: families[{at}].of {rule.of!r}: {rule.name!r} is of {structure[rule.name]!r} in a rule"
                " before; give it another name"
            )


def _convert(path: Path, where: str, value: Any, type_: type[T]) -> T:
    try:
        return msgspec.convert(value, type_)
    except msgspec.ValidationError as error:
        said = str(error).replace(" - at `$", f" - at `{where}")
        raise SettingsError(f"{path}: {where}: {said}; docs/settings.md lists what there is") from None
