//! `login --import`: a refresh token from elsewhere, kept only once a refresh has proved it.

use super::Desk;
use crate::oauth::SignedIn;
use crate::outcome::{Class, Failure};
use crate::sys::file::read_regular;
use crate::sys::privilege::raised;
use crate::sys::secret::Secret;
use crate::sys::{clock, stdio};
use std::io;
use std::path::Path;

/// Largest token file; a refresh token has about 2 KiB.
const TOKEN_SIZE_MAX: u64 = 64 * 1024;

/// Takes the token in `from`; `-` is standard input.
pub(super) fn sign_in(desk: &Desk<'_>, from: &Path) -> Result<SignedIn, Failure> {
    let text = raised(|| read(from)).map_err(|error| {
        Failure::new(
            Class::Io,
            format!("cannot read the token in {}", from.display()),
        )
        .because(&error)
        .fix("name a file that holds the refresh token, or - for standard input")
        .with_os_error(&error)
    })?;
    desk.sign_in
        .import(text.expose(), desk.journal, clock::now())
}

fn read(from: &Path) -> io::Result<Secret> {
    if from == Path::new("-") {
        return stdio::read_stdin(TOKEN_SIZE_MAX).map(Secret::new);
    }
    let (octets, _) = read_regular(from, TOKEN_SIZE_MAX)?;
    let text = String::from_utf8(octets);
    text.map(Secret::new)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "not UTF-8"))
}
