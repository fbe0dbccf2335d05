"""What is counted of a text is how it is said."""

from locum.evaluation.style import FEATURES, profile


def test_nouns_and_capitals_do_not_count_but_function_words_do() -> None:
    assert profile("Order W-1204 parcel ORDER").sum() == 1  # the hyphen
    assert profile("THE the The").tolist() == profile("the the the").tolist()
    assert profile("don’t")[FEATURES.index("don't")] == 1
    assert profile("the order,")[FEATURES.index(",")] == 1
    assert len(set(FEATURES)) == len(FEATURES)
