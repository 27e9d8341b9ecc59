//! Sign-in with a code on another device.

use super::{Desk, count_down, counted_down, qr, too_late};
use crate::oauth::{Device, Next, SignedIn};
use crate::outcome::{Failure, printable};
use crate::sys::clock::{self, Stopwatch};
use crate::sys::stdio;
use std::time::Duration;

/// Shows codes until somebody has used one.
pub(super) fn sign_in(desk: &Desk<'_>) -> Result<SignedIn, Failure> {
    loop {
        let mut device = desk.sign_in.device(clock::now())?;
        show(desk, &device);
        if let Some(signed_in) = wait(desk, &mut device)? {
            return Ok(signed_in);
        }
        let over = "the code has ended before anybody used it";
        if !stdio::stdin_is_terminal() {
            return Err(too_late(over));
        }
        stdio::complain(&format!(
            "{over}; press Enter for a new one, or Ctrl-C to end"
        ));
        if stdio::read_line(LINE_MAX).is_none() {
            return Err(too_late(over));
        }
    }
}

/// Octets of the line that asks for a new code.
const LINE_MAX: u64 = 1024;

fn show(desk: &Desk<'_>, device: &Device) {
    let code = device.code();
    let address = printable(code.verification_uri.as_bytes());
    let user_code = printable(code.user_code.as_bytes());
    stdio::say(&format!(
        "Open this address on any device:\n\n    {address}\n\nand enter this code:\n\n    {user_code}\n\n"
    ));
    if stdio::stdout_is_terminal()
        && let Some(picture) = qr::picture(&code.verification_uri)
    {
        stdio::say(&picture);
    }
    stdio::say(&desk.advice());
}

/// Asks until there is an answer; none if the code has ended.
fn wait(desk: &Desk<'_>, device: &mut Device) -> Result<Option<SignedIn>, Failure> {
    let clock = Stopwatch::start();
    let lifetime = device.code().lifetime;
    let mut pause = device.interval();
    let ended = loop {
        // A code that has ended here may have been used a moment before: the server decides.
        let last = clock.elapsed() + pause >= lifetime;
        let until = (clock.elapsed() + pause).min(lifetime);
        sleep(&clock, until, lifetime);
        match desk.sign_in.poll(device, desk.journal, clock::now()) {
            Next::SignedIn(signed_in) => break Ok(Some(signed_in)),
            Next::Failed(failure) => break Err(failure),
            Next::Expired => break Ok(None),
            Next::Wait(_) if last => break Ok(None),
            Next::Wait(next) => pause = next,
            Next::Disturbed(next, failure) => {
                pause = next;
                tell(&failure);
                if last {
                    break Err(failure);
                }
            }
        }
    };
    counted_down();
    ended
}

/// Lets time pass, and shows how much is left of the whole.
fn sleep(clock: &Stopwatch, until: Duration, whole: Duration) {
    const TICK: Duration = Duration::from_secs(1);
    loop {
        let now = clock.elapsed();
        count_down(whole.saturating_sub(now));
        let left = until.saturating_sub(now);
        if left.is_zero() {
            return;
        }
        clock::pause(left.min(TICK));
    }
}

/// What disturbs is told where somebody reads, and does not end the waiting.
fn tell(failure: &Failure) {
    counted_down();
    let why = failure.why().unwrap_or(failure.what());
    let told = printable(why.as_bytes());
    stdio::complain(&format!("sendmail365: {told}; still waiting"));
}
