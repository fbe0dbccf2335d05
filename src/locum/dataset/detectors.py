"""What counts as a secret or as personal data in a text, and what only looks like it.

`find(text)` returns the spans to replace. Formats with a published shape come from detect-secrets' plugins
(https://github.com/Yelp/detect-secrets), phone numbers are judged by phonenumbers, cards and IBANs by
python-stdnum; our own additions are the token prefixes those plugins lack and values that only their
context gives away (`password = ...`). There is no entropy rule on purpose: commit hashes, digests, UUIDs,
tool-call ids and base64 blobs fill agent logs and must survive.

Speed: a cheap scan over bytes (a literal, or a run of characters of one class) finds candidates; the
exact pattern runs only there.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from ipaddress import IPv4Address
from typing import NamedTuple

import phonenumbers
from detect_secrets.plugins.aws import AWSKeyDetector
from detect_secrets.plugins.azure_storage_key import AzureStorageKeyDetector
from detect_secrets.plugins.discord import DiscordBotTokenDetector
from detect_secrets.plugins.github_token import GitHubTokenDetector
from detect_secrets.plugins.gitlab_token import GitLabTokenDetector
from detect_secrets.plugins.jwt import JwtTokenDetector
from detect_secrets.plugins.mailchimp import MailchimpDetector
from detect_secrets.plugins.openai import OpenAIDetector
from detect_secrets.plugins.pypi_token import PypiTokenDetector
from detect_secrets.plugins.sendgrid import SendGridDetector
from detect_secrets.plugins.slack import SlackDetector
from detect_secrets.plugins.square_oauth import SquareOAuthDetector
from detect_secrets.plugins.stripe import StripeDetector
from detect_secrets.plugins.telegram_token import TelegramBotTokenDetector
from detect_secrets.plugins.twilio import TwilioKeyDetector
from stdnum import iban, luhn

from locum.dataset.assignments import find_assigned, stands_in


class Finding(NamedTuple):
    """A span of a text that must not leave, and what it is."""

    start: int
    end: int
    kind: str
    """The placeholder's type: `EMAIL`, `AWS_KEY`, ..."""
    by_context: bool = False
    """True where only the words around it gave it away, so that the same value may stand bare elsewhere."""


def find(text: str) -> list[Finding]:
    """Spans of secrets and personal data in `text`, in order, none overlapping.

    Where detectors overlap the span that begins first wins, of those the longest.
    """
    # Lower-case and one byte a character, so that places in it are places in the text.
    low = text.encode("ascii", "replace").lower()
    found: list[Finding] = []
    for finder in _FINDERS:
        found.extend(finder(text, low))
    if len(found) < 2:
        return found
    found.sort(key=lambda finding: (finding.start, -finding.end))
    kept = [found[0]]
    for finding in found[1:]:
        if finding.start >= kept[-1].end:
            kept.append(finding)
    return kept


# --- keys and tokens with a published shape -------------------------------------------------------

