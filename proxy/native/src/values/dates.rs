//! Dates and times in CPython's pickles, and their ISO 8601 texts like `isoformat()`.

use std::io::Write;

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;
const HOUR: i64 = 3_600 * SECOND;
const MOST_DAYS: i128 = 999_999_999;

/// A timedelta in its normal form: days, seconds below a day, microseconds below a second.
pub fn timedelta(days: i64, seconds: i64, microseconds: i64) -> Option<(i32, u32, u32)> {
    let total =
        i128::from(days) * i128::from(DAY) + i128::from(seconds) * i128::from(SECOND) + i128::from(microseconds);
    let whole = total.div_euclid(i128::from(DAY));
    let rest = total.rem_euclid(i128::from(DAY)) as i64;
    if whole.abs() > MOST_DAYS {
        return None;
    }
    Some((whole as i32, (rest / SECOND) as u32, (rest % SECOND) as u32))
}

/// The offset from UTC that a timedelta gives a timezone, in microseconds.
pub fn offset(days: i32, seconds: u32, microseconds: u32) -> Option<i64> {
    let total = i64::from(days) * DAY + i64::from(seconds) * SECOND + i64::from(microseconds);
    (total.abs() < DAY && (total == 0 || total.abs() >= SECOND)).then_some(total)
}

/// The offset in microseconds of a zone with a fixed offset in its name.
pub fn fixed_offset(name: &str) -> Option<i64> {
    const UTC: [&str; 9] = ["UTC", "UCT", "Universal", "Zulu", "GMT", "GMT0", "GMT+0", "GMT-0", "Greenwich"];
    if UTC.contains(&name.strip_prefix("Etc/").unwrap_or(name)) {
        return Some(0);
    }
    let west = name.strip_prefix("Etc/GMT")?; // POSIX offsets have the opposite sign
    (-12..=14).find(|hours| *hours != 0 && west == format!("{:+}", -hours)).map(|hours| hours * HOUR)
}

/// A timedelta in seconds: the nearest double, as `total_seconds()`.
pub fn total_seconds(days: i32, seconds: u32, microseconds: u32) -> f64 {
    let total =
        i128::from(days) * i128::from(DAY) + i128::from(seconds) * i128::from(SECOND) + i128::from(microseconds);
    let sign = if total < 0 { "-" } else { "" };
    let (whole, fraction) = (total.unsigned_abs() / SECOND as u128, total.unsigned_abs() % SECOND as u128);
    // Reading decimal text rounds once, as Python's division of ints does.
    format!("{}{}.{:06}", sign, whole, fraction).parse().unwrap_or(0.0)
}

fn days_of(year: u32, month: u32) -> u32 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// `%04d-%02d-%02d` of a packed date, if the day exists.
pub fn date(packed: &[u8]) -> Option<Vec<u8>> {
    let (year, month, day) = match packed {
        [high, low, month, day] => (u32::from(*high) << 8 | u32::from(*low), u32::from(*month), u32::from(*day)),
        _ => return None,
    };
    let exists = (1..=9999).contains(&year) && (1..=12).contains(&month) && (1..=days_of(year, month)).contains(&day);
    exists.then(|| format!("{:04}-{:02}-{:02}", year, month, day).into_bytes())
}

/// `%H:%M:%S` of a packed time, with microseconds if not 0, and with the offset if there is one.
pub fn time(packed: &[u8], zone: Option<i64>) -> Option<Vec<u8>> {
    let (hour, minute, second, microsecond) = match packed {
        [hour, minute, second, a, b, c] => {
            (*hour, *minute, *second, u32::from(*a) << 16 | u32::from(*b) << 8 | u32::from(*c))
        }
        _ => return None,
    };
    if hour > 23 || minute > 59 || second > 59 || microsecond > 999_999 {
        return None;
    }
    let mut out = format!("{:02}:{:02}:{:02}", hour, minute, second).into_bytes();
    if microsecond > 0 {
        let _ = write!(out, ".{:06}", microsecond);
    }
    if let Some(offset) = zone {
        write_offset(&mut out, offset);
    }
    Some(out)
}

pub fn write_offset(out: &mut Vec<u8>, offset: i64) {
    let (sign, rest) = (if offset < 0 { '-' } else { '+' }, offset.abs());
    let (minutes, seconds, fraction) = (rest / (60 * SECOND), rest / SECOND % 60, rest % SECOND);
    let _ = write!(out, "{}{:02}:{:02}", sign, minutes / 60, minutes % 60);
    if seconds > 0 || fraction > 0 {
        let _ = write!(out, ":{:02}", seconds);
    }
    if fraction > 0 {
        let _ = write!(out, ".{:06}", fraction);
    }
}

/// The text of a packed datetime. The high bit of the month is `fold`, which the text does not have.
pub fn datetime(packed: &[u8], zone: Option<i64>) -> Option<Vec<u8>> {
    if packed.len() != 10 {
        return None;
    }
    let mut out = date(&[packed[0], packed[1], packed[2] & 0x7f, packed[3]])?;
    out.push(b'T');
    out.extend_from_slice(&time(&packed[4..], zone)?);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datetimes_read_as_isoformat_writes_them() {
        let packed = [0x07, 0xe8, 2, 29, 13, 5, 9, 0, 0, 7];
        assert_eq!(datetime(&packed, None).unwrap(), b"2024-02-29T13:05:09.000007");
        assert_eq!(datetime(&packed, Some(-5_400_000_000)).unwrap(), b"2024-02-29T13:05:09.000007-01:30");
        assert_eq!(datetime(&[0x07, 0xe7, 2, 29, 0, 0, 0, 0, 0, 0], None), None);
    }

    #[test]
    fn timedeltas_have_one_normal_form() {
        assert_eq!(timedelta(0, -1, 0), Some((-1, 86_399, 0)));
        assert_eq!(timedelta(1_000_000_000, 0, 0), None);
        assert_eq!(timedelta(1_000_000_000, -1, 0), Some((999_999_999, 86_399, 0)));
        assert_eq!(total_seconds(-1, 86_399, 500_000), -0.5);
    }
}
