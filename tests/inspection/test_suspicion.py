"""Names that no cache library stores, and names that values are made of."""

import sys

import pytest

from proxy.inspection.suspicion import mapped, suspicion


@pytest.mark.parametrize(
    "name",
    [
        *("os.system", "posix.system", "nt.system", "os.popen", "os.environ", "subprocess.Popen", "subprocess.run"),
        *("builtins.eval", "builtins.exec", "builtins.compile", "builtins.open", "builtins.__import__"),
        *("builtins.getattr", "builtins.map", "builtins.globals", "importlib.import_module", "runpy.run_path"),
        *("pickle.loads", "_pickle.loads", "marshal.loads", "shutil.rmtree", "socket.create_connection", "ctypes.CDLL"),
        *("sys.modules", "sys.settrace", "code.InteractiveInterpreter", "timeit.timeit", "pty.spawn", "pdb.run"),
        *("tempfile._TemporaryFileCloser", "types.FunctionType", "types.CodeType", "io.FileIO", "io.open"),
        *("webbrowser.open", "asyncio.create_subprocess_shell", "distutils.spawn.spawn", "logging.FileHandler"),
        *("operator.attrgetter", "operator.itemgetter", "functools.reduce", "urllib.request.urlopen"),
        *("collections._sys", "datetime.sys.modules", "enum.sys", "decimal.Decimal.from_float"),
    ],
)
def test_the_standard_librarys_names_are_findings_unless_they_are_data(name: str) -> None:
    module, _, last = name.rpartition(".")
    if name in ("datetime.sys.modules", "decimal.Decimal.from_float"):
        module, _, last = name.partition(".")
    assert suspicion(module, last) is not None


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("flask.helpers", "os.system"),
        ("flask.helpers", "os"),
        ("shop.views", "sys.modules"),
        ("shop.views", "random._os.system"),
        ("shop.models", "Product.__init__.__globals__"),
        ("shop.models", "Product.__reduce__"),
        ("shop.models", "__builtins__"),
        ("werkzeug.utils", "import_string"),
        ("numpy.testing._private.utils", "runstring"),
        ("pandas", "read_pickle"),
        ("pip", "main"),
        ("cloudpickle.cloudpickle", "_make_function"),
        ("jinja2.environment", "Template"),
        ("six.moves", "getoutput"),
        ("numpy", "savetxt"),
        ("flask.helpers", "send_file"),
        ("flask.app", "Flask.run"),
        ("requests.api", "get"),
        ("sqlalchemy.engine.create", "create_engine"),
    ],
)
def test_other_modules_lead_there_too(module: str, name: str) -> None:
    assert suspicion(module, name) is not None


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("collections", "OrderedDict"),
        ("collections", "defaultdict"),
        ("datetime", "datetime"),
        ("decimal", "Decimal"),
        ("uuid", "UUID"),
        ("zoneinfo", "ZoneInfo._unpickle"),
        ("builtins", "dict"),
        ("builtins", "KeyError"),
        ("subprocess", "CalledProcessError"),
        ("socket", "TimeoutError"),
        ("copyreg", "_reconstructor"),
        ("shop.models", "Product"),
        ("shop.code.models", "Queue.Item"),
        ("shop.models", "Product.__new__"),
        ("__main__", "Basket"),
        ("sqlalchemy.engine.row", "Row"),
        ("numpy._core.multiarray", "_reconstruct"),
        ("flask.wrappers", "Response"),
        ("markupsafe", "Markup"),
        ("numpy", "float64"),
        ("numpy", "bool"),
        ("numpy", "ndarray"),
        ("numpy.random._pickle", "__randomstate_ctor"),
        ("pandas._libs.tslibs.timestamps", "_unpickle_timestamp"),
        ("django.db.models.base", "model_unpickle"),
        ("sqlalchemy.util.langhelpers", "symbol"),
        ("shop.views", "total"),
    ],
)
def test_data_and_the_apps_own_classes_are_none(module: str, name: str) -> None:
    assert suspicion(module, name) is None


@pytest.mark.parametrize("name", ["builtins", "subprocess", "os", "sys", "importlib", "pickle", "posix"])
def test_no_function_of_a_dangerous_module_passes(name: str) -> None:
    module = sys.modules.get(name) or __import__(name)
    functions = [each for each in dir(module) if callable(getattr(module, each)) and each[0].islower()]
    passed = {each for each in functions if suspicion(name, each) is None}
    assert name == "builtins" or passed <= {"stat_result"}
    assert not passed & {"eval", "exec", "compile", "open", "getattr", "setattr", "vars", "input", "breakpoint", "map"}


def test_python_2_has_other_names() -> None:
    assert mapped("__builtin__", "eval") == ("builtins", "eval")
    assert mapped("commands", "getoutput") == ("subprocess", "getoutput")
    assert mapped("__builtin__", "reduce") == ("functools", "reduce")
    assert mapped("shop", "commands") == ("shop", "commands")
