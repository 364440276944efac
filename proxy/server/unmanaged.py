"""Counts values of Flask that clients read under keys without a rule, and warns once of each prefix."""

import logging
from typing import Final

from proxy.config import Settings
from proxy.observe.families import UNMANAGED_FLASK_VALUES
from proxy.observe.metrics import Metrics
from proxy.server.rules_told import surveyed
from proxy.survey.prefixes import Names, prefix_of
from proxy.survey.sample import SurveyedRule
from proxy.survey.wording import read_line

_log = logging.getLogger("proxy.survey")


class UnmanagedReads:
    """The reads of one process."""

    def __init__(self, metrics: Metrics, settings: Settings) -> None:
        """No read yet."""
        self._metrics = metrics
        self._names: Final = Names()
        self._has_warned_without_prefix = False
        self.use(settings)

    def use(self, settings: Settings) -> None:
        """Use these settings from now on."""
        self._rules: list[SurveyedRule] = surveyed(settings.rule)
        self._warns = settings.log.survey

    def record(self, key: bytes) -> None:
        """A client has read a value of Flask under this key. Keys that a rule leaves `untouched` do not count."""
        if any(rule.matches(key) for rule in self._rules if not rule.is_managed):
            return
        self._metrics.add(UNMANAGED_FLASK_VALUES, 1)
        prefix = prefix_of(key)
        if self._warns and self._is_new(prefix):
            _log.warning("%s", read_line(prefix, self._rules))

    def _is_new(self, prefix: str | None) -> bool:
        if prefix is not None:
            return self._names.admit_new(prefix)
        is_new = not self._has_warned_without_prefix
        self._has_warned_without_prefix = True
        return is_new
