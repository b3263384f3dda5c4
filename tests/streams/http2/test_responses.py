"""HTTP/2 in memory: responses, and whose turn it is."""

from __future__ import annotations

from h2.settings import SettingCodes

from tahoeish.streams.http2.connection import AT_ONCE
from tahoeish.streams.http2.stream import FULL, INITIAL_WINDOW
from tahoeish.streams.response import PIECE
from tests.streams.http2.client import MemoryClient
from tests.streams.resources import MIB, Fountain, Page


def busy(client: MemoryClient) -> bool:
    """It would do something more at once, without anything having come."""
    return any(call.getTime() <= client.clock.seconds() for call in client.clock.getDelayedCalls())


class TestResponses:
    def test_a_large_one_waits_for_the_window_of_its_client(self) -> None:
        resource = Fountain()
        client = MemoryClient(resource, drinks=False)
        number = client.begin("GET", f"/a/{100 * MIB}", ended=True)
        client.swap()
        assert len(client.answers[number].body) == INITIAL_WINDOW
        assert resource.written[b"/a"] <= INITIAL_WINDOW + FULL + PIECE
        assert not busy(client), "it waits without doing anything"
        client.h2.increment_flow_control_window(10 * MIB)
        client.h2.increment_flow_control_window(10 * MIB, number)
        client.swap()
        assert len(client.answers[number].body) == INITIAL_WINDOW + 10 * MIB
        assert resource.written[b"/a"] <= INITIAL_WINDOW + 10 * MIB + FULL + PIECE

    def test_a_huge_window_is_no_huge_buffer(self) -> None:
        resource = Fountain()
        client = MemoryClient(resource)
        client.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 2**31 - 1})
        client.h2.increment_flow_control_window(2**30)
        client.swap()
        client.connection.pauseProducing()
        client.begin("GET", f"/a/{100 * MIB}", ended=True)
        client.swap()
        assert resource.written[b"/a"] <= FULL + PIECE, "the client's socket takes nothing"
        client.connection.resumeProducing()
        client.swap()
        assert resource.ended == [b"/a"]

    def test_what_one_stream_may_send_more_by_new_settings_is_sent(self) -> None:
        client = MemoryClient(Page())
        client.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 0})
        client.swap()
        number = client.begin("GET", "/", ended=True)
        client.swap()
        assert client.answers[number].status == 200 and not client.answers[number].body
        client.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 1000})
        client.swap()
        assert client.answers[number].body == b"page " and client.answers[number].whole

    def test_a_window_that_has_become_negative_only_delays(self) -> None:
        client = MemoryClient(Fountain(), drinks=False)
        number = client.begin("GET", f"/a/{MIB}", ended=True)
        client.swap()
        client.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 10})
        client.swap()
        assert not busy(client)
        client.h2.increment_flow_control_window(2 * MIB)
        client.h2.increment_flow_control_window(2 * MIB, number)
        client.swap()
        assert len(client.answers[number].body) == MIB and client.answers[number].whole

    def test_downloads_share_the_connection_fairly(self) -> None:
        client = MemoryClient(Fountain())
        client.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 100 * MIB})
        client.swap()
        # The connection is narrower than any of them.
        client.drinks = False
        numbers = [client.begin("GET", f"/{name}/{10 * MIB}", ended=True) for name in "abcd"]
        client.swap()
        before = [len(client.answers[number].body) for number in numbers]
        for _ in range(64):
            client.h2.increment_flow_control_window(AT_ONCE)
            client.swap()
        sizes = [len(client.answers[number].body) - had for number, had in zip(numbers, before, strict=True)]
        assert max(sizes) - min(sizes) <= AT_ONCE and min(sizes) > MIB

    def test_a_stream_whose_client_is_slow_holds_up_no_other(self) -> None:
        resource = Fountain()
        client = MemoryClient(resource, drinks=False)
        client.begin("GET", f"/slow/{10 * MIB}", ended=True)
        client.swap()
        client.h2.increment_flow_control_window(10 * MIB)
        number = client.begin("GET", f"/quick/{MIB}", ended=True)
        client.h2.increment_flow_control_window(10 * MIB, number)
        client.swap()
        assert resource.ended == [b"/quick"] and len(client.answers[number].body) == MIB

    def test_a_reset_stops_a_download(self) -> None:
        resource = Fountain()
        client = MemoryClient(resource, drinks=False)
        number = client.begin("GET", f"/a/{100 * MIB}", ended=True)
        client.swap()
        client.h2.reset_stream(number)
        client.swap()
        assert not client.site.transfers and not client.connection.streams
        client.drinks = True
        client.h2.increment_flow_control_window(MIB)
        assert len(client.ask("GET", f"/b/{MIB}").body) == MIB
