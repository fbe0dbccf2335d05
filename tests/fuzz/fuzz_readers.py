"""A fuzz target for every reader: `python tests/fuzz/fuzz_readers.py FORMAT [-max_total_time=60 ...] [CORPUS ...]`.

Whatever the bytes are, nothing leaves the reader but a reading that holds what `held` says, in a time that the size
allows. The seeds are small logs of the format; further arguments are libFuzzer's. Needs `pip install locum[fuzz]`.
"""

import sys
import tempfile
import time
from pathlib import Path
from random import Random

import atheris

TESTS = Path(__file__).parents[1]
sys.path.insert(0, str(TESTS))

with atheris.instrument_imports(include=["locum.sessions"]):
    from locum.sessions.discover import Skipped
    from locum.sessions.read import read_file
    from locum.sessions.registry import READERS

from damage import damaged  # noqa: E402
from held import holds, read_watched, watched  # noqa: E402
from seeds import seeds_of, warm_up  # noqa: E402

_SECONDS = 5.0
_SECONDS_PER_BYTE = 1e-4
"""Instrumented code is slow, and other programs run beside it."""


def main() -> None:
    name, *arguments = sys.argv[1:]
    reader = next(reader for reader in READERS if reader.name == name)
    with tempfile.TemporaryDirectory() as place:
        work, corpus = Path(place, "work"), Path(place, "corpus")
        work.mkdir()
        corpus.mkdir()
        names = []
        for number, (file, raw) in enumerate(seeds_of(name)):
            names.append(file)
            (corpus / str(number)).write_bytes(raw)
        path = work / names[0]
        warm_up()

        def test(data: bytes) -> None:
            path.write_bytes(data)
            began = time.monotonic()
            read_watched(reader, path)
            with watched(work):
                found = read_file(path, str(path))
            assert not isinstance(found, Skipped) or "in its reader" not in found.reason, found.reason
            if not isinstance(found, Skipped):
                holds(found)
            assert time.monotonic() - began < _SECONDS + _SECONDS_PER_BYTE * len(data), "too slow for its size"

        def mutate(data: bytes, size: int, seed: int) -> bytes:
            random = Random(seed)
            if random.random() < 0.3:
                return bytes(atheris.Mutate(data, size))
            return damaged(bytes(data), random)[:size]

        atheris.Setup([sys.argv[0], str(corpus), *arguments], test, custom_mutator=mutate)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
