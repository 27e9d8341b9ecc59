//! What must hold for a body made fit for a server: its reader gets back what was written.

use super::model::{crlf_lines, quoted_printable};
use sendmail365::mail::body::DotRule;
use sendmail365::mail::header::Header;
use sendmail365::mail::message::Message;
use sendmail365::mail::transfer;

/// Longest line that servers take, and longest of quoted-printable.
const LINE_MAX: usize = 998;
const ENCODED_MAX: usize = 76;

/// A body of any octets travels in lines that servers take, and means what it did.
pub fn transfer(input: &[u8]) {
    let Some((&first, rest)) = input.split_first() else {
        return;
    };
    let Ok(message) = Message::read(rest, DotRule::Text, 1 << 20) else {
        return;
    };
    let offered = first % 2 == 0;
    let body: &[u8] = &message.body;
    let mut header = message.header.clone();
    let sent = transfer::transfer(&mut header, body, offered);
    let lines = crlf_lines(&sent.body);
    assert!(lines.iter().all(|line| line.len() <= LINE_MAX), "too long");
    let given = crlf_lines(body);
    let too_long = given.iter().filter(|line| line.len() > LINE_MAX).count();
    let eight_bit = !body.is_ascii() && !offered;
    let encoded = sent.encoded.is_some();
    if encoded {
        assert!(too_long > 0 || eight_bit, "encoded without need");
        assert_eq!(encodings(&header), [b"quoted-printable"]);
        assert!(header.find("MIME-Version").is_some() && header.find("Content-Type").is_some());
        assert!(lines.iter().all(|line| is_safe(line)), "spoilt on the way");
        assert!(quoted_printable(&sent.body) == body, "another text");
    } else if too_long > 0 {
        assert!(means(&header, &sent.body, body), "another text");
    } else {
        assert!(*sent.body == *body, "changed without need");
    }
    if !encoded && body.is_ascii() {
        assert!(header == message.header, "another header without need");
    }
    let broken = if encoded { 0 } else { too_long };
    assert_eq!(sent.broken, broken as u64);
    assert_eq!(sent.eight_bit_unasked, eight_bit && !encoded);
    // An octet becomes three, and 73 columns or more end in a soft line break.
    let most = 3 * body.len() + body.len() / 8 + 3;
    assert!(sent.body.len() <= most, "the body has grown");
    assert!(header.size() <= message.header.size() + 200, "so has this");
    let mut again = header.clone();
    let twice = transfer::transfer(&mut again, &sent.body, offered);
    let settled = again == header && *twice.body == *sent.body;
    assert!(settled, "what was made fit is made fit once more");
}

/// Whether nothing on the way has a reason to change a line that was encoded.
fn is_safe(line: &[u8]) -> bool {
    let visible = |octet: &u8| matches!(octet, b'\t' | b' '..=b'~');
    line.len() <= ENCODED_MAX
        && line.iter().all(visible)
        && !line.ends_with(b" ")
        && !line.ends_with(b"\t")
        && !line.starts_with(b".")
        && !line.starts_with(b"From ")
}

/// Whether a body whose long lines were broken means to its reader what it did.
fn means(header: &Header, broken: &[u8], whole: &[u8]) -> bool {
    let encodings = encodings(header);
    let all = |name: &[u8]| !encodings.is_empty() && encodings.iter().all(|one| one == name);
    let mut types = words(header, "Content-Type").into_iter();
    // The encoding of the parts stands with them.
    let parts = types.any(|kind| kind.starts_with(b"multipart/"));
    if !parts && all(b"quoted-printable") {
        quoted_printable(broken) == quoted_printable(whole)
    } else if !parts && all(b"base64") {
        crlf_lines(broken).concat() == crlf_lines(whole).concat()
    } else {
        rejoined(broken, whole)
    }
}

/// Whether lines are what they were but for breaks, each of them a line end and a blank.
fn rejoined(broken: &[u8], whole: &[u8]) -> bool {
    let mut pieces = crlf_lines(broken).into_iter();
    let same = crlf_lines(whole).into_iter().all(|line| {
        let mut joined = pieces.next().unwrap_or_default().to_vec();
        while joined.len() < line.len() {
            match pieces.next() {
                Some([b' ', more @ ..]) => joined.extend_from_slice(more),
                _ => return false,
            }
        }
        joined == line
    });
    same && pieces.next().is_none()
}

fn encodings(header: &Header) -> Vec<Vec<u8>> {
    words(header, "Content-Transfer-Encoding")
}

/// The first word of each such field, in lower case.
fn words(header: &Header, name: &str) -> Vec<Vec<u8>> {
    let fields = header.all(name).map(|field| {
        let value = field.unfolded().to_ascii_lowercase();
        let mut words = value.split(|octet| b" \t;(".contains(octet));
        words.next().unwrap_or_default().to_vec()
    });
    fields.collect()
}
