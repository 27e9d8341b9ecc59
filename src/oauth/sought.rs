//! What one process wants of the stored sign-in, and what the log learns of it.

use super::Account;
use super::answer::{Granted, Note};
use super::shelf::Survey;
use super::slot::Slot;
use super::token::{AccessToken, Claims, Misfit};
use crate::outcome::{Failure, Stage};
use crate::sys::log::{Journal, Level, Line};

/// What one request for tokens yields.
pub(crate) type Renewal = Result<Granted, Failure>;

/// Whose token is wanted, why, and how a new one is fetched.
pub(crate) struct Sought<'a> {
    pub(crate) account: &'a Account,
    pub(crate) journal: &'a Journal<'a>,
    /// Seconds since 1970.
    pub(crate) now: u64,
    /// Seconds that a token has to last.
    pub(crate) margin: u64,
    /// The token that the server refused.
    pub(crate) refused: Option<&'a AccessToken>,
    /// Fetches a token, with what is stored if the grant is a person's.
    pub(crate) renew: &'a dyn Fn(Option<&Slot>) -> Renewal,
}

impl Sought<'_> {
    /// A token of the survey that can be used as it is.
    pub(super) fn usable(&self, survey: &Survey) -> Result<Option<AccessToken>, Failure> {
        let Some((_, slot)) = survey.newest(self.account) else {
            return match self.account.grant.is_a_persons() {
                true => Err(survey.missing(self.account)),
                false => Ok(None),
            };
        };
        let Some(token) = slot
            .fresh(self.now, self.margin)
            .or_else(|| slot.resting(self.now))
            .filter(|token| !self.was_refused(token))
        else {
            return Ok(None);
        };
        match self.check(&token) {
            Ok(()) => Ok(Some(token)),
            // Another scope may have been configured since; a refresh asks for it.
            Err((Misfit::Purpose, _)) => Ok(None),
            // So may another tenant, and nobody has to sign in to it.
            Err(_) if !self.account.grant.is_a_persons() => Ok(None),
            Err((Misfit::Person, failure)) => Err(failure),
        }
    }

    /// After a failed refresh: the stored token, while it has not ended.
    pub(super) fn last_resort(
        &self,
        stored: Option<&Slot>,
        failure: Failure,
    ) -> Result<AccessToken, Failure> {
        self.report_refusal(&failure);
        let token = stored
            .and_then(|stored| stored.unexpired(self.now))
            .filter(|token| !self.was_refused(token));
        token
            .filter(|token| self.check(token).is_ok())
            .ok_or(failure)
    }

    /// What was granted, as it is kept.
    pub(super) fn slot(&self, granted: Granted) -> Slot {
        Slot {
            refresh_token: granted
                .refresh_token
                .filter(|_| self.account.grant.is_a_persons()),
            access_token: Some(granted.access_token),
            expires_at: granted.expires_at,
            obtained_at: self.now,
            tenant: self.account.tenant.clone(),
            client: self.account.client_id.clone(),
            mailbox: self.account.mailbox.clone(),
            flow: self.account.grant.name().to_owned(),
            with_secret: None,
            resting_until: None,
        }
    }

    pub(super) fn check(&self, token: &AccessToken) -> Result<(), (Misfit, Failure)> {
        let claims = Claims::of(token.secret().expose()).unwrap_or_default();
        claims.check(self.account)
    }

    pub(super) fn was_refused(&self, token: &AccessToken) -> bool {
        self.refused
            .is_some_and(|refused| refused.is(token.secret()))
    }
}

/// What the log learns.
impl Sought<'_> {
    pub(super) fn warn(&self, event: &str, more: impl FnOnce(Line) -> Line) {
        let line = more(self.journal.line(event).word("stage", Stage::Token.word()));
        self.journal.write(Level::Warning, &line);
    }

    pub(super) fn report_bad_slots(&self, survey: &Survey) {
        for (reading, bad) in survey.bad() {
            self.warn("token-slot-bad", |line| {
                line.number("slot", reading.number as u64)
                    .word("reason", bad.word())
            });
        }
    }

    pub(super) fn report_notes(&self, notes: &[Note]) {
        for note in notes {
            self.warn("refresh", |line| {
                line.word("reason", note.reason).text("text", &note.text)
            });
        }
    }

    pub(super) fn report_refresh(&self, claims: &Claims) {
        let reason = if self.refused.is_some() {
            "rejected"
        } else {
            "expired"
        };
        let line = self.journal.line("refresh").word("reason", reason);
        let line = match claims.unknown_audience() {
            Some(audience) => line.text("audience", audience),
            None => line,
        };
        self.journal.write(Level::Info, &line);
    }

    pub(super) fn report_refusal(&self, failure: &Failure) {
        let stage = failure.stage().unwrap_or(Stage::TokenHttp);
        let mut line = self.journal.line("refresh").word("stage", stage.word());
        let words = [
            ("code", failure.code()),
            ("err", failure.err()),
            ("reason", failure.reason()),
        ];
        for (key, value) in words {
            if let Some(value) = value {
                line = line.word(key, value);
            }
        }
        if let Some(wait) = failure.retry_after() {
            line = line.number("retry_after", wait.as_secs());
        }
        let line = line.text("text", failure.why().unwrap_or_default());
        self.journal.write(Level::Warning, &line);
    }
}
