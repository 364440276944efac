//! The few classes and calls that a stored pickle may name, and what each becomes: `proxy/codec/shapes.py`, which says why.
//! Nothing is ever made but nodes.

use crate::dates;
use crate::decimal;
use crate::limits::{undecodable, Failure, Verdict};
use crate::node::{Arena, Dict, Instance, Node, State};
use crate::tags::Tag;

const MAX_DECIMAL_CHARS: usize = 4400;
/// Attributes of an object.
const MAX_STATE: usize = 64;
/// Pieces of a Response's body that cost nothing to speak of.
const FEW: usize = 8;

macro_rules! symbols {
    ($($symbol:ident $module:literal $name:literal,)*) => {
        /// A class or function by its name. It is never imported.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Symbol { $($symbol),* }

        impl Symbol {
            /// As in an import.
            pub fn name(self) -> &'static str {
                match self { $(Symbol::$symbol => concat!($module, ".", $name)),* }
            }

            fn find(module: &[u8], name: &[u8]) -> Option<Symbol> {
                const ALL: &[(&str, &str, Symbol)] = &[$(($module, $name, Symbol::$symbol)),*];
                ALL.iter()
                    .find(|(of, called, _)| called.as_bytes() == name && of.as_bytes() == module)
                    .map(|(_, _, symbol)| *symbol)
            }
        }
    };
}

symbols! {
    Encode "_codecs" "encode",
    Bytes "builtins" "bytes",
    ByteArray "builtins" "bytearray",
    Complex "builtins" "complex",
    Set "builtins" "set",
    FrozenSet "builtins" "frozenset",
    GetAttr "builtins" "getattr",
    Str "builtins" "str",
    Unicode "builtins" "unicode",
    Object "builtins" "object",
    OrderedDict "collections" "OrderedDict",
    Reconstructor "copyreg" "_reconstructor",
    DateTime "datetime" "datetime",
    Date "datetime" "date",
    Time "datetime" "time",
    TimeDelta "datetime" "timedelta",
    TimeZone "datetime" "timezone",
    Decimal "decimal" "Decimal",
    PytzUtc "pytz" "_UTC",
    PytzNamed "pytz" "_p",
    PytzOffset "pytz" "FixedOffset",
    ZoneInfo "zoneinfo" "ZoneInfo",
    ZoneUnpickle "zoneinfo" "ZoneInfo._unpickle",
    Uuid "uuid" "UUID",
    FlaskResponse "flask.wrappers" "Response",
    WerkzeugResponse "werkzeug.wrappers.response" "Response",
    OldWerkzeugResponse "werkzeug.wrappers" "Response",
    CachedResponse "flask_caching" "CachedResponse",
    Headers "werkzeug.datastructures" "Headers",
    Markup "markupsafe" "Markup",
}

impl Symbol {
    fn has_instances(self) -> bool {
        self == Symbol::Uuid || self == Symbol::Headers || self.is_response()
    }

    fn is_response(self) -> bool {
        matches!(
            self,
            Symbol::FlaskResponse | Symbol::WerkzeugResponse | Symbol::OldWerkzeugResponse | Symbol::CachedResponse
        )
    }

    #[cold]
    fn unknown_shape<T>(self) -> Verdict<T> {
        undecodable(&format!("a {} of unknown shape", self.name()))
    }
}

/// The symbol of a known name; any other is undecodable, by name.
pub fn symbol(module: &[u8], name: &[u8]) -> Verdict<Symbol> {
    let known: &[u8] = match module {
        b"__builtin__" => b"builtins",
        b"copy_reg" => b"copyreg",
        b"werkzeug.datastructures.headers" => b"werkzeug.datastructures",
        _ => module,
    };
    match Symbol::find(known, name) {
        // No pickle names the last: it is an attribute.
        Some(symbol) if symbol != Symbol::ZoneUnpickle => Ok(symbol),
        _ => {
            let (module, name) = (String::from_utf8_lossy(module), String::from_utf8_lossy(name));
            unknown_class(module.chars(), name.chars())
        }
    }
}

/// An object of a class that is none of ours.
pub fn unknown_class<T>(module: impl Iterator<Item = char>, name: impl Iterator<Item = char>) -> Verdict<T> {
    undecodable(&format!("an object of class {}.{}", printable(module), printable(name)))
}

fn printable(name: impl Iterator<Item = char>) -> String {
    name.take(100)
        .map(|char| if char.is_ascii_alphanumeric() || char == '_' || char == '.' { char } else { '?' })
        .collect()
}

