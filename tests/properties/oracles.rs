//! What must hold for any octets whatever; shared by the loops of the suite and the fuzz targets.
//!
//! Each oracle takes one input and panics if a promise is broken.

#[path = "model.rs"]
mod model;
#[path = "travel.rs"]
mod travel;

pub use travel::transfer;

use model::Dots;
use sendmail365::cli;
use sendmail365::letterbox::{Pieces, Request};
use sendmail365::mail::address::{Address, scan};
use sendmail365::mail::body::DotRule;
use sendmail365::mail::message::Message;
use sendmail365::mail::repair::{Facts, add_received, repair};
use sendmail365::mail::{recipients, rewrite};
use sendmail365::outcome::{Class, QueueId};
use sendmail365::smtp::body::Stuffing;
use sendmail365::smtp::reply::{Framer, Garbage};
use sendmail365::smtp::stdio::{Answer, Clerk, Doorplate, Letter, Party, serve};
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::ffi::OsStringExt;
use std::time::UNIX_EPOCH;

/// A command line never crashes the parser, and whatever follows the first recipient is one.
pub fn argv(input: &[u8]) {
    let words: Vec<OsString> = input
        .split(|&octet| octet == b'\n')
        .map(|word| OsString::from_vec(word.iter().copied().filter(|&o| o != 0).collect()))
        .collect();
    let invoked = cli::parse(words.clone());
    match invoked.invocation {
        Ok(cli::Invocation::Submit(submission)) => {
            let count = submission.recipients.len();
            assert!(
                words.ends_with(&submission.recipients[..]),
                "{count} of {words:?}"
            );
        }
        Ok(_) => {}
        Err(failure) => {
            assert_eq!(failure.class(), Class::Usage);
            assert!(
                failure
                    .lines("sendmail")
                    .iter()
                    .all(|line| is_one_printable_line(line))
            );
        }
    }
}

/// A request over the socket is read, or refused, whatever it announces; a message is whole only if its
/// end was sent, and none of its octets is lost or made up.
pub fn request(input: &[u8]) {
    let mut rest = input;
    let Ok(request) = Request::read(&mut rest) else {
        return;
    };
    let head = &input[..input.len() - rest.len()];
    let line = head.split(|&octet| octet == b'\n').next().unwrap();
    let typed: usize = request.words.iter().map(|word| word.len()).sum();
    let between = request.words.len() - 1;
    assert_eq!(head.len(), line.len() + 1 + typed + between);
    let mut message = Vec::new();
    let whole = Pieces::new(&mut rest).read_to_end(&mut message).is_ok();
    let sent = &input[head.len()..input.len() - rest.len()];
    if whole {
        assert!(sent.ends_with(&[0; 4]));
        let mut pieces = sent;
        let mut joined: Vec<u8> = Vec::new();
        while let Some((length, more)) = pieces.split_first_chunk::<4>() {
            let (piece, more) = more.split_at(u32::from_be_bytes(*length) as usize);
            joined.extend(piece);
            pieces = more;
        }
        assert_eq!(message, joined);
    }
}

/// An address that exists has a path that cannot break a command, and survives being written.
pub fn addresses(input: &[u8]) {
    for found in scan(input) {
        let mailbox = match found {
            Ok(mailbox) => mailbox,
            Err(fault) => {
                assert!(is_one_printable_line(&fault.to_string()));
                continue;
            }
        };
        assert!(
            input.get(mailbox.span.clone()).is_some(),
            "{:?}",
            mailbox.span
        );
        let written = mailbox.address.to_string();
        let again = Address::parse(written.as_bytes()).expect("what was read can be read again");
        assert_eq!(again, mailbox.address, "{written:?}");
        if let Ok(wire) = mailbox.address.wire() {
            assert!(is_safe_path(&wire.path), "{:?}", wire.path);
        }
    }
}

