//! Nodes -> payload without loss: types that the format lacks get tags. (`plain_presenter` is for `types = "plain"`.)
//! Every step is counted, because a stored value may contain the same part a million times, or itself. The presenter
//! recurses no deeper than the depth limit.

use crate::limits::{Failure, Limits, Verdict, CYCLE_NODES, HEADER_NODES, OBJECT_NODES, RESPONSE_NODES, TAG_NODES};
use crate::payload::sink::Sink;
use crate::unpickle::cycles::{self, Showing};
use crate::unpickle::instances::Values;
use crate::unpickle::machine::is_json_number;
use crate::unpickle::node::{Arena, Node, Piece};
use crate::unpickle::responses::{self, Response};
use crate::values::base64::base64;
use crate::values::bigint::BigInt;
use crate::values::glob::ClassNames;
use crate::values::tags::Tag;

const SAFE_INTEGER: i64 = 1 << 53;

/// The way to count bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Spending {
    /// Not at all: the written bytes are counted instead.
    Nothing,
    /// Without the strings of the pickle, which fit in any case.
    AllButText,
    All,
}

pub struct Presenter<'p, 'a, S: Sink> {
    pub arena: &'p Arena<'a>,
    pub sink: &'p mut S,
    pub limits: Limits,
    pub plain: bool,
    pub safe_ints: bool,
    /// Datetimes without a zone get a Z, where they are plain.
    pub naive_is_utc: bool,
    pub spending: Spending,
    pub nodes_left: u64,
    pub bytes_left: u64,
    /// Inside a value that will be taken back.
    pub dropping: u32,
    /// The values of objects.
    pub values: Values,
    /// False: containers may be reachable twice.
    pub is_tree: bool,
    /// By object, if any object reaches itself.
    pub showings: Vec<Showing>,
    /// The names of classes that may be read.
    pub reads: &'p ClassNames,
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
            naive_is_utc: false,
            spending,
            nodes_left: limits.nodes,
            bytes_left: limits.decoded_bytes,
            dropping: 0,
            values: Values::new(limits),
            is_tree: false,
            showings: Vec::new(),
            reads: &ClassNames::All,
        }
    }

    pub fn present(&mut self, root: Node) -> Verdict<()> {
        self.count(1)?;
        if !self.is_tree {
            self.showings = cycles::showings(self.arena, root, &mut self.values)?;
            let cyclic = self.showings.iter().filter(|showing| **showing == Showing::Once).count();
            self.count(CYCLE_NODES * cyclic as u64)?;
        }
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
            Node::Symbol(symbol) => self.global(symbol)?,
            Node::Instance(instance) => self.object(instance, depth, hashed)?,
            // The error names the place, which only the reference knows.
            Node::OldBytes(_) => return Err(Failure::NotHandled),
            _ if self.plain => self.plain_value(node, depth, hashed)?,
            _ => self.tagged_value(node, depth, hashed)?,
        }
        self.check_written()
    }

    pub fn tagged_value(&mut self, node: Node, depth: u64, hashed: bool) -> Verdict<()> {
        match node {
            Node::Dict(dict) => self.dict(&self.arena.dicts[dict as usize], depth, hashed),
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
            Node::Scalar { .. } | Node::Delta { .. } | Node::Complex(_) => self.scalar(node, hashed),
            _ => self.collection(node, depth, hashed),
        }
    }

    /// A value of a class of Python's own.
    fn scalar(&mut self, node: Node, hashed: bool) -> Verdict<()> {
        match node {
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
            Node::Complex(complex) => {
                let (real, imaginary) = self.arena.complexes[complex as usize];
                self.complex(real, imaginary)
            }
            _ => Err(Failure::NotHandled),
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
            self.tagged_text(Tag::Int, &value.text()); // counts as a leaf, because it may have been written as a number
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

    pub fn complex(&mut self, real: f64, imaginary: f64) -> Verdict<()> {
        self.count(OBJECT_NODES)?;
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

    pub fn response(&mut self, response: &Response, hashed: bool) -> Verdict<()> {
        self.hashable(!hashed)?;
        self.count(RESPONSE_NODES + HEADER_NODES * response.parts)?;
        let headers: Vec<(&[u8], &[u8])> = self.arena.lists[response.headers as usize]
            .iter()
            .filter_map(|pair| responses::header(self.arena, *pair))
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

    pub fn open(&mut self, tag: Tag) {
        self.sink.open_map(1);
        self.sink.key(0, tag.name());
    }

    pub fn tagged_text(&mut self, tag: Tag, text: &[u8]) {
        self.open(tag);
        self.sink.text(text);
        self.sink.close_map();
    }

    // -- hashing -------------------------------------------------------------------------------------------

    #[inline]
    pub fn hashable(&self, condition: bool) -> Verdict<()> {
        match condition {
            true => Ok(()),
            false => Err(Failure::NotHandled), // the error names the place, which only the reference knows
        }
    }

    /// Python hashes a NaN, but not a signaling one.
    pub fn is_hashable(&self, tag: Tag, text: Piece) -> bool {
        tag != Tag::Decimal || !self.arena.bytes(text).windows(4).any(|part| part == b"sNaN")
    }
}
