//! Payload tree -> pickle, with the same bytes as CPython's pickler (`Modules/_pickle.c`, 3.11 to 3.13). Equal keys are one
//! object, and so are all empty strings and all empty bytes. Other equal values are different objects. (In CPython this
//! depends on the version and on the process.)

use crate::payload::tape::{Tape, Token};
use crate::pickler::opcodes;
use crate::pickler::tags;
use crate::unpickle::node::Piece;
use crate::values::tags::{Tag, TagSet};

/// The limit of items for one APPENDS or SETITEMS.
const BATCH: usize = 1000;
/// A frame ends at the first instruction after so many bytes. A string of so many bytes is outside of frames.
const FRAME: usize = 64 * 1024;
const FRAME_HEADER: usize = 9;
/// A shorter frame is left out.
const LEAST_FRAME: usize = 4;
const NOT_REMEMBERED: u32 = u32::MAX;

pub struct PickleWriter<'t, 'a> {
    tape: &'t Tape<'a>,
    protocol: u8,
    out: Vec<u8>,
    /// The start of the current frame.
    frame: Option<usize>,
    remembered: u32,
    /// The memo index of each key.
    keys: Vec<u32>,
    /// The memo indexes of the empty string and the empty bytes.
    empty: u32,
    empty_bytes: u32,
}

impl<'t, 'a> PickleWriter<'t, 'a> {
    /// `mark` is written before the pickle.
    pub fn new(tape: &'t Tape<'a>, protocol: u8, mark: Option<u8>) -> Self {
        let mut out = Vec::with_capacity(tape.data.len() + tape.data.len() / 2 + 64);
        out.extend(mark);
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

    /// Write the pickle. None: the reference must write it.
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

    /// Write the value at a token. Returns the index of the next token.
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
                opcodes::float(&mut self.out, number);
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
        if !opcodes::integer(&mut self.out, number) {
            let raw = number.to_le_bytes();
            // The fewest bytes for the number and its sign.
            let spare = (if number < 0 { number.leading_ones() } else { number.leading_zeros() } - 1) / 8;
            self.long(&raw[..8 - spare as usize]);
        }
    }

    fn long(&mut self, raw: &[u8]) {
        self.begin();
        opcodes::long(&mut self.out, shortest(raw));
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
        opcodes::get(&mut self.out, index);
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
        opcodes::text(&mut self.out, short, long, content);
        self.remember();
    }

    // -- containers ----------------------------------------------------------------------------------------

    fn list(&mut self, at: usize, count: usize) -> usize {
        self.op(b']');
        self.remember();
        self.filled(at + 1, count, Self::value, b'a', b'e')
    }

    fn dict(&mut self, at: usize, count: usize) -> usize {
        self.op(b'}');
        self.remember();
        let next = self.filled(at + 1, count, Self::item, b's', b'u');
        if count > 0 && count % BATCH == 0 {
            self.op(b'('); // CPython sees only then that there are no more
            self.op(b'u');
        }
        next
    }

    /// Fill the container just opened: `one` ends a lone member, `many` a batch of them.
    #[inline]
    fn filled(&mut self, at: usize, count: usize, member: fn(&mut Self, usize) -> usize, one: u8, many: u8) -> usize {
        let mut next = at;
        if count == 1 {
            next = member(self, next);
            self.op(one);
            return next;
        }
        let mut left = count;
        while left > 0 {
            let batch = left.min(BATCH);
            self.op(b'(');
            for _ in 0..batch {
                next = member(self, next);
            }
            self.op(many);
            left -= batch;
        }
        next
    }

    // -- memo and frames -----------------------------------------------------------------------------------

    #[inline]
    fn remember(&mut self) {
        self.begin();
        opcodes::put(&mut self.out, self.protocol, self.remembered);
        self.remembered += 1;
    }

    #[inline]
    fn op(&mut self, opcode: u8) {
        self.begin();
        self.out.push(opcode);
    }

    /// Begin a frame unless one is open.
    #[inline]
    fn begin(&mut self) {
        if self.frame.is_none() && self.protocol >= 4 {
            self.frame = Some(self.out.len());
            self.out.extend_from_slice(&[0x95; FRAME_HEADER]);
        }
    }

    /// End the frame between two values, if it is long enough.
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

/// Remove a last byte that only repeats the sign of the byte before it.
fn shortest(raw: &[u8]) -> &[u8] {
    match raw {
        [rest @ .., last] => match rest.last() {
            Some(before) if *last == 0xff && before & 0x80 > 0 => rest,
            _ => raw,
        },
        [] => raw,
    }
}

/// The int that is a whole payload, with or without a tag. It is stored as digits, which all libraries and INCR read.
pub fn digits(tape: &Tape, accepted: TagSet) -> Option<Vec<u8>> {
    match tape.tokens.as_slice() {
        [Token::Int(_) | Token::Big(_)] => tags::int_of(tape, 0).map(|number| number.text()),
        [Token::Dict { .. }, Token::Key(key), Token::Int(_) | Token::Big(_) | Token::Str(_)]
            if accepted.has(Tag::Int) && tape.bytes(tape.strings.pieces[*key as usize]) == Tag::Int.name() =>
        {
            tags::int_of(tape, 2).map(|number| number.text())
        }
        _ => None,
    }
}
