//! The answer to a request for tokens, read with patience.
//!
//! Answers differ by endpoint version, by cloud and by what stands between. Numbers come as strings,
//! fields are missing, null or twice, pages of a proxy come with status 200. Only a JSON object that
//! holds a well-formed access token is success; only HTTP status, `error` and `suberror` decide what
//! becomes of the mail, Microsoft's numbers explain it.

use super::Account;
use super::endpoint::Peer;
use super::refusal::no_token;
use super::token::{Claims, RefreshToken, is_token, number};
use crate::outcome::{Failure, Stage};
use crate::sys::secret::Secret;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

/// Octets of an answer at most.
pub(crate) const BODY_MAX: usize = 1024 * 1024;

/// Clocks may differ by this many seconds before anybody is told.
const SKEW_SECONDS: f64 = 300.0;

/// What came back over HTTPS.
#[derive(Default)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<String>,
    pub(crate) location: Option<String>,
    pub(crate) date: Option<String>,
    pub(crate) www_authenticate: Option<String>,
    pub(crate) body: Zeroizing<Vec<u8>>,
}

/// Tokens as granted.
pub(crate) struct Granted {
    pub(crate) access_token: Secret,
    /// None: the old one stays.
    pub(crate) refresh_token: Option<RefreshToken>,
    /// Seconds since 1970, by this host's clock.
    pub(crate) expires_at: u64,
    /// By the clock of the endpoint itself the access token cannot be used yet.
    pub(crate) premature: Option<Failure>,
    pub(crate) notes: Vec<Note>,
}

/// Something odd that did not stop anything; one log line.
pub(crate) struct Note {
    pub(crate) reason: &'static str,
    pub(crate) text: String,
}

/// One question to a server that grants tokens: who asks whom, and how the answer is read.
pub(crate) struct Ask<'a> {
    pub(crate) account: &'a Account,
    pub(crate) peer: Peer<'a>,
    /// What was sent and must not be shown if it comes back.
    pub(crate) secrets: Vec<&'a str>,
    /// Seconds since 1970.
    pub(crate) now: u64,
}

