//! Who a message says it is from: only what the mailbox may use; bare names become full addresses.
//!
//! Microsoft checks the From field against the mailbox that signed in and refuses several From
//! addresses without a Sender (550 5.1.20). Most callers write neither of that kind: `From: root`.

use super::address::{Address, Mailbox, scan};
use super::encoded::{display_name, name_in_comments, phrase};
use super::header::{Field, Header};
use super::repair::mailbox;
use std::fmt;

/// Who may stand in From, and what others become.
pub struct Policy<'a> {
    /// The mailbox that sends; always allowed.
    pub mailbox: &'a Address,
    /// Whether an address may stand in From beside the mailbox. Asked about qualified ones only.
    pub allowed: &'a dyn Fn(&Address) -> bool,
    /// Whether From and Sender are changed at all.
    pub rewrite: bool,
    /// What is added to an address without a domain, if configured.
    pub domain: Option<&'a str>,
}

impl fmt::Debug for Policy<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy")
            .field("mailbox", self.mailbox)
            .field("rewrite", &self.rewrite)
            .field("domain", &self.domain)
            .finish_non_exhaustive()
    }
}

/// What became of the addresses of a header, for the log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rewrites {
    /// The address that stood in From, if another one stands there now.
    pub from: Option<Address>,
    /// A Reply-To was added.
    pub reply_to: bool,
    /// Reply-To fields without an address that it replaced.
    pub blank_replies_dropped: usize,
    /// Sender and Resent-Sender fields dropped.
    pub senders_dropped: usize,
    /// Fields in which addresses got the configured domain.
    pub qualified: usize,
}

/// Applies the policy to From and Sender, and qualifies the addresses of a repaired header.
///
/// The topmost Resent block is what this submission says, so its Resent-From and Resent-Sender are
/// treated alike, but replies do not go there (RFC 5322 section 3.6.6) and no Reply-To is made of
/// them. Older blocks are history.
pub fn rewrite(header: &mut Header, policy: &Policy) -> Rewrites {
    let mut rewrites = Rewrites::default();
    if policy.rewrite {
        apply(header, policy, &mut rewrites);
    }
    if let Some(domain) = policy.domain() {
        rewrites.qualified = header.replace(|field| qualified(field, domain));
    }
    rewrites
}

impl Policy<'_> {
    fn domain(&self) -> Option<&str> {
        self.domain.filter(|domain| !domain.is_empty())
    }

    fn qualified(&self, address: &Address) -> Address {
        match self.domain() {
            Some(domain) => bare(address).qualified(domain),
            None => address.clone(),
        }
    }

    fn allows(&self, address: &Address) -> bool {
        let address = self.qualified(address);
        address.domain().is_some() && (is_same(&address, self.mailbox) || (self.allowed)(&address))
    }
}

fn apply(header: &mut Header, policy: &Policy, rewrites: &mut Rewrites) {
    let block = header.resent_block();
    let mut places = 0..;
    let mut replies = Vec::new();
    header.replace(|field| {
        let resent = places.next().is_some_and(|place| block.contains(&place));
        if field.is("From") {
            let change = from_field(field, policy)?;
            rewrites.from = change.denied;
            replies = change.replies;
            Some(change.field)
        } else if resent && field.is("Resent-From") {
            Some(from_field(field, policy)?.field)
        } else {
            None
        }
    });
    let mut places = 0..;
    rewrites.senders_dropped = header.retain(|field| {
        let resent = places.next().is_some_and(|place| block.contains(&place));
        let sender = field.is("Sender") || (resent && field.is("Resent-Sender"));
        !sender || is_allowed_sender(field, policy)
    });
    if replies.is_empty() {
        return;
    }
    rewrites.blank_replies_dropped =
        header.retain(|field| !field.is("Reply-To") || !leads_nowhere(field));
    if header.find("Reply-To").is_none() {
        header.insert(0, Field::new("Reply-To", replies.join(", ")));
        rewrites.reply_to = true;
    }
}

