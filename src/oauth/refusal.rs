//! An answer that grants nothing, in the words of an administrator.
//!
//! What becomes of the mail follows from HTTP status, `error` and `suberror`; Microsoft's numbers explain
//! it. Nothing that a server or a proxy says is shown before our own secrets are cut out of it.

use super::Account;
use super::answer::{Ask, Reply};
use super::codes::{self, Branch};
use super::form::percent_encode;
use super::probe::seconds_of;
use super::token::number;
use crate::outcome::{Failure, Stage};
use serde_json::{Map, Value};
use std::fmt::Write as _;
use std::time::Duration;
use zeroize::Zeroizing;

impl Ask<'_> {
    pub(super) fn redirected(&self, reply: &Reply) -> Failure {
        let target = reply.location.as_deref().unwrap_or("nowhere");
        // Without the query: whatever redirects may have put the form there.
        let target = self.shown(target.split(['?', '#']).next().unwrap_or_default());
        let (host, server) = (self.peer.host(), self.peer.host_and_port());
        self.failed(Failure::defer)
            .because(format!(
                "{host} answered HTTP {}, a redirect to {target}",
                reply.status
            ))
            .fix(format!(
                "the redirect was not followed; let this host reach {server} directly"
            ))
            .with_code(reply.status)
            .with_reason("redirect")
    }

    /// An answer without JSON comes from something between: nothing stored is to change by it.
    pub(super) fn unreadable(&self, reply: &Reply) -> Failure {
        let (status, host) = (reply.status, self.peer.host());
        let server = self.peer.host_and_port();
        let page = match page(&reply.body) {
            Some(text) => format!(" with a web page: {}", self.shown(&text)),
            None => format!(" with {} octets that are no JSON object", reply.body.len()),
        };
        let failure = self.failed(Failure::defer);
        let failure = match (status, self.peer.proxy) {
            (407, Some(proxy)) => failure
                .because(format!(
                    "the proxy {proxy} wants credentials (HTTP 407){page}"
                ))
                .fix(format!(
                    "let the proxy pass this host to {server} without credentials"
                )),
            (403, Some(proxy)) => failure
                .because(format!("the proxy {proxy} refuses (HTTP {status}){page}"))
                .fix(format!("have the proxy allow this host to reach {server}")),
            (403 | 407, None) => failure
                .because(format!(
                    "a company proxy answered for {host} (HTTP {status}){page}"
                ))
                .fix(format!(
                    "allow this host to reach {server}, or set proxy under [endpoint]"
                )),
            _ => failure
                .because(format!("{host} answered HTTP {status}{page}"))
                .fix("send again later; if it lasts, check proxies, filters and token_url"),
        };
        let failure = match status {
            200..300 => failure.with_reason("not-json"),
            429 => failure.with_code(status).with_reason("throttled"),
            _ => failure.with_code(status).with_reason("not-json"),
        };
        match wait(reply, self.now) {
            Some(wait) => failure.with_retry_after(wait),
            None => failure,
        }
    }

    pub(super) fn refused(&self, answer: &Map<String, Value>, reply: &Reply) -> Failure {
        let complaint = Complaint::of(answer);
        let branch = complaint.number.and_then(codes::branch);
        let passing = matches!(
            complaint.error.as_str(),
            "temporarily_unavailable" | "server_error" | "slow_down"
        );
        let (fate, reason): (fn(String) -> Failure, _) = match (reply.status, branch) {
            (429, _) => (Failure::defer, "throttled"),
            (_, Some(Branch::Loop)) => (Failure::hold, "loop"),
            (408 | 500.., _) | (_, Some(Branch::Transient)) => (Failure::defer, "server"),
            _ if passing => (Failure::defer, "server"),
            // JSON, but not Microsoft's: something between answers.
            _ if complaint.error.is_empty() && complaint.number.is_none() => {
                (Failure::defer, "incomplete")
            }
            _ => (Failure::hold, "refused"),
        };
        let wait = match branch {
            Some(Branch::Loop) => Some(Duration::from_secs(60)),
            _ => wait(reply, self.now),
        };
        let skew = || self.skew(reply).map(|skew| format!("; {skew}"));
        let timely = complaint.number.is_some_and(codes::is_about_time);
        let clock = timely.then(skew).flatten().unwrap_or_default();
        let failure = self
            .failed(fate)
            .because(self.account_of(&complaint, reply.status) + &in_words(wait) + &clock)
            // Our own words: a secret that is one of them would be cut out, and so be told.
            .fix(complaint.cure(self.account))
            .with_reason(if reason == "refused" && !complaint.error.is_empty() {
                self.shown(&complaint.error)
            } else {
                reason.to_owned()
            });
        let failure = match complaint.number {
            Some(number) if reply.status != 429 && reply.status < 500 => {
                failure.with_code(format!("AADSTS{number}"))
            }
            _ => failure.with_code(reply.status),
        };
        match wait {
            Some(wait) => failure.with_retry_after(wait),
            None => failure,
        }
    }

    /// The error that a browser brought back from the authorize page.
    pub(crate) fn sign_in_refused(
        &self,
        error: &str,
        description: &str,
        suberror: Option<&str>,
    ) -> Failure {
        let mut answer = Map::new();
        let id = |name: &str| {
            let (_, rest) = description.split_once(name)?;
            let line = rest.lines().next()?;
            Some(line.trim().to_owned())
        };
        for (key, value) in [
            ("error", Some(error.to_owned())),
            ("error_description", Some(description.to_owned())),
            ("suberror", suberror.map(str::to_owned)),
            ("trace_id", id("Trace ID:")),
            ("correlation_id", id("Correlation ID:")),
            ("timestamp", id("Timestamp:")),
        ] {
            if let Some(value) = value {
                answer.insert(key.to_owned(), Value::String(value));
            }
        }
        let reply = Reply {
            status: 400,
            ..Reply::default()
        };
        self.refused(&answer, &reply)
    }

    /// Microsoft's own words and the ids that its support asks for.
    fn account_of(&self, complaint: &Complaint, status: u16) -> String {
        const TEXT_MAX: usize = 240;
        let shown = self.shown(&complaint.text);
        let mut text: String = shown.trim_end_matches('.').chars().take(TEXT_MAX).collect();
        if text.is_empty() {
            text = format!("{} answered HTTP {status}", self.peer.host());
        }
        if !complaint.error.is_empty() && !text.starts_with("AADSTS") {
            text = format!("{}: {text}", self.shown(&complaint.error));
        }
        let ids = [
            ("trace id", &complaint.trace_id),
            ("correlation id", &complaint.correlation_id),
            ("timestamp", &complaint.timestamp),
        ];
        for (name, id) in ids {
            if !id.is_empty() {
                let id: String = self.shown(id).chars().take(40).collect();
                // Writing to a String cannot fail.
                let _ = write!(text, "; {name} {id}");
            }
        }
        text
    }

    pub(crate) fn failed(&self, fate: fn(String) -> Failure) -> Failure {
        fate(no_token(self.account)).at(Stage::TokenHttp)
    }

    /// Text from outside, cut, and without any secret of ours that it may echo.
    pub(crate) fn shown(&self, text: &str) -> String {
        // More than any message shows; what looks for secrets is too slow for a megabyte.
        const CUT: usize = 4096;
        let (end, _) = text.char_indices().nth(CUT).unwrap_or((text.len(), ' '));
        let text = text.get(..end).unwrap_or(text);
        without_secrets(text, &self.secrets)
    }
}

