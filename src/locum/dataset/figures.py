"""Personal data that is made of digits: IP addresses, payment cards, bank accounts, telephone numbers.

Each is judged by its own rules: cards by issuer and check digit (ISO/IEC 7812), IBANs and routing numbers by
python-stdnum, telephone numbers by phonenumbers, addresses by whether they are public (`ipaddress`).
"""

import re
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address

import phonenumbers
from ahocorasick_rs import BytesAhoCorasick
from detect_secrets.plugins.telegram_token import TelegramBotTokenDetector
from stdnum import iban, luhn
from stdnum.us import rtn

from locum.dataset.shapes import Span

# Digits, and what may stand between those of one number, as one byte each: candidates are then one short pattern.
_CLASS = bytes(
    0x30 if chr(byte) in "0123456789" else byte if chr(byte) in ".+:" else 0x2D if chr(byte) in " ()-" else 0x78
    for byte in range(256)
)
_CANDIDATE = re.compile(rb"0[0.\-]{5,}0")
_DATE = re.compile(r"(?:19|20)[0-9]{2}-[01][0-9]-[0-3][0-9](?:[T ]|(?![0-9 .()\-]))")
_LABEL_REACH = 40
# What a label has in it, so that few need to be looked at closely.
_LABEL_WORDS = BytesAhoCorasick(
    b"phone tel t?l mobil movil m?vil cell fax whatsapp call reach ring text account routing sort aba".split()
)
_CARD = re.compile(
    r"(?<![\w.])(?<!\w-)[0-9]{4}([ -]?)(?:[0-9]{4}\1[0-9]{4}\1[0-9]{4}|[0-9]{6}\1[0-9]{4,5})(?![\w-])", re.ASCII
)
# ISO/IEC 7812 ranges of Visa, Mastercard, American Express, Diners, Discover, JCB and UnionPay.
_ISSUER = re.compile(r"4|5[1-5]|2(?:22[1-9]|2[3-9]|[3-6]|7[01]|720)|3[47]|3(?:0[0-5]|[68])|6(?:011|4[4-9]|5|2)|35")
# An unbroken number that is called an identifier is one: every tenth of them has a card's check digit.
_IDENTIFIER = re.compile(
    r"(?<!card)(?<!card_)(?:[_a-z]ids?|I[Dd]s?|\bids?|seq|nonce|seed|ts|time)\\*[\"']?\s?[:=(\[#]?\s?\\*[\"']?\Z"
)
_CARD_LABEL = re.compile(r"card|amex|american express|diners|visa|\bpan\b|\bcc\b", re.I)
_NANP = re.compile(
    r"(?<![\w.#/])(?<![^\n][+-])(?:1[ .-])?"
    r"(?:\([0-9]{3}\) ?[0-9]{3}[ .-][0-9]{4}|[0-9]{3}([.-])[0-9]{3}\1[0-9]{4})(?![\w-])",
    re.ASCII,
)
_ABROAD = re.compile(r"(?<![\w.+-])00[ -]?([0-9]{1,3}(?:[ -][0-9]{2,}){1,6})(?![\w.-])", re.ASCII)
_IBAN = re.compile(r"(?<!\w)(?<!\w-)[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]){11,30}(?![\w-])", re.ASCII)
_INTERNATIONAL = re.compile(r"\+\(?[0-9][0-9 ().\-/]{6,22}[0-9](?!\w)", re.ASCII)
_PHONE_LABEL = re.compile(
    r"(?:(?:(?<![A-Za-z])(?i:(?:tele)?phone|tel[eé]fono|t[eé]l[eé]phone|telefon|mobile?|m[oó]vil|whatsapp|tel|t[eé]l|cell"
    r"|fax)|Phone|Mobile)(?:[ _-]?(?i:number|no\.?|nr\.?))?\.?\\*[\"']?\s{0,2}(?::|=>?|is)?"
    r"|(?i:call|reach|ring|text|phone) (?:me|us|him|her|them)(?: back)?(?: at| on)?)"
    r"\s{0,2}\\*[\"']?[+(]{0,2}\Z",
    re.ASCII,
)
_BANK_LABEL = re.compile(
    r"(?i:(?P<routing>routing|\baba)|sort[ _-]?code|bank[ _-]?account|account)"
    r"(?i:[ _-]?(?P<number>number|no\.?|nr\.?|num|#))?"
    r"\\*[\"']?\s{0,2}(?P<sign>:|=|is)?\s{0,2}\\*[\"']?\Z"
)
_RESOLVERS = frozenset({"8.8.8.8", "8.8.4.4", "1.1.1.1", "1.0.0.1", "9.9.9.9", "1.2.3.4"})
"""The last of them is what people write for any address."""
_IP = re.compile(r"(?<![\w.])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?!\w|\.\d)", re.ASCII)
_VERSION_BEFORE = re.compile(
    r"(?:[vV]|==|[<>~^]=?|[A-Za-z]/|(?i:version|release|build|firmware|sdk|section)(?:\\*[\"']?[ :=]{1,3}|\()\\*[\"']?"
    r"|(?i:(?:up|down)grad\w{1,4}|bump\w{0,3})\b[^\n]{0,40})\Z"
)
_VERSION_REACH = 52
_ADDRESS_BEFORE = re.compile(
    r"(?:(?i:\bip(?:v4)?(?:[ _-]?addr(?:ess)?)?|\bhost(?:name)?)[\"']?[ :=]{1,3}[\"']?|://|@)\Z"
)
# Global unicast addresses are all in 2000::/3 (RFC 4291), so that their first group has four digits.
_IPV6 = re.compile(
    rb":(?<=[23][0-9a-fA-F]{3}:)(?<![\w:][23][0-9a-fA-F]{3}:)[0-9a-fA-F]{0,4}:[0-9a-fA-F:]{0,29}(?![\w:])"
)


