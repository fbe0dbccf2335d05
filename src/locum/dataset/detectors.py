"""What counts as a secret or as personal data in a text, and what only looks like it.

`find(text)` returns the spans to replace. Keys and tokens with a published shape are found in `shapes`, what is made
of digits in `figures`, and values that only their context gives away (`password = ...`) in `assignments`; here are
private keys, addresses and account names in paths. There is no entropy rule on purpose: commit hashes, digests,
UUIDs, tool-call ids and base64 blobs fill agent logs and must survive.

Speed: one pass over the bytes finds every literal that gives something away (Aho and Corasick, Communications of the
ACM 18, 1975), and the exact patterns run only there.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from ahocorasick_rs import BytesAhoCorasick, Implementation

from locum.dataset.assignments import LITERALS, find_assigned, stands_in
from locum.dataset.encoded import LITERALS as ESCAPES
from locum.dataset.encoded import decoded
from locum.dataset.figures import find_figures
from locum.dataset.shapes import Span, find_shaped
from locum.dataset.wrapped import joined


class Finding(NamedTuple):
    """A span of a text that must not leave, and what it is."""

    start: int
    end: int
    kind: str
    """The placeholder's type: `EMAIL`, `AWS_KEY`, ..."""
    by_context: bool = False
    """True where only the words around it gave it away, so that the same value may stand bare elsewhere."""
    value: str = ""
    """What it says, where it is written otherwise: wrapped over lines, or in escapes."""


_SHORT = 256
"""Characters up to which a text is looked for among the last ones: paths and arguments come again and again."""


def find(text: str) -> Sequence[Finding]:
    """Spans of secrets and personal data in `text`, in order, none overlapping.

    Where detectors overlap the span that begins first wins, of those the longest.
    """
    return _found(text) if len(text) > _SHORT else _found_before(text)


def _found(text: str) -> tuple[Finding, ...]:
    plain = _unescaped(text)
    found, escapes = _found_plain(text, plain)
    if escapes:
        found = [*_found_in_escapes(plain, escapes), *found]
    if len(found) < 2:
        return tuple(found)
    found.sort(key=lambda finding: (finding.start, -finding.end, not finding.value))
    kept = [found[0]]
    for finding in found[1:]:
        last = kept[-1]
        if finding.start >= last.end:
            kept.append(finding)
        elif finding.value and finding.end > last.end:
            # As it is written, only a part of it looked like something.
            kept[-1] = last._replace(end=finding.end, value="")
    return tuple(kept)


def _found_plain(text: str, plain: str) -> tuple[list[Finding], list[int]]:
    """What is found in a text as it is written, and where escapes stand that may hide more; `plain`: the text without
    escaped line ends and colours."""
    # One byte a character, so that places in it are places in the text.
    raw = plain.encode("ascii", "replace")
    literals = _SCAN.find_matches_as_indexes(raw.lower(), overlapping=True)
    spans = [*find_shaped(plain, raw), *find_figures(plain, raw)]
    found: list[Finding] = []
    seen = {_LITERALS[number] for number, _, _ in literals}
    if literals:
        found = [_finding(plain, span, by_context=True) for span in find_assigned(plain, literals)]
        if b"private key" in seen:
            spans += _private_keys(plain)
        if not seen.isdisjoint(_HOME_LITERALS):
            # Windows paths have backslashes before their names: `C:\Users\nina`.
            spans += _homes(text, plain, literals)
        if not seen.isdisjoint(_ACCOUNT_LITERALS):
            spans += _accounts(plain)
    if not seen.isdisjoint(_SPELT_LITERALS):
        spans += _spelt_addresses(plain)
    if "@" in text or b"%40" in seen:
        spans += [*_addresses(plain), *_prompts(plain)]
    found += [_finding(plain, span) for span in spans]
    if seen.isdisjoint(ESCAPES):
        return found, []
    return found, [at for number, at, _ in literals if number >= _FIRST_ESCAPE]


