//! What the process inherits from a caller who is not trusted, put in order before anything else.

use crate::outcome::{Class, Failure};

/// Makes the inherited surroundings harmless.
///
/// No core and no tracing that would show a token; files that are created are the owner's alone;
/// a signal for a file size limit becomes an error that can be reported; no timer that was set
/// before the exec ends the process half-way; not one variable is left, so that no library below
/// asks the caller's environment for proxies, roots or directories.
#[expect(unsafe_code, reason = "libc calls")]
pub fn settle() -> Result<(), Failure> {
    let none = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: plain system calls; `none` is valid for the call.
    let failed = unsafe {
        libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) != 0
            || libc::setrlimit(libc::RLIMIT_CORE, &none) != 0
            || libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
    };
    // SAFETY: an all-zero itimerval is a valid value of the plain C struct: a timer that is off.
    let off: libc::itimerval = unsafe { std::mem::zeroed() };
    // SAFETY: none of the calls can fail or has a precondition; SIG_IGN is a valid disposition, and
    // the pointers are valid for the calls or null.
    unsafe {
        libc::umask(0o077);
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
        for timer in [libc::ITIMER_REAL, libc::ITIMER_VIRTUAL, libc::ITIMER_PROF] {
            libc::setitimer(timer, &off, std::ptr::null_mut());
        }
    }
    // SAFETY: called at the start of main, before any other thread exists.
    let failed = failed || unsafe { libc::clearenv() != 0 };
    if failed {
        return Err(Failure::new(Class::OsError, "cannot secure the process")
            .because(std::io::Error::last_os_error()));
    }
    Ok(())
}

/// Gives up every id but the caller's own, for good: what follows is opened with his rights.
#[expect(unsafe_code, reason = "libc calls")]
pub fn drop_for_good() -> Result<(), Failure> {
    // SAFETY: plain system calls without pointers.
    let failed = unsafe {
        let (uid, gid) = (libc::getuid(), libc::getgid());
        libc::setresgid(gid, gid, gid) != 0 || libc::setresuid(uid, uid, uid) != 0
    };
    if failed {
        return Err(Failure::new(Class::OsError, "cannot give up privilege")
            .because(std::io::Error::last_os_error()));
    }
    Ok(())
}
