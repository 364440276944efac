//! Writes the contents of tags into a pickle, as in `proxy/codec/pickler/tags.py`. Invalid content and some rare content
//! is left to the reference.

use crate::limits::{MAX_INT_DIGITS, TAG_NODES};
use crate::payload::tape::{Tape, Token};
use crate::pickler::emitter::Emitter;
use crate::pickler::hash_cost::{self, Kind};
use crate::pickler::opcodes;
use crate::unpickle::node::Piece;
use crate::values::base64::unbase64;
use crate::values::bigint::BigInt;
use crate::values::dates;
use crate::values::decimal;
use crate::values::iso;
use crate::values::tags::Tag;

const MAX_DECIMAL_CHARS: usize = 4400;

/// Write a value without parts. Returns its kind for `collisions`, if Python can hash it.
pub fn scalar(to: &mut Emitter, tag: Tag, at: usize) -> Option<Option<Kind>> {
    Some(Some(match tag {
        Tag::Int => integer(to, at)?,
        Tag::Float => {
            opcodes::float(&mut to.out, float(to.tape, to.tape.tokens[at])?);
            Kind::Float
        }
        Tag::Complex => complex(to, at)?,
        Tag::Bytes => {
            let raw = raw(to.tape, at)?;
            to.binary(&raw);
            hash_cost::of_raw(raw.len())
        }
        Tag::DateTime => datetime(to, at)?,
        Tag::Date => date(to, at)?,
        Tag::Time => time(to, at)?,
        Tag::TimeDelta => timedelta(to, at)?,
        Tag::Decimal => return decimal_number(to, at),
        Tag::Uuid => uuid(to, at)?,
        Tag::Markup => {
            let text = text(to.tape, at)?;
            to.symbol("markupsafe", "Markup");
            to.string(text);
            to.out.extend_from_slice(b"\x85\x81");
            hash_cost::of_raw(text.size as usize)
        }
        _ => return None,
    }))
}

fn text(tape: &Tape, at: usize) -> Option<Piece> {
    match tape.tokens[at] {
        Token::Str(piece) => Some(piece),
        _ => None,
    }
}

pub fn array(tape: &Tape, at: usize) -> Option<u32> {
    match tape.tokens[at] {
        Token::List { count, .. } => Some(count),
        _ => None,
    }
}

/// How many members an object has.
pub fn members(tape: &Tape, at: usize) -> Option<u32> {
    match tape.tokens[at] {
        Token::Dict { count, .. } => Some(count),
        _ => None,
    }
}

/// The values of an object that has these two keys and no others.
fn two(tape: &Tape, at: usize, names: [&[u8]; 2]) -> Option<[usize; 2]> {
    if members(tape, at)? != 2 {
        return None;
    }
    let first = at + 2;
    let second = first + tape.tokens[first].span() + 1;
    let is = |value: usize, name: &[u8]| match tape.tokens[value - 1] {
        Token::Key(key) => tape.bytes(tape.strings.pieces[key as usize]) == name,
        _ => false,
    };
    match names {
        [one, other] if is(first, one) && is(second, other) => Some([first, second]),
        [one, other] if is(second, one) && is(first, other) => Some([second, first]),
        _ => None,
    }
}

/// Base64, or (in msgpack) bin.
fn raw(tape: &Tape, at: usize) -> Option<Vec<u8>> {
    match tape.tokens[at] {
        Token::Bytes(piece) => Some(tape.bytes(piece).to_vec()),
        Token::Str(piece) => unbase64(tape.bytes(piece)),
        _ => None,
    }
}

// -- numbers -----------------------------------------------------------------------------------------------

/// The int in the content of `py/int`.
pub fn int_of(tape: &Tape, at: usize) -> Option<BigInt> {
    match tape.tokens[at] {
        Token::Int(number) => Some(BigInt::from_le_bytes(&number.to_le_bytes())),
        Token::Big(number) => Some(tape.bigs[number as usize].clone()),
        Token::Str(piece) => {
            let text = tape.bytes(piece);
            let (negative, digits) = match text.split_first() {
                Some((b'-', rest)) => (true, rest),
                _ => (false, text),
            };
            if digits.is_empty() || digits.len() > MAX_INT_DIGITS || !digits.iter().all(u8::is_ascii_digit) {
                return None;
            }
            let number = BigInt::from_digits(negative, digits);
            Some(if number.bit_length() == 0 { BigInt::from_digits(false, b"0") } else { number })
        }
        _ => None,
    }
}