/// Any input yields one message on the wire, and a reader by the letter of RFC 5321 gets what the
/// caller has written; header editing adds and removes what it says and nothing else.
pub fn message(input: &[u8]) {
    let Some((&first, rest)) = input.split_first() else {
        return;
    };
    let (rule, dots) = match first % 3 {
        0 => (DotRule::Text, Dots::Text),
        1 => (
            DotRule::Ends {
                regular_file: false,
            },
            Dots::Pipe,
        ),
        _ => (DotRule::Ends { regular_file: true }, Dots::File),
    };
    let (header, body) = model::message(rest, dots);
    // A small buffer, so that lines and CRLF pairs are cut in the middle.
    let reader = BufReader::with_capacity(1 + usize::from(first) % 7, rest);
    let Ok(mut message) = Message::read(reader, rule, 1 << 20) else {
        // Less does not reach any limit.
        assert!(rest.len() > 30_000, "a small message is refused");
        return;
    };
    assert!(
        message.header.octets() == header,
        "another header was written"
    );
    let fields = message
        .header
        .fields()
        .iter()
        .map(|field| (field.name(), field.value()));
    let collected = recipients::from_header(fields);
    for address in &collected.addresses {
        if let Ok(wire) = address.wire() {
            assert!(is_safe_path(&wire.path), "{:?}", wire.path);
        }
    }
    edit(&mut message);
    let header = message.header.octets();
    let wire = on_the_wire(&header, &message.body, usize::from(first) + 1);
    let (read, behind) = model::read_data(&wire).expect("the message ends");
    assert!(behind.is_empty(), "octets behind the end of data");
    let (read_header, read_body) = model::parted(&read);
    assert!(read_header == header, "the reader got another header");
    assert!(read_body == body, "the reader got another body");
    // Encoding an octet takes its word, and the fields that are added have a size of their own.
    assert!(
        header.len() <= 16 * rest.len() + 1024,
        "the header has grown"
    );
    // An octet becomes a line end or two dots, no more, and the end of data is added.
    assert!(body.len() <= 2 * rest.len() + 2, "the body has grown");
    assert!(wire.len() <= 2 * read.len() + 3, "the wire has grown");
    assert!(!read.contains(&0), "NUL");
    assert!(
        std::str::from_utf8(&message.header.octets()).is_ok(),
        "a header that is not UTF-8"
    );
}

/// Replies come out the same however their octets are cut; their text is printable where shown.
pub fn replies(input: &[u8]) {
    let whole = framed(std::iter::once(input));
    let single = framed(input.chunks(1));
    assert_eq!(whole, single);
}

/// Any stream of commands gets replies of one printable line each; no path and no parameter holds
/// what could break a command, and a text that is cut off is never taken.
pub fn dialogue(input: &[u8]) {
    let Some((&first, rest)) = input.split_first() else {
        return;
    };
    let doorplate = Doorplate {
        name: "web1",
        size_max: 4096,
    };
    let reader = BufReader::with_capacity(1 + usize::from(first) % 9, rest);
    let mut output = Vec::new();
    let mut clerk = Doubtful::default();
    let ended = serve(&doorplate, reader, &mut output, &mut clerk);
    assert!(ended.is_ok() || clerk.cut_off <= 1);
    let text = String::from_utf8(output).expect("replies are ASCII");
    assert!(text.starts_with("220 ") && text.ends_with("\r\n"));
    let mut codes = Vec::new();
    for line in text.split_terminator("\r\n") {
        assert!(is_one_printable_line(line) && line.len() <= 510, "{line:?}");
        let code: u16 = line
            .get(..3)
            .and_then(|code| code.parse().ok())
            .expect("a code");
        assert!((200..600).contains(&code), "{line:?}");
        codes.push((code, line.as_bytes().get(3) == Some(&b'-')));
    }
    assert_eq!(
        codes.last().map(|(_, more)| *more),
        Some(false),
        "a reply is open"
    );
    let prompts = codes.iter().filter(|(code, _)| *code == 354).count();
    assert_eq!(
        prompts,
        clerk.taken + clerk.cut_off,
        "each text has one fate"
    );
}

/// Takes every second recipient and every whole text.
#[derive(Default)]
struct Doubtful {
    asked: usize,
    taken: usize,
    cut_off: usize,
}

impl Doubtful {
    fn look_at(&self, party: &Party) {
        assert!(!party.path.iter().any(u8::is_ascii_control), "{party:?}");
        for (name, value) in &party.parameters {
            assert!(is_one_printable_line(name) && !value.iter().any(u8::is_ascii_control));
        }
    }
}

impl Clerk for Doubtful {
    fn sender(&mut self, sender: &Party) -> Result<(), Answer> {
        self.look_at(sender);
        Ok(())
    }

