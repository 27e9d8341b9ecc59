//! Cuts an address list into tokens (RFC 5322 section 3.2), in one pass and without recursion.
//!
//! Blanks and comments leave no token, only a mark on the next one.

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Atom,
    Quoted,
    Literal,
    /// Something that cannot be part of an address, and why.
    Bad(&'static str),
    Dot,
    At,
    Colon,
    Open,
    Close,
    Comma,
    /// A semicolon, or a line end that folds nothing.
    End,
}

impl Kind {
    /// A part of an address that blanks can part from the next one.
    pub(super) fn is_operand(self) -> bool {
        matches!(
            self,
            Kind::Atom | Kind::Quoted | Kind::Literal | Kind::Bad(_)
        )
    }

    /// What a bare address or a phrase is made of.
    pub(super) fn is_word(self) -> bool {
        self.is_operand() || matches!(self, Kind::Dot | Kind::At)
    }

    /// What a route is made of, up to its colon.
    pub(super) fn is_route(self) -> bool {
        matches!(
            self,
            Kind::Atom | Kind::Literal | Kind::Dot | Kind::At | Kind::Comma
        )
    }
}

/// A piece of a value that stands for itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind,
    pub(super) start: usize,
    pub(super) text: &'a [u8],
    /// Blanks or a comment stand before it.
    pub(super) spaced: bool,
}

impl Token<'_> {
    /// Where the octet after it stands.
    pub(super) fn end(&self) -> usize {
        self.start + self.text.len()
    }
}

/// The tokens of `value`; every octet but blanks and comments is in one.
pub(super) fn tokens(value: &[u8]) -> Vec<Token<'_>> {
    let lexer = Lexer {
        value,
        at: 0,
        spaced: false,
        tokens: Vec::new(),
    };
    lexer.run()
}

struct Lexer<'a> {
    value: &'a [u8],
    at: usize,
    spaced: bool,
    tokens: Vec<Token<'a>>,
}

impl<'a> Lexer<'a> {
    fn run(mut self) -> Vec<Token<'a>> {
        while let Some(octet) = self.octet(0) {
            match octet {
                b'\n' if !matches!(self.octet(1), Some(b' ' | b'\t')) => self.push(Kind::End, 1),
                b' ' | b'\t' | b'\r' | b'\n' => self.skip(1),
                b'(' => self.comment(),
                b'"' => self.quoted(),
                b'[' if self.tokens.last().is_some_and(|t| t.kind == Kind::At) => self.literal(),
                b'.' => self.push(Kind::Dot, 1),
                b'@' => self.push(Kind::At, 1),
                b':' => self.push(Kind::Colon, 1),
                b'<' => self.push(Kind::Open, 1),
                b'>' => self.push(Kind::Close, 1),
                b',' => self.push(Kind::Comma, 1),
                b';' => self.push(Kind::End, 1),
                _ => self.atom(),
            }
        }
        self.tokens
    }

    fn octet(&self, ahead: usize) -> Option<u8> {
        self.value.get(self.at + ahead).copied()
    }

    fn skip(&mut self, length: usize) {
        self.at += length;
        self.spaced = true;
    }

    fn push(&mut self, kind: Kind, length: usize) {
        let end = self.value.len().min(self.at + length);
        self.tokens.push(Token {
            kind,
            start: self.at,
            text: self.value.get(self.at..end).unwrap_or_default(),
            spaced: self.spaced,
        });
        self.at = end;
        self.spaced = false;
    }

    fn comment(&mut self) {
        let mut depth = 0_usize;
        let mut ahead = 0;
        while let Some(octet) = self.octet(ahead) {
            ahead += 1;
            match octet {
                b'\\' => ahead += 1,
                b'(' => depth += 1,
                b')' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return self.skip(ahead);
            }
        }
        // What stands before it is whole; what it swallowed is told apart from that.
        self.push(Kind::End, 0);
        self.push(Kind::Bad("a comment is not closed"), ahead);
    }

    fn quoted(&mut self) {
        let mut ahead = 1;
        while let Some(octet) = self.octet(ahead) {
            ahead += 1;
            match octet {
                b'\\' => ahead += 1,
                b'"' => return self.push(Kind::Quoted, ahead),
                _ => {}
            }
        }
        self.push(Kind::Bad("a quotation mark is not closed"), ahead);
    }

    fn literal(&mut self) {
        let mut ahead = 1;
        while let Some(octet) = self.octet(ahead) {
            match octet {
                b']' => return self.push(Kind::Literal, ahead + 1),
                b'!'..=b'~' if !b"[]\\<>,;\"()@".contains(&octet) => ahead += 1,
                _ => break,
            }
        }
        self.push(Kind::Bad("a bracket is not closed"), ahead);
    }

    fn atom(&mut self) {
        let ends = |octet: &u8| b" \t\r\n(\".@:<>,;".contains(octet);
        let rest = self.value.get(self.at..).unwrap_or_default();
        let length = rest.iter().position(ends).unwrap_or(rest.len());
        self.push(Kind::Atom, length);
    }
}
