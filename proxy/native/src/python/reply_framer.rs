//! The framer's interface for Python. `proxy/resp/reply_framer.py` documents it.

use std::panic::{self, AssertUnwindSafe};

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use crate::resp::headers::wrong;
use crate::resp::reply_framer::Framer;

/// A panic means a bug here. It becomes a FramingError, which ends one connection: a panic would end the whole proxy.
#[inline]
fn guarded<T>(py: Python<'_>, work: impl FnOnce() -> PyResult<T>) -> PyResult<T> {
    match panic::catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result,
        Err(_) => wrong(py, "a defect of the native framer"),
    }
}

/// `proxy.resp.reply_framer.ReplyFramer`.
#[pyclass(subclass, module = "proxy._native")]
pub struct ReplyFramer {
    pub framer: Framer,
}

#[pymethods]
impl ReplyFramer {
    /// An empty framer.
    #[new]
    fn new(py: Python<'_>) -> Self {
        ReplyFramer { framer: Framer::new(py) }
    }

    /// Take the bytes of a read.
    fn feed(&mut self, data: Bound<'_, PyBytes>) {
        self.framer.feed(data);
    }

    /// Free the memory of consumed bytes. Useful before a long wait.
    fn let_go(&mut self, py: Python<'_>) {
        self.framer.let_go(py);
    }

    /// The number of bytes that are received and not consumed.
    #[getter]
    fn buffered(&self, py: Python<'_>) -> usize {
        self.framer.size(py)
    }

    /// The number of bytes that joins have copied so far, for the tests of the cost.
    #[getter]
    fn joined(&self) -> usize {
        self.framer.joined
    }

    /// True if a value is partly forwarded. `forward` continues with it.
    #[getter]
    fn forwarding(&self) -> bool {
        self.framer.is_forwarding()
    }

    /// The type byte of the value at the head. 0: no byte has come.
    fn kind(&mut self, py: Python<'_>) -> PyResult<u8> {
        guarded(py, || self.framer.kind(py))
    }

    /// The number in the header at the head, without consuming it. -1: null. None: more bytes are needed.
    fn length<'py>(&mut self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        guarded(py, || self.framer.length(py))
    }

    /// The first element of the aggregate at the head, if it is a bulk string of at most `limit` bytes, else b"".
    fn first_bulk<'py>(&mut self, py: Python<'py>, limit: usize) -> PyResult<Option<Bound<'py, PyBytes>>> {
        guarded(py, || self.framer.first_bulk(py, limit))
    }

    /// The line at the head with its CRLF, if its text has less than `limit` bytes, else b"". None: more bytes are needed.
    fn short_line<'py>(&mut self, py: Python<'py>, limit: usize) -> PyResult<Option<Bound<'py, PyBytes>>> {
        guarded(py, || self.framer.short_line(py, limit))
    }

    /// Consume the line at the head. Returns it with its CRLF. None: more bytes are needed.
    fn line<'py>(&mut self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        guarded(py, || self.framer.line(py))
    }

    /// Consume the header of the aggregate at the head, so that its first element is next. None: more bytes are needed.
    fn enter<'py>(&mut self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        guarded(py, || self.framer.enter(py))
    }

    /// Consume the bulk string at the head, which must not be null. Returns its payload. None: more bytes are needed.
    fn bulk<'py>(&mut self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        guarded(py, || self.framer.bulk(py))
    }

    /// Move the received bytes of the value at the head to `out`, unchanged. True if the value is complete.
    fn forward(&mut self, py: Python<'_>, out: &Bound<'_, PyList>) -> PyResult<bool> {
        guarded(py, || self.framer.forward(py, out))
    }
}
