//! Text cases: a call of the program, and what must arrive at the tenant because of it.
//!
//! ```text
//! # why this case exists
//! set recipients.domain = "contoso.test"     a setting, as in the file
//! alias root: ops@contoso.test               a line of the alias file
//! $ sendmail -t -i                           the call; 'quoted words' and \xNN as in a shell
//! stdin php-mail                             tests/data/php-mail, or lines:
//! < To: a@example.com                        \{1200*x} is x so often, here as everywhere
//! file                                       standard input is a regular file
//! queue on                                   the host has a queue
//! lacks 8BITMIME DSN                         what the server does not offer
//! exit 0
//! from alerts@contoso.test                   the envelope
//! to a@example.com b@example.com             one that holds a quote has a line of its own
//! mail RET=FULL BODY=8BITMIME                the parameters of MAIL but SIZE, which has to be right
//! rcpt NOTIFY=NEVER                          the parameters of each RCPT
//! - Bcc: b@example.com                       a header line that must not arrive
//! + Date: *                                  a header line that must be new; * is any text
//! adds Received Message-ID                   the same for fields of any value
//! body no final newline                      what differs in the body; without it: nothing
//! encoded                                    the body arrives in quoted-printable, and means the same
//! logs encoded as                            a text in the log
//! says no recipients                         a text on stderr
//! prints root... deliverable: a@example.com  a line on stdout, each in its turn; * is any text
//! queued 1                                   so many messages wait after the call, and arrive with the next -q
//! ```
//! Whatever is not named must arrive as it was given, and a case without `says` must be silent.

use crate::binary;
use crate::host::{Host, Ran, finish};
use crate::tenant::{Delivered, Fault, Tenant};
use std::fs;
use std::path::{Path, PathBuf};

#[derive(Default)]
struct Case {
    settings: Vec<(String, String, String)>,
    aliases: String,
    name: String,
    arguments: Vec<std::ffi::OsString>,
    stdin: Vec<u8>,
    stdin_is_file: bool,
    queue: bool,
    lacks: Vec<Fault>,
    mail: Option<String>,
    rcpt: Option<String>,
    encoded: bool,
    logs: Vec<String>,
    exit: i32,
    from: Option<String>,
    to: Vec<String>,
    removed: Vec<String>,
    added: Vec<String>,
    body: Option<Vec<u8>>,
    says: Vec<String>,
    prints: Vec<String>,
    queued: usize,
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests")
        .join(name)
}

