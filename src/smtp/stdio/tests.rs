//! The dialogue over octets, row by row, and any dialogue at all.

use super::*;
use std::cell::RefCell;
use std::io::{self, BufReader, Read};

/// Refuses `bad` and keeps everything else.
#[derive(Default)]
struct Taker {
    letters: Vec<Letter>,
    texts: Vec<Vec<u8>>,
    /// Answers to messages before the usual one.
    answers: Vec<Answer>,
    reads: bool,
}

impl Taker {
    fn new() -> Taker {
        Taker {
            reads: true,
            ..Taker::default()
        }
    }
}

impl Clerk for Taker {
    fn sender(&mut self, sender: &Party) -> Result<(), Answer> {
        match sender.path.as_slice() {
            b"<bad>" => Err(Answer::new(501, "5.1.7", "bad")),
            _ => Ok(()),
        }
    }

    fn recipient(&mut self, _: &Letter, recipient: &Party) -> Result<(), Answer> {
        match recipient.path.as_slice() {
            b"<bad>" => Err(Answer::new(550, "5.1.1", "nobody\r\n250 ok")),
            _ => Ok(()),
        }
    }

    fn message(&mut self, letter: &Letter, text: &mut dyn BufRead) -> Answer {
        let mut octets = Vec::new();
        if self.reads && text.read_to_end(&mut octets).is_ok() {
            self.texts.push(octets);
            self.letters.push(letter.clone());
        }
        self.answers
            .pop()
            .unwrap_or(Answer::new(250, "2.0.0", "ok"))
    }
}

const DOORPLATE: Doorplate<'_> = Doorplate {
    name: "web1.x.test",
    size_max: 1000,
};

fn dialogue(input: impl BufRead, clerk: &mut Taker) -> (String, Result<(), Failure>) {
    let mut output = Vec::new();
    let ended = serve(&DOORPLATE, input, &mut output, clerk);
    (String::from_utf8(output).unwrap(), ended)
}

/// The codes of the replies, banner first, one a line.
fn codes(output: &str) -> Vec<&str> {
    assert!(output.ends_with("\r\n"));
    let lines = output.split_terminator("\r\n");
    let last = lines.filter(|line| line.as_bytes().get(3) == Some(&b' '));
    last.map(|line| &line[..3]).collect()
}

/// Codes of the answers to lines, the banner left out.
fn asked(lines: &str) -> String {
    let (output, ended) = dialogue(lines.as_bytes(), &mut Taker::new());
    ended.unwrap();
    codes(&output)[1..].join(" ")
}

/// The texts that arrive out of a dialogue that was prepared as a whole.
fn texts(input: &[u8]) -> Vec<String> {
    let mut taker = Taker::new();
    let (_, ended) = dialogue(input, &mut taker);
    ended.unwrap();
    let texts = taker.texts.into_iter();
    texts.map(|text| String::from_utf8(text).unwrap()).collect()
}

fn sent(data: &str, text: &str) -> String {
    let mut found = texts(format!("MAIL FROM:<a>\r\nRCPT TO:<b>\r\n{data}{text}").as_bytes());
    assert_eq!(found.len(), 1, "{text:?}");
    found.remove(0)
}

#[test]
fn the_banner_comes_before_anything_is_said() {
    let (output, ended) = dialogue(&b""[..], &mut Taker::new());
    assert_eq!(output, "220 web1.x.test ESMTP\r\n");
    assert!(ended.is_ok());
}

#[test]
fn ehlo_lists_what_there_is_and_helo_does_not() {
    let (output, _) = dialogue(
        &b"EHLO [127.0.0.1]\r\nHELO\r\nQUIT\r\n"[..],
        &mut Taker::new(),
    );
    let lines: Vec<&str> = output.split("\r\n").collect();
    let offers = [
        "250-web1.x.test",
        "250-PIPELINING",
        "250-8BITMIME",
        "250-SMTPUTF8",
        "250-SIZE 1000",
        "250-DSN",
        "250-ENHANCEDSTATUSCODES",
        "250 HELP",
    ];
    assert_eq!(lines[1..9], offers);
    assert_eq!(lines[9], "250 web1.x.test");
    assert_eq!(lines[10], "221 2.0.0 goodbye");
}

