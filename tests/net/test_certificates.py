"""When certificates expire."""

import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme

from proxy.net.certificates import first_expiry

EXPIRES = datetime(2031, 5, 4, 3, 2, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def issued(authority: trustme.CA, expires: datetime) -> bytes:
    return authority.issue_cert("a.example", not_after=expires).cert_chain_pems[0].bytes()


@pytest.mark.parametrize(
    "expires",
    [EXPIRES, datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC), datetime(2050, 1, 1, tzinfo=UTC)],
    ids=["2031", "2049", "2050, in another format"],
)
def test_that_of_a_certificate(authority: trustme.CA, tmp_path: Path, expires: datetime) -> None:
    file = tmp_path / "a.crt"
    file.write_bytes(issued(authority, expires))
    assert first_expiry(str(file)) == expires.timestamp()


def test_that_of_the_first_in_a_chain_that_expires(authority: trustme.CA, tmp_path: Path) -> None:
    file = tmp_path / "a.crt"
    later = issued(authority, datetime(2040, 1, 1, tzinfo=UTC))
    file.write_bytes(b"a remark\n" + later + b"\nanother\n" + issued(authority, EXPIRES) + later)
    assert first_expiry(str(file)) == EXPIRES.timestamp()


def test_as_openssl_reads_it(authority: trustme.CA, tmp_path: Path) -> None:
    file = tmp_path / "ca.crt"
    authority.cert_pem.write_to_path(str(file))
    context = ssl.create_default_context(cafile=str(file))
    assert first_expiry(str(file)) == ssl.cert_time_to_seconds(str(context.get_ca_certs()[0]["notAfter"]))


def test_a_file_with_something_else_has_none(authority: trustme.CA, tmp_path: Path) -> None:
    file = tmp_path / "a.crt"
    assert first_expiry(str(file)) is None
    whole = ssl.PEM_cert_to_DER_cert(issued(authority, EXPIRES).decode())
    parts = (whole[:size] for size in range(0, len(whole), 7))
    for raw in (b"", b"\x30", b"\x30\x82\xff\xff", b"\x02\x01\x00", *parts):
        file.write_text(ssl.DER_cert_to_PEM_cert(raw))
        assert first_expiry(str(file)) is None
    file.write_bytes(b"-----BEGIN CERTIFICATE-----\n!\xff\n-----END CERTIFICATE-----\n")
    assert first_expiry(str(file)) is None
