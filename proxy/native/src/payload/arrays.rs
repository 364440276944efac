//! numpy's scalars and arrays in a payload, and pandas' Timestamp: `proxy/codec/payload/arrays.py`.

use crate::frames::arrays::{Array, Content, NumpyScalar};
use crate::frames::dtypes::{DType, Kind};
use crate::frames::elements::{number, signed, utf8, Number};
use crate::frames::moments::{Speller, NAT};
use crate::frames::parts;
use crate::frames::scalars::MISSING;
use crate::limits::{Failure, Verdict, OBJECT_NODES};
use crate::payload::columns::seconds_of;
use crate::payload::plain_names::{no_name, plain_name};
use crate::payload::presenter::Presenter;
use crate::payload::sink::Sink;
use crate::payload::texts::Texts;
use crate::unpickle::node::{Node, Piece};
use crate::values::tags::Tag;

/// The elements of an array that are being presented.
struct Shown<'s> {
    array: &'s Array,
    speller: Speller,
    texts: Texts,
    /// Characters or bytes of its strings, beyond those that fill them up.
    used: u64,
    /// The depth of objects.
    inner: u64,
}

impl<S: Sink> Presenter<'_, '_, S> {
    /// A Timestamp, or NaT.
    pub fn timestamp(&mut self, text: &[u8]) -> Verdict<()> {
        self.count(OBJECT_NODES)?;
        if !self.plain {
            self.spend_text(text)?;
            self.tagged_text(Tag::Timestamp, text);
        } else if text == MISSING {
            self.sink.null();
        } else {
            let text = self.shown(Tag::Timestamp, text);
            self.spend_text(&text)?;
            self.sink.text(&text);
        }
        Ok(())
    }

    /// A scalar of numpy.
    pub fn numpy(&mut self, scalar: &NumpyScalar, depth: u64, hashed: bool) -> Verdict<()> {
        self.count(OBJECT_NODES)?;
        if !self.plain {
            self.open(Tag::Numpy);
            self.sink.open_map(2);
            self.sink.key(0, b"dtype");
            self.sink.text(scalar.dtype.name().as_bytes());
            self.sink.key(1, b"value");
        }
        match scalar.dtype.kind {
            Kind::Bytes => self.value(Node::Bytes(self.trimmed(scalar.raw)), depth, hashed)?,
            Kind::Moment | Kind::Text if self.plain || scalar.dtype.kind == Kind::Text => {
                match self.text_of(scalar)? {
                    Some(text) => {
                        self.check_text(&text)?;
                        self.sink.text(&text);
                    }
                    None => self.sink.null(),
                }
            }
            _ => self.number(scalar.dtype, scalar.raw)?,
        }
        if !self.plain {
            self.sink.close_map();
            self.sink.close_map();
        }
        Ok(())
    }

    /// The text of a str, or the plain text of a datetime64. None: NaT.
    fn text_of(&self, scalar: &NumpyScalar) -> Verdict<Option<Vec<u8>>> {
        let (dtype, raw) = (scalar.dtype, self.arena.bytes(scalar.raw));
        let mut text = Vec::new();
        if dtype.kind == Kind::Text {
            utf8(dtype, raw, &mut text).ok_or(Failure::NotHandled)?;
            return Ok(Some(text));
        }
        match signed(dtype, raw) {
            NAT => Ok(None),
            moment => {
                self.spell(&mut Speller::new(dtype, None), moment, &mut text)?;
                Ok(Some(text))
            }
        }
    }

    /// The plain text of a datetime64.
    fn spell(&self, speller: &mut Speller, moment: i64, text: &mut Vec<u8>) -> Verdict<()> {
        speller.spell(moment, text).ok_or(Failure::NotHandled)?;
        if self.naive_is_utc && speller.has_time() {
            text.push(b'Z');
        }
        Ok(())
    }

