"""Near-duplicates: planted ones are found as often as is claimed, unrelated rows never, in whatever order."""

import io
import random
import string
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from locum.dataset.near_duplicates import (
    QUESTION_CHARS,
    SHINGLE,
    SHORT,
    THRESHOLD,
    Leak,
    Signed,
    both_signatures,
    clusters,
    jaccard,
    leaks,
    question_and_answer,
    signatures,
)
from locum.dataset.split import SPLITS
from locum.dataset.store import encode_row
from locum.types import Message, Row, Split, ToolCall


def row(*messages: Message, id: str = "r") -> Row:
    return Row(id=id, session=id, lineage=id, turn=0, family="reply", messages=messages)


def asked(question: str, answer: str, id: str = "r") -> Row:
    return row(Message("user", question), Message("assistant", answer), id=id)


def prose(rng: random.Random, chars: int) -> str:
    """Text that no other call makes; each of its pieces occurs once, as good as surely."""
    return "".join(rng.choices(string.ascii_lowercase + string.digits, k=chars))


def paraphrase(rng: random.Random, text: str, similarity: float) -> str:
    """The text with another end, such that the Jaccard similarity is as wanted, as nearly as its length allows."""
    pieces = len(text) - SHINGLE + 1
    shared = round(2 * pieces * similarity / (1 + similarity))
    kept = shared + SHINGLE - 1
    return text[:kept] + "".join(rng.choices(string.ascii_uppercase, k=len(text) - kept)).lower().translate(_OTHER)


_OTHER = str.maketrans(string.ascii_lowercase, "αβγδεζηθικλμνξοπρστυφχψωäö")


