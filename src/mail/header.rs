//! Header fields: found, removed, added, folded; a field that nobody edits keeps its bytes.

/// Column after which a field made here is folded (RFC 5322 section 2.1.1 wishes 78).
const COLUMN_MAX: usize = 76;

/// Longest line of a message without its line end (RFC 5322 section 2.1.1).
pub(super) const LINE_MAX: usize = 998;

/// One header field with its line ends, all of them CRLF.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    octets: Vec<u8>,
    name_len: usize,
}

impl Field {
    /// A field of our own making, folded where it is long.
    ///
    /// Every control character of `value` becomes a blank first: a value cannot add a line, and so
    /// cannot add a field.
    pub fn new(name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Field {
        let name = name.as_ref().iter().copied();
        let mut octets: Vec<u8> = name.filter(|&octet| in_name(octet)).collect();
        let name_len = octets.len();
        octets.push(b':');
        fold(&mut octets, value.as_ref());
        octets.extend_from_slice(b"\r\n");
        Field { octets, name_len }
    }

    /// Reads the first line of a field, given without its line end and free of CR, LF and NUL.
    ///
    /// Blanks before the colon (RFC 5322 section 4.5.8) are read and not kept.
    pub(super) fn from_line(line: &[u8]) -> Option<Field> {
        let name_len = line.iter().take_while(|&&octet| in_name(octet)).count();
        let (name, rest) = line.split_at_checked(name_len)?;
        let blanks = rest.iter().take_while(|&&octet| blank(octet)).count();
        let value = rest.get(blanks..)?.strip_prefix(b":")?;
        if name.is_empty() {
            return None;
        }
        let octets = [name, b":", value, b"\r\n"].concat();
        Some(Field { octets, name_len })
    }

    /// Adds a continuation line, given as in `from_line` and beginning with a blank.
    pub(super) fn continue_with(&mut self, line: &[u8]) {
        self.octets.extend_from_slice(line);
        self.octets.extend_from_slice(b"\r\n");
    }

    /// The same field with another value, whose folds stay and whose other line breaks do not.
    pub(super) fn with_value(&self, value: &[u8]) -> Field {
        let mut octets = self.octets.get(..=self.name_len).unwrap_or(b":").to_vec();
        let mut rest = value;
        while let Some((&octet, after)) = rest.split_first() {
            let fold = matches!(rest, [b'\r', b'\n', b' ' | b'\t', ..]);
            match octet {
                b'\r' if fold => octets.extend_from_slice(b"\r\n"),
                b'\r' | b'\n' | 0 => octets.push(b' '),
                _ => octets.push(octet),
            }
            rest = match fold {
                true => after.get(1..).unwrap_or_default(),
                false => after,
            };
        }
        octets.extend_from_slice(b"\r\n");
        Field {
            octets,
            name_len: self.name_len,
        }
    }

    /// The same field with every line over 998 octets broken at a blank or comma; none if all fit.
    fn broken(&self) -> Option<Field> {
        let lines = self.octets.split_inclusive(|&octet| octet == b'\n');
        if lines.clone().all(|line| line.len() <= LINE_MAX + 2) {
            return None;
        }
        let mut octets = Vec::new();
        let mut head_len = self.name_len + 1;
        for line in lines {
            let mut rest = line;
            let mut len_max = LINE_MAX + 2;
            while rest.len() > len_max {
                let (head, tail) = rest.split_at_checked(break_place(rest, head_len)?)?;
                // The blank that may be added before it counts too.
                len_max = LINE_MAX + 1;
                head_len = 0;
                octets.extend_from_slice(head);
                octets.extend_from_slice(b"\r\n");
                if !tail.first().copied().is_some_and(blank) {
                    octets.push(b' ');
                }
                rest = tail;
            }
            octets.extend_from_slice(rest);
            head_len = 0;
        }
        let name_len = self.name_len;
        Some(Field { octets, name_len })
    }

    /// The name as it is written.
    pub fn name(&self) -> &[u8] {
        self.octets.get(..self.name_len).unwrap_or_default()
    }

    /// What stands between the colon and the last line end, folds and blanks included.
    pub fn value(&self) -> &[u8] {
        let end = self.octets.len().saturating_sub(2);
        self.octets.get(self.name_len + 1..end).unwrap_or_default()
    }

    /// The value on one line, without the blanks around it.
    pub fn unfolded(&self) -> Vec<u8> {
        let mut text = self.value().to_vec();
        text.retain(|octet| !matches!(octet, b'\r' | b'\n'));
        text.trim_ascii().to_vec()
    }

    /// Whether this is the field of that name, in any case.
    pub fn is(&self, name: &str) -> bool {
        self.name().eq_ignore_ascii_case(name.as_bytes())
    }

    /// Whether it belongs to a block added by resending (RFC 5322 section 3.6.6).
    pub fn is_resent(&self) -> bool {
        let prefix = self.name().get(.."resent-".len()).unwrap_or_default();
        prefix.eq_ignore_ascii_case(b"resent-")
    }

    /// The whole field as it goes on the wire.
    pub fn octets(&self) -> &[u8] {
        &self.octets
    }

    /// Whether an octet over 127 stands in it.
    pub fn eight_bit(&self) -> bool {
        !self.octets.is_ascii()
    }
}

/// The fields of a message, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Header {
    fields: Vec<Field>,
}

