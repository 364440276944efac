//! Payload tree -> pickle, to the byte as `proxy/codec/pickling.py` writes it: what payloads get that may have tags. What
//! the tags stand for is in `tagged`. None, wherever it comes from, leaves the whole to the reference.

use std::collections::HashMap;

use crate::bigint::BigInt;
use crate::code;
use crate::collisions::{self, Collisions};
use crate::limits::{Limits, TAG_NODES};
use crate::node::Piece;
use crate::tagged;
use crate::tags::{self, Tag, TagSet};
use crate::tape::{Tape, Token};

const MAX_MEMO_STRING: u32 = 256;
const NOT_REMEMBERED: u32 = u32::MAX;

/// What Python does with a value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Use {
    Nothing,
    /// It is a key, or a member of a set.
    Hashes,
    /// It is a part of such a one.
    HashesWithAnother,
}

impl Use {
    /// What Python does with the parts of a value. `hashed`: they are members of a set.
    pub fn of_parts(self, hashed: bool) -> Use {
        match (self, hashed) {
            (Use::Nothing, false) => Use::Nothing,
            (Use::Nothing, true) => Use::Hashes,
            _ => Use::HashesWithAnother,
        }
    }
}

pub struct Pickler<'t, 'a> {
    pub tape: &'t mut Tape<'a>,
    pub protocol: u8,
    pub out: Vec<u8>,
    accepted: TagSet,
    limits: Limits,
    nodes: u64,
    collisions: Collisions,
    remembered: u32,
    /// Where each string is in the memo.
    strings: Vec<u32>,
    /// Where classes and functions are, and zones by their offset.
    pub symbols: Vec<((&'static str, &'static str), u32)>,
    pub zones: HashMap<i64, u32>,
}

impl<'t, 'a> Pickler<'t, 'a> {
    /// `mark` goes in front of the pickle.
    pub fn new(tape: &'t mut Tape<'a>, protocol: u8, mark: u8, accepted: TagSet, limits: Limits) -> Self {
        let mut out = Vec::with_capacity(tape.data.len() + tape.data.len() / 2 + 64);
        out.push(mark);
        Pickler {
            tape,
            protocol,
            out,
            accepted,
            limits,
            nodes: 0,
            collisions: Collisions::default(),
            remembered: 0,
            strings: Vec::new(),
            symbols: Vec::new(),
            zones: HashMap::new(),
        }
    }

    /// The pickle.
    pub fn write(mut self) -> Option<Vec<u8>> {
        self.out.extend_from_slice(&[0x80, self.protocol]);
        self.value(0, 0, Use::Nothing)?;
        self.out.push(b'.');
        Some(self.out)
    }

    /// Write the value at a token; where the next one is. `depth`: of the containers around it.
    pub fn value(&mut self, at: usize, depth: u64, uses: Use) -> Option<usize> {
        self.count(1)?;
        if uses != Use::Nothing {
            self.check_hashable(at, uses)?;
        }
        match self.tape.tokens[at] {
            Token::Null => self.out.push(b'N'),
            Token::Bool(value) => self.out.push(if value { 0x88 } else { 0x89 }),
            Token::Int(number) => self.integer(number),
            Token::Big(number) => {
                let raw = self.tape.bigs[number as usize].to_le_bytes();
                code::long(&mut self.out, &raw);
            }
            Token::Float(number) => code::float(&mut self.out, number),
            Token::Str(piece) => self.string(piece),
            Token::Key(key) => self.numbered(key),
            Token::Bytes(piece) => {
                self.count(TAG_NODES)?;
                let raw = self.tape.bytes(piece).to_vec();
                self.binary(&raw);
            }
            Token::List { count, .. } => return self.list(at, count, depth, uses),
            Token::Dict { count, .. } => return self.dict(at, count, depth, uses),
        }
        Some(at + 1)
    }

    /// The items from a token on, one level deeper.
    pub fn items(&mut self, at: usize, count: u32, depth: u64, uses: Use) -> Option<usize> {
        self.check_depth(depth + 1)?;
        let mut next = at;
        for _ in 0..count {
            next = self.value(next, depth + 1, uses)?;
        }
        Some(next)
    }

    fn list(&mut self, at: usize, count: u32, depth: u64, uses: Use) -> Option<usize> {
        if count == 0 {
            self.out.push(b']');
            return Some(at + 1);
        }
        self.out.extend_from_slice(b"](");
        let next = self.items(at + 1, count, depth, uses.of_parts(false))?;
        self.out.push(b'e');
        Some(next)
    }

    fn dict(&mut self, at: usize, count: u32, depth: u64, uses: Use) -> Option<usize> {
        if count == 0 {
            self.out.push(b'}');
            return Some(at + 1);
        }
        if let Some(tag) = self.tag(at) {
            tagged::write(self, tag, at + 2, depth, uses)?;
            return Some(at + self.tape.tokens[at].span());
        }
        self.check_depth(depth + 1)?;
        self.out.extend_from_slice(b"}(");
        let mut next = at + 1;
        for _ in 0..count {
            if let Token::Key(key) = self.tape.tokens[next] {
                self.numbered(key); // no node
            }
            next = self.value(next + 1, depth + 1, uses.of_parts(false))?;
        }
        self.out.push(b'u');
        Some(next)
    }

