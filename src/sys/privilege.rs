//! What the process inherits from a caller who is not trusted, put in order before anything else.

use super::signal;
use crate::outcome::{Class, Failure};

/// Makes the inherited surroundings harmless.
///
/// No core and no tracing that would show a token; files that are created are the owner's alone;
/// a signal for a file size limit becomes an error that can be reported, and no timer or signal that
/// the caller left behind ends the process on its way; not one variable is left, so that no library
/// below asks the caller's environment for proxies, roots or directories.
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
    // SAFETY: the call neither fails nor has a precondition.
    unsafe { libc::umask(0o077) };
    signal::settle();
    // SAFETY: called at the start of main, before any other thread exists.
    let failed = failed || unsafe { libc::clearenv() != 0 };
    if failed {
        return Err(Failure::new(Class::OsError, "cannot secure the process")
            .because(std::io::Error::last_os_error()));
    }
    Ok(())
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

/// Whether the process has a group or a user that its caller does not have.
#[expect(unsafe_code, reason = "libc calls")]
pub fn gained() -> bool {
    // SAFETY: the calls neither fail nor have a precondition.
    unsafe { libc::getuid() != libc::geteuid() || libc::getgid() != libc::getegid() }
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

#[cfg(test)]
mod tests {
    use super::super::signal::tests::alone;
    use super::*;

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
