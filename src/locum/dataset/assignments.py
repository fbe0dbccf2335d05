"""Secrets that only their context gives away: `password = ...`, `"api_key": "..."`, `Bearer ...`, `--token
...`.

The value has no shape of its own, so both sides are judged: the name must say that a secret follows
(`max_tokens` and `cache_key` do not), and the value must look like one and not like code (`os.environ[...]`),
a reference (`$TOKEN`), a type, or a placeholder that somebody is meant to fill in.
"""

import base64
import binascii
import re
from collections.abc import Iterator
from functools import lru_cache

_PLACEHOLDER = re.compile(
    r"example|placeholder|change[-_]?me|redacted|\byour|<|\$\{|\{\{|\.\.\.|…|xxxx|\*{3}|insert[-_]|replace[-_]|dummy"
    r"|^(?:user(?:name)?|pass(?:word|wd)?|pwd|secret|token|key|string|str|text|none|null|nil|undefined|true|false"
    r"|required|optional|hidden|root|admin|foo|bar|test)$",
    re.IGNORECASE,
)


def stands_in(value: str) -> bool:
    """Whether a value only stands for one: `your-api-key-here`, `xxxxxxxx`, `$TOKEN`, `password`."""
    return value[:1] in "$%{<@*&[(" or len(set(value)) <= 4 or _PLACEHOLDER.search(value) is not None


_KEYWORDS = (b"pass", b"pwd", b"secret", b"token", b"key", b"credential")
_ASSIGNED = re.compile(
    r"[A-Za-z0-9_-]{0,32}+(?P<op>\\*[\"']?\]?[ \t]{0,2}(?:=>|:=|[:=])[ \t]{0,2}| (?:is|was) |[ >])"
    r"(?:\\*[\"'`](?P<quoted>[^\s\"'`\\]{4,256})(?=\\*[\"'`])"
    r"|(?P<bare>[^\s\"'`\\,;&|<>(){}\[\]]{4,256})(?P<after>[(\[{]?))"
)
_NAME_START = re.compile(r"[A-Za-z0-9_-]{1,32}\Z")
_NAME = re.compile(r"[A-Za-z0-9_-]+")
_BEARER = re.compile(r"(?:[Bb]earer|BEARER) +([A-Za-z0-9_\-.=+/~]{12,2048})")
_BASIC = re.compile(r"[Bb]asic +([A-Za-z0-9+/]{8,512}={0,2})")
_CURL_USER = re.compile(r"(?:\s-u|\s--user)[ =]?[\"']?([^\s:\"'$]{1,64}:[^\s\"'$]{3,128})")


def find_assigned(text: str, low: bytes) -> Iterator[tuple[int, int, str]]:
    """(start, end, kind) of every value whose context names it a secret; the same one may come twice.

    `low` is the text in lower case, one byte a character.
    """
    for keyword in _KEYWORDS:
        at = low.find(keyword)
        while at >= 0:
            match = _ASSIGNED.match(text, at)
            if match:
                yield from _judged(text, match)
            at = low.find(keyword, at + len(keyword))
    if b"bearer " in low:
        for match in _BEARER.finditer(text):
            if any(c.isdigit() for c in match[1]) and not stands_in(match[1]):
                yield match.start(1), match.end(1), "TOKEN"
    if b"basic " in low:
        for match in _BASIC.finditer(text):
            if _is_basic(match[1]):
                yield match.start(1), match.end(1), "URL_CREDENTIALS"
    if b"curl" in low:
        for match in _CURL_USER.finditer(text):
            user, _, password = match[1].partition(":")
            if not (user.isdigit() or stands_in(password)):
                yield match.start(1), match.end(1), "URL_CREDENTIALS"


def _judged(text: str, match: re.Match[str]) -> Iterator[tuple[int, int, str]]:
    start = match.start()
    before = _NAME_START.search(text, max(0, start - 32), start)
    written = _NAME.match(text, before.start() if before else start)
    name = written[0] if written else ""
    kind = secret_kind(name.strip("-_"))
    op, quoted = match["op"], match["quoted"] is not None
    if kind is None or match["after"] or not _operator_fits(op, name, kind):
        return
    value = match["quoted"] if quoted else match["bare"]
    if op in (" is ", " was "):
        value = value.rstrip(".:!?")
    if is_secret(value, kind, quoted=quoted, environment=name.isupper() and "=" in op):
        start = match.start("quoted" if quoted else "bare")
        yield start, start + len(value), kind


def _operator_fits(op: str, name: str, kind: str) -> bool:
    if op == " ":
        return name.startswith("--")
    if name.lower() == "pass":
        return "=" in op  # tests pass too: `PASS: TestLogin2`
    return kind == "PASSWORD" or op not in (" is ", " was ")


def _is_basic(encoded: str) -> bool:
    try:
        user, colon, password = base64.b64decode(encoded, validate=True).decode("utf-8").partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return False
    return bool(user and colon and password) and (user + password).isprintable()


_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_PASSWORD_WORDS = frozenset({"password", "passwd", "pwd", "passphrase", "pass", "passcode"})
_KEY_OWNER = re.compile(
    r"api|access|auth|private|client|service|account|encryption|signing|master|admin|license|deploy|subscription"
    r"|webhook|storage|db|database|secret"
)
_ABOUT = re.compile(
    r"name|ids?|file|path|type|url|uri|ttl|expires|expiry|length|count|limit|max|min|env|var|header|prefix|hash|field"
    r"|label|hint|policy|usage|budget|regex|error|message|placeholder|test"
)


@lru_cache(maxsize=8192)
def secret_kind(name: str) -> str | None:
    """The kind of secret that a variable, field or option of this name holds; None where it holds none.

    Judged by its words (`DB_PASSWORD`, `apiKey`, `x-api-key`), so `passed` and `max_tokens` are none.
    """
    words = {word.lower() for word in _WORD.findall(name)}
    if any(map(_ABOUT.fullmatch, words)):
        return None
    if words & _PASSWORD_WORDS:
        return "PASSWORD"
    if "apikey" in words or ("key" in words and any(map(_KEY_OWNER.fullmatch, words))):
        return "API_KEY"
    if "token" in words:
        return "TOKEN"
    if words & {"secret", "secrets", "credential", "credentials"}:
        return "SECRET"
    return None


_CODE = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+", re.ASCII)
_OPAQUE = re.compile(r"[A-Za-z0-9_\-./+=~:]+")


def is_secret(value: str, kind: str, *, quoted: bool = True, environment: bool = False) -> bool:
    """Whether a value standing under a name of this kind is the secret itself.

    Args:
        value: the value, without its quotes.
        kind: what `secret_kind` said of its name.
        quoted: it was written as a literal, so it is no variable's name.
        environment: its name is in capitals, as in environment files, where bare words are literals too.
    """
    if stands_in(value) or _CODE.fullmatch(value) or value.startswith(("/", "./", "~/", "http://", "https://")):
        return False
    digits = sum(map(str.isdigit, value))
    if kind == "PASSWORD":
        if value.isdigit():
            return len(value) >= 6 and (quoted or environment)
        odd = digits or any(not (c.isalnum() or c in "_-.:") for c in value)
        return (len(value) >= 6 and bool(odd)) or (environment and len(value) >= 6)
    if not _OPAQUE.fullmatch(value) or not any(c.isalpha() for c in value):
        return False
    return len(value) >= 12 and (digits >= 2 or (digits == 1 and value.lower() != value != value.upper()))