impl Ask<'_> {
    /// The tokens of an answer, or why there are none.
    pub(crate) fn read(&self, reply: Reply) -> Result<Granted, Failure> {
        if reply.body.len() > BODY_MAX {
            let failure = self.failed(Failure::defer).with_reason("size");
            return Err(failure.because(format!("the answer is over {BODY_MAX} octets")));
        }
        if (300..400).contains(&reply.status) {
            return Err(self.redirected(&reply));
        }
        let taken = (200..300).contains(&reply.status);
        match object(&reply.body) {
            Some(mut answer)
                if taken
                    && (answer.contains_key("access_token") || !answer.contains_key("error")) =>
            {
                self.granted(&mut answer, &reply)
            }
            Some(answer) => Err(self.refused(&answer, &reply)),
            None => Err(self.unreadable(&reply)),
        }
    }

    fn granted(&self, answer: &mut Map<String, Value>, reply: &Reply) -> Result<Granted, Failure> {
        let Some(access_token) = taken(answer, "access_token").filter(|text| !text.is_empty())
        else {
            return Err(self.incomplete("an access token"));
        };
        if !is_token(&access_token) {
            return Err(self
                .failed(Failure::defer)
                .because("the access token holds octets that no token has; it was not used")
                .with_reason("token-syntax"));
        }
        self.check_type(answer)?;
        let claims = Claims::of(&access_token).unwrap_or_default();
        let (lifetime, mut notes) = self.lifetime(answer, &claims, reply);
        let begin = answer
            .get("not_before")
            .and_then(number)
            .or(claims.not_before);
        let premature = begin.and_then(|begin| self.premature(begin, reply, &mut notes));
        let refresh_token = taken(answer, "refresh_token").filter(|text| !text.is_empty());
        let kept = refresh_token
            .as_ref()
            .and_then(|text| RefreshToken::new(text));
        if refresh_token.is_some() && kept.is_none() {
            let text = "the new refresh token is malformed; the old one stays".to_owned();
            notes.push(Note {
                reason: "refresh-token-syntax",
                text,
            });
        }
        Ok(Granted {
            access_token: Secret::new((*access_token).clone()),
            refresh_token: kept,
            expires_at: self.now.saturating_add(lifetime),
            premature,
            notes,
        })
    }

    /// The answer lacks what it is about.
    pub(crate) fn incomplete(&self, what: &str) -> Failure {
        self.failed(Failure::defer)
            .because(format!("{} answered without {what}", self.peer.host()))
            .with_reason("incomplete")
    }

    /// A token of a kind that is not understood must not be used (RFC 6749 section 7.1).
    fn check_type(&self, answer: &Map<String, Value>) -> Result<(), Failure> {
        // The second is what the examples of [MS-OAUTH2EX] carry.
        const KNOWN: [&str; 2] = ["bearer", "http://oauth.net/grant_type/jwt/1.0/bearer"];
        let kind = answer
            .get("token_type")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if kind.is_empty() || KNOWN.iter().any(|known| known.eq_ignore_ascii_case(kind)) {
            return Ok(());
        }
        Err(self
            .failed(Failure::hold)
            .because(format!(
                "the token is of type {}, not Bearer",
                self.shown(kind)
            ))
            .fix("check token_url under [endpoint]")
            .with_reason("token-type"))
    }

    /// Seconds that the access token lasts from now, and what is odd about it.
    ///
    /// `expires_in` first, because it needs no agreement of clocks; then `expires_on`, then the
    /// token's own `exp`, then ten minutes. Nonsense counts as missing.
    fn lifetime(
        &self,
        answer: &Map<String, Value>,
        claims: &Claims,
        reply: &Reply,
    ) -> (u64, Vec<Note>) {
        const DEFAULT: f64 = 600.0;
        // The longest that Microsoft grants (28 hours): what claims more is wrong.
        const MAX: f64 = 100_800.0;
        let now = self.now as f64;
        let field = |key: &str| answer.get(key).and_then(number);
        let expires_in = field("expires_in").filter(|seconds| *seconds > 0.0);
        let until_on = field("expires_on")
            .map(|end| end - now)
            .filter(|seconds| *seconds > 0.0);
        let until_exp = claims
            .expires_at
            .map(|end| end - now)
            .filter(|seconds| *seconds > 0.0);
        let mut notes = Vec::new();
        if let (Some(relative), Some(end)) = (expires_in, field("expires_on"))
            && (relative - (end - now)).abs() > SKEW_SECONDS
        {
            let text = format!("expires_in and expires_on disagree: {}", self.clock(reply));
            notes.push(Note {
                reason: "clock",
                text,
            });
        }
        let lifetime = expires_in
            .or(until_on)
            .or(until_exp)
            .unwrap_or(DEFAULT)
            .clamp(1.0, MAX);
        (lifetime as u64, notes)
    }

    /// Why a token that begins later cannot be used now.
    ///
    /// The endpoint's clock decides; where only this host's is behind, the token is good and the log
    /// tells of the clock.
    fn premature(&self, begin: f64, reply: &Reply, notes: &mut Vec<Note>) -> Option<Failure> {
        let later = |clock: f64| begin > clock + SKEW_SECONDS;
        if !later(self.now as f64) {
            return None;
        }
        let clock = self.clock(reply);
        if their_time(reply).is_none_or(|theirs| later(theirs as f64)) {
            let failure = Failure::defer(no_token(self.account))
                .because(format!("the token granted is not valid yet: {clock}"))
                .fix("send again later; if it lasts, set this host's clock (NTP)");
            return Some(failure.at(Stage::Token).with_reason("not-yet-valid"));
        }
        notes.push(Note {
            reason: "not-yet-valid",
            text: format!("the access token is not valid yet: {clock}"),
        });
        None
    }

    /// How far the clocks are apart, if that is more than requests stand.
    pub(super) fn skew(&self, reply: &Reply) -> Option<String> {
        let ours = i64::try_from(self.now).unwrap_or(i64::MAX);
        let apart = ours.saturating_sub(their_time(reply)?);
        (apart.unsigned_abs() as f64 > SKEW_SECONDS).then(|| self.clock(reply))
    }

    /// What the server's clock says about ours.
    fn clock(&self, reply: &Reply) -> String {
        let Some(theirs) = their_time(reply) else {
            return "check this host's clock".to_owned();
        };
        let ours = i64::try_from(self.now).unwrap_or(i64::MAX);
        let apart = ours.saturating_sub(theirs);
        let direction = if apart < 0 { "behind" } else { "ahead of" };
        format!(
            "this host's clock is {} s {direction} the clock of {}",
            apart.unsigned_abs(),
            self.peer.host()
        )
    }
}