def _finding(plain: str, span: Span, by_context: bool = False) -> Finding:
    start, end, kind = span
    value = plain[start:end]
    is_wrapped = kind != "PRIVATE_KEY" and "\n" in value
    return Finding(start, end, kind, by_context, joined(value) if is_wrapped else "")


def _found_in_escapes(plain: str, escapes: Sequence[int]) -> list[Finding]:
    """What is found where the text is read as its escapes say."""
    found: list[Finding] = []
    for piece in decoded(plain, escapes):
        for start, end, kind, by_context, value in _found_plain(piece.text, piece.text)[0]:
            place, past = piece.place(start), piece.place(end)
            if past - place > end - start:
                found.append(Finding(place, past, kind, by_context, value or piece.text[start:end]))
            else:  # only what is around it is escaped
                found.append(Finding(place, past, kind, by_context, value))
    return found


_found_before = lru_cache(maxsize=4096)(_found)


_HOME_LITERALS = frozenset({b"/users", b"\\users", b"/home", b"\\home", b"-users-", b"-home-"})
_ACCOUNT_LITERALS = frozenset({b"rw-r", b"rwx", b"r-xr", b"user=", b"logname=", b"chown ", b"uid="})
_SPELT_LITERALS = frozenset({b" dot ", b"(at)", b"[at]"})
_LITERALS = (
    *(*LITERALS, b"private key", b"%40", *sorted(_SPELT_LITERALS), *sorted(_HOME_LITERALS), *sorted(_ACCOUNT_LITERALS)),
    *ESCAPES,
)
_FIRST_ESCAPE = len(_LITERALS) - len(ESCAPES)
_SCAN = BytesAhoCorasick(_LITERALS, implementation=Implementation.DFA)

_ESCAPED = re.compile(r"\\[nrt]")
_WHITE = {"\\n": "\n\n", "\\r": "\n\n", "\\t": "\t\t"}
_COLOUR = re.compile(r"(?:\x1b|\\(?:u001b|x1b|033|e))\[[0-9;]{0,16}m")
_WRITTEN_COLOUR = re.compile(r"\\(?:u001b|x1b|033|e)\[")


def _white(escaped: re.Match[str]) -> str:
    return _WHITE[escaped[0]]


def _unescaped(text: str) -> str:
    """The text with escaped line ends and tabs (JSON in a string) and terminal colours as white space, equally long.

    Without it the `n` of `\\n` would belong to the word after it.
    """
    coloured = "\x1b" in text
    if "\\" in text:
        coloured = coloured or _WRITTEN_COLOUR.search(text) is not None
        text = _ESCAPED.sub(_white, text)
    return _COLOUR.sub(lambda match: "\n" * len(match[0]), text) if coloured else text


_PRIVATE_KEY = re.compile(
    r"-----BEGIN (?P<name>[A-Z0-9 ]{0,30})PRIVATE KEY(?: BLOCK)?-----"
    r"(?P<body>(?:(?!-----)[\s\S]){40,20000}?)(?:-----END (?P=name)PRIVATE KEY(?: BLOCK)?-----|\Z|(?=-----))"
)


def _private_keys(text: str) -> Sequence[Span]:
    return [(match.start(), match.end(), "PRIVATE_KEY") for match in _PRIVATE_KEY.finditer(text)]


# --- addresses ------------------------------------------------------------------------------------

