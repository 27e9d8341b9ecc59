//! What is said and what the answers mean: commands out of an envelope, replies into verdicts.
//!
//! No connection in here: the session sends the lines and brings the replies.

use super::causes::{Judgement, judge};
use super::reply::Reply;
use super::{Content, Credentials, Envelope, Manner, Path, Refusal, Verdict};
use crate::outcome::{Class, Failure, Fate, Stage};
use crate::sys::secret::Secret;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lettre::transport::smtp::authentication::Mechanism;
use lettre::transport::smtp::commands::{Data, Ehlo};
use lettre::transport::smtp::extension::{ClientId, MailBodyParameter, MailParameter};
use zeroize::Zeroizing;

/// What the server offers, from its EHLO reply; keywords compare without case.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Offers {
    /// The server's name.
    pub(crate) name: String,
    pub(crate) starttls: bool,
    pub(crate) pipelining: bool,
    pub(crate) eight_bit_mime: bool,
    pub(crate) smtputf8: bool,
    pub(crate) chunking: bool,
    pub(crate) dsn: bool,
    /// None if not offered; 0 sets no limit (RFC 1870 section 4).
    pub(crate) size: Option<u64>,
    /// AUTH mechanisms in upper case.
    pub(crate) mechanisms: Vec<String>,
}

impl Offers {
    /// Reads the reply to EHLO.
    pub(crate) fn read(reply: &Reply) -> Offers {
        let mut offers = Offers {
            name: reply.first_word().to_owned(),
            ..Offers::default()
        };
        for line in reply.lines().skip(1) {
            let upper = line.to_ascii_uppercase();
            // Old servers write AUTH=LOGIN.
            let mut words = upper
                .split([' ', '\t', '='])
                .filter(|word| !word.is_empty());
            match words.next() {
                Some("STARTTLS") => offers.starttls = true,
                Some("PIPELINING") => offers.pipelining = true,
                Some("8BITMIME") => offers.eight_bit_mime = true,
                Some("SMTPUTF8") => offers.smtputf8 = true,
                Some("CHUNKING") => offers.chunking = true,
                Some("DSN") => offers.dsn = true,
                Some("SIZE") => {
                    let size = words.next().map_or(Ok(0), str::parse);
                    offers.size = Some(size.unwrap_or(0));
                }
                Some("AUTH") => offers.mechanisms.extend(words.map(str::to_owned)),
                _ => {}
            }
        }
        offers
    }

    /// The one mechanism that is used.
    pub(crate) fn xoauth2(&self) -> bool {
        let name = Mechanism::Xoauth2.to_string();
        self.mechanisms.contains(&name)
    }
}

/// The EHLO line; the name comes from the configuration and must not hold a second command.
pub(crate) fn ehlo(name: &str) -> Result<String, Failure> {
    let plain = |octet: u8| octet.is_ascii_alphanumeric() || b"-._:[]".contains(&octet);
    if name.is_empty() || name.len() > 255 || !name.bytes().all(plain) {
        return Err(
            Failure::new(Class::Config, format!("\"{name}\" cannot stand in EHLO"))
                .because("it is neither a host name nor an address in brackets")
                .fix("set [smtp] hello to this host's full name")
                .at(Stage::Ehlo),
        );
    }
    Ok(Ehlo::new(ClientId::Domain(name.to_owned())).to_string())
}

/// The initial response of XOAUTH2 in base64.
pub(crate) fn xoauth2(credentials: &Credentials<'_>) -> Result<Zeroizing<String>, Failure> {
    let user = credentials.user;
    if user.is_empty() || user.chars().any(char::is_control) {
        return Err(
            Failure::new(Class::Config, format!("\"{user}\" cannot sign in"))
                .because("it is not the address of a mailbox")
                .fix("correct [account] mailbox or user")
                .at(Stage::Auth),
        );
    }
    let token = credentials.token.expose();
    let plain = Zeroizing::new(format!("user={user}\u{1}auth=Bearer {token}\u{1}\u{1}"));
    Ok(Zeroizing::new(STANDARD.encode(plain.as_bytes())))
}

/// What no reply may carry into a log: the initial response, the token in it, and the token as it
/// stands in the base64 of any other text, such as a challenge.
pub(crate) fn secrets(initial: &str, token: &Secret) -> Zeroizing<String> {
    let token = token.expose();
    let mut secrets = Zeroizing::new(String::with_capacity(initial.len() + 6 * token.len() + 16));
    for part in [initial, token] {
        secrets.push_str(part);
        secrets.push(' ');
    }
    for shift in 0..3 {
        let shifted = token.as_bytes().get(shift..).unwrap_or_default();
        STANDARD.encode_string(shifted, &mut secrets);
        secrets.push(' ');
    }
    secrets
}

