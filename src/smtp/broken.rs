//! Connections that end otherwise than agreed, told in an administrator's words.

use super::reply::{Garbage, conceal};
use crate::outcome::{Failure, Stage};
use crate::sys::file::error_name;
use crate::sys::tls::is_an_authoritys;
use rustls::{CertificateError, Error};
use std::io::{self, ErrorKind};

/// Why no reply came.
#[derive(Debug)]
pub(crate) enum Broken {
    /// The stage's time is over.
    Deadline,
    /// A signal asked for the end.
    Signal,
    /// The server closed the connection.
    Closed,
    Io(io::Error),
    Tls(Error),
    Garbage(Garbage),
    /// Octets came before the command they could answer.
    Surplus,
}

/// Who the connection went to, and what may not be repeated.
pub(crate) struct Context<'a> {
    pub(crate) host: &'a str,
    pub(crate) port: u16,
    /// Who issued the certificate that was refused.
    pub(crate) issuer: Option<String>,
    pub(crate) secret: &'a str,
}

impl Broken {
    /// The short cause for the log.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Broken::Deadline => "deadline",
            Broken::Signal => "signal",
            Broken::Closed | Broken::Io(_) => "lost",
            Broken::Tls(Error::InvalidCertificate(_)) => "cert",
            Broken::Tls(_) => "tls",
            Broken::Garbage(Garbage::TooLong) => "too-long",
            Broken::Garbage(Garbage::NotSmtp(_)) => "garbage",
            Broken::Surplus => "unexpected",
        }
    }

    /// The cause in words.
    pub(crate) fn why(&self, secret: &str) -> String {
        match self {
            Broken::Deadline => "it did not answer in time".to_owned(),
            Broken::Signal => "a signal ended the wait".to_owned(),
            Broken::Closed => "the connection was closed".to_owned(),
            Broken::Io(error) => error.to_string(),
            Broken::Tls(error) => error.to_string(),
            Broken::Garbage(Garbage::TooLong) => "its reply has no end".to_owned(),
            Broken::Garbage(Garbage::NotSmtp(text)) => {
                format!("this is not SMTP: {}", conceal(text, secret))
            }
            Broken::Surplus => "it spoke before it was asked".to_owned(),
        }
    }

    fn err(&self) -> Option<String> {
        match self {
            Broken::Io(error) => Some(error_name(error)),
            _ => None,
        }
    }

    /// The failure before the end of the message is sent: nothing can have been accepted.
    pub(crate) fn failure(&self, stage: Stage, context: &Context<'_>) -> Failure {
        let Context { host, port, .. } = context;
        let base = match self {
            Broken::Signal => return interrupted(stage),
            Broken::Tls(error) => tls(error, context),
            Broken::Closed | Broken::Io(_) if stage == Stage::Tls => Failure::defer(format!(
                "no TLS with {host}:{port}"
            ))
            .because(match self {
                Broken::Io(error) if error.kind() == ErrorKind::ConnectionReset => {
                    "the connection was reset during the TLS handshake".to_owned()
                }
                other => format!("{} during the TLS handshake", other.why("")),
            })
            .fix(format!(
                "see whether a firewall on the way inspects or blocks TLS to {host}:{port}, then \
                 try again"
            )),
            Broken::Surplus if stage == Stage::Starttls => {
                Failure::defer(format!("the connection to {host}:{port} is tampered with"))
                    .because("replies came in clear where TLS had to begin")
                    .fix("find what sits between this host and the server; nothing secret was sent")
            }
            Broken::Surplus => {
                Failure::defer(format!("{host}:{port} does not keep to the protocol"))
                    .because(self.why(""))
                    .fix("check what sits between this host and the server, then try again later")
            }
            Broken::Garbage(_) => {
                Failure::defer(format!("no SMTP from {host}:{port} {}", awaited(stage)))
                    .because(self.why(context.secret))
                    .fix("check [smtp] host and port, and what filters SMTP on the way")
            }
            _ => Failure::defer(format!("no answer from {host}:{port} {}", awaited(stage)))
                .because(self.why(context.secret))
                .fix("try again later"),
        };
        let reason = match self {
            Broken::Surplus if stage == Stage::Starttls => "injected",
            other => other.reason(),
        };
        let failure = base.at(stage).with_reason(reason);
        match self.err() {
            Some(err) => failure.with_err(err),
            None => failure,
        }
    }

    /// The failure after the end of the message was sent: only the server knows.
    pub(crate) fn unsure(&self, context: &Context<'_>) -> Failure {
        let failure = Failure::unsure("the message may have been delivered")
            .because(format!(
                "{} did not confirm it: {}",
                context.host,
                self.why(context.secret)
            ))
            .fix("look into Sent Items of the mailbox before sending it again")
            .at(Stage::End)
            .with_reason(self.reason());
        match self.err() {
            Some(err) => failure.with_err(err),
            None => failure,
        }
    }
}

