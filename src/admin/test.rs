//! `test ADDRESS`: one message by the way of any message, and the way it took.

use crate::cli::Submission;
use crate::config::Config;
use crate::oauth::{self, Stored};
use crate::outcome::{Failure, Outcome, printable};
use crate::smtp::Direction;
use crate::submit::{self, Desk};
use crate::sys::clock::LocalTime;
use crate::sys::stdio;
use std::collections::VecDeque;
use std::ffi::OsString;
use std::time::{Duration, UNIX_EPOCH};

/// Sends the message, and says each step as it is taken; how it ends is told as of any submission.
pub fn test(addresses: &[OsString], desk: &Desk<'_>) -> Result<Outcome, Failure> {
    let wishes = Submission {
        recipients: addresses.to_vec(),
        dot_is_text: true,
        ..Submission::default()
    };
    let message = message(addresses, desk);
    let mut way = Way {
        config: desk.config,
        before: token(desk.config),
        asked: VecDeque::new(),
        begun: false,
    };
    let mut watch = |direction: Direction, line: &str| way.step(direction, line);
    let outcome = submit::submit(&wishes, desk, message.as_bytes(), &mut watch)?;
    if matches!(outcome, Outcome::Sent) {
        tell("sent", "Microsoft has taken it over for every recipient");
    }
    Ok(outcome)
}

fn message(addresses: &[OsString], desk: &Desk<'_>) -> String {
    let shown = |text: &str| printable(text.as_bytes());
    let to: Vec<String> = addresses
        .iter()
        .filter_map(|word| word.to_str())
        .filter(|word| word.bytes().all(|octet| octet.is_ascii_graphic()))
        .map(|word| format!("To: {word}\n"))
        .collect();
    let date = LocalTime::at(desk.now).rfc5322();
    let host = shown(desk.host);
    format!(
        "{}Subject: Test of sendmail365 on {host}, {date}\n\n\
         This message was sent by sendmail365 (test) on {host}\n\
         at {date}, by {} (uid {}),\n\
         as {}. Nothing has to be done about it.\n",
        to.concat(),
        shown(&desk.caller.login),
        desk.caller.uid,
        shown(&desk.config.account.mailbox),
    )
}

/// The way of the message, as far as it has come.
struct Way<'a> {
    config: &'a Config,
    /// The sign-in as it was stored before.
    before: Option<Stored>,
    /// Commands that no reply has come to.
    asked: VecDeque<String>,
    begun: bool,
}

impl Way<'_> {
    fn step(&mut self, direction: Direction, line: &str) {
        // Nobody speaks to the server without a token in hand.
        if !std::mem::replace(&mut self.begun, true) {
            tell("token", &self.token());
        }
        match direction {
            Direction::Noted => tell("TLS", line),
            Direction::Sent if line == "QUIT" || line.starts_with("[message") => {}
            Direction::Sent => self.asked.push_back(line.to_owned()),
            // The last line of a reply has a blank behind its code.
            Direction::Received if line.as_bytes().get(3) != Some(&b'-') => {
                let asked = self.asked.pop_front();
                self.answered(asked.as_deref(), line);
            }
            Direction::Received => {}
        }
    }

    fn answered(&self, asked: Option<&str>, reply: &str) {
        let good = reply.starts_with(['2', '3']);
        let Some(asked) = asked else {
            let server = &self.config.server;
            return tell(
                "server",
                &format!("{}:{}: {reply}", server.host, server.port),
            );
        };
        let path = asked.split(['<', '>']).nth(1).unwrap_or_default();
        match asked.split(' ').next().unwrap_or_default() {
            "AUTH" if !reply.starts_with("334") => {
                let user = &self.config.account.user;
                tell("sign-in", &format!("{user}: {reply}"));
            }
            "MAIL" => tell("sender", &format!("<{path}>: {reply}")),
            "RCPT" => tell("recipient", &format!("<{path}>: {reply}")),
            "." => {
                tell("reply", reply);
                if let (true, Some(id)) = (good, message_id(reply)) {
                    tell("Message-ID", &format!("{id}, which Microsoft has given it"));
                }
            }
            _ if !good => tell("refused", &format!("{asked}: {reply}")),
            _ => {}
        }
    }

    /// Where the token came from.
    fn token(&self) -> String {
        let now = token(self.config);
        let stamp = |stored: &Option<Stored>| {
            let stored = stored.as_ref()?;
            Some((stored.obtained_at, stored.expires_at))
        };
        let way = match stamp(&now) == stamp(&self.before) {
            _ if now.is_none() => "fetched now, and not stored",
            true => "the stored one",
            false => "fetched now",
        };
        match now.and_then(|stored| stored.expires_at) {
            Some(end) => {
                let end = UNIX_EPOCH.checked_add(Duration::from_secs(end));
                let end = end.map_or_else(String::new, |end| LocalTime::at(end).rfc5322());
                format!("{way}, good until {end}")
            }
            None => way.to_owned(),
        }
    }
}

fn token(config: &Config) -> Option<Stored> {
    let store = oauth::Store::new(config.token_dirs.clone());
    config.sign_in(&store).stored()
}

/// The id in `250 2.0.0 OK <id@host> [Hostname=...]`.
fn message_id(reply: &str) -> Option<&str> {
    let start = reply.find('<')?;
    let length = reply.get(start..)?.find('>')?;
    reply.get(start..=start + length)
}

fn tell(step: &str, text: &str) {
    let step = format!("{step}:");
    stdio::say(&format!("{step:11} {}\n", printable(text.as_bytes())));
}
