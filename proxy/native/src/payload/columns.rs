//! The values of a column, one after the other: `shown` of `proxy/codec/payload/tables.py`.

use crate::frames::columns::{Cell, Cells, Column, Showing};
use crate::frames::dtypes::DType;
use crate::frames::moments::{seconds, Seconds, Speller};
use crate::limits::{Failure, Verdict};
use crate::payload::presenter::Presenter;
use crate::payload::sink::Sink;
use crate::payload::texts::Texts;
use crate::unpickle::node::{Arena, Node};
use crate::values::bigint::BigInt;
use crate::values::tags::Tag;

/// A column that is being presented.
pub struct Shown<'c> {
    pub cells: Cells<'c>,
    pub speller: Speller,
    unit: DType,
    pub showing: Showing,
    pub texts: Texts,
}

impl<'c> Shown<'c> {
    pub fn new(arena: &'c Arena<'c>, column: &'c Column) -> Self {
        Shown {
            cells: column.cells(arena),
            speller: column.speller(),
            unit: column.unit(),
            showing: column.showing(),
            texts: Texts::new(),
        }
    }

    /// The seconds of a timedelta64.
    pub fn seconds(&self, span: i64) -> Node {
        seconds_of(span, self.unit)
    }
}

/// The seconds of a timedelta64, as a node.
pub fn seconds_of(span: i64, unit: DType) -> Node {
    match seconds(span, unit) {
        Seconds::Count(count) => Node::Int(count),
        Seconds::Seconds(seconds) => Node::Float(seconds),
    }
}

impl<'p, S: Sink> Presenter<'p, '_, S> {
    /// An array of all values. `inner`: the depth of the objects among them.
    pub fn column(&mut self, column: &Column, depth: u64, inner: u64) -> Verdict<()> {
        self.descend(depth, column.size)?;
        let arena = self.arena;
        let mut shown = Shown::new(arena, column);
        self.sink.open_array(column.size as usize);
        for at in 0..column.size as usize {
            self.sink.item(at);
            self.cell(&mut shown, inner)?;
        }
        self.sink.close_array();
        self.spend_texts(&shown.texts)
    }

    /// The next value of a column. Its texts are counted later, all at once.
    #[inline]
    pub fn cell(&mut self, shown: &mut Shown, depth: u64) -> Verdict<()> {
        match shown.cells.next()? {
            Cell::Node(node) => return self.value(node, depth, false),
            Cell::Uint(value) => self.unsigned(value),
            Cell::Complex(real, imaginary) if self.plain => self.plain_complex(real, imaginary)?,
            Cell::Complex(real, imaginary) => self.complex(real, imaginary)?,
            Cell::Text(text) => self.text_of_many(&mut shown.texts, text)?,
            Cell::Moment(moment) => {
                let mut text = std::mem::take(&mut shown.texts.buffer);
                shown.speller.spell(moment, &mut text).ok_or(Failure::NotHandled)?;
                if self.plain && self.naive_is_utc && shown.showing == Showing::Moments {
                    text.push(b'Z');
                }
                self.text_of_many(&mut shown.texts, &text)?;
                shown.texts.buffer = text;
            }
            Cell::Span(span) if self.plain => return self.value(shown.seconds(span), depth, false),
            Cell::Span(span) => return self.value(Node::Int(span), depth, false),
        }
        self.check_written()
    }

    /// An int beyond those with a sign.
    pub fn unsigned(&mut self, value: u64) {
        match (self.safe_ints, self.plain) {
            (false, _) => {
                let mut raw = [0u8; 9]; // the last byte has the sign
                raw[..8].copy_from_slice(&value.to_le_bytes());
                self.sink.big(&BigInt::from_le_bytes(&raw));
            }
            (true, true) => self.sink.text(value.to_string().as_bytes()),
            (true, false) => self.tagged_text(Tag::Int, value.to_string().as_bytes()),
        }
    }
}