fn integer(to: &mut Emitter, at: usize) -> Option<Kind> {
    let number = int_of(to.tape, at)?;
    match number.to_i64() {
        Some(small) => to.integer(small),
        None => opcodes::long(&mut to.out, &number.to_le_bytes()),
    }
    Some(hash_cost::of_big(&number))
}

fn float(tape: &Tape, token: Token) -> Option<f64> {
    match token {
        Token::Int(number) => Some(number as f64),
        Token::Float(number) => Some(number),
        Token::Str(piece) => match tape.bytes(piece) {
            b"nan" => Some(f64::NAN),
            b"inf" => Some(f64::INFINITY),
            b"-inf" => Some(f64::NEG_INFINITY),
            _ => None,
        },
        _ => None,
    }
}

fn complex(to: &mut Emitter, at: usize) -> Option<Kind> {
    if array(to.tape, at)? != 2 {
        return None;
    }
    let mut parts = [0.0; 2];
    let mut next = at + 1;
    for part in &mut parts {
        let span = to.tape.tokens[next].span();
        let number = match to.tag(next) {
            Some(Tag::Float) => {
                to.count(TAG_NODES)?;
                to.tape.tokens[next + 2]
            }
            _ => to.tape.tokens[next],
        };
        *part = float(to.tape, number)?;
        next += span;
    }
    to.symbol("builtins", "complex");
    for part in parts {
        opcodes::float(&mut to.out, part);
    }
    to.out.extend_from_slice(b"\x86R");
    Some(Kind::Complex)
}

fn decimal_number(to: &mut Emitter, at: usize) -> Option<Option<Kind>> {
    let piece = text(to.tape, at)?;
    if piece.size as usize > MAX_DECIMAL_CHARS {
        return None;
    }
    match decimal::normal(to.tape.bytes(piece)) {
        decimal::Reading::Number(number) => {
            to.symbol("decimal", "Decimal");
            to.own_string(&number);
            to.out.extend_from_slice(b"\x85R");
            Some(hash_cost::of_decimal(&number))
        }
        _ => None,
    }
}

fn uuid(to: &mut Emitter, at: usize) -> Option<Kind> {
    let piece = text(to.tape, at)?;
    let spelled = to.tape.bytes(piece);
    let mut number: u128 = 0;
    if spelled.len() != 36 {
        return None;
    }
    for (place, byte) in spelled.iter().enumerate() {
        match place {
            8 | 13 | 18 | 23 if *byte == b'-' => {}
            8 | 13 | 18 | 23 => return None,
            _ => number = number << 4 | u128::from(char::from(*byte).to_digit(16)?),
        }
    }
    to.symbol("uuid", "UUID");
    to.out.extend_from_slice(b")\x81}");
    to.own_string(b"int");
    match i64::try_from(number) {
        Ok(small) => to.integer(small),
        Err(_) => {
            let mut bytes = number.to_le_bytes().to_vec();
            bytes.push(0);
            opcodes::long(&mut to.out, &BigInt::from_le_bytes(&bytes).to_le_bytes());
        }
    }
    to.out.extend_from_slice(b"sb");
    Some(Kind::Uuid)
}

// -- bytes and times ---------------------------------------------------------------------------------------

pub fn bytearray(to: &mut Emitter, at: usize) -> Option<()> {
    let raw = raw(to.tape, at)?;
    if to.protocol == 5 {
        to.out.push(0x96);
        to.out.extend_from_slice(&(raw.len() as u64).to_le_bytes());
        to.out.extend_from_slice(&raw);
        return Some(());
    }
    to.symbol("builtins", "bytearray");
    to.binary(&raw);
    to.out.extend_from_slice(b"\x85R");
    Some(())
}

fn datetime(to: &mut Emitter, at: usize) -> Option<Kind> {
    let piece = text(to.tape, at)?;
    let ((year, month, day), time, offset) = iso::datetime(to.tape.bytes(piece))?;
    let [high, low] = year.to_be_bytes();
    let packed = [&[high, low, month, day][..], &packed(time)].concat();
    to.symbol("datetime", "datetime");
    to.binary(&packed);
    close_with_zone(to, offset);
    Some(to.kind_in(offset))
}

