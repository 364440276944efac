//! `str(Decimal(text))`: the General Decimal Arithmetic's numeric strings, https://speleotrove.com/decimal/daconvs.html

/// Exponents of more digits than this are left to Python, whose limits depend on the machine.
const MOST_EXPONENT_DIGITS: usize = 15;

#[derive(Debug, PartialEq, Eq)]
pub enum Reading {
    /// Its normal text.
    Number(Vec<u8>),
    /// Not a number.
    Invalid,
    /// Left to Python: digits of other scripts, and very long exponents.
    Unknown,
}

/// Read a Decimal's text.
pub fn normal(text: &[u8]) -> Reading {
    if text.iter().any(|byte| *byte == 0 || *byte >= 0x80) {
        return Reading::Unknown;
    }
    let bare: Vec<u8> = strip(text).iter().copied().filter(|byte| *byte != b'_').collect();
    let (negative, rest) = match bare.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, bare.as_slice()),
    };
    let mut out = if negative { b"-".to_vec() } else { Vec::new() };
    let lower = rest.to_ascii_lowercase();
    if lower == b"inf" || lower == b"infinity" {
        out.extend_from_slice(b"Infinity");
        return Reading::Number(out);
    }
    for (prefix, name) in [(&b"nan"[..], &b"NaN"[..]), (&b"snan"[..], &b"sNaN"[..])] {
        if let Some(payload) = lower.strip_prefix(prefix) {
            if !payload.iter().all(u8::is_ascii_digit) {
                return Reading::Invalid;
            }
            out.extend_from_slice(name);
            out.extend_from_slice(without_zeros(payload));
            return Reading::Number(out);
        }
    }
    finite(&lower, out)
}

fn strip(text: &[u8]) -> &[u8] {
    let is_space = |byte: &u8| matches!(*byte, 9..=13 | 28..=32);
    let start = text.iter().position(|byte| !is_space(byte)).unwrap_or(text.len());
    let stop = text.iter().rposition(|byte| !is_space(byte)).map_or(start, |last| last + 1);
    &text[start..stop]
}

fn without_zeros(digits: &[u8]) -> &[u8] {
    let start = digits.iter().position(|digit| *digit != b'0').unwrap_or(digits.len());
    &digits[start..]
}

fn finite(text: &[u8], mut out: Vec<u8>) -> Reading {
    let (number, power) = match text.iter().position(|byte| *byte == b'e') {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    };
    let (whole, fraction) = match number.iter().position(|byte| *byte == b'.') {
        Some(at) => (&number[..at], &number[at + 1..]),
        None => (number, &b""[..]),
    };
    let all: Vec<u8> = [whole, fraction].concat();
    if all.is_empty() || !all.iter().all(u8::is_ascii_digit) {
        return Reading::Invalid;
    }
    let mut exponent = match power.map(read_exponent) {
        None => 0,
        Some(Ok(exponent)) => exponent,
        Some(Err(reading)) => return reading,
    };
    exponent -= fraction.len() as i64;
    let digits = match without_zeros(&all) {
        b"" => &b"0"[..],
        digits => digits,
    };
    write_scientific(&mut out, digits, exponent);
    Reading::Number(out)
}

fn read_exponent(text: &[u8]) -> Result<i64, Reading> {
    let (negative, digits) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, text),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Reading::Invalid);
    }
    let digits = without_zeros(digits);
    if digits.len() > MOST_EXPONENT_DIGITS {
        return Err(Reading::Unknown);
    }
    let number = digits.iter().fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'));
    Ok(if negative { -number } else { number })
}

/// To-scientific-string of the specification.
fn write_scientific(out: &mut Vec<u8>, digits: &[u8], exponent: i64) {
    let size = digits.len() as i64;
    let left = exponent + size;
    let point = if exponent <= 0 && left > -6 { left } else { 1 };
    if point <= 0 {
        out.extend_from_slice(b"0.");
        out.resize(out.len() + (-point) as usize, b'0');
        out.extend_from_slice(digits);
    } else if point >= size {
        out.extend_from_slice(digits);
        out.resize(out.len() + (point - size) as usize, b'0');
    } else {
        out.extend_from_slice(&digits[..point as usize]);
        out.push(b'.');
        out.extend_from_slice(&digits[point as usize..]);
    }
    if left != point {
        out.extend_from_slice(format!("E{:+}", left - point).as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_one_normal_text() {
        for (text, wanted) in [
            ("1.10", "1.10"),
            ("-0", "-0"),
            ("00.00", "0.00"),
            ("1e5", "1E+5"),
            (" +1_000 ", "1000"),
            ("0.0000001", "1E-7"),
            ("0.000001", "0.000001"),
            ("12345e-3", "12.345"),
            ("-sNaN012", "-sNaN12"),
            ("inf", "Infinity"),
            (".5", "0.5"),
            ("5.", "5"),
        ] {
            assert_eq!(normal(text.as_bytes()), Reading::Number(wanted.as_bytes().to_vec()));
        }
        for text in ["", ".", "e5", "1e", "1..2", "--1", "nanx", "1e5.0"] {
            assert_eq!(normal(text.as_bytes()), Reading::Invalid);
        }
    }
}
