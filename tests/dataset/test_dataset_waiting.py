"""Lines that wait on disk come back whole and in order, however they are gathered."""

import io
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from locum.dataset.waiting import Stretches, Waiting, waiting_file


@given(st.lists(st.tuples(st.integers(0, 2), st.booleans(), st.integers(0, 1)), max_size=40))
def test_each_place_gets_its_lines_in_the_order_in_which_they_were_added(
    lines: list[tuple[int, bool, int]],
) -> None:
    """Lines of three files, some of which nobody wants, each for one of two places."""
    files, wanted, added = [b"", b"", b""], [b"", b""], []
    for number, (file, skipped, place) in enumerate(lines):
        line = b"%d\n" % number
        if not skipped:
            added.append((file, len(files[file]), len(line), place))
            wanted[place] += line
        files[file] += line
    reads = []

    def read(file: int, at: int, size: int) -> bytes:
        reads.append(size)
        return files[file][at : at + size]

    out = [io.BytesIO(), io.BytesIO()]
    stretches = Stretches(read)
    for file, at, size, place in added:
        stretches.add(file, at, size, out[place])
    stretches.flush()
    stretches.flush()
    assert [one.getvalue() for one in out] == wanted
    assert len(reads) <= len(added)


def test_neighbours_are_read_together_but_never_without_end(tmp_path: Path) -> None:
    line = b"x" * 99_999 + b"\n"
    with waiting_file(tmp_path) as (number, rows):
        rows.writelines([line] * 40)
    sizes: list[int] = []
    with Waiting(tmp_path) as waiting:

        def read(file: int, at: int, size: int) -> bytes:
            sizes.append(size)
            return waiting.line(file, at, size)

        out, stretches = io.BytesIO(), Stretches(read)
        for at in range(40):
            stretches.add(number, at * len(line), len(line), out)
        stretches.flush()
    assert out.getvalue() == line * 40
    assert len(sizes) < 5
    assert max(sizes) < 1_200_000
    assert not list(tmp_path.iterdir())
