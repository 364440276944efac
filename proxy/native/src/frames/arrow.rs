//! Arrow's arrays and chunked arrays, as pyarrow pickles them: `proxy/codec/frames/arrow.py`.

use crate::frames::dtypes::{DType, Kind, Unit};
use crate::frames::parts::{self, Count};
use crate::limits::{Failure, Verdict};
use crate::unpickle::node::{Arena, Node, Piece};
use crate::unpickle::symbols::Class;
use crate::values::dates::fixed_offset;

const MOST: i64 = 1 << 62;
const COPIED_PER_PART: u64 = 8;
/// Bytes of strings that count as one part: many chunks may have one buffer.
const TEXT_PER_PART: u64 = 128;
const MINUTE: i64 = 60_000_000;

/// The elements of an Arrow array.
#[derive(Debug, Clone, PartialEq)]
pub enum Elements {
    Bits,
    Numbers(DType),
    /// Strings, whose offsets have so many bytes.
    Texts(u64),
    /// Days since 1970, of 32 bits.
    Days,
    /// Datetimes. With an offset from UTC in microseconds, their texts are local times.
    Moments(DType, Option<i64>),
}

/// A type of Arrow.
#[derive(Debug, Clone, PartialEq)]
pub struct ArrowType {
    /// As Arrow spells it.
    pub name: String,
    pub elements: Elements,
}

#[derive(Debug)]
pub struct Chunk {
    pub size: u64,
    pub start: u64,
    pub valid: Option<Piece>,
    pub values: Piece,
    /// Of strings.
    pub texts: Piece,
}

/// An array, or chunks of one type. Empty chunks are left out.
#[derive(Debug)]
pub struct ArrowArray {
    pub kind: ArrowType,
    pub chunks: Vec<Chunk>,
    pub size: u64,
}

const EMPTY: Piece = Piece { start: 0, size: 0 };

/// The array that a node stands for. `count`: told how many chunks are looked at, before they are.
pub fn of(arena: &Arena, node: Node, count: &mut Count) -> Verdict<ArrowArray> {
    let instance = parts::object(arena, node).ok_or(Failure::NotHandled)?;
    if arena.symbol_of(instance).class == Class::ArrowArray {
        let (kind, chunk) = chunk(arena, node, count)?;
        return Ok(of_chunks(kind, vec![chunk]));
    }
    if arena.symbol_of(instance).class != Class::ArrowChunked {
        return Err(Failure::NotHandled);
    }
    let (parts, kind) = match parts::args(arena, instance) {
        [parts] => (parts, None),
        [parts, kind, ..] => (parts, Some(type_of(arena, *kind).ok_or(Failure::NotHandled)?)),
        [] => return Err(Failure::NotHandled),
    };
    let parts = parts::sequence(arena, *parts).ok_or(Failure::NotHandled)?;
    count(parts.len() as u64)?;
    let (mut kind, mut chunks) = (kind, Vec::new());
    for part in parts {
        let (of_chunk, chunk) = chunk(arena, *part, count)?;
        if kind.get_or_insert_with(|| of_chunk.clone()) != &of_chunk {
            return Err(Failure::NotHandled);
        }
        chunks.push(chunk);
    }
    Ok(of_chunks(kind.ok_or(Failure::NotHandled)?, chunks))
}

fn of_chunks(kind: ArrowType, mut chunks: Vec<Chunk>) -> ArrowArray {
    chunks.retain(|chunk| chunk.size > 0);
    let size = chunks.iter().map(|chunk| chunk.size).sum();
    ArrowArray { kind, chunks, size }
}

