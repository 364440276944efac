//! Nodes -> natural JSON or msgpack, types lost: what `types = "plain"` reads, as in `proxy/codec/plain.py`.

use std::collections::HashMap;

use crate::bigint::BigInt;
use crate::dates;
use crate::json_write::{write_integer, Shortest};
use crate::limits::{undecodable, Verdict, HEADER_NODES, OBJECT_NODES, RESPONSE_NODES};
use crate::node::{Arena, Node, Piece};
use crate::present::Presenter;
use crate::shapes::{self, Resolved, Response};
use crate::sink::{base64, Sink};
use crate::tags::Tag;

impl<S: Sink> Presenter<'_, '_, S> {
    pub(crate) fn plain_value(&mut self, node: Node, depth: u64, hashed: bool) -> Verdict<()> {
        match node {
            Node::Dict(dict) | Node::OrderedDict(dict) => self.object(dict, depth, hashed),
            Node::Int(value) => {
                self.sink.text(value.to_string().as_bytes());
                Ok(())
            }
            Node::Big(number) => {
                let arena = self.arena;
                self.plain_big(&arena.bigs[number as usize])
            }
            Node::Float(_) => {
                self.sink.null(); // not finite
                Ok(())
            }
            Node::Bytes(piece) | Node::ByteArray(piece) => self.bytes_as_text(piece),
            Node::Tuple(items) => self.items(items, depth, hashed),
            Node::Set(items) => {
                self.hashable(!hashed)?;
                self.items(items, depth, true)
            }
            Node::FrozenSet(items) => self.items(items, depth, true),
            Node::Scalar { tag, text } => {
                self.hashable(!hashed || self.is_hashable(tag, text))?;
                self.count(OBJECT_NODES)?;
                let text = self.arena.bytes(text);
                self.spend_text(text)?;
                self.sink.text(text);
                Ok(())
            }
            Node::Delta { days, seconds, microseconds } => {
                self.count(OBJECT_NODES)?;
                self.sink.float(dates::total_seconds(days, seconds, microseconds));
                Ok(())
            }
            Node::Complex(complex) => self.plain_complex(complex),
            Node::Instance(instance) => match shapes::resolve(self.arena, instance)? {
                Resolved::Scalar(scalar) => self.plain_value(scalar, depth, hashed),
                Resolved::Response(response) => self.body(&response, depth, hashed),
            },
            _ => undecodable("a class or function as a value"),
        }
    }

    pub(crate) fn plain_big(&mut self, number: &BigInt) -> Verdict<()> {
        self.spend_int(number)?;
        match self.is_natural_big(number) {
            true => self.sink.big(number),
            false => self.sink.text(&number.text()),
        }
        Ok(())
    }

    fn bytes_as_text(&mut self, piece: Piece) -> Verdict<()> {
        let raw = self.arena.bytes(piece);
        if std::str::from_utf8(raw).is_ok() {
            self.spend_text(raw)?;
            self.sink.text(raw);
        } else {
            let text = base64(raw);
            self.spend_text(&text)?;
            self.sink.text(&text);
        }
        Ok(())
    }

    fn plain_complex(&mut self, complex: u32) -> Verdict<()> {
        self.count(OBJECT_NODES)?;
        let (real, imaginary) = self.arena.complexes[complex as usize];
        self.sink.open_array(2);
        for (at, part) in [real, imaginary].iter().enumerate() {
            self.sink.item(at);
            match part.is_finite() {
                true => self.sink.float(*part),
                false => self.sink.null(),
            }
        }
        self.sink.close_array();
        Ok(())
    }

    fn object(&mut self, dict: u32, depth: u64, hashed: bool) -> Verdict<()> {
        self.hashable(!hashed)?;
        let arena = self.arena;
        let target = &arena.dicts[dict as usize];
        if !target.keyed {
            self.descend(depth, target.items.len() as u64)?;
            self.sink.open_map(target.items.len());
            for (at, (key, value)) in target.items.iter().enumerate() {
                if let Node::Str { piece, .. } = key {
                    let name = arena.bytes(*piece);
                    self.spend_text(name)?;
                    self.sink.key(at, name);
                }
                self.value(*value, depth + 1, false)?;
            }
            self.sink.close_map();
            return Ok(());
        }
        self.keyed_object(&target.items, depth)
    }

