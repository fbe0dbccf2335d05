"""How figures are written: the same digits, signs and units everywhere on the page."""

import math
from collections.abc import Sequence
from pathlib import PurePath

from locum.types import Estimate

MINUS = "\N{MINUS SIGN}"
ONE_SESSION = "one session: no interval"


def number(value: float, digits: int = 2, *, signed: bool = False) -> str:
    """A decimal with a real minus sign, thousands grouped; `signed` puts a plus before a gain."""
    if not math.isfinite(value):
        return "not a number" if math.isnan(value) else ("∞" if value > 0 else f"{MINUS}∞")
    text = f"{value:{'+' if signed else ''},.{digits}f}"
    if float(text.replace(",", "")) == 0:  # neither -0.00 nor +0.00
        text = text.lstrip("+-")
    return text.replace("-", MINUS)


def digits_for(values: Sequence[float]) -> int:
    """Decimals that leave about three figures of the largest value: 84, 12.3, 2.15, 0.68."""
    largest = max((abs(value) for value in values if math.isfinite(value)), default=0.0)
    return 2 if largest < 10 else 1 if largest < 50 else 0


def interval(estimate: Estimate, digits: int, *, signed: bool = False) -> str:
    """`0.68 [0.55, 0.79]`; one session alone has no interval, only the whole range of the measure."""
    middle = number(estimate.estimate, digits, signed=signed)
    if estimate.sessions == 1:
        return f"{middle} ({ONE_SESSION})"
    return f"{middle} [{number(estimate.low, digits)}, {number(estimate.high, digits)}]"


def count(n: int, thing: str, things: str | None = None) -> str:
    """`1 row`, `12 rows`, `1,204 rows`."""
    return f"{n:,} {thing if n == 1 else things or thing + 's'}"


def listing(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def percent(share: float) -> str:
    """A share of 0 to 1 as `42 %`; what is neither none nor all is never rounded to it."""
    if not math.isfinite(share):
        return number(share)
    if 0 < share < 0.01:
        return "< 1 %"
    if 0.99 < share < 1:
        return "> 99 %"
    return f"{share:.0%}".replace("%", " %").replace("-", MINUS)


def duration(seconds: float) -> str:
    """`0.4 s`, `12 s`, `2 min 31 s`, `1 h 04 min`."""
    if not math.isfinite(seconds) or seconds < 0:
        return "unknown"
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def size(n_bytes: int) -> str:
    """Bytes in decimal units, as file managers and download pages count: `145 MB`, `3.1 GB`."""
    value = float(n_bytes)
    for unit in ("bytes", "kB", "MB"):
        if value < 999.5:
            return f"{value:.0f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"


def small(difference: float) -> str:
    """A difference that may be tiny: four decimals, or a power of ten below that."""
    return number(difference, 4) if difference == 0 or abs(difference) >= 0.00005 else f"{difference:.0e}"


def file_name(path: str) -> str:
    """The last part of a path, whichever system wrote it: a report is passed on, folders are private."""
    return PurePath(path.replace("\\", "/")).name
