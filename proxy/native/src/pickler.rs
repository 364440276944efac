//! Payload tree -> pickle, to the byte as `proxy/codec/pickling.py` writes it: what payloads get that may have tags.

use crate::bigint::BigInt;
use crate::code;
use crate::node::Piece;
use crate::tags;
use crate::tape::{Tape, Token};

const MAX_MEMO_STRING: u32 = 256;
const NOT_REMEMBERED: u32 = u32::MAX;

pub struct Pickler<'t, 'a> {
    tape: &'t mut Tape<'a>,
    protocol: u8,
    out: Vec<u8>,
    remembered: u32,
    /// Where each string is in the memo.
    strings: Vec<u32>,
}

impl<'t, 'a> Pickler<'t, 'a> {
    /// `mark` goes in front of the pickle.
    pub fn new(tape: &'t mut Tape<'a>, protocol: u8, mark: u8) -> Self {
        let mut out = Vec::with_capacity(tape.data.len() + tape.data.len() / 2 + 64);
        out.push(mark);
        Pickler { tape, protocol, out, remembered: 0, strings: Vec::new() }
    }

    /// The pickle; None: the reference must write it.
    pub fn write(mut self) -> Option<Vec<u8>> {
        self.out.extend_from_slice(&[0x80, self.protocol]);
        self.value(0)?;
        self.out.push(b'.');
        Some(self.out)
    }

    /// Write the value at a token; where the next one is.
    fn value(&mut self, at: usize) -> Option<usize> {
        match self.tape.tokens[at] {
            Token::Null => self.out.push(b'N'),
            Token::Bool(value) => self.out.push(if value { 0x88 } else { 0x89 }),
            Token::Int(number) => {
                if !code::integer(&mut self.out, number) {
                    let raw = BigInt::from_le_bytes(&number.to_le_bytes()).to_le_bytes();
                    code::long(&mut self.out, &raw);
                }
            }
            Token::Big(number) => {
                let raw = self.tape.bigs[number as usize].to_le_bytes();
                code::long(&mut self.out, &raw);
            }
            Token::Float(number) => code::float(&mut self.out, number),
            Token::Str(piece) => self.string(piece),
            Token::Key(key) => self.numbered(key),
            Token::Bytes(_) if self.protocol < 3 => return None,
            Token::Bytes(piece) => code::text(&mut self.out, Some(b'C'), b'B', self.tape.bytes(piece)),
            Token::List { count: 0, .. } => self.out.push(b']'),
            Token::List { count, .. } => {
                self.out.extend_from_slice(b"](");
                let mut next = at + 1;
                for _ in 0..count {
                    next = self.value(next)?;
                }
                self.out.push(b'e');
                return Some(next);
            }
            Token::Dict { count, .. } => return self.dict(at, count),
        }
        Some(at + 1)
    }

    fn dict(&mut self, at: usize, count: u32) -> Option<usize> {
        if count == 0 {
            self.out.push(b'}');
            return Some(at + 1);
        }
        if count == 1 && self.is_tag(self.tape.tokens[at + 1]) {
            return None;
        }
        self.out.extend_from_slice(b"}(");
        let mut next = at + 1;
        for _ in 0..count {
            next = self.value(next)?;
            next = self.value(next)?;
        }
        self.out.push(b'u');
        Some(next)
    }

    fn is_tag(&self, key: Token) -> bool {
        match key {
            Token::Key(key) => {
                let piece = self.tape.strings.pieces[key as usize];
                tags::find(self.tape.bytes(piece)).is_some()
            }
            _ => false,
        }
    }

    /// A str, from the memo where it has been written before.
    fn string(&mut self, piece: Piece) {
        if piece.size > MAX_MEMO_STRING {
            return self.text(piece);
        }
        let number = self.tape.intern(piece);
        self.numbered(number);
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
        code::put(&mut self.out, self.protocol, self.remembered);
        self.strings[number] = self.remembered;
        self.remembered += 1;
    }

    fn text(&mut self, piece: Piece) {
        let short = if self.protocol >= 4 { Some(0x8c) } else { None };
        code::text(&mut self.out, short, b'X', self.tape.bytes(piece));
    }
}
