//! The token endpoint and the token slots: what can go wrong, and what must survive it.
//!
//! Stalls and slow answers are tried with short clocks beside `oauth::endpoint`.

use crate::binary;
use crate::host::{Host, Ran, finish};
use crate::submission::MESSAGE;
use crate::tenant::{Answer, Fault, Flaw, Leg, Plan, Setup, Tenant};
use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;

/// Makes the stored access token worthless, so that the next message needs a refresh.
///
/// Done as time would do it: the slot keeps everything else.
pub fn expire(host: &Host) {
    change_slots(host, |content| {
        content["expires_at"] = 1_000_000_000.into();
    });
}

/// Changes what the slots hold.
pub fn change_slots(host: &Host, change: impl Fn(&mut serde_json::Value)) {
    for name in [
        "etc/tokens/token.0",
        "etc/tokens/token.1",
        "var/state/token.0",
        "var/state/token.1",
    ] {
        let path = host.path(name);
        let Ok(slot) = fs::read_to_string(&path) else {
            continue;
        };
        let Some(line) = slot.lines().next() else {
            continue;
        };
        let mut words = line.splitn(4, ' ');
        let (version, generation) = (words.next().unwrap(), words.next().unwrap());
        let mut content: serde_json::Value = serde_json::from_str(words.nth(1).unwrap()).unwrap();
        change(&mut content);
        let text = content.to_string();
        let summed = format!("{version} {generation} {text}");
        let sum = ring::digest::digest(&ring::digest::SHA256, summed.as_bytes());
        let sum: String = sum.as_ref()[..8]
            .iter()
            .map(|octet| format!("{octet:02x}"))
            .collect();
        fs::write(&path, format!("{version} {generation} {sum} {text}\n")).unwrap();
    }
}

fn slots(host: &Host) -> Vec<Vec<u8>> {
    ["token.0", "token.1"]
        .map(|name| fs::read(host.path("etc/tokens").join(name)).unwrap_or_default())
        .into()
}

/// A fault of the token endpoint, and what a submission without a queue makes of it.
pub struct Row {
    pub id: &'static str,
    pub fault: Plan,
    exit: i32,
    says: &'static str,
    log: &'static str,
}

fn row(
    id: &'static str,
    fault: impl Into<Plan>,
    exit: i32,
    says: &'static str,
    log: &'static str,
) -> Row {
    Row {
        id,
        fault: fault.into(),
        exit,
        says,
        log,
    }
}

