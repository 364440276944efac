"""TLS contexts from files. Only 1.2 and newer; names the file that is at fault, and never falls back to plain text."""

import os
import ssl
from typing import Any, Final

_MINIMUM: Final = ssl.TLSVersion.TLSv1_2


class TlsError(Exception):
    """A certificate, key or CA cannot be used. `str()` names the file and says why."""


class ServerTls:
    """What a listener presents. It can be changed while the event loop listens."""

    def __init__(self, certificate: str, key: str, client_ca: str | None) -> None:
        """`client_ca`: whose certificates clients must have; None: they need none. Raises TlsError."""
        self._files = certificate, key, client_ca
        self._current = self.fresh()
        self.context = self.fresh()
        """For the event loop, which keeps it as long as it listens."""
        self.context.sni_callback = self._choose

    def use(self, context: ssl.SSLContext) -> None:
        """For handshakes from now on."""
        self._current = context

    def fresh(self) -> ssl.SSLContext:
        """The files as they are now. Raises TlsError."""
        certificate, key, client_ca = self._files
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = _MINIMUM
        _load_pair(context, certificate, key)
        if client_ca is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            _load_authority(context, client_ca)
        return context

    def _choose(self, connection: Any, _name: str | None, _context: ssl.SSLContext) -> None:
        """Called in every handshake, also where the client names no server."""
        connection.context = self._current


class ClientTls:
    """How Redis is spoken to."""

    def __init__(self, authority: str | None, certificate: str | None, key: str | None, name: str | None) -> None:
        """`authority`: who has signed Redis' certificate (None: one that the system trusts).

        `name`: what that must be for (None: the host that is dialled). Raises TlsError.
        """
        self._files = authority, certificate, key
        self.name = name
        self.context = self.fresh()

    def use(self, context: ssl.SSLContext) -> None:
        """For dials from now on."""
        self.context = context

    def fresh(self) -> ssl.SSLContext:
        """The files as they are now. Raises TlsError."""
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
    """OpenSSL's words."""
    verify = getattr(error, "verify_message", None)
    return f"its certificate is not trusted: {verify}" if verify else f"TLS failed: {error.reason or error}"


def _load_pair(context: ssl.SSLContext, certificate: str, key: str) -> None:
    _check_readable(certificate)
    _check_readable(key)
    try:
        # A key with a passphrase would ask for it on the terminal.
        context.load_cert_chain(certificate, key, password=_no_passphrase)
    except ssl.SSLError as error:
        raise TlsError(f"{certificate} and {key} are no certificate and its key, in PEM: {error.reason}") from None
    except ValueError:
        raise TlsError(f"{key} needs a passphrase, which is not supported") from None


def _no_passphrase() -> str:
    raise ValueError


def _load_authority(context: ssl.SSLContext, authority: str) -> None:
    _check_readable(authority)
    try:
        context.load_verify_locations(authority)
    except ssl.SSLError as error:
        raise TlsError(f"{authority} holds no certificate in PEM: {error.reason}") from None


def _check_readable(path: str) -> None:
    try:
        with open(path, "rb"):
            pass
    except OSError as error:
        raise TlsError(f"{path} cannot be read: {os.strerror(error.errno or 0)}") from None
