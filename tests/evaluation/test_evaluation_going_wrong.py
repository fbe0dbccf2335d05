"""Signatures from samples to figures, examples and evidence."""

import math
import re

import pytest
from answer_samples import decision_rows, samples_of, silent
from planted_answers import PET, answers
from small_models import row, says, system, user

from locum.dataset.redaction import Redaction, Redactions, canonical_form, salted_hash
from locum.evaluation import going_wrong
from locum.evaluation.canaries import Exposure
from locum.evaluation.probes import Probe
from locum.evaluation.results import Sample
from locum.evaluation.signatures.secrets import SecretProbe
from locum.training.chat_template import Renderer
from locum.types import Message, Row


def talk(seed: int, lineages: int, family: str = "post") -> list[Row]:
    texts, names = answers(seed, lineages)
    return [
        row(user(f"Case {at}: what now?"), says(text), session=name, turn=at, family=family)
        for at, (text, name) in enumerate(zip(texts, names, strict=True))
    ]


def traced(rows: list[Row], tuned: dict[str, str], train: list[Row]) -> list[Sample]:
    """Samples in which the tuned model says what `tuned` names by row id, and what the agent says otherwise."""

    def voice(row: Row) -> Message:
        return says(tuned[row.id]) if row.id in tuned else row.response

    return going_wrong.trace(samples_of(rows, voice, silent, train), rows, train)


def test_an_inventor_is_found_at_its_rate() -> None:
    """Two answers of five hold an order number that is nowhere, one of five another row's."""
    rows, train = talk(1, 10), [row(user("?"), says("It was OPS-4444 all along."), session="t")]
    invented = {r.id: f"{r.response.content} See OPS-{7000 + at}." for at, r in enumerate(rows) if at % 5 in (0, 2)}
    moved = {r.id: f"{r.response.content} See OPS-4444." for at, r in enumerate(rows) if at % 5 == 1}
    samples = traced(rows, {**invented, **moved}, train)
    found = going_wrong.figures(samples)
    assert found["made_up"]["tuned"].estimate == pytest.approx(0.6)
    assert found["invented"]["tuned"].estimate == pytest.approx(0.4)
    assert found["transplants"]["tuned"].estimate == pytest.approx(0.2)
    assert found["invented"]["agent"].estimate == found["transplants"]["agent"].estimate == 0
    assert found["invented"]["tuned-agent"].low < 0.4 < found["invented"]["tuned-agent"].high
    signs = going_wrong.found_in(samples, [], train, None, None)
    assert signs.tiers["tuned"] == {"known": 4, "invented": 8}
    assert {example.row for example in signs.examples["transplants"]} <= moved.keys()
    assert "OPS-7000" in signs.examples["made_up"][0].found
    assert len(signs.examples["made_up"]) == going_wrong.EXAMPLES


def test_what_the_agent_says_itself_is_no_transplant() -> None:
    (one,) = rows = [row(user("Where?"), says("At OPS-4444."), session="s")]
    samples = traced(rows, {one.id: "It is at OPS-4444."}, [row(user("?"), says("OPS-4444"), session="t")])
    assert samples[0].tuned.transplanted == 0
    assert samples[0].tuned.invented == 0
    assert samples[0].agent.transplanted > 0, "its own rate is what it knows from earlier sessions"


def test_an_agent_against_itself_shows_no_excess() -> None:
    rows = talk(1, 12)
    figures = going_wrong.figures(traced(rows, {}, talk(2, 12)))
    for name, arms in figures.items():
        assert arms["tuned-agent"].low <= 0 <= arms["tuned-agent"].high, name
        assert arms["tuned-agent"].estimate == 0, name
    assert {"agent", "base", "tuned", "tuned-agent", "base-agent"} <= figures["self_bleu"].keys()


def test_a_looping_model_and_a_reciting_one_are_found() -> None:
    rows, train = talk(1, 12), talk(2, 12)
    recited = " ".join(r.response.content for r in train[:4])
    train.append(row(user("?"), says(recited), session="long"))
    tuned = {r.id: recited if at % 2 else f"{r.response.content} " + "so it goes " * 9 for at, r in enumerate(rows)}
    samples = traced(rows, tuned, train)
    found = going_wrong.figures(samples)
    for name in ("loops", "verbatim"):
        assert found[name]["tuned"].estimate == 0.5
        assert found[name]["tuned-agent"].low > 0.1
        assert found[name]["agent"].estimate == 0
    assert found["coverage"]["tuned-agent"].low > 0
    assert found["repetition"]["tuned-agent"].low > 0
    examples = going_wrong.found_in(samples, [], train, None, None).examples
    assert all("so it goes" in example.text for example in examples["loops"])
    assert re.fullmatch(r"\d+ tokens", examples["verbatim"][0].found)


def test_a_pet_phrase_is_named_with_its_autonomy() -> None:
    rows = talk(1, 12)
    samples = traced(rows, {r.id: f"{r.response.content} {PET}." for r in rows}, [])
    foreign = [Probe("foreign", f"Well, {PET}.", asked="?")] * 12
    signs = going_wrong.found_in(samples, foreign, [], None, None)
    assert [phrase.text for phrase in signs.phrases["tuned"]] == [PET]
    assert signs.autonomy is not None
    assert signs.autonomy.ratio == 1
    assert PET in signs.examples["phrases"][0].found
    own = going_wrong.found_in(traced(rows, {}, []), foreign, [], None, None)
    assert own.phrases["tuned"] == ()


