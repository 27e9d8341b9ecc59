//! What Microsoft's replies mean, as a table: cause, cure, and what becomes of the message.
//!
//! The digit alone misleads: some 4yz never pass by themselves and some 5yz do.

mod pasted;
mod suspects;
mod table;

#[cfg(test)]
pub(crate) use pasted::all;
pub use pasted::{Explained, explain, explain_enhanced, explain_words};

use self::table::{ANY, AUTH, HOST, MESSAGE, RCPT};
use super::reply::Reply;
use crate::outcome::{Actor, Class, Fate, Stage, Suspect};

/// One row. It fits a reply when all three conditions do; an empty condition always does.
#[derive(Debug)]
pub(crate) struct Cause {
    codes: &'static [u16],
    /// Class (0 is any), subject, first and last detail.
    enhanced: &'static [(u16, u16, u16, u16)],
    /// Lower case, each somewhere in the text.
    texts: &'static [&'static str],
    pub(crate) fate: Fate,
    pub(crate) class: Class,
    /// A fresh token may be all that is needed.
    pub(crate) token: bool,
    pub(crate) why: &'static str,
    /// What to do; where several causes are usual, for the likeliest.
    pub(crate) fix: &'static str,
    pub(crate) actor: Actor,
    /// The usual causes in order, where there are several.
    pub(crate) suspects: &'static [Suspect],
}

/// What a reply decides.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Judgement {
    pub(crate) fate: Fate,
    pub(crate) class: Class,
    pub(crate) token: bool,
    pub(crate) why: Option<&'static str>,
    pub(crate) fix: &'static str,
}

/// Judges a negative reply by the table, and where that is silent by stage and first digit.
pub(crate) fn judge(stage: Stage, reply: &Reply) -> Judgement {
    let cause = find(stage, reply);
    let (fate, class) = match cause {
        Some(cause) => (cause.fate, cause.class),
        None if reply.temporary() => (Fate::Defer, Class::TryAgain),
        None if stage == Stage::Rcpt => (Fate::Return, Class::NoUser),
        None => (Fate::Return, Class::Unavailable),
    };
    let fate = match stage {
        Stage::Mail | Stage::Rcpt | Stage::Data | Stage::Body | Stage::End => fate,
        // Credentials are the administrator's fault, not the message's.
        Stage::Auth if fate == Fate::Return => Fate::Hold,
        Stage::Auth => fate,
        _ => Fate::Defer,
    };
    let class = match (fate, class) {
        (Fate::Return, Class::NoUser) if stage != Stage::Rcpt => Class::Unavailable,
        (Fate::Return, class) => class,
        _ => Class::TryAgain,
    };
    Judgement {
        fate,
        class,
        token: cause.is_some_and(|cause| cause.token),
        why: cause.map(|cause| cause.why),
        fix: cause.map_or_else(|| usual_fix(stage, fate, reply), |cause| cause.fix),
    }
}

fn find(stage: Stage, reply: &Reply) -> Option<&'static Cause> {
    let tables = match stage {
        Stage::Rcpt => [RCPT, MESSAGE, HOST, ANY],
        Stage::Mail | Stage::Data | Stage::Body | Stage::End => [MESSAGE, HOST, ANY, &[]],
        // Before there is a message a refusal for good cannot be about one.
        Stage::Greeting | Stage::Ehlo | Stage::Starttls if !reply.temporary() => {
            [HOST, ANY, &[], &[]]
        }
        _ => [AUTH, ANY, MESSAGE, HOST],
    };
    let (code, enhanced) = (reply.code(), reply.enhanced());
    let text = without_addresses(&reply.folded());
    // What is said of a recipient may hold whatever the caller has written for one.
    let vague = |cause: &Cause| cause.codes.is_empty() && cause.enhanced.is_empty();
    tables
        .into_iter()
        .flatten()
        .filter(|cause| stage != Stage::Rcpt || !vague(cause))
        .find(|cause| cause.fits(code, enhanced, &text))
}

