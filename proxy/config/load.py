"""File, environment and flags to Settings, or to every error in them at once.

Each source is read into plain tables, value by value, against the types in `settings`; a later source
replaces the values of an earlier one. What takes two values to judge (overlaps, duplicates) is judged on the
result.
"""

import tomllib
from collections.abc import Iterable, Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct
from msgspec import inspect as shape

from proxy.config import pairs
from proxy.config.address import leads_to, overlap, parse_address, parse_upstream
from proxy.config.settings import Settings, Upstream, parse_listen
from proxy.config.values import (
    Scalar,
    accepts,
    expected,
    fields_of,
    from_text,
    nearest,
    scalar,
    shown,
    toml_value,
)

ENVIRONMENT_PREFIX = "FLASK_CACHE_PROXY_"

_FLAG_TWINS = {"upstream": "UPSTREAM_URL", "log_level": "LOG_LEVEL", "log_format": "LOG_FORMAT"}
_INVALID = object()  # stands where a value was refused, so that no default takes its place

Table = dict[str, Any]


class ConfigError(Exception):
    """The configuration cannot be used; `errors` holds every reason, each with its source and key."""

    def __init__(self, errors: Iterable[str]) -> None:
        self.errors = tuple(errors)
        super().__init__("\n".join(self.errors))


class Flags(Struct, frozen=True, kw_only=True):
    """What the command line sets; None is not given."""

    listen: tuple[str, ...] = ()
    upstream: str | None = None
    log_level: str | None = None
    log_format: str | None = None


def load(file: Path | None, environ: Mapping[str, str], flags: Flags, *, serves: bool = True) -> Settings:
    """The settings in force: flag before environment before file before default. Raises ConfigError.

    `serves`: False for who only wants rules and Redis; then it does not matter who could reach the listeners.
    """
    draft = _Draft()
    if file is not None:
        draft.read_file(file)
    draft.read_environment(environ)
    draft.read_flags(flags)
    if serves:
        draft.compare_binds()
    draft.compare_rules()
    draft.compare_upstream()
    if serves:
        draft.compare_listeners()
    if draft.errors:
        raise ConfigError(draft.errors)
    return msgspec.convert(draft.tables, Settings)


def environment_twins() -> dict[str, tuple[str, shape.Field]]:
    """Each environment variable that is read, with the section and the field it sets."""
    return {
        f"{ENVIRONMENT_PREFIX}{section.name}_{field.name}".upper(): (section.name, field)
        for section in fields_of(Settings)
        if isinstance(section.type, shape.StructType)
        for field in section.type.fields
        if not isinstance(field.type, shape.VarTupleType)
    }


