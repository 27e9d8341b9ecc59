//! From whom and to whom: options and header into an envelope.

use super::Desk;
use super::record::failure_line;
use crate::cli::Submission;
use crate::config::{RecipientSettings, file};
use crate::mail::address::Address;
use crate::mail::aliases::{Aliases, Resolved, Resolver};
use crate::mail::envelope::{Recipients, SenderPolicy};
use crate::mail::header::Field;
use crate::mail::message::Message;
use crate::mail::recipients::{self, Collected};
use crate::outcome::{Class, Failure, Stage};
use crate::sys::log::Level;
use std::os::unix::ffi::OsStrExt;

/// The envelope sender: the one asked for if the mailbox may use it, else the mailbox; and whether it
/// was to be the null sender.
pub(super) fn choose_sender(
    wishes: &Submission,
    desk: &Desk<'_>,
    message: &Message,
) -> Result<(Address, bool), Failure> {
    let policy = sender_policy(desk);
    let from = message
        .header
        .find("From")
        .filter(|_| wishes.sender_from_header);
    let wished = match (&wishes.sender, from) {
        (Some(word), _) => Some(word.as_bytes().to_vec()),
        (None, from) => from.map(Field::unfolded),
    };
    let chosen = policy.sender(wished.as_deref())?;
    if let Some(replaced) = &chosen.replaced {
        let line = desk
            .journal
            .line("sender-replaced")
            .address("from", replaced);
        desk.journal.write(Level::Info, &line);
    }
    Ok((chosen.sender, chosen.null_requested))
}

/// Who may stand in the envelope and in From.
pub(super) fn sender_policy<'a>(desk: &'a Desk<'_>) -> SenderPolicy<'a> {
    SenderPolicy {
        mailbox: &desk.config.mailbox,
        allow_from: &desk.config.sender.allow_from,
        domain: desk.config.recipients.domain.as_deref(),
    }
}

/// Everybody the message goes to, and whoever cannot get it.
pub(super) struct Chosen {
    pub(super) recipients: Recipients,
    pub(super) unusable: Option<Unusable>,
}

/// Recipients that are no addresses or lead nowhere.
pub(super) struct Unusable {
    /// With the reason.
    pub(super) each: Vec<(String, String)>,
    /// Of a message that goes to nobody because of them.
    pub(super) failure: Failure,
}

/// Everybody the message goes to: arguments and, with `-t`, header, each local name resolved.
///
/// With a queue those that cannot be used are told of by a notice. Without one they keep the message
/// from all: a single exit status cannot tell a part.
pub(super) fn choose_recipients(
    wishes: &Submission,
    desk: &Desk<'_>,
    message: &Message,
) -> Result<Chosen, Failure> {
    let arguments: Vec<Vec<u8>> = wishes
        .recipients
        .iter()
        .map(|word| word.as_bytes().to_vec())
        .collect();
    let mut collected = recipients::from_arguments(&arguments);
    let in_arguments = recipients::refusal(&collected.faults, &[], Stage::Argv);
    if wishes.recipients_from_header {
        let fields = message
            .header
            .fields()
            .iter()
            .map(|field| (field.name(), field.value()));
        collected = collected.union(recipients::from_header(fields));
    }
    let Collected { addresses, faults } = collected;
    if addresses.is_empty() && faults.is_empty() {
        return Err(nobody(wishes, message));
    }
    let names = LocalNames::of(&addresses, wishes.no_aliases, desk)?;
    let Resolved {
        addresses,
        faults: unresolved,
        passed_over,
    } = names.resolve(addresses);
    for target in &passed_over {
        let line = desk.journal.line("ignored");
        let line = line.text("reason", &target.to_string());
        desk.journal.write(Level::Warning, &line);
    }
    let refusal = in_arguments.or(recipients::refusal(&faults, &unresolved, Stage::Stdin));
    recipients::within_limit(addresses.len())?;
    let recipients = Recipients::new(addresses, names.ours());
    match (recipients, refusal) {
        (Some(recipients), Some(failure)) if desk.config.queue.enabled => Ok(Chosen {
            recipients,
            unusable: Some(Unusable {
                each: recipients::unusable(&faults, &unresolved),
                failure,
            }),
        }),
        (_, Some(failure)) => Err(failure),
        (Some(recipients), None) => Ok(Chosen {
            recipients,
            unusable: None,
        }),
        (None, None) => Err(nobody(wishes, message)),
    }
}

