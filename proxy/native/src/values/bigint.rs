//! Ints beyond 64 bits: sign and magnitude, between the decimal text of payloads and the two's complement of pickles.
//! Quadratic, and bounded by the 4300 digits that either may have.

use crate::limits::MAX_INT_DIGITS;

/// The decimal digits of one limb.
const CHUNK: usize = 19;
const CHUNK_VALUE: u64 = 10_000_000_000_000_000_000;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BigInt {
    pub negative: bool,
    /// The magnitude, least significant limb first, without leading zeros.
    limbs: Vec<u64>,
}

impl BigInt {
    /// Read a number in two's complement, least significant byte first.
    pub fn from_le_bytes(raw: &[u8]) -> Self {
        let negative = matches!(raw.last(), Some(last) if *last >= 0x80);
        let mut limbs: Vec<u64> = raw
            .chunks(8)
            .map(|chunk| {
                let mut padded = [if negative { 0xff } else { 0 }; 8];
                padded[..chunk.len()].copy_from_slice(chunk);
                u64::from_le_bytes(padded)
            })
            .collect();
        if negative {
            negate(&mut limbs);
        }
        trim(&mut limbs);
        BigInt { negative, limbs }
    }

    /// Read decimal digits without a sign.
    pub fn from_digits(negative: bool, digits: &[u8]) -> Self {
        let mut limbs: Vec<u64> = Vec::with_capacity(digits.len() / CHUNK + 1);
        let first = digits.len() % CHUNK;
        let (head, tail) = digits.split_at(first);
        for chunk in std::iter::once(head).chain(tail.chunks(CHUNK)) {
            let mut carry = chunk.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'));
            let scale = 10u64.pow(chunk.len() as u32);
            for limb in &mut limbs {
                let wide = u128::from(*limb) * u128::from(scale) + u128::from(carry);
                *limb = wide as u64;
                carry = (wide >> 64) as u64;
            }
            if carry > 0 {
                limbs.push(carry);
            }
        }
        BigInt { negative, limbs }
    }

    /// The number itself, if it fits.
    pub fn to_i64(&self) -> Option<i64> {
        match self.limbs.as_slice() {
            [] => Some(0),
            [limb] if self.negative => (*limb <= 1 << 63).then(|| (*limb as i64).wrapping_neg()),
            [limb] => i64::try_from(*limb).ok(),
            _ => None,
        }
    }

    /// The number itself, if it fits.
    pub fn to_u64(&self) -> Option<u64> {
        match self.limbs.as_slice() {
            [] => Some(0),
            [limb] if !self.negative => Some(*limb),
            _ => None,
        }
    }

    /// The number itself, if it fits.
    pub fn to_u128(&self) -> Option<u128> {
        match self.limbs.as_slice() {
            [low, high] if !self.negative => Some(u128::from(*high) << 64 | u128::from(*low)),
            _ => self.to_u64().map(u128::from),
        }
    }

    /// Bits of the magnitude.
    pub fn bit_length(&self) -> u64 {
        self.limbs.last().map_or(0, |top| self.limbs.len() as u64 * 64 - u64::from(top.leading_zeros()))
    }

    /// An estimate of its digits, never too low, like `limits.digits`.
    pub fn about_digits(&self) -> u64 {
        self.bit_length() * 309 / 1024 + 1
    }

    /// True if the magnitude has more digits than `most`. Exact, and usually without counting them.
    pub fn has_more_digits_than(&self, most: usize) -> bool {
        let bits = self.bit_length() as f64;
        let wanted = most as f64 * std::f64::consts::LOG2_10; // 10^most has one digit more than `most`
        if bits < wanted - 1.0 {
            return false;
        }
        if bits > wanted + 2.0 {
            return true;
        }
        self.digits().len() > most
    }

    /// True if it is over the limit for ints.
    pub fn is_too_long(&self) -> bool {
        self.has_more_digits_than(MAX_INT_DIGITS)
    }

