"""Judges the names that a pickle may import: which of them no cache library stores. Pure.

Unpickling imports the module of a name, and that alone runs its code. So a name counts even if nothing calls it.

The standard library is a closed set. Its names are findings unless they are data: classes of `_DATA_MODULES`, the
names of `_DATA_NAMES`, and exceptions. Of the libraries that Flask apps use, classes and private functions make
values, and public functions do not. An app's own names and those of other packages cannot all be known. They are
findings only if they belong to a package that runs code, end in a function that does, or reach for Python's internals.
"""

import re
import sys
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING  # tables of the standard library, no code
from typing import Final

_STANDARD: Final = sys.stdlib_module_names | {
    *("asynchat", "asyncore", "distutils", "imp", "smtpd"),  # until Python 3.11
    *("aifc", "audioop", "cgi", "cgitb", "chunk", "crypt", "imghdr", "lib2to3", "mailcap", "msilib", "nis"),
    *("nntplib", "ossaudiodev", "pipes", "sndhdr", "spwd", "sunau", "telnetlib", "uu", "xdrlib"),  # until 3.12
    *("ihooks", "imputil", "popen2", "rexec"),  # of Python 2
}
"""Top-level modules of the standard library, also of older versions of Python: the app's may be older."""

_DATA_MODULES: Final = frozenset(
    {
        *("collections", "collections.abc", "dataclasses", "datetime", "_pydatetime", "decimal", "_pydecimal"),
        *("enum", "fractions", "http", "http.cookies", "ipaddress", "numbers", "pathlib", "pathlib._local", "typing"),
        *("urllib.parse", "uuid", "zoneinfo"),
    }
)
"""Modules whose classes hold data. A class begins with an upper-case letter; other names of them are not covered."""

_BUILTINS: Final = frozenset(
    {
        *("BaseException", "BaseExceptionGroup", "Ellipsis", "ExceptionGroup", "GeneratorExit", "KeyboardInterrupt"),
        *("NoneType", "NotImplemented", "StopAsyncIteration", "StopIteration", "SystemExit"),
        *("bool", "bytearray", "bytes", "complex", "dict", "float", "frozenset", "int", "list", "object", "range"),
        *("set", "slice", "str", "tuple", "type", "enumerate", "iter", "reversed", "zip"),
        *("abs", "all", "any", "bin", "chr", "hash", "hex", "len", "max", "min", "oct", "ord", "repr", "round"),
        *("sorted", "sum"),
    }
)

_DATA_NAMES: Final = frozenset(f"builtins.{name}" for name in _BUILTINS) | {
    *("_codecs.encode", "copyreg._reconstructor", "copyreg.__newobj__", "copyreg.__newobj_ex__"),
    *("collections.defaultdict", "collections.deque", "datetime.date", "datetime.datetime", "datetime.time"),
    *("datetime.timedelta", "datetime.timezone", "datetime.tzinfo", "zoneinfo.ZoneInfo._unpickle"),
    *("array.array", "array._array_reconstructor", "functools.partial", "re._compile", "random.Random"),
    *("_io.BytesIO", "_io.StringIO", "io.BytesIO", "io.StringIO", "time.struct_time", "os.stat_result"),
    *("types.GenericAlias", "types.MappingProxyType", "types.NoneType", "types.SimpleNamespace", "types.UnionType"),
    *("email.message.EmailMessage", "email.message.Message", "http.cookiejar.Cookie", "statistics.NormalDist"),
    *("string.Template", "xml.etree.ElementTree.Element", "calendar.Day", "calendar.Month", "signal.Signals"),
    *("http.cookiejar.DefaultCookiePolicy", "logging.LogRecord"),
}
"""Whole names, each of a class or of the function that makes its objects."""

_DANGEROUS_PACKAGES: Final = frozenset(
    {
        *("IPython", "_distutils_hack", "cloudpickle", "dill", "fabric", "invoke", "jinja2", "joblib", "jsonpickle"),
        *("nt", "paramiko", "pexpect", "pip", "pkg_resources", "plumbum", "ptyprocess", "setuptools", "sh", "six"),
    }
)
"""Packages outside the standard library that run programs or code, or load pickles."""

_LIBRARIES: Final = frozenset(
    {
        *("aiohttp", "boto3", "botocore", "cachelib", "celery", "click", "django", "flask", "flask_caching", "httpx"),
        *("lxml", "numpy", "pandas", "redis", "requests", "sqlalchemy", "urllib3", "werkzeug", "yaml"),
    }
)
"""Packages whose public functions write files, open connections, import modules and more."""

