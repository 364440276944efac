"""pandas' periods: the text of an ordinal at a frequency.

Sources: `Period.__str__` and the frequency codes of pandas 1.3 to 3.1. An ordinal counts periods since 1970. The names
of frequencies are those of either spelling (`A`, `H`, `T` ... before pandas 2.2, `Y`, `h`, `min` ... since).
"""

import re
from collections.abc import Callable
from typing import Final, NamedTuple

from proxy.codec.errors import UndecodableError
from proxy.codec.frames import moments
from proxy.codec.frames.dtypes import DType
from proxy.codec.nodes import Instance, Node

_SPELLED: Final = re.compile(r"[Pp]eriod\[([0-9]{0,9})([A-Za-z]{1,3})(?:-([A-Z]{3}))?\]")
_MOST_STEPS: Final = 10**9
_MONTHS: Final = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_WEEKDAYS: Final = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")


def _moment(unit: str) -> Callable[[int, int], str]:
    dtype = DType("M", 8, unit=unit)
    return lambda ordinal, _anchor: (moments.texts([ordinal], dtype)[0] or moments.MISSING).replace("T", " ")


def _hour(ordinal: int, anchor: int) -> str:
    return _moment("h")(ordinal, anchor) + ":00"


def _year(ordinal: int, _anchor: int) -> str:
    return f"{1970 + ordinal:04}"


def _quarter(ordinal: int, _anchor: int) -> str:
    """Years that end with the anchor's month; pandas names them by the year in which they end."""
    return f"{1970 + ordinal // 4:04}Q{ordinal % 4 + 1}"


def _week(ordinal: int, anchor: int) -> str:
    """The first day and the last one. `anchor`: the last weekday, from 0 for Monday. Week 1 has 1970-01-01."""
    day = _moment("D")
    last = 7 * (ordinal - 1) + (anchor - 3) % 7
    return f"{day(last - 6, 0)}/{day(last, 0)}"


def _business_day(ordinal: int, _anchor: int) -> str:
    """Counted without weekends; 0 is Thursday, 1970-01-01."""
    week, weekday = divmod(ordinal + 3, 5)
    return _moment("D")(7 * week + weekday - 3, 0)


class _Unit(NamedTuple):
    name: str
    """As pandas spells it today."""
    old_name: str
    """Before pandas 2.2."""
    text: Callable[[int, int], str]
    anchors: tuple[str, ...] = ()


_UNITS: Final = (
    _Unit("Y", "A", _year, _MONTHS),
    _Unit("Q", "Q", _quarter, _MONTHS),
    _Unit("M", "M", _moment("M")),
    _Unit("W", "W", _week, _WEEKDAYS),
    _Unit("B", "B", _business_day),
    _Unit("D", "D", _moment("D")),
    _Unit("h", "H", _hour),
    _Unit("min", "T", _moment("m")),
    _Unit("s", "S", _moment("s")),
    _Unit("ms", "L", _moment("ms")),
    _Unit("us", "U", _moment("us")),
    _Unit("ns", "N", _moment("ns")),
)
_BY_NAME: Final = {name: unit for unit in _UNITS for name in (unit.name, unit.old_name)}
_BY_OFFSET: Final = {
    **dict(zip(("Hour", "Minute", "Second", "Milli", "Micro", "Nano"), ("H", "T", "S", "L", "U", "N"), strict=True)),
    **dict(zip(("YearEnd", "QuarterEnd", "MonthEnd", "Week", "BusinessDay", "Day"), "YQMWBD", strict=True)),
}
"""By the class of pandas' offsets."""


class Frequency(NamedTuple):
    """The frequency of a period."""

    unit: _Unit
    anchor: int = 0
    """The month in which a year ends, from 0; or the weekday on which a week does."""

    def text(self, ordinal: int) -> str:
        """The period's text; `NaT` for the missing one."""
        return moments.MISSING if ordinal == moments.NAT else self.unit.text(ordinal, self.anchor)


def name_of(node: Instance) -> str:
    """The name of the frequency of a `PeriodDtype(offset)`, which pandas before 2 pickles. Raises UndecodableError."""
    frequency = of_offset(node)
    steps = node.args[0] if node.args else 1
    if frequency is None or type(steps) is not int or not 1 <= steps <= _MOST_STEPS:
        raise UndecodableError("a pandas period of a frequency that is not known")
    unit = frequency.unit
    anchor = f"-{unit.anchors[frequency.anchor]}" if unit.anchors else ""
    return f"period[{steps if steps > 1 else ''}{unit.old_name}{anchor}]"


def of_offset(node: Node) -> Frequency | None:
    """The frequency that an offset of pandas stands for: `QuarterEnd(1, False, 12)`; None: it is not known."""
    if type(node) is not Instance:
        return None
    name = _BY_OFFSET.get(node.symbol.name.rpartition(".")[2])
    if name is None:
        return None
    unit = _BY_NAME[name]
    if not unit.anchors:
        return Frequency(unit)
    anchor = node.args[2] if len(node.args) > 2 else None
    if type(anchor) is not int:
        return None
    anchor -= len(unit.anchors) == len(_MONTHS)
    return Frequency(unit, anchor) if 0 <= anchor < len(unit.anchors) else None


def of_name(text: str) -> Frequency:
    """The frequency in the name of a dtype, such as `period[Q-DEC]`. Raises UndecodableError."""
    found = _SPELLED.fullmatch(text)
    unit = None if found is None else _BY_NAME.get(found[2])
    if found is None or unit is None:
        raise UndecodableError("a pandas period of a frequency that is not known")
    anchor = unit.anchors.index(found[3]) if found[3] in unit.anchors else len(unit.anchors) - 1
    return Frequency(unit, max(0, anchor))