/// The status in a challenge that follows the token: base64 of JSON, as Google writes it.
pub(crate) fn challenge_status(reply: &Reply) -> Option<String> {
    let json = STANDARD.decode(reply.lines().next()?.trim()).ok()?;
    let value: serde_json::Value = serde_json::from_slice(&json).ok()?;
    match value.get("status")? {
        serde_json::Value::String(text) => Some(text.chars().take(40).collect()),
        other => Some(other.to_string().chars().take(40).collect()),
    }
}

/// MAIL, one RCPT for each recipient, DATA; lines with their ends. The server can take all addresses.
pub(crate) fn commands(
    envelope: &Envelope<'_>,
    content: &Content<'_>,
    offers: &Offers,
) -> Result<Vec<String>, Failure> {
    let paths = || envelope.sender.into_iter().chain(envelope.recipients);
    for path in paths() {
        check(path)?;
    }
    if envelope.recipients.is_empty() {
        return Err(
            Failure::new(Class::Software, "an envelope without recipients").at(Stage::Rcpt),
        );
    }
    let size = size(content);
    if let Some(limit) = offers.size.filter(|&limit| limit > 0)
        && size > limit
    {
        return Err(Failure::new(
            Class::Unavailable,
            "the message is too large for the server",
        )
        .because(format!("it has {size} octets, the server takes {limit}"))
        .fix("send a link in place of the attachment")
        .with_reason("size")
        .at(Stage::Mail));
    }
    let utf8 = paths().any(|path| path.utf8) || content.utf8_header;
    let sender = envelope.sender.map_or("", |path| &path.text);
    let mut mail = format!("MAIL FROM:<{sender}>");
    for parameter in parameters(size, content.eight_bit, utf8, offers) {
        mail.push_str(&format!(" {parameter}"));
    }
    let mut notify = String::new();
    if offers.dsn {
        mail.push_str(&envelope.dsn.of_mail());
        notify = envelope.dsn.of_rcpt();
    }
    let mut lines = vec![mail + "\r\n"];
    let rcpt = |path: &Path| format!("RCPT TO:<{}>{notify}\r\n", path.text);
    lines.extend(envelope.recipients.iter().map(rcpt));
    lines.push(Data.to_string());
    Ok(lines)
}

fn parameters(size: u64, eight_bit: bool, utf8: bool, offers: &Offers) -> Vec<MailParameter> {
    let mut parameters = Vec::new();
    if offers.size.is_some() {
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        parameters.push(MailParameter::Size(size));
    }
    if eight_bit && offers.eight_bit_mime {
        parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
    }
    if utf8 && offers.smtputf8 {
        parameters.push(MailParameter::SmtpUtfEight);
    }
    parameters
}

/// Octets as RFC 1870 section 5 counts them: line ends count, doubled dots do not.
fn size(content: &Content<'_>) -> u64 {
    let open = |octets: &[u8]| !octets.is_empty() && !octets.ends_with(b"\r\n");
    let ends = 2 * (1 + usize::from(open(content.header)) + usize::from(open(content.body)));
    (content.header.len() + content.body.len() + ends) as u64
}

/// Refuses a path that would end its command or add to it.
pub(crate) fn check(path: &Path) -> Result<(), Failure> {
    let mut quoted = false;
    let mut escaped = false;
    let mut good = path.utf8 || path.text.is_ascii();
    for char in path.text.chars() {
        good &= !char.is_control() && (quoted || !matches!(char, '<' | '>' | ' '));
        match char {
            _ if escaped => escaped = false,
            '\\' => escaped = quoted,
            '"' => quoted = !quoted,
            _ => {}
        }
    }
    if good && !path.text.is_empty() && !quoted {
        return Ok(());
    }
    Err(
        Failure::new(Class::Software, format!("<{}> is not a path", path.text))
            .because("an unchecked address came as far as the connection")
            .fix("report this defect; correct the address")
            .at(Stage::Mail),
    )
}