/// The host's aliases; none if they are not wanted. Lines that cannot be read go to the log.
pub(super) fn read_aliases(no_aliases: bool, desk: &Desk<'_>) -> Result<Option<Aliases>, Failure> {
    if no_aliases {
        return Ok(None);
    }
    let (aliases, faults) = file::read_aliases(&desk.config.recipients.aliases)?;
    for fault in faults {
        let line = failure_line(desk.journal.line("config"), &fault);
        desk.journal.write(Level::Warning, &line);
    }
    Ok(Some(aliases))
}

/// What names without a domain lead to on this host.
pub struct LocalNames<'a> {
    settings: &'a RecipientSettings,
    pub(super) aliases: Option<Aliases>,
    local_domains: Vec<String>,
    ours: Vec<&'a str>,
}

impl<'a> LocalNames<'a> {
    /// Reads the aliases file, unless it is not wanted.
    pub fn read(no_aliases: bool, desk: &'a Desk<'_>) -> Result<LocalNames<'a>, Failure> {
        Ok(LocalNames::with(read_aliases(no_aliases, desk)?, desk))
    }

    /// Reads the aliases file where one of the recipients is a name of this host, unless it is not wanted:
    /// a file that cannot be read is no matter to the others.
    pub(super) fn of(
        recipients: &[Address],
        no_aliases: bool,
        desk: &'a Desk<'_>,
    ) -> Result<LocalNames<'a>, Failure> {
        let mut names = LocalNames::with(None, desk);
        if names.resolver().has_local(recipients) {
            names.aliases = read_aliases(no_aliases, desk)?;
        }
        Ok(names)
    }

    /// Takes aliases that were read before.
    pub(super) fn with(aliases: Option<Aliases>, desk: &'a Desk<'_>) -> LocalNames<'a> {
        LocalNames {
            settings: &desk.config.recipients,
            aliases,
            local_domains: local_domains(desk),
            ours: ours(desk),
        }
    }

    /// Follows aliases and qualifies what is left.
    pub fn resolve(&self, addresses: Vec<Address>) -> Resolved {
        self.resolver().resolve(addresses)
    }

    pub(super) fn resolver(&self) -> Resolver<'_> {
        Resolver {
            aliases: self.aliases.as_ref(),
            domain: self.settings.domain.as_deref(),
            admin: self.settings.admin.as_ref(),
            local_domains: &self.local_domains,
        }
    }

    /// Domains whose mailboxes are compared without case.
    pub fn ours(&self) -> &[&'a str] {
        &self.ours
    }
}

/// Domains that mean this host; the mailbox's own is a real one and never among them.
fn local_domains(desk: &Desk<'_>) -> Vec<String> {
    let mut names = vec!["localhost".to_owned(), desk.host.to_owned()];
    names.extend(file::read_mail_name());
    let real = desk.config.mailbox.domain().unwrap_or_default();
    names.retain(|name| !name.eq_ignore_ascii_case(real));
    names
}

/// Domains whose mailboxes Microsoft compares without case, local part included.
fn ours<'a>(desk: &'a Desk<'_>) -> Vec<&'a str> {
    let domains = [
        desk.config.mailbox.domain(),
        desk.config.recipients.domain.as_deref(),
    ];
    domains.into_iter().flatten().collect()
}

fn nobody(wishes: &Submission, message: &Message) -> Failure {
    let asked = wishes.recipients_from_header;
    let no_header = message.header.fields().is_empty() && !message.body.is_empty();
    match &message.notes.ended_by_junk {
        Some((number, line)) if asked => Failure::new(Class::Data, "no recipient in the header")
            .because(format!(
                "the header ended at line {number}, which is no field: `{}`",
                String::from_utf8_lossy(line)
            ))
            .fix("correct that line, or name the recipients on the command line"),
        None if asked && no_header => Failure::new(Class::Usage, "no recipient")
            .because("a blank line comes first, so that all below it is text and no header")
            .fix("begin with the first field, or give the address as the last argument"),
        None if asked && message.notes.continuation_lines > 0 => {
            Failure::new(Class::Usage, "no recipient")
                .because("a line before the first field begins with a blank, and so is no field")
                .fix("begin it at the margin, or give the address as the last argument")
        }
        _ => Failure::new(Class::Usage, "no recipient")
            .because("neither To, Cc or Bcc nor the command line names one")
            .fix("add a To field, or the address as the last argument"),
    }
    .at(Stage::Stdin)
}
