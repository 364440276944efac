//! The commands of a read, parsed by hiredis. `proxy/resp/hiredis_reader.py` explains the checks before and after it.

use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::sync::GILOnceCell;
use pyo3::types::{PyBytes, PyList};

use crate::resp::canonical::behind_command;

/// The reference's `new_reader`, `NOT_ENOUGH` and `SLICE`.
static READERS: GILOnceCell<(Py<PyAny>, Py<PyAny>, usize)> = GILOnceCell::new();

fn readers(py: Python<'_>) -> PyResult<&(Py<PyAny>, Py<PyAny>, usize)> {
    READERS.get_or_try_init(py, || {
        let module = py.import("proxy.resp.hiredis_reader")?;
        let slice = module.getattr("SLICE")?.extract()?;
        Ok((module.getattr("new_reader")?.unbind(), module.getattr("NOT_ENOUGH")?.unbind(), slice))
    })
}

/// A reader of hiredis that holds no bytes.
pub struct Reader {
    feed: Py<PyAny>,
    gets: Py<PyAny>,
}

impl Reader {
    fn new(py: Python<'_>) -> PyResult<Self> {
        let reader = readers(py)?.0.bind(py).call0()?;
        Ok(Reader { feed: reader.getattr("feed")?.unbind(), gets: reader.getattr("gets")?.unbind() })
    }
}

/// The proven commands at the head of a read.
pub struct Commands<'a, 'py> {
    data: &'a Bound<'py, PyBytes>,
    reader: Reader,
    not_enough: &'a Bound<'py, PyAny>,
    slice: usize,
    end: usize,
    fed: usize,
    /// The end of the last command.
    pos: usize,
}

impl<'a, 'py> Commands<'a, 'py> {
    /// `end`: of the whole commands of `data`, of which there is one at least. `spare`: an empty reader of an earlier read.
    pub fn of(data: &'a Bound<'py, PyBytes>, end: usize, spare: &mut Option<Reader>) -> PyResult<Self> {
        let py = data.py();
        let (_, not_enough, slice) = readers(py)?;
        let reader = match spare.take() {
            Some(reader) => reader,
            None => Reader::new(py)?,
        };
        // The reference lives as long as the module.
        let not_enough = not_enough.bind(py);
        Ok(Commands { data, reader, not_enough, slice: *slice, end, fed: 0, pos: 0 })
    }

    /// The next command, and where it begins and ends. None: no other one is proven.
    pub fn next(&mut self) -> PyResult<Option<(Bound<'py, PyList>, usize, usize)>> {
        match self.parse() {
            Ok(Some(args)) => {
                let bytes = self.data.as_bytes();
                let behind = behind_command(&bytes[self.pos..], &args)?;
                Ok(behind.map(|behind| {
                    let start = self.pos;
                    self.pos = bytes.len() - behind.len();
                    (args, start, self.pos)
                }))
            }
            Ok(None) => Ok(None),
            // hiredis has found something other than arrays of strings.
            Err(error) if error.is_instance_of::<PyException>(self.data.py()) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn parse(&mut self) -> PyResult<Option<Bound<'py, PyList>>> {
        let py = self.data.py();
        loop {
            if self.pos == self.fed {
                if self.fed == self.end {
                    return Ok(None);
                }
                self.feed()?;
            }
            let found = self.reader.gets.bind(py).call0()?;
            if !found.is(self.not_enough) {
                return Ok(Some(found.downcast_into()?));
            }
            if self.fed == self.end {
                return Ok(None);
            }
            self.feed()?;
        }
    }

    fn feed(&mut self) -> PyResult<()> {
        let (start, length) = (self.fed, self.slice.min(self.end - self.fed));
        let feed = self.reader.feed.bind(self.data.py());
        if length == self.data.as_bytes().len() {
            feed.call1((self.data,))?;
        } else {
            feed.call1((self.data, start, length))?;
        }
        self.fed += length;
        Ok(())
    }

    /// Keep the reader for the next read, if it holds no bytes.
    pub fn keep(self, spare: &mut Option<Reader>) {
        if self.pos == self.fed {
            *spare = Some(self.reader);
        }
    }
}
