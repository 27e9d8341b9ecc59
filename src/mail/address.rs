//! Mail addresses: one mailbox, how it is written, and why a text is none.
//!
//! Every address comes through one constructor that refuses control characters, so no text that is
//! made of an `Address` can gain a line (RFC 5321 section 4.1.2).

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use crate::outcome::printable;

pub(super) use super::scan::elements;
pub use super::scan::{scan, scan_word};

/// RFC 5321 section 4.5.3.1.3: a path has 256 octets, two of them the angle brackets.
const OCTETS_MAX: usize = 254;

/// One mailbox's address: a local part and, unless it is a local name such as `root`, a domain.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Address {
    local: String,
    domain: Option<String>,
}

/// What stands between `<` and `>` in MAIL and RCPT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wire {
    /// The path without its brackets; no control characters, specials only within quotes.
    pub path: String,
    /// The path can only be sent to a server that offers SMTPUTF8.
    pub utf8: bool,
}

/// One element of an address list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mailbox {
    /// The phrase before `<`: raw octets with quotes, comments and folds in them, trimmed.
    pub name: Option<Vec<u8>>,
    /// The address.
    pub address: Address,
    /// The octets of the address within the scanned value, brackets and route not included.
    pub span: Range<usize>,
}

/// Why an element of an address list is no address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    element: Vec<u8>,
    reason: &'static str,
}

impl Fault {
    /// A fault in `element`, of which only the first octets are kept.
    pub(crate) fn new(element: &[u8], reason: &'static str) -> Fault {
        const CUT: usize = 200;
        let element = element.trim_ascii();
        Fault {
            element: element.iter().take(CUT).copied().collect(),
            reason,
        }
    }

    /// The element as it was written, cut if it is long.
    pub fn element(&self) -> &[u8] {
        &self.element
    }

    /// What is wrong with it.
    pub fn reason(&self) -> &'static str {
        self.reason
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", printable(&self.element), self.reason)
    }
}

impl Address {
    /// Reads exactly one address in any form that a recipient field may have.
    pub fn parse(text: &[u8]) -> Result<Address, Fault> {
        let mut found = scan(text).into_iter();
        match (found.next(), found.next()) {
            (Some(Ok(mailbox)), None) => Ok(mailbox.address),
            (Some(Err(fault)), None) => Err(fault),
            (None, _) => Err(Fault::new(text, "there is no address in it")),
            (Some(_), Some(_)) => Err(Fault::new(text, "one address is wanted, not several")),
        }
    }

    /// Checks and joins the parts; the only way in which an address comes to be.
    ///
    /// `local` is without quotes.
    pub(super) fn new(local: String, domain: Option<String>) -> Result<Address, &'static str> {
        if local.is_empty() {
            return Err("there is nothing before the @");
        }
        if local.contains(|c: char| c.is_control() || (c.is_whitespace() && c != ' ')) {
            return Err(CONTROL);
        }
        let address = Address { local, domain };
        // Before the domain is looked at: the work of IDNA grows faster than its input.
        if address.to_string().len() > OCTETS_MAX {
            return Err(TOO_LONG);
        }
        address.path()?;
        Ok(address)
    }

    /// The local part without quotes.
    pub fn local(&self) -> &str {
        &self.local
    }

    /// The domain as it was written; none for a local name.
    pub fn domain(&self) -> Option<&str> {
        self.domain.as_deref()
    }

    /// The address with `domain` added if it has none.
    pub fn qualified(&self, domain: &str) -> Address {
        let mut address = self.clone();
        address.domain.get_or_insert_with(|| domain.to_owned());
        address
    }

    /// Whether both name one mailbox: local parts exactly, domains without regard to case.
    pub fn same_mailbox(&self, other: &Address) -> bool {
        self.local == other.local && self.domain_key() == other.domain_key()
    }

    /// The domain in the one form that can be compared: lower case, A-labels.
    pub(super) fn domain_key(&self) -> Option<String> {
        self.domain.as_deref().map(domain_key)
    }

    /// The path for MAIL and RCPT: local part requoted where needed, domain in A-labels.
    ///
    /// Everything is judged again here, because a domain that was added later has not passed the
    /// constructor.
    pub fn wire(&self) -> Result<Wire, Fault> {
        match self.path() {
            Ok(path) => Ok(Wire {
                utf8: !path.is_ascii(),
                path,
            }),
            Err(reason) => Err(Fault::new(self.to_string().as_bytes(), reason)),
        }
    }

    /// As it is written in a header field: only a local part that is not ASCII leaves the domain in
    /// the letters of its language, since nothing else makes a message need SMTPUTF8.
    pub fn written(&self) -> String {
        match self.wire() {
            Ok(wire) if !wire.utf8 => wire.path,
            _ => self.to_string(),
        }
    }

    fn path(&self) -> Result<String, &'static str> {
        let mut path = quoted_local(&self.local).into_owned();
        if let Some(domain) = &self.domain {
            path.push('@');
            path.push_str(&a_label(domain)?);
        }
        match path.len() <= OCTETS_MAX {
            true => Ok(path),
            false => Err(TOO_LONG),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&quoted_local(&self.local))?;
        match &self.domain {
            Some(domain) => write!(f, "@{domain}"),
            None => Ok(()),
        }
    }
}

