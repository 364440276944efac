//! JSON, as msgspec writes it.

use std::io::Write;

use crate::payload::sink::Sink;
use crate::values::bigint::BigInt;

pub struct JsonWriter {
    pub out: Vec<u8>,
}

impl JsonWriter {
    pub fn new(capacity: usize) -> Self {
        JsonWriter { out: Vec::with_capacity(capacity) }
    }
}

impl Sink for JsonWriter {
    const HAS_BINARY: bool = false;

    fn null(&mut self) {
        self.out.extend_from_slice(b"null");
    }

    fn boolean(&mut self, value: bool) {
        self.out.extend_from_slice(if value { b"true" } else { b"false" });
    }

    #[inline]
    fn integer(&mut self, value: i64) {
        write_integer(&mut self.out, value);
    }

    fn big(&mut self, value: &BigInt) {
        self.out.extend_from_slice(&value.text());
    }

    fn float(&mut self, value: f64) {
        write_float(&mut self.out, value);
    }

    #[inline]
    fn text(&mut self, utf8: &[u8]) {
        write_text(&mut self.out, utf8);
    }

    fn binary(&mut self, _raw: &[u8]) {
        unreachable!("JSON has no bytes");
    }

    #[inline]
    fn open_array(&mut self, _size: usize) {
        self.out.push(b'[');
    }

    #[inline]
    fn item(&mut self, at: usize) {
        if at > 0 {
            self.out.push(b',');
        }
    }

    #[inline]
    fn close_array(&mut self) {
        self.out.push(b']');
    }

    #[inline]
    fn open_map(&mut self, _size: usize) {
        self.out.push(b'{');
    }

    #[inline]
    fn key(&mut self, at: usize, utf8: &[u8]) {
        self.item(at);
        write_text(&mut self.out, utf8);
        self.out.push(b':');
    }

    #[inline]
    fn close_map(&mut self) {
        self.out.push(b'}');
    }

    fn written(&self) -> usize {
        self.out.len()
    }

    fn take_back(&mut self, to: usize) {
        self.out.truncate(to);
    }
}

/// The decimal digits of an int.
#[inline]
pub fn write_integer(out: &mut Vec<u8>, value: i64) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    let mut rest = value.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        at -= 1;
        digits[at] = b'-';
    }
    out.extend_from_slice(&digits[at..]);
}

/// The shortest decimal digits of a finite float, and the exponent of the first digit.
pub struct Shortest {
    text: [u8; 32],
    size: usize,
    pub exponent: i32,
}

impl Shortest {
    /// The digits of the magnitude.
    pub fn of(value: f64) -> Self {
        let mut text = [0u8; 32];
        let mut free = &mut text[..];
        // It has at most 17 digits, a point and five bytes of exponent, so it fits.
        let _ = write!(free, "{:e}", value.abs());
        let size = 32 - free.len();
        let split = text[..size].iter().position(|byte| *byte == b'e').unwrap_or(size);
        let exponent = std::str::from_utf8(&text[(split + 1).min(size)..size])
            .ok()
            .and_then(|digits| digits.parse().ok())
            .unwrap_or(0);
        if split > 1 {
            text.copy_within(2..split, 1); // no point
        }
        let mut shortest = Shortest { text, size: if split > 1 { split - 1 } else { split }, exponent };
        shortest.settle_tie(value.abs());
        shortest
    }

    /// If two shortest texts are equally near, std takes the upper one, but Python and msgspec take the even one.
    fn settle_tie(&mut self, value: f64) {
        let digits = self.digits().iter().fold(0u64, |sum, digit| sum * 10 + u64::from(digit - b'0'));
        let power = self.exponent - (self.size as i32 - 1);
        if digits % 2 == 0 || !is_halfway(value, 2 * digits - 1, power) {
            return;
        }
        let even = digits - 1;
        if format!("{}e{}", even, power).parse() == Ok(value) {
            let text = even.to_string();
            self.text[..text.len()].copy_from_slice(text.as_bytes());
            self.exponent -= (self.size - text.len()) as i32;
            self.size = text.trim_end_matches('0').len();
        }
    }

    pub fn digits(&self) -> &[u8] {
        &self.text[..self.size]
    }

