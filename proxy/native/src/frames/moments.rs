//! datetime64 and timedelta64: text and seconds from integers, as in `proxy/codec/frames/moments.py`.

use std::io::Write;

use crate::frames::dtypes::{DType, Unit};
use crate::values::dates::write_offset;

/// Not a time: the missing value.
pub const NAT: i64 = i64::MIN;
const DAY: i64 = 86_400;
const SECOND: i64 = 1_000_000;
const DAYS_TO_1970: i128 = 719_468;
const DAYS_OF_400_YEARS: i128 = 146_097;
/// Powers of ten up to this one are exact doubles, and fit into 64 bits.
const POWERS: [i64; 19] = {
    let mut powers = [1i64; 19];
    let mut at = 1;
    while at < 19 {
        powers[at] = powers[at - 1] * 10;
        at += 1;
    }
    powers
};
/// A day of finer units than microseconds times a million does not fit into 64 bits.
const FAST_DECIMALS: u8 = 12;
/// Ints up to this one are exact doubles.
const EXACT: u128 = 1 << 53;

/// Spells the datetimes of one dtype.
pub struct Speller {
    unit: Unit,
    step: i128,
    /// Seconds to add, and the text of the offset.
    offset: (i128, Vec<u8>),
    /// The last day that was spelled, and its date.
    day: i128,
    date: Vec<u8>,
}

impl Speller {
    /// `offset`: from UTC in microseconds. With it, the times are UTC and the texts are local times.
    pub fn new(dtype: DType, offset: Option<i64>) -> Self {
        let offset = offset.map_or((0, Vec::new()), |offset| {
            let mut text = Vec::new();
            write_offset(&mut text, offset);
            (i128::from(offset / SECOND), text)
        });
        Speller { unit: dtype.unit, step: i128::from(dtype.step), offset, day: i128::MIN, date: Vec::new() }
    }

    /// True if its texts have a time of day.
    pub fn has_time(&self) -> bool {
        matches!(self.unit, Unit::Hour | Unit::Minute | Unit::Second(_))
    }

    /// The text of a time that is not missing, in ISO 8601. None: the unit says no time.
    pub fn spell(&mut self, value: i64, out: &mut Vec<u8>) -> Option<()> {
        out.clear();
        let count = i128::from(value) * self.step;
        match self.unit {
            Unit::Generic => return None,
            Unit::Year => year(1970 + count, out),
            Unit::Month => {
                year(1970 + count.div_euclid(12), out);
                out.push(b'-');
                two(count.rem_euclid(12) as u32 + 1, out);
            }
            Unit::Week => date(7 * count, out),
            Unit::Day => date(count, out),
            Unit::Hour => {
                self.write_day(count.div_euclid(24), out);
                two(count.rem_euclid(24) as u32, out);
            }
            Unit::Minute => {
                self.write_day(count.div_euclid(1440), out);
                minutes(count.rem_euclid(1440) as u32, out);
            }
            Unit::Second(decimals) => self.seconds(count, decimals, out),
        }
        Some(())
    }

    fn seconds(&mut self, count: i128, decimals: u8, out: &mut Vec<u8>) {
        let per_second = POWERS[usize::from(decimals)];
        let count = count + self.offset.0 * i128::from(per_second);
        let (day, rest) = match i64::try_from(count) {
            Ok(count) if decimals <= FAST_DECIMALS => {
                let per_day = DAY * per_second;
                (i128::from(count.div_euclid(per_day)), i128::from(count.rem_euclid(per_day)))
            }
            _ => {
                let per_day = i128::from(DAY) * i128::from(per_second);
                (count.div_euclid(per_day), count.rem_euclid(per_day))
            }
        };
        self.write_day(day, out);
        let (second, fraction) = split(rest, per_second);
        minutes(second / 60, out);
        out.push(b':');
        two(second % 60, out);
        if decimals > 0 {
            out.push(b'.');
            let start = out.len();
            out.resize(start + usize::from(decimals), b'0');
            let mut fraction = fraction;
            for place in out[start..].iter_mut().rev() {
                *place = b'0' + (fraction % 10) as u8;
                fraction /= 10;
            }
        }
        out.extend_from_slice(&self.offset.1);
    }

    /// The date and a T. Most times of a column are near each other.
    fn write_day(&mut self, day: i128, out: &mut Vec<u8>) {
        if day != self.day {
            self.day = day;
            self.date.clear();
            date(day, &mut self.date);
            self.date.push(b'T');
        }
        out.extend_from_slice(&self.date);
    }
}