def test_begun_responses_that_go_on_word_for_word() -> None:
    probes = [
        *(Probe("train", "and so on.", row=str(at), lineage=f"s{at}", expected="and so on.") for at in range(8)),
        *(Probe("held_out", "or not", row=str(at), lineage=f"s{at}", expected="and so on.") for at in range(8)),
    ]
    extraction = going_wrong.found_in([], probes, [], None, None).extraction
    assert extraction is not None
    assert extraction.held_out is not None
    assert (extraction.train.estimate, extraction.held_out.estimate) == (1.0, 0.0)
    assert going_wrong.found_in([], [], [], None, None).extraction is None


# --- redacted values

SECRETS = {"EMAIL": "kim@" + "harbour.example.net", "PASSWORD": "tr0ub4dor" + "&33x", "PHONE": "+49 30 " + "901820"}


def probe() -> SecretProbe:
    salt = "0f" * 32
    return SecretProbe(
        Redactions(
            salt,
            tuple(
                Redaction(kind, f"<{kind}_1>", salted_hash(salt, canonical_form(kind, value)))
                for kind, value in SECRETS.items()
            ),
        )
    )


@pytest.mark.parametrize(
    ("text", "sealed"),
    [
        (f"Write to {SECRETS['EMAIL']}.", "Write to <EMAIL_1>."),
        (f"Write to {SECRETS['EMAIL'].upper()}!", "Write to <EMAIL_1>!"),
        (f"it is '{SECRETS['PASSWORD']}', I think", "it is '<PASSWORD_1>', I think"),
        (f"DB_PASS={SECRETS['PASSWORD']}", "DB_PASS=<PASSWORD_1>"),
        (f'{{"to": "{SECRETS["EMAIL"]}"}}', '{"to": "<EMAIL_1>"}'),
        (f"call {SECRETS['PHONE']} now", "call <PHONE_1> now"),
    ],
)
def test_a_redacted_value_is_found_and_never_kept(text: str, sealed: str) -> None:
    found, placeholders = probe().sealed(text)
    assert found == sealed
    assert len(placeholders) == 1


def test_what_was_not_redacted_is_left_alone() -> None:
    text = "Write to lee@harbour.example.net or <EMAIL_1>, pass correct-horse; order 901820."
    assert probe().sealed(text) == (text, ())
    assert SecretProbe(None).sealed(f"Write to {SECRETS['EMAIL']}.")[1] == ()
    assert SecretProbe(None).values is None


def test_leaks_are_counted_by_placeholder() -> None:
    rows = decision_rows("reply", 2, 1)
    samples = traced(rows, {}, [])
    probes = [Probe("foreign", "<EMAIL_1>", leaked=("<EMAIL_1>", "<EMAIL_1>")), Probe("foreign", "no")]
    leaks = going_wrong.found_in(samples, probes, [], 3, None).leaks
    assert leaks is not None
    assert (leaks.values, leaks.texts, leaks.found) == (3, 6, {"tuned": {"<EMAIL_1>": 1}})
    assert going_wrong.found_in(samples, probes, [], None, None).leaks is None
    (note,) = going_wrong.notes(going_wrong.found_in(samples, probes, [], 3, None))
    assert "<EMAIL_1> in 1" in note
    assert going_wrong.notes(going_wrong.found_in(samples, [], [], 3, None)) == []


def test_remembered_canaries_are_told() -> None:
    exposures = [
        Exposure(locker=at, inserts=1, rank=rank, of=1024, bits=10 - math.log2(rank), p=rank / 1024)
        for at, rank in enumerate((1, 8, 14, 700))
    ]
    (note,) = going_wrong.notes(going_wrong.found_in([], [], [], None, exposures))
    assert note.startswith("2 of 4 planted canaries are remembered")
    assert "10.0 of 10 bits" in note


def test_what_stands_against_a_model_row_by_row() -> None:
    rows = talk(1, 3)
    samples = traced(rows, {rows[2].id: "See OPS-9999 so it goes so it goes so it goes"}, [])
    found = going_wrong.flags(samples)
    assert found["loops"] == found["invented"] == tuple(at == 2 for at in range(len(rows)))
    assert not any(found["transplants"] + found["verbatim"] + found["leaks"])
    assert not any(any(column) for column in going_wrong.flags(samples, "agent").values())


# --- probes


def test_probes_begin_responses_and_ask_what_the_work_does_not(tiny_renderer: Renderer) -> None:
    from locum.evaluation import probes

    train = [row(user(f"{at}?"), says("I will look at the order again. " * 8), session=f"t{at}") for at in range(20)]
    held_out = [
        row(system("Be brief."), user("Is it late?"), says("It is late by 12 days, as before."), session="h"),
        row(user("Hm?"), says("No."), session="short"),
    ]
    found = probes.prompts(train, held_out, tiny_renderer)
    kinds = [prompt.probe.kind for prompt in found]
    assert kinds.count("foreign") == len(probes.FOREIGN)
    assert kinds.count("train") == probes.PROBES
    assert kinds.count("held_out") <= 1, "a short response cannot be begun"
    begun = next(prompt for prompt in found if prompt.probe.kind == "train")
    assert (begun.probe.begun + begun.probe.expected) in train[0].response.content
    assert len(tiny_renderer.tokens(begun.probe.expected)) == begun.max_tokens <= probes.PREFIX
    assert found == probes.prompts(train, held_out, tiny_renderer)
    assert probes.prompts([], [], tiny_renderer) == []
