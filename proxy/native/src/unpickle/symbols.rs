//! Classes and functions by their names: the names that have a meaning, and all others. `proxy/codec/unpickle/names.py`
//! explains the checks. Nothing is ever imported.

use std::collections::HashMap;

use crate::limits::{Failure, Verdict};
use crate::unpickle::node::{Piece, Texts};
use crate::unpickle::python2;

/// The characters of a module and a name, the dot included.
const MAX_NAME: usize = 512;
/// The first protocol whose names are Python 3's.
const FIRST_OF_PYTHON_3: u8 = 3;

macro_rules! classes {
    ($($class:ident $($text:literal)*,)*) => {
        /// Classes and functions with a meaning of their own.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Class { $($class),* }

        impl Class {
            fn named(text: &str) -> Class {
                const ALL: &[(&str, Class)] = &[$($(($text, Class::$class),)*)*];
                match ALL.iter().find(|(known, _)| *known == text) {
                    Some((_, class)) => *class,
                    None if is_foreign(text) => Class::Foreign,
                    None => Class::Other,
                }
            }
        }
    };
}

classes! {
    // Those with a call of their own come first: `is_made_by_calls`.
    Encode "_codecs.encode",
    Bytes "builtins.bytes",
    ByteArray "builtins.bytearray",
    Complex "builtins.complex",
    Set "builtins.set",
    FrozenSet "builtins.frozenset",
    Str "builtins.str",
    Int "builtins.int",
    Float "builtins.float",
    Bool "builtins.bool",
    List "builtins.list",
    Tuple "builtins.tuple",
    Dict "builtins.dict",
    GetAttr "builtins.getattr",
    Counter "collections.Counter",
    OrderedDict "collections.OrderedDict",
    DefaultDict "collections.defaultdict",
    Deque "collections.deque",
    Reconstructor "copyreg._reconstructor",
    DateTime "datetime.datetime",
    Date "datetime.date",
    Time "datetime.time",
    TimeDelta "datetime.timedelta",
    TimeZone "datetime.timezone",
    Decimal "decimal.Decimal",
    PytzUtc "pytz._UTC",
    PytzNamed "pytz._p",
    PytzOffset "pytz.FixedOffset",
    Markup "markupsafe.Markup",
    NoneType "builtins.NoneType",
    // All others can be objects.
    Uuid "uuid.UUID",
    Object "builtins.object",
    Response "flask.wrappers.Response" "werkzeug.wrappers.response.Response" "werkzeug.wrappers.Response"
        "flask_caching.CachedResponse",
    Headers "werkzeug.datastructures.Headers" "werkzeug.datastructures.headers.Headers",
    TzUtc "dateutil.tz.tz.tzutc" "dateutil.tz.tzutc",
    TzOffset "dateutil.tz.tz.tzoffset" "dateutil.tz.tzoffset",
    TzFile "dateutil.tz.tz.tzfile" "dateutil.tz.tzfile" "dateutil.tz._tzfile._unpickle" "dateutil.zoneinfo.gettz",
    OffsetInMinutes "psycopg2.tz.FixedOffsetTimezone" "bson.tz_util.FixedOffset",
    OffsetInSeconds "pendulum.tz.timezone.FixedTimezone",
    PendulumZone "pendulum.tz.timezone.Timezone",
    Arrow "arrow.arrow.Arrow",
    ObjectId "bson.objectid.ObjectId",
    InstrumentedArray "sqlalchemy.orm.collections.InstrumentedList" "sqlalchemy.orm.collections.InstrumentedSet",
    InstrumentedDict "sqlalchemy.orm.collections.InstrumentedDict",
    NumpyDtype "numpy.dtype",
    NumpyScalar "numpy.core.multiarray.scalar" "numpy._core.multiarray.scalar",
    NumpyReconstruct "numpy.core.multiarray._reconstruct" "numpy._core.multiarray._reconstruct",
    NumpyBuffer "numpy.core.numeric._frombuffer" "numpy._core.numeric._frombuffer",
    ArrowArray "pyarrow.lib._restore_array",
    ArrowChunked "pyarrow.lib.chunked_array",
    ArrowBuffer "pyarrow.lib.py_buffer",
    ArrowAlias "pyarrow.lib.type_for_alias",
    ArrowTimestamp "pyarrow.lib.timestamp",
    PandasTimestamp "pandas._libs.tslibs.timestamps._unpickle_timestamp" "pandas._libs.tslibs.timestamps.Timestamp",
    PandasNat "pandas._libs.tslibs.nattype._nat_unpickle" "pandas._libs.tslibs.nattype.__nat_unpickle",
    PandasTimedelta "pandas._libs.tslibs.timedeltas._timedelta_unpickle" "pandas._libs.tslibs.timedeltas.Timedelta"
        "pandas.Timedelta",
    // The reference knows what to show of these.
    Foreign "fractions.Fraction" "ipaddress.IPv4Address" "ipaddress.IPv6Address"
        "pendulum.datetime.DateTime" "pendulum.pendulum.Pendulum" "numpy.ma.core._mareconstruct"
        "pandas._libs.interval.Interval" "pandas.Interval" "pandas._libs.tslibs.period.Period" "pandas.Period",
    Other,
}

