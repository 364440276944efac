//! `FlatRequests` of `proxy/session/fastpath/flat.py`, which documents it.

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::fastpath::commands::Commands;
use crate::fastpath::counts::RequestCounts;
use crate::fastpath::hot_state::HotState;
use crate::fastpath::requests::{Batch, Plan, Record, RequestTable};
use crate::fastpath::runs::Runs;
use crate::resp::canonical::whole_commands;

/// Bytes of a read in which requests are most often whole: `SMALL` of `proxy/session/fastpath/flat.py`.
const SMALL: usize = 4096;

#[pyclass(module = "proxy._native")]
pub struct FlatRequests {
    conversation: Py<HotState>,
    lane: Py<PyAny>,
    owed: Py<Runs>,
    lane_owed: Py<Runs>,
    counts: RequestCounts,
    limits: Option<Limits>,
    out: Option<Py<PyBytes>>,
    #[pyo3(get)]
    taken: usize,
    #[pyo3(get)]
    is_cut: bool,
}

struct Limits {
    table: Py<RequestTable>,
    longest: usize,
    most: usize,
    pending: usize,
    room: usize,
}

#[pymethods]
impl FlatRequests {
    #[new]
    fn new(conversation: &Bound<'_, HotState>, tally: &Bound<'_, PyAny>) -> PyResult<Self> {
        let lane = conversation.getattr("home")?;
        Ok(FlatRequests {
            conversation: conversation.clone().unbind(),
            owed: conversation.getattr("owed")?.extract()?,
            lane_owed: lane.getattr("owed")?.extract()?,
            lane: lane.unbind(),
            counts: RequestCounts::new(tally)?,
            limits: None,
            out: None,
            taken: 0,
            is_cut: false,
        })
    }

    #[pyo3(name = "use")]
    fn use_(&mut self, table: Py<RequestTable>, longest: usize, most: usize, pending: usize, room: usize) {
        self.limits = Some(Limits { table, longest, most, pending, room });
    }

    #[pyo3(signature = (data, any_length = false))]
    fn take<'py>(&mut self, data: &Bound<'py, PyBytes>, any_length: bool) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let py = data.py();
        let size = data.as_bytes().len();
        self.taken = 0;
        self.is_cut = false;
        let limits = match &self.limits {
            Some(limits) if size <= limits.longest && (any_length || size <= SMALL) && self.is_open(py) => limits,
            _ => return Ok(None),
        };
        let most = limits.most.min(limits.pending.saturating_sub(self.owed.borrow(py).size + 1));
        let (end, count) = whole_commands(data.as_bytes());
        self.is_cut = count == 0;
        if count == 0 || count > most {
            return Ok(None);
        }
        let (table, room) = (limits.table.clone_ref(py), limits.room);
        let table = &mut *table.borrow_mut(py);
        let began = self.counts.begin(py)?;
        let (out, batch) = match take(table, data, end, room)? {
            Some(taken) => taken,
            None => return Ok(None),
        };
        self.record(py, table, &batch, began)?;
        self.taken = batch.end;
        if batch.end == size {
            return Ok(Some(out));
        }
        self.is_cut = batch.end == end;
        self.out = Some(out.unbind());
        Ok(None)
    }

    fn give(&mut self) -> Option<Py<PyBytes>> {
        self.out.take()
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.conversation)?;
        visit.call(&self.lane)?;
        visit.call(&self.owed)?;
        visit.call(&self.lane_owed)
    }
}

/// Take the usual requests of a read, whose whole commands end at `end`. None: there is none.
fn take<'py>(
    table: &mut RequestTable,
    data: &Bound<'py, PyBytes>,
    end: usize,
    room: usize,
) -> PyResult<Option<(Bound<'py, PyBytes>, Batch)>> {
    let mut commands = Commands::of(data, end, &mut table.reader)?;
    let mut batch = Batch::new(room);
    while let Some((args, start, stop)) = commands.next()? {
        if !table.add(&args, data.as_bytes(), (start, stop), &mut batch)? {
            break;
        }
    }
    commands.keep(&mut table.reader);
    if batch.records.is_empty() {
        return Ok(None);
    }
    let out = batch.bytes(data);
    Ok(Some((out, batch)))
}

impl FlatRequests {
    fn is_open(&self, py: Python<'_>) -> bool {
        let state = self.conversation.borrow(py);
        state.marks == 0 && state.flows && state.is_dry
    }

    /// `record` of the reference.
    fn record(&mut self, py: Python<'_>, table: &RequestTable, batch: &Batch, began: Option<f64>) -> PyResult<()> {
        let mut done = 0;
        if self.lane_owed.borrow(py).size == 0 {
            if let Some(plan) = table.planned(batch.records[0].place) {
                self.conversation.borrow_mut(py).asked = Some(plan.command.clone_ref(py));
            }
        }
        for record in &batch.records {
            if let Some(plan) = table.planned(record.place) {
                self.watch(py, plan, record, done)?;
                self.counts.add(py, plan, record.count, began, record.count)?;
                self.lane_owed.borrow_mut(py).append(plan.entry.bind(py), record.count);
            }
            done += record.count;
        }
        self.owed.borrow_mut(py).append(self.lane.bind(py), done);
        self.counts.finish(py)
    }

    fn watch(&self, py: Python<'_>, plan: &Plan, record: &Record, behind: usize) -> PyResult<()> {
        if plan.watches && self.conversation.borrow(py).watched_at < self.owed.borrow(py).taken {
            self.conversation.bind(py).call_method1(intern!(py, "watch"), (record.first.bind(py), behind))?;
        }
        Ok(())
    }
}