fn date(to: &mut Emitter, at: usize) -> Option<Kind> {
    let piece = text(to.tape, at)?;
    let (year, month, day) = iso::date(to.tape.bytes(piece))?;
    let [high, low] = year.to_be_bytes();
    to.symbol("datetime", "date");
    to.binary(&[high, low, month, day]);
    to.out.extend_from_slice(b"\x85R");
    Some(Kind::Raw)
}

fn time(to: &mut Emitter, at: usize) -> Option<Kind> {
    let piece = text(to.tape, at)?;
    let (time, offset) = iso::time(to.tape.bytes(piece))?;
    to.symbol("datetime", "time");
    to.binary(&packed(time));
    close_with_zone(to, offset);
    Some(to.kind_in(offset))
}

fn packed((hour, minute, second, microsecond): iso::Time) -> [u8; 6] {
    let [_, high, middle, low] = microsecond.to_be_bytes();
    [hour, minute, second, high, middle, low]
}

/// A fixed offset as the last argument of a datetime or time, and the call.
fn close_with_zone(to: &mut Emitter, offset: Option<i64>) {
    let offset = match offset {
        None => return to.out.extend_from_slice(b"\x85R"),
        Some(offset) => offset,
    };
    match to.zones.get(&offset) {
        Some(index) => opcodes::get(&mut to.out, *index),
        None => {
            to.symbol("datetime", "timezone");
            if let Some(fields) = dates::timedelta(0, 0, offset) {
                delta(to, fields);
            }
            to.out.extend_from_slice(b"\x85R");
            let index = to.put();
            to.zones.insert(offset, index);
        }
    }
    to.out.extend_from_slice(b"\x86R");
}

fn delta(to: &mut Emitter, (days, seconds, microseconds): (i32, u32, u32)) {
    to.symbol("datetime", "timedelta");
    for field in [i64::from(days), seconds.into(), microseconds.into()] {
        to.integer(field);
    }
    to.out.extend_from_slice(b"\x87R");
}

fn timedelta(to: &mut Emitter, at: usize) -> Option<Kind> {
    if array(to.tape, at)? != 3 {
        return None;
    }
    match to.tape.tokens[at + 1..at + 4] {
        [Token::Int(days), Token::Int(seconds), Token::Int(microseconds)] => {
            let fields = dates::timedelta(days, seconds, microseconds)?;
            delta(to, fields);
            Some(Kind::Delta)
        }
        _ => None,
    }
}

// -- collections -------------------------------------------------------------------------------------------

/// Callables of a defaultdict.
const FACTORIES: [&str; 9] = ["list", "dict", "set", "int", "float", "str", "bool", "tuple", "frozenset"];

/// Write an empty defaultdict. Returns the index of its entries.
pub fn defaultdict(to: &mut Emitter, at: usize) -> Option<usize> {
    let [factory, entries] = two(to.tape, at, [b"factory", b"dict"])?;
    let factory = match to.tape.tokens[factory] {
        Token::Null => None,
        Token::Str(piece) => {
            let name = to.tape.bytes(piece);
            Some(*FACTORIES.iter().find(|known| known.as_bytes() == name)?)
        }
        _ => return None,
    };
    to.symbol("collections", "defaultdict");
    match factory {
        None => to.out.extend_from_slice(b")R"),
        Some(name) => {
            to.symbol("builtins", name);
            to.out.extend_from_slice(b"\x85R");
        }
    }
    Some(entries)
}

/// Write an empty deque. Returns the index of its items.
pub fn deque(to: &mut Emitter, at: usize) -> Option<usize> {
    let [items, most] = two(to.tape, at, [b"items", b"maxlen"])?;
    let count = array(to.tape, items)?;
    let most = match to.tape.tokens[most] {
        Token::Null => None,
        Token::Int(most) if most >= i64::from(count) => Some(most),
        _ => return None,
    };
    to.symbol("collections", "deque");
    to.out.push(b')');
    if let Some(most) = most {
        to.integer(most);
        to.out.push(0x86);
    }
    to.out.push(b'R');
    Some(items)
}