/// The failure that a negative reply is.
pub(crate) fn refused(stage: Stage, reply: &Reply, what: impl Into<String>) -> Failure {
    let judgement = judge(stage, reply);
    let why = match judgement.why {
        Some(why) => format!("{why}; the server said: {}", reply.quote()),
        None => reply.quote(),
    };
    failure(&judgement, what.into())
        .because(why)
        .fix(judgement.fix)
        .at(stage)
        .with_code(reply.code())
}

fn failure(judgement: &Judgement, what: String) -> Failure {
    match judgement.fate {
        Fate::Return => Failure::new(judgement.class, what),
        Fate::Hold => Failure::hold(what),
        Fate::Defer | Fate::Unsure => Failure::defer(what),
    }
}

/// The failure that a reply of the wrong kind is: neither a refusal nor the consent asked for.
pub(crate) fn protocol(stage: Stage, reply: &Reply) -> Failure {
    Failure::defer("the server does not keep to the protocol")
        .because(format!("at this point it must not say: {}", reply.quote()))
        .fix("check [smtp] host and port, then try again later")
        .at(stage)
        .with_code(reply.code())
        .with_reason("protocol")
}

/// Consent, or the failure.
pub(crate) fn expect(
    codes: &[u16],
    stage: Stage,
    reply: &Reply,
    what: impl FnOnce() -> String,
) -> Result<(), Failure> {
    if codes.contains(&reply.code()) {
        Ok(())
    } else if reply.negative() {
        Err(refused(stage, reply, what()))
    } else {
        Err(protocol(stage, reply))
    }
}

/// Judges the reply to MAIL; `user` is who signed in.
pub(crate) fn judge_mail(
    envelope: &Envelope<'_>,
    user: &str,
    reply: &Reply,
) -> Result<(), Failure> {
    let sender = envelope.sender.map_or("", |path| &path.text);
    expect(&[250, 251], Stage::Mail, reply, || {
        match judge(Stage::Mail, reply).class {
            Class::NoPermission => format!("{user} may not send as {sender}"),
            _ => format!("the server refused the sender <{sender}>"),
        }
    })
}

/// Judges the replies to RCPT: all of them consent, or nothing is sent; where the manner allows it,
/// one that consents is enough.
pub(crate) fn judge_recipients(
    recipients: &[Path],
    replies: &[Reply],
    manner: Manner,
) -> Result<Vec<Verdict>, Refusal> {
    let odd = |reply: &&Reply| !reply.negative() && !matches!(reply.code(), 250 | 251);
    if let Some(reply) = replies.iter().find(odd) {
        return Err(protocol(Stage::Rcpt, reply).into());
    }
    let verdicts: Vec<Verdict> = replies.iter().map(verdict).collect();
    let mut refused: Vec<(&Path, &Reply, Judgement)> = recipients
        .iter()
        .zip(replies)
        .filter(|(_, reply)| reply.negative())
        .map(|(path, reply)| (path, reply, judge(Stage::Rcpt, reply)))
        .collect();
    // What lasts least is told first: one temporary reply makes the whole message worth a try.
    refused.sort_by_key(|(_, _, judgement)| match judgement.fate {
        Fate::Hold => 0,
        Fate::Defer | Fate::Unsure => 1,
        Fate::Return => 2,
    });
    let some_consent = refused.len() < recipients.len();
    let (reply, first) = match refused.first() {
        Some((_, reply, first)) if !(manner.partial && some_consent) => (reply, first),
        _ => return Ok(verdicts),
    };
    let what = match (refused.len(), recipients.len()) {
        (1, 1) => "the server refused the recipient".to_owned(),
        (few, all) if few == all => format!("the server refused all {all} recipients"),
        (few, all) => format!("nothing was sent: the server refused {few} of {all} recipients"),
    };
    let class = Class::NoUser;
    let failure = failure(&Judgement { class, ..*first }, what)
        .because(list(&refused))
        .fix(first.fix)
        .at(Stage::Rcpt)
        .with_code(reply.code());
    Err(Refusal { failure, verdicts })
}

fn verdict(reply: &Reply) -> Verdict {
    if !reply.negative() {
        Verdict::Accepted
    } else if judge(Stage::Rcpt, reply).fate == Fate::Return {
        Verdict::Rejected(reply.quote())
    } else {
        Verdict::Deferred(reply.quote())
    }
}

