"""Open connections: how long one may say nothing, and whose is closed when all places are taken.

uvicorn ends a connection that is idle after a reply, but waits for ever for a first request, and for one that arrives
byte by byte: a few hundred of those would keep every listener out.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from rltuner.serving.guard import network

MOST = 900  # connections at once: where a process may have 1,024 files, some are left for what is served
IDLE_SECONDS = 15  # until a request, the first or the next, has arrived
REPLY_SECONDS = 120  # until a reply has: a clip on a slow line


class Connection(H11Protocol):
    """uvicorn's HTTP protocol, one instance a connection, with limits on their number and on idle time.

    Where all MOST are taken, the client (an address, or an IPv6 /64) that holds the most gives up the one that has
    waited longest for a request. So nobody keeps others out, and many listeners behind one router or reverse proxy, who
    are one client, may have all places.
    """

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.network = ""
        self.since = 0.0  # when it was opened, or its last reply was done; the event loop's clock
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Starts the timer; closes another connection where all places are taken."""
        super().connection_made(transport)
        self.network = network(self.client[0] if self.client else "")
        self.since = self.loop.time()
        self._timer = self.loop.call_later(IDLE_SECONDS, self._end_if_late)
        if len(self.connections) >= MOST:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stops the timer."""
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """Restarts the time that the next request may take."""
        self.since = self.loop.time()
        super().on_response_complete()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Stops the timer: a websocket may be silent; its own pings find out whether somebody is there."""
        if self._timer is not None:
            self._timer.cancel()
        super().handle_websocket_upgrade(event)

    @property
    def is_waiting(self) -> bool:
        """Whether it waits for a request: none has arrived yet, or the last one is replied to."""
        return self.cycle is None or self.cycle.response_complete

    def _end_if_late(self) -> None:
        """Closes the connection where its time is up, else looks again later."""
        is_read = not self.transport.get_write_buffer_size()
        allowed = IDLE_SECONDS if self.is_waiting and is_read else REPLY_SECONDS
        left = self.since + allowed - self.loop.time()
        if left <= 0:
            self._end()
        else:
            self._timer = self.loop.call_later(min(left, IDLE_SECONDS), self._end_if_late)

    def _make_room(self) -> None:
        """Closes one connection of the client that holds the most: the one that has waited longest for a request."""
        others = [one for one in self.connections if isinstance(one, Connection) and one is not self]
        largest = Counter(one.network for one in others).most_common(1)[0][0]
        held = [one for one in others if one.network == largest]
        waiting = [one for one in held if one.is_waiting]
        if waiting or largest != self.network:  # else uvicorn replies that it is busy
            min(waiting or held, key=lambda one: one.since)._end()

    def _end(self) -> None:
        self.connections.discard(self)
        self.transport.abort()
