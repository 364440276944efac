//! Nodes -> plain JSON or msgpack without types, for `types = "plain"`, as in `proxy/codec/payload/plain_presenter.py`.

use std::borrow::Cow;

use crate::frames::scalars::MISSING;
use crate::limits::{Failure, Verdict, HEADER_NODES, OBJECT_NODES, RESPONSE_NODES};
use crate::payload::json_writer::JsonWriter;
use crate::payload::plain_names::{no_name, plain_name, Winners};
use crate::payload::presenter::{Presenter, Spending};
use crate::payload::sink::Sink;
use crate::unpickle::dict::Dict;
use crate::unpickle::instances::{class_of, is_known, stands_alone, Value};
use crate::unpickle::node::{Arena, Node, Piece};
use crate::unpickle::responses::{self, Response};
use crate::values::base64::base64;
use crate::values::bigint::BigInt;
use crate::values::dates;
use crate::values::tags::Tag;

/// So many objects may each be the value of the next, in a key.
const CHAIN: usize = 8;

impl<S: Sink> Presenter<'_, '_, S> {
    pub(crate) fn plain_value(&mut self, node: Node, depth: u64, hashed: bool) -> Verdict<()> {
        match node {
            Node::Dict(dict) | Node::OrderedDict(dict) | Node::Counter(dict) | Node::DefaultDict { dict, .. } => {
                self.plain_dict(&self.arena.dicts[dict as usize], depth, hashed)
            }
            Node::Deque(deque) => {
                self.hashable(!hashed)?;
                let (items, _) = self.last_items(deque)?;
                self.slice(items, depth, false)
            }
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
            _ => self.plain_scalar(node, hashed),
        }
    }

    /// A value of a class of Python's own.
    fn plain_scalar(&mut self, node: Node, hashed: bool) -> Verdict<()> {
        match node {
            Node::Scalar { tag, text } => {
                self.hashable(!hashed || self.is_hashable(tag, text))?;
                self.count(OBJECT_NODES)?;
                let text = self.shown(tag, self.arena.bytes(text));
                self.spend_text(&text)?;
                self.sink.text(&text);
                Ok(())
            }
            Node::Delta { days, seconds, microseconds } => {
                self.count(OBJECT_NODES)?;
                self.sink.float(dates::total_seconds(days, seconds, microseconds));
                Ok(())
            }
            Node::Complex(complex) => {
                let (real, imaginary) = self.arena.complexes[complex as usize];
                self.plain_complex(real, imaginary)
            }
            _ => Err(Failure::NotHandled),
        }
    }