    /// The name of a key that is a scalar of numpy.
    pub fn name_of_numpy(&self, scalar: &NumpyScalar) -> Verdict<Vec<u8>> {
        let (dtype, raw) = (scalar.dtype, self.arena.bytes(scalar.raw));
        match dtype.kind {
            Kind::Moment | Kind::Text => Ok(self.text_of(scalar)?.unwrap_or_else(|| b"null".to_vec())),
            Kind::Bytes => plain_name(self.arena, Node::Bytes(self.trimmed(scalar.raw))),
            Kind::Span => plain_name(self.arena, span(dtype, signed(dtype, raw))),
            _ => match number(dtype, raw) {
                Number::Bool(value) => plain_name(self.arena, Node::Bool(value)),
                Number::Int(value) => plain_name(self.arena, Node::Int(value)),
                Number::Uint(value) => Ok(value.to_string().into_bytes()),
                Number::Float(value) => plain_name(self.arena, Node::Float(value)),
                Number::Complex(..) => no_name(),
            },
        }
    }

    // -- arrays --------------------------------------------------------------------------------------------

    /// `{"py/ndarray": {"dtype": .., "shape": .., "values": ..}}`, the values in one array in C order or binary.
    pub fn tagged_array(&mut self, array: &Array, depth: u64) -> Verdict<()> {
        self.count(OBJECT_NODES + array.shape.len() as u64)?;
        self.count_empty(array)?;
        self.open(Tag::NdArray);
        self.sink.open_map(3);
        self.sink.key(0, b"dtype");
        self.sink.text(array.dtype.name().as_bytes());
        self.sink.key(1, b"shape");
        self.sink.open_array(array.shape.len());
        for (at, length) in array.shape.iter().enumerate() {
            self.sink.item(at);
            self.sink.integer(*length as i64);
        }
        self.sink.close_array();
        self.sink.key(2, b"values");
        if S::HAS_BINARY && array.dtype.is_word() {
            self.spend_raw(array.bytes_size())?;
            self.count(array.lines())?;
            let words = array.words(self.arena);
            self.sink.binary(&words);
        } else {
            self.descend(depth, array.size)?;
            let mut shown = Shown::new(array, depth + 1);
            self.sink.open_array(array.size as usize);
            for (at, position) in array.positions().enumerate() {
                self.sink.item(at);
                self.element(&mut shown, position)?;
            }
            self.sink.close_array();
            self.spend_strings(&shown)?;
        }
        self.sink.close_map();
        self.sink.close_map();
        self.check_written()
    }

    /// Nested arrays. One without axes is its value.
    pub fn plain_array(&mut self, array: &Array, depth: u64) -> Verdict<()> {
        self.count_empty(array)?;
        let axes = array.shape.len() as u64;
        let (mut parts, mut product) = (0u64, 1u64);
        for length in &array.shape {
            product = product.saturating_mul(*length);
            parts = parts.saturating_add(product);
        }
        self.descend((depth + axes).saturating_sub(1), parts)?;
        let mut shown = Shown::new(array, depth + 1);
        self.nested(&mut shown, &mut array.positions(), &array.shape)?;
        self.spend_strings(&shown)
    }

    /// An array of the lengths of its axes. There are at most 64.
    fn nested(&mut self, shown: &mut Shown, positions: &mut impl Iterator<Item = usize>, shape: &[u64]) -> Verdict<()> {
        let (length, inner) = match shape.split_first() {
            Some((length, inner)) => (*length as usize, inner),
            None => {
                let position = positions.next().ok_or(Failure::NotHandled)?;
                return self.element(shown, position);
            }
        };
        self.sink.open_array(length);
        for at in 0..length {
            self.sink.item(at);
            self.nested(shown, positions, inner)?;
        }
        self.sink.close_array();
        self.check_written()
    }

    /// Count an array without elements by its other axes: a reader may make an array of its shape.
    fn count_empty(&mut self, array: &Array) -> Verdict<()> {
        match array.size {
            0 => self
                .count(array.shape.iter().filter(|length| **length > 0).fold(1, |n, length| length.saturating_mul(n))),
            _ => Ok(()),
        }
    }

