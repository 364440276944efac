//! One element of an array from its bytes: `proxy/codec/frames/elements.py`.

use crate::frames::dtypes::{DType, Kind};

/// An element of a dtype with a fixed size.
#[derive(Debug, Clone, Copy)]
pub enum Number {
    Bool(bool),
    Int(i64),
    Uint(u64),
    Float(f64),
    Complex(f64, f64),
}

/// The number of these bytes, of which the dtype has so many. datetime64 and timedelta64 are the ints that they are.
#[inline]
pub fn number(dtype: DType, raw: &[u8]) -> Number {
    match dtype.kind {
        Kind::Bool => Number::Bool(raw.iter().any(|byte| *byte != 0)),
        Kind::Uint => Number::Uint(word(dtype, raw)),
        Kind::Float => Number::Float(float(dtype, raw)),
        Kind::Complex => {
            let (real, imaginary) = raw.split_at(raw.len() / 2);
            Number::Complex(float(dtype, real), float(dtype, imaginary))
        }
        _ => Number::Int(signed(dtype, raw)),
    }
}

#[inline]
fn word(dtype: DType, raw: &[u8]) -> u64 {
    let mut word = [0u8; 8];
    if dtype.is_big_endian {
        word[8 - raw.len()..].copy_from_slice(raw);
        return u64::from_be_bytes(word);
    }
    word[..raw.len()].copy_from_slice(raw);
    u64::from_le_bytes(word)
}

#[inline]
pub fn signed(dtype: DType, raw: &[u8]) -> i64 {
    let unused = 64 - 8 * raw.len() as u32;
    (word(dtype, raw) << unused) as i64 >> unused
}

#[inline]
fn float(dtype: DType, raw: &[u8]) -> f64 {
    let word = word(dtype, raw);
    match raw.len() {
        2 => half(word as u16),
        4 => f64::from(f32::from_bits(word as u32)),
        _ => f64::from_bits(word),
    }
}

/// A float of 16 bits.
fn half(bits: u16) -> f64 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f64::from(bits & 0x3ff));
    match exponent {
        0 => sign * fraction * 2f64.powi(-24),
        0x1f if fraction == 0.0 => sign * f64::INFINITY,
        0x1f => sign * f64::NAN,
        _ => sign * (1024.0 + fraction) * 2f64.powi(exponent - 25),
    }
}

/// A str of fixed width as UTF-8, without the NULs that fill it up. None: it is no Unicode.
pub fn utf8(dtype: DType, raw: &[u8], out: &mut Vec<u8>) -> Option<()> {
    out.clear();
    let mut filled = 0; // the size without the NULs at the end
    let mut buffer = [0u8; 4];
    for code in raw.chunks_exact(4) {
        let char = char::from_u32(word(dtype, code) as u32)?;
        out.extend_from_slice(char.encode_utf8(&mut buffer).as_bytes());
        if char != '\0' {
            filled = out.len();
        }
    }
    out.truncate(filled);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_exact() {
        for (bits, value) in
            [(0x3c00, 1.0), (0xc000, -2.0), (0x7bff, 65504.0), (1, 5.960464477539063e-8), (0x8000, -0.0)]
        {
            assert_eq!(half(bits).to_bits(), f64::to_bits(value));
        }
        assert_eq!(half(0xfc00), f64::NEG_INFINITY);
        assert!(half(0x7e00).is_nan());
    }
}
