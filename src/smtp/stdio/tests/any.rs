//! Any client that keeps to RFC 5321, and any octets at all.

use super::*;

fn xorshift(state: &mut u64, below: usize) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (*state % below as u64) as usize
}

/// A client that waits for each reply, says what it likes, and knows RFC 5321 section 4.5.2.
struct Client<'a> {
    state: u64,
    heard: &'a RefCell<Vec<u8>>,
    /// Octets of replies that it has read.
    read: usize,
    pending: Vec<u8>,
    turns: usize,
    /// How it ended its DATA, while a reply to it is awaited.
    line_end: &'static str,
    sent: &'a RefCell<Vec<Vec<u8>>>,
}

impl Client<'_> {
    /// The one reply that there is: its last code.
    fn reply(&mut self) -> [u8; 3] {
        let heard = self.heard.borrow();
        let new = &heard[self.read..];
        self.read = heard.len();
        let text = std::str::from_utf8(new).unwrap();
        let lines: Vec<&str> = text.strip_suffix("\r\n").unwrap().split("\r\n").collect();
        let (last, before) = lines.split_last().unwrap();
        assert!(
            before.iter().all(|line| line.as_bytes()[3] == b'-'),
            "{text:?}"
        );
        assert_eq!(last.as_bytes()[3], b' ', "{text:?}");
        assert!(
            text.len() < 2000
                && text
                    .replace("\r\n", "")
                    .bytes()
                    .all(|o| matches!(o, b' '..=b'~'))
        );
        [last.as_bytes()[0], last.as_bytes()[1], last.as_bytes()[2]]
    }

    fn command(&mut self) -> Vec<u8> {
        const WORDS: &[&str] = &[
            "MAIL FROM:",
            "RCPT TO:",
            "DATA",
            "RSET",
            "HELO",
            "EHLO x",
            "NOOP",
            "VRFY",
            "<a@x>",
            "<bad>",
            "<",
            ">",
            "\"",
            "\\",
            " ",
            "SIZE=1",
            "BODY=8BITMIME",
            "=",
            "ORCPT=a;b",
            "\r",
            "\0",
            "\u{fc}",
            ".",
            "x",
            "NOTIFY=,",
            "AUTH",
            "HELP",
        ];
        let usual = ["MAIL FROM:<a@x>", "RCPT TO:<b@y>", "DATA", "DATA"];
        let mut line = match xorshift(&mut self.state, 4) {
            0 => {
                let count = xorshift(&mut self.state, 6);
                let words = (0..count).map(|_| WORDS[xorshift(&mut self.state, WORDS.len())]);
                words.collect::<String>()
            }
            _ => usual[xorshift(&mut self.state, usual.len())].to_owned(),
        };
        self.line_end = ["\r\n", "\n"][xorshift(&mut self.state, 2)];
        line.push_str(self.line_end);
        line.into_bytes()
    }

    /// Lines of the client's kind, dots doubled by the book; the other kind's line ends are text.
    fn text(&mut self) -> Vec<u8> {
        let parts: &[&str] = match self.line_end {
            "\r\n" => &[".", "..", "x", "\r\n", "\r\n", "\n", "\0", "\u{e9}"],
            _ => &[".", "..", "x", "\n", "\n", "\0", "\u{e9}"],
        };
        let count = xorshift(&mut self.state, 12);
        let plain: String = (0..count)
            .map(|_| parts[xorshift(&mut self.state, parts.len())])
            .collect();
        let plain = plain + self.line_end;
        let mut wire = String::new();
        for line in plain.split_inclusive(self.line_end) {
            wire += if line.starts_with('.') { "." } else { "" };
            wire += line;
        }
        self.sent.borrow_mut().push(plain.into_bytes());
        format!("{wire}.{}", self.line_end).into_bytes()
    }
}

impl Read for Client<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.pending.is_empty() {
            let code = self.reply();
            self.turns += 1;
            self.pending = match &code {
                b"354" => self.text(),
                _ if self.turns > 40 => return Ok(0),
                _ => self.command(),
            };
        }
        let count = self.pending.as_slice().read(buffer)?;
        self.pending.drain(..count);
        Ok(count)
    }
}

struct Ear<'a>(&'a RefCell<Vec<u8>>);

impl Write for Ear<'_> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(octets);
        Ok(octets.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn any_client_gets_one_reply_a_command_and_every_text_arrives_as_it_was() {
    let mut count = 0;
    for seed in 1..3000_u64 {
        let (heard, sent) = (RefCell::default(), RefCell::default());
        let client = Client {
            state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15),
            heard: &heard,
            read: 0,
            pending: Vec::new(),
            turns: 0,
            line_end: "\n",
            sent: &sent,
        };
        let mut taker = Taker::new();
        let buffered = BufReader::with_capacity(1 + seed as usize % 7, client);
        serve(&DOORPLATE, buffered, Ear(&heard), &mut taker).unwrap();
        assert_eq!(taker.texts, *sent.borrow(), "seed {seed}");
        count += taker.texts.len();
    }
    assert!(count > 3000, "{count} texts are too few to say anything");
}

#[test]
fn no_stream_of_octets_makes_the_dialogue_panic_or_its_replies_unreadable() {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let parts: &[&[u8]] = &[
        b"MAIL FROM:<a>",
        b"RCPT TO:<b>",
        b"DATA",
        b"\r\n",
        b"\r\n",
        b"\r\n",
        b"\n",
        b".",
        b"\xff",
        b"\0",
        b"QUIT",
        b" ",
    ];
    for _ in 0..20_000 {
        let count = xorshift(&mut state, 30);
        let input: Vec<u8> = (0..count)
            .flat_map(|_| parts[xorshift(&mut state, parts.len())])
            .copied()
            .collect();
        let capacity = 1 + xorshift(&mut state, 9);
        let reader = BufReader::with_capacity(capacity, input.as_slice());
        let (output, ended) = dialogue(reader, &mut Taker::new());
        codes(&output);
        assert!(ended.is_ok() || ended.is_err_and(|failure| failure.class() == Class::Protocol));
    }
}
