"""The Python end of the invocation channel against its description, executor/protocol.h."""
import os
import re
import socket

import pytest

from conftest import FOLDER
from mignificient import channel

PROTOCOL = (FOLDER.parent / "protocol.h").read_text()


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    yield ours, channel.Channel(theirs.detach())
    ours.close()


def message(version=channel.VERSION, kind=channel.INVOKE, invocation=0, payload_size=0):
    return channel.MESSAGE.pack(version, kind, 0, 0, invocation, payload_size, 0, 0, 0)


def test_version_kinds_and_sizes_are_those_of_the_header():
    assert channel.VERSION == int(re.search(r"kProtocolVersion = (\d+);", PROTOCOL).group(1))
    kinds = re.search(r"enum class MessageKind : uint32_t \{ (.*?) \}", PROTOCOL).group(1)
    assert kinds == "kReady = 1, kFailed, kInvoke, kYielded, kReturned, kThrew"
    assert (channel.READY, channel.FAILED, channel.INVOKE) == (1, 2, 3)
    assert (channel.YIELDED, channel.RETURNED, channel.THREW) == (4, 5, 6)
    failures = re.search(r"enum class LoadFailure : uint32_t \{(.*?)\}", PROTOCOL, re.DOTALL).group(1)
    assert re.findall(r"\bk\w+", failures)[:3] == ["kNone", "kLibrary", "kHandler"]
    ends = re.search(r"enum class GpuWork : uint32_t \{(.*?)\}", PROTOCOL, re.DOTALL).group(1)
    assert re.findall(r"\b(k\w+) = (\d)", ends) == [("kUnknown", "0"), ("kNone", "1"), ("kCarriedOut", "2")]
    assert (channel.UNKNOWN, channel.NONE, channel.CARRIED_OUT) == (0, 1, 2)
    assert channel.MESSAGE.size == int(re.search(r"sizeof\(Message\) == (\d+)", PROTOCOL).group(1))
    assert channel.TEXT_BYTES == int(re.search(r"kTextBytes = (\d+);", PROTOCOL).group(1))


def test_the_result_follows_the_payload_and_its_zero_byte():
    layout = channel.Layout(4096, 1)
    assert (layout.result_offset, layout.total) == (8192, 12288)
    assert channel.Layout(4095, 4096).total == 8192


def test_an_invocation_arrives(pair):
    pair[0].send(message(invocation=1 << 40, payload_size=7))
    assert pair[1].receive() == (1 << 40, 7)


def test_a_closed_end_is_nothing_more_to_receive(pair):
    pair[0].close()
    assert pair[1].receive() is None


@pytest.mark.parametrize("packet", [b"x", message()[:-1], message() + b"x", message(version=77), message(kind=99),
                                    message(kind=channel.READY)])
def test_a_foreign_packet_is_refused(pair, packet):
    pair[0].send(packet)
    with pytest.raises(channel.BrokenChannel):
        pair[1].receive()


def test_texts_are_cut_at_a_whole_character(pair):
    pair[1].send(channel.THREW, invocation=3, text="x" + "ä" * 1000)
    packet = pair[0].recv(2000)
    fields = channel.MESSAGE.unpack(packet[:channel.MESSAGE.size])
    assert (fields[1], fields[3], fields[4]) == (channel.THREW, 1023, 3)
    assert packet[channel.MESSAGE.size:].decode() == "x" + "ä" * 511
    assert channel.cut("\ud800") == b"?"


def test_the_channel_is_not_inherited_by_programs(pair):
    assert not os.get_inheritable(pair[1]._socket.fileno())
