//! Stored values, as every Flask cache library reads them: ASCII digits, `!` and a pickle, or else bytes.

use crate::bigint::BigInt;
use crate::json_write::JsonWriter;
use crate::limits::{undecodable, Failure, Limits, Verdict, MAX_INT_DIGITS};
use crate::machine::{is_json_number, Findings, Machine};
use crate::msgpack_write::MsgpackWriter;
use crate::node::{Arena, Node, Piece};
use crate::present::{Presenter, Spending, MOST_BYTES_FOR_ONE};
use crate::sink::Sink;
use crate::view;

/// How a value is read.
#[derive(Clone, Copy)]
pub struct Reading {
    pub limits: Limits,
    pub msgpack: bool,
    pub plain: bool,
    /// Ints beyond 2^53 are tagged.
    pub safe_ints: bool,
    /// The values are cached views: whether of JSON.
    pub view: Option<bool>,
}

/// The payload of a stored value.
pub fn decode(value: &[u8], reading: Reading) -> Verdict<Vec<u8>> {
    let limits = reading.limits;
    if value.len() as u64 > limits.decoded_bytes {
        return undecodable(&format!(
            "a stored value of {} bytes is over the limit of {} ([limits] decoded_bytes)",
            value.len(),
            limits.decoded_bytes
        ));
    }
    if limits.decoded_bytes > u64::from(u32::MAX) / 4 {
        return Err(Failure::NotHandled); // pieces are counted in 32 bits
    }
    if value.first() == Some(&b'!') {
        let mut machine = Machine::new(value, limits);
        let findings = machine.run(1)?;
        return write(&machine.arena, &findings, reading);
    }
    let mut arena = Arena::new(value);
    let (root, natural) = match read_int(value) {
        Some(number) => {
            let natural = is_json_number(&number);
            (arena.big(number), natural)
        }
        None => (Node::Bytes(Piece { start: 0, size: value.len() as u32 }), true),
    };
    let binary = matches!(root, Node::Bytes(_));
    write(&arena, &Findings { root, tree: true, natural, binary, text_bytes: 0 }, reading)
}

fn write(arena: &Arena, findings: &Findings, reading: Reading) -> Verdict<Vec<u8>> {
    if let Some(json) = reading.view {
        let payload = view::payload(arena, findings.root, reading, json)?;
        return if payload.len() as u64 > reading.limits.decoded_bytes {
            reading.limits.too_large()
        } else {
            Ok(payload)
        };
    }
    let capacity = arena.data.len() + arena.data.len() / 4 + 64;
    if reading.msgpack {
        let mut sink = MsgpackWriter::new(capacity);
        present(arena, findings, reading, &mut sink)?;
        Ok(sink.out)
    } else {
        let mut sink = JsonWriter::new(capacity);
        present(arena, findings, reading, &mut sink)?;
        Ok(sink.out)
    }
}

fn present<S: Sink>(arena: &Arena, findings: &Findings, reading: Reading, sink: &mut S) -> Verdict<()> {
    let limits = reading.limits;
    let fits = !findings.binary || (S::HAS_BINARY && !reading.plain);
    // Ints beyond msgpack's get tags, which count.
    let ints_fit = !reading.safe_ints && (!S::HAS_BINARY || arena.bigs.is_empty());
    let text_fits = findings.tree && findings.text_bytes * MOST_BYTES_FOR_ONE <= limits.decoded_bytes;
    let spending = match (findings.natural && findings.tree && fits && ints_fit, text_fits) {
        (true, _) => Spending::Nothing,
        (false, true) => Spending::AllButText,
        (false, false) => Spending::All,
    };
    Presenter::new(arena, sink, limits, reading.plain, reading.safe_ints, spending).present(findings.root)
}

/// The int that Flask reads from these bytes: what Python's int() takes.
fn read_int(stored: &[u8]) -> Option<BigInt> {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c);
    let start = stored.iter().position(|byte| !is_space(byte))?;
    let stop = stored.iter().rposition(|byte| !is_space(byte))? + 1;
    let bare = &stored[start..stop];
    let (negative, spelled) = match bare.split_first()? {
        (b'-', rest) => (true, rest),
        (b'+', rest) => (false, rest),
        _ => (false, bare),
    };
    if spelled.is_empty() || !spelled.split(|byte| *byte == b'_').all(is_digits) {
        return None;
    }
    let digits: Vec<u8> = spelled.iter().copied().filter(|byte| *byte != b'_').collect();
    if digits.len() > MAX_INT_DIGITS {
        return None;
    }
    let number = BigInt::from_digits(negative, &digits);
    Some(if number.bit_length() == 0 { BigInt::from_digits(false, b"0") } else { number })
}

fn is_digits(part: &[u8]) -> bool {
    !part.is_empty() && part.iter().all(u8::is_ascii_digit)
}
