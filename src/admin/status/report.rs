//! The state of a host as text for people and as JSON for programs.

use crate::outcome::printable;
use crate::queue::list::ascii;
use crate::submit::UNUSED_DAYS_MAX;
use crate::sys::clock::LocalTime;
use serde_json::{Value, json};
use std::time::{Duration, UNIX_EPOCH};

/// Microsoft ends a refresh token that nobody has used for so long.
pub(super) const UNUSED_SECONDS_MAX: u64 = UNUSED_DAYS_MAX * DAY;

const DAY: u64 = 24 * 60 * 60;

/// Runs come every minute; after so long without one, nobody starts them.
const REGULAR_SECONDS: u64 = 600;

/// All that `status` tells; times in seconds since 1970.
pub(super) struct Report {
    pub(super) account: Account,
    pub(super) grant: &'static str,
    /// Or why nothing is to be seen of it.
    pub(super) sign_in: Result<SignIn, String>,
    pub(super) ends: Option<Ends>,
    pub(super) queue: Result<Queue, String>,
    pub(super) hold: Result<Option<Hold>, String>,
    pub(super) last_error: Option<LastError>,
    pub(super) next_run: NextRun,
    pub(super) warnings: Vec<Told>,
    pub(super) now: u64,
}

pub(super) struct Account {
    pub(super) mailbox: String,
    pub(super) user: String,
    pub(super) tenant: String,
    pub(super) application: String,
    pub(super) cloud: &'static str,
    pub(super) server: String,
}

pub(super) struct SignIn {
    pub(super) flow: String,
    pub(super) user: Option<String>,
    pub(super) tenant: Option<String>,
    /// The object id of the user, or of the enterprise application.
    pub(super) object: Option<String>,
    pub(super) obtained: u64,
    pub(super) access_token_ends: Option<u64>,
    /// If nobody uses it until then.
    pub(super) refresh_token_ends: Option<u64>,
}

/// What the grant is made with, and when that ends.
pub(super) enum Ends {
    /// Unknown if the certificate's own words cannot be read.
    Certificate(Option<u64>),
    /// Unknown; the portal knows.
    Secret(&'static str),
}

pub(super) struct Queue {
    pub(super) waiting: usize,
    pub(super) oldest: Option<u64>,
    pub(super) failed: usize,
    /// Whether the messages of all users were counted.
    pub(super) all: bool,
}

pub(super) struct Hold {
    /// `hold`, or `down` if it passes by itself.
    pub(super) kind: &'static str,
    pub(super) since: u64,
    pub(super) until: u64,
    pub(super) reason: String,
    pub(super) cure: Option<String>,
}

pub(super) struct LastError {
    pub(super) at: u64,
    pub(super) text: String,
}

pub(super) struct NextRun {
    pub(super) enabled: bool,
    pub(super) starter: Option<String>,
    pub(super) is_hosts: bool,
    pub(super) last: Option<u64>,
}

/// A warning: short cause, text, what to do.
pub(super) struct Told {
    pub(super) reason: String,
    pub(super) what: String,
    pub(super) cure: Option<String>,
}

impl Report {
    /// Lines of `NAME: value`, the values below each other.
    pub(super) fn text(&self) -> String {
        let mut lines = Lines::default();
        self.account_lines(&mut lines);
        self.sign_in_lines(&mut lines);
        self.queue_lines(&mut lines);
        lines.add("next run", self.next_run.text(self.now));
        for one in &self.warnings {
            lines.add("warning", &one.what);
            lines.add_if("do", one.cure.as_deref());
        }
        lines.text()
    }

    fn account_lines(&self, lines: &mut Lines) {
        let account = &self.account;
        lines.add("mailbox", &account.mailbox);
        let delegate = account.user != account.mailbox;
        lines.add_if("signs in as", delegate.then_some(&account.user));
        let given = |text: &'_ String| (!text.is_empty()).then(|| text.clone());
        lines.add_if("tenant", given(&account.tenant));
        lines.add_if("application", given(&account.application));
        lines.add("cloud", account.cloud);
        lines.add("server", &account.server);
        lines.add("grant", self.grant);
    }