_SHAPES: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("AWS_KEY", AWSKeyDetector.denylist[0]),
    *(("TOKEN", pattern) for pattern in GitHubTokenDetector.denylist),
    *(("TOKEN", pattern) for pattern in GitLabTokenDetector.denylist),
    *(("TOKEN", pattern) for pattern in SlackDetector.denylist),
    *(("TOKEN", pattern) for pattern in PypiTokenDetector.denylist),
    *(("TOKEN", pattern) for pattern in DiscordBotTokenDetector.denylist),
    *(("TOKEN", pattern) for pattern in SquareOAuthDetector.denylist),
    *(("API_KEY", pattern) for pattern in OpenAIDetector.denylist),
    *(("API_KEY", pattern) for pattern in StripeDetector.denylist),
    *(("API_KEY", pattern) for pattern in SendGridDetector.denylist),
    *(("API_KEY", pattern) for pattern in TwilioKeyDetector.denylist),
    *(("API_KEY", pattern) for pattern in AzureStorageKeyDetector.denylist),
    ("TOKEN", re.compile(r"github_pat_[A-Za-z0-9_]{22,}")),
    ("TOKEN", re.compile(r"npm_[A-Za-z0-9]{36}")),
    ("TOKEN", re.compile(r"hf_[A-Za-z0-9]{30,}")),
    ("TOKEN", re.compile(r"ya29\.[A-Za-z0-9_-]{20,}")),
    ("TOKEN", re.compile(r"(?:dop|doo|dor)_v1_[a-f0-9]{64}")),
    ("TOKEN", re.compile(r"shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}")),
    ("TOKEN", re.compile(r"xapp-[0-9]-[A-Za-z0-9-]{20,}")),
    ("TOKEN", re.compile(r"glsa_[A-Za-z0-9]{32}_[A-Fa-f0-9]{8}")),
    ("API_KEY", re.compile(r"AIza[A-Za-z0-9_-]{35}")),
    ("API_KEY", re.compile(r"sk-(?:ant|proj|svcacct|admin|or)-[A-Za-z0-9_-]{20,}")),
    ("API_KEY", re.compile(r"sk-(?=[A-Za-z]*[0-9])[A-Za-z0-9]{20,}")),
    ("API_KEY", re.compile(r"[sr]k_test_[A-Za-z0-9]{24,}")),
    ("API_KEY", re.compile(r"whsec_[A-Za-z0-9+/]{24,}")),
    ("API_KEY", re.compile(r"(?:gsk_|xai-|r8_|nvapi-|tvly-|lin_api_|pplx-)[A-Za-z0-9_-]{30,}")),
    ("API_KEY", re.compile(r"AKC[A-Za-z0-9]{17,}")),
    ("JWT", re.compile(r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?")),
)
# Every branch begins with a literal: `re` then looks for their first characters alone.
_SHAPE_HINT = re.compile(
    r"A3T[A-Z0-9]{17}|A(?:BIA|CCA|KIA|SIA)[0-9A-Z]{16}|AC[a-z0-9]{32}|SK[a-z0-9]{32}|AIza|AccountKey="
    r"|gh[pousr]_|github_pat_|gl(?:pat|dt|ft|soat|rt|cbt|imt|ptt|agent|sa_)|gloas-|GR1348941|gsk_"
    r"|xox[a-z]-|xapp-|xai-|https://hooks\.slack|pypi-Ag|pplx-|sq0csp-|s[kr][-_]|shp[a-z]{2}_|rk_|r8_|SG\."
    r"|M[\w-]{23}|N[\w-]{23}|O[\w-]{23}|AKC|npm_|nvapi-|hf_|ya29\.|do[por]_v1_|whsec_|tvly-|lin_api_|eyJ",
    re.ASCII,
)
_LONGEST, _LONGEST_JWT = 1024, 8192
"""Bounds the work on text that is made of nothing but beginnings."""
_SHAPE_REST = re.compile(r"[A-Za-z0-9_]*")
_FIXED_LENGTH = re.compile(r"(?:A3T[A-Z0-9]|ABIA|ACCA|AKIA|ASIA|AC|SK)", re.ASCII)


_RUN = b"a" * 20
"""Every shape has this many letters, digits, `-` and `_` in a row somewhere."""
_RUN_CLASS = bytes(0x61 if chr(byte).isalnum() or chr(byte) in "-_" else 0x20 for byte in range(128)) + b" " * 128
_HINT_REACH = 60
"""How far before such a run a shape may begin (`https://hooks.slack.com/services/...`)."""


def _shaped(text: str, low: bytes) -> Iterator[Finding]:
    runs = low.translate(_RUN_CLASS)
    done = 0
    start = runs.find(_RUN)
    while start >= 0:
        end = runs.find(b" ", start + len(_RUN))
        end = len(runs) if end < 0 else end
        for hint in _SHAPE_HINT.finditer(text, max(done, start - _HINT_REACH), end):
            finding = _shape_at(text, hint.start()) if hint.start() >= done else None
            if finding:
                yield finding
                done = finding.end
        mailchimp = MailchimpDetector.denylist[0].search(text, start, end) if text.find("-us", start, end) > 0 else None
        if mailchimp:
            yield Finding(mailchimp.start(), mailchimp.end(), "API_KEY")
        done = max(done, end)
        start = runs.find(_RUN, done)


def _shape_at(text: str, start: int) -> Finding | None:
    if start and text[start - 1].isalnum():
        return None
    for kind, pattern in _SHAPES:
        match = pattern.match(text, start, start + (_LONGEST_JWT if kind == "JWT" else _LONGEST))
        if match is None:
            continue
        # detect-secrets gives the least length; newer tokens are longer and must go whole.
        rest = _SHAPE_REST.match(text, match.end())
        end = rest.end() if rest else match.end()
        if end > match.end() and _FIXED_LENGTH.match(match[0]):
            continue  # a longer word that only begins like an id of fixed length
        if stands_in(text[start:end]):
            continue
        if kind == "JWT" and not JwtTokenDetector.is_formally_valid(match[0].partition(".")[0]):
            continue
        return Finding(start, end, kind)
    return None


_PRIVATE_KEY = re.compile(
    r"-----BEGIN (?P<name>[A-Z0-9 ]{0,30})PRIVATE KEY(?: BLOCK)?-----"
    r"(?P<body>(?:(?!-----)[\s\S]){40,20000}?)(?:-----END (?P=name)PRIVATE KEY(?: BLOCK)?-----|\Z|(?=-----))"
)


def _private_keys(text: str, low: bytes) -> Iterator[Finding]:
    if "PRIVATE KEY" in text:
        for match in _PRIVATE_KEY.finditer(text):
            yield Finding(match.start(), match.end(), "PRIVATE_KEY")


# --- addresses ------------------------------------------------------------------------------------

_URL_CREDENTIALS = re.compile(r"://([^\s/:@'\"<>`\\]{0,128}:[^\s/@'\"<>`\\]{1,256})@")
_EMAIL_DOMAIN = re.compile(r"@((?:[A-Za-z0-9][A-Za-z0-9-]{0,62}\.){1,8}[A-Za-z]{2,24})(?![\w-])", re.ASCII)
_EMAIL_LOCAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._%+-]{0,63}\Z")
# RFC 2606 and RFC 6761: names reserved for examples, which are nobody's.
_RESERVED_DOMAIN = re.compile(r"(?:^|\.)(?:example(?:\.(?:com|org|net))?|test|invalid|localhost)$|^[0-9]x\.", re.I)
_NOBODY = frozenset({"git", "noreply", "no-reply"})


