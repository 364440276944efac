//! Writes a pickle: strings and symbols with the memo, and the budgets of the written parts.

use std::collections::HashMap;

use crate::limits::Limits;
use crate::payload::tape::{Tape, Token};
use crate::pickler::hash_cost::Kind;
use crate::pickler::opcodes;
use crate::unpickle::node::Piece;
use crate::values::bigint::BigInt;
use crate::values::tags::{self, Tag, TagSet};

const MAX_MEMO_STRING: u32 = 256;
const NOT_REMEMBERED: u32 = u32::MAX;

pub struct Emitter<'t, 'a> {
    pub tape: &'t mut Tape<'a>,
    pub protocol: u8,
    pub out: Vec<u8>,
    accepted: TagSet,
    limits: Limits,
    nodes: u64,
    /// The offset of the first zone.
    home: Option<i64>,
    remembered: u32,
    /// The memo index of each string.
    strings: Vec<u32>,
    /// The memo indexes of classes and functions, and of zones by their offset.
    symbols: Vec<((&'static str, &'static str), u32)>,
    pub zones: HashMap<i64, u32>,
}

impl<'t, 'a> Emitter<'t, 'a> {
    /// `mark` is written before the pickle.
    pub fn new(tape: &'t mut Tape<'a>, protocol: u8, mark: Option<u8>, accepted: TagSet, limits: Limits) -> Self {
        let mut out = Vec::with_capacity(tape.data.len() + tape.data.len() / 2 + 64);
        out.extend(mark);
        Emitter {
            tape,
            protocol,
            out,
            accepted,
            limits,
            nodes: 0,
            home: None,
            remembered: 0,
            strings: Vec::new(),
            symbols: Vec::new(),
            zones: HashMap::new(),
        }
    }

    /// The tag that is the only key of the object at a token, accepted or not.
    pub fn tag(&self, at: usize) -> Option<Tag> {
        self.only_key(at).and_then(tags::find)
    }

    /// Whether the object at a token is plain data.
    pub fn check_plain(&self, at: usize) -> Option<()> {
        match self.only_key(at) {
            Some(key) if tags::is_reserved(key) => None,
            _ => Some(()),
        }
    }

    fn only_key(&self, at: usize) -> Option<&[u8]> {
        match (self.tape.tokens[at], self.tape.tokens.get(at + 1)) {
            (Token::Dict { count: 1, .. }, Some(Token::Key(key))) => {
                Some(self.tape.bytes(self.tape.strings.pieces[*key as usize]))
            }
            _ => None,
        }
    }

    /// True if writers may use a tag.
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

    /// The kind of a datetime or time for `collisions`. Values of the same zone are compared without the zone.
    pub fn kind_in(&mut self, offset: Option<i64>) -> Kind {
        match offset {
            None => Kind::Raw,
            Some(offset) if *self.home.get_or_insert(offset) == offset => Kind::Home,
            Some(_) => Kind::Away,
        }
    }

    // -- scalars -------------------------------------------------------------------------------------------

    pub fn integer(&mut self, number: i64) {
        if !opcodes::integer(&mut self.out, number) {
            let raw = BigInt::from_le_bytes(&number.to_le_bytes()).to_le_bytes();
            opcodes::long(&mut self.out, &raw);
        }
    }

    /// Write a str, or get it from the memo if it was written before.
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

    pub fn numbered(&mut self, number: u32) {
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
            return opcodes::get(&mut self.out, index);
        }
        self.text(piece);
        self.strings[number] = self.put();
    }

    fn text(&mut self, piece: Piece) {
        let short = if self.protocol >= 4 { Some(0x8c) } else { None };
        opcodes::text(&mut self.out, short, b'X', self.tape.bytes(piece));
    }

    /// Write a bytes object. Protocol 2 has no opcode for it and calls _codecs.encode.
    pub fn binary(&mut self, raw: &[u8]) {
        if self.protocol >= 3 {
            return opcodes::text(&mut self.out, Some(b'C'), b'B', raw);
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
            return opcodes::get(&mut self.out, *index);
        }
        if self.protocol >= 4 {
            self.own_string(module.as_bytes());
            self.own_string(name.as_bytes());
            self.out.push(0x93);
        } else {
            let (module, name) = if self.protocol == 2 { in_python_2(module, name) } else { (module, name) };
            self.out.extend_from_slice(format!("c{}\n{}\n", module, name).as_bytes());
        }
        let index = self.put();
        self.symbols.push(((module, name), index));
    }

    /// Store the last written value in the memo. Returns its index.
    pub fn put(&mut self) -> u32 {
        opcodes::put(&mut self.out, self.protocol, self.remembered);
        self.remembered += 1;
        self.remembered - 1
    }
}

/// A name in Python 2.
fn in_python_2(module: &'static str, name: &'static str) -> (&'static str, &'static str) {
    match (module, name) {
        ("builtins", "int") => ("__builtin__", "long"),
        ("builtins", "str") => ("__builtin__", "unicode"),
        ("builtins", _) => ("__builtin__", name),
        _ => (module, name),
    }
}