    fn sign_in_lines(&self, lines: &mut Lines) {
        match &self.sign_in {
            Ok(sign_in) => sign_in.lines(lines, self.now),
            Err(why) => lines.add("sign-in", format!("none: {why}")),
        }
        match &self.ends {
            Some(Ends::Certificate(Some(end))) => {
                lines.add("certificate", until(*end, self.now));
            }
            Some(Ends::Certificate(None)) => {
                lines.add("certificate", "its end cannot be read");
            }
            Some(Ends::Secret(portal)) => lines.add(
                "client secret",
                format!(
                    "Microsoft does not tell when it ends; see Certificates & secrets of the \
                     registration in {portal}"
                ),
            ),
            None => {}
        }
    }

    fn queue_lines(&self, lines: &mut Lines) {
        match &self.queue {
            Ok(queue) => lines.add("queue", queue.text(self.now)),
            Err(why) => lines.add("queue", why),
        }
        match &self.hold {
            Ok(Some(hold)) => {
                let (name, end) = match hold.kind {
                    "hold" => ("on hold", "; then `sendmail -qf` ends it"),
                    _ => ("server down", ""),
                };
                let since = date(hold.since);
                lines.add(name, format!("since {since}: {}", hold.reason));
                let cure = hold.cure.as_ref().map(|cure| format!("{cure}{end}"));
                lines.add_if("do", cure);
            }
            Ok(None) => {}
            Err(why) => lines.add("on hold", why),
        }
        if let Some(error) = &self.last_error {
            lines.add("last error", format!("{}: {}", date(error.at), error.text));
        }
    }

    /// One object; keys are only ever added.
    pub(super) fn json(&self) -> String {
        let account = &self.account;
        let sign_in = self.sign_in.as_ref().ok();
        let queue = self.queue.as_ref().ok();
        let hold = self.hold.as_ref().ok().and_then(Option::as_ref);
        let object = json!({
            "account": {
                "mailbox": account.mailbox,
                "user": account.user,
                "tenant": account.tenant,
                "application": account.application,
                "cloud": account.cloud,
                "server": account.server,
            },
            "grant": self.grant,
            "sign_in": sign_in.map(SignIn::json),
            "sign_in_missing": self.sign_in.as_ref().err(),
            "certificate_ends": match self.ends {
                Some(Ends::Certificate(end)) => end,
                _ => None,
            },
            "queue": queue.map(|queue| json!({
                "waiting": queue.waiting,
                "oldest": queue.oldest,
                "failed": queue.failed,
                "all_users": queue.all,
            })),
            "queue_missing": self.queue.as_ref().err(),
            "hold": hold.map(|hold| json!({
                "kind": hold.kind,
                "since": hold.since,
                "until": hold.until,
                "reason": hold.reason,
                "fix": hold.cure,
            })),
            "hold_missing": self.hold.as_ref().err(),
            "last_error": self.last_error.as_ref().map(|error| json!({
                "at": error.at,
                "text": error.text,
            })),
            "next_run": self.next_run.json(self.now),
            "warnings": self.warnings.iter().map(|one| json!({
                "reason": one.reason,
                "what": one.what,
                "fix": one.cure,
            })).collect::<Vec<Value>>(),
        });
        ascii(&object.to_string()) + "\n"
    }
}

impl SignIn {
    fn lines(&self, lines: &mut Lines, now: u64) {
        let by = match &self.user {
            Some(user) => format!("{} (as {user})", in_words(&self.flow)),
            None => in_words(&self.flow).to_owned(),
        };
        lines.add("sign-in", by);
        lines.add(
            "access token",
            match self.access_token_ends {
                Some(end) => until(end, now),
                None => "none is stored; the next message gets one".to_owned(),
            },
        );
        if let Some(end) = self.refresh_token_ends {
            let days = now.saturating_sub(self.obtained) / DAY;
            let used = match days {
                0 => "today".to_owned(),
                1 => "a day ago".to_owned(),
                days => format!("{days} days ago"),
            };
            lines.add(
                "refresh token",
                format!(
                    "used last {used}; ends after {UNUSED_DAYS_MAX} days without use, {}",
                    date(end)
                ),
            );
        }
    }

    fn json(&self) -> Value {
        json!({
            "flow": self.flow,
            "user": self.user,
            "tenant": self.tenant,
            "object_id": self.object,
            "obtained": self.obtained,
            "access_token_ends": self.access_token_ends,
            "refresh_token_ends": self.refresh_token_ends,
        })
    }
}

impl Queue {
    fn text(&self, now: u64) -> String {
        let mut text = match self.waiting {
            0 => "nothing waits".to_owned(),
            count => format!("{count} waiting"),
        };
        if let Some(oldest) = self.oldest {
            text += &format!(", the oldest for {}", span(now.saturating_sub(oldest)));
        }
        if self.failed > 0 {
            text += &format!(", {} failed", self.failed);
        }
        if !self.all {
            text += " (of your own; root sees all)";
        }
        text
    }
}

impl NextRun {
    fn is_regular(&self, now: u64) -> bool {
        self.last
            .is_some_and(|last| now.saturating_sub(last) < REGULAR_SECONDS)
    }

