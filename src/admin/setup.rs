//! `setup`: asks or takes flags, writes the settings, and shows what the tenant's administrator does.

mod exchange;
mod questions;
mod steps;

use crate::cli::{Given, Setup};
use crate::config::edit::{self, Change, Text};
use crate::config::paths::Location;
use crate::config::{Config, clouds, file, place};
use crate::mail::address::Address;
use crate::oauth;
use crate::outcome::{Class, Failure, printable};
use crate::sys::caller::{Caller, host_name};
use crate::sys::stdio;
use questions::Questions;
use std::path::{Path, absolute};
use steps::Facts;

/// Settings that a grant has to have besides the mailbox, and those that no other grant may have.
const FILES: [(&str, &[&str]); 4] = [
    ("client_secret_file", &["client-secret"]),
    ("certificate_file", &["certificate"]),
    ("private_key_file", &["certificate"]),
    ("federated_token_file", &["federated"]),
];

/// What setting up is asked for.
pub struct Desk<'a> {
    pub wishes: &'a Setup,
    pub location: &'a Location,
    pub caller: &'a Caller,
}

/// What comes after the settings.
pub struct Done {
    facts: Facts,
    asks: bool,
    /// Whoever reads the host's notices, else the mailbox.
    reader: String,
}

impl Desk<'_> {
    /// Writes the settings, and says what changed and what is to be done in the tenant.
    pub fn write(&self) -> Result<Done, Failure> {
        let asks = stdio::stdin_is_terminal() && !self.wishes.yes;
        let path = absolute(&self.location.path).unwrap_or(self.location.path.clone());
        let old = place::read(self.location)?;
        let is_new = old.is_none();
        let old = old.unwrap_or_else(Text::shipped);
        for given in &self.wishes.given {
            edit::judge(&change(given)).map_err(|why| wrong(given.key, &why))?;
        }
        let mut changes: Vec<Change> = self.wishes.given.iter().map(change).collect();
        if asks {
            let hint = |text: &Text| {
                stdio::say(&steps::first(&self.facts(text, String::new())));
            };
            let mut questions = Questions {
                old: &old,
                changes: &mut changes,
                dir: path.parent().unwrap_or(Path::new("/")),
                hint,
            };
            questions.ask()?;
        }
        changes.iter_mut().for_each(bare);
        let (text, _) = old.with(&without_strangers(&old, &changes)?)?;
        needed(&text, self.location)?;
        self.fits_together(&text)?;
        let text = self.with_tenant_id(&old, text)?;
        let object = self.object(&text).unwrap_or_default();
        self.save((&old, is_new), &text, asks)?;
        let facts = self.facts(&text, object);
        stdio::say(&format!("\nIn the tenant:\n\n{}", steps::all(&facts)));
        let reader = match text.value("recipients", "admin") {
            admin if admin.is_empty() => text.value("account", "mailbox"),
            admin => admin,
        };
        Ok(Done {
            facts,
            asks,
            reader,
        })
    }

    /// Settings that contradict each other are not written; files that they name may come later.
    fn fits_together(&self, text: &Text) -> Result<(), Failure> {
        let Err(failure) = file::judge(text.as_str(), self.location, self.caller) else {
            return Ok(());
        };
        let reason = failure.reason().unwrap_or_default();
        let sections = ["account.", "endpoint.", "smtp."];
        match sections.iter().any(|section| reason.starts_with(section)) {
            true => Err(failure),
            false => Ok(()),
        }
    }

    /// Shows what changes, and writes it unless the person does not want it.
    fn save(&self, (old, is_new): (&Text, bool), text: &Text, asks: bool) -> Result<(), Failure> {
        let path = self.location.path.display();
        let differences = differences(old, is_new, text);
        match (differences.is_empty(), place::is_right(self.location)) {
            (true, true) => {
                stdio::say(&format!("{path}: no change\n"));
                return Ok(());
            }
            (true, false) => stdio::say(&format!("{path}:\n  owner and mode are set right\n")),
            _ => stdio::say(&format!("{path}:\n{differences}")),
        }
        if asks && !questions::yes("Write this?")? {
            return Err(Failure::new(Class::Usage, "nothing was written")
                .because("the answer was no")
                .fix("run `sendmail365 setup` again"));
        }
        place::write(self.location, text)
    }

    /// The tenant's id in place of one of its domains, where Microsoft can be asked for it.
    fn with_tenant_id(&self, old: &Text, text: Text) -> Result<Text, Failure> {
        let tenant = text.value("account", "tenant");
        if !tenant.contains('.') {
            return Ok(text);
        }
        // Who signs in with what does not matter to this page; the files may not be there yet.
        let plain = |text: &Text| {
            let (text, _) = text.with(&plainly()).ok()?;
            let config = file::judge(text.as_str(), self.location, self.caller).ok()?;
            let store = oauth::Store::new(Vec::new());
            config.sign_in(&store).tenant_id()
        };
        let named = printable(tenant.as_bytes());
        let (value, how) = match (plain(&text), id_before(old, &text)) {
            (Some(value), _) => (value, "is the tenant"),
            (None, Some(value)) => (
                value,
                "is not written: Microsoft does not tell which tenant it belongs to, and the \
                 application is the one of the tenant",
            ),
            (None, None) => {
                stdio::say(&format!(
                    "{named} stays as it is: Microsoft does not tell which tenant it belongs to\n"
                ));
                return Ok(text);
            }
        };
        stdio::say(&format!("{named} {how} {value}\n"));
        Ok(text.with(&[setting("tenant", value)])?.0)
    }

    /// The object id that a stored token of the application tells.
    fn object(&self, text: &Text) -> Option<String> {
        let config = file::judge(text.as_str(), self.location, self.caller).ok()?;
        object(&config)
    }

    fn facts(&self, text: &Text, object: String) -> Facts {
        let of = |key: &str| text.value("account", key);
        let mailbox = of("mailbox");
        let user = match of("user") {
            user if user.is_empty() => mailbox.clone(),
            user => user,
        };
        let cloud = clouds::Cloud::named(&of("cloud"));
        Facts {
            mailbox,
            user,
            tenant: of("tenant"),
            client_id: of("client_id"),
            grant: of("grant"),
            cloud: cloud.unwrap_or(&clouds::CLOUDS[0]),
            object,
            certificate_file: of("certificate_file"),
            private_key_file: of("private_key_file"),
            client_secret_file: of("client_secret_file"),
            host: host_name(),
            is_hosts: self.location.is_hosts(),
        }
    }
}

