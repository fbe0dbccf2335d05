"""Secrets that only their context gives away: `password = ...`, `"api_key": "..."`, `Bearer ...`, `--token
...`.

The value has no shape of its own, so both sides are judged: the name must say that a secret follows
(`max_tokens` and `cache_key` do not), and the value must look like one and not like code (`os.environ[...]`),
a reference (`$TOKEN`), a type, or a placeholder that somebody is meant to fill in.
"""

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from functools import lru_cache

from locum.dataset.wrapped import goes_on, is_jumbled, is_mixed, joined, pieces

_PLACEHOLDER = re.compile(
    r"example|placeholder|^my[-_]?(?:password|secret|token|key)|change[-_]?me|redacted|\byour|<|\$\{|\{\{|\.\.\.|…|xxxx|\*{3}|insert[-_]|replace[-_]|dummy"
    r"|^(?:user(?:name)?|pass(?:word|wd)?|pwd|secret|token|key|string|str|text|none|null|nil|undefined|true|false"
    r"|required|optional|hidden|root|admin|foo|bar|test)$",
    re.IGNORECASE,
)


def stands_in(value: str) -> bool:
    """Whether a value only stands for one: `your-api-key-here`, `xxxxxxxx`, `$TOKEN`, `password`."""
    return value[:1] in "$%{<@*&[(" or len(set(value)) <= 4 or _PLACEHOLDER.search(value) is not None


_KEYWORDS = (b"pass", b"pw", b"secret", b"token", b"key", b"credential", b"contrase", b"senha")
# Between a name and its value: an operator (bold or not), words, a blank, or the rest of `name: X`, `value: ...`.
_ASSIGNED = re.compile(
    r"[A-Za-z0-9_ñ-]{0,32}+(?:\\+u00f1a)?(?: for [\w.@-]{1,40}(?=:))?"
    r"(?P<op>\*{0,2}\\*[\"'`]?\]?[ \t]{0,2}(?:=>|:=|[:=])\*{0,2}[ \t]{0,2}\*{0,2}"
    r"| (?:is|was|(?:has been |was |is )?set to):? |[ >]\*{0,2}"
    r"|\\*[\"']?,?\s{1,40}\\*[\"']?value\\*[\"']?:\s?)"
    r"(?:\\*[\"'`](?P<quoted>[^\s\"'`\\]{4,256})(?=\\*[\"'`])"
    r"|\\*[\"'`](?P<cut>[^\s\"'`\\]{12,256})(?=[=\\]{0,4}[\r\n])"
    r"|(?P<bare>[^\s\"'`\\,;&|<>(){}\[\]*][^\s\"'`\\,;&|<>(){}\[\]]{3,255})(?P<after>[(\[{]?))"
)
_NAME_START = re.compile(r"[A-Za-z0-9_-]{1,32}\Z")
_NAME = re.compile(r"[A-Za-z0-9_-]+")
_REST_OF_WORD = re.compile(r"[^\s\"'`\\<>(){}\[\]]{1,256}")
_STRONG = re.compile(
    r"(?=(?:[^0-9]*[0-9]){3})(?:[0-9a-f]{32,128}|(?=[^a-z]*[a-z])(?=[^A-Z]*[A-Z])[A-Za-z0-9+/=_]{24,256})"
)
_STRONG_PASSWORD = re.compile(r"(?=[^0-9]*[0-9])(?=[^A-Z]*[A-Z])(?=[^a-z]*[a-z])(?=.*[!#%^*+?~@$])\S{8,64}")
"""Values that look like a secret even where a blank alone is between them and their name."""


def find_assigned(text: str, literals: list[tuple[int, int, int]]) -> list[tuple[int, int, str]]:
    """(start, end, kind) of every value whose context names it a secret; the same one may come twice.

    Args:
        text: where to look.
        literals: (index in `LITERALS`, start, end) of each that stands in the text, whatever its case.
    """
    found: list[tuple[int, int, str]] = []
    past: dict[_Situation, int] = {}
    for number, at, _ in literals:
        if number < len(_KEYWORDS):
            match = _ASSIGNED.match(text, at)
            if match:
                found += _judged(text, match)
        elif number < len(LITERALS):
            situation = _SITUATION_OF[number - len(_KEYWORDS)]
            if at >= past.get(situation, 0):
                spans = situation(text, at)
                if spans:
                    found += spans
                    past[situation] = spans[-1][1]
    return found


