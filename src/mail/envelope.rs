//! The envelope: who sends, and to whom.

use std::collections::HashSet;

use super::address::{Address, Fault, Mailbox, domain_key, scan_word};
use super::token::{Kind, tokens};
use crate::outcome::{Class, Failure, Stage, printable};

/// At least one qualified address, none of them twice, in the order in which they were given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipients(Vec<Address>);

impl Recipients {
    /// Keeps the first spelling of every mailbox; none if no qualified address is left.
    ///
    /// Local parts are compared exactly, because only their own server knows what case means to
    /// it; in `ours`, the domains of the account, they are compared without regard to case.
    pub fn new(addresses: Vec<Address>, ours: &[&str]) -> Option<Recipients> {
        let ours: HashSet<String> = ours.iter().map(|domain| domain_key(domain)).collect();
        let mut seen = HashSet::new();
        let mut kept = addresses;
        kept.retain(|address| {
            let Some(domain) = address.domain_key() else {
                return false;
            };
            let local = match ours.contains(&domain) {
                true => address.local().to_lowercase(),
                false => address.local().to_owned(),
            };
            seen.insert((local, domain))
        });
        match kept.is_empty() {
            true => None,
            false => Some(Recipients(kept)),
        }
    }

    /// The addresses in their order.
    pub fn iter(&self) -> std::slice::Iter<'_, Address> {
        self.0.iter()
    }

    /// How many there are; never 0.
    #[expect(clippy::len_without_is_empty, reason = "never empty")]
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl<'a> IntoIterator for &'a Recipients {
    type Item = &'a Address;
    type IntoIter = std::slice::Iter<'a, Address>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// What the server is told before the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    pub sender: Address,
    pub recipients: Recipients,
}

/// Addresses that may stand in From and MAIL FROM beside the mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pattern {
    /// One address, compared without regard to case.
    Mailbox(Address),
    /// Every address at a domain: `*@contoso.com`.
    Domain(String),
}

impl Pattern {
    /// Reads an address or `*@domain`.
    pub fn parse(text: &str) -> Result<Pattern, Fault> {
        let fault = |reason| Fault::new(text.as_bytes(), reason);
        let address = Address::parse(text.as_bytes())?;
        match address.domain_key() {
            None => Err(fault("a domain is missing")),
            Some(domain) if address.local() == "*" => Ok(Pattern::Domain(domain)),
            Some(_) if address.local().contains('*') => {
                Err(fault("only a lone * before the @ stands for any address"))
            }
            Some(domain) if domain.contains('*') => Err(fault("a * cannot stand in a domain")),
            Some(_) => Ok(Pattern::Mailbox(address)),
        }
    }

    /// Whether `address` is covered.
    pub fn allows(&self, address: &Address) -> bool {
        match self {
            Pattern::Mailbox(mailbox) => same_but_for_case(mailbox, address),
            Pattern::Domain(domain) => address.domain_key().as_ref() == Some(domain),
        }
    }
}

/// Which senders the server will take, and what stands in for the others.
#[derive(Debug, Clone, Copy)]
pub struct SenderPolicy<'a> {
    /// The account's own address.
    pub mailbox: &'a Address,
    /// What else it may send as.
    pub allow_from: &'a [Pattern],
    /// Makes a local name an address.
    pub domain: Option<&'a str>,
}

/// The sender of one message, and what the caller had wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChosenSender {
    /// What goes on the wire.
    pub sender: Address,
    /// `-f ''` or `-f '<>'`: the mailbox is on the wire, since Microsoft takes no null sender, but
    /// nobody wants to hear of a failure (RFC 5321 section 4.5.5).
    pub null_requested: bool,
    /// What was asked for and is no address or not allowed, for the log.
    pub replaced: Option<String>,
}