    /// The tag that is the only key of the object at a token, accepted or not.
    pub fn tag(&self, at: usize) -> Option<Tag> {
        match (self.tape.tokens[at], self.tape.tokens.get(at + 1)) {
            (Token::Dict { count: 1, .. }, Some(Token::Key(key))) => {
                tags::find(self.tape.bytes(self.tape.strings.pieces[*key as usize]))
            }
            _ => None,
        }
    }

    /// Whether writers may use a tag.
    pub fn accepts(&self, tag: Tag) -> Option<()> {
        self.accepted.has(tag).then_some(())
    }

    // -- budgets -------------------------------------------------------------------------------------------

    pub fn count(&mut self, nodes: u64) -> Option<()> {
        self.nodes += nodes;
        (self.nodes <= self.limits.nodes).then_some(())
    }

    pub fn check_depth(&self, depth: u64) -> Option<()> {
        (depth <= self.limits.depth).then_some(())
    }

    /// That Python can hash a value, and that comparing it takes no longer than it may.
    fn check_hashable(&mut self, at: usize, uses: Use) -> Option<()> {
        let (nanoseconds, chars) = match self.tape.tokens[at] {
            Token::Int(number) => (collisions::of_int(number), 0),
            Token::Big(number) => (collisions::of_big(&self.tape.bigs[number as usize]), 0),
            Token::List { .. } | Token::Dict { .. } => tagged::compared(self, self.tag(at)?, at + 2)?,
            Token::Float(_) => (collisions::NUMBER, 0),
            _ => (0, 0),
        };
        match uses {
            Use::HashesWithAnother => self.collisions.more(nanoseconds + collisions::NESTED, chars),
            _ if nanoseconds > 0 => self.collisions.key(nanoseconds, chars),
            _ => Some(()),
        }
    }

    // -- scalars -------------------------------------------------------------------------------------------

    pub fn integer(&mut self, number: i64) {
        if !code::integer(&mut self.out, number) {
            let raw = BigInt::from_le_bytes(&number.to_le_bytes()).to_le_bytes();
            code::long(&mut self.out, &raw);
        }
    }

    /// A str, from the memo where it has been written before.
    pub fn string(&mut self, piece: Piece) {
        if piece.size > MAX_MEMO_STRING {
            return self.text(piece);
        }
        let number = self.tape.intern(piece);
        self.numbered(number);
    }

    /// A str that is not in the payload.
    pub fn own_string(&mut self, text: &[u8]) {
        let start = self.tape.extra_size();
        self.tape.extra().extend_from_slice(text);
        let piece = self.tape.extra_piece(start);
        self.string(piece);
    }

    fn numbered(&mut self, number: u32) {
        let piece = self.tape.strings.pieces[number as usize];
        if piece.size > MAX_MEMO_STRING {
            return self.text(piece);
        }
        let number = number as usize;
        if self.strings.len() <= number {
            self.strings.resize(self.tape.strings.len(), NOT_REMEMBERED);
        }
        let index = self.strings[number];
        if index != NOT_REMEMBERED {
            return code::get(&mut self.out, index);
        }
        self.text(piece);
        self.strings[number] = self.put();
    }

    fn text(&mut self, piece: Piece) {
        let short = if self.protocol >= 4 { Some(0x8c) } else { None };
        code::text(&mut self.out, short, b'X', self.tape.bytes(piece));
    }

    /// A bytes object; protocol 2 has none and calls _codecs.encode.
    pub fn binary(&mut self, raw: &[u8]) {
        if self.protocol >= 3 {
            return code::text(&mut self.out, Some(b'C'), b'B', raw);
        }
        self.symbol("_codecs", "encode");
        let text: String = raw.iter().map(|byte| char::from(*byte)).collect();
        self.own_string(text.as_bytes());
        self.own_string(b"latin1");
        self.out.extend_from_slice(b"\x86R");
    }

    /// A class or function by its name; Python 2's names under protocol 2, which CPython maps back.
    pub fn symbol(&mut self, module: &'static str, name: &'static str) {
        if let Some((_, index)) = self.symbols.iter().find(|(known, _)| *known == (module, name)) {
            return code::get(&mut self.out, *index);
        }
        if self.protocol >= 4 {
            self.own_string(module.as_bytes());
            self.own_string(name.as_bytes());
            self.out.push(0x93);
        } else {
            let of = if module == "builtins" && self.protocol == 2 { "__builtin__" } else { module };
            self.out.extend_from_slice(format!("c{}\n{}\n", of, name).as_bytes());
        }
        let index = self.put();
        self.symbols.push(((module, name), index));
    }

    /// Remember what has been written; under which index.
    pub fn put(&mut self) -> u32 {
        code::put(&mut self.out, self.protocol, self.remembered);
        self.remembered += 1;
        self.remembered - 1
    }
}
