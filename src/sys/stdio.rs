//! The three standard descriptors as a caller may have left them: closed, full, unread, a file.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::AsFd;

/// Writes a line to stderr; a reader that is gone changes nothing.
pub fn complain(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Writes text to stdout; a reader that is gone changes nothing.
pub fn say(text: &str) {
    let mut stdout = io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes());
    let _ = stdout.flush();
}

/// Tells whether stdin is a regular file, which has an end of its own.
pub fn stdin_is_regular_file() -> bool {
    let copy = io::stdin().as_fd().try_clone_to_owned();
    let metadata = copy.and_then(|descriptor| File::from(descriptor).metadata());
    metadata.is_ok_and(|metadata| metadata.is_file())
}

/// Reads stdin to its end, so that a writer does not die of SIGPIPE before it can see our status.
///
/// A person at a terminal is not made to type a message that is refused already.
pub fn drain_stdin() {
    let mut stdin = io::stdin().lock();
    if !io::stdin().is_terminal() {
        let _ = io::copy(&mut stdin, &mut io::sink());
    }
}

/// Reads at most `size_max` octets of text from stdin; more is an error.
pub fn read_stdin(size_max: u64) -> io::Result<String> {
    let mut text = String::new();
    io::stdin()
        .lock()
        .take(size_max + 1)
        .read_to_string(&mut text)?;
    match text.len() as u64 > size_max {
        true => Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("larger than {size_max} octets"),
        )),
        false => Ok(text),
    }
}
