//! The life of a process that is installed setgid, from its first act.
//!
//! ```text
//! settle   the group lowered, the inherited surroundings made harmless
//! strip    no variable, no descriptor but the standard three
//! raised   the group back, for the files of one closure
//! drop_for_good, become_for_good    what follows has the caller's rights, or those of the account
//! ```
//!
//! The group is *lowered*, not given up: the kernel keeps it as the saved one. It is raised for the
//! file system only and for the calling thread only, so that a resolver's thread never has it. What is
//! kept is asked of the kernel each time; nothing in memory says who this process is.

mod lack;

use super::caller::Account;
use super::{signal, stdio};
use crate::outcome::{Class, Failure};
pub use lack::Lack;
use std::io;

/// How the process was started, as far as it cannot be seen any more afterwards.
#[derive(Debug, Clone, Copy)]
pub struct Start {
    no_new_privs: bool,
}

/// Lowers the group, and makes the inherited surroundings harmless.
///
/// No core and no tracing that would show a token; files that are created are the owner's alone;
/// a signal for a file size limit becomes an error that can be reported, and no timer or signal that
/// the caller left behind ends the process on its way.
#[expect(unsafe_code, reason = "libc calls")]
pub fn settle() -> Result<Start, Failure> {
    lower()?;
    let none = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: a plain system call.
    let no_new_privs = unsafe { libc::prctl(libc::PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 };
    // SAFETY: plain system calls; `none` is valid for the call.
    let failed = unsafe {
        libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) != 0
            || libc::setrlimit(libc::RLIMIT_CORE, &none) != 0
            || libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
    };
    if failed {
        return Err(insecure());
    }
    signal::settle();
    stdio::end_closed_stdin();
    // SAFETY: the call neither fails nor has a precondition.
    unsafe { libc::umask(0o077) };
    Ok(Start { no_new_privs })
}

/// Takes away every variable and every descriptor but the standard three.
///
/// No library below can then ask the caller's environment for proxies, roots or directories, and
/// nothing of ours is ever mixed up with a file that the caller left open.
#[expect(unsafe_code, reason = "libc calls")]
pub fn strip(start: Start) -> Result<Start, Failure> {
    // SAFETY: called at the start of main, before any other thread exists.
    if unsafe { libc::clearenv() } != 0 {
        return Err(insecure());
    }
    // SAFETY: a plain system call; at the start of main nothing in this process has opened a file.
    let closed = unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0) };
    if closed != 0 {
        close_one_by_one();
    }
    Ok(start)
}

/// Kernels before 5.9 cannot close a range.
#[expect(unsafe_code, reason = "libc calls")]
fn close_one_by_one() {
    const MOST: libc::rlim_t = 1 << 20;
    let mut limit = libc::rlimit {
        rlim_cur: 1024,
        rlim_max: 1024,
    };
    // SAFETY: `limit` is valid for the call. A limit that was lowered after a file was opened does not
    // close it, hence the hard one.
    unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) };
    for descriptor in 3..limit.rlim_max.min(MOST) {
        // SAFETY: as above; a number that is not open is an error and nothing else.
        unsafe { libc::close(descriptor as libc::c_int) };
    }
}

/// Does something with files as the group that the program is installed with; or, where root goes on
/// as the account but for files, as root.
///
/// Where there is nothing to raise it is done with the rights there are.
pub fn raised<T>(work: impl FnOnce() -> T) -> T {
    let _raised = Raised::begin();
    work()
}

/// As long as it lives files are opened with the rights that were kept; a panic ends it too.
struct Raised {
    /// What the file system goes back to.
    uid: Option<u32>,
    gid: Option<u32>,
}

impl Raised {
    #[expect(unsafe_code, reason = "libc calls")]
    fn begin() -> Raised {
        let (uid, gid) = (users(), groups());
        // SAFETY: plain system calls, which answer with the id before; one that is refused shows in
        // the error of the file that is opened.
        let (uid, gid) = unsafe {
            (
                uid.kept().map(|kept| libc::setfsuid(kept) as u32),
                gid.kept().map(|kept| libc::setfsgid(kept) as u32),
            )
        };
        if uid.or(gid).is_some() {
            hide();
        }
        Raised { uid, gid }
    }
}

