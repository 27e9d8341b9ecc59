//! Questions on a terminal: each with what holds without an answer, asked again until it can be used.

use super::{FILES, flag, setting};
use crate::config::edit::{self, Change, Text};
use crate::outcome::{Class, Failure, printable};
use crate::sys::stdio;
use std::path::Path;

/// Octets of an answer at most.
const ANSWER_MAX: u64 = 4096;

/// What is asked about.
pub(super) struct Questions<'a, H: FnMut(&Text)> {
    pub(super) old: &'a Text,
    /// Filled with the answers.
    pub(super) changes: &'a mut Vec<Change>,
    /// Where the settings lie, and files beside them.
    pub(super) dir: &'a Path,
    /// Shows how to come by an application's id.
    pub(super) hint: H,
}

impl<H: FnMut(&Text)> Questions<'_, H> {
    /// Asks for what was not given.
    pub(super) fn ask(&mut self) -> Result<(), Failure> {
        stdio::say(
            "Enter takes what stands in brackets; Ctrl-C ends this, and nothing is written.\n\n",
        );
        self.setting("mailbox", "The mailbox that sends", "")?;
        self.setting(
            "grant",
            "How the host signs in: delegated (a person, once), certificate, client-secret,\n\
             managed-identity, federated or command",
            "",
        )?;
        self.setting(
            "cloud",
            "Microsoft's cloud: global, gcc-high, dod or china",
            "",
        )?;
        let grant = self.value("grant")?;
        let needs_ids = !matches!(grant.as_str(), "managed-identity" | "command");
        if needs_ids {
            let mailbox = self.value("mailbox")?;
            let domain = mailbox.rsplit_once('@').map_or("", |(_, domain)| domain);
            self.setting("tenant", "The tenant: its id, or a domain of it", domain)?;
            if self.value("client_id")?.is_empty() {
                stdio::say("\n");
                let text = self.text()?;
                (self.hint)(&text);
            }
            self.setting("client_id", "The application (client) id", "")?;
        }
        for (key, grants) in FILES {
            if grants.contains(&grant.as_str()) {
                let usual = self.dir.join(match key {
                    "certificate_file" => "cert.pem",
                    "private_key_file" => "key.pem",
                    "federated_token_file" => "federated-token",
                    _ => "client-secret",
                });
                let what = format!("The file of {}", key.trim_end_matches("_file"));
                self.setting(key, &what.replace('_', " "), &usual.to_string_lossy())?;
            }
        }
        if grant == "delegated" {
            let mailbox = self.value("mailbox")?;
            self.optional("user", "Who signs in, if not the mailbox", &mailbox)?;
        }
        self.admin()
    }

    fn admin(&mut self) -> Result<(), Failure> {
        let known = self.changes.iter().any(|change| change.key == "admin");
        if known {
            return Ok(());
        }
        let old = self.old.value("recipients", "admin");
        let question = "Who reads notices and the mail of root; nobody is an answer";
        let shown = if old.is_empty() { "nobody" } else { &old };
        let value = answer(question, shown, |value| {
            let value = if value == "nobody" { "" } else { value };
            edit::judge(&admin(value))
        })?;
        let value = if value == "nobody" { "" } else { &value };
        self.changes.push(admin(value));
        Ok(())
    }

    /// Asks for a setting that has to have a value.
    fn setting(&mut self, key: &'static str, what: &str, usual: &str) -> Result<(), Failure> {
        if self.changes.iter().any(|change| change.key == key) {
            return Ok(());
        }
        let old = self.value(key)?;
        let shown = if old.is_empty() { usual } else { &old };
        let value = answer(what, shown, |value| match value {
            "" => Err("an answer is needed".to_owned()),
            value => edit::judge(&setting(key, value)),
        })?;
        self.changes.push(setting(key, value));
        Ok(())
    }

    /// The same where `usual` is as good as no value.
    fn optional(&mut self, key: &'static str, what: &str, usual: &str) -> Result<(), Failure> {
        self.setting(key, what, usual)?;
        for change in self.changes.iter_mut() {
            if change.key == key && change.value.eq_ignore_ascii_case(usual) {
                change.value.clear();
            }
        }
        Ok(())
    }

    fn text(&self) -> Result<Text, Failure> {
        Ok(self.old.with(self.changes)?.0)
    }

    fn value(&self, key: &str) -> Result<String, Failure> {
        Ok(self.text()?.value("account", key))
    }
}

fn admin(value: &str) -> Change {
    Change {
        section: "recipients",
        key: "admin",
        value: value.to_owned(),
    }
}

/// An answer that can be used.
fn answer(
    question: &str,
    usual: &str,
    judge: impl Fn(&str) -> Result<(), String>,
) -> Result<String, Failure> {
    loop {
        let shown = match usual {
            "" => String::new(),
            usual => format!(" [{}]", printable(usual.as_bytes())),
        };
        stdio::say(&format!("{question}{shown}: "));
        let typed = line()?;
        let value = if typed.is_empty() { usual } else { &typed };
        match judge(value) {
            Ok(()) => return Ok(value.to_owned()),
            Err(why) => stdio::say(&format!("  {}\n", printable(why.as_bytes()))),
        }
    }
}

/// Yes unless the answer is no.
pub(super) fn yes(question: &str) -> Result<bool, Failure> {
    stdio::say(&format!("{question} [Y/n] "));
    let typed = line()?.to_ascii_lowercase();
    Ok(!typed.starts_with('n'))
}

fn line() -> Result<String, Failure> {
    let line = stdio::read_line(ANSWER_MAX).ok_or_else(|| {
        Failure::new(Class::Usage, "the questions were not answered")
            .because("the input ended")
            .fix(format!(
                "run `sendmail365 setup` again, or give {} and what else it names",
                flag("mailbox")
            ))
    })?;
    Ok(line.expose().trim().to_owned())
}
