//! Limits the app's cost to load keys and members with chosen hashes, as in `proxy/codec/pickler/hash_cost.py`.

use crate::values::bigint::BigInt;

const MOST: u64 = 800_000_000;
pub const ORDERED: u32 = 3;
pub const COUNTED: u32 = 2;
const HASH_MODULUS: u64 = (1 << 61) - 1;
const FIRST_RAW_BYTES: usize = 256;
const DECIMAL_CHARS: usize = 40;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Text,
    Raw,
    Raw1K,
    Raw4K,
    Raw16K,
    Raw64K,
    Raw256K,
    Raw1M,
    RawMore,
    Found,
    Fixed,
    Met,
    Int,
    Int128,
    Int512,
    Int2048,
    Int5120,
    IntMore,
    Float,
    Complex,
    Decimal,
    DecimalFar,
    DecimalLong,
    Uuid,
    Home,
    Away,
    Delta,
    Tuple,
    FrozenSet,
}

const OWN: [u64; 29] = [
    5, 30, 160, 550, 2_100, 8_300, 33_000, 131_000, 1_050_000, 15, 5, // keyed, and fixed
    3, 8, 26, 35, 70, 135, 310, 25, 40, // numbers
    40, 40, 1_000, 122, 40, 1_200, 40, 40, 45, // objects
];
const MEETS: u64 = 40;

const RAWS: [Kind; 8] =
    [Kind::Raw, Kind::Raw1K, Kind::Raw4K, Kind::Raw16K, Kind::Raw64K, Kind::Raw256K, Kind::Raw1M, Kind::RawMore];

impl Kind {
    fn is_keyed(self) -> bool {
        self <= Kind::Found
    }

    fn hashing(self) -> u64 {
        match self {
            Kind::DecimalFar | Kind::DecimalLong => 15_000,
            _ => 0,
        }
    }

    fn with_decimal(self) -> u64 {
        match self {
            Kind::Int => 130,
            Kind::Int128 => 190,
            Kind::Int512 => 500,
            Kind::Int2048 => 6_500,
            Kind::Int5120 => 42_000,
            Kind::IntMore => 345_000,
            Kind::Float | Kind::Complex => 5_000,
            Kind::Uuid => 460,
            Kind::Decimal | Kind::DecimalFar => 60,
            Kind::DecimalLong => 1_000,
            _ => 330,
        }
    }

    fn with_float(self) -> u64 {
        match self {
            Kind::Int => 100,
            Kind::Int128 => 120,
            Kind::Int512 => 220,
            Kind::Int2048 => 350,
            Kind::Int5120 | Kind::IntMore => 60,
            _ => MEETS,
        }
    }

    fn with_aware(self) -> u64 {
        match self {
            Kind::Raw => 320,
            Kind::Home | Kind::Away => 1_200,
            Kind::Uuid => 180,
            _ => MEETS,
        }
    }

    fn is_decimal(self) -> bool {
        (Kind::Decimal..=Kind::DecimalLong).contains(&self)
    }
}

/// Nanoseconds for one comparison of two kinds.
fn compared(one: Kind, other: Kind) -> u64 {
    if one == other {
        return OWN[one as usize];
    }
    // A member may occur many times, and each time it is compared with all members of the same hash.
    let [one, other] = [one, other].map(|kind| if kind == Kind::Met { Kind::Int } else { kind });
    let (first, last) = if one <= other { (one, other) } else { (other, one) };
    match (first, last) {
        _ if first.is_decimal() && last.is_decimal() => first.with_decimal().max(last.with_decimal()),
        _ if last.is_decimal() => first.with_decimal(),
        _ if first.is_decimal() => last.with_decimal(),
        (_, Kind::Float | Kind::Complex) => first.with_float(),
        (_, Kind::Home | Kind::Away) => first.with_aware(),
        (Kind::Uuid, _) | (_, Kind::Uuid) => 180,
        _ => MEETS,
    }
}

pub fn of_int(number: i64) -> Kind {
    match number.unsigned_abs() < HASH_MODULUS {
        true => Kind::Int,
        false => Kind::Int128,
    }
}

pub fn of_big(number: &BigInt) -> Kind {
    if let Some(small) = number.to_i64() {
        return of_int(small);
    }
    match number.bit_length() {
        0..=128 => Kind::Int128,
        129..=512 => Kind::Int512,
        513..=2048 => Kind::Int2048,
        2049..=5120 => Kind::Int5120,
        _ => Kind::IntMore,
    }
}

/// The kind of a str with so many bytes.
pub fn of_text(size: usize) -> Kind {
    match size {
        1..=FIRST_RAW_BYTES => Kind::Text,
        _ => of_raw(size),
    }
}

/// The kind of bytes, or of an object made from a text.
pub fn of_raw(size: usize) -> Kind {
    if size == 0 {
        return Kind::Fixed;
    }
    let mut most = FIRST_RAW_BYTES;
    for kind in RAWS {
        if size <= most {
            return kind;
        }
        most *= 4;
    }
    Kind::RawMore
}

/// The kind of a Decimal by its normal text. None: a signaling NaN has no hash.
pub fn of_decimal(text: &[u8]) -> Option<Kind> {
    if text.starts_with(b"sNaN") || text.starts_with(b"-sNaN") {
        return None;
    }
    Some(match text.contains(&b'E') {
        _ if text.len() > DECIMAL_CHARS => Kind::DecimalLong,
        true => Kind::DecimalFar,
        false => Kind::Decimal,
    })
}

