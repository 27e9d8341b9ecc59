//! Signals that ask the process to end, and those that a caller left behind.
//!
//! Until the message is read whole, TERM, HUP and INT kill: nothing is kept, and the caller knows. From
//! then on the message is ours, and a shutdown of the host must not lose it: the handlers only note
//! the signal and cut the connection, so that a read that waits for the server returns and the usual
//! way of a lost connection is taken.
//!
//! The three numbers below are the only static state of the program: a handler takes no parameter but
//! the signal, may run between any two instructions, and can touch nothing but atomics.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicI32, Ordering};

/// The first signal that asked for the end; 0 if none did.
static TAKEN: AtomicI32 = AtomicI32::new(0);

/// The socket that a signal cuts, or `NONE`.
static SOCKET: AtomicI32 = AtomicI32::new(NONE);

/// Whether the process was stopped and continued.
static STOPPED: AtomicI32 = AtomicI32::new(0);

const NONE: RawFd = -1;

/// Signals that ask the process to end.
const ENDS: [libc::c_int; 3] = [libc::SIGTERM, libc::SIGHUP, libc::SIGINT];

/// The handlers, in place.
#[derive(Clone, Copy)]
pub struct Signals(());

/// A connection that a signal cuts, until this is dropped.
///
/// To be dropped with the final dot: from there on the server's answer is waited for a while, signal
/// or not. The connection stays open as long as this lives.
pub struct Watched {
    socket: OwnedFd,
}

impl Signals {
    /// Puts the handlers in place, once standard input is read to its end.
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

    /// Has the connection cut by a signal; at once if one came already. One connection at a time.
    pub fn watch(self, socket: &impl AsFd) -> io::Result<Watched> {
        // A descriptor of our own cannot be closed, and its number used again, while it is watched.
        let socket = socket.as_fd().try_clone_to_owned()?;
        SOCKET.store(socket.as_raw_fd(), Ordering::SeqCst);
        if self.taken().is_some() {
            cut();
        }
        Ok(Watched { socket })
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let own = self.socket.as_raw_fd();
        // Another one may be watched by now.
        let _ = SOCKET.compare_exchange(own, NONE, Ordering::SeqCst, Ordering::SeqCst);
    }
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
    cut();
}

extern "C" fn continued(_: libc::c_int) {
    STOPPED.store(1, Ordering::SeqCst);
}

/// Cuts the watched connection: a read that waits on it returns, and so does the next one.
#[expect(unsafe_code, reason = "libc calls")]
fn cut() {
    let socket = SOCKET.load(Ordering::SeqCst);
    if socket == NONE {
        return;
    }
    // SAFETY: errno belongs to this thread; shutdown may be called in a handler (signal-safety(7))
    // and takes any number: a closed one is an error. Errno is put back, because the code that was
    // interrupted may be about to read it.
    unsafe {
        let errno = libc::__errno_location();
        let before = *errno;
        libc::shutdown(socket, libc::SHUT_RDWR);
        *errno = before;
    }
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
    // SAFETY: the struct is plain C and zeroed before it is filled; the handler touches atomics and
    // calls shutdown, nothing else, so it may run at any time in any thread.
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
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Command, ExitStatus};

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
        let output = command.output().unwrap();
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
                let watched = signals.watch(&ours).unwrap();
                assert_eq!(signals.taken(), None);
                let other = std::thread::spawn(|| kill(libc::SIGTERM));
                assert_eq!(ours.read(&mut [0; 9]).unwrap(), 0);
                other.join().unwrap();
                assert_eq!(signals.taken(), Some(libc::SIGTERM));
                drop(watched);
            },
        );
    }

    #[test]
    fn a_connection_made_after_the_signal_is_cut_at_once() {
        alone(
            "sys::signal::tests::a_connection_made_after_the_signal_is_cut_at_once",
            || {
                let signals = Signals::arm();
                raise(libc::SIGHUP);
                let (mut ours, _theirs) = UnixStream::pair().unwrap();
                let _watched = signals.watch(&ours).unwrap();
                assert_eq!(ours.read(&mut [0; 9]).unwrap(), 0);
            },
        );
    }

    #[test]
    fn a_connection_that_is_no_longer_watched_outlives_a_signal() {
        alone(
            "sys::signal::tests::a_connection_that_is_no_longer_watched_outlives_a_signal",
            || {
                let signals = Signals::arm();
                let (mut ours, mut theirs) = UnixStream::pair().unwrap();
                let first = signals.watch(&ours).unwrap();
                let (mut second, _other_end) = UnixStream::pair().unwrap();
                let watched = signals.watch(&second).unwrap();
                // The second one stays watched.
                drop(first);
                raise(libc::SIGTERM);
                assert_eq!(second.read(&mut [0; 9]).unwrap(), 0);
                drop(watched);
                raise(libc::SIGTERM);
                theirs.write_all(b"250 ok").unwrap();
                assert_eq!(ours.read(&mut [0; 9]).unwrap(), 6);
            },
        );
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
