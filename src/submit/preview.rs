//! `--dry-run`: envelope, edited header and route, for a person to read.

use super::offer::Paths;
use crate::config::Config;
use crate::mail::message::Message;
use crate::outcome::printable;

/// The whole text: what the server would be told, the header, and where it would all go.
pub(super) fn text(
    paths: &Paths,
    unusable: &[(String, String)],
    message: &Message,
    config: &Config,
) -> String {
    let mut lines = Vec::new();
    let sender = paths.sender.text.as_bytes();
    lines.push(format!("MAIL FROM:<{}>", safe(sender)));
    for path in &paths.recipients {
        lines.push(format!("RCPT TO:<{}>", safe(path.text.as_bytes())));
    }
    for (recipient, reason) in unusable {
        lines.push(safe(format!("not to {recipient}: {reason}").as_bytes()));
    }
    lines.push(String::new());
    let header = message.header.octets();
    let fields = header.split(|&octet| octet == b'\n');
    let fields = fields.map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    lines.extend(fields.filter(|line| !line.is_empty()).map(safe));
    lines.push(String::new());
    lines.push(format!("body: {} octets", message.body.len()));
    lines.extend(route(config));
    lines.push(String::new());
    lines.join("\n")
}

fn route(config: &Config) -> Vec<String> {
    let server = &config.server;
    let mut lines = vec![
        format!("server: {}:{}, STARTTLS", server.host, server.port),
        format!("user: {}", config.account.user),
        format!("grant: {}", config.account.grant.name()),
        format!("token from: {}", config.endpoint.host()),
    ];
    if let Some((host, port)) = &server.proxy {
        lines.push(format!("proxy: {host}:{port}"));
    }
    lines
}

/// A line whole, tabs kept, every other octet that is not printable ASCII escaped.
fn safe(line: &[u8]) -> String {
    let words = line.split(|&octet| octet == b'\t');
    let words = words.map(|word| word.chunks(100).map(printable).collect::<String>());
    words.collect::<Vec<_>>().join("\t")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_line_is_shown_whole_and_cannot_reach_the_terminal() {
        let long = [&b"Subject:\t"[..], &b"x".repeat(900), b"\x1b[2J"].concat();
        let shown = safe(&long);
        assert_eq!(shown.len(), 9 + 900 + 4 + 3);
        assert!(shown.starts_with("Subject:\tx") && shown.ends_with("\\x1b[2J"));
    }
}
