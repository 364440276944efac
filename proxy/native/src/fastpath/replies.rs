//! Usual replies: `take_replies` of `proxy/session/fastpath/reference_replies.py`, which documents it.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::GILOnceCell;
use pyo3::types::{PyBytes, PyTuple, PyType};

use crate::fastpath::runs::Runs;
use crate::python::codec::Codec;
use crate::python::reply_framer::ReplyFramer;
use crate::resp::encode::bulk;
use crate::resp::headers::{is_flask, plain_value, whole_bulk};

/// The reference's classes: `PASS`, and the class `Decode`.
static ENTRIES: GILOnceCell<(Py<PyAny>, Py<PyType>)> = GILOnceCell::new();

pub fn entries(py: Python<'_>) -> PyResult<&(Py<PyAny>, Py<PyType>)> {
    ENTRIES.get_or_try_init(py, || {
        let module = py.import("proxy.session.expected_replies")?;
        Ok((module.getattr("PASS")?.unbind(), module.getattr("Decode")?.extract()?))
    })
}

/// The place in the bytes of a framer that a call has reached.
pub struct Taking<'a> {
    data: &'a [u8],
    pub pos: usize,
    out: Vec<u8>,
    /// The bytes of `data` up to here are in `out`, decoded or not.
    copied: usize,
    /// Bytes that may be decoded.
    pub room: usize,
}

/// Take the usual replies at the head of a framer, up to `most`. None: the first one is not usual, or not whole.
#[pyfunction]
pub fn take_replies<'py>(
    py: Python<'py>,
    mut framer: PyRefMut<'py, ReplyFramer>,
    owed: PyRef<'py, Runs>,
    most: usize,
    room: usize,
    watched: i64,
) -> PyResult<Option<Bound<'py, PyTuple>>> {
    let taken = match take(py, &mut framer, &owed, most, room, watched)? {
        Some(taken) => taken,
        None => return Ok(None),
    };
    let converted = listed(taken.converted);
    Ok(Some((taken.out, taken.count, taken.shows_flask, converted, taken.is_cut).into_pyobject(py)?))
}

/// Replies that were taken.
pub struct Taken<'py> {
    /// For the client.
    pub out: Bound<'py, PyBytes>,
    pub count: usize,
    /// The watched reply is a value of Flask's caches.
    pub shows_flask: bool,
    pub converted: Vec<Converted>,
    /// The last reply is not whole yet, but what is there is taken too. `count` does not count it.
    pub is_cut: bool,
}

/// The values and the nulls of one `Decode`.
pub struct Converted {
    pub entry: Py<PyAny>,
    pub hits: usize,
    pub misses: usize,
}

/// For Python. None: nothing was decoded.
pub fn listed(converted: Vec<Converted>) -> Option<Vec<(Py<PyAny>, usize, usize)>> {
    if converted.is_empty() {
        return None;
    }
    Some(converted.into_iter().map(|all| (all.entry, all.hits, all.misses)).collect())
}

/// `take_replies`, for the engine.
pub fn take<'py>(
    py: Python<'py>,
    framer: &mut ReplyFramer,
    owed: &Runs,
    most: usize,
    room: usize,
    watched: i64,
) -> PyResult<Option<Taken<'py>>> {
    let framer = &mut framer.framer;
    if framer.is_forwarding() && !framer.is_passing() {
        return Ok(None);
    }
    let (data, start) = framer.head(py);
    let bytes = data.as_bytes();
    let kinds = entries(py)?;
    let mut taking = Taking::new(bytes, start, Vec::new(), room);
    let (mut count, mut shows_flask, mut converted) = (0, false, Vec::new());
    if framer.is_passing() {
        match framer.passed_end(py) {
            Some(end) => {
                framer.end_passing();
                taking.pos = end;
                count = 1;
            }
            None if framer.pass_cut(py, start) => {
                let out = if start == 0 { data } else { PyBytes::new(py, &bytes[start..]) };
                return Ok(Some(Taken { out, count, shows_flask, converted, is_cut: true }));
            }
            None => return Ok(None),
        }
    }
    let mut is_cut = false;
    let mut before = count;
    for (entry, length) in owed.iter() {
        let wanted = (length - before).min(most - count);
        before = 0;
        let (done, is_flask) = taking.take(entry.bind(py), wanted, watched - count as i64, kinds, &mut converted)?;
        shows_flask |= is_flask;
        is_cut = done < wanted && entry.is(&kinds.0) && framer.pass_cut(py, taking.pos);
        count += done;
        if done < wanted || count == most {
            break;
        }
    }
    if count == 0 && !is_cut {
        return Ok(None);
    }
    if is_cut {
        taking.pos = bytes.len();
    }
    let (end, copied) = (taking.pos, taking.copied);
    let out = if copied == start && start == 0 && end == bytes.len() {
        data.clone()
    } else if copied == start {
        PyBytes::new(py, &bytes[start..end])
    } else {
        PyBytes::new(py, &taking.finish())
    };
    if !is_cut {
        framer.consume_to(py, end);
    }
    Ok(Some(Taken { out, count, shows_flask, converted, is_cut }))
}