class _Draft:
    """Tables as TOML would hold them, where each value came from, and what was wrong."""

    def __init__(self) -> None:
        self.tables: Table = {}
        self.errors: list[str] = []
        self._sources: dict[str, str] = {}  # by the whole key, as in "rule[2].keys"

    def read_file(self, file: Path) -> None:
        source = str(file)
        try:
            content = tomllib.loads(file.read_bytes().decode())
        except OSError as error:
            self.errors.append(f"{source}: cannot be read: {error.strerror}")
        except UnicodeDecodeError as error:
            self.errors.append(f"{source}: is not UTF-8 text (at byte {error.start})")
        except (ValueError, RecursionError) as error:
            self.errors.append(f"{source}: is not valid TOML: {error}")
        else:
            self.tables = self._table(source, "", content, fields_of(Settings))

    def read_environment(self, environ: Mapping[str, str]) -> None:
        for variable, twin in environment_twins().items():
            if text := environ.get(variable):
                self._set(variable, twin, text)

    def read_flags(self, flags: Flags) -> None:
        if flags.listen:
            self.tables["listener"] = [self._listen(number, text) for number, text in enumerate(flags.listen)]
        twins = environment_twins()
        for name, variable in _FLAG_TWINS.items():
            if (text := getattr(flags, name)) is not None:
                self._set(f"--{name.replace('_', '-')}", twins[ENVIRONMENT_PREFIX + variable], text)

    def compare_binds(self) -> None:
        """No two places to listen on may overlap, and Redis must not be one of them."""
        defaults = msgspec.to_builtins(Settings())
        listeners = self._entries("listener", list(defaults["listener"]))
        given = {f"listener[{number}].bind": entry.get("bind") for number, entry in enumerate(listeners)}
        given["admin.bind"] = self._section("admin").get("bind")
        binds = {key: bind for key, bind in given.items() if isinstance(bind, str)}
        for (first_key, first), (key, bind) in combinations(binds.items(), 2):
            if overlap(parse_address(first), parse_address(bind)):
                self._refuse(key, f"{toml_value(bind)} overlaps {first_key}, {toml_value(first)}")
        url = self._section("upstream").get("url", defaults["upstream"]["url"])
        for key, bind in binds.items():
            if isinstance(url, str) and leads_to(parse_upstream(url), parse_address(bind)):
                self._refuse(key, f"{toml_value(bind)} is upstream.url too: the proxy would talk to itself")

    def compare_rules(self) -> None:
        """Names are unique, and content_type stands only where it means something."""
        owners: dict[str, str] = {}
        for number, rule in enumerate(self._entries("rule", [])):
            here = f"rule[{number}]"
            name = rule.get("name", rule.get("keys"))
            if isinstance(name, str) and (owner := owners.setdefault(name, here)) != here:
                reason = f"{toml_value(name)} is the name of {owner} already (unless given, it is the keys)"
                self._refuse(f"{here}.name", reason)
            if "content_type" in rule and rule.get("as", "value") not in ("view", _INVALID):
                self._refuse(f"{here}.content_type", 'may be set only where as = "view"')

    def compare_upstream(self) -> None:
        """Certificates have keys, and a user has a password."""
        upstream = self._section("upstream")
        url = upstream.get("url", Upstream().url)
        if isinstance(url, str):
            for key, reason in pairs.upstream_faults(upstream, url):
                self._refuse(f"upstream.{key}", reason)

    def compare_listeners(self) -> None:
        """Certificates have keys; and a proxy that logs in to Redis by itself lets in only who may."""
        upstream = self._section("upstream")
        for number, listener in enumerate(self._entries("listener", [{"bind": Settings().listener[0].bind}])):
            for key, reason in pairs.listener_faults(listener):
                self._refuse(f"listener[{number}].{key}", reason)
            if pairs.holds_credentials(upstream) and not pairs.is_guarded(listener):
                reason = (
                    "needs a password or password_file, or to be a unix socket: the proxy logs in to Redis by itself "
                    "(upstream.password), so that everyone who reaches this port would be in"
                )
                self._refuse(f"listener[{number}].bind", reason)

    def _refuse(self, key: str, reason: str) -> None:
        owner = key.rpartition(".")[0]
        source = self._sources.get(key) or self._sources.get(owner) or "default"
        self.errors.append(f"{source}: {key}: {reason}")

    def _entries(self, section: str, default: list[Table]) -> list[Table]:
        entries = self.tables.get(section, default)
        if not isinstance(entries, list):
            return []
        return [entry if isinstance(entry, dict) else {} for entry in entries]

    def _section(self, section: str) -> Table:
        table = self.tables.get(section)
        return table if isinstance(table, dict) else {}

    def _set(self, source: str, twin: tuple[str, shape.Field], text: str) -> None:
        section, field = twin
        table = self.tables[section] = self._section(section)
        key = f"{section}.{field.encode_name}"
        table[field.encode_name] = self._value(source, key, from_text(text, field.type), field.type)

    def _listen(self, number: int, text: str) -> Table:
        key = f"listener[{number}].bind"
        self._sources[key] = "--listen"
        try:
            listener = parse_listen(text)
        except ValueError as error:
            self._refuse(key, f"{error}, got {shown(text)}")
            return {}
        return {"bind": listener.bind, "payload": listener.payload}

    def _value(self, source: str, key: str, value: Any, kind: shape.Type) -> Any:
        """The value as it is to be kept, or _INVALID once the reason has been noted."""
        self._sources[key] = source
        match kind:
            case shape.StructType(fields=fields) if isinstance(value, dict):
                return self._table(source, f"{key}.", value, fields)
            case shape.VarTupleType(item_type=item) if isinstance(value, list):
                if value or not isinstance(item, shape.StructType):
                    return [self._value(source, f"{key}[{at}]", one, item) for at, one in enumerate(value)]
        return self._scalar(key, value, scalar(kind))

    def _scalar(self, key: str, value: Any, rule: Scalar) -> Any:
        try:
            if accepts(rule.kind, value):
                return rule.parse(value)
            reason = f"expected {expected(rule.kind)}"
        except ValueError as error:
            reason = str(error)
        self._refuse(
            key, f"{reason}, got {shown(rule.mask(value) if rule.is_secret or isinstance(value, str) else value)}"
        )
        return _INVALID

    def _table(self, source: str, prefix: str, table: Table, fields: Iterable[shape.Field]) -> Table:
        known = {field.encode_name: field for field in fields}
        read: Table = {}
        for key, value in table.items():
            if key in known:
                read[key] = self._value(source, prefix + key, value, known[key].type)
            else:
                self.errors.append(f"{source}: {prefix}{key}: unknown key; {nearest(key, known)}")
        missing = [key for key, field in known.items() if field.required and key not in table]
        self.errors.extend(f"{source}: {prefix}{key}: is required" for key in missing)
        return read
