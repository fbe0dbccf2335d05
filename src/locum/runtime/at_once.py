"""Several prompts continued at once, by an engine whose server takes requests beside one another."""

from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor

from locum.runtime.protocol import Asked, Complete, Completion


def complete_each(complete: Complete, asked: Sequence[Asked], at_once: int) -> Generator[list[Completion], None, None]:
    """Continue prompts, and yield each one's completions as soon as they and those before it are there.

    A prompt's own completions come one after another from the same thread, so that a server that keeps the prompt
    before can read it once.

    Args:
        complete: continues one prompt; it is called by `at_once` threads.
        asked: the prompts, neighbours alike if there is anything to share.
        at_once: how many requests are under way; with 1 no thread is started.

    Raises:
        Exception: what `complete` raises for the first prompt that fails; no further one is begun then, and none is
            under way any more. The same holds if the iterator is closed early.
    """

    def one(ask: Asked) -> list[Completion]:
        return [complete(ask.prompt, sampling) for sampling in ask.samplings]

    if at_once == 1:
        yield from map(one, asked)
        return
    pool = ThreadPoolExecutor(at_once, thread_name_prefix="complete")
    try:
        for found in [pool.submit(one, ask) for ask in asked]:
            yield found.result()
    finally:
        pool.shutdown(cancel_futures=True)
