"""Keys and tokens whose shape their issuer published: a prefix, a length, a set of characters.

The patterns are detect-secrets' (https://github.com/Yelp/detect-secrets) and, for the issuers which it lacks, our
own after the issuers' documentation.

Speed: all beginnings are looked for in one pass (Aho and Corasick, Communications of the ACM 18, 1975); the exact
patterns run only where one of theirs stands.
"""

import re
from typing import NamedTuple

from ahocorasick_rs import BytesAhoCorasick, Implementation
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
from detect_secrets.plugins.twilio import TwilioKeyDetector

from locum.dataset.assignments import stands_in
from locum.dataset.wrapped import goes_on, is_mixed, pieces

Span = tuple[int, int, str]
"""Start, end and kind of what was found."""


class _Shape(NamedTuple):
    kind: str
    begins: tuple[str, ...]
    """What one of must stand at its beginning."""
    pattern: re.Pattern[str]


def _shapes(kind: str, begins: str, *patterns: re.Pattern[str] | str) -> list[_Shape]:
    return [_Shape(kind, tuple(begins.split()), re.compile(pattern)) for pattern in patterns]


_SHAPES = [
    *_shapes("AWS_KEY", "A3T ABIA ACCA AKIA ASIA", AWSKeyDetector.denylist[0]),
    *_shapes("TOKEN", "ghp_ gho_ ghu_ ghs_ ghr_", *GitHubTokenDetector.denylist),
    *_shapes("TOKEN", "github_pat_", r"github_pat_[A-Za-z0-9_]{22,}"),
    *_shapes(
        "TOKEN",
        "glpat- gldt- glft- glsoat- glrt- glcbt- glimt- glptt- glagent- gloas- GR1348941",
        *GitLabTokenDetector.denylist,
    ),
    *_shapes("TOKEN", "xox https://hooks.slack", *SlackDetector.denylist),
    *_shapes("TOKEN", "xox", r"xox[a-z](?:\.xox[a-z])?-[0-9A-Za-z]{1,14}-[A-Za-z0-9-]{20,}"),
    *_shapes("TOKEN", "xapp-", r"xapp-[0-9]-[A-Za-z0-9-]{20,}"),
    *_shapes("TOKEN", "pypi-Ag", *PypiTokenDetector.denylist),
    *_shapes("TOKEN", "sq0csp-", *SquareOAuthDetector.denylist),
    *_shapes("TOKEN", "npm_", r"npm_[A-Za-z0-9]{36}"),
    *_shapes("TOKEN", "hf_", r"hf_(?=[a-z]*[A-Z0-9])[A-Za-z0-9]{30,}"),
    *_shapes("TOKEN", "ya29. 1//0", r"ya29\.[A-Za-z0-9_-]{20,}|1//0[A-Za-z0-9_-]{40,}"),  # Google, access and refresh
    *_shapes("TOKEN", "dop_v1_ doo_v1_ dor_v1_", r"do[por]_v1_[a-f0-9]{64}"),
    *_shapes("TOKEN", "shpat_ shpca_ shppa_ shpss_", r"shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}"),
    *_shapes("TOKEN", "glsa_ glc_", r"gl(?:sa|c)_[A-Za-z0-9+/]{32,}(?:_[A-Fa-f0-9]{8})?={0,2}"),
    *_shapes("TOKEN", "dckr_pat_ dckr_oat_ bkua_ rubygems_", r"[a-z_]{4,9}_[A-Za-z0-9_-]{20,}"),
    *_shapes("TOKEN", "hvs. hvb. hvr. sbp_ sntrys_ sntryu_", r"[a-z]{3,6}[._][A-Za-z0-9_+/=-]{20,}"),
    *_shapes("TOKEN", "CCIPAT_ CCIPRJ_", r"CCIP[A-Z]{2}_[A-Za-z0-9]{20,}_[a-f0-9]{40}"),
    *_shapes("TOKEN", "dapi", r"dapi[a-f0-9]{32}(?:-[0-9])?"),
    *_shapes("TOKEN", "pat-na pat-eu", r"pat-(?:na|eu)[0-9]-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
    *_shapes("TOKEN", "ATATT3", r"ATATT3[A-Za-z0-9_\-=]{60,}"),
    *_shapes("TOKEN", "tskey-", r"tskey-[a-z]{2,10}-[A-Za-z0-9-]{20,}"),
    *_shapes("TOKEN", "EAAC", r"EAAC[A-Za-z0-9]{60,}"),
    *_shapes("TOKEN", "dp.pt. dp.st. dp.ct. dp.sa. dp.scim. dp.audit.", r"dp\.[a-z]{2,5}\.[A-Za-z0-9.]{40,}"),
    *_shapes("TOKEN", "https://discord", r"https://discord(?:app)?\.com/api/webhooks/[0-9]{17,20}/[A-Za-z0-9_-]{60,}"),
    *_shapes("TOKEN", "pscale_", r"pscale_(?:tkn|pw|oauth)_[A-Za-z0-9_-]{32,}"),
    *_shapes("TOKEN", "nfp_", r"nfp_[A-Za-z0-9]{36,}"),
    *_shapes("TOKEN", "fo1_ fm1r_ fm1a_ fm2_", r"f(?:o1|m1[ar]|m2)_(?=[A-Za-z]*[0-9])[A-Za-z0-9+/=_-]{40,}"),
    *_shapes("TOKEN", "secret_", r"secret_(?=[A-Za-z]*[0-9])[A-Za-z0-9]{43}"),  # Notion
    *_shapes("TOKEN", "sk.eyJ", r"sk\.eyJ[A-Za-z0-9_-]{20,}\.[A-Za-z0-9_-]{20,}"),  # Mapbox
    *_shapes("API_KEY", "sk-", *OpenAIDetector.denylist),
    *_shapes("API_KEY", "lsv2_", r"lsv2_(?:pt|sk)_[a-f0-9]{32}_[a-f0-9]{10}"),
    *_shapes("API_KEY", "pcsk_", r"pcsk_[A-Za-z0-9_]{50,}"),
    *_shapes("API_KEY", "apify_api_", r"apify_api_[A-Za-z0-9]{30,}"),
    *_shapes("API_KEY", "rnd_", r"rnd_(?=[A-Za-z]*[0-9])[A-Za-z0-9]{28,}"),
    *_shapes("API_KEY", "e2b_", r"e2b_[a-f0-9]{40}"),
    *_shapes("API_KEY", "sk_", r"sk_[a-f0-9]{48}"),  # ElevenLabs
    *_shapes("API_KEY", "csk-", r"csk-(?=[a-z]*[0-9])[a-z0-9]{48}"),
    *_shapes("API_KEY", "sk-", r"sk-(?:ant|proj|svcacct|admin|or|lf)-[A-Za-z0-9_-]{20,}"),
    *_shapes("API_KEY", "sk-", r"sk-(?=[A-Za-z]*[0-9])[A-Za-z0-9]{20,}"),
    *_shapes("API_KEY", "sk_live_ rk_live_", *StripeDetector.denylist),
    *_shapes("API_KEY", "sk_test_ rk_test_ sk_prod_", r"[sr]k_(?:test|prod)_[A-Za-z0-9]{24,}"),
    *_shapes("API_KEY", "SG.", *SendGridDetector.denylist),
    *_shapes("API_KEY", "AccountKey=", *AzureStorageKeyDetector.denylist),
    *_shapes("API_KEY", "AIza", r"AIza[A-Za-z0-9_-]{35}"),
    *_shapes("API_KEY", "whsec_", r"whsec_[A-Za-z0-9+/]{24,}"),
    *_shapes(
        "API_KEY",
        "gsk_ xai- r8_ nvapi- tvly- lin_api_ pplx- figd_ sb_secret_ phx_",
        r"[a-z0-9_]{2,9}[_-][A-Za-z0-9_-]{30,}",
    ),
    *_shapes("API_KEY", "ntn_", r"ntn_[A-Za-z0-9]{40,}"),
    *_shapes("API_KEY", "PMAK-", r"PMAK-[a-f0-9]{24}-[a-f0-9]{34}"),
    *_shapes("API_KEY", "NRAK-", r"NRAK-[A-Z0-9]{27}"),
    *_shapes("API_KEY", "pul-", r"pul-[a-f0-9]{40}"),
    *_shapes("API_KEY", "re_", r"re_[A-Za-z0-9]{8}_(?=[A-Za-z]*[0-9])[A-Za-z0-9]{20,}"),
    *_shapes("API_KEY", "key-", r"key-[a-f0-9]{32}"),
    *_shapes("API_KEY", "LTAI", r"LTAI[A-Za-z0-9]{16,}"),
    *_shapes("API_KEY", "AKCp", r"AKCp[A-Za-z0-9]{60,}"),
    *_shapes("API_KEY", "AGE-SECRET-KEY-1", r"AGE-SECRET-KEY-1[A-Z0-9]{58}"),
    *_shapes("API_KEY", "AC SK", *TwilioKeyDetector.denylist),
    # The first part is the account's number in base64.
    *_shapes("TOKEN", "MT Mj Mz ND NT Nj Nz OD OT", *DiscordBotTokenDetector.denylist),
    *_shapes("SECRET", "GOCSPX-", r"GOCSPX-[A-Za-z0-9_-]{28}"),
    *_shapes("JWT", "eyJ", r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?"),
]
_BEGINNINGS = sorted({begin for shape in _SHAPES for begin in shape.begins})
# Where one beginning is another one's (`sk_` of `sk_live_`), the scan stops at the shorter.
_OF_BEGINNING = [
    [shape for shape in _SHAPES if any(own.startswith(begin) for own in shape.begins)] for begin in _BEGINNINGS
]
# Some have their mark inside: (mark, how far before it they begin, shape).
_MARKED = [
    (".atlasv1.", 14, _shapes("TOKEN", "", r"[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_=-]{60,}")),
    ("8Q~", 3, _shapes("SECRET", "", r"[\w.~]{3}8Q~[\w.~-]{34}")),
    ("-us", 32, _shapes("API_KEY", "", *MailchimpDetector.denylist)),
]
_LITERALS = (*_BEGINNINGS, *(mark for mark, _, _ in _MARKED))
_PLACES = [(0, shapes) for shapes in _OF_BEGINNING] + [(before, shapes) for _, before, shapes in _MARKED]
"""For each literal: how far before it the shapes begin, and which."""
_SCAN = BytesAhoCorasick([literal.encode() for literal in _LITERALS], implementation=Implementation.DFA)
_ALNUM = frozenset(byte for byte in range(128) if chr(byte).isalnum())
_LONGEST, _LONGEST_JWT = 1024, 8192
"""Bounds the work on text that is made of nothing but beginnings."""
_REST = re.compile(r"[A-Za-z0-9_]*")
_FIXED_LENGTH = re.compile(r"A3T[A-Z0-9]|ABIA|ACCA|AKIA|ASIA|AC|SK", re.ASCII)
_AWS_SECRET = re.compile(
    r"(?<![A-Za-z0-9+/])(?=[^\n]{0,39}[0-9])(?=[^\n]{0,39}[g-z])[A-Za-z0-9+/]{40}(?![A-Za-z0-9+/=])"
)
_AWS_SECRET_REACH = 120
"""How far after its id the secret half of an AWS key may begin."""


def find_shaped(text: str, raw: bytes) -> list[Span]:
    """Keys and tokens with a published shape; the same one may come twice. `raw`: the text, one byte a character."""
    found: list[Span] = []
    done = 0
    for number, at, _ in _SCAN.find_matches_as_indexes(raw):
        before, shapes = _PLACES[number]
        start = at - before
        # Inside a word nothing begins, except after a byte that is escaped in a URL (`%3D`).
        if start < done or (start and raw[start - 1] in _ALNUM and raw[start - 3 : start - 2] != b"%"):
            continue
        span = _shape_at(text, start, shapes)
        if span is None and not before:
            span = _wrapped(text, start, len(_LITERALS[number]), shapes)
        elif span and span[2] != "AWS_KEY":
            span = (start, goes_on(text, start, span[1]), span[2])
        if span:
            found.append(span)
            done = span[1]
            if span[2] == "AWS_KEY":
                secret = _AWS_SECRET.search(text, done, done + _AWS_SECRET_REACH)
                found += [(secret.start(), secret.end(), "API_KEY")] if secret else []
    return found


def _shape_at(text: str, start: int, shapes: list[_Shape]) -> Span | None:
    for kind, _, pattern in shapes:
        match = pattern.match(text, start, start + (_LONGEST_JWT if kind == "JWT" else _LONGEST))
        if match is None:
            continue
        # detect-secrets gives the least length; newer tokens are longer and must go whole.
        rest = _REST.match(text, match.end())
        end = rest.end() if rest else match.end()
        if end > match.end() and _FIXED_LENGTH.match(match[0]):
            continue  # a longer word that only begins like an id of fixed length
        if stands_in(text[start:end]):
            continue
        if kind == "JWT" and not JwtTokenDetector.is_formally_valid(match[0].partition(".")[0]):
            continue
        return start, end, kind
    return None


def _wrapped(text: str, start: int, begin: int, shapes: list[_Shape]) -> Span | None:
    """The shape that the word at `start` has together with the words that begin the lines after it; `begin`: how
    many characters of it every word of that shape has."""
    word = _WORD.match(text, start)
    if word is None or word.end() - start < begin + _LEAST_PART:
        return None
    value, span = word[0], None
    for first, end in pieces(text, word.end()):
        if span and not is_mixed(text, first, end):
            break
        value += text[first:end]
        whole = _shape_at(value, 0, shapes)
        if whole and whole[1] == len(value) and (whole[2] == "AWS_KEY" or _is_random(value[begin:])):
            span = (start, end, whole[2])
        elif span or not any(map(str.isdigit, text[first:end])):
            break
    return span


_WORD = re.compile(r"[A-Za-z0-9+/=_.~-]{5,1024}(?=[=\\]{0,4}[ \t]{0,2}[\r\n])")
_LEAST_PART = 4
"""Characters beyond its beginning that must stand on the first line of a word that was wrapped."""


def _is_random(value: str) -> bool:
    """Long names of functions have the shape of some issuers' keys: this has more digits, or capitals too."""
    return sum(map(str.isdigit, value)) >= (2 if is_mixed(value, 0, len(value)) else 4)