/// How long Microsoft wants to be left alone: what it says, a minute for a 429 that says nothing.
fn wait(reply: &Reply, now: u64) -> Option<Duration> {
    let usual = Duration::from_secs(60);
    asked(reply, now).or((reply.status == 429).then_some(usual))
}

/// Retry-After in seconds or as a date, at most an hour. A date counts from the answer's own, since
/// both are by the clock of who wrote them.
pub(super) fn asked(reply: &Reply, now: u64) -> Option<Duration> {
    let text = reply.retry_after.as_deref()?.trim();
    let seconds = match text.parse::<u64>() {
        Ok(seconds) => seconds,
        Err(_) => {
            let theirs = reply.date.as_deref().and_then(seconds_of);
            let now = theirs.unwrap_or(i64::try_from(now).unwrap_or(i64::MAX));
            let ahead = u64::try_from(seconds_of(text)?.saturating_sub(now));
            ahead.ok().filter(|&seconds| seconds > 0)?
        }
    };
    Some(Duration::from_secs(seconds.min(3600)))
}

fn in_words(wait: Option<Duration>) -> String {
    match wait {
        Some(wait) => format!("; to be asked again in {} s", wait.as_secs()),
        None => String::new(),
    }
}

/// The first half of every message about a missing token.
pub(crate) fn no_token(account: &Account) -> String {
    format!("no access token for {}", account.mailbox)
}

