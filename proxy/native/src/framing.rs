//! What Python sees of the framer.

use std::panic::{self, AssertUnwindSafe};

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use crate::framer::Framer;
use crate::heads::wrong;

/// A defect of ours must end the connection like any other doubt: a panic would go through every `except` and end the proxy.
#[inline]
fn guarded<T>(py: Python<'_>, work: impl FnOnce() -> PyResult<T>) -> PyResult<T> {
    match panic::catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result,
        Err(_) => wrong(py, "a defect of the native framer"),
    }
}

/// `proxy.resp.replies.ReplyFramer`.
#[pyclass(subclass, module = "proxy._native")]
pub struct ReplyFramer {
    framer: Framer,
}

#[pymethods]
impl ReplyFramer {
    /// Nothing received, nothing under way.
    #[new]
    fn new(py: Python<'_>) -> Self {
        ReplyFramer { framer: Framer::new(py) }
    }

    /// Take bytes as they came.
    fn feed(&mut self, data: Bound<'_, PyBytes>) {
        self.framer.feed(data);
    }

    /// Hold no byte that has been moved; better before a long wait.
    fn let_go(&mut self, py: Python<'_>) {
        self.framer.let_go(py);
    }

    /// Bytes received and not yet moved.
    #[getter]
    fn buffered(&self, py: Python<'_>) -> usize {
        self.framer.size(py)
    }

    /// Bytes that were copied together so far: what the tests of cost look at.
    #[getter]
    fn joined(&self) -> usize {
        self.framer.joined
    }

    /// A value is partly forwarded: `forward` goes on with it.
    #[getter]
    fn forwarding(&self) -> bool {
        self.framer.is_forwarding()
    }

    /// The type byte of the value at the head; 0: nothing there.
    fn kind(&mut self, py: Python<'_>) -> PyResult<u8> {
        guarded(py, || self.framer.kind(py))
    }

    /// Whether the value at the head starts with `prefix`; None: need more to know.
    fn starts_with(&mut self, py: Python<'_>, prefix: &[u8]) -> PyResult<Option<bool>> {
        guarded(py, || self.framer.starts_with(py, prefix))
    }

    /// The number in the header at the head (-1: null), not consumed; None: need more.
    fn length<'py>(&mut self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        guarded(py, || self.framer.length(py))
    }

    /// The first element of the aggregate at the head if it is a bulk of at most `limit` bytes, else b"".
    fn first_bulk<'py>(&mut self, py: Python<'py>, limit: usize) -> PyResult<Option<Bound<'py, PyBytes>>> {
        guarded(py, || self.framer.first_bulk(py, limit))
    }

    /// The line at the head, CRLF included, if its text has less than `limit` bytes, else b""; None: need more.
    fn short_line<'py>(&mut self, py: Python<'py>, limit: usize) -> PyResult<Option<Bound<'py, PyBytes>>> {
        guarded(py, || self.framer.short_line(py, limit))
    }

    /// The whole line at the head, CRLF included, consumed; None: need more.
    fn line<'py>(&mut self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        guarded(py, || self.framer.line(py))
    }

    /// The header of the aggregate at the head, consumed: its elements follow. None: need more.
    fn enter<'py>(&mut self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        guarded(py, || self.framer.enter(py))
    }

    /// The payload of the bulk at the head (not null: see `length`), consumed; None: need more.
    fn bulk<'py>(&mut self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        guarded(py, || self.framer.bulk(py))
    }

    /// The payloads of the bulks at the head, as far as they are whole, not consumed: at most `most`, of `limit` bytes in all.
    fn whole_bulks<'py>(&mut self, py: Python<'py>, most: usize, limit: usize) -> PyResult<Bound<'py, PyList>> {
        guarded(py, || self.framer.whole_bulks(py, most, limit))
    }

    /// Move past as many of the bulks that `whole_bulks` has given just before.
    fn skip(&mut self, count: usize) {
        self.framer.skip(count);
    }

    /// Move up to `most` whole values that need no look, untouched; how many it was.
    fn forward_plain(&mut self, py: Python<'_>, most: usize, out: &Bound<'_, PyList>) -> PyResult<usize> {
        guarded(py, || self.framer.forward_plain(py, most, out))
    }

    /// Move what is there of the value at the head to `out`, untouched; True: it is whole.
    fn forward(&mut self, py: Python<'_>, out: &Bound<'_, PyList>) -> PyResult<bool> {
        guarded(py, || self.framer.forward(py, out))
    }
}