impl Done {
    /// Whether somebody is to sign in now.
    pub fn wants_login(&self) -> Result<bool, Failure> {
        match self.asks {
            true => questions::yes("Is that done, and is the sign-in to be tried now?"),
            false => Ok(true),
        }
    }

    /// After a sign-in: the object id, if it was not known before.
    pub fn tell_object(&self, config: &Config) {
        let Some(object) = object(config).filter(|_| self.facts.object.is_empty()) else {
            return;
        };
        let facts = Facts {
            object,
            ..self.facts.clone()
        };
        stdio::say(&format!(
            "the token tells the object id of the enterprise application, for Exchange:\n\n        {}\n\n",
            exchange::service_principal(&facts)
        ));
    }

    /// To whom a test is to be sent, if one is.
    pub fn wants_test(&self) -> Result<Option<String>, Failure> {
        let wanted = match self.asks {
            true => questions::yes(&format!(
                "Send a test message to {}?",
                printable(self.reader.as_bytes())
            ))?,
            false => true,
        };
        Ok(wanted.then(|| self.reader.clone()))
    }
}

/// The tenant's id that the file has, if nothing but the tenant's name is other: with a domain in its
/// place nothing could tell a sign-in to another tenant any more.
fn id_before(old: &Text, text: &Text) -> Option<String> {
    let same = [
        ("account", "mailbox"),
        ("account", "client_id"),
        ("account", "cloud"),
        ("endpoint", "authority"),
    ]
    .into_iter()
    .all(|(section, key)| old.value(section, key) == text.value(section, key));
    let id = old.set("account", "tenant")?;
    (same && oauth::is_guid(&id)).then_some(id)
}

