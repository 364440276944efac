"""Follows a pickle's stack as far as names need it. Nothing is loaded.

`pickle_names` has the effect of each instruction.
"""

import codecs
import io
import pickletools
from collections.abc import Callable, Iterator, Mapping
from typing import IO, Any, Final, NamedTuple, TypeAlias

from proxy.inspection.suspicion import INTERNALS, is_internal, mapped, suspicion

MOST_NAME: Final = 512
"""Characters of a name with its module. A longer one ends the reading, as in the codec."""

_MOST_NAMES: Final = 10_000
"""Different names of one pickle. No app has so many classes."""

_PARTS: Final = 3
"""Parts of a tuple that are kept: `getattr` takes two."""

_MOST_NESTED: Final = 3
"""Levels of pickles in the bytes of pickles."""

PROTO: Final = 0x80
"""The opcode that begins a pickle, from protocol 2 on."""

_MOST_PROTOCOL: Final = 5
_FIRST_OF_PYTHON_3: Final = 3
"""The protocol. CPython maps the names in an older pickle."""

DJANGO_MODEL: Final = "django.db.models.base.model_unpickle"
"""The function that finds a model's class by its names."""

_GETATTR: Final = "builtins.getattr"
_PARTIAL: Final = "functools.partial"
_WRAPPERS: Final = ("copyreg._reconstructor", "copyreg.__newobj__", "copyreg.__newobj_ex__")

Step: TypeAlias = "Callable[[Reader, Any], None]"
"""Carries out one instruction, given its argument as pickletools reads it."""


class Name(NamedTuple):
    """A class or function, as the names of Python 3 say."""

    module: str
    name: str

    @property
    def text(self) -> str:
        """With a dot."""
        return f"{self.module}.{self.name}"


class Made(NamedTuple):
    """The result of a call."""

    by: str
    is_method: bool = False
    """It is an attribute of an object."""


class Several(NamedTuple):
    """A tuple: its first parts, and the number of all."""

    parts: tuple[Any, ...]
    size: int


OTHER: Final[Any] = None
"""An object that no name can be made of."""


class UnreadableError(Exception):
    """The pickle cannot be read further. `str()` gives the reason."""


def _old_string(file: IO[bytes]) -> str:
    """The argument of STRING. Python 2 writes any bytes so, which pickletools takes for ASCII."""
    raw: bytes = codecs.escape_decode(pickletools.read_stringnl(file, decode=False))[0]
    return raw.decode("latin-1")


_OPCODES: Final[dict[bytes, tuple[str, Callable[[IO[bytes]], Any] | None]]] = {
    opcode.code.encode("latin-1"): (opcode.name, None if opcode.arg is None else opcode.arg.reader)
    for opcode in pickletools.opcodes
} | {b"S": ("STRING", _old_string)}
"""The name, and the function that reads the argument from a file."""


def several(items: list[Any]) -> Several:
    """The tuple of some items. Of the tuples in it only those of texts are kept, so that it is never deep."""
    return Several(tuple(item if _is_flat(item) else OTHER for item in items[:_PARTS]), len(items))


def _is_flat(item: Any) -> bool:
    return not isinstance(item, Several) or all(type(part) is str for part in item.parts)


