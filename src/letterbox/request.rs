//! The words of a request: what was typed where the message comes from.

use super::{WORDS_MAX, WORDS_SIZE_MAX};
use std::ffi::OsString;
use std::io::{self, BufRead, ErrorKind, Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// Octets of the first line, its end included.
const LINE_MAX: u64 = 64;

const MAGIC: &str = "SM365 1 ";

/// What a sender asks for.
#[derive(Debug, PartialEq, Eq)]
pub struct Request {
    /// The command line, the program's name first.
    pub words: Vec<OsString>,
}

/// Why there is no request.
#[derive(Debug, PartialEq, Eq)]
pub enum Fault {
    /// The sender went away, or said nothing for too long.
    Gone,
    /// These octets are none.
    Malformed(&'static str),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Fault {
        match error.kind() {
            ErrorKind::InvalidData => Fault::Malformed("no request"),
            _ => Fault::Gone,
        }
    }
}

impl Request {
    /// Reads the words; the message begins right behind them.
    pub fn read(input: &mut impl BufRead) -> Result<Request, Fault> {
        let mut line = Vec::new();
        input.take(LINE_MAX).read_until(b'\n', &mut line)?;
        let Some(line) = line.strip_suffix(b"\n") else {
            let whole = line.len() as u64 == LINE_MAX;
            return Err(
                match whole || !MAGIC.as_bytes().starts_with(prefix(&line)) {
                    true => Fault::Malformed("no request"),
                    false => Fault::Gone,
                },
            );
        };
        let (count, size) = numbers(line).ok_or(Fault::Malformed("no request of version 1"))?;
        if count == 0 || count > WORDS_MAX || size > WORDS_SIZE_MAX {
            return Err(Fault::Malformed("too many words, or none"));
        }
        let mut octets = vec![0; size];
        input.read_exact(&mut octets)?;
        let words: Vec<OsString> = octets
            .split(|&octet| octet == 0)
            .map(|word| OsString::from_vec(word.to_vec()))
            .collect();
        match words.len() == count {
            true => Ok(Request { words }),
            false => Err(Fault::Malformed("not so many words as announced")),
        }
    }

    /// Writes the words.
    pub(super) fn write(words: &[OsString], output: &mut impl Write) -> io::Result<()> {
        let octets: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        let octets = octets.join(&0);
        if words.len() > WORDS_MAX || octets.len() > WORDS_SIZE_MAX {
            return Err(io::Error::new(ErrorKind::InvalidInput, "too many words"));
        }
        writeln!(output, "{MAGIC}{} {}", words.len(), octets.len())?;
        output.write_all(&octets)
    }
}

fn prefix(line: &[u8]) -> &[u8] {
    line.get(..MAGIC.len()).unwrap_or(line)
}

fn numbers(line: &[u8]) -> Option<(usize, usize)> {
    let line = std::str::from_utf8(line).ok()?;
    let (count, size) = line.strip_prefix(MAGIC)?.split_once(' ')?;
    let number = |text: &str| {
        let digits = text.bytes().all(|octet| octet.is_ascii_digit());
        digits.then(|| text.parse().ok()).flatten()
    };
    Some((number(count)?, number(size)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(octets: &[u8]) -> Result<Request, Fault> {
        Request::read(&mut &octets[..])
    }

    fn words(words: &[&[u8]]) -> Vec<OsString> {
        words
            .iter()
            .map(|word| OsString::from_vec(word.to_vec()))
            .collect()
    }

    #[test]
    fn words_come_as_they_were_typed_whatever_octets_they_hold() {
        for typed in [
            &[&b"sendmail"[..]][..],
            &[b"/usr/sbin/sendmail", b"-t", b"", b"-f", b"\xff\n"],
            &[b"", b""],
        ] {
            let mut octets = Vec::new();
            Request::write(&words(typed), &mut octets).unwrap();
            octets.extend(b"\0\0\0\0");
            let mut input = &octets[..];
            let request = Request::read(&mut input).unwrap();
            assert_eq!(request.words, words(typed));
            assert_eq!(input, b"\0\0\0\0");
        }
    }

    #[test]
    fn a_request_cut_off_anywhere_is_gone() {
        let mut octets = Vec::new();
        Request::write(&words(&[b"sendmail", b"-t"]), &mut octets).unwrap();
        for length in 0..octets.len() {
            assert_eq!(read(&octets[..length]), Err(Fault::Gone), "{length}");
        }
    }

    #[test]
    fn garbage_is_refused_without_asking_for_memory() {
        for octets in [
            &b"\n"[..],
            b"EHLO x\r\n",
            b"GET / HTTP/1.1\r\n",
            b"SM365 2 1 1\nx",
            b"SM365 1 1\nx",
            b"SM365 1 1 -1\nx",
            b"SM365 1 +1 1\nx",
            b"SM365 1 1 1 \nx",
            b"SM365 1 0 0\n",
            b"SM365 1 1 4294967295\nx",
            b"SM365 1 99999999999999999999 1\nx",
            b"SM365 1 2 3\nabc",
            b"SM365 1 1 3\na\0c",
            &[b'S'; 100],
            &[0; 100],
        ] {
            let fault = read(octets);
            assert!(
                matches!(fault, Err(Fault::Malformed(_))),
                "{octets:?} {fault:?}"
            );
        }
    }

    #[test]
    fn what_no_request_can_hold_is_not_written() {
        let many = vec![OsString::from("x"); WORDS_MAX + 1];
        let large = [OsString::from("x".repeat(WORDS_SIZE_MAX + 1))];
        for words in [&many[..], &large] {
            assert!(Request::write(words, &mut Vec::new()).is_err());
        }
    }
}
