//! Sign-in with a device: every answer to a poll, the interval that is kept, and the person.

use super::client::*;
use crate::tenant::{Answer, Door, Fault, IntervalForm, Poll, Setup, SignIn, Tenant};
use serde_json::Value;
use std::time::Duration;

/// A device code that is being polled.
struct Waiting<'a> {
    tenant: &'a Tenant,
    started: Value,
}

impl Waiting<'_> {
    fn on(tenant: &Tenant) -> Waiting<'_> {
        let (status, started) = start(tenant);
        assert_eq!(status, 200, "{started}");
        Waiting { tenant, started }
    }

    fn poll(&self) -> (u16, Value) {
        let device_code = self.started["device_code"].as_str().unwrap();
        json(
            self.tenant,
            &path(self.tenant, "token"),
            &form(self.tenant, device_code),
        )
    }

    /// `error` of the next poll.
    fn error(&self) -> String {
        let (_, answer) = self.poll();
        answer["error"].as_str().unwrap_or_default().to_owned()
    }

    fn user_code(&self) -> &str {
        self.started["user_code"].as_str().unwrap()
    }
}

fn path(tenant: &Tenant, last: &str) -> String {
    format!("/{}/oauth2/v2.0/{last}", tenant.tenant_id())
}

fn start(tenant: &Tenant) -> (u16, Value) {
    let form = [("client_id", tenant.client_id()), ("scope", SCOPE)];
    json(tenant, &path(tenant, "devicecode"), &form)
}

fn form<'a>(tenant: &'a Tenant, device_code: &'a str) -> [(&'static str, &'a str); 3] {
    [
        ("client_id", tenant.client_id()),
        ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
        ("device_code", device_code),
    ]
}

/// A tenant that does not mind how fast it is polled, unless it said `slow_down`.
fn hurried(sign_in: SignIn) -> Tenant {
    Tenant::with(Setup {
        sign_in,
        device_interval: 0,
        ..Setup::default()
    })
}

#[test]
fn a_device_is_signed_in_after_polling() {
    let tenant = hurried(SignIn::After(2));
    let waiting = Waiting::on(&tenant);
    assert_eq!(code(&waiting.poll()), (400, 70_016));
    assert_eq!(waiting.error(), "authorization_pending");
    let (status, answer) = waiting.poll();
    assert_eq!(status, 200);
    assert_eq!(answer["refresh_token"], tenant.refresh_token());
    // The code is used up.
    assert_eq!(waiting.error(), "bad_verification_code");
    let unknown = json(
        &tenant,
        &path(&tenant, "token"),
        &form(&tenant, "CANARY-DC-x"),
    );
    assert_eq!(unknown.1["error"], "bad_verification_code");
    assert_eq!(tenant.devices()[0].polls, 4);
}

#[test]
fn every_way_to_end_without_a_token_has_its_word_and_stays() {
    for (poll, status, word, number) in [
        (Poll::Declined, 400, "authorization_declined", 65_004),
        (Poll::AccessDenied, 400, "access_denied", 65_004),
        (Poll::Expired, 400, "expired_token", 70_020),
        (Poll::CodeExpired, 400, "code_expired", 70_020),
        (Poll::BadCode, 400, "bad_verification_code", 70_000),
        (Poll::Refused(7_000_218), 401, "invalid_client", 7_000_218),
        (Poll::Refused(53_003), 400, "invalid_grant", 53_003),
        (Poll::Refused(530_032), 400, "invalid_grant", 530_032),
        (Poll::Refused(50_097), 400, "invalid_grant", 50_097),
        (Poll::Refused(53_000), 400, "invalid_grant", 53_000),
    ] {
        let tenant = hurried(SignIn::Script(vec![Poll::Pending, poll]));
        let waiting = Waiting::on(&tenant);
        assert_eq!(code(&waiting.poll()), (400, 70_016));
        for _ in 0..2 {
            let answer = waiting.poll();
            assert_eq!(code(&answer), (status, number));
            assert_eq!(answer.1["error"], word);
        }
    }
}

#[test]
fn what_is_no_answer_of_the_endpoint_passes() {
    let tenant = hurried(SignIn::Script(vec![
        Poll::Instead(Answer::Html200),
        Poll::Instead(Answer::Throttled(Some(7))),
        Poll::Instead(Answer::ServerError(503)),
        Poll::Instead(Answer::Reset),
        Poll::Instead(Answer::Aadsts(90_033)),
        Poll::Pending,
    ]));
    let waiting = Waiting::on(&tenant);
    let device_code = waiting.started["device_code"].as_str().unwrap();
    let poll = || {
        post(
            &tenant,
            &path(&tenant, "token"),
            &form(&tenant, device_code),
        )
    };
    let (status, head, body) = poll();
    assert!(status == 200 && head.contains("text/html") && body.contains("<title>"));
    let (status, head, _) = poll();
    assert!(status == 429 && head.contains("\r\nRetry-After: 7\r\n"));
    assert_eq!(poll().0, 503);
    assert_eq!(poll().0, 0);
    assert_eq!(waiting.error(), "temporarily_unavailable");
    assert_eq!(waiting.error(), "authorization_pending");
    assert_eq!(waiting.poll().0, 200);
    let seen: Vec<u16> = tenant
        .token_requests()
        .iter()
        .map(|request| request.status)
        .collect();
    assert_eq!(seen, [200, 200, 429, 503, 0, 503, 400, 200]);
}