_URL_CREDENTIALS = re.compile(r":(?:\\*/){2}([^\s/:@'\"<>`\\]{0,128}:[^\s/@'\"<>`\\]{1,256})@")
_DOMAIN = r"((?:[A-Za-z0-9][A-Za-z0-9-]{0,62}\.){1,8}[A-Za-z]{2,24})(?![\w(-])"
# A pattern that begins with one certain character is looked for several times as fast.
_EMAIL_DOMAIN = re.compile(f"@{_DOMAIN}", re.ASCII)
_EMAIL_DOMAIN_OR_ESCAPED = re.compile(f"(?:@|%40){_DOMAIN}", re.ASCII)
_EMAIL_LOCAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._%+-]{0,63}\Z")
# RFC 2606 and RFC 6761: names reserved for examples, which are nobody's.
_RESERVED_DOMAIN = re.compile(r"(?:^|\.)(?:example(?:\.(?:com|org|net))?|test|invalid|localhost)$", re.I)
# `logo@2x.png`, `lodash@4.17.21-rc.beta`
_VERSION_OR_FILE = re.compile(
    r"^[0-9]+(?:x\.|\.[0-9])|\.(?:png|jpe?g|gif|svg|webp|ico|[cm]?jsx?|tsx?|s?css|json|html?|ya?ml|toml|lock|log|txt|t?gz|whl)$",
    re.I,
)
# `ada (at) site.com`; as plain words only where an address is announced, since one looks *at* a site, too.
_DOT = r" ?[(\[]dot[)\]] ?|\."
_SPELT = re.compile(
    r"(?<![\w.])[A-Za-z0-9][\w.+-]{1,63}(?: ?[(\[]at[)\]] ?|(?P<plain> at ))"
    rf"[a-z0-9-]{{2,63}}(?:(?: dot |{_DOT})[a-z][a-z0-9-]{{1,62}}){{0,2}}(?(plain) dot |(?: dot |{_DOT}))"
    r"[a-z]{2,12}(?![\w-])",
    re.ASCII | re.I,
)
_ANNOUNCED = re.compile(r"\b(?:e-?mail|mail|write|reach|contact|address|message|send|ping)\w{0,3}\b[^\n]{0,20}\Z", re.I)
_NOBODY = frozenset({"git", "noreply", "no-reply", "donotreply", "notifications"})


def _addresses(text: str) -> Sequence[Span]:
    found: list[Span] = []
    for match in _URL_CREDENTIALS.finditer(text):
        user, _, password = match[1].partition(":")
        if not stands_in(password) and not (stands_in(user) and password.isalpha()):
            found.append((match.start(1), match.end(1), "URL_CREDENTIALS"))
    for match in (_EMAIL_DOMAIN_OR_ESCAPED if "%40" in text else _EMAIL_DOMAIN).finditer(text):
        local = _EMAIL_LOCAL.search(text, max(0, match.start() - 64), match.start())
        if local is None or local[0].lower() in _NOBODY:
            continue
        if not (_RESERVED_DOMAIN.search(match[1]) or _VERSION_OR_FILE.search(match[1])):
            found.append((local.start(), match.end(1), "EMAIL"))
    return found


def _spelt_addresses(text: str) -> Sequence[Span]:
    return [
        (match.start(), match.end(), "EMAIL")
        for match in _SPELT.finditer(text)
        if not match["plain"] or _ANNOUNCED.search(text, max(0, match.start() - 32), match.start())
    ]


# --- account names in paths -----------------------------------------------------------------------

