//! What the sender of a message is told: the status it ends with, and what it says.

use std::io::{self, ErrorKind, Read, Write};

/// Most octets of the text; `-v` shows a dialogue of a few KiB.
const TEXT_MAX: usize = 64 * 1024;

/// The answer to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    pub status: u8,
    /// Lines for standard error.
    pub lines: Vec<String>,
}

impl Reply {
    /// Writes it, as much of the text as there may be.
    pub fn write(&self, output: &mut impl Write) -> io::Result<()> {
        let mut text = format!("exit {}\n", self.status);
        for line in &self.lines {
            if text.len() + line.len() >= TEXT_MAX {
                break;
            }
            text.push_str(line);
            text.push('\n');
        }
        output.write_all(text.as_bytes())
    }

    /// Reads it to the end of the connection; none if there is not a whole one.
    pub(super) fn read(input: &mut impl Read) -> io::Result<Option<Reply>> {
        let mut octets = Vec::new();
        let read = input.take(TEXT_MAX as u64).read_to_end(&mut octets);
        match Reply::parse(&octets) {
            Some(reply) => Ok(Some(reply)),
            None => read.map(|_| None),
        }
    }

    fn parse(octets: &[u8]) -> Option<Reply> {
        let text = String::from_utf8_lossy(octets);
        let (first, rest) = text.split_once('\n')?;
        let status = first.strip_prefix("exit ")?.parse().ok()?;
        // Whoever answers is trusted; a terminal is not his to write to all the same.
        let harmless = |line: &str| line.replace(|c: char| c.is_control(), "?");
        Some(Reply {
            status,
            lines: rest.lines().map(harmless).collect(),
        })
    }
}

/// Whether an error means that the other side closed without reading all that it was sent.
pub(super) fn is_unread(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_and_text_come_back() {
        for (status, lines) in [
            (0, vec![]),
            (75, vec!["a: b: c".to_owned(), "d".to_owned()]),
        ] {
            let reply = Reply { status, lines };
            let mut octets = Vec::new();
            reply.write(&mut octets).unwrap();
            assert_eq!(Reply::read(&mut &octets[..]).unwrap(), Some(reply));
        }
    }

    #[test]
    fn no_answer_is_none_and_never_a_success() {
        for octets in [
            "",
            "exit",
            "exit 0",
            "exit \n",
            "exit 256\n",
            "exit -1\n",
            "0\n",
        ] {
            assert_eq!(
                Reply::read(&mut octets.as_bytes()).unwrap(),
                None,
                "{octets}"
            );
        }
    }

    #[test]
    fn a_text_is_cut_and_reaches_no_terminal() {
        let lines = vec!["x".repeat(1000); 100];
        let mut octets = Vec::new();
        Reply { status: 1, lines }.write(&mut octets).unwrap();
        assert!(octets.len() <= TEXT_MAX && octets.len() > TEXT_MAX - 1002);
        let reply = Reply::read(&mut &b"exit 1\n\x1b[2J\r\n"[..])
            .unwrap()
            .unwrap();
        assert_eq!(reply.lines, ["?[2J"]);
    }
}