def find_figures(text: str, raw: bytes) -> list[Span]:
    """Public IP addresses, cards, bank accounts, telephone numbers and Telegram tokens.

    Args:
        text: where to look.
        raw: the text, one byte a character.
    """
    classes = raw.translate(_CLASS)
    found = [*_international(text)] if b"+" in classes else []
    if b":" in classes:
        found += _ipv6(raw)
    for candidate in _CANDIDATE.finditer(classes):
        start, end = candidate.span()
        digits = classes.count(b"0", start, end)
        if classes.count(b".", start, end) >= 3:
            found += _ips(text, start, end)
        if digits >= 8:
            if _DATE.match(text, start):
                start += len("2026-01-01 ")
                digits -= 8
                if digits < 8:
                    continue
            found += _long(text, raw, start, end, digits)
        elif digits == 6:
            found += _labelled(text, raw, start, end, digits)
    return found


def _long(text: str, raw: bytes, start: int, end: int, digits: int) -> list[Span]:
    """What a number of at least eight digits is, if anything."""
    found = _labelled(text, raw, start, end, digits)
    before = text[start - 1 : start]
    if before.isupper() or (before == " " and text[start - 2 : start - 1].isupper()):
        found += _ibans(text, start)
    if digits >= 13:
        found += _cards(text, start, end)
    if digits >= 10 and end - start > digits:
        found += _separated(text, start, end)
    if text[end : end + 1] == ":":
        token = TelegramBotTokenDetector.denylist[0].match(text, start)
        found += [(start, token.end(), "TOKEN")] if token else []
    return found


def _labelled(text: str, raw: bytes, start: int, end: int, digits: int) -> list[Span]:
    """Numbers which the words before them call a telephone or an account."""
    reach = max(0, start - _LABEL_REACH)
    if not _LABEL_WORDS.find_matches_as_indexes(raw[reach:start].lower()):
        return []
    found: list[Span] = []
    label = _BANK_LABEL.search(text, reach, start)
    if label and _is_account(text[start:end], label):
        found.append((start, end, "BANK"))
    if 8 <= digits <= 15 and _PHONE_LABEL.search(text, reach, start):
        found.append((start - (text[start - 1] in "+("), end, "PHONE"))
    return found