def _addresses(text: str, low: bytes) -> Iterator[Finding]:
    if "@" not in text:
        return
    for match in _URL_CREDENTIALS.finditer(text):
        user, _, password = match[1].partition(":")
        if not stands_in(password) and not (stands_in(user) and password.isalpha()):
            yield Finding(match.start(1), match.end(1), "URL_CREDENTIALS")
    for match in _EMAIL_DOMAIN.finditer(text):
        local = _EMAIL_LOCAL.search(text, max(0, match.start() - 64), match.start())
        if local and local[0].lower() not in _NOBODY and not _RESERVED_DOMAIN.search(match[1]):
            yield Finding(local.start(), match.end(1), "EMAIL")


# --- numbers --------------------------------------------------------------------------------------

_NUMBERS = re.compile(r"[0-9][0-9 .()\-]{5,}[0-9]")
_NOT_DIGITS = bytes(byte for byte in range(256) if not 0x30 <= byte <= 0x39)
_LEAST_DIGITS = 4  # of an address
_IP = re.compile(r"(?<![\w.])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?!\w|\.\d)", re.ASCII)
_CARD = re.compile(
    r"(?<![\w.-])[0-9]{4}([ -]?)(?:[0-9]{4}\1[0-9]{4}\1[0-9]{4}|[0-9]{6}\1[0-9]{4,5})(?![\w-])", re.ASCII
)
# ISO/IEC 7812 ranges of Visa, Mastercard, American Express, Diners, Discover and JCB.
_ISSUER = re.compile(r"4|5[1-5]|2(?:22[1-9]|2[3-9]|[3-6]|7[01]|720)|3[47]|3(?:0[0-5]|[68])|6(?:011|4[4-9]|5)|35")
_NANP = re.compile(r"(?<![\w.+#/-])(?:1[ .-])?(?:\([0-9]{3}\) ?|[0-9]{3}[.-])[0-9]{3}[ .-][0-9]{4}(?![\w-])", re.ASCII)
_IBAN = re.compile(r"(?<![\w-])[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]){11,30}(?![\w-])", re.ASCII)
_INTERNATIONAL = re.compile(r"\+\(?[0-9][0-9 ().\-/]{6,22}[0-9](?!\w)", re.ASCII)
_PHONE_LABEL = re.compile(
    r"(?:(?<![A-Za-z])(?i:phone|mobile|whatsapp|tel|cell|fax)|Phone|Mobile)(?:[ _-]?(?i:number|no\.?|nr\.?))?"
    r"\\*[\"']?\s{0,2}(?::|=|is)?\s{0,2}\\*[\"']?[+(]{0,2}\Z",
    re.ASCII,
)
_RESOLVERS = frozenset({"8.8.8.8", "8.8.4.4", "1.1.1.1", "1.0.0.1", "9.9.9.9"})
_VERSION_BEFORE = re.compile(r"(?:[vV]|==|[<>~^]=?|[A-Za-z]/|(?i:version)[\"']?[ :=]{1,3}[\"']?)\Z")


