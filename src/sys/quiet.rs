//! For tests: no process is started while a test looks at locks, since between fork and exec a child
//! has the locks of all threads.
#![expect(clippy::disallowed_methods, reason = "edge: tests")]

use std::cell::Cell;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

static STARTS: RwLock<()> = RwLock::new(());

thread_local! {
    static HELD: Cell<usize> = const { Cell::new(0) };
}

/// Records a test that could not run, as those outside the library do.
pub(crate) fn skipped(why: &str) {
    let _ = writeln!(io::stderr(), "skipped: needs {why}");
    if let Some(list) = std::env::var_os("SENDMAIL365_TEST_SKIPS") {
        let mut options = OpenOptions::new();
        let mut list = options.append(true).create(true).open(list).unwrap();
        writeln!(list, "needs {why}").unwrap();
    }
}

/// As long as it lives no other test starts a process.
pub(crate) struct Quiet {
    /// Only the first of a thread: a second one would wait for whoever waits for the first.
    _guard: Option<RwLockReadGuard<'static, ()>>,
}

impl Quiet {
    pub(crate) fn new() -> Quiet {
        let held = HELD.get();
        HELD.set(held + 1);
        let guard = || STARTS.read().unwrap_or_else(PoisonError::into_inner);
        Quiet {
            _guard: (held == 0).then(guard),
        }
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        HELD.set(HELD.get() - 1);
    }
}

/// Starts a process when nobody minds; it has come as far as exec when this returns.
pub(crate) fn start(command: &mut Command) -> Child {
    let alone = (HELD.get() == 0).then(|| STARTS.write());
    let child = command.spawn().unwrap();
    drop(alone);
    child
}

/// The same, to its end.
pub(crate) fn output(command: &mut Command) -> Output {
    let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    start(command).wait_with_output().unwrap()
}

/// Lets code that starts processes itself do it when nobody minds.
pub(crate) fn spawning<T>(job: impl FnOnce() -> T) -> T {
    let alone = (HELD.get() == 0).then(|| STARTS.write());
    let done = job();
    drop(alone);
    done
}
