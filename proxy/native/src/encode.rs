//! Payload -> stored value. What is not done here, every error among it, is the reference's to do.

use crate::json_read;
use crate::limits::{Limits, MAX_DEPTH};
use crate::msgpack_read;
use crate::pickle_write::{self, PickleWriter};
use crate::pickler::Pickler;
use crate::tags::TagSet;
use crate::tape::Tape;

const PICKLE_MARK: u8 = b'!';

/// How a value is written.
#[derive(Clone)]
pub struct Writing {
    pub limits: Limits,
    pub msgpack: bool,
    pub protocol: u8,
    /// Tags that writers may use.
    pub accepted: TagSet,
    /// The values are cached views: of which Content-Type, and whether that is JSON.
    pub view: Option<(String, bool)>,
}

/// The stored value of a payload; None: the reference must do it.
pub fn encode(payload: &[u8], writing: &Writing) -> Option<Vec<u8>> {
    let limits = writing.limits;
    if payload.len() as u64 > limits.payload_bytes.min(u64::from(u32::MAX) / 8) || limits.depth > MAX_DEPTH {
        return None;
    }
    if let Some((content_type, json)) = &writing.view {
        return view(payload, writing, content_type, *json);
    }
    let (may_have_tags, mut tape) = match writing.msgpack {
        true => (msgpack_read::may_have_tags(payload), msgpack_read::read(payload, limits)?),
        false => (json_read::may_have_tags(payload), json_read::read(payload, limits)?),
    };
    let may_have_tags = may_have_tags && !writing.accepted.is_empty();
    let value = match pickle_write::digits(&tape, writing.accepted) {
        Some(digits) => digits,
        None if may_have_tags => {
            Pickler::new(&mut tape, writing.protocol, PICKLE_MARK, writing.accepted, limits).write()?
        }
        None => PickleWriter::new(&tape, writing.protocol, PICKLE_MARK).write()?,
    };
    (value.len() as u64 <= limits.decoded_bytes).then_some(value)
}

fn view(payload: &[u8], writing: &Writing, content_type: &str, json: bool) -> Option<Vec<u8>> {
    if writing.msgpack {
        return None;
    }
    let tape = if json { json_read::read(payload, writing.limits)? } else { Tape::new(b"") };
    let writer = PickleWriter::new(&tape, writing.protocol, PICKLE_MARK);
    let value = writer.view(payload, json, content_type.as_bytes())?;
    (value.len() as u64 <= writing.limits.decoded_bytes).then_some(value)
}