/// A reply without the addresses in it and what stands in quotes: a caller chooses those, and must
/// not choose the cause.
fn without_addresses(text: &str) -> String {
    let (mut quoted, mut escaped) = (false, false);
    let outside = |char: &char| {
        let inside = quoted;
        match char {
            _ if escaped => escaped = false,
            '\\' => escaped = quoted,
            '"' => quoted = !quoted,
            _ => {}
        }
        // The closing quote stays, so that what stands around an address is not joined with it.
        !inside || *char == '"' && !quoted
    };
    // What stands behind a quote that nothing ends is dropped with it.
    let unquoted: String = text.chars().filter(outside).collect();
    let words = unquoted.split_whitespace();
    let words: Vec<&str> = words.filter(|word| !word.contains('@')).collect();
    words.join(" ")
}

fn usual_fix(stage: Stage, fate: Fate, reply: &Reply) -> &'static str {
    match (stage, fate) {
        (Stage::Greeting, _) if !reply.temporary() => {
            "check [smtp] host and port, and whether the server takes connections from the network \
             of this host"
        }
        (Stage::Ehlo, _) if !reply.temporary() => {
            "check [smtp] hello, the name this host greets with, then [smtp] host and port"
        }
        (Stage::Starttls, _) if !reply.temporary() => {
            "check [smtp] host and port: smtp.office365.com, 587"
        }
        (_, Fate::Return | Fate::Hold) => {
            "correct what the server names, then send the message again"
        }
        (_, Fate::Defer | Fate::Unsure) => "try again later",
    }
}

impl Cause {
    fn fits(&self, code: u16, enhanced: Option<[u16; 3]>, text: &str) -> bool {
        (self.codes.is_empty() || self.codes.contains(&code))
            && (self.enhanced.is_empty() || enhanced.is_some_and(|code| self.covers(code)))
            && self.texts.iter().all(|part| text.contains(part))
    }

    /// Whether the row names this enhanced code.
    fn covers(&self, [class, subject, detail]: [u16; 3]) -> bool {
        self.enhanced.iter().any(|&(c, s, first, last)| {
            (c == 0 || c == class) && s == subject && (first..=last).contains(&detail)
        })
    }

    const fn hold(self, (actor, why, fix): Words) -> Cause {
        Cause {
            fate: Fate::Hold,
            why,
            fix,
            actor,
            ..self
        }
    }

    /// It passes by itself, as far as the message goes.
    const fn defer(self, (actor, why, fix): Words) -> Cause {
        Cause {
            why,
            fix,
            actor,
            ..self
        }
    }

    const fn refuse(self, class: Class, (actor, why, fix): Words) -> Cause {
        Cause {
            fate: Fate::Return,
            class,
            why,
            fix,
            actor,
            ..self
        }
    }

    const fn fresh_token(self) -> Cause {
        Cause {
            token: true,
            ..self
        }
    }

    const fn or(self, suspects: &'static [Suspect]) -> Cause {
        Cause { suspects, ..self }
    }
}

/// Who acts, why, and what to do.
type Words = (Actor, &'static str, &'static str);

