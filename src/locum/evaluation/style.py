"""What writers do not watch: function words and punctuation."""

import re
from collections import Counter

import numpy as np

_WORDS = re.compile(r"[a-z']+|[.,;:!?()\-—–…\"]")
_LIST = """
the of and to a in that is it for on with as was at by be this from or an are not but have has had i you we they
he she its my your our their if so do does did no yes can could will would should may might must there here what
which who when where how why all any some more most than then now just only also still even because while
though however too very well up out off over about into after before again once one two first said that's it's
don't . , ; : ! ? ( ) - — – … \"
"""
FEATURES = tuple(_LIST.split())
"""English function words and punctuation marks."""
_INDEX = {feature: place for place, feature in enumerate(FEATURES)}


def profile(text: str) -> np.ndarray:
    """How often each of `FEATURES` stands in a text: float [features], counts."""
    counts = np.zeros(len(FEATURES))
    for word, times in Counter(_WORDS.findall(text.lower().replace("’", "'"))).items():
        if word in _INDEX:
            counts[_INDEX[word]] += times
    return counts
