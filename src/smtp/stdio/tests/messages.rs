//! Texts: where they end, what of them arrives, and dialogues that end too early.

use super::*;

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