# By the literal, in lower case, that stands at the beginning of each.
_HOME = {
    b"/users": re.compile(r"/Users\\*/([A-Za-z0-9][A-Za-z0-9._-]{0,63})"),
    b"/home": re.compile(r"/home\\*/([A-Za-z0-9][A-Za-z0-9._-]{0,63})"),
    b"\\users": re.compile(r"\\Users\\{1,8}([A-Za-z0-9][A-Za-z0-9._-]{0,63})"),
    b"\\home": re.compile(r"\\home\\{1,8}([A-Za-z0-9][A-Za-z0-9._-]{0,63})"),
}
_HOME_OF = [_HOME.get(literal) for literal in _LITERALS]
# Agents name folders after the working directory, with every other character as "-".
_DASHED_HOME = re.compile(r"(?<![\w.~-])-(?:Users|home)-([A-Za-z0-9]{1,64})((?:-[A-Za-z0-9]{1,64}){0,4})")
# Where else an account's name stands: in what `ls -l`, `env` and a shell's prompt print, and in `chown`.
_ACCOUNT = re.compile(
    r"(?:[dl-](?:[r-][w-][xsStT-]){3}[@+.]?[ \t]{1,4}[0-9]{1,7}[ \t]{1,4}(?=[\w.-]{1,64}[ \t])"
    r"|\buid=[0-9]{1,7}\((?=[\w.-]{1,64}\))"
    r"|(?<![\w$])(?:USER|LOGNAME|SUDO_USER)=|\bchown (?:-\w{1,9} ){0,3}(?=[\w.-]{1,64}:))([A-Za-z][\w.-]{0,63})"
)
_PROMPT = re.compile(r"@[\w-]{1,63}[: ](?:~|/)[^\s$#]{0,200}[\])]?[$#](?!\w)")
# The character before a root: no part of a name, except a drive (`/mnt/c/Users/...`, `C:/Users`).
_INSIDE_A_PATH = re.compile(r"[^/]?[A-Za-z]|.?[0-9_.~-]", re.ASCII | re.DOTALL)
_ABOVE_HOME = ("/var", "/export", "/usr", "/data", "://file")
# Words that stand above folders of other kinds too: only at the beginning of a path. A disk's name may hold spaces.
_ROOT_ABOVE_HOME = re.compile(r"(?<![\w.~-])(?:/(?:nfs|mnt|private)|/Volumes/[^/\n\"'`:]{1,40})\Z")
_NOBODYS_HOME = re.compile(
    r"users?|username|you|me|name|your-?name|shared|public|default|all|runner|ubuntu|root|node|app|vscode|linuxbrew"
    r"|dev|work|admin|index|foo|bar|test|example|runneradmin|testuser|daemon|www-data|nobody|staff|wheel|git|postgres|mysql|nginx|bin|sys",
    re.IGNORECASE,
)


def _homes(text: str, plain: str, literals: Sequence[tuple[int, int, int]]) -> Sequence[Span]:
    found: list[Span] = []
    names = set[str]()
    past: dict[int, int] = {}
    for number, at, _ in literals:
        pattern = _HOME_OF[number]
        if pattern is None or at < past.get(number, 0):
            continue
        match = pattern.match(text, at)
        if match is None:
            continue
        past[number] = match.end()
        name = match[1].rstrip(".-")
        if not name or _NOBODYS_HOME.fullmatch(name):
            continue
        if text[at] == "/" and at and _is_inside_a_path(plain, at):
            continue  # a folder or a web route of that name further down
        found.append((match.start(1), match.start(1) + len(name), "USER"))
        names.add(name)
    if "-Users-" in text or "-home-" in text:
        found += _dashed_homes(text, {re.sub(r"[^A-Za-z0-9]", "-", name) for name in names})
    return found


def _accounts(text: str) -> list[Span]:
    named = (match for match in _ACCOUNT.finditer(text) if not _NOBODYS_HOME.fullmatch(match[1]))
    return [(*match.span(1), "USER") for match in named]


def _prompts(text: str) -> list[Span]:
    found: list[Span] = []
    for match in _PROMPT.finditer(text):
        name = _EMAIL_LOCAL.search(text, max(0, match.start() - 64), match.start())
        if name and not _NOBODYS_HOME.fullmatch(name[0]):
            found.append((*name.span(), "USER"))
    return found


def _is_inside_a_path(text: str, at: int) -> bool:
    below = _INSIDE_A_PATH.fullmatch(text, max(0, at - 2), at) is not None
    if not below or text.endswith(_ABOVE_HOME, max(0, at - 7), at):
        return False
    return _ROOT_ABOVE_HOME.search(text, max(0, at - 50), at) is None


def _dashed_homes(text: str, names: set[str]) -> list[Span]:
    """A name may have a dash itself: only a path elsewhere in the text tells how far it goes."""
    found: list[Span] = []
    for match in _DASHED_HOME.finditer(text):
        if _NOBODYS_HOME.fullmatch(match[1]):
            continue
        whole = match[1] + match[2]
        known = [name for name in names if whole == name or whole.startswith(name + "-")]
        found.append((match.start(1), match.start(1) + len(max(known, key=len, default=match[1])), "USER"))
    return found