/// What an error answer says, whichever of its shapes it has.
struct Complaint {
    error: String,
    suberror: String,
    number: Option<u32>,
    /// First line of the description.
    text: String,
    trace_id: String,
    correlation_id: String,
    timestamp: String,
}

impl Complaint {
    /// Flat as OAuth has it, `{error: {code, message}}` or `{statusCode, message}`.
    fn of(answer: &Map<String, Value>) -> Complaint {
        let text = |key: &str| {
            answer
                .get(key)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let nested = |key: &str| {
            answer
                .get("error")
                .and_then(|error| error.get(key)?.as_str())
        };
        let description = [
            answer.get("error_description").and_then(Value::as_str),
            nested("message"),
            answer.get("message").and_then(Value::as_str),
        ];
        let description = description.into_iter().flatten().next().unwrap_or_default();
        let error = answer
            .get("error")
            .and_then(Value::as_str)
            .or_else(|| nested("code"));
        let listed = answer.get("error_codes").and_then(Value::as_array);
        let listed = listed
            .and_then(|codes| codes.iter().find_map(number))
            .filter(|code| *code >= 1.0)
            .map(|code| code as u32);
        Complaint {
            error: error.unwrap_or_default().to_owned(),
            suberror: text("suberror"),
            number: listed.or_else(|| aadsts(description)),
            text: description
                .lines()
                .next()
                .unwrap_or_default()
                .trim()
                .to_owned(),
            trace_id: text("trace_id"),
            correlation_id: text("correlation_id"),
            timestamp: text("timestamp"),
        }
    }

    /// Meaning and cure, or where to look them up.
    fn cure(&self, account: &Account) -> String {
        let explain = match account.grant.is_a_persons() {
            true => codes::explain,
            false => codes::explain_to_application,
        };
        if let Some(row) = self.number.and_then(explain) {
            return format!("{}: {}", row.meaning, row.cure);
        }
        let word = codes::explain_word(&self.error, &self.suberror);
        let word = word.map(|(meaning, cure)| format!("{meaning}: {cure}"));
        let link = self
            .number
            .map(|number| format!("see {}", codes::lookup_url(number)));
        match (word, link) {
            (Some(word), Some(link)) => format!("{word}; {link}"),
            (Some(text), None) | (None, Some(text)) => text,
            (None, None) => {
                "send again later; if it lasts, check token_url under [endpoint]".to_owned()
            }
        }
    }
}

/// The number behind the first `AADSTS`.
fn aadsts(text: &str) -> Option<u32> {
    let (_, rest) = text.split_once("AADSTS")?;
    let digits: String = rest
        .chars()
        .take_while(char::is_ascii_digit)
        .take(9)
        .collect();
    digits.parse().ok()
}

/// Title of a web page, else its first 80 characters.
///
/// None for anything else: half a token answer is no JSON either, and must not be shown.
fn page(body: &[u8]) -> Option<String> {
    const LOOKED_AT: usize = 16 * 1024;
    let body = body.trim_ascii_start();
    if body.first() != Some(&b'<') {
        return None;
    }
    let text = String::from_utf8_lossy(body.get(..LOOKED_AT).unwrap_or(body)).into_owned();
    let lower = text.to_ascii_lowercase();
    let title = lower.find("<title").and_then(|at| {
        let begin = at + lower.get(at..)?.find('>')? + 1;
        let end = begin + lower.get(begin..)?.find('<')?;
        text.get(begin..end)
    });
    let shown = title
        .map(str::trim)
        .filter(|title| !title.is_empty())
        .unwrap_or(&text);
    Some(
        shown
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
            .chars()
            .take(80)
            .collect(),
    )
}

/// Cuts every secret, and every stretch of 12 octets or more of one, raw or percent-encoded.
fn without_secrets(text: &str, secrets: &[&str]) -> String {
    let mut forms: Vec<Zeroizing<String>> = Vec::new();
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        let mut encoded = Zeroizing::new(String::with_capacity(3 * secret.len()));
        percent_encode(&mut encoded, secret);
        forms.push(Zeroizing::new((*secret).to_owned()));
        forms.push(encoded);
    }
    let mut shown = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let echo = forms.iter().filter_map(|form| echoed(rest, form)).max();
        match echo {
            Some(_) => shown.push_str("[secret]"),
            None => shown.push(first),
        }
        let (_, after) = rest.split_at(echo.unwrap_or(first.len_utf8()));
        rest = after;
    }
    shown
}

