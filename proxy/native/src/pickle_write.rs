//! Payload tree -> pickle, to the byte as CPython's own pickler writes it (`Modules/_pickle.c`, 3.11 to 3.13) where equal
//! keys are one object, and so is the empty string. In a tree from msgpack strings of one character and bytes of one byte
//! are, too: CPython has but one of each, and the msgpack library takes that.

use crate::bigint::BigInt;
use crate::code;
use crate::node::Piece;
use crate::tape::{Tape, Token};

/// Items between two of APPENDS or SETITEMS.
const BATCH: usize = 1000;
/// A frame ends at the first instruction behind so many bytes; a string of as many has none.
const FRAME: usize = 64 * 1024;
const FRAME_HEADER: usize = 9;
/// A shorter frame is left out.
const LEAST_FRAME: usize = 4;
const NOT_REMEMBERED: u32 = u32::MAX;

pub struct PickleWriter<'t, 'a> {
    tape: &'t Tape<'a>,
    protocol: u8,
    out: Vec<u8>,
    /// Where the frame under way begins.
    frame: Option<usize>,
    remembered: u32,
    /// Where each key is in the memo.
    keys: Vec<u32>,
    /// Where the strings are of which CPython has but one.
    texts: Singles,
    bytes: Singles,
}

/// Where strings of at most one character are in the memo.
struct Singles {
    empty: u32,
    /// By character, once there is one; None where each is an object of its own.
    chars: Option<Vec<u32>>,
}

impl Singles {
    fn new(with_chars: bool) -> Self {
        Singles { empty: NOT_REMEMBERED, chars: with_chars.then(Vec::new) }
    }

    /// The place of a string, if there is but one such. If it has none yet, `next` is its place from now on.
    #[inline]
    fn look(&mut self, char: Option<u8>, next: u32) -> Option<u32> {
        let place = match (char, &mut self.chars) {
            (None, _) => &mut self.empty,
            (Some(char), Some(chars)) => {
                if chars.is_empty() {
                    chars.resize(256, NOT_REMEMBERED);
                }
                &mut chars[usize::from(char)]
            }
            (Some(_), None) => return None,
        };
        let known = *place;
        if known == NOT_REMEMBERED {
            *place = next;
        }
        Some(known)
    }
}

/// The one character of a text, if it is of Latin-1.
fn only_char(text: &[u8]) -> Option<u8> {
    match text {
        [char] => Some(*char),
        [lead @ (0xc2 | 0xc3), rest] => Some(lead << 6 | (rest & 0x3f)),
        _ => None,
    }
}

impl<'t, 'a> PickleWriter<'t, 'a> {
    /// `mark` goes in front of the pickle. `single_chars`: of strings of one character there is but one each.
    pub fn new(tape: &'t Tape<'a>, protocol: u8, mark: u8, single_chars: bool) -> Self {
        let mut out = Vec::with_capacity(tape.data.len() + tape.data.len() / 2 + 64);
        out.push(mark);
        PickleWriter {
            tape,
            protocol,
            out,
            frame: None,
            remembered: 0,
            keys: vec![NOT_REMEMBERED; tape.strings.len()],
            texts: Singles::new(single_chars),
            bytes: Singles::new(single_chars),
        }
    }

    /// The pickle; None: the reference must write it.
    pub fn write(mut self) -> Option<Vec<u8>> {
        if self.protocol < 3 && self.tape.has_bytes {
            return None;
        }
        self.out.extend_from_slice(&[0x80, self.protocol]);
        self.value(0);
        self.op(b'.');
        self.end_frame();
        Some(self.out)
    }

    /// Write the value at a token; where the next one is.
    fn value(&mut self, at: usize) -> usize {
        self.boundary();
        match self.tape.tokens[at] {
            Token::Null => self.op(b'N'),
            Token::Bool(value) => self.op(if value { 0x88 } else { 0x89 }),
            Token::Int(number) => self.integer(number),
            Token::Big(number) => {
                let raw = self.tape.bigs[number as usize].to_le_bytes();
                self.long(&raw);
            }
            Token::Float(number) => {
                self.begin();
                code::float(&mut self.out, number);
            }
            Token::Str(piece) => self.string(piece),
            Token::Bytes(piece) => self.binary(self.tape.bytes(piece)),
            Token::Key(key) => self.key(key),
            Token::List { count, .. } => return self.list(at, count as usize),
            Token::Dict { count, .. } => return self.dict(at, count as usize),
        }
        at + 1
    }

    // -- scalars -------------------------------------------------------------------------------------------

    #[inline]
    fn integer(&mut self, number: i64) {
        self.begin();
        if !code::integer(&mut self.out, number) {
            let raw = number.to_le_bytes();
            // As few bytes as hold the number and its sign.
            let spare = (if number < 0 { number.leading_ones() } else { number.leading_zeros() } - 1) / 8;
            self.long(&raw[..8 - spare as usize]);
        }
    }

    fn long(&mut self, raw: &[u8]) {
        self.begin();
        code::long(&mut self.out, shortest(raw));
    }

