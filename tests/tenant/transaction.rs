//! MAIL and RCPT: who may send what to whom.

use super::address;
use super::faults::{Fault, Schedule};
use super::state::Shared;

/// Keywords of EHLO that this connection offers, and what else is odd about it.
#[derive(Clone, Debug)]
pub struct Features {
    pub starttls: bool,
    pub xoauth2: bool,
    pub pipelining: bool,
    pub eight_bit: bool,
    pub smtputf8: bool,
    pub size: bool,
    pub chunking: bool,
    pub dsn: bool,
    pub size_max: u64,
    pub recipients_max: usize,
    pub lowercase: bool,
}

impl Features {
    /// Drawn once per connection, so that a fault that strikes once strikes one connection.
    pub fn draw(shared: &Shared) -> Features {
        let mut ledger = shared.ledger();
        let faults = &mut ledger.faults;
        let size_max = faults.take(|fault| match fault {
            Fault::Size(limit) => Some(*limit),
            _ => None,
        });
        let recipients_max = faults.take(|fault| match fault {
            Fault::RecipientLimit(limit) => Some(*limit),
            _ => None,
        });
        let with = |faults: &mut Schedule, fault: Fault| !faults.strikes(&fault);
        Features {
            starttls: with(faults, Fault::NoStarttls),
            xoauth2: with(faults, Fault::NoXoauth2),
            pipelining: with(faults, Fault::NoPipelining),
            eight_bit: with(faults, Fault::No8bitmime),
            smtputf8: with(faults, Fault::NoSmtputf8),
            size: with(faults, Fault::NoSize),
            chunking: with(faults, Fault::NoChunking),
            dsn: with(faults, Fault::NoDsn),
            lowercase: faults.strikes(&Fault::LowercaseKeywords),
            size_max: size_max.unwrap_or(shared.setup.size_max),
            recipients_max: recipients_max.unwrap_or(shared.setup.recipients_max),
        }
    }

    /// The keywords in Exchange's order.
    pub fn keywords(&self, tls: bool) -> Vec<String> {
        let size = format!("SIZE {}", self.size_max);
        let all = [
            (self.size, size.as_str()),
            (self.pipelining, "PIPELINING"),
            (self.dsn, "DSN"),
            (true, "ENHANCEDSTATUSCODES"),
            (!tls && self.starttls, "STARTTLS"),
            (tls && self.xoauth2, "AUTH LOGIN XOAUTH2"),
            (tls && !self.xoauth2, "AUTH LOGIN"),
            (self.eight_bit, "8BITMIME"),
            (self.chunking, "BINARYMIME"),
            (self.chunking, "CHUNKING"),
            (self.smtputf8, "SMTPUTF8"),
        ];
        let offered = all.into_iter().filter(|(offered, _)| *offered);
        offered
            .map(|(_, word)| {
                if self.lowercase {
                    word.to_lowercase()
                } else {
                    word.to_owned()
                }
            })
            .collect()
    }
}

/// A message's envelope while it is being said.
#[derive(Clone, Debug)]
pub struct Transaction {
    pub user: String,
    pub sender: String,
    pub parameters: Vec<String>,
    pub recipients: Vec<String>,
    pub recipient_parameters: Vec<Vec<String>>,
    pub size_max: u64,
    /// Octets that came by BDAT so far.
    pub chunks: Vec<u8>,
    utf8: bool,
}

