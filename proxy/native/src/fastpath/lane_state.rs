//! The parts of a conversation with a cluster that its fast path reads: see `proxy/session/fastpath/flat_lanes.py`.

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple, PyType};

use crate::fastpath::hot_state::HotState;
use crate::fastpath::kept::Requests;
use crate::fastpath::runs::Runs;
use crate::python::reply_framer::ReplyFramer;

pub struct LaneState {
    pub conversation: Py<HotState>,
    /// The client's FIFO.
    pub owed: Py<Runs>,
    lanes: Py<PyAny>,
    trouble: Py<PyAny>,
    by_number: Py<PyDict>,
    ready: Py<PyAny>,
    /// `NodeLane` of `proxy/session/cluster/lanes.py`.
    pub kind: Py<PyType>,
}

impl LaneState {
    pub fn new(conversation: &Bound<'_, HotState>, cluster: &Bound<'_, PyAny>) -> PyResult<Self> {
        let module = conversation.py().import("proxy.session.cluster.lanes")?;
        let lanes = cluster.getattr("lanes")?;
        Ok(LaneState {
            conversation: conversation.clone().unbind(),
            owed: conversation.getattr("owed")?.extract()?,
            trouble: cluster.getattr("trouble")?.unbind(),
            by_number: lanes.getattr("by_number")?.extract()?,
            lanes: lanes.unbind(),
            ready: module.getattr("READY")?.unbind(),
            kind: module.getattr("NodeLane")?.extract()?,
        })
    }

    /// `Cluster.is_calm`.
    pub fn is_calm(&self, py: Python<'_>) -> PyResult<bool> {
        let trouble = self.trouble.bind(py);
        Ok(trouble.getattr(intern!(py, "state"))?.is_none()
            && trouble.getattr(intern!(py, "map"))?.is_none()
            && !self.lanes.bind(py).getattr(intern!(py, "owes_errors"))?.is_truthy()?)
    }

    /// The owner of each slot.
    pub fn owners<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let slots = self.lanes.bind(py).getattr(intern!(py, "slots"))?;
        Ok(slots.getattr(intern!(py, "owners"))?.downcast_into()?)
    }

    /// The lane of each node.
    pub fn of_node<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        Ok(self.lanes.bind(py).getattr(intern!(py, "of_node"))?.downcast_into()?)
    }

    /// The lane with a number. None: it is not open.
    pub fn numbered<'py>(&self, number: &Bound<'py, PyAny>) -> PyResult<Option<NodeLane<'py>>> {
        let lane = self.by_number.bind(number.py()).get_item(number)?;
        lane.map(NodeLane::new).transpose()
    }

    /// Whether usual requests can be written on a lane.
    pub fn takes(&self, lane: &NodeLane<'_>) -> PyResult<bool> {
        let py = lane.object.py();
        let is_ready = lane.object.getattr(intern!(py, "phase"))?.is(&self.ready);
        Ok(is_ready && (lane.owed.borrow().size > 0 || lane.buffered() == 0))
    }

    /// Write bytes on a lane later: `Lanes.write`.
    pub fn write(&self, lane: &NodeLane<'_>, out: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = out.py();
        self.lanes.bind(py).call_method1(intern!(py, "write"), (&lane.object, out)).map(drop)
    }

    pub fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.conversation)?;
        visit.call(&self.owed)?;
        visit.call(&self.lanes)?;
        visit.call(&self.trouble)?;
        visit.call(&self.by_number)
    }
}

/// `NodeLane` of `proxy/session/cluster/lanes.py`.
pub struct NodeLane<'py> {
    pub object: Bound<'py, PyAny>,
    pub framer: Bound<'py, ReplyFramer>,
    pub owed: Bound<'py, Runs>,
}

impl<'py> NodeLane<'py> {
    pub fn new(object: Bound<'py, PyAny>) -> PyResult<Self> {
        let py = object.py();
        let framer = object.getattr(intern!(py, "framer"))?.downcast_into()?;
        let owed = object.getattr(intern!(py, "owed"))?.downcast_into()?;
        Ok(NodeLane { object, framer, owed })
    }

    /// Bytes that wait in the framer.
    pub fn buffered(&self) -> usize {
        self.framer.borrow().framer.size(self.object.py())
    }

    /// A reply is partly forwarded.
    pub fn is_forwarding(&self) -> bool {
        self.framer.borrow().framer.is_forwarding()
    }

    /// The requests that are kept.
    pub fn requests(&self) -> PyResult<Bound<'py, Requests>> {
        let py = self.object.py();
        let kept = self.object.getattr(intern!(py, "kept"))?;
        Ok(kept.getattr(intern!(py, "requests"))?.downcast_into()?)
    }
}
