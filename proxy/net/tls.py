"""TLS contexts from files, for TLS 1.2 and newer. An error names the file. There is no fallback to plain text."""

import os
import ssl
from typing import Any, Final

_MINIMUM: Final = ssl.TLSVersion.TLSv1_2


class TlsError(Exception):
    """A certificate, key or CA cannot be used. `str()` gives the file and the reason."""


class ServerTls:
    """The certificate of a listener. A reload can replace it while the listener is open."""

    def __init__(self, certificate: str, key: str, client_ca: str | None) -> None:
        """`client_ca`: the CA that must have signed the clients' certificates. None: clients need no certificate.

        Raises TlsError.
        """
        self._files = certificate, key, client_ca
        self._current = self.fresh()
        self.context = self.fresh()
        """The event loop uses this one while it listens. Each handshake replaces it by the current one."""
        self.context.sni_callback = self._choose

    def use(self, context: ssl.SSLContext) -> None:
        """Use `context` for new handshakes."""
        self._current = context

    def fresh(self) -> ssl.SSLContext:
        """A context from the present content of the files. Raises TlsError."""
        certificate, key, client_ca = self._files
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = _MINIMUM
        _load_pair(context, certificate, key)
        if client_ca is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            _load_authority(context, client_ca)
        return context

    def _choose(self, connection: Any, _name: str | None, _context: ssl.SSLContext) -> None:
        """OpenSSL calls this in every handshake, even if the client sends no server name."""
        connection.context = self._current


class ClientTls:
    """TLS towards Redis. A reload can replace the certificates."""

    def __init__(self, authority: str | None, certificate: str | None, key: str | None, name: str | None) -> None:
        """`authority`: the file of the CA that has signed Redis' certificate. None: the CAs that the system trusts.

        `name`: the host name that the certificate must have. None: the host that is dialed. Raises TlsError.
        """
        self._files = authority, certificate, key
        self.name = name
        self.context = self.fresh()

    def use(self, context: ssl.SSLContext) -> None:
        """Use `context` for new connections."""
        self.context = context

    def fresh(self) -> ssl.SSLContext:
        """A context from the present content of the files. Raises TlsError."""
        authority, certificate, key = self._files
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = _MINIMUM
        if authority is None:
            context.load_default_certs()
        else:
            _load_authority(context, authority)
        if certificate is not None and key is not None:
            _load_pair(context, certificate, key)
        return context


def tls_reason(error: ssl.SSLError) -> str:
    """The reason for a failed handshake, in OpenSSL's words."""
    verify = getattr(error, "verify_message", None)
    return f"its certificate is not trusted: {verify}" if verify else f"TLS failed: {error.reason or error}"


def _load_pair(context: ssl.SSLContext, certificate: str, key: str) -> None:
    _check_readable(certificate)
    _check_readable(key)
    try:
        # Without this callback, OpenSSL would ask for a passphrase on the terminal.
        context.load_cert_chain(certificate, key, password=_no_passphrase)
    except ssl.SSLError as error:
        raise TlsError(
            f"{certificate} and {key} are not a certificate and its private key in PEM format: {error.reason}"
        ) from None
    except ValueError:
        raise TlsError(f"{key} needs a passphrase, which is not supported; use a key without one") from None


def _no_passphrase() -> str:
    raise ValueError


def _load_authority(context: ssl.SSLContext, authority: str) -> None:
    _check_readable(authority)
    try:
        context.load_verify_locations(authority)
    except ssl.SSLError as error:
        raise TlsError(f"{authority} contains no certificate in PEM format: {error.reason}") from None


def _check_readable(path: str) -> None:
    try:
        with open(path, "rb"):
            pass
    except OSError as error:
        raise TlsError(f"{path} cannot be read: {os.strerror(error.errno or 0)}") from None
