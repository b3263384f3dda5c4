"""One connection: what comes in goes to its streams, what they have to say goes out in turn, and it ends in order."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import h2.config
import h2.connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    RequestReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)
from h2.exceptions import ProtocolError, StreamClosedError
from h2.settings import SettingCodes, Settings
from hyperframe.frame import GoAwayFrame
from priority import DeadlockError
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web._http2 import _END_STREAM_SENTINEL, H2Connection

from tahoeish.streams.http2.stream import Http2Stream
from tahoeish.streams.http2.talk import TalkAllowance, is_idle
from tahoeish.streams.slowness import Patience, unsent

if TYPE_CHECKING:
    from tahoeish.streams.request import StreamingRequest
    from tahoeish.streams.site import StreamingSite

MAX_STREAMS = 100
"""That a client may have open. Each of those that nobody reads holds as much as a connection of HTTP/1.1 would."""

MAX_HEADERS = 32 * 1024
"""Of one request, in bytes."""

CONNECTION_WINDOW = 4 * 1024 * 1024
"""What may be under way, of all streams together. What has arrived doesn't count, so it costs no memory of ours."""

AT_ONCE = 128 * 1024
"""What is taken from the socket, or given to it, before something else gets its turn."""

MAX_WAITING_CONTROL_BYTES = 256 * 1024
"""Frames that aren't content and wait for a client that reads nothing. A head for each stream has room in it."""


class _Frames(h2.connection.H2Connection):
    """The frames of a connection, with two things left to us that h2 would make its end."""

    def _begin_new_stream(self, stream_id: int, allowed_ids: Any) -> Any:
        stream = super()._begin_new_stream(stream_id, allowed_ids)
        # One body whose length is another than announced would end all requests of the connection. We count, too.
        stream._track_content_length = lambda length, end_stream: None  # type: ignore[method-assign]
        return stream

    def announce_end(self) -> None:
        """No requests after those that have come so far. After h2's own GOAWAY those couldn't be answered any more."""
        self._prepare_for_sending([GoAwayFrame(0, last_stream_id=self.highest_inbound_stream_id)])


