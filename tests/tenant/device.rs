//! Sign-in with a code on another device (RFC 8628).
//!
//! The interval is kept: a poll that comes too soon is answered with `slow_down`, is counted, and
//! makes the interval longer by five seconds. The time between two polls is taken from where each
//! was read. A client that waits after an answer cannot be faster than that, however busy the
//! machine is; for one that counts from its last request a quarter of the interval is left.

use super::aadsts::Refusal;
use super::faults::Answer;
use super::scope::Grant;
use super::setup::{IntervalForm, Setup};
use super::state::{Shared, SignedIn};
use super::{Tenant, clock};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// RFC 8628 section 3.5.
const SLOWER: u32 = 5;
/// RFC 8628 section 3.2: what holds where the answer names no interval.
const INTERVAL_UNSAID: u32 = 5;
/// How long a test waits for the program's next step.
const PATIENCE: Duration = Duration::from_secs(60);
const TICK: Duration = Duration::from_millis(10);

/// What becomes of a device code.
#[derive(Clone, Debug, PartialEq)]
pub enum SignIn {
    /// Somebody signs in after so many polls.
    After(u32),
    Declined,
    Expired,
    /// These answers in their order, and then somebody has signed in.
    Script(Vec<Poll>),
    /// Pending until [`Tenant::approve`] or [`Tenant::decline`].
    Person,
    /// One for each device code; the last one for all others too.
    InTurn(Vec<SignIn>),
}

/// The answer to one poll.
#[derive(Clone, Debug, PartialEq)]
pub enum Poll {
    Pending,
    /// The interval is longer by five seconds from now on.
    SlowDown,
    /// `authorization_declined`, as Microsoft says it.
    Declined,
    /// `access_denied`, as RFC 8628 says it.
    AccessDenied,
    /// `expired_token`, as Microsoft and RFC 8628 say it.
    Expired,
    /// `code_expired`, as some say it.
    CodeExpired,
    /// `bad_verification_code`: never heard of this device code.
    BadCode,
    /// The number of an error that ends it: 7000218, 53003, 530032, 50097, 53000.
    Refused(u32),
    /// What a proxy, a busy server or a bad line make of a poll.
    Instead(Answer),
    /// Pending until [`Tenant::approve`] or [`Tenant::decline`], however many polls it takes.
    Person,
    Success,
}

impl Poll {
    /// The refusal that it is; none for what is no answer of the endpoint, and for success.
    fn refusal(&self) -> Option<Refusal> {
        Some(match self {
            Poll::Pending | Poll::Person => 70_016.into(),
            Poll::SlowDown => 0.into(),
            Poll::Declined => 65_004.into(),
            Poll::AccessDenied => Refusal::worded(65_004, "access_denied"),
            Poll::Expired => 70_020.into(),
            Poll::CodeExpired => Refusal::worded(70_020, "code_expired"),
            Poll::BadCode => Refusal::worded(70_000, "bad_verification_code"),
            // Whatever Conditional Access says elsewhere, a poll hears `invalid_grant`.
            Poll::Refused(code) => match Refusal::from(*code) {
                refusal if refusal.error() == "invalid_client" => refusal,
                _ => Refusal::worded(*code, "invalid_grant"),
            },
            Poll::Instead(_) | Poll::Success => return None,
        })
    }

    fn is_passing(&self) -> bool {
        matches!(
            self,
            Poll::Pending | Poll::Person | Poll::SlowDown | Poll::Instead(_)
        )
    }
}

/// Why a poll brings no token.
pub enum Wait {
    Refused(Refusal),
    /// Something else than an answer of the endpoint.
    Instead(Answer),
}

/// A device code that is being waited for.
#[derive(Clone, Debug)]
pub struct Device {
    pub user_code: String,
    /// Polls that came.
    pub polls: u32,
    /// Polls that came too soon.
    pub early: u32,
    /// Seconds between polls, as it holds now.
    pub interval: u32,
    /// Somebody signed in and the token was fetched.
    pub done: bool,
    grant: Grant,
    script: VecDeque<Poll>,
    /// What follows the script.
    rest: Poll,
    /// Who signed in; none said no.
    decision: Option<Option<String>>,
    started: Instant,
    polled: Option<Instant>,
}

