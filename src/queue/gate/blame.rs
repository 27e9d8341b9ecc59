//! Whether a failure says anything about the server, or only about the one who met it.
//!
//! The breaker keeps everybody's mail from the server for a while, so no user may be able to open it
//! from his side of the connection: with a limit on his files or memory, by stopping his process, or
//! by what he writes and to whom. Known good reasons are listed; whatever is unknown opens nothing.

use super::{Kind, Who};
use crate::outcome::{Failure, Fate, Stage};
use crate::sys::file::error_number_name;

/// Errors that the other side or the way to it sent.
const NETWORK: [&str; 10] = [
    "ECONNREFUSED",
    "ECONNRESET",
    "ECONNABORTED",
    "EPIPE",
    "ETIMEDOUT",
    "EHOSTUNREACH",
    // The resolver said nothing at all.
    "timeout",
    // From the library rather than the system: a proxy that is silent, or hangs up.
    "TimedOut",
    "UnexpectedEof",
    "ConnectionReset",
];

/// Errors that a caller's surroundings bring about just as well: the C library says the first three
/// when it has no descriptor left, and the last is this host's own routing table, or the empty one of
/// a service without network. All come at once, so that an attempt for each message costs little.
const DOUBTFUL: [&str; 5] = ["NXDOMAIN", "EAI_AGAIN", "dns", "ENETUNREACH", "ENETDOWN"];

/// Why a token that the endpoint did grant is of no use; other reasons at that stage are files.
const UNFIT: [&str; 5] = ["user", "tenant", "audience", "scope", "not-yet-valid"];

/// What the breaker has to say after a failure; none if others may well fare better.
pub(super) fn kind(failure: &Failure, who: Who) -> Option<Kind> {
    let kind = match failure.fate() {
        Fate::Return => return None,
        Fate::Hold => Kind::Hold,
        Fate::Defer | Fate::Unsure => Kind::Defer,
    };
    if !network(failure, who) {
        return None;
    }
    let spoke = failure.code().is_some();
    let known = spoke || failure.reason().is_some() || error(failure).is_some();
    let opens = match failure.stage()? {
        Stage::TokenHttp | Stage::Dns | Stage::Connect => known,
        Stage::Greeting | Stage::Ehlo | Stage::Starttls | Stage::Tls | Stage::Auth => known,
        Stage::Token => failure.reason().is_some_and(|word| UNFIT.contains(&word)),
        // From here on an answer may be about this message.
        Stage::Mail | Stage::Rcpt | Stage::Data | Stage::Body | Stage::End if spoke => {
            kind == Kind::Hold || about_the_server(failure)
        }
        Stage::Mail | Stage::Rcpt | Stage::Data | Stage::Body | Stage::End => known,
        Stage::Argv | Stage::Stdin | Stage::Config | Stage::Queue => false,
        Stage::Slot | Stage::Breaker | Stage::Pace => false,
    };
    opens.then_some(kind)
}

/// Whether no error of this host's own took part.
fn network(failure: &Failure, who: Who) -> bool {
    let Some(error) = error(failure) else {
        return true;
    };
    // The runner's surroundings are the administrator's.
    let doubtful = who == Who::Runner && DOUBTFUL.contains(&error.as_str());
    doubtful || NETWORK.contains(&error.as_str())
}

fn error(failure: &Failure) -> Option<String> {
    let named = failure.err().map(str::to_owned);
    named.or_else(|| failure.os_error().map(error_number_name))
}

