//! What a status of HTTP means, from a sign-in service, a proxy or whatever stands between.

use crate::outcome::Actor::{self, Host, Microsoft};
use crate::outcome::Fate;

/// One meaning and the statuses that have it.
#[derive(Debug)]
pub(super) struct Status {
    pub(super) numbers: &'static [u16],
    /// The words that follow such a number, in lower case.
    words: &'static [&'static str],
    pub(super) meaning: &'static str,
    pub(super) cure: &'static str,
    pub(super) actor: Actor,
    pub(super) fate: Fate,
}

/// The meaning of a status, if it is one that this program can meet.
pub(super) fn status(number: u16) -> Option<&'static Status> {
    STATUSES.iter().find(|row| row.numbers.contains(&number))
}

impl Status {
    /// Whether a text says in words what the status says.
    pub(super) fn is_spelled_in(&self, lower: &str) -> bool {
        self.words.iter().any(|words| lower.contains(words))
    }
}

const REDIRECTED: &str = "a captive portal, a filter or a wrong address redirects the request, which is not followed \
    because it holds the sign-in";

#[rustfmt::skip]
pub(super) const STATUSES: &[Status] = &[
    Status {
        numbers: &[429], words: &["too many requests"],
        meaning: "the tenant or the host asks too often and is to wait",
        cure: "nothing: it is asked again after the time in Retry-After, at most an hour; if it returns, let fewer hosts \
            use the same application",
        actor: Microsoft, fate: Fate::Defer,
    },
    Status {
        numbers: &[407], words: &["proxy authentication"],
        meaning: "the company proxy wants credentials, which this program does not send",
        cure: "have the proxy let this host pass without credentials, to login.microsoftonline.com:443 and \
            smtp.office365.com:587; its address is proxy under [endpoint]",
        actor: Host, fate: Fate::Defer,
    },
    Status {
        numbers: &[403], words: &["forbidden"],
        meaning: "a company proxy or a filter refuses the request",
        cure: "have it let this host reach login.microsoftonline.com:443, or set proxy under [endpoint]",
        actor: Host, fate: Fate::Defer,
    },
    Status {
        numbers: &[408, 502, 503, 504], words: &["bad gateway", "service unavailable", "gateway time", "request time"],
        meaning: "Microsoft's servers, or a proxy on the way, have a passing fault",
        cure: "send again later; if a web page comes with it, ask whoever runs the proxy",
        actor: Microsoft, fate: Fate::Defer,
    },
    Status {
        numbers: &[500, 501, 505, 509, 520, 521, 522, 523, 524], words: &["internal server error"],
        meaning: "Microsoft's servers have a passing fault",
        cure: "send again later",
        actor: Microsoft, fate: Fate::Defer,
    },
    Status {
        numbers: &[301, 302, 303, 307, 308], words: &["moved", "see other", "redirect"],
        meaning: REDIRECTED,
        cure: "let this host reach login.microsoftonline.com:443 directly, or correct token_url under [endpoint]",
        actor: Host, fate: Fate::Defer,
    },
    Status {
        numbers: &[404, 405, 410], words: &["not found", "not allowed", "gone"],
        meaning: "the address is not the token endpoint",
        cure: "empty token_url under [endpoint], or correct it, and check authority there",
        actor: Host, fate: Fate::Defer,
    },
    Status {
        numbers: &[400, 401], words: &["bad request", "unauthorized"],
        meaning: "the sign-in service refuses; the reason stands in the body of its answer",
        cure: "hand in the body, or the line with AADSTS: `sendmail365 explain -` reads it from standard input",
        actor: Host, fate: Fate::Hold,
    },
];
