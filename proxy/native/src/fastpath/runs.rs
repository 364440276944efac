//! `Runs` of `proxy/session/runs.py`, which documents it.

use std::collections::VecDeque;

use pyo3::exceptions::PyIndexError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple, PyType};

/// Bytes of a record, for the estimate of the memory: as the reference has it.
const RECORD: usize = 16;
/// A queue of more records gives its memory back when it is empty.
const KEPT: usize = 64;

#[pyclass(subclass, module = "proxy._native")]
pub struct Runs {
    records: VecDeque<(Py<PyAny>, usize)>,
    #[pyo3(get)]
    pub size: usize,
    #[pyo3(get)]
    pub taken: i64,
}

#[pymethods]
impl Runs {
    #[new]
    #[pyo3(signature = (*_args, **_options))]
    fn new(_args: &Bound<'_, PyTuple>, _options: Option<&Bound<'_, PyDict>>) -> Self {
        Runs { records: VecDeque::new(), size: 0, taken: 0 }
    }

    #[classmethod]
    fn __class_getitem__(cls: &Bound<'_, PyType>, _item: &Bound<'_, PyAny>) -> Py<PyType> {
        cls.clone().unbind()
    }

    #[getter]
    pub fn first(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        Ok(self.records.front().ok_or_else(nothing)?.0.clone_ref(py))
    }

    #[getter]
    fn last(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        Ok(self.records.back().ok_or_else(nothing)?.0.clone_ref(py))
    }

    #[getter]
    pub fn first_count(&self) -> usize {
        self.records.front().map_or(0, |record| record.1)
    }

    fn has_only(&self, item: &Bound<'_, PyAny>) -> bool {
        self.records.len() == 1 && self.begins_with(item)
    }

    #[pyo3(name = "records")]
    fn first_records(&self, py: Python<'_>, most: usize) -> Vec<(Py<PyAny>, usize)> {
        self.records.iter().take(most).map(|(item, count)| (item.clone_ref(py), *count)).collect()
    }

    #[pyo3(signature = (item, count = 1))]
    pub fn append(&mut self, item: &Bound<'_, PyAny>, count: usize) {
        match self.records.back_mut() {
            Some((last, length)) if last.is(item) => *length += count,
            _ => self.records.push_back((item.clone().unbind(), count)),
        }
        self.size += count;
    }

    fn push(&mut self, item: Py<PyAny>) {
        self.records.push_front((item, 1));
        self.size += 1;
        self.taken -= 1;
    }

    #[pyo3(signature = (count = 1))]
    fn take(&mut self, count: usize) -> PyResult<()> {
        self.take_runs(count)
    }

    pub fn take_runs(&mut self, count: usize) -> PyResult<()> {
        if count > self.size {
            return Err(nothing());
        }
        self.size -= count;
        self.taken += i64::try_from(count)?;
        let mut left = count;
        while let Some((_, length)) = self.records.front_mut() {
            if *length > left {
                *length -= left;
                return Ok(());
            }
            left -= *length;
            self.records.pop_front();
            if left == 0 {
                break;
            }
        }
        if self.records.is_empty() && self.records.capacity() > KEPT {
            self.records.shrink_to(KEPT);
        }
        Ok(())
    }

    #[getter]
    fn memory(&self) -> usize {
        RECORD * self.records.len()
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.records.iter().try_for_each(|(item, _)| visit.call(item))
    }

    fn __clear__(&mut self) {
        self.records.clear();
    }
}

impl Runs {
    /// Whether the first item is this one.
    pub fn begins_with(&self, item: &Bound<'_, PyAny>) -> bool {
        matches!(self.records.front(), Some((first, _)) if first.is(item))
    }

    /// The record at a place. None: there are not so many.
    pub fn record(&self, at: usize) -> Option<(&Py<PyAny>, usize)> {
        self.records.get(at).map(|(item, count)| (item, *count))
    }

    /// The records, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Py<PyAny>, usize)> {
        self.records.iter().map(|(item, count)| (item, *count))
    }
}

fn nothing() -> PyErr {
    PyIndexError::new_err("there is no such item")
}