    #[inline]
    fn string(&mut self, piece: Piece) {
        match self.single(piece) {
            Some(index) if index != NOT_REMEMBERED => self.again(index),
            _ => self.text(self.tape.bytes(piece)),
        }
    }

    fn key(&mut self, key: u32) {
        let index = self.keys[key as usize];
        if index != NOT_REMEMBERED {
            return self.again(index);
        }
        let piece = self.tape.strings.pieces[key as usize];
        match self.single(piece) {
            Some(index) if index != NOT_REMEMBERED => return self.again(index),
            Some(_) => {}
            None => self.keys[key as usize] = self.remembered,
        }
        self.text(self.tape.bytes(piece));
    }

    /// Where a string is of which there is but one, or will be: then that is noted, and it must be written.
    #[inline]
    fn single(&mut self, piece: Piece) -> Option<u32> {
        if piece.size > 2 {
            return None;
        }
        let char = only_char(self.tape.bytes(piece));
        if char.is_none() && piece.size > 0 {
            return None;
        }
        let next = self.remembered;
        self.texts.look(char, next)
    }

    #[inline]
    fn again(&mut self, index: u32) {
        self.begin();
        code::get(&mut self.out, index);
    }

    #[inline]
    fn text(&mut self, text: &[u8]) {
        let short = if self.protocol >= 4 { Some(0x8c) } else { None };
        self.sized(short, b'X', text);
    }

    fn binary(&mut self, raw: &[u8]) {
        if raw.len() <= 1 {
            let next = self.remembered;
            match self.bytes.look(raw.first().copied(), next) {
                Some(index) if index != NOT_REMEMBERED => return self.again(index),
                _ => {}
            }
        }
        self.sized(Some(b'C'), b'B', raw);
    }

    #[inline]
    fn sized(&mut self, short: Option<u8>, long: u8, content: &[u8]) {
        if content.len() >= FRAME {
            self.end_frame();
        } else {
            self.begin();
        }
        code::text(&mut self.out, short, long, content);
        self.remember();
    }

    // -- containers ----------------------------------------------------------------------------------------

    fn list(&mut self, at: usize, count: usize) -> usize {
        self.op(b']');
        self.remember();
        let mut next = at + 1;
        if count == 1 {
            next = self.value(next);
            self.op(b'a');
            return next;
        }
        let mut left = count;
        while left > 0 {
            let batch = left.min(BATCH);
            self.op(b'(');
            for _ in 0..batch {
                next = self.value(next);
            }
            self.op(b'e');
            left -= batch;
        }
        next
    }

    fn dict(&mut self, at: usize, count: usize) -> usize {
        self.op(b'}');
        self.remember();
        let mut next = at + 1;
        if count == 1 {
            next = self.value(next);
            next = self.value(next);
            self.op(b's');
            return next;
        }
        let mut left = count;
        while left > 0 {
            let batch = left.min(BATCH);
            self.op(b'(');
            for _ in 0..batch {
                next = self.value(next);
                next = self.value(next);
            }
            self.op(b'u');
            left -= batch;
            if left == 0 && batch == BATCH {
                self.op(b'('); // CPython sees only then that there are no more
                self.op(b'u');
            }
        }
        next
    }

    // -- memo and frames -----------------------------------------------------------------------------------

    #[inline]
    fn remember(&mut self) {
        self.begin();
        code::put(&mut self.out, self.protocol, self.remembered);
        self.remembered += 1;
    }

    #[inline]
    fn op(&mut self, opcode: u8) {
        self.begin();
        self.out.push(opcode);
    }

    /// Begin a frame, where there is none.
    #[inline]
    fn begin(&mut self) {
        if self.frame.is_none() && self.protocol >= 4 {
            self.frame = Some(self.out.len());
            self.out.extend_from_slice(&[0x95; FRAME_HEADER]);
        }
    }

    /// Between two values a frame may end.
    #[inline]
    fn boundary(&mut self) {
        if let Some(start) = self.frame {
            if self.out.len() - start - FRAME_HEADER >= FRAME {
                self.end_frame();
            }
        }
    }

    fn end_frame(&mut self) {
        if let Some(start) = self.frame.take() {
            let size = self.out.len() - start - FRAME_HEADER;
            if size >= LEAST_FRAME {
                let length = (size as u64).to_le_bytes();
                self.out[start + 1..start + FRAME_HEADER].copy_from_slice(&length);
            } else {
                self.out.drain(start..start + FRAME_HEADER);
            }
        }
    }
}

/// Without a last byte that says no more than the one before.
fn shortest(raw: &[u8]) -> &[u8] {
    match raw {
        [rest @ .., last] => match rest.last() {
            Some(before) if *last == 0xff && before & 0x80 > 0 => rest,
            _ => raw,
        },
        [] => raw,
    }
}

/// An int that is a whole value: digits, which every library reads and INCR counts on.
pub fn digits(tape: &Tape) -> Option<Vec<u8>> {
    match tape.tokens.first()? {
        Token::Int(number) => Some(number.to_string().into_bytes()),
        Token::Big(number) => Some(BigInt::text(&tape.bigs[*number as usize])),
        _ => None,
    }
}
