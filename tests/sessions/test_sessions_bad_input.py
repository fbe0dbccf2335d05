"""Whatever happened to a log: no reader fails, no line is lost without a word, nothing outside the folder is opened."""

import json
import os
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from random import Random

import pytest
import zstandard
from damage import damaged
from held import holds, read_watched, watched
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from planted_logs import WRITERS, Texts
from seeds import seeds_of, warm_up

from locum.progress import silent
from locum.sessions import Skipped, read_sources
from locum.sessions.read import read_file
from locum.sessions.registry import READERS, FileReading, Reader
from locum.sessions.unread import NOT_UTF_8, UNKNOWN, UTF_16
from locum.sessions.zstd import MAX_UNPACKED

by_format = pytest.mark.parametrize("reader", READERS, ids=lambda reader: str(reader.name))


@pytest.fixture(scope="module", autouse=True)
def _warm() -> None:
    warm_up()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("logs")


def reads_well(reader: Reader, path: Path) -> None:
    """The format's own reader holds its promises, and so does whichever reader would be asked."""
    read_watched(reader, path)
    with watched(path.parent):
        found = read_file(path, str(path))
    if isinstance(found, Skipped):
        assert "in its reader" not in found.reason
    else:
        holds(found)


@by_format
@given(seed=st.integers(0, 2**32), which=st.integers(0, 9))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damage_of_any_kind_is_counted(reader: Reader, place: Path, seed: int, which: int) -> None:
    seeds = seeds_of(reader.name)
    name, raw = seeds[which % len(seeds)]
    path = place / name
    path.write_bytes(damaged(raw, Random(seed)))
    reads_well(reader, path)


@by_format
def test_logs_of_two_formats_in_one_file(reader: Reader, place: Path) -> None:
    name, raw = seeds_of(reader.name)[0]
    for other in READERS:
        mixed = [*raw.splitlines(keepends=True), *seeds_of(other.name)[0][1].splitlines(keepends=True)]
        Random(other.name).shuffle(mixed)
        path = place / name
        path.write_bytes(b"".join(mixed))
        reads_well(reader, path)


@by_format
@pytest.mark.parametrize("what", ["brackets", "quotes", "nothing", "zeros", "breaks"])
def test_files_of_one_thing(reader: Reader, place: Path, what: str) -> None:
    name, raw = seeds_of(reader.name)[0]
    deep = b'{"a":' * 100_000
    contents = {"brackets": b"[" * 200_000, "quotes": b'"' * 99_999, "nothing": b"", "zeros": b"\0" * 9_999}
    for content in (contents.get(what, b"\n" * 9_999), raw + deep, deep + raw):
        path = place / name
        path.write_bytes(content)
        reads_well(reader, path)


@pytest.mark.parametrize("name", WRITERS)
def test_what_is_not_utf_8_is_never_taken_for_words(name: str, tmp_path: Path) -> None:
    """Saved in Latin-1, a log's words are bad records, not words with replacement characters in them."""
    WRITERS[name].write(tmp_path, Texts(*(f"{place}: ni\u00f1o" for place in Texts._fields)))
    for path in [path for path in tmp_path.rglob("*") if path.is_file()]:
        raw = path.read_bytes()
        latin = raw.replace(b"\\u00f1", b"\xf1").replace("\u00f1".encode(), b"\xf1")
        assert latin != raw
        path.write_bytes(latin)
        found = read_file(path, str(path))
        if isinstance(found, Skipped):
            assert found.reason in (NOT_UTF_8, UNKNOWN)
        else:
            assert found.lines.bad
            said = [message.content for session in found.sessions for message in session.messages]
            assert not any("\ufffd" in text for text in said)


def test_a_record_that_is_not_utf_8_costs_no_other(tmp_path: Path) -> None:
    records = [{"instruction": f"Say {word}.", "output": word} for word in ("one", "ni\u00f1o", "three")]
    path = tmp_path / "a.json"
    path.write_bytes(json.dumps(records, ensure_ascii=False, indent=1).encode("latin-1"))
    found = read_file(path, str(path))
    assert isinstance(found, FileReading)
    assert [session.messages[-1].content for session in found.sessions] == ["one", "three"]
    assert (found.lines.total, [(bad.line, bad.reason) for bad in found.lines.bad]) == (3, [(2, "not UTF-8")])


@by_format
def test_a_log_in_utf_16_is_named_so(reader: Reader, tmp_path: Path) -> None:
    name, raw = seeds_of(reader.name)[0]
    path = tmp_path / name
    path.write_bytes(raw.decode("latin-1").encode("utf-16"))
    assert read_file(path, str(path)) == Skipped(str(path), UTF_16)


@by_format
def test_links_lead_nowhere(reader: Reader, tmp_path: Path) -> None:
    outside, inside = tmp_path / "outside", tmp_path / "logs"
    outside.mkdir()
    inside.mkdir()
    for name, raw in seeds_of(reader.name):
        (outside / name).write_bytes(raw)
        (inside / name).symlink_to(outside / name)
    (inside / "folder").symlink_to(outside)
    os.mkfifo(inside / "pipe")
    (inside / "notes.txt").write_text("nothing to read")
    with pytest.raises(Exception, match="no session in this folder"):
        read_sources([inside], silent)


@pytest.mark.parametrize("format", ["claude_code", "tau_bench", "opencode", "request_log"])
def test_a_log_that_changes_while_it_is_read(format: str, tmp_path: Path) -> None:
    name, raw = seeds_of(format)[0]
    path = tmp_path / name
    path.write_bytes(raw)
    done = threading.Event()

    def write() -> None:
        random = Random(1)
        while not done.is_set():
            path.write_bytes(raw * random.randint(1, 200) + raw[: random.randint(0, len(raw))])

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(200):
            found = read_file(path, str(path))
            if isinstance(found, Skipped):
                assert "in its reader" not in found.reason
            else:
                holds(found)
    finally:
        done.set()
        writer.join()


def test_a_small_file_that_unfolds_to_a_huge_one_is_refused(tmp_path: Path) -> None:
    name, raw = seeds_of("codex")[0]
    path = tmp_path / f"{name}.zst"
    compressor = zstandard.ZstdCompressor(level=3).compressobj()
    block = b" " * ((1 << 20) - 1) + b"\n"
    with path.open("wb") as out:
        out.write(compressor.compress(raw))
        for _ in range(MAX_UNPACKED // len(block) + 2):
            out.write(compressor.compress(block))
        out.write(compressor.flush())
    assert path.stat().st_size < 1 << 20
    found = read_file(path, str(path))
    assert isinstance(found, Skipped) or found.lines.bad


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="peak memory is read from Linux's /proc")
@by_format
def test_a_line_of_a_hundred_megabytes_takes_memory_in_proportion(reader: Reader, tmp_path: Path) -> None:
    name, raw = seeds_of(reader.name)[0]
    path = tmp_path / name
    head, _, rest = raw.partition(b"\n")
    path.write_bytes(head + b"\n" + b'{"x": "' + b"y" * 100_000_000 + b'"}\n' + rest)
    code = """
        import sys
        from pathlib import Path
        from locum.sessions.read import read_file
        read_file(Path(sys.argv[1]), sys.argv[1])
        # Not `ru_maxrss`, which a process inherits from the one that started it.
        [peak] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
        print(int(peak.split()[1]) // 1000)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(path)],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert int(done.stdout) < 1000
