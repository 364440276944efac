"""One client's conversation with Redis. Pure: bytes in, effects out, without sockets and clocks."""

from proxy.session.auth import Gate
from proxy.session.counters import Tally
from proxy.session.effects import Close, CommandInfo, Conversion, Converted, Dial, Effects, Half, LaneBytes, Relink
from proxy.session.expected_replies import BLOCKING, PASS, Opening
from proxy.session.session import Session
from proxy.session.sharing import Shared
from proxy.session.slots import NOBODY, SLOTS, SlotMap, key_slot

__all__ = [
    "BLOCKING",
    "NOBODY",
    "PASS",
    "SLOTS",
    "Close",
    "CommandInfo",
    "Conversion",
    "Converted",
    "Dial",
    "Effects",
    "Gate",
    "Half",
    "LaneBytes",
    "Opening",
    "Relink",
    "Session",
    "Shared",
    "SlotMap",
    "Tally",
    "key_slot",
]
