//! Signals that ask the process to end, and those that a caller left behind.
//!
//! Until the message is read whole, TERM, HUP and INT end the process by that signal: nothing is kept,
//! and the caller knows. From then on the message is ours, and a shutdown of the host must not lose
//! it. The handlers only note the signal. A read from a socket with a time limit returns at once
//! (signal(7)); whoever waits asks what came, and waits in slices, because a signal may also come
//! right before the wait.
//!
//! The two numbers below are the only static state of the program: a handler takes no parameter but
//! the signal, may run between any two instructions, and can touch nothing but atomics.

use std::sync::atomic::{AtomicI32, Ordering};

/// The first signal that asked for the end; 0 if none did.
static TAKEN: AtomicI32 = AtomicI32::new(0);

/// Whether the process was stopped and continued.
static STOPPED: AtomicI32 = AtomicI32::new(0);

/// Ctrl-C.
pub const INTERRUPT: i32 = libc::SIGINT;

/// Signals that ask the process to end.
const ENDS: [libc::c_int; 3] = [libc::SIGTERM, libc::SIGHUP, libc::SIGINT];

/// The handlers, in place.
#[derive(Debug, Clone, Copy)]
pub struct Signals(());

impl Signals {
    /// Puts the handlers in place.
    ///
    /// A signal that the caller has ignored, as nohup does, stays ignored.
    pub fn arm() -> Signals {
        for signal in ENDS {
            if disposition(signal) != libc::SIG_IGN {
                handle(signal, end);
            }
        }
        handle(libc::SIGCONT, continued);
        Signals(())
    }

    /// The first signal that asked the process to end.
    pub fn taken(self) -> Option<i32> {
        Some(TAKEN.load(Ordering::SeqCst)).filter(|&signal| signal != 0)
    }

    /// Whether the process stood still for a while: what took long may then be its own delay.
    pub fn stopped(self) -> bool {
        STOPPED.load(Ordering::SeqCst) != 0
    }

    /// Notes that the process stood still without a signal, as the freezer of a control group does it.
    pub fn note_standstill(self) {
        STOPPED.store(1, Ordering::SeqCst);
    }

    /// Lets signals kill again, where there is nothing of ours to lose any more.
    pub fn disarm(self) {
        for signal in ENDS {
            if disposition(signal) != libc::SIG_IGN {
                set(signal, libc::SIG_DFL);
            }
        }
    }
}

/// Whether a signal asked for the end, in whoever's hands the handlers are.
pub(super) fn asked_for_the_end() -> bool {
    TAKEN.load(Ordering::SeqCst) != 0
}

/// Ends the process by a signal, as if it had never been handled; comes back only if it cannot.
pub fn die_by(signal: i32) {
    set(signal, libc::SIG_DFL);
    unblock_all();
    raise(signal);
}

/// Undoes what a caller left behind: timers that would kill, signals blocked, ignored or pending.
///
/// Timers and pending signals survive exec. TERM, HUP and INT stay ignored if they are; PIPE and XFSZ
/// become errors of the calls that met them.
pub(super) fn settle() {
    stop_timers();
    let others = (1..=libc::SIGRTMAX()).filter(|signal| {
        let kept = [libc::SIGPIPE, libc::SIGXFSZ];
        !ENDS.contains(signal) && !kept.contains(signal)
    });
    for signal in others {
        // A handler this early is the standard library's own, for stack overflows.
        if [libc::SIG_DFL, libc::SIG_IGN].contains(&disposition(signal)) {
            // Ignoring also drops one that is pending and would kill when it is let through.
            set(signal, libc::SIG_IGN);
            set(signal, libc::SIG_DFL);
        }
    }
    set(libc::SIGXFSZ, libc::SIG_IGN);
    unblock_all();
}

extern "C" fn end(signal: libc::c_int) {
    let _ = TAKEN.compare_exchange(0, signal, Ordering::SeqCst, Ordering::SeqCst);
}

extern "C" fn continued(_: libc::c_int) {
    STOPPED.store(1, Ordering::SeqCst);
}

/// What happens on a signal; an error for the numbers that the C library keeps for itself.
#[expect(unsafe_code, reason = "libc calls")]
fn disposition(signal: libc::c_int) -> libc::sighandler_t {
    // SAFETY: an all-zero sigaction is a valid value of the plain C struct, and valid for the call.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        match libc::sigaction(signal, std::ptr::null(), &mut action) {
            0 => action.sa_sigaction,
            _ => libc::SIG_ERR,
        }
    }
}

#[expect(unsafe_code, reason = "libc call")]
fn set(signal: libc::c_int, action: libc::sighandler_t) {
    // SAFETY: only SIG_DFL and SIG_IGN are passed, which are valid for every signal; KILL and STOP
    // are refused with an error.
    unsafe { libc::signal(signal, action) };
}

/// Calls that were interrupted go on, so that a commit to disk is not cut short; a read from a socket
/// with a time limit returns all the same (signal(7)).
#[expect(unsafe_code, reason = "libc calls")]
fn handle(signal: libc::c_int, handler: extern "C" fn(libc::c_int)) {
    // SAFETY: the struct is plain C and zeroed before it is filled; the handler touches atomics,
    // nothing else, so it may run at any time in any thread.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as *const () as libc::sighandler_t;
        action.sa_flags = libc::SA_RESTART;
        libc::sigemptyset(&mut action.sa_mask);
        libc::sigaction(signal, &action, std::ptr::null_mut());
    }
}