fn chunk(arena: &Arena, node: Node, count: &mut Count) -> Verdict<(ArrowType, Chunk)> {
    let (kind, mut chunk, buffers) = described(arena, node).ok_or(Failure::NotHandled)?;
    let mut found = [None; 3];
    for (place, buffer) in found.iter_mut().zip(buffers) {
        *place = bytes(arena, *buffer, count)?;
    }
    let [valid, values, texts] = found;
    chunk.valid = valid;
    chunk.values = values.unwrap_or(EMPTY);
    chunk.texts = texts.unwrap_or(EMPTY);
    let is_whole = chunk.check_sizes(&kind.elements);
    is_whole.ok_or(Failure::NotHandled)?;
    if let (Elements::Texts(width), true) = (&kind.elements, chunk.size > 0) {
        let first = chunk.offset(arena, *width, 0);
        let last = chunk.offset(arena, *width, chunk.size);
        count(u64::try_from(i128::from(last) - i128::from(first)).unwrap_or(0) / TEXT_PER_PART)?;
    }
    Ok((kind, chunk))
}

/// `_restore_array((type, length, null_count, offset, buffers, ...))`: the type, the sizes and the buffers.
fn described<'b>(arena: &'b Arena, node: Node) -> Option<(ArrowType, Chunk, &'b [Node])> {
    let instance = parts::object_of(arena, node, Class::ArrowArray)?;
    let fields = match parts::args(arena, instance) {
        [fields] => parts::tuple(arena, *fields)?,
        _ => return None,
    };
    let (kind, size, start, buffers) = match fields {
        [kind, Node::Int(size), _, Node::Int(start), Node::List(buffers), ..] => {
            (type_of(arena, *kind)?, *size, *start, &arena.lists[*buffers as usize])
        }
        _ => return None,
    };
    let is_size = |number: i64| (0..MOST).contains(&number);
    let wanted = if matches!(kind.elements, Elements::Texts(_)) { 3 } else { 2 };
    if !is_size(size) || !is_size(start) || buffers.len() != wanted {
        return None;
    }
    let chunk = Chunk { size: size as u64, start: start as u64, valid: None, values: EMPTY, texts: EMPTY };
    Some((kind, chunk, buffers))
}

/// The bytes of `pyarrow.lib.py_buffer(bytes)`. An empty array may have None in place of a buffer.
fn bytes(arena: &Arena, buffer: Node, count: &mut Count) -> Verdict<Option<Piece>> {
    if let Node::Null = buffer {
        return Ok(None);
    }
    let instance = parts::object_of(arena, buffer, Class::ArrowBuffer).ok_or(Failure::NotHandled)?;
    match *parts::args(arena, instance) {
        [content] => {
            if let Node::Str { piece, ascii: true } = content {
                count(u64::from(piece.size) / COPIED_PER_PART)?;
            }
            Ok(Some(parts::raw(content).ok_or(Failure::NotHandled)?))
        }
        _ => Err(Failure::NotHandled),
    }
}

impl Chunk {
    /// Check that the bytes are there.
    fn check_sizes(&self, elements: &Elements) -> Option<()> {
        let end = u128::from(self.start) + u128::from(self.size);
        let bits = (end + 7) / 8;
        let needed = match elements {
            Elements::Bits => bits,
            Elements::Numbers(dtype) | Elements::Moments(dtype, _) => end * u128::from(dtype.size),
            Elements::Days => end * 4,
            Elements::Texts(width) => (end + 1) * u128::from(*width),
        };
        let is_short = self.size > 0 && u128::from(self.values.size) < needed;
        let has_gaps = self.valid.map_or(false, |valid| u128::from(valid.size) < bits);
        (!is_short && !has_gaps).then_some(())
    }

    /// The offset of a string. The caller knows that the chunk has it.
    #[inline]
    pub fn offset(&self, arena: &Arena, width: u64, at: u64) -> i64 {
        let start = ((self.start + at) * width) as usize;
        let raw = &arena.bytes(self.values)[start..start + width as usize];
        let unused = 64 - 8 * width as u32;
        let word = raw.iter().rev().fold(0u64, |word, byte| word << 8 | u64::from(*byte));
        (word << unused) as i64 >> unused
    }

    /// True if an element is not missing.
    #[inline]
    pub fn is_valid(&self, arena: &Arena, at: u64) -> bool {
        self.valid.map_or(true, |valid| self.bit(arena, valid, at))
    }

    #[inline]
    pub fn bit(&self, arena: &Arena, bits: Piece, at: u64) -> bool {
        let at = self.start + at;
        arena.bytes(bits)[(at / 8) as usize] >> (at % 8) & 1 == 1
    }
}

