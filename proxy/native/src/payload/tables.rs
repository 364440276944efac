//! pandas' series and frames with their dtypes: `proxy/codec/payload/tables.py`.

use crate::frames::columns::{Cell, Showing};
use crate::frames::indexes::Index;
use crate::frames::tables::{Frame, Series};
use crate::limits::{Failure, Verdict, OBJECT_NODES};
use crate::payload::columns::Shown;
use crate::payload::presenter::Presenter;
use crate::payload::sink::Sink;
use crate::unpickle::node::Node;
use crate::values::tags::Tag;

impl<S: Sink> Presenter<'_, '_, S> {
    /// `{"py/series": {"name": .., "dtype": .., "index": .., "values": ..}}`
    pub fn tagged_series(&mut self, series: &Series, depth: u64) -> Verdict<()> {
        self.count(OBJECT_NODES)?;
        self.open(Tag::Series);
        self.sink.open_map(4);
        self.sink.key(0, b"name");
        self.value(series.name, depth + 1, false)?;
        self.sink.key(1, b"dtype");
        self.sink.text(series.column.dtype().as_bytes());
        self.sink.key(2, b"index");
        self.index(&series.index, depth)?;
        self.sink.key(3, b"values");
        self.column(&series.column, depth, depth + 1)?;
        self.sink.close_map();
        self.sink.close_map();
        Ok(())
    }

    /// `{"py/dataframe": {"rows": .., "index": .., "columns": [{"name": .., "dtype": .., "values": ..}, ..]}}`
    pub fn tagged_frame(&mut self, frame: &Frame, depth: u64) -> Verdict<()> {
        let arena = self.arena;
        let labels = &frame.labels.labels;
        if labels.showing() == Showing::Objects && !self.showings.is_empty() {
            self.check_names(frame)?;
        }
        self.count(OBJECT_NODES + OBJECT_NODES * frame.columns.len() as u64)?;
        self.check_nodes(frame.columns.iter().map(|column| column.size).sum())?;
        self.open(Tag::DataFrame);
        self.sink.open_map(3);
        self.sink.key(0, b"rows");
        self.sink.integer(frame.index.size() as i64);
        self.sink.key(1, b"index");
        self.index(&frame.index, depth)?;
        self.sink.key(2, b"columns");
        self.descend(depth, labels.size)?;
        let mut names = Shown::new(arena, labels);
        self.sink.open_array(frame.columns.len());
        for (at, column) in frame.columns.iter().enumerate() {
            self.sink.item(at);
            self.sink.open_map(3);
            self.sink.key(0, b"name");
            self.cell(&mut names, depth + 1)?;
            self.sink.key(1, b"dtype");
            self.sink.text(column.dtype().as_bytes());
            self.sink.key(2, b"values");
            self.column(column, depth + 1, depth + 2)?;
            self.sink.close_map();
        }
        self.sink.close_array();
        self.spend_texts(&names.texts)?;
        self.sink.close_map();
        self.sink.close_map();
        Ok(())
    }

    /// Objects that reach themselves are whole where they are first presented. The reference presents names first.
    fn check_names(&self, frame: &Frame) -> Verdict<()> {
        let labels = &frame.labels.labels;
        let mut cells = labels.cells(self.arena);
        for _ in 0..labels.size {
            match cells.next()? {
                Cell::Node(Node::Str { .. } | Node::Null | Node::Int(_)) => {}
                _ => return Err(Failure::NotHandled),
            }
        }
        Ok(())
    }

    fn index(&mut self, index: &Index, depth: u64) -> Verdict<()> {
        self.count(OBJECT_NODES)?;
        if let Some(bounds) = index.range {
            self.sink.open_map(1);
            self.sink.key(0, b"range");
            self.sink.open_array(3);
            for (at, bound) in bounds.iter().enumerate() {
                self.sink.item(at);
                self.sink.integer(*bound);
            }
            self.sink.close_array();
            self.sink.close_map();
            return Ok(());
        }
        self.sink.open_map(3);
        self.sink.key(0, b"name");
        self.value(index.name, depth + 1, false)?;
        self.sink.key(1, b"dtype");
        self.sink.text(index.labels.dtype().as_bytes());
        self.sink.key(2, b"values");
        self.column(&index.labels, depth, depth + 1)?;
        self.sink.close_map();
        Ok(())
    }
}
