//! When a queued message is tried again, and when it goes back to its sender.
//!
//! No clock and no dice in here: the runner reads both once and hands them down. Times are seconds
//! since 1970, as in the file.

use super::state::{Class, State};
use std::time::Duration;

const MINUTE: u64 = 60;

const HOUR: u64 = 60 * MINUTE;

/// The pause after an attempt: the first, the second and so on; then hourly.
const PAUSES: [u64; 7] = [
    MINUTE,
    2 * MINUTE,
    4 * MINUTE,
    8 * MINUTE,
    15 * MINUTE,
    30 * MINUTE,
    HOUR,
];

/// Longest pause there is, jitter included.
pub const PAUSE_MAX: u64 = HOUR + HOUR / 5;

/// The recipient may have the message already: an administrator gets time to look.
const UNSURE_MIN: u64 = 30 * MINUTE;

/// Attempts that a message is worth, however old it looks.
const ATTEMPTS_MIN: u32 = 30;

/// Attempts in a row without an end before an entry is taken for the cause.
const OPEN_MAX: u32 = 3;

/// How long the queue keeps trying.
#[derive(Debug, Clone, Copy)]
pub struct Retry {
    pub lifetime: Duration,
}

/// What is to be done with an entry now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    Try,
    WaitUntil(u64),
    /// Too old: back to the sender.
    Return,
    /// Three attempts in a row came to no end: aside with it, so that it blocks nobody.
    Poison,
}

/// How an attempt failed.
#[derive(Debug, Clone, Copy)]
pub struct Setback<'a> {
    pub class: Class,
    /// The reply or the cause; from outside, hence escaped before it is kept.
    pub reply: &'a str,
    /// What the other side asked for in place of our own pause.
    pub after: Option<Duration>,
}

impl Retry {
    /// Judges, at `now`, an entry that arrived at `arrival`.
    pub fn turn(&self, arrival: u64, state: &State, now: u64) -> Turn {
        // A host that boots in 1970 and then learns the date must not give its whole queue back.
        let expired =
            now.saturating_sub(arrival) > self.lifetime.as_secs() && state.attempts >= ATTEMPTS_MIN;
        // Nor may a clock set back strand a message until the old time comes round again.
        let due = state.next <= now || state.next > now.saturating_add(PAUSE_MAX);
        if state.open >= OPEN_MAX {
            Turn::Poison
        } else if expired {
            Turn::Return
        } else if due {
            Turn::Try
        } else {
            Turn::WaitUntil(state.next)
        }
    }
}

/// A factor between 0.8 and 1.2 out of a random number, so that hosts do not come together.
pub fn jitter(random: u64) -> f64 {
    (0.8 + 0.4 * (random as f64 / u64::MAX as f64)).min(1.2)
}

/// Seconds to wait after attempt number `attempts`.
pub fn pause(attempts: u32, jitter: f64) -> u64 {
    let place = usize::try_from(attempts.saturating_sub(1)).unwrap_or(usize::MAX);
    scaled(PAUSES.get(place).copied().unwrap_or(HOUR), jitter)
}

impl State {
    /// The state of a message that its submission has offered to the server once, in vain.
    pub fn after_submission(setback: &Setback<'_>, now: u64, jitter: f64) -> State {
        State::default()
            .begun(now, jitter)
            .ended(setback, now, jitter)
    }

    /// What is written before an attempt, so that one that kills the process counts too.
    #[must_use]
    pub fn begun(&self, now: u64, jitter: f64) -> State {
        let attempts = self.attempts.saturating_add(1);
        State {
            attempts,
            open: self.open.saturating_add(1),
            next: now.saturating_add(pause(attempts, jitter)),
            first: if self.first == 0 { now } else { self.first },
            last: now,
            ..self.clone()
        }
    }

    /// What is written after an attempt that left recipients pending.
    #[must_use]
    pub fn ended(&self, setback: &Setback<'_>, now: u64, jitter: f64) -> State {
        let own = pause(self.attempts, jitter);
        let pause = match (setback.class, setback.after) {
            // Later than asked is polite; sooner is not.
            (_, Some(after)) => scaled(after.as_secs().min(HOUR), jitter.max(1.0)),
            (Class::Defer, None) => own,
            (Class::Hold, None) => scaled(HOUR, jitter),
            (Class::Unsure, None) => own.max(scaled(UNSURE_MIN, jitter.max(1.0))),
        };
        State {
            open: 0,
            next: now.saturating_add(pause),
            class: setback.class,
            reply: State::kept_reply(setback.reply),
            ..self.clone()
        }
    }
}

