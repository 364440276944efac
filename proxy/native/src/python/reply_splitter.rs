//! The splitter's interface for Python. `proxy/resp/reply_splitter.py` documents it.

use std::panic::{self, AssertUnwindSafe};

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use crate::fastpath::runs::Runs;
use crate::resp::reply_splitter::{Fault, Splitter};

/// `proxy.resp.reply_splitter.ReplySplitter`.
#[pyclass(module = "proxy._native")]
pub struct ReplySplitter {
    splitter: Splitter,
    /// A cut header.
    rest: Vec<u8>,
    /// Bytes of the reply that has begun.
    passed: usize,
    #[pyo3(get)]
    fault: String,
}

#[pymethods]
impl ReplySplitter {
    #[new]
    fn new() -> Self {
        ReplySplitter { splitter: Splitter::default(), rest: Vec::new(), passed: 0, fault: String::new() }
    }

    #[getter]
    fn unfinished(&self) -> usize {
        self.passed.saturating_add(self.splitter.bulk_left)
    }

    /// Take the bytes of a read. Returns owners, their bytes, and how many replies end in these.
    fn split<'py>(&mut self, data: Bound<'py, PyBytes>, owed: &Bound<'py, Runs>) -> PyResult<Bound<'py, PyList>> {
        let py = data.py();
        let data = self.joined(data);
        let parts = PyList::empty(py);
        let mut part = Part { parts: &parts, data: &data, owed: &mut owed.borrow_mut(), start: 0, whole: 0 };
        let bytes = data.as_bytes();
        let (mut pos, mut end) = (0, 0);
        while end < bytes.len() {
            let is_over = match self.reply(bytes, pos, part.owed.first_count()) {
                Ok((stop, is_over)) => {
                    end = stop;
                    is_over
                }
                Err(fault) => {
                    self.fault = fault;
                    end = pos;
                    break;
                }
            };
            if !is_over {
                break;
            }
            part.whole += 1;
            pos = end;
            self.passed = 0;
            if part.whole == part.owed.first_count() {
                part.give(py, pos)?;
            }
        }
        if end > part.start {
            part.give(py, end)?;
        }
        if self.fault.is_empty() {
            self.passed += end - pos;
            self.rest.extend_from_slice(&bytes[end..]);
        }
        Ok(parts)
    }
}

impl ReplySplitter {
    /// The cut header of the read before, and these bytes.
    fn joined<'py>(&mut self, data: Bound<'py, PyBytes>) -> Bound<'py, PyBytes> {
        if self.rest.is_empty() {
            return data;
        }
        self.rest.extend_from_slice(data.as_bytes());
        let joined = PyBytes::new(data.py(), &self.rest);
        self.rest = Vec::new();
        joined
    }

    /// A panic means a bug here. It becomes a fault, which ends one connection: a panic would end the whole proxy.
    #[inline]
    fn reply(&mut self, data: &[u8], pos: usize, owed: usize) -> Result<(usize, bool), Fault> {
        if owed == 0 {
            return Err("a reply that nobody is owed".into());
        }
        let splitter = &mut self.splitter;
        panic::catch_unwind(AssertUnwindSafe(|| splitter.reply(data, pos)))
            .unwrap_or_else(|_| Err("a defect of the native splitter".into()))
    }
}

/// The bytes of one owner, as they grow.
struct Part<'a, 'py> {
    parts: &'a Bound<'py, PyList>,
    data: &'a Bound<'py, PyBytes>,
    owed: &'a mut Runs,
    start: usize,
    whole: usize,
}

impl Part<'_, '_> {
    /// Give the owner its bytes up to `end`. The next part begins there.
    fn give(&mut self, py: Python<'_>, end: usize) -> PyResult<()> {
        let bytes = self.data.as_bytes();
        let given = match self.start == 0 && end == bytes.len() {
            true => self.data.clone(),
            false => PyBytes::new(py, &bytes[self.start..end]),
        };
        self.parts.append((self.owed.first(py)?, given, self.whole))?;
        self.owed.take_runs(self.whole)?;
        self.start = end;
        self.whole = 0;
        Ok(())
    }
}