/// Each refused address with its reply, as far as a line holds them.
fn list(refused: &[(&Path, &Reply, Judgement)]) -> String {
    const SHOWN: usize = 4;
    const CUT: usize = 90;
    let one = refused.len() == 1;
    let line = |(path, reply, _): &(&Path, &Reply, Judgement)| {
        let quote = reply.quote();
        let cut = if one { usize::MAX } else { CUT };
        let quote: String = quote.chars().take(cut).collect();
        format!("<{}> {quote}", path.text)
    };
    let mut lines: Vec<String> = refused.iter().take(SHOWN).map(line).collect();
    if refused.len() > SHOWN {
        lines.push(format!("{} more", refused.len() - SHOWN));
    }
    lines.join("; ")
}

/// Judges the reply to the message itself, or to what was sent of it.
pub(crate) fn judge_message(stage: Stage, user: &str, reply: &Reply) -> Failure {
    let judgement = judge(stage, reply);
    let what = match judgement.class {
        Class::NoPermission => match denied(reply) {
            Some(address) => format!("{user} may not send as {address}"),
            None => format!("{user} may not send as the address in From"),
        },
        _ if judgement.fate == Fate::Return => "the server refused the message".to_owned(),
        _ => "the server did not take the message".to_owned(),
    };
    refused(stage, reply, what)
}

/// The address in `a@x not allowed to send as b@y;`.
fn denied(reply: &Reply) -> Option<&str> {
    let line = reply
        .lines()
        .find(|line| line.contains("not allowed to send as "))?;
    let (_, rest) = line.split_once("not allowed to send as ")?;
    rest.split([';', ' '])
        .next()
        .filter(|word| !word.is_empty())
}

/// A refused sign-in that a fresh token may mend.
pub(crate) fn token_refused(reply: &Reply) -> bool {
    judge(Stage::Auth, reply).token
}