_LIBRARY_DATA: Final = frozenset(
    {
        *("immutabledict", "model_unpickle", "quoted_name", "rowproxy_reconstructor", "symbol"),
        *("dtype", "longdouble", "matrix", "ndarray", "recarray", "record", "scalar", "void"),
        *("double", "half", "single", "byte", "ubyte", "short", "ushort", "intc", "uintc", "longlong", "ulonglong"),
    }
)
"""Their classes and functions in lower case that values are made of: of SQLAlchemy and Django, then of numpy."""

_NUMPY_TYPE: Final = re.compile(r"(?:u?int|float|complex|bool|str|bytes|object|datetime|timedelta)(?:[0-9]+|_)?")

_DANGEROUS_FUNCTIONS: Final = frozenset(
    {
        *("__import__", "breakpoint", "eval", "exec", "execfile", "getoutput", "getstatusoutput", "import_module"),
        *("import_string", "memmap", "popen", "read_pickle", "run_module", "run_path", "runstring", "system"),
    }
)
"""Functions that are a finding in every module, because modules pass on what they import."""

_DANGEROUS_MODULES: Final = frozenset(
    {
        *("builtins", "code", "codeop", "commands", "ctypes", "imp", "importlib", "io", "marshal", "multiprocessing"),
        *("operator", "os", "pdb", "pickle", "posix", "pty", "runpy", "shutil", "socket", "subprocess", "sys"),
    }
)
"""Modules that are a finding as an attribute of any other module: `flask.helpers` and `os`."""

_CLASS: Final = re.compile(r"[A-Z]\w*(?:\.[A-Z]\w*)*")
_EXCEPTION: Final = re.compile(r"[A-Z]\w*(?:Error|Exception|Warning)")
_INTERNAL: Final = re.compile(r"__\w+__")
_MAKERS: Final = re.compile(r"[\w.]+\.__new__")
"""Protocols 2 and 3 name `__new__` of a class whose objects take keyword arguments."""

_DENIED: Final = {
    "builtins.getattr": "takes any attribute of any object",
    "ctypes.WinError": "calls a function of the system",
}

INTERNALS: Final = "reaches for Python's internals"


def mapped(module: str, name: str) -> tuple[str, str]:
    """The module and name of Python 3 for those of Python 2. Others stay."""
    if (module, name) in NAME_MAPPING:
        return NAME_MAPPING[module, name]
    return IMPORT_MAPPING.get(module, module), name


def suspicion(module: str, name: str) -> str | None:
    """Why no cache library stores this name, in a few words. None: nothing speaks against it.

    `module`, `name`: those of Python 3, see `mapped`. `name` may have dots.
    """
    full = f"{module}.{name}"
    if full in _DATA_NAMES:
        return None
    if full in _DENIED:
        return _DENIED[full]
    first, *others = name.split(".")
    package = module.partition(".")[0]
    if package in _STANDARD:
        return None if _is_data(module, name) else "not data of the standard library"
    if package in _DANGEROUS_PACKAGES:
        return f"the package {package} runs code"
    if _passes_on(first, others):
        return f"the module {first} of Python, by way of another"
    if any(_INTERNAL.fullmatch(part) for part in (first, *others)) and not _MAKERS.fullmatch(full):
        return INTERNALS
    last = name.rpartition(".")[2]
    if last in _DANGEROUS_FUNCTIONS:
        return "a function that runs code"
    return f"a public function of {package}" if package in _LIBRARIES and _is_function(last) else None


def is_internal(attribute: str) -> bool:
    """Whether an attribute's name is one of Python's internals, such as `__globals__`."""
    return any(_INTERNAL.fullmatch(part) for part in attribute.split("."))


def _is_data(module: str, name: str) -> bool:
    if _EXCEPTION.fullmatch(name):
        return True
    if module in _DATA_MODULES and _CLASS.fullmatch(name):
        return True
    return name.endswith(".__new__") and f"{module}.{name.removesuffix('.__new__')}" in _DATA_NAMES


def _is_function(name: str) -> bool:
    """Whether a library's name is that of a function which makes no values."""
    return name[:1].islower() and name not in _LIBRARY_DATA and not _NUMPY_TYPE.fullmatch(name)


def _passes_on(first: str, others: list[str]) -> bool:
    """Whether a name goes through a module of the standard library that is not its own."""
    return first in _DANGEROUS_MODULES or (bool(others) and first in _STANDARD)
