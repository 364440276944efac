//! `FlatLaneReplies` of `proxy/session/fastpath/flat_lanes.py`, which documents it.

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyType};

use crate::fastpath::counts::ReplyCounts;
use crate::fastpath::hot_state::{HotState, REPLIES_MATTER};
use crate::fastpath::joined_replies::{joined, Joined};
use crate::fastpath::lane_state::{LaneState, NodeLane};
use crate::python::reply_framer::ReplyFramer;

#[pyclass(module = "proxy._native")]
pub struct FlatLaneReplies {
    state: LaneState,
    /// Of `proxy/session/cluster`: `Cluster.paused`, `Streamed` and `PAUSE`.
    paused: Py<PyList>,
    streamed: Py<PyType>,
    pause: usize,
    delivery: Py<PyAny>,
    levels: Py<PyList>,
    out: Py<PyList>,
    counts: ReplyCounts,
    most: usize,
    room: usize,
}

#[pymethods]
impl FlatLaneReplies {
    #[new]
    fn new(conversation: &Bound<'_, HotState>, tally: &Bound<'_, PyAny>, cluster: &Bound<'_, PyAny>) -> PyResult<Self> {
        let py = conversation.py();
        let delivery = cluster.getattr("delivery")?;
        Ok(FlatLaneReplies {
            state: LaneState::new(conversation, cluster)?,
            paused: cluster.getattr("paused")?.extract()?,
            streamed: py.import("proxy.session.cluster.entries")?.getattr("Streamed")?.extract()?,
            pause: py.import("proxy.session.cluster.lanes")?.getattr("PAUSE")?.extract()?,
            levels: delivery.getattr("levels")?.extract()?,
            out: delivery.getattr("out")?.extract()?,
            delivery: delivery.unbind(),
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

    fn take<'py>(
        &mut self,
        data: &Bound<'py, PyBytes>,
        number: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let py = data.py();
        let lane = match self.state.numbered(number)? {
            Some(lane) => lane,
            None => return Ok(None),
        };
        lane.framer.borrow_mut().framer.feed(data.clone());
        if !self.is_open(py)? || lane.owed.borrow().size == 0 {
            return Ok(None);
        }
        if !self.state.owed.borrow(py).begins_with(&lane.object) {
            // A push of home may have begun before the head was owed.
            let waits = self.has_lane_at_head(py)? && lane.buffered() <= self.pause && !lane.is_forwarding();
            return Ok(Some(PyBytes::new(py, b"")).filter(|_| waits));
        }
        if self.is_busy(py)? {
            return Ok(None);
        }
        let began = self.counts.begin(py)?;
        let taken = {
            let owed = self.state.owed.borrow(py);
            let watched = (self.state.conversation.borrow(py).watched_at - owed.taken).max(-1);
            joined(py, self.state.kind.bind(py), &owed, self.most, self.room, watched)?
        };
        let taken = match taken {
            Some(taken) => taken,
            None => return Ok(None),
        };
        let out = PyBytes::new(py, &taken.out);
        self.complete(py, taken, began)?;
        if self.is_end(py)? {
            return Ok(Some(out));
        }
        self.out.bind(py).append(out)?;
        Ok(None)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.state.traverse(&visit)?;
        visit.call(&self.paused)?;
        visit.call(&self.delivery)?;
        visit.call(&self.levels)
    }
}

impl FlatLaneReplies {
    fn is_open(&self, py: Python<'_>) -> PyResult<bool> {
        let is_usual = {
            let state = self.state.conversation.borrow(py);
            state.flows && !state.waits && state.marks & REPLIES_MATTER == 0
        };
        Ok(is_usual && self.paused.bind(py).is_empty() && self.state.is_calm(py)?)
    }

    /// The client waits for another lane, whose next reply needs that lane only.
    fn has_lane_at_head(&self, py: Python<'_>) -> PyResult<bool> {
        let owed = self.state.owed.borrow(py);
        let head = match owed.record(0) {
            Some((head, _)) if head.bind(py).get_type().is(&self.state.kind) => head.bind(py).clone(),
            _ => return Ok(false),
        };
        let lane = NodeLane::new(head)?;
        let owed = lane.owed.borrow();
        Ok(owed.record(0).map_or(false, |(entry, _)| !entry.bind(py).get_type().is(&self.streamed)))
    }

    /// A reply is partly forwarded, or an array is open.
    fn is_busy(&self, py: Python<'_>) -> PyResult<bool> {
        let framer = self.delivery.bind(py).getattr(intern!(py, "framer"))?.downcast_into::<ReplyFramer>()?;
        let is_forwarding = framer.borrow().framer.is_forwarding();
        Ok(is_forwarding || !self.levels.bind(py).is_empty())
    }

    /// Remove the entries and the requests of replies that were taken, and count the replies.
    fn complete(&mut self, py: Python<'_>, taken: Joined<'_>, began: Option<f64>) -> PyResult<()> {
        self.state.owed.borrow_mut(py).take_runs(taken.count)?;
        let mut size = 0;
        for (lane, count) in &taken.lanes {
            lane.owed.borrow_mut().take_runs(*count)?;
            size += lane.requests()?.borrow_mut().take(*count)?;
        }
        self.state.conversation.borrow_mut(py).pending_bytes -= size;
        if taken.shows_flask {
            self.counts.tell_flask_value(self.state.conversation.bind(py))?;
        }
        for run in &taken.converted {
            self.counts.add(py, run, began)?;
        }
        Ok(())
    }

    /// Nothing is left to do: no byte of the next reply has come. With no reply owed, pushes of home come next.
    fn is_end(&self, py: Python<'_>) -> PyResult<bool> {
        let owed = self.state.owed.borrow(py);
        let head = match owed.record(0) {
            Some((head, _)) => head.bind(py).clone(),
            None => self.state.conversation.bind(py).getattr(intern!(py, "home"))?,
        };
        Ok(head.get_type().is(&self.state.kind) && NodeLane::new(head)?.buffered() == 0)
    }
}