def _judged(text: str, match: re.Match[str]) -> Sequence[tuple[int, int, str]]:
    start = match.start()
    before = _NAME_START.search(text, max(0, start - 32), start)
    name_start = before.start() if before else start
    written = _NAME.match(text, name_start)
    name = written[0] if written else ""
    op, quoted = match["op"], match["bare"] is None
    value = match["bare"] or match["quoted"] or match["cut"]
    if "*" in op:  # Markdown's bold
        value = value.rstrip("*")
    kind = secret_kind(name.strip("-_")) or _kind_of_key(text, name_start, name, value)
    if kind is None or match["after"]:
        return ()
    environment = name.isupper() and ("=" in op or "value" in op or text.endswith("ENV ", 0, name_start))
    of_user = name == "pass" and _OF_USER.search(text, max(0, name_start - 80), name_start) is not None
    if not (
        _operator_fits(op, name, quoted, of_user)
        or (op == " " and (environment or _STRONG.fullmatch(value) or _STRONG_PASSWORD.fullmatch(value)))
    ):
        return ()
    if op[:1] == " " and op.strip(" :*"):  # words
        value = value.rstrip(".:!?")
    start = match.start("bare" if not quoted else "quoted" if match["quoted"] else "cut")
    if op == "=" and name.isupper() and not quoted:
        # A line of an environment file or a shell: the value goes on to the next blank.
        rest = _REST_OF_WORD.match(text, start + len(value))
        value += rest[0] if rest and "=" not in rest[0] else ""
    if not is_secret(value, kind, quoted=quoted, environment=environment):
        return ()
    end = start + len(value)
    # A password may hold a blank's neighbours of any kind: nothing shows that it goes on.
    whole = end if kind == "PASSWORD" else goes_on(text, start, end)
    return () if match["cut"] and whole == end else ((start, whole, kind),)


def _kind_of_key(text: str, start: int, name: str, value: str) -> str | None:
    """`API_KEY` for keys whose name alone leaves it open: `api key: ...`, `OPENAI_KEY=...`."""
    if name.lower() == "key" and text[max(0, start - 8) : start].lower().endswith(("api ", "access ", "secret ")):
        return "API_KEY"
    if name.lower() == "key" and _RAW_KEY.fullmatch(value) and text[max(0, start - 8) : start].lower() == "private ":
        return "API_KEY"
    is_constant = name.isupper() and name.endswith("KEY")
    return "API_KEY" if is_constant and _STRONG.fullmatch(value) and value.lower() != value else None


_RAW_KEY = re.compile(r"(?:0x)?[0-9a-fA-F]{64}")
"""Of a wallet."""
_OF_USER = re.compile(r"\b(?:user(?:name)?|login|account)\b[^\n]{0,60}\Z", re.I)


def _operator_fits(op: str, name: str, quoted: bool, of_user: bool) -> bool:
    low = name.lower()
    if op == " **":
        return True
    if op == " ":
        return name.startswith("--") or low in {"requirepass", "masterauth"} or (quoted and low in _PASSWORD_WORDS)
    if low == "pass":
        return "=" in op or (of_user and name == low)  # tests pass too: `PASS: TestLogin2`
    return True


# --- situations: what stands around a value that no name announces --------------------------------

_Spans = list[tuple[int, int, str]]
_Situation = Callable[[str, int], _Spans]
"""Takes the text and where one of the situation's literals stands in it."""