// -- types -------------------------------------------------------------------------------------------------

/// The type that a node describes.
fn type_of(arena: &Arena, node: Node) -> Option<ArrowType> {
    let instance = parts::object(arena, node)?;
    let args = parts::args(arena, instance);
    match arena.symbol_of(instance).class {
        Class::ArrowTimestamp => {
            let zone = match args.get(1) {
                None | Some(Node::Null) => None,
                Some(zone) => Some(parts::text(arena, *zone)?),
            };
            timestamp(parts::text(arena, *args.first()?)?, zone)
        }
        Class::ArrowAlias => named(parts::text(arena, *args.first()?)?),
        _ => None,
    }
}

fn named(name: &[u8]) -> Option<ArrowType> {
    let (spelled, elements) = match name {
        b"bool" => ("bool", Elements::Bits),
        b"string" | b"utf8" => ("string", Elements::Texts(4)),
        b"large_string" | b"large_utf8" => ("large_string", Elements::Texts(8)),
        b"date32" | b"date32[day]" => ("date32[day]", Elements::Days),
        b"halffloat" | b"float16" => ("halffloat", numbers(Kind::Float, 2)),
        b"float" | b"float32" => ("float", numbers(Kind::Float, 4)),
        b"double" | b"float64" => ("double", numbers(Kind::Float, 8)),
        b"int8" => ("int8", numbers(Kind::Int, 1)),
        b"int16" => ("int16", numbers(Kind::Int, 2)),
        b"int32" => ("int32", numbers(Kind::Int, 4)),
        b"int64" => ("int64", numbers(Kind::Int, 8)),
        b"uint8" => ("uint8", numbers(Kind::Uint, 1)),
        b"uint16" => ("uint16", numbers(Kind::Uint, 2)),
        b"uint32" => ("uint32", numbers(Kind::Uint, 4)),
        b"uint64" => ("uint64", numbers(Kind::Uint, 8)),
        _ => {
            let described = std::str::from_utf8(name).ok()?.strip_prefix("timestamp[")?.strip_suffix(']')?;
            return match described.split_once(", tz=") {
                Some((unit, zone)) => timestamp(unit.as_bytes(), Some(zone.as_bytes())),
                None => timestamp(described.as_bytes(), None),
            };
        }
    };
    Some(ArrowType { name: spelled.to_owned(), elements })
}

fn numbers(kind: Kind, size: u32) -> Elements {
    Elements::Numbers(DType { kind, size, ..DType::of_unit(Unit::Generic) })
}

/// A timestamp. The reference knows the zones with rules.
fn timestamp(unit: &[u8], zone: Option<&[u8]>) -> Option<ArrowType> {
    let unit = Unit::named(unit).filter(|unit| matches!(unit, Unit::Second(0 | 3 | 6 | 9)))?;
    let dtype = DType::of_unit(unit);
    let zone = match zone {
        Some(zone) => std::str::from_utf8(zone).ok()?,
        None => {
            let name = format!("timestamp[{}]", unit.name());
            return Some(ArrowType { name, elements: Elements::Moments(dtype, None) });
        }
    };
    let offset = fixed_offset(zone).or_else(|| spelled_offset(zone.as_bytes()))?;
    let name = format!("timestamp[{}, tz={zone}]", unit.name());
    Some(ArrowType { name, elements: Elements::Moments(dtype, Some(offset)) })
}

/// An offset such as `+01:30`, in microseconds.
fn spelled_offset(zone: &[u8]) -> Option<i64> {
    let digit = |byte: u8| byte.is_ascii_digit().then(|| i64::from(byte - b'0'));
    match *zone {
        [sign @ (b'+' | b'-'), a, b, b':', c, d] => {
            let (hours, minutes) = (10 * digit(a)? + digit(b)?, 10 * digit(c)? + digit(d)?);
            let offset = (60 * hours + minutes) * MINUTE;
            (hours < 24 && minutes < 60).then_some(if sign == b'-' { -offset } else { offset })
        }
        _ => None,
    }
}
