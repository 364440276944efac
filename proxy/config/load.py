"""Reads file, environment and flags into Settings, or reports all their errors at once.

Each source is read into plain tables. Each value is checked against its type in `settings`. A later source replaces the
values of an earlier one. Checks that need two values (overlaps, duplicates) run on the result.
"""

import tomllib
from collections.abc import Iterable, Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct
from msgspec import inspect as shape

from proxy.config import cross_checks, prefixes
from proxy.config.address import leads_to, overlap, parse_listener, parse_upstream
from proxy.config.settings import Listener, Settings, Upstream, parse_listen
from proxy.config.values import (
    Scalar,
    accepts,
    expected,
    fields_of,
    from_text,
    meant,
    nearest,
    scalar,
    shown,
    toml_value,
)

ENVIRONMENT_PREFIX = "FLASK_CACHE_PROXY_"

_LISTEN_VARIABLE = "FLASK_CACHE_PROXY_LISTEN"  # as --listen; commas separate several listeners
_SECRETS = {
    "FLASK_CACHE_PROXY_LISTENER_PASSWORD": "password",
    "FLASK_CACHE_PROXY_LISTENER_PASSWORD_FILE": "password_file",
}  # for all listeners of --listen and of the variable
_FLAG_TWINS = {"upstream": "UPSTREAM_URL", "log_level": "LOG_LEVEL", "log_format": "LOG_FORMAT"}
_LIST_TWINS = {("admin", "hosts")}  # arrays that have a variable too, with commas between the entries
_INVALID = object()  # marks a refused value, so that no default replaces it

Table = dict[str, Any]


class ConfigError(Exception):
    """The configuration cannot be used. `errors` has every reason, each with its source and key."""

    def __init__(self, errors: Iterable[str]) -> None:
        self.errors = tuple(errors)
        super().__init__("\n".join(self.errors))


class Flags(Struct, frozen=True, kw_only=True):
    """Settings from the command line. None: the flag is not given."""

    listen: tuple[str, ...] = ()
    prefix: tuple[str, ...] = ()
    upstream: str | None = None
    log_level: str | None = None
    log_format: str | None = None
    defaults: tuple[str, ...] = ()
    """Other defaults, each as SECTION.KEY=VALUE. File, environment and the other flags override them."""


def load(file: Path | None, environ: Mapping[str, str], flags: Flags, *, serves: bool = True) -> Settings:
    """The effective settings: flags override the environment, which overrides the file. Raises ConfigError.

    `serves`: False for commands that need only rules and Redis. Listeners are then not checked.
    """
    draft = _Draft()
    if file is not None:
        draft.read_file(file)
    draft.read_defaults(flags.defaults)
    draft.read_environment(environ)
    draft.read_flags(flags)
    if serves:
        draft.read_listener_password(environ)
        draft.compare_binds()
    draft.compare_rules()
    draft.compare_upstream()
    if serves:
        draft.compare_listeners()
    if draft.errors:
        raise ConfigError(draft.errors)
    return msgspec.convert(draft.tables, Settings)


def environment_twins() -> dict[str, tuple[str, shape.Field]]:
    """The environment variables that `load` reads, each with its section and field."""
    return {
        f"{ENVIRONMENT_PREFIX}{section.name}_{field.name}".upper(): (section.name, field)
        for section in fields_of(Settings)
        if isinstance(section.type, shape.StructType)
        for field in section.type.fields
        if not isinstance(field.type, shape.VarTupleType) or (section.name, field.name) in _LIST_TWINS
    }