    fn recipient(&mut self, _: &Letter, recipient: &Party) -> Result<(), Answer> {
        self.look_at(recipient);
        self.asked += 1;
        match self.asked % 2 {
            0 => Err(Answer::new(550, "5.1.1", "no\r\n250 yes")),
            _ => Ok(()),
        }
    }

    fn message(&mut self, letter: &Letter, text: &mut dyn BufRead) -> Answer {
        assert!(!letter.recipients.is_empty());
        let mut whole = Vec::new();
        match text.read_to_end(&mut whole) {
            Ok(_) => self.taken += 1,
            Err(_) => self.cut_off += 1,
        }
        Answer::new(250, "2.0.0", "OK")
    }
}

fn edit(message: &mut Message) {
    let mailbox = Address::parse(b"alerts@contoso.test").expect("an address");
    let before = message.header.fields().len();
    let facts = Facts {
        mailbox: &mailbox,
        wished_name: b"",
        full_name: b"Full Name",
        date: "Sun, 22 Nov 2026 04:06:27 +0000",
        random: 7,
    };
    let Ok(repairs) = repair(&mut message.header, &facts) else {
        return;
    };
    let after = message.header.fields().len();
    assert_eq!(
        after,
        before + repairs.added - repairs.removed - repairs.from_dropped - repairs.blank_dropped
    );
    let policy = rewrite::Policy {
        mailbox: &mailbox,
        allowed: &|_| false,
        rewrite: true,
        domain: Some("contoso.test"),
    };
    let rewrites = rewrite::rewrite(&mut message.header, &policy);
    let count = message.header.fields().len();
    let dropped = rewrites.senders_dropped + rewrites.blank_replies_dropped;
    assert_eq!(count, after + usize::from(rewrites.reply_to) - dropped);
    let id = QueueId::new(UNIX_EPOCH, 0);
    let trace = sendmail365::mail::repair::Trace {
        login: "joe",
        uid: 1,
        host: "web1",
        id: &id,
        date: facts.date,
    };
    add_received(&mut message.header, &trace);
    for private in ["bcc", "resent-bcc", "return-path", "content-length"] {
        assert!(
            message.header.find(private).is_none(),
            "{private} is still there"
        );
    }
    assert_eq!(message.header.all("from").count(), 1, "one From");
}

fn on_the_wire(header: &[u8], body: &[u8], piece: usize) -> Vec<u8> {
    let mut wire = Vec::new();
    let mut stuffing = Stuffing::new();
    header
        .chunks(piece)
        .for_each(|part| stuffing.push(part, &mut wire));
    stuffing.end_line(&mut wire);
    stuffing.push(b"\r\n", &mut wire);
    body.chunks(piece)
        .for_each(|part| stuffing.push(part, &mut wire));
    stuffing.finish(&mut wire);
    wire
}

/// The replies of a stream: code and quotation of each, then what ended it.
fn framed<'a>(chunks: impl Iterator<Item = &'a [u8]>) -> (Vec<(u16, String)>, Option<Garbage>) {
    let mut framer = Framer::default();
    let mut replies = Vec::new();
    for chunk in chunks {
        framer.push(chunk);
        loop {
            match framer.take() {
                Ok(Some(reply)) => {
                    assert!(reply.quote().len() <= 3000, "a quotation is cut");
                    replies.push((reply.code(), reply.quote()));
                }
                Ok(None) => break,
                // How much of it was there when it was noticed depends on the cut.
                Err(Garbage::NotSmtp(_)) => {
                    return (replies, Some(Garbage::NotSmtp(String::new())));
                }
                Err(garbage) => return (replies, Some(garbage)),
            }
        }
    }
    (replies, None)
}

fn is_safe_path(path: &str) -> bool {
    let mut quoted = false;
    let mut escaped = false;
    path.chars().all(|character| {
        let fits = match character {
            _ if escaped => true,
            '<' | '>' | ' ' => quoted,
            _ => true,
        };
        quoted ^= character == '"' && !escaped;
        escaped = quoted && character == '\\' && !escaped;
        fits && !character.is_control()
    })
}

fn is_one_printable_line(line: &str) -> bool {
    line.bytes().all(|octet| matches!(octet, b' '..=b'~'))
}
