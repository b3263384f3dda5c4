"""Somebody who wants a small file ten times a second, whatever else is going on."""

from __future__ import annotations

import asyncio
from threading import Event, Thread
from time import perf_counter
from types import TracebackType

from bench.client import Address
from bench.http import OURS, Answer

PAUSE = 0.1
TIMEOUT = 60


class SmallGets:
    """
    Gets a file every 100 ms while its block lasts, each time over a new connection.

    It doesn't wait for one answer before it asks for the next, so a node that hangs for ten seconds is seen a hundred
    times, not once. `seconds` are those from asking to the complete answer.
    """

    def __init__(self, address: Address, cap: str, size: int) -> None:
        self.seconds: list[float] = []
        self.failures: list[str] = []
        self._address = address
        self._cap = cap
        self._size = size
        self._over = Event()
        self._thread = Thread(target=lambda: asyncio.run(self._ask()), name="small gets")

    def __enter__(self) -> SmallGets:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    async def _ask(self) -> None:
        begun = perf_counter()
        asked: list[asyncio.Task[None]] = []
        while not self._over.is_set():
            asked.append(asyncio.create_task(self._get()))
            await asyncio.sleep(max(0, begun + len(asked) * PAUSE - perf_counter()))
        await asyncio.gather(*asked)

    async def _get(self) -> None:
        begun = perf_counter()
        try:
            async with asyncio.timeout(TIMEOUT):
                answer = await self._answer()
            answer.expect(200)
            if answer.received != self._size:
                raise ValueError(f"{answer.received} bytes came instead of {self._size}")
        except Exception as error:
            self.failures.append(f"{type(error).__name__}: {error}")
        else:
            self.seconds.append(perf_counter() - begun)

    async def _answer(self) -> Answer:
        answer = Answer()
        reader, writer = await asyncio.open_connection(*self._address)
        try:
            writer.write(OURS.get_head(self._cap))
            while not answer.complete:
                answer.feed(await reader.read(65536))
        finally:
            writer.close()
        return answer