/// What the call `function(*args)` stands for.
pub fn reduce(arena: &mut Arena, function: Symbol, args: u32) -> Verdict<Node> {
    let args = arena.lists[args as usize].as_slice();
    let mut few = [Node::Unset; 3];
    let count = args.len();
    for (place, arg) in few.iter_mut().zip(args) {
        *place = *arg;
    }
    let made = match (function, count, few) {
        (Symbol::Encode, 2, [text, encoding, _]) => {
            latin1(arena, text, encoding).map(|raw| Node::Bytes(arena.keep(&raw)))
        }
        (Symbol::Bytes, 0, _) => Some(Node::Bytes(arena.keep(b""))),
        (Symbol::ByteArray, 0, _) => Some(Node::ByteArray(arena.keep(b""))),
        (Symbol::ByteArray, 1, [Node::Bytes(raw), ..]) | (Symbol::ByteArray, 2, [Node::Bytes(raw), Node::Null, _]) => {
            Some(Node::ByteArray(raw))
        }
        (Symbol::ByteArray, 2, [text, encoding, _]) => {
            latin1(arena, text, encoding).map(|raw| Node::ByteArray(arena.keep(&raw)))
        }
        (Symbol::Complex, 2, [Node::Float(real), Node::Float(imaginary), _]) => {
            arena.complexes.push((real, imaginary));
            Some(Node::Complex(arena.complexes.len() as u32 - 1))
        }
        (Symbol::Set, 1, [Node::List(items), ..]) => {
            let copy = arena.lists[items as usize].clone(); // the list may grow later
            Some(Node::Set(arena.list(copy)))
        }
        (Symbol::FrozenSet, 1, [Node::List(items), ..]) => {
            let copy = arena.lists[items as usize].clone();
            Some(Node::FrozenSet(arena.list(copy)))
        }
        (Symbol::GetAttr, 2, [Node::Symbol(Symbol::ZoneInfo), name, _]) => {
            is_text(arena, name, b"_unpickle").then_some(Node::Symbol(Symbol::ZoneUnpickle))
        }
        (Symbol::OrderedDict, 0 | 1, [pairs, ..]) => ordered_dict(arena, pairs),
        (Symbol::Reconstructor, 3, [Node::Symbol(class), Node::Symbol(base), state]) => {
            return reconstruct(arena, class, base, state)
        }
        (Symbol::DateTime, 1 | 2, [state, zone, _]) => moment(arena, Tag::DateTime, 10, state, zone),
        (Symbol::Date, 1, [state, ..]) => moment(arena, Tag::Date, 4, state, Node::Unset),
        (Symbol::Time, 1 | 2, [state, zone, _]) => moment(arena, Tag::Time, 6, state, zone),
        (Symbol::TimeDelta, 3, [days, seconds, microseconds]) => match (days, seconds, microseconds) {
            (Node::Int(days), Node::Int(seconds), Node::Int(microseconds)) => {
                dates::timedelta(days, seconds, microseconds).map(delta)
            }
            (Node::Int(_) | Node::Big(_), Node::Int(_) | Node::Big(_), Node::Int(_) | Node::Big(_)) => {
                return Err(Failure::NotHandled); // they may cancel each other
            }
            _ => None,
        },
        (Symbol::TimeZone, 1 | 2, [Node::Delta { days, seconds, microseconds }, name, _]) => {
            let named = matches!(name, Node::Str { .. } | Node::Unset);
            dates::offset(days, seconds, microseconds).filter(|_| named).map(Node::Zone)
        }
        (Symbol::Decimal, 1, [Node::Str { piece, .. }, ..]) => return decimal_of(arena, piece),
        (Symbol::PytzUtc, 0, _) => Some(Node::Zone(0)),
        (Symbol::PytzNamed, _, _) => return undecodable("a datetime in a named zone other than UTC"),
        (Symbol::PytzOffset, 1, [Node::Int(minutes), ..]) => minutes
            .checked_mul(60)
            .and_then(|seconds| dates::timedelta(0, seconds, 0))
            .and_then(|(days, seconds, microseconds)| dates::offset(days, seconds, microseconds))
            .map(Node::Zone),
        (Symbol::ZoneUnpickle, 2, [name, ..]) => {
            const UTC: [&[u8]; 6] = [b"UTC", b"Etc/UTC", b"Zulu", b"Etc/Zulu", b"Universal", b"Etc/Universal"];
            if !UTC.iter().any(|each| is_text(arena, name, each)) {
                return undecodable("a datetime in a named zone other than UTC");
            }
            Some(Node::Zone(0))
        }
        (Symbol::Str | Symbol::Unicode | Symbol::Object | Symbol::ZoneInfo | Symbol::Markup, ..) => {
            return undecodable(&format!("a call of {}", function.name()))
        }
        _ if function.has_instances() => return undecodable(&format!("a call of {}", function.name())),
        _ => None,
    };
    match made {
        Some(node) => Ok(node),
        None => function.unknown_shape(),
    }
}

