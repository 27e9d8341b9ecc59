//! A program of the administrator's, run for what it prints.
#![expect(clippy::disallowed_methods, reason = "edge: starts a program")]

use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// Octets of output at most.
const OUTPUT_MAX: usize = 1024 * 1024;

/// What a program that ended has left.
pub struct Ended {
    pub success: bool,
    /// How it ended, in words.
    pub status: String,
    pub stdout: Zeroizing<Vec<u8>>,
    pub stderr: Vec<u8>,
}

/// Why there is no output.
#[derive(Debug)]
pub enum Trouble {
    NotStarted(io::Error),
    TimedOut(Duration),
    TooMuch,
}

/// Runs a program to its end, without a shell, without input, with a plain PATH and nothing else of
/// the environment.
///
/// It never has a privilege that the caller lacks: a group that was lowered is gone with exec, and
/// no_new_privs is handed down. One that does not end is killed, with all that it has started.
pub fn run(argv: &[String], time_max: Duration) -> Result<Ended, Trouble> {
    let deadline = Instant::now() + time_max;
    let mut words = argv.iter();
    let program = words.next().map_or("", String::as_str);
    let mut child = Command::new(program)
        .args(words)
        .env_clear()
        .env(
            "PATH",
            "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin",
        )
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(Trouble::NotStarted)?;
    let stdout = child.stdout.take().map(read_all);
    let stderr = child.stderr.take().map(read_all);
    let left = || deadline.saturating_duration_since(Instant::now());
    let collected = |output: Option<Receiver<Zeroizing<Vec<u8>>>>| {
        let output = output.and_then(|output| output.recv_timeout(left()).ok());
        output.ok_or(Trouble::TimedOut(time_max))
    };
    let outputs = collected(stdout).and_then(|stdout| Ok((stdout, collected(stderr)?)));
    let status = match outputs {
        Ok(_) => wait(&mut child, deadline),
        Err(_) => None,
    };
    let (outputs, Some(status)) = (outputs, status) else {
        kill(&mut child);
        return Err(Trouble::TimedOut(time_max));
    };
    let (stdout, stderr) = outputs?;
    if stdout.len() > OUTPUT_MAX {
        return Err(Trouble::TooMuch);
    }
    Ok(Ended {
        success: status.success(),
        status: status.to_string(),
        stdout,
        stderr: stderr.to_vec(),
    })
}

/// Whether there is such a program and somebody may run it.
pub fn startable(program: &str) -> io::Result<()> {
    let metadata = std::fs::metadata(program)?;
    match metadata.is_file() && metadata.mode() & 0o111 != 0 {
        true => Ok(()),
        false => Err(io::Error::from(io::ErrorKind::PermissionDenied)),
    }
}

/// Reads in a thread of its own, so that neither pipe waits for the other.
fn read_all(from: impl Read + Send + 'static) -> Receiver<Zeroizing<Vec<u8>>> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        // Room for any token: a buffer that grows leaves copies behind.
        let mut octets = Zeroizing::new(Vec::with_capacity(64 * 1024));
        let mut from = from.take(OUTPUT_MAX as u64 + 1);
        let _ = from.read_to_end(&mut octets);
        // What is more than that is read and dropped: a program must not hang on a full pipe.
        let _ = io::copy(&mut from.into_inner(), &mut io::sink());
        let _ = sender.send(octets);
    });
    receiver
}

fn wait(child: &mut Child, deadline: Instant) -> Option<std::process::ExitStatus> {
    const SLICE: Duration = Duration::from_millis(5);
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if Instant::now() < deadline => std::thread::sleep(SLICE),
            _ => return None,
        }
    }
}

#[expect(unsafe_code, reason = "libc call")]
fn kill(child: &mut Child) {
    if let Ok(group) = libc::pid_t::try_from(child.id()) {
        // SAFETY: a plain system call; the group is that of our child, which was not waited for yet.
        unsafe { libc::kill(-group, libc::SIGKILL) };
    }
    let _ = child.wait();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::quiet;

    fn shell(script: &str, time_max: Duration) -> Result<Ended, Trouble> {
        let argv = ["/bin/sh", "-c", script].map(str::to_owned);
        quiet::spawning(|| run(&argv, time_max))
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn output_status_and_nothing_of_our_surroundings() {
        let ended = shell("printf a; printf b >&2; exit 3", LONG).unwrap();
        assert!(!ended.success && ended.status.contains('3'));
        assert_eq!(
            (&ended.stdout[..], &ended.stderr[..]),
            (&b"a"[..], &b"b"[..])
        );
        let ended = shell("env; pwd; cat; ls -l /proc/self/fd | wc -l", LONG).unwrap();
        let said = String::from_utf8_lossy(&ended.stdout).into_owned();
        assert!(ended.success && said.contains("\n/\n"), "{said}");
        assert!(!said.contains("CARGO"), "{said}");
    }

    #[test]
    fn one_that_hangs_is_killed_with_its_children() {
        let trouble = shell("sleep 600 & sleep 600", Duration::from_millis(200));
        assert!(matches!(trouble, Err(Trouble::TimedOut(_))));
    }

    #[test]
    fn one_that_floods_ends_and_one_that_is_not_there_is_told() {
        let flood = shell("head -c 3000000 /dev/zero", LONG);
        assert!(matches!(flood, Err(Trouble::TooMuch)));
        let none = run(&["/no/such/program".to_owned()], LONG);
        assert!(matches!(none, Err(Trouble::NotStarted(_))));
    }
}
