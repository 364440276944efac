//! Usual requests: `RequestTable` of `proxy/session/fastpath/reference.py`, which documents it.

use std::collections::HashMap;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyTuple};

use crate::fastpath::by_node::Parts;
use crate::fastpath::commands::Reader;
use crate::fastpath::counts::Meter;
use crate::fastpath::passing;
use crate::fastpath::servable::is_surely_servable;
use crate::python::codec::Codec;
use crate::resp::canonical::behind_command;
use crate::resp::encode::{bulk, header};

/// One rule: its fixed prefix, whether that decides, the full match, and whether its keys are managed.
struct Rule {
    prefix: Vec<u8>,
    is_prefix: bool,
    matches: Py<PyAny>,
    is_managed: bool,
}

/// How to handle a command on a key of one rule.
pub struct Plan {
    /// For the caller: `Plan` of `proxy/session/fastpath/plan.py`, and its parts.
    pub object: Py<PyAny>,
    pub command: Py<PyAny>,
    pub is_managed: bool,
    pub entry: Py<PyAny>,
    pub meter: Option<Meter>,
    pub watches: bool,
    /// The value to encode, if there is one.
    value: Option<Value>,
    /// Number of arguments. 0: from 2 to `longest`.
    length: usize,
    /// Number of arguments with an expiry, 0: there may be none.
    length_with_expiry: usize,
}

struct Value {
    at: usize,
    codec: Py<Codec>,
    /// Two encoded arguments for requests without an expiry, or nothing.
    expiry: Vec<u8>,
    /// Whether a key is one of a cached view.
    views: Option<Py<PyAny>>,
}

/// The row and the rule (0: none, else one more than its number) of a plan.
pub type Place = (usize, usize);

/// `RequestTable` of `proxy/session/fastpath/reference.py`.
#[pyclass(module = "proxy._native")]
pub struct RequestTable {
    rows: HashMap<Vec<u8>, usize>,
    rules: Vec<Rule>,
    plans: HashMap<Place, Option<Plan>>,
    make: Py<PyAny>,
    longest_key: usize,
    pub longest: usize,
    /// Of hiredis, for the next read.
    pub reader: Option<Reader>,
}

#[pymethods]
impl RequestTable {
    /// `spec`: `TableSpec` of `proxy/session/fastpath/plan.py`.
    #[new]
    fn new(spec: &Bound<'_, PyTuple>) -> PyResult<Self> {
        let (names, rules, make, longest_key, longest): (
            Bound<'_, PyDict>,
            Bound<'_, PyList>,
            Py<PyAny>,
            usize,
            usize,
        ) = spec.extract()?;
        let mut rows = HashMap::with_capacity(names.len());
        for (name, row) in names {
            rows.insert(name.extract()?, row.extract()?);
        }
        let rules = rules.iter().map(|rule| {
            let (prefix, is_prefix, matches, is_managed) = rule.extract()?;
            Ok(Rule { prefix, is_prefix, matches, is_managed })
        });
        let rules = rules.collect::<PyResult<_>>()?;
        Ok(RequestTable { rows, rules, plans: HashMap::new(), make, longest_key, longest, reader: None })
    }

    /// Take the usual requests at the head of a read. None: the first request is not usual.
    fn take<'py>(
        &mut self,
        commands: &Bound<'py, PyList>,
        data: &Bound<'py, PyBytes>,
        room: usize,
    ) -> PyResult<Option<Bound<'py, PyTuple>>> {
        let py = data.py();
        let bytes = data.as_bytes();
        let mut batch = Batch::new(room);
        for command in commands {
            let args = command.downcast_into::<PyList>()?;
            let start = batch.end;
            let stop = match behind_command(&bytes[start..], &args)? {
                Some(behind) => bytes.len() - behind.len(),
                None => break,
            };
            if !self.add(&args, bytes, (start, stop), &mut batch)? {
                break;
            }
        }
        if batch.records.is_empty() {
            return Ok(None);
        }
        let runs = self.runs(py, &batch);
        Ok(Some((batch.bytes(data), runs, batch.end).into_pyobject(py)?))
    }

    /// Take the requests that pass unchanged. See `fastpath::passing`.
    fn pass_on<'py>(
        &mut self,
        py: Python<'py>,
        data: &[u8],
        start: usize,
        most: usize,
        least: usize,
        room: usize,
    ) -> PyResult<Option<Bound<'py, PyTuple>>> {
        passing::pass_on(self, py, data, start, most, least, room)
    }

    /// As `take`, where each request goes to the node that owns the slot of its key.
    fn take_by_node<'py>(
        &mut self,
        commands: &Bound<'py, PyList>,
        data: &Bound<'py, PyBytes>,
        room: usize,
        owners: &Bound<'py, PyTuple>,
    ) -> PyResult<Option<Bound<'py, PyTuple>>> {
        let py = data.py();
        let bytes = data.as_bytes();
        let mut parts = Parts::new(owners, room);
        for command in commands {
            let args = command.downcast_into::<PyList>()?;
            let stop = match behind_command(&bytes[parts.end..], &args)? {
                Some(behind) => bytes.len() - behind.len(),
                None => break,
            };
            if !parts.add(self, &args, bytes, (parts.end, stop))? {
                break;
            }
        }
        if parts.done == 0 {
            return Ok(None);
        }
        let made = parts.all.iter().filter(|part| part.count > 0);
        let made = made.map(|part| (part.node, part.batch.written(py), part.count, self.runs(py, &part.batch)));
        let watched = parts.watched.as_ref().map_or(-1, |(number, _)| *number as i64);
        Ok(Some((made.collect::<Vec<_>>(), &parts.order, parts.end, watched).into_pyobject(py)?))
    }
}