fn delta((days, seconds, microseconds): (i32, u32, u32)) -> Node {
    Node::Delta { days, seconds, microseconds }
}

fn is_text(arena: &Arena, node: Node, text: &[u8]) -> bool {
    matches!(node, Node::Str { piece, .. } if arena.bytes(piece) == text)
}

/// How protocols 0 to 2 write bytes: a text, one character for each.
fn latin1(arena: &Arena, text: Node, encoding: Node) -> Option<Vec<u8>> {
    if !is_text(arena, encoding, b"latin1") && !is_text(arena, encoding, b"latin-1") {
        return None;
    }
    match text {
        Node::Str { piece, ascii: true } => Some(arena.bytes(piece).to_vec()),
        Node::Str { piece, ascii: false } => std::str::from_utf8(arena.bytes(piece))
            .ok()?
            .chars()
            .map(|char| u8::try_from(u32::from(char)).ok())
            .collect(),
        _ => None,
    }
}

/// Python 2 calls it with a list of [key, value] lists, Python 3 without anything.
fn ordered_dict(arena: &mut Arena, pairs: Node) -> Option<Node> {
    let dict = arena.dict(Dict::default());
    match pairs {
        Node::Unset => {}
        Node::Tuple(items) if arena.lists[items as usize].is_empty() => {}
        Node::List(items) => {
            for at in 0..arena.lists[items as usize].len() {
                let (key, value) = match arena.lists[items as usize][at] {
                    Node::List(pair) => match arena.lists[pair as usize].as_slice() {
                        [key, value] => (*key, *value),
                        _ => return None,
                    },
                    _ => return None,
                };
                arena.set(dict, key, value);
            }
        }
        _ => return None,
    }
    Some(Node::OrderedDict(dict))
}

/// Protocols 0 and 1: copyreg._reconstructor(class, base, state).
fn reconstruct(arena: &mut Arena, class: Symbol, base: Symbol, state: Node) -> Verdict<Node> {
    if class == Symbol::Markup && (base == Symbol::Str || base == Symbol::Unicode) {
        return construct(arena, class, &[state]);
    }
    match (base, state) {
        (Symbol::Object, Node::Null) => construct(arena, class, &[]),
        _ => Symbol::Reconstructor.unknown_shape(),
    }
}

/// What `class.__new__(class, *args)` stands for.
pub fn new(arena: &mut Arena, class: Symbol, args: u32) -> Verdict<Node> {
    let args: Vec<Node> = arena.lists[args as usize].iter().take(2).copied().collect();
    construct(arena, class, &args)
}

fn construct(arena: &mut Arena, class: Symbol, args: &[Node]) -> Verdict<Node> {
    match args {
        [Node::Str { piece, .. }] if class == Symbol::Markup => Ok(Node::Scalar { tag: Tag::Markup, text: *piece }),
        [] if class.has_instances() => {
            arena.instances.push(Instance { class, state: State::None });
            Ok(Node::Instance(arena.instances.len() as u32 - 1))
        }
        _ => class.unknown_shape(),
    }
}

/// A date or time of packed fields; Python 2 gives them as a str.
fn moment(arena: &mut Arena, tag: Tag, size: usize, state: Node, zone: Node) -> Option<Node> {
    let zone = match zone {
        Node::Unset | Node::Null => None,
        Node::Zone(offset) => Some(offset),
        _ => return None,
    };
    let mut packed = match state {
        Node::Bytes(piece) | Node::OldBytes(piece) => arena.bytes(piece).to_vec(),
        Node::Str { piece, .. } if piece.size as usize <= 2 * size => std::str::from_utf8(arena.bytes(piece))
            .ok()?
            .chars()
            .map(|char| u8::try_from(u32::from(char)).ok())
            .collect::<Option<Vec<u8>>>()?,
        _ => return None,
    };
    if packed.len() != size {
        return None;
    }
    let text = match tag {
        Tag::DateTime => dates::datetime(&packed, zone),
        Tag::Date => dates::date(&packed),
        _ => {
            packed[0] &= 0x7f;
            dates::time(&packed, zone)
        }
    }?;
    Some(arena.scalar(tag, &text))
}

