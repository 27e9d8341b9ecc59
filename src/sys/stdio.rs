//! The three standard descriptors as a caller may have left them: closed, full, unread, a file.

use super::confinement::{self, Confinement};
use super::secret::Secret;
use super::signal;
use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, IsTerminal, Read, Write};
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::sync::Once;
use std::time::Duration;
use zeroize::Zeroizing;

/// Makes a descriptor 0 that the caller left closed an end of input.
///
/// Where a program gains rights by its start the C library puts /dev/full in its place, open for writing
/// only, so that reading it is an error; elsewhere it is /dev/null.
#[expect(unsafe_code, reason = "libc calls")]
pub fn end_closed_stdin() {
    const FULL: libc::dev_t = libc::makedev(1, 7);
    // SAFETY: the call has no precondition.
    if unsafe { libc::getauxval(libc::AT_SECURE) } == 0 {
        return;
    }
    // SAFETY: an all-zero stat is a valid value of the plain C struct.
    let mut seen: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: plain system calls; `seen` is valid for the first.
    let closed = unsafe {
        libc::fstat(0, &mut seen) == 0
            && seen.st_rdev == FULL
            && libc::fcntl(0, libc::F_GETFL) & libc::O_ACCMODE == libc::O_WRONLY
    };
    if closed {
        // SAFETY: the path ends in NUL; nothing of this process uses descriptor 0 yet, and one that
        // cannot be opened leaves it as it is.
        unsafe {
            let null = libc::open(c"/dev/null".as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC);
            if null > 0 {
                libc::dup2(null, 0);
                libc::close(null);
            }
        }
    }
}

/// Writes a line to stderr; a reader that is gone changes nothing.
pub fn complain(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Writes a line to a terminal over the one before, which is no longer.
pub fn retell(line: &str) {
    let _ = write!(io::stderr().lock(), "\r{line}");
}

/// Whether a person reads standard error.
pub fn stderr_is_terminal() -> bool {
    io::stderr().is_terminal()
}

/// Whether a person reads standard output.
pub fn stdout_is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Whether a person types standard input.
pub fn stdin_is_terminal() -> bool {
    io::stdin().is_terminal()
}

/// One line of standard input, at most `size_max` octets; none at its end, or if it is no text.
pub fn read_line(size_max: u64) -> Option<Secret> {
    let mut line = Zeroizing::new(String::with_capacity(
        usize::try_from(size_max).unwrap_or(0),
    ));
    let read = io::stdin()
        .lock()
        .take(size_max)
        .read_line(&mut line)
        .ok()?;
    (read > 0).then(|| Secret::new((*line).clone()))
}

/// Writes text to stdout; a reader that is gone changes nothing.
///
/// That nobody can ever see it is told once.
pub fn say(text: &str) {
    static TOLD: Once = Once::new();
    if confinement::is_taken(1) {
        TOLD.call_once(|| complain(&unseen()));
    }
    let mut stdout = io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes());
    let _ = stdout.flush();
}

fn unseen() -> String {
    let cure = Confinement::of_this_process().map(|by| format!("; {}", by.cure()));
    format!(
        "sendmail365: standard output is lost: a security module of the kernel forbids where it goes{}",
        cure.unwrap_or_default()
    )
}

/// Tells whether stdin is a regular file, which has an end of its own.
pub fn stdin_is_regular_file() -> bool {
    let copy = io::stdin().as_fd().try_clone_to_owned();
    let metadata = copy.and_then(|descriptor| File::from(descriptor).metadata());
    metadata.is_ok_and(|metadata| metadata.is_file())
}

/// Reads stdin to its end, so that a writer does not die of SIGPIPE before it can see our status.
///
/// A person at a terminal is not made to type a message that is refused already.
pub fn drain_stdin() {
    if !io::stdin().is_terminal() {
        let _ = io::copy(&mut Stdin::new(), &mut io::sink());
    }
}

/// Standard input for what has to come whole.
pub fn stdin() -> BufReader<Stdin> {
    BufReader::new(Stdin::new())
}

/// Standard input for a message.
///
/// Where a person types it, the line with a lone dot that ends it ends the input too: nobody is to wait
/// for what he has said already.
pub fn message(dot_is_text: bool) -> BufReader<Stdin> {
    let typed = !dot_is_text && stdin_is_terminal();
    BufReader::new(Stdin {
        typed: typed.then_some([0, 0, b'\n']),
        ..Stdin::new()
    })
}

