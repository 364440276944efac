//! Nodes -> payload, with a tag for every type that the format has not (lossless); what `types = "plain"` makes of them
//! instead is in `plain`. Every step is counted: a stored value may hold one part a million times over, or itself. It
//! recurses no deeper than the depth limit.

use crate::bigint::BigInt;
use crate::limits::{
    undecodable, Failure, Limits, Verdict, HEADER_NODES, OBJECT_NODES, PAIR_NODES, RESPONSE_NODES, TAG_NODES,
};
use crate::machine::is_json_number;
use crate::node::{Arena, Node, Piece};
use crate::shapes::{self, Resolved, Response};
use crate::sink::{base64, Sink};
use crate::tags::{self, Tag};

const SAFE_INTEGER: i64 = 1 << 53;
/// Bits of an int that costs nothing to speak of.
const WORD: u64 = 64;
/// As in \u0001.
pub const MOST_BYTES_FOR_ONE: u64 = 6;

/// How bytes are counted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Spending {
    /// Not at all: what comes out is what counts.
    Nothing,
    /// But for the pickle's own strings, which fit whatever they hold.
    AllButText,
    All,
}

pub struct Presenter<'p, 'a, S: Sink> {
    pub arena: &'p Arena<'a>,
    pub sink: &'p mut S,
    pub limits: Limits,
    pub plain: bool,
    pub safe_ints: bool,
    pub spending: Spending,
    nodes_left: u64,
    pub bytes_left: u64,
    /// Inside a value that will be taken back.
    pub dropping: u32,
}

impl<'p, 'a, S: Sink> Presenter<'p, 'a, S> {
    pub fn new(
        arena: &'p Arena<'a>,
        sink: &'p mut S,
        limits: Limits,
        plain: bool,
        safe_ints: bool,
        spending: Spending,
    ) -> Self {
        Presenter {
            arena,
            sink,
            limits,
            plain,
            safe_ints,
            spending,
            nodes_left: limits.nodes,
            bytes_left: limits.decoded_bytes,
            dropping: 0,
        }
    }

    pub fn present(&mut self, root: Node) -> Verdict<()> {
        self.count(1)?;
        self.value(root, 0, false)
    }

    /// Write one node. `hashed`: Python must hash it.
    pub fn value(&mut self, node: Node, depth: u64, hashed: bool) -> Verdict<()> {
        match node {
            Node::Null => self.sink.null(),
            Node::Bool(value) => self.sink.boolean(value),
            Node::Int(value) if self.is_natural(value) => self.sink.integer(value),
            Node::Str { piece, .. } => self.own_text(piece)?,
            Node::Float(value) if value.is_finite() => self.sink.float(value),
            Node::List(items) => {
                self.hashable(!hashed)?;
                self.items(items, depth, hashed)?;
            }
            Node::Symbol(symbol) => return undecodable(&format!("the class or function {} as a value", symbol.name())),
            Node::OldBytes(_) => return undecodable("a Python 2 str that is not ASCII"),
            Node::Zone(_) => return undecodable("a timezone as a value"),
            _ if self.plain => self.plain_value(node, depth, hashed)?,
            _ => self.tagged_value(node, depth, hashed)?,
        }
        self.check_written()
    }

    fn tagged_value(&mut self, node: Node, depth: u64, hashed: bool) -> Verdict<()> {
        match node {
            Node::Dict(dict) => self.dict(dict, depth, hashed),
            Node::Int(value) => {
                self.tagged_text(Tag::Int, value.to_string().as_bytes());
                Ok(())
            }
            Node::Big(number) => self.big(number),
            Node::Float(value) => self.nonfinite(value),
            Node::Bytes(piece) => {
                self.spend_binary(piece)?;
                if !S::HAS_BINARY {
                    self.count(TAG_NODES)?;
                }
                self.binary(piece);
                Ok(())
            }
            Node::ByteArray(piece) => {
                self.hashable(!hashed)?;
                self.spend_binary(piece)?;
                self.count(TAG_NODES)?;
                self.open(Tag::ByteArray);
                match S::HAS_BINARY {
                    true => self.sink.binary(self.arena.bytes(piece)),
                    false => self.sink.text(&base64(self.arena.bytes(piece))),
                }
                self.sink.close_map();
                Ok(())
            }
            Node::Tuple(items) => {
                self.count(TAG_NODES)?;
                self.open(Tag::Tuple);
                self.items(items, depth, hashed)?;
                self.sink.close_map();
                Ok(())
            }
            Node::Set(items) => self.members(Tag::Set, items, depth, !hashed),
            Node::FrozenSet(items) => self.members(Tag::FrozenSet, items, depth, true),
            Node::OrderedDict(dict) => {
                self.hashable(!hashed)?;
                self.pairs(Tag::OrderedDict, dict, depth)
            }
            Node::Scalar { tag, text } => {
                self.hashable(!hashed || self.is_hashable(tag, text))?;
                self.count(OBJECT_NODES)?;
                self.spend_text(self.arena.bytes(text))?;
                self.tagged_text(tag, self.arena.bytes(text));
                Ok(())
            }
            Node::Delta { days, seconds, microseconds } => {
                self.count(OBJECT_NODES)?;
                self.open(Tag::TimeDelta);
                self.sink.open_array(3);
                for (at, part) in [i64::from(days), seconds.into(), microseconds.into()].iter().enumerate() {
                    self.sink.item(at);
                    self.sink.integer(*part);
                }
                self.sink.close_array();
                self.sink.close_map();
                Ok(())
            }
            Node::Complex(complex) => self.complex(complex),
            Node::Instance(instance) => match shapes::resolve(self.arena, instance)? {
                Resolved::Scalar(scalar) => self.tagged_value(scalar, depth, hashed),
                Resolved::Response(response) => self.response(&response, hashed),
            },
            _ => undecodable("a class or function as a value"),
        }
    }

