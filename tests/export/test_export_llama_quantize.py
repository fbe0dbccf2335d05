"""Where no ggml library can be called, llama.cpp's own program writes K-quants; what it leaves is held to the model."""

import json
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from small_models import write_tiny_base

from locum.errors import ExportError
from locum.export import ggml_library
from locum.export.gguf_file import write_gguf
from locum.export.llama_quantize import quantize_file
from locum.export.quantize import require_quantization
from locum.export.read_back import check_weights
from locum.training.base import Base
from locum.training.chat_template import Renderer

native = pytest.mark.skipif(not ggml_library.is_present(), reason="no ggml library is here")
PROGRAM = """#!{python}
import json, shutil, sys
from pathlib import Path
here = Path(__file__).parent
source, out, kind = sys.argv[1:]
raw = Path(source).read_bytes()
(here / "asked.json").write_text(json.dumps([source, out, kind, raw[:4].decode()]))
{does}
"""


@pytest.fixture
def wide(tmp_path: Path) -> Base:
    """256 columns: whole blocks of K-quants."""
    folder = tmp_path / "base"
    folder.mkdir()
    write_tiny_base(folder, hidden_size=256, intermediate_size=256, num_attention_heads=4, num_key_value_heads=2)
    return Base(name="wide", folder=folder)


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Puts a `llama-quantize` on PATH that does what a test says; returns where it notes what it was asked."""

    def put(does: str) -> Path:
        path = tmp_path / "bin" / "llama-quantize"
        path.parent.mkdir()
        path.write_text(PROGRAM.format(python=sys.executable, does=does))
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", str(path.parent))
        return path.parent / "asked.json"

    return put


@pytest.fixture
def no_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    def forbid() -> None:
        (tmp_path / "libggml-base.so").write_bytes(b"no library")
        monkeypatch.setenv("LOCUM_GGML", str(tmp_path / "libggml-base.so"))

    return forbid


@native
def test_it_is_asked_for_the_type_and_its_file_is_the_models(
    wide: Base, program: Callable[[str], Path], no_library: Callable[[], None], tmp_path: Path
) -> None:
    renderer = Renderer(wide.folder)
    write_gguf(wide.folder, wide, renderer, tmp_path / "ready.gguf", "Q4_K_M", "m")
    asked = program(f"shutil.copy({str(tmp_path / 'ready.gguf')!r}, out)")
    no_library()
    out = tmp_path / "model" / "m.Q4_K_M.gguf"
    out.parent.mkdir()
    write_gguf(wide.folder, wide, renderer, out, "Q4_K_M", "m")
    source, target, kind, magic = json.loads(asked.read_text())
    assert (kind, magic) == ("Q4_K_M", "GGUF")
    assert Path(source).name == "F32.gguf"
    assert Path(target).parent == out.parent
    assert out.read_bytes() == (tmp_path / "ready.gguf").read_bytes()
    check_weights(out, wide.folder)
    assert [path.name for path in out.parent.iterdir()] == [out.name]


def test_a_library_that_can_be_called_is_taken_instead(
    wide: Base, program: Callable[[str], Path], tmp_path: Path
) -> None:
    if not ggml_library.is_present():
        pytest.skip("no ggml library is here")
    asked = program("sys.exit(1)")
    write_gguf(wide.folder, wide, Renderer(wide.folder), tmp_path / "m.gguf", "Q4_K_M", "m")
    assert not asked.exists()


@pytest.mark.parametrize(
    ("does", "words"),
    [
        (
            "print('loading'); print('main: failed to quantize', file=sys.stderr); sys.exit(1)",
            "main: failed to quantize",
        ),
        ("Path(out).write_bytes(raw[:99]); sys.exit(3)", r"exit code 3\): it said nothing"),
        ("pass", r"exit code 0\): it said nothing"),
        ("Path(out).touch()", "made no Q4_K_M of the model"),
    ],
)
def test_what_it_does_not_finish_leaves_nothing(
    wide: Base, program: Callable[[str], Path], no_library: Callable[[], None], tmp_path: Path, does: str, words: str
) -> None:
    program(does)
    no_library()
    out = tmp_path / "model" / "m.gguf"
    out.parent.mkdir()
    out.write_bytes(b"of before")
    with pytest.raises(ExportError, match=words):
        write_gguf(wide.folder, wide, Renderer(wide.folder), out, "Q4_K_M", "m")
    assert [(path.name, path.read_bytes()) for path in out.parent.iterdir()] == [("m.gguf", b"of before")]


def test_with_neither_it_is_refused_and_both_ways_out_are_named(
    no_library: Callable[[], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_library()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ExportError, match=r"can write 'Q6_K'.*put llama-quantize on PATH.*LOCUM_GGML, or choose Q8_0"):
        require_quantization("Q6_K")
    with pytest.raises(ExportError, match="no llama-quantize on PATH"):
        quantize_file(tmp_path / "a", tmp_path / "b", "Q6_K")