/// Usual requests in a row for one plan.
pub struct Record {
    pub place: Place,
    pub count: usize,
    /// The arguments of the first one.
    pub first: Py<PyList>,
}

/// The usual requests at the head of a read, and their bytes for Redis.
pub struct Batch {
    pub records: Vec<Record>,
    /// The end of the last one in the read.
    pub end: usize,
    /// Bytes of payloads that may still be encoded.
    pub room: usize,
    out: Out,
}

/// The bytes for Redis: those that are written, and then those of the read from `copied` on.
struct Out {
    bytes: Vec<u8>,
    copied: usize,
}

impl Batch {
    pub fn new(room: usize) -> Self {
        Batch { records: Vec::new(), end: 0, room, out: Out { bytes: Vec::new(), copied: 0 } }
    }

    fn add(&mut self, place: Place, args: &Bound<'_, PyList>, end: usize) {
        self.end = end;
        match self.records.last_mut() {
            Some(last) if last.place == place => last.count += 1,
            _ => self.records.push(Record { place, count: 1, first: args.clone().unbind() }),
        }
    }

    /// Begin to write at a place in the read. All bytes before it are written, or belong to another batch.
    pub fn begin(&mut self, start: usize) {
        self.out.copied = start;
    }

    /// Write what is left of a request that began at `start`: all of it, if no value in it was encoded.
    pub fn finish(&mut self, bytes: &[u8], start: usize, stop: usize) {
        if self.out.copied == start {
            self.out.bytes.extend_from_slice(&bytes[start..stop]);
        }
    }

    /// The bytes for Redis, if each request was begun and finished.
    pub fn written<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.out.bytes)
    }

    /// The bytes for Redis. The batch gives its own away.
    pub fn bytes<'py>(&mut self, data: &Bound<'py, PyBytes>) -> Bound<'py, PyBytes> {
        let (py, bytes) = (data.py(), data.as_bytes());
        if self.out.copied > 0 {
            let out = &mut self.out.bytes;
            out.extend_from_slice(&bytes[self.out.copied..self.end]);
            PyBytes::new(py, out)
        } else if self.end == bytes.len() {
            data.clone()
        } else {
            PyBytes::new(py, &bytes[..self.end])
        }
    }
}

impl RequestTable {
    /// Add a request, which is at `at` in the read. False: it is not usual.
    pub fn add(
        &mut self,
        args: &Bound<'_, PyList>,
        bytes: &[u8],
        at: (usize, usize),
        batch: &mut Batch,
    ) -> PyResult<bool> {
        let longest = self.longest;
        let place = match self.place(args)? {
            Some(place) => place,
            None => return Ok(false),
        };
        let plan = match self.plan(args.py(), place)? {
            Some(plan) if plan.takes(args, longest)? => plan,
            _ => return Ok(false),
        };
        if let Some(value) = &plan.value {
            let is_short = args.len() == plan.length;
            if !value.write(args, bytes, at, is_short, &mut batch.room, &mut batch.out)? {
                return Ok(false);
            }
        }
        batch.add(place, args, at.1);
        Ok(true)
    }

    /// For Python: the plans of a batch, with the numbers of their requests.
    fn runs(&self, py: Python<'_>, batch: &Batch) -> Vec<(Py<PyAny>, usize)> {
        let runs = batch.records.iter().filter_map(|record| Some((self.planned(record.place)?, record.count)));
        runs.map(|(plan, count)| (plan.object.clone_ref(py), count)).collect()
    }

    /// The plan of requests that were taken.
    pub fn planned(&self, place: Place) -> Option<&Plan> {
        self.plans.get(&place).and_then(Option::as_ref)
    }

    fn place(&self, args: &Bound<'_, PyList>) -> PyResult<Option<Place>> {
        if args.len() < 2 {
            return Ok(None);
        }
        let (name, key) = (args.get_item(0)?, args.get_item(1)?);
        self.place_of(args.py(), name.downcast::<PyBytes>()?.as_bytes(), key.downcast::<PyBytes>()?.as_bytes())
    }