impl Drop for Raised {
    #[expect(unsafe_code, reason = "libc calls")]
    fn drop(&mut self) {
        // SAFETY: plain system calls. An id that does not exist is refused and answered with the
        // present one.
        let lowered = unsafe {
            let back = |set: unsafe extern "C" fn(u32) -> libc::c_int, id: Option<u32>| {
                id.is_none_or(|id| {
                    set(id);
                    set(u32::MAX) as u32 == id
                })
            };
            back(libc::setfsgid, self.gid) && back(libc::setfsuid, self.uid)
        };
        if !lowered {
            // Cannot be; going on would open what the caller names with rights that he lacks.
            stdio::complain("sendmail365: cannot lower the privilege again");
            // SAFETY: ends the process.
            unsafe { libc::_exit(Class::OsError.code().into()) };
        }
        if self.uid.or(self.gid).is_some() {
            hide();
        }
    }
}

/// Whether the process keeps a group or a user that its caller does not have.
pub fn gained() -> bool {
    users().kept().is_some() || groups().kept().is_some()
}

/// Whether the program was started by somebody who has its group only as long as it runs: whatever he
/// can do to a process that has not, such as a child, he may do.
pub fn is_lent() -> bool {
    groups().kept().is_some()
}

/// Whether the process acts as root now; what it keeps does not count.
pub fn acts_as_root() -> bool {
    users().effective == 0
}

/// Gives up every id but the caller's own, for good: what follows is opened with his rights.
#[expect(unsafe_code, reason = "libc calls")]
pub fn drop_for_good() -> Result<(), Failure> {
    // SAFETY: plain system calls without pointers.
    let failed = unsafe {
        let (uid, gid) = (libc::getuid(), libc::getgid());
        libc::setresgid(gid, gid, gid) != 0 || libc::setresuid(uid, uid, uid) != 0
    };
    hide();
    match failed || gained() {
        true => Err(held()),
        false => Ok(()),
    }
}

/// Root goes on as the account, for good.
///
/// False where the kernel does not let this root do so, as in a container without that capability: it
/// has no more rights than it needs already.
pub fn become_for_good(account: Account) -> Result<bool, Failure> {
    go_on_as(account, account.uid)
}

/// Root goes on as the account, but is root again for what is done in [`raised`]: a sign-in makes
/// files that are root's.
pub fn become_but_for_files(account: Account) -> Result<bool, Failure> {
    go_on_as(account, 0)
}

#[expect(unsafe_code, reason = "libc calls")]
fn go_on_as(account: Account, kept: u32) -> Result<bool, Failure> {
    let Account { uid, gid } = account;
    // SAFETY: plain system calls; no group is read from the null pointer, since there are none.
    let failed = unsafe {
        libc::setgroups(0, std::ptr::null()) != 0
            || libc::setresgid(gid, gid, gid) != 0
            || libc::setresuid(uid, uid, kept) != 0
    };
    let error = io::Error::last_os_error();
    hide();
    match failed {
        false => Ok(true),
        true if matches!(error.raw_os_error(), Some(libc::EPERM | libc::EINVAL)) => Ok(false),
        true => Err(held()),
    }
}

