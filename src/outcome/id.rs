//! The name of a submission.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

/// Name of one submission in the log, in Received and later in the queue.
///
/// Arrival in microseconds, then 64 random bits, in base-32 digits that sort as the numbers do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct QueueId(String);

impl QueueId {
    /// Names a submission that arrived at `arrival`.
    pub fn new(arrival: SystemTime, random: u64) -> QueueId {
        let micros = arrival
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_micros();
        let micros = u64::try_from(micros).unwrap_or(u64::MAX);
        QueueId(format!("{}-{}", base32(micros), base32(random)))
    }

    /// Reads a name as `Display` writes it; everything else is none.
    pub fn parse(text: &str) -> Option<QueueId> {
        let (micros, random) = text.split_once('-')?;
        let whole = from_base32(micros).is_some() && from_base32(random).is_some();
        whole.then(|| QueueId(text.to_owned()))
    }

    /// The same arrival under another name.
    pub fn renamed(&self, random: u64) -> QueueId {
        let micros = self.0.split('-').next().unwrap_or_default();
        QueueId(format!("{micros}-{}", base32(random)))
    }

    /// When it arrived, in seconds since 1970.
    pub fn arrival_seconds(&self) -> u64 {
        let micros = self.0.split('-').next().and_then(from_base32);
        micros.unwrap_or(0) / 1_000_000
    }
}

impl fmt::Display for QueueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn base32(number: u64) -> String {
    const DIGITS: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";
    let digit = |place: u32| char::from(DIGITS[(number >> (5 * place) & 31) as usize]);
    (0..13).rev().map(digit).collect()
}

fn from_base32(digits: &str) -> Option<u64> {
    let digit = |number: u64, octet: u8| {
        let value = match octet {
            b'0'..=b'9' => octet - b'0',
            b'a'..=b'v' => octet - b'a' + 10,
            _ => return None,
        };
        number.checked_mul(32)?.checked_add(value.into())
    };
    let whole = digits.len() == 13;
    whole.then(|| digits.bytes().try_fold(0, digit)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn ids_sort_by_arrival() {
        let early = QueueId::new(UNIX_EPOCH + Duration::from_secs(1), u64::MAX);
        let late = QueueId::new(UNIX_EPOCH + Duration::from_secs(2), 0);
        assert!(early.to_string() < late.to_string());
        assert_eq!(early.to_string().len(), 27);
    }

    #[test]
    fn only_an_id_is_read_as_one() {
        for random in [0, 1, 0x0123_4567_89ab_cdef, u64::MAX] {
            let id = QueueId::new(
                UNIX_EPOCH + Duration::from_millis(1_795_320_387_999),
                random,
            );
            assert_eq!(QueueId::parse(&id.to_string()), Some(id.clone()));
            assert_eq!(id.arrival_seconds(), 1_795_320_387);
            assert_eq!(id.renamed(5).arrival_seconds(), 1_795_320_387);
            assert_eq!(QueueId::parse(&id.renamed(random).to_string()), Some(id));
        }
        let id = QueueId::new(UNIX_EPOCH, 7).to_string();
        let odd = [
            "".to_owned(),
            "-".to_owned(),
            format!("{id}0"),
            format!("{id}-"),
            format!("../{id}"),
            id.to_uppercase().replace('0', "W"),
            id.replacen('0', "g", 1),
        ];
        for text in odd {
            assert_eq!(QueueId::parse(&text), None, "{text}");
        }
    }
}