pub fn refusals() -> Vec<Row> {
    use Answer::*;
    let code = |number| Fault::Token(Aadsts(number));
    let mut rows = vec![
        row(
            "H02",
            Fault::TokenEndpointDown,
            75,
            "refused",
            "stage=token-http err=ECONNREFUSED",
        ),
        row(
            "H03",
            Fault::Certificate(Leg::Token, Flaw::UntrustedCa),
            75,
            "issue",
            "stage=token-http",
        ),
        row(
            "H04",
            Fault::Certificate(Leg::Token, Flaw::WrongName),
            75,
            "name",
            "stage=token-http",
        ),
        row(
            "H05",
            Fault::Certificate(Leg::Token, Flaw::Expired),
            75,
            "clock",
            "stage=token-http",
        ),
        row(
            "H05 future",
            Fault::Certificate(Leg::Token, Flaw::NotYetValid),
            75,
            "clock",
            "stage=token-http",
        ),
        row(
            "H10",
            Fault::Token(Throttled(Some(30))),
            75,
            "30",
            "stage=token-http code=429",
        ),
        row(
            "H11",
            Fault::Token(Throttled(None)),
            75,
            "60 s",
            "stage=token-http code=429",
        ),
        row("H14", Fault::Token(Html200), 75, "", "stage=token-http"),
        row("H17", Fault::Token(EndlessBody), 75, "", "stage=token-http"),
        row("H19", Fault::Token(CutBody), 75, "", "stage=token-http"),
        row(
            "H20",
            Fault::Token(NoAccessToken),
            75,
            "access token",
            "stage=token-http",
        ),
        row(
            "H25",
            Fault::Token(EndlessHeaders),
            75,
            "",
            "stage=token-http",
        ),
        row(
            "H27 407",
            Fault::Token(Proxy(407)),
            75,
            "proxy",
            "stage=token-http code=407",
        ),
        row(
            "H27 403",
            Fault::Token(Proxy(403)),
            75,
            "proxy",
            "stage=token-http code=403",
        ),
        row(
            "token_type",
            Fault::Token(TokenType("mac")),
            75,
            "Bearer",
            "stage=token-http",
        ),
        row(
            "not_before",
            Fault::Token(NotBeforeAhead),
            75,
            "clock",
            "stage=token",
        ),
        row(
            "graph",
            Fault::Token(GraphAudience),
            75,
            "Graph",
            "stage=token",
        ),
        row(
            "other user",
            Fault::Token(WrongUser),
            75,
            "alerts@contoso.test",
            "stage=token",
        ),
        row(
            "other tenant",
            Fault::Token(WrongTenant),
            75,
            "tenant",
            "stage=token",
        ),
        row(
            "no permission",
            Fault::Token(NoPermission),
            75,
            "SMTP.Send",
            "stage=token",
        ),
    ];
    for (id, number) in [
        ("H06 inactive", 700082),
        ("H06 revoked", 50173),
        ("H06 frequency", 70043),
        ("H07 secret", 7000215),
        ("H07 expired", 7000222),
        ("H07 public", 7000218),
        ("H08 mfa", 50076),
        ("H08 policy", 53003),
        ("H09 scope", 70011),
        ("H09 request", 900144),
        ("H09 client", 700016),
        ("H26", 50196),
    ] {
        rows.push(row(
            id,
            code(number),
            75,
            "AADSTS",
            "stage=token-http code=AADSTS",
        ));
    }
    for status in [500, 502, 503, 504] {
        rows.push(row(
            "H13",
            Fault::Token(ServerError(status)),
            75,
            "",
            "stage=token-http code=5",
        ));
    }
    for character in ['\r', '\n', '\0', ' ', '\u{1}'] {
        rows.push(row(
            "H22",
            Fault::Token(TokenWith(character)),
            75,
            "",
            "stage=token-http",
        ));
    }
    rows
}

