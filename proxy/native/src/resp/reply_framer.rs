//! The framer of Redis' replies. `proxy/resp/reply_framer.py` has the contract. Reads are kept separately, and joined only
//! when a method needs it.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyInt, PyList};

use crate::resp::headers::{
    bulk_header, elements_per_count, find, find_end, is_line, is_right_bulk, number, unknown, wrong, HUGE,
    MAX_HEADER_BYTES,
};

const MAX_LINE_BYTES: usize = 64 * 1024;

/// An incremental framer for the bytes of one connection to Redis.
pub struct Framer {
    data: Py<PyBytes>,
    pos: usize,
    held: Vec<Py<PyBytes>>,
    held_size: usize,
    /// True: there is no LF from `pos` on, nor in `held`.
    lineless: bool,
    /// Unfinished values in the forwarded value, with nested ones.
    values_left: i64,
    /// Remaining bytes of the forwarded bulk string, with its CRLF.
    bulk_left: usize,
    /// The forwarded value is a bulk string that `pass_cut` began.
    passing: bool,
    /// A line is partly forwarded, and whether its last byte was a CR.
    in_line: bool,
    after_cr: bool,
    /// The number of bytes that joins have copied so far.
    pub joined: usize,
}

impl Framer {
    pub fn new(py: Python<'_>) -> Self {
        Framer {
            data: PyBytes::new(py, b"").unbind(),
            pos: 0,
            held: Vec::new(),
            held_size: 0,
            lineless: false,
            values_left: 0,
            bulk_left: 0,
            passing: false,
            in_line: false,
            after_cr: false,
            joined: 0,
        }
    }

    pub fn feed(&mut self, data: Bound<'_, PyBytes>) {
        let py = data.py();
        let bytes = data.as_bytes();
        if bytes.is_empty() {
            return;
        }
        if self.is_empty(py) && self.held.is_empty() {
            self.data = data.unbind();
            self.pos = 0;
            self.lineless = false;
            return;
        }
        self.held_size += bytes.len();
        self.lineless = self.lineless && !bytes.contains(&b'\n');
        self.held.push(data.unbind());
    }

    pub fn let_go(&mut self, py: Python<'_>) {
        if self.is_empty(py) {
            self.data = PyBytes::new(py, b"").unbind();
            self.pos = 0;
        }
    }

