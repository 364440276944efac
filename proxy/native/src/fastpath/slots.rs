//! The slot of a key: `key_slot` of `proxy/session/slots.py`, which documents it.

const POLYNOMIAL: u16 = 0x1021;
const SLOTS: u16 = 16384;
const TABLE: [u16; 256] = table();

const fn table() -> [u16; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = (byte as u16) << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ POLYNOMIAL };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
}

/// 0 to 16383. A hash tag `{...}` that is not empty stands for the key.
pub fn key_slot(key: &[u8]) -> u16 {
    let crc = tag(key).iter().fold(0u16, |crc, byte| (crc << 8) ^ TABLE[usize::from((crc >> 8) as u8 ^ byte)]);
    crc % SLOTS
}

fn tag(key: &[u8]) -> &[u8] {
    let rest = match key.iter().position(|byte| *byte == b'{') {
        Some(at) => &key[at + 1..],
        None => return key,
    };
    match rest.iter().position(|byte| *byte == b'}') {
        Some(end) if end > 0 => &rest[..end],
        _ => key,
    }
}

#[cfg(test)]
mod tests {
    use super::key_slot;

    #[test]
    fn keys_have_the_slots_that_redis_gives_them() {
        let keys: [(&[u8], u16); 8] = [
            (b"", 0),
            (b"123456789", 12739),
            (b"foo", 12182),
            (b"{foo}bar", 12182),
            (b"a{foo}{b}", 12182),
            (b"{}foo", 9500),
            (b"foo{", 7673),
            (b"}{foo}", 12182),
        ];
        for (key, slot) in keys {
            assert_eq!((key, key_slot(key)), (key, slot));
        }
    }
}