/// True for the classes of pathlib.
fn is_foreign(text: &str) -> bool {
    const MODULES: [&str; 3] = ["pathlib", "pathlib._local", "pathlib2"];
    match text.rsplit_once('.') {
        Some((module, name)) => MODULES.contains(&module) && name.ends_with("Path"),
        None => false,
    }
}

impl Class {
    /// True if no pickler makes an object of it by NEWOBJ.
    pub fn is_made_by_calls(self) -> bool {
        self as u8 <= Class::NoneType as u8
    }

    /// The name of a factory of a defaultdict that can be written back.
    pub fn factory(self) -> Option<&'static str> {
        Some(match self {
            Class::Set => "set",
            Class::FrozenSet => "frozenset",
            Class::Str => "str",
            Class::Int => "int",
            Class::Float => "float",
            Class::Bool => "bool",
            Class::List => "list",
            Class::Tuple => "tuple",
            Class::Dict => "dict",
            _ => return None,
        })
    }

    /// True if BUILD copies the state of its objects.
    pub fn copies_state(self) -> bool {
        matches!(self, Class::Response | Class::Headers | Class::Uuid)
    }
}

/// A class or function by its name.
#[derive(Debug)]
pub struct Symbol {
    /// As in an import.
    pub text: Box<str>,
    /// The size of its module.
    module: usize,
    pub class: Class,
}

impl Symbol {
    /// The symbol of a name of Python 3. The reference makes the error of a bad name, and reads one that is not ASCII.
    pub fn checked(module: &str, name: &str) -> Verdict<Self> {
        let is_name = |part: &str| !part.is_empty() && part.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        if module.len() + 1 + name.len() > MAX_NAME || !is_name(module) || !is_name(name) {
            return Err(Failure::NotHandled);
        }
        let text = [module, ".", name].concat();
        Ok(Symbol { class: Class::named(&text), module: module.len(), text: text.into_boxed_str() })
    }

    /// The symbol of an attribute: a nested class or a method.
    pub fn attribute(&self, name: &str) -> Verdict<Self> {
        Symbol::checked(self.module(), &[self.name(), ".", name].concat())
    }

    pub fn module(&self) -> &str {
        &self.text[..self.module]
    }

    pub fn name(&self) -> &str {
        &self.text[self.module + 1..]
    }

    /// The part of the name after its last dot.
    pub fn last_name(&self) -> &str {
        match self.name().rsplit_once('.') {
            Some((_, last)) => last,
            None => self.name(),
        }
    }

    /// True if the last part of the name begins like a function, by Python's style.
    pub fn is_lower(&self) -> bool {
        matches!(self.last_name().bytes().next(), Some(b'_' | b'a'..=b'z'))
    }
}