/// Why a text with a control character in it is no address.
pub(super) const CONTROL: &str = "control characters are not allowed";

const TOO_LONG: &str = "an address has at most 254 octets";

/// Whether `octet` may stand in an atom (RFC 5322 section 3.2.3, RFC 6532 section 3.2).
pub(super) fn is_atext(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&octet) || !octet.is_ascii()
}

/// The domain in lower case and A-labels; as it is where it has no such form.
pub(super) fn domain_key(domain: &str) -> String {
    a_label(domain)
        .unwrap_or(Cow::Borrowed(domain))
        .to_ascii_lowercase()
}

/// The domain as DNS writes it (RFC 5890 section 2.3.2.1); address literals stay as they are.
pub(super) fn a_label(domain: &str) -> Result<Cow<'_, str>, &'static str> {
    const BAD: &str = "the part after the @ is no domain";
    let literal = domain.strip_prefix('[').and_then(|d| d.strip_suffix(']'));
    if let Some(literal) = literal {
        return match is_literal(literal) {
            true => Ok(Cow::Borrowed(domain)),
            false => Err("the address in brackets is not one"),
        };
    }
    let ascii = match domain.is_ascii() {
        true => Cow::Borrowed(domain),
        false => Cow::Owned(idna::domain_to_ascii(domain).map_err(|_| BAD)?),
    };
    // The mapping of IDNA can turn a wide form into `<` or a blank, so its result is judged too.
    match is_host_name(&ascii) {
        true => Ok(ascii),
        false => Err(BAD),
    }
}

fn is_literal(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|octet| octet.is_ascii_alphanumeric() || b".:-".contains(&octet))
}

fn is_host_name(text: &str) -> bool {
    text.strip_suffix('.')
        .unwrap_or(text)
        .split('.')
        .all(is_label)
}

fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label
            .bytes()
            .all(|octet| octet.is_ascii() && is_atext(octet))
}

