"""The page itself: whole, self-contained, safe, and honest about what is missing."""

import html
import re
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest
from report_run import RESULTS, STATS, samples, verdict, write_run, write_verdicts
from report_texts import SAMPLES, call

from locum.evaluation.results import Answer, Sample
from locum.files import write_json, write_jsonl
from locum.report.page import breakable, write_report
from locum.types import Drop

PARTS = {
    "manifest.json": "this run is not finished",
    "dataset/stats.json": "how many turns became rows is not known",
    "dataset/drops.jsonl": "no excerpts of what was left behind",
    "metrics.jsonl": "there is no curve",
    "model/parity.json": "whether the model is served as it was trained is unchecked",
    "evaluation/results.json": "nothing was measured on held-out rows yet",
    "evaluation/samples.jsonl": "no answers to show side by side",
    "verdict.json": "the gate has not spoken",
}
VOID = {"meta", "link", "input", "wbr", "br", "hr", "img"}
HOSTILE = '</script></style></title><script>alert("x")</script><img src=http://evil.example/a onerror=alert(1)>{{7*7}}'


class Reader(HTMLParser):
    """Checks that tags nest, and keeps tags, attributes and text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


def report(run: Path) -> str:
    path = write_report(run)
    assert path == run / "report.html"
    assert not list(run.glob(".partial-*"))
    return path.read_text("utf-8")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    return report(write_run(tmp_path_factory.mktemp("report") / "run"))


def test_page_holds_every_section_in_the_order_of_an_editor(page: str) -> None:
    ids = [attrs["id"] for tag, attrs in Reader(page).tags if tag == "section"]
    assert ids == ["verdict", "funnel", "curve", "evidence", "voices", "cost", "card"]
    text = Reader(page).text
    assert "May be trusted with nothing yet : not enough evidence in any family; the nearest is tool" in text
    assert "83 — the same message is in another log" in text
    assert "2.147 [1.893, 2.420]" in text
    assert "goes in circles" in text
    assert "locum chat relay-hand" in text


def test_page_asks_nothing_of_the_network_and_runs_nothing(page: str) -> None:
    reader = Reader(page)
    for _, attrs in reader.tags:
        for name in ("src", "href", "srcset", "action", "data", "poster", "xlink:href"):
            assert (attrs.get(name) or "data:,").startswith(("data:", "#"))
        assert not any(name.startswith("on") for name in attrs)
    assert not re.search(r"""(src|href)\s*=\s*["']?\s*(https?:)?//|url\(|@import""", page)
    assert not {"script", "iframe", "object", "embed", "base", "form"} & {tag for tag, _ in reader.tags}
    policy = next(attrs["content"] for tag, attrs in reader.tags if attrs.get("http-equiv"))
    assert policy is not None
    assert "default-src 'none'" in policy


def test_every_figure_has_words(page: str) -> None:
    for tag, attrs in Reader(page).tags:
        kind = (attrs.get("class") or "").split(" ")[0]
        if tag == "svg" and kind in ("curve", "dot", "bar", "axis", "sign", "mark", "key"):
            assert attrs.get("aria-hidden") == "true" or attrs.get("aria-label")


def test_judgements_are_words_and_not_only_colours(page: str) -> None:
    assert re.search(r'class="judgement wrong"><svg.*?</svg>wrong<', page)
    assert re.search(r'class="judgement right"><svg.*?</svg>right<', page)
    assert re.search(r'class="badge"><svg.*?</svg>INSUFFICIENT<', page)
    assert '<u class="made-up" title="made up: number">Eleven thousand</u>' in page


def test_made_up_details_are_underlined_where_they_stand(page: str) -> None:
    agent, _, tuned = SAMPLES[1][2:]
    assert agent.made_up == ()
    for start, end, kind in tuned.made_up:
        assert f'<u class="made-up" title="made up: {kind}">{tuned.text[start:end]}</u>' in page


def test_owners_folders_do_not_leave_with_the_page(page: str) -> None:
    assert "/home/u" not in page


