//! The queue as people and monitoring read it: the columns of Postfix, or JSON.
//!
//! Whatever came from outside is escaped here. The line with the total, or the one that says the
//! queue is empty, stands last: check_mailq and its kind read no other.

use super::entry::{Entry, Mark};
use super::gate::{Kind, Open};
use super::state::Class;
use crate::outcome::printable;
use crate::sys::clock::LocalTime;
use serde::Serialize;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// One message of a list.
#[derive(Debug)]
pub struct Row {
    /// Its id; in failed/ also why it stands there, as the file is named.
    pub name: String,
    /// Who handed it in; not to be forged.
    pub uid: u32,
    pub size_bytes: u64,
    /// In seconds since 1970, as all times here.
    pub arrival: u64,
    /// The envelope, or why it cannot be read.
    pub entry: Result<Entry, String>,
    /// Another process works on it at this moment.
    pub in_hand: bool,
    /// Why it stands in failed/; none if it is queued.
    pub failed: Option<String>,
}

/// What the list of the queue is made of.
pub struct View<'a> {
    pub rows: &'a [Row],
    /// How many messages stand in failed/.
    pub failed: usize,
    /// Why nobody connects at the moment.
    pub open: Option<&'a Open>,
    /// Messages that leave in a minute.
    pub per_minute: u32,
    pub now: u64,
    pub verbose: bool,
}

/// The list of the queue, as `mailq` prints it.
pub fn text(view: &View<'_>) -> String {
    let mut lines: Vec<String> = hold(view).into_iter().collect();
    if !view.rows.is_empty() {
        lines.push(table(view.rows, view.now, view.verbose));
    }
    lines.extend(estimate(view.rows.len(), view.per_minute));
    if view.failed > 0 {
        let count = view.failed;
        lines.push(format!(
            "{count} failed, see `sendmail365 queue list --failed`"
        ));
    }
    lines.push(match view.rows {
        [] => "Mail queue is empty".to_owned(),
        rows => total(rows),
    });
    ended(&lines)
}

/// The list of what stands in failed/, in the same columns.
pub fn failed_text(rows: &[Row], now: u64, verbose: bool) -> String {
    match rows {
        [] => "No message has failed\n".to_owned(),
        rows => ended(&[table(rows, now, verbose), total(rows)]),
    }
}

/// One object a line; without the header and the body.
pub fn json(rows: &[Row]) -> String {
    rows.iter()
        .map(|row| row.json(None))
        .fold(String::new(), |all, line| all + &line + "\n")
}

impl Row {
    /// The message as one line of JSON, with its header if one is given.
    pub fn json(&self, header: Option<&[u8]>) -> String {
        let entry = self.entry.as_ref().ok();
        let object = Object {
            id: &self.name,
            uid: self.uid,
            user: entry.map(|entry| entry.origin.user.as_str()),
            sender: entry.map(|entry| entry.sender.as_deref().unwrap_or_default()),
            recipients: entry.map_or(Vec::new(), |entry| {
                let all = entry.recipients.iter();
                all.map(|recipient| To {
                    address: &recipient.path,
                    state: state_word(recipient.mark),
                })
                .collect()
            }),
            size: self.size_bytes,
            arrival: self.arrival,
            next: entry
                .filter(|_| self.failed.is_none())
                .map(|entry| entry.state.next),
            attempts: entry.map(|entry| entry.state.attempts),
            class: self.class(),
            sending: self.in_hand,
            reason: self.reason(),
            header: header.map(|octets| String::from_utf8_lossy(octets).into_owned()),
        };
        // Numbers, texts and lists of them: nothing that JSON has no words for.
        ascii(&serde_json::to_string(&object).unwrap_or_default())
    }

