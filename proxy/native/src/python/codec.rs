//! The codec's interface for Python: bytes in, bytes out. None means that the reference must do it.

use std::panic::{self, AssertUnwindSafe};

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyType};

use crate::decode;
use crate::encode;
use crate::fastpath::flat_lane_replies::FlatLaneReplies;
use crate::fastpath::flat_lane_requests::FlatLaneRequests;
use crate::fastpath::flat_replies::FlatReplies;
use crate::fastpath::flat_requests::FlatRequests;
use crate::fastpath::hot_state::HotState;
use crate::fastpath::joined_replies::take_joined;
use crate::fastpath::kept::Requests;
use crate::fastpath::replies::take_replies;
use crate::fastpath::requests::RequestTable;
use crate::fastpath::runs::Runs;
use crate::limits::{Failure, Limits, MAX_DEPTH};
use crate::options::{Reading, Storage, Writing};
use crate::payload::plain_presenter::is_json;
use crate::python::reply_framer::ReplyFramer;
use crate::python::reply_splitter::ReplySplitter;
use crate::resp::canonical::{begins_command, canonical_ends, count_commands, harmless_bytes, whole_bulks};
use crate::resp::rest_of_command::rest_of_command;
use crate::values::glob::ClassNames;
use crate::values::tags::TagSet;

/// From so many bytes on, the interpreter lock is released. Fewer bytes take less time than the release.
const LARGE: usize = 64 * 1024;

/// The version of this interface. `proxy/engine.py` compares it.
const INTERFACE: u32 = 16;

/// The codec of one rule: the part of `Transcoder` that this engine handles.
#[pyclass(frozen, module = "proxy._native")]
pub struct Codec {
    undecodable: Py<PyType>,
    reading: Reading,
    writing: Writing,
}

#[pymethods]
impl Codec {
    #[new]
    #[allow(clippy::too_many_arguments)] // all of them are keyword arguments
    #[pyo3(signature = (
        undecodable, *, payload, types, big_ints, pickle_protocol, accept_tags, read_classes, view, stored, naive_is_utc,
        limits
    ))]
    fn new(
        undecodable: Py<PyType>,
        payload: &str,
        types: &str,
        big_ints: &str,
        pickle_protocol: u8,
        accept_tags: Vec<String>,
        read_classes: Vec<String>,
        view: Option<String>,
        stored: &str,
        naive_is_utc: bool,
        limits: (u64, u64, u64, u64),
    ) -> Self {
        let (payload_bytes, decoded_bytes, depth, nodes) = limits;
        let storage = Storage::named(stored);
        let json = view.as_ref().map(|content_type| is_json(content_type.as_bytes()));
        Codec {
            undecodable,
            writing: Writing {
                limits: Limits { payload_bytes, decoded_bytes, depth, nodes },
                msgpack: payload == "msgpack",
                protocol: pickle_protocol,
                accepted: TagSet::of(accept_tags.iter().map(String::as_str)),
                storage,
                view: view.zip(json),
            },
            reading: Reading {
                limits: Limits { payload_bytes, decoded_bytes, depth, nodes },
                msgpack: payload == "msgpack",
                plain: types == "plain",
                safe_ints: big_ints == "tagged",
                storage,
                naive_is_utc,
                classes: ClassNames::new(&read_classes),
                view: json,
            },
        }
    }

    /// The stored value of a payload. None: the reference must encode it or make the error.
    fn encode<'py>(&self, py: Python<'py>, payload: &Bound<'py, PyBytes>) -> Option<Bound<'py, PyBytes>> {
        let bytes = payload.as_bytes();
        let work = || guarded(|| encode::encode(bytes, &self.writing)).flatten();
        let value = if bytes.len() < LARGE { work() } else { py.allow_threads(work) };
        value.map(|value| PyBytes::new(py, &value))
    }

    /// The payload of a stored value. None: the reference must decode it. Raises UndecodableError.
    fn decode<'py>(&self, py: Python<'py>, value: &Bound<'py, PyBytes>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        if self.reading.limits.depth > MAX_DEPTH {
            return Ok(None);
        }
        let bytes = value.as_bytes();
        let work = || guarded(|| decode::decode(bytes, &self.reading)).unwrap_or(Err(Failure::NotHandled));
        let verdict = if bytes.len() < LARGE { work() } else { py.allow_threads(work) };
        match verdict {
            Ok(payload) => Ok(Some(PyBytes::new(py, &payload))),
            Err(Failure::NotHandled) => Ok(None),
            Err(Failure::Undecodable(text, limit)) => {
                Err(PyErr::from_type(self.undecodable.bind(py).clone(), (text, limit)))
            }
        }
    }
}

impl Codec {
    /// As `encode`, for a small payload.
    pub fn encoded(&self, payload: &[u8]) -> Option<Vec<u8>> {
        guarded(|| encode::encode(payload, &self.writing)).flatten()
    }

    /// As `decode`, for a small value. None: the reference must decode it or make the error.
    pub fn decoded(&self, value: &[u8]) -> Option<Vec<u8>> {
        if self.reading.limits.depth > MAX_DEPTH {
            return None;
        }
        guarded(|| decode::decode(value, &self.reading).ok()).flatten()
    }
}

/// A panic means a bug here. The reference then does the work.
fn guarded<T>(work: impl FnOnce() -> T) -> Option<T> {
    panic::catch_unwind(AssertUnwindSafe(work)).ok()
}

#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("INTERFACE", INTERFACE)?;
    module.add_class::<Codec>()?;
    module.add_function(wrap_pyfunction!(begins_command, module)?)?;
    module.add_function(wrap_pyfunction!(canonical_ends, module)?)?;
    module.add_function(wrap_pyfunction!(count_commands, module)?)?;
    module.add_function(wrap_pyfunction!(harmless_bytes, module)?)?;
    module.add_function(wrap_pyfunction!(whole_bulks, module)?)?;
    module.add_function(wrap_pyfunction!(rest_of_command, module)?)?;
    module.add_function(wrap_pyfunction!(take_replies, module)?)?;
    module.add_function(wrap_pyfunction!(take_joined, module)?)?;
    module.add_class::<FlatLaneReplies>()?;
    module.add_class::<FlatLaneRequests>()?;
    module.add_class::<FlatReplies>()?;
    module.add_class::<FlatRequests>()?;
    module.add_class::<HotState>()?;
    module.add_class::<Requests>()?;
    module.add_class::<RequestTable>()?;
    module.add_class::<Runs>()?;
    module.add_class::<ReplySplitter>()?;
    module.add_class::<ReplyFramer>()
}
