//! `as = "view"`: the payload is the body of a cached view, whatever shape Flask caches it in, as in `proxy/codec/views.py`.

use crate::json_read;
use crate::json_write::JsonWriter;
use crate::limits::{undecodable, Failure, Verdict};
use crate::msgpack_write::MsgpackWriter;
use crate::node::{Arena, Node};
use crate::present::{Presenter, Spending};
use crate::shapes::{self, Resolved};
use crate::sink::Sink;
use crate::stored::Reading;
use crate::tags::Tag;

/// The payload of a stored view. `json`: its Content-Type says JSON.
pub fn payload(arena: &Arena, root: Node, reading: Reading, json: bool) -> Verdict<Vec<u8>> {
    let body = stored_body(arena, root, reading)?;
    if !reading.msgpack {
        return Ok(body);
    }
    let mut sink = MsgpackWriter::new(body.len() + 16);
    if json {
        // What is no JSON, or beyond msgpack, is what it is: the reference says so.
        let tape = json_read::read(&body, reading.limits).ok_or(Failure::NotHandled)?;
        if tape.bigs.iter().any(|number| number.to_u64().is_none()) {
            return Err(Failure::NotHandled);
        }
        let mut presenter = Presenter::new(arena, &mut sink, reading.limits, true, false, Spending::Nothing);
        presenter.tape_value(&tape, 0)?;
    } else if std::str::from_utf8(&body).is_ok() {
        sink.text(&body);
    } else {
        sink.binary(&body);
    }
    Ok(sink.out)
}

fn stored_body(arena: &Arena, root: Node, reading: Reading) -> Verdict<Vec<u8>> {
    let root = match root {
        Node::Tuple(items) => arena.lists[items as usize].first().copied().unwrap_or(root),
        _ => root,
    };
    match root {
        Node::Str { piece, .. } | Node::Bytes(piece) | Node::ByteArray(piece) => Ok(arena.bytes(piece).to_vec()),
        Node::Scalar { tag: Tag::Markup, text } => Ok(arena.bytes(text).to_vec()),
        Node::Instance(instance) => match shapes::resolve(arena, instance)? {
            Resolved::Response(response) => Ok(response.body),
            Resolved::Scalar(_) => no_view(),
        },
        Node::Dict(_) | Node::List(_) | Node::Set(_) | Node::FrozenSet(_) | Node::OrderedDict(_) => {
            let mut sink = JsonWriter::new(arena.data.len() * 2);
            Presenter::new(arena, &mut sink, reading.limits, true, false, Spending::All).present(root)?;
            Ok(sink.out)
        }
        _ => no_view(),
    }
}

fn no_view<T>() -> Verdict<T> {
    undecodable("not what a view returns: a str, bytes, tuple, Response, dict or list")
}