#[test]
fn every_command_has_its_reply() {
    for (line, code) in [
        ("HELO", "250"),
        ("helo [127.0.0.1]", "250"),
        ("EHLO x y \"z", "250"),
        ("MAIL FROM:<a@x.test>", "250"),
        ("mail from: <a@x.test>", "250"),
        ("MAIL FROM:a@x.test", "250"),
        ("MAIL FROM:<>", "250"),
        ("MAIL FROM:root", "250"),
        ("MAIL FROM:<\"a> b\"@x.test> SIZE=1000", "250"),
        ("MAIL FROM:<bad>", "501"),
        ("MAIL FROM:", "501"),
        ("MAIL FROM:<a", "501"),
        ("MAIL FROM:<a>x", "501"),
        ("MAIL TO:<a>", "501"),
        ("MAIL", "501"),
        ("MAIL FROM:<a> SIZE=1001", "552"),
        ("MAIL FROM:<a> SIZE=99999999999999999999", "552"),
        ("RCPT TO:<a>", "503"),
        ("RCPT TO:", "501"),
        ("DATA", "503"),
        ("DATA x", "501"),
        ("RSET", "250"),
        ("NOOP and more", "250"),
        ("VRFY root", "252"),
        ("HELP", "214"),
        ("HELP MAIL", "214"),
        ("QUIT", "221"),
        ("EXPN list", "502"),
        ("ETRN x", "502"),
        ("AUTH PLAIN AGEAYg==", "502"),
        ("STARTTLS", "502"),
        ("BDAT 3 LAST", "500"),
        ("Subject: x", "500"),
        ("", "500"),
        ("NOOP\0", "501"),
        ("RCPT TO:<a\rRCPT TO:<b>", "501"),
        ("MAIL FROM:<a\t>", "501"),
    ] {
        assert_eq!(asked(&format!("{line}\r\n")), code, "{line}");
        assert_eq!(asked(&format!("{line}\n")), code, "{line}");
        assert_eq!(asked(&format!("{line}\r\r\n")), code, "{line}");
    }
}

#[test]
fn parameters_are_taken_if_they_are_known_and_well_formed() {
    for (line, code) in [
        ("MAIL FROM:<a> SIZE=10 BODY=8bitmime SMTPUTF8", "250"),
        ("MAIL FROM:<a>  BODY=7BIT ret=hdrs ENVID=a+3D", "250"),
        ("MAIL FROM:<a> RET=FULL", "250"),
        ("MAIL FROM:<a> SIZE=", "501"),
        ("MAIL FROM:<a> SIZE=1x", "501"),
        ("MAIL FROM:<a> SIZE", "501"),
        ("MAIL FROM:<a> BODY=BINARYMIME", "501"),
        ("MAIL FROM:<a> SMTPUTF8=1", "501"),
        ("MAIL FROM:<a> RET=SOME", "501"),
        ("MAIL FROM:<a> ENVID=a+3d", "501"),
        ("MAIL FROM:<a> ENVID=", "501"),
        ("MAIL FROM:<a> AUTH=<>", "555"),
        ("MAIL FROM:<a> NOTIFY=NEVER", "555"),
        ("MAIL FROM:<a> =x", "555"),
        ("MAIL FROM:<a> \u{fc}=x", "555"),
        (
            "MAIL FROM:<a>\r\nRCPT TO:<b> NOTIFY=NEVER ORCPT=rfc822;b@x.test",
            "250 250",
        ),
        (
            "MAIL FROM:<a>\r\nRCPT TO:<b> NOTIFY=success,DELAY",
            "250 250",
        ),
        (
            "MAIL FROM:<a>\r\nRCPT TO:<b> ORCPT=utf-8;j\u{f6}rg@x.test",
            "250 250",
        ),
        ("MAIL FROM:<a>\r\nRCPT TO:<b> NOTIFY=NEVER,DELAY", "250 501"),
        ("MAIL FROM:<a>\r\nRCPT TO:<b> NOTIFY", "250 501"),
        ("MAIL FROM:<a>\r\nRCPT TO:<b> ORCPT=b@x.test", "250 501"),
        ("MAIL FROM:<a>\r\nRCPT TO:<b> SIZE=1", "250 555"),
    ] {
        assert_eq!(asked(&format!("{line}\r\n")), code, "{line}");
    }
}