    /// The place of the plan for a name and a key.
    pub fn place_of(&self, py: Python<'_>, name: &[u8], key: &[u8]) -> PyResult<Option<Place>> {
        match self.rows.get(name) {
            Some(row) if key.len() <= self.longest_key => Ok(Some((*row, self.rule(py, key)?))),
            _ => Ok(None),
        }
    }

    fn rule(&self, py: Python<'_>, key: &[u8]) -> PyResult<usize> {
        for (number, rule) in self.rules.iter().enumerate() {
            if key.starts_with(&rule.prefix)
                && (rule.is_prefix || rule.matches.bind(py).call1((PyBytes::new(py, key),))?.is_truthy()?)
            {
                return Ok(if rule.is_managed { number + 1 } else { 0 });
            }
        }
        Ok(0)
    }

    /// The plan of a place, which is made when it is first needed.
    pub fn plan(&mut self, py: Python<'_>, place: Place) -> PyResult<Option<&Plan>> {
        if !self.plans.contains_key(&place) {
            let made = self.make.bind(py).call1(place)?;
            let plan = if made.is_none() { None } else { Plan::new(&made)? };
            self.plans.insert(place, plan);
        }
        Ok(self.planned(place))
    }
}

impl Plan {
    /// `made`: `Spec` of `proxy/session/fastpath/plan.py`. None: its codec is not the native one.
    fn new(made: &Bound<'_, PyAny>) -> PyResult<Option<Self>> {
        let (object, length, length_with_expiry, value): (Bound<'_, PyAny>, usize, usize, Bound<'_, PyAny>) =
            made.extract()?;
        let value = if value.is_none() {
            None
        } else {
            match Value::new(&value)? {
                Some(value) => Some(value),
                None => return Ok(None),
            }
        };
        let meter = object.getattr("meter")?;
        Ok(Some(Plan {
            command: object.getattr("command")?.unbind(),
            is_managed: !object.getattr("rule")?.is_none(),
            entry: object.getattr("entry")?.unbind(),
            meter: if meter.is_none() { None } else { Some(Meter::new(&meter)?) },
            watches: object.getattr("watches")?.extract()?,
            object: object.unbind(),
            value,
            length,
            length_with_expiry,
        }))
    }

    /// Whether requests with any arguments pass unchanged.
    pub fn passes(&self) -> bool {
        self.length == 0
    }

    /// Whether a request has the arguments that the plan is for.
    fn takes(&self, args: &Bound<'_, PyList>, longest: usize) -> PyResult<bool> {
        let count = args.len();
        if self.length == 0 {
            return Ok(count <= longest);
        }
        if count == self.length {
            return Ok(true);
        }
        if count != self.length_with_expiry {
            return Ok(false);
        }
        let option = args.get_item(count - 2)?;
        Ok(matches!(option.downcast::<PyBytes>()?.as_bytes(), b"EX" | b"PX" | b"ex" | b"px"))
    }
}

impl Value {
    /// `made`: `Value` of `proxy/session/fastpath/plan.py`. None: its codec is not the native one.
    fn new(made: &Bound<'_, PyAny>) -> PyResult<Option<Self>> {
        let (at, codec, expiry, views): (usize, Bound<'_, PyAny>, Vec<u8>, Option<Py<PyAny>>) = made.extract()?;
        Ok(codec.downcast_into::<Codec>().ok().map(|codec| Value { at, codec: codec.unbind(), expiry, views }))
    }

    /// Write a request with its value encoded. False: it must go the long way. `at`: where it is in `data`.
    fn write(
        &self,
        args: &Bound<'_, PyList>,
        data: &[u8],
        (start, stop): (usize, usize),
        is_short: bool,
        room: &mut usize,
        out: &mut Out,
    ) -> PyResult<bool> {
        let payload = args.get_item(self.at)?;
        let payload = payload.downcast::<PyBytes>()?.as_bytes();
        if payload.len() > *room {
            return Ok(false);
        }
        let stored = match self.codec.get().encoded(payload) {
            Some(stored) => stored,
            None => return Ok(false),
        };
        if let Some(views) = &self.views {
            if !is_surely_servable(&stored) && views.bind(args.py()).call1((args.get_item(1)?,))?.is_truthy()? {
                return Ok(false);
            }
        }
        *room -= payload.len();
        let gets_expiry = is_short && !self.expiry.is_empty();
        let bytes = &mut out.bytes;
        bytes.reserve(start - out.copied + stop - start + stored.len() + self.expiry.len());
        bytes.extend_from_slice(&data[out.copied..start]);
        header(bytes, b'*', args.len() + 2 * usize::from(gets_expiry));
        for (number, arg) in args.iter().enumerate() {
            bulk(bytes, if number == self.at { &stored } else { arg.downcast::<PyBytes>()?.as_bytes() });
        }
        if gets_expiry {
            bytes.extend_from_slice(&self.expiry);
        }
        out.copied = stop;
        Ok(true)
    }
}