/// What becomes of a From field.
struct Change {
    field: Field,
    /// The address that may not stand there.
    denied: Option<Address>,
    /// Qualified addresses that stood there and do no more.
    replies: Vec<String>,
}

/// A From with one allowed address, unless it is one already.
///
/// Of several authors the first allowed one stays, else the mailbox takes the first one's place;
/// replies still go to all (RFC 5322 section 3.6.2).
fn from_field(field: &Field, policy: &Policy) -> Option<Change> {
    let found = scan(field.value());
    let alone = found.len() == 1;
    let authors: Vec<Mailbox> = found.into_iter().flatten().collect();
    let allowed = authors.iter().find(|author| policy.allows(&author.address));
    if alone && allowed.is_some() {
        return None;
    }
    let author = allowed.or(authors.first())?;
    let mut name = author.name.as_deref().and_then(phrase);
    if name.is_none() && alone {
        // `root (Cron Daemon)`: the name as it was written before RFC 822.
        name = name_in_comments(field.value());
    }
    let address = match allowed {
        Some(author) => policy.qualified(&author.address),
        None => policy.mailbox.clone(),
    };
    let denied = allowed.is_none().then(|| author.address.clone());
    if let (None, Some(denied)) = (&name, &denied) {
        name = display_name(denied.to_string().as_bytes());
    }
    let others = authors.iter().map(|author| &author.address);
    let others = others.filter(|other| other.domain().is_some());
    let mut replies: Vec<String> = others.map(Address::written).collect();
    if allowed.is_some() && replies.len() == 1 {
        // Only what could not be read was dropped: replies go where they went before.
        replies.clear();
    }
    Some(Change {
        field: Field::new(field.name(), mailbox(name, &address)),
        denied,
        replies,
    })
}

/// Whether a form left the address out, as in `<>` or `Joe <>`; a group of nobody says so on purpose.
fn leads_nowhere(field: &Field) -> bool {
    let found = scan(field.value());
    field.unfolded().is_empty() || !found.is_empty() && found.iter().all(Result::is_err)
}

fn is_allowed_sender(field: &Field, policy: &Policy) -> bool {
    match scan(field.value()).as_slice() {
        [Ok(sender)] => policy.allows(&sender.address),
        _ => false,
    }
}

/// The field with `domain` behind every address that has none, all other octets as they were.
fn qualified(field: &Field, domain: &str) -> Option<Field> {
    const NAMES: [&str; 10] = [
        "From",
        "Sender",
        "Reply-To",
        "To",
        "Cc",
        "Resent-From",
        "Resent-Sender",
        "Resent-Reply-To",
        "Resent-To",
        "Resent-Cc",
    ];
    if !NAMES.iter().any(|name| field.is(name)) {
        return None;
    }
    let mut value = Vec::new();
    let mut at = 0;
    let found = scan(field.value()).into_iter().flatten();
    for mailbox in found.filter(|mailbox| mailbox.address.domain().is_none()) {
        let address = bare(&mailbox.address).qualified(domain).written();
        let before = field.value().get(at..mailbox.span.start);
        value.extend_from_slice(before.unwrap_or_default());
        value.extend_from_slice(address.as_bytes());
        at = mailbox.span.end;
    }
    value.extend_from_slice(field.value().get(at..).unwrap_or_default());
    (at > 0).then(|| field.with_value(&value))
}

/// A local name without the backslash that keeps aliases away from it.
fn bare(address: &Address) -> Address {
    let name = address.local().strip_prefix('\\');
    let found = name.and_then(|name| Address::parse(name.as_bytes()).ok());
    match (found, address.domain()) {
        (Some(found), None) if found.domain().is_none() => found,
        _ => address.clone(),
    }
}

