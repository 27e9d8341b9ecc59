//! Local names: the aliases file, and what becomes of names that it does not know.
//!
//! Nothing is delivered on this host, so a local name has to end in an address elsewhere or fail
//! where someone sees it. It never gets the host's own name: mail to `root@host` goes nowhere.

use std::collections::{HashMap, HashSet};
use std::fmt;

use super::address::{Address, Fault, domain_key};
use super::recipients::RECIPIENTS_MAX;
use crate::outcome::printable;

/// How many aliases in a row are followed.
const DEPTH_MAX: usize = 10;

/// What an aliases file says: names in lower case, and what they lead to.
#[derive(Debug, Clone, Default)]
pub struct Aliases(HashMap<String, Vec<Target>>);

#[derive(Debug, Clone)]
enum Target {
    Address(Address),
    /// A file, a command or an `:include:`: deliveries, which do not happen here.
    Refused(String),
}

/// A line of the aliases file that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadLine {
    /// Its number, from 1.
    pub number: usize,
    /// What is wrong; of the text only the name before the colon is quoted, since whoever asks may
    /// be somebody who cannot read the file himself.
    pub why: String,
}

impl Aliases {
    /// Reads every line that can be read, and says for each other one what is wrong with it.
    ///
    /// One bad line must not take root's mail with it, so the good ones hold. The first line for
    /// a name wins.
    pub fn parse(text: &[u8]) -> (Aliases, Vec<BadLine>) {
        // What editors of Windows put before a text is no part of the first name.
        let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
        let mut aliases = HashMap::new();
        let mut bad = Vec::new();
        for (number, line) in logical_lines(text) {
            match entry(&line) {
                Ok((name, targets)) => {
                    aliases.entry(name).or_insert(targets);
                }
                Err(why) => bad.push(BadLine { number, why }),
            }
        }
        (Aliases(aliases), bad)
    }

    fn targets(&self, name: &str) -> Option<&[Target]> {
        self.0.get(&name.to_lowercase()).map(Vec::as_slice)
    }
}

/// A local name that leads to no address, or a target of it that is not delivered to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unresolved {
    name: String,
    target: Option<String>,
}

impl Unresolved {
    /// The name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// What an administrator can do about it.
    pub(super) fn cure(&self) -> &'static str {
        match self.target {
            None => {
                "set recipients.admin or recipients.domain, or add the name to the aliases file"
            }
            Some(_) => {
                "give the alias an address: files, commands and :include: are not delivered to"
            }
        }
    }
}

impl fmt::Display for Unresolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = printable(self.name.as_bytes());
        match &self.target {
            None => write!(
                f,
                "{name} is not an alias, and neither recipients.domain nor recipients.admin is set"
            ),
            Some(target) => write!(
                f,
                "the alias {name} leads to `{}`, a local delivery",
                printable(target.as_bytes())
            ),
        }
    }
}

/// How local names become addresses.
#[derive(Debug, Clone, Copy)]
pub struct Resolver<'a> {
    /// The aliases; none with `-n`.
    pub aliases: Option<&'a Aliases>,
    /// Makes an address of a name that nothing else resolves.
    pub domain: Option<&'a str>,
    /// Gets the mail of names that no alias resolves.
    pub admin: Option<&'a Address>,
    /// localhost, the host's name, /etc/mailname: a name at one of them is a local name.
    ///
    /// Not so where it is also `domain` or the admin's domain. /etc/mailname often holds a
    /// company's real mail domain, and its mailboxes must not be taken for names on this host.
    pub local_domains: &'a [String],
}

/// What became of the recipients.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resolved {
    /// Qualified addresses, in order, repeats possible.
    pub addresses: Vec<Address>,
    /// Names that led nowhere.
    pub faults: Vec<Unresolved>,
    /// Targets that led nowhere, of names that lead somewhere else as well. Those who send to such a
    /// name cannot know of it, and their mail must not be lost to all for it.
    pub passed_over: Vec<Unresolved>,
}

