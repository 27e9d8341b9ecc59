//! One line per event to syslog, or a file: a fixed grammar that no value from outside can forge.
#![expect(clippy::disallowed_methods, reason = "edge: the log")]

use crate::outcome::printable;
use crate::sys::clock::{self, LocalTime};
use crate::sys::file::make_for_group;
use crate::sys::privilege;
use std::fmt::Write as _;
use std::fs::{OpenOptions, Permissions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, fchown};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

/// Severity of an event, numbered as syslog does (RFC 5424 section 6.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    Critical = 2,
    Error = 3,
    Warning = 4,
    Info = 6,
}

/// One event: `ID: event=E key=word key=<address> key="text" ...`.
pub struct Line(String);

impl Line {
    /// Begins the line of an event.
    pub fn new(id: impl std::fmt::Display, event: &str) -> Line {
        let id = shielded(&id.to_string(), b" \"<>=\\:");
        Line(format!("{id}: event={event}"))
    }

    /// Adds a number.
    pub fn number(mut self, key: &str, value: u64) -> Line {
        // Writing to a String cannot fail.
        let _ = write!(self.0, " {key}={value}");
        self
    }

    /// Adds a word; what could end the word is escaped.
    pub fn word(mut self, key: &str, value: &str) -> Line {
        let _ = write!(self.0, " {key}={}", shielded(value, b" \"<>=\\"));
        self
    }

    /// Adds an address.
    pub fn address(mut self, key: &str, value: &str) -> Line {
        let _ = write!(self.0, " {key}=<{}>", shielded(value, b" \"<>\\"));
        self
    }

    /// Adds free text.
    pub fn text(mut self, key: &str, value: &str) -> Line {
        let _ = write!(self.0, " {key}=\"{}\"", shielded(value, b"\"\\"));
        self
    }

    /// The line without stamp and tag.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn shielded(value: &str, special: &[u8]) -> String {
    let mut text = String::new();
    for character in printable(value.as_bytes()).chars() {
        match u8::try_from(character) {
            // Of printable's own escapes only the backslash would be escaped again.
            Ok(b'\\') => text.push('\\'),
            Ok(octet) if special.contains(&octet) => {
                let _ = write!(text, "\\x{octet:02x}");
            }
            _ => text.push(character),
        }
    }
    text
}

/// Where lines go. A log that cannot be written never changes the outcome of a job.
pub struct Log {
    socket: Option<PathBuf>,
    file: Option<PathBuf>,
}

impl Log {
    /// The socket that syslog daemons listen on.
    pub const SYSLOG: &'static str = "/dev/log";

    /// Logs to the syslog socket, to a file, to both or to neither.
    pub fn new(socket: Option<PathBuf>, file: Option<PathBuf>) -> Log {
        Log { socket, file }
    }

    /// Makes the file for a group where there is none, which nobody but root can do for all.
    pub fn prepare(&self, group: u32) {
        if let Some(Ok(Some(file))) = self.file.as_deref().map(make_for_group) {
            let _ = fchown(&file, None, Some(group));
            let _ = file.set_permissions(Permissions::from_mode(0o660));
        }
    }

    /// Writes one line; facility mail.
    pub fn write(&self, level: Level, line: &Line) {
        let stamp = LocalTime::at(clock::now());
        let tag = format!("sendmail365[{}]", std::process::id());
        if let Some(path) = &self.socket {
            const MAIL: u8 = 2 << 3;
            let priority = MAIL | level as u8;
            to_socket(
                path,
                &format!("<{priority}>{} {tag}: {}", stamp.syslog(), line.as_str()),
            );
        }
        if let Some(path) = &self.file {
            to_file(
                path,
                &format!("{} {tag}: {}\n", stamp.syslog(), line.as_str()),
            );
        }
    }
}

/// The log of one job: every line begins with its id and the uid that the caller cannot choose.
pub struct Journal<'a> {
    log: &'a Log,
    id: String,
    uid: u32,
    user: String,
    /// The way the job came in, if not by the caller's own process.
    via: Option<&'static str>,
}

impl<'a> Journal<'a> {
    /// The journal of the job `id`, started by `uid`, known as `user`.
    pub fn new(log: &'a Log, id: impl std::fmt::Display, uid: u32, user: &str) -> Journal<'a> {
        Journal {
            log,
            id: id.to_string(),
            uid,
            user: user.to_owned(),
            via: None,
        }
    }

    /// The same for a job that another process handed in.
    pub fn by_way_of(self, via: &'static str) -> Journal<'a> {
        Journal {
            via: Some(via),
            ..self
        }
    }

    /// Begins the line of an event.
    pub fn line(&self, event: &str) -> Line {
        let line = Line::new(&self.id, event)
            .number("uid", self.uid.into())
            .word("user", &self.user);
        match self.via {
            Some(via) => line.word("via", via),
            None => line,
        }
    }

    /// Writes a line.
    pub fn write(&self, level: Level, line: &Line) {
        self.log.write(level, line);
    }
}

/// A daemon that is stopped must not stop mail: a full socket drops the line.
fn to_socket(path: &Path, text: &str) {
    let Ok(socket) = UnixDatagram::unbound() else {
        return;
    };
    let _ = socket.set_nonblocking(true);
    let _ = socket.connect(path);
    let _ = socket.send(text.as_bytes());
}

/// One write with O_APPEND, so that lines of several processes do not mix.
///
/// With rights that its caller does not have a process makes no file: it would be the caller's, to
/// read and to change.
fn to_file(path: &Path, text: &str) {
    let mut options = OpenOptions::new();
    options.append(true);
    options.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC);
    let open = || privilege::raised(|| options.open(path));
    let file = match open() {
        Err(error) if error.kind() == ErrorKind::NotFound && !privilege::gained() => {
            make_for_group(path).map(drop).and_then(|()| open())
        }
        opened => opened,
    };
    if let Ok(mut file) = file {
        let _ = file.write_all(text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_cannot_forge_a_key_or_a_line() {
        let line = Line::new("id:\n", "sent")
            .word("user", "joe event=failed")
            .address("from", "a> uid=0 <b")
            .text("reason", "x\" uid=0 y=\"\r\nid: event=sent");
        assert_eq!(
            line.as_str(),
            "id\\x3a\\x0a: event=sent user=joe\\x20event\\x3dfailed from=<a\\x3e\\x20uid=0\\x20\\x3cb> \
             reason=\"x\\x22 uid=0 y=\\x22\\x0d\\x0aid: event=sent\""
        );
    }

    #[test]
    fn a_line_reaches_the_socket_with_facility_mail() {
        let dir = std::env::temp_dir().join(format!("sendmail365-log-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join("log");
        let _ = std::fs::remove_file(&path);
        let server = UnixDatagram::bind(&path).unwrap();
        Log::new(Some(path.clone()), None).write(Level::Info, &Line::new("id", "sent"));
        let mut buffer = [0; 200];
        let size = server.recv(&mut buffer).unwrap();
        let text = String::from_utf8_lossy(&buffer[..size]).into_owned();
        assert!(text.starts_with("<22>"), "{text}");
        assert!(text.ends_with("]: id: event=sent"), "{text}");
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn no_socket_is_no_error() {
        let log = Log::new(Some(PathBuf::from("/nonexistent/log")), None);
        log.write(Level::Info, &Line::new("id", "sent"));
    }
}
