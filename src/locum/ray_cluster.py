"""Finding a Ray cluster (https://docs.ray.io), and keeping what it prints to itself."""

import re
import socket

from locum.errors import EngineError


def connect(address: str, extra: str = "ray") -> None:
    """Connect this process to a cluster.

    Args:
        address: what Ray connects to: `HOST:PORT`, `ray://HOST:PORT`, `auto` for the cluster that this computer
            belongs to, `local` for one that is started here and stopped with this process.
        extra: the extra of Locum that brings what is needed of Ray.

    Raises:
        EngineError: Ray is not installed, or no cluster answers.
    """
    try:
        import ray
    except ImportError:
        raise EngineError(f"--ray {address} needs Ray; install `locum[{extra}]`") from None
    _check_answers(address)
    try:
        ray.init(
            address=address,
            ignore_reinit_error=True,
            log_to_driver=False,
            configure_logging=False,
            logging_level=40,
        )
    except Exception as error:
        said = str(error).partition("\n")[0]
        raise EngineError(f"no Ray cluster at {address!r}: {said}; start one with `ray start --head`") from None


def _check_answers(address: str) -> None:
    """Ray itself waits for minutes where nobody listens.

    Raises:
        EngineError: nobody does.
    """
    place = re.fullmatch(r"(?:ray://)?([^:/]+):(\d{1,5})", address)
    if place is None:
        return
    try:
        socket.create_connection((place[1], int(place[2])), timeout=10).close()
    except (OSError, OverflowError):
        raise EngineError(f"no Ray cluster at {address!r}; start one with `ray start --head`") from None