/// Whether the caller's file size limit lets the process write at `offset`, and further.
#[expect(unsafe_code, reason = "libc call")]
pub fn may_write_to(offset: u64) -> bool {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` is valid for the call.
    let known = unsafe { libc::getrlimit(libc::RLIMIT_FSIZE, &mut limit) == 0 };
    !known || limit.rlim_cur >= offset
}

/// An error if the caller's file size limit would cut a write of so many octets short.
pub fn check_file_size(size: u64) -> io::Result<()> {
    match may_write_to(size) {
        true => Ok(()),
        false => Err(io::Error::from_raw_os_error(libc::EFBIG)),
    }
}

/// The group is lowered and kept. The program is never installed setuid; if somebody has made it so,
/// that user is given up.
#[expect(unsafe_code, reason = "libc calls")]
fn lower() -> Result<(), Failure> {
    let (user, group) = (users(), groups());
    // SAFETY: plain system calls without pointers.
    let failed = unsafe {
        group.effective != group.real && libc::setegid(group.real) != 0
            || user.effective != user.real && libc::setresuid(user.real, user.real, user.real) != 0
    };
    match failed {
        true => Err(held()),
        false => Ok(()),
    }
}

/// Who the process is to the kernel.
struct Ids {
    real: u32,
    effective: u32,
    saved: u32,
}

impl Ids {
    /// What is kept and not in force.
    fn kept(&self) -> Option<u32> {
        Some(self.saved).filter(|&saved| saved != self.effective)
    }
}

#[expect(unsafe_code, reason = "libc call")]
fn users() -> Ids {
    let (mut real, mut effective, mut saved) = (0, 0, 0);
    // SAFETY: all three are valid for the call, which cannot fail then.
    unsafe { libc::getresuid(&mut real, &mut effective, &mut saved) };
    Ids {
        real,
        effective,
        saved,
    }
}

#[expect(unsafe_code, reason = "libc call")]
fn groups() -> Ids {
    let (mut real, mut effective, mut saved) = (0, 0, 0);
    // SAFETY: all three are valid for the call, which cannot fail then.
    unsafe { libc::getresgid(&mut real, &mut effective, &mut saved) };
    Ids {
        real,
        effective,
        saved,
    }
}

/// The kernel makes a process that changes its ids as open as fs.suid_dumpable says, which an
/// administrator may have set for another program's sake.
#[expect(unsafe_code, reason = "libc call")]
fn hide() {
    // SAFETY: a plain system call, which cannot fail with these numbers.
    unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) };
}

fn insecure() -> Failure {
    Failure::new(Class::OsError, "cannot secure the process").because(io::Error::last_os_error())
}

fn held() -> Failure {
    Failure::new(Class::OsError, "cannot give up privilege").because(io::Error::last_os_error())
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests")]
mod tests {
    use super::super::signal::tests::alone;
    use super::*;
    use std::os::unix::fs::MetadataExt;

    /// What a hostile caller leaves behind: P16 and P17 of the fault matrix.
    #[expect(unsafe_code, reason = "libc calls")]
    fn leave_behind() {
        // SAFETY: plain C structs, zeroed and then filled; every pointer is valid for its call.
        unsafe {
            let mut all: libc::sigset_t = std::mem::zeroed();
            libc::sigfillset(&mut all);
            libc::pthread_sigmask(libc::SIG_SETMASK, &all, std::ptr::null_mut());
            for signal in [libc::SIGCHLD, libc::SIGUSR2, libc::SIGHUP] {
                libc::signal(signal, libc::SIG_IGN);
            }
            // Blocked, hence pending; each would kill as soon as it is let through.
            for signal in [
                libc::SIGALRM,
                libc::SIGUSR1,
                libc::SIGVTALRM,
                libc::SIGRTMIN(),
            ] {
                libc::raise(signal);
            }
            let mut timer: libc::itimerval = std::mem::zeroed();
            timer.it_value.tv_sec = 3600;
            for which in [libc::ITIMER_REAL, libc::ITIMER_VIRTUAL, libc::ITIMER_PROF] {
                assert_eq!(libc::setitimer(which, &timer, std::ptr::null_mut()), 0);
            }
        }
    }

    #[expect(unsafe_code, reason = "libc calls")]
    fn nothing_is_left() {
        // SAFETY: as above.
        unsafe {
            for which in [libc::ITIMER_REAL, libc::ITIMER_VIRTUAL, libc::ITIMER_PROF] {
                let mut timer: libc::itimerval = std::mem::zeroed();
                assert_eq!(libc::getitimer(which, &mut timer), 0);
                assert_eq!((timer.it_value.tv_sec, timer.it_value.tv_usec), (0, 0));
            }
            let mut mask: libc::sigset_t = std::mem::zeroed();
            libc::pthread_sigmask(libc::SIG_SETMASK, std::ptr::null(), &mut mask);
            for signal in 1..=libc::SIGRTMAX() {
                assert_ne!(libc::sigismember(&mask, signal), 1, "{signal} is blocked");
            }
            for (signal, expected) in [
                (libc::SIGCHLD, libc::SIG_DFL),
                (libc::SIGUSR2, libc::SIG_DFL),
                (libc::SIGALRM, libc::SIG_DFL),
                (libc::SIGHUP, libc::SIG_IGN),
                (libc::SIGPIPE, libc::SIG_IGN),
                (libc::SIGXFSZ, libc::SIG_IGN),
            ] {
                let mut action: libc::sigaction = std::mem::zeroed();
                libc::sigaction(signal, std::ptr::null(), &mut action);
                assert_eq!(action.sa_sigaction, expected, "{signal}");
            }
        }
    }

    /// As the kernel tells it of the calling thread: real, effective, saved, of the file system.
    fn told(key: &str) -> Vec<u32> {
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(key));
        let numbers = line.unwrap().split_whitespace();
        numbers.map(|number| number.parse().unwrap()).collect()
    }

    /// A process of user 54321 with a group that he does not have.
    #[expect(unsafe_code, reason = "libc calls")]
    fn installed_setgid() {
        // SAFETY: plain system calls.
        unsafe {
            assert_eq!(libc::setgroups(0, std::ptr::null()), 0);
            assert_eq!(libc::setresgid(54321, 54322, 54322), 0);
            assert_eq!(libc::setresuid(54321, 54321, 54321), 0);
        }
    }

    #[expect(unsafe_code, reason = "libc call")]
    fn dumpable() -> bool {
        // SAFETY: a plain system call.
        unsafe { libc::prctl(libc::PR_GET_DUMPABLE, 0, 0, 0, 0) != 0 }
    }

    fn as_root(test: &str, body: fn()) {
        if users().real != 0 {
            return crate::sys::quiet::skipped("root");
        }
        let ended = alone(test, body);
        assert!(ended.is_none_or(|status| status.success()));
    }

    #[test]
    fn the_group_is_raised_for_one_closure_one_thread_and_files_only() {
        as_root(
            "sys::privilege::tests::the_group_is_raised_for_one_closure_one_thread_and_files_only",
            || {
                installed_setgid();
                let (ask, asked) = std::sync::mpsc::channel::<()>();
                let (tell, answer) = std::sync::mpsc::channel();
                std::thread::spawn(move || {
                    for () in asked {
                        tell.send(told("Gid:")).unwrap();
                    }
                });
                let of_other = || {
                    ask.send(()).unwrap();
                    answer.recv().unwrap()
                };
                let (low, high) = (
                    vec![54321, 54321, 54322, 54321],
                    [54321, 54321, 54322, 54322],
                );
                lower().unwrap();
                assert!(gained());
                assert_eq!(told("Gid:"), low);
                raised(|| {
                    assert_eq!(told("Gid:"), high);
                    raised(|| ());
                    assert_eq!(told("Gid:"), high);
                    assert_eq!(of_other(), low);
                    assert!(!dumpable());
                });
                assert_eq!(told("Gid:"), low);
                assert!(!dumpable());
                let ended = std::panic::catch_unwind(|| raised(|| panic!("in the middle")));
                assert!(ended.is_err());
                assert_eq!(told("Gid:"), low);
                drop_for_good().unwrap();
                assert!(!gained());
                raised(|| assert_eq!(told("Gid:"), [54321; 4]));
            },
        );
    }

    #[test]
    fn root_that_signs_in_is_root_for_files_only() {
        as_root(
            "sys::privilege::tests::root_that_signs_in_is_root_for_files_only",
            || {
                let account = Account {
                    uid: 54321,
                    gid: 54322,
                };
                assert!(become_but_for_files(account).unwrap());
                assert_eq!(told("Uid:"), [54321, 54321, 0, 54321]);
                assert_eq!(told("CapEff:"), [0]);
                let path =
                    std::env::temp_dir().join(format!("sendmail365-root-{}", std::process::id()));
                raised(|| {
                    std::fs::write(&path, "").unwrap();
                    std::os::unix::fs::chown(&path, None, Some(4242)).unwrap();
                    let facts = std::fs::metadata(&path).unwrap();
                    assert_eq!((facts.uid(), facts.gid()), (0, 4242));
                    std::fs::remove_file(&path).unwrap();
                });
                assert_eq!(told("Uid:"), [54321, 54321, 0, 54321]);
                assert!(!dumpable());
                assert!(std::fs::read("/etc/shadow").is_err());
                assert!(become_for_good(account).is_ok_and(|became| !became));
            },
        );
    }

    #[test]
    fn nothing_comes_back_after_it_was_given_up_for_good() {
        as_root(
            "sys::privilege::tests::nothing_comes_back_after_it_was_given_up_for_good",
            || {
                let account = Account {
                    uid: 54321,
                    gid: 54322,
                };
                assert!(become_for_good(account).unwrap());
                assert_eq!(told("Uid:"), [54321; 4]);
                assert_eq!(told("Gid:"), [54322; 4]);
                assert_eq!(told("Groups:"), [0; 0]);
                assert!(!gained());
                raised(|| assert_eq!(told("Uid:"), [54321; 4]));
            },
        );
    }

    #[test]
    fn timers_and_signals_that_a_caller_left_behind_are_gone() {
        let ended = alone(
            "sys::privilege::tests::timers_and_signals_that_a_caller_left_behind_are_gone",
            || {
                leave_behind();
                settle().unwrap();
                nothing_is_left();
            },
        );
        assert!(ended.is_none_or(|status| status.success()));
    }
}