    /// Envelope and state as `queue show` prints them, one a line.
    pub fn details(&self, now: u64) -> String {
        let mut lines = vec![
            format!("id: {}", printable(self.name.as_bytes())),
            format!("state: {}", self.class()),
        ];
        lines.extend(self.reason().map(|reason| format!("reason: {reason}")));
        if self.in_hand {
            lines.push("sending: at this moment".to_owned());
        }
        let mut user = format!("uid {}", self.uid);
        if let Ok(entry) = &self.entry {
            user = format!("{} ({user})", printable(entry.origin.user.as_bytes()));
            lines.push(format!("attempts: {}", entry.state.attempts));
            if entry.state.last > 0 {
                lines.push(format!("last try: {}", date(entry.state.last)));
            }
            if self.failed.is_none() {
                lines.push(format!("next try: {}", next(entry.state.next, now)));
            }
        }
        lines.push(format!("arrival: {}", date(self.arrival)));
        lines.push(format!("size: {} octets", self.size_bytes));
        lines.push(format!("user: {user}"));
        lines.push(format!("from: {}", self.sender()));
        if let Ok(entry) = &self.entry {
            lines.extend(entry.recipients.iter().map(|recipient| {
                let address = printable(recipient.path.as_bytes());
                format!("to: {address} ({})", state_word(recipient.mark))
            }));
        }
        ended(&lines)
    }

    fn class(&self) -> &'static str {
        match (&self.failed, &self.entry) {
            (Some(_), _) => "failed",
            (None, Ok(entry)) => entry.state.class.word(),
            (None, Err(_)) => "damaged",
        }
    }

    /// Why the message waits or lies aside, escaped; none if nothing is known.
    fn reason(&self) -> Option<String> {
        let reply = self.entry.as_ref().map_or("", |entry| &entry.state.reply);
        let begin = match (&self.failed, &self.entry) {
            (Some(word), _) => word.clone(),
            (None, Err(why)) => format!("cannot be read: {why}"),
            (None, Ok(entry)) if entry.state.class == Class::Unsure => {
                "it may have been accepted already".to_owned()
            }
            (None, Ok(_)) => String::new(),
        };
        let parts = [begin.as_str(), reply];
        let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        (!parts.is_empty()).then(|| printable(parts.join(": ").as_bytes()))
    }

    fn flag(&self) -> &'static str {
        match &self.entry {
            _ if self.in_hand => "*",
            Ok(entry) if entry.state.class == Class::Hold && self.failed.is_none() => "!",
            _ => "",
        }
    }

    fn sender(&self) -> String {
        match &self.entry {
            Ok(entry) => match &entry.sender {
                Some(path) => printable(path.as_bytes()),
                None => "<>".to_owned(),
            },
            Err(_) => "?".to_owned(),
        }
    }

    fn lines(&self, now: u64, verbose: bool) -> Vec<String> {
        let name = format!("{}{}", printable(self.name.as_bytes()), self.flag());
        let arrival = local(self.arrival).listing();
        let size = self.size_bytes;
        let mut lines = vec![format!("{name:<11} {size:>7} {arrival}  {}", self.sender())];
        lines.extend(self.reason().map(|reason| format!("{:20}({reason})", "")));
        if let Ok(entry) = &self.entry {
            if verbose {
                lines.push(format!("{:20}({})", "", self.tries(entry, now)));
            }
            let missing = entry.recipients.iter();
            let missing = missing.filter(|recipient| recipient.mark != Mark::Done);
            lines.extend(missing.map(|recipient| {
                let note = match recipient.mark {
                    Mark::Failed => " (refused)",
                    _ => "",
                };
                format!("{:41}{}{note}", "", printable(recipient.path.as_bytes()))
            }));
        }
        lines.push(String::new());
        lines
    }

    fn tries(&self, entry: &Entry, now: u64) -> String {
        let attempts = match entry.state.attempts {
            1 => "1 attempt".to_owned(),
            count => format!("{count} attempts"),
        };
        match self.failed {
            Some(_) => attempts,
            None => format!("next try {}, {attempts}", next(entry.state.next, now)),
        }
    }
}