impl Resolver<'_> {
    /// Follows aliases and qualifies what is left.
    pub fn resolve(&self, recipients: Vec<Address>) -> Resolved {
        let mut walk = Walk {
            local_domains: self.really_local(),
            expanded: HashSet::new(),
            resolved: Resolved::default(),
        };
        let mut seen = HashSet::new();
        for recipient in recipients {
            if !seen.insert(recipient.to_string()) {
                continue;
            }
            // Each is judged alone: what one leads to is no other's merit.
            walk.expanded.clear();
            let found = walk.resolved.addresses.len();
            let faults = walk.resolved.faults.len();
            self.follow(&recipient, &mut Vec::new(), &mut walk);
            if walk.resolved.addresses.len() > found {
                let others = walk.resolved.faults.split_off(faults);
                walk.resolved.passed_over.extend(others);
            }
        }
        walk.resolved
    }

    /// Whether any of them is a name of this host, for which the aliases have to be known.
    pub fn has_local(&self, recipients: &[Address]) -> bool {
        let walk = Walk {
            local_domains: self.really_local(),
            expanded: HashSet::new(),
            resolved: Resolved::default(),
        };
        let mut names = recipients.iter().map(|one| walk.local_name(one));
        names.any(|name| name.is_some())
    }

    fn really_local(&self) -> HashSet<String> {
        let mut domains: HashSet<String> = self
            .local_domains
            .iter()
            .map(|one| domain_key(one))
            .collect();
        let admin = self.admin.and_then(Address::domain_key);
        for real in self.domain.map(domain_key).into_iter().chain(admin) {
            domains.remove(&real);
        }
        domains
    }

    /// Goes at most `DEPTH_MAX` calls deep; `path` holds the names on the way here.
    fn follow(&self, address: &Address, path: &mut Vec<String>, walk: &mut Walk) {
        // More than a message may have; it is refused for that.
        if walk.resolved.addresses.len() > RECIPIENTS_MAX {
            return;
        }
        let Some(name) = walk.local_name(address) else {
            return walk.resolved.addresses.push(address.clone());
        };
        let unaliased = name.strip_prefix('\\');
        let key = name.to_lowercase();
        let is_loop = path.contains(&key);
        let targets = self
            .aliases
            .filter(|_| unaliased.is_none() && !is_loop && path.len() < DEPTH_MAX)
            .and_then(|aliases| aliases.targets(&key));
        let Some(targets) = targets else {
            return self.qualify(unaliased.unwrap_or(name), walk);
        };
        // Expanded before, from another name: its targets are there already.
        if !walk.expanded.insert(key.clone()) {
            return;
        }
        path.push(key);
        for target in targets {
            match target {
                Target::Address(address) => self.follow(address, path, walk),
                Target::Refused(target) => walk.resolved.faults.push(Unresolved {
                    name: name.to_owned(),
                    target: Some(target.clone()),
                }),
            }
        }
        path.pop();
    }

    fn qualify(&self, name: &str, walk: &mut Walk) {
        let admin = self.admin.filter(|admin| admin.domain().is_some()).cloned();
        let qualified = || Address::new(name.to_owned(), Some(self.domain?.to_owned())).ok();
        match admin.or_else(qualified) {
            Some(address) => walk.resolved.addresses.push(address),
            None => walk.resolved.faults.push(Unresolved {
                name: name.to_owned(),
                target: None,
            }),
        }
    }
}

struct Walk {
    local_domains: HashSet<String>,
    expanded: HashSet<String>,
    resolved: Resolved,
}

impl Walk {
    fn local_name<'a>(&self, address: &'a Address) -> Option<&'a str> {
        match address.domain_key() {
            Some(domain) if !self.local_domains.contains(&domain) => None,
            _ => Some(address.local()),
        }
    }
}