#[test]
fn a_refused_refresh_keeps_the_message_with_the_caller_and_the_token_in_its_slot() {
    let tenant = Tenant::start();
    let host = Host::with(&binary(), &tenant);
    let mut failed = Vec::new();
    for row in refusals() {
        expire(&host);
        let log = host.log().len();
        let connections = tenant.connections().len();
        tenant.fault(row.fault);
        let ran = host.sendmail(["-t", "-i"], MESSAGE);
        tenant.recover();
        let log = host.log()[log..].to_owned();
        let held = ran.status.code() == Some(row.exit)
            && ran.stderr.lines().count() == 2
            && ran.stderr.contains(row.says)
            && log.contains("event=refused")
            && row.log.split(' ').all(|word| log.contains(word))
            && tenant.connections().len() == connections;
        if !held {
            failed.push(format!("{}: log {log:?} {ran:#?}", row.id));
        }
        expire(&host);
        let after = host.sendmail(["-t", "-i"], MESSAGE);
        if after.status.code() != Some(0) {
            failed.push(format!("{}: the next message: {after:#?}", row.id));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn odd_but_usable_answers_are_used() {
    let tenant = Tenant::start();
    let host = Host::with(&binary(), &tenant);
    for (id, fault) in odd_answers() {
        expire(&host);
        tenant.fault(fault);
        let ran = host.sendmail(["-t", "-i"], MESSAGE);
        tenant.recover();
        assert!(
            ran.status.code() == Some(0) && ran.stderr.is_empty(),
            "{id}: {ran:#?}"
        );
        expire(&host);
        host.sendmail(["-t", "-i"], MESSAGE).exits(0).silently();
    }
}

/// Answers of the token endpoint that are strange and good all the same.
pub fn odd_answers() -> Vec<(&'static str, Plan)> {
    let mut answers: Vec<(&str, Plan)> = vec![
        ("H13 once", Fault::Token(Answer::ServerError(503)).once()),
        ("H23 missing", Fault::Token(Answer::NoRefreshToken).into()),
        ("H23 null", Fault::Token(Answer::NullRefreshToken).into()),
        ("H23 empty", Fault::Token(Answer::EmptyRefreshToken).into()),
        ("H24", Fault::Token(Answer::Reset).once()),
        (
            "token_type",
            Fault::Token(Answer::TokenType("bearer")).into(),
        ),
    ];
    for value in ["\"3599\"", "3599.5", "", "0", "-5", "1e30"] {
        answers.push(("H21", Fault::Token(Answer::ExpiresIn(value)).into()));
    }
    answers
}

/// H01.
#[test]
fn an_endpoint_whose_name_is_unknown_is_told_as_such() {
    let tenant = Tenant::start();
    let mut host = Host::with(&binary(), &tenant);
    expire(&host);
    host.set("endpoint", "authority", "\"https://nowhere.invalid\"");
    host.sendmail(["-t", "-i"], MESSAGE)
        .exits(75)
        .in_two_lines()
        .says("nowhere.invalid");
    assert!(host.log().contains("stage=token-http"), "{}", host.log());
}

/// H15, H16: the refresh token goes to the configured host and to no other.
#[test]
fn a_redirect_is_not_followed() {
    let tenant = Tenant::start();
    let host = Host::with(&binary(), &tenant);
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    other.set_nonblocking(true).unwrap();
    let url = format!(
        "https://localhost:{}/token",
        other.local_addr().unwrap().port()
    );
    for status in [302, 303, 307, 308] {
        expire(&host);
        tenant.fault(Fault::Token(Answer::Redirect(status, url.clone())));
        host.sendmail(["-t", "-i"], MESSAGE)
            .exits(75)
            .in_two_lines()
            .says("redirect");
        tenant.recover();
    }
    assert!(other.accept().is_err(), "somebody called the other host");
}

/// H12: the endpoint is down, the cached token is good: nobody asks.
#[test]
fn a_good_token_needs_no_endpoint() {
    let tenant = Tenant::start();
    let host = Host::with(&binary(), &tenant);
    tenant.fault(Fault::TokenEndpointDown);
    host.sendmail(["-t", "-i"], MESSAGE).exits(0).silently();
    tenant.fault(Fault::Token(Answer::ServerError(503)));
    host.sendmail(["-t", "-i"], MESSAGE).exits(0).silently();
    assert_eq!(tenant.token_requests().len(), 1, "the sign-in alone");
}

/// T13.
#[test]
fn fifty_processes_with_an_expired_token_make_one_request_and_send_fifty_messages() {
    let tenant = Tenant::with(Setup {
        connections_max: 100,
        ..Setup::default()
    });
    let host = Host::with(&binary(), &tenant);
    expire(&host);
    let before = tenant.token_requests().len();
    let _alone = crate::host::alone();
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..50)
            .map(|_| {
                scope.spawn(|| {
                    let mut command = host.command("sendmail", ["-t", "-i"]);
                    crate::host::finish_alone(&mut command, MESSAGE.as_bytes())
                })
            })
            .collect();
        for run in runs {
            run.join().unwrap().exits(0).silently();
        }
    });
    assert_eq!(tenant.token_requests().len() - before, 1);
    assert_eq!(tenant.received().len(), 50);
}

/// The tenant ends each old refresh token: whoever loses the new one has lost all.
#[test]
fn the_rotated_refresh_token_is_the_one_that_is_used_next() {
    let tenant = Tenant::with(Setup {
        old_refresh_tokens_die: true,
        ..Setup::default()
    });
    let host = Host::with(&binary(), &tenant);
    for _ in 0..5 {
        expire(&host);
        host.sendmail(["-t", "-i"], MESSAGE).exits(0).silently();
    }
    assert_eq!(tenant.token_requests().len(), 6);
}

/// T15, S15: the server refuses a token that looked good; one refresh, one more try.
#[test]
fn a_token_that_the_server_refuses_is_renewed_once() {
    let tenant = Tenant::start();
    let host = Host::with(&binary(), &tenant);
    tenant.fault(Fault::RejectOnce535);
    host.sendmail(["-t", "-i"], MESSAGE).exits(0).silently();
    assert_eq!(tenant.token_requests().len(), 2);
    assert!(host.log().contains("event=refresh"), "{}", host.log());
    assert_eq!(tenant.connections().len(), 2);
}