impl Transaction {
    /// Reads the argument of `MAIL`; an error is the reply.
    pub fn open(
        shared: &Shared,
        features: &Features,
        user: &str,
        argument: &str,
    ) -> Result<Transaction, String> {
        let (sender, parameters) = labelled(argument, "FROM:")
            .and_then(address::path)
            .ok_or("501 5.5.4 Invalid arguments")?;
        let utf8 = parameters
            .iter()
            .any(|word| word.eq_ignore_ascii_case("SMTPUTF8"));
        for parameter in &parameters {
            mail_parameter(features, parameter)?;
        }
        if sender.is_empty() {
            if !shared.setup.null_sender {
                let text =
                    "550 5.7.60 SMTP; Client does not have permissions to send as this sender";
                return Err(text.to_owned());
            }
        } else if !address::is_mailbox(sender, utf8) {
            return Err("501 5.1.7 Invalid address".to_owned());
        } else if !shared.may_send_as(sender) {
            let text = "550 5.7.60 SMTP; Client does not have permissions to send as this sender";
            return Err(text.to_owned());
        }
        Ok(Transaction {
            user: user.to_owned(),
            sender: sender.to_owned(),
            parameters,
            recipients: Vec::new(),
            recipient_parameters: Vec::new(),
            size_max: features.size_max,
            chunks: Vec::new(),
            utf8,
        })
    }

    /// Reads the argument of `RCPT`; an error is the reply.
    pub fn add(
        &mut self,
        shared: &Shared,
        features: &Features,
        argument: &str,
    ) -> Result<(), String> {
        let (recipient, parameters) = labelled(argument, "TO:")
            .and_then(address::path)
            .ok_or("501 5.5.4 Invalid arguments")?;
        for parameter in &parameters {
            let name = parameter
                .split('=')
                .next()
                .unwrap_or_default()
                .to_ascii_uppercase();
            if !features.dsn || !["NOTIFY", "ORCPT"].contains(&name.as_str()) {
                return Err("501 5.5.4 Unrecognized parameter".to_owned());
            }
        }
        let postmaster = recipient.eq_ignore_ascii_case("postmaster");
        if !postmaster && !address::is_mailbox(recipient, self.utf8) {
            return Err("501 5.1.3 Invalid address".to_owned());
        }
        if self.recipients.len() >= features.recipients_max {
            return Err("452 4.5.3 Too many recipients".to_owned());
        }
        if !postmaster && !knows(shared, recipient) {
            return Err(format!(
                "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient {recipient} not found by \
                 SMTP address lookup"
            ));
        }
        self.recipients.push(recipient.to_owned());
        self.recipient_parameters.push(parameters);
        Ok(())
    }
}

fn labelled<'a>(argument: &'a str, label: &str) -> Option<&'a str> {
    let (said, rest) = argument.split_at_checked(label.len())?;
    // No space behind the colon: RFC 5321 section 4.1.1.2.
    said.eq_ignore_ascii_case(label).then_some(rest)
}

fn mail_parameter(features: &Features, parameter: &str) -> Result<(), String> {
    let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
    let known = match (name.to_ascii_uppercase().as_str(), value) {
        ("SIZE", _) if features.size => match value.parse::<u64>() {
            Ok(size) if size > features.size_max => {
                let text = "552 5.3.4 Message size exceeds fixed maximum message size";
                return Err(text.to_owned());
            }
            parsed => parsed.is_ok(),
        },
        ("BODY", "7BIT" | "8BITMIME") => features.eight_bit,
        ("BODY", "BINARYMIME") => features.chunking,
        ("SMTPUTF8", "") => features.smtputf8,
        ("RET", "FULL" | "HDRS") => features.dsn,
        ("ENVID", envid) => features.dsn && !envid.is_empty() && envid.len() <= 100,
        _ => false,
    };
    if known {
        Ok(())
    } else {
        Err("501 5.5.4 Unrecognized parameter".to_owned())
    }
}

/// Other people's domains know all their users; the tenant's own one only those it was told of.
fn knows(shared: &Shared, recipient: &str) -> bool {
    let recipient = recipient.to_ascii_lowercase();
    let own = format!("@{}", shared.setup.domain());
    !recipient.ends_with(&own)
        || shared.may_send_as(&recipient)
        || shared
            .setup
            .recipients
            .iter()
            .any(|known| known.eq_ignore_ascii_case(&recipient))
        || shared.ledger().recipients.contains(&recipient)
}
