//! The tags that writers may use: how the content of each becomes part of a pickle, as in `proxy/codec/tags.py`. Content
//! that is not as it should be, and some that is but seldom comes, is left to the reference.

use crate::bigint::BigInt;
use crate::code;
use crate::collisions;
use crate::dates;
use crate::decimal;
use crate::iso;
use crate::limits::{MAX_INT_DIGITS, OBJECT_NODES, PAIR_NODES, TAG_NODES};
use crate::node::Piece;
use crate::pickler::{Pickler, Use};
use crate::sink;
use crate::tags::Tag;
use crate::tape::{Tape, Token};

const MAX_DECIMAL_CHARS: usize = 4400;

/// Write what a tag makes of the content at a token.
pub fn write(to: &mut Pickler, tag: Tag, at: usize, depth: u64, uses: Use) -> Option<()> {
    to.accepts(tag)?;
    to.count(match tag {
        Tag::ByteArray => TAG_NODES + 1,
        Tag::DateTime
        | Tag::Date
        | Tag::Time
        | Tag::TimeDelta
        | Tag::Decimal
        | Tag::Uuid
        | Tag::Complex
        | Tag::Markup => OBJECT_NODES,
        _ => TAG_NODES,
    })?;
    match tag {
        Tag::Int => integer(to, at),
        Tag::Float => {
            code::float(&mut to.out, float(to.tape, to.tape.tokens[at])?);
            Some(())
        }
        Tag::Complex => complex(to, at),
        Tag::Bytes => {
            let raw = raw(to.tape, at)?;
            to.binary(&raw);
            Some(())
        }
        Tag::ByteArray => bytearray(to, at),
        Tag::DateTime => datetime(to, at),
        Tag::Date => date(to, at),
        Tag::Time => time(to, at),
        Tag::TimeDelta => timedelta(to, at),
        Tag::Decimal => decimal_number(to, at),
        Tag::Uuid => uuid(to, at),
        Tag::Markup => {
            let text = text(to.tape, at)?;
            to.symbol("markupsafe", "Markup");
            to.string(text);
            to.out.extend_from_slice(b"\x85\x81");
            Some(())
        }
        Tag::Tuple => tuple(to, at, depth, uses),
        Tag::Set | Tag::FrozenSet => members(to, tag, at, depth, uses),
        Tag::Dict => {
            to.out.push(b'}');
            pairs(to, at, depth, uses)
        }
        Tag::OrderedDict => {
            to.symbol("collections", "OrderedDict");
            to.out.extend_from_slice(b")R");
            pairs(to, at, depth, uses)
        }
        Tag::Response => None,
    }
}

/// Nanoseconds to compare the value of a tag, 0 where CPython keys its hash, and the length of its text; None: no hash.
pub fn compared(to: &Pickler, tag: Tag, at: usize) -> Option<(u64, u64)> {
    let nanoseconds = match tag {
        Tag::ByteArray | Tag::Set | Tag::Dict | Tag::OrderedDict | Tag::Response => return None,
        Tag::Bytes | Tag::Date | Tag::Markup => return Some((0, 0)),
        Tag::Float | Tag::Int => collisions::NUMBER,
        Tag::Uuid => collisions::UUID,
        _ => collisions::OBJECT,
    };
    let text = match to.tape.tokens[at] {
        Token::Str(piece) => std::str::from_utf8(to.tape.bytes(piece)).ok()?,
        _ => return Some((nanoseconds, 0)),
    };
    if tag == Tag::Decimal && text.to_lowercase().contains("snan") {
        return None;
    }
    Some((nanoseconds, text.chars().count() as u64))
}

fn text(tape: &Tape, at: usize) -> Option<Piece> {
    match tape.tokens[at] {
        Token::Str(piece) => Some(piece),
        _ => None,
    }
}

fn array(tape: &Tape, at: usize) -> Option<u32> {
    match tape.tokens[at] {
        Token::List { count, .. } => Some(count),
        _ => None,
    }
}

/// Base64, or (in msgpack) bin.
fn raw(tape: &Tape, at: usize) -> Option<Vec<u8>> {
    match tape.tokens[at] {
        Token::Bytes(piece) => Some(tape.bytes(piece).to_vec()),
        Token::Str(piece) => sink::unbase64(tape.bytes(piece)),
        _ => None,
    }
}

// -- numbers -----------------------------------------------------------------------------------------------

/// The int that the content of `py/int` is.
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

fn integer(to: &mut Pickler, at: usize) -> Option<()> {
    let number = int_of(to.tape, at)?;
    match number.to_i64() {
        Some(small) => to.integer(small),
        None => code::long(&mut to.out, &number.to_le_bytes()),
    }
    Some(())
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

fn complex(to: &mut Pickler, at: usize) -> Option<()> {
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
        code::float(&mut to.out, part);
    }
    to.out.extend_from_slice(b"\x86R");
    Some(())
}

fn decimal_number(to: &mut Pickler, at: usize) -> Option<()> {
    let piece = text(to.tape, at)?;
    if piece.size as usize > MAX_DECIMAL_CHARS {
        return None;
    }
    match decimal::normal(to.tape.bytes(piece)) {
        decimal::Reading::Number(number) => {
            to.symbol("decimal", "Decimal");
            to.own_string(&number);
            to.out.extend_from_slice(b"\x85R");
            Some(())
        }
        _ => None,
    }
}

