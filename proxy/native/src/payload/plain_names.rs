//! Names of the keys of plain dicts, as in `proxy/codec/payload/plain_presenter.py`.

use std::collections::HashMap;

use crate::limits::{Failure, Verdict};
use crate::payload::json_writer::{write_integer, Shortest};
use crate::unpickle::node::{Arena, Node};
use crate::values::base64::base64;
use crate::values::dates;

/// Chooses the value to show if several have the same name. The reference writes leaves at once and containers later. So
/// the last container wins. If there is no container, the last value wins.
#[derive(Default)]
pub struct Winners {
    /// In the order of their first values.
    pub names: Vec<Vec<u8>>,
    pub wins: HashMap<Vec<u8>, Win>,
}

pub struct Win {
    pub at: usize,
    container: bool,
}

impl Winners {
    pub fn add(&mut self, name: Vec<u8>, at: usize, value: Node) {
        let container = is_container(value);
        match self.wins.get_mut(&name) {
            None => {
                self.names.push(name.clone());
                self.wins.insert(name, Win { at, container });
            }
            Some(win) if win.container && !container => {}
            Some(win) => *win = Win { at, container },
        }
    }
}

/// True for the nodes that the reference writes later.
fn is_container(node: Node) -> bool {
    !matches!(
        node,
        Node::Null
            | Node::Bool(_)
            | Node::Int(_)
            | Node::Big(_)
            | Node::Float(_)
            | Node::Str { .. }
            | Node::Bytes(_)
            | Node::ByteArray(_)
            | Node::Scalar { .. }
            | Node::Delta { .. }
            | Node::Complex(_)
    )
}

/// The name of a key that is not an object, as in json.dumps. A timedelta is named by its seconds.
pub fn plain_name(arena: &Arena, key: Node) -> Verdict<Vec<u8>> {
    let name = match key {
        Node::Str { piece, .. } => arena.bytes(piece).to_vec(),
        Node::Null => b"null".to_vec(),
        Node::Bool(true) => b"true".to_vec(),
        Node::Bool(false) => b"false".to_vec(),
        Node::Int(number) => number.to_string().into_bytes(),
        Node::Big(number) => arena.bigs[number as usize].text(),
        Node::Float(number) => float_name(number),
        Node::Bytes(piece) => {
            let raw = arena.bytes(piece);
            if std::str::from_utf8(raw).is_ok() {
                raw.to_vec()
            } else {
                base64(raw)
            }
        }
        Node::Delta { days, seconds, microseconds } => float_name(dates::total_seconds(days, seconds, microseconds)),
        _ => return no_name(),
    };
    Ok(name)
}

/// The reference makes the error, which names the place.
pub fn no_name<T>() -> Verdict<T> {
    Err(Failure::NotHandled)
}

/// A float like Python's repr(). NaN and the infinities are like in JavaScript.
fn float_name(number: f64) -> Vec<u8> {
    if number.is_nan() {
        return b"NaN".to_vec();
    }
    let mut out = if number.is_sign_negative() { b"-".to_vec() } else { Vec::new() };
    if number.is_infinite() {
        out.extend_from_slice(b"Infinity");
        return out;
    }
    let shortest = Shortest::of(number);
    if (-4..16).contains(&shortest.exponent) {
        shortest.write_plain(&mut out);
        return out;
    }
    shortest.write_mantissa(&mut out);
    out.extend_from_slice(if shortest.exponent < 0 { b"e-" } else { b"e+" });
    let power = i64::from(shortest.exponent.abs());
    if power < 10 {
        out.push(b'0');
    }
    write_integer(&mut out, power);
    out
}