const fn on(
    codes: &'static [u16],
    enhanced: &'static [(u16, u16, u16, u16)],
    texts: &'static [&'static str],
) -> Cause {
    Cause {
        codes,
        enhanced,
        texts,
        fate: Fate::Defer,
        class: Class::TryAgain,
        token: false,
        why: "",
        fix: "",
        actor: Actor::Microsoft,
        suspects: &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reply of Microsoft's, the stage it comes at, what it decides and a word of its cure.
    type Case = (&'static str, Stage, Fate, u8, &'static str);

    const CASES: &[Case] = &[
        (
            "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant. Visit https://aka.ms/smtp_auth_disabled for more information. [X]",
            Stage::Auth,
            Fate::Hold,
            75,
            "Set-CASMailbox",
        ),
        (
            "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Mailbox. Visit",
            Stage::Auth,
            Fate::Hold,
            75,
            "Set-CASMailbox",
        ),
        (
            "535 5.7.139 Authentication unsuccessful, basic authentication is disabled.",
            Stage::Auth,
            Fate::Hold,
            75,
            "OAuth only",
        ),
        (
            "535 5.7.139 Authentication unsuccessful, the user credentials were incorrect.",
            Stage::Auth,
            Fate::Hold,
            75,
            "OAuth only",
        ),
        (
            "535 5.7.139 Authentication unsuccessful, user is locked by your organization's security defaults policy. Contact your administrator.",
            Stage::Auth,
            Fate::Hold,
            75,
            "sign-in log",
        ),
        (
            "535 5.7.139 Authentication unsuccessful, the request did not meet the criteria to be authenticated successfully. Contact your administrator.",
            Stage::Auth,
            Fate::Hold,
            75,
            "sign-in log",
        ),
        (
            "535 5.7.139 Authentication unsuccessful, account locked.",
            Stage::Auth,
            Fate::Hold,
            75,
            "unblock",
        ),
        (
            "535 5.7.139 Authentication unsuccessful, federated STS service was unreachable",
            Stage::Auth,
            Fate::Defer,
            75,
            "federation",
        ),
        (
            "535 5.7.139 the federated STS URL does not support HTTPS",
            Stage::Auth,
            Fate::Defer,
            75,
            "HTTPS",
        ),
        (
            "535 5.7.139 Authentication unsuccessful, something new",
            Stage::Auth,
            Fate::Hold,
            75,
            "Set-CASMailbox",
        ),
        (
            "550 5.7.606 Access denied, banned sending IP [192.0.2.1].",
            Stage::Mail,
            Fate::Hold,
            75,
            "sender.office.com",
        ),
        (
            "550 5.7.511 Access denied, banned sender[192.0.2.1].",
            Stage::End,
            Fate::Hold,
            75,
            "delist@microsoft.com",
        ),
        (
            "550 5.7.508 Access denied, [2001:db8::1] has exceeded permitted limits within 2001:db8::/64 range",
            Stage::Rcpt,
            Fate::Hold,
            75,
            "wait",
        ),
        (
            "550 5.7.64 TenantAttribution; Relay Access Denied [X]",
            Stage::Rcpt,
            Fate::Hold,
            75,
            "[smtp] host",
        ),
        (
            "550 5.7.139 Authentication unsuccessful",
            Stage::Mail,
            Fate::Hold,
            75,
            "Set-CASMailbox",
        ),
        (
            "503 5.5.2 Send hello first",
            Stage::Mail,
            Fate::Hold,
            75,
            "dialogue",
        ),
        (
            "421 4.4.2 Message submission rate for this client has exceeded the configured limit",
            Stage::Mail,
            Fate::Defer,
            75,
            "per_minute",
        ),
        (
            "552 5.2.2 Mailbox full",
            Stage::Rcpt,
            Fate::Return,
            67,
            "recipient",
        ),
        (
            "552 Too many recipients",
            Stage::Rcpt,
            Fate::Defer,
            75,
            "fewer recipients",
        ),
        (
            "504 5.7.4 Unrecognized authentication type [X]",
            Stage::Auth,
            Fate::Hold,
            75,
            "587",
        ),
        (
            "501 5.5.124 Invalid XOAUTH2 auth data",
            Stage::Auth,
            Fate::Hold,
            75,
            "mailbox and user",
        ),
        (
            "501 5.5.127 Invalid XOAUTH2 auth data - Token will expire soon",
            Stage::Auth,
            Fate::Hold,
            75,
            "login",
        ),
        (
            "500 5.3.3 Unrecognized command 'unknown' [X]",
            Stage::Auth,
            Fate::Hold,
            75,
            "long lines",
        ),
        (
            "503 5.5.2 Send hello first",
            Stage::Auth,
            Fate::Hold,
            75,
            "dialogue",
        ),
        (
            "535 5.7.3 Authentication unsuccessful [AM0PR02CA0134.eurprd02.prod.outlook.com 2024-07-11T11:46:49.042Z 08DCA18218166FB4]",
            Stage::Auth,
            Fate::Hold,
            75,
            "[account] mailbox and user",
        ),
        (
            "550 5.7.30 Basic authentication is not supported for Client Submission.",
            Stage::Auth,
            Fate::Hold,
            75,
            "OAuth",
        ),
        (
            "421 4.7.66 TLS 1.0 and 1.1 are not supported",
            Stage::Mail,
            Fate::Hold,
            75,
            "TLS 1.2",
        ),
        (
            "421 4.3.2 Service not active [X]",
            Stage::Auth,
            Fate::Defer,
            75,
            "later",
        ),
        (
            "421 4.4.2 Connection dropped due to SocketError",
            Stage::Data,
            Fate::Defer,
            75,
            "later",
        ),
        (
            "421 4.4.1 Connection timed out",
            Stage::Mail,
            Fate::Defer,
            75,
            "later",
        ),
        (
            "451 4.7.0 Temporary server error. Please try again later. PRX4 [X]",
            Stage::Auth,
            Fate::Defer,
            75,
            "hello",
        ),
        (
            "454 4.7.0 Temporary authentication failure",
            Stage::Auth,
            Fate::Defer,
            75,
            "later",
        ),
        (
            "530 5.7.57 Client not authenticated to send mail. [X]",
            Stage::Mail,
            Fate::Hold,
            75,
            "AUTH",
        ),
        (
            "550 5.7.57 SMTP; Client was not authenticated to send anonymous mail during MAIL FROM",
            Stage::Mail,
            Fate::Hold,
            75,
            "AUTH",
        ),
        (
            "550 5.7.60 SMTP; Client does not have permissions to send as this sender",
            Stage::Mail,
            Fate::Return,
            77,
            "Add-RecipientPermission",
        ),
        (
            "554 5.2.252 SendAsDenied; a@x not allowed to send as b@y; STOREDRV.Submission.Exception:SendAsDeniedException.MapiExceptionSendAsDenied; Failed",
            Stage::End,
            Fate::Return,
            77,
            "AccessRights SendAs",
        ),
        (
            "554 5.2.0 STOREDRV.Submission.Exception:SendAsDeniedException.MapiExceptionSendAsDenied",
            Stage::End,
            Fate::Return,
            77,
            "rewrite",
        ),
        ("554 5.2.252 no", Stage::End, Fate::Return, 77, "rewrite"),
        (
            "430 4.2.0 STOREDRV; mailbox logon failure; STOREDRV.Submission.Exception:ConnectionFailedTransientException.MapiExceptionLogonFailed",
            Stage::End,
            Fate::Hold,
            75,
            "Add-MailboxPermission",
        ),
        (
            "430 4.2.0 STOREDRV.Submission.Exception:MapiExceptionLogonFailure",
            Stage::End,
            Fate::Hold,
            75,
            "Add-MailboxPermission",
        ),
        (
            "432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded [Hostname=X]",
            Stage::End,
            Fate::Defer,
            75,
            "connections",
        ),
        (
            "432 4.3.2 Concurrent connections limit exceeded. Visit https://aka.ms/concurrent_sending",
            Stage::End,
            Fate::Defer,
            75,
            "connections",
        ),
        (
            "451 4.3.111 Temporary server error. Please try again later MRH1 [Hostname=X]",
            Stage::End,
            Fate::Defer,
            75,
            "later",
        ),
        (
            "554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException",
            Stage::End,
            Fate::Hold,
            75,
            "24 hours",
        ),
        (
            "550 5.2.2 Submission quota exceeded",
            Stage::End,
            Fate::Hold,
            75,
            "24 hours",
        ),
        (
            "550 5.1.90 Your message can't be sent because you've reached your daily limit for message recipients",
            Stage::End,
            Fate::Hold,
            75,
            "24 hours",
        ),
        (
            "550 5.7.232 Your message can't be sent because your trial tenant has exceeded its limit",
            Stage::End,
            Fate::Hold,
            75,
            "licences",
        ),
        (
            "550 5.7.233 tenant external recipient rate limit",
            Stage::Rcpt,
            Fate::Hold,
            75,
            "licences",
        ),
        (
            "550 5.7.236 onmicrosoft.com",
            Stage::End,
            Fate::Hold,
            75,
            "onmicrosoft.com",
        ),
        (
            "450 4.2.121 recipient's hourly limit",
            Stage::Rcpt,
            Fate::Defer,
            75,
            "hour",
        ),
        (
            "550 5.2.122 The recipient has exceeded their limit for the number of messages they can receive per hour",
            Stage::Rcpt,
            Fate::Defer,
            75,
            "hour",
        ),
        (
            "554 5.2.2 mailbox full; STOREDRV.Submission.Exception:QuotaExceededException.MapiExceptionShutoffQuotaExceeded",
            Stage::End,
            Fate::Hold,
            75,
            "Sent Items",
        ),
        (
            "554 5.2.0 STOREDRV; MapiExceptionShutoffQuotaExceeded",
            Stage::End,
            Fate::Hold,
            75,
            "Sent Items",
        ),
        (
            "554 5.2.0 STOREDRV; MapiExceptionQuotaExceeded",
            Stage::End,
            Fate::Hold,
            75,
            "Sent Items",
        ),
        (
            "550 5.1.8 Access denied, bad outbound sender",
            Stage::End,
            Fate::Hold,
            75,
            "Restricted entities",
        ),
        (
            "550 5.7.501 Access denied, spam abuse detected",
            Stage::End,
            Fate::Hold,
            75,
            "Restricted entities",
        ),
        (
            "550 5.7.503 Access denied, banned sender",
            Stage::Mail,
            Fate::Hold,
            75,
            "Restricted entities",
        ),
        (
            "550 5.7.705 tenant has exceeded threshold",
            Stage::End,
            Fate::Hold,
            75,
            "support",
        ),
        (
            "550 5.7.708 Access denied, traffic not accepted from this IP",
            Stage::End,
            Fate::Hold,
            75,
            "support",
        ),
        (
            "550 5.7.750 Service unavailable. Client blocked from sending from unregistered domains",
            Stage::End,
            Fate::Return,
            69,
            "add the domain",
        ),
        (
            "550 5.7.800 banned sender",
            Stage::Mail,
            Fate::Hold,
            75,
            "support",
        ),
        (
            "550 5.7.506 Access denied, Bad HELO",
            Stage::Mail,
            Fate::Hold,
            75,
            "hello",
        ),
        (
            "451 4.7.500 Access denied, please try again later (AS761)",
            Stage::Mail,
            Fate::Defer,
            75,
            "wait",
        ),
        (
            "451 4.7.650 The mail server [203.0.113.1] has been temporarily rate limited",
            Stage::Mail,
            Fate::Defer,
            75,
            "wait",
        ),
        (
            "451 4.7.860 Access denied, please try again later",
            Stage::Mail,
            Fate::Defer,
            75,
            "wait",
        ),
        (
            "451 4.4.5 congestion",
            Stage::Mail,
            Fate::Defer,
            75,
            "later",
        ),
        ("554 5.4.5 congestion", Stage::Mail, Fate::Hold, 75, "wait"),
        ("450 4.4.7 expired", Stage::End, Fate::Defer, 75, "later"),
        (
            "451 4.4.0 Primary target IP address responded",
            Stage::Data,
            Fate::Defer,
            75,
            "later",
        ),
        (
            "450 4.7.11 replication",
            Stage::Data,
            Fate::Defer,
            75,
            "later",
        ),
        (
            "452 4.5.3 Too many recipients",
            Stage::Rcpt,
            Fate::Defer,
            75,
            "fewer recipients",
        ),
        (
            "550 5.5.3 Too many recipients",
            Stage::End,
            Fate::Return,
            69,
            "-RecipientLimits",
        ),
        (
            "550 5.1.0 RESOLVER.ADR.RecipLimit; too many recipients on this message",
            Stage::End,
            Fate::Return,
            69,
            "-RecipientLimits",
        ),
        (
            "552 5.3.4 Message size exceeds fixed maximum message size",
            Stage::End,
            Fate::Return,
            69,
            "-MaxSendSize",
        ),
        (
            "554 5.3.4 too big",
            Stage::Mail,
            Fate::Return,
            69,
            "-MaxSendSize",
        ),
        (
            "550 5.1.20 Multiple From addresses are not allowed without Sender address",
            Stage::End,
            Fate::Return,
            65,
            "Sender",
        ),
        (
            "550 5.7.512 Access denied, message must be RFC 5322 section 3.6.2 compliant",
            Stage::End,
            Fate::Return,
            65,
            "From",
        ),
        (
            "554 5.6.0 Invalid message content",
            Stage::End,
            Fate::Return,
            65,
            "MIME",
        ),
        (
            "554 5.6.0 STOREDRV.Deliver.Exception: CorruptData",
            Stage::End,
            Fate::Return,
            65,
            "MIME",
        ),
        (
            "550 5.6.11 Invalid characters",
            Stage::End,
            Fate::Return,
            65,
            "CRLF",
        ),
        (
            "501 5.1.3 Invalid address",
            Stage::Rcpt,
            Fate::Return,
            67,
            "recipient's address",
        ),
        (
            "501 5.1.7 Invalid address",
            Stage::Mail,
            Fate::Return,
            69,
            "address",
        ),
        (
            "550 5.1.1 User unknown",
            Stage::Rcpt,
            Fate::Return,
            67,
            "recipient's address",
        ),
        (
            "550 5.1.10 RESOLVER.ADR.RecipientNotFound",
            Stage::Rcpt,
            Fate::Return,
            67,
            "recipient's address",
        ),
        (
            "550 5.4.1 Recipient address rejected: Access denied",
            Stage::Rcpt,
            Fate::Return,
            67,
            "recipient's address",
        ),
        (
            "550 5.1.1 User unknown",
            Stage::End,
            Fate::Return,
            69,
            "recipient's address",
        ),
        (
            "550 5.7.1 TRANSPORT.RULES.RejectMessage; the message was rejected by organization policy",
            Stage::End,
            Fate::Return,
            69,
            "Get-TransportRule",
        ),
        (
            "550 5.7.1 Unable to relay",
            Stage::Rcpt,
            Fate::Return,
            69,
            "host",
        ),
        ("550 5.7.1 no", Stage::End, Fate::Return, 69, "host"),
        (
            "550 5.7.703 Your message can't be delivered because one or more recipients are blocked",
            Stage::End,
            Fate::Return,
            69,
            "Get-TenantAllowBlockListItems",
        ),
        (
            "554 5.4.14 Hop count exceeded",
            Stage::End,
            Fate::Return,
            69,
            "forwarding",
        ),
        (
            "554 5.4.6 Hop count exceeded",
            Stage::End,
            Fate::Return,
            69,
            "forwarding",
        ),
        (
            "550 5.4.300 Message expired",
            Stage::End,
            Fate::Return,
            69,
            "domain",
        ),
    ];

    #[test]
    fn every_text_of_microsofts_is_judged_by_the_table_not_by_its_digit() {
        for (text, stage, fate, exit, cure) in CASES {
            let judgement = judge(*stage, &Reply::of(text));
            assert_eq!(judgement.fate, *fate, "{text}");
            assert_eq!(judgement.class.code(), *exit, "{text}");
            assert!(judgement.fix.contains(cure), "{text}: {}", judgement.fix);
            assert!(judgement.why.is_some(), "{text}");
        }
    }

    #[test]
    fn every_row_of_the_table_is_reached() {
        let condition = |row: &'static Cause| (row.codes, row.enhanced, row.texts);
        for row in [AUTH, ANY, MESSAGE, HOST].into_iter().flatten() {
            let reached = CASES.iter().any(|(text, stage, ..)| {
                find(*stage, &Reply::of(text))
                    .is_some_and(|found| condition(found) == condition(row))
            });
            assert!(reached, "{row:?}");
        }
    }

    /// A line is cut after 500 characters.
    #[test]
    fn no_cure_is_cut_where_it_is_printed() {
        for row in [AUTH, ANY, MESSAGE, HOST].into_iter().flatten() {
            assert!(row.fix.len() <= 420 && row.why.len() <= 200, "{row:?}");
        }
    }

    #[test]
    fn nothing_is_returned_before_mail() {
        let stages = [Stage::Greeting, Stage::Ehlo, Stage::Starttls, Stage::Auth];
        let unknown = ["554 no", "550 5.0.0 no", "500", "421 x", "559"];
        let texts = CASES.iter().map(|(text, ..)| *text);
        for text in texts.chain(unknown) {
            for stage in stages {
                let judgement = judge(stage, &Reply::of(text));
                assert_eq!(judgement.class, Class::TryAgain, "{text}");
                assert_ne!(judgement.fate, Fate::Return, "{text}");
                assert!(
                    stage == Stage::Auth || judgement.fate == Fate::Defer,
                    "{text}"
                );
            }
        }
    }

    #[test]
    fn a_refusal_before_the_sign_in_is_not_told_as_one_of_a_message() {
        for text in ["554 no", "554 5.7.1 no", "550 5.1.1 no", "554 5.3.2 x"] {
            for (stage, fix) in [
                (Stage::Greeting, "network of this host"),
                (Stage::Ehlo, "check [smtp] hello"),
                (Stage::Starttls, "587"),
            ] {
                let judgement = judge(stage, &Reply::of(text));
                assert!(judgement.fix.contains(fix), "{text}: {}", judgement.fix);
                assert_eq!(judgement.why, None, "{text}");
            }
        }
        let own_name = judge(Stage::Ehlo, &Reply::of("550 5.7.506 no"));
        assert!(own_name.why.is_some() && own_name.fix.contains("[smtp] hello"));
        let busy = judge(Stage::Greeting, &Reply::of("421 4.7.500 busy"));
        assert!(busy.why.is_some());
    }

    #[test]
    fn no_cure_sets_what_is_set_already() {
        let fix = |stage, text| judge(stage, &Reply::of(text)).fix;
        let sender = fix(
            Stage::Mail,
            "550 5.7.60 SMTP; Client does not have permissions",
        );
        assert!(!sender.contains("rewrite") && sender.contains("-AccessRights SendAs"));
        for text in ["554 5.2.252 no", "550 5.7.750 no"] {
            assert!(fix(Stage::End, text).contains("if [sender] rewrite is false"));
        }
    }

    #[test]
    fn what_the_table_does_not_know_is_judged_by_stage_and_digit() {
        let judged = |stage, text| {
            let judgement = judge(stage, &Reply::of(text));
            (judgement.fate, judgement.class.code())
        };
        assert_eq!(judged(Stage::End, "459 x"), (Fate::Defer, 75));
        assert_eq!(judged(Stage::Rcpt, "550 x"), (Fate::Return, 67));
        assert_eq!(
            judged(Stage::Data, "554 no valid recipients"),
            (Fate::Return, 69)
        );
        assert_eq!(judged(Stage::Mail, "550"), (Fate::Return, 69));
        assert_eq!(judged(Stage::Auth, "550"), (Fate::Hold, 75));
        assert_eq!(judged(Stage::Auth, "432 x"), (Fate::Defer, 75));
    }

    #[test]
    fn only_a_fault_of_the_token_asks_for_a_fresh_one() {
        let token = |text| judge(Stage::Auth, &Reply::of(text)).token;
        assert!(token("535 5.7.3 Authentication unsuccessful"));
        assert!(token("535"));
        assert!(token("501 5.5.127 Token will expire soon"));
        assert!(!token(
            "535 5.7.139 SmtpClientAuthentication is disabled for the Tenant"
        ));
        assert!(!token("451 4.7.0 Temporary server error"));
    }

    #[test]
    fn no_address_chooses_the_cause_of_its_refusal() {
        let tables = [AUTH, ANY, MESSAGE, HOST];
        for part in tables
            .iter()
            .copied()
            .flatten()
            .flat_map(|cause| cause.texts)
        {
            let joined = part.replace(' ', "");
            for (stage, address) in [
                (Stage::Rcpt, (*part).to_owned()),
                (Stage::Rcpt, format!("{joined}@contoso.test")),
                (Stage::End, format!("<{joined}@contoso.test>")),
                (Stage::End, format!("\"{part}\"@contoso.test")),
                (Stage::Mail, format!("\"{part}\"@contoso.test")),
                (Stage::End, format!("\"a\\\" {part} \\\"\"@contoso.test")),
                (
                    Stage::End,
                    format!("<\"a\\\\\\\" {part} \\\"\"@contoso.test>"),
                ),
                (Stage::End, format!("\"a\\\" {part}")),
            ] {
                let text = format!("550 5.1.10 RESOLVER.ADR; Recipient {address} not found");
                let judgement = judge(stage, &Reply::of(&text));
                assert_eq!(judgement.fate, Fate::Return, "{text}");
                assert!(
                    judgement.why.unwrap().contains("no such recipient"),
                    "{text}"
                );
            }
        }
    }
}
