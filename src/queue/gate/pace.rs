//! The rate of a host: a bucket that fills with time and empties with messages.
//!
//! `pace1 LEVEL STAMP`, the stamp in milliseconds since 1970. One message is 60,000 units, so that
//! each millisecond brings as many units as messages are allowed in a minute, and nothing is rounded.

use super::{Pace, Who};

/// Units of one message.
const MESSAGE: i64 = 60_000;

/// Messages that may leave at once after a pause.
const BURST: i64 = 10;

/// Messages that the runner leaves in the bucket for mail that somebody waits for.
const KEPT: i64 = 5;

/// An empty bucket may be drawn on this far ahead.
const AHEAD_MILLIS: i64 = 5_000;

/// What the bucket held at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bucket {
    /// Below zero by what is promised ahead.
    level: i64,
    stamp_millis: u64,
}

impl Bucket {
    /// A full bucket, as a host has it that sent nothing for a while.
    pub(super) fn full(now_millis: u64) -> Bucket {
        Bucket {
            level: BURST * MESSAGE,
            stamp_millis: now_millis,
        }
    }

    /// The bucket of a text.
    pub(super) fn parse(text: &str) -> Option<Bucket> {
        let mut words = text.split(' ');
        if words.next()? != "pace1" {
            return None;
        }
        Some(Bucket {
            level: words.next()?.parse().ok()?,
            stamp_millis: words.next()?.parse().ok()?,
        })
    }

    /// The text for a record.
    pub(super) fn text(&self) -> String {
        format!("pace1 {} {}", self.level, self.stamp_millis)
    }

    /// Lets one message through, now or soon, if the rate of messages a minute permits.
    pub(super) fn turn(&mut self, per_minute: u32, now_millis: u64, who: Who) -> Pace {
        let rate = i64::from(per_minute.max(1));
        self.fill(rate, now_millis);
        match who {
            Who::Submission => {
                let wait = millis_until(MESSAGE - self.level, rate);
                if wait > AHEAD_MILLIS {
                    return Pace::Queue;
                }
                self.level -= MESSAGE;
                match wait.unsigned_abs() {
                    0 => Pace::Go,
                    wait => Pace::GoAfterMillis(wait),
                }
            }
            Who::Runner => {
                let wait = millis_until((KEPT + 1) * MESSAGE - self.level, rate);
                if wait > 0 {
                    return Pace::AskAfterMillis(wait.unsigned_abs());
                }
                self.level -= MESSAGE;
                Pace::Go
            }
        }
    }

    /// Adds what has come since; a clock that was set back brings nothing and takes nothing.
    fn fill(&mut self, rate: i64, now_millis: u64) {
        let passed = now_millis.saturating_sub(self.stamp_millis);
        let passed = i64::try_from(passed).unwrap_or(i64::MAX);
        let lowest = rate.saturating_mul(-AHEAD_MILLIS);
        let level = self.level.max(lowest);
        let level = level.saturating_add(passed.saturating_mul(rate));
        self.level = level.min(BURST * MESSAGE);
        self.stamp_millis = now_millis;
    }
}

