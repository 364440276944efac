//! pandas' series and frames as natural values: `proxy/codec/payload/plain_tables.py`.

use std::borrow::Cow;
use std::collections::HashSet;

use crate::frames::columns::{Cell, Column, Showing};
use crate::frames::indexes::{range_size, Index};
use crate::frames::tables::{Frame, Series};
use crate::limits::{Failure, Verdict, OBJECT_NODES};
use crate::payload::columns::Shown;
use crate::payload::presenter::Presenter;
use crate::payload::sink::Sink;
use crate::payload::texts::Texts;
use crate::unpickle::node::Node;

const NO_NAME: &[u8] = b"index";

/// A label: a text, or a node of any kind.
enum Name<'n> {
    Text(Cow<'n, [u8]>),
    Node(Node),
    Uint(u64),
}

impl<'p, S: Sink> Presenter<'p, '_, S> {
    /// An array of row objects, or columns and rows where names are not distinct texts.
    pub fn plain_frame(&mut self, frame: &Frame, depth: u64) -> Verdict<()> {
        self.count(OBJECT_NODES)?;
        let (mut names, mut columns) = (Vec::new(), Vec::new());
        if !self.is_default(&frame.index)? {
            names.push(self.index_name(&frame.index));
            columns.push(&frame.index.labels);
        }
        names.extend(self.labels(&frame.labels.labels, depth)?);
        columns.extend(&frame.columns);
        self.rows(&names, &columns, frame.index.size(), depth)
    }

    /// An array, or an object if the index says more. It is rows if the index has one label twice.
    pub fn plain_series(&mut self, series: &Series, depth: u64) -> Verdict<()> {
        self.count(OBJECT_NODES)?;
        if self.is_default(&series.index)? {
            return self.column(&series.column, depth, depth + 1);
        }
        let labels = self.labels(&series.index.labels, depth)?;
        let keys = self.keys(labels, depth)?;
        if !are_distinct(keys.iter().map(|key| &**key)) {
            let names = [self.index_name(&series.index), self.named(series.name)];
            return self.rows(&names, &[&series.index.labels, &series.column], series.column.size, depth);
        }
        self.descend(depth, series.column.size)?;
        let arena = self.arena;
        let mut shown = Shown::new(arena, &series.column);
        self.sink.open_map(keys.len());
        for (at, key) in keys.iter().enumerate() {
            self.sink.key(at, key);
            self.cell(&mut shown, depth + 1)?;
        }
        self.sink.close_map();
        self.spend_texts(&shown.texts)
    }

    // -- rows ----------------------------------------------------------------------------------------------

    fn rows(&mut self, names: &[Name], columns: &[&Column], count: u64, depth: u64) -> Verdict<()> {
        let texts: Option<Vec<&[u8]>> = names.iter().map(as_text).collect();
        let keys = texts.filter(|texts| are_distinct(texts.iter().copied()));
        let values: u64 = columns.iter().map(|column| column.size).sum();
        self.descend(depth + 1 + u64::from(keys.is_none()), count + values)?;
        let arena = self.arena;
        let mut shown: Vec<Shown> = columns.iter().map(|column| Shown::new(arena, column)).collect();
        match keys {
            Some(keys) => {
                let chars: u64 = keys.iter().map(|key| chars(key)).sum();
                self.spend(count.saturating_mul(chars))?;
                self.natural_rows(&keys, &mut shown, count, depth)?;
            }
            None => {
                self.count(names.len() as u64)?;
                self.sink.open_map(2);
                self.sink.key(0, b"columns");
                self.names(names, depth + 1)?;
                self.sink.key(1, b"rows");
                self.bare_rows(&mut shown, count, depth)?;
                self.sink.close_map();
            }
        }
        shown.iter().try_for_each(|column| self.spend_texts(&column.texts))
    }

    fn natural_rows(&mut self, keys: &[&[u8]], columns: &mut [Shown], count: u64, depth: u64) -> Verdict<()> {
        self.sink.open_array(count as usize);
        for row in 0..count as usize {
            self.sink.item(row);
            self.sink.open_map(keys.len());
            for (at, (key, column)) in keys.iter().zip(columns.iter_mut()).enumerate() {
                self.sink.key(at, key);
                self.cell(column, depth + 2)?;
            }
            self.sink.close_map();
            self.check_written()?;
        }
        self.sink.close_array();
        Ok(())
    }

    fn bare_rows(&mut self, columns: &mut [Shown], count: u64, depth: u64) -> Verdict<()> {
        self.sink.open_array(count as usize);
        for row in 0..count as usize {
            self.sink.item(row);
            self.sink.open_array(columns.len());
            for (at, column) in columns.iter_mut().enumerate() {
                self.sink.item(at);
                self.cell(column, depth + 2)?;
            }
            self.sink.close_array();
            self.check_written()?;
        }
        self.sink.close_array();
        Ok(())
    }

    fn names(&mut self, names: &[Name], depth: u64) -> Verdict<()> {
        self.sink.open_array(names.len());
        for (at, name) in names.iter().enumerate() {
            self.sink.item(at);
            match name {
                Name::Node(node) => self.value(*node, depth, false)?,
                Name::Uint(number) => self.unsigned(*number),
                Name::Text(text) => {
                    self.check_text(text)?;
                    self.sink.text(text);
                }
            }
        }
        self.sink.close_array();
        Ok(())
    }

    // -- labels --------------------------------------------------------------------------------------------

    /// True if an index is 0, 1, 2 ...
    fn is_default(&mut self, index: &Index) -> Verdict<bool> {
        if let Some(bounds) = index.range {
            return Ok(match range_size(bounds) {
                Some(0) => true,
                Some(1) => bounds[0] == 0,
                _ => bounds[0] == 0 && bounds[2] == 1,
            });
        }
        let labels = &index.labels;
        self.check_nodes(labels.size)?;
        if labels.size > 0 && !labels.has_ints() {
            return Ok(false);
        }
        let mut cells = labels.cells(self.arena);
        for at in 0..labels.size as i64 {
            match cells.next()? {
                Cell::Node(Node::Int(label)) if label == at => {}
                _ => return Ok(false),
            }
        }
        Ok(true)
    }

    /// The name of an index as that of a column.
    fn index_name(&self, index: &Index) -> Name<'p> {
        match index.name {
            Node::Null => Name::Text(Cow::Borrowed(NO_NAME)),
            name => self.named(name),
        }
    }

    fn named(&self, name: Node) -> Name<'p> {
        match name {
            Node::Str { piece, .. } => Name::Text(Cow::Borrowed(self.arena.bytes(piece))),
            name => Name::Node(name),
        }
    }

    /// The labels of an index. Those that are no objects are presented.
    fn labels<'n>(&mut self, labels: &'n Column, depth: u64) -> Verdict<Vec<Name<'n>>>
    where
        'p: 'n,
    {
        self.descend(depth, labels.size)?;
        let arena = self.arena;
        let mut shown = Shown::new(arena, labels);
        let (mut names, mut texts) = (Vec::with_capacity(labels.size as usize), Texts::new());
        for _ in 0..labels.size {
            let name = match shown.cells.next()? {
                Cell::Node(node) if shown.showing == Showing::Objects => self.named(node),
                Cell::Node(node) => self.presented(node),
                Cell::Span(span) => self.presented(shown.seconds(span)),
                Cell::Uint(number) if self.safe_ints => Name::Text(Cow::Owned(number.to_string().into_bytes())),
                Cell::Uint(number) => Name::Uint(number),
                Cell::Text(text) => Name::Text(Cow::Borrowed(text)),
                Cell::Moment(moment) => {
                    let mut text = Vec::new();
                    shown.speller.spell(moment, &mut text).ok_or(Failure::NotHandled)?;
                    if shown.showing == Showing::Moments {
                        text.extend_from_slice(if self.naive_is_utc { b"Z" } else { b"" });
                        texts.add(&text);
                    }
                    Name::Text(Cow::Owned(text))
                }
                Cell::Complex(..) => return Err(Failure::NotHandled), // they become arrays
            };
            names.push(name);
        }
        self.spend_texts(&texts)?;
        Ok(names)
    }

    /// A number as readers get it.
    fn presented(&self, number: Node) -> Name<'static> {
        match number {
            Node::Int(value) if !self.is_natural(value) => Name::Text(Cow::Owned(value.to_string().into_bytes())),
            Node::Float(value) if !value.is_finite() => Name::Node(Node::Null),
            number => Name::Node(number),
        }
    }

    /// Labels as the keys of an object.
    fn keys<'n>(&mut self, labels: Vec<Name<'n>>, depth: u64) -> Verdict<Vec<Cow<'n, [u8]>>> {
        let (mut keys, mut texts) = (Vec::with_capacity(labels.len()), Texts::new());
        for label in labels {
            let key = match label {
                Name::Text(text) => text,
                Name::Uint(number) => Cow::Owned(number.to_string().into_bytes()),
                Name::Node(node) => Cow::Owned(self.name(node, depth)?),
            };
            texts.add(&key);
            if texts.size() > self.bytes_left {
                return self.limits.too_large();
            }
            keys.push(key);
        }
        self.spend_texts(&texts)?;
        Ok(keys)
    }
}

fn as_text<'n>(name: &'n Name) -> Option<&'n [u8]> {
    match name {
        Name::Text(text) => Some(text),
        _ => None,
    }
}

/// True if no text is there twice. The hash has a random key.
fn are_distinct<'n>(texts: impl ExactSizeIterator<Item = &'n [u8]>) -> bool {
    let mut seen = HashSet::with_capacity(texts.len());
    let mut texts = texts;
    texts.all(|text| seen.insert(text))
}

/// Python's len() of a text.
fn chars(text: &[u8]) -> u64 {
    text.iter().filter(|byte| **byte & 0xc0 != 0x80).count() as u64
}
