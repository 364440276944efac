//! `FlatReplies` of `proxy/session/fastpath/flat.py`, which documents it.

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use crate::fastpath::counts::ReplyCounts;
use crate::fastpath::hot_state::{HotState, REPLIES_MATTER};
use crate::fastpath::replies::take;
use crate::fastpath::runs::Runs;
use crate::python::reply_framer::ReplyFramer;

#[pyclass(module = "proxy._native")]
pub struct FlatReplies {
    conversation: Py<HotState>,
    lane: Py<PyAny>,
    framer: Py<ReplyFramer>,
    owed: Py<Runs>,
    lane_owed: Py<Runs>,
    levels: Py<PyList>,
    out: Py<PyList>,
    goes_on: Py<PyAny>,
    counts: ReplyCounts,
    most: usize,
    room: usize,
}

#[pymethods]
impl FlatReplies {
    #[new]
    fn new(
        conversation: &Bound<'_, HotState>,
        tally: &Bound<'_, PyAny>,
        levels: Py<PyList>,
        out: Py<PyList>,
        goes_on: Py<PyAny>,
    ) -> PyResult<Self> {
        let lane = conversation.getattr("home")?;
        Ok(FlatReplies {
            conversation: conversation.clone().unbind(),
            framer: lane.getattr("framer")?.extract()?,
            owed: conversation.getattr("owed")?.extract()?,
            lane_owed: lane.getattr("owed")?.extract()?,
            lane: lane.unbind(),
            levels,
            out,
            goes_on,
            counts: ReplyCounts::new(tally),
            most: 0,
            room: 0,
        })
    }

    #[pyo3(name = "use")]
    fn use_(&mut self, most: usize, room: usize) {
        self.most = most;
        self.room = room;
    }

    fn take<'py>(&mut self, data: &Bound<'py, PyBytes>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let py = data.py();
        let framer = self.framer.clone_ref(py);
        let framer = &mut *framer.borrow_mut(py);
        framer.framer.feed(data.clone());
        let mut owed = self.owed.borrow_mut(py);
        if !self.is_open(py) || !owed.begins_with(self.lane.bind(py)) {
            return Ok(None);
        }
        let watched = (self.conversation.borrow(py).watched_at - owed.taken).max(-1);
        let began = self.counts.begin(py)?;
        let most = self.most.min(owed.first_count());
        let taken = match take(py, framer, &self.lane_owed.borrow(py), most, self.room, watched)? {
            Some(taken) => taken,
            None => return Ok(None),
        };
        if taken.is_cut {
            self.goes_on.bind(py).call0()?;
        }
        owed.take_runs(taken.count)?;
        self.lane_owed.borrow_mut(py).take_runs(taken.count)?;
        let is_end = framer.framer.size(py) == 0 && (owed.size == 0 || owed.begins_with(self.lane.bind(py)));
        drop(owed);
        if taken.shows_flask {
            self.counts.tell_flask_value(self.conversation.bind(py))?;
        }
        for run in &taken.converted {
            self.counts.add(py, run, began)?;
        }
        if is_end {
            return Ok(Some(taken.out));
        }
        self.out.bind(py).append(taken.out)?;
        Ok(None)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.conversation)?;
        visit.call(&self.lane)?;
        visit.call(&self.owed)?;
        visit.call(&self.lane_owed)?;
        visit.call(&self.levels)?;
        visit.call(&self.goes_on)
    }
}

impl FlatReplies {
    fn is_open(&self, py: Python<'_>) -> bool {
        let state = self.conversation.borrow(py);
        state.flows && !state.waits && state.marks & REPLIES_MATTER == 0 && self.levels.bind(py).is_empty()
    }
}
