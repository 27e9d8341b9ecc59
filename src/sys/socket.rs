//! Sockets of this host: who is at the other end, and a connection that is not waited for without end.
#![expect(clippy::disallowed_methods, reason = "edge: asks for the interfaces")]

use std::io;
use std::mem;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// Who opened a connection, as the kernel knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    pub uid: u32,
    pub pid: u32,
}

/// Who is at the other end of standard input; an error if that is no socket of this host.
#[expect(unsafe_code, reason = "libc call")]
pub fn peer_of_stdin() -> io::Result<Peer> {
    let mut found = libc::ucred {
        pid: 0,
        uid: u32::MAX,
        gid: u32::MAX,
    };
    let mut size = mem::size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: both pointers are valid for the call, and the size is that of the struct.
    let answer = unsafe {
        libc::getsockopt(
            0,
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut found).cast(),
            &mut size,
        )
    };
    match (answer, found.uid) {
        (0, u32::MAX) => Err(io::Error::other("nobody is at its other end")),
        (0, uid) => Ok(Peer {
            uid,
            pid: u32::try_from(found.pid).unwrap_or(0),
        }),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Whether this process sees no network but its own loopback, as a service with PrivateNetwork does.
pub fn has_loopback_only() -> bool {
    let interfaces = std::fs::read_to_string("/proc/net/dev").unwrap_or_default();
    let names = interfaces.lines().filter_map(|line| line.split_once(':'));
    let mut others = names.filter(|(name, _)| name.trim() != "lo");
    !interfaces.is_empty() && others.next().is_none()
}

/// Standard input as the connection it is.
pub fn stdin() -> io::Result<UnixStream> {
    use std::os::fd::AsFd;
    Ok(UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?))
}

/// Connects to a socket; `WouldBlock` if nobody takes the connection in time.
#[expect(unsafe_code, reason = "libc calls")]
pub fn connect(path: &Path, patience: Duration) -> io::Result<UnixStream> {
    // SAFETY: an all-zero sockaddr_un is a valid value of the plain C struct.
    let mut address: libc::sockaddr_un = unsafe { mem::zeroed() };
    address.sun_family = libc::AF_UNIX as libc::sa_family_t;
    let name = path.as_os_str().as_bytes();
    if name.len() >= address.sun_path.len() || name.contains(&0) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    for (to, from) in address.sun_path.iter_mut().zip(name) {
        *to = *from as libc::c_char;
    }
    // SAFETY: a plain system call.
    let descriptor =
        unsafe { libc::socket(libc::AF_UNIX, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0) };
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor was just made, and is nobody else's.
    let stream = UnixStream::from(unsafe { OwnedFd::from_raw_fd(descriptor) });
    stream.set_write_timeout(Some(patience))?;
    let size = mem::size_of::<libc::sockaddr_un>() as libc::socklen_t;
    // SAFETY: the address is valid for the call, and ends in NUL before its size.
    let answer = unsafe { libc::connect(stream.as_raw_fd(), (&raw const address).cast(), size) };
    match answer {
        0 => Ok(stream),
        _ => Err(io::Error::last_os_error()),
    }
}