/// 421 and 432 are about the connection and the mailbox wherever they come. 451 and 454 are about the
/// server, except after RCPT: there the caller has chosen whom they are about.
fn about_the_server(failure: &Failure) -> bool {
    match failure.code() {
        Some("421" | "432") => true,
        Some("451" | "454") => failure.stage() != Some(Stage::Rcpt),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Class;
    use std::io;

    fn at(stage: Stage) -> Failure {
        Failure::defer("x").at(stage)
    }

    fn submission(failure: Failure) -> Option<Kind> {
        kind(&failure, Who::Submission)
    }

    const EVERY_STAGE: [Stage; 21] = [
        Stage::Argv,
        Stage::Stdin,
        Stage::Config,
        Stage::Token,
        Stage::TokenHttp,
        Stage::Dns,
        Stage::Connect,
        Stage::Greeting,
        Stage::Ehlo,
        Stage::Starttls,
        Stage::Tls,
        Stage::Auth,
        Stage::Mail,
        Stage::Rcpt,
        Stage::Data,
        Stage::Body,
        Stage::End,
        Stage::Slot,
        Stage::Breaker,
        Stage::Pace,
        Stage::Queue,
    ];

    #[test]
    fn a_server_that_is_down_silent_or_unreachable_opens_it() {
        for err in ["ECONNREFUSED", "ETIMEDOUT", "EHOSTUNREACH"] {
            let failure = at(Stage::Connect).with_err(err);
            assert_eq!(submission(failure), Some(Kind::Defer), "{err}");
        }
        for reason in ["deadline", "lost", "garbage", "tls", "cert", "not-offered"] {
            for stage in [Stage::Greeting, Stage::Tls, Stage::Auth, Stage::Body] {
                let failure = at(stage).with_reason(reason);
                assert_eq!(submission(failure), Some(Kind::Defer), "{reason}");
            }
        }
        let silent = Failure::unsure("x").at(Stage::End).with_reason("deadline");
        assert_eq!(submission(silent), Some(Kind::Defer));
    }

    #[test]
    fn what_a_caller_does_to_himself_never_opens_it() {
        let local = [
            "EMFILE",
            "ENFILE",
            "ENOMEM",
            "ENOBUFS",
            "EFBIG",
            "ENOSPC",
            "EACCES",
            "EPERM",
            "EINTR",
            "EADDRNOTAVAIL",
            "EIO",
            "EROFS",
            "errno11",
            "Other",
            "OutOfMemory",
            "unheard of",
        ];
        for stage in EVERY_STAGE {
            for err in local {
                for fate in [Failure::defer, Failure::hold, Failure::unsure] {
                    let failure = fate("x").at(stage).with_err(err).with_reason("lost");
                    assert_eq!(kind(&failure, Who::Submission), None, "{stage:?} {err}");
                    assert_eq!(kind(&failure, Who::Runner), None, "{stage:?} {err}");
                }
            }
            // Out of memory, too many files, and none of the system's errors at all.
            for number in [12, 24, 11, 4, 27, 13, 105, 9999] {
                let error = io::Error::from_raw_os_error(number);
                let failure = at(stage).with_os_error(&error).with_reason("lost");
                assert_eq!(submission(failure), None, "{stage:?} {number}");
            }
            let unexplained = submission(at(stage));
            assert_eq!(unexplained, None, "{stage:?}");
        }
    }

    #[test]
    fn what_is_decided_before_the_network_never_opens_it() {
        for stage in [
            Stage::Argv,
            Stage::Stdin,
            Stage::Config,
            Stage::Slot,
            Stage::Breaker,
            Stage::Pace,
            Stage::Queue,
        ] {
            let failure = at(stage).with_err("ECONNREFUSED").with_code(421);
            assert_eq!(submission(failure), None, "{stage:?}");
        }
        for reason in ["no-token", "other-account", "corrupt", "unreadable", "type"] {
            let failure = Failure::hold("x").at(Stage::Token).with_reason(reason);
            assert_eq!(submission(failure), None, "{reason}");
        }
        assert_eq!(submission(Failure::hold("no roots")), None);
    }

    #[test]
    fn what_the_resolver_or_the_routing_table_says_counts_only_from_the_runner() {
        for err in DOUBTFUL {
            let failure = at(Stage::Dns).with_err(err);
            assert_eq!(kind(&failure, Who::Submission), None, "{err}");
            assert_eq!(kind(&failure, Who::Runner), Some(Kind::Defer), "{err}");
        }
        let silent = at(Stage::Dns).with_err("timeout");
        assert_eq!(submission(silent), Some(Kind::Defer));
    }

    #[test]
    fn a_refused_sign_in_a_dead_grant_and_throttling_open_it() {
        let hold = Failure::hold("x").at(Stage::Auth).with_code(535);
        assert_eq!(submission(hold), Some(Kind::Hold));
        let grant = Failure::hold("x").at(Stage::TokenHttp);
        let grant = grant.with_code("AADSTS700082").with_reason("invalid_grant");
        assert_eq!(submission(grant), Some(Kind::Hold));
        let throttled = at(Stage::TokenHttp).with_code(429).with_reason("throttled");
        assert_eq!(submission(throttled), Some(Kind::Defer));
        let misfit = Failure::hold("x").at(Stage::Token).with_reason("audience");
        assert_eq!(submission(misfit), Some(Kind::Hold));
        let quota = Failure::hold("x").at(Stage::End).with_code(554);
        assert_eq!(submission(quota), Some(Kind::Hold));
    }

    #[test]
    fn an_answer_about_one_message_or_one_recipient_is_no_reason_to_stop_the_others() {
        for code in [450, 451, 452, 454] {
            assert_eq!(submission(at(Stage::Rcpt).with_code(code)), None, "{code}");
        }
        assert_eq!(submission(at(Stage::End).with_code(450)), None);
        for stage in [Stage::Rcpt, Stage::End] {
            for code in [550, 554] {
                let refused = Failure::new(Class::Unavailable, "x").at(stage);
                assert_eq!(submission(refused.with_code(code)), None);
            }
            for code in [421, 432] {
                let failure = at(stage).with_code(code);
                assert_eq!(submission(failure), Some(Kind::Defer), "{code}");
            }
        }
        let busy = at(Stage::End).with_code(451);
        assert_eq!(submission(busy), Some(Kind::Defer));
    }
}