def pair(rng: random.Random, question: float, answer: float, chars: int = 1500) -> tuple[Row, Row]:
    texts = prose(rng, chars), prose(rng, chars // 3)
    like = (paraphrase(rng, text, wanted) for text, wanted in zip(texts, (question, answer), strict=True))
    return asked(*texts), asked(*like)


def clustered(rows: Iterable[Row]) -> list[int]:
    return clusters(b"".join(signatures(list(rows))))


def together(one: Row, other: Row) -> bool:
    return clustered([one, other]) == [0, 0]


class TestWhatIsCompared:
    def test_case_spacing_and_order_of_arguments_do_not_count(self) -> None:
        one = row(Message("user", "Show  me\nthe List"), Message("assistant", "", (call(b=1, a="X"),)))
        other = row(Message("user", "show me the list"), Message("assistant", "", (call(a="x", b=1),)))
        assert question_and_answer(one) == question_and_answer(other)
        assert signatures([one]) == signatures([other])

    def test_the_system_message_is_no_part_of_it(self) -> None:
        bare = asked("Is it late?", "No.")
        told = row(Message("system", "Be brief."), *bare.messages)
        assert question_and_answer(told) == question_and_answer(bare) == ("is it late?", "no.")

    def test_a_long_question_is_what_came_since_the_agent_spoke(self) -> None:
        results = [Message("tool", letter * QUESTION_CHARS) for letter in "xy"]
        before = Message("user", "before"), Message("assistant", "", (call(),))
        question, _ = question_and_answer(row(*before, *results, Message("assistant", "Done.")))
        assert question == " ".join(result.content for result in results)

    def test_a_short_question_goes_back_as_far_as_it_must(self) -> None:
        longer = "which one " * (QUESTION_CHARS // 10)
        messages = [Message("user", text) for text in ("too far back", longer)]
        ask, yes = Message("assistant", "Delete it?"), Message("user", "yes")
        question, _ = question_and_answer(row(*messages, ask, yes, Message("assistant", "Done.")))
        assert question == f"{longer.strip()} delete it? yes"

    def test_calls_count_with_their_names_and_arguments(self) -> None:
        rows = [
            row(Message("user", "go"), Message("assistant", "", (made,)))
            for made in (call(), call(x=1), call(x=2), ToolCall("c", "seek"))
        ]
        assert clustered(rows) == [0, 1, 2, 3]


def call(**arguments: object) -> ToolCall:
    return ToolCall("c", "look", arguments)


class TestWhatIsNearlyTheSame:
    def test_both_parts_must_be(self) -> None:
        rng = random.Random(1)
        text, reply = prose(rng, 2000), prose(rng, 400)
        assert together(asked(text, reply), asked(text + " more", "so " + reply))
        assert not together(asked(text, reply), asked(text, prose(rng, 400)))
        assert not together(asked(text, reply), asked(prose(rng, 2000), reply))
        assert not together(asked(text, "Done."), asked(prose(rng, 2000), "Done."))

    def test_short_texts_only_if_equal(self) -> None:
        text = "a" * (SHORT - 2)
        assert together(asked("hm", text), asked("Hm ", text.upper()))
        assert not together(asked("hm", text), asked("hm", text + "a"))
        assert not together(asked("hm", text), asked("hm?", text))

    def test_one_changed_character_makes_a_shortest_text_another(self) -> None:
        """Why texts below `SHORT` need no similarity: they would not reach the threshold."""
        text = prose(random.Random(2), 2 * SHORT)
        middle = SHORT // 2
        for length, reaches in ((SHORT, True), (SHORT - 2, False)):
            pieces = [
                {changed[at : at + SHINGLE] for at in range(length - SHINGLE + 1)}
                for changed in (text[:length], text[:middle] + "!" + text[middle + 1 : length])
            ]
            assert (len(pieces[0] & pieces[1]) / len(pieces[0] | pieces[1]) >= THRESHOLD) is reaches

    def test_any_text_has_a_signature(self) -> None:
        for text in ("", " ", "x", "\ud800", "🦉" * 300, "a" * 5000, "ß" * SHORT):
            [made] = signatures([asked(text, text)])
            assert len(made) == 512
            assert [made] == signatures([asked(text, text)])

    def test_no_rows(self) -> None:
        assert clusters(b"") == []


class TestRates:
    """Simulations of the rates that docs/decisions/0002-near-duplicates.md states."""

    def found(self, similarity: float, pairs: int = 400) -> float:
        rng = random.Random(similarity)
        return sum(together(*pair(rng, similarity, similarity)) for _ in range(pairs)) / pairs

    def test_the_planted_similarity_is_the_exact_one(self) -> None:
        one, other = pair(random.Random(3), 0.8, 0.6)
        parts = zip(question_and_answer(one), question_and_answer(other), strict=True)
        assert [jaccard(*part) for part in parts] == pytest.approx([0.8, 0.6], abs=0.003)

    def test_true_pairs_are_found(self) -> None:
        # Stated: next to none is missed at the threshold; 3 of 400 would be far beyond chance.
        assert self.found(0.81) >= 1 - 2 / 400
        assert self.found(0.9, 100) == 1

    def test_others_are_not(self) -> None:
        assert self.found(0.55) == 0
        assert self.found(0.3, 100) == 0

    def test_unrelated_rows_are_never_clustered(self) -> None:
        rng = random.Random(4)
        words = ["".join(rng.choices(string.ascii_lowercase, k=rng.randint(2, 9))) for _ in range(300)]
        rows = [asked(" ".join(rng.choices(words, k=90)), " ".join(rng.choices(words, k=30))) for _ in range(1500)]
        assert clustered(rows) == list(range(1500))


class TestClusters:
    def test_crowds(self) -> None:
        """Many equal rows, and many that share all but the answer, are each where they belong."""
        rng = random.Random(5)
        text = prose(rng, 1000)
        crowd = [asked(text, "Done.") for _ in range(200)]
        alone = [asked(text, prose(rng, 200)) for _ in range(200)]
        assert clustered([*crowd, *alone]) == [*([0] * 200), *range(200, 400)]
        mixed = [made for both in zip(crowd, alone, strict=True) for made in both]
        assert clustered(mixed) == [0 if at % 2 == 0 else at for at in range(400)]

    def test_a_chain_is_one_cluster(self) -> None:
        rng = random.Random(6)
        text, reply = prose(rng, 3200), prose(rng, 500)
        links = [asked(text[100 * at :][:2000], reply) for at in range(12)]
        assert clustered(links) == [0] * 12
        assert jaccard(*(question_and_answer(links[at])[0] for at in (0, -1))) < 0.5
        assert clustered(links[::-1]) == [0] * 12

    @given(st.integers(0, 2**32), st.integers(2, 30))
    @settings(max_examples=30, deadline=None)
    def test_the_order_of_rows_does_not_matter(self, seed: int, count: int) -> None:
        rng = random.Random(seed)
        rows = [made for at in range(count) for made in pair(rng, rng.choice((0.3, 0.95)), 0.95, 600)]
        order = rng.sample(range(len(rows)), len(rows))
        straight, shuffled = clustered(rows), clustered([rows[at] for at in order])
        assert members(straight, range(len(rows))) == members(shuffled, order)
        assert all(first <= at and straight[first] == first for at, first in enumerate(straight))


def members(names: Sequence[int], rows: Sequence[int]) -> set[frozenset[int]]:
    """Which rows are together, whatever the clusters are called."""
    return {frozenset(row for other, row in zip(names, rows, strict=True) if other == name) for name in names}


def leaks_of(folder: Path, dataset: dict[Split, list[Row]]) -> list[Leak]:
    """What the second look finds in as much of a dataset folder as it looks at."""
    signed = Signed(io.BytesIO())
    for split in SPLITS:
        rows = dataset.get(split, [])
        (folder / f"{split}.jsonl").write_bytes(b"".join(encode_row(row) + b"\n" for row in rows))
        for row, (_, second) in zip(rows, both_signatures(map(question_and_answer, rows)), strict=True):
            signed.add(row.id, second)
    return leaks(folder, signed)


class TestLeaks:
    def test_every_pair_across_splits_and_no_other(self, tmp_path: Path) -> None:
        rng = random.Random(7)
        (a, like_a), (b, like_b), (far, not_far) = (pair(rng, s, s) for s in (0.9, 0.81, 0.7))
        named = {"a": a, "a2": like_a, "a3": a, "b": b, "b2": like_b, "far": far, "not far": not_far}
        rows = {name: msgspec.structs.replace(made, id=name) for name, made in named.items()}
        dataset: dict[Split, list[Row]] = {
            "train": [rows["a"], rows["a3"], rows["far"]],
            "valid": [rows["b"], rows["a2"]],
            "test": [rows["b2"], rows["not far"]],
        }
        found = leaks_of(tmp_path, dataset)
        assert [(leak.row, leak.split, leak.like, leak.like_split) for leak in found] == [
            ("a2", "valid", "a", "train"),
            ("a2", "valid", "a3", "train"),
            ("b2", "test", "b", "valid"),
        ]
        assert (found[2].question, found[2].answer) == pytest.approx((0.81, 0.81), abs=0.01)

    def test_what_the_builder_lets_through_is_no_leak(self, tmp_path: Path) -> None:
        """The builder's threshold lies below the check's: rows of several splits that it leaves apart pass."""
        rng = random.Random(8)
        splits: dict[Split, list[Row]] = {"train": [], "valid": [], "test": []}
        for _ in range(300):
            one, other = pair(rng, rng.uniform(0.5, 1), rng.uniform(0.5, 1), 600)
            if not together(one, other):
                splits["train"].append(msgspec.structs.replace(one, id=f"one {len(splits['train'])}"))
                splits["test"].append(msgspec.structs.replace(other, id=f"other {len(splits['test'])}"))
        assert len(splits["test"]) > 100
        assert leaks_of(tmp_path, splits) == []

    def test_an_empty_dataset(self, tmp_path: Path) -> None:
        assert leaks_of(tmp_path, {}) == []
