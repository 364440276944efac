//! Usual requests that are split by the nodes of a cluster.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyTuple};

use crate::fastpath::requests::{Batch, RequestTable};
use crate::fastpath::slots::key_slot;

/// In the owners of slots: no node has the slot.
const NOBODY: i32 = -1;

/// The usual requests at the head of a read, by node.
pub struct Parts<'a, 'py> {
    /// Of each slot: `SlotMap` of `proxy/session/slots.py`.
    owners: &'a Bound<'py, PyTuple>,
    /// In the order of their first requests. One may have none, because its first was not usual.
    pub all: Vec<Part>,
    /// The order of all requests, as runs of nodes.
    pub order: Vec<(i32, usize)>,
    /// The end of the last request in the read.
    pub end: usize,
    /// The number of requests.
    pub done: usize,
    /// The number and the arguments of the request whose reply may be watched.
    pub watched: Option<(usize, Py<PyList>)>,
    /// Bytes of payloads that may still be encoded.
    room: usize,
}

pub struct Part {
    pub node: i32,
    pub batch: Batch,
    /// The number of its requests.
    pub count: usize,
}

impl<'a, 'py> Parts<'a, 'py> {
    pub fn new(owners: &'a Bound<'py, PyTuple>, room: usize) -> Self {
        Parts { owners, all: Vec::new(), order: Vec::new(), end: 0, done: 0, watched: None, room }
    }

    /// Add a request, which is at `at` in the read. False: it is not usual, or no node has its slot.
    pub fn add(
        &mut self,
        table: &mut RequestTable,
        args: &Bound<'_, PyList>,
        bytes: &[u8],
        (start, stop): (usize, usize),
    ) -> PyResult<bool> {
        if args.len() < 2 {
            return Ok(false);
        }
        let slot = key_slot(args.get_item(1)?.downcast::<PyBytes>()?.as_bytes());
        let node = self.owners.get_item(usize::from(slot))?.extract()?;
        if node == NOBODY {
            return Ok(false);
        }
        let room = self.room;
        let part = self.part(node);
        let batch = &mut part.batch;
        batch.room = room;
        batch.begin(start);
        if !table.add(args, bytes, (start, stop), batch)? {
            return Ok(false);
        }
        batch.finish(bytes, start, stop);
        part.count += 1;
        let (left, place) = (batch.room, batch.records.last().map(|record| record.place));
        self.room = left;
        let plan = place.and_then(|place| table.planned(place));
        if self.watched.is_none() && args.len() == 2 && plan.map_or(false, |plan| plan.watches) {
            self.watched = Some((self.done, args.clone().unbind()));
        }
        match self.order.last_mut() {
            Some((last, count)) if *last == node => *count += 1,
            _ => self.order.push((node, 1)),
        }
        self.end = stop;
        self.done += 1;
        Ok(true)
    }

    fn part(&mut self, node: i32) -> &mut Part {
        let at = match self.all.iter().position(|part| part.node == node) {
            Some(at) => at,
            None => {
                self.all.push(Part { node, batch: Batch::new(0), count: 0 });
                self.all.len() - 1
            }
        };
        &mut self.all[at]
    }
}
