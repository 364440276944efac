//! Counts of the fast path: additions to objects that Python reads, and the time of some conversions.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::fastpath::replies::Converted;
use crate::fastpath::requests::Plan;

/// One of so many reads is timed: `TIMED` of `proxy/session/fastpath/flat.py`.
const TIMED: u32 = 16;

/// `Meter` of `proxy/codec/transcoder.py`.
pub struct Meter {
    values: Py<PyAny>,
    observe: Py<PyAny>,
}

impl Meter {
    pub fn new(meter: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(Meter { values: meter.getattr("values")?.unbind(), observe: meter.getattr("observe")?.unbind() })
    }

    pub fn count(&self, py: Python<'_>, count: usize) -> PyResult<()> {
        increase(self.values.bind(py), intern!(py, "count"), count)
    }
}

pub struct Timer {
    tally: Py<PyAny>,
    untimed: u32,
}

impl Timer {
    pub fn new(tally: &Bound<'_, PyAny>) -> Self {
        Timer { tally: tally.clone().unbind(), untimed: 0 }
    }

    fn now(&self, py: Python<'_>) -> PyResult<f64> {
        self.tally.bind(py).call_method0(intern!(py, "clock"))?.extract()
    }

    /// The time, if this read is one to be timed. A clock that stands at 0 times nothing.
    pub fn begin(&mut self, py: Python<'_>) -> PyResult<Option<f64>> {
        if self.untimed > 0 {
            self.untimed -= 1;
            return Ok(None);
        }
        Ok(Some(self.now(py)?).filter(|now| *now != 0.0))
    }

    /// Record the time that each of `count` values took.
    pub fn end(&mut self, py: Python<'_>, began: Option<f64>, meter: &Meter, count: usize) -> PyResult<()> {
        if let Some(began) = began {
            meter.observe.bind(py).call1(((self.now(py)? - began) / count as f64,))?;
            self.untimed = TIMED - 1;
        }
        Ok(())
    }
}

/// Counts requests: `record` of `proxy/session/fastpath/flat.py`.
pub struct RequestCounts {
    tally: Py<PyAny>,
    commands: Py<PyDict>,
    timer: Timer,
    managed: usize,
    untouched: usize,
}

impl RequestCounts {
    pub fn new(tally: &Bound<'_, PyAny>) -> PyResult<Self> {
        let commands = tally.getattr("commands")?.extract()?;
        Ok(RequestCounts {
            commands,
            timer: Timer::new(tally),
            tally: tally.clone().unbind(),
            managed: 0,
            untouched: 0,
        })
    }

    /// The time before the requests are taken: see `Timer`.
    pub fn begin(&mut self, py: Python<'_>) -> PyResult<Option<f64>> {
        self.timer.begin(py)
    }

    /// Count requests of one plan. `of`: the number of requests that took the time since `began`.
    pub fn add(&mut self, py: Python<'_>, plan: &Plan, count: usize, began: Option<f64>, of: usize) -> PyResult<()> {
        *(if plan.is_managed { &mut self.managed } else { &mut self.untouched }) += count;
        if let Some(meter) = &plan.meter {
            meter.count(py, count)?;
            self.timer.end(py, began, meter, of)?;
        }
        add_to(self.commands.bind(py), plan.command.bind(py), count)
    }

    /// Count what was added, by whether a rule manages it.
    pub fn finish(&mut self, py: Python<'_>) -> PyResult<()> {
        let tally = self.tally.bind(py);
        for (name, count) in
            [(intern!(py, "managed"), &mut self.managed), (intern!(py, "untouched"), &mut self.untouched)]
        {
            if *count > 0 {
                increase(tally, name, std::mem::take(count))?;
            }
        }
        Ok(())
    }
}

/// Counts replies: `count_values` of `proxy/session/fastpath/flat.py`.
pub struct ReplyCounts {
    tally: Py<PyAny>,
    timer: Timer,
}

impl ReplyCounts {
    pub fn new(tally: &Bound<'_, PyAny>) -> Self {
        ReplyCounts { timer: Timer::new(tally), tally: tally.clone().unbind() }
    }

    /// The time before the replies are taken: see `Timer`.
    pub fn begin(&mut self, py: Python<'_>) -> PyResult<Option<f64>> {
        self.timer.begin(py)
    }

    /// Count the values and the nulls of one entry.
    pub fn add(&mut self, py: Python<'_>, run: &Converted, began: Option<f64>) -> PyResult<()> {
        let rule = run.entry.bind(py).getattr(intern!(py, "rule"))?;
        if run.misses > 0 {
            let misses = self.tally.bind(py).getattr(intern!(py, "misses"))?;
            let name = rule.getattr(intern!(py, "name"))?;
            let before: usize = misses.get_item(&name)?.extract()?;
            misses.set_item(name, before + run.misses)?;
        }
        if run.hits > 0 {
            let inline = rule.getattr(intern!(py, "inline"))?;
            let meter = Meter::new(&inline.getattr(intern!(py, "decoding"))?)?;
            meter.count(py, run.hits)?;
            self.timer.end(py, began, &meter, run.hits)?;
        }
        Ok(())
    }

    /// The watched reply of a conversation is a value of Flask's caches.
    pub fn tell_flask_value(&self, conversation: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = conversation.py();
        let key = conversation.getattr(intern!(py, "watched"))?;
        if key.is_truthy()? {
            self.tally.bind(py).call_method1(intern!(py, "on_flask_value"), (key,))?;
        }
        Ok(())
    }
}

/// Add to the number of a command.
fn add_to(counts: &Bound<'_, PyDict>, command: &Bound<'_, PyAny>, count: usize) -> PyResult<()> {
    let before: usize = match counts.get_item(command)? {
        Some(before) => before.extract()?,
        None => 0,
    };
    counts.set_item(command, before + count)
}

/// Add to an attribute.
fn increase(object: &Bound<'_, PyAny>, name: &Bound<'_, PyString>, count: usize) -> PyResult<()> {
    let before: usize = object.getattr(name)?.extract()?;
    object.setattr(name, before + count)
}
