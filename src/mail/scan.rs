//! Reads address lists as sendmail does.
//!
//! One pass over the tokens, without recursion. Lists are full of what RFC 5322 does not allow and
//! people write: missing brackets, bare names, stray commas. What has one clear meaning is read;
//! what could be two mailboxes is a fault, never a guess.

use super::address::{Address, CONTROL, Fault, Mailbox, is_atext};
use super::token::{Kind, Token, tokens};
use std::ops::Range;

/// Every element of an address list that came as one word: an argument, a path in a dialogue.
///
/// Nothing folds a word, so a control character in it is an attack or a defect: one fault, and no
/// address out of the rest.
pub fn scan_word(word: &[u8]) -> Vec<Result<Mailbox, Fault>> {
    if word.iter().any(u8::is_ascii_control) {
        return vec![Err(Fault::new(word, CONTROL))];
    }
    scan(word)
}

/// Every element of an address list field: mailboxes, and faults for what is none.
///
/// Comments nest, groups are flattened, routes are dropped, missing brackets are tolerated. Comma,
/// semicolon and a line end that folds nothing separate; two complete addresses with only blanks
/// between them are two. A name without `@` is a local name. Empty elements are nothing.
pub fn scan(value: &[u8]) -> Vec<Result<Mailbox, Fault>> {
    let elements = elements(value).into_iter();
    elements.map(|(_, found)| found).collect()
}

/// As `scan`, each with the octets it stands in: of a mailbox only those of its address.
pub(super) fn elements(value: &[u8]) -> Vec<Element> {
    let tokens = tokens(value);
    let mut list = List {
        value,
        found: Vec::new(),
        after_address: false,
    };
    let mut rest = tokens.as_slice();
    while !rest.is_empty() {
        rest = list.part(rest);
    }
    list.found
}

pub(super) type Element = (Range<usize>, Result<Mailbox, Fault>);

struct List<'a> {
    value: &'a [u8],
    found: Vec<Element>,
    /// An address stands before, in the same element: a name after it is only a name.
    after_address: bool,
}

type Tokens<'t, 'a> = &'t [Token<'a>];

impl<'a> List<'a> {
    /// Reads the words up to the next token that is none, and what that token makes of them.
    fn part<'t>(&mut self, tokens: Tokens<'t, 'a>) -> Tokens<'t, 'a> {
        let (words, rest) = split(tokens, |kind| !kind.is_word());
        let Some((token, after)) = rest.split_first() else {
            self.bare(words);
            return rest;
        };
        match token.kind {
            Kind::Open => return self.angle(words, tokens),
            Kind::Close => self.before_close(words),
            Kind::Colon => self.group_name(words),
            _ => {
                self.bare(words);
                self.after_address = false;
            }
        }
        after
    }

    /// Words without brackets: one address or name, or several complete addresses.
    fn bare(&mut self, words: Tokens<'_, 'a>) {
        // `<j@x.test> John` is a name in the wrong place.
        let is_name = |token: &Token| !matches!(token.kind, Kind::At | Kind::Bad(_));
        if self.after_address && words.iter().all(is_name) {
            return;
        }
        if split_words(words).count() > 1 && !split_words(words).all(has_at) {
            return self.fault(words, "several words, and no < > around an address");
        }
        for word in split_words(words) {
            self.address(&[], word, word);
        }
    }

    /// `J j@x.test>`: the opening bracket is missing.
    fn before_close(&mut self, words: Tokens<'_, 'a>) {
        let complete = split_words(words).filter(|word| has_at(word)).count();
        match split_words(words).last() {
            None => {}
            Some(word) if complete == 1 && has_at(word) => self.address(&[], word, words),
            Some(_) => self.fault(words, "a > without a <"),
        }
        self.after_address = true;
    }

    fn group_name(&mut self, words: Tokens<'_, 'a>) {
        if has_at(words) {
            self.fault(words, "a colon after an address");
        }
        self.after_address = has_at(words);
    }

    /// `tokens` starts with `phrase`, and `<` comes next.
    fn angle<'t>(&mut self, phrase: Tokens<'_, 'a>, tokens: Tokens<'t, 'a>) -> Tokens<'t, 'a> {
        let (_, rest) = tokens.split_at(phrase.len());
        let (_, rest) = split(rest, |kind| kind != Kind::Open);
        let rest = without_route(rest);
        let (inside, rest) = split(rest, |kind| !kind.is_word() && kind != Kind::Colon);
        let next = rest.first().map(|token| token.kind);
        let rest = match rest.split_first() {
            Some((_, after)) if next == Some(Kind::Close) => after,
            _ => rest,
        };
        let (element, rest) = tokens.split_at(tokens.len() - rest.len());
        self.after_address = true;
        match next {
            _ if inside.is_empty() => self.fault(element, "there is no address in the < >"),
            Some(Kind::Open) => self.fault(element, "a < within < >"),
            Some(Kind::Close) => self.address(phrase, inside, element),
            _ if has_at(inside) => self.address(phrase, inside, element),
            _ => self.fault(element, "a < without a >"),
        }
        rest
    }

    fn address(&mut self, phrase: Tokens<'_, 'a>, words: Tokens<'_, 'a>, element: Tokens<'_, 'a>) {
        match address(words) {
            Ok(address) => {
                let mailbox = Mailbox {
                    name: self.octets(phrase).map(<[u8]>::to_vec),
                    address,
                    span: span(words),
                };
                self.found.push((span(words), Ok(mailbox)));
            }
            Err(reason) => self.fault(element, reason),
        }
    }

    fn fault(&mut self, tokens: Tokens<'_, 'a>, reason: &'static str) {
        let element = self.octets(tokens).unwrap_or_default();
        let fault = Fault::new(element, reason);
        self.found.push((span(tokens), Err(fault)));
    }

    fn octets(&self, tokens: Tokens<'_, 'a>) -> Option<&'a [u8]> {
        self.value.get(span(tokens)).filter(|text| !text.is_empty())
    }
}