#[test]
fn an_envelope_is_begun_once_and_forgotten_by_rset_and_helo() {
    let mail = "MAIL FROM:<a>\r\n";
    assert_eq!(asked(&format!("{mail}{mail}")), "250 503");
    for forget in ["RSET\r\n", "HELO x\r\n", "EHLO x\r\n"] {
        assert_eq!(asked(&format!("{mail}{forget}{mail}")), "250 250 250");
        assert_eq!(
            asked(&format!("{mail}{forget}RCPT TO:<b>\r\n")),
            "250 250 503"
        );
    }
    assert_eq!(asked("MAIL FROM:<bad>\r\nMAIL FROM:<a>\r\n"), "501 250");
    assert_eq!(
        asked(&format!("{mail}DATA\r\nRCPT TO:<b>\r\n")),
        "250 503 250"
    );
    let refused = format!("{mail}RCPT TO:<bad>\r\nDATA\r\n");
    assert_eq!(asked(&refused), "250 550 503");
}

#[test]
fn a_message_comes_with_its_envelope_and_without_a_refused_recipient() {
    let mut taker = Taker::new();
    let input = "MAIL FROM:<\"a b\"@x> BODY=8BITMIME\r\nRCPT TO:<b>\r\nRCPT TO:<bad>\r\n\
                 RCPT TO:c@y NOTIFY=NEVER\r\nDATA\r\nx\r\n.\r\n";
    let (output, _) = dialogue(input.as_bytes(), &mut taker);
    assert_eq!(codes(&output).join(" "), "220 250 250 550 250 354 250");
    let letter = &taker.letters[0];
    assert_eq!(letter.sender.path, b"<\"a b\"@x>");
    assert_eq!(
        letter.sender.parameters,
        [("BODY".to_owned(), b"8BITMIME".to_vec())]
    );
    let paths: Vec<&[u8]> = letter.recipients.iter().map(|one| &one.path[..]).collect();
    assert_eq!(paths, [&b"<b>"[..], b"c@y"]);
}

#[test]
fn one_dialogue_takes_many_messages() {
    let one = "MAIL FROM:<a>\r\nRCPT TO:<b>\r\nDATA\r\nx\r\n.\r\n";
    let input = format!("{one}NOOP\r\nRSET\r\n{one}{one}QUIT\r\n{one}");
    assert_eq!(texts(input.as_bytes()), ["x\r\n"; 3]);
}

#[test]
fn dots_are_undone_and_a_lone_one_ends_the_text() {
    for (text, wanted) in [
        (".\r\n", ""),
        ("x\r\n.\r\n", "x\r\n"),
        ("..\r\n.\r\n", ".\r\n"),
        (".x\r\n..y\r\n...\r\nz.\r\n.\r\n", "x\r\n.y\r\n..\r\nz.\r\n"),
        ("\r\n\r\n.\r\n", "\r\n\r\n"),
        ("x\r\r\n.\r\n", "x\r\r\n"),
        (".\r.\r\n.\r\n", "\r.\r\n"),
        (".\r\r\n.\r\n", "\r\r\n"),
        ("\0\r\n.\r\n", "\0\r\n"),
    ] {
        assert_eq!(sent("DATA\r\n", text), wanted, "{text:?}");
    }
}

#[test]
fn a_bare_line_feed_of_a_client_that_writes_crlf_is_text() {
    for (text, wanted) in [
        ("a\n.\nb\r\n.\r\n", "a\n.\nb\r\n"),
        (".\nb\r\n.\r\n", ".\nb\r\n"),
        ("a\r\n.\nb\r\n.\r\n", "a\r\n.\nb\r\n"),
        ("a\n.\r\nb\r\n.\r\n", "a\n.\r\nb\r\n"),
        ("a\n..b\n.c\r\n.\r\n", "a\n..b\n.c\r\n"),
        ("a\n\r\n.\r\n", "a\n\r\n"),
        ("a\r.\r\nb\r\n.\r\n", "a\r.\r\nb\r\n"),
    ] {
        assert_eq!(sent("DATA\r\n", text), wanted, "{text:?}");
    }
}

#[test]
fn a_client_that_writes_bare_line_feeds_ends_with_one() {
    for (text, wanted) in [
        ("a\n.\n", "a\n"),
        (".\n", ""),
        ("..a\n..\n.\n", ".a\n.\n"),
        ("a\r\n.\r\n", "a\r\n"),
        ("a\n.\r\n", "a\n"),
        ("a\r\n.\n", "a\r\n"),
    ] {
        assert_eq!(sent("DATA\n", text), wanted, "{text:?}");
    }
}

