//! What the octets of a message mean, read by the letter and without any of the program's own code.

/// How a line that begins with a dot is meant.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Dots {
    /// With -i they are text.
    Text,
    /// In a pipe a lone dot ends the message, and one of two is taken away.
    Pipe,
    /// In a regular file only a lone dot on the last line is no text.
    File,
}

/// A line of the input between two LFs, and where it begins.
struct Line<'a> {
    start: usize,
    raw: &'a [u8],
    ended: bool,
}

/// The header and the body that a caller has written, in lines that end in CRLF.
pub fn message(input: &[u8], dots: Dots) -> (Vec<u8>, Vec<u8>) {
    let mut header = Vec::new();
    // Where lines begin that are the text if no field follows.
    let mut indented = None;
    for line in lines(input) {
        let mut text = without_end(line.raw);
        for octet in &mut text {
            if *octet == b'\r' {
                *octet = b' ';
            }
        }
        let doubled = dots == Dots::Pipe && text.starts_with(b"..");
        let text = &text[usize::from(doubled)..];
        let continues = text.starts_with(b" ") || text.starts_with(b"\t");
        if text.is_empty() && indented.is_none() {
            return (header, body(&input[line.start + line.raw.len()..], 1, dots));
        } else if let Some(field) = field(text) {
            header.extend_from_slice(&field);
            indented = None;
        } else if continues && header.is_empty() {
            indented = indented.or(Some(line.start));
        } else if continues {
            header.extend_from_slice(text);
            header.extend_from_slice(b"\r\n");
        } else if !header.is_empty() || !from_line(text) {
            return (
                header,
                body(&input[indented.unwrap_or(line.start)..], 0, dots),
            );
        }
    }
    let rest = indented.map_or(&b""[..], |start| &input[start..]);
    (header, body(rest, 0, dots))
}

/// The text behind so many octets, which may be missing at the end of the input.
fn body(input: &[u8], skipped: usize, dots: Dots) -> Vec<u8> {
    let lines = lines(input.get(skipped..).unwrap_or_default());
    let mut body = Vec::new();
    let count = lines.len();
    for (number, line) in lines.iter().enumerate() {
        let text = without_end(line.raw);
        if text == b"." && (dots == Dots::Pipe || dots == Dots::File && number + 1 == count) {
            break;
        }
        let doubled = dots == Dots::Pipe && text.starts_with(b"..");
        for &octet in &text[usize::from(doubled)..] {
            match octet {
                b'\r' => body.extend_from_slice(b"\r\n"),
                octet => body.push(octet),
            }
        }
        body.extend_from_slice(b"\r\n");
    }
    body
}

/// The lines of the input, the last of which may lack its end unless nothing but NULs is in it.
fn lines(input: &[u8]) -> Vec<Line<'_>> {
    let mut lines = Vec::new();
    let mut start = 0;
    for whole in input.split_inclusive(|&octet| octet == b'\n') {
        let raw = whole.strip_suffix(b"\n");
        let ended = raw.is_some();
        let raw = raw.unwrap_or(whole);
        lines.push(Line { start, raw, ended });
        start += whole.len();
    }
    lines.retain(|line| line.ended || line.raw.iter().any(|&octet| octet != 0));
    lines
}

/// A line without NULs and without the CRs right before its end.
fn without_end(raw: &[u8]) -> Vec<u8> {
    let mut text = raw.to_vec();
    text.retain(|&octet| octet != 0);
    let end = text.iter().rposition(|&octet| octet != b'\r');
    text.truncate(end.map_or(0, |last| last + 1));
    text
}

/// The first line of a field (RFC 5322 sections 2.2 and 4.5.8), if the line is one.
fn field(line: &[u8]) -> Option<Vec<u8>> {
    let colon = line.iter().position(|&octet| octet == b':')?;
    let (before, value) = line.split_at(colon);
    let blanks = before
        .iter()
        .rev()
        .take_while(|octet| b" \t".contains(octet));
    let name = &before[..colon - blanks.count()];
    let printable = name.iter().all(|octet| (33..=126).contains(octet));
    (printable && !name.is_empty()).then(|| [name, value, b"\r\n"].concat())
}

fn from_line(line: &[u8]) -> bool {
    let quotes = line.iter().take_while(|&&octet| octet == b'>').count();
    line[quotes..].starts_with(b"From ")
}

/// What a server reads up to the end of data (RFC 5321 section 4.5.2), and the octets behind that.
pub fn read_data(wire: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut message = Vec::new();
    let mut rest = wire;
    loop {
        let end = rest.windows(2).position(|pair| pair == b"\r\n")? + 2;
        let (line, after) = rest.split_at(end);
        assert!(!line[..end - 2].contains(&b'\r') && !line[..end - 2].contains(&b'\n'));
        rest = after;
        match line {
            b".\r\n" => return Some((message, rest)),
            [b'.', undotted @ ..] => message.extend_from_slice(undotted),
            line => message.extend_from_slice(line),
        }
    }
}

/// The header of a message with all its line ends, and what stands behind the blank line.
pub fn parted(message: &[u8]) -> (&[u8], &[u8]) {
    if let Some(body) = message.strip_prefix(b"\r\n") {
        return (b"", body);
    }
    let end = message.windows(4).position(|four| four == b"\r\n\r\n");
    let end = end.expect("a blank line behind the header");
    (&message[..end + 2], &message[end + 4..])
}

/// The lines of a body without their ends; none but CRLF is one.
pub fn crlf_lines(body: &[u8]) -> Vec<&[u8]> {
    let lines = body.split_inclusive(|&octet| octet == b'\n');
    lines
        .map(|line| {
            let line = line.strip_suffix(b"\r\n").expect("a whole line");
            assert!(!line.contains(&b'\r'), "a bare CR");
            line
        })
        .collect()
}

/// The text of quoted-printable lines (RFC 2045 section 6.7). What is no escape stays, as readers
/// leave it.
pub fn quoted_printable(body: &[u8]) -> Vec<u8> {
    let digit = |octet: &u8| char::from(*octet).to_digit(16);
    let mut text = Vec::new();
    for line in crlf_lines(body) {
        // Blanks at the end of a line were added on the way (rule 3).
        let blanks = line.iter().rev().take_while(|octet| b" \t".contains(octet));
        let line = &line[..line.len() - blanks.count()];
        let soft = line.ends_with(b"=");
        let mut rest = &line[..line.len() - usize::from(soft)];
        while let Some((&first, after)) = rest.split_first() {
            let high = after.first().and_then(digit);
            let low = after.get(1).and_then(digit);
            rest = match (first, high, low) {
                (b'=', Some(high), Some(low)) => {
                    text.push((high * 16 + low) as u8);
                    &after[2..]
                }
                _ => {
                    text.push(first);
                    after
                }
            };
        }
        if !soft {
            text.extend_from_slice(b"\r\n");
        }
    }
    text
}