/// The way in which a container's parts are hashed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    Keys,
    Members,
    Positions,
}

/// Counts the parts of one container that Python hashes.
#[derive(Clone, Copy)]
pub struct Parts {
    place: u32,
    next: usize,
    how: How,
}

/// There is one for each part of a key. It is small, and allocates only for parts of several kinds.
struct Place {
    times: u32,
    number: u32,
    kind: Kind,
    members: Option<u32>,
    others: Vec<(Kind, u32)>,
    parts: Vec<u32>,
}

impl Place {
    /// Add one part. Returns the nanoseconds of its comparisons in both orders.
    fn add(&mut self, kind: Kind) -> u64 {
        if self.number == 0 {
            self.kind = kind;
        }
        let pairs_with = |other: Kind, number: u32| 2 * u64::from(number) * compared(kind, other);
        let others: u64 = self.others.iter().map(|(other, number)| pairs_with(*other, *number)).sum();
        let pairs = others + pairs_with(self.kind, self.number);
        if kind == self.kind {
            self.number += 1;
        } else {
            match self.others.iter_mut().find(|(other, _)| *other == kind) {
                Some((_, number)) => *number += 1,
                None => self.others.push((kind, 1)),
            }
        }
        u64::from(self.times) * (pairs + OWN[kind as usize]) + 2 * kind.hashing()
    }
}

#[derive(Default)]
pub struct Collisions {
    spent: u64,
    places: Vec<Place>,
}

impl Collisions {
    /// The keys of a dict or members of a set that is not hashed itself. `times`: the number of lookups of each.
    pub fn table(&mut self, times: u32) -> Parts {
        Parts { place: self.place(times), next: 0, how: How::Keys }
    }

    /// Add a part that Python hashes. Returns the counter for its own parts. None: over the limit.
    pub fn add(&mut self, among: &mut Parts, kind: Kind) -> Option<Parts> {
        let (place, kind) = self.place_of(among, kind);
        if let Some(kind) = kind {
            self.spent += self.places[place as usize].add(kind);
        }
        let how = if kind == Some(Kind::FrozenSet) { How::Members } else { How::Positions };
        (self.spent < MOST).then_some(Parts { place, next: 0, how })
    }

    /// The table in which a part is compared, and its kind. Parts with keyed hashes never collide.
    fn place_of(&mut self, among: &mut Parts, kind: Kind) -> (u32, Option<Kind>) {
        if among.how == How::Positions || kind.is_keyed() {
            if among.how == How::Keys {
                return (among.place, None);
            }
            let found = among.how == How::Members && kind == Kind::Text;
            let kind = if kind == Kind::Fixed { Kind::Text } else { kind };
            among.next += 1;
            return (self.part(among.place, among.next - 1), Some(if found { Kind::Found } else { kind }));
        }
        let place = if among.how == How::Keys { among.place } else { self.members(among.place) };
        (place, Some(if kind == Kind::Int { Kind::Met } else { kind }))
    }

    fn place(&mut self, times: u32) -> u32 {
        let (kind, members) = (Kind::Text, None);
        self.places.push(Place { times, number: 0, kind, members, others: Vec::new(), parts: Vec::new() });
        self.places.len() as u32 - 1
    }

    fn part(&mut self, place: u32, index: usize) -> u32 {
        let of = &self.places[place as usize];
        if let Some(known) = of.parts.get(index) {
            return *known;
        }
        let part = self.place(of.times);
        self.places[place as usize].parts.push(part);
        part
    }

    fn members(&mut self, place: u32) -> u32 {
        let of = &self.places[place as usize];
        if let Some(known) = of.members {
            return known;
        }
        let members = self.place(of.times);
        self.places[place as usize].members = Some(members);
        members
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_costs_the_same_in_either_order() {
        assert_eq!(compared(Kind::IntMore, Kind::Decimal), 345_000);
        assert_eq!(compared(Kind::Decimal, Kind::IntMore), 345_000);
        assert_eq!(compared(Kind::Decimal, Kind::DecimalLong), 1_000);
        assert_eq!(compared(Kind::Met, Kind::Met), 3);
        assert_eq!(compared(Kind::DecimalLong, Kind::Met), 130);
        assert_eq!(compared(Kind::Fixed, Kind::Decimal), 330);
        assert_eq!(compared(Kind::Tuple, Kind::Uuid), 180);
    }

    #[test]
    fn sizes_have_their_kinds() {
        assert_eq!(of_text(0), Kind::Fixed);
        assert_eq!(of_text(256), Kind::Text);
        assert_eq!(of_text(257), Kind::Raw1K);
        assert_eq!(of_raw(1 << 20), Kind::Raw1M);
        assert_eq!(of_raw(1 << 24), Kind::RawMore);
        assert_eq!(of_decimal(b"-sNaN12"), None);
        assert_eq!(of_int((1 << 61) - 2), Kind::Int);
        assert_eq!(of_int((1 << 61) - 1), Kind::Int128);
        assert_eq!(of_int(i64::MIN), Kind::Int128);
    }
}