/// Add the numbers of an entry to those of the call.
fn add(converted: &mut Vec<Converted>, entry: &Bound<'_, PyAny>, hits: usize, misses: usize) {
    match converted.iter_mut().find(|all| all.entry.is(entry)) {
        Some(all) => {
            all.hits += hits;
            all.misses += misses;
        }
        None => converted.push(Converted { entry: entry.clone().unbind(), hits, misses }),
    }
}

/// The position behind so many plain values, which are there.
fn behind(data: &[u8], count: usize) -> usize {
    (0..count).fold(0, |pos, _| pos + plain_value(&data[pos..]).unwrap_or(0))
}

impl<'a> Taking<'a> {
    /// Begin at `pos` of `data`. `out`: bytes for the client that come before.
    pub fn new(data: &'a [u8], pos: usize, out: Vec<u8>, room: usize) -> Self {
        Taking { data, pos, out, copied: pos, room }
    }

    /// All bytes for the client.
    pub fn finish(mut self) -> Vec<u8> {
        self.out.extend_from_slice(&self.data[self.copied..self.pos]);
        self.out
    }

    /// Take up to `most` replies of one entry. Returns their number, and whether the watched one is Flask's.
    ///
    /// `watched`: its number among them; negative: none. `kinds`: see `entries`.
    pub fn take(
        &mut self,
        entry: &Bound<'_, PyAny>,
        most: usize,
        watched: i64,
        (pass, decode): &(Py<PyAny>, Py<PyType>),
        converted: &mut Vec<Converted>,
    ) -> PyResult<(usize, bool)> {
        if entry.is(pass) {
            let rest = &self.data[self.pos..];
            let done = self.pass(most);
            let at = usize::try_from(watched).ok().filter(|at| *at < done);
            return Ok((done, at.map_or(false, |at| is_flask(&rest[behind(rest, at)..]))));
        }
        if !entry.get_type().is(decode) {
            return Ok((0, false));
        }
        let codec = entry.getattr(intern!(entry.py(), "codec"))?;
        let (hits, misses) = match codec.downcast::<Codec>() {
            Ok(codec) => self.decode(codec.get(), most),
            Err(_) => (0, 0),
        };
        if hits + misses > 0 {
            add(converted, entry, hits, misses);
        }
        Ok((hits + misses, false))
    }

    /// Pass plain values on. Returns their number.
    fn pass(&mut self, most: usize) -> usize {
        for done in 0..most {
            match plain_value(&self.data[self.pos..]) {
                Some(size) => self.pos += size,
                None => return done,
            }
        }
        most
    }

    /// Decode values, and pass nulls on. Returns the number of each.
    fn decode(&mut self, codec: &Codec, most: usize) -> (usize, usize) {
        let (mut hits, mut misses) = (0, 0);
        while hits + misses < most {
            let rest = &self.data[self.pos..];
            if rest.starts_with(b"$-1\r\n") || rest.starts_with(b"_\r\n") {
                self.pos += if rest[0] == b'$' { 5 } else { 3 };
                misses += 1;
                continue;
            }
            let (start, stop) = match whole_bulk(rest) {
                Some((start, stop)) if stop - start <= self.room => (start, stop),
                _ => break,
            };
            let payload = match codec.decoded(&rest[start..stop]) {
                Some(payload) if payload.len() + (stop - start) <= self.room => payload,
                _ => break,
            };
            self.room -= payload.len() + (stop - start);
            self.out.extend_from_slice(&self.data[self.copied..self.pos]);
            bulk(&mut self.out, &payload);
            self.pos += stop + 2;
            self.copied = self.pos;
            hits += 1;
        }
        (hits, misses)
    }
}
