//! Payload tree -> pickle, to the byte as CPython's own pickler writes it (`Modules/_pickle.c`, 3.11 to 3.13) where equal
//! keys are one object, the empty string and the empty bytes too, and nothing else is. (What else is one object in CPython
//! depends on its version, and on what the process has done before.)

use crate::code;
use crate::node::Piece;
use crate::tagged;
use crate::tags::{Tag, TagSet};
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
    /// Where the empty string is, and the empty bytes.
    empty: u32,
    empty_bytes: u32,
}

impl<'t, 'a> PickleWriter<'t, 'a> {
    /// `mark` goes in front of the pickle.
    pub fn new(tape: &'t Tape<'a>, protocol: u8, mark: u8) -> Self {
        let mut out = Vec::with_capacity(tape.data.len() + tape.data.len() / 2 + 64);
        out.push(mark);
        PickleWriter {
            tape,
            protocol,
            out,
            frame: None,
            remembered: 0,
            keys: vec![NOT_REMEMBERED; tape.strings.len()],
            empty: NOT_REMEMBERED,
            empty_bytes: NOT_REMEMBERED,
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

    /// The pickle of a view: the tuple `(body, 200, {"Content-Type": ...})`.
    pub fn view(mut self, body: &[u8], is_text: bool, content_type: &[u8]) -> Option<Vec<u8>> {
        if self.protocol < 3 && !is_text {
            return None;
        }
        self.out.extend_from_slice(&[0x80, self.protocol]);
        match is_text {
            true => self.text(body),
            false => self.binary(body),
        }
        self.boundary();
        self.integer(200);
        self.op(b'}');
        self.remember();
        self.text(b"Content-Type");
        self.text(content_type);
        self.op(b's');
        self.op(0x87);
        self.remember();
        self.op(b'.');
        self.end_frame();
        Some(self.out)
    }

    /// Write the value at a token; where the next one is.
    #[inline(always)] // a call costs as much as most values
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

    #[inline]
    fn item(&mut self, at: usize) -> usize {
        self.boundary();
        if let Token::Key(key) = self.tape.tokens[at] {
            self.key(key);
        }
        self.value(at + 1)
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
        if piece.size == 0 {
            return self.empty();
        }
        self.text(self.tape.bytes(piece));
    }

    fn empty(&mut self) {
        if self.empty != NOT_REMEMBERED {
            return self.again(self.empty);
        }
        self.empty = self.remembered;
        self.text(b"");
    }

    fn key(&mut self, key: u32) {
        let piece = self.tape.strings.pieces[key as usize];
        if piece.size == 0 {
            return self.empty();
        }
        let index = self.keys[key as usize];
        if index != NOT_REMEMBERED {
            return self.again(index);
        }
        self.keys[key as usize] = self.remembered;
        self.text(self.tape.bytes(piece));
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
        if raw.is_empty() {
            if self.empty_bytes != NOT_REMEMBERED {
                return self.again(self.empty_bytes);
            }
            self.empty_bytes = self.remembered;
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
            next = self.item(next);
            self.op(b's');
            return next;
        }
        let mut left = count;
        while left > 0 {
            let batch = left.min(BATCH);
            self.op(b'(');
            for _ in 0..batch {
                next = self.item(next);
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

/// An int that is a whole value, plainly or by its tag: digits, which every library reads and INCR counts on.
pub fn digits(tape: &Tape, accepted: TagSet) -> Option<Vec<u8>> {
    match tape.tokens.as_slice() {
        [Token::Int(_) | Token::Big(_)] => tagged::int_of(tape, 0).map(|number| number.text()),
        [Token::Dict { .. }, Token::Key(key), Token::Int(_) | Token::Big(_) | Token::Str(_)]
            if accepted.has(Tag::Int) && tape.bytes(tape.strings.pieces[*key as usize]) == Tag::Int.name() =>
        {
            tagged::int_of(tape, 2).map(|number| number.text())
        }
        _ => None,
    }
}