/// The id that the server gave the message, brackets included.
pub(crate) fn message_id(reply: &Reply) -> Option<String> {
    reply.lines().find_map(|line| {
        let (_, rest) = line.split_once('<')?;
        let (id, _) = rest.split_once('>')?;
        let plain = id.contains('@') && id.bytes().all(|octet| octet.is_ascii_graphic());
        plain.then(|| format!("<{id}>"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::dsn::{Dsn, Envid, Notify, Ret};

    fn path(text: &str) -> Path {
        Path {
            text: text.to_owned(),
            utf8: !text.is_ascii(),
        }
    }

    fn content(body: &[u8]) -> Content<'_> {
        Content {
            header: b"Subject: x\r\n",
            body,
            eight_bit: !body.is_ascii(),
            utf8_header: false,
        }
    }

    fn microsoft() -> Offers {
        Offers::read(&Reply::of(
            "250-LO4P302CA0005.outlook.office365.com Hello [192.0.2.1]\r\n250-SIZE 157286400\r\n\
             250-PIPELINING\r\n250-DSN\r\n250-ENHANCEDSTATUSCODES\r\n250-AUTH LOGIN XOAUTH2\r\n\
             250-8BITMIME\r\n250-BINARYMIME\r\n250-CHUNKING\r\n250 SMTPUTF8",
        ))
    }

    #[test]
    fn the_vector_of_microsofts_manual_is_met() {
        let token = Secret::new("EwBAAl3BAAUFFpUAo7J3Ve0bjLBWZWCclRC3EoAA".to_owned());
        let user = "test@contoso.onmicrosoft.com";
        let text = xoauth2(&Credentials {
            user,
            token: &token,
        })
        .unwrap();
        assert_eq!(
            *text,
            "dXNlcj10ZXN0QGNvbnRvc28ub25taWNyb3NvZnQuY29tAWF1dGg9QmVhcmVyIEV3QkFBbDNCQUFVRkZwVUFvN0ozVmUwYmpMQldaV0NjbFJDM0VvQUEBAQ=="
        );
        assert!(
            xoauth2(&Credentials {
                user: "a\u{1}b",
                token: &token
            })
            .is_err()
        );
    }

    #[test]
    fn microsofts_offers_are_read_in_any_case() {
        let offers = microsoft();
        assert_eq!(offers.size, Some(157_286_400));
        assert!(offers.pipelining && offers.dsn && offers.eight_bit_mime && offers.chunking);
        assert!(offers.smtputf8 && offers.xoauth2() && !offers.starttls);
        let lower = Offers::read(&Reply::of(
            "250-x\r\n250-starttls\r\n250-size\r\n250 auth=xoauth2",
        ));
        assert!(lower.starttls && lower.xoauth2());
        assert_eq!(lower.size, Some(0));
        assert!(
            !Offers::read(&Reply::of("250 STARTTLS")).starttls,
            "the first line is a name"
        );
    }

    #[test]
    fn parameters_are_given_as_offered() {
        let (from, to) = (path("a@x.test"), [path("b@x.test"), path("c@x.test")]);
        let envelope = Envelope {
            sender: Some(&from),
            recipients: &to,
            dsn: &Dsn::default(),
        };
        let lines = commands(&envelope, &content(b"\xe9\r\n"), &microsoft()).unwrap();
        assert_eq!(
            lines.concat(),
            "MAIL FROM:<a@x.test> SIZE=17 BODY=8BITMIME\r\nRCPT TO:<b@x.test>\r\n\
             RCPT TO:<c@x.test>\r\nDATA\r\n"
        );
        let null = Envelope {
            sender: None,
            ..envelope
        };
        let lines = commands(&null, &content(b"\xe9\r\n"), &Offers::default()).unwrap();
        assert_eq!(lines[0], "MAIL FROM:<>\r\n");
    }

    #[test]
    fn wishes_for_notifications_are_told_where_dsn_is_offered() {
        let to = [path("b@x.test"), path("c@x.test")];
        let envelope = Envelope {
            sender: None,
            recipients: &to,
            dsn: &Dsn {
                notify: Some(Notify::Never),
                ret: Some(Ret::Headers),
                envid: Envid::parse("QQ+2B1"),
            },
        };
        let lines = commands(&envelope, &content(b""), &microsoft()).unwrap();
        assert_eq!(
            lines.concat(),
            "MAIL FROM:<> SIZE=14 RET=HDRS ENVID=QQ+2B1\r\nRCPT TO:<b@x.test> NOTIFY=NEVER\r\n\
             RCPT TO:<c@x.test> NOTIFY=NEVER\r\nDATA\r\n"
        );
        let lines = commands(&envelope, &content(b""), &Offers::default()).unwrap();
        assert_eq!(
            lines.concat(),
            "MAIL FROM:<>\r\nRCPT TO:<b@x.test>\r\nRCPT TO:<c@x.test>\r\nDATA\r\n"
        );
    }

    #[test]
    fn an_address_beyond_ascii_is_declared() {
        let to = [path("j\u{fc}rgen@x.test")];
        let envelope = Envelope {
            sender: None,
            recipients: &to,
            dsn: &Dsn::default(),
        };
        let lines = commands(&envelope, &content(b""), &microsoft()).unwrap();
        assert!(lines[0].ends_with(" SMTPUTF8\r\n"));
    }

    #[test]
    fn a_message_over_the_offered_size_is_refused_before_mail() {
        let to = [path("b@x.test")];
        let envelope = Envelope {
            sender: None,
            recipients: &to,
            dsn: &Dsn::default(),
        };
        let offers = |size| Offers {
            size: Some(size),
            ..Offers::default()
        };
        let failure = commands(&envelope, &content(b"hi\r\n"), &offers(17)).unwrap_err();
        assert_eq!(
            (failure.class(), failure.reason()),
            (Class::Unavailable, Some("size"))
        );
        assert!(commands(&envelope, &content(b"hi\r\n"), &offers(18)).is_ok());
        assert!(commands(&envelope, &content(b"hi\r\n"), &offers(0)).is_ok());
    }

    #[test]
    fn no_path_adds_a_command_or_a_parameter() {
        let bad = [
            "",
            "a@x>\r\nRCPT TO:<b@y",
            "a@x\n",
            "a@x> SIZE=1",
            "a b@x",
            "\"a@x",
            "<a@x>",
            "a\0@x",
            "\"a\\\"> b@x",
            "a\u{85}@x",
        ];
        for text in bad {
            let to = [path(text)];
            let envelope = Envelope {
                sender: None,
                recipients: &to,
                dsn: &Dsn::default(),
            };
            let failure = commands(&envelope, &content(b""), &microsoft()).unwrap_err();
            assert_eq!(failure.class(), Class::Software, "{text:?}");
        }
        for text in ["root", "\"a b\"@x", "\"a>\\\"<\"@x", "a+b@[192.0.2.1]"] {
            assert!(check(&path(text)).is_ok(), "{text:?}");
        }
        let undeclared = Path {
            text: "\u{fc}@x".to_owned(),
            utf8: false,
        };
        assert!(check(&undeclared).is_err());
    }

    #[test]
    fn the_name_in_ehlo_is_one_word() {
        assert_eq!(ehlo("host.x.test").unwrap(), "EHLO host.x.test\r\n");
        for name in ["", "a b", "a\r\nEHLO b", "h\u{f6}st"] {
            assert_eq!(ehlo(name).unwrap_err().class(), Class::Config, "{name:?}");
        }
    }

    fn judged(replies: &[&str]) -> Result<Vec<Verdict>, Refusal> {
        let replies: Vec<Reply> = replies.iter().map(|text| Reply::of(text)).collect();
        let paths: Vec<Path> = (0..replies.len())
            .map(|n| path(&format!("r{n}@x.test")))
            .collect();
        judge_recipients(&paths, &replies, Manner::default())
    }

    #[test]
    fn one_temporary_refusal_makes_the_whole_message_temporary() {
        assert!(judged(&["250 ok", "251 ok"]).is_ok());
        let all = judged(&["550 5.1.1 a", "550 5.7.1 Unable to relay"]).unwrap_err();
        assert_eq!(all.failure.class(), Class::NoUser);
        assert!(
            all.failure
                .why()
                .unwrap()
                .contains("<r1@x.test> 550 5.7.1 Unable to relay")
        );
        let some = judged(&["250 ok", "550 5.1.1 a", "451 4.4.0 b"]).unwrap_err();
        assert_eq!(
            (some.failure.class(), some.failure.fate()),
            (Class::TryAgain, Fate::Defer)
        );
        assert_eq!(some.failure.code(), Some("451"));
        assert_eq!(
            some.verdicts,
            [
                Verdict::Accepted,
                Verdict::Rejected("550 5.1.1 a".to_owned()),
                Verdict::Deferred("451 4.4.0 b".to_owned()),
            ]
        );
        let quota = judged(&["451 b", "550 5.7.233 c"]).unwrap_err();
        assert_eq!(quota.failure.fate(), Fate::Hold);
    }

    #[test]
    fn a_reply_of_the_wrong_kind_is_no_consent() {
        for text in ["220 x", "354 x", "235 x", "252 x"] {
            let refusal = judged(&["250 ok", text]).unwrap_err();
            assert_eq!(refusal.failure.fate(), Fate::Defer);
            assert_eq!(refusal.failure.reason(), Some("protocol"));
        }
        let from = path("a@x.test");
        let envelope = Envelope {
            sender: Some(&from),
            recipients: &[],
            dsn: &Dsn::default(),
        };
        let failure = judge_mail(&envelope, "u@x.test", &Reply::of("354 go")).unwrap_err();
        assert_eq!(failure.reason(), Some("protocol"));
    }

    #[test]
    fn a_sender_that_is_not_allowed_is_named_with_the_mailbox() {
        let from = path("b@y.test");
        let envelope = Envelope {
            sender: Some(&from),
            recipients: &[],
            dsn: &Dsn::default(),
        };
        let reply = Reply::of("550 5.7.60 SMTP; Client does not have permissions");
        let failure = judge_mail(&envelope, "a@x.test", &reply).unwrap_err();
        assert_eq!(failure.what(), "a@x.test may not send as b@y.test");
        assert_eq!(failure.class(), Class::NoPermission);
        let reply =
            Reply::of("554 5.2.252 SendAsDenied; a@x.test not allowed to send as c@z.test; S");
        let failure = judge_message(Stage::End, "a@x.test", &reply);
        assert_eq!(failure.what(), "a@x.test may not send as c@z.test");
    }

    #[test]
    fn the_new_message_id_is_found_or_absent() {
        let id = |text| message_id(&Reply::of(text));
        assert_eq!(
            id("250 2.0.0 OK <DB7@EUR.prod.outlook.com> [Hostname=DB7]").as_deref(),
            Some("<DB7@EUR.prod.outlook.com>")
        );
        assert_eq!(id("250 2.0.0 OK <no>"), None);
        assert_eq!(id("250 2.0.0 OK >@<"), None);
        assert_eq!(id("250 2.0.0 OK <a@\u{1b}[2J>"), None);
    }

    #[test]
    fn a_challenge_tells_its_status() {
        let json = STANDARD.encode(r#"{"status":"401","schemes":"bearer"}"#);
        assert_eq!(
            challenge_status(&Reply::of(&format!("334 {json}"))).as_deref(),
            Some("401")
        );
        assert_eq!(challenge_status(&Reply::of("334 !!")), None);
        assert_eq!(challenge_status(&Reply::of("334")), None);
    }
}