fn has_at(tokens: Tokens) -> bool {
    tokens.iter().any(|token| token.kind == Kind::At)
}

fn split<'t, 'a>(
    tokens: Tokens<'t, 'a>,
    ends: impl Fn(Kind) -> bool,
) -> (Tokens<'t, 'a>, Tokens<'t, 'a>) {
    let length = tokens.iter().position(|token| ends(token.kind));
    tokens.split_at(length.unwrap_or(tokens.len()))
}

/// Blanks part two operands; a dot or an `@` joins them over any blanks.
fn split_words<'t, 'a>(tokens: Tokens<'t, 'a>) -> impl Iterator<Item = Tokens<'t, 'a>> {
    tokens.chunk_by(|a, b| !(a.kind.is_operand() && b.kind.is_operand() && b.spaced))
}

/// Drops `@a.test,@b.test:` (RFC 5321 appendix C) after an opening bracket.
fn without_route<'t, 'a>(tokens: Tokens<'t, 'a>) -> Tokens<'t, 'a> {
    if tokens.first().is_none_or(|token| token.kind != Kind::At) {
        return tokens;
    }
    match split(tokens, |kind| !kind.is_route()).1.split_first() {
        Some((token, after)) if token.kind == Kind::Colon => after,
        _ => tokens,
    }
}

fn span(tokens: Tokens) -> Range<usize> {
    match (tokens.first(), tokens.last()) {
        (Some(first), Some(last)) => first.start..last.end(),
        _ => 0..0,
    }
}

fn address(words: Tokens) -> Result<Address, &'static str> {
    if split_words(words).count() > 1 {
        return Err("blanks within an address");
    }
    let mut sides = words.split(|token| token.kind == Kind::At);
    let local = sides.next().unwrap_or_default();
    let domain = sides.next();
    if sides.next().is_some() {
        return Err("more than one @");
    }
    let domain = match domain {
        None => None,
        Some([]) => return Err("there is nothing after the @"),
        Some(tokens) => Some(text(tokens, Side::Domain)?),
    };
    let side = match domain {
        Some(_) => Side::Local,
        None => Side::Name,
    };
    let local = text(local, side)?;
    if side == Side::Name && local.starts_with("=?") {
        return Err("an encoded word is no address");
    }
    Address::new(local, domain)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Local,
    Domain,
    /// A local part that is all there is.
    Name,
}

