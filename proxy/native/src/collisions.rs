//! What it may cost the app to load keys and members whose hashes can be chosen: `proxy/codec/collisions.py`.

use crate::bigint::BigInt;

const MOST: u64 = 800_000_000;
pub const SMALL_INT: u64 = 3;
pub const NUMBER: u64 = 25;
pub const OBJECT: u64 = 40;
pub const UUID: u64 = 120;
pub const NESTED: u64 = 5;
const CHARS: u64 = 16;
const HASH_MODULUS: u64 = (1 << 61) - 1;
const BITS: u64 = 50;

#[derive(Default)]
pub struct Collisions {
    keys: u64,
    nanoseconds: u64,
}

impl Collisions {
    /// One more key or member; None: they are too many.
    pub fn key(&mut self, nanoseconds: u64, chars: u64) -> Option<()> {
        self.keys += 1;
        self.more(nanoseconds, chars)
    }

    /// What makes comparing a key longer: a part of it.
    pub fn more(&mut self, nanoseconds: u64, chars: u64) -> Option<()> {
        self.nanoseconds += nanoseconds + chars / CHARS;
        (self.keys.saturating_mul(self.nanoseconds) <= MOST).then_some(())
    }
}

/// Nanoseconds to compare an int.
pub fn of_int(number: i64) -> u64 {
    match number.unsigned_abs() {
        size if size < HASH_MODULUS => SMALL_INT,
        size => NUMBER + u64::from(64 - size.leading_zeros()) / BITS,
    }
}

pub fn of_big(number: &BigInt) -> u64 {
    NUMBER + number.bit_length() / BITS
}
