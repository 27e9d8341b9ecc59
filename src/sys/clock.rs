//! The time of day, read once a job, and how mail writes it.
#![expect(clippy::disallowed_methods, reason = "edge: the clock")]

use std::time::{SystemTime, UNIX_EPOCH};

/// The time now. Read once a job and handed down.
pub fn now() -> SystemTime {
    SystemTime::now()
}

/// Seconds since 1970 now, as the files of the queue count.
pub fn seconds() -> u64 {
    now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

/// Lets time pass.
pub fn pause(time: std::time::Duration) {
    std::thread::sleep(time);
}

/// Time since a moment, whatever becomes of the date.
pub struct Stopwatch(std::time::Instant);

impl Stopwatch {
    /// Begins to count.
    pub fn start() -> Stopwatch {
        Stopwatch(std::time::Instant::now())
    }

    /// The time since then.
    pub fn elapsed(&self) -> std::time::Duration {
        self.0.elapsed()
    }
}

/// A moment in local time.
pub struct LocalTime {
    parts: libc::tm,
}

impl LocalTime {
    /// `at` in the time zone of /etc/localtime; UTC where the C library cannot tell.
    pub fn at(at: SystemTime) -> LocalTime {
        let seconds = match at.duration_since(UNIX_EPOCH) {
            Ok(after) => libc::time_t::try_from(after.as_secs()).unwrap_or(libc::time_t::MAX),
            Err(before) => -libc::time_t::try_from(before.duration().as_secs()).unwrap_or(0),
        };
        LocalTime {
            parts: local(seconds),
        }
    }

    /// Date and time as RFC 5322 section 3.3 writes them: `Sun, 22 Nov 2026 04:06:27 +0000`.
    pub fn rfc5322(&self) -> String {
        let tm = &self.parts;
        let minutes = tm.tm_gmtoff / 60;
        let sign = if minutes < 0 { '-' } else { '+' };
        let minutes = minutes.abs();
        format!(
            "{}, {} {} {} {} {sign}{:02}{:02}",
            self.day(),
            tm.tm_mday,
            self.month(),
            i64::from(tm.tm_year) + 1900,
            self.time(),
            minutes / 60,
            minutes % 60
        )
    }

    /// Day and time as lists of mail write them: `Sun Nov 22 04:06:27`.
    pub fn listing(&self) -> String {
        format!("{} {}", self.day(), self.syslog())
    }

    /// The stamp of a syslog line (RFC 3164 section 4.1.2): `Nov 22 04:06:27`.
    pub fn syslog(&self) -> String {
        format!("{} {:2} {}", self.month(), self.parts.tm_mday, self.time())
    }

    fn day(&self) -> &'static str {
        const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
        DAYS[index(self.parts.tm_wday, 7)]
    }

    fn month(&self) -> &'static str {
        const MONTHS: [&str; 12] = [
            "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
        ];
        MONTHS[index(self.parts.tm_mon, 12)]
    }

    fn time(&self) -> String {
        let tm = &self.parts;
        format!("{:02}:{:02}:{:02}", tm.tm_hour, tm.tm_min, tm.tm_sec)
    }
}

fn index(value: libc::c_int, count: usize) -> usize {
    usize::try_from(value).unwrap_or(0) % count
}

#[expect(unsafe_code, reason = "libc call")]
fn local(seconds: libc::time_t) -> libc::tm {
    // SAFETY: an all-zero tm is a valid value of the plain C struct.
    let mut parts: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are valid for the call; localtime_r keeps neither.
    let answer = unsafe { libc::localtime_r(&seconds, &mut parts) };
    if answer.is_null() {
        // SAFETY: as above.
        unsafe { libc::gmtime_r(&seconds, &mut parts) };
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_date_is_one_that_mail_readers_take() {
        let at = UNIX_EPOCH + Duration::from_secs(1_795_320_387);
        let date = LocalTime::at(at).rfc5322();
        assert_eq!(
            mailparse::dateparse(&date).unwrap(),
            1_795_320_387,
            "{date}"
        );
    }

    #[test]
    fn a_clock_before_1970_does_not_panic() {
        let date = LocalTime::at(UNIX_EPOCH - Duration::from_secs(86_400)).rfc5322();
        assert!(date.contains("1969"), "{date}");
    }
}