#[expect(unsafe_code, reason = "libc calls")]
fn unblock_all() {
    // SAFETY: an all-zero set is a valid value of the plain C struct; both calls get valid pointers.
    unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut none);
        libc::pthread_sigmask(libc::SIG_SETMASK, &none, std::ptr::null_mut());
    }
}

#[expect(unsafe_code, reason = "libc calls")]
fn stop_timers() {
    // SAFETY: an all-zero itimerval is valid and means "no timer"; the old value is not asked for.
    unsafe {
        let zero: libc::itimerval = std::mem::zeroed();
        for timer in [libc::ITIMER_REAL, libc::ITIMER_VIRTUAL, libc::ITIMER_PROF] {
            libc::setitimer(timer, &zero, std::ptr::null_mut());
        }
    }
}

#[expect(unsafe_code, reason = "libc call")]
fn raise(signal: libc::c_int) {
    // SAFETY: a plain call; an invalid number is an error.
    unsafe { libc::raise(signal) };
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::io::{ErrorKind, Read};
    use std::os::unix::net::UnixStream;
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Command, ExitStatus};
    use std::time::Duration;

    /// Runs the body of a test in a process of its own, where signals harm nobody else; answers how
    /// that ended. None in that process itself.
    pub(in crate::sys) fn alone(test: &str, body: fn()) -> Option<ExitStatus> {
        const MARK: &str = "in-a-process-of-its-own";
        if std::env::args_os().any(|word| word == MARK) {
            body();
            return None;
        }
        let mut command = Command::new(std::env::current_exe().unwrap());
        let command = command.args(["--exact", test, "--skip", MARK, "--nocapture"]);
        let output = crate::sys::quiet::output(command);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(text.contains("running 1 test"), "{test}: {text}");
        if output.status.code().is_some_and(|code| code != 0) {
            panic!("{text}{}", String::from_utf8_lossy(&output.stderr));
        }
        Some(output.status)
    }

    /// To the whole process, as another one sends it.
    #[expect(unsafe_code, reason = "libc calls")]
    fn kill(signal: i32) {
        // SAFETY: plain system calls.
        unsafe { libc::kill(libc::getpid(), signal) };
    }

    #[test]
    fn until_armed_a_signal_kills() {
        let body = || kill(libc::SIGTERM);
        let ended = alone("sys::signal::tests::until_armed_a_signal_kills", body);
        assert!(ended.is_none_or(|status| status.signal() == Some(libc::SIGTERM)));
    }

    #[test]
    fn a_signal_is_noted_and_ends_a_read_that_waits() {
        alone(
            "sys::signal::tests::a_signal_is_noted_and_ends_a_read_that_waits",
            || {
                let signals = Signals::arm();
                let (mut ours, _theirs) = UnixStream::pair().unwrap();
                let limit = Duration::from_millis(100);
                ours.set_read_timeout(Some(limit)).unwrap();
                assert_eq!(signals.taken(), None);
                let other = std::thread::spawn(|| kill(libc::SIGTERM));
                while signals.taken().is_none() {
                    let waited = ours.read(&mut [0; 9]).unwrap_err().kind();
                    let ends = [ErrorKind::Interrupted, ErrorKind::WouldBlock];
                    assert!(ends.contains(&waited), "{waited}");
                }
                other.join().unwrap();
                assert_eq!(signals.taken(), Some(libc::SIGTERM));
            },
        );
    }

    #[test]
    fn disarmed_a_signal_kills_again() {
        let body = || {
            Signals::arm().disarm();
            kill(libc::SIGTERM);
        };
        let ended = alone("sys::signal::tests::disarmed_a_signal_kills_again", body);
        assert!(ended.is_none_or(|status| status.signal() == Some(libc::SIGTERM)));
    }

    #[test]
    fn the_first_signal_counts() {
        alone("sys::signal::tests::the_first_signal_counts", || {
            let signals = Signals::arm();
            raise(libc::SIGTERM);
            raise(libc::SIGINT);
            raise(libc::SIGTERM);
            assert_eq!(signals.taken(), Some(libc::SIGTERM));
        });
    }

    #[test]
    fn what_nohup_ignores_stays_ignored() {
        alone(
            "sys::signal::tests::what_nohup_ignores_stays_ignored",
            || {
                set(libc::SIGHUP, libc::SIG_IGN);
                settle();
                let signals = Signals::arm();
                raise(libc::SIGHUP);
                assert_eq!(signals.taken(), None);
                raise(libc::SIGINT);
                assert_eq!(signals.taken(), Some(libc::SIGINT));
            },
        );
    }

    #[test]
    fn a_process_that_was_stopped_knows_it() {
        alone(
            "sys::signal::tests::a_process_that_was_stopped_knows_it",
            || {
                let signals = Signals::arm();
                assert!(!signals.stopped());
                let own = std::process::id().to_string();
                let script = format!(
                    "kill -STOP {own}; until grep -q '^State:.T' /proc/{own}/status; do :; done; \
                     kill -CONT {own}"
                );
                let waker = Command::new("sh").args(["-c", &script]).status();
                assert!(waker.unwrap().success());
                assert!(signals.stopped());
                assert_eq!(signals.taken(), None);
            },
        );
    }

    #[test]
    fn an_interrupted_process_dies_by_the_signal_in_the_end() {
        let body = || {
            let signals = Signals::arm();
            raise(libc::SIGINT);
            die_by(signals.taken().unwrap());
        };
        let ended = alone(
            "sys::signal::tests::an_interrupted_process_dies_by_the_signal_in_the_end",
            body,
        );
        assert!(ended.is_none_or(|status| status.signal() == Some(libc::SIGINT)));
    }
}