/// T02, T03, T11, T12.
#[test]
fn damaged_slots_are_told_apart() {
    let tenant = Tenant::start();
    let host = Host::with(&binary(), &tenant);
    expire(&host);
    host.sendmail(["-t", "-i"], MESSAGE).exits(0);
    let good = slots(&host);
    for damaged in [0, 1] {
        let mut slot = good[damaged].clone();
        slot[60] ^= 1;
        host.write(&format!("etc/tokens/token.{damaged}"), &slot);
        host.sendmail(["-t", "-i"], MESSAGE).exits(0).silently();
        assert!(
            host.log().contains("event=token-slot-bad"),
            "{}",
            host.log()
        );
        host.write(&format!("etc/tokens/token.{damaged}"), &good[damaged]);
    }
    for (content, says) in [
        ("", "login"),
        ("v1 1 0000000000000000 {}\n", "login"),
        ("v2 1 x y\n", "version"),
    ] {
        host.write("etc/tokens/token.0", content);
        host.write("etc/tokens/token.1", content);
        host.sendmail(["-t", "-i"], MESSAGE)
            .exits(75)
            .in_two_lines()
            .says(says);
    }
    for name in ["token.0", "token.1"] {
        let path = host.path("etc/tokens").join(name);
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
    }
    host.sendmail(["-t", "-i"], MESSAGE)
        .exits(75)
        .in_two_lines();
}

/// T01.
#[test]
fn before_the_first_sign_in_the_message_says_how_to_sign_in() {
    let tenant = Tenant::start();
    let host = Host::configured(&binary(), &tenant);
    host.sendmail(["-t", "-i"], MESSAGE)
        .exits(75)
        .in_two_lines()
        .says("login");
    assert_eq!(tenant.connections().len(), 0);
}

/// T08: without the lock file the token is renewed for this message only.
#[test]
fn without_a_lock_file_nothing_is_written_and_the_message_goes() {
    let tenant = Tenant::start();
    let host = Host::with(&binary(), &tenant);
    expire(&host);
    for folder in ["etc/tokens", "var/state"] {
        let _ = fs::remove_file(host.path(folder).join("token.lock"));
    }
    let before = slots(&host);
    host.sendmail(["-t", "-i"], MESSAGE).exits(0).silently();
    assert!(slots(&host) == before);
    assert!(host.log().contains("event=lock-missing"), "{}", host.log());
}

/// T10, and the slot write of T06, T07, T09: killed or failing at every call of a refresh, a usable
/// refresh token is left.
#[test]
fn a_kill_at_any_moment_of_a_refresh_leaves_a_usable_token() {
    if !crate::needs("strace") {
        return;
    }
    let tenant = Tenant::with(Setup {
        connections_max: 100,
        ..Setup::default()
    });
    let host = Host::with(&binary(), &tenant);
    for call in ["pwrite64", "fdatasync", "flock", "openat", "close"] {
        for when in 1..=40 {
            expire(&host);
            let spec = format!("inject={call}:signal=SIGKILL:when={when}");
            let killed = traced(&host, &spec).status.code().is_none();
            expire(&host);
            host.sendmail(["-t", "-i"], MESSAGE).exits(0).silently();
            if !killed {
                break;
            }
        }
    }
}

#[test]
fn a_slot_that_cannot_be_written_does_not_stop_the_message() {
    if !crate::needs("strace") {
        return;
    }
    let tenant = Tenant::start();
    let host = Host::with(&binary(), &tenant);
    for (call, error, event) in [
        ("pwrite64", "ENOSPC", "event=token-kept err=ENOSPC"),
        ("pwrite64", "EIO", "event=token-kept err=EIO"),
        ("fdatasync", "EIO", "event=token-kept err=EIO"),
        ("flock", "ENOLCK", "event=lock-missing"),
    ] {
        expire(&host);
        let ran = traced(&host, &format!("inject={call}:error={error}"));
        ran.exits(0).silently();
        let log = host.log();
        let words: Vec<&str> = event.split(' ').collect();
        assert!(
            words.iter().all(|word| log.contains(word)),
            "{call} {error}: {log}"
        );
        host.sendmail(["-t", "-i"], MESSAGE).exits(0).silently();
    }
}