    // -- leaves --------------------------------------------------------------------------------------------

    #[inline]
    pub fn is_natural(&self, value: i64) -> bool {
        !self.safe_ints || (-SAFE_INTEGER..=SAFE_INTEGER).contains(&value)
    }

    pub fn is_natural_big(&self, number: &BigInt) -> bool {
        !self.safe_ints && if S::HAS_BINARY { number.to_u64().is_some() } else { is_json_number(number) }
    }

    fn big(&mut self, number: u32) -> Verdict<()> {
        let arena = self.arena;
        let value = &arena.bigs[number as usize];
        self.spend_int(value)?;
        if self.is_natural_big(value) {
            self.sink.big(value);
        } else {
            self.tagged_text(Tag::Int, &value.text()); // counts as one, because it may have been written as a number
        }
        Ok(())
    }

    fn nonfinite(&mut self, value: f64) -> Verdict<()> {
        if S::HAS_BINARY {
            self.sink.float(value);
            return Ok(());
        }
        self.count(TAG_NODES)?;
        let name: &[u8] = match value {
            _ if value.is_nan() => b"nan",
            _ if value > 0.0 => b"inf",
            _ => b"-inf",
        };
        self.tagged_text(Tag::Float, name);
        Ok(())
    }

    fn complex(&mut self, complex: u32) -> Verdict<()> {
        self.count(OBJECT_NODES)?;
        let (real, imaginary) = self.arena.complexes[complex as usize];
        self.open(Tag::Complex);
        self.sink.open_array(2);
        for (at, part) in [real, imaginary].iter().enumerate() {
            self.sink.item(at);
            match part.is_finite() {
                true => self.sink.float(*part),
                false => self.nonfinite(*part)?,
            }
        }
        self.sink.close_array();
        self.sink.close_map();
        Ok(())
    }

    fn binary(&mut self, piece: Piece) {
        let raw = self.arena.bytes(piece);
        match S::HAS_BINARY {
            true => self.sink.binary(raw),
            false => self.tagged_text(Tag::Bytes, &base64(raw)),
        }
    }

    fn response(&mut self, response: &Response, hashed: bool) -> Verdict<()> {
        self.hashable(!hashed)?;
        self.count(RESPONSE_NODES + HEADER_NODES * response.parts)?;
        let headers: Vec<(&[u8], &[u8])> = self.arena.lists[response.headers as usize]
            .iter()
            .filter_map(|pair| shapes::header(self.arena, *pair))
            .collect();
        for (name, value) in &headers {
            self.spend_text(name)?;
            self.spend_text(value)?;
        }
        match response.is_text {
            true => self.spend_text(&response.body)?,
            false => self.spend_raw(response.body.len() as u64)?,
        }
        self.open(Tag::Response);
        self.sink.open_map(3);
        self.sink.key(0, b"status");
        self.sink.integer(response.status);
        self.sink.key(1, b"headers");
        self.sink.open_array(headers.len());
        for (at, (name, value)) in headers.iter().enumerate() {
            self.sink.item(at);
            self.sink.open_array(2);
            self.sink.item(0);
            self.sink.text(name);
            self.sink.item(1);
            self.sink.text(value);
            self.sink.close_array();
        }
        self.sink.close_array();
        self.sink.key(2, b"body");
        match (response.is_text, S::HAS_BINARY) {
            (true, _) => self.sink.text(&response.body),
            (false, true) => self.sink.binary(&response.body),
            (false, false) => self.tagged_text(Tag::Bytes, &base64(&response.body)),
        }
        self.sink.close_map();
        self.sink.close_map();
        Ok(())
    }

    fn open(&mut self, tag: Tag) {
        self.sink.open_map(1);
        self.sink.key(0, tag.name());
    }

    fn tagged_text(&mut self, tag: Tag, text: &[u8]) {
        self.open(tag);
        self.sink.text(text);
        self.sink.close_map();
    }

    // -- containers ----------------------------------------------------------------------------------------