    fn element(&mut self, shown: &mut Shown, position: usize) -> Verdict<()> {
        let (dtype, piece) = match shown.array.content {
            Content::Objects(list) => {
                let arena = self.arena;
                return self.value(arena.lists[list as usize][position], shown.inner, false);
            }
            Content::Raw(piece) => (shown.array.dtype, piece),
        };
        let size = u64::from(dtype.size);
        let piece = parts::inside(piece, position as u64 * size, size);
        let arena = self.arena;
        let mut text = std::mem::take(&mut shown.texts.buffer);
        match dtype.kind {
            Kind::Text => {
                utf8(dtype, arena.bytes(piece), &mut text).ok_or(Failure::NotHandled)?;
                shown.used += text.iter().filter(|byte| **byte & 0xc0 != 0x80).count() as u64;
                self.text_of_many(&mut shown.texts, &text)?;
            }
            Kind::Bytes => {
                let trimmed = self.trimmed(piece);
                shown.used += u64::from(trimmed.size);
                self.value(Node::Bytes(trimmed), shown.inner, false)?;
            }
            Kind::Moment if self.plain => match signed(dtype, arena.bytes(piece)) {
                NAT => self.sink.null(),
                moment => {
                    self.spell(&mut shown.speller, moment, &mut text)?;
                    self.text_of_many(&mut shown.texts, &text)?;
                }
            },
            _ => self.number(dtype, piece)?,
        }
        shown.texts.buffer = text;
        self.check_written()
    }

    /// Count the texts of an array. The characters that fill them up have been looked at, too.
    fn spend_strings(&mut self, shown: &Shown) -> Verdict<()> {
        let width = match shown.array.dtype.kind {
            Kind::Text => 4,
            Kind::Bytes => 1,
            _ => return self.spend_texts(&shown.texts),
        };
        self.spend(shown.array.bytes_size() / width - shown.used)?;
        self.spend_texts(&shown.texts)
    }

    // -- elements ------------------------------------------------------------------------------------------

    /// A number. In tagged form, datetime64 and timedelta64 are the ints that they are.
    fn number(&mut self, dtype: DType, piece: Piece) -> Verdict<()> {
        match number(dtype, self.arena.bytes(piece)) {
            Number::Bool(value) => self.sink.boolean(value),
            Number::Int(value) if self.plain && dtype.kind == Kind::Span => {
                return self.value(span(dtype, value), 0, false)
            }
            Number::Int(value) => return self.value(Node::Int(value), 0, false),
            Number::Uint(value) => match i64::try_from(value) {
                Ok(value) => return self.value(Node::Int(value), 0, false),
                Err(_) => self.unsigned(value),
            },
            // A NaN may have other bits after it was widened.
            Number::Float(value) if self.is_other_nan(value, dtype.size < 8) => return Err(Failure::NotHandled),
            Number::Float(value) => return self.value(Node::Float(value), 0, false),
            Number::Complex(real, imaginary) => {
                let is_widened = dtype.size < 16;
                if self.is_other_nan(real, is_widened) || self.is_other_nan(imaginary, is_widened) {
                    return Err(Failure::NotHandled);
                }
                match self.plain {
                    true => self.plain_complex(real, imaginary)?,
                    false => self.complex(real, imaginary)?,
                }
            }
        }
        Ok(())
    }

    fn is_other_nan(&self, value: f64, is_widened: bool) -> bool {
        S::HAS_BINARY && !self.plain && is_widened && value.is_nan()
    }

    /// Bytes without the NULs that fill them up.
    fn trimmed(&self, piece: Piece) -> Piece {
        let used = self.arena.bytes(piece).iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        Piece { start: piece.start, size: used as u32 }
    }
}

impl<'s> Shown<'s> {
    fn new(array: &'s Array, inner: u64) -> Self {
        Shown { array, speller: Speller::new(array.dtype, None), texts: Texts::new(), used: 0, inner }
    }
}

/// The seconds of a timedelta64. NaT is null.
fn span(dtype: DType, value: i64) -> Node {
    match value {
        NAT => Node::Null,
        value => seconds_of(value, dtype),
    }
}