fn text(tokens: Tokens, side: Side) -> Result<String, &'static str> {
    let mut octets = Vec::new();
    let mut after_operand = false;
    for token in tokens {
        if after_operand && token.kind.is_operand() {
            return Err("a quoted part and another without a dot between them");
        }
        after_operand = token.kind.is_operand();
        match token.kind {
            Kind::Dot => octets.push(b'.'),
            Kind::Atom => octets.extend_from_slice(atom(token.text, side)?),
            Kind::Quoted if side != Side::Domain => unquote(token.text, &mut octets)?,
            Kind::Literal if tokens.len() == 1 => octets.extend_from_slice(token.text),
            Kind::Bad(reason) => return Err(reason),
            _ => return Err("not the form of an address"),
        }
    }
    String::from_utf8(octets).map_err(|_| "an address has to be UTF-8")
}

/// `\root` is a local name that no alias shall replace; elsewhere a bare backslash has no meaning.
fn atom(text: &[u8], side: Side) -> Result<&[u8], &'static str> {
    let name = match side {
        Side::Name => text.strip_prefix(b"\\").unwrap_or(text),
        _ => text,
    };
    match !name.is_empty() && name.iter().copied().all(is_atext) {
        true => Ok(text),
        false => Err("characters that need quotes"),
    }
}