#[test]
fn a_message_that_is_cut_off_is_nobodys_and_the_status_is_76() {
    for text in [
        "", "x", "x\r\n", "x\r\n.", "x\r\n.\r", "x\r\n.\n", "x\n.\r\n",
    ] {
        let mut taker = Taker::new();
        let input = format!("MAIL FROM:<a>\r\nRCPT TO:<b>\r\nDATA\r\n{text}");
        let (output, ended) = dialogue(input.as_bytes(), &mut taker);
        let failure = ended.unwrap_err();
        assert_eq!(failure.class().code(), 76, "{text:?}");
        assert_eq!(codes(&output).last(), Some(&"354"), "{text:?}");
        assert!(taker.texts.is_empty(), "{text:?}");
    }
}

#[test]
fn between_messages_the_client_may_go() {
    for input in ["", "HELO x\r\n", "MAIL FROM:<a>\r\nRCPT TO:<b>\r\n", "QUI"] {
        let (_, ended) = dialogue(input.as_bytes(), &mut Taker::new());
        assert!(ended.is_ok(), "{input:?}");
    }
}

/// Some octets, then an error for ever.
struct Failing<'a>(&'a [u8], ErrorKind);

impl Read for Failing<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer)? {
            0 => Err(self.1.into()),
            count => Ok(count),
        }
    }
}

#[test]
fn a_silent_client_is_told_and_left_without_a_fault() {
    for input in ["", "HELO x\r\n", "MAIL FROM:<a>\r\n", "NOO"] {
        let reader = BufReader::new(Failing(input.as_bytes(), ErrorKind::TimedOut));
        let (output, ended) = dialogue(reader, &mut Taker::new());
        assert!(ended.is_ok(), "{input:?}");
        assert_eq!(codes(&output).last(), Some(&"421"), "{input:?}");
    }
}

#[test]
fn an_error_within_a_message_discards_it() {
    let input = b"MAIL FROM:<a>\r\nRCPT TO:<b>\r\nDATA\r\nx\r\n";
    for (kind, class) in [
        (ErrorKind::TimedOut, Class::Protocol),
        (ErrorKind::Other, Class::Io),
    ] {
        for reads in [true, false] {
            let mut taker = Taker {
                reads,
                ..Taker::default()
            };
            let reader = BufReader::new(Failing(input, kind));
            let (_, ended) = dialogue(reader, &mut taker);
            assert_eq!(ended.unwrap_err().class(), class);
            assert!(taker.texts.is_empty());
        }
    }
    let reader = BufReader::new(Failing(b"HELO x\r\n", ErrorKind::Other));
    let (_, ended) = dialogue(reader, &mut Taker::new());
    assert_eq!(ended.unwrap_err().class(), Class::Io);
}

#[test]
fn a_text_that_the_clerk_leaves_unread_is_passed_over() {
    let mut taker = Taker::default();
    taker.answers.push(Answer::new(552, "5.3.4", "too large"));
    let text = "HELO x\r\n".repeat(100_000);
    let input = format!("MAIL FROM:<a>\r\nRCPT TO:<b>\r\nDATA\r\n{text}.\r\nNOOP\r\n");
    let (output, ended) = dialogue(input.as_bytes(), &mut taker);
    ended.unwrap();
    assert_eq!(codes(&output).join(" "), "220 250 250 354 552 250");
}

#[test]
fn an_endless_command_is_answered_once_and_not_kept() {
    let long = "x".repeat(1_000_000);
    assert_eq!(asked(&format!("{long}\r\nNOOP\r\n")), "500 250");
    assert_eq!(asked(&format!("RCPT TO:<{long}>\nQUIT\n")), "500 221");
    let fits = "x".repeat(COMMAND_MAX - 7);
    assert_eq!(asked(&format!("NOOP {fits}\r\n")), "250");
    assert_eq!(asked(&format!("NOOP x{fits}\r\n")), "500");
}

#[test]
fn a_reply_is_one_line_of_printable_ascii() {
    let answer = Answer::new(550, "5.1.1", "no\r\n250 ok\x1b[2J \u{fc}").to_string();
    assert_eq!(answer, "550 5.1.1 no\\x0d\\x0a250 ok\\x1b[2J \\xc3\\xbc");
    let long = Answer::new(451, "4.3.0", "\n".repeat(10_000)).to_string();
    assert!(long.len() <= 510, "{}", long.len());
}

#[test]
fn a_client_that_reads_no_replies_is_served() {
    struct Gone;
    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Err(ErrorKind::BrokenPipe.into())
        }
    }
    let mut taker = Taker::new();
    let input = b"MAIL FROM:<a>\r\nRCPT TO:<b>\r\nDATA\r\nx\r\n.\r\n";
    serve(&DOORPLATE, &input[..], Gone, &mut taker).unwrap();
    assert_eq!(taker.texts.len(), 1);
}

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
