//! Who is to get a message: arguments, and with `-t` the header.

use super::address::{Address, Fault, Mailbox, scan, scan_word};
use super::aliases::Unresolved;
use crate::outcome::{Class, Failure, Stage, printable};

/// More recipients than any message of this program has; a limit against misuse.
pub const RECIPIENTS_MAX: usize = 10_000;

/// What was found in one place or several.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Collected {
    /// Addresses and local names, in order, repeats included.
    pub addresses: Vec<Address>,
    /// Elements that are neither.
    pub faults: Vec<Fault>,
}

impl Collected {
    /// Both together, this one first.
    pub fn union(mut self, other: Collected) -> Collected {
        self.addresses.extend(other.addresses);
        self.faults.extend(other.faults);
        self
    }

    fn add(&mut self, found: Vec<Result<Mailbox, Fault>>) {
        for element in found {
            match element {
                Ok(mailbox) => self.addresses.push(mailbox.address),
                Err(fault) => self.faults.push(fault),
            }
        }
    }
}

/// The recipients among the arguments, each read like a To field.
///
/// An empty argument and `-` are mistakes of the caller that peers turn into lost mail.
pub fn from_arguments(arguments: &[Vec<u8>]) -> Collected {
    let mut collected = Collected::default();
    for argument in arguments {
        match argument.trim_ascii() {
            b"" => collected
                .faults
                .push(Fault::new(argument, "an empty argument")),
            b"-" => collected
                .faults
                .push(Fault::new(argument, "a lone - is no address")),
            _ => collected.add(scan_word(argument)),
        }
    }
    collected
}

/// The recipients of the header, out of names and raw values of its fields in their order.
///
/// To, Cc and Bcc, all of them. In a message that was sent on, only those who are meant now: the
/// topmost block of Resent fields (RFC 5322 section 3.6.6).
pub fn from_header<'a>(fields: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Collected {
    const RESENT: &[u8] = b"Resent-";
    let is_resent = |name: &[u8]| starts_with(name, RESENT);
    let is_recipient = |name: &[u8]| {
        let name = name.trim_ascii_end();
        [&b"To"[..], b"Cc", b"Bcc"]
            .iter()
            .any(|one| name.eq_ignore_ascii_case(one))
    };
    let resent_recipient =
        |name: &[u8]| is_resent(name) && name.get(RESENT.len()..).is_some_and(is_recipient);
    let fields: Vec<(&[u8], &[u8])> = fields.collect();
    let mut collected = Collected::default();
    if fields.iter().any(|(name, _)| resent_recipient(name)) {
        let block = fields
            .iter()
            .skip_while(|(name, _)| !is_resent(name))
            .take_while(|(name, _)| is_resent(name))
            .filter(|(name, _)| resent_recipient(name));
        block.for_each(|(_, value)| collected.add(scan(value)));
    } else {
        let original = fields.iter().filter(|(name, _)| is_recipient(name));
        original.for_each(|(_, value)| collected.add(scan(value)));
    }
    collected
}

/// Refuses a message to more than `RECIPIENTS_MAX` recipients.
pub fn within_limit(count: usize) -> Result<(), Failure> {
    if count <= RECIPIENTS_MAX {
        return Ok(());
    }
    let what = format!("too many recipients: {count}");
    Err(Failure::new(Class::Data, what)
        .because(format!("a message may have {RECIPIENTS_MAX}"))
        .fix("send it in parts, or to a distribution list"))
}

/// One failure for everything that is wrong with the recipients; none if nothing is.
///
/// Data if anything is no address, else NoUser: then every name was well formed and known nowhere.
pub fn refusal(faults: &[Fault], unresolved: &[Unresolved], stage: Stage) -> Option<Failure> {
    let texts = faults.iter().map(Fault::to_string);
    let texts: Vec<String> = texts
        .chain(unresolved.iter().map(Unresolved::to_string))
        .collect();
    let (first, others) = texts.split_first()?;
    let what = match others.len() {
        0 => "a recipient cannot be used".to_owned(),
        _ => format!("{} recipients cannot be used", texts.len()),
    };
    let (class, fix) = match (faults, unresolved) {
        ([], [name, ..]) => (Class::NoUser, name.cure()),
        _ => (
            Class::Data,
            "write recipients as user@example.com or Name <user@example.com>, with commas between",
        ),
    };
    let failure = Failure::new(class, what).because(named(first, others));
    Some(failure.fix(fix).with_reason(first).at(stage))
}

/// Each that cannot be used, with the reason; octets from outside, in printable form.
pub fn unusable(faults: &[Fault], unresolved: &[Unresolved]) -> Vec<(String, String)> {
    let faults = faults
        .iter()
        .map(|fault| (printable(fault.element()), fault.reason().to_owned()));
    let names = unresolved
        .iter()
        .map(|name| (name.name().to_owned(), name.to_string()));
    faults.chain(names).collect()
}

