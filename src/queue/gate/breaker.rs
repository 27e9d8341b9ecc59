//! What all processes know of a server that does not take mail now.
//!
//! `breaker1 KIND SINCE UNTIL UID REASON`, a tab and the cure, the times in seconds since 1970;
//! `breaker1 closed` after a success. A submission runs under its caller's limits and signals, so it closes the door for a
//! minute at most; the runner, which nobody but the administrator touches, for longer.

use super::record::TEXT_MAX;
use super::{Attempt, Kind, Open, Who, blame};
use crate::outcome::{Failure, printable};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const MINUTE: u64 = 60;

/// A record that ends later than this was written by a clock that was wrong, or by nobody.
const UNTIL_MAX: u64 = 61 * MINUTE;

/// Failures this long after each other belong to one outage.
const ONE_OUTAGE: u64 = 60 * MINUTE;

/// The text of a record that keeps nobody away.
pub(super) const CLOSED: &str = "breaker1 closed";

/// What a record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    kind: Kind,
    since: u64,
    until: u64,
    uid: u32,
    reason: String,
    cure: String,
}

impl Entry {
    /// The entry of a text, whether it still counts or not.
    pub(super) fn parse(text: &str) -> Option<Entry> {
        let mut words = text.splitn(6, ' ');
        let mut word = || words.next();
        if word()? != "breaker1" {
            return None;
        }
        let kind = word()?;
        let (since, until, uid) = (word()?, word()?, word()?);
        let (reason, cure) = split(word().unwrap_or_default());
        Some(Entry {
            kind: match kind {
                "defer" => Kind::Defer,
                "hold" => Kind::Hold,
                _ => return None,
            },
            since: since.parse().ok()?,
            until: until.parse().ok()?,
            uid: uid.parse().ok()?,
            reason: reason.to_owned(),
            cure: cure.to_owned(),
        })
    }

    /// The text for a record; reason and cure are cut to what has room.
    pub(super) fn text(&self) -> String {
        let kind = match self.kind {
            Kind::Defer => "defer",
            Kind::Hold => "hold",
        };
        let Entry {
            since, until, uid, ..
        } = self;
        let mut text = format!("breaker1 {kind} {since} {until} {uid} ");
        let room = TEXT_MAX.saturating_sub(text.len());
        // A tab of theirs would be escaped, so there is one at most.
        let parts = [&self.reason, &self.cure].map(|part| printable(part.as_bytes()));
        let parts = parts.join("\t");
        text.extend(parts.trim_end_matches('\t').chars().take(room));
        text
    }

    /// What keeps everybody away at `now`, if it does.
    pub(super) fn open(&self, now: SystemTime) -> Option<Open> {
        let now = seconds(now);
        let open = self.until > now && self.plausible(now);
        open.then(|| Open {
            kind: self.kind,
            since: moment(self.since.min(now)),
            until: moment(self.until),
            reason: self.reason.clone(),
            cure: Some(self.cure.clone()).filter(|cure| !cure.is_empty()),
            uid: self.uid,
        })
    }

    fn plausible(&self, now: u64) -> bool {
        self.until <= now.saturating_add(UNTIL_MAX)
    }
}

/// The entry after a failed attempt; none if it says nothing about the server.
pub(super) fn entry(old: Option<Entry>, now: SystemTime, attempt: &Attempt<'_>) -> Option<Entry> {
    let kind = blame::kind(attempt.failure, attempt.who).filter(|_| !attempt.disturbed)?;
    let now = seconds(now);
    let old = old.filter(|old| old.plausible(now));
    let begun = old
        .as_ref()
        .filter(|old| old.until.saturating_add(ONE_OUTAGE) >= now)
        .map_or(now, |old| old.since.min(now));
    let (usual, longest) = match (attempt.who, kind) {
        (Who::Submission, _) => (MINUTE, MINUTE),
        (Who::Runner, Kind::Defer) => (MINUTE, 10 * MINUTE),
        (Who::Runner, Kind::Hold) => (60 * MINUTE, 60 * MINUTE),
    };
    let asked = attempt
        .failure
        .retry_after()
        .map(|wait| wait.as_secs())
        .unwrap_or(usual);
    let new = Entry {
        kind,
        since: begun,
        until: now.saturating_add(asked.clamp(1, longest)),
        uid: attempt.uid,
        reason: reason(attempt.failure),
        cure: attempt.failure.cure().unwrap_or_default().to_owned(),
    };
    match old {
        // What the runner knows of a longer wait is not cut short by one who was still under way.
        Some(old) if old.until > new.until => Some(old),
        _ => Some(new),
    }
}

/// Where it stopped and the code: `auth: 535`.
fn reason(failure: &Failure) -> String {
    let stage = failure.stage().map(|stage| stage.word());
    let code = failure.code().or(failure.err()).or(failure.reason());
    let words: Vec<&str> = [stage, code].into_iter().flatten().collect();
    words.join(": ")
}

fn split(text: &str) -> (&str, &str) {
    text.split_once('\t').unwrap_or((text, ""))
}