/// Lines with their continuations, which begin with a blank; the number is that of the first.
fn logical_lines(text: &[u8]) -> Vec<(usize, Vec<u8>)> {
    let mut lines: Vec<(usize, Vec<u8>)> = Vec::new();
    for (number, line) in (1..).zip(text.split(|&octet| octet == b'\n')) {
        let content = line.trim_ascii();
        if content.is_empty() || content.starts_with(b"#") {
            continue;
        }
        match lines.last_mut() {
            Some((_, before)) if line.starts_with(b" ") || line.starts_with(b"\t") => {
                before.push(b' ');
                before.extend_from_slice(content);
            }
            _ => lines.push((number, content.to_vec())),
        }
    }
    lines
}

fn entry(line: &[u8]) -> Result<(String, Vec<Target>), String> {
    let (name, value) = split_unquoted(line, b':').ok_or("there is no colon after the name")?;
    let name = match Address::parse(name) {
        Ok(name) if name.domain().is_none() => name.local().to_lowercase(),
        Ok(_) => return Err("a name before the colon has no domain".to_owned()),
        Err(fault) => return Err(format!("the name before the colon: {}", fault.reason())),
    };
    let wrong = |why: &str| format!("{}: {why}", printable(name.as_bytes()));
    let mut targets = Vec::new();
    let mut rest = Some(value);
    while let Some(value) = rest {
        let (item, after) = match split_unquoted(value, b',') {
            Some((item, after)) => (item, Some(after)),
            None => (value, None),
        };
        if !item.trim_ascii().is_empty() {
            targets.push(target(item.trim_ascii()).map_err(|fault| wrong(fault.reason()))?);
        }
        rest = after;
    }
    match targets.is_empty() {
        true => Err(wrong("there is nothing after the colon")),
        false => Ok((name, targets)),
    }
}

fn target(item: &[u8]) -> Result<Target, Fault> {
    let inner = item.strip_prefix(b"\"").unwrap_or(item);
    let include = b":include:";
    let is_include = inner
        .get(..include.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(include));
    if is_include || inner.starts_with(b"/") || inner.starts_with(b"|") {
        return Ok(Target::Refused(String::from_utf8_lossy(item).into_owned()));
    }
    Address::parse(item).map(Target::Address)
}