    fn text(&self, now: u64) -> String {
        let last = match self.last {
            Some(last) => format!("the last one {} ago", span(now.saturating_sub(last))),
            None => "none is on record".to_owned(),
        };
        match &self.starter {
            _ if !self.enabled => "nothing is queued".to_owned(),
            Some(starter) => format!("every minute by {starter}; {last}"),
            None if self.is_regular(now) => format!("within minutes; {last}"),
            None if self.is_hosts => format!(
                "nobody runs the queue ({last}); as root: systemctl enable --now \
                 sendmail365-queue.timer, or a line for `sendmail365 -q` in /etc/cron.d"
            ),
            None => format!(
                "nobody runs the queue ({last}); have `sendmail365 -q` run every minute by your crontab"
            ),
        }
    }

    fn json(&self, now: u64) -> Value {
        json!({
            "started_by": self.starter,
            "regular": self.is_regular(now),
            "last": self.last,
        })
    }
}

/// How a sign-in came about.
fn in_words(flow: &str) -> &str {
    match flow {
        "device" => "with a code on another device",
        "browser" => "with a browser",
        "paste" => "with a browser elsewhere",
        "import" => "with a token from elsewhere",
        _ => "nobody has to sign in",
    }
}

fn until(end: u64, now: u64) -> String {
    match end.checked_sub(now) {
        Some(left) if left > 0 => format!("until {} ({})", date(end), span(left)),
        _ => format!("ended {}", date(end)),
    }
}

/// A length of time in its largest unit.
fn span(seconds: u64) -> String {
    let (count, unit) = match seconds {
        0..120 => (seconds, "second"),
        120..7200 => (seconds / 60, "minute"),
        7200..172_800 => (seconds / 3600, "hour"),
        _ => (seconds / DAY, "day"),
    };
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{plural}")
}

fn date(seconds: u64) -> String {
    const YEAR_9999: u64 = 253_402_300_799;
    LocalTime::at(UNIX_EPOCH + Duration::from_secs(seconds.min(YEAR_9999))).rfc5322()
}

/// Names and values, escaped.
#[derive(Default)]
struct Lines(Vec<(&'static str, String)>);

impl Lines {
    fn add(&mut self, name: &'static str, value: impl AsRef<str>) {
        self.0.push((name, printable(value.as_ref().as_bytes())));
    }

    fn add_if(&mut self, name: &'static str, value: Option<impl AsRef<str>>) {
        if let Some(value) = value {
            self.add(name, value);
        }
    }

    fn text(&self) -> String {
        let widest = self.0.iter().map(|(name, _)| name.len()).max().unwrap_or(0) + 1;
        let line = |(name, value): &(&str, String)| {
            let name = format!("{name}:");
            format!("{name:widest$} {value}\n")
        };
        self.0.iter().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_told_in_their_largest_unit() {
        for (seconds, text) in [
            (0, "0 seconds"),
            (1, "1 second"),
            (119, "119 seconds"),
            (120, "2 minutes"),
            (7200, "2 hours"),
            (172_800, "2 days"),
        ] {
            assert_eq!(span(seconds), text);
        }
    }

    #[test]
    fn values_stand_below_each_other_and_are_harmless() {
        let mut lines = Lines::default();
        lines.add("mailbox", "a@x.test");
        lines.add("on", "\u{1b}[2J");
        assert_eq!(lines.text(), "mailbox: a@x.test\non:      \\x1b[2J\n");
    }

    #[test]
    fn without_a_run_for_ten_minutes_nobody_runs_the_queue() {
        let run = |last, is_hosts| NextRun {
            enabled: true,
            starter: None,
            is_hosts,
            last,
        };
        assert!(run(Some(1000), false).text(1060).starts_with("within"));
        for (last, is_hosts, cure) in [
            (None, true, "systemctl"),
            (Some(1000), true, "systemctl"),
            (Some(1000), false, "crontab"),
        ] {
            let text = run(last, is_hosts).text(1600);
            assert!(text.starts_with("nobody") && text.contains(cure), "{text}");
        }
    }
}