    /// Write a number without an exponent, with at least one digit on each side of the point.
    pub fn write_plain(&self, out: &mut Vec<u8>) {
        let digits = self.digits();
        if self.exponent < 0 {
            out.extend_from_slice(b"0.");
            out.resize(out.len() + (-1 - self.exponent) as usize, b'0');
            out.extend_from_slice(digits);
            return;
        }
        let whole = self.exponent as usize + 1;
        out.extend_from_slice(&digits[..whole.min(digits.len())]);
        out.resize(out.len() + whole.saturating_sub(digits.len()), b'0');
        out.push(b'.');
        match digits.get(whole..) {
            Some(fraction) if !fraction.is_empty() => out.extend_from_slice(fraction),
            _ => out.push(b'0'),
        }
    }

    /// The first digit, then a point and the other digits.
    pub fn write_mantissa(&self, out: &mut Vec<u8>) {
        let digits = self.digits();
        out.push(digits[0]);
        if digits.len() > 1 {
            out.push(b'.');
            out.extend_from_slice(&digits[1..]);
        }
    }
}

/// True if a float is exactly half of an odd number times a power of ten.
fn is_halfway(value: f64, odd: u64, power: i32) -> bool {
    let bits = value.to_bits();
    let (exponent, fraction) = ((bits >> 52) as i32 & 0x7ff, bits & ((1 << 52) - 1));
    let (mantissa, exponent) = if exponent == 0 { (fraction, -1074) } else { (fraction | 1 << 52, exponent - 1075) };
    let zeros = mantissa.trailing_zeros();
    // value = mantissa * 2^exponent with an odd mantissa. Its factors are odd too, so both powers of two must be equal.
    let mantissa = u128::from(mantissa >> zeros);
    if exponent + zeros as i32 + 1 != power {
        return false;
    }
    let fives = 5u128.checked_pow(power.unsigned_abs());
    match power >= 0 {
        true => fives.and_then(|fives| fives.checked_mul(u128::from(odd))) == Some(mantissa),
        false => fives.and_then(|fives| fives.checked_mul(mantissa)) == Some(u128::from(odd)),
    }
}

const FEW_DECIMALS: [f64; 5] = [1.0, 10.0, 100.0, 1e3, 1e4];
/// Different numbers of fifteen digits are different doubles.
const FIFTEEN_DIGITS: f64 = 1e15;

/// Write a float with at most four decimals, in a third of the time. Returns false for other floats.
///
/// The number and the power of ten are exact, so their quotient is the double nearest to the decimal number. The fewest
/// decimals with this property are the shortest text. With up to fifteen digits, no other text has it.
#[inline]
fn write_with_few_decimals(out: &mut Vec<u8>, value: f64) -> bool {
    for (decimals, scale) in FEW_DECIMALS.iter().enumerate() {
        let scaled = value * scale + 0.5;
        if scaled >= FIFTEEN_DIGITS {
            return false;
        }
        let number = scaled as i64;
        if number as f64 / scale == value {
            let unit = 10i64.pow(decimals as u32);
            write_integer(out, number / unit);
            out.push(b'.');
            let start = out.len();
            out.resize(start + decimals.max(1), b'0');
            let mut fraction = number % unit;
            for place in out[start..].iter_mut().rev() {
                *place = b'0' + (fraction % 10) as u8;
                fraction /= 10;
            }
            return true;
        }
    }
    false
}

