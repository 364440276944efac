//! Stored value -> payload, by the storage of a rule. `proxy/codec/envelope.py` explains the storages.

use crate::limits::{over_limit, Failure, Verdict, MAX_INT_DIGITS};
use crate::options::{Reading, Storage};
use crate::payload::budgets::MOST_BYTES_FOR_ONE;
use crate::payload::json_body;
use crate::payload::json_writer::JsonWriter;
use crate::payload::msgpack_writer::MsgpackWriter;
use crate::payload::presenter::{Presenter, Spending};
use crate::payload::sink::Sink;
use crate::payload::views;
use crate::unpickle::machine::{is_json_number, Findings, Machine};
use crate::unpickle::node::{Arena, Node, Piece};
use crate::values::bigint::BigInt;

/// The payload of a stored value.
pub fn decode(value: &[u8], reading: &Reading) -> Verdict<Vec<u8>> {
    let limits = reading.limits;
    if value.len() as u64 > limits.decoded_bytes {
        let (size, most) = (value.len(), limits.decoded_bytes);
        let text = format!("a stored value of {size} bytes is over the limit of {most} ([limits] decoded_bytes)");
        return over_limit(text, "decoded_bytes");
    }
    if limits.decoded_bytes > u64::from(u32::MAX) / 4 {
        return Err(Failure::NotHandled); // pieces are counted in 32 bits
    }
    match reading.storage {
        Storage::Json => return json_body::value(value, reading),
        Storage::Flask if value.first() == Some(&b'!') => return pickle(value, 1, reading),
        Storage::Pickle => return bare_pickle(value, reading),
        Storage::Django if read_int(value).is_none() => return bare_pickle(value, reading),
        Storage::Flask | Storage::Django => {}
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

fn pickle(value: &[u8], start: usize, reading: &Reading) -> Verdict<Vec<u8>> {
    let mut machine = Machine::new(value, reading.limits);
    let findings = machine.run(start)?;
    match write(&machine.arena, &findings, reading) {
        // Parts of it may contain themselves. The reference cuts those.
        Err(Failure::Undecodable(..)) if !findings.tree => Err(Failure::NotHandled),
        verdict => verdict,
    }
}

/// A pickle without a mark. The reference makes the error for other bytes, such as compressed values.
fn bare_pickle(value: &[u8], reading: &Reading) -> Verdict<Vec<u8>> {
    match pickle(value, 0, reading) {
        Err(Failure::Undecodable(_, None)) if value.first() != Some(&0x80) => Err(Failure::NotHandled),
        verdict => verdict,
    }
}

fn write(arena: &Arena, findings: &Findings, reading: &Reading) -> Verdict<Vec<u8>> {
    if let Some(json) = reading.view {
        let payload = views::payload(arena, findings.root, reading, json)?;
        return if payload.len() as u64 > reading.limits.decoded_bytes {
            reading.limits.too_large()
        } else {
            Ok(payload)
        };
    }
    let capacity = arena.texts.data.len() + arena.texts.data.len() / 4 + 64;
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

fn present<S: Sink>(arena: &Arena, findings: &Findings, reading: &Reading, sink: &mut S) -> Verdict<()> {
    let limits = reading.limits;
    let fits = !findings.binary || (S::HAS_BINARY && !reading.plain);
    // An int that msgpack cannot hold gets a tag, which counts.
    let ints_fit = !reading.safe_ints && (!S::HAS_BINARY || arena.bigs.is_empty());
    let text_fits = findings.tree && findings.text_bytes * MOST_BYTES_FOR_ONE <= limits.decoded_bytes;
    let spending = match (findings.natural && findings.tree && fits && ints_fit, text_fits) {
        (true, _) => Spending::Nothing,
        (false, true) => Spending::AllButText,
        (false, false) => Spending::All,
    };
    let mut presenter = Presenter::new(arena, sink, limits, reading.plain, reading.safe_ints, spending);
    presenter.naive_is_utc = reading.naive_is_utc;
    presenter.reads = &reading.classes;
    presenter.is_tree = findings.tree;
    // Datetimes may share their zone in a tree, and it may be a value too.
    presenter.values.remembers = !findings.tree || arena.instances.iter().any(|zone| zone.zone.is_some());
    presenter.present(findings.root)
}

/// The int that Flask reads from these bytes with Python's int().
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
