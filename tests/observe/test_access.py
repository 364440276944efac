"""Which host names the admin port answers to: IP addresses, localhost and its own names."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.observe.access import host_fault, is_our_host
from proxy.observe.http_exchange import Request

NAMES = ("proxy.example", "under_score")

OURS = (
    "localhost",
    "localhost:9380",
    "localhost:",
    "LOCALHOST",
    "LocalHost:80",
    "localhost.",
    "localhost.:9380",
    "127.0.0.1",
    "127.0.0.1:9380",
    "127.0.0.1.",
    "10.1.2.3:65535",
    "0.0.0.0",
    "[::1]",
    "[::1]:9380",
    "[2001:DB8::1]:1",
    "[::ffff:127.0.0.1]",
    "proxy.example",
    "proxy.example:9380",
    "PROXY.Example.:9380",
    "under_score:1",
)
OTHERS = (
    "",
    ":",
    ":9380",
    ".",
    "evil.example",
    "evil.example:9380",
    "proxy",
    "proxy.example.evil.example",
    "evil.proxy.example",
    "sub.localhost",
    "localhost.evil.example",
    "localhost..",
    "proxy.example..",
    ".localhost",
    "localhost@evil.example",
    "evil.example@localhost",
    "localhost:9380@evil.example",
    "user:password@localhost",
    "localhost,evil.example",
    "localhost, localhost",
    "localhost evil.example",
    "localhost/",
    "localhost:evil.example",
    "localhost:80:80",
    "localhost:-1",
    "localhost:123456",
    "localhost:\u0668\u0660",
    "127.0.0.1.evil.example",
    "127.0.0.1.nip.io",
    "127.1",
    "127.0.0.1..",
    "0x7f.0.0.1",
    "2130706433",
    "0177.0.0.1",
    "127.0.0.01",
    "256.0.0.1",
    "::1",
    "[::1",
    "::1]",
    "[::1]evil.example",
    "evil.example[::1]",
    "[::1].",
    "[localhost]",
    "[127.0.0.1]",
    "[]",
    "[::1%25eth0]",
    "[::1%eth0]",
    "[v1.evil]",
    "l\u00f3calhost",
    "localhos\u0131",
    "\u212aocalhost",
    "localhost\u3002",
    "%6cocalhost",
    "localhost\x00",
    "localhost\n",
    "localhost ",
)


class TestHosts:
    @pytest.mark.parametrize("authority", OURS)
    def test_ours_with_any_port_in_any_case(self, authority: str) -> None:
        assert is_our_host(authority, NAMES)

    @pytest.mark.parametrize("authority", OTHERS)
    def test_all_others(self, authority: str) -> None:
        assert not is_our_host(authority, NAMES)

    def test_a_name_needs_to_be_listed(self) -> None:
        assert not is_our_host("proxy.example", ())

    @given(st.ip_addresses(), st.none() | st.integers(0, 65535))
    def test_every_address_is_ours(self, address: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int) -> None:
        host = f"[{address}]" if address.version == 6 else str(address)
        assert is_our_host(host if port is None else f"{host}:{port}", ())

    @given(st.text())
    def test_any_text_is_decided_without_an_error(self, authority: str) -> None:
        assert isinstance(is_our_host(authority, NAMES), bool)


def request(*authorities: str) -> Request:
    return Request("GET", authorities, "/metrics", "", ())


class TestRequests:
    @pytest.mark.parametrize(
        "authorities", [(), ("evil.example",), ("localhost", "evil.example"), ("evil.example", "localhost")]
    )
    def test_a_request_names_at_least_one_host_and_ours_alone(self, authorities: tuple[str, ...]) -> None:
        fault = host_fault(request(*authorities), NAMES)
        assert fault is not None
        assert fault.status == 403
        assert b"admin.hosts" in fault.body

    @pytest.mark.parametrize("authorities", [("localhost:1",), ("localhost", "127.0.0.1:9380")])
    def test_others_are_answered(self, authorities: tuple[str, ...]) -> None:
        assert host_fault(request(*authorities), NAMES) is None