/// Whether both are one mailbox to Microsoft, which does not look at case.
fn is_same(one: &Address, other: &Address) -> bool {
    let same = |a: &str, b: &str| a.eq_ignore_ascii_case(b);
    let domains = one.domain().zip(other.domain());
    one.same_mailbox(other)
        || same(one.local(), other.local()) && domains.is_some_and(|(a, b)| same(a, b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::body::DotRule;
    use crate::mail::message::Message;

    fn header(text: &str) -> Header {
        let message = Message::read(text.as_bytes(), DotRule::Text, u64::MAX);
        message.unwrap().header
    }

    fn address(text: &str) -> Address {
        Address::parse(text.as_bytes()).unwrap()
    }

    struct Case {
        rewrite: bool,
        domain: Option<&'static str>,
    }

    const PLAIN: Case = Case {
        rewrite: true,
        domain: None,
    };
    const DOMAIN: Case = Case {
        rewrite: true,
        domain: Some("contoso.test"),
    };
    const OFF: Case = Case {
        rewrite: false,
        domain: Some("contoso.test"),
    };

    /// The header afterwards with `|` for CRLF; `ok@contoso.test` is allowed beside the mailbox.
    fn done(case: &Case, text: &str) -> (String, Rewrites) {
        let mut header = header(text);
        let mailbox = address("alerts@contoso.test");
        let policy = Policy {
            mailbox: &mailbox,
            allowed: &|address| address.to_string() == "ok@contoso.test",
            rewrite: case.rewrite,
            domain: case.domain,
        };
        let rewrites = rewrite(&mut header, &policy);
        let text = String::from_utf8(header.octets()).unwrap();
        (text.replace("\r\n", "|"), rewrites)
    }

    #[test]
    fn an_allowed_from_keeps_every_byte() {
        for from in [
            "From: alerts@contoso.test",
            "From:  \"A, B\"\t<Alerts@CONTOSO.test> (x)",
            "FROM: ok@contoso.test",
            "From: =?utf-8?q?=C3=B6?=\r\n <ok@contoso.test>",
        ] {
            let (text, rewrites) = done(&PLAIN, from);
            assert_eq!(text, from.replace("\r\n", "|") + "|");
            assert_eq!(rewrites, Rewrites::default());
        }
    }

    #[test]
    fn a_from_that_is_not_allowed_becomes_the_mailbox() {
        let rows = [
            ("root", "\"root\" <alerts@contoso.test>", None),
            (
                "root (Cron Daemon)",
                "\"Cron Daemon\" <alerts@contoso.test>",
                None,
            ),
            (
                "root (=?utf-8?q?J=C3=B6rg?= =?utf-8?q?_M=C3=BCller?=)",
                "=?utf-8?q?J=C3=B6rg?= =?utf-8?q?_M=C3=BCller?= <alerts@contoso.test>",
                None,
            ),
            (
                "\"(Cron Daemon)\" <root>",
                "\"(Cron Daemon)\" <alerts@contoso.test>",
                None,
            ),
            (
                "Joe Q. <j@x.test>",
                "Joe Q. <alerts@contoso.test>",
                Some("j@x.test"),
            ),
            (
                "j@x.test",
                "\"j@x.test\" <alerts@contoso.test>",
                Some("j@x.test"),
            ),
            (
                "j@x.test <j@x.test>",
                "\"j@x.test\" <alerts@contoso.test>",
                Some("j@x.test"),
            ),
            (
                "<@r.test:j@x.test>",
                "\"j@x.test\" <alerts@contoso.test>",
                Some("j@x.test"),
            ),
            (
                "=?utf-8?q?=C3=B6?= <j@x.test>",
                "=?utf-8?q?=C3=B6?= <alerts@contoso.test>",
                Some("j@x.test"),
            ),
            (
                "\"a b\"@x.test",
                "\"\\\"a b\\\"@x.test\" <alerts@contoso.test>",
                Some("\"a b\"@x.test"),
            ),
            ("J <j@x.test", "J <alerts@contoso.test>", Some("j@x.test")),
            (
                "J\n <j@x.test>",
                "J <alerts@contoso.test>",
                Some("j@x.test"),
            ),
        ];
        for (from, made, reply) in rows {
            let (text, rewrites) = done(&PLAIN, &format!("Subject: s\nFrom: {from}\nTo: a@b\n"));
            let reply_to = reply
                .map(|reply| format!("Reply-To: {reply}|"))
                .unwrap_or_default();
            assert_eq!(
                text,
                format!("{reply_to}Subject: s|From: {made}|To: a@b|"),
                "{from}"
            );
            assert!(rewrites.from.is_some());
            assert_eq!(rewrites.reply_to, reply.is_some());
        }
    }

    #[test]
    fn one_author_remains_of_several_and_replies_go_to_all() {
        let rows = [
            (
                "j@x.test, K <k@x.test>",
                "\"j@x.test\" <alerts@contoso.test>",
                "j@x.test, k@x.test",
            ),
            (
                "j@x.test, O <ok@contoso.test>",
                "O <ok@contoso.test>",
                "j@x.test, ok@contoso.test",
            ),
            (
                "G: j@x.test, root;",
                "\"j@x.test\" <alerts@contoso.test>",
                "j@x.test",
            ),
            ("@@, O <ok@contoso.test>", "O <ok@contoso.test>", ""),
            ("ok@contoso.test, root", "ok@contoso.test", ""),
        ];
        for (from, made, reply) in rows {
            let (text, _) = done(&PLAIN, &format!("From: {from}\n"));
            let reply = match reply {
                "" => String::new(),
                reply => format!("Reply-To: {reply}|"),
            };
            assert_eq!(text, format!("{reply}From: {made}|"), "{from}");
        }
    }

    #[test]
    fn a_reply_to_that_exists_stays_the_only_one() {
        let (text, _) = done(&PLAIN, "Reply-To: k@x.test\nFrom: j@x.test\n");
        assert!(text.starts_with("Reply-To: k@x.test|From: "), "{text}");
        let (text, _) = done(&PLAIN, "From: j@x.test\nReply-To: \n");
        assert!(
            text.starts_with("Reply-To: j@x.test|From: ") && text.matches("Reply-To").count() == 1
        );
    }

    #[test]
    fn a_reply_to_without_an_address_does_not_keep_replies_from_the_author() {
        for left_out in ["<>", "Joe <>", "\"Joe\" <@>"] {
            let (text, rewrites) = done(&PLAIN, &format!("From: j@x.test\nReply-To: {left_out}\n"));
            assert!(text.starts_with("Reply-To: j@x.test|From: "), "{text}");
            assert_eq!(text.matches("Reply-To").count(), 1, "{text}");
            assert_eq!(rewrites.blank_replies_dropped, 1);
        }
        for meant in ["nobody:;", "<>, k@x.test", "joe"] {
            let (text, _) = done(&PLAIN, &format!("From: j@x.test\nReply-To: {meant}\n"));
            assert!(text.ends_with(&format!("|Reply-To: {meant}|")), "{text}");
        }
        let (text, _) = done(&PLAIN, "From: ok@contoso.test\nReply-To: <>\n");
        assert!(text.ends_with("|Reply-To: <>|"), "{text}");
    }

    #[test]
    fn a_sender_that_is_not_allowed_is_dropped() {
        let text = "From: ok@contoso.test\nSender: root\nSENDER: ok@contoso.test\nsender: @@\n";
        let (text, rewrites) = done(&PLAIN, text);
        assert_eq!(text, "From: ok@contoso.test|SENDER: ok@contoso.test|");
        assert_eq!(rewrites.senders_dropped, 2);
    }

    #[test]
    fn the_top_resent_block_is_judged_without_a_reply_to_and_older_ones_are_left() {
        let text = "Resent-From: R <r@x.test>\nResent-Sender: r@x.test\nFrom: ok@contoso.test\n\
                    Resent-From: q@x.test\nResent-Sender: q@x.test\n";
        let (text, rewrites) = done(&PLAIN, text);
        assert_eq!(
            text,
            "Resent-From: R <alerts@contoso.test>|From: ok@contoso.test|\
             Resent-From: q@x.test|Resent-Sender: q@x.test|"
        );
        assert!(!rewrites.reply_to && rewrites.from.is_none());
    }

    #[test]
    fn bare_names_get_the_domain_and_every_other_byte_stays() {
        let text = "To:  root,\r\n\tJoe (x, y) <joe> ,a@b.test;\\ann\r\nCC:bob(c)\r\n\
                    Reply-To: G: x , y@z.test;\r\nX-To: root\r\nBcc: root\r\nResent-To: r\r\n";
        let (text, rewrites) = done(&DOMAIN, text);
        assert_eq!(
            text,
            "To:  root@contoso.test,|\tJoe (x, y) <joe@contoso.test> ,a@b.test;ann@contoso.test|\
             CC:bob@contoso.test(c)|Reply-To: G: x@contoso.test , y@z.test;|X-To: root|Bcc: root|\
             Resent-To: r@contoso.test|"
        );
        assert_eq!(rewrites.qualified, 4);
        let (text, _) = done(&PLAIN, "To: root\nCc: Root <root>\n");
        assert_eq!(text, "To: root|Cc: Root <root>|");
    }

    #[test]
    fn a_configured_domain_is_written_in_a_labels() {
        let idn = Case {
            rewrite: false,
            domain: Some("b\u{fc}cher.test"),
        };
        let (text, _) = done(&idn, "To: root, J <joe>\n");
        assert_eq!(
            text,
            "To: root@xn--bcher-kva.test, J <joe@xn--bcher-kva.test>|"
        );
    }

    #[test]
    fn a_bare_from_is_judged_with_the_domain() {
        let rows = [
            ("ok", "ok@contoso.test"),
            ("O <ok> (c)", "O <ok@contoso.test> (c)"),
            ("alerts", "alerts@contoso.test"),
            ("root", "\"root\" <alerts@contoso.test>"),
        ];
        for (from, made) in rows {
            assert_eq!(
                done(&DOMAIN, &format!("From: {from}\n")).0,
                format!("From: {made}|")
            );
        }
    }

    #[test]
    fn switched_off_it_only_qualifies() {
        let text = "From: root, j@x.test\nSender: k@x.test\n";
        let (text, rewrites) = done(&OFF, text);
        assert_eq!(text, "From: root@contoso.test, j@x.test|Sender: k@x.test|");
        assert_eq!(rewrites.from, None);
    }

    #[test]
    fn afterwards_from_is_one_address_that_is_allowed() {
        let pieces = [
            "root",
            "j@x.test",
            "ok@contoso.test",
            "<",
            ">",
            ",",
            ";",
            ":",
            "\"",
            "\\",
            "(",
            ")",
            " ",
            "\r\n ",
            "Joe",
            "ö",
            "=?utf-8?q?a?=",
            "@",
            ".",
        ];
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as usize
        };
        for _ in 0..40_000 {
            let value: String = (0..next() % 10)
                .map(|_| pieces[next() % pieces.len()])
                .collect();
            let text = format!("To: a@b.test\r\nFrom: {value}\r\n");
            let usable = header(&text)
                .find("From")
                .is_some_and(|field| scan(field.value()).iter().any(Result::is_ok));
            let (text, rewrites) = done(&PLAIN, &text);
            let after = header(&text.replace('|', "\r\n"));
            let count = 2 + usize::from(rewrites.reply_to);
            assert_eq!(after.fields().len(), count, "{value:?}");
            let from = scan(after.find("From").unwrap().value());
            if usable {
                let [Ok(from)] = from.as_slice() else {
                    panic!("{value:?}: {text}");
                };
                let domain = from.address.domain().unwrap();
                assert_eq!(domain, "contoso.test", "{value:?}: {text}");
            }
        }
    }
}
