//! Globs on bytes, exactly as `proxy/codec/glob.py` reads them, in time linear in the text.

/// The bytes that are accepted at one place.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Accepted([u64; 4]);

impl Accepted {
    const ANY: Accepted = Accepted([u64::MAX; 4]);
    const NOTHING: Accepted = Accepted([0; 4]);

    fn only(byte: u8) -> Self {
        let mut accepted = Accepted::NOTHING;
        accepted.add(byte);
        accepted
    }

    fn add(&mut self, byte: u8) {
        self.0[usize::from(byte >> 6)] |= 1 << (byte & 63);
    }

    fn others(self) -> Self {
        Accepted(self.0.map(|bits| !bits))
    }

    fn has(self, byte: u8) -> bool {
        self.0[usize::from(byte >> 6)] & 1 << (byte & 63) != 0
    }
}

/// One pattern: the segments between its stars.
pub struct Glob(Vec<Vec<Accepted>>);

impl Glob {
    fn new(pattern: &[u8]) -> Self {
        let mut segments = vec![Vec::new()];
        let mut rest = pattern;
        while let Some((byte, after)) = rest.split_first() {
            rest = after;
            let accepted = match (byte, after.split_first()) {
                (b'*', _) => {
                    segments.push(Vec::new());
                    continue;
                }
                (b'?', _) => Accepted::ANY,
                (b'[', _) => {
                    let (accepted, after) = class(after);
                    rest = after;
                    accepted
                }
                (b'\\', Some((escaped, after))) => {
                    rest = after;
                    Accepted::only(*escaped)
                }
                _ => Accepted::only(*byte),
            };
            if let Some(segment) = segments.last_mut() {
                segment.push(accepted);
            }
        }
        Glob(segments)
    }

    /// A segment is searched for behind the one before, and stays where it is first found.
    fn matches(&self, text: &[u8]) -> bool {
        let (first, others) = match self.0.split_first() {
            Some((first, others)) => (first, others),
            None => return false,
        };
        let (last, middle) = match others.split_last() {
            Some((last, middle)) => (last, middle),
            None => return text.len() == first.len() && fits(first, text),
        };
        if text.len() < first.len() || !fits(first, text) {
            return false;
        }
        let mut rest = &text[first.len()..];
        for segment in middle {
            let found = (0..(rest.len() + 1).saturating_sub(segment.len())).find(|at| fits(segment, &rest[*at..]));
            rest = match found {
                Some(at) => &rest[at + segment.len()..],
                None => return false,
            };
        }
        rest.len() >= last.len() && fits(last, &rest[rest.len() - last.len()..])
    }
}

/// True if a text that is long enough begins with a segment.
fn fits(segment: &[Accepted], text: &[u8]) -> bool {
    segment.iter().zip(text).all(|(accepted, byte)| accepted.has(*byte))
}

/// A `[...]`, from behind its bracket, and the rest. One that never closes ends with the pattern, as in Redis.
fn class(pattern: &[u8]) -> (Accepted, &[u8]) {
    let (negated, mut rest) = match pattern.strip_prefix(b"^") {
        Some(rest) => (true, rest),
        None => (false, pattern),
    };
    let mut accepted = Accepted::NOTHING;
    loop {
        rest = match rest {
            [] => break,
            [b']', after @ ..] => {
                rest = after;
                break;
            }
            [b'\\', escaped, after @ ..] => {
                accepted.add(*escaped);
                after
            }
            [low, b'-', high, after @ ..] => {
                // C's char has a sign, on x86 at least.
                let (low, high) = (*low as i8, *high as i8);
                for byte in low.min(high)..=low.max(high) {
                    accepted.add(byte as u8);
                }
                after
            }
            [byte, after @ ..] => {
                accepted.add(*byte);
                after
            }
        };
    }
    (if negated { accepted.others() } else { accepted }, rest)
}

/// The names of classes that a rule reads.
pub enum ClassNames {
    All,
    Matching(Vec<Glob>),
}

impl ClassNames {
    pub fn new(patterns: &[String]) -> Self {
        if patterns.iter().any(|pattern| pattern == "*") {
            return ClassNames::All;
        }
        ClassNames::Matching(patterns.iter().map(|pattern| Glob::new(pattern.as_bytes())).collect())
    }

    pub fn has(&self, name: &str) -> bool {
        match self {
            ClassNames::All => true,
            ClassNames::Matching(globs) => globs.iter().any(|glob| glob.matches(name.as_bytes())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_redis() {
        for (pattern, text, wanted) in [
            ("shop.*", "shop.Order", true),
            ("shop.*", "shopping.Order", false),
            ("*.Order", "a.b.Order", true),
            ("*a*b", "aab", true),
            ("*a*b", "ba", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("a[b-d]e", "ace", true),
            ("a[d-b]e", "ace", true),
            ("a[^b]", "ab", false),
            ("a[]b", "ab", false),
            ("a\\*", "a*", true),
            ("a\\*", "ab", false),
            ("[a", "a", true),
            ("ab*ba", "aba", false),
            ("*aba*aba*", "ababa", false),
            ("a\\", "a\\", true),
        ] {
            assert_eq!(Glob::new(pattern.as_bytes()).matches(text.as_bytes()), wanted, "{pattern} {text}");
        }
    }

    #[test]
    fn one_pattern_is_enough() {
        let names = ClassNames::new(&["a.*".to_owned(), "b.?".to_owned()]);
        assert!(names.has("a.x") && names.has("b.y") && !names.has("c.z"));
        assert!(ClassNames::new(&["x".to_owned(), "*".to_owned()]).has("c.z"));
        assert!(!ClassNames::new(&[]).has("c.z"));
    }
}
