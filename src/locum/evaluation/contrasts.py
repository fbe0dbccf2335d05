"""Contrast sets that build themselves out of held-out rows (Gardner et al. 2020, arXiv:2004.02709).

Each question sets the agent's decision against another one in the same words, so that neither style nor fluency tells
them apart; which kinds there are stands in `questions`. Where a set could still be solved from the answers alone
(because one tool is nearly always right), its questions are balanced: every answer is as often right as wrong.
"""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence

import msgspec

from locum.dataset.contrast import Contrast
from locum.errors import TrainingError
from locum.evaluation.answers import prompt_text
from locum.evaluation.call_text import Part, call_parts
from locum.evaluation.decision_slots import Choices, Slot, decision_of, slot, slot_of
from locum.evaluation.decisions import LEXICONS, valid_call
from locum.evaluation.double_differences import match_pairs
from locum.evaluation.lexicons import words
from locum.evaluation.questions import Kind, Question
from locum.evaluation.scoring import Plan, Planned
from locum.evaluation.signatures.details import details
from locum.evaluation.tokens import response_of
from locum.training.chat_template import Encoded, Renderer
from locum.types import Row, ToolCall


def ask(plan: Plan, choices: Choices, contrasts: Sequence[Contrast], renderer: Renderer) -> Plan:
    """The plan with every question that its rows and the agent's own corrections give.

    Args:
        plan: planned rows.
        choices: what the agent decided in its training rows.
        contrasts: what was taken back, of any split; only the test split's is asked.
        renderer: the base's.
    """
    questions = [
        *_context_swaps(plan),
        *_corrections(contrasts, choices, renderer),
        *_balanced(plan, "flipped_decision", renderer, _flips),
        *_swapped_arguments(plan, renderer),
        *_balanced(plan, "swapped_tool", renderer, _other_tools),
    ]
    return msgspec.structs.replace(plan, questions=tuple(questions))


def overlap(text: str, prompt: str) -> float:
    """Share of an answer's words and numbers that the prompt holds, from 0 to 1."""
    said, held = words(text), set(words(prompt))
    return sum(word in held for word in said) / len(said) if said else 0.0


def _context_swaps(plan: Plan) -> Iterator[Question]:
    deciding = [planned for planned in plan.rows if planned.slot is not None]
    for one, other in match_pairs([(planned.row, prompt_text(planned.row)) for planned in deciding]):
        a, b = deciding[one], deciding[other]
        text_a, text_b = _own_text(a), _own_text(b)
        prompt_a, prompt_b = prompt_text(a.row), prompt_text(b.row)
        yield Question(
            kind="context_swap",
            row=a.row.id,
            lineage=a.row.lineage,
            partner=b.row.id,
            partner_lineage=b.row.lineage,
            family=a.row.family,
            right_text=f"{text_a} | {text_b}",
            wrong_text=f"{text_b} | {text_a}",
            right_overlap=overlap(text_a, prompt_a) + overlap(text_b, prompt_b),
            wrong_overlap=overlap(text_a, prompt_b) + overlap(text_b, prompt_a),
            sides=((_at_slot(a, a), _at_slot(b, b)), (_at_slot(a, b), _at_slot(b, a)), (), ()),
        )


def _own_text(planned: Planned) -> str:
    own = planned.slot
    return own.options[0].text if own else ""


def _at_slot(answers: Planned, asked: Planned) -> Encoded:
    """The decision of one row under the prompt of another (or its own)."""
    own = answers.slot
    assert own is not None
    return Encoded(asked.prompt + answers.answer[: own.end], len(asked.prompt) + own.start)


def _corrections(contrasts: Sequence[Contrast], choices: Choices, renderer: Renderer) -> Iterator[Question]:
    for contrast in contrasts:
        if contrast.split != "test" or contrast.replacement is None:
            continue
        right, wrong = (
            Row(
                id=contrast.id,
                session=contrast.session,
                lineage=contrast.lineage,
                turn=contrast.turn,
                family=contrast.family,
                messages=(*contrast.prompt, message),
                tools=contrast.tools,
                refines="tool_decision" if message.tool_calls else None,
            )
            for message in (contrast.replacement, contrast.rejected)
        )
        try:
            question = _correction(right, wrong, choices, renderer)
        except TrainingError:  # what the template cannot write cannot be asked
            continue
        if question is not None:
            yield question


def _correction(right: Row, wrong: Row, choices: Choices, renderer: Renderer) -> Question | None:
    label, other = decision_of(right), decision_of(wrong)
    if label is None or other is None or right.structure != wrong.structure:
        return None
    encoded = renderer.encode(right)
    if label != other:
        response = response_of(right, encoded, renderer)
        two = Choices({right.family: Counter([label, other])}, {right.family: {other: _said(wrong, other, choices)}})
        found = slot_of(msgspec.structs.replace(right, tools=()), response, two, renderer)
        prompt, answer = encoded.tokens[: encoded.response_start], encoded.tokens[encoded.response_start :]
        return _of_slot("correction", right, prompt, answer, found, None) if found else None
    if right.structure != "tool_decision" or right.response.tool_calls == wrong.response.tool_calls:
        return None
    # One tool, other arguments: from the first token that differs to the last.
    rejected = renderer.encode(wrong)
    one, two_ = encoded.tokens, rejected.tokens
    start = next((at for at, pair in enumerate(zip(one, two_, strict=False)) if pair[0] != pair[1]), 0)
    tail = 0
    while tail < min(len(one), len(two_)) - start and one[-1 - tail] == two_[-1 - tail]:
        tail += 1
    ends = (len(one) - tail, len(two_) - tail)
    if not (encoded.response_start <= start < min(ends)):
        return None
    texts = [json.dumps(row.response.tool_calls[0].arguments, sort_keys=True) for row in (right, wrong)]
    sides = ((Encoded(one[: ends[0]], start),), (Encoded(two_[: ends[1]], start),), (), ())
    return _question("correction", right, texts[0], texts[1], sides)


