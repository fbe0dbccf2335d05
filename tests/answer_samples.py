"""Rows with decisions that can be told apart, and answers to them read as an evaluation reads them."""

from collections.abc import Callable

from small_models import row, says, user

from locum.evaluation.answers import asked, inventory_of, read_answer
from locum.evaluation.arms import Nearest
from locum.evaluation.competence import majority_labels
from locum.evaluation.results import Answer, Sample
from locum.types import Message, Row, Tier, ToolCall

TOOLS = tuple(
    {
        "type": "function",
        "function": {
            "name": name,
            "parameters": {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]},
        },
    }
    for name in ("lookup", "cancel", "refund", "wait")
)
STANCES = {
    "push_back": "I would advise against it. It breaks the rest.",
    "comply": "Done. It is in.",
    "defer": "Which one do you want? I wait.",
}


def decision_rows(
    family: str, sessions: int, per_session: int = 4, tier: Tier = "verified", name: str = "s"
) -> list[Row]:
    """Rows whose right decision changes from row to row, `wait` and `push_back` being a little commoner."""
    rows = []
    for number in range(sessions * per_session):
        session = f"{name}{number // per_session}"
        prompt = user(f"Case {number}: order W-{1000 + number}.")
        if family == "tool_decision":
            tool = ("lookup", "cancel", "refund", "wait", "wait")[number * 7 % 5]
            response = says("", ToolCall(id="c", name=tool, arguments={"id": f"W-{1000 + number}"}))
        else:
            response = says((*STANCES.values(), STANCES["push_back"])[number * 3 % 4])
        rows.append(
            row(
                prompt,
                response,
                session=session,
                turn=number % per_session,
                family=family,
                tools=TOOLS if family == "tool_decision" else (),
                tier=tier,
            )
        )
    return rows


Voice = Callable[[Row], Message]


def samples_of(rows: list[Row], tuned: Voice, base: Voice, train: list[Row]) -> list[Sample]:
    """What an evaluation would leave of two voices' answers."""
    inventory, majority = inventory_of([*train, *rows]), majority_labels(train)

    def read(row: Row, message: Message) -> Answer:
        return read_answer(row, message.content, message.tool_calls, "stop", inventory)

    near = Nearest(train).of(rows, 1)
    return [
        Sample(
            row=r.id,
            session=r.session,
            lineage=r.lineage,
            family=r.family,
            asked=asked(r),
            agent=read(r, r.response),
            base=read(r, base(r)),
            tuned=read(r, tuned(r)),
            others={"knn": read(r, found[0].row.response if found else says(""))},
            majority=majority.get(r.family),
            nearest=found[0].row.id if found else None,
            similarity=found[0].similarity if found else 0.0,
            prompt=r.prompt,
            tools=r.tools,
            tools_known=bool(r.tools),
            refines=r.refines,
            tier=r.tier,
        )
        for r, found in zip(rows, near, strict=True)
    ]


def silent(row: Row) -> Message:
    """A base that says nothing of use."""
    return says("Hello! How are you?")
