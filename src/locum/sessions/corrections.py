"""Whether a human's message corrects what the agent did before: a small lexicon, looked for at its beginning.

Conservative on purpose: a missed correction leaves one doubtful row, a false one takes a good row away and
tells the report that the human objected. Only the first words count, and "no, that's fine" is not a
correction.
"""

import re

_END = r"(?=[\s.,!?:;]|$)"
_OBJECTS = r"(?:that|this|it|these|those|your|the (?:last|change|changes|edit|commit)|all)"
_CORRECTION = re.compile(
    r"(?:(?:hm+|uh+|um+|ok(?:ay)?|sorry|wait|hey)[\s.,!]+){0,2}(?:"
    + "|".join(
        [
            r"no[,.!:]\s",
            r"no (?:that|this|you|don'?t|not)" + _END,
            r"nope" + _END,
            r"(?:that|this|it)(?:'s|’s| is| was) (?:not|wrong|incorrect)" + _END,
            r"(?:that|this|it) (?:isn|wasn)['’]?t" + _END,
            r"(?:wrong|incorrect)" + _END,
            r"you(?:'re|’re| are) (?:wrong|mistaken|incorrect|not (?:correct|right))" + _END,
            r"you should(?: not|n['’]?t)? have" + _END,
            r"you (?:forgot|missed|misunderstood|broke)" + _END,
            r"i (?:meant|didn['’]?t mean|didn['’]?t ask|never asked)" + _END,
            r"not what i" + _END,
            r"(?:undo|revert|roll back) " + _OBJECTS + _END,
            r"undo(?=[.,!]|$)",
            r"stop(?=[.,!]|$)",
            r"stop (?:it|that|doing|adding|changing|editing|trying|making|using)" + _END,
            r"don['’]?t do (?:that|this)" + _END,
        ]
    )
    + ")",
    re.IGNORECASE,
)
_REASSURANCE = re.compile(
    r"\b(?:good|fine|ok|okay|great|perfect|thanks|thank you|that['’]?s (?:all|it))\b", re.IGNORECASE
)
_FIRST_WORDS = 60


def corrects(text: str) -> bool:
    """Whether a message typed by a human begins by correcting what the agent did before it."""
    beginning = text.lstrip()[:_FIRST_WORDS]
    if not _CORRECTION.match(beginning):
        return False
    plain_no = re.match(r"no(?:pe)?\b[\s.,!:]*", beginning, re.IGNORECASE)
    if plain_no is None:
        return True
    first_sentence = re.split(r"[.!?\n](?:\s|$)", beginning[plain_no.end() :], maxsplit=1)[0]
    return not _REASSURANCE.search(first_sentence)
