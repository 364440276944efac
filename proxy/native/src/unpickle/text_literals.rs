//! The ints, floats and strings of protocol 0: lines of text, exactly as Python's repr() writes them.

use crate::limits::{undecodable, Verdict, MAX_INT_DIGITS};
use crate::values::bigint::BigInt;

/// A number of so many digits always fits into 64 bits.
const FEW_DIGITS: usize = 18;

pub fn integer(line: &[u8]) -> Verdict<BigInt> {
    let (negative, digits) = match line.split_first() {
        Some((b'-', rest)) => (true, rest),
        _ => (false, line),
    };
    if digits.len() > MAX_INT_DIGITS {
        return undecodable("an int of more than 4300 digits");
    }
    let well_spelled = match digits.split_first() {
        Some((b'0', rest)) => rest.is_empty() && !negative,
        Some((_, _)) => digits.iter().all(u8::is_ascii_digit),
        None => false,
    };
    if !well_spelled {
        return undecodable("corrupt pickle: not an int");
    }
    Ok(BigInt::from_digits(negative, digits))
}

/// The fast way for short ints, which are the usual case.
#[inline]
pub fn small_integer(line: &[u8]) -> Option<i64> {
    if line.is_empty() || line.len() > FEW_DIGITS || (line[0] == b'0' && line.len() > 1) {
        return None;
    }
    line.iter().try_fold(0, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + i64::from(digit - b'0')))
}

pub fn real(line: &[u8]) -> Verdict<f64> {
    let bare = line.strip_prefix(b"-").unwrap_or(line);
    let number = match std::str::from_utf8(line) {
        Ok(text) if bare == b"inf" || bare == b"nan" || is_float(bare) => text.parse::<f64>().ok(),
        _ => None,
    };
    match number {
        Some(number) if number.is_infinite() && bare != b"inf" => {
            undecodable("corrupt pickle: a float out of range") // as in CPython for 1e999
        }
        Some(number) => Ok(number),
        None => undecodable("corrupt pickle: not a float"),
    }
}

/// `[0-9]{1,32}(\.[0-9]{1,32})?(e[-+]?[0-9]{1,3})?`
fn is_float(text: &[u8]) -> bool {
    let digits = |from: usize| text[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut at = digits(0);
    if !(1..=32).contains(&at) {
        return false;
    }
    if text.get(at) == Some(&b'.') {
        let fraction = digits(at + 1);
        if !(1..=32).contains(&fraction) {
            return false;
        }
        at += 1 + fraction;
    }
    if text.get(at) == Some(&b'e') {
        at += 1 + usize::from(matches!(text.get(at + 1), Some(b'-' | b'+')));
        let power = digits(at);
        if !(1..=3).contains(&power) {
            return false;
        }
        at += power;
    }
    at == text.len()
}

/// The bytes of a quoted str of Python 2. None: it has no escapes, so the bytes between the quotes are its bytes.
pub fn string(quoted: &[u8]) -> Verdict<Option<Vec<u8>>> {
    let content = match quoted {
        [first, content @ .., last] if first == last && (*first == b'\'' || *first == b'"') => content,
        _ => return undecodable("corrupt pickle: an unquoted string"),
    };
    if !content.contains(&b'\\') {
        return Ok(None);
    }
    match unescaped(content) {
        Some(bytes) => Ok(Some(bytes)),
        None => undecodable("corrupt pickle: a broken string escape"),
    }
}

fn unescaped(content: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(content.len());
    let mut bytes = content.iter();
    while let Some(byte) = bytes.next() {
        if *byte != b'\\' {
            out.push(*byte);
            continue;
        }
        out.push(match bytes.next()? {
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'x' => lower_hex(*bytes.next()?)? << 4 | lower_hex(*bytes.next()?)?,
            quoted @ (b'\\' | b'\'' | b'"') => *quoted,
            _ => return None,
        });
    }
    Some(out)
}

fn lower_hex(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

/// Latin-1 with \uXXXX and \UXXXXXXXX escapes, as UTF-8: Python's raw-unicode-escape.
pub fn raw_unicode(line: &[u8]) -> Verdict<Vec<u8>> {
    match read_raw_unicode(line) {
        Some(text) => Ok(text.into_bytes()),
        None => undecodable("a string with a lone surrogate or a broken escape"),
    }
}

fn read_raw_unicode(line: &[u8]) -> Option<String> {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        let width = match (*byte, after.first()) {
            (b'\\', Some(b'u')) => 4,
            (b'\\', Some(b'U')) => 8,
            (b'\\', Some(other)) => {
                out.push('\\');
                out.push(char::from(*other));
                rest = &after[1..];
                continue;
            }
            _ => {
                out.push(char::from(*byte));
                continue;
            }
        };
        let digits = after.get(1..1 + width)?;
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        let code = u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        out.push(char::from_u32(code)?);
        rest = &after[1 + width..];
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backslash_is_an_escape_only_in_front_of_u() {
        assert_eq!(raw_unicode(b"a\\u00e9\\\\u0041\\").unwrap(), "aé\\\\u0041\\".as_bytes());
        assert!(raw_unicode(b"\\ud800").is_err());
        assert!(raw_unicode(b"\\u12").is_err());
    }

    #[test]
    fn floats_are_spelled_as_repr_does() {
        assert_eq!(real(b"-1.5e-3").unwrap(), -0.0015);
        for text in ["1.", ".5", "1e", "1E5", " 1", "1e999", "", "-", "infinity"] {
            assert!(real(text.as_bytes()).is_err());
        }
    }

    #[test]
    fn ints_have_no_zeros_in_front() {
        assert!(integer(b"-0").is_err());
        assert!(integer(b"007").is_err());
        assert_eq!(integer(b"-12").unwrap().to_i64(), Some(-12));
    }
}