impl Header {
    /// The fields from the top.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The topmost field of that name.
    pub fn find(&self, name: &str) -> Option<&Field> {
        self.all(name).next()
    }

    /// Every field of that name, from the top.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &Field> {
        self.fields.iter().filter(move |field| field.is(name))
    }

    /// Adds a field at the end.
    pub fn push(&mut self, field: Field) {
        self.fields.push(field);
    }

    /// Adds a field before the one at `place`, counted from 0; 0 is the top.
    pub fn insert(&mut self, place: usize, field: Field) {
        self.fields.insert(place.min(self.fields.len()), field);
    }

    /// Removes every field of that name and says how many there were.
    pub fn remove(&mut self, name: &str) -> usize {
        self.retain(|field| !field.is(name))
    }

    /// Removes the fields that `keep` denies and says how many there were.
    pub fn retain(&mut self, keep: impl FnMut(&Field) -> bool) -> usize {
        let before = self.fields.len();
        self.fields.retain(keep);
        before - self.fields.len()
    }

    /// Replaces each field for which `edit` has another one and says how many there were.
    pub fn replace(&mut self, mut edit: impl FnMut(&Field) -> Option<Field>) -> usize {
        let mut count = 0;
        for field in &mut self.fields {
            if let Some(other) = edit(field) {
                *field = other;
                count += 1;
            }
        }
        count
    }

    /// Folds the lines over 998 octets, which servers refuse, and says how many fields had some.
    ///
    /// A single word that is longer is cut. A name is never parted from its colon, for a name that
    /// long stays as it is.
    pub fn fold_long_lines(&mut self) -> usize {
        self.replace(Field::broken)
    }

    /// The places of the topmost unbroken run of Resent fields, empty where there is none.
    pub fn resent_block(&self) -> std::ops::Range<usize> {
        let start = self.fields.iter().position(Field::is_resent).unwrap_or(0);
        let run = self.fields.iter().skip(start);
        start..start + run.take_while(|field| field.is_resent()).count()
    }

    /// The last field, for a continuation line.
    pub(super) fn last_mut(&mut self) -> Option<&mut Field> {
        self.fields.last_mut()
    }

    /// All fields as they go on the wire, without the blank line that ends a header.
    pub fn octets(&self) -> Vec<u8> {
        let fields: Vec<&[u8]> = self.fields.iter().map(Field::octets).collect();
        fields.concat()
    }

    /// How long `octets` is.
    pub fn size(&self) -> u64 {
        let sizes = self.fields.iter().map(|field| field.octets.len() as u64);
        sizes.sum()
    }

    /// Whether an octet over 127 stands in any field.
    pub fn eight_bit(&self) -> bool {
        self.fields.iter().any(Field::eight_bit)
    }
}