    /// The text of a scalar: a datetime without a zone may get one.
    pub(crate) fn shown<'t>(&self, tag: Tag, text: &'t [u8]) -> Cow<'t, [u8]> {
        match self.naive_is_utc && is_naive(tag, text) {
            true => Cow::Owned([text, b"Z"].concat()),
            false => Cow::Borrowed(text),
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

    pub(crate) fn plain_complex(&mut self, real: f64, imaginary: f64) -> Verdict<()> {
        self.count(OBJECT_NODES)?;
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

    pub(crate) fn plain_dict(&mut self, dict: &Dict, depth: u64, hashed: bool) -> Verdict<()> {
        self.hashable(!hashed)?;
        if dict.keyed {
            return self.keyed_object(&dict.items, depth);
        }
        self.descend(depth, dict.items.len() as u64)?;
        self.sink.open_map(dict.items.len());
        for (at, (key, value)) in dict.items.iter().enumerate() {
            if let Node::Str { piece, .. } = key {
                let name = self.arena.bytes(*piece);
                self.spend_text(name)?;
                self.sink.key(at, name);
            }
            self.value(*value, depth + 1, false)?;
        }
        self.sink.close_map();
        Ok(())
    }

    /// Keys that are not strings get names. Several keys may get the same name: see `Winners`.
    fn keyed_object(&mut self, items: &[(Node, Node)], depth: u64) -> Verdict<()> {
        self.descend(depth, items.len() as u64)?;
        let mut winners = Winners::default();
        for (at, (key, value)) in items.iter().enumerate() {
            let name = self.name(*key, depth)?;
            self.spend_text(&name)?;
            winners.add(name, at, *value);
        }
        if winners.names.len() < items.len() {
            if !self.showings.is_empty() {
                return Err(Failure::NotHandled); // the losers would be presented too early
            }
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

    /// The name of a key of a container at a depth. An object is named by its value, a class by its name.
    pub(crate) fn name(&mut self, mut key: Node, depth: u64) -> Verdict<Vec<u8>> {
        let arena = self.arena;
        if matches!(key, Node::Tuple(_) | Node::FrozenSet(_) | Node::Complex(_)) {
            return self.json_name(key, depth + 1);
        }
        for _ in 0..CHAIN {
            let instance = match key {
                Node::Instance(instance) => instance,
                _ => break,
            };
            let value = self.values.of(arena, instance)?;
            let object = &arena.instances[instance as usize];
            if !(stands_alone(&value) && is_known(arena.symbol_of(object).class)) {
                self.spend_name(&class_of(arena, object)?)?;
            }
            key = match value {
                Value::Node(node) => node,
                Value::Text(text) => return Ok(text.to_vec()),
                Value::Timestamp(text) => return Ok(self.shown(Tag::Timestamp, &text).into_owned()),
                Value::Numpy(scalar) => return self.name_of_numpy(&scalar),
                _ => return no_name(),
            };
        }
        match key {
            Node::Symbol(symbol) => {
                let name = &arena.symbols[symbol as usize].text;
                self.spend_name(name)?;
                return Ok(name.as_bytes().to_vec());
            }
            Node::Big(number) => self.spend_int(&arena.bigs[number as usize])?,
            Node::Scalar { tag, text } => return Ok(self.shown(tag, arena.bytes(text)).into_owned()),
            _ => {}
        }
        plain_name(arena, key)
    }

    /// The name of a key that is an array in plain JSON: its text. The reference names it where there are objects.
    #[cold]
    fn json_name(&mut self, key: Node, depth: u64) -> Verdict<Vec<u8>> {
        if !self.arena.instances.is_empty() {
            return no_name();
        }
        let mut sink = JsonWriter::new(64);
        let mut names = Presenter::new(self.arena, &mut sink, self.limits, true, false, Spending::All);
        names.nodes_left = self.nodes_left;
        names.bytes_left = self.bytes_left;
        names.naive_is_utc = self.naive_is_utc;
        names.is_tree = self.is_tree;
        names.reads = self.reads;
        names.count(1)?;
        names.value(key, depth, true)?;
        self.nodes_left = names.nodes_left;
        Ok(sink.out)
    }

    /// Values that are not shown count too.
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

    /// Write the body of a response as the value. A JSON body is parsed.
    pub(crate) fn body(&mut self, response: &Response, depth: u64, hashed: bool) -> Verdict<()> {
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

/// True for the text of a datetime without an offset.
fn is_naive(tag: Tag, text: &[u8]) -> bool {
    if !matches!(tag, Tag::DateTime | Tag::Timestamp) || text == MISSING {
        return false;
    }
    let time = text.iter().position(|byte| *byte == b'T').unwrap_or(0);
    !text[time..].iter().any(|byte| matches!(byte, b'+' | b'-'))
}

/// The Content-Type of a response.
fn content_type<'a>(arena: &'a Arena, headers: u32) -> &'a [u8] {
    arena.lists[headers as usize]
        .iter()
        .filter_map(|pair| responses::header(arena, *pair))
        .find(|(name, _)| name.eq_ignore_ascii_case(b"content-type"))
        .map_or(b"", |(_, value)| value)
}

/// True if a Content-Type is JSON.
pub fn is_json(content_type: &[u8]) -> bool {
    let text = std::str::from_utf8(content_type).unwrap_or("");
    let is_space = |char: char| char.is_whitespace() || ('\x1c'..='\x1f').contains(&char);
    let media_type = text.split(';').next().unwrap_or("").trim_matches(is_space).to_lowercase();
    media_type == "application/json" || media_type.ends_with("+json")
}