impl Device {
    fn new(setup: &Setup, sign_in: &SignIn, grant: Grant) -> Device {
        let (script, rest) = match sign_in {
            SignIn::After(polls) => (vec![Poll::Pending; *polls as usize], Poll::Success),
            SignIn::Declined => (Vec::new(), Poll::Declined),
            SignIn::Expired => (Vec::new(), Poll::Expired),
            SignIn::Script(polls) => (polls.clone(), Poll::Success),
            SignIn::Person | SignIn::InTurn(_) => (Vec::new(), Poll::Person),
        };
        // No letters that people take for others.
        let user_code: String = clock::random(9)
            .iter()
            .map(|octet| char::from(b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789"[usize::from(octet % 32)]))
            .collect();
        Device {
            user_code,
            polls: 0,
            early: 0,
            interval: match setup.interval_form {
                IntervalForm::Missing => INTERVAL_UNSAID,
                _ => setup.device_interval,
            },
            done: false,
            grant,
            script: script.into(),
            rest,
            decision: None,
            started: Instant::now(),
            polled: None,
        }
    }

    /// What the endpoint says to a poll that was read at `at`.
    fn judge(&mut self, setup: &Setup, at: Instant) -> Poll {
        self.polls += 1;
        let since = self
            .polled
            .replace(at)
            .map(|last| at.saturating_duration_since(last));
        let wanted = Duration::from_secs(self.interval.into()) * 3 / 4;
        if self.done {
            return Poll::BadCode;
        }
        if since.is_some_and(|since| since < wanted) {
            self.early += 1;
            self.interval += SLOWER;
            return Poll::SlowDown;
        }
        let lifetime = Duration::from_secs(setup.device_lifetime.into());
        if at.saturating_duration_since(self.started) >= lifetime {
            return Poll::Expired;
        }
        let next = self.script.front().unwrap_or(&self.rest).clone();
        match (&self.decision, &next) {
            (Some(None), Poll::Pending | Poll::Person) => return Poll::Declined,
            (Some(Some(_)), Poll::Pending | Poll::Person) => return Poll::Success,
            (_, Poll::SlowDown) => self.interval += SLOWER,
            _ => {}
        }
        if next.is_passing() {
            if next != Poll::Person {
                self.script.pop_front();
            }
        } else {
            // Whoever goes on polling hears the same again.
            self.script.clear();
            self.rest = next.clone();
        }
        next
    }
}

/// The answer of the device code endpoint.
pub fn start(shared: &Shared, grant: Grant) -> Value {
    let setup = &shared.setup;
    let mut ledger = shared.ledger();
    let sign_in = ledger.sign_in.as_ref().unwrap_or(&setup.sign_in);
    let sign_in = match sign_in {
        SignIn::InTurn(all) => {
            let turn = ledger.devices.len().min(all.len().saturating_sub(1));
            all.get(turn).unwrap_or(&SignIn::Person)
        }
        one => one,
    };
    let device = Device::new(setup, sign_in, grant);
    let (device_code, user_code) = (
        format!("CANARY-DC-{}", clock::text(180)),
        device.user_code.clone(),
    );
    ledger.secrets.push(device_code.clone());
    ledger.devices.push((device_code.clone(), device));
    let page = &setup.verification_uri;
    let mut answer = json!({
        "user_code": user_code,
        "device_code": device_code,
        "verification_uri": page,
        "expires_in": setup.device_lifetime,
        "message": format!(
            "To sign in, use a web browser to open the page {page} and enter the code {user_code} \
             to authenticate."
        ),
    });
    match setup.interval_form {
        IntervalForm::Number => answer["interval"] = json!(setup.device_interval),
        IntervalForm::Text => answer["interval"] = json!(setup.device_interval.to_string()),
        IntervalForm::Missing => {}
    }
    answer
}

/// One poll, read at `at`: who signed in for what, or why nobody did.
pub fn poll(shared: &Shared, device_code: &str, at: Instant) -> Result<SignedIn, Wait> {
    let mut ledger = shared.ledger();
    let device = ledger
        .devices
        .iter_mut()
        .find(|(known, _)| known == device_code);
    let Some((_, device)) = device else {
        let refusal = Poll::BadCode.refusal().unwrap();
        return Err(Wait::Refused(refusal));
    };
    let verdict = device.judge(&shared.setup, at);
    if let Some(refusal) = verdict.refusal() {
        return Err(Wait::Refused(refusal));
    }
    if let Poll::Instead(answer) = verdict {
        return Err(Wait::Instead(answer));
    }
    device.done = true;
    let user = device.decision.clone().flatten();
    Ok(SignedIn {
        grant: device.grant.clone(),
        user: user.unwrap_or_else(|| shared.setup.signer().to_owned()),
        with_secret: false,
    })
}

/// The person at the other device.
impl Tenant {
    /// What becomes of the device codes that are asked for from now on.
    pub fn sign_in(&self, sign_in: SignIn) {
        self.shared.ledger().sign_in = Some(sign_in);
    }

    /// Enters a code and signs in.
    pub fn approve(&self, user_code: &str) {
        self.approve_as(user_code, self.shared.setup.signer());
    }

    /// Enters a code and signs in as somebody else, an administrator say.
    pub fn approve_as(&self, user_code: &str, user: &str) {
        self.decide(user_code, Some(user.to_owned()));
    }

    /// Enters a code and says no.
    pub fn decline(&self, user_code: &str) {
        self.decide(user_code, None);
    }

    /// The device codes so far, in their order.
    pub fn devices(&self) -> Vec<Device> {
        let ledger = self.shared.ledger();
        ledger.devices.iter().map(|(_, one)| one.clone()).collect()
    }

    /// Polls that came sooner than the client was told to.
    pub fn early_polls(&self) -> u32 {
        self.devices().iter().map(|device| device.early).sum()
    }

    /// Waits until a device code was asked for that makes `count` of them; its user code.
    pub fn user_code(&self, count: usize) -> String {
        self.wait_until("device code", || self.devices().len() >= count);
        self.devices()[count - 1].user_code.clone()
    }

    /// Waits until the newest device code was polled so often.
    pub fn wait_for_polls(&self, count: u32) {
        self.wait_until("poll", || {
            self.devices().last().is_some_and(|one| one.polls >= count)
        });
    }

    fn wait_until(&self, what: &str, there: impl Fn() -> bool) {
        let until = Instant::now() + PATIENCE;
        while !there() {
            assert!(Instant::now() < until, "no {what} came");
            std::thread::sleep(TICK);
        }
    }

    fn decide(&self, user_code: &str, decision: Option<String>) {
        let mut ledger = self.shared.ledger();
        let device = ledger
            .devices
            .iter_mut()
            .find(|(_, device)| device.user_code == user_code);
        let (_, device) = device.expect("nobody was given this code");
        device.decision = Some(decision);
    }
}