/// What stands before and after the first `separator` outside quotes.
fn split_unquoted(text: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let (mut quoted, mut escaped) = (false, false);
    for (place, &octet) in text.iter().enumerate() {
        match octet {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => quoted = !quoted,
            _ if octet == separator && !quoted => {
                return Some((text.get(..place)?, text.get(place + 1..)?));
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::recipients::refusal;
    use crate::outcome::{Class, Stage};

    const FILE: &[u8] = b"# who reads what\n\
        postmaster: root\n\
        Root: ops@x.test, \"on call\"@x.test,\n\
        # in between\n\
        \tbob\n\
        \n\
        bob:\tbob@localhost, Bob <bob@y.test>\n\
        joe: \\joe, joe@y.test\n\
        \"two words\": a@x.test\n\
        lists: :include:/etc/list, \"|/usr/bin/prog -a, b\", /dev/null, a@x.test\n\
        ping: pong\n\
        pong: ping\n";

    fn aliases(text: &[u8]) -> Aliases {
        let (aliases, bad) = Aliases::parse(text);
        assert!(bad.is_empty(), "{bad:?}");
        aliases
    }

    fn resolve(resolver: &Resolver, names: &[&str]) -> (Vec<String>, Vec<String>) {
        let names = names
            .iter()
            .map(|name| Address::parse(name.as_bytes()).unwrap());
        let resolved = resolver.resolve(names.collect());
        (
            resolved.addresses.iter().map(Address::to_string).collect(),
            resolved
                .faults
                .iter()
                .chain(&resolved.passed_over)
                .map(Unresolved::to_string)
                .collect(),
        )
    }

    fn with_file(names: &[&str]) -> (Vec<String>, Vec<String>) {
        let aliases = aliases(FILE);
        let resolver = Resolver {
            aliases: Some(&aliases),
            domain: Some("x.test"),
            admin: None,
            local_domains: &["localhost".to_owned(), "Host.test".to_owned()],
        };
        resolve(&resolver, names)
    }

    const NOTHING: Resolver = Resolver {
        aliases: None,
        domain: None,
        admin: None,
        local_domains: &[],
    };

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_first_name() {
        let (aliases, bad) = Aliases::parse("\u{feff}root: ops@x.test\r\n".as_bytes());
        let resolver = Resolver {
            aliases: Some(&aliases),
            ..NOTHING
        };
        assert_eq!(resolve(&resolver, &["root"]).0, ["ops@x.test"]);
        assert!(bad.is_empty());
    }

    #[test]
    fn aliases_are_followed_to_addresses() {
        let found = with_file(&["POSTMASTER"]).0;
        assert_eq!(
            found,
            [
                "ops@x.test",
                "\"on call\"@x.test",
                "bob@x.test",
                "bob@y.test"
            ]
        );
        assert_eq!(with_file(&["\"two words\""]).0, ["a@x.test"]);
    }

    #[test]
    fn a_name_at_a_local_domain_is_a_local_name() {
        assert_eq!(
            with_file(&["bob@LOCALHOST"]).0,
            ["bob@x.test", "bob@y.test"]
        );
        assert_eq!(
            with_file(&["nobody@host.test", "bob@z.test"]).0,
            ["nobody@x.test", "bob@z.test"]
        );
    }

    #[test]
    fn a_mailbox_of_the_real_mail_domain_is_never_taken_for_a_local_name() {
        let aliases = aliases(b"support: root@x.test");
        let admin = Address::parse(b"admin@y.test").unwrap();
        let resolver = Resolver {
            aliases: Some(&aliases),
            domain: Some("x.test"),
            admin: Some(&admin),
            local_domains: &["X.test".to_owned(), "y.test".to_owned()],
        };
        let names = ["support@x.test", "support@y.test", "support", "joe"];
        let right = [
            "support@x.test",
            "support@y.test",
            "root@x.test",
            "admin@y.test",
        ];
        assert_eq!(resolve(&resolver, &names).0, right);
    }

    #[test]
    fn a_backslash_means_no_alias() {
        assert_eq!(with_file(&["joe"]).0, ["joe@x.test", "joe@y.test"]);
        assert_eq!(with_file(&["\\root"]).0, ["root@x.test"]);
    }

    #[test]
    fn a_loop_ends_with_the_last_name() {
        assert_eq!(with_file(&["ping"]).0, ["ping@x.test"]);
    }

    #[test]
    fn names_are_followed_ten_deep_and_widely_shared_names_only_once() {
        let chain: String = (0..30).map(|n| format!("n{n}: n{}\n", n + 1)).collect();
        let wide: String = (0..9)
            .map(|n| format!("n{n}: {}n{}\n", "n9,".repeat(900), n + 1))
            .collect();
        for (text, right) in [(chain, "n10@x.test"), (wide, "n9@x.test")] {
            let aliases = aliases(text.as_bytes());
            let resolver = Resolver {
                aliases: Some(&aliases),
                domain: Some("x.test"),
                ..NOTHING
            };
            let found = resolve(&resolver, &["n0"]).0;
            assert!(found.len() < 10_000 && found.iter().all(|one| one == right));
        }
    }

    #[test]
    fn files_commands_and_includes_are_refused_and_the_rest_is_delivered() {
        let (found, faults) = with_file(&["lists"]);
        assert_eq!(found, ["a@x.test"]);
        assert_eq!(faults.len(), 3);
        assert!(
            faults[1].contains("`\"|/usr/bin/prog -a, b\"`"),
            "{faults:?}"
        );
    }

    #[test]
    fn an_unknown_name_goes_to_the_administrator_else_to_the_domain_else_fails() {
        let admin = Address::parse(b"admin@y.test").unwrap();
        let with_admin = Resolver {
            admin: Some(&admin),
            domain: Some("x.test"),
            ..NOTHING
        };
        assert_eq!(
            resolve(&with_admin, &["root", "a!b"]).0,
            ["admin@y.test", "admin@y.test"]
        );
        let with_domain = Resolver {
            domain: Some("x.test"),
            ..NOTHING
        };
        assert_eq!(
            resolve(&with_domain, &["root", "a!b"]).0,
            ["root@x.test", "a!b@x.test"]
        );
        let right =
            "root is not an alias, and neither recipients.domain nor recipients.admin is set";
        assert_eq!(
            resolve(&NOTHING, &["root"]),
            (vec![], vec![right.to_owned()])
        );
    }

    #[test]
    fn names_that_lead_nowhere_are_told_as_unknown_users() {
        let resolved = NOTHING.resolve(vec![Address::parse(b"root").unwrap()]);
        let failure = refusal(&[], &resolved.faults, Stage::Argv).unwrap();
        assert_eq!(failure.class(), Class::NoUser);
        assert_eq!(failure.lines("sendmail").len(), 2);
        let fault = Address::parse(b"a b").unwrap_err();
        let failure = refusal(&[fault], &resolved.faults, Stage::Argv).unwrap();
        assert_eq!(failure.class(), Class::Data);
    }

    #[test]
    fn a_bad_line_is_named_without_its_value_and_the_others_hold() {
        let text = b"root: a@x.test\nno colon\n\nempty:\nbob: two words,\n  b@x.test\na@b: c\n\xff: x\nroot: b@x.test";
        let (aliases, bad) = Aliases::parse(text);
        let bad: Vec<(usize, &str)> = bad
            .iter()
            .map(|bad| (bad.number, bad.why.as_str()))
            .collect();
        assert_eq!(
            bad,
            [
                (2, "there is no colon after the name"),
                (4, "empty: there is nothing after the colon"),
                (5, "bob: several words, and no < > around an address"),
                (7, "a name before the colon has no domain"),
                (8, "the name before the colon: an address has to be UTF-8"),
            ]
        );
        let resolver = Resolver {
            aliases: Some(&aliases),
            ..NOTHING
        };
        assert_eq!(resolve(&resolver, &["root"]).0, ["a@x.test"]);
    }

    #[test]
    fn any_octets_are_read_without_a_panic() {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        for _ in 0..20_000 {
            let text: Vec<u8> = (0..24)
                .map(|_| {
                    state ^= state << 13;
                    state ^= state >> 7;
                    state ^= state << 17;
                    b"ab:,\"\\ \n#|/@\xff\t()<>"[usize::try_from(state >> 40).unwrap() % 18]
                })
                .collect();
            let (aliases, _) = Aliases::parse(&text);
            let resolver = Resolver {
                aliases: Some(&aliases),
                ..NOTHING
            };
            resolver.resolve(vec![Address::parse(b"a").unwrap()]);
        }
    }

    #[test]
    fn each_recipient_is_judged_alone_in_any_order() {
        let aliases = aliases(
            b"root: ops\npostmaster: ops, /var/x\nops: ops@x.test\n\
            mix: y@x.test, lists2\nlists2: \"|prog\"\n",
        );
        let resolver = Resolver {
            aliases: Some(&aliases),
            ..NOTHING
        };
        for (names, faults) in [(["root", "postmaster"], 0), (["mix", "lists2"], 1)] {
            for names in [names, [names[1], names[0]]] {
                let addresses = names.map(|name| Address::parse(name.as_bytes()).unwrap());
                let resolved = resolver.resolve(addresses.into());
                let counts = (resolved.faults.len(), resolved.passed_over.len());
                assert_eq!(counts, (faults, 1), "{names:?}");
            }
        }
    }
}
