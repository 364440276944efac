"""Go and Node on shared connections: ordinary use pins nobody."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e.sharing.conftest import TRUNKS, Sharing, shared_sharing, sharing
from tests.interop.client_libraries import PROGRAMS, at_work
from tests.interop.conftest import address_of

__all__ = ["shared_sharing", "sharing"]

VARIANTS = [(language, variant) for language, (_, variants) in PROGRAMS.items() for variant in variants]


@pytest.mark.parametrize(("language", "variant"), VARIANTS)
def test_programs_that_read_and_write_share(sharing: Sharing, tmp_path: Path, language: str, variant: str) -> None:
    command: Sequence[str] = PROGRAMS[language][0](tmp_path)
    with ExitStack() as stack:
        address = address_of(sharing.proxy.json)
        at = [
            stack.enter_context(at_work(command, address, "json", variant)).having(library="flask-caching-2.5")
            for _ in range(4)
        ]
        for number, program in enumerate(at):
            for value in range(20):
                program.ask("set", ["view", f"/{number}"], value=f"{number} {value}", ttl=1000)
                assert program.ask("get", ["view", f"/{number}"]) == f"{number} {value}"
            program.ask("delete", ["view", f"/{number}"])
        assert sharing.number("pinned_clients") == 0
        assert sharing.connections() <= 2 * TRUNKS
        assert sharing.number("clients") >= len(at)