fn uuid(to: &mut Pickler, at: usize) -> Option<()> {
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
            code::long(&mut to.out, &BigInt::from_le_bytes(&bytes).to_le_bytes());
        }
    }
    to.out.extend_from_slice(b"sb");
    Some(())
}

// -- bytes and times ---------------------------------------------------------------------------------------

fn bytearray(to: &mut Pickler, at: usize) -> Option<()> {
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

fn datetime(to: &mut Pickler, at: usize) -> Option<()> {
    let piece = text(to.tape, at)?;
    let ((year, month, day), time, offset) = iso::datetime(to.tape.bytes(piece))?;
    let [high, low] = year.to_be_bytes();
    let packed = [&[high, low, month, day][..], &packed(time)].concat();
    to.symbol("datetime", "datetime");
    to.binary(&packed);
    close_with_zone(to, offset);
    Some(())
}

fn date(to: &mut Pickler, at: usize) -> Option<()> {
    let piece = text(to.tape, at)?;
    let (year, month, day) = iso::date(to.tape.bytes(piece))?;
    let [high, low] = year.to_be_bytes();
    to.symbol("datetime", "date");
    to.binary(&[high, low, month, day]);
    to.out.extend_from_slice(b"\x85R");
    Some(())
}

fn time(to: &mut Pickler, at: usize) -> Option<()> {
    let piece = text(to.tape, at)?;
    let (time, offset) = iso::time(to.tape.bytes(piece))?;
    to.symbol("datetime", "time");
    to.binary(&packed(time));
    close_with_zone(to, offset);
    Some(())
}

fn packed((hour, minute, second, microsecond): iso::Time) -> [u8; 6] {
    let [_, high, middle, low] = microsecond.to_be_bytes();
    [hour, minute, second, high, middle, low]
}

/// A fixed offset as the last argument of a datetime or time, and the call.
fn close_with_zone(to: &mut Pickler, offset: Option<i64>) {
    let offset = match offset {
        None => return to.out.extend_from_slice(b"\x85R"),
        Some(offset) => offset,
    };
    match to.zones.get(&offset) {
        Some(index) => code::get(&mut to.out, *index),
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

fn delta(to: &mut Pickler, (days, seconds, microseconds): (i32, u32, u32)) {
    to.symbol("datetime", "timedelta");
    for field in [i64::from(days), seconds.into(), microseconds.into()] {
        to.integer(field);
    }
    to.out.extend_from_slice(b"\x87R");
}

fn timedelta(to: &mut Pickler, at: usize) -> Option<()> {
    if array(to.tape, at)? != 3 {
        return None;
    }
    match to.tape.tokens[at + 1..at + 4] {
        [Token::Int(days), Token::Int(seconds), Token::Int(microseconds)] => {
            let fields = dates::timedelta(days, seconds, microseconds)?;
            delta(to, fields);
            Some(())
        }
        _ => None,
    }
}

// -- containers --------------------------------------------------------------------------------------------

fn tuple(to: &mut Pickler, at: usize, depth: u64, uses: Use) -> Option<()> {
    let count = array(to.tape, at)?;
    match count {
        0 => to.out.push(b')'),
        1..=3 => {
            to.items(at + 1, count, depth, uses.of_parts(false))?;
            to.out.push(0x84 + count as u8);
        }
        _ => {
            to.out.push(b'(');
            to.items(at + 1, count, depth, uses.of_parts(false))?;
            to.out.push(b't');
        }
    }
    Some(())
}

fn members(to: &mut Pickler, tag: Tag, at: usize, depth: u64, uses: Use) -> Option<()> {
    let count = array(to.tape, at)?;
    let close: &[u8] = match (tag, to.protocol) {
        (Tag::Set, 4..) => {
            to.out.extend_from_slice(b"\x8f(");
            b"\x90"
        }
        (_, 4..) => {
            to.out.push(b'(');
            b"\x91"
        }
        _ => {
            to.symbol("builtins", if tag == Tag::Set { "set" } else { "frozenset" });
            to.out.extend_from_slice(b"](");
            b"e\x85R"
        }
    };
    if count > 0 {
        to.items(at + 1, count, depth, uses.of_parts(true))?;
    }
    to.out.extend_from_slice(close);
    Some(())
}

/// What fills a dict that has been made.
fn pairs(to: &mut Pickler, at: usize, depth: u64, uses: Use) -> Option<()> {
    let count = array(to.tape, at)?;
    to.count(PAIR_NODES * u64::from(count))?;
    if count == 0 {
        return Some(());
    }
    to.check_depth(depth + 1)?;
    to.out.push(b'(');
    let uses = uses.of_parts(false);
    let key_uses = if uses == Use::Nothing { Use::Hashes } else { uses };
    let mut next = at + 1;
    for _ in 0..count {
        if array(to.tape, next)? != 2 {
            return None;
        }
        let value = to.value(next + 1, depth + 1, key_uses)?;
        next = to.value(value, depth + 1, uses)?;
    }
    to.out.push(b'u');
    Some(())
}
