"""Every token has one class, decided by where its characters stand."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_models import LOOKUP, lookup, many_rows, row, says, user

from locum.evaluation.call_text import call_parts
from locum.evaluation.decisions import STANCES, VERDICTS, stated
from locum.evaluation.lexicons import shipped, with_added
from locum.evaluation.phrases import decisive
from locum.evaluation.token_classes import CLASSES, Tagger, facets
from locum.evaluation.tokens import Response, response_of, tokens_within
from locum.evaluation.vocabulary import domain_vocabulary, word_ranks
from locum.settings import Lexicons
from locum.training.chat_template import Renderer
from locum.types import Row


def by_characters(text: str, prompt: str = "") -> Response:
    """A response of which every character is a token."""
    return Response(prompt, text, [0] * len(text), [(at, at + 1) for at in range(len(text))], [False] * len(text))


def classed(text: str, prompt: str = "", structure: str = "reply", tagger: Tagger | None = None) -> dict[str, str]:
    """Class -> its characters, runs apart by a stroke, outside of white space."""
    found: dict[str, str] = {}
    before = ""
    for character, class_ in zip(text, (tagger or TAGGER).classes(by_characters(text, prompt), structure), strict=True):
        if not character.isspace():
            found[class_] = found.get(class_, "") + ("|" if before != class_ and class_ in found else "") + character
            before = class_
    return found


TAGGER = Tagger(with_added(Lexicons()), domain={"teapot", "saucer"}, inventory={"order_id"})


def test_parts_of_a_call() -> None:
    text = (
        '<tool_call>\n{"name": "refund", "arguments": {"order": "W-1204", "amount": 12.5, "deep": {"why": ["late"]},'
        ' "sure": true}}\n</tool_call>'
    )
    found = classed(text, prompt="Order W-1204 costs 12.5 euros.", structure="tool_decision")
    assert found["template"] == "<tool_call>|</tool_call>"
    assert found["tool_name"] == "refund"
    assert found["argument_key"] == "order|amount|deep|why|sure"
    assert found["argument_copied"] == "W-1204|12.5"
    assert found["argument_other"] == "late|true"
    assert set(found["json_syntax"]) <= set('{}[]":,|nameargumts')
    paths = [(part.path, part.value) for part in call_parts(text) if part.kind == "argument"]
    assert paths[2] == (("deep", "why", 0), "late")


def test_part_of_a_longer_word_is_no_copy() -> None:
    text = '<tool_call>\n{"name": "f", "arguments": {"a": "15", "b": "AB"}}\n</tool_call>'
    assert "argument_copied" not in classed(text, prompt="150 CAB 1.15", structure="tool_decision")


def test_words_of_an_answer() -> None:
    text = "I would push back: order KF-9999 is late. That said, the teapot `lid()` from order KF-1204 comes soon."
    found = classed(text, prompt="The order KF-1204 is late; say which order is late.")
    assert found["verdict"] == "pushback"
    assert found["entity_ungrounded"] == "KF-9999"
    assert found["entity_grounded"] == "KF-1204"
    assert found["domain_vocabulary"] == "teapot"
    assert "Thatsaid" in found["qualifier"]
    assert found["code"] == "`lid()`"
    assert "the" in found["function_word"].split("|")
    copied = classed("I see the order is late today.", prompt="He says the order is late again.")
    assert copied["copied_ngram"] == "theorderislate"


def test_verdicts_are_those_of_the_rows_structure() -> None:
    assert classed("LGTM, thanks.", structure="code_review")["verdict"] == "LGTM"
    assert "verdict" not in classed("LGTM, thanks.", structure="post")


def test_a_user_adds_words() -> None:
    mine = Tagger(with_added(Lexicons(verdict=("ship the kettle",), domain_vocabulary=("hob",))))
    found = classed("We ship the  kettle, off the hob.", structure="post", tagger=mine)
    assert found["verdict"] == "shipthekettle"
    assert found["domain_vocabulary"] == "hob"
    assert set(shipped().qualifier) < {*with_added(Lexicons(qualifier=("x",))).qualifier}


@settings(deadline=None, max_examples=60)
@given(st.text(max_size=80), st.sampled_from(["reply", "code_review", "tool_decision", "post"]))
def test_every_token_has_one_class(text: str, structure: str) -> None:
    response = by_characters(text, prompt=text[::2])
    found = TAGGER.classes(response, structure)
    assert len(found) == len(facets(response)) == len(text)
    assert set(found) <= set(CLASSES)


@pytest.mark.parametrize("number", range(len(many_rows())))
def test_tokens_of_rendered_rows_are_found_in_the_text(number: int, tiny_renderer: Renderer) -> None:
    shape = many_rows()[number]
    encoded = tiny_renderer.encode(shape)
    response = response_of(shape, encoded, tiny_renderer)
    assert response.tokens == encoded.tokens[encoded.response_start :]
    assert response.text.endswith("<|im_end|>")
    assert response.spans[0][0] == 0
    assert response.spans[-1][1] == len(response.text)
    assert TAGGER.classes(response, shape.structure)[-1] == "template"
    assert response.special[-1]
    for at, (start, end) in enumerate(response.spans):
        assert at in tokens_within(response.spans, start, end)


def test_facets_know_words_and_places(tiny_renderer: Renderer) -> None:
    shape = row(user("Is it late?"), says(" ".join(["the order is late"] * 8)))
    response = response_of(shape, tiny_renderer.encode(shape), tiny_renderer)
    found = facets(response)
    assert sum(of.word_initial for of in found) == 32
    assert [of.bucket for of in found[:6]] == ["1-5"] * 5 + ["6-20"]
    assert found[20].bucket == "21-"


@pytest.mark.parametrize(
    "text", ["LGTM, thanks.", "No changes requested, good to merge.", "Blocking: it drops a column.", "Nit: comma."]
)
def test_the_phrases_that_decide_are_where_the_label_is_read(text: str) -> None:
    labels = {label for label, _, _ in decisive(text, VERDICTS)} - {"comment"}
    assert (labels or {"comment"}) == {stated(text, VERDICTS)}
    for _, start, end in decisive(text, VERDICTS):
        assert text[start:end].strip() == text[start:end]
    assert decisive("> I'd push back\nOn it.", STANCES) == [("comply", 16, 21)]


def test_domain_words_are_commoner_than_in_general() -> None:
    ranks = word_ranks({"Ġthe": 5, "Ġorder": 20, "Ġlate": 30, "x": 1, "ĠThe": 9})
    assert ranks == {"the": 0, "order": 1, "late": 2}
    rows = [row(user(str(n)), says(f"the kettle of the day, once more {n}"), session=f"s{n % 3}") for n in range(12)]
    one = [row(user("?"), says("samovar samovar samovar samovar"), session="s0")]
    found = domain_vocabulary([*rows, *one], {**ranks, **{f"w{n}": n for n in range(3, 20_000)}}, {"once", "the"})
    assert {"kettle", "day"} <= found
    assert not {"the", "once", "samovar"} & found, "left out, or of one session alone"


def test_calls_and_text_of_one_response(tiny_renderer: Renderer) -> None:
    shape: Row = row(
        user("Which?"), says("Sure.", lookup("W-1"), lookup("W-2")), tools=[LOOKUP], family="tool_decision"
    )
    response = response_of(shape, tiny_renderer.encode(shape), tiny_renderer)
    names = [part for part in call_parts(response.text) if part.kind == "tool_name"]
    assert [(part.call, response.text[part.start : part.end]) for part in names] == [(0, "lookup"), (1, "lookup")]
