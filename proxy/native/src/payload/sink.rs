//! The output of a payload. Both formats get the number of a container's parts before the parts.

use crate::values::bigint::BigInt;

pub trait Sink {
    /// True if the format has its own types for bytes, NaN and the infinities.
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
    /// Remove everything after an earlier position of `written`.
    fn take_back(&mut self, to: usize);
}
