"""Byte strings in few files: the last one kept under a name counts, and nothing else stays."""

from pathlib import Path

import pytest

from locum.dataset.bundles import Bundles


def held(bundles: Bundles, *names: bytes) -> list[bytes | None]:
    """What is kept under the names."""
    places = map(bundles.place, names)
    return [place if place is None else place.read() for place in places]


def on_disk(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.iterdir()))


def test_what_was_kept_last_counts_in_this_process_and_in_the_next(tmp_path: Path) -> None:
    bundles = Bundles(tmp_path / "new", ".kept")
    assert held(bundles, b"a") == [None]
    bundles.keep({b"a": b"first", b"b": b"", b"c": b"third"})
    bundles.keep({b"a": b"again"})
    for each in (bundles, Bundles(tmp_path / "new", ".kept")):
        assert held(each, b"a", b"b", b"c", b"d") == [b"again", b"", b"third", None]


def test_more_than_nine_files_keep_their_order(tmp_path: Path) -> None:
    bundles = Bundles(tmp_path, ".kept")
    for number in range(12):
        bundles.keep({b"a": b"%d" % number})
    (tmp_path / "00000012.kept").rename(tmp_path / "100000000.kept")
    assert held(Bundles(tmp_path, ".kept"), b"a") == [b"11"]


def test_what_does_not_count_and_what_nobody_wants_goes(tmp_path: Path) -> None:
    bundles = Bundles(tmp_path, ".kept")
    bundles.keep({b"a": b"older", b"b": b"stays", b"c": b"unwanted", b"d": b"as well"})
    bundles.keep({b"a": b"newer"})
    bundles.keep({b"e": b"nobody's"})
    (tmp_path / "00000004.partial").write_bytes(b"left over")
    bundles.prune(lambda name: name in (b"a", b"b", b"d"))
    for each in (bundles, Bundles(tmp_path, ".kept")):
        assert held(each, b"a", b"b", b"c", b"d", b"e") == [b"newer", b"stays", None, b"as well", None]
    left = on_disk(tmp_path)
    assert not [gone for gone in (b"older", b"unwanted", b"nobody's", b"left over") if gone in left]
    bundles.keep({b"b": b"last"})
    assert held(Bundles(tmp_path, ".kept"), b"a", b"b") == [b"newer", b"last"]


@pytest.mark.parametrize("damage", [b"", b"\xff" * 30, b"\x00" * 7, b"\x00" * 7 + b"\x02{}", b"\x00" * 7 + b"\x09ab"])
def test_a_file_without_a_whole_list_holds_nothing(tmp_path: Path, damage: bytes) -> None:
    Bundles(tmp_path, ".kept").keep({b"a": b"older"})
    Bundles(tmp_path, ".kept").keep({b"a": b"newer"})
    (tmp_path / "00000002.kept").write_bytes(damage)
    bundles = Bundles(tmp_path, ".kept")
    assert held(bundles, b"a") == [b"older"]
    bundles.prune(lambda _: True)
    assert [path.name for path in tmp_path.iterdir()] == ["00000001.kept"]


def test_a_cut_file_gives_what_it_has(tmp_path: Path) -> None:
    bundles = Bundles(tmp_path, ".kept")
    bundles.keep({b"a": b"whole", b"b": b"cut off"})
    [path] = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-4])
    assert held(Bundles(tmp_path, ".kept"), b"a", b"b") == [b"whole", b"cut"]