def test_hostile_strings_stay_text(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    calls = (call(HOSTILE, **{HOSTILE: HOSTILE}),)
    spoken = Answer(HOSTILE, calls, made_up=((0, 9, HOSTILE),), decision=HOSTILE, right=True)
    plain = Answer(HOSTILE, made_up=((3, 30, HOSTILE),))
    write_jsonl(
        run / "evaluation" / "samples.jsonl",
        [Sample(HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE * n, spoken, plain, spoken) for n in (1, 9)],
    )
    write_jsonl(run / "dataset" / "drops.jsonl", [Drop("s", 0, reason, HOSTILE) for reason in (HOSTILE, "copy")])
    write_json(
        run / "dataset" / "stats.json",
        msgspec.structs.replace(
            STATS,
            drops={HOSTILE: 177},
            families={HOSTILE: 91},
            formats={HOSTILE: 1},
            redactions={HOSTILE: 1},
            models={HOSTILE: 91},
            notes=(HOSTILE,),
        ),
    )
    arms = {HOSTILE: RESULTS.loss["base"], "tuned": RESULTS.loss["tuned"]}
    write_json(
        run / "evaluation" / "results.json",
        msgspec.structs.replace(
            RESULTS,
            model_file=HOSTILE,
            engine=HOSTILE,
            loss_by_family={HOSTILE: arms},
            competence={HOSTILE: {HOSTILE: arms}},
            signatures={HOSTILE: arms},
            notes=(HOSTILE,),
        ),
    )
    checks = [{"name": HOSTILE, "passed": None, "detail": HOSTILE}]
    route = {"reason": HOSTILE}
    said = verdict(HOSTILE, HOSTILE, reason=HOSTILE, checks=checks, route=route)
    write_verdicts(run, {HOSTILE: said})
    write_json(
        run / "manifest.json",
        {
            "name": HOSTILE,
            "base": HOSTILE,
            "created": HOSTILE,
            "versions": {HOSTILE: HOSTILE},
            "seconds": {HOSTILE: 1, "train": HOSTILE},
            "deployed": {"engine": HOSTILE, "name": HOSTILE},
        },
    )
    page = report(run)
    reader = Reader(page)
    assert not {"script", "img"} & {tag for tag, _ in reader.tags}
    assert sum(tag == "style" for tag, _ in reader.tags) == sum(tag == "title" for tag, _ in reader.tags) == 1
    assert not any(name.startswith("on") for _, attrs in reader.tags for name in attrs)
    assert "{{7*7}}" in reader.text
    assert html.escape("<script>") in page


@pytest.mark.parametrize("part", PARTS)
def test_a_missing_part_is_named_in_its_place(tmp_path: Path, part: str) -> None:
    run = write_run(tmp_path / "run")
    (run / part).unlink()
    assert PARTS[part] in Reader(report(run)).text


@pytest.mark.parametrize("part", PARTS)
def test_an_unreadable_part_is_named_and_the_rest_is_shown(tmp_path: Path, part: str) -> None:
    run = write_run(tmp_path / "run")
    (run / part).write_bytes(b'{"cut": \xff')
    text = Reader(report(run)).text
    assert re.search(rf"{re.escape(part)} (is there but )?cannot be read", text)
    assert "Three voices" in text


def test_a_torn_last_line_costs_only_itself(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    with (run / "metrics.jsonl").open("ab") as metrics:
        metrics.write(b'{"step": 241, "train_lo')
    text = Reader(report(run)).text
    assert "One line of metrics.jsonl cannot be read and is not shown." in text
    assert "In 240 steps the training loss of single steps went from" in text


def test_a_run_with_only_a_dataset_has_a_page(tmp_path: Path) -> None:
    write_json(tmp_path / "dataset" / "stats.json", STATS)
    text = Reader(report(tmp_path)).text
    assert "268 turns, 91 rows" in text
    for part, sentence in PARTS.items():
        assert (sentence in text) == (part != "dataset/stats.json")


def test_the_page_is_replaced_whole_and_says_the_same_again(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    assert report(run) == report(run)


def test_a_large_run_stays_a_light_page(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    write_jsonl(run / "evaluation" / "samples.jsonl", samples(2_000))
    assert len(report(run)) < 1_000_000


def test_lines_may_break_in_json_but_not_in_markup() -> None:
    assert breakable('{"a":1,"b":"x/y"}, <b>') == "{&#34;a&#34;:1,<wbr>&#34;b&#34;:&#34;x/<wbr>y&#34;}, &lt;b&gt;"


def test_a_verdict_of_another_evaluation_is_not_shown_as_this_ones(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    write_verdicts(run, {"tool_decision": verdict("tool_decision", "SHADOW", reason="Fit to answer beside it.")})
    assert "Fit to answer beside it." in report(run)
    write_json(run / "evaluation" / "results.json", msgspec.structs.replace(RESULTS, notes=("evaluated again",)))
    page = report(run)
    assert "Fit to answer beside it." not in page
    assert "of another evaluation than the one that is shown here" in page
    assert "the gate has not spoken" in page