#[test]
fn every_case_arrives_as_it_says() {
    let tenant = Tenant::start();
    for recipient in ["joe", "j", "root", "ANN"] {
        tenant.add_recipient(&format!("{recipient}@contoso.test"));
    }
    let mut failed = Vec::new();
    let mut files: Vec<PathBuf> = fs::read_dir(folder("cases"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let mut count = 0;
    for file in &files {
        let text = fs::read_to_string(file).unwrap();
        for (number, block) in text
            .split("\n\n")
            .enumerate()
            .filter(|(_, block)| block.contains("\n$ ") || block.starts_with("$ "))
        {
            count += 1;
            let case = parse(block);
            let ran = run(&tenant, &case);
            tenant.recover();
            if let Err(why) = ran {
                failed.push(format!(
                    "{} block {}:\n{block}\n=> {why}\n",
                    file.display(),
                    number + 1
                ));
            }
        }
    }
    assert!(count > 0, "no case was found");
    assert!(
        failed.is_empty(),
        "{} of {count} cases failed\n{}",
        failed.len(),
        failed.join("\n")
    );
}

fn run(tenant: &Tenant, case: &Case) -> Result<(), String> {
    let mut host = Host::configured(&binary(), tenant);
    for (section, key, value) in &case.settings {
        host.set(section, key, value);
    }
    if case.queue {
        host.set("queue", "enabled", "true");
    }
    host.write("etc/aliases", &case.aliases);
    host.run(
        "sendmail365",
        ["login", "--import", "-"],
        tenant.refresh_token(),
    )
    .exits(0);
    let before = tenant.received().len();
    for fault in &case.lacks {
        tenant.fault(fault.clone());
    }
    let mut command = host.command(&case.name, &case.arguments);
    let ran = match case.stdin_is_file {
        false => finish(&mut command, &case.stdin),
        true => {
            host.write("home/stdin", &case.stdin);
            let file = fs::File::open(host.path("home/stdin")).unwrap();
            Ran::of(command.stdin(file))
        }
    };
    expect("exit status", &ran.status.code(), &Some(case.exit), &ran)?;
    printed(case, &ran)?;
    for text in &case.logs {
        let there = host.log().contains(text);
        expect(&format!("{text:?} in the log"), &there, &true, &ran)?;
    }
    if case.queue {
        let waiting = host.spooled("queue").len();
        expect("messages in the queue", &waiting, &case.queued, &ran)?;
        let left = host.spooled("tmp").len() + host.spooled("failed").len();
        expect("other files in the spool", &left, &0, &ran)?;
    }
    if case.queued > 0 {
        let sent = tenant.received().len() - before;
        expect("messages at the tenant before -q", &sent, &0, &ran)?;
        host.run("sendmail", ["-q"], "").exits(0);
        let waiting = host.spooled("queue").len();
        expect("messages in the queue after -q", &waiting, &0, &ran)?;
    }
    let received = tenant.received();
    let arrived = &received[before..];
    let Some(from) = &case.from else {
        return expect("messages at the tenant", &arrived.len(), &0, &ran);
    };
    expect("messages at the tenant", &arrived.len(), &1, &ran)?;
    expect("MAIL FROM", &arrived[0].sender, from, &ran)?;
    expect("RCPT TO", &arrived[0].recipients, &case.to, &ran)?;
    parameters(case, &arrived[0], &ran)?;
    compare(case, &arrived[0].data)
}

/// What is not named must not be printed; beside a reason stdout may say more.
fn printed(case: &Case, ran: &Ran) -> Result<(), String> {
    for text in &case.says {
        let there = ran.stderr.contains(text);
        expect(&format!("{text:?} on stderr"), &there, &true, ran)?;
    }
    if !case.says.is_empty() && case.prints.is_empty() {
        return Ok(());
    }
    let whole = ran.stdout.is_empty() || ran.stdout.ends_with('\n');
    expect("a line end at the end of stdout", &whole, &true, ran)?;
    let lines: Vec<&str> = ran.stdout.lines().collect();
    expect("lines on stdout", &lines.len(), &case.prints.len(), ran)?;
    for (line, pattern) in lines.iter().zip(&case.prints) {
        if !matches(pattern, line.as_bytes()) {
            return Err(format!("stdout: {line:?}, not {pattern:?}"));
        }
    }
    match case.says.is_empty() {
        true => expect("stderr", &ran.stderr.as_str(), &"", ran),
        false => Ok(()),
    }
}

/// SIZE has to be that of the message as it arrived; the others are as the case says.
fn parameters(case: &Case, arrived: &Delivered, ran: &Ran) -> Result<(), String> {
    let (size, others): (Vec<String>, Vec<String>) = arrived
        .parameters
        .iter()
        .cloned()
        .partition(|word| word.starts_with("SIZE="));
    let wanted = match case.lacks.contains(&Fault::NoSize) {
        true => Vec::new(),
        false => vec![format!("SIZE={}", arrived.data.len())],
    };
    expect("SIZE", &size, &wanted, ran)?;
    if let Some(mail) = &case.mail {
        expect("parameters of MAIL", &others.join(" "), mail, ran)?;
    }
    for words in &arrived.recipient_parameters {
        if let Some(rcpt) = &case.rcpt {
            expect("parameters of RCPT", &words.join(" "), rcpt, ran)?;
        }
    }
    Ok(())
}

fn expect<T: PartialEq + std::fmt::Debug>(
    what: &str,
    seen: &T,
    wanted: &T,
    ran: &Ran,
) -> Result<(), String> {
    match seen == wanted {
        true => Ok(()),
        false => Err(format!(
            "{what}: {seen:?}, not {wanted:?}; stderr {:?}",
            ran.stderr
        )),
    }
}

/// The header that was given, less what must go, plus what must come, is the header that arrived.
fn compare(case: &Case, data: &[u8]) -> Result<(), String> {
    let (given_header, given_body) = split(&canonical(&case.stdin));
    let (header, body) = split(data);
    let mut left: Vec<Vec<u8>> = fields(&header);
    let mut wanted = fields(&given_header);
    for removed in &case.removed {
        let place = wanted.iter().position(|field| matches(removed, field));
        wanted.remove(place.ok_or(format!("the input has no {removed:?}"))?);
    }
    for field in wanted {
        let place = left.iter().position(|arrived| *arrived == field);
        let text = String::from_utf8_lossy(&field).into_owned();
        left.remove(place.ok_or(format!(
            "{text:?} did not arrive as it was; {}",
            shown(&header)
        ))?);
    }
    for added in &case.added {
        let place = left.iter().position(|arrived| matches(added, arrived));
        left.remove(place.ok_or(format!("no {added:?} in {}", shown(&header)))?);
    }
    if let Some(surplus) = left.first() {
        return Err(format!("{:?} was added", String::from_utf8_lossy(surplus)));
    }
    let body = match case.encoded {
        true => decoded(data),
        false => body,
    };
    let wanted = case.body.as_ref().unwrap_or(&given_body);
    match body == *wanted {
        true => Ok(()),
        false => Err(format!("body {}, not {}", shown(&body), shown(wanted))),
    }
}

/// The body of a message that is one text in quoted-printable of the strict kind.
pub fn decoded(message: &[u8]) -> Vec<u8> {
    let (_, body) = split(message);
    for line in body.split(|&octet| octet == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        assert!(line.len() <= 76 && line.is_ascii(), "{}", shown(line));
        assert!(!line.ends_with(b" ") && !line.ends_with(b"\t"));
    }
    let mail = mailparse::parse_mail(message).unwrap();
    let field = |name: &str| mailparse::MailHeaderMap::get_first_value(&mail.headers[..], name);
    let encoding = field("Content-Transfer-Encoding");
    assert_eq!(encoding.as_deref(), Some("quoted-printable"));
    assert_eq!(field("MIME-Version").as_deref(), Some("1.0"));
    mail.get_body_raw().unwrap()
}

fn shown(octets: &[u8]) -> String {
    format!("{:?}", String::from_utf8_lossy(octets))
}

fn canonical(octets: &[u8]) -> Vec<u8> {
    let mut lines = Vec::new();
    for line in octets.split_inclusive(|&octet| octet == b'\n') {
        let end = line
            .iter()
            .rposition(|octet| !b"\r\n".contains(octet))
            .map_or(0, |last| last + 1);
        lines.extend_from_slice(&line[..end]);
        lines.extend_from_slice(b"\r\n");
    }
    lines
}

fn split(message: &[u8]) -> (Vec<u8>, Vec<u8>) {
    if message.starts_with(b"\r\n") {
        return (Vec::new(), message[2..].to_vec());
    }
    match message.windows(4).position(|window| window == b"\r\n\r\n") {
        Some(end) => (message[..end + 2].to_vec(), message[end + 4..].to_vec()),
        None => (message.to_vec(), Vec::new()),
    }
}

fn fields(header: &[u8]) -> Vec<Vec<u8>> {
    let mut fields: Vec<Vec<u8>> = Vec::new();
    for line in header.split_inclusive(|&octet| octet == b'\n') {
        match (line.first(), fields.last_mut()) {
            (Some(b' ' | b'\t'), Some(field)) => field.extend_from_slice(line),
            _ => fields.push(line.to_vec()),
        }
    }
    fields
}

/// Whether a field is the pattern; `*` stands for any text, `\n` for a fold.
fn matches(pattern: &str, field: &[u8]) -> bool {
    let field = String::from_utf8_lossy(field);
    let field = field.trim_end_matches("\r\n");
    let pattern = pattern
        .replace("\\n", "\r\n")
        .replace("\\t", "\t")
        .replace("\\r", "\r");
    let mut rest = field;
    let parts: Vec<&str> = pattern.split('*').collect();
    for (place, part) in parts.iter().enumerate() {
        let found = match place {
            0 => rest.starts_with(part).then_some(0),
            _ if place + 1 == parts.len() => rest.ends_with(part).then(|| rest.len() - part.len()),
            _ => rest.find(part),
        };
        match found {
            Some(start) => rest = &rest[start + part.len()..],
            None => return false,
        }
    }
    parts.len() > 1 || rest.is_empty()
}

fn parse(block: &str) -> Case {
    let mut case = Case::default();
    for line in block
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
    {
        let line = &repeated(line);
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "set" => {
                let (name, value) = rest.split_once(" = ").expect("set SECTION.KEY = VALUE");
                let (section, key) = name.split_once('.').expect("set SECTION.KEY = VALUE");
                case.settings
                    .push((section.into(), key.into(), value.into()));
            }
            "alias" => case.aliases.push_str(&format!("{rest}\n")),
            "$" => {
                let mut words = words(rest);
                case.name = words.remove(0).into_string().unwrap();
                case.arguments = words;
            }
            "stdin" => case.stdin = fs::read(folder("data").join(rest)).unwrap(),
            "<" => {
                case.stdin.extend(unescaped(rest));
                case.stdin.push(b'\n');
            }
            "lacks" => case.lacks.extend(rest.split(' ').map(missing)),
            "mail" => case.mail = Some(rest.to_owned()),
            "rcpt" => case.rcpt = Some(rest.to_owned()),
            "encoded" => case.encoded = true,
            "logs" => case.logs.push(rest.to_owned()),
            "file" => case.stdin_is_file = true,
            "exit" => case.exit = rest.parse().unwrap(),
            "from" => case.from = Some(rest.to_owned()),
            "to" if rest.contains('"') => case.to.push(rest.to_owned()),
            "to" => case.to.extend(rest.split(' ').map(str::to_owned)),
            "-" => case.removed.push(rest.to_owned()),
            "+" => case.added.push(rest.to_owned()),
            "adds" => case
                .added
                .extend(rest.split(' ').map(|name| format!("{name}: *"))),
            "body" => case.body = Some(unescaped(rest)),
            "says" => case.says.push(rest.to_owned()),
            "prints" => case.prints.push(rest.to_owned()),
            "queue" if rest == "on" => case.queue = true,
            "queued" => case.queued = rest.parse().unwrap(),
            _ => panic!("no such word in a case: {line:?}"),
        }
    }
    case
}

/// Words as a shell splits them, single quotes and `\xNN` only.
fn words(text: &str) -> Vec<std::ffi::OsString> {
    use std::os::unix::ffi::OsStringExt;
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    for character in text.chars() {
        match character {
            '\'' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            ' ' if !quoted => words.extend(word.take()),
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    words
        .iter()
        .map(|word| std::ffi::OsString::from_vec(unescaped(word)))
        .collect()
}

fn missing(keyword: &str) -> Fault {
    match keyword {
        "8BITMIME" => Fault::No8bitmime,
        "CHUNKING" => Fault::NoChunking,
        "DSN" => Fault::NoDsn,
        "PIPELINING" => Fault::NoPipelining,
        "SIZE" => Fault::NoSize,
        "SMTPUTF8" => Fault::NoSmtputf8,
        _ => panic!("no such keyword in a case: {keyword:?}"),
    }
}

/// `\{3*ab}` into `ababab`.
fn repeated(text: &str) -> String {
    let mut parts = text.split("\\{");
    let mut line = parts.next().unwrap().to_owned();
    for part in parts {
        let (repeat, rest) = part.split_once('}').expect("\\{COUNT*TEXT}");
        let (count, text) = repeat.split_once('*').expect("\\{COUNT*TEXT}");
        line += &text.repeat(count.parse().unwrap());
        line += rest;
    }
    line
}

/// `\xNN`, `\r`, `\n`, `\t` and `\\` into octets.
fn unescaped(text: &str) -> Vec<u8> {
    let mut octets = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find('\\') {
        octets.extend_from_slice(&rest.as_bytes()[..start]);
        let (octet, size) = match rest.as_bytes().get(start + 1) {
            Some(b'x') => (
                u8::from_str_radix(&rest[start + 2..start + 4], 16).unwrap(),
                4,
            ),
            Some(b'r') => (b'\r', 2),
            Some(b'n') => (b'\n', 2),
            Some(b't') => (b'\t', 2),
            _ => (b'\\', 2),
        };
        octets.push(octet);
        rest = &rest[start + size..];
    }
    octets.extend_from_slice(rest.as_bytes());
    octets
}