_BEARER = re.compile(r"bearer +([\w\-.=+/~]{12,2048})", re.I | re.ASCII)
_AUTHORIZATION = re.compile(
    r"authorization\\*[\"']?\s?[:=]\s?\\*[\"']?(?:token|api-?key|key) ([\w\-.=+/~]{16,2048})", re.I | re.ASCII
)
_BASIC = re.compile(r"(?:basic +|auth\\*[\"']\s?:\s?\\*[\"'])([A-Za-z0-9+/]{8,512}={0,2})", re.I)
_BASIC_LINES = 8
_CURL_USER = re.compile(r"\s(?:-u|--user)[ =]?\\*[\"']?([^\s:\"'$\\]{1,64}:[^\s\"'$\\]{3,128})")
_CURL_COOKIE = re.compile(r"\s(?:-b|--cookie)[ =]\\*[\"']?([^\n\"'\\]{8,4096})")
_CURL_REACH = 500
_COOKIES = re.compile(r"cookie\\*[\"']?\s?:\s?\\*[\"']?([^\n\"'\\]{8,4096})", re.I)
_HEADER_END = re.compile(r"[\n\"'\\]")
_COOKIE = re.compile(r"[\w.-]{1,64}=([A-Za-z0-9%._~+/-]{16,2048}=*)")
_PARAMETER = re.compile(r"[?&\w-]{0,17}=([A-Za-z0-9%_\-+/]{24,256}=*)")
_TYPED = re.compile(
    r"(?:identified by {1,2}(?=\\*[\"'])|login\s{1,9}\S{1,64}\s{1,9}password\s{1,9}"
    r"|(?:mysql(?:dump|admin)?|mariadb)\b[^\n|;]{0,200}? -p|sshpass -p ?"
    r"|redis-cli\b[^\n|;]{0,200}? -a "
    r"|(?:login|unzip)\b[^\n|;]{0,200}? -p |net user \S{1,64} "
    r"|mongo\w{0,10}\b[^\n|;]{0,200}? -u \S{1,64} -p |htpasswd -\w{0,4}b\w{0,4} \S{1,128} \S{1,64} "
    r"|openssl\b[^\n|;]{0,200}? (?:-k |-pass(?:in|out)? \\*[\"']?pass:)"
    r"|\.login\(\\*[\"'][^\"'\n\\]{1,64}\\*[\"'],\s?(?=\\*[\"']))\\*[\"']?([^\s\"'`\\]{4,128})",
    re.I,
)
_PORTS = re.compile(r"[0-9.:]+")
_LOGGED_IN = re.compile(
    r"(?:[a-z ]{6,14}(?:with|using) \\*[\"'`]?|login:? [\w.@-]{1,64} ?/ ?)([^\s\"'`\\]{8,64})", re.IGNORECASE
)
_MASKED = re.compile(r"::add-mask::([^\s\"'`\\]{8,256})", re.I)
_PIPED = re.compile(
    r"(?:echo|printf) (?:-\w+ )?\\*[\"']?([^\s\"'`\\|]{4,128})\\*[\"']?\s{0,2}\|\s{0,2}(?P<sudo>sudo )?\Z"
)
_PGPASS = re.compile(r":5432:[\w*.-]{1,63}:[\w*.-]{1,63}:([^\s:\"'\\]{4,128})")
_SEED = re.compile(
    r"(?:phrase|mnemonic)\\*[\"']?\s{0,2}(?:[:=]|is)\s{0,2}\\*[\"']?"
    r"((?:[a-z]{3,8}[ ,]{1,2}){11,23}[a-z]{3,8})(?![a-z])",
    re.I,
)
_PROSE = re.compile(r"\b(?:the|and|for|are|was|your|not|from)\b")  # none of them is a word of BIP-39's list


def _bearer(text: str, at: int) -> _Spans:
    match = _BEARER.match(text, at) or _AUTHORIZATION.match(text, at)
    if match and any(map(str.isdigit, match[1])) and not stands_in(match[1]):
        return [(match.start(1), goes_on(text, *match.span(1)), "TOKEN")]
    return []


def _basic(text: str, at: int) -> _Spans:
    match = _BASIC.match(text, at)
    if match is None:
        return []
    start, whole = match.start(1), 0
    for first, end in (match.span(1), *pieces(text, match.end(1))[:_BASIC_LINES]):
        if whole and not (text[first:end].endswith("=") or is_mixed(text, first, end)):
            break
        if _is_basic(joined(text[start:end])):
            whole = end
    return [(start, whole, "URL_CREDENTIALS")] if whole else []


def _is_basic(encoded: str) -> bool:
    try:
        user, colon, password = base64.b64decode(encoded, validate=True).decode("utf-8").partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return False
    return bool(user and colon and password) and (user + password).isprintable()


