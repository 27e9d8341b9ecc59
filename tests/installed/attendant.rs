//! What systemd does for the socket: it listens, and starts a process of the account for each
//! connection.

use super::{Ground, SERVICE};
use crate::host::Host;
use crate::signals::until;
use std::fs::{self, OpenOptions, Permissions};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// Connections at a time, as the unit has it.
const CONNECTIONS_MAX: usize = 64;

/// A socket on a host, until it is dropped.
pub struct Attendant {
    path: PathBuf,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    started: AtomicUsize,
    turned_away: AtomicUsize,
    children: Mutex<Vec<Child>>,
}

impl Attendant {
    /// Listens where the program looks for it.
    pub fn start(host: &Host) -> Attendant {
        let path = host.path("run/sendmail365/submit");
        let listener = UnixListener::bind(&path).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
        let shared = Arc::<Shared>::default();
        let (ground, mine) = (Ground::of(host), shared.clone());
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if mine.stop.load(Ordering::SeqCst) {
                    break;
                }
                mine.take(&ground, stream.unwrap());
            }
        });
        Attendant {
            path,
            shared,
            thread: Some(thread),
        }
    }

    /// Processes that were started.
    pub fn started(&self) -> usize {
        self.shared.started.load(Ordering::SeqCst)
    }

    /// Connections that were more than there may be.
    pub fn turned_away(&self) -> usize {
        self.shared.turned_away.load(Ordering::SeqCst)
    }

    /// Processes that run.
    pub fn running(&self) -> usize {
        self.shared.reap()
    }

    /// The process of the only connection.
    pub fn only(&self) -> u32 {
        until("one process at the socket", || self.running() == 1);
        self.shared.children.lock().unwrap()[0].id()
    }

    /// Kills every process there is.
    pub fn kill(&self) {
        for child in self.shared.children.lock().unwrap().iter_mut() {
            child.kill().unwrap();
        }
        until("they are gone", || self.running() == 0);
    }
}

impl Shared {
    fn reap(&self) -> usize {
        let mut children = self.children.lock().unwrap();
        children.retain_mut(|child| child.try_wait().unwrap().is_none());
        children.len()
    }

    fn take(&self, ground: &Ground, stream: UnixStream) {
        if self.reap() >= CONNECTIONS_MAX {
            self.turned_away.fetch_add(1, Ordering::SeqCst);
            return;
        }
        let errors = ground.root.join("home/attendant.err");
        let errors = OpenOptions::new().append(true).create(true).open(errors);
        let program = ground.within("usr/sbin/sendmail365");
        // What the unit asks for: the account's process gains nothing.
        let words = [
            "setpriv",
            "--no-new-privs",
            program.to_str().unwrap(),
            "--socket",
        ];
        let mut command = ground.inside(&[], SERVICE, words);
        command.stdin(OwnedFd::from(stream)).stdout(Stdio::null());
        let child = command.stderr(errors.unwrap()).spawn().unwrap();
        self.started.fetch_add(1, Ordering::SeqCst);
        self.children.lock().unwrap().push(child);
    }
}

impl Drop for Attendant {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        let _ = UnixStream::connect(&self.path);
        let ended = self.thread.take().map(JoinHandle::join);
        for child in self.shared.children.lock().unwrap().iter_mut() {
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = fs::remove_file(&self.path);
        assert!(std::thread::panicking() || ended.is_none_or(|ended| ended.is_ok()));
    }
}
