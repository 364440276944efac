"""Durations as arguments: 30s, 5m, 1.5h, or a number of seconds."""

import math
import re
from typing import Any, Final

import click

_SECONDS: Final = {"": 1, "ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_FORM: Final = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,12})?)(ms|[smhd]?)")


class Duration(click.ParamType):  # type: ignore[type-arg] # generic from click 8.4 on
    """A duration, as seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """See click. Turns text into seconds."""
        if isinstance(value, int | float):
            return float(value)
        found = _FORM.fullmatch(value)
        if found is None or not math.isfinite(seconds := float(found[1]) * _SECONDS[found[2]]):
            self.fail("expected a number of seconds, or one with a unit: 500ms, 30s, 5m, 2h, 1d", param, ctx)
        return seconds


DURATION: Final = Duration()