/// Milliseconds until `units` have come, rounded up; zero if they are there.
fn millis_until(units: i64, rate: i64) -> i64 {
    units.max(0).saturating_add(rate - 1) / rate
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000_000;

    fn xorshift(state: &mut u64) -> u64 {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        *state
    }

    #[test]
    fn ten_go_at_once_then_two_wait_their_turn_and_the_next_is_queued() {
        let mut bucket = Bucket::full(NOW);
        for _ in 0..10 {
            assert_eq!(bucket.turn(25, NOW, Who::Submission), Pace::Go);
        }
        let turns = [(); 3].map(|()| bucket.turn(25, NOW, Who::Submission));
        assert_eq!(
            turns,
            [
                Pace::GoAfterMillis(2400),
                Pace::GoAfterMillis(4800),
                Pace::Queue
            ]
        );
        assert_eq!(
            bucket.turn(25, NOW + 2400, Who::Submission),
            Pace::GoAfterMillis(4800)
        );
        assert_eq!(bucket.turn(25, NOW + 60_000, Who::Submission), Pace::Go);
    }

    #[test]
    fn the_runner_leaves_five_for_mail_that_somebody_waits_for() {
        let mut bucket = Bucket::full(NOW);
        for _ in 0..5 {
            assert_eq!(bucket.turn(25, NOW, Who::Runner), Pace::Go);
        }
        assert_eq!(
            bucket.turn(25, NOW, Who::Runner),
            Pace::AskAfterMillis(2400)
        );
        for _ in 0..5 {
            assert_eq!(bucket.turn(25, NOW, Who::Submission), Pace::Go);
        }
        let wait = Pace::AskAfterMillis(6 * 2400);
        assert_eq!(bucket.turn(25, NOW, Who::Runner), wait);
        assert_eq!(bucket.turn(25, NOW + 6 * 2400, Who::Runner), Pace::Go);
    }

    /// Whatever comes when, and whoever asks: at no moment have more messages left in any time
    /// before it than the burst and what the rate brings in that time.
    #[test]
    fn no_window_of_any_length_sees_more_than_rate_and_burst() {
        let mut random = 0x9e37_79b9_7f4a_7c15;
        for round in 0..60 {
            let per_minute = 1 + (xorshift(&mut random) % 120) as u32;
            let busy = 1 + xorshift(&mut random) % 5_000;
            let (mut now, mut bucket, mut sent) = (NOW, Bucket::full(NOW), Vec::new());
            for _ in 0..400 {
                now += xorshift(&mut random) % busy;
                let who = match xorshift(&mut random) % 3 {
                    0 => Who::Runner,
                    _ => Who::Submission,
                };
                match bucket.turn(per_minute, now, who) {
                    Pace::Go => sent.push(now),
                    Pace::GoAfterMillis(wait) => {
                        assert!((1..=5000).contains(&wait));
                        sent.push(now + wait);
                    }
                    Pace::AskAfterMillis(_) | Pace::Queue => {}
                }
                bucket = Bucket::parse(&bucket.text()).unwrap();
            }
            sent.sort_unstable();
            for (first, from) in sent.iter().enumerate() {
                for (last, to) in sent.iter().enumerate().skip(first) {
                    let brought = (to - from) * u64::from(per_minute) / 60_000;
                    let left = (last - first + 1) as u64;
                    assert!(left <= brought + BURST as u64, "round {round}");
                }
            }
        }
    }

    #[test]
    fn a_steady_sender_at_the_rate_is_never_held_up() {
        let mut bucket = Bucket::full(NOW);
        for minute in 0..1000 {
            let now = NOW + minute * 2400;
            assert_eq!(bucket.turn(25, now, Who::Submission), Pace::Go);
        }
    }

    #[test]
    fn a_clock_that_goes_back_neither_strands_nor_refills() {
        let mut bucket = Bucket::full(NOW);
        while bucket.turn(25, NOW, Who::Submission) != Pace::Queue {}
        let earlier = NOW - 86_400_000;
        assert_eq!(bucket.turn(25, earlier, Who::Submission), Pace::Queue);
        assert_eq!(
            bucket.turn(25, earlier + 4800, Who::Submission),
            Pace::GoAfterMillis(2400)
        );
    }

    #[test]
    fn no_level_stamp_rate_or_clock_makes_it_panic_or_lets_more_than_the_burst_through() {
        let extremes = [0, 1, NOW, u64::MAX];
        for level in [i64::MIN, -1, 0, 1, i64::MAX] {
            for stamp_millis in extremes {
                for per_minute in [0, 1, 25, u32::MAX] {
                    for now in extremes {
                        let mut bucket = Bucket {
                            level,
                            stamp_millis,
                        };
                        let turns = (0..20).map(|_| bucket.turn(per_minute, now, Who::Submission));
                        let gone = turns.filter(|turn| *turn == Pace::Go).count();
                        assert!(gone <= BURST as usize);
                        bucket.turn(per_minute, now, Who::Runner);
                    }
                }
            }
        }
        for text in ["", "pace1", "pace1 x 1", "pace1 1 -1", "breaker1 closed"] {
            assert_eq!(Bucket::parse(text), None, "{text}");
        }
    }
}
