"""Saying the same again: repeated n-grams, and loops."""


def seq_rep(text: str, n: int = 4) -> float:
    """Share of word n-grams that repeat an earlier one, from 0 to 1; 0 for fewer than n words.

    Source: seq-rep-n of Welleck et al. 2020, arXiv 1908.04319 (over words, so that models with other tokens compare).
    """
    words = text.split()
    grams = list(zip(*(words[shift:] for shift in range(n)), strict=False))
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


def loops(text: str) -> bool:
    """Whether the text ends in three or more repeats of one block of words.

    A block of lines is a block of words, so one check finds both. The repeats may break off anywhere, also
    within a word, as they do where the cap on new tokens ends them. Blocks without a letter or digit (closing
    braces, rulers) do not count.
    """
    words = text.split()
    for period in range(1, len(words) // 3 + 1):
        if _repeated(words, period) >= 2 * period:
            return any(character.isalnum() for word in words[-2 * period :] for character in word)
    return False


def _repeated(words: list[str], period: int) -> int:
    """How many words at the end equal the word one period before; a last word cut short is passed over."""
    run = 0
    for i in range(len(words) - 1, period - 1, -1):
        if words[i] == words[i - period]:
            run += 1
        elif i < len(words) - 1 or not words[i - period].startswith(words[i]):
            break
    return run