def _ips(text: str, start: int, end: int) -> list[Span]:
    found: list[Span] = []
    for match in _IP.finditer(text, start, end + 1 if end < len(text) else end):
        octets = match[0].split(".")
        if any(int(octet) > 255 or (octet[0] == "0" and octet != "0") for octet in octets):
            continue
        # Four small numbers are a version or a section, unless they are called an address; so is what follows `v`,
        # `==` or `Name/`.
        if all(int(octet) < 20 for octet in octets) and not _ADDRESS_BEFORE.search(text, max(0, start - 20), start):
            continue
        if _VERSION_BEFORE.search(text, max(0, start - _VERSION_REACH), start):
            continue
        if octets[3] == "0" or match[0].startswith("192.0.0."):
            continue  # a network's, not a machine's (RFC 6890)
        address = IPv4Address(match[0])
        if match[0] not in _RESOLVERS and address.is_global and not address.is_multicast:
            found.append((match.start(), match.end(), "IP"))
    return found


def _ipv6(raw: bytes) -> list[Span]:
    found: list[Span] = []
    for match in _IPV6.finditer(raw):
        start = match.start() - 4
        try:
            address = IPv6Address(raw[start : match.end()].decode())
        except ValueError:
            continue
        if address.is_global and int(address) & 0xFFFF:  # else a network's, not a machine's
            found.append((start, match.end(), "IP"))
    return found


def _cards(text: str, start: int, end: int) -> list[Span]:
    found: list[Span] = []
    for match in _CARD.finditer(text, start, end + 1):
        digits = re.sub(r"\D", "", match[0])
        if not match[1] and not _stands_for_a_card(text, match):
            continue
        if _ISSUER.match(digits) and luhn.is_valid(digits) and len(set(digits)) > 1:
            found.append((match.start(), match.end(), "CARD"))
    return found


def _stands_for_a_card(text: str, match: re.Match[str]) -> bool:
    """Whether an unbroken number may be one: it is not called an identifier, or, where short, called a card."""
    reach = max(0, match.start() - _LABEL_REACH)
    if len(match[0]) != 16:
        return _CARD_LABEL.search(text, reach, match.start()) is not None
    return _IDENTIFIER.search(text, reach, match.start()) is None


def _ibans(text: str, start: int) -> list[Span]:
    found: list[Span] = []
    # The digits are inside it: the country code stands at most ten characters before them.
    for match in _IBAN.finditer(text, max(0, start - 10), start + 40):
        value = match[0]
        while value and not iban.is_valid(value):  # the words after it may be capitals too
            value = value.rpartition(" ")[0]
        if value:
            found.append((match.start(), match.start() + len(value), "IBAN"))
    return found


def _is_account(written: str, label: re.Match[str]) -> bool:
    """Whether a number after such a label is one of a bank: labels that say less need a sign too."""
    digits = re.sub(r"\D", "", written)
    if label["routing"]:
        return bool(rtn.is_valid(digits))
    if "sort" in label[0].lower():
        return len(digits) == 6
    return "-" not in written and (
        label["number"] is not None or (label["sign"] is not None and "bank" in label[0].lower())
    )


def _separated(text: str, start: int, end: int) -> list[Span]:
    """North American numbers in groups, and those that call abroad with 00."""
    found = [
        (match.start(), match.end(), "PHONE")
        for match in _NANP.finditer(text, max(0, start - 1), end + 1)
        if _is_phone(match[0], "US")
    ]
    abroad = _ABROAD.match(text, start)
    if abroad and _is_phone("+" + abroad[1], None):
        found.append((*abroad.span(), "PHONE"))
    return found


def _international(text: str) -> list[Span]:
    return [
        (match.start(), match.end(), "PHONE")
        for match in _INTERNATIONAL.finditer(text)
        if not text[match.start() - 1 : match.start()].isalnum() and _is_phone(match[0], None)
    ]


@lru_cache(maxsize=4096)
def _is_phone(written: str, region: str | None) -> bool:
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(written, region))
    except phonenumbers.NumberParseException:
        return False
