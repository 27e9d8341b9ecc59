//! Cuts the value of a structured field into quoted strings, comments and words, for those who rewrite it.

/// The parts of the value of a structured field, nothing left out.
pub(super) struct Parts<'a>(pub(super) &'a [u8]);

pub(super) enum Part<'a> {
    Blanks(&'a [u8]),
    Quoted(&'a [u8]),
    Comment(&'a [u8]),
    Special(&'a [u8]),
    Atom(&'a [u8]),
}

impl<'a> Part<'a> {
    /// As it was written.
    pub(super) fn octets(&self) -> &'a [u8] {
        match self {
            Part::Blanks(octets)
            | Part::Quoted(octets)
            | Part::Comment(octets)
            | Part::Special(octets)
            | Part::Atom(octets) => octets,
        }
    }
}

impl<'a> Iterator for Parts<'a> {
    type Item = Part<'a>;

    fn next(&mut self) -> Option<Part<'a>> {
        let is_blank = |octet: &u8| b" \t\r\n".contains(octet);
        let is_special = |octet: &u8| b"<>,;:".contains(octet);
        let run = |within: &dyn Fn(&u8) -> bool| self.0.iter().take_while(|o| within(o)).count();
        let (length, part): (usize, fn(&'a [u8]) -> Part<'a>) = match self.0.first()? {
            b'"' => (quoted_len(self.0), Part::Quoted),
            b'(' => (comment_len(self.0), Part::Comment),
            octet if is_special(octet) => (1, Part::Special),
            octet if is_blank(octet) => (run(&is_blank), Part::Blanks),
            _ => {
                let ends = |o: &u8| is_blank(o) || is_special(o) || b"\"(".contains(o);
                (run(&|octet| !ends(octet)), Part::Atom)
            }
        };
        let (text, rest) = self.0.split_at_checked(length).unwrap_or((self.0, b""));
        self.0 = rest;
        Some(part(text))
    }
}

/// How long the quoted string is that the text begins with.
pub(super) fn quoted_len(text: &[u8]) -> usize {
    let mut escaped = false;
    for (at, &octet) in text.iter().enumerate().skip(1) {
        match octet {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The content of a quoted string or comment without its ends and backslashes.
pub(super) fn unquoted(text: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    let mut escaped = false;
    for &octet in text.iter().skip(1) {
        match octet {
            b'\\' if !escaped => escaped = true,
            b'\r' | b'\n' => {}
            _ => {
                content.push(octet);
                escaped = false;
            }
        }
    }
    if let (Some(b'"' | b')'), false) = (text.last(), text.len() < 2) {
        content.pop();
    }
    content
}

fn comment_len(text: &[u8]) -> usize {
    let mut escaped = false;
    let mut depth = 0_usize;
    for (at, &octet) in text.iter().enumerate() {
        match octet {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    text.len()
}