fn unquote(text: &[u8], octets: &mut Vec<u8>) -> Result<(), &'static str> {
    let inner = text
        .strip_prefix(b"\"")
        .and_then(|text| text.strip_suffix(b"\""))
        .unwrap_or(text);
    let mut escaped = false;
    for &octet in inner {
        if octet.is_ascii_control() {
            return Err(CONTROL);
        }
        if octet == b'\\' && !escaped {
            escaped = true;
        } else {
            octets.push(octet);
            escaped = false;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Value and its addresses; none where it has no single right reading.
    type Row = (u32, &'static [u8], Option<&'static [&'static str]>);

    #[rustfmt::skip]
    const ROWS: [Row; 106] = [
        (1, b"a@x.test", Some(&["a@x.test"])),
        (2, b"Bob <bob@x.test>", Some(&["bob@x.test"])),
        (3, b"a@x.test, Bob <bob@x.test>", Some(&["a@x.test", "bob@x.test"])),
        (4, b"\"Doe, John\" <j@x.test>, k@x.test", Some(&["j@x.test", "k@x.test"])),
        (5, b"Doe, John <j@x.test>", Some(&["j@x.test"])),
        (6, b"John Q. Public <j@x.test>", Some(&["j@x.test"])),
        (7, b"\"a \\\"b\\\" c\" <j@x.test>", Some(&["j@x.test"])),
        (8, b"\"x\\, <evil@z.test>\" <j@x.test>", Some(&["j@x.test"])),
        (9, b"\"<evil@z.test>\" <j@x.test>", Some(&["j@x.test"])),
        (10, b"\"evil@z.test\" <j@x.test>", Some(&["j@x.test"])),
        (11, b"\"john doe\"@x.test", Some(&["\"john doe\"@x.test"])),
        (12, b"J <\"john doe\"@x.test>", Some(&["\"john doe\"@x.test"])),
        (13, b"<\"a@b\"@x.test>", Some(&["\"a@b\"@x.test"])),
        (14, b"<\"a>b\"@x.test>", Some(&["\"a>b\"@x.test"])),
        (15, b"\"a,b\"@x.test", Some(&["\"a,b\"@x.test"])),
        (16, b"<\"a\\\"b\"@x.test>", Some(&["\"a\\\"b\"@x.test"])),
        (17, b"\"john\"@x.test", Some(&["john@x.test"])),
        (18, b"j@x.test (John Doe)", Some(&["j@x.test"])),
        (19, b"(John) j@x.test", Some(&["j@x.test"])),
        (20, b"j@x.test (Doe, John), k@x.test", Some(&["j@x.test", "k@x.test"])),
        (21, b"j@x.test (was: evil@z.test)", Some(&["j@x.test"])),
        (22, b"j@x.test (<evil@z.test>)", Some(&["j@x.test"])),
        (23, b"j@x.test (a (b, c) d), k@x.test", Some(&["j@x.test", "k@x.test"])),
        (24, b"(a (b) evil@z.test) j@x.test", Some(&["j@x.test"])),
        (25, b"j@x.test (a \\) b, c), k@x.test", Some(&["j@x.test", "k@x.test"])),
        (26, b"j(c)@(d)x.test", Some(&["j@x.test"])),
        (27, b"J <j(c)@x.test(d)>", Some(&["j@x.test"])),
        (28, b"John (x) Doe (y) <j@x.test>", Some(&["j@x.test"])),
        (29, b"\"J (not a comment\" <j@x.test>, k@x.test", Some(&["j@x.test", "k@x.test"])),
        (30, b"(nobody)", Some(&[])),
        (31, b"g: a@x.test, B <b@x.test>;", Some(&["a@x.test", "b@x.test"])),
        (32, b"g: a@x.test;, c@x.test", Some(&["a@x.test", "c@x.test"])),
        (33, b"g: a@x.test; c@x.test", Some(&["a@x.test", "c@x.test"])),
        (34, b"undisclosed-recipients:;", Some(&[])),
        (35, b"undisclosed-recipients:;, c@x.test", Some(&["c@x.test"])),
        (36, b"\"my, list\": a@x.test;", Some(&["a@x.test"])),
        (37, b"g: a@x.test, b@x.test", Some(&["a@x.test", "b@x.test"])),
        (38, b"g: , a@x.test,, b@x.test,;", Some(&["a@x.test", "b@x.test"])),
        (39, b"g (c): a@x.test;", Some(&["a@x.test"])),
        (40, b"g: h: a@x.test;, b@x.test;", Some(&["a@x.test", "b@x.test"])),
        (41, b"=?utf-8?q?J=C3=B6rg?= <j@x.test>", Some(&["j@x.test"])),
        (42, b"=?utf-8?q?Doe=2C_John?= <j@x.test>, k@x.test", Some(&["j@x.test", "k@x.test"])),
        (43, b"=?utf-8?q?x_=3Cevil=40z=2Etest=3E?= <j@x.test>", Some(&["j@x.test"])),
        (44, b"=?utf-8?q?=22a?= <j@x.test>, k@x.test", Some(&["j@x.test", "k@x.test"])),
        (45, b"\"=?utf-8?q?J=C3=B6rg=2C?=\" <j@x.test>", Some(&["j@x.test"])),
        (46, b"=?utf-8?b?Sm9obg==?= =?utf-8?b?IERvZQ==?= <j@x.test>", Some(&["j@x.test"])),
        (47, b"=?utf-8?q?evil=40z=2Etest?=", Some(&[])),
        (48, b"<=?utf-8?q?evil=40z=2Etest?=>", Some(&[])),
        (49, b"=?utf-8?q?j?=@x.test", Some(&["=?utf-8?q?j?=@x.test"])),
        (50, b"=?utf-8?q?John?=<j@x.test>", Some(&["j@x.test"])),
        (51, b"j@x.test (=?utf-8?q?=29_evil=40z=2Etest?=)", Some(&["j@x.test"])),
        (52, b"<@a.test,@b.test:j@x.test>", Some(&["j@x.test"])),
        (53, b"John <@a.test:j@x.test>, k@x.test", Some(&["j@x.test", "k@x.test"])),
        (54, b"j . k @ x . test", Some(&["j.k@x.test"])),
        (55, b"J < j@x.test >", Some(&["j@x.test"])),
        (56, b"a@x.test,\n b@x.test,\n\tc@x.test", Some(&["a@x.test", "b@x.test", "c@x.test"])),
        (57, b"a@x.test,\r\n b@x.test", Some(&["a@x.test", "b@x.test"])),
        (58, b"\"John\n Doe\" <j@x.test>", Some(&["j@x.test"])),
        (59, b"J <j@\n x.test>", Some(&["j@x.test"])),
        (60, b"j\n @x.test", Some(&["j@x.test"])),
        (61, b"a@x.test,\n \n b@x.test", Some(&["a@x.test", "b@x.test"])),
        (62, b"a@x.test,", Some(&["a@x.test"])),
        (63, b", a@x.test,, b@x.test, ,", Some(&["a@x.test", "b@x.test"])),
        (64, b"", Some(&[])),
        (65, b"   ", Some(&[])),
        (66, b"J <j@x.test", Some(&["j@x.test"])),
        (67, b"J <j@x.test, k@x.test", Some(&["j@x.test", "k@x.test"])),
        (68, b"J j@x.test>", Some(&["j@x.test"])),
        (69, b"<<j@x.test>>", Some(&["j@x.test"])),
        (70, b"J <j@x.test> <k@x.test>", Some(&["j@x.test", "k@x.test"])),
        (71, b"<j@x.test> John, k@x.test", Some(&["j@x.test", "k@x.test"])),
        (72, b"\"John <j@x.test>, k@x.test", None),
        (73, b"j@x.test (oops, k@x.test", Some(&["j@x.test"])),
        (74, b"a@x.test; b@x.test", Some(&["a@x.test", "b@x.test"])),
        (75, b"a@x.test b@x.test", Some(&["a@x.test", "b@x.test"])),
        (76, b"root", Some(&["root"])),
        (77, b"root, a@x.test", Some(&["root", "a@x.test"])),
        (78, b"Root <root>", Some(&["root"])),
        (79, b"Cron Daemon <root>, b@x.test", Some(&["root", "b@x.test"])),
        (80, b"admins: root, bob;", Some(&["root", "bob"])),
        (81, b"<>", Some(&[])),
        (82, b"<>, a@x.test", Some(&["a@x.test"])),
        (83, b"j\xc3\xb6rg@x.test", Some(&["jörg@x.test"])),
        (84, b"j@b\xc3\xbccher.test", Some(&["j@bücher.test"])),
        (85, b"J\xc3\xb6rg <j@x.test>", Some(&["j@x.test"])),
        (86, b"J\xf6rg <j@x.test>", Some(&["j@x.test"])),
        (87, b"j\xf6rg@x.test", None),
        (88, b"j@[192.0.2.1], k@[IPv6:::1]", Some(&["j@[192.0.2.1]", "k@[IPv6:::1]"])),
        (89, b"<j@[192.0.2.1]>", Some(&["j@[192.0.2.1]"])),
        (90, b"a@x.test,\tb@x.test", Some(&["a@x.test", "b@x.test"])),
        (91, b"a+b_c-d!#$%&'*/=?^`{|}~@x.test", Some(&["a+b_c-d!#$%&'*/=?^`{|}~@x.test"])),
        (92, b"j@x.test.", Some(&["j@x.test."])),
        (93, b"a@b@x.test", None),
        (94, b"a@x.test,\r b@x.test", Some(&["a@x.test", "b@x.test"])),
        (95, b"\"x\r\n y\"@x.test", None),
        (96, b"Re: hello <j@x.test>", Some(&["j@x.test"])),
        (97, b"<mailto:j@x.test>", None),
        (98, b"a:b@x.test", Some(&["b@x.test"])),
        (99, b"a\\b@x.test", None),
        (100, b"\"\" <j@x.test>", Some(&["j@x.test"])),
        (101, b"me@work <j@x.test>", Some(&["j@x.test"])),
        (102, b"j@x.test <j@x.test>", Some(&["j@x.test"])),
        (103, b"x@y.test, z <j@x.test>", Some(&["x@y.test", "j@x.test"])),
        (104, b"John \"Jo\" Doe <j@x.test>", Some(&["j@x.test"])),
        (105, b"'j@x.test'", Some(&["'j@x.test'"])),
        (106, b"'John, Doe' <j@x.test>", Some(&["j@x.test"])),
    ];

    fn addresses(value: &[u8]) -> Vec<String> {
        let found = scan(value).into_iter().flatten();
        found.map(|mailbox| mailbox.address.to_string()).collect()
    }

    fn faults(value: &[u8]) -> Vec<&'static str> {
        let found = scan(value).into_iter();
        found.filter_map(|one| Some(one.err()?.reason())).collect()
    }

    #[test]
    fn every_known_form_of_a_list_is_read_as_its_writer_meant_it() {
        for (row, value, right) in ROWS {
            match right {
                // An unquoted comma in a name also leaves a local name behind.
                Some(right) if matches!(row, 5 | 106) => assert_eq!(addresses(value)[1..], *right),
                Some(right) => assert_eq!(addresses(value), right, "row {row}"),
                None => {
                    assert_eq!(addresses(value), [""; 0], "row {row}");
                    assert_eq!(faults(value).len(), 1, "row {row}");
                }
            }
        }
    }

    #[test]
    fn a_clean_list_has_no_faults() {
        const FAULTY: [u32; 9] = [47, 48, 72, 73, 81, 82, 87, 93, 95];
        for (row, value, _) in ROWS {
            let expected = FAULTY.contains(&row) || matches!(row, 97 | 99);
            assert_eq!(
                !faults(value).is_empty(),
                expected,
                "row {row}: {:?}",
                faults(value)
            );
        }
    }

    #[test]
    fn where_mailparse_reads_a_clean_address_we_read_the_same() {
        let agreed = ROWS
            .iter()
            .filter(|(_, value, _)| agrees_with_mailparse(value));
        assert!(agreed.count() >= 49);
    }

    #[test]
    fn random_lists_are_read_as_mailparse_reads_them() {
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        let parts: [&[u8]; 14] = [
            b"a@x.test",
            b"b.c@y.test",
            b"<d@z.test>",
            b"\"e, f\"",
            b"John",
            b"Q.",
            b", ",
            b", ",
            b" ",
            b"(note)",
            b"g:",
            b";",
            b"\r\n ",
            b"=?utf-8?q?J=C3=B6rg?=",
        ];
        let agreed = (0..40_000)
            .map(|_| random.list(&parts, 9))
            .filter(|value| agrees_with_mailparse(value))
            .count();
        assert!(agreed > 5_000, "{agreed}");
    }

    /// Compares if both take the whole value and mailparse's addresses are plain ones.
    fn agrees_with_mailparse(value: &[u8]) -> bool {
        let plain = |address: &str| {
            let name = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'.';
            let mut sides = address.split('@');
            let side = |text: Option<&str>| text.is_some_and(|t| t.bytes().all(name));
            side(sides.next()) && side(sides.next()) && sides.next().is_none()
        };
        let Some(list) = std::str::from_utf8(value)
            .ok()
            .and_then(|text| mailparse::addrparse(text).ok())
        else {
            return false;
        };
        let theirs: Vec<String> = list
            .iter()
            .flat_map(|one| match one {
                mailparse::MailAddr::Single(single) => vec![single.addr.clone()],
                mailparse::MailAddr::Group(group) => group
                    .addrs
                    .iter()
                    .map(|single| single.addr.clone())
                    .collect(),
            })
            .collect();
        if !faults(value).is_empty() || !theirs.iter().all(|one| plain(one)) {
            return false;
        }
        let ours = addresses(value);
        // mailparse knows no local names: it takes them for the name of what follows.
        if !ours.iter().all(|one| one.contains('@')) {
            return false;
        }
        assert_eq!(ours, theirs, "{}", value.escape_ascii());
        true
    }

    #[test]
    fn no_input_makes_an_address_that_could_add_a_command_or_a_recipient() {
        let mut random = Random(0x2545_f491_4f6c_dd1d);
        let parts: [&[u8]; 32] = [
            b"a",
            b"b",
            b"x.test",
            b"@",
            b"@",
            b"@",
            b"<",
            b">",
            b"\"",
            b"\"",
            b"\\",
            b"(",
            b")",
            b"[",
            b"]",
            b":",
            b";",
            b",",
            b".",
            b" ",
            b"\r",
            b"\n",
            b"\r\n ",
            b"\0",
            b"\t",
            b"\x7f",
            b"\xc3\xb6",
            b"\xff",
            b"\xef\xbc\x9c",
            b"\xc2\x85",
            b"=?",
            b"\xe2\x80\xa8",
        ];
        let mut seen = 0;
        for _ in 0..60_000 {
            let value = random.list(&parts, 14);
            for mailbox in scan(&value).into_iter().flatten() {
                seen += 1;
                let text = mailbox.address.to_string();
                assert_eq!(
                    Address::parse(text.as_bytes()).as_ref(),
                    Ok(&mailbox.address)
                );
                let span = value.get(mailbox.span).unwrap();
                assert_eq!(Address::parse(span).as_ref(), Ok(&mailbox.address));
                let wire = mailbox.address.wire().unwrap();
                assert_harmless(&wire.path);
                assert_eq!(wire.utf8, !wire.path.is_ascii());
            }
        }
        assert!(seen > 5_000, "{seen}");
    }

    fn assert_harmless(path: &str) {
        let (mut quoted, mut escaped) = (false, false);
        for octet in path.bytes() {
            assert!(!octet.is_ascii_control(), "{path:?}");
            match octet {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => quoted = !quoted,
                b'<' | b'>' | b' ' | b',' => assert!(quoted, "{path:?}"),
                _ => {}
            }
        }
        assert!(!quoted && !escaped, "{path:?}");
    }

    #[test]
    fn millions_of_specials_are_read_in_one_pass() {
        let nested = vec![b'('; 2_000_000];
        assert_eq!(faults(&nested), ["a comment is not closed"]);
        for part in [
            "<", ">", "<@", "<@a,", "@", "\"", "[", "@[", "a<", ":", "g:", "a ", "a@x ", ".", ")",
            "\\",
        ] {
            let value = part.repeat(200_000);
            assert_eq!(
                addresses(value.as_bytes()).len(),
                if part == "a@x " { 200_000 } else { 0 }
            );
        }
    }

    #[test]
    fn names_are_kept_as_they_were_written() {
        let value = b"\"Doe, J\" (x) Jr. (y) <@r.test:j@x.test>, k@x.test, <l@x.test>";
        let found: Vec<Mailbox> = scan(value).into_iter().flatten().collect();
        let names: Vec<Option<&[u8]>> = found.iter().map(|one| one.name.as_deref()).collect();
        assert_eq!(names, [Some(&b"\"Doe, J\" (x) Jr."[..]), None, None]);
        assert_eq!(&value[found[0].span.clone()], b"j@x.test");
        assert_eq!(&value[found[1].span.clone()], b"k@x.test");
    }

    #[test]
    fn a_folded_line_goes_on_and_a_line_end_separates() {
        assert_eq!(addresses(b"root\r\nbob\n joe"), ["root"]);
        assert_eq!(faults(b"root\r\nbob\n joe").len(), 1);
        assert_eq!(addresses(b"John\r\n <j@x.test>\r\n"), ["j@x.test"]);
    }

    #[test]
    fn what_could_be_two_mailboxes_is_never_guessed() {
        for value in [
            "john doe",
            "J j@x.test",
            "<a,b@x.test",
            "J <work <j@x.test",
            "a@x.test: ",
            "a@x. b@y",
            "a@",
            "@x.test",
            "\"\"@x.test",
            "<\"a\"b@x.test>",
            "a@x..test",
            "a@-<",
            "j@[1.2.3.4",
            "j@[]",
            "a@b@x.test>",
            "a@x.test b@x.test>",
            "a\u{85}@x.test",
        ] {
            assert_ne!(faults(value.as_bytes()), [""; 0], "{value}");
        }
        assert_eq!(addresses(b"<a, b@x.test"), ["b@x.test"]);
        assert_eq!(addresses(b"j@x.test:25"), [""; 0]);
    }

    #[test]
    fn a_fault_carries_the_words_of_the_user() {
        let found = scan(b" john   doe , a@x.test");
        let fault = found[0].as_ref().unwrap_err();
        assert_eq!(fault.element(), b"john   doe");
        for element in ["<>", "J <a@@b>", "J. (x) <<work <", "\"a, b"] {
            let found = scan([b"a@x.test, ", element.as_bytes()].concat().as_slice());
            let fault = found[1].as_ref().unwrap_err();
            assert_eq!(fault.element(), element.trim_end_matches(" <").as_bytes());
        }
        let long = [b"a b ".repeat(500), b"c".to_vec()].concat();
        assert_eq!(scan(&long)[0].as_ref().unwrap_err().element().len(), 200);
    }

    struct Random(u64);

    impl Random {
        fn next(&mut self, below: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            usize::try_from(self.0 >> 33).unwrap() % below
        }

        fn list(&mut self, parts: &[&[u8]], parts_max: usize) -> Vec<u8> {
            let count = 1 + self.next(parts_max);
            (0..count)
                .flat_map(|_| parts[self.next(parts.len())].to_vec())
                .collect()
        }
    }
}