fn traced(host: &Host, inject: &str) -> crate::host::Ran {
    let inner = host.command("sendmail", ["-t", "-i"]);
    let mut command = std::process::Command::new("strace");
    command.args(["-f", "-qq", "-o", "/dev/null", "-e", inject, "--"]);
    command.arg(inner.get_program()).args(inner.get_args());
    finish(&mut command, MESSAGE.as_bytes())
}

/// A confidential app, and the v1 endpoint with its decimal strings.
#[test]
fn a_client_secret_and_the_v1_endpoint_work() {
    let tenant = Tenant::with(Setup {
        confidential: true,
        ..Setup::default()
    });
    let mut host = Host::configured(&binary(), &tenant);
    host.write("etc/client-secret", format!("{}\n", tenant.client_secret()));
    let path = host.path("etc/client-secret");
    set_mode(&path, 0o640);
    host.set("account", "client_secret_file", &format!("{path:?}"));
    host.run(
        "sendmail365",
        ["login", "--import", "-"],
        tenant.refresh_token(),
    )
    .exits(0);
    host.sendmail(["-t", "-i"], MESSAGE).exits(0).silently();
    host.set("endpoint", "resource", "\"https://outlook.office.com\"");
    expire(&host);
    host.sendmail(["-t", "-i"], MESSAGE).exits(0).silently();
    let last = tenant.token_requests().pop().unwrap();
    assert!(last.path.ends_with("/oauth2/token"), "{}", last.path);
    assert!(last.form.contains_key("resource") && !last.form.contains_key("scope"));
    // C06: everybody may read the secret; mail goes on, the log says it once a message.
    set_mode(&path, 0o644);
    host.sendmail(["-t", "-i"], MESSAGE).exits(0).silently();
    assert!(host.log().contains("event=config") && host.log().contains("reason=exposed"));
}

fn set_mode(path: &PathBuf, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A scope that would give a token for Graph is refused before anybody is asked.
#[test]
fn a_scope_for_another_service_is_an_error_of_the_settings() {
    let tenant = Tenant::start();
    let mut host = Host::with(&binary(), &tenant);
    tenant.forget();
    host.set("endpoint", "scope", "\"SMTP.Send offline_access\"");
    expire(&host);
    let ran = host.sendmail(["-t", "-i"], MESSAGE);
    ran.exits(78)
        .in_two_lines()
        .says("bare permission SMTP.Send");
    assert_eq!(tenant.token_requests().len(), 0);
}

/// A token for Graph is named as the cause, with the cure, before any SMTP.
#[test]
fn a_graph_audience_is_explained_before_any_connection_to_the_server() {
    let tenant = Tenant::start();
    let host = Host::with(&binary(), &tenant);
    expire(&host);
    tenant.fault(Fault::Token(Answer::GraphAudience));
    let ran = host.sendmail(["-t", "-i"], MESSAGE);
    ran.exits(75)
        .in_two_lines()
        .says("Graph")
        .says("https://outlook.office.com/SMTP.Send");
    assert_eq!(tenant.connections().len(), 0);
}

#[test]
fn an_import_that_fails_leaves_the_working_token() {
    let tenant = Tenant::start();
    let host = Host::with(&binary(), &tenant);
    let before = slots(&host);
    for bad in [
        "",
        "0.CANARY-RT-unknown",
        "{\"access_token\":\"x\"}",
        "two\nlines",
        "{",
    ] {
        let ran = host.run("sendmail365", ["login", "--import", "-"], bad);
        assert!(
            ran.status.code() != Some(0) && ran.stderr.lines().count() == 2,
            "{bad:?} {ran:#?}"
        );
        assert!(slots(&host) == before, "{bad:?}");
    }
    host.sendmail(["-t", "-i"], MESSAGE).exits(0).silently();
}

#[test]
fn an_import_takes_raw_tokens_and_json_from_a_file() {
    let tenant = Tenant::start();
    let host = Host::configured(&binary(), &tenant);
    let token = tenant.refresh_token();
    let shapes = [
        format!("{token}\n"),
        format!("\u{feff}{{\"refresh_token\": \"{token}\", \"token_type\": \"Bearer\"}}"),
    ];
    for shape in shapes {
        host.write("etc/client-secret", shape);
        let file = host.path("etc/client-secret");
        let ran = host.run(
            "sendmail365",
            ["login", "--import", file.to_str().unwrap()],
            "",
        );
        ran.exits(0);
        assert!(ran.stdout.contains("alerts@contoso.test"), "{ran:#?}");
        host.sendmail(["-t", "-i"], MESSAGE).exits(0).silently();
    }
}

/// The message it proposes reaches the server with the configuration that was signed in.
#[test]
fn the_next_step_after_a_sign_in_works_as_it_is_printed() {
    let tenant = Tenant::start();
    let host = Host::configured(&binary(), &tenant);
    let token = tenant.refresh_token();
    let ran = host.run("sendmail365", ["login", "--import", "-"], token);
    let next = ran.exits(0).stdout.rsplit_once("next: ").unwrap().1;
    assert!(next.starts_with("sendmail365 test -C "), "{next}");
    let path = format!("{}:/usr/bin:/bin", host.path("usr/sbin").display());
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", next]).env_clear().env("PATH", path);
    Ran::of(&mut shell).exits(0);
    assert_eq!(tenant.received().len(), 1);
}

/// A cron job that pipes its output in may take hours: what was a good token at the start is none.
#[test]
fn a_token_that_ends_while_the_message_is_read_is_renewed_before_it_is_shown() {
    // Renewed when less than 300 seconds are left.
    let tenant = Tenant::with(Setup {
        token_lifetime: Some(302),
        ..Setup::default()
    });
    let host = Host::with(&binary(), &tenant);
    let mut command = host.command("sendmail", ["-t", "-i"]);
    let mut child = command.stdin(std::process::Stdio::piped()).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(2500));
    let mut pipe = child.stdin.take().unwrap();
    std::io::Write::write_all(&mut pipe, MESSAGE.as_bytes()).unwrap();
    drop(pipe);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(
        tenant.token_requests().len(),
        2,
        "the sign-in and a refresh"
    );
}