/// The local part, in quotes if it is no dot-atom (RFC 5321 section 4.1.2).
fn quoted_local(local: &str) -> Cow<'_, str> {
    let is_atom = |part: &str| !part.is_empty() && part.bytes().all(is_atext);
    if local.split('.').all(is_atom) {
        return Cow::Borrowed(local);
    }
    let mut quoted = String::from("\"");
    for character in local.chars() {
        if matches!(character, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    quoted.push('"');
    Cow::Owned(quoted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        Address::parse(text.as_bytes()).unwrap()
    }

    fn wire(text: &str) -> String {
        address(text).wire().unwrap().path
    }

    #[test]
    fn one_address_is_read_in_any_form_and_two_are_refused() {
        for text in ["j@x.test", "<j@x.test>", "J <j@x.test>", " (c) j@x.test,"] {
            assert_eq!(address(text).to_string(), "j@x.test");
        }
        for text in ["", "a@x.test, b@x.test", "a@x.test b@x.test", "<>", "a b"] {
            assert!(Address::parse(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn a_mailbox_is_the_same_in_any_case_and_form_of_its_domain() {
        assert!(address("j@X.test").same_mailbox(&address("j@x.TEST")));
        assert!(address("j@b\u{fc}cher.test").same_mailbox(&address("j@xn--bcher-kva.test")));
        assert!(!address("J@x.test").same_mailbox(&address("j@x.test")));
        assert!(!address("j").same_mailbox(&address("j@x.test")));
    }

    #[test]
    fn the_wire_gets_quotes_where_they_are_needed() {
        assert_eq!(wire("\"john\"@x.test"), "john@x.test");
        assert_eq!(wire("\"john doe\"@x.test"), "\"john doe\"@x.test");
        assert_eq!(wire("<\"a\\\"b\\\\>\"@x.test>"), "\"a\\\"b\\\\>\"@x.test");
        assert_eq!(wire("j..k.@x.test"), "\"j..k.\"@x.test");
    }

    #[test]
    fn only_a_foreign_local_part_needs_smtputf8() {
        assert_eq!(wire("j@b\u{fc}cher.test"), "j@xn--bcher-kva.test");
        assert!(!address("j@b\u{fc}cher.test").wire().unwrap().utf8);
        assert!(address("j\u{f6}rg@x.test").wire().unwrap().utf8);
    }

    #[test]
    fn a_header_gets_a_labels_unless_the_local_part_needs_smtputf8() {
        let rows = [
            ("j@b\u{fc}cher.test", "j@xn--bcher-kva.test"),
            ("\"j k\"@b\u{fc}cher.test", "\"j k\"@xn--bcher-kva.test"),
            ("j\u{f6}rg@b\u{fc}cher.test", "j\u{f6}rg@b\u{fc}cher.test"),
            ("J@X.test", "J@X.test"),
            ("root", "root"),
        ];
        for (text, written) in rows {
            assert_eq!(address(text).written(), written);
        }
    }

    #[test]
    fn a_domain_that_is_none_does_not_reach_the_wire() {
        for domain in ["x>\r\nRCPT TO:<b@y", "x y", "", "a..b", "\u{ff1c}x", "x\0"] {
            assert!(
                address("root").qualified(domain).wire().is_err(),
                "{domain:?}"
            );
        }
        let long = "a".repeat(250);
        assert!(address(&long).qualified("x.test").wire().is_err());
    }

    #[test]
    fn an_address_longer_than_a_path_is_refused() {
        let longest = format!("{}@x.test", "a".repeat(247));
        assert_eq!(wire(&longest).len(), 254);
        assert!(Address::parse(format!("a{longest}").as_bytes()).is_err());
        // Short enough as it is written, three times as long in A-labels.
        let domain = ["\u{fc}"; 80].join(".");
        assert!(Address::parse(format!("a@{domain}").as_bytes()).is_err());
    }

    #[test]
    fn a_blank_that_looks_like_one_but_is_none_does_not_pass() {
        for text in ["j\u{a0}k@x.test", "j@x.test\u{a0}", "\u{2028}root"] {
            assert!(Address::parse(text.as_bytes()).is_err(), "{text:?}");
        }
    }

    #[test]
    fn only_a_local_name_is_qualified() {
        assert_eq!(address("a!b").qualified("x.test").to_string(), "a!b@x.test");
        assert_eq!(
            address("j@y.test").qualified("x.test").to_string(),
            "j@y.test"
        );
    }

    #[test]
    fn a_fault_is_told_on_one_line() {
        let fault = Address::parse(b"a\x07\nb c").unwrap_err();
        assert!(!fault.to_string().contains(char::is_control), "{fault}");
    }
}
