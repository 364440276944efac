//! Usual replies of several lanes: `take_joined` of `proxy/session/fastpath/reference_replies.py`, which documents it.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple, PyType};

use crate::fastpath::lane_state::NodeLane;
use crate::fastpath::replies::{entries, listed, Converted, Taking};
use crate::fastpath::runs::Runs;

/// The place in a lane that the call has reached.
struct Place<'py> {
    lane: NodeLane<'py>,
    data: Bound<'py, PyBytes>,
    pos: usize,
    /// The record of the FIFO, and how many of its replies were taken.
    at: usize,
    used: usize,
    taken: usize,
}

/// Replies of several lanes that were taken.
pub struct Joined<'py> {
    /// For the client.
    pub out: Vec<u8>,
    pub count: usize,
    /// The watched reply is a value of Flask's caches.
    pub shows_flask: bool,
    pub converted: Vec<Converted>,
    /// The number of replies of each lane.
    pub lanes: Vec<(NodeLane<'py>, usize)>,
}

/// Take the usual replies at the head of the client's FIFO, up to `most`. None: the first one is not usual or not whole.
#[pyfunction]
pub fn take_joined<'py>(
    py: Python<'py>,
    kind: &Bound<'py, PyType>,
    owed: PyRef<'py, Runs>,
    most: usize,
    room: usize,
    watched: i64,
) -> PyResult<Option<Bound<'py, PyTuple>>> {
    let taken = match joined(py, kind, &owed, most, room, watched)? {
        Some(taken) => taken,
        None => return Ok(None),
    };
    let lanes = taken.lanes.into_iter().map(|(lane, count)| (lane.object, count)).collect::<Vec<_>>();
    let converted = listed(taken.converted);
    Ok(Some((PyBytes::new(py, &taken.out), taken.count, taken.shows_flask, converted, lanes).into_pyobject(py)?))
}

/// `take_joined`, for the engine.
pub fn joined<'py>(
    py: Python<'py>,
    kind: &Bound<'py, PyType>,
    owed: &Runs,
    most: usize,
    mut room: usize,
    watched: i64,
) -> PyResult<Option<Joined<'py>>> {
    let mut places: Vec<Place<'py>> = Vec::new();
    let mut out = Vec::new();
    let (mut taken, mut shows_flask, mut converted) = (0, false, Vec::new());
    for (item, length) in owed.iter() {
        let at = match places.iter().position(|place| place.lane.object.is(item)) {
            Some(at) => at,
            None if !item.bind(py).get_type().is(kind) => break,
            None => match Place::new(item.bind(py))? {
                Some(place) => {
                    places.push(place);
                    places.len() - 1
                }
                None => break,
            },
        };
        let wanted = length.min(most - taken);
        let watched = watched - taken as i64;
        let (done, is_flask) = places[at].take(wanted, watched, &mut room, &mut out, &mut converted)?;
        shows_flask |= is_flask;
        taken += done;
        if done < wanted || taken == most {
            break;
        }
    }
    if taken == 0 {
        return Ok(None);
    }
    let mut lanes = Vec::with_capacity(places.len());
    for place in places.into_iter().filter(|place| place.taken > 0) {
        place.lane.framer.borrow_mut().framer.consume_to(py, place.pos);
        lanes.push((place.lane, place.taken));
    }
    Ok(Some(Joined { out, count: taken, shows_flask, converted, lanes }))
}

impl<'py> Place<'py> {
    /// None: a reply of the lane is partly forwarded.
    fn new(object: &Bound<'py, PyAny>) -> PyResult<Option<Self>> {
        let lane = NodeLane::new(object.clone())?;
        let (data, pos) = {
            let framer = &lane.framer.borrow().framer;
            if framer.is_forwarding() {
                return Ok(None);
            }
            framer.head(object.py())
        };
        Ok(Some(Place { lane, data, pos, at: 0, used: 0, taken: 0 }))
    }

    /// Take up to `most` replies. Returns their number, and whether the watched one is Flask's.
    fn take(
        &mut self,
        most: usize,
        watched: i64,
        room: &mut usize,
        out: &mut Vec<u8>,
        converted: &mut Vec<Converted>,
    ) -> PyResult<(usize, bool)> {
        let py = self.data.py();
        let kinds = entries(py)?;
        let owed = self.lane.owed.borrow();
        let mut taking = Taking::new(self.data.as_bytes(), self.pos, std::mem::take(out), *room);
        let (mut got, mut shows_flask) = (0, false);
        while let Some((entry, length)) = owed.record(self.at).filter(|_| got < most) {
            let wanted = (length - self.used).min(most - got);
            let (done, is_flask) = taking.take(entry.bind(py), wanted, watched - got as i64, kinds, converted)?;
            shows_flask |= is_flask;
            got += done;
            self.used += done;
            if self.used == length {
                self.at += 1;
                self.used = 0;
            }
            if done < wanted {
                break;
            }
        }
        self.taken += got;
        self.pos = taking.pos;
        *room = taking.room;
        *out = taking.finish();
        Ok((got, shows_flask))
    }
}