/// A message as JSON.
#[derive(Serialize)]
struct Object<'a> {
    id: &'a str,
    uid: u32,
    user: Option<&'a str>,
    sender: Option<&'a str>,
    recipients: Vec<To<'a>>,
    size: u64,
    arrival: u64,
    next: Option<u64>,
    attempts: Option<u32>,
    class: &'static str,
    sending: bool,
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    header: Option<String>,
}

#[derive(Serialize)]
struct To<'a> {
    address: &'a str,
    state: &'static str,
}

fn state_word(mark: Mark) -> &'static str {
    match mark {
        Mark::Pending => "pending",
        Mark::Done => "sent",
        Mark::Failed => "refused",
    }
}

/// The same JSON without an octet that could mean something to a terminal.
pub fn ascii(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for character in json.chars() {
        match character {
            ' '..='~' => text.push(character),
            _ => {
                let mut units = [0; 2];
                for unit in character.encode_utf16(&mut units) {
                    text.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
    text
}

fn table(rows: &[Row], now: u64, verbose: bool) -> String {
    let mut lines =
        vec!["-Queue ID-  --Size-- ----Arrival Time---- -Sender/Recipient-------".to_owned()];
    lines.extend(rows.iter().flat_map(|row| row.lines(now, verbose)));
    lines.join("\n")
}

fn total(rows: &[Row]) -> String {
    let octets = rows
        .iter()
        .map(|row| row.size_bytes)
        .fold(0, u64::saturating_add);
    format!(
        "-- {} Kbytes in {} Requests.",
        octets.div_ceil(1024),
        rows.len()
    )
}

/// Why nothing moves until somebody acts, and which command ends it.
fn hold(view: &View<'_>) -> Option<String> {
    if let Some(open) = view.open.filter(|open| open.kind == Kind::Hold) {
        let since = LocalTime::at(open.since).rfc5322();
        let reason = printable(open.reason.as_bytes());
        let cure = open.cure.as_deref().unwrap_or(CURE);
        return Some(format!(
            "Delivery is on hold since {since}: {reason}; {}; {END}",
            printable(cure.as_bytes())
        ));
    }
    let entries = view.rows.iter().filter_map(|row| row.entry.as_ref().ok());
    let held: Vec<&Entry> = entries
        .filter(|entry| entry.state.class == Class::Hold)
        .collect();
    let latest = held.iter().max_by_key(|entry| entry.state.last)?;
    let reason = printable(latest.state.reply.as_bytes());
    Some(format!(
        "{} of {} on hold: {reason}; {CURE}; {END}",
        held.len(),
        view.rows.len(),
    ))
}

const CURE: &str = "put the cause right";

const END: &str = "then `sendmail -qf` ends it";

/// How long a queue takes that is more than the messages of one minute.
fn estimate(count: usize, per_minute: u32) -> Option<String> {
    let count = u64::try_from(count).unwrap_or(u64::MAX);
    let rate = u64::from(per_minute.max(1));
    let minutes = count.div_ceil(rate);
    let time = match minutes {
        0 | 1 => return None,
        2..120 => format!("{minutes} minutes"),
        _ => format!("{:.1} hours", minutes as f64 / 60.0),
    };
    Some(format!(
        "{count} messages take about {time} at {rate} a minute"
    ))
}

fn next(next: u64, now: u64) -> String {
    match next <= now {
        true => "as soon as the queue runs".to_owned(),
        false => date(next),
    }
}

fn date(seconds: u64) -> String {
    local(seconds).rfc5322()
}

fn local(seconds: u64) -> LocalTime {
    LocalTime::at(moment(seconds))
}

/// A moment that a damaged file may have put beyond all calendars.
fn moment(seconds: u64) -> SystemTime {
    const YEAR_9999: u64 = 253_402_300_799;
    UNIX_EPOCH + Duration::from_secs(seconds.min(YEAR_9999))
}

fn ended(lines: &[String]) -> String {
    let mut text = lines.join("\n");
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::spool::tests::entry;
    use super::super::state::State;
    use super::*;

    fn row(entry: Entry) -> Row {
        Row {
            name: "1hk9c7ti00000-0000000000001".to_owned(),
            uid: 33,
            size_bytes: 1500,
            arrival: 1_795_320_387,
            entry: Ok(entry),
            in_hand: false,
            failed: None,
        }
    }

    fn waiting(class: Class, reply: &str) -> Row {
        let state = State {
            attempts: 2,
            next: 1_795_320_999,
            last: 1_795_320_400,
            class,
            reply: reply.to_owned(),
            ..State::default()
        };
        row(Entry { state, ..entry(33) })
    }

    fn view(rows: &[Row]) -> View<'_> {
        View {
            rows,
            failed: 0,
            open: None,
            per_minute: 25,
            now: 1_795_320_500,
            verbose: false,
        }
    }

    #[test]
    fn the_columns_are_those_of_postfix() {
        let rows = [waiting(Class::Defer, "451 4.3.2 later")];
        let time = local(1_795_320_387).listing();
        assert_eq!(
            text(&view(&rows)),
            format!(
                "-Queue ID-  --Size-- ----Arrival Time---- -Sender/Recipient-------\n\
                 1hk9c7ti00000-0000000000001    1500 {time}  <>\n\
                 \x20                   (451 4.3.2 later)\n\
                 \x20                                        a@x.test\n\
                 \x20                                        b@x.test\n\
                 \n\
                 -- 2 Kbytes in 1 Requests.\n"
            )
        );
        assert_eq!(text(&view(&[])), "Mail queue is empty\n");
    }

    #[test]
    fn the_last_line_is_the_one_that_monitoring_reads() {
        let rows: Vec<Row> = (0..26).map(|_| waiting(Class::Hold, "auth: 535")).collect();
        let all = View {
            failed: 3,
            ..view(&rows)
        };
        let shown = text(&all);
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(
            lines[0],
            "26 of 26 on hold: auth: 535; put the cause right; then `sendmail -qf` ends it"
        );
        let end = [
            "",
            "26 messages take about 2 minutes at 25 a minute",
            "3 failed, see `sendmail365 queue list --failed`",
            "-- 39 Kbytes in 26 Requests.",
        ];
        assert!(lines.ends_with(&end), "{shown}");
        let empty = View {
            failed: 3,
            ..view(&[])
        };
        assert!(text(&empty).ends_with("\nMail queue is empty\n"));
    }

    #[test]
    fn who_is_being_sent_has_a_star_and_who_is_held_a_mark() {
        let held = waiting(Class::Hold, "x");
        assert!(text(&view(&[held])).contains("0001!    1500 "));
        let sent = Row {
            in_hand: true,
            ..waiting(Class::Hold, "x")
        };
        assert!(text(&view(&[sent])).contains("0001*    1500 "));
    }

    #[test]
    fn a_hold_of_all_comes_first_with_the_command_that_ends_it() {
        let open = |kind, cure: Option<&str>| Open {
            kind,
            cure: cure.map(str::to_owned),
            since: UNIX_EPOCH,
            until: UNIX_EPOCH,
            reason: "auth: 535".to_owned(),
            uid: 0,
        };
        let first = |open: &Open| {
            let view = View {
                open: Some(open),
                ..view(&[])
            };
            text(&view).lines().next().unwrap_or_default().to_owned()
        };
        let line = first(&open(Kind::Hold, Some("Set-CASMailbox\n")));
        assert!(line.starts_with("Delivery is on hold since "), "{line}");
        assert!(
            line.ends_with(": auth: 535; Set-CASMailbox\\x0a; then `sendmail -qf` ends it"),
            "{line}"
        );
        let line = first(&open(Kind::Hold, None));
        assert!(
            line.ends_with("; put the cause right; then `sendmail -qf` ends it"),
            "{line}"
        );
        assert_eq!(first(&open(Kind::Defer, None)), "Mail queue is empty");
    }

    #[test]
    fn text_from_outside_reaches_no_terminal_and_forges_no_line() {
        let mut hostile = entry(33);
        hostile.sender = Some("\u{1b}[2J\n-- 0 Kbytes in 0 Requests.".to_owned());
        hostile.recipients[0].path = "é\u{9b}\r\"@x.test".to_owned();
        hostile.origin.user = "\u{7}\u{7f}".to_owned();
        hostile.state.reply = "\u{1b}\n".to_owned();
        let rows = [row(hostile)];
        let view = View {
            verbose: true,
            ..view(&rows)
        };
        for shown in [text(&view), json(&rows), rows[0].details(0)] {
            let fine = shown
                .bytes()
                .all(|octet| matches!(octet, b' '..=b'~' | b'\n'));
            assert!(fine && !shown.contains("\n-- 0"), "{shown}");
        }
        let value: serde_json::Value = serde_json::from_str(&json(&rows)).unwrap();
        assert_eq!(value["recipients"][0]["address"], "é\u{9b}\r\"@x.test");
        assert_eq!(value["user"], "\u{7}\u{7f}");
    }

    #[test]
    fn json_has_one_object_a_line_and_never_the_message() {
        let mut refused = waiting(Class::Unsure, "250?");
        if let Ok(entry) = &mut refused.entry {
            entry.recipients[1].mark = Mark::Done;
        }
        let damaged = Row {
            entry: Err("truncated".to_owned()),
            ..row(entry(33))
        };
        let rows = [refused, damaged];
        let shown = json(&rows);
        let values: Vec<serde_json::Value> = shown
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(values.len(), 2);
        assert_eq!(values[0]["class"], "unsure");
        assert_eq!(values[0]["attempts"], 2);
        assert_eq!(values[0]["recipients"][1]["state"], "sent");
        assert_eq!(values[1]["reason"], "cannot be read: truncated");
        assert!(values[1]["sender"].is_null());
        assert!(values.iter().all(|value| value.get("header").is_none()));
    }

    #[test]
    fn verbose_tells_the_next_try_and_the_attempts() {
        let rows = [waiting(Class::Defer, "x")];
        let mut view = view(&rows);
        view.verbose = true;
        let date = date(1_795_320_999);
        assert!(text(&view).contains(&format!("(next try {date}, 2 attempts)")));
        view.now = 1_795_320_999;
        assert!(text(&view).contains("(next try as soon as the queue runs, 2 attempts)"));
    }

    #[test]
    fn who_has_the_message_is_no_longer_listed_and_who_was_refused_is() {
        let mut row = waiting(Class::Defer, "x");
        if let Ok(entry) = &mut row.entry {
            entry.recipients[0].mark = Mark::Done;
            entry.recipients[1].mark = Mark::Failed;
        }
        let shown = text(&view(&[row]));
        assert!(!shown.contains("a@x.test") && shown.contains("b@x.test (refused)\n"));
    }

    #[test]
    fn no_state_makes_a_list_panic() {
        let mut row = waiting(Class::Hold, "");
        row.size_bytes = u64::MAX;
        row.arrival = u64::MAX;
        if let Ok(entry) = &mut row.entry {
            entry.state.next = u64::MAX;
            entry.state.last = u64::MAX;
            entry.state.attempts = u32::MAX;
        }
        let rows = [row, waiting(Class::Defer, "")];
        let view = View {
            verbose: true,
            per_minute: 0,
            ..view(&rows)
        };
        assert!(!text(&view).is_empty() && !rows[0].details(0).is_empty());
    }

    #[test]
    fn a_long_queue_comes_with_its_time() {
        assert_eq!(estimate(25, 25), None);
        assert_eq!(
            estimate(10_000, 25).unwrap(),
            "10000 messages take about 6.7 hours at 25 a minute"
        );
    }
}
