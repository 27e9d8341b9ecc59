//! Lines into replies, on octets, with bounds that no server can exceed.

use crate::outcome::printable;
use lettre::transport::smtp::response::Response;

/// Octets of one line; RFC 5321 section 4.5.3.1.5 allows 512.
const LINE_MAX: usize = 4 * 1024;
const REPLY_MAX: usize = 64 * 1024;
const LINES_MAX: usize = 128;

/// What came is no reply.
#[derive(Debug, PartialEq, Eq)]
pub enum Garbage {
    /// A line or a reply without end.
    TooLong,
    /// Not SMTP, with its beginning.
    NotSmtp(String),
}

/// One reply of the server: a code, and lines of text without it.
#[derive(Debug, Clone)]
pub struct Reply(Response);

impl Reply {
    /// The three digits as a number.
    pub fn code(&self) -> u16 {
        self.0.code().into()
    }

    /// 4yz: not now.
    pub fn temporary(&self) -> bool {
        self.code() / 100 == 4
    }

    /// 4yz or 5yz.
    pub fn negative(&self) -> bool {
        matches!(self.code() / 100, 4 | 5)
    }

    /// The text of each line.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.0.message()
    }

    /// The first word of the text.
    pub fn first_word(&self) -> &str {
        self.0.first_word().unwrap_or_default()
    }

    /// Class, subject and detail of the enhanced code that opens the text (RFC 2034 section 4).
    pub fn enhanced(&self) -> Option<[u16; 3]> {
        let mut parts = self.first_word().trim_end_matches(';').split('.');
        let mut part = || {
            let digits = parts.next()?;
            let plain = digits.len() <= 3 && digits.bytes().all(|octet| octet.is_ascii_digit());
            if plain { digits.parse().ok() } else { None }
        };
        let code = [part()?, part()?, part()?];
        parts.next().is_none().then_some(code)
    }

    /// Code and up to three lines, cut, with the host, time and session id that end the text in
    /// brackets. An enhanced code that each line repeats is said once.
    pub fn quote(&self) -> String {
        const CUT: usize = 240;
        let enhanced = self.enhanced().map_or("", |_| self.first_word());
        let mut text = self.code().to_string();
        for (place, line) in self.lines().take(3).enumerate() {
            let repeated = line.strip_prefix(enhanced).filter(|_| place > 0);
            let line = repeated.unwrap_or(line).trim();
            if !line.is_empty() {
                text.push(' ');
                text.push_str(line);
            }
        }
        let last = self.lines().last().unwrap_or_default().trim_end();
        let tail = last.rfind('[').and_then(|start| last.get(start..));
        let tail = tail.filter(|tail| tail.ends_with(']') && tail.len() <= CUT);
        if let Some((end, _)) = text.char_indices().nth(CUT) {
            text.truncate(end);
            text.push_str("...");
        }
        match tail {
            Some(tail) if !text.ends_with(tail) => format!("{text} {tail}"),
            _ => text.trim_end().to_owned(),
        }
    }

    /// The whole text in lower case, for the table of causes.
    pub fn folded(&self) -> String {
        let lines: Vec<&str> = self.lines().collect();
        lines.join(" ").to_lowercase()
    }

    /// The reply with everything removed that the server repeats of a secret.
    pub fn without(self, secret: &str) -> Reply {
        if secret.is_empty() {
            return self;
        }
        let lines = self.lines().map(|line| conceal(line, secret)).collect();
        Reply(Response::new(self.0.code(), lines))
    }
}

/// `text` with every stretch of 16 or more octets that stands in the secret replaced by its size.
///
/// Servers quote the command they do not understand, and this one may hold a token: whole, cut at
/// either end, or with a word of theirs right before it.
pub fn conceal(text: &str, secret: &str) -> String {
    const TELLING: usize = 16;
    let mut rest = text;
    let mut clean = String::new();
    while let Some(first) = rest.chars().next() {
        let ends = rest.char_indices().map(|(at, char)| at + char.len_utf8());
        let quoted = ends
            .skip_while(|&end| end < TELLING)
            .take_while(|&end| rest.get(..end).is_some_and(|part| secret.contains(part)))
            .last();
        match quoted {
            Some(end) => clean.push_str(&format!("[{end} octets]")),
            None => clean.push(first),
        }
        let (_, after) = rest.split_at(quoted.unwrap_or(first.len_utf8()));
        rest = after;
    }
    clean
}

/// Makes replies out of octets as they come.
#[derive(Default)]
pub struct Framer {
    input: Vec<u8>,
    reply: String,
    lines: usize,
}