fn seconds(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// None of the times of a plausible entry is beyond what the system can write.
fn moment(seconds: u64) -> SystemTime {
    let after = Duration::from_secs(seconds);
    UNIX_EPOCH.checked_add(after).unwrap_or(UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::super::record::{SIZE, seal, unseal};
    use super::*;
    use crate::outcome::Stage;

    const NOW: u64 = 1_800_000_000;

    fn at(seconds: u64) -> SystemTime {
        moment(seconds)
    }

    fn down() -> Failure {
        Failure::defer("x")
            .at(Stage::Connect)
            .with_err("ECONNREFUSED")
    }

    fn refused() -> Failure {
        Failure::hold("x").at(Stage::Auth).with_code(535)
    }

    fn attempt(failure: &Failure, who: Who) -> Attempt<'_> {
        Attempt {
            failure,
            who,
            uid: 1000,
            disturbed: false,
        }
    }

    fn until(failure: &Failure, who: Who, asked: Option<u64>) -> u64 {
        let failure = match asked {
            Some(seconds) => failure
                .clone()
                .with_retry_after(Duration::from_secs(seconds)),
            None => failure.clone(),
        };
        entry(None, at(NOW), &attempt(&failure, who)).unwrap().until - NOW
    }

    #[test]
    fn a_submission_keeps_others_away_for_a_minute_at_most() {
        for failure in [down(), refused()] {
            for asked in [None, Some(3600), Some(60), Some(u64::MAX / 4)] {
                assert_eq!(until(&failure, Who::Submission, asked), 60, "{asked:?}");
            }
        }
        assert_eq!(until(&down(), Who::Submission, Some(30)), 30);
        assert_eq!(until(&down(), Who::Submission, Some(0)), 1);
    }

    #[test]
    fn the_runner_keeps_others_away_for_ten_minutes_or_an_hour_at_most() {
        assert_eq!(until(&down(), Who::Runner, None), 60);
        assert_eq!(until(&down(), Who::Runner, Some(7200)), 600);
        assert_eq!(until(&refused(), Who::Runner, None), 3600);
        assert_eq!(until(&refused(), Who::Runner, Some(7200)), 3600);
    }

    #[test]
    fn a_text_comes_back_and_always_fits_its_record() {
        let mut failure = down();
        for reason in ["", "a b", "Größe\n\0", &"long ".repeat(300)] {
            failure = failure.with_err(reason);
            let entry = Entry {
                since: u64::MAX,
                until: u64::MAX,
                uid: u32::MAX,
                reason: super::reason(&failure),
                cure: reason.to_owned(),
                kind: Kind::Defer,
            };
            let text = unseal(&seal(&entry.text()).unwrap()).unwrap();
            let read = Entry::parse(&text).unwrap();
            assert_eq!(read.since, entry.since);
            assert!(read.reason.starts_with("connect:"), "{read:?}");
        }
        let hold = entry(None, at(NOW), &attempt(&refused(), Who::Runner)).unwrap();
        assert_eq!(
            hold.text(),
            "breaker1 hold 1800000000 1800003600 1000 auth: 535"
        );
        assert_eq!(Entry::parse(&hold.text()), Some(hold));
    }

    #[test]
    fn an_entry_counts_until_its_end_and_not_from_a_far_future() {
        let entry = entry(None, at(NOW), &attempt(&down(), Who::Submission)).unwrap();
        let open = entry.open(at(NOW)).unwrap();
        assert_eq!((open.since, open.until), (at(NOW), at(NOW + 60)));
        assert!(entry.open(at(NOW + 59)).is_some());
        assert!(entry.open(at(NOW + 60)).is_none());
        // A clock set back by an hour strands nobody.
        assert!(entry.open(at(NOW - 3600)).is_some());
        assert!(entry.open(at(NOW - 3601)).is_none());
        let forged = Entry {
            until: u64::MAX,
            ..entry
        };
        assert!(forged.open(at(NOW)).is_none());
        assert!(forged.open(UNIX_EPOCH - Duration::from_secs(9)).is_none());
    }

    #[test]
    fn failures_one_after_the_other_are_one_outage_with_one_beginning() {
        let (down, refused) = (down(), refused());
        let first = entry(None, at(NOW), &attempt(&down, Who::Submission));
        let later = at(NOW + 600);
        let second = entry(first.clone(), later, &attempt(&refused, Who::Submission)).unwrap();
        assert_eq!((second.since, second.until), (NOW, NOW + 660));
        assert_eq!(second.kind, Kind::Hold);
        let next_day = at(NOW + 86_400);
        let third = entry(first, next_day, &attempt(&down, Who::Submission)).unwrap();
        assert_eq!(third.since, NOW + 86_400);
    }

    #[test]
    fn a_longer_wait_is_not_cut_short_by_a_submission_under_way() {
        let (down, refused) = (down(), refused());
        let hold = entry(None, at(NOW), &attempt(&refused, Who::Runner));
        let after = entry(hold.clone(), at(NOW), &attempt(&down, Who::Submission));
        assert_eq!(after, hold);
    }

    #[test]
    fn an_attempt_that_was_stopped_on_the_way_says_nothing() {
        let down = down();
        let disturbed = Attempt {
            disturbed: true,
            ..attempt(&down, Who::Submission)
        };
        assert_eq!(entry(None, at(NOW), &disturbed), None);
    }

    #[test]
    fn garbage_is_no_entry() {
        for text in [
            "",
            CLOSED,
            "pace1 1 2",
            "breaker1 hold",
            "breaker1 hold 1 2 -3 x",
            "breaker1 hold 1 99999999999999999999 3 x",
            "breaker2 hold 1 2 3 x",
            "breaker1 open 1 2 3 x",
        ] {
            assert_eq!(Entry::parse(text), None, "{text}");
        }
    }

    #[test]
    fn an_entry_torn_at_any_octet_is_the_old_one_the_new_one_or_none() {
        let old = entry(None, at(NOW), &attempt(&down(), Who::Submission)).unwrap();
        let new = entry(None, at(NOW + 5), &attempt(&refused(), Who::Runner)).unwrap();
        let (before, after) = (seal(&old.text()).unwrap(), seal(&new.text()).unwrap());
        for length in 0..=SIZE {
            let mut torn = before;
            torn[..length].copy_from_slice(&after[..length]);
            let read = unseal(&torn).and_then(|text| Entry::parse(&text));
            assert!(read.is_none_or(|read| read == old || read == new));
        }
    }
}