class _Draft:
    """The tables as in TOML, the source of each value, and the errors."""

    def __init__(self) -> None:
        self.tables: Table = {}
        self.errors: list[str] = []
        self._sources: dict[str, str] = {}  # by the full key, as in "rule[2].keys"
        self._listens_to_texts = False  # the listeners are those of --listen or the variable

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

    def read_defaults(self, texts: Iterable[str]) -> None:
        """Set each SECTION.KEY=VALUE that the file leaves unset."""
        twins = {f"{section}.{field.encode_name}": (section, field) for section, field in environment_twins().values()}
        for text in texts:
            key, separator, value = text.partition("=")
            if key not in twins or not (separator and value):
                reason = "expected KEY=VALUE" if key in twins else f"unknown key; {nearest(key, twins)}"
                self.errors.append(f"--default: {toml_value(key)}: {reason}")
            elif twins[key][1].encode_name not in self._section(twins[key][0]):
                self._set("--default", twins[key], value)

    def read_environment(self, environ: Mapping[str, str]) -> None:
        if text := environ.get(_LISTEN_VARIABLE):
            self._listen_on(_LISTEN_VARIABLE, map(str.strip, text.split(",")))
        if text := environ.get(prefixes.VARIABLE):
            self._manage_in(prefixes.VARIABLE, text)
        for variable, twin in environment_twins().items():
            if text := environ.get(variable):
                self._set(variable, twin, text)

    def read_flags(self, flags: Flags) -> None:
        if flags.listen:
            self._listen_on("--listen", flags.listen)
        if flags.prefix:
            self._manage("--prefix", flags.prefix)
        twins = environment_twins()
        for name, variable in _FLAG_TWINS.items():
            if (text := getattr(flags, name)) is not None:
                self._set(f"--{name.replace('_', '-')}", twins[ENVIRONMENT_PREFIX + variable], text)

    def read_listener_password(self, environ: Mapping[str, str]) -> None:
        """Give the variable's password to the listeners of the flag, of the variable, or to the default one."""
        given = [variable for variable in _SECRETS if environ.get(variable)]
        if len(given) > 1:
            self.errors.append(f"{' and '.join(given)}: are set together; set only one of them")
        elif given and self._has_tables_of_listeners():
            self.errors.append(
                f"{given[0]}: is for the listeners of --listen and {_LISTEN_VARIABLE}; set {_SECRETS[given[0]]} in "
                "each [[listener]] of the file"
            )
        else:
            for variable in given:
                self._give_listeners(_SECRETS[variable], variable, environ[variable])

    def _has_tables_of_listeners(self) -> bool:
        """True if the listeners in effect are those of the file."""
        return "listener" in self.tables and not self._listens_to_texts

    def _give_listeners(self, key: str, variable: str, text: str) -> None:
        (kind,) = (field.type for field in fields_of(Listener) if field.name == key)
        entries = self._entries("listener", [{"bind": Settings().listener[0].bind}])
        self.tables["listener"] = entries
        for number, entry in enumerate(entries):
            entry[key] = self._value(variable, f"listener[{number}].{key}", text, kind)

    def compare_binds(self) -> None:
        """No two addresses of listeners may overlap, and Redis' address must not be one of them."""
        defaults = msgspec.to_builtins(Settings())
        listeners = self._entries("listener", list(defaults["listener"]))
        given = {f"listener[{number}].bind": entry.get("bind") for number, entry in enumerate(listeners)}
        given["admin.bind"] = self._section("admin").get("bind")
        binds = {key: bind for key, bind in given.items() if isinstance(bind, str)}
        for (first_key, first), (key, bind) in combinations(binds.items(), 2):
            if overlap(parse_listener(first), parse_listener(bind)):
                self._refuse(key, f"{toml_value(bind)} overlaps {first_key}, {toml_value(first)}")
        url = self._section("upstream").get("url", defaults["upstream"]["url"])
        for key, bind in binds.items():
            if isinstance(url, str) and leads_to(parse_upstream(url), parse_listener(bind)):
                self._refuse(key, f"{toml_value(bind)} is upstream.url too: the proxy would connect to itself")

    def compare_rules(self) -> None:
        """Names are unique, and no key of a rule contradicts another."""
        owners: dict[str, str] = {}
        for number, rule in enumerate(self._entries("rule", [])):
            here = f"rule[{number}]"
            name = rule.get("name", rule.get("keys"))
            if isinstance(name, str) and (owner := owners.setdefault(name, here)) != here:
                reason = f"{toml_value(name)} is already the name of {owner} (the default name is the keys)"
                self._refuse(f"{here}.name", reason)
            for key, reason in cross_checks.rule_faults(rule):
                self._refuse(f"{here}.{key}", reason)

    def compare_upstream(self) -> None:
        """Certificates have keys, and a user has a password."""
        upstream = self._section("upstream")
        url = upstream.get("url", Upstream().url)
        if isinstance(url, str):
            for key, reason in cross_checks.upstream_faults(upstream, url):
                self._refuse(f"upstream.{key}", reason)

    def compare_listeners(self) -> None:
        """Certificates have keys. If the proxy logs in to Redis itself, every listener limits access."""
        upstream = self._section("upstream")
        secret = "a password or password_file" if self._has_tables_of_listeners() else " or ".join(_SECRETS)
        for number, listener in enumerate(self._entries("listener", [{"bind": Settings().listener[0].bind}])):
            for key, reason in cross_checks.listener_faults(listener, upstream.get("url", Upstream().url)):
                self._refuse(f"listener[{number}].{key}", reason)
            if cross_checks.holds_credentials(upstream) and not cross_checks.is_guarded(listener):
                self._refuse(f"listener[{number}].bind", cross_checks.unguarded(secret))

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

    def _listen_on(self, source: str, texts: Iterable[str]) -> None:
        self._listens_to_texts = True
        self.tables["listener"] = [self._listen(source, number, text) for number, text in enumerate(texts)]

    def _listen(self, source: str, number: int, text: str) -> Table:
        key = f"listener[{number}].bind"
        self._sources[key] = source
        try:
            listener = parse_listen(text)
        except ValueError as error:
            self._refuse(key, f"{error}, got {shown(text)}")
            return {}
        types = {} if listener.types is None else {"types": listener.types}
        return {"bind": listener.bind, "payload": listener.payload, **types}

    def _manage_in(self, variable: str, text: str) -> None:
        """Manage the prefixes in a variable. An empty one would manage every key, by a stray comma."""
        given = list(map(str.strip, text.split(",")))
        if "" in given:
            self.errors.append(
                f'{variable}: has an empty prefix, got {shown(text)}; only --prefix "" manages every key'
            )
        else:
            self._manage(variable, given)

    def _manage(self, source: str, given: Iterable[str]) -> None:
        """Replace the rules by one rule for each prefix."""
        self.tables["rule"] = []
        for number, prefix in enumerate(prefixes.ordered(given)):
            key = f"rule[{number}].keys"
            self._sources[key] = source
            if reason := prefixes.fault(prefix):
                self._refuse(key, f"{reason}, got {shown(prefix)}")
            self.tables["rule"].append({"keys": prefixes.glob_of(prefix)})

    def _value(self, source: str, key: str, value: Any, kind: shape.Type) -> Any:
        """The value to keep, or _INVALID after the reason has been added to the errors."""
        self._sources[key] = source
        match kind:
            case shape.StructType(fields=fields) if isinstance(value, dict):
                return self._table(source, f"{key}.", value, fields)
            case shape.VarTupleType(item_type=item) if isinstance(value, list):
                if value or not isinstance(item, shape.StructType):
                    return [self._value(source, f"{key}[{at}]", one, item) for at, one in enumerate(value)]
            case shape.DictType(key_type=names, value_type=item) if isinstance(value, dict):
                for name in value:
                    self._value(source, f"{key}.{toml_value(name)}", name, names)
                return {
                    name: self._value(source, f"{key}.{toml_value(name)}", one, item) for name, one in value.items()
                }
        return self._scalar(key, value, scalar(kind))

    def _scalar(self, key: str, value: Any, rule: Scalar) -> Any:
        hint = ""
        try:
            if accepts(rule.kind, value):
                return rule.parse(value)
            reason, hint = f"expected {expected(rule.kind)}", meant(value, rule.kind)
        except ValueError as error:
            reason = str(error)
        given = shown(rule.mask(value) if rule.is_secret or isinstance(value, str) else value)
        self._refuse(key, f"{reason}, got {given}{hint}")
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