/// The time of the answer by the server's clock, seconds since 1970.
fn their_time(reply: &Reply) -> Option<i64> {
    let date = reply.date.as_deref()?;
    mailparse::dateparse(date).ok()
}

/// The JSON object of a body; a byte order mark and white space around it are no harm.
pub(super) fn object(body: &[u8]) -> Option<Map<String, Value>> {
    let body = body.trim_ascii_start();
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    serde_json::from_slice(body).ok()
}

/// Moves a text out of an answer, so that what is wiped later is the only copy.
pub(super) fn taken(answer: &mut Map<String, Value>, key: &str) -> Option<Zeroizing<String>> {
    match answer.remove(key) {
        Some(Value::String(text)) => Some(Zeroizing::new(text)),
        _ => None,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::oauth::imported::imported;
    use crate::oauth::token::tests::{account, jwt};
    use crate::outcome::Fate;
    use serde_json::json;

    const NOW: u64 = 1_800_000_000;

    pub(crate) const TOKEN_URL: &str =
        "https://login.microsoftonline.com/contoso/oauth2/v2.0/token";

    /// Reads an answer as one to a refresh of the usual account.
    pub(crate) fn read(reply: Reply) -> Result<Granted, Failure> {
        read_through(None, reply)
    }

    pub(crate) fn read_through(proxy: Option<&str>, reply: Reply) -> Result<Granted, Failure> {
        let account = account();
        let url = TOKEN_URL;
        Ask {
            account: &account,
            peer: Peer { url, proxy },
            secrets: vec!["0.AXoA-old-refresh-token"],
            now: NOW,
        }
        .read(reply)
    }

    /// A question of this account's without secrets.
    pub(crate) fn asking(account: &Account) -> Ask<'_> {
        Ask {
            account,
            peer: Peer {
                url: TOKEN_URL,
                proxy: None,
            },
            secrets: Vec::new(),
            now: NOW,
        }
    }

    pub(crate) fn reply(status: u16, body: impl ToString) -> Reply {
        let body = Zeroizing::new(body.to_string().into_bytes());
        Reply {
            status,
            body,
            ..Reply::default()
        }
    }

    fn granted(body: impl ToString) -> Granted {
        read(reply(200, body)).unwrap_or_else(|failure| panic!("{failure:?}"))
    }

    fn refused(body: impl ToString) -> Failure {
        read(reply(200, body)).err().unwrap()
    }

    fn lifetime(answer: Value) -> u64 {
        let mut answer = answer;
        if answer.get("access_token").is_none() {
            answer["access_token"] = json!("at");
        }
        granted(answer).expires_at - NOW
    }

    fn reasons(granted: &Granted) -> Vec<&'static str> {
        granted.notes.iter().map(|note| note.reason).collect()
    }

    #[test]
    fn rule_1_expires_in_is_read_in_every_type_and_nonsense_counts_as_missing() {
        assert_eq!(lifetime(json!({"expires_in": 3599})), 3599);
        assert_eq!(lifetime(json!({"expires_in": " 3599 "})), 3599);
        assert_eq!(lifetime(json!({"expires_in": 3599.9})), 3599);
        assert_eq!(lifetime(json!({"expires_in": "3599.9"})), 3599);
        for nonsense in [
            json!(null),
            json!(0),
            json!(-5),
            json!("soon"),
            json!([1]),
            json!(true),
            json!("NaN"),
        ] {
            assert_eq!(lifetime(json!({"expires_in": nonsense})), 600, "{nonsense}");
            assert_eq!(
                lifetime(json!({"expires_in": nonsense, "expires_on": NOW + 777})),
                777
            );
        }
        assert_eq!(lifetime(json!({"expires_in": 1e30})), 100_800);
        assert_eq!(lifetime(json!({"expires_in": "1e999"})), 600);
        assert_eq!(
            granted(r#"{"access_token":"at","expires_in":1e30}"#).expires_at,
            NOW + 100_800
        );
        let token = jwt(json!({"exp": (NOW + 888).to_string()}));
        assert_eq!(lifetime(json!({"access_token": token})), 888);
        let token = jwt(json!({"exp": NOW - 5}));
        assert_eq!(lifetime(json!({"access_token": token})), 600);
    }

    #[test]
    fn rule_2_moments_are_numbers_or_strings_and_written_dates_are_ignored() {
        assert_eq!(lifetime(json!({"expires_on": NOW + 1000})), 1000);
        assert_eq!(
            lifetime(json!({"expires_on": (NOW + 1000).to_string()})),
            1000
        );
        for date in ["2027-01-15T08:00:00Z", "1/15/2027 8:00:00 AM +00:00", ""] {
            assert_eq!(lifetime(json!({"expires_on": date})), 600, "{date}");
            assert_eq!(
                lifetime(json!({"expires_on": date, "expires_in": "3000"})),
                3000,
                "{date}"
            );
        }
    }

    #[test]
    fn rule_3_a_clock_that_is_off_is_reported_with_the_difference() {
        let answer =
            json!({"access_token": "at", "expires_in": 3599, "expires_on": NOW + 3599 + 601});
        let mut reply = reply(200, answer);
        reply.date = Some("Fri, 15 Jan 2027 08:10:01 GMT".to_owned());
        let granted = read(reply).ok().unwrap();
        assert_eq!(granted.expires_at, NOW + 3599);
        assert_eq!(reasons(&granted), ["clock"]);
        assert!(
            granted.notes[0].text.contains("601 s behind"),
            "{}",
            granted.notes[0].text
        );
    }

    #[test]
    fn a_token_that_begins_later_waits_unless_only_this_hosts_clock_is_behind() {
        let later = || json!({"access_token": "at", "not_before": (NOW + 600).to_string()});
        let premature = |granted: Granted| granted.premature.map(|failure| failure.fate());
        assert_eq!(premature(granted(later())), Some(Fate::Defer));
        let in_the_token = json!({"access_token": jwt(json!({"nbf": NOW + 600}))});
        assert_eq!(premature(granted(in_the_token)), Some(Fate::Defer));

        let mut behind = reply(200, later());
        behind.date = Some("Fri, 15 Jan 2027 08:10:01 GMT".to_owned());
        let usable = read(behind).ok().unwrap();
        assert_eq!(reasons(&usable), ["not-yet-valid"]);
        assert_eq!(premature(usable), None);

        let usual = granted(json!({"access_token": "at", "not_before": NOW + 200}));
        assert!(usual.notes.is_empty() && usual.premature.is_none());
    }

    #[test]
    fn rule_4_the_token_type_is_bearer_in_any_case_or_missing() {
        for kind in [
            json!("Bearer"),
            json!("bearer"),
            json!("BEARER"),
            json!(null),
            json!(""),
        ] {
            granted(json!({"access_token": "at", "token_type": kind}));
        }
        let failure = refused(json!({"access_token": "at", "token_type": "pop"}));
        assert_eq!(
            (failure.fate(), failure.reason()),
            (Fate::Hold, Some("token-type"))
        );
        assert!(failure.why().unwrap().contains("pop"));
    }

    #[test]
    fn rule_5_a_missing_null_or_empty_refresh_token_keeps_the_old_one() {
        for kept in [
            json!(null),
            json!(""),
            json!(7),
            json!({"a": 1}),
            json!("a b"),
        ] {
            assert!(
                granted(json!({"access_token": "at", "refresh_token": kept}))
                    .refresh_token
                    .is_none()
            );
        }
        assert!(
            granted(json!({"access_token": "at"}))
                .refresh_token
                .is_none()
        );
        let new = granted(json!({"access_token": "at", "refresh_token": "0.new"})).refresh_token;
        assert_eq!(new.unwrap().expose(), "0.new");
    }

    #[test]
    fn rule_7_mark_white_space_unknown_and_double_members_are_accepted() {
        for body in [
            "\u{feff}{\"access_token\":\"at\"}",
            " \r\n\t{\"access_token\":\"at\"}\r\n ",
            "{\"access_token\":\"old\",\"x\":{\"y\":[1]},\"access_token\":\"at\"}",
        ] {
            assert_eq!(granted(body).access_token.expose(), "at");
        }
        let body = format!(
            "{{\"access_token\":\"at\",\"x\":\"{}\"}}",
            "x".repeat(BODY_MAX)
        );
        assert_eq!(refused(body).reason(), Some("size"));
    }

    #[test]
    fn rule_8_an_answer_that_is_no_token_passes_by_itself() {
        for (body, reason) in [
            ("", "not-json"),
            ("<html><title>Log in</title>", "not-json"),
            ("[]", "not-json"),
            ("\"access_token\"", "not-json"),
            ("{\"access_token\":\"at", "not-json"),
            ("{\"access_token\":\"at\"} trailing", "not-json"),
            ("{}", "incomplete"),
            ("{\"access_token\":\"\"}", "incomplete"),
            ("{\"access_token\":null}", "incomplete"),
        ] {
            let failure = refused(body);
            assert_eq!(
                (failure.fate(), failure.reason()),
                (Fate::Defer, Some(reason)),
                "{body}"
            );
        }
        let deep = "[".repeat(500_000);
        assert_eq!(
            refused(format!("{{\"a\":{deep}")).reason(),
            Some("not-json")
        );
    }

    #[test]
    fn a_token_that_could_forge_the_sign_in_is_refused() {
        for bad in [
            "a\rb", "a\nb", "a\0b", "a b", "a\u{1}b", "a\u{7f}", "\u{e4}", " at", "at ",
        ] {
            let failure = refused(json!({"access_token": bad}));
            assert_eq!(failure.reason(), Some("token-syntax"), "{bad:?}");
        }
    }

    #[test]
    fn an_error_member_that_says_nothing_does_not_hide_a_token() {
        granted(json!({"access_token": "at", "error": null}));
    }

    #[test]
    fn no_octets_whatever_do_harm() {
        let whole = json!({
            "token_type": "Bearer", "expires_in": "3599", "expires_on": NOW, "refresh_token": "0.rt",
            "access_token": jwt(json!({"aud": ["x"], "exp": 1, "upn": "a#b", "scp": "x"})),
            "error": {"code": "x", "message": "AADSTS7\r\nx"}, "error_codes": ["7", 8], "suberror": "y",
        });
        let whole = whole.to_string().into_bytes();
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as usize
        };
        for _ in 0..4000 {
            let mut body = whole.clone();
            for _ in 0..1 + random() % 8 {
                let place = random() % body.len();
                body[place] = random() as u8;
            }
            body.truncate(random() % (2 * body.len()) + 1);
            let text = String::from_utf8_lossy(&body).into_owned();
            let _ = imported(&text);
            for status in [200, 302, 400, 407, 500] {
                let reply = Reply {
                    status,
                    body: Zeroizing::new(body.clone()),
                    ..Reply::default()
                };
                if let Ok(granted) = read(reply) {
                    let claims = Claims::of(granted.access_token.expose()).unwrap_or_default();
                    let _ = claims.check(&account());
                }
            }
        }
    }

    #[test]
    fn half_an_answer_is_never_quoted() {
        let failure = refused("{\"access_token\":\"eyJ-CANARY-of-a-new-token");
        assert!(!failure.lines("sendmail").join("\n").contains("CANARY"));
    }

    #[test]
    fn any_cut_of_a_good_answer_is_refused_without_harm() {
        let whole =
            json!({"token_type": "Bearer", "expires_in": 3599, "access_token": "at"}).to_string();
        for size in 0..whole.len() {
            assert!(read(reply(200, &whole[..size])).is_err());
        }
    }
}