/// So many names are free of cost, and compared one by one.
pub const FEW_NAMES: usize = 64;

/// A module and a name in it.
type Name = (Box<[u8]>, Box<[u8]>);

/// The names that a pickle has used: module, name, and the number of the symbol.
#[derive(Default)]
pub struct Names {
    few: Vec<(Piece, Piece, u32)>,
    many: HashMap<Name, u32>,
}

impl Names {
    pub fn len(&self) -> usize {
        self.few.len() + self.many.len()
    }

    /// Forget all: names may have another meaning in another protocol.
    pub fn clear(&mut self) {
        self.few.clear();
        self.many.clear();
    }

    /// The number of the symbol of a name.
    pub fn find(&self, texts: &Texts, module: Piece, name: Piece) -> Option<u32> {
        let same = |one: Piece, other: Piece| one == other || texts.bytes(one) == texts.bytes(other);
        let found = self.few.iter().find(|(of, called, _)| same(*called, name) && same(*of, module));
        match found {
            Some((_, _, symbol)) => Some(*symbol),
            None if self.many.is_empty() => None,
            None => self.many.get(&(texts.bytes(module).into(), texts.bytes(name).into())).copied(),
        }
    }

    pub fn add(&mut self, texts: &Texts, module: Piece, name: Piece, symbol: u32) {
        if self.few.len() < FEW_NAMES {
            self.few.push((module, name, symbol));
        } else {
            self.many.insert((texts.bytes(module).into(), texts.bytes(name).into()), symbol);
        }
    }
}

/// The symbol of a name in a pickle of this protocol.
pub fn symbol(module: &str, name: &str, protocol: u8) -> Verdict<Symbol> {
    if protocol >= FIRST_OF_PYTHON_3 {
        return Symbol::checked(module, name);
    }
    let (module, name) = python2::mapped(module, name);
    Symbol::checked(module, name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(module: &str, name: &str, protocol: u8) -> Class {
        symbol(module, name, protocol).unwrap().class
    }

    #[test]
    fn names_of_python_2_are_mapped() {
        assert_eq!(class("__builtin__", "unicode", 2), Class::Str);
        assert_eq!(class("__builtin__", "unicode", 3), Class::Other);
        assert_eq!(&*symbol("exceptions", "KeyError", 0).unwrap().text, "builtins.KeyError");
        assert_eq!(&*symbol("copy_reg", "f", 1).unwrap().text, "copyreg.f");
    }

    #[test]
    fn a_class_is_known_by_its_whole_name() {
        assert_eq!(class("flask", "wrappers.Response", 4), Class::Response);
        assert_eq!(class("pathlib", "PosixPath", 4), Class::Foreign);
        assert_eq!(class("pandas", "Interval", 4), Class::Foreign);
        assert_eq!(class("pandas.core.frame", "DataFrame", 4), Class::Other);
        let nested = symbol("shop", "Order", 4).unwrap().attribute("Line").unwrap();
        assert_eq!((&*nested.text, nested.name(), nested.last_name()), ("shop.Order.Line", "Order.Line", "Line"));
    }

    #[test]
    fn bad_names_are_left_to_the_reference() {
        for (module, name) in [("", "a"), ("a", ""), ("a\n", "b"), ("a", "\u{e9}"), ("a", &"b".repeat(511))] {
            assert!(Symbol::checked(module, name).is_err());
        }
        assert!(Symbol::checked("a", &"b".repeat(510)).is_ok());
    }

    #[test]
    fn factories_are_those_that_are_written_back() {
        for name in ["list", "dict", "set", "int", "float", "str", "bool", "tuple", "frozenset"] {
            assert_eq!(class("builtins", name, 4).factory(), Some(name));
        }
        assert_eq!(class("builtins", "bytes", 4).factory().or(class("collections", "Counter", 4).factory()), None);
    }
}