class Reader:
    """The state of a reading. Pickles in bytes share the counts and the budget."""

    def __init__(self, budget: int, steps: Mapping[str, Step]) -> None:
        """`budget`: the number of instructions. `steps`: by pickletools' name of the opcode."""
        self._budget = budget
        self._steps = steps
        self.counts: dict[str, list[int]] = {}
        """Calls and mentions, by dotted name."""
        self.findings: dict[str, str] = {}
        self.fault = ""
        self.protocol = 0
        """As the last PROTO says."""
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        self._nested: list[bytes] = []

    def read(self, data: bytes, level: int = 0) -> None:
        """Read a pickle, and then those that its bytes hold."""
        self.stack, self.marks, self.memo, self.protocol = [], [], {}, 0
        try:
            for opcode, argument in self._instructions(data):
                self._steps[opcode](self, argument)
        except UnreadableError as stop:
            if level == 0 or self._budget < 0:
                self.fault = self.fault or str(stop)
        nested, self._nested = self._nested, []
        if level < _MOST_NESTED:
            for inner in nested:
                self.read(inner, level + 1)

    def _instructions(self, data: bytes) -> Iterator[tuple[str, Any]]:
        file = io.BytesIO(data)
        try:
            while True:
                self._budget -= 1
                if self._budget < 0:
                    raise UnreadableError("it has too many instructions ([limits] nodes)")
                name, read = _OPCODES[file.read(1)]
                yield name, None if read is None else read(file)
                if name == "STOP":
                    return
        except (KeyError, ValueError, OverflowError):
            raise UnreadableError("corrupt pickle: an unknown or truncated instruction") from None

    # -- stack -----------------------------------------------------------------------------------------

    def pop(self) -> Any:
        """Take the topmost object."""
        if len(self.stack) <= (self.marks[-1] if self.marks else 0):
            raise UnreadableError("corrupt pickle: stack underflow")
        return self.stack.pop()

    def pop_mark(self) -> list[Any]:
        """Take the objects above the last mark, and the mark."""
        if not self.marks:
            raise UnreadableError("corrupt pickle: no mark")
        mark = self.marks.pop()
        items = self.stack[mark:]
        del self.stack[mark:]
        return items

    # -- names -----------------------------------------------------------------------------------------

    def find(self, what: str, reason: str) -> None:
        """Remember something that no cache library stores."""
        if len(self.findings) < _MOST_NAMES:
            self.findings.setdefault(what, reason)

    def imported(self, module: str, name: str) -> Name:
        """The name of an import, as CPython maps it. It is counted and judged."""
        if self.protocol < _FIRST_OF_PYTHON_3:
            module, name = mapped(module, name)
        return self._mentioned(Name(module, name))

    def _mentioned(self, name: Name) -> Name:
        """Count a name and judge it. `getattr` is judged by its arguments."""
        self._check(name)
        self._count(name, calls=0)
        if name.text != _GETATTR and (reason := suspicion(*name)) is not None:
            self.find(name.text, reason)
        return name

    def call(self, function: Any, arguments: Any) -> Any:
        """Count a call. Gives the stand-in for its result."""
        if not isinstance(function, Name):
            return self._call_result(function)
        if function.text == _GETATTR:
            return self._attribute(arguments)
        parts, size = arguments if isinstance(arguments, Several) else ((), 0)
        if function.text == "builtins.type" and size != 1:  # type(None) is how None's class is pickled
            self.find(function.text, "makes a class")
        function = _class_of(function, parts)
        self._check(function)
        self._count(function, calls=1)
        holds_method = any(isinstance(part, Made) and part.is_method for part in parts)
        return Made(function.text, is_method=holds_method and function.text == _PARTIAL)

    def write_to(self, target: Any) -> None:
        """Judge a state or items: of a class or function they would change it for the whole process."""
        if isinstance(target, Name):
            self.find(target.text, "changes a class, a function or an object of a module")

    def remember(self, raw: bytes) -> None:
        """Bytes that look like a pickle are read later: an app may load them."""
        if len(raw) > 2 and raw[0] == PROTO and raw[1] <= _MOST_PROTOCOL:
            self._nested.append(bytes(raw))

    def _check(self, name: Name) -> None:
        """Raise UnreadableError for a name that no class has."""
        if len(name.module) + len(name.name) >= MOST_NAME:
            raise UnreadableError(f"a class with a name of more than {MOST_NAME} characters")
        if not name.text.isprintable():
            raise UnreadableError("a class with a name that is no name")

    def _count(self, name: Name, calls: int) -> None:
        counts = self.counts.get(name.text)
        if counts is None:
            if len(self.counts) >= _MOST_NAMES:
                raise UnreadableError(f"it has more than {_MOST_NAMES} names")
            counts = self.counts[name.text] = [0, 0]
        counts[0] += calls
        counts[1] += 1 - calls

    def _attribute(self, arguments: Any) -> Any:
        """getattr(owner, name): of a class, protocol 2 names a class in it or a method."""
        given = arguments.parts if isinstance(arguments, Several) else ()
        owner, name, *_ = (*given, OTHER, OTHER)
        if type(name) is not str:
            self.find(_GETATTR, "takes an attribute with a computed name")
            return Made(_GETATTR, is_method=True)
        if isinstance(owner, Name):
            return self._mentioned(Name(owner.module, f"{owner.name}.{name}"))
        if is_internal(name):
            self.find(f"{_GETATTR} of {name}", INTERNALS)
        return Made(_GETATTR, is_method=True)

    def _call_result(self, function: Any) -> Made:
        if not isinstance(function, Made):
            raise UnreadableError("corrupt pickle: a call of what is no function")
        if function.is_method:
            self.find(function.by, "calls a method of an object")
        return function


def _class_of(function: Name, parts: tuple[Any, ...]) -> Name:
    """The class whose object a function of `copyreg` or Django makes."""
    first = parts[0] if parts else OTHER
    if function.text in _WRAPPERS and isinstance(first, Name):
        return first
    if function.text == DJANGO_MODEL and isinstance(first, Several) and first.size == 2 and len(first.parts) == 2:
        return Name(*first.parts)  # the name of the app, and that of the model
    return function
