//! The budgets of a payload: depth, nodes and bytes, as in `proxy/codec/payload/budgets.py`. Written bytes count too.

use crate::limits::{Failure, Verdict};
use crate::payload::json_writer::plain_prefix;
use crate::payload::presenter::{Presenter, Spending};
use crate::payload::sink::Sink;
use crate::unpickle::node::Piece;
use crate::values::bigint::BigInt;

/// The bits of an int that is free of cost.
const WORD: u64 = 64;
/// The length of an escape such as \u0001.
pub const MOST_BYTES_FOR_ONE: u64 = 6;

impl<'p, 'a, S: Sink> Presenter<'p, 'a, S> {
    /// Count the parts of a container before reading them.
    #[inline]
    pub fn descend(&mut self, depth: u64, count: u64) -> Verdict<()> {
        if count > 0 && depth >= self.limits.depth {
            return self.limits.too_deep();
        }
        self.count(count)
    }

    #[inline]
    pub fn count(&mut self, nodes: u64) -> Verdict<()> {
        match self.nodes_left.checked_sub(nodes) {
            Some(left) => {
                self.nodes_left = left;
                Ok(())
            }
            None => self.limits.too_many(),
        }
    }

    /// Check that so many nodes are left, before they are looked at and counted.
    pub fn check_nodes(&self, nodes: u64) -> Verdict<()> {
        match nodes <= self.nodes_left {
            true => Ok(()),
            false => self.limits.too_many(),
        }
    }

    pub fn spend(&mut self, size: u64) -> Verdict<()> {
        if self.spending == Spending::Nothing {
            return Ok(());
        }
        match self.bytes_left.checked_sub(size) {
            Some(left) => {
                self.bytes_left = left;
                Ok(())
            }
            None => self.limits.too_large(),
        }
    }

    pub fn spend_int(&mut self, number: &BigInt) -> Verdict<()> {
        if number.bit_length() > WORD {
            let digits = number.about_digits();
            self.spend(digits)?;
        }
        Ok(())
    }

    pub fn spend_text(&mut self, text: &[u8]) -> Verdict<()> {
        self.spend_unwritten(text)?;
        self.check_size(text)
    }

    /// Count a text that may not be written.
    pub fn spend_unwritten(&mut self, text: &[u8]) -> Verdict<()> {
        self.spend(if S::HAS_BINARY { text.len() as u64 } else { json_bytes(text) })
    }

    pub fn spend_binary(&mut self, piece: Piece) -> Verdict<()> {
        self.spend_raw(u64::from(piece.size))
    }

    pub fn spend_raw(&mut self, size: u64) -> Verdict<()> {
        let size = if S::HAS_BINARY { size } else { size * 4 / 3 };
        self.spend(size)?;
        self.check_room(size)
    }

    /// Count a string of the pickle itself.
    #[inline]
    pub fn own_text(&mut self, piece: Piece) -> Verdict<()> {
        let text = self.arena.bytes(piece);
        self.check_text(text)?;
        self.sink.text(text);
        Ok(())
    }

    #[inline]
    pub fn check_text(&mut self, text: &[u8]) -> Verdict<()> {
        match self.spending {
            Spending::All => self.spend_text(text),
            _ => self.check_size(text),
        }
    }

    /// Check the room for a text before it is written, because its payload may be six times as long.
    #[inline]
    pub fn check_size(&self, text: &[u8]) -> Verdict<()> {
        let most = text.len() as u64 * MOST_BYTES_FOR_ONE;
        if most + self.sink.written() as u64 <= self.limits.decoded_bytes {
            return Ok(());
        }
        self.check_room(if S::HAS_BINARY { text.len() } else { escaped_bytes(text) } as u64)
    }

    fn check_room(&self, size: u64) -> Verdict<()> {
        if self.sink.written() as u64 + size <= self.limits.decoded_bytes {
            return Ok(());
        }
        self.no_room()
    }

    #[inline]
    pub fn check_written(&self) -> Verdict<()> {
        self.check_room(0)
    }

    #[cold]
    fn no_room(&self) -> Verdict<()> {
        match self.dropping {
            0 => self.limits.too_large(),
            _ => Err(Failure::NotHandled), // it will be taken back, so the value may still fit
        }
    }
}

/// The bytes of a text in JSON, without its quotes.
fn escaped_bytes(text: &[u8]) -> usize {
    let count = |wanted: fn(&u8) -> bool| text.iter().filter(|byte| wanted(byte)).count();
    let short = count(|byte| matches!(byte, 8 | 9 | 10 | 12 | 13));
    text.len() + count(|byte| *byte == b'"') + count(|byte| *byte == b'\\') + count(|byte| *byte < 32) * 5 - short * 4
}

/// The bytes of a text in JSON, as `budgets.py` estimates them. Quotes and backslashes of printable ASCII are not counted.
fn json_bytes(text: &[u8]) -> u64 {
    let size = text.len() as u64;
    if text.iter().all(|byte| (0x20..0x7f).contains(byte)) {
        return size;
    }
    size + escapes(text)
}

/// The bytes that JSON's escapes add to a text.
pub fn escapes(text: &[u8]) -> u64 {
    if plain_prefix(text) == text.len() {
        return 0;
    }
    text.iter().fold(0, |sum, byte| match byte {
        8 | 9 | 10 | 12 | 13 | b'"' | b'\\' => sum + 1,
        0..=31 => sum + 5,
        _ => sum,
    })
}