/// Write a finite float like msgspec: with an exponent from 1e16 on and below 1e-5.
pub fn write_float(out: &mut Vec<u8>, value: f64) {
    if value.is_sign_negative() {
        out.push(b'-');
    }
    if write_with_few_decimals(out, value.abs()) {
        return;
    }
    let shortest = Shortest::of(value);
    if (-5..16).contains(&shortest.exponent) {
        shortest.write_plain(out);
    } else {
        shortest.write_mantissa(out);
        out.push(b'e');
        write_integer(out, i64::from(shortest.exponent));
    }
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// Set the high bit of each equal byte. A bit above an equal byte may be set by mistake.
#[inline]
fn equal(word: u64, byte: u8) -> u64 {
    let other = word ^ (ONES * u64::from(byte));
    other.wrapping_sub(ONES) & !other
}

/// The position of the first high bit from `equal`. Bits set by mistake come only after it.
#[inline]
fn first(bits: u64) -> Option<usize> {
    match bits & HIGHS {
        0 => None,
        bits => Some(bits.trailing_zeros() as usize / 8),
    }
}

/// The position of the first quote, backslash or control character in eight bytes.
#[inline]
fn first_special(word: u64) -> Option<usize> {
    first(equal(word, b'"') | equal(word, b'\\') | word.wrapping_sub(ONES * 0x20) & !word)
}

/// The position of the first of two bytes in a text.
#[inline]
pub fn find_either(text: &[u8], one: u8, other: u8) -> Option<usize> {
    let mut at = 0;
    for chunk in text.chunks_exact(8) {
        if let Some(more) = first(equal(word_of(chunk), one) | equal(word_of(chunk), other)) {
            return Some(at + more);
        }
        at += 8;
    }
    text[at..].iter().position(|byte| *byte == one || *byte == other).map(|more| at + more)
}

#[inline]
fn word_of(chunk: &[u8]) -> u64 {
    let mut word = [0u8; 8];
    word.copy_from_slice(chunk);
    u64::from_le_bytes(word)
}

#[inline]
fn is_special(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// The number of bytes before the first escape.
#[inline]
pub fn plain_prefix(text: &[u8]) -> usize {
    let mut at = 0;
    for chunk in text.chunks_exact(8) {
        if let Some(more) = first_special(word_of(chunk)) {
            return at + more;
        }
        at += 8;
    }
    text[at..].iter().position(|byte| is_special(*byte)).map_or(text.len(), |more| at + more)
}

/// Write a text in quotes.
#[inline]
pub fn write_text(out: &mut Vec<u8>, utf8: &[u8]) {
    out.push(b'"');
    let plain = plain_prefix(utf8);
    out.extend_from_slice(&utf8[..plain]);
    if plain < utf8.len() {
        write_escaped(out, &utf8[plain..]);
    }
    out.push(b'"');
}

fn write_escaped(out: &mut Vec<u8>, mut text: &[u8]) {
    while let Some(byte) = text.first() {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            8 => out.extend_from_slice(b"\\b"),
            9 => out.extend_from_slice(b"\\t"),
            10 => out.extend_from_slice(b"\\n"),
            12 => out.extend_from_slice(b"\\f"),
            13 => out.extend_from_slice(b"\\r"),
            _ => {
                out.extend_from_slice(b"\\u00");
                out.push(b'0' + (byte >> 4));
                out.push(b"0123456789abcdef"[(byte & 15) as usize]);
            }
        }
        text = &text[1..];
        if matches!(text.first(), Some(next) if !is_special(*next)) {
            let plain = plain_prefix(text);
            out.extend_from_slice(&text[..plain]);
            text = &text[plain..];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn float(value: f64) -> String {
        let mut out = Vec::new();
        write_float(&mut out, value);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn floats_are_spelled_as_msgspec_does() {
        for (value, text) in [
            (1.0, "1.0"),
            (-0.0, "-0.0"),
            (0.00001, "0.00001"),
            (0.000001, "1e-6"),
            (1e15, "1000000000000000.0"),
            (1.5e16, "1.5e16"),
            (-9876543210123.45, "-9876543210123.45"),
            (5e-324, "5e-324"),
            (87307884570954.125, "87307884570954.12"),
            (14007136750663.5625, "14007136750663.562"),
            (646236621895990.25, "646236621895990.2"),
        ] {
            assert_eq!(float(value), text);
        }
    }

    #[test]
    fn ints_have_their_digits() {
        for value in [0, 7, -7, 10, i64::MAX, i64::MIN] {
            let mut out = Vec::new();
            write_integer(&mut out, value);
            assert_eq!(String::from_utf8(out).unwrap(), value.to_string());
        }
    }

    #[test]
    fn text_is_escaped_wherever_it_needs_it() {
        for at in 0..20 {
            let mut text = vec![b'a'; 20];
            text[at] = b'\n';
            let mut out = Vec::new();
            write_text(&mut out, &text);
            assert_eq!(out.len(), 23);
            assert_eq!(&out[at + 1..at + 3], b"\\n");
        }
    }
}
