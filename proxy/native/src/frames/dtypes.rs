//! numpy's dtypes, as pickles have them: `proxy/codec/frames/dtypes.py`.

use crate::frames::parts;
use crate::unpickle::node::{Arena, Node};
use crate::unpickle::symbols::Class;

const MOST_UNITS: i64 = 1 << 31;
const UTF32: u32 = 4;
/// The state of a dtype with a unit is longer.
const STATE_WITHOUT_UNIT: usize = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Bool,
    Int,
    Uint,
    Float,
    Complex,
    Bytes,
    Text,
    Object,
    /// datetime64
    Moment,
    /// timedelta64
    Span,
}

/// The unit of a datetime64 or timedelta64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Generic,
    Year,
    Month,
    Week,
    Day,
    Hour,
    Minute,
    /// A second has so many decimals.
    Second(u8),
}

const UNITS: [(&str, Unit); 14] = [
    ("generic", Unit::Generic),
    ("Y", Unit::Year),
    ("M", Unit::Month),
    ("W", Unit::Week),
    ("D", Unit::Day),
    ("h", Unit::Hour),
    ("m", Unit::Minute),
    ("s", Unit::Second(0)),
    ("ms", Unit::Second(3)),
    ("us", Unit::Second(6)),
    ("ns", Unit::Second(9)),
    ("ps", Unit::Second(12)),
    ("fs", Unit::Second(15)),
    ("as", Unit::Second(18)),
];

impl Unit {
    pub fn named(name: &[u8]) -> Option<Unit> {
        UNITS.iter().find(|(known, _)| known.as_bytes() == name).map(|(_, unit)| *unit)
    }

    pub fn name(self) -> &'static str {
        UNITS.iter().find(|(_, unit)| *unit == self).map_or("", |(name, _)| name)
    }
}

/// The type of an array's elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DType {
    pub kind: Kind,
    /// Bytes of one element.
    pub size: u32,
    pub is_big_endian: bool,
    pub unit: Unit,
    /// How many of its units one is: 25 in `datetime64[25s]`.
    pub step: u32,
}

impl DType {
    pub const fn of_unit(unit: Unit) -> DType {
        DType { kind: Kind::Moment, size: 8, is_big_endian: false, unit, step: 1 }
    }

    /// The dtype that a node describes. None: the reference reads it, or makes the error.
    pub fn of(arena: &Arena, node: Node) -> Option<DType> {
        let described = parts::object_of(arena, node, Class::NumpyDtype)?;
        let spelled = parts::text(arena, *parts::args(arena, described).first()?)?;
        let (first, rest) = spelled.split_first()?;
        let (mut order, spelled) = if b"<>|=".contains(first) { (*first, rest) } else { (b'|', spelled) };
        let (letter, digits) = spelled.split_first()?;
        if digits.len() > 9 || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let size = digits.iter().fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0'));
        let kind = kind_of(*letter, size)?;
        let state = parts::tuple(arena, described.state).unwrap_or(&[]);
        if let Some([named]) = state.get(1).and_then(|named| parts::text(arena, *named)) {
            if b"<>|=".contains(named) {
                order = *named;
            }
        }
        let (unit, step) = match kind {
            Kind::Moment | Kind::Span => unit_of(arena, state)?,
            _ => (Unit::Generic, 1),
        };
        let size = size * if kind == Kind::Text { UTF32 } else { 1 };
        Some(DType { kind, size, is_big_endian: order == b'>', unit, step })
    }

    /// Its name, as numpy spells it in the native byte order.
    pub fn name(self) -> String {
        let (size, bits) = (self.size, 8 * u64::from(self.size));
        match self.kind {
            Kind::Bool => "bool".to_owned(),
            Kind::Object => "object".to_owned(),
            Kind::Text => format!("<U{}", size / UTF32),
            Kind::Bytes => format!("|S{size}"),
            Kind::Int => format!("int{bits}"),
            Kind::Uint => format!("uint{bits}"),
            Kind::Float => format!("float{bits}"),
            Kind::Complex => format!("complex{bits}"),
            Kind::Moment | Kind::Span => {
                let name = if self.kind == Kind::Moment { "datetime64" } else { "timedelta64" };
                match (self.unit, self.step) {
                    (Unit::Generic, _) => name.to_owned(),
                    (unit, 1) => format!("{name}[{}]", unit.name()),
                    (unit, step) => format!("{name}[{step}{}]", unit.name()),
                }
            }
        }
    }

    /// True if msgpack has an array of it as bytes.
    pub fn is_word(self) -> bool {
        matches!(self.kind, Kind::Int | Kind::Uint | Kind::Float) && self.size > 1
    }
}

/// The kind of a letter. None also if there are no elements of such a size.
fn kind_of(letter: u8, size: u32) -> Option<Kind> {
    let (kind, sizes): (Kind, &[u32]) = match letter {
        b'b' => (Kind::Bool, &[1]),
        b'i' => (Kind::Int, &[1, 2, 4, 8]),
        b'u' => (Kind::Uint, &[1, 2, 4, 8]),
        b'f' => (Kind::Float, &[2, 4, 8]),
        b'c' => (Kind::Complex, &[8, 16]),
        b'M' => (Kind::Moment, &[8]),
        b'm' => (Kind::Span, &[8]),
        b'S' => return Some(Kind::Bytes),
        b'U' => return Some(Kind::Text),
        b'O' => return Some(Kind::Object),
        _ => return None,
    };
    sizes.contains(&size).then_some(kind)
}

/// The unit of a date, from the end of the state: (metadata, (b"ns", 1, 1, 1)).
fn unit_of(arena: &Arena, state: &[Node]) -> Option<(Unit, u32)> {
    let last = match state.last() {
        Some(last) if state.len() > STATE_WITHOUT_UNIT => *last,
        _ => return Some((Unit::Generic, 1)),
    };
    let described = match last {
        Node::Null => return Some((Unit::Generic, 1)),
        _ => match parts::tuple(arena, last)? {
            [_, described] => parts::tuple(arena, *described)?,
            _ => return None,
        },
    };
    match described {
        [name, Node::Int(step), Node::Int(1), ..] if (1..=MOST_UNITS).contains(step) => {
            let unit = match *name {
                Node::Bytes(piece) | Node::OldBytes(piece) | Node::Str { piece, .. } => {
                    Unit::named(arena.bytes(piece))?
                }
                _ => return None,
            };
            Some((unit, *step as u32))
        }
        _ => None,
    }
}
