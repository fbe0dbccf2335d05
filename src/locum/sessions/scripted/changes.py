"""Changes to review: small diffs, each flaw with a sound twin that differs in the decisive lines only.

What the house rules refuse: a bare `except`, money as a float, a secret in the code, a new function without a
test.
"""

from random import Random

from locum.sessions.scripted.world import GREETINGS, MODULES, Change, Flaw

_KINDS: tuple[Flaw, ...] = ("bare_except", "float_money", "hard_coded_secret", "missing_test")
_HARMLESS_RATE = 0.1
"""Changes that have no flawed twin."""
_FLAW_RATE = 0.55


def draw_change(rng: Random) -> tuple[Change, str]:
    """A change to review, and its diff."""
    module = rng.choice(MODULES)
    verb = rng.choice(("load", "count", "find", "apply", "merge", "sort", "check"))
    name = f"{verb}_{rng.choice(('rates', 'lines', 'offers', 'rows', 'parcels', 'labels'))}"
    kind: Flaw = "" if rng.random() < _HARMLESS_RATE else rng.choice(_KINDS)
    flaw: Flaw = kind if rng.random() < _FLAW_RATE else ""
    match kind:
        case "bare_except":
            lines = _error_handling(name, rng, bare=bool(flaw))
        case "float_money":
            lines = _arithmetic(name, rng, float_money=bool(flaw))
        case "hard_coded_secret":
            name = f"{module.upper()}_{rng.choice(('TOKEN', 'API_KEY', 'PASSWORD'))}"
            lines = _setting(name, rng, secret=bool(flaw))
        case "missing_test":
            lines = _new_function(name, rng)
        case _:
            lines = _renaming(name, rng)
    place = rng.randrange(5, 140)
    diff = _hunk(f"shop/{module}.py", place, lines)
    if kind == "missing_test" and not flaw:
        test = [" ", f"+def test_{name}():", f"+    assert {name}([]) == []"]
        diff = f"{diff}\n{_hunk(f'tests/test_{module}.py', place + 2, test)}"
    return Change(module=module, name=name, flaw=flaw), diff


def _hunk(path: str, line: int, lines: list[str]) -> str:
    before = sum(not text.startswith("+") for text in lines)
    after = sum(not text.startswith("-") for text in lines)
    return "\n".join((f"--- a/{path}", f"+++ b/{path}", f"@@ -{line},{before} +{line},{after} @@", *lines))


def _error_handling(name: str, rng: Random, *, bare: bool) -> list[str]:
    error = "" if bare else rng.choice((" KeyError", " FileNotFoundError", " ValueError"))
    empty = rng.choice(("[]", "None", "{}"))
    return [
        f" def {name}(path):",
        "-    return read(path)",
        "+    try:",
        "+        return read(path)",
        f"+    except{error}:",
        f"+        return {empty}",
    ]


def _arithmetic(name: str, rng: Random, *, float_money: bool) -> list[str]:
    field, number = rng.choice(("price", "fee", "discount")), "float" if float_money else "Decimal"
    if not float_money and rng.random() < 0.3:
        field, number = rng.choice(("weight", "height")), "float"  # fine: not money
    return [
        f" def {name}(row, count):",
        "-    return 0",
        f'+    {field} = {number}(row["{field}"])',
        f"+    return {field} * count",
    ]


def _setting(name: str, rng: Random, *, secret: bool) -> list[str]:
    value = f'"{rng.getrandbits(72):018x}"' if secret else f'os.environ["{name}"]'
    limit = f"+{rng.choice(('TIMEOUT', 'RETRIES', 'PAGE_SIZE'))} = {rng.randrange(2, 30)}"
    return [" import os", " ", f"-{name} = None", f"+{name} = {value}", limit]


def _new_function(name: str, rng: Random) -> list[str]:
    field = rng.choice(("active", "paid", "sent", "fragile"))
    return [" ", f"+def {name}(items):", f"+    return [item for item in items if item.{field}]"]


def _renaming(name: str, rng: Random) -> list[str]:
    old, new = rng.sample(("rows", "entries", "items", "records", "found"), 2)
    return [
        f" def {name}(path):",
        f"-    {old} = read(path)",
        f"-    return {old}",
        f"+    {new} = read(path)",
        f"+    return {new}",
    ]


def ask_for_review(change: Change, diff: str, rng: Random) -> str:
    """The diff, with a colleague's line above it."""
    text = rng.choice(GREETINGS) + rng.choice(
        (
            f"Please review this change to {change.module}.",
            f"Can this go in? It touches {change.module}.",
            f"Review, please ({change.module}):",
            f"What do you think of this one for {change.module}?",
            f"A small patch for {change.module}. Your verdict?",
        )
    )
    return f"{text}\n```diff\n{diff}\n```"