    /// The decimal digits of the magnitude.
    pub fn digits(&self) -> Vec<u8> {
        let mut limbs = self.limbs.clone();
        let mut chunks = Vec::with_capacity(limbs.len() * 20 / CHUNK + 1);
        while !limbs.is_empty() {
            chunks.extend(divide_by_chunks(&mut limbs));
            trim(&mut limbs);
        }
        trim(&mut chunks);
        let mut text = match chunks.pop() {
            None => return b"0".to_vec(),
            Some(first) => first.to_string().into_bytes(),
        };
        for mut chunk in chunks.into_iter().rev() {
            let start = text.len();
            text.resize(start + CHUNK, b'0');
            for place in text[start..].iter_mut().rev() {
                *place = b'0' + (chunk % 10) as u8;
                chunk /= 10;
            }
        }
        text
    }

    /// The decimal text, sign included.
    pub fn text(&self) -> Vec<u8> {
        let mut text = self.digits();
        if self.negative {
            text.insert(0, b'-');
        }
        text
    }

    /// Two's complement, least significant byte first, with Python's length `int.bit_length() // 8 + 1`.
    pub fn to_le_bytes(&self) -> Vec<u8> {
        let size = (self.bit_length() / 8 + 1) as usize;
        let mut limbs = self.limbs.clone();
        limbs.push(0);
        if self.negative {
            negate(&mut limbs);
        }
        limbs.iter().flat_map(|limb| limb.to_le_bytes()).take(size).collect()
    }
}

fn negate(limbs: &mut [u64]) {
    let mut carry = true;
    for limb in limbs {
        let (negated, overflow) = (!*limb).overflowing_add(u64::from(carry));
        *limb = negated;
        carry = overflow;
    }
}

fn trim(limbs: &mut Vec<u64>) {
    while limbs.last() == Some(&0) {
        limbs.pop();
    }
}

/// Divide in place by 10^19 several times, and return the remainders. One pass does several divisions: their steps do not
/// wait for each other, while the steps of a single division do.
fn divide_by_chunks(limbs: &mut [u64]) -> [u64; 4] {
    let mut rests = [0; 4];
    for limb in limbs.iter_mut().rev() {
        for rest in &mut rests {
            let (quotient, left) = divide_step(*rest, *limb);
            *limb = quotient;
            *rest = left;
        }
    }
    rests
}

/// Divide `high * 2^64 + low` by 10^19, which is more than `high`. The quotient is estimated with the reciprocal of the
/// divisor (Möller and Granlund, "Improved division by invariant integers", algorithm 4): a division would take ten times
/// as long.
#[inline]
fn divide_step(high: u64, low: u64) -> (u64, u64) {
    // CHUNK_VALUE is normalised: its highest bit is set.
    const RECIPROCAL: u64 = (u128::MAX / CHUNK_VALUE as u128 - (1 << 64)) as u64;
    let product = u128::from(RECIPROCAL) * u128::from(high) + (u128::from(high) << 64 | u128::from(low));
    let mut quotient = ((product >> 64) as u64).wrapping_add(1);
    let mut left = low.wrapping_sub(quotient.wrapping_mul(CHUNK_VALUE));
    if left > product as u64 {
        quotient = quotient.wrapping_sub(1);
        left = left.wrapping_add(CHUNK_VALUE);
    }
    if left >= CHUNK_VALUE {
        quotient = quotient.wrapping_add(1);
        left -= CHUNK_VALUE;
    }
    (quotient, left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_and_bytes_are_each_others_inverse() {
        let mut digits = b"1".to_vec();
        for at in 0..400u32 {
            digits.push(b'0' + (at * 7 % 10) as u8);
            for negative in [false, true] {
                let number = BigInt::from_digits(negative, &digits);
                assert_eq!(number.digits(), digits);
                assert_eq!(BigInt::from_le_bytes(&number.to_le_bytes()), number);
            }
        }
    }

    #[test]
    fn the_bound_of_digits_is_exact() {
        for most in [1usize, 19, 20, 4299, 4300] {
            let mut digits = vec![b'9'; most];
            assert!(!BigInt::from_digits(false, &digits).has_more_digits_than(most));
            digits = vec![b'0'; most + 1];
            digits[0] = b'1';
            assert!(BigInt::from_digits(true, &digits).has_more_digits_than(most));
        }
    }

    #[test]
    fn the_ends_of_a_word_fit_into_it() {
        assert_eq!(BigInt::from_digits(true, b"9223372036854775808").to_i64(), Some(i64::MIN));
        assert_eq!(BigInt::from_digits(false, b"9223372036854775808").to_i64(), None);
        assert_eq!(BigInt::from_digits(false, b"18446744073709551615").to_u64(), Some(u64::MAX));
    }
}