#[test]
fn a_client_that_polls_too_fast_is_slowed_down_and_counted() {
    let tenant = Tenant::with(Setup {
        sign_in: SignIn::After(0),
        device_interval: 3_600,
        ..Setup::default()
    });
    tenant.sign_in(SignIn::Person);
    let waiting = Waiting::on(&tenant);
    // Nobody says how soon the first poll may come.
    assert_eq!(waiting.error(), "authorization_pending");
    tenant.approve(waiting.user_code());
    for count in 1..3 {
        let (status, answer) = waiting.poll();
        assert_eq!((status, &answer["error"]), (400, &Value::from("slow_down")));
        assert!(answer.get("error_codes").is_none());
        assert_eq!(tenant.early_polls(), count);
        assert_eq!(tenant.devices()[0].interval, 3_600 + 5 * count);
    }
    // Said without a reason, it counts all the same.
    let tenant = hurried(SignIn::Script(vec![Poll::SlowDown]));
    assert_eq!(Waiting::on(&tenant).error(), "slow_down");
    assert_eq!(tenant.devices()[0].interval, 5);
    assert_eq!(tenant.early_polls(), 0);
}

#[test]
fn a_client_that_waits_as_told_is_never_too_fast() {
    let tenant = Tenant::with(Setup {
        sign_in: SignIn::After(2),
        device_interval: 1,
        ..Setup::default()
    });
    let waiting = Waiting::on(&tenant);
    while waiting.poll().0 != 200 {
        std::thread::sleep(Duration::from_secs(1));
    }
    assert_eq!((tenant.early_polls(), tenant.devices()[0].polls), (0, 3));
}

#[test]
fn a_code_ends_and_a_new_one_has_a_fate_of_its_own() {
    let tenant = Tenant::with(Setup {
        device_lifetime: 0,
        ..Setup::default()
    });
    let waiting = Waiting::on(&tenant);
    assert_eq!(waiting.started["expires_in"], 0);
    assert_eq!(code(&waiting.poll()), (400, 70_020));

    let tenant = hurried(SignIn::InTurn(vec![SignIn::Expired, SignIn::After(0)]));
    assert_eq!(Waiting::on(&tenant).error(), "expired_token");
    assert_eq!(Waiting::on(&tenant).poll().0, 200);
    assert_eq!(Waiting::on(&tenant).poll().0, 200);
    let codes = tenant.devices();
    assert_ne!(codes[0].user_code, codes[1].user_code);
}

#[test]
fn the_person_decides_and_may_be_somebody_else() {
    let tenant = hurried(SignIn::Person);
    let first = Waiting::on(&tenant);
    assert_eq!(first.user_code(), tenant.user_code(1));
    assert_eq!(first.error(), "authorization_pending");
    tenant.decline(first.user_code());
    assert_eq!(first.error(), "authorization_declined");

    let second = Waiting::on(&tenant);
    tenant.approve(second.user_code());
    let (_, answer) = second.poll();
    let mut client = Client::secured(&tenant);
    let token = answer["access_token"].as_str().unwrap();
    assert!(client.auth(tenant.mailbox(), token).starts_with("235 "));

    let third = Waiting::on(&tenant);
    tenant.approve_as(third.user_code(), "admin@contoso.test");
    assert_eq!(third.poll().0, 200);
    // Also after a refresh it is the administrator's.
    let (_, answer) = refresh(&tenant, SCOPE);
    let mut client = Client::secured(&tenant);
    let token = answer["access_token"].as_str().unwrap();
    assert!(
        client
            .auth(tenant.mailbox(), token)
            .starts_with("535 5.7.3 ")
    );
    drop(client);
    let connections = tenant.connections();
    assert!(connections[1].notes()[0].contains("admin@contoso.test"));
}

#[test]
fn a_code_is_told_in_the_forms_that_providers_have() {
    for (form, interval) in [
        (IntervalForm::Number, Value::from(7)),
        (IntervalForm::Text, Value::from("7")),
        (IntervalForm::Missing, Value::Null),
    ] {
        let tenant = Tenant::with(Setup {
            interval_form: form,
            device_interval: 7,
            verification_uri: "https://www.microsoft.com/link".to_owned(),
            ..Setup::default()
        });
        let (_, started) = start(&tenant);
        assert_eq!(started["interval"], interval);
        assert_eq!(
            started["verification_uri"],
            "https://www.microsoft.com/link"
        );
        let message = started["message"].as_str().unwrap();
        assert!(message.contains("https://www.microsoft.com/link"));
        assert!(message.contains(started["user_code"].as_str().unwrap()));
        let kept = if interval.is_null() { 5 } else { 7 };
        assert_eq!(tenant.devices()[0].interval, kept);
        assert!(tenant.leak_in(started.to_string().as_bytes()).is_some());
        assert!(tenant.leak_in(message.as_bytes()).is_none());
    }
}

#[test]
fn a_fault_can_be_at_one_door_and_at_one_request() {
    let tenant = hurried(SignIn::After(3));
    tenant.fault(Fault::On(Door::Token, Answer::ServerError(502)).nth(2));
    let waiting = Waiting::on(&tenant);
    let seen = [waiting.poll().0, waiting.poll().0, waiting.poll().0];
    assert_eq!(seen, [400, 502, 400]);
    tenant.fault(Fault::On(Door::DeviceCode, Answer::Aadsts(7_000_218)).once());
    assert_eq!(code(&start(&tenant)), (401, 7_000_218));
    assert_eq!(start(&tenant).0, 200);
}