/// The failure of a submission that a signal ended before the end of the message was sent.
pub fn interrupted(stage: Stage) -> Failure {
    Failure::defer("interrupted")
        .because("a signal asked the program to end, and nothing was sent")
        .fix("send the message again")
        .with_reason("signal")
        .at(stage)
}

fn awaited(stage: Stage) -> &'static str {
    match stage {
        Stage::Greeting => "when its greeting was due",
        Stage::Ehlo => "to EHLO",
        Stage::Starttls => "to STARTTLS",
        Stage::Auth => "to the sign-in",
        Stage::Mail => "to MAIL",
        Stage::Rcpt => "to RCPT",
        Stage::Data => "to DATA",
        Stage::Body => "while it took the message",
        _ => "as it was due",
    }
}

fn tls(error: &Error, context: &Context<'_>) -> Failure {
    let Context {
        host, port, issuer, ..
    } = context;
    let issuer = issuer.as_deref().unwrap_or("an issuer without a name");
    let inspected = format!(
        "if a firewall inspects TLS, exempt {host}:{port} or name its CA in [endpoint] ca_file; \
         else update the package ca-certificates"
    );
    let clock = "check this host's clock with `date`".to_owned();
    let Error::InvalidCertificate(certificate) = error else {
        return Failure::defer(format!("no TLS with {host}:{port}"))
            .because(error)
            .fix("check [smtp] host and port, and what inspects TLS on the way");
    };
    let (why, fix) = match certificate {
        CertificateError::UnknownIssuer => (
            format!("it is issued by {issuer}, which this host does not trust"),
            inspected,
        ),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => (
            format!("it has expired, or this host's clock is wrong (issued by {issuer})"),
            clock,
        ),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => (
            format!("it is not valid yet, or this host's clock is wrong (issued by {issuer})"),
            clock,
        ),
        CertificateError::NotValidForNameContext { presented, .. } if presented.is_empty() => (
            format!("it names no host, where {host} has to stand (subjectAltName)"),
            "if it is your server, give it a certificate with its name there; else see what answers \
             in its place"
                .to_owned(),
        ),
        CertificateError::NotValidForNameContext { presented, .. } => {
            // rustls writes them as `DnsName("mail.contoso.com")`.
            let bare = |name: &String| match name.split('"').nth(1) {
                Some(inner) => inner.to_owned(),
                None => name.clone(),
            };
            let names: Vec<String> = presented.iter().take(5).map(bare).collect();
            (
                format!("it is for {}, not for {host}", names.join(", ")),
                "check [smtp] host, and what answers in its place".to_owned(),
            )
        }
        CertificateError::NotValidForName => (
            format!("it is not for {host}"),
            "check [smtp] host, and what answers in its place".to_owned(),
        ),
        authority if is_an_authoritys(authority) => (
            format!("it is that of an authority (CA:TRUE), issued by {issuer}, and no server's"),
            "if it is your server, give it a certificate without CA:TRUE; else something \
             intercepts the connection"
                .to_owned(),
        ),
        other => (format!("{other} (issued by {issuer})"), inspected),
    };
    Failure::defer(format!(
        "the certificate of {host}:{port} cannot be trusted"
    ))
    .because(why)
    .fix(fix)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(error: CertificateError) -> Failure {
        let context = Context {
            host: "smtp.x.test",
            port: 587,
            issuer: Some("Contoso Inspection CA".to_owned()),
            secret: "",
        };
        Broken::Tls(Error::InvalidCertificate(error)).failure(Stage::Tls, &context)
    }

    #[test]
    fn a_refused_certificate_says_whose_it_is_and_what_to_do() {
        let failure = told(CertificateError::UnknownIssuer);
        assert!(failure.why().unwrap().contains("Contoso Inspection CA"));
        assert!(failure.cure().unwrap().contains("ca_file"));
        assert_eq!(failure.reason(), Some("cert"));
        for error in [CertificateError::Expired, CertificateError::NotValidYet] {
            assert!(told(error).cure().unwrap().contains("clock"));
        }
        let wrong = CertificateError::NotValidForNameContext {
            expected: "smtp.x.test".try_into().unwrap(),
            presented: vec!["proxy.test".to_owned()],
        };
        assert_eq!(
            told(wrong).why(),
            Some("it is for proxy.test, not for smtp.x.test")
        );
        let none = CertificateError::NotValidForNameContext {
            expected: "smtp.x.test".try_into().unwrap(),
            presented: vec![],
        };
        let failure = told(none);
        assert!(failure.why().unwrap().contains("names no host"));
        assert!(
            failure
                .cure()
                .unwrap()
                .contains("certificate with its name")
        );
    }

    #[test]
    fn a_reset_in_the_handshake_points_at_the_firewall() {
        let context = Context {
            host: "h",
            port: 587,
            issuer: None,
            secret: "",
        };
        let broken = Broken::Io(io::Error::from(ErrorKind::ConnectionReset));
        let failure = broken.failure(Stage::Tls, &context);
        assert!(failure.why().unwrap().contains("reset"));
        assert!(failure.cure().unwrap().contains("firewall"));
    }
}
