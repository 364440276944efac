//! Requests that pass unchanged: `pass_on` of `proxy/session/fastpath/reference.py`, which documents it.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyTuple};

use crate::fastpath::requests::{Place, RequestTable};
use crate::resp::canonical::{number, whole_bulk};
use crate::resp::rest_of_command::RestOfCommand;

/// A request of so many declared bytes passes before it is whole.
const LONG: usize = 64;

/// A request whose name and key are whole.
struct Head<'a> {
    count: usize,
    place: Place,
    args: [&'a [u8]; 2],
    /// The bytes behind the key.
    rest: &'a [u8],
}

pub fn pass_on<'py>(
    table: &mut RequestTable,
    py: Python<'py>,
    data: &[u8],
    start: usize,
    most: usize,
    least: usize,
    room: usize,
) -> PyResult<Option<Bound<'py, PyTuple>>> {
    let mut rest = data.get(start..).unwrap_or(b"");
    let all = rest.len();
    let mut runs: Vec<(Place, usize)> = Vec::new();
    let (mut count, mut arguments, mut cut) = (0, 0, None);
    let firsts = PyDict::new(py);
    while count < most {
        let head = match head(table, py, rest)? {
            Some(head) => head,
            None => break,
        };
        let (plan, watches) = match table.plan(py, head.place)? {
            Some(plan) if plan.passes() => (plan.object.clone_ref(py), plan.watches),
            _ => break,
        };
        arguments += head.count;
        if rest.len() < least * head.count {
            break;
        }
        let mut command = RestOfCommand { left: 0, awaited: head.count - 2, size: rest.len() - head.rest.len() };
        let end = command.pass(head.rest, room);
        if command.size > room || all - rest.len() + command.size < least * arguments {
            break;
        }
        if command.is_over() {
            match runs.last_mut() {
                Some((place, length)) if *place == head.place => *length += 1,
                _ => {
                    if watches {
                        // Only a GET with nothing but its key may be watched.
                        let args = if head.count == 2 { &head.args[..] } else { &[] };
                        firsts.set_item(count, PyList::new(py, args.iter().map(|arg| PyBytes::new(py, arg)))?)?;
                    }
                    runs.push((head.place, 1));
                }
            }
            count += 1;
        } else if command.left > 0 && command.size >= LONG {
            cut = Some((plan, PyBytes::new(py, head.args[1]), command.left, command.awaited, command.size));
        } else {
            break;
        }
        rest = &head.rest[end..];
        if cut.is_some() {
            break;
        }
    }
    let end = data.len() - rest.len();
    if end == start {
        return Ok(None);
    }
    let plan = |(place, length): (Place, usize)| Some((table.planned(place)?.object.clone_ref(py), length));
    let runs: Vec<_> = runs.into_iter().filter_map(plan).collect();
    Ok(Some((end, runs, firsts, cut).into_pyobject(py)?))
}

fn head<'a>(table: &RequestTable, py: Python<'_>, data: &'a [u8]) -> PyResult<Option<Head<'a>>> {
    let parts = number(data, b'*').and_then(|(count, rest)| {
        let (name, rest) = whole_bulk(rest)?;
        let (key, rest) = whole_bulk(rest)?;
        Some((count, [name, key], rest))
    });
    Ok(match parts {
        Some((count, args, rest)) if (2..=table.longest).contains(&count) => {
            table.place_of(py, args[0], args[1])?.map(|place| Head { count, place, args, rest })
        }
        _ => None,
    })
}
