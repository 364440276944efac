//! Where a payload is written. Both formats are told how many parts a container has before the parts come.

use crate::bigint::BigInt;

pub trait Sink {
    /// Whether the format has bytes, NaN and the infinities by itself.
    const HAS_BINARY: bool;

    fn null(&mut self);
    fn boolean(&mut self, value: bool);
    fn integer(&mut self, value: i64);
    /// An int that the format can hold.
    fn big(&mut self, value: &BigInt);
    /// A float that the format can hold.
    fn float(&mut self, value: f64);
    fn text(&mut self, utf8: &[u8]);
    /// Only where the format has bytes.
    fn binary(&mut self, raw: &[u8]);

    fn open_array(&mut self, size: usize);
    /// Before each item of an array.
    fn item(&mut self, at: usize);
    fn close_array(&mut self);
    fn open_map(&mut self, size: usize);
    /// Before each value of a map.
    fn key(&mut self, at: usize, utf8: &[u8]);
    fn close_map(&mut self);

    fn written(&self) -> usize;
    /// Take back all beyond what was once `written`.
    fn take_back(&mut self, to: usize);
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Base64 with padding, RFC 4648.
pub fn base64(raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len() / 3 * 4 + 4);
    for chunk in raw.chunks(3) {
        let mut padded = [0u8; 3];
        padded[..chunk.len()].copy_from_slice(chunk);
        let bits = u32::from(padded[0]) << 16 | u32::from(padded[1]) << 8 | u32::from(padded[2]);
        for place in 0..4 {
            let sextet = bits >> (18 - 6 * place) & 63;
            out.push(if place <= chunk.len() { ALPHABET[sextet as usize] } else { b'=' });
        }
    }
    out
}