def _curl(text: str, at: int) -> _Spans:
    """What is given to curl: `-u name:password`, `-b name=cookie`."""
    cookies = _CURL_COOKIE.search(text, at, at + _CURL_REACH)
    found = _opaque_cookies(text, cookies) if cookies else []
    match = _CURL_USER.search(text, at, at + _CURL_REACH)
    user, _, password = match[1].partition(":") if match else ("", "", "")
    if match and not (user.isdigit() or stands_in(password)):
        found.append((*match.span(1), "URL_CREDENTIALS"))
    return found


def _cookies(text: str, at: int) -> _Spans:
    before = text.rfind("ookie", max(0, at - 4096), at)
    if before >= 0 and not _HEADER_END.search(text, before, at):
        return []  # within a header that was looked at
    header = _COOKIES.match(text, at)
    return _opaque_cookies(text, header) if header else []


def _opaque_cookies(text: str, header: re.Match[str]) -> _Spans:
    """Every opaque value in the cookies: which of them is the session's, only their server knows."""
    return [
        (*match.span(1), "TOKEN")
        for match in _COOKIE.finditer(text, *header.span(1))
        if sum(map(str.isdigit, match[1])) >= 2 and not stands_in(match[1])
    ]


def _parameter(text: str, at: int) -> _Spans:
    """Signatures and keys in the query of a URL."""
    match = _PARAMETER.match(text, at)
    return [(*match.span(1), "TOKEN")] if match and _STRONG.match(match[1]) and not stands_in(match[1]) else []


def _typed(text: str, at: int) -> _Spans:
    """Passwords on the command line of programs that take them there, and in SQL, netrc and pgpass lines."""
    match = _TYPED.match(text, at) or _PGPASS.match(text, at)
    if match is None:
        return _logged_in(text, at)
    if _PORTS.fullmatch(match[1]) and not match[1].isdigit():
        return []  # `docker run --name mongo -u 1000 -p 27017:27017`
    return [(*match.span(1), "PASSWORD")] if is_secret(match[1], "PASSWORD", environment=True) else []


def _logged_in(text: str, at: int) -> _Spans:
    """What somebody logs in with, where it is nothing but a password: `log in with ...`, `login ada / ...`."""
    match = _LOGGED_IN.match(text, at)
    if match is None:
        return []
    value = match[1].rstrip(".,;:!?)")
    start = match.start(1)
    if stands_in(value) or not is_jumbled(value):
        return []
    return [(start, start + len(value), "PASSWORD")]


def _masked(text: str, at: int) -> _Spans:
    """What a workflow tells GitHub to hide in its log."""
    match = _MASKED.match(text, at)
    if match is None or not (is_secret(match[1], "TOKEN") or is_secret(match[1], "PASSWORD")):
        return []
    return [(*match.span(1), "TOKEN")]


def _piped(text: str, at: int) -> _Spans:
    """`echo password | sudo -S ...`, `echo name:password | chpasswd`"""
    match = _PIPED.search(text, max(0, at - 200), at)
    if match is None:
        return []
    names = len(match[1].partition(":")[0]) + 1 if text[at : at + 1] in "cC" else 0
    start, end = match.start(1) + names, match.end(1)
    return [(start, end, "PASSWORD")] if is_secret(text[start:end], "PASSWORD", environment=True) else []


def _seed(text: str, at: int) -> _Spans:
    """Seed phrases of wallets (BIP-39: 12 to 24 words of three to eight letters) after their label."""
    match = _SEED.match(text, at)
    return [(*match.span(1), "SECRET")] if match and not _PROSE.search(match[1]) else []


