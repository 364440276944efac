"""New certificates for each benchmark."""

from pathlib import Path
from typing import NamedTuple


class Certificates(NamedTuple):
    """Paths of PEM files."""

    ca: str
    cert: str
    key: str


def certificates(home: Path) -> Certificates:
    """A certificate for localhost and 127.0.0.1, and who signed it."""
    import trustme

    authority = trustme.CA()
    pair = authority.issue_cert("localhost", "127.0.0.1")
    made = Certificates(*(str(home / name) for name in ("ca.pem", "cert.pem", "key.pem")))
    authority.cert_pem.write_to_path(made.ca)
    pair.cert_chain_pems[0].write_to_path(made.cert)
    pair.private_key_pem.write_to_path(made.key)
    return made