/// The first directory is the one that an administrator knows of.
#[test]
fn a_sign_in_that_cannot_be_stored_names_every_directory() {
    let tenant = Tenant::start();
    let mut host = Host::configured(&binary(), &tenant);
    host.write("var/file", "");
    for key in ["tokens", "state"] {
        let path = host.path("var/file").join(key);
        host.set("paths", key, &format!("{path:?}"));
    }
    let token = tenant.refresh_token();
    let ran = host.run("sendmail365", ["login", "--import", "-"], token.as_bytes());
    ran.exits(73);
    let lines: Vec<&str> = ran.stderr.lines().collect();
    assert_eq!(lines.len(), 3, "{ran:#?}");
    assert!(lines[0].contains("the sign-in cannot be stored: "));
    assert!(lines[0].contains("/var/file/tokens: ") && lines[1].contains("/var/file/state: "));
}

#[test]
fn what_a_sign_in_cannot_make_beside_the_token_is_named_with_its_cure() {
    let tenant = Tenant::start();
    let mut host = Host::configured(&binary(), &tenant);
    host.set("queue", "enabled", "true");
    host.write("var/file", "");
    for key in ["state", "spool"] {
        let path = host.path("var/file").join(key);
        host.set("paths", key, &format!("{path:?}"));
    }
    let token = tenant.refresh_token();
    let ran = host.run("sendmail365", ["login", "--import", "-"], token.as_bytes());
    ran.exits(0);
    let lines: Vec<&str> = ran.stderr.lines().collect();
    assert_eq!(lines.len(), 2, "{ran:#?}");
    let path = |below: &str| host.path("var/file").join(below).display().to_string();
    for (line, what, path) in [
        (
            lines[0],
            "the files that all submissions share",
            path("state"),
        ),
        (lines[1], "the queue cannot be made", path("spool/tmp")),
    ] {
        let named = line.starts_with(&format!("sendmail365: {what}")) && line.contains(&path);
        assert!(named && line.contains("; "), "{line}");
    }
}
