//! `Requests` of `proxy/session/cluster/kept.py`, which documents it.

use std::collections::VecDeque;

use pyo3::exceptions::PyIndexError;
use pyo3::prelude::*;

struct Piece {
    object: Py<PyAny>,
    /// Requests of it that are left.
    left: usize,
    size: i64,
}

#[pyclass(module = "proxy._native")]
pub struct Requests {
    pieces: VecDeque<Piece>,
}

#[pymethods]
impl Requests {
    #[new]
    fn new() -> Self {
        Requests { pieces: VecDeque::new() }
    }

    pub fn append(&mut self, object: Py<PyAny>, left: usize, size: i64) {
        self.pieces.push_back(Piece { object, left, size });
    }

    pub fn take(&mut self, mut count: usize) -> PyResult<i64> {
        let mut size = 0;
        while count > 0 {
            let first = self.pieces.front_mut().ok_or_else(nothing)?;
            if first.left > count {
                first.left -= count;
                break;
            }
            count -= first.left;
            size += first.size;
            self.pieces.pop_front();
        }
        if self.pieces.is_empty() {
            self.pieces.shrink_to(KEPT);
        }
        Ok(size)
    }

    #[getter]
    fn first(&self, py: Python<'_>) -> PyResult<(Py<PyAny>, usize)> {
        let first = self.pieces.front().ok_or_else(nothing)?;
        Ok((first.object.clone_ref(py), first.left))
    }

    fn split(&mut self, parts: Vec<(Py<PyAny>, i64)>) -> PyResult<i64> {
        let before = self.pieces.pop_front().ok_or_else(nothing)?.size;
        let mut size = 0;
        for (object, part) in parts.into_iter().rev() {
            size += part;
            self.pieces.push_front(Piece { object, left: 1, size: part });
        }
        Ok(size - before)
    }

    #[getter]
    fn pieces(&self, py: Python<'_>) -> Vec<(Py<PyAny>, usize)> {
        self.pieces.iter().map(|piece| (piece.object.clone_ref(py), piece.left)).collect()
    }
}

/// A queue of more pieces gives its memory back when it is empty.
const KEPT: usize = 64;

fn nothing() -> PyErr {
    PyIndexError::new_err("no request is kept")
}
