//! `FlatLaneRequests` of `proxy/session/fastpath/flat_lanes.py`, which documents it.

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList};

use crate::fastpath::by_node::Parts;
use crate::fastpath::commands::Commands;
use crate::fastpath::counts::RequestCounts;
use crate::fastpath::hot_state::HotState;
use crate::fastpath::lane_state::{LaneState, NodeLane};
use crate::fastpath::requests::RequestTable;
use crate::resp::canonical::whole_commands;

#[pyclass(module = "proxy._native")]
pub struct FlatLaneRequests {
    state: LaneState,
    subscribed: Py<PyDict>,
    counts: RequestCounts,
    limits: Option<Limits>,
    #[pyo3(get)]
    taken: usize,
}

struct Limits {
    table: Py<RequestTable>,
    longest: usize,
    most: usize,
    pending: usize,
    bytes: i64,
    room: usize,
}

/// The requests for one node.
struct Piece<'py> {
    node: i32,
    lane: NodeLane<'py>,
    out: Bound<'py, PyBytes>,
}

#[pymethods]
impl FlatLaneRequests {
    #[new]
    fn new(conversation: &Bound<'_, HotState>, tally: &Bound<'_, PyAny>, cluster: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(FlatLaneRequests {
            state: LaneState::new(conversation, cluster)?,
            subscribed: conversation.getattr("subscribed")?.extract()?,
            counts: RequestCounts::new(tally)?,
            limits: None,
            taken: 0,
        })
    }

    #[pyo3(name = "use")]
    fn use_(&mut self, table: Py<RequestTable>, longest: usize, most: usize, pending: usize, bytes: i64, room: usize) {
        self.limits = Some(Limits { table, longest, most, pending, bytes, room });
    }

    fn take<'py>(&mut self, data: &Bound<'py, PyBytes>) -> PyResult<Option<Bound<'py, PyList>>> {
        let py = data.py();
        let size = data.as_bytes().len();
        self.taken = 0;
        let limits = match &self.limits {
            Some(limits) if size <= limits.longest && self.is_open(py, limits.bytes)? => limits,
            _ => return Ok(None),
        };
        let most = limits.most.min(limits.pending.saturating_sub(self.state.owed.borrow(py).size + 1));
        let (end, count) = whole_commands(data.as_bytes());
        if count == 0 || count > most {
            return Ok(None);
        }
        let (table, room) = (limits.table.clone_ref(py), limits.room);
        let table = &mut *table.borrow_mut(py);
        let began = self.counts.begin(py)?;
        let owners = self.state.owners(py)?;
        let mut parts = Parts::new(&owners, room);
        take(table, data, end, &mut parts)?;
        let pieces = match self.pieces(py, &parts)? {
            Some(pieces) => pieces,
            None => return Ok(None),
        };
        self.record(py, table, &parts, &pieces, began)?;
        if parts.end == size {
            let writes = PyList::empty(py);
            for piece in pieces {
                writes.append((piece.lane.object.getattr(intern!(py, "number"))?, piece.out))?;
            }
            return Ok(Some(writes));
        }
        for piece in pieces {
            self.state.write(&piece.lane, &piece.out)?;
        }
        self.taken = parts.end;
        Ok(None)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.state.traverse(&visit)
    }
}

/// Take the usual requests of a read, whose whole commands end at `end`.
fn take(table: &mut RequestTable, data: &Bound<'_, PyBytes>, end: usize, parts: &mut Parts<'_, '_>) -> PyResult<()> {
    let mut commands = Commands::of(data, end, &mut table.reader)?;
    while let Some((args, start, stop)) = commands.next()? {
        if !parts.add(table, &args, data.as_bytes(), (start, stop))? {
            break;
        }
    }
    commands.keep(&mut table.reader);
    Ok(())
}

impl FlatLaneRequests {
    /// `bytes`: that the entries may hold.
    fn is_open(&self, py: Python<'_>, bytes: i64) -> PyResult<bool> {
        let state = self.state.conversation.borrow(py);
        let is_usual = state.marks == 0 && state.flows && state.is_dry && state.pending_bytes < bytes;
        Ok(is_usual && self.subscribed.bind(py).is_empty() && self.state.is_calm(py)?)
    }

    /// The requests of each node that has any. None: there is none, or one of the lanes cannot take them now.
    fn pieces<'py>(&self, py: Python<'py>, parts: &Parts<'_, '_>) -> PyResult<Option<Vec<Piece<'py>>>> {
        let of_node = self.state.of_node(py)?;
        let mut pieces = Vec::with_capacity(parts.all.len());
        for part in parts.all.iter().filter(|part| part.count > 0) {
            let lane = of_node.get_item(part.node as usize)?;
            if lane.is_none() {
                return Ok(None);
            }
            let lane = NodeLane::new(lane)?;
            if !self.state.takes(&lane)? {
                return Ok(None);
            }
            pieces.push(Piece { node: part.node, lane, out: part.batch.written(py) });
        }
        Ok(Some(pieces).filter(|pieces| !pieces.is_empty()))
    }

    /// `record_parts` of the reference.
    fn record(
        &mut self,
        py: Python<'_>,
        table: &RequestTable,
        parts: &Parts<'_, '_>,
        pieces: &[Piece<'_>],
        mut began: Option<f64>,
    ) -> PyResult<()> {
        let is_first = self.state.owed.borrow(py).size == 0;
        if is_first {
            if let Some(plan) = table.planned(parts.all[0].batch.records[0].place) {
                self.state.conversation.borrow_mut(py).asked = Some(plan.command.clone_ref(py));
            }
        }
        self.watch(py, parts)?;
        let mut size = 0;
        for (part, piece) in parts.all.iter().filter(|part| part.count > 0).zip(pieces) {
            for record in &part.batch.records {
                if let Some(plan) = table.planned(record.place) {
                    self.counts.add(py, plan, record.count, began, parts.done)?;
                    began = began.filter(|_| plan.meter.is_none());
                    piece.lane.owed.borrow_mut().append(plan.entry.bind(py), record.count);
                }
            }
            let length = piece.out.as_bytes().len() as i64;
            piece.lane.requests()?.borrow_mut().append(piece.out.clone().into_any().unbind(), part.count, length);
            size += length;
        }
        self.state.conversation.borrow_mut(py).pending_bytes += size;
        let mut owed = self.state.owed.borrow_mut(py);
        for (node, count) in &parts.order {
            if let Some(piece) = pieces.iter().find(|piece| piece.node == *node) {
                owed.append(&piece.lane.object, *count);
            }
        }
        drop(owed);
        self.counts.finish(py)
    }

    fn watch(&self, py: Python<'_>, parts: &Parts<'_, '_>) -> PyResult<()> {
        match &parts.watched {
            Some((behind, args))
                if self.state.conversation.borrow(py).watched_at < self.state.owed.borrow(py).taken =>
            {
                let conversation = self.state.conversation.bind(py);
                conversation.call_method1(intern!(py, "watch"), (args.bind(py), behind)).map(drop)
            }
            _ => Ok(()),
        }
    }
}