impl Framer {
    /// Takes octets from the connection.
    pub fn push(&mut self, octets: &[u8]) {
        self.input.extend_from_slice(octets);
    }

    /// No octet waits, not even the beginning of a reply.
    pub fn is_empty(&self) -> bool {
        self.input.is_empty() && self.lines == 0
    }

    /// The next whole reply, or None if more octets are needed.
    pub fn take(&mut self) -> Result<Option<Reply>, Garbage> {
        while let Some(line) = self.line()? {
            let last = self.add(&line)?;
            if last {
                self.lines = 0;
                let text = std::mem::take(&mut self.reply);
                // lettre refuses lines with different codes.
                let response = text.parse();
                return match response {
                    Ok(response) => Ok(Some(Reply(response))),
                    Err(_) => Err(not_smtp(text.as_bytes())),
                };
            }
        }
        Ok(None)
    }

    fn line(&mut self) -> Result<Option<Vec<u8>>, Garbage> {
        if !self.input.iter().take(3).all(u8::is_ascii_digit) {
            return Err(not_smtp(&self.input));
        }
        let end = self.input.iter().position(|&octet| octet == b'\n');
        if end.unwrap_or(self.input.len()) > LINE_MAX {
            return Err(Garbage::TooLong);
        }
        let Some(end) = end else {
            return Ok(None);
        };
        let mut line: Vec<u8> = self.input.drain(..=end).collect();
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        Ok(Some(line))
    }

    /// Adds a line as lettre reads it; true if it ends the reply.
    fn add(&mut self, line: &[u8]) -> Result<bool, Garbage> {
        let (code, rest) = line.split_at_checked(3).ok_or_else(|| not_smtp(line))?;
        let (separator, text) = match rest.split_first() {
            None => (' ', rest),
            Some((b'-', text)) => ('-', text),
            Some((b' ' | b'\t', text)) => (' ', text),
            Some(_) => return Err(not_smtp(line)),
        };
        self.lines += 1;
        self.reply.push_str(&decoded(code));
        self.reply.push(separator);
        self.reply.push_str(&decoded(text));
        self.reply.push_str("\r\n");
        if self.lines > LINES_MAX || self.reply.len() > REPLY_MAX {
            return Err(Garbage::TooLong);
        }
        Ok(separator == ' ')
    }
}

/// UTF-8, else Latin-1: no octet may cost the code that stands before it.
fn decoded(octets: &[u8]) -> String {
    match std::str::from_utf8(octets) {
        Ok(text) => text.to_owned(),
        Err(_) => octets.iter().map(|&octet| char::from(octet)).collect(),
    }
}

fn not_smtp(octets: &[u8]) -> Garbage {
    let end = octets.len().min(80);
    Garbage::NotSmtp(printable(octets.get(..end).unwrap_or_default()))
}

impl Reply {
    /// The reply that a text without its line end is, if it is one.
    pub fn read(text: &str) -> Option<Reply> {
        let mut framer = Framer::default();
        framer.push(text.as_bytes());
        framer.push(b"\r\n");
        framer.take().ok().flatten()
    }
}