fn decimal_of(arena: &mut Arena, piece: crate::node::Piece) -> Verdict<Node> {
    let text = arena.bytes(piece);
    if text.len() > 4 * MAX_DECIMAL_CHARS || (text.is_ascii() && text.len() > MAX_DECIMAL_CHARS) {
        return Symbol::Decimal.unknown_shape();
    }
    match decimal::normal(text) {
        decimal::Reading::Number(normal) => Ok(arena.scalar(Tag::Decimal, &normal)),
        decimal::Reading::Invalid => Symbol::Decimal.unknown_shape(),
        decimal::Reading::Unknown => Err(Failure::NotHandled),
    }
}

/// What BUILD leaves of a state in an object: what is done to the state later does not matter. Says how much it took.
pub fn build(arena: &mut Arena, class: Symbol, state: Node) -> Verdict<(State, u64)> {
    let dict = match state {
        Node::Dict(dict) if arena.dicts[dict as usize].items.len() <= MAX_STATE => dict,
        _ => return class.unknown_shape(),
    };
    let size = arena.dicts[dict as usize].items.len() as u64;
    if class == Symbol::Uuid {
        return match uuid(arena, dict) {
            Some(scalar) => Ok((State::Built(scalar), size)),
            None => class.unknown_shape(),
        };
    }
    let copy = arena.dicts[dict as usize].copy();
    Ok((State::Dict(arena.dict(copy)), size))
}

fn uuid(arena: &mut Arena, state: u32) -> Option<Node> {
    let number = match arena.get(state, b"int")? {
        Node::Int(number) => u128::try_from(number).ok()?,
        Node::Big(number) => arena.bigs[number as usize].to_u128()?,
        _ => return None,
    };
    match (arena.dicts[state as usize].items.len(), arena.get(state, b"is_safe")) {
        (1, None) | (2, Some(Node::Int(-1 | 0))) => {}
        _ => return None,
    }
    let digits = format!("{:032x}", number);
    let parts = [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]];
    Some(arena.scalar(Tag::Uuid, parts.join("-").as_bytes()))
}

/// A finished Flask or Werkzeug response.
pub struct Response {
    pub status: i64,
    /// The list of its headers: tuples of two strings each.
    pub headers: u32,
    pub body: Vec<u8>,
    /// The body is UTF-8.
    pub is_text: bool,
    /// What it was put together from, beyond a fixed few.
    pub parts: u64,
}

/// What a finished object stands for.
pub enum Resolved {
    Scalar(Node),
    Response(Response),
}

pub fn resolve(arena: &Arena, instance: u32) -> Verdict<Resolved> {
    let Instance { class, state } = &arena.instances[instance as usize];
    let resolved = match state {
        State::Built(scalar) => Some(Resolved::Scalar(*scalar)),
        State::Dict(state) if class.is_response() => response(arena, *state).map(Resolved::Response),
        _ => None, // Headers alone are no value
    };
    match resolved {
        Some(resolved) => Ok(resolved),
        None => class.unknown_shape(),
    }
}

fn response(arena: &Arena, state: u32) -> Option<Response> {
    let headers = match arena.get(state, b"headers")? {
        Node::Instance(headers) => &arena.instances[headers as usize],
        _ => return None,
    };
    let pairs = match headers {
        Instance { class: Symbol::Headers, state: State::Dict(state) } => arena.get(*state, b"_list")?,
        _ => return None,
    };
    let headers = match pairs {
        Node::List(pairs) => pairs,
        _ => return None,
    };
    let pairs = &arena.lists[headers as usize];
    if !pairs.iter().all(|pair| header(arena, *pair).is_some()) {
        return None;
    }
    let status = match arena.get(state, b"_status_code")? {
        Node::Int(status @ 100..=999) => status,
        _ => return None,
    };
    let parts = match arena.get(state, b"response")? {
        Node::List(parts) | Node::Tuple(parts) => &arena.lists[parts as usize],
        _ => return None,
    };
    let mut body = Vec::new();
    for part in parts {
        match part {
            Node::Bytes(piece) | Node::OldBytes(piece) | Node::Str { piece, .. } => {
                body.extend_from_slice(arena.bytes(*piece))
            }
            _ => return None,
        }
    }
    Some(Response {
        status,
        headers,
        is_text: std::str::from_utf8(&body).is_ok(),
        body,
        parts: (pairs.len() + parts.len().saturating_sub(FEW)) as u64,
    })
}

/// Name and value of a header.
pub fn header<'a>(arena: &'a Arena, pair: Node) -> Option<(&'a [u8], &'a [u8])> {
    match pair {
        Node::Tuple(pair) => match arena.lists[pair as usize].as_slice() {
            [Node::Str { piece: name, .. }, Node::Str { piece: value, .. }] => {
                Some((arena.bytes(*name), arena.bytes(*value)))
            }
            _ => None,
        },
        _ => None,
    }
}