/// How much of the beginning of `text` stands in a secret, if that is enough to tell.
fn echoed(text: &str, secret: &str) -> Option<usize> {
    const TELLING: usize = 12;
    let ends = text.char_indices().map(|(at, char)| at + char.len_utf8());
    ends.skip_while(|&end| end < TELLING.min(secret.len()))
        .take_while(|&end| text.get(..end).is_some_and(|part| secret.contains(part)))
        .last()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::Grant;
    use crate::oauth::answer::tests::{asking, read, read_through, reply};
    use crate::oauth::token::tests::account;
    use crate::outcome::Fate;
    use crate::sys::secret::Secret;
    use serde_json::json;

    fn refusal(status: u16, body: impl ToString) -> Failure {
        read(reply(status, body)).err().unwrap()
    }

    fn microsoft(status: u16, error: &str, number: u32, suberror: &str) -> Failure {
        refusal(
            status,
            json!({
                "error": error,
                "error_description": format!("AADSTS{number}: Words of Microsoft.\r\nTrace ID: t\r\n"),
                "error_codes": [number],
                "timestamp": "2026-01-01 00:00:00Z",
                "trace_id": "trace-1",
                "correlation_id": "correlation-1",
                "suberror": suberror,
            }),
        )
    }

    fn text(failure: &Failure) -> String {
        failure.lines("sendmail").join("\n")
    }

    #[test]
    fn a_dead_sign_in_is_held_with_microsofts_words_ids_and_the_cure() {
        let failure = microsoft(400, "invalid_grant", 700082, "bad_token");
        assert_eq!(
            (failure.fate(), failure.code()),
            (Fate::Hold, Some("AADSTS700082"))
        );
        let text = text(&failure);
        for part in [
            "no access token for alerts@contoso.com",
            "AADSTS700082: Words of Microsoft",
            "trace id trace-1",
            "correlation id correlation-1",
            "timestamp 2026-01-01 00:00:00Z",
            "run `sendmail365 login`, as root",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("Trace ID"), "{text}");
    }

    #[test]
    fn error_and_status_decide_and_numbers_explain() {
        for (status, error, number, fate) in [
            (400, "invalid_grant", 50173, Fate::Hold),
            (401, "invalid_client", 7000215, Fate::Hold),
            (400, "interaction_required", 50076, Fate::Hold),
            (400, "invalid_scope", 70011, Fate::Hold),
            (400, "unauthorized_client", 700016, Fate::Hold),
            (400, "invalid_grant", 999_999, Fate::Hold),
            (400, "temporarily_unavailable", 999_999, Fate::Defer),
            (400, "server_error", 90036, Fate::Defer),
            (400, "invalid_request", 90055, Fate::Defer),
            (503, "invalid_grant", 700082, Fate::Defer),
        ] {
            let failure = microsoft(status, error, number, "");
            assert_eq!(failure.fate(), fate, "{status} {error} {number}");
            assert!(failure.cure().is_some());
        }
    }

    /// An assertion is signed for ten minutes of this host's clock.
    #[test]
    fn a_clock_that_is_off_is_named_where_the_assertion_is_not_timely() {
        let told = |number: u32, date: &str| {
            let mut reply = reply(
                401,
                json!({"error": "invalid_client", "error_codes": [number]}),
            );
            reply.date = Some(date.to_owned());
            text(&read(reply).err().unwrap())
        };
        // The host has 08:00:00.
        let (ahead, same) = (
            "Fri, 15 Jan 2027 07:45:00 GMT",
            "Fri, 15 Jan 2027 08:00:10 GMT",
        );
        for number in [700_024, 500_133, 50_013, 50_027] {
            let text = told(number, ahead);
            assert!(
                text.contains(
                    "this host's clock is 900 s ahead of the clock of login.microsoftonline.com"
                ),
                "{text}"
            );
            assert!(!told(number, same).contains("clock is"), "{number}");
        }
        assert!(!told(7_000_215, ahead).contains("clock is"));
    }

    /// `the client secret is [secret]` would say that it is the word "wrong".
    #[test]
    fn our_own_words_are_not_searched_for_secrets() {
        let account = account();
        let ask = Ask {
            secrets: vec!["wrong"],
            ..asking(&account)
        };
        let body = json!({"error": "invalid_client", "error_description": "it is wrong", "error_codes": [7_000_215]});
        let text = text(&ask.read(reply(401, body)).err().unwrap());
        assert!(text.contains("the client secret is wrong: put"), "{text}");
        assert!(!text.contains("it is wrong"), "{text}");
    }

    #[test]
    fn an_application_is_not_told_to_look_for_a_user() {
        let application = Account {
            grant: Grant::ClientSecret(Secret::new("s3".to_owned())),
            ..account()
        };
        let body = json!({"error": "access_denied", "error_codes": [53003]});
        let told = |account: &Account| {
            let failure = asking(account).read(reply(400, &body)).err().unwrap();
            text(&failure)
        };
        let text = told(&application);
        assert!(text.contains("Service principal sign-ins"), "{text}");
        assert!(!text.contains("the user"), "{text}");
        assert!(told(&account()).contains("Users, the user, Sign-in logs"));
    }

    #[test]
    fn an_unknown_number_says_where_to_look_it_up() {
        let text = text(&microsoft(400, "invalid_grant", 123_456, ""));
        assert!(
            text.contains("https://login.microsoftonline.com/error?code=123456"),
            "{text}"
        );
        assert!(text.contains("AADSTS123456: Words of Microsoft;"), "{text}");
    }

    #[test]
    fn a_loop_is_held_for_a_minute() {
        let refusal = microsoft(400, "invalid_grant", 50196, "");
        assert_eq!(
            (refusal.fate(), refusal.retry_after()),
            (Fate::Hold, Some(Duration::from_secs(60)))
        );
        assert_eq!(refusal.code(), Some("AADSTS50196"));
    }

    #[test]
    fn throttling_notes_when_to_come_back() {
        for (retry_after, wait) in [
            (Some("30"), 30),
            (None, 60),
            (Some("99999"), 3600),
            (Some("Fri, 1 Jan"), 60),
        ] {
            for body in ["{\"error\":\"x\"}", "<html>"] {
                let mut reply = reply(429, body);
                reply.retry_after = retry_after.map(str::to_owned);
                let refusal = read(reply).err().unwrap();
                assert_eq!(
                    (refusal.fate(), refusal.retry_after()),
                    (Fate::Defer, Some(Duration::from_secs(wait)))
                );
                assert_eq!(refusal.code(), Some("429"));
            }
        }
    }

    #[test]
    fn a_date_to_come_back_at_counts_by_the_clock_of_who_names_it() {
        let wait = |date: Option<&str>, retry_after: &str| {
            let mut reply = reply(503, "{}");
            reply.date = date.map(str::to_owned);
            reply.retry_after = Some(retry_after.to_owned());
            let wait = read(reply).err().unwrap().retry_after();
            wait.map(|wait| wait.as_secs())
        };
        let (eight, later) = (
            "Fri, 15 Jan 2027 08:00:00 GMT",
            "Fri, 15 Jan 2027 08:10:00 GMT",
        );
        assert_eq!(wait(None, later), Some(600));
        assert_eq!(wait(Some(eight), later), Some(600));
        assert_eq!(wait(Some("Fri, 15 Jan 2027 08:09:00 GMT"), later), Some(60));
        assert_eq!(
            wait(Some(eight), "Sat, 16 Jan 2027 08:00:00 GMT"),
            Some(3600)
        );
        assert_eq!(wait(Some(later), eight), None);
    }

    #[test]
    fn rule_6_the_number_is_found_in_every_place() {
        for (codes, description) in [
            (json!([700082]), "text"),
            (json!(["700082"]), "text"),
            (json!(null), "AADSTS700082: text"),
            (json!([]), "Error AADSTS700082."),
        ] {
            let body = json!({"error": "invalid_grant", "error_codes": codes, "error_description": description});
            assert_eq!(refusal(400, body).code(), Some("AADSTS700082"));
        }
        for (codes, description) in [(json!({}), "AADSTS"), (json!([-1, "x"]), "AADSTSx")] {
            let body =
                json!({"error": "e", "error_codes": codes, "error_description": description});
            let _ = refusal(400, body);
        }
    }

    #[test]
    fn rule_9_nested_and_flat_errors_are_read() {
        for (body, part) in [
            (
                json!({"error": "invalid_request", "error_description": "flat"}),
                "invalid_request: flat",
            ),
            (
                json!({"statusCode": 400, "message": "of App Service"}),
                "of App Service",
            ),
            (
                json!({"error": {"code": "Throttled", "message": "nested"}}),
                "Throttled: nested",
            ),
        ] {
            let text = text(&refusal(400, body));
            assert!(text.contains(part), "{text}");
        }
        assert_eq!(
            refusal(403, json!({"message": "blocked"})).fate(),
            Fate::Defer
        );
        let _ = refusal(
            400,
            json!({"error": {"code": 7, "message": []}, "suberror": {}, "trace_id": 1}),
        );
    }

    #[test]
    fn status_200_with_an_error_is_an_error() {
        assert_eq!(
            microsoft(200, "invalid_grant", 50173, "").fate(),
            Fate::Hold
        );
    }

    #[test]
    fn a_redirect_is_named_without_its_query_and_deferred() {
        for status in [301, 302, 303, 307, 308] {
            let mut reply = reply(status, "");
            reply.location =
                Some("https://portal.hotel.example/login?refresh_token=CANARY".to_owned());
            let failure = read(reply).err().unwrap();
            assert_eq!(
                (failure.fate(), failure.reason()),
                (Fate::Defer, Some("redirect"))
            );
            let text = text(&failure);
            assert!(
                text.contains("https://portal.hotel.example/login"),
                "{text}"
            );
            assert!(!text.contains("CANARY"), "{text}");
        }
    }

    #[test]
    fn a_web_page_is_shown_by_its_title() {
        let page = "<!DOCTYPE html><HTML><Title lang=en>\n Hotel  Wi-Fi </TITLE><body>x";
        let text = text(&refusal(200, page));
        assert!(text.contains("with a web page: Hotel Wi-Fi"), "{text}");
        for broken in [
            "<",
            "<title",
            "<title>",
            "<title></title>",
            "<\u{130}title>\u{130}</title>",
        ] {
            assert!(page_of(broken).is_some(), "{broken}");
        }
    }

    fn page_of(body: &str) -> Option<String> {
        page(body.as_bytes())
    }

    #[test]
    fn a_company_proxy_is_named() {
        let proxy = Some("http://proxy.corp:3128");
        for status in [403, 407] {
            let failure = read_through(proxy, reply(status, "<html>Denied"));
            let failure = failure.err().unwrap();
            assert_eq!(
                (failure.fate(), failure.code()),
                (Fate::Defer, Some(status.to_string().as_str()))
            );
            assert!(text(&failure).contains("http://proxy.corp:3128"));
            let without = refusal(status, "<html>Denied");
            assert!(text(&without).contains("company proxy"));
        }
    }

    #[test]
    fn an_echoed_secret_is_cut_out_of_every_text() {
        let body = |text: &str| json!({"error": "invalid_request", "error_description": text, "trace_id": text});
        for echo in [
            "AADSTS90014: bad refresh_token=0.AXoA-old-refresh-token&x",
            "truncated: 0.AXoA-old-ref",
            "truncated at the other end: ...AXoA-old-refresh-token",
            "twice 0.AXoA-old-refresh-token0.AXoA-old-refresh-token",
        ] {
            let text = text(&refusal(400, body(echo)));
            assert!(
                text.contains("[secret]") && !text.contains("AXoA"),
                "{text}"
            );
        }
        let page = text(&refusal(
            502,
            "<title>cannot post 0.AXoA-old-refresh-token</title>",
        ));
        assert!(!page.contains("AXoA"), "{page}");
    }

    #[test]
    fn secrets_are_cut_in_all_their_forms() {
        let secrets = [
            "s~cret+value/of=app",
            "short",
            "\u{e4}\u{f6}-long-secret-\u{e4}",
        ];
        assert_eq!(
            without_secrets("a=s~cret+value/of=app.", &secrets),
            "a=[secret]."
        );
        assert_eq!(
            without_secrets("a=s%7Ecret%2Bvalue%2Fof%3Dapp.", &secrets),
            "a=[secret]."
        );
        assert_eq!(without_secrets("too short", &secrets), "too [secret]");
        assert_eq!(
            without_secrets("x \u{e4}\u{f6}-long-secret-\u{e5}", &secrets),
            "x [secret]\u{e5}"
        );
        assert_eq!(without_secrets("nothing here", &[""]), "nothing here");
    }
}
