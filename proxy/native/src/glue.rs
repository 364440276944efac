//! What Python sees. Bytes in, bytes out; None where the reference must do it.

use std::panic::{self, AssertUnwindSafe};

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyType};

use crate::encode::{self, Writing};
use crate::framing::ReplyFramer;
use crate::limits::{Failure, Limits, MAX_DEPTH};
use crate::plain::is_json;
use crate::proofs::{canonical_ends, is_harmless};
use crate::stored::{self, Reading};
use crate::tags::TagSet;
use crate::writers::{bulks, commands};

/// From so many bytes on the lock is released: less would take longer than to release it.
const LARGE: usize = 64 * 1024;

/// As `proxy/engine.py` knows it.
const INTERFACE: u32 = 3;

/// One rule's codec: `Transcoder` with its options, for what is handled here.
#[pyclass(frozen, module = "proxy._native")]
struct Codec {
    undecodable: Py<PyType>,
    reading: Reading,
    writing: Writing,
}

#[pymethods]
impl Codec {
    #[new]
    #[allow(clippy::too_many_arguments)] // by name, all of them
    #[pyo3(signature = (undecodable, *, payload, types, big_ints, pickle_protocol, accept_tags, view, limits))]
    fn new(
        undecodable: Py<PyType>,
        payload: &str,
        types: &str,
        big_ints: &str,
        pickle_protocol: u8,
        accept_tags: Vec<String>,
        view: Option<String>,
        limits: (u64, u64, u64, u64),
    ) -> Self {
        let (payload_bytes, decoded_bytes, depth, nodes) = limits;
        let json = view.as_ref().map(|content_type| is_json(content_type.as_bytes()));
        Codec {
            undecodable,
            writing: Writing {
                limits: Limits { payload_bytes, decoded_bytes, depth, nodes },
                msgpack: payload == "msgpack",
                protocol: pickle_protocol,
                accepted: TagSet::of(accept_tags.iter().map(String::as_str)),
                view: view.zip(json),
            },
            reading: Reading {
                limits: Limits { payload_bytes, decoded_bytes, depth, nodes },
                msgpack: payload == "msgpack",
                plain: types == "plain",
                safe_ints: big_ints == "tagged",
                view: json,
            },
        }
    }

    /// The stored value of a payload; None: the reference must do it, or say why not.
    fn encode<'py>(&self, py: Python<'py>, payload: &Bound<'py, PyBytes>) -> Option<Bound<'py, PyBytes>> {
        let bytes = payload.as_bytes();
        let work = || guarded(|| encode::encode(bytes, &self.writing)).flatten();
        let value = if bytes.len() < LARGE { work() } else { py.allow_threads(work) };
        value.map(|value| PyBytes::new(py, &value))
    }

    /// The payload of a stored value; None: the reference must say. Raises UndecodableError.
    fn decode<'py>(&self, py: Python<'py>, value: &Bound<'py, PyBytes>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        if self.reading.limits.depth > MAX_DEPTH {
            return Ok(None);
        }
        let bytes = value.as_bytes();
        let work = || guarded(|| stored::decode(bytes, self.reading)).unwrap_or(Err(Failure::NotHandled));
        let verdict = if bytes.len() < LARGE { work() } else { py.allow_threads(work) };
        match verdict {
            Ok(payload) => Ok(Some(PyBytes::new(py, &payload))),
            Err(Failure::NotHandled) => Ok(None),
            Err(Failure::Undecodable(text)) => Err(PyErr::from_type(self.undecodable.bind(py).clone(), text)),
        }
    }

    /// The stored values of the first payloads: up to one that the reference must do, or that is over `limit` bytes in all.
    fn encode_some<'py>(&self, payloads: &Bound<'py, PyList>, limit: usize) -> PyResult<Bound<'py, PyList>> {
        some(payloads, limit, false, |payload| encode::encode(payload, &self.writing))
    }

    /// The payloads of the first stored values: up to one that is odd, or over `limit` bytes in all, payloads included.
    fn decode_some<'py>(&self, values: &Bound<'py, PyList>, limit: usize) -> PyResult<Bound<'py, PyList>> {
        if self.reading.limits.depth > MAX_DEPTH {
            return Ok(PyList::empty(values.py()));
        }
        some(values, limit, true, |value| stored::decode(value, self.reading).ok())
    }
}

/// What becomes of the first values: up to one that becomes nothing, and before more than `limit` bytes. `counts`: those
/// of the results count too.
fn some<'py>(
    values: &Bound<'py, PyList>,
    mut limit: usize,
    counts: bool,
    convert: impl Fn(&[u8]) -> Option<Vec<u8>>,
) -> PyResult<Bound<'py, PyList>> {
    let results = PyList::empty(values.py());
    for value in values {
        let value = value.downcast_into::<PyBytes>()?;
        limit = match limit.checked_sub(value.as_bytes().len()) {
            Some(left) => left,
            None => break,
        };
        let result = match guarded(|| convert(value.as_bytes())).flatten() {
            Some(result) => result,
            None => break,
        };
        results.append(PyBytes::new(values.py(), &result))?;
        limit = match limit.checked_sub(if counts { result.len() } else { 0 }) {
            Some(left) => left,
            None => break,
        };
    }
    Ok(results)
}

/// A defect of ours costs the time of the reference, and nothing else.
fn guarded<T>(work: impl FnOnce() -> T) -> Option<T> {
    panic::catch_unwind(AssertUnwindSafe(work)).ok()
}

#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("INTERFACE", INTERFACE)?;
    module.add_class::<Codec>()?;
    module.add_function(wrap_pyfunction!(canonical_ends, module)?)?;
    module.add_function(wrap_pyfunction!(is_harmless, module)?)?;
    module.add_function(wrap_pyfunction!(bulks, module)?)?;
    module.add_function(wrap_pyfunction!(commands, module)?)?;
    module.add_class::<ReplyFramer>()
}