impl SenderPolicy<'_> {
    /// Whether the account may send as `address`.
    pub fn allowed(&self, address: &Address) -> bool {
        same_but_for_case(self.mailbox, address)
            || self.allow_from.iter().any(|one| one.allows(address))
    }

    /// The envelope sender for what `-f` asked for.
    ///
    /// An address that is not allowed becomes the mailbox, because `www-data`, `root` and bounce
    /// addresses are what callers ask for all day; so does what is no address at all. Only what
    /// may be an attempt at a second command is refused.
    pub fn sender(&self, requested: Option<&[u8]>) -> Result<ChosenSender, Failure> {
        let mailbox = ChosenSender {
            sender: self.mailbox.clone(),
            null_requested: false,
            replaced: None,
        };
        let Some(requested) = requested else {
            return Ok(mailbox);
        };
        if matches!(requested.trim_ascii(), b"" | b"<>") && !has_controls(requested) {
            return Ok(ChosenSender {
                null_requested: true,
                ..mailbox
            });
        }
        let Some(address) = first_address(requested)? else {
            return Ok(ChosenSender {
                replaced: Some(printable(requested)),
                ..mailbox
            });
        };
        let address = match self.domain {
            Some(domain) => address.qualified(domain),
            None => address,
        };
        if self.allowed(&address) {
            return Ok(ChosenSender {
                sender: address,
                ..mailbox
            });
        }
        Ok(ChosenSender {
            replaced: Some(address.to_string()),
            ..mailbox
        })
    }
}

fn same_but_for_case(one: &Address, other: &Address) -> bool {
    one.local().to_lowercase() == other.local().to_lowercase()
        && one.domain_key() == other.domain_key()
}

fn has_controls(text: &[u8]) -> bool {
    text.iter().any(u8::is_ascii_control)
}

/// Whether a bracket stands outside a pair; a recipient is forgiven that, but here it looks like
/// the end of MAIL FROM.
fn has_stray_bracket(text: &[u8]) -> bool {
    let mut open = false;
    let stray = tokens(text).iter().any(|token| match token.kind {
        Kind::Open => std::mem::replace(&mut open, true),
        Kind::Close => !std::mem::take(&mut open),
        Kind::Bad(_) => token.text.iter().any(|octet| b"<>".contains(octet)),
        _ => false,
    });
    stray || open
}