class Http2Connection(H2Connection):
    """One connection and its streams."""

    # The base class isn't annotated, or declares less than there is.
    streams: dict[int, Http2Stream]
    conn: _Frames
    transport: Any
    site: Any
    factory: Any
    callLater: Any
    timeOut: Any

    _maxBufferedControlFrameBytes: int
    _gone = False
    _retiring = False
    _unacknowledged = 0

    def __init__(self, site: StreamingSite) -> None:
        super().__init__(site.reactor)
        self.site = self.factory = site
        self.requestFactory = site.requestFactory
        self.callLater = site.reactor.callLater
        self.timeOut = self._idle_timeout = site.timeOut
        self.conn = _Frames(h2.config.H2Configuration(client_side=False, header_encoding=None))
        self.conn.local_settings = Settings(
            client=False,
            initial_values={
                SettingCodes.MAX_CONCURRENT_STREAMS: MAX_STREAMS,
                SettingCodes.MAX_HEADER_LIST_SIZE: MAX_HEADERS,
            },
        )
        # Also before the client has agreed.
        self.conn.decoder.max_header_list_size = MAX_HEADERS
        self._maxBufferedControlFrameBytes = MAX_WAITING_CONTROL_BYTES
        self._patience = Patience()
        self._talk = TalkAllowance(site.reactor.seconds())
        self._aborted: set[StreamingRequest] = set()
        self._refused: list[int] = []

    def connectionMade(self) -> None:
        super().connectionMade()
        # The transport says when it has too much, but only to a producer.
        self.transport.registerProducer(self, True)
        self.transport.bufferSize = AT_ONCE
        self.conn.increment_flow_control_window(CONNECTION_WINDOW - self.conn.inbound_flow_control_window)
        self._tryToWriteControlData()
        self.site.connected(1)
        self.site.farewells.add(self.retire)

    def connectionLost(self, reason: Failure = connectionDone, _cancelTimeouts: bool = True) -> None:
        # Telling one request may let another go on, which must not write any more.
        for stream in self.streams.values():
            stream.gone = True
        super().connectionLost(reason, _cancelTimeouts)
        self.site.farewells.discard(self.retire)
        if _cancelTimeouts and not self._gone:
            self._gone = True
            self.site.connected(-1)

    def retire(self) -> None:
        """Take no more requests, and end with the last stream."""
        if not self._retiring:
            self._retiring = True
            self.conn.announce_end()
            self._tryToWriteControlData()
            self._look_after_timeout()

    # What arrives.

    def dataReceived(self, data: bytes) -> None:
        if not self._stillProducing:
            return
        try:
            events = self.conn.receive_data(data)
        except ProtocolError:
            self._terminate(Failure())
            return
        touched: dict[int, Http2Stream] = {}
        for event in events:
            if not self._bear_with(event):
                self.conn.close_connection(ErrorCodes.ENHANCE_YOUR_CALM)
                self._terminate(Failure(ConnectionLost("too many frames that ask for nothing")))
                return
            self._handle(event)
            stream = self.streams.get(getattr(event, "stream_id", None) or 0)
            if stream is not None:
                touched[stream.streamID] = stream
            if not self._stillProducing:
                return
        # Only now: of what has been noted so far, h2 knows more than we did, such as that a stream is reset.
        self._refuse_late_ones()
        for stream in touched.values():
            if not stream.gone:
                stream.settle()
        self._acknowledge()
        self._tryToWriteControlData()
        # There may be more room for what waits: in one stream, in all, or by new settings.
        self._wake(self.streams)
        self.resetTimeout()

    def _handle(self, event: Event) -> None:
        match event:
            case RequestReceived():
                self._requestReceived(event)
            case DataReceived():
                self._unacknowledged += event.flow_controlled_length
                if event.stream_id in self.streams:
                    self._requestDataReceived(event)
            case TrailersReceived():
                if event.stream_id in self.streams:
                    self.streams[event.stream_id].receive_trailers(event.headers)
            case StreamEnded():
                if event.stream_id in self.streams:
                    self._requestEnded(event)
            case StreamReset():
                if event.stream_id in self.streams:
                    self._aborted.add(self.streams[event.stream_id].request)
                    self._requestAborted(event)
            case ConnectionTerminated():
                self._close()
                self.connectionLost(Failure(ConnectionLost("the client has said good-bye")), _cancelTimeouts=False)

    def _requestReceived(self, event: RequestReceived) -> None:
        if self._retiring or self._busy():
            self._refused.append(event.stream_id)
            return
        stream = Http2Stream(event.stream_id, self, event.headers or [], ended=event.stream_ended is not None)
        self.streams[event.stream_id] = stream
        self._streamCleanupCallbacks[event.stream_id] = Deferred()
        self._outboundStreamQueues[event.stream_id] = stream.queue
        self.priority.insert_stream(event.stream_id)
        self.priority.block(event.stream_id)
        self._look_after_timeout()

    def _refuse_late_ones(self) -> None:
        refused, self._refused = self._refused, []
        for stream_id in refused:
            with suppress(StreamClosedError):
                self.conn.reset_stream(stream_id, ErrorCodes.REFUSED_STREAM)

    def _busy(self) -> bool:
        """Cleaning up after requests that were reset takes time, and a client may not pile that up."""
        self._aborted &= self.site.transfers
        return len(self._aborted) >= MAX_STREAMS

    def _bear_with(self, event: Event) -> bool:
        return not is_idle(event) or self._talk.take(self._reactor.seconds())

    def _acknowledge(self) -> None:
        if self._unacknowledged >= CONNECTION_WINDOW // 2 and self._stillProducing:
            self.conn.increment_flow_control_window(self._unacknowledged)
            self._unacknowledged = 0

    # What goes out.

    def writeDataToStream(self, streamID: int, data: bytes) -> None:
        stream = self.streams[streamID]
        stream.queued += len(data)
        stream.queue.append(data)
        self._wake([streamID])
        stream.pause_if_full()

    def endRequest(self, streamID: int) -> None:
        self.streams[streamID].queue.append(_END_STREAM_SENTINEL)
        self._wake([streamID])

    def open_window(self, stream_id: int, size: int) -> None:
        """Let the client send so much more of a body."""
        self.conn.increment_flow_control_window(size, stream_id)
        self._tryToWriteControlData()

    def write_interim(self, stream_id: int, headers: list[tuple[bytes, bytes]]) -> None:
        self.conn.send_headers(stream_id, headers)
        self._tryToWriteControlData()

    def reset(self, stream: Http2Stream, code: ErrorCodes) -> None:
        """End a stream, and forget what still waits to be sent."""
        self.conn.reset_stream(stream.streamID, code)
        if self._tryToWriteControlData():
            self.forget(stream)

    def forget(self, stream: Http2Stream) -> None:
        """It is over on both sides."""
        self._requestDone(stream.streamID)

    def _wake(self, stream_ids: Iterable[int]) -> None:
        """They may be able to send."""
        ready = [stream_id for stream_id in stream_ids if self._can_send(self.streams[stream_id])]
        for stream_id in ready:
            self.priority.unblock(stream_id)
        sending = self._sendingDeferred
        if ready and sending is not None:
            self._sendingDeferred = None
            sending.callback(None)

    def _can_send(self, stream: Http2Stream) -> bool:
        if not stream.queue:
            return False
        return stream.queue[0] is _END_STREAM_SENTINEL or self.conn.local_flow_control_window(stream.streamID) > 0

    def _sendPrioritisedData(self, *_: object) -> None:
        # Twisted's own doesn't rest while a stream has something to send and its client takes nothing.
        sent, some = 0, 1
        while some and sent < AT_ONCE and self._stillProducing and self._consumerBlocked is None:
            some = self._send_round()
            sent += some
        if not self._stillProducing:
            return
        if self._consumerBlocked is not None:
            self._consumerBlocked.addCallback(self._sendPrioritisedData)
        elif some:
            self._reactor.callLater(0, self._sendPrioritisedData)
        else:
            self._sendingDeferred = Deferred()
            self._sendingDeferred.addCallback(self._sendPrioritisedData)

    def _send_round(self) -> int:
        """A frame of each stream in turn, until it is enough for now; gives how much it was, 0 if nothing can go."""
        sent = 0
        fed: set[Http2Stream] = set()
        while sent < AT_ONCE:
            try:
                stream = self.streams[next(self.priority)]
            except DeadlockError:
                break
            if self._can_send(stream):
                sent += self._send_frame(stream)
                fed.add(stream)
            if not stream.gone and not self._can_send(stream):
                self.priority.block(stream.streamID)
        if data := self.conn.data_to_send():
            self.transport.write(data)
        # Whoever waits for room may write at once, so this comes after all else.
        for stream in fed:
            if not stream.gone:
                stream.resume_if_empty()
        return sent

    def _send_frame(self, stream: Http2Stream) -> int:
        stream_id = stream.streamID
        item = stream.queue.popleft()
        if item is _END_STREAM_SENTINEL:
            if closing := stream.closing_fields:
                self.conn.send_headers(stream_id, closing, end_stream=True)
            else:
                self.conn.end_stream(stream_id)
            stream.answered()
            if stream.ended:
                self._requestDone(stream_id)
            return 1
        most = min(self.conn.max_outbound_frame_size, self.conn.local_flow_control_window(stream_id))
        if len(item) > most:
            item = memoryview(item)
            stream.queue.appendleft(item[most:])
            item = item[:most]
        self.conn.send_data(stream_id, item)
        self._talk.earn()
        stream.took(len(item))
        return len(item)

    # How it ends.

    def _requestDone(self, streamID: int) -> None:
        self.streams[streamID].forget()
        super()._requestDone(streamID)
        self._look_after_timeout()

    def _look_after_timeout(self) -> None:
        """A connection is idle while it has no streams. As long as it has, each of them knows whom it waits for."""
        if self.streams or not self._stillProducing:
            self.setTimeout(None)
        elif self._retiring:
            self._close()
        else:
            self._patience.renew()
            self.setTimeout(self._idle_timeout)

    def timeoutConnection(self) -> None:
        if self._patience.lasts(unsent(self.transport)):
            self.setTimeout(self._idle_timeout)
            return
        self.conn.close_connection(ErrorCodes.NO_ERROR)
        self._close()

    def _terminate(self, reason: Failure) -> None:
        self._close()
        self.connectionLost(reason, _cancelTimeouts=False)

    def _close(self) -> None:
        """In good order, unless the client doesn't let us."""
        self.setTimeout(None)
        if self._abortingCall is None:
            self._abortingCall = self.callLater(self.abortTimeout, self.forceAbortClient)
        # TLS waits with its own good-bye as long as it has a producer.
        self.transport.unregisterProducer()
        # And writes nothing after it, so what waits for a client that reads slowly is its business from here.
        self._consumerBlocked = None
        self._flushBufferedControlData()
        self._tryToWriteControlData()
        self.transport.loseConnection()
