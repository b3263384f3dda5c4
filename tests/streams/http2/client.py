"""A client of HTTP/2 that shows all that it is told, in memory or over TLS."""

from __future__ import annotations

import socket
import ssl
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from types import TracebackType

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    InformationalResponseReceived,
    ResponseReceived,
    StreamEnded,
    StreamReset,
)
from hyperframe.frame import GoAwayFrame
from twisted.internet.task import Clock
from twisted.web.resource import IResource

from tahoeish.streams.http2.connection import Http2Connection
from tahoeish.streams.site import BodyLimits, StreamingSite
from tests.nodes import PATIENCE
from tests.streams.wire import Transport

Fields = Iterable[tuple[str, str]]


@dataclass
class Answer:
    """What has come of a response so far."""

    status: int = 0
    fields: dict[str, str] = field(default_factory=dict)
    interim: list[dict[str, str]] = field(default_factory=list)
    body: bytearray = field(default_factory=bytearray)
    whole: bool = False
    reset: ErrorCodes | int | None = None

    @property
    def over(self) -> bool:
        return self.whole or self.reset is not None


class Http2Client:
    """The client's half of a connection, without a transport. `drinks` whatever comes, unless it is told not to."""

    def __init__(self) -> None:
        self.h2 = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
        self.h2.initiate_connection()
        self.answers: dict[int, Answer] = defaultdict(Answer)
        self.farewell: ConnectionTerminated | None = None
        self.drinks = True
        self.deaf_to_farewells = False

    def begin(self, method: str, path: str, fields: Fields = (), *, ended: bool = False) -> int:
        """Send the head of a request; gives the number of its stream."""
        number = self.h2.get_next_available_stream_id()
        head = [(":method", method), (":scheme", "https"), (":authority", "h"), (":path", path), *fields]
        self.h2.send_headers(number, head, end_stream=ended)
        return number

    def room(self, number: int) -> int:
        """What may be sent of a body."""
        return self.h2.local_flow_control_window(number)

    def send(self, number: int, data: bytes, *, ended: bool = False) -> int:
        """As much of it as may be sent now; gives how much that was."""
        sent = 0
        while (room := min(len(data) - sent, self.room(number), self.h2.max_outbound_frame_size)) > 0:
            self.h2.send_data(number, data[sent : sent + room])
            sent += room
        if ended and sent == len(data):
            self.h2.end_stream(number)
        return sent

    def note(self, data: bytes) -> None:
        """What the server has sent."""
        if self.deaf_to_farewells:
            data = _without_farewells(data)
        for event in self.h2.receive_data(data):
            self._note(event)

    def _note(self, event: Event) -> None:
        match event:
            case InformationalResponseReceived():
                self.answers[event.stream_id].interim.append(_texts(event.headers))
            case ResponseReceived():
                answer = self.answers[event.stream_id]
                answer.fields = _texts(event.headers)
                answer.status = int(answer.fields[":status"])
            case DataReceived():
                self.answers[event.stream_id].body += event.data or b""
                if self.drinks:
                    self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            case StreamEnded():
                self.answers[event.stream_id].whole = True
            case StreamReset():
                self.answers[event.stream_id].reset = event.error_code
            case ConnectionTerminated():
                self.farewell = event


def _without_farewells(data: bytes) -> bytes:
    """
    Frames as they are, but for GOAWAY, after which h2's client sends nothing more at all.

    For what a server says that has little to say, and says it in whole frames.
    """
    kept = b""
    while data:
        length = 9 + int.from_bytes(data[:3])
        if data[3] != GoAwayFrame.type:
            kept += data[:length]
        data = data[length:]
    return kept


def _texts(fields: object) -> dict[str, str]:
    assert isinstance(fields, list)
    return {str(name): str(value) for name, value in fields}


class MemoryClient(Http2Client):
    """Connected to a site in memory, whose time passes when it is told to."""

    def __init__(self, resource: IResource, limits: BodyLimits | None = None, *, drinks: bool = True) -> None:
        super().__init__()
        self.drinks = drinks
        self.clock = Clock()
        self.site = StreamingSite(resource, reactor=self.clock, limits=limits)
        self.connection: Http2Connection = self.site.build_http2()
        self.transport = Transport()
        self.connection.makeConnection(self.transport)
        self.swap()

    def swap(self) -> None:
        """Carry everything to and fro until both have said all."""
        busy = True
        while busy:
            outgoing = self.h2.data_to_send()
            if outgoing:
                self.connection.dataReceived(outgoing)
            self.clock.advance(0)
            incoming = self.transport.value()
            self.transport.clear()
            if incoming:
                self.note(incoming)
            busy = bool(outgoing or incoming)

    def pass_time(self, seconds: int) -> None:
        for _ in range(seconds):
            self.clock.advance(1)
            self.swap()

    def put(self, path: str, data: bytes, fields: Fields = (), *, ended: bool = False) -> int:
        """Begin an upload, with as much of the data as may be sent at once; gives the number of its stream."""
        number = self.begin("PUT", path, fields)
        self.send(number, data, ended=ended)
        self.swap()
        return number

    def ask(self, method: str, path: str, body: bytes = b"", fields: Fields = ()) -> Answer:
        """A whole request, and what has come of its response."""
        number = self.begin(method, path, fields, ended=not body)
        if body:
            self.send(number, body, ended=True)
        self.swap()
        return self.answers[number]


class SocketClient(Http2Client):
    """Over TLS, with the server that listens at a port of this machine."""

    def __init__(self, port: int) -> None:
        super().__init__()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_alpn_protocols(["h2"])
        plain = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self.socket = context.wrap_socket(plain)
        assert self.socket.selected_alpn_protocol() == "h2"
        self.push()

    def push(self) -> None:
        """Send what there is."""
        self.socket.sendall(self.h2.data_to_send())

    def until(self, condition: Callable[[], object]) -> None:
        """Hear what the server says until the condition holds."""
        self.push()
        while not condition():
            data = self.socket.recv(256 * 1024)
            assert data, "the server has closed the connection"
            self.note(data)
            self.push()

    def answer(self, number: int) -> Answer:
        """The response, or what has come of it when its stream was reset."""
        self.until(lambda: self.answers[number].over)
        return self.answers[number]

    def ask(self, method: str, path: str, fields: Fields = ()) -> Answer:
        """A request without a body."""
        return self.answer(self.begin(method, path, fields, ended=True))

    def fill(self, number: int) -> int:
        """Send until the server has to open a window for more; gives how much went."""
        sent = 0
        while room := self.send(number, bytes(256 * 1024)):
            self.push()
            sent += room
        return sent

    def upload(self, number: int, data: bytes, *, ended: bool = True) -> None:
        """A body, or part of one, as fast as the server takes it."""
        sent = 0
        while sent < len(data) and not self.answers[number].over:
            sent += self.send(number, data[sent : sent + 1024 * 1024])
            if sent < len(data):
                self.until(lambda: self.answers[number].over or self.room(number))
        if ended and not self.answers[number].over:
            self.h2.end_stream(number)
        self.push()

    def ended(self) -> bool:
        """Wait until the server closes the connection."""
        self.push()
        while data := self.socket.recv(256 * 1024):
            self.note(data)
        return True

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> SocketClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
