"""The page in a real browser: every section, narrow and wide, light and dark, small and large."""

from pathlib import Path

import pytest
from browser import needs_browser, opened
from full_run import write_full_run
from report_run import write_run
from test_report_page import report

pytestmark = [pytest.mark.slow, needs_browser]
EVERYTHING = ["verdict", "funnel", "curve", "valleys", "evidence", "voices", "scaling", "cost", "card"]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    return report(write_full_run(tmp_path_factory.mktemp("full") / "run"))


@pytest.mark.parametrize("width", [1280, 768, 360, 320])
def test_nothing_sticks_out_and_every_figure_has_words(page: str, tmp_path: Path, width: int) -> None:
    found = opened(page, tmp_path, width)
    assert found["sections"] == EVERYTHING
    assert found["client"] == width
    assert (found["scroll"] <= width, found["wide"]) == (True, [])
    assert found["mute"] == []
    # The curve, seven valleys and four ladders.
    assert found["drawn"] == 12
    assert (found["requests"], found["scripts"]) == ([], 0)


@pytest.mark.parametrize("width", [1280, 360])
def test_a_run_without_anatomy_and_ladder_fits_as_well(tmp_path: Path, width: int) -> None:
    found = opened(report(write_run(tmp_path / "run")), tmp_path, width)
    assert (found["scroll"] <= width, found["wide"], found["mute"], found["requests"]) == (True, [], [], [])


def test_tints_differ_in_the_light_and_in_the_dark_and_not_by_colour_alone(page: str, tmp_path: Path) -> None:
    seen = []
    for number, switches in enumerate(((), ("--force-dark-mode", "--blink-settings=preferredColorScheme=0"))):
        (tmp_path / str(number)).mkdir()
        tints = opened(page, tmp_path / str(number), 1280, *switches)["tints"]
        seen.append(tints)
        assert all(tints.values())
        assert len(set(tints.values())) == 4
        assert "none" in tints["easier"]
        assert "dotted" in tints["harder"]
        assert "solid" in tints["much-harder"]
    assert not set(seen[0].values()) & set(seen[1].values())


def test_two_thousand_rows_are_a_page_of_bounded_size(tmp_path: Path) -> None:
    page = report(write_full_run(tmp_path / "run", rows=2_000))
    found = opened(page, tmp_path, 1280)
    assert found["nodes"] < 15_000
    assert len(page.encode()) < 1_500_000


def test_a_request_would_be_noticed(page: str, tmp_path: Path) -> None:
    """The check itself: the same page without its policy, asking for a picture."""
    policy = page.index('<meta http-equiv="Content-Security-Policy"')
    open_page = page[:policy] + page[page.index(">", policy) + 1 :]
    asking = open_page.replace("</main>", '<img src="http://127.0.0.1:9/x.png"><hr style="width:2000px"></main>')
    found = opened(asking, tmp_path, 1280)
    assert found["requests"] == ["http://127.0.0.1:9/x.png"]
    assert found["wide"]