#[cfg(test)]
impl Reply {
    /// The one reply that `text` is.
    pub(crate) fn of(text: &str) -> Reply {
        Reply::read(text).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(octets: &[u8]) -> Result<Option<Reply>, Garbage> {
        let mut framer = Framer::default();
        framer.push(octets);
        framer.take()
    }

    fn lines(octets: &[u8]) -> Vec<String> {
        let reply = framed(octets).unwrap().unwrap();
        reply.lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_reply_ends_where_it_ends() {
        assert_eq!(lines(b"250-a\r\n250-b\r\n250 c\r\n"), ["a", "b", "c"]);
        assert_eq!(lines(b"250-a\n250 c\n"), ["a", "c"]);
        assert_eq!(lines(b"250\r\n"), [""]);
        assert_eq!(lines(b"250-\r\n250\r\n"), ["", ""]);
        assert!(framed(b"250-a\r\n250 c\r").unwrap().is_none());
    }

    #[test]
    fn an_octet_at_a_time_makes_the_same_replies() {
        let mut framer = Framer::default();
        let mut codes = Vec::new();
        for &octet in b"220 hi\r\n250-a\r\n250 b\n354\r\n" {
            framer.push(&[octet]);
            codes.extend(framer.take().unwrap().map(|reply| reply.code()));
        }
        assert_eq!(codes, [220, 250, 354]);
        assert!(framer.is_empty());
    }

    #[test]
    fn latin_1_does_not_cost_the_code() {
        let reply = framed(b"535 5.7.3 Authentification refus\xe9e\r\n")
            .unwrap()
            .unwrap();
        assert_eq!(reply.code(), 535);
        assert!(reply.quote().ends_with("refus\u{e9}e"));
    }

    #[test]
    fn codes_of_one_reply_are_equal_or_it_is_none() {
        assert!(matches!(
            framed(b"250-a\r\n550 b\r\n"),
            Err(Garbage::NotSmtp(_))
        ));
    }

    #[test]
    fn what_is_not_smtp_is_said_at_once() {
        for octets in [
            &b"HTTP/1.1 400 Bad Request\r\n"[..],
            b"\x16\x03\x01\0",
            b"\r\n",
            b"25a",
            b"2500 x\r\n",
        ] {
            assert!(
                matches!(framed(octets), Err(Garbage::NotSmtp(_))),
                "{octets:?}"
            );
        }
    }

    #[test]
    fn neither_a_line_nor_a_reply_is_endless() {
        assert_eq!(framed(&[b'2'; LINE_MAX + 1]).unwrap_err(), Garbage::TooLong);
        assert_eq!(
            framed(&b"250-a\r\n".repeat(LINES_MAX + 1)).unwrap_err(),
            Garbage::TooLong
        );
        let long = [b"250-", &[b'a'; 1000][..], b"\r\n"].concat();
        assert_eq!(framed(&long.repeat(100)).unwrap_err(), Garbage::TooLong);
    }

    #[test]
    fn no_octets_whatever_do_harm() {
        let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
        for _ in 0..20_000 {
            let mut framer = Framer::default();
            for _ in 0..40 {
                seed ^= seed << 13;
                seed ^= seed >> 7;
                seed ^= seed << 17;
                framer.push(&[b"250-45 .\r\n\xff\0[]"[(seed % 14) as usize]]);
                match framer.take() {
                    Err(_) => break,
                    Ok(None) => {}
                    Ok(Some(reply)) => {
                        assert!((200..=559).contains(&reply.code()));
                        let _ = (reply.quote(), reply.enhanced(), reply.folded());
                    }
                }
            }
        }
    }

    #[test]
    fn enhanced_codes_are_read_or_absent() {
        assert_eq!(Reply::of("550 5.7.60 no").enhanced(), Some([5, 7, 60]));
        for text in [
            "550 no",
            "550 5.7 no",
            "550 5.7.1.2 no",
            "550 5.7.1234 no",
            "550",
            "550 5..1",
        ] {
            assert_eq!(Reply::of(text).enhanced(), None, "{text}");
        }
    }

    #[test]
    fn a_quotation_keeps_the_session_id_for_support() {
        let text = format!(
            "535 5.7.3 {} [AM0 2024-07-11T11:46:49.042Z 08DC]",
            "x".repeat(900)
        );
        let quote = Reply::of(&text).quote();
        assert!(quote.len() < 400 && quote.ends_with("... [AM0 2024-07-11T11:46:49.042Z 08DC]"));
        assert_eq!(Reply::of("535 a [id]").quote(), "535 a [id]");
    }

    #[test]
    fn a_quotation_has_up_to_three_lines() {
        let reply = Reply::of("550-5.7.1 Blocked by a rule.\n550-5.7.1 \n550 5.7.1 Ask Ann. [id]");
        assert_eq!(reply.quote(), "550 5.7.1 Blocked by a rule. Ask Ann. [id]");
        let reply = Reply::of("550-a\n550-b\n550-c\n550-d\n550 e [id]");
        assert_eq!(reply.quote(), "550 a b c [id]");
        let reply = Reply::of(&format!("550-{0}\n550-{0}\n550 c [id]", "x".repeat(130)));
        let quote = reply.quote();
        assert!(quote.ends_with("x... [id]") && quote.len() < 260, "{quote}");
    }

    #[test]
    fn a_secret_that_the_server_repeats_is_removed() {
        let secret = "dXNlcj1hQGIBYXV0aD1CZWFyZXIgeHh4";
        for shown in [
            secret,
            &secret[..20],
            &secret[8..],
            &format!("{}...", &secret[..20]),
            &format!("{}..cut", &secret[..20]),
            &format!("auth={secret}"),
        ] {
            let text = format!("500 5.3.3 Unrecognized command 'AUTH XOAUTH2 {shown}'");
            let quote = Reply::of(&text).without(secret).quote();
            assert!(
                quote.contains(" octets]") && !quote.contains(&secret[8..20]),
                "{quote}"
            );
        }
    }
}