fn in_name(octet: u8) -> bool {
    octet.is_ascii_graphic() && octet != b':'
}

/// A blank or a tab: what may begin a continuation line.
pub(super) fn blank(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t')
}

/// Where a line that is too long is best broken: before a blank, after a comma, else in a word.
///
/// Nowhere within the first `head_len` octets: a name that is broken ends the header.
fn break_place(line: &[u8], head_len: usize) -> Option<usize> {
    // One octet less: the blank that a break after a comma or in a word needs.
    let room = LINE_MAX - 1;
    let rest = line.get(head_len..)?.iter().take(room);
    let start = head_len + rest.take_while(|&&octet| blank(octet)).count();
    let fits = |place: &usize| match line.get(place - 1..=place + 1) {
        Some(&[before, here, after]) => {
            before == b',' && !blank(here) || blank(here) && !blank(after) && after != b'\r'
        }
        _ => false,
    };
    let whole = |place: &usize| line.get(*place).is_some_and(|octet| octet & 0xc0 != 0x80);
    let places = || (start + 1..=room).rev();
    let cut = || match head_len <= room {
        true => places().find(whole).or(Some(room)),
        false => None,
    };
    places().find(fits).or_else(cut)
}

/// Appends `value` behind the colon, broken before blanks; no line consists of blanks only.
fn fold(octets: &mut Vec<u8>, value: &[u8]) {
    let mut column = octets.len();
    let mut blanks = 1;
    let mut first = true;
    let words = value.split(|octet| *octet == b' ' || octet.is_ascii_control());
    for word in words.skip_while(|word| word.is_empty()) {
        if word.is_empty() {
            blanks += 1;
            continue;
        }
        if !first && column + blanks + word.len() > COLUMN_MAX {
            octets.extend_from_slice(b"\r\n");
            column = 0;
        }
        octets.resize(octets.len() + blanks, b' ');
        octets.extend_from_slice(word);
        column += blanks + word.len();
        (blanks, first) = (1, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(lines: &[&str]) -> Header {
        let mut header = Header::default();
        for line in lines {
            header.push(Field::from_line(line.as_bytes()).unwrap());
        }
        header
    }

    #[test]
    fn a_field_is_what_rfc_5322_calls_one_and_the_obsolete_blank_goes() {
        let rows: [(&str, Option<&str>); 9] = [
            ("To: x", Some("To: x\r\n")),
            ("To:x", Some("To:x\r\n")),
            ("To \t: x", Some("To: x\r\n")),
            ("X-!#$;~:", Some("X-!#$;~:\r\n")),
            (": x", None),
            ("Note this: x", None),
            ("To", None),
            ("T\u{f6}: x", None),
            (" To: x", None),
        ];
        for (line, octets) in rows {
            let field = Field::from_line(line.as_bytes());
            let seen = field.as_ref().map(|field| field.octets());
            assert_eq!(seen, octets.map(str::as_bytes), "{line}");
        }
    }

    #[test]
    fn names_compare_without_case_and_values_keep_their_folds() {
        let mut field = Field::from_line(b"TO: a@x.test,").unwrap();
        field.continue_with(b"\tb@x.test ");
        assert!(field.is("to"));
        assert_eq!(field.value(), b" a@x.test,\r\n\tb@x.test ");
        assert_eq!(field.unfolded(), b"a@x.test,\tb@x.test");
    }

    #[test]
    fn a_value_cannot_add_a_line() {
        let field = Field::new("From\r\nX", b"x\r\nBcc: v@y.test\r\n z\0\x1b");
        assert_eq!(field.octets(), b"FromX: x  Bcc: v@y.test   z\r\n");
        let field = field.with_value(b" x\r\nBcc: v\r\n w\n\ry\0\r\n");
        assert_eq!(field.octets(), b"FromX: x  Bcc: v\r\n w  y   \r\n");
    }

    #[test]
    fn a_long_value_is_folded_before_blanks_and_unfolds_to_itself() {
        let value = "word ".repeat(60) + "  end";
        let field = Field::new("Subject", value.as_bytes());
        let text = String::from_utf8(field.octets().to_vec()).unwrap();
        for line in text.lines() {
            assert!(line.len() <= 78 && !line.trim().is_empty(), "{line}");
        }
        assert_eq!(field.unfolded(), value.as_bytes());
        let word = "x".repeat(2000);
        assert_eq!(
            Field::new("A", word.as_bytes()).octets(),
            format!("A: {word}\r\n").as_bytes()
        );
    }

    #[test]
    fn fields_are_found_removed_and_added_in_order() {
        let mut fields = header(&["A: 1", "b: 2", "B: 3", "C: 4"]);
        assert_eq!(fields.find("B").unwrap().value(), b" 2");
        assert_eq!(fields.all("B").count(), 2);
        assert_eq!(fields.remove("B"), 2);
        fields.insert(0, Field::new("Top", b"0"));
        fields.insert(99, Field::new("End", b"9"));
        assert_eq!(fields.octets(), b"Top: 0\r\nA: 1\r\nC: 4\r\nEnd: 9\r\n");
        assert_eq!(fields.size(), fields.octets().len() as u64);
        let edited = fields.replace(|field| field.is("a").then(|| Field::new("A", b"5")));
        assert_eq!((edited, fields.find("a").unwrap().value()), (1, &b" 5"[..]));
    }

    #[test]
    fn the_topmost_resent_block_ends_at_the_first_other_field() {
        let fields = header(&[
            "Received: r",
            "RESENT-To: a",
            "Resent-X: b",
            "To: c",
            "Resent-To: d",
        ]);
        assert_eq!(fields.resent_block(), 1..3);
        assert!(header(&["To: a"]).resent_block().is_empty());
    }

    #[test]
    fn long_lines_are_broken_at_blanks_or_commas_and_others_keep_their_bytes() {
        let addresses = vec!["someone@example.test"; 120];
        let rows = [
            (addresses.join(","), true),
            (addresses.join(", "), false),
            ("x".repeat(5000), true),
            ("\u{f6}".repeat(2000), true),
            (format!("a {}", " ".repeat(3000)), true),
            (format!("{} y", "x".repeat(990)), false),
            ("x".repeat(997 + 997 - 3), true),
            ("x".repeat(997 + 998 - 4), true),
        ];
        for (value, adds_blanks) in rows {
            let line = format!("To: {value}");
            let mut fields = header(&["A: b", &line, "C: d"]);
            assert_eq!(fields.fold_long_lines(), usize::from(line.len() > 998));
            assert_eq!(fields.fold_long_lines(), 0);
            let text = String::from_utf8(fields.octets()).unwrap();
            for line in text.split("\r\n") {
                assert!(line.len() <= 998, "{}", line.len());
            }
            let unfolded = text.replace("\r\n", "");
            match adds_blanks {
                true => {
                    let unfolded = unfolded.replace(' ', "");
                    assert_eq!(unfolded, format!("A:bTo:{}C:d", value.replace(' ', "")));
                }
                false => assert_eq!(unfolded, format!("A: bTo: {value}C: d")),
            }
            assert!(text.starts_with("A: b\r\nTo: ") && text.ends_with("\r\nC: d\r\n"));
        }
    }

    #[test]
    fn a_name_is_never_broken() {
        let name = "x".repeat(2000);
        let mut fields = header(&[&format!("{name}: y")]);
        assert_eq!(fields.fold_long_lines(), 0);
        assert_eq!(fields.octets(), format!("{name}: y\r\n").as_bytes());
    }
}