    /// The bytes at the head that need no join, and the position of the first one that is not consumed.
    pub fn head<'py>(&self, py: Python<'py>) -> (Bound<'py, PyBytes>, usize) {
        (self.data.bind(py).clone(), self.pos)
    }

    /// Consume the bytes of `head` before `end`, and free them if none is left.
    pub fn consume_to(&mut self, py: Python<'_>, end: usize) {
        self.pos = end;
        self.lineless = false;
        self.let_go(py);
    }

    /// The number of bytes that are received and not consumed.
    pub fn size(&self, py: Python<'_>) -> usize {
        self.held_size + self.data.as_bytes(py).len() - self.pos
    }

    pub fn is_forwarding(&self) -> bool {
        self.values_left > 0
    }

    pub fn is_passing(&self) -> bool {
        self.passing
    }

    /// The end of the bulk string that `pass_cut` began, in the bytes of `head`. None: it does not end there.
    pub fn passed_end(&self, py: Python<'_>) -> Option<usize> {
        let end = self.pos + self.bulk_left;
        let data = self.data.as_bytes(py);
        (self.bulk_left > 1 && data.get(end - 2..end)? == b"\r\n").then_some(end)
    }

    /// Forget the bulk string that `pass_cut` began: its end is consumed next.
    pub fn end_passing(&mut self) {
        self.passing = false;
        self.values_left = 0;
        self.bulk_left = 0;
    }

    /// Begin to forward the bulk string at `pos`, or go on with the one that is forwarded. The bytes of `head` end in its
    /// body, and are all consumed. False: they do not, so nothing changes.
    pub fn pass_cut(&mut self, py: Python<'_>, pos: usize) -> bool {
        let rest = self.data.as_bytes(py).get(pos..).unwrap_or(b"");
        let missing = match self.passing {
            true => Some(self.bulk_left),
            false => bulk_header(rest)
                .and_then(|(start, size)| size.checked_add(start + 2))
                .filter(|size| *size < HUGE as usize),
        };
        match missing {
            Some(missing) if rest.len() + 2 <= missing && self.held.is_empty() && !rest.is_empty() => {
                self.bulk_left = missing - rest.len();
                self.values_left = 1;
                self.passing = true;
                self.consume_to(py, pos + rest.len());
                true
            }
            _ => false,
        }
    }

    pub fn kind(&mut self, py: Python<'_>) -> PyResult<u8> {
        if self.is_empty(py) && !self.join(py)? {
            return Ok(0);
        }
        match self.data.as_bytes(py)[self.pos] {
            0 => unknown(py, 0),
            kind => Ok(kind),
        }
    }

    pub fn length<'py>(&mut self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let end = match self.header_end(py, 0)? {
            Some(end) => end,
            None => return Ok(None),
        };
        let text = self.between(py, self.pos + 1, end);
        let number = number(py, text)?;
        if number < HUGE / 10 {
            return Ok(Some(number.into_pyobject(py)?.into_any()));
        }
        let int = py.get_type::<PyInt>();
        Ok(Some(int.call1((PyBytes::new(py, text),))?))
    }

    pub fn first_bulk<'py>(&mut self, py: Python<'py>, limit: usize) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let end = match self.header_end(py, 0)? {
            Some(end) => end,
            None => return Ok(None),
        };
        if number(py, self.between(py, self.pos + 1, end))? <= 0 {
            return Ok(Some(PyBytes::new(py, b"")));
        }
        let header = end + 2 - self.pos; // relative to `pos`, because joining changes `pos`
        if self.pos + header == self.data.as_bytes(py).len() && !self.wait(py, header + 1)? {
            return Ok(None);
        }
        if self.data.as_bytes(py)[self.pos + header] != b'$' {
            return Ok(Some(PyBytes::new(py, b"")));
        }
        let end = match self.header_end(py, header)? {
            Some(end) => end,
            None => return Ok(None),
        };
        let size = number(py, self.between(py, self.pos + header + 1, end))?;
        let size = match usize::try_from(size) {
            Ok(size) if size <= limit => size,
            _ => return Ok(Some(PyBytes::new(py, b""))),
        };
        let start = end + 2 - self.pos;
        if self.data.as_bytes(py).len() - self.pos < start + size && !self.wait(py, start + size)? {
            return Ok(None);
        }
        let rest = &self.data.as_bytes(py)[self.pos..];
        Ok(Some(PyBytes::new(py, &rest[start..start + size])))
    }

    pub fn short_line<'py>(&mut self, py: Python<'py>, limit: usize) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let mut end = find_end(&self.data.as_bytes(py)[self.pos..], limit);
        if end.is_none() && self.data.as_bytes(py).len() - self.pos < limit {
            self.join(py)?;
            end = find_end(&self.data.as_bytes(py)[self.pos..], limit);
        }
        let rest = &self.data.as_bytes(py)[self.pos..];
        Ok(match end {
            Some(end) => Some(PyBytes::new(py, &rest[..end + 2])),
            None if rest.len() >= limit => Some(PyBytes::new(py, b"")),
            None => None,
        })
    }

    pub fn line<'py>(&mut self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let end = if self.lineless { None } else { self.line_feed(py)? };
        let end = match end {
            Some(end) => end,
            None if self.size(py) >= MAX_LINE_BYTES => return wrong(py, "a line without end"),
            None => {
                self.lineless = true;
                return Ok(None);
            }
        };
        if end == self.pos || self.data.as_bytes(py)[end - 1] != b'\r' {
            return wrong(py, "a line without its CR");
        }
        Ok(Some(self.take(py, end + 1)))
    }

    pub fn enter<'py>(&mut self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        Ok(self.header_end(py, 0)?.map(|end| self.take(py, end + 2)))
    }

    pub fn bulk<'py>(&mut self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let end = match self.header_end(py, 0)? {
            Some(end) => end,
            None => return Ok(None),
        };
        let size = match usize::try_from(number(py, self.between(py, self.pos + 1, end))?) {
            Ok(size) => size,
            Err(_) => return wrong(py, "a null in place of a bulk"),
        };
        let whole = end + 2 + size + 2 - self.pos;
        if self.data.as_bytes(py).len() - self.pos < whole && !self.wait(py, whole)? {
            return Ok(None);
        }
        let bulk = &self.data.as_bytes(py)[self.pos..self.pos + whole];
        if !bulk.ends_with(b"\r\n") {
            return wrong(py, "a bulk without its CRLF");
        }
        let payload = PyBytes::new(py, &bulk[whole - 2 - size..whole - 2]);
        self.pos += whole;
        Ok(Some(payload))
    }

    pub fn forward(&mut self, py: Python<'_>, out: &Bound<'_, PyList>) -> PyResult<bool> {
        loop {
            if self.forward_what_is_there(py, out)? {
                return Ok(true);
            }
            if !self.join(py)? {
                return Ok(false);
            }
        }
    }

    pub fn is_empty(&self, py: Python<'_>) -> bool {
        self.pos == self.data.as_bytes(py).len()
    }

    /// The text of a header. Empty if it has no type byte.
    #[inline]
    fn between<'py>(&'py self, py: Python<'py>, start: usize, end: usize) -> &'py [u8] {
        self.data.as_bytes(py).get(start..end).unwrap_or(b"")
    }

    fn forward_what_is_there(&mut self, py: Python<'_>, out: &Bound<'_, PyList>) -> PyResult<bool> {
        let whole = self.data.clone_ref(py);
        let data = whole.as_bytes(py);
        let mut pos = self.pos;
        let mut left = self.values_left;
        let mut outermost = left == 0;
        if outermost {
            left = 1;
        }
        while left > 0 && pos < data.len() {
            if self.bulk_left > 0 {
                pos = self.skip_bulk(py, data, pos)?;
                left -= i64::from(self.bulk_left == 0);
                continue;
            }
            let kind = data[pos];
            if self.in_line || is_line(kind) {
                pos = self.skip_line(py, data, pos)?;
                left -= i64::from(!self.in_line);
                continue;
            }
            let end = match find_end(&data[pos..], MAX_HEADER_BYTES) {
                Some(end) => pos + end,
                None if data.len() - pos >= MAX_HEADER_BYTES => return wrong(py, "a header without end"),
                None => break,
            };
            let count = number(py, data.get(pos + 1..end).unwrap_or(b""))?;
            pos = end + 2;
            if matches!(kind, b'$' | b'=' | b'!') {
                match usize::try_from(count) {
                    Err(_) => left -= 1,
                    Ok(size) => self.bulk_left = size + 2,
                }
            } else if let Some(elements) = elements_per_count(kind) {
                // Pushes and attributes may come between the elements of an aggregate. They do not count as elements.
                let counted = outermost || !matches!(kind, b'>' | b'|');
                left = (left + count.max(0) * elements - i64::from(counted)).min(HUGE);
            } else {
                return unknown(py, kind);
            }
            outermost = false;
        }
        if pos > self.pos {
            out.append(match self.pos == 0 && pos == data.len() {
                true => whole.bind(py).clone(),
                false => PyBytes::new(py, &data[self.pos..pos]),
            })?;
            self.pos = pos;
            self.lineless = false;
            // Only after a byte has moved: before that, the value is not partly forwarded.
            self.values_left = left;
            self.passing = self.passing && left > 0;
        }
        Ok(left == 0)
    }

    /// Return the position after the received bytes of the forwarded bulk string. It must end in CRLF.
    fn skip_bulk(&mut self, py: Python<'_>, data: &[u8], pos: usize) -> PyResult<usize> {
        let step = self.bulk_left.min(data.len() - pos);
        let stop = pos + step;
        self.bulk_left -= step;
        if !is_right_bulk(data, stop, step, self.bulk_left) {
            return wrong(py, "a bulk without its CRLF");
        }
        Ok(stop)
    }

    /// Return the position after the received bytes of the forwarded line.
    fn skip_line(&mut self, py: Python<'_>, data: &[u8], pos: usize) -> PyResult<usize> {
        let rest = &data[pos..];
        let end = match find(rest, b'\n') {
            Some(end) => end,
            None => {
                self.in_line = true;
                self.after_cr = rest.ends_with(b"\r");
                return Ok(data.len());
            }
        };
        if !(if end > 0 { rest[end - 1] == b'\r' } else { self.after_cr }) {
            return wrong(py, "a line without its CR");
        }
        self.in_line = false;
        Ok(pos + end + 1)
    }

    fn take<'py>(&mut self, py: Python<'py>, stop: usize) -> Bound<'py, PyBytes> {
        let piece = PyBytes::new(py, &self.data.as_bytes(py)[self.pos..stop]);
        self.pos = stop;
        piece
    }

    /// The position of the CRLF of the header that is `offset` bytes after the head. None: more bytes are needed.
    #[inline]
    fn header_end(&mut self, py: Python<'_>, offset: usize) -> PyResult<Option<usize>> {
        loop {
            let start = self.pos + offset;
            let data = self.data.as_bytes(py);
            let rest = data.get(start..).unwrap_or(b"");
            if let Some(end) = find_end(rest, MAX_HEADER_BYTES) {
                return Ok(Some(start + end));
            }
            if rest.len() >= MAX_HEADER_BYTES {
                return wrong(py, "a header without end");
            }
            if !self.join(py)? {
                return Ok(None);
            }
        }
    }

    /// The position of the first LF. Joins `held` only if there is one. None: more bytes are needed.
    fn line_feed(&mut self, py: Python<'_>) -> PyResult<Option<usize>> {
        let within = |data: &[u8]| find(&data[..data.len().min(MAX_LINE_BYTES)], b'\n');
        let end = within(&self.data.as_bytes(py)[self.pos..]);
        if end.is_none() && self.held.iter().any(|piece| piece.as_bytes(py).contains(&b'\n')) {
            self.join(py)?;
            return Ok(within(self.data.as_bytes(py)));
        }
        Ok(end.map(|end| self.pos + end))
    }

    /// True if `size` bytes have come from the head on. Only then `held` is joined.
    fn wait(&mut self, py: Python<'_>, size: usize) -> PyResult<bool> {
        Ok(self.size(py) >= size && self.join(py)?)
    }

    /// Append `held` to `data`. False if `held` is empty.
    fn join(&mut self, py: Python<'_>) -> PyResult<bool> {
        if self.held.is_empty() {
            return Ok(false);
        }
        let size = self.size(py);
        let rest = &self.data.as_bytes(py)[self.pos..];
        let joined = PyBytes::new_with(py, size, |buffer| {
            let mut at = rest.len();
            buffer[..at].copy_from_slice(rest);
            for piece in &self.held {
                let piece = piece.as_bytes(py);
                buffer[at..at + piece.len()].copy_from_slice(piece);
                at += piece.len();
            }
            Ok(())
        })?
        .unbind();
        self.joined += size;
        self.data = joined;
        self.pos = 0;
        self.held.clear();
        self.held_size = 0;
        Ok(true)
    }
}