    /// Keys that are no strings get names, and then some may have the same one: see `Winners`.
    fn keyed_object(&mut self, items: &[(Node, Node)], depth: u64) -> Verdict<()> {
        self.descend(depth, items.len() as u64)?;
        let mut winners = Winners::default();
        for (at, (key, value)) in items.iter().enumerate() {
            if let Node::Big(number) = key {
                self.spend_int(&self.arena.bigs[*number as usize])?;
            }
            let name = name(self.arena, *key)?;
            self.spend_text(&name)?;
            winners.add(name, at, is_container(*value));
        }
        if winners.names.len() < items.len() {
            self.drop_losers(items, &winners, depth)?;
        }
        self.sink.open_map(winners.names.len());
        for (at, name) in winners.names.iter().enumerate() {
            self.sink.key(at, name);
            self.value(items[winners.wins[name].at].1, depth + 1, false)?;
        }
        self.sink.close_map();
        Ok(())
    }

    /// What is not shown counts all the same.
    fn drop_losers(&mut self, items: &[(Node, Node)], winners: &Winners, depth: u64) -> Verdict<()> {
        let mut shown = vec![false; items.len()];
        for win in winners.wins.values() {
            shown[win.at] = true;
        }
        let written = self.sink.written();
        self.dropping += 1;
        for ((_, value), _) in items.iter().zip(shown).filter(|(_, shown)| !shown) {
            self.value(*value, depth + 1, false)?;
            self.sink.take_back(written);
        }
        self.dropping -= 1;
        Ok(())
    }

    /// The body of a response; parsed where it is JSON, and the whole value.
    fn body(&mut self, response: &Response, depth: u64, hashed: bool) -> Verdict<()> {
        self.hashable(!hashed)?;
        self.count(RESPONSE_NODES + HEADER_NODES * response.parts)?;
        if depth == 0 && is_json(content_type(self.arena, response.headers)) {
            return self.json_body(&response.body);
        }
        let text = match response.is_text {
            true => response.body.clone(),
            false => base64(&response.body),
        };
        self.spend_text(&text)?;
        self.sink.text(&text);
        Ok(())
    }
}

/// Which of several values under one name is shown. The reference puts leaves in their place at once and containers off,
/// the first of them to the very last: so the first container wins, else the last value.
#[derive(Default)]
struct Winners {
    names: Vec<Vec<u8>>,
    wins: HashMap<Vec<u8>, Win>,
}

struct Win {
    at: usize,
    container: bool,
}

impl Winners {
    fn add(&mut self, name: Vec<u8>, at: usize, container: bool) {
        match self.wins.get_mut(&name) {
            None => {
                self.names.push(name.clone());
                self.wins.insert(name, Win { at, container });
            }
            Some(win) if win.container => {}
            Some(win) => *win = Win { at, container },
        }
    }
}

fn is_container(node: Node) -> bool {
    matches!(
        node,
        Node::List(_) | Node::Tuple(_) | Node::Dict(_) | Node::Set(_) | Node::FrozenSet(_) | Node::OrderedDict(_)
    )
}

/// A key, as json.dumps names it; where it refuses to, dates and numbers by their text.
fn name(arena: &Arena, key: Node) -> Verdict<Vec<u8>> {
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
        Node::Scalar { text, .. } => arena.bytes(text).to_vec(),
        Node::Instance(instance) => match shapes::resolve(arena, instance)? {
            Resolved::Scalar(Node::Scalar { tag: Tag::Uuid, text }) => arena.bytes(text).to_vec(),
            _ => return no_name(),
        },
        _ => return no_name(),
    };
    Ok(name)
}

fn no_name<T>() -> Verdict<T> {
    undecodable("a dict with a key that has no plain name")
}

/// A float as Python's repr() writes it, NaN and the infinities as JavaScript does.
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

/// The Content-Type of a response.
fn content_type<'a>(arena: &'a Arena, headers: u32) -> &'a [u8] {
    arena.lists[headers as usize]
        .iter()
        .filter_map(|pair| shapes::header(arena, *pair))
        .find(|(name, _)| name.eq_ignore_ascii_case(b"content-type"))
        .map_or(b"", |(_, value)| value)
}

/// Whether a Content-Type says JSON.
pub fn is_json(content_type: &[u8]) -> bool {
    let text = std::str::from_utf8(content_type).unwrap_or("");
    let is_space = |char: char| char.is_whitespace() || ('\x1c'..='\x1f').contains(&char);
    let media_type = text.split(';').next().unwrap_or("").trim_matches(is_space).to_lowercase();
    media_type == "application/json" || media_type.ends_with("+json")
}