/// A factor outside its bounds would bring a herd, or strand the message.
fn scaled(seconds: u64, jitter: f64) -> u64 {
    let jitter = if jitter.is_nan() {
        1.0
    } else {
        jitter.clamp(0.8, 1.2)
    };
    (seconds as f64 * jitter).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 24 * HOUR;
    const NOW: u64 = 1_795_320_387;
    const RETRY: Retry = Retry {
        lifetime: Duration::from_secs(5 * DAY),
    };

    fn setback(class: Class) -> Setback<'static> {
        Setback {
            class,
            reply: "451 4.7.0 later",
            after: None,
        }
    }

    #[test]
    fn a_message_never_tried_is_due() {
        assert_eq!(RETRY.turn(NOW, &State::default(), NOW), Turn::Try);
    }

    #[test]
    fn pauses_grow_from_a_minute_to_an_hour() {
        let minutes: Vec<u64> = (1..=9).map(|n| pause(n, 1.0) / MINUTE).collect();
        assert_eq!(minutes, [1, 2, 4, 8, 15, 30, 60, 60, 60]);
        assert_eq!(pause(0, 1.0), MINUTE);
        assert_eq!(pause(u32::MAX, 1.2), PAUSE_MAX);
        assert_eq!((pause(1, 0.8), pause(1, 1.2)), (48, 72));
        assert_eq!(
            (pause(1, f64::NAN), pause(1, 1e9), pause(1, -1.0)),
            (60, 72, 48)
        );
    }

    #[test]
    fn jitter_keeps_within_a_fifth() {
        assert_eq!((jitter(0), jitter(u64::MAX)), (0.8, 1.2));
    }

    #[test]
    fn a_message_waits_for_its_time() {
        let state = State::after_submission(&setback(Class::Defer), NOW, 1.0);
        assert_eq!((state.attempts, state.open, state.first), (1, 0, NOW));
        assert_eq!(RETRY.turn(NOW, &state, NOW + 59), Turn::WaitUntil(NOW + 60));
        assert_eq!(RETRY.turn(NOW, &state, NOW + 60), Turn::Try);
    }

    #[test]
    fn a_message_on_hold_is_tried_hourly() {
        let state = State::after_submission(&setback(Class::Hold), NOW, 0.8);
        assert_eq!(state.next, NOW + 48 * MINUTE);
    }

    #[test]
    fn what_may_have_been_accepted_is_left_alone_for_half_an_hour() {
        let mut state = State::after_submission(&setback(Class::Unsure), NOW, 0.8);
        assert_eq!(state.next, NOW + 30 * MINUTE);
        state.attempts = 9;
        assert_eq!(
            state.ended(&setback(Class::Unsure), NOW, 1.0).next,
            NOW + HOUR
        );
    }

    #[test]
    fn a_wish_of_the_other_side_is_granted_up_to_an_hour() {
        let wish = |seconds| Setback {
            after: Some(Duration::from_secs(seconds)),
            ..setback(Class::Defer)
        };
        let next = |seconds| State::after_submission(&wish(seconds), NOW, 0.8).next - NOW;
        assert_eq!((next(60), next(DAY), next(u64::MAX)), (60, HOUR, HOUR));
    }

    #[test]
    fn a_message_goes_back_when_it_is_old_and_was_tried_often() {
        let state = State {
            attempts: 30,
            next: NOW,
            ..State::default()
        };
        assert_eq!(RETRY.turn(NOW - 5 * DAY, &state, NOW), Turn::Try);
        assert_eq!(RETRY.turn(NOW - 5 * DAY - 1, &state, NOW), Turn::Return);
    }

    #[test]
    fn a_host_that_boots_in_1970_keeps_its_queue() {
        let state = State {
            attempts: 29,
            ..State::default()
        };
        assert_eq!(RETRY.turn(10, &state, NOW), Turn::Try);
    }

    #[test]
    fn a_clock_set_back_does_not_strand_a_message() {
        let state = State::after_submission(&setback(Class::Hold), NOW, 1.2);
        assert_eq!(
            RETRY.turn(NOW, &state, NOW),
            Turn::WaitUntil(NOW + PAUSE_MAX)
        );
        assert_eq!(RETRY.turn(NOW, &state, NOW - 1), Turn::Try);
        assert_eq!(RETRY.turn(NOW, &state, NOW - 365 * DAY), Turn::Try);
    }

    #[test]
    fn an_entry_that_ends_every_attempt_is_put_aside_after_three() {
        let mut state = State::default();
        for _ in 0..3 {
            assert_ne!(RETRY.turn(NOW, &state, NOW), Turn::Poison);
            state = state.begun(NOW, 1.0);
        }
        assert_eq!(RETRY.turn(NOW, &state, NOW), Turn::Poison);
        let state = state.ended(&setback(Class::Defer), NOW, 1.0);
        assert_ne!(RETRY.turn(NOW, &state, NOW), Turn::Poison);
    }

    #[test]
    fn no_number_in_a_file_is_too_large() {
        let state = State {
            attempts: u32::MAX,
            open: u32::MAX,
            next: u64::MAX,
            ..State::default()
        };
        let state = state
            .begun(u64::MAX, 1.2)
            .ended(&setback(Class::Hold), u64::MAX, 1.2);
        assert_eq!(RETRY.turn(u64::MAX, &state, u64::MAX), Turn::Try);
    }
}