/// Descriptor 0 as it is: the standard library takes one that cannot be read for an empty one, and
/// gives up one that another process has made non-blocking.
///
/// Nor is one that a security module has taken away an end of input.
pub struct Stdin {
    file: ManuallyDrop<File>,
    begun: bool,
    /// The last octets that were typed, where a lone dot among them is the end.
    typed: Option<[u8; 3]>,
}

impl Stdin {
    #[expect(unsafe_code, reason = "a number becomes a file")]
    fn new() -> Stdin {
        // SAFETY: the descriptor is open from before main to the end, and never closed by this.
        let file = ManuallyDrop::new(unsafe { File::from_raw_fd(0) });
        Stdin {
            file,
            begun: false,
            typed: None,
        }
    }

    /// Remembers what was typed, of which a terminal gives a line at a time.
    fn note(&mut self, octets: &[u8]) {
        for &octet in octets {
            self.typed = self.typed.map(|[_, one, two]| [one, two, octet]);
        }
    }
}

impl Read for Stdin {
    /// Ends in an error when a signal asks for the end; none is missed for longer than a slice.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        const SLICE: Duration = Duration::from_secs(1);
        if !self.begun {
            confinement::refuse_taken(0)?;
            self.begun = true;
        }
        if self.typed == Some(*b"\n.\n") {
            return Ok(0);
        }
        loop {
            if signal::asked_for_the_end() {
                return Err(io::Error::other("a signal asked for the end"));
            }
            match readable(&self.file, SLICE) {
                Ok(true) => match self.file.read(buffer) {
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    read => {
                        let count = read?;
                        self.note(buffer.get(..count).unwrap_or_default());
                        return Ok(count);
                    }
                },
                Ok(false) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Reads at most `size_max` octets of text from stdin; more is an error.
pub fn read_stdin(size_max: u64) -> io::Result<String> {
    confinement::refuse_taken(0)?;
    let mut text = String::new();
    io::stdin()
        .lock()
        .take(size_max + 1)
        .read_to_string(&mut text)?;
    match text.len() as u64 > size_max {
        true => Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("larger than {size_max} octets"),
        )),
        false => Ok(text),
    }
}

/// A descriptor that is waited for no longer than `silence_max` at a time.
pub struct Patient {
    file: File,
    silence_max: Duration,
}

impl Patient {
    /// Standard input, from where it stands.
    pub fn stdin(silence_max: Duration) -> io::Result<Patient> {
        confinement::refuse_taken(0)?;
        let copy = io::stdin().as_fd().try_clone_to_owned()?;
        Ok(Patient::new(copy, silence_max))
    }

    fn new(descriptor: OwnedFd, silence_max: Duration) -> Patient {
        Patient {
            file: File::from(descriptor),
            silence_max,
        }
    }
}

impl Read for Patient {
    /// Reads what is there; `TimedOut` if nothing comes.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match readable(&self.file, self.silence_max)? {
            true => self.file.read(buffer),
            false => Err(io::Error::new(
                ErrorKind::TimedOut,
                format!("nothing came for {} s", self.silence_max.as_secs()),
            )),
        }
    }
}

/// Whether there is something to read, its end or an error included, before the time is over.
#[expect(unsafe_code, reason = "libc call")]
fn readable(file: &File, silence_max: Duration) -> io::Result<bool> {
    let millis = libc::c_int::try_from(silence_max.as_millis()).unwrap_or(libc::c_int::MAX);
    let mut asked = libc::pollfd {
        fd: file.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    };
    // SAFETY: the pointer is to one pollfd that lives through the call, and the count says one.
    match unsafe { libc::poll(&mut asked, 1, millis) } {
        0 => Ok(false),
        1.. => Ok(true),
        // Interrupted among them: the caller asks again, with the whole time before it.
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_writer_is_given_up_and_a_gone_one_is_an_end() {
        let (reader, mut writer) = io::pipe().unwrap();
        let mut patient = Patient::new(reader.into(), Duration::from_millis(1));
        let mut buffer = [0; 8];
        let silence = patient.read(&mut buffer).unwrap_err();
        assert_eq!(silence.kind(), ErrorKind::TimedOut);
        writer.write_all(b"abc").unwrap();
        assert_eq!(patient.read(&mut buffer).unwrap(), 3);
        drop(writer);
        assert_eq!(patient.read(&mut buffer).unwrap(), 0);
    }
}
