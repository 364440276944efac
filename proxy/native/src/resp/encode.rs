//! Encodes the parts of requests and replies, as `proxy/resp/encode.py`.

/// Of any number.
pub const MAX_DIGITS: usize = 20;

#[inline]
pub fn bulk(out: &mut Vec<u8>, payload: &[u8]) {
    header(out, b'$', payload.len());
    out.extend_from_slice(payload);
    out.extend_from_slice(b"\r\n");
}

#[inline]
pub fn header(out: &mut Vec<u8>, kind: u8, number: usize) {
    out.push(kind);
    let mut digits = [0; MAX_DIGITS];
    out.extend_from_slice(spelled(number, &mut digits));
    out.extend_from_slice(b"\r\n");
}

/// Write a number in decimal.
#[inline]
pub fn spelled(mut number: usize, digits: &mut [u8; MAX_DIGITS]) -> &[u8] {
    let mut first = MAX_DIGITS;
    loop {
        first -= 1;
        digits[first] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return &digits[first..];
        }
    }
}