def _numbers(text: str, low: bytes) -> Iterator[Finding]:
    """Public IPv4 addresses, payment cards, IBANs, phone numbers and Telegram tokens."""
    if len(low.translate(None, _NOT_DIGITS)) < _LEAST_DIGITS:
        return
    for run in _NUMBERS.finditer(text):
        start, end = run.span()
        if text.count(".", start, end) >= 3:
            yield from _ips(text, start, end)
        digits = len(low[start:end].translate(None, _NOT_DIGITS))
        before = text[start - 1 : start]
        if before.isupper() or (before == " " and text[start - 2 : start - 1].isupper()):
            yield from _ibans(text, start)
        if digits < 8:
            continue
        if digits >= 13:
            yield from _cards(text, start, end)
        if digits >= 10 and end - start > digits:
            for match in _NANP.finditer(text, max(0, start - 1), end + 1):
                if _is_phone(match[0], "US"):
                    yield Finding(match.start(), match.end(), "PHONE")
        if digits <= 15 and _PHONE_LABEL.search(text, max(0, start - 32), start):
            yield Finding(start - (before in ("+", "(")), end, "PHONE")
        if text[end : end + 1] == ":":
            token = TelegramBotTokenDetector.denylist[0].match(text, start)
            if token:
                yield Finding(start, token.end(), "TOKEN")


def _ips(text: str, start: int, end: int) -> Iterator[Finding]:
    for match in _IP.finditer(text, start, end + 1 if end < len(text) else end):
        octets = match[0].split(".")
        if any(int(octet) > 255 or (octet[0] == "0" and octet != "0") for octet in octets):
            continue
        # Four small numbers are a version or a section; so is what follows `v`, `==` or `Name/`.
        if all(int(octet) < 20 for octet in octets) or _VERSION_BEFORE.search(text, max(0, start - 12), start):
            continue
        if match[0] not in _RESOLVERS and IPv4Address(match[0]).is_global:
            yield Finding(match.start(), match.end(), "IP")


def _cards(text: str, start: int, end: int) -> Iterator[Finding]:
    for match in _CARD.finditer(text, start, end + 1):
        digits = re.sub(r"\D", "", match[0])
        if _ISSUER.match(digits) and luhn.is_valid(digits) and len(set(digits)) > 1:
            yield Finding(match.start(), match.end(), "CARD")


def _ibans(text: str, start: int) -> Iterator[Finding]:
    # The digits are inside it: the country code stands at most eight characters before them.
    for match in _IBAN.finditer(text, max(0, start - 10), start + 40):
        value = match[0]
        while value and not iban.is_valid(value):  # the words after it may be capitals too
            value = value.rpartition(" ")[0]
        if value:
            yield Finding(match.start(), match.start() + len(value), "IBAN")


def _phones(text: str, low: bytes) -> Iterator[Finding]:
    if b"+" in low:
        for match in _INTERNATIONAL.finditer(text):
            before = text[match.start() - 1 : match.start()]
            if not before.isalnum() and _is_phone(match[0], None):
                yield Finding(match.start(), match.end(), "PHONE")


@lru_cache(maxsize=4096)
def _is_phone(written: str, region: str | None) -> bool:
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(written, region))
    except phonenumbers.NumberParseException:
        return False


# --- account names in paths -----------------------------------------------------------------------

_HOME = (
    ("/Users/", re.compile(r"/Users/([A-Za-z0-9][A-Za-z0-9._-]{0,63})")),
    ("/home/", re.compile(r"/home/([A-Za-z0-9][A-Za-z0-9._-]{0,63})")),
    ("\\Users\\", re.compile(r"\\Users\\{1,8}([A-Za-z0-9][A-Za-z0-9._-]{0,63})")),
    # Agents name folders after the working directory, with every other character as "-".
    ("-Users-", re.compile(r"-Users-([A-Za-z0-9]{1,64})")),
    ("-home-", re.compile(r"-home-([A-Za-z0-9]{1,64})")),
)
# The character before a root: no part of a name, except a drive (`/mnt/c/Users/...`).
_INSIDE_A_PATH = re.compile(r"[^/]?[A-Za-z]|.?[0-9_.~-]", re.ASCII | re.DOTALL)
_NOBODYS_HOME = re.compile(
    r"users?|username|you|me|name|your-?name|shared|public|default|all|runner|ubuntu|root|node|app|vscode|linuxbrew"
    r"|dev|work|admin|index",
    re.IGNORECASE,
)


def _homes(text: str, low: bytes) -> Iterator[Finding]:
    if b"users" not in low and b"home" not in low:
        return
    for literal, pattern in _HOME:
        if literal not in text:
            continue
        for match in pattern.finditer(text):
            name = match[1].rstrip(".-")
            at = match.start()
            if not name or _NOBODYS_HOME.fullmatch(name):
                continue
            if at and literal[0] != "\\" and _INSIDE_A_PATH.fullmatch(text, max(0, at - 2), at):
                continue  # a folder or a web route of that name further down
            yield Finding(match.start(1), match.start(1) + len(name), "USER")


def _assigned(text: str, low: bytes) -> Iterator[Finding]:
    for start, end, kind in find_assigned(text, low):
        yield Finding(start, end, kind, by_context=True)


_FINDERS = (_private_keys, _shaped, _addresses, _assigned, _numbers, _phones, _homes)
