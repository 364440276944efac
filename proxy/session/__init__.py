"""One client's conversation with Redis, pure: bytes in, effects out. It knows no socket and no clock."""

from proxy.session.effects import Close, CommandInfo, Conversion, Converted, Effects, Half
from proxy.session.entries import Opening
from proxy.session.gate import Gate
from proxy.session.session import Session
from proxy.session.tally import Tally

__all__ = ["Close", "CommandInfo", "Conversion", "Converted", "Effects", "Gate", "Half", "Opening", "Session", "Tally"]