def _said(row: Row, label: str, choices: Choices) -> tuple[str, ...]:
    """How the rejected decision is put: in the agent's commonest words, where training rows have any."""
    return choices.phrases.get(row.family, {}).get(label, ())[:1]


def _balanced(
    plan: Plan, kind: Kind, renderer: Renderer, others: Callable[[Planned, Slot], list[str]]
) -> Iterator[Question]:
    """One question a row at most; of two labels, each is right as often as the other."""
    ways: dict[tuple[str, str], list[int]] = defaultdict(list)
    for index, planned in enumerate(plan.rows):
        if planned.slot is not None:
            for other in others(planned, planned.slot):
                ways[planned.slot.label, other].append(index)
    used: set[int] = set()
    for label, other in sorted(ways):
        if label > other:
            continue
        there, back = (
            [index for index in ways.get(way, ()) if index not in used] for way in ((label, other), (other, label))
        )
        count = min(len(there), len(back))
        for index, instead in [*((at, other) for at in there[:count]), *((at, label) for at in back[:count])]:
            used.add(index)
            planned = plan.rows[index]
            assert planned.slot is not None
            options = [option for option in planned.slot.options if option.label == planned.slot.label][:1]
            options += [option for option in planned.slot.options if option.label == instead][:1]
            two = msgspec.structs.replace(planned.slot, options=tuple(options))
            donor = plan.rows[planned.donors[0]].prompt if planned.donors else None
            yield _of_slot(kind, planned.row, planned.prompt, planned.answer, two, donor)


def _flips(planned: Planned, own: Slot) -> list[str]:
    return [label for label in own.labels if label != own.label] if planned.row.structure in LEXICONS else []


def _other_tools(planned: Planned, own: Slot) -> list[str]:
    row = planned.row
    if row.structure != "tool_decision" or not row.tools:
        return []
    call = row.response.tool_calls[0]
    return [
        label
        for label in own.labels
        if label != own.label and valid_call(ToolCall(call.id, label, call.arguments), row.tools)
    ]


def _of_slot(
    kind: Kind, row: Row, prompt: list[int], answer: list[int], two: Slot, donor: list[int] | None
) -> Question:
    """A question between the first options of two labels; the agent's own first."""
    right = next(option for option in two.options if option.label == two.label)
    wrong = next(option for option in two.options if option.label != two.label)
    before = answer[: two.start]

    def side(tokens: Sequence[int], asked: list[int] | None) -> tuple[Encoded, ...]:
        return () if asked is None else (Encoded([*asked, *before, *tokens], len(asked) + len(before)),)

    sides = (*(side(o.tokens, prompt) for o in (right, wrong)), *(side(o.tokens, donor) for o in (right, wrong)))
    return _question(kind, row, right.text, wrong.text, sides)


def _swapped_arguments(plan: Plan, renderer: Renderer) -> Iterator[Question]:
    for planned in plan.rows:
        if planned.row.structure != "tool_decision":
            continue
        shown = prompt_text(planned.row)
        parts = [part for part in call_parts(planned.response.text) if part.kind == "argument"]
        taken = {str(part.value) for part in parts}
        for part in parts:
            instead = _instead(part, shown, taken)
            if instead is None:
                continue
            text = planned.response.text[part.start : part.end]
            span = (part.start, part.end)
            found = slot(planned.response, span, [("right", text), ("wrong", instead)], 1, renderer)
            if found is not None:
                donor = plan.rows[planned.donors[0]].prompt if planned.donors else None
                yield _of_slot("swapped_argument", planned.row, planned.prompt, planned.answer, found, donor)
                break


def _instead(part: Part, prompt: str, taken: set[str]) -> str | None:
    """Another value of the argument's kind that the prompt holds, the nearest in length; None where there is none."""
    value = str(part.value)
    kinds = [detail.kind for detail in details(value) if detail.text == value]
    if not kinds or isinstance(part.value, bool) or part.value is None:
        return None
    stand = [detail.text for detail in details(prompt) if detail.kind == kinds[0]]
    if value not in stand:
        return None
    others = {
        text
        for text in stand
        if text not in taken and _shape(text) == _shape(value) and (isinstance(part.value, str) or _is_number(text))
    }
    if not others:
        return None
    chosen = min(others, key=lambda text: (abs(len(text) - len(value)), text))
    return json.dumps(chosen, ensure_ascii=False)[1:-1] if isinstance(part.value, str) else chosen


def _shape(text: str) -> str:
    """What a value looks like: "KF-77783" and "KF-102" are alike, "order_id" is not."""
    return re.sub(r"(.)\1+", r"\1", re.sub(r"[^\W\d_]", "a", re.sub(r"\d", "0", text)))


def _is_number(text: str) -> bool:
    return re.fullmatch(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?", text) is not None


def _question(kind: Kind, row: Row, right: str, wrong: str, sides: tuple[tuple[Encoded, ...], ...]) -> Question:
    shown = prompt_text(row)
    first, second, third, fourth = sides
    return Question(
        kind=kind,
        row=row.id,
        lineage=row.lineage,
        family=row.family,
        right_text=right,
        wrong_text=wrong,
        right_overlap=overlap(right, shown),
        wrong_overlap=overlap(wrong, shown),
        sides=(first, second, third, fourth),
    )
