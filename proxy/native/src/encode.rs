//! Payload -> stored value. The reference handles everything else, all errors included.

use crate::limits::MAX_DEPTH;
use crate::options::{Storage, Writing};
use crate::payload::json_body;
use crate::payload::json_reader;
use crate::payload::msgpack_reader;
use crate::payload::tape::Tape;
use crate::pickler::pickler::Pickler;
use crate::pickler::plain_pickler::{self, PickleWriter};

/// The stored value of a payload. None: the reference must encode it.
pub fn encode(payload: &[u8], writing: &Writing) -> Option<Vec<u8>> {
    let limits = writing.limits;
    if payload.len() as u64 > limits.payload_bytes.min(u64::from(u32::MAX) / 8) || limits.depth > MAX_DEPTH {
        return None;
    }
    if let Some((content_type, json)) = &writing.view {
        return view(payload, writing, content_type, *json);
    }
    if writing.storage == Storage::Json {
        return json(payload, writing);
    }
    let (may_have_tags, mut tape) = match writing.msgpack {
        true => (msgpack_reader::may_have_tags(payload), msgpack_reader::read(payload, limits)?),
        false => (json_reader::may_have_tags(payload), json_reader::read(payload, limits)?),
    };
    let may_have_tags = may_have_tags && !writing.accepted.is_empty();
    let mark = writing.storage.mark();
    let digits = if writing.storage.has_digits() { plain_pickler::digits(&tape, writing.accepted) } else { None };
    let value = match digits {
        Some(digits) => digits,
        None if may_have_tags => Pickler::new(&mut tape, writing.protocol, mark, writing.accepted, limits).write()?,
        None => PickleWriter::new(&tape, writing.protocol, mark).write()?,
    };
    (value.len() as u64 <= limits.decoded_bytes).then_some(value)
}

/// The stored value of a rule that stores JSON.
fn json(payload: &[u8], writing: &Writing) -> Option<Vec<u8>> {
    if writing.msgpack || (json_reader::may_have_tags(payload) && !writing.accepted.is_empty()) {
        return None;
    }
    let value = json_body::rewritten(payload, writing.limits)?;
    (value.len() as u64 <= writing.limits.decoded_bytes).then_some(value)
}

fn view(payload: &[u8], writing: &Writing, content_type: &str, json: bool) -> Option<Vec<u8>> {
    if writing.msgpack {
        return None;
    }
    let tape = if json { json_reader::read(payload, writing.limits)? } else { Tape::new(b"") };
    let writer = PickleWriter::new(&tape, writing.protocol, writing.storage.mark());
    let value = writer.view(payload, json, content_type.as_bytes())?;
    (value.len() as u64 <= writing.limits.decoded_bytes).then_some(value)
}
