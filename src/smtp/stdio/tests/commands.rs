//! Commands and their replies, row by row.

use super::*;

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