/// The first few, so that ten thousand of them do not fill a terminal.
fn named(first: &str, others: &[String]) -> String {
    const NAMED_MAX: usize = 3;
    let mut text = first.to_owned();
    for other in others.iter().take(NAMED_MAX - 1) {
        text.push_str("; ");
        text.push_str(other);
    }
    match others.len().saturating_sub(NAMED_MAX - 1) {
        0 => text,
        more => format!("{text}; and {more} more"),
    }
}

fn starts_with(name: &[u8], prefix: &[u8]) -> bool {
    name.get(..prefix.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(arguments: &[&[u8]]) -> Collected {
        let arguments: Vec<Vec<u8>> = arguments.iter().map(|one| one.to_vec()).collect();
        from_arguments(&arguments)
    }

    fn header(fields: &[(&str, &str)]) -> Collected {
        from_header(
            fields
                .iter()
                .map(|(name, value)| (name.as_bytes(), value.as_bytes())),
        )
    }

    fn texts(collected: &Collected) -> Vec<String> {
        collected.addresses.iter().map(Address::to_string).collect()
    }

    #[test]
    fn an_argument_may_be_a_list_as_in_a_to_field() {
        let found = arguments(&[b"a@x.test, B <b@x.test>,", b"root", b"-Xfile", b" , "]);
        assert_eq!(texts(&found), ["a@x.test", "b@x.test", "root", "-Xfile"]);
        assert!(found.faults.is_empty());
    }

    #[test]
    fn an_argument_that_is_no_address_is_told_and_the_others_are_kept() {
        let found = arguments(&[b"", b"-", b"  ", b"a@@x", b"\xff@x", b"b@x.test"]);
        assert_eq!(texts(&found), ["b@x.test"]);
        assert_eq!(found.faults.len(), 5);
    }

    #[test]
    fn no_part_of_an_argument_with_a_control_character_is_a_recipient() {
        for argument in [
            &b"a@x.test\r\nRCPT TO:<b@y.test>"[..],
            b"a@x.test,\tb@x.test",
            b"a@x\x7f",
        ] {
            let found = arguments(&[argument]);
            assert!(found.addresses.is_empty());
            assert_eq!(found.faults.len(), 1);
        }
    }

    #[test]
    fn all_to_cc_and_bcc_fields_count_and_no_other() {
        let found = header(&[
            ("To", " a@x.test,\r\n b@x.test"),
            ("From", "f@x.test"),
            ("BCC ", "c@x.test"),
            ("Tos", "g@x.test"),
            ("cc", "d@x.test"),
            ("To", "e@x.test"),
            ("Apparently-To", "h@x.test"),
        ]);
        assert_eq!(
            texts(&found),
            ["a@x.test", "b@x.test", "c@x.test", "d@x.test", "e@x.test"]
        );
    }

    #[test]
    fn a_message_sent_on_goes_to_those_of_the_topmost_block_only() {
        let found = header(&[
            ("Received", "x"),
            ("Resent-From", "f@x.test"),
            ("resent-to", "a@x.test"),
            ("Resent-Bcc", "b@x.test"),
            ("Received", "x"),
            ("Resent-To", "old@x.test"),
            ("To", "original@x.test"),
        ]);
        assert_eq!(texts(&found), ["a@x.test", "b@x.test"]);
        let found = header(&[("Resent-From", "f@x.test"), ("To", "a@x.test")]);
        assert_eq!(texts(&found), ["a@x.test"]);
    }

    #[test]
    fn header_and_arguments_are_one_list() {
        let both = arguments(&[b"a@x.test", b""]).union(header(&[("To", "b@x.test, <>")]));
        assert_eq!(texts(&both), ["a@x.test", "b@x.test"]);
        assert_eq!(both.faults.len(), 2);
    }

    #[test]
    fn an_unparsable_field_is_a_fault_and_an_empty_group_is_none() {
        assert_eq!(header(&[("To", "<<>>")]).faults.len(), 1);
        assert_eq!(
            header(&[("To", "undisclosed-recipients:;")]),
            Collected::default()
        );
    }

    #[test]
    fn ten_thousand_recipients_are_enough() {
        assert!(within_limit(10_000).is_ok());
        assert_eq!(within_limit(10_001).unwrap_err().class(), Class::Data);
    }

    #[test]
    fn a_refusal_says_what_why_and_what_to_do() {
        let faults = arguments(&[b"a b", b"", b"x@", b"y@", b"z@"]).faults;
        let failure = refusal(&faults, &[], Stage::Argv).unwrap();
        assert_eq!(
            (failure.class(), failure.stage()),
            (Class::Data, Some(Stage::Argv))
        );
        assert_eq!(
            failure.lines("sendmail"),
            [
                "sendmail: 5 recipients cannot be used: `a b`: several words, and no < > around an \
                 address; ``: an empty argument; `x@`: there is nothing after the @; and 2 more",
                "sendmail: write recipients as user@example.com or Name <user@example.com>, with \
                 commas between",
            ]
        );
        assert!(refusal(&[], &[], Stage::Argv).is_none());
    }
}
