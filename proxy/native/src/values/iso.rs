//! ISO 8601 dates and times as `isoformat()` writes them, and `Z`. Other spellings are left to Python.

/// Year, month, day.
pub type Date = (u16, u8, u8);
/// Hour, minute, second, microsecond.
pub type Time = (u8, u8, u8, u32);

/// `2024-05-06`
pub fn date(text: &[u8]) -> Option<Date> {
    match text {
        [year @ .., b'-', a, b, b'-', c, d] if year.len() == 4 => {
            let (year, month, day) = (number(year)?, number(&[*a, *b])?, number(&[*c, *d])?);
            let packed = [(year >> 8) as u8, year as u8, month as u8, day as u8];
            crate::values::dates::date(&packed)?; // the day exists
            Some((year as u16, month as u8, day as u8))
        }
        _ => None,
    }
}

/// `07:08:09`, `07:08:09.123`, `07:08:09.123456`, and an offset in microseconds.
pub fn time(text: &[u8]) -> Option<(Time, Option<i64>)> {
    let at = text.iter().position(|byte| matches!(byte, b'+' | b'-' | b'Z'));
    let (clock, offset) = text.split_at(at.unwrap_or(text.len()));
    let time = clock_of(clock)?;
    let offset = match offset.split_first() {
        None => None,
        Some((b'Z', [])) => Some(0),
        Some((sign @ (b'+' | b'-'), rest)) => {
            let (hour, minute, second, microsecond) = match rest.len() {
                5 => clock_of(&[rest, b":00"].concat())?,
                8 | 15 => clock_of(rest)?,
                _ => return None,
            };
            let seconds = i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second);
            if seconds == 0 && rest.len() == 15 {
                return None; // Python would take it for UTC
            }
            let size = seconds * 1_000_000 + i64::from(microsecond);
            Some(if *sign == b'-' { -size } else { size })
        }
        _ => return None,
    };
    Some((time, offset))
}

/// A date and a time with a `T` between them.
pub fn datetime(text: &[u8]) -> Option<(Date, Time, Option<i64>)> {
    if text.get(10) != Some(&b'T') {
        return None;
    }
    let (time, offset) = time(&text[11..])?;
    Some((date(&text[..10])?, time, offset))
}

fn clock_of(text: &[u8]) -> Option<Time> {
    let (clock, fraction) = match text.get(8) {
        None => (text, &b""[..]),
        Some(b'.') if text.len() == 12 || text.len() == 15 => (&text[..8], &text[9..]),
        Some(_) => return None,
    };
    match clock {
        [a, b, b':', c, d, b':', e, f] => {
            let (hour, minute, second) = (number(&[*a, *b])?, number(&[*c, *d])?, number(&[*e, *f])?);
            let microsecond = match fraction.len() {
                0 => 0,
                3 => number(fraction)? * 1000,
                _ => number(fraction)?,
            };
            (hour < 24 && minute < 60 && second < 60).then_some((hour as u8, minute as u8, second as u8, microsecond))
        }
        _ => None,
    }
}

fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + u32::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_isoformat_writes_is_read() {
        assert_eq!(
            datetime(b"2024-02-29T07:08:09.000120-01:30"),
            Some(((2024, 2, 29), (7, 8, 9, 120), Some(-5_400_000_000)))
        );
        assert_eq!(time(b"07:08:09Z"), Some(((7, 8, 9, 0), Some(0))));
        for text in ["2023-02-29", "0000-01-01", "2024-1-01", "20240101", "2024-01-01T", "+024-01-01"] {
            assert_eq!(date(text.as_bytes()), None, "{}", text);
        }
        for text in ["24:00:00", "07:08", "07:08:09.1", "07:08:09+24:00", "07:08:09+00:00:00.000001", "07:08:09+1"] {
            assert_eq!(time(text.as_bytes()), None, "{}", text);
        }
    }
}
