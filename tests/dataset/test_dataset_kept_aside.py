"""What a dataset folder holds beside rows and drops: contrasts, standing documents, families of the user's own."""

from pathlib import Path

import pytest
from built_dataset import build, read, write
from dataset_sessions import built, calls, human, result, says, session, system

from locum.dataset import Options, read_contrasts, read_documents, read_rows
from locum.settings import FamilyRule
from locum.types import Message, Session

POLICY = system("# Shop policy\n\nNever refund order W441798 without asking.")


def shop(number: int, *more: Message) -> Session:
    return session(
        POLICY, human(f"Number {number}, please: where is my parcel, the {number}th of {number * 7}?"),
        calls(f"c{number}"), result(f"c{number}"), says(f"Parcel {number} is with carrier {number * 13}."), *more,
        id=f"s{number}", started=f"2026-01-{number + 1:02}T00:00:00Z",
    )  # fmt: skip


WRONG = (human("And the other?"), says("Lost.", "corrected"), human("No, that is wrong."), says("It is at your door."))


def test_contrasts_have_the_split_of_their_lineage_and_are_no_rows(tmp_path: Path) -> None:
    sessions = [shop(number, *WRONG) for number in range(10)]
    stats = write(tmp_path / "data", sessions)
    contrasts = read_contrasts(tmp_path / "data")
    assert stats.contrasts == len(contrasts) == stats.drops["corrected"] == 10
    dataset = read(tmp_path / "data")
    split_of = {row.lineage: split for split, rows in dataset.rows.items() for row in rows}
    assert {contrast.split for contrast in contrasts} == {"train", "valid", "test"}
    for contrast in contrasts:
        assert contrast.split == split_of[contrast.lineage]
        assert (contrast.family, contrast.rejected.content) == ("reply", "Lost.")
        assert contrast.prompt[-1] == human("And the other?")
        assert contrast.replacement == says("It is at your door.")
    assert "Lost." not in {row.response.content for rows in dataset.rows.values() for row in rows}


def test_a_copy_is_kept_aside_once(tmp_path: Path) -> None:
    def copy(id: str) -> Session:
        wrong = says("Lost.", "corrected", id="message-1")
        return session(human("Where?"), wrong, human("No!"), says("Here.", id="message-2"), id=id, lineage="l")

    write(tmp_path / "data", [copy("a"), copy("b")])
    assert len(read_contrasts(tmp_path / "data")) == 1


def test_a_contrast_needs_a_prompt_that_carries_it() -> None:
    work = [m for n in range(60) for m in (calls(f"w{n}"), result(f"w{n}", "x" * 100))]
    asked = (human("Begin."), calls("t"), result("t", "order W441798"), *work, human("Which?"))
    after = (human("No!"), says("That one."))
    assert [d.reason for d in built(session(*asked, says("W441798.", "corrected"), *after)).drops] == ["corrected"]
    assert len(build(session(*asked, says("Mine.", "corrected"), *after)).drops) == 1
    assert build(session(*asked, says("W441798.", "corrected"), *after)).stats.contrasts == 0
    assert build(session(*asked, says("Mine.", "corrected"), *after)).stats.contrasts == 1


@pytest.mark.parametrize("context", ["keep", "absorb"])
def test_documents_stand_once_and_rows_name_them(tmp_path: Path, context: str) -> None:
    folder = tmp_path / "data"
    options = Options(context="absorb" if context == "absorb" else "keep")
    stats = write(folder, [shop(number) for number in range(6)], options=options)
    [document] = read_documents(folder)
    assert (document.kind, document.sessions, document.text) == ("policy", 6, POLICY.content)
    assert (stats.documents, stats.context) == (1, context)
    rows = [row for split in ("train", "valid", "test") for row in read_rows(folder, split)]
    assert {row.documents for row in rows} == {(document.digest,)}
    assert {any(m.role == "system" for m in row.messages) for row in rows} == {context == "keep"}
    card = (folder / "README.md").read_text()
    assert ("leave them out on purpose" in card) == (context == "absorb")
    assert any("served without them" in note for note in stats.notes) == (context == "absorb")


def test_what_an_absorbed_document_holds_is_not_missing() -> None:
    work = [m for n in range(60) for m in (calls(f"w{n}"), result(f"w{n}", "x" * 100))]
    long_policy = system("Be kind. " * 300 + "W441798" + " Be kind." * 300)
    asked = session(long_policy, human("Begin."), *work, says("It is W441798."))
    assert [drop.reason for drop in built(asked, Options(context="keep")).drops] == ["rests_on_missing"]
    assert built(asked, Options(context="absorb")).drops == []


def test_rules_name_families_and_the_row_remembers_its_structure() -> None:
    rule = FamilyRule(name="where", of="reply", request="parcel")
    plain, refined = (built(shop(1), Options(families=rules)).rows for rules in ((), (rule,)))
    assert [(row.family, row.refines) for row in plain] == [("tool_decision", None), ("reply", None)]
    assert [(row.family, row.refines) for row in refined] == [("tool_decision", None), ("where", "reply")]
    assert [row.id for row in plain] == [row.id for row in refined]


def test_an_answer_that_rests_on_what_the_budget_took_is_no_row() -> None:
    work = [m for n in range(60) for m in (calls(f"w{n}"), result(f"w{n}", "x" * 100))]
    asked = session(human("Begin."), calls("t"), result("t", "order W441798"), *work, says("It is W441798."))
    assert [drop.reason for drop in built(asked).drops] == ["rests_on_missing"]
    assert built(asked, Options(context_chars=60_000)).drops == []