/// The first address of a word; None if there is none in it, and nothing to fear either.
fn first_address(requested: &[u8]) -> Result<Option<Address>, Failure> {
    let reason = match scan_word(requested).into_iter().next() {
        _ if has_controls(requested) => "a control character stands in it",
        _ if has_stray_bracket(requested) => "a < or > that is not one of a pair",
        Some(Ok(Mailbox { address, .. })) => return Ok(Some(address)),
        Some(Err(_)) | None => return Ok(None),
    };
    let what = format!("-f `{}` is no sender address", printable(requested));
    Err(Failure::new(Class::Data, what)
        .because(reason)
        .fix("give one address, as in -f user@example.com, or leave -f out")
        .with_reason(reason)
        .at(Stage::Argv))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        Address::parse(text.as_bytes()).unwrap()
    }

    fn recipients(texts: &[&str], ours: &[&str]) -> Vec<String> {
        let addresses = texts.iter().map(|text| address(text)).collect();
        let recipients = Recipients::new(addresses, ours);
        let recipients = recipients.iter().flatten();
        recipients.map(Address::to_string).collect()
    }

    fn chosen(requested: Option<&[u8]>) -> Result<ChosenSender, Failure> {
        let allow_from = ["team@x.test", "*@list.test"].map(|text| Pattern::parse(text).unwrap());
        let policy = SenderPolicy {
            mailbox: &address("alerts@x.test"),
            allow_from: &allow_from,
            domain: Some("x.test"),
        };
        policy.sender(requested)
    }

    #[test]
    fn nobody_gets_a_message_twice_and_the_first_spelling_wins() {
        let texts = ["A@x.test", "b@y.test", "A@X.test", "a@x.test", "b@y.test"];
        assert_eq!(
            recipients(&texts, &[]),
            ["A@x.test", "b@y.test", "a@x.test"]
        );
        assert_eq!(recipients(&texts, &["X.TEST"]), ["A@x.test", "b@y.test"]);
    }

    #[test]
    fn without_a_qualified_recipient_there_is_no_envelope() {
        assert!(Recipients::new(Vec::new(), &[]).is_none());
        assert!(Recipients::new(vec![address("root")], &[]).is_none());
        let two = Recipients::new(vec![address("a@x.test"), address("b@x.test")], &[]);
        assert_eq!(two.map(|two| two.len()), Some(2));
    }

    #[test]
    fn the_mailbox_sends_when_nobody_asks() {
        let sender = chosen(None).unwrap();
        assert_eq!(sender.sender.to_string(), "alerts@x.test");
        assert!(!sender.null_requested);
    }

    #[test]
    fn an_allowed_sender_is_kept_in_any_form() {
        for (requested, sender) in [
            ("Alerts@X.test", "Alerts@X.test"),
            ("Team <team@x.test>", "team@x.test"),
            ("<\"a>b\"@list.test>", "\"a>b\"@list.test"),
            ("team", "team@x.test"),
            ("any@LIST.test, b@y.test", "any@LIST.test"),
        ] {
            let chosen = chosen(Some(requested.as_bytes())).unwrap();
            assert_eq!(
                (chosen.sender.to_string().as_str(), chosen.replaced),
                (sender, None)
            );
        }
    }

    #[test]
    fn a_sender_that_is_not_allowed_becomes_the_mailbox_and_is_told() {
        for (requested, replaced) in [("root", "root@x.test"), ("www <w@host.y>", "w@host.y")] {
            let chosen = chosen(Some(requested.as_bytes())).unwrap();
            assert_eq!(chosen.sender.to_string(), "alerts@x.test");
            assert_eq!(chosen.replaced.as_deref(), Some(replaced));
        }
    }

    #[test]
    fn a_sender_that_is_no_address_and_no_attack_becomes_the_mailbox_and_is_told() {
        for (requested, replaced) in [
            (&b"www-data@"[..], "www-data@"),
            (b"no reply@x.test", "no reply@x.test"),
            (b"a@b@c", "a@b@c"),
            (b"<a@b@c>", "<a@b@c>"),
            (b"\xff@x.test", "\\xff@x.test"),
            (b"two words", "two words"),
            (b"(c)", "(c)"),
            (b",", ","),
            (b"@", "@"),
        ] {
            let chosen = chosen(Some(requested)).unwrap();
            assert_eq!(chosen.sender.to_string(), "alerts@x.test");
            assert_eq!(chosen.replaced.as_deref(), Some(replaced));
        }
    }

    #[test]
    fn the_null_sender_is_remembered_with_the_mailbox_on_the_wire() {
        for requested in ["", "<>", " <> "] {
            let chosen = chosen(Some(requested.as_bytes())).unwrap();
            assert!(chosen.null_requested && chosen.replaced.is_none());
            assert_eq!(chosen.sender.to_string(), "alerts@x.test");
        }
    }

    #[test]
    fn a_sender_that_could_add_a_command_is_refused_by_name() {
        for requested in [
            &b"a@x>\r\nRCPT TO:<b@y"[..],
            b"alerts@x.test\n",
            b"a\0@x.test",
            b"\t",
            b"a>@x y",
            b"www\x7f@x.test",
            b"a@x.test>",
            b"<a@x.test",
            b"<<a@x.test>>",
            b"a@x.test <",
            b"\"a>",
            b"a@x.test> b@y.test",
            b"<a@x.test>>",
        ] {
            let failure = chosen(Some(requested)).unwrap_err();
            assert_eq!(
                (failure.class(), failure.stage()),
                (Class::Data, Some(Stage::Argv))
            );
            let lines = failure.lines("sendmail");
            assert!(lines[0].starts_with("sendmail: -f `"), "{lines:?}");
            assert_eq!(lines.len(), 2);
        }
        let failure = chosen(Some(b"a\r\nb")).unwrap_err();
        assert!(failure.lines("sendmail")[0].contains("`a\\x0d\\x0ab`"));
    }

    #[test]
    fn a_pattern_is_an_address_or_a_whole_domain() {
        for text in [
            "root",
            "*",
            "a*@x.test",
            "x@*.test",
            "",
            "a@x.test, b@x.test",
            "*@",
        ] {
            assert!(Pattern::parse(text).is_err(), "{text}");
        }
        let domain = Pattern::parse("*@B\u{fc}cher.test").unwrap();
        assert!(domain.allows(&address("j@xn--bcher-kva.test")));
        assert!(!domain.allows(&address("j@x.b\u{fc}cher.test")));
        assert!(!Pattern::parse("j@x.test").unwrap().allows(&address("j")));
    }
}
