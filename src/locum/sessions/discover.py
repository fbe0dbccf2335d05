"""Finding the log files behind what a user names as SOURCE, without reading them."""

import os
import stat
from collections.abc import Sequence
from pathlib import Path

import msgspec

from locum.errors import SourceError

AUTO = "auto"
"""The SOURCE that stands for the places where the known agents keep their logs."""


Log = Path | str
"""Where a log is: a path on this computer, or as text an address in an object store."""


class Skipped(msgspec.Struct, frozen=True):
    """A file, folder or link that was not read."""

    path: str
    reason: str


class Found(msgspec.Struct, frozen=True):
    """What one SOURCE stands for."""

    source: str
    """As the user named it."""
    named: bool
    """The user named the file itself, and so has to hear about it when it cannot be read."""
    files: tuple[Log, ...]
    skipped: tuple[Skipped, ...] = ()


def discover(source: Path | str) -> list[Found]:
    """The files that a SOURCE stands for: a file, a folder with everything below it, an address in an object store,
    or `auto`.

    Folders are walked in sorted order, hidden files included, `.git` left out. Links inside a folder are not
    followed: what they point to is either found anyway or lies outside of what the user named.

    Raises:
        SourceError: there is no such file or folder, it is neither, or `auto` finds no agent's logs.
    """
    if source == AUTO:
        return [_agents_logs()]
    if isinstance(source, str) and "://" in source:
        from locum.sessions import object_store

        return [object_store.find(source)]
    path = Path(source)
    if not _is_utf8(path):
        raise SourceError(f"a path that is not UTF-8: {_shown(path)}; rename it, since no file of a run could name it")
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise SourceError(f"no such file or folder: {path}; name a session log, a folder of them, or auto") from None
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror}; check the path and its permissions") from None
    except ValueError:
        raise SourceError(f"not a path: {str(path)!r}; name a session log, a folder of them, or auto") from None
    if stat.S_ISDIR(mode):
        return [_folder(str(source), path)]
    if stat.S_ISREG(mode):
        return [Found(str(source), True, (path,))]
    raise SourceError(f"neither a file nor a folder: {path}; name a session log, a folder of them, or auto")


def _agents_logs() -> Found:
    """What the known agents keep on this machine, as one source: it is enough that one of them was used."""
    places = _agents_places()
    walks = [_walk(place) if place.is_dir() else _sort([place]) for place in places if place.exists()]
    if not any(files or skipped for files, skipped in walks):
        looked = ", ".join(str(place) for place in places)
        raise SourceError(f"auto: no agent's logs at {looked}; name a session log or a folder of them")
    files = tuple(path for found, _ in walks for path in found)
    return Found(AUTO, False, files, tuple(left for _, skipped in walks for left in skipped))


def _agents_places() -> list[Path]:
    """The folders and files in which the known agents keep their logs on this machine."""
    home = Path.home()
    claude = _configured("CLAUDE_CONFIG_DIR", home / ".claude")
    codex = _configured("CODEX_HOME", home / ".codex")
    opencode = _configured("XDG_DATA_HOME", home / ".local" / "share") / "opencode"
    return [
        claude / "projects",
        codex / "sessions",
        codex / "archived_sessions",
        home / ".pi" / "agent" / "sessions",
        *(home / brand / "agents" for brand in (".openclaw", ".clawdbot", ".moltbot")),
        home / ".gemini" / "tmp",
        # A session's file is read with its messages, which lie in folders beside this one.
        opencode / "storage" / "session",
        opencode / "opencode.db",
        *sorted(opencode.glob("opencode-*.db")),
    ]


def _configured(variable: str, default: Path) -> Path:
    """A folder that the user may have moved with an environment variable."""
    configured = os.environ.get(variable)
    return Path(configured).expanduser() if configured else default


def _folder(source: str, root: Path) -> Found:
    files, skipped = _walk(root)
    if not files and not skipped:
        raise SourceError(f"an empty folder: {root}; name a folder that holds session logs")
    return Found(source, False, tuple(files), tuple(skipped))


def _walk(root: Path) -> tuple[list[Path], list[Skipped]]:
    """The files below a folder, and what is left aside."""
    files: list[Path] = []
    skipped: list[Skipped] = []

    def refused(error: OSError) -> None:
        skipped.append(Skipped(_shown(Path(error.filename)), f"cannot be read: {error.strerror}"))

    for folder, below, names in os.walk(root, onerror=refused):
        here = Path(folder)
        skipped += [Skipped(_shown(here / name), "a link") for name in sorted(below) if (here / name).is_symlink()]
        below[:] = sorted(name for name in below if name != ".git" and not (here / name).is_symlink())
        fit, unfit = _sort([here / name for name in sorted(names)])
        files += fit
        skipped += unfit
    return files, skipped


def _sort(paths: Sequence[Path]) -> tuple[list[Path], list[Skipped]]:
    """The files that can be read, and the others."""
    reasons = {path: _reason_to_skip(path) for path in paths}
    fit = [path for path, reason in reasons.items() if reason is None]
    return fit, [Skipped(_shown(path), reason) for path, reason in reasons.items() if reason is not None]


def _reason_to_skip(path: Path) -> str | None:
    try:
        status = path.lstat()
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    if stat.S_ISLNK(status.st_mode):
        return "a link"
    if not stat.S_ISREG(status.st_mode):
        return "not a regular file"
    if not _is_utf8(path):
        return "a path that is not UTF-8"
    return None if status.st_size else "empty"


def _is_utf8(path: Path) -> bool:
    return str(path) == _shown(path)


def _shown(path: Path) -> str:
    """A path as text that can be written anywhere."""
    return os.fsencode(path).decode("utf-8", "replace")


def distinct_files(found: Sequence[Found]) -> list[Log]:
    """The files of all sources in order, each of them once, however many sources it is under."""
    files: dict[str, Log] = {}
    for source in found:
        for path, real in zip(source.files, real_paths(source), strict=True):
            files.setdefault(real, path)
    return list(files.values())


def real_paths(found: Found) -> list[str]:
    """Where the files of a source are when every link is followed; of each folder it is found out once."""
    if found.named:
        return [os.path.realpath(path) for path in found.files]
    folders: dict[str, str] = {}  # no file that was found below a folder is a link itself
    real = []
    for path in found.files:
        folder, name = os.path.split(path)
        if folder not in folders:
            folders[folder] = os.path.realpath(folder)
        real.append(os.path.join(folders[folder], name))
    return real