    #[inline]
    pub fn items(&mut self, items: u32, depth: u64, hashed: bool) -> Verdict<()> {
        let arena = self.arena;
        let items = arena.lists[items as usize].as_slice();
        self.descend(depth, items.len() as u64)?;
        self.sink.open_array(items.len());
        for (at, item) in items.iter().enumerate() {
            self.sink.item(at);
            self.value(*item, depth + 1, hashed)?;
        }
        self.sink.close_array();
        Ok(())
    }

    fn members(&mut self, tag: Tag, items: u32, depth: u64, hashable: bool) -> Verdict<()> {
        self.hashable(hashable)?;
        self.count(TAG_NODES)?;
        self.open(tag);
        self.items(items, depth, true)?;
        self.sink.close_map();
        Ok(())
    }

    #[inline]
    fn dict(&mut self, dict: u32, depth: u64, hashed: bool) -> Verdict<()> {
        self.hashable(!hashed)?;
        let arena = self.arena;
        let target = &arena.dicts[dict as usize];
        let is_tag = match target.items.as_slice() {
            [(Node::Str { piece, .. }, _)] => tags::find(arena.bytes(*piece)).is_some(),
            _ => false,
        };
        if target.keyed || is_tag {
            return self.pairs(Tag::Dict, dict, depth);
        }
        self.natural_dict(&target.items, depth)
    }

    /// A dict whose keys are strings.
    #[inline]
    pub fn natural_dict(&mut self, items: &[(Node, Node)], depth: u64) -> Verdict<()> {
        self.descend(depth, items.len() as u64)?;
        self.sink.open_map(items.len());
        for (at, (key, value)) in items.iter().enumerate() {
            if let Node::Str { piece, .. } = key {
                let text = self.arena.bytes(*piece);
                self.check_text(text)?;
                self.sink.key(at, text);
            }
            self.value(*value, depth + 1, false)?;
        }
        self.sink.close_map();
        Ok(())
    }

    fn pairs(&mut self, tag: Tag, dict: u32, depth: u64) -> Verdict<()> {
        let arena = self.arena;
        let items = arena.dicts[dict as usize].items.as_slice();
        self.count(TAG_NODES)?;
        self.descend(depth, items.len() as u64 * (PAIR_NODES + 2))?;
        self.open(tag);
        self.sink.open_array(items.len());
        for (at, (key, value)) in items.iter().enumerate() {
            self.sink.item(at);
            self.sink.open_array(2);
            self.sink.item(0);
            self.value(*key, depth + 1, true)?;
            self.sink.item(1);
            self.value(*value, depth + 1, false)?;
            self.sink.close_array();
        }
        self.sink.close_array();
        self.sink.close_map();
        Ok(())
    }

    // -- budgets -------------------------------------------------------------------------------------------

    /// Count the parts of a container before any of them is looked at.
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

    fn spend(&mut self, size: u64) -> Verdict<()> {
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
        self.spend(if S::HAS_BINARY { text.len() as u64 } else { json_bytes(text) })?;
        self.check_size(text)
    }

    fn spend_binary(&mut self, piece: Piece) -> Verdict<()> {
        self.spend_raw(u64::from(piece.size))
    }

    fn spend_raw(&mut self, size: u64) -> Verdict<()> {
        let size = if S::HAS_BINARY { size } else { size * 4 / 3 };
        self.spend(size)?;
        self.check_room(size)
    }

    /// A string of the pickle's own.
    #[inline]
    fn own_text(&mut self, piece: Piece) -> Verdict<()> {
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

    /// That a text's payload has room: before it is written, because it may be six times as long.
    #[inline]
    fn check_size(&self, text: &[u8]) -> Verdict<()> {
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
            _ => Err(Failure::NotHandled), // it will be taken back, and may fit after all
        }
    }

    #[inline]
    pub fn hashable(&self, condition: bool) -> Verdict<()> {
        match condition {
            true => Ok(()),
            false => undecodable("corrupt pickle: an unhashable key or member"),
        }
    }

    /// Python hashes a NaN, but not a signaling one.
    pub fn is_hashable(&self, tag: Tag, text: Piece) -> bool {
        tag != Tag::Decimal || !self.arena.bytes(text).windows(4).any(|part| part == b"sNaN")
    }
}

/// What a text takes in JSON, but for the quotes around it.
fn escaped_bytes(text: &[u8]) -> usize {
    let count = |wanted: fn(&u8) -> bool| text.iter().filter(|byte| wanted(byte)).count();
    let short = count(|byte| matches!(byte, 8 | 9 | 10 | 12 | 13));
    text.len() + count(|byte| *byte == b'"') + count(|byte| *byte == b'\\') + count(|byte| *byte < 32) * 5 - short * 4
}

/// What a text takes in JSON: as `present.py` estimates it, but for quotes and backslashes of printable ASCII.
fn json_bytes(text: &[u8]) -> u64 {
    let size = text.len() as u64;
    if text.iter().all(|byte| (0x20..0x7f).contains(byte)) {
        return size;
    }
    text.iter().fold(size, |sum, byte| match byte {
        8 | 9 | 10 | 12 | 13 | b'"' | b'\\' => sum + 1,
        0..=31 => sum + 5,
        _ => sum,
    })
}