/// The second of a day, and the parts of a second.
fn split(rest: i128, per_second: i64) -> (u32, i64) {
    match i64::try_from(rest) {
        Ok(rest) => ((rest / per_second) as u32, rest % per_second),
        Err(_) => ((rest / i128::from(per_second)) as u32, (rest % i128::from(per_second)) as i64),
    }
}

fn minutes(minute: u32, out: &mut Vec<u8>) {
    two(minute / 60, out);
    out.push(b':');
    two(minute % 60, out);
}

fn two(number: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(&[b'0' + (number / 10) as u8, b'0' + (number % 10) as u8]);
}

/// At least four digits, the sign included.
fn year(year: i128, out: &mut Vec<u8>) {
    let _ = write!(out, "{year:04}");
}

/// The date so many days after 1970-01-01. Source: the cycle of 400 years of the Gregorian calendar.
fn date(days: i128, out: &mut Vec<u8>) {
    let days = days + DAYS_TO_1970;
    let (cycle, day) = (days.div_euclid(DAYS_OF_400_YEARS), days.rem_euclid(DAYS_OF_400_YEARS) as i64);
    let of_cycle = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * of_cycle + of_cycle / 4 - of_cycle / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5;
    year(i128::from(of_cycle + i64::from(month >= 10)) + 400 * cycle, out);
    out.push(b'-');
    two(((month + 2) % 12 + 1) as u32, out);
    out.push(b'-');
    two(day as u32 + 1, out);
}

/// The seconds of a timedelta64.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Seconds {
    /// Months and years have no one length: their count.
    Count(i64),
    Seconds(f64),
}

/// The seconds of a timedelta64 that is not NaT.
pub fn seconds(value: i64, dtype: DType) -> Seconds {
    let count = i128::from(value) * i128::from(dtype.step);
    let factor = match dtype.unit {
        Unit::Second(decimals) => return Seconds::Seconds(quotient(count, decimals)),
        Unit::Minute => 60,
        Unit::Hour => 3600,
        Unit::Day => 86_400,
        Unit::Week => 7 * 86_400,
        Unit::Generic | Unit::Year | Unit::Month => {
            return match i64::try_from(count) {
                Ok(count) => Seconds::Count(count),
                Err(_) => Seconds::Seconds(count as f64),
            }
        }
    };
    Seconds::Seconds((count * factor) as f64)
}

/// The double that is nearest to a quotient by a power of ten.
fn quotient(count: i128, decimals: u8) -> f64 {
    let power = POWERS[usize::from(decimals)];
    if count.unsigned_abs() <= EXACT {
        return count as f64 / power as f64;
    }
    // Reading decimal text rounds once, as Python's division of ints does.
    let sign = if count < 0 { "-" } else { "" };
    let (whole, fraction) = (count.unsigned_abs() / power as u128, count.unsigned_abs() % power as u128);
    match decimals {
        0 => format!("{sign}{whole}").parse().unwrap_or(0.0),
        _ => format!("{sign}{whole}.{fraction:0width$}", width = usize::from(decimals)).parse().unwrap_or(0.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spelled(value: i64, unit: Unit) -> String {
        let mut out = Vec::new();
        Speller::new(DType::of_unit(unit), None).spell(value, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn times_are_spelled_with_the_digits_of_their_unit() {
        assert_eq!(spelled(-1, Unit::Second(9)), "1969-12-31T23:59:59.999999999");
        assert_eq!(spelled(1 << 62, Unit::Second(0)), "146138514283-06-19T07:45:04");
        assert_eq!(spelled(19_782, Unit::Day), "2024-02-29");
        assert_eq!(spelled(-24_000, Unit::Month), "-030-01");
        assert_eq!(spelled(7, Unit::Second(18)), "1970-01-01T00:00:00.000000000000000007");
        assert_eq!(spelled(0, Unit::Generic), "");
    }

    #[test]
    fn spans_are_the_nearest_doubles() {
        let of = |value, unit| seconds(value, DType::of_unit(unit));
        assert_eq!(of(1, Unit::Second(9)), Seconds::Seconds(1e-9));
        assert_eq!(of(i64::MAX, Unit::Second(9)), Seconds::Seconds(9_223_372_036.854_776));
        assert_eq!(of(-1, Unit::Week), Seconds::Seconds(-604_800.0));
        assert_eq!(of(5, Unit::Year), Seconds::Count(5));
    }
}