_SITUATIONS: tuple[tuple[str, _Situation], ...] = (
    ("bearer |authorization", _bearer),
    ('basic |auth"|auth\\', _basic),
    ("curl ", _curl),
    ("cookie", _cookies),
    ("?sig=|&sig=|?key=|&key=|-signature=", _parameter),
    ("mysql|mariadb|sshpass|redis-cli|identified by|login |unzip |net user |:5432:", _typed),
    ("mongo|htpasswd -|openssl |.login(|login: ", _typed),
    ("log in with |log in using |logged in with |sign in with |sign in using |signed in with ", _logged_in),
    ("::add-mask::", _masked),
    ("sudo -s|chpasswd", _piped),
    ("phrase|mnemonic", _seed),
)
_SITUATION_OF = [situation for written, situation in _SITUATIONS for _ in written.split("|")]
LITERALS: tuple[bytes, ...] = (
    *_KEYWORDS,
    *(literal.encode() for written, _ in _SITUATIONS for literal in written.split("|")),
)
"""What must stand in a text, in lower case, for `find_assigned` to find something there."""

# --- names and values -----------------------------------------------------------------------------

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_PASSWORD_WORDS = frozenset(
    {"password", "passwd", "pwd", "pw", "passphrase", "passcode", "passwort", "contrase", "senha", "passe"}
    | {
        "pgpassword",
        "pgpass",
        "mysqlpassword",
        "dbpassword",
        "dbpass",
        "userpass",
        "requirepass",
        "masterauth",
    }
)
_KEY_OWNER = re.compile(
    r"api|access|auth|private|client|service|account|encryption|signing|master|admin|license|deploy|subscription"
    r"|webhook|storage|db|database|secret"
)
_ABOUT = re.compile(
    r"name|ids?|file|path|type|url|uri|ttl|expires|expiry|length|count|limit|max|min|env|var|header|prefix|hash|field"
    r"|label|hint|policy|usage|budget|regex|error|message|placeholder|test|public|config|class|model"
)


@lru_cache(maxsize=8192)
def secret_kind(name: str) -> str | None:
    """The kind of secret that a variable, field or option of this name holds; None where it holds none.

    Judged by its words (`DB_PASSWORD`, `apiKey`, `x-api-key`), so `passed` and `max_tokens` are none.
    """
    written = [word.lower() for word in _WORD.findall(name)]
    words = set(written)
    if any(map(_ABOUT.fullmatch, words)):
        return None
    if words & _PASSWORD_WORDS or written[-1:] == ["pass"]:
        return "PASSWORD"
    if "apikey" in words or ("key" in words and any(map(_KEY_OWNER.fullmatch, words))):
        return "API_KEY"
    if "token" in words:
        return "TOKEN"
    if words & {"secret", "secrets", "credential", "credentials"}:
        return "SECRET"
    return None


_CODE = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+", re.ASCII)
_VAULT = re.compile(r"[sbr]\.[A-Za-z0-9]{24}", re.ASCII)
_CONSTANT = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+")
_OPAQUE = re.compile(r"[A-Za-z0-9_\-./+=~:]+")


def _is_code(value: str) -> bool:
    """Whether a value reads like `config.token`; Vault's older tokens (`s.` and 24 characters) do not."""
    return _CODE.fullmatch(value) is not None and not (_VAULT.fullmatch(value) and is_jumbled(value[2:]))


def is_secret(value: str, kind: str, *, quoted: bool = True, environment: bool = False) -> bool:
    """Whether a value standing under a name of this kind is the secret itself.

    Args:
        value: the value, without its quotes.
        kind: what `secret_kind` said of its name.
        quoted: it was written as a literal, so it is no variable's name.
        environment: its name is in capitals, as in environment files, where bare words are literals too.
    """
    if not quoted and not environment and _CONSTANT.fullmatch(value):
        return False
    if stands_in(value) or _is_code(value) or value.startswith(("/", "./", "~/", "http://", "https://")):
        return False
    digits = sum(map(str.isdigit, value))
    if kind == "PASSWORD":
        if value.isdigit():
            return len(value) >= 6 and (quoted or environment)
        odd = digits or any(not (c.isalnum() or c in "_-.:") for c in value)
        return (len(value) >= 6 and bool(odd)) or (environment and len(value) >= 6)
    user, colon, password = value.partition(":")
    if kind == "SECRET" and colon and user.isalnum():
        return is_secret(password, "PASSWORD", quoted=quoted)  # `credentials: name:password`
    if not _OPAQUE.fullmatch(value) or not any(c.isalpha() for c in value):
        return False
    return len(value) >= 12 and (digits >= 2 or (digits == 1 and value.lower() != value != value.upper()))
