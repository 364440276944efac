//! `as = "view"`: the payload is the body of a cached view in any form that Flask caches: `proxy/codec/payload/views.py`.

use crate::limits::{undecodable, Failure, Verdict};
use crate::options::Reading;
use crate::payload::json_reader;
use crate::payload::json_writer::JsonWriter;
use crate::payload::msgpack_writer::MsgpackWriter;
use crate::payload::presenter::{Presenter, Spending};
use crate::payload::sink::Sink;
use crate::unpickle::instances::{class_of, is_known, stands_alone, Value, Values};
use crate::unpickle::node::{Arena, Node};
use crate::values::tags::Tag;

/// The payload of a stored view. `json`: its Content-Type says JSON.
pub fn payload(arena: &Arena, root: Node, reading: &Reading, json: bool) -> Verdict<Vec<u8>> {
    let body = stored_body(arena, root, reading)?;
    if !reading.msgpack {
        return Ok(body);
    }
    let mut sink = MsgpackWriter::new(body.len() + 16);
    if json {
        // The reference handles a body that is not JSON or does not fit into msgpack.
        let tape = json_reader::read(&body, reading.limits).ok_or(Failure::NotHandled)?;
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

fn stored_body(arena: &Arena, root: Node, reading: &Reading) -> Verdict<Vec<u8>> {
    let root = match root {
        Node::Tuple(items) => arena.lists[items as usize].first().copied().unwrap_or(root),
        _ => root,
    };
    match root {
        Node::Str { piece, .. } | Node::Bytes(piece) | Node::ByteArray(piece) => Ok(arena.bytes(piece).to_vec()),
        Node::Scalar { tag: Tag::Markup, text } => Ok(arena.bytes(text).to_vec()),
        Node::Instance(instance) => object(arena, instance, reading),
        Node::Dict(_)
        | Node::List(_)
        | Node::Set(_)
        | Node::FrozenSet(_)
        | Node::OrderedDict(_)
        | Node::Counter(_)
        | Node::DefaultDict { .. }
        | Node::Deque(_) => {
            let mut sink = JsonWriter::new(arena.texts.data.len() * 2);
            let mut presenter = Presenter::new(arena, &mut sink, reading.limits, true, false, Spending::All);
            presenter.reads = &reading.classes;
            presenter.present(root)?;
            Ok(sink.out)
        }
        _ => no_view(),
    }
}

/// A response, or an object that is a str or bytes.
fn object(arena: &Arena, instance: u32, reading: &Reading) -> Verdict<Vec<u8>> {
    let object = &arena.instances[instance as usize];
    let value = Values::new(reading.limits).of(arena, instance)?;
    let symbol = arena.symbol_of(object);
    let is_readable = match stands_alone(&value) {
        true => is_known(symbol.class) || reading.classes.has(&symbol.text),
        false => reading.classes.has(&class_of(arena, object)?),
    };
    match value {
        // The reference makes the error, and presents the items of an object.
        _ if !is_readable => Err(Failure::NotHandled),
        Value::Response(response) => Ok(response.body.clone()),
        Value::Node(Node::Str { piece, .. } | Node::Bytes(piece)) => Ok(arena.bytes(piece).to_vec()),
        Value::Text(text) => Ok(text.to_vec()),
        // The reference takes the first part of a namedtuple.
        Value::Node(Node::List(_) | Node::Tuple(_)) if !object.is_called => Err(Failure::NotHandled),
        _ if object.items.is_some() || object.pairs.is_some() => Err(Failure::NotHandled),
        _ => no_view(),
    }
}

fn no_view<T>() -> Verdict<T> {
    undecodable("not what a view returns: a str, bytes, tuple, Response, dict or list")
}
