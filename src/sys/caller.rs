//! Who called: the ids that a caller cannot choose, and what the password database says of them.
#![expect(
    clippy::disallowed_methods,
    reason = "edge: the one hint taken from the environment"
)]

use std::ffi::{CStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// The one who started the program.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Real user id.
    pub uid: u32,
    /// The process that asks, which may be another than this.
    pub pid: u32,
    /// Login name, `uid1234` where the database has no entry.
    pub login: String,
    /// The name for a generated From: `NAME`, else the database's full name; any octets.
    pub full_name: Vec<u8>,
}

/// The account that runs the queue of an installed system.
pub const ACCOUNT: &str = "sendmail365";

/// The ids that an account works with.
#[derive(Debug, Clone, Copy)]
pub struct Account {
    pub uid: u32,
    pub gid: u32,
}

impl Account {
    /// The account that runs the queue: root where it has none of its own.
    #[expect(unsafe_code, reason = "libc call")]
    pub fn of_queue() -> Account {
        const NAME: &CStr = c"sendmail365";
        let entry = look_up(|entry, buffer, found| {
            // SAFETY: the name ends in NUL; the other pointers are valid for the call, and the size
            // is that of the buffer.
            unsafe {
                libc::getpwnam_r(
                    NAME.as_ptr(),
                    entry,
                    buffer.as_mut_ptr(),
                    buffer.len(),
                    found,
                )
            }
        });
        entry.map_or(Account { uid: 0, gid: 0 }, |entry| entry.account)
    }
}

/// Longest display name taken from outside, in octets.
pub const NAME_MAX: usize = 256;

/// The one thing that a variable may say, for a From field that is made here.
#[derive(Debug)]
pub struct Hint(Vec<u8>);

/// Copies the hint, before the environment is cleared.
pub fn name_hint() -> Option<Hint> {
    let name = std::env::var_os("NAME").map(OsString::into_vec);
    name.filter(|name| usable(name)).map(Hint)
}

impl Caller {
    /// Reads the caller's identity.
    pub fn read(hint: Option<Hint>) -> Caller {
        Caller::of(real_uid(), hint)
    }

    /// A user as the password database knows him.
    pub fn of(uid: u32, hint: Option<Hint>) -> Caller {
        let entry = password_entry(uid);
        let hint = hint.map(|Hint(name)| name);
        let login = match &entry {
            Some(entry) => String::from_utf8_lossy(&entry.login).into_owned(),
            None => format!("uid{uid}"),
        };
        let listed = entry
            .as_ref()
            .map(|entry| full_name(&entry.gecos, &entry.login));
        Caller {
            uid,
            pid: std::process::id(),
            login,
            full_name: hint.or(listed).unwrap_or_default(),
        }
    }

    /// The login name of a log line: `uid:N` where there is no entry.
    pub fn log_name(&self) -> String {
        match self.login == format!("uid{}", self.uid) {
            true => format!("uid:{}", self.uid),
            false => self.login.clone(),
        }
    }
}

fn usable(name: &[u8]) -> bool {
    !name.is_empty() && name.len() <= NAME_MAX && !name.iter().any(u8::is_ascii_control)
}

/// The full name of a GECOS field: up to the comma, `&` for the login with a capital.
fn full_name(gecos: &[u8], login: &[u8]) -> Vec<u8> {
    let mut name = Vec::new();
    for &octet in gecos.iter().take_while(|&&octet| octet != b',') {
        match octet {
            b'&' => {
                name.extend(login.first().map(u8::to_ascii_uppercase));
                name.extend(login.iter().skip(1));
            }
            _ => name.push(octet),
        }
    }
    name.truncate(NAME_MAX);
    name
}

struct Entry {
    account: Account,
    login: Vec<u8>,
    gecos: Vec<u8>,
}

#[expect(unsafe_code, reason = "libc call")]
fn real_uid() -> u32 {
    // SAFETY: getuid always succeeds.
    unsafe { libc::getuid() }
}

#[expect(unsafe_code, reason = "libc call")]
fn password_entry(uid: u32) -> Option<Entry> {
    look_up(|entry, buffer, found| {
        // SAFETY: all pointers are valid for the call and the size is that of the buffer.
        unsafe { libc::getpwuid_r(uid, entry, buffer.as_mut_ptr(), buffer.len(), found) }
    })
}

/// What one of the calls that look into the password database finds.
#[expect(unsafe_code, reason = "C strings")]
fn look_up(
    call: impl FnOnce(&mut libc::passwd, &mut [libc::c_char], &mut *mut libc::passwd) -> libc::c_int,
) -> Option<Entry> {
    let mut buffer = vec![0; 16 * 1024];
    // SAFETY: an all-zero passwd is a valid value of the plain C struct.
    let mut entry: libc::passwd = unsafe { std::mem::zeroed() };
    let mut found = std::ptr::null_mut();
    let status = call(&mut entry, &mut buffer, &mut found);
    if status != 0 || found.is_null() {
        return None;
    }
    let copy = |text: *const libc::c_char| match text.is_null() {
        true => Vec::new(),
        // SAFETY: the call made it a C string inside `buffer`, which is still alive.
        false => unsafe { CStr::from_ptr(text) }.to_bytes().to_vec(),
    };
    Some(Entry {
        account: Account {
            uid: entry.pw_uid,
            gid: entry.pw_gid,
        },
        login: copy(entry.pw_name),
        gecos: copy(entry.pw_gecos),
    })
}

/// The host's name as the kernel has it, made a full name by /etc/hosts where that knows more.
pub fn host_name() -> String {
    let short = kernel_host_name();
    if short.contains('.') {
        return short;
    }
    let hosts = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
    let prefix = format!("{short}.");
    hosts
        .lines()
        .flat_map(|line| {
            line.split('#')
                .next()
                .unwrap_or_default()
                .split_whitespace()
                .skip(1)
        })
        .find(|name| name.len() > prefix.len() && name.starts_with(&prefix))
        .map_or(short, str::to_owned)
}

#[expect(unsafe_code, reason = "libc call")]
fn kernel_host_name() -> String {
    let mut buffer = [0_u8; 256];
    // SAFETY: the pointer is valid and the size leaves room for the final NUL.
    let status = unsafe { libc::gethostname(buffer.as_mut_ptr().cast(), buffer.len() - 1) };
    let name = buffer.split(|&octet| octet == 0).next().unwrap_or_default();
    match status == 0 && !name.is_empty() {
        true => std::ffi::OsStr::from_bytes(name)
            .to_string_lossy()
            .into_owned(),
        false => "localhost".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ampersand_is_the_login_and_the_room_number_is_not_a_name() {
        assert_eq!(full_name(b"& Daemon,room 5,,", b"cron"), b"Cron Daemon");
    }

    #[test]
    fn the_hint_with_a_line_break_is_refused() {
        assert!(!usable(b"x\nBcc: v@y.test"));
        assert!(usable("Jörg".as_bytes()));
    }

    #[test]
    fn the_caller_of_the_tests_has_a_name() {
        assert!(!Caller::read(None).login.is_empty());
    }
}
