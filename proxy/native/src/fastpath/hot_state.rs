//! `HotState` of `proxy/session/hot_state.py`, which documents it.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

/// Bits of `Mark` in `proxy/session/state.py`: `REPLIES_MATTER`.
pub const REPLIES_MATTER: u32 = 1 | 2 | 4;

#[pyclass(subclass, get_all, set_all, module = "proxy._native")]
pub struct HotState {
    pub marks: u32,
    pub flows: bool,
    pub is_dry: bool,
    pub waits: bool,
    pub watched_at: i64,
    pub asked: Option<Py<PyAny>>,
    pub pending_bytes: i64,
}

#[pymethods]
impl HotState {
    #[new]
    #[pyo3(signature = (*_args, **_options))]
    fn new(_args: &Bound<'_, PyTuple>, _options: Option<&Bound<'_, PyDict>>) -> Self {
        HotState { marks: 0, flows: true, is_dry: false, waits: false, watched_at: -1, asked: None, pending_bytes: 0 }
    }
}