/// The id of an application's service principal; a person's token tells the person's.
fn object(config: &Config) -> Option<String> {
    let store = oauth::Store::new(config.token_dirs.clone());
    let stored = config.sign_in(&store).stored()?;
    let claims = stored.claims.filter(|_| !stored.persons)?;
    claims.object().map(str::to_owned)
}

fn change(given: &Given) -> Change {
    Change {
        section: given.section,
        key: given.key,
        value: given.text.clone(),
    }
}

/// Of `Alerts <alerts@contoso.com>` the address: what is shown for the tenant needs it alone.
fn bare(change: &mut Change) {
    let address = Address::parse(change.value.as_bytes());
    if let ("mailbox" | "user" | "admin", Ok(address)) = (change.key, address) {
        change.value = address.to_string();
    }
}

fn setting(key: &'static str, value: impl Into<String>) -> Change {
    Change {
        section: "account",
        key,
        value: value.into(),
    }
}

/// Nothing but what the page of the tenant is asked with.
fn plainly() -> Vec<Change> {
    let files = FILES.iter().map(|(key, _)| setting(key, ""));
    let others = [
        setting("grant", "delegated"),
        setting("client_id", "unknown"),
    ];
    files.chain(others).collect()
}

/// The changes, and files of another grant taken out: with them the settings would be refused.
fn without_strangers(old: &Text, changes: &[Change]) -> Result<Vec<Change>, Failure> {
    let (text, _) = old.with(changes)?;
    let (grant, before) = (
        text.value("account", "grant"),
        old.value("account", "grant"),
    );
    let mut all = changes.to_vec();
    for (key, grants) in FILES {
        let given = changes.iter().any(|change| change.key == key);
        // A confidential application that people sign in to has a secret too.
        let kept = grants.contains(&grant.as_str()) || given || grant == before;
        if !kept && old.set("account", key).is_some() {
            all.push(setting(key, ""));
        }
    }
    Ok(all)
}

/// Whether the settings have what the grant needs; one failure names all that is missing.
fn needed(text: &Text, location: &Location) -> Result<(), Failure> {
    let grant = text.value("account", "grant");
    let mut keys = vec!["mailbox"];
    if !matches!(grant.as_str(), "managed-identity" | "command") {
        keys.extend(["tenant", "client_id"]);
    }
    keys.extend(
        FILES
            .iter()
            .filter(|(_, grants)| grants.contains(&grant.as_str()))
            .map(|(key, _)| *key),
    );
    keys.retain(|key| text.set("account", key).is_none());
    if grant == "command" && !text.has_list("account", "token_command") {
        return Err(Failure::new(Class::Usage, "a setting is missing")
            .because("the grant command has no command")
            .fix(format!(
                "set token_command under [account] in {} first",
                location.path.display()
            )));
    }
    if keys.is_empty() {
        return Ok(());
    }
    let flags: Vec<String> = keys.iter().map(|key| flag(key)).collect();
    Err(Failure::new(Class::Usage, "settings are missing")
        .because("there is nobody to ask, and the file does not have them")
        .fix(format!(
            "give {}; on a terminal they are asked for, and how they come about is shown",
            flags.join(", ")
        )))
}

/// The option of a setting.
fn flag(key: &str) -> String {
    match key {
        "host" => "--smtp-host".to_owned(),
        key => format!("--{}", key.replace('_', "-")),
    }
}

fn wrong(key: &str, why: &str) -> Failure {
    Failure::new(Class::Usage, format!("the value of {} is wrong", flag(key)))
        .because(why)
        .fix("see sendmail365.conf(5) for what it can be")
}

/// The settings that differ, as lines with - and +.
fn differences(old: &Text, is_new: bool, new: &Text) -> String {
    let mut lines = String::new();
    for row in crate::config::settings::SETTINGS {
        let before = old.set(row.section, row.key).filter(|_| !is_new);
        let after = new.set(row.section, row.key);
        if before == after {
            continue;
        }
        for (mark, value) in [('-', before), ('+', after)] {
            if let Some(value) = value {
                let value = printable(edit::literal(&value).as_bytes());
                lines += &format!("  {mark} {}.{} = {value}\n", row.section, row.key);
            }
        }
    }
    lines
}
