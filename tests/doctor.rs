//! `doctor`: what is well is said, what is not fails by itself and comes with its cure, and whatever can
//! still be asked is asked. No message is ever sent.

use crate::callers::machine::Machine;
use crate::host::{Host, Ran, finish};
use crate::tenant::{
    Act, Answer, AppPermission, Door, Fault, Flaw, Leg, Setup, SmtpAuth, Stage, Tenant, keys,
};
use crate::token::expire;
use crate::{binary, is_root, needs};
use serde_json::Value;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::process::Command;

/// The findings of one run: name, result, and all of its text.
struct Findings {
    ran: Ran,
    checks: Vec<Value>,
}

impl Findings {
    fn of(ran: Ran) -> Findings {
        let whole: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{ran:#?}"));
        let checks = whole["checks"].as_array().unwrap().clone();
        let failed = checks.iter().any(|check| check["result"] == "failed");
        assert_eq!(whole["ok"].as_bool().unwrap(), !failed, "{ran:#?}");
        ran.exits(if failed { 78 } else { 0 });
        for check in &checks {
            let told = check["result"] != "failed" && check["result"] != "warn";
            assert!(told || check["fix"].is_string(), "no cure: {check}");
        }
        Findings { ran, checks }
    }

    /// The names of the checks with this result, each once.
    fn with(&self, result: &str) -> Vec<&str> {
        let checks = self.checks.iter().filter(|check| check["result"] == result);
        let mut names: Vec<&str> = checks
            .map(|check| check["name"].as_str().unwrap())
            .collect();
        names.dedup();
        names
    }

    /// Expects a finding that holds these texts.
    #[track_caller]
    fn finds(&self, name: &str, result: &str, parts: &[&str]) -> &Findings {
        let mut found = self
            .checks
            .iter()
            .filter(|check| check["name"] == name && check["result"] == result);
        let fits = found.any(|check| {
            let text = ["what", "why", "fix"].map(|key| check[key].as_str().unwrap_or_default());
            let text = text.join("\n");
            parts.iter().all(|part| text.contains(part))
        });
        assert!(
            fits,
            "no {result} {name} with {parts:?} in {:#?}",
            self.checks
        );
        self
    }

    /// Expects these checks to fail and no other.
    #[track_caller]
    fn fails_only(&self, names: &[&str]) -> &Findings {
        assert_eq!(self.with("failed"), names, "{:#?}", self.checks);
        self
    }

    /// Expects that nothing was skipped.
    #[track_caller]
    fn skips(&self, names: &[&str]) -> &Findings {
        assert_eq!(self.with("skipped"), names, "{:#?}", self.checks);
        self
    }
}

/// Looks at a host; whatever is found, nobody may have got a message.
#[track_caller]
fn look(host: &Host, tenant: &Tenant) -> Findings {
    let findings = Findings::of(host.run("sendmail365", ["doctor", "--json"], ""));
    assert_eq!(tenant.received().len(), 0);
    assert_eq!(tenant.leak_in(findings.ran.stdout.as_bytes()), None);
    findings
}

fn signed_in() -> (Tenant, Host) {
    let tenant = Tenant::start();
    let host = Host::with(&binary(), &tenant);
    host.run(
        "sendmail365",
        ["login", "--import", "-"],
        tenant.refresh_token(),
    )
    .exits(0);
    host.write("etc/aliases", "root: ops@example.com\n");
    (tenant, host)
}

/// A host whose application signs in for itself.
fn application(setup: Setup) -> (Tenant, Host) {
    let tenant = Tenant::with(setup);
    let mut host = Host::configured(&binary(), &tenant);
    let secret = host.path("etc/client-secret");
    fs::write(&secret, tenant.client_secret()).unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    host.set("account", "grant", "\"client-secret\"");
    host.set("account", "client_secret_file", &format!("{secret:?}"));
    host.run("sendmail365", ["login"], "").exits(0);
    (tenant, host)
}

#[test]
fn a_host_that_is_well_passes_every_check_and_sends_nothing() {
    let (tenant, host) = signed_in();
    let before = tenant.connections().len();
    let findings = look(&host, &tenant);
    findings.fails_only(&[]).skips(&[]);
    for (name, parts) in [
        ("configuration", &["etc/config.toml", "delegated"][..]),
        ("files", &["have the owner and mode"]),
        ("clock", &["localhost"]),
        ("tenant", &["issuer https://localhost"]),
        ("names", &["localhost is", "127.0.0.1"]),
        ("tcp", &["can be reached"]),
        ("tls", &["TLS 1.3", "issued by"]),
        ("token", &["cached", "by import"]),
        (
            "claims",
            &[
                "https://outlook.office.com",
                "SMTP.Send",
                tenant.tenant_id(),
            ],
        ),
        ("server", &["XOAUTH2", "SIZE 150 MiB"]),
        ("auth", &["signed in as alerts@contoso.test"]),
        ("sender", &["alerts@contoso.test may send"]),
        ("queue", &["switched off"]),
        ("hold", &["nothing keeps"]),
        ("aliases", &["ops@example.com"]),
    ] {
        findings.finds(name, "ok", parts);
    }
    let said = tenant.dialogue();
    assert!(said.contains("RSET") && !said.contains("DATA"), "{said}");
    assert!(!said.contains("RCPT"), "{said}");
    assert_eq!(tenant.connections().len(), before + 1, "one is enough");
}

/// The lines for people and the object for programs tell the same.
#[test]
fn the_lines_say_what_the_object_says() {
    let (tenant, host) = signed_in();
    tenant.mailbox_switch(SmtpAuth::DisabledForTenant);
    let findings = look(&host, &tenant);
    let ran = host.run("sendmail365", ["doctor"], "");
    ran.exits(78).says("failed: auth");
    assert_eq!(ran.stderr.lines().count(), 2, "{ran:#?}");
    let marks: Vec<(&str, &str)> = ran
        .stdout
        .lines()
        .filter(|line| !line.starts_with("         do: "))
        .map(|line| line.split_once(':').unwrap().0.split_once(' ').unwrap())
        .map(|(mark, name)| (mark, name.trim_start()))
        .collect();
    let wanted: Vec<(&str, &str)> = findings
        .checks
        .iter()
        .map(|check| {
            let mark = match check["result"].as_str().unwrap() {
                "failed" => "FAILED",
                "skipped" => "-",
                word => word,
            };
            (mark, check["name"].as_str().unwrap())
        })
        .collect();
    assert_eq!(marks, wanted);
    assert!(
        !ran.stdout.contains('\u{1b}'),
        "coloured without a terminal"
    );
    assert!(
        ran.stdout
            .contains("\n         do: PowerShell: Set-CASMailbox -Identity")
    );
}

#[test]
fn settings_that_cannot_be_read_are_told_and_what_does_not_need_them_is_asked() {
    let (tenant, host) = signed_in();
    host.write("etc/config.toml", "[account]\nmailbx = 1\n");
    let findings = look(&host, &tenant);
    findings
        .fails_only(&["configuration"])
        .finds("configuration", "failed", &["config.toml:2", "mailbox"])
        .finds("token", "skipped", &["skipped: needs configuration"]);
    assert!(findings.checks.iter().any(|check| check["name"] == "links"));
    fs::remove_file(host.path("etc/config.toml")).unwrap();
    look(&host, &tenant).finds("configuration", "failed", &["sendmail365.conf(5)"]);
}

#[test]
fn a_warning_of_the_settings_is_no_failure() {
    let (tenant, host) = application(Setup::default());
    let secret = host.path("etc/client-secret");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o644)).unwrap();
    look(&host, &tenant)
        .fails_only(&[])
        .finds("configuration", "warn", &["chmod o-r"]);
}

#[test]
fn each_wrong_mode_and_owner_is_named_with_its_command() {
    let (tenant, host) = signed_in();
    for (below, bad, parts) in [
        (
            "etc/tokens/token.0",
            0o664,
            &["has mode 0664", "chmod 0660 "][..],
        ),
        (
            "var/state/breaker",
            0o666,
            &["has mode 0666", "chmod 0660 "],
        ),
        ("var/state", 0o777, &["others can change it", "chmod go-w "]),
    ] {
        let path = host.path(below);
        let good = fs::metadata(&path).unwrap().permissions();
        fs::set_permissions(&path, fs::Permissions::from_mode(bad)).unwrap();
        let shown = path.display().to_string();
        look(&host, &tenant)
            .fails_only(&["files"])
            .finds("files", "failed", parts)
            .finds("files", "failed", &[&shown])
            .finds("sender", "ok", &[]);
        fs::set_permissions(&path, good).unwrap();
    }
    fs::remove_file(host.path("var/state/slot.0")).unwrap();
    look(&host, &tenant).finds("files", "warn", &["sendmail365 login"]);
    if is_root() {
        chown(host.path("etc/tokens/token.1"), Some(4242), None).unwrap();
        look(&host, &tenant).finds("files", "failed", &["belongs to uid 4242", "chown 0 "]);
    }
}

#[test]
fn a_clock_that_is_wrong_is_named_with_how_far() {
    let (tenant, host) = signed_in();
    for (ahead, result, parts) in [
        (30, "ok", &["behind"][..]),
        (120, "warn", &["behind that of localhost", "set-ntp"]),
        (
            900,
            "failed",
            &["14 min 5", "behind that of localhost", "set-ntp"],
        ),
        (-7_200, "failed", &["ahead of that of localhost"]),
    ] {
        // A second may pass, or several.
        let exact = ahead != 900;
        tenant.fault(Fault::Token(Answer::ClockAhead(ahead)).once());
        let findings = look(&host, &tenant);
        let parts = if exact { parts } else { &parts[1..] };
        findings.finds("clock", result, parts).skips(&[]);
        findings.finds("sender", "ok", &[]);
    }
}

#[test]
fn a_tenant_that_the_authority_does_not_know_is_told() {
    let (tenant, mut host) = signed_in();
    host.set("account", "tenant", "\"nobody.onmicrosoft.com\"");
    look(&host, &tenant).finds("tenant", "failed", &["AADSTS90002", "Overview > Tenant ID"]);
}

#[test]
fn a_name_that_is_not_there_fails_alone_and_the_other_way_is_gone() {
    let (tenant, mut host) = signed_in();
    host.set("smtp", "host", "\"smtp.x.invalid\"");
    look(&host, &tenant)
        .fails_only(&["names"])
        .skips(&["tcp", "tls", "server", "auth", "sender"])
        .finds("names", "failed", &["smtp.x.invalid", "/etc/resolv.conf"])
        .finds("tls", "ok", &["localhost"])
        .finds("claims", "ok", &[]);
}

#[test]
fn an_authority_that_is_not_there_leaves_a_cached_token_to_sign_in_with() {
    let (tenant, mut host) = signed_in();
    host.set("endpoint", "authority", "\"https://login.x.invalid\"");
    let findings = look(&host, &tenant);
    findings
        .fails_only(&["names"])
        .finds("names", "failed", &["login.x.invalid", "[endpoint]"])
        .finds("clock", "ok", &["localhost"])
        .finds("sender", "ok", &[]);
    expire(&host);
    look(&host, &tenant)
        .fails_only(&["names"])
        .finds("token", "skipped", &["needs tcp"])
        .finds("server", "ok", &[])
        .finds("auth", "skipped", &["needs token"]);
}

#[test]
fn a_port_that_nobody_listens_on_is_named() {
    let (tenant, host) = signed_in();
    tenant.fault(Fault::SubmissionDown);
    let port = format!("localhost:{}", tenant.smtp_port());
    look(&host, &tenant)
        .fails_only(&["tcp"])
        .skips(&["tls", "server", "auth", "sender"])
        .finds("tcp", "failed", &[&port, "firewall"]);
    tenant.recover();
    tenant.fault(Fault::TokenEndpointDown);
    let port = format!("localhost:{}", tenant.token_port());
    look(&host, &tenant)
        .fails_only(&["tcp"])
        .finds("tcp", "failed", &[&port, "firewall"])
        .finds("sender", "ok", &[]);
}

/// A proxy that answers every CONNECT with this line.
fn proxy(answer: &'static str, requests: usize) -> u16 {
    use std::io::{Read, Write};
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for _ in 0..requests {
            let (mut tcp, _) = listener.accept().unwrap();
            let mut octets = [0; 1024];
            let _ = tcp.read(&mut octets);
            let _ = tcp.write_all(format!("HTTP/1.1 {answer}\r\n\r\n").as_bytes());
        }
    });
    port
}

#[test]
fn a_proxy_that_refuses_or_is_not_there_is_told_for_each_way() {
    let (tenant, mut host) = signed_in();
    let port = proxy("403 Forbidden", 2);
    host.set("endpoint", "proxy", &format!("\"http://127.0.0.1:{port}\""));
    let to = format!("CONNECT to localhost:{}", tenant.smtp_port());
    look(&host, &tenant)
        .fails_only(&["proxy"])
        .finds("proxy", "failed", &["403 Forbidden", &to])
        .finds("tcp", "skipped", &["needs proxy"])
        .finds("claims", "ok", &[]);
    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = closed.local_addr().unwrap().port();
    drop(closed);
    host.set("endpoint", "proxy", &format!("\"http://127.0.0.1:{port}\""));
    look(&host, &tenant)
        .fails_only(&["proxy"])
        .finds("proxy", "failed", &["refused"]);
}

#[test]
fn an_issuer_that_is_not_trusted_is_named_on_either_way() {
    let (tenant, host) = signed_in();
    for leg in [Leg::Submission, Leg::Token] {
        tenant.fault(Fault::Certificate(leg, Flaw::UntrustedCa));
        look(&host, &tenant)
            .fails_only(&["tls"])
            .finds("tls", "failed", &["issued by", "does not trust", "ca_file"])
            .finds("tls", "ok", &["TLS 1.3"])
            .finds("clock", "ok", &["localhost"])
            .finds("tcp", "ok", &[]);
        tenant.recover();
    }
    // With a wrong clock no certificate is good; the greeting tells the time all the same.
    tenant.fault(Fault::Certificate(Leg::Token, Flaw::NotYetValid));
    look(&host, &tenant)
        .fails_only(&["tls"])
        .finds("tls", "failed", &["not valid yet", "clock"])
        .finds("clock", "ok", &["localhost"]);
}

#[test]
fn the_certificate_of_the_grant_is_told_with_its_end_and_its_thumbprint() {
    for (pem, result, parts) in [
        (keys::CERTIFICATE, "ok", &["good until", "thumbprint"][..]),
        (
            keys::CERTIFICATE_EXPIRED,
            "failed",
            &["expired on", "Certificates & secrets", "thumbprint"],
        ),
    ] {
        let tenant = Tenant::start();
        let mut host = Host::configured(&binary(), &tenant);
        for (name, text) in [("certificate.pem", pem), ("key.pem", keys::KEY)] {
            let path = host.path("etc").join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        }
        host.set("account", "grant", "\"certificate\"");
        for (key, name) in [
            ("certificate_file", "certificate"),
            ("private_key_file", "key"),
        ] {
            let path = host.path(&format!("etc/{name}.pem"));
            host.set("account", key, &format!("{path:?}"));
        }
        let findings = look(&host, &tenant);
        findings
            .finds("certificate", result, parts)
            .finds("server", "ok", &[]);
    }
}

#[test]
fn nobody_signed_in_is_a_failure_of_the_token_alone() {
    let tenant = Tenant::start();
    let host = Host::configured(&binary(), &tenant);
    look(&host, &tenant)
        .fails_only(&["token"])
        .skips(&["claims", "auth", "sender"])
        .finds(
            "token",
            "failed",
            &["nobody has signed in", "sendmail365 login"],
        )
        .finds("server", "ok", &["XOAUTH2"]);
}

#[test]
fn a_token_for_another_service_or_person_fails_by_its_claims() {
    let (tenant, host) = signed_in();
    for (answer, parts) in [
        (
            Answer::GraphAudience,
            &["Microsoft Graph", "the scope must be"][..],
        ),
        (
            Answer::WrongUser,
            &["admin@contoso.test", "sendmail365 login"],
        ),
        (Answer::WrongTenant, &["tenant"]),
        (
            Answer::NoPermission,
            &["lacks SMTP.Send", "API permissions"],
        ),
    ] {
        expire(&host);
        tenant.fault(Fault::On(Door::Token, answer));
        look(&host, &tenant)
            .fails_only(&["claims"])
            .skips(&["auth", "sender"])
            .finds("claims", "failed", parts);
        tenant.recover();
    }
    let findings = look(&host, &tenant);
    findings
        .fails_only(&[])
        .finds("token", "ok", &["granted just now"]);
}

#[test]
fn a_refused_refresh_is_explained_by_microsofts_number() {
    let (tenant, host) = signed_in();
    expire(&host);
    tenant.revoke_refresh_tokens();
    look(&host, &tenant)
        .fails_only(&["token"])
        .finds("token", "failed", &["AADSTS50173", "sendmail365 login"])
        .finds("server", "ok", &[]);
}

/// Whether roles are missing by mistake shows only at the server; both cures have the real ids.
#[test]
fn an_application_without_roles_is_warned_of_and_refused_where_exchange_does_not_know_it() {
    let object_id = "0b1ec700-aaaa-bbbb-cccc-00000000000d".to_owned();
    let setup = |app_permission| Setup {
        app_permission,
        object_id: object_id.clone(),
        ..Setup::default()
    };
    let (tenant, host) = application(setup(AppPermission::SendAsApp));
    let findings = look(&host, &tenant);
    findings
        .fails_only(&[])
        .finds("claims", "ok", &["roles SMTP.SendAsApp", &object_id]);
    let (tenant, host) = application(setup(AppPermission::Rbac));
    let resource = format!(
        "-Identity {} -Resource alerts@contoso.test",
        tenant.client_id()
    );
    look(&host, &tenant).fails_only(&[]).finds(
        "claims",
        "warn",
        &["App RBAC", &resource, "Grant admin consent"],
    );
    let (tenant, host) = application(setup(AppPermission::Nothing));
    let (client, id) = (tenant.client_id(), &object_id);
    let principal = format!("New-ServicePrincipal -AppId {client} -ObjectId {id}");
    let access = format!("Add-MailboxPermission -Identity alerts@contoso.test -User {id}");
    let connect = format!(
        "Connect-ExchangeOnline -Organization {}",
        tenant.tenant_id()
    );
    look(&host, &tenant)
        .fails_only(&["auth"])
        .skips(&["sender"])
        .finds(
            "auth",
            "failed",
            &["535 5.7.3", &principal, &access, &connect],
        )
        .finds("auth", "failed", &["Set-CASMailbox", "Grant admin consent"]);
}

#[test]
fn smtp_auth_that_is_switched_off_is_cured_by_one_line_for_the_mailbox() {
    let (tenant, host) = signed_in();
    for switch in [SmtpAuth::DisabledForMailbox, SmtpAuth::DisabledForTenant] {
        tenant.mailbox_switch(switch);
        let cure =
            "Set-CASMailbox -Identity alerts@contoso.test -SmtpClientAuthenticationDisabled $false";
        look(&host, &tenant)
            .fails_only(&["auth"])
            .finds("auth", "failed", &["5.7.139", cure])
            .finds("hold", "ok", &[]);
    }
}

/// As a submission does: what one refresh mends, would not have stopped mail.
#[test]
fn a_cached_token_that_the_server_refuses_is_renewed_once() {
    let (tenant, host) = signed_in();
    tenant.fault(Fault::RejectOnce535);
    look(&host, &tenant)
        .fails_only(&[])
        .finds("auth", "warn", &["second attempt"])
        .finds("sender", "ok", &[]);
}

#[test]
fn a_mailbox_that_may_not_send_is_told_at_mail_from() {
    let (tenant, host) = signed_in();
    let denied = "5.7.60 SMTP; Client does not have permissions to send as this sender";
    tenant.fault(Fault::At(Stage::Mail, Act::reply(550, denied)));
    look(&host, &tenant).fails_only(&["sender"]).finds(
        "sender",
        "failed",
        &[
            "5.7.60",
            "Add-RecipientPermission -Identity alerts@contoso.test",
            "-AccessRights SendAs",
        ],
    );
}

#[test]
fn a_server_without_tls_or_xoauth2_fails_as_the_server() {
    let (tenant, host) = signed_in();
    for (fault, part) in [
        (Fault::NoStarttls, "STARTTLS"),
        (Fault::NoXoauth2, "XOAUTH2"),
    ] {
        tenant.fault(fault);
        look(&host, &tenant)
            .fails_only(&["server"])
            .finds("server", "failed", &[part, "[smtp]"])
            .finds("auth", "skipped", &["needs server"]);
        tenant.recover();
    }
}

/// A look neither makes an outage nor ends a hold.
#[test]
fn a_hold_is_told_with_its_cure_and_stays() {
    let tenant = Tenant::start();
    let host = Host::with_queue(&binary(), &tenant);
    tenant.mailbox_switch(SmtpAuth::DisabledForTenant);
    host.sendmail(["-i", "ops@example.com"], "Subject: x\n\nhi\n")
        .exits(0);
    host.sendmail(["-qf"], "");
    tenant.mailbox_switch(SmtpAuth::Enabled);
    for _ in 0..2 {
        look(&host, &tenant)
            .finds("hold", "failed", &["on hold since", "535", "sendmail -qf"])
            .finds("queue", "ok", &["1 wait"])
            .finds("sender", "ok", &[]);
    }
    host.sendmail(["-qf"], "").exits(0);
    assert_eq!(tenant.received().len(), 1);
    tenant.forget();
    look(&host, &tenant).finds("hold", "ok", &[]);
    tenant.fault(Fault::SubmissionDown);
    look(&host, &tenant).finds("tcp", "failed", &[]);
    look(&host, &tenant).finds("hold", "ok", &[]);
    host.sendmail(["-i", "ops@example.com"], "Subject: x\n\nhi\n")
        .exits(0);
    look(&host, &tenant).finds("hold", "warn", &["server down since"]);
}

/// What looks for faults must not add to the load.
#[test]
fn the_rate_of_the_host_holds_for_it_too() {
    let (tenant, mut host) = signed_in();
    host.set("limits", "per_minute", "1");
    let paced = (0..20).map(|_| look(&host, &tenant));
    let paced = paced
        .into_iter()
        .find(|found| found.with("warn").contains(&"pace"));
    let paced = paced.expect("20 looks in a minute that allows one");
    let before = tenant.connections().len();
    paced
        .fails_only(&[])
        .finds("pace", "warn", &["1 messages a minute", "in a minute"])
        .finds("auth", "skipped", &["needs pace"])
        .finds("claims", "ok", &[]);
    look(&host, &tenant);
    assert_eq!(tenant.connections().len(), before);
}

#[test]
fn a_queue_that_nothing_runs_is_a_failure_with_the_line_that_runs_it() {
    let tenant = Tenant::start();
    let host = Host::with_queue(&binary(), &tenant);
    let config = host.path("etc/config.toml").display().to_string();
    let line = format!("/usr/sbin/sendmail365 -q -C {config}");
    let findings = look(&host, &tenant);
    let result = match findings.with("warn").contains(&"timer") {
        true => "warn",
        false => "failed",
    };
    findings.finds("timer", result, &[&line]);
}

#[test]
fn a_root_without_a_reader_is_warned_of() {
    let (tenant, mut host) = signed_in();
    fs::remove_file(host.path("etc/aliases")).unwrap();
    look(&host, &tenant)
        .fails_only(&[])
        .finds("aliases", "warn", &["root", "[recipients]"]);
    host.set("recipients", "admin", "\"ops@example.com\"");
    look(&host, &tenant).finds("aliases", "ok", &["ops@example.com"]);
    host.write("etc/aliases", "root ops@example.com\n");
    look(&host, &tenant).finds("aliases", "warn", &["aliases:1"]);
}

/// Who may not look is told so, of each file, and gets the rest.
#[test]
fn a_user_without_rights_learns_what_could_not_be_looked_at() {
    if !is_root() || !needs("setpriv") {
        return;
    }
    let (tenant, host) = signed_in();
    let as_nobody = |host: &Host| {
        let inner = host.command("sendmail365", ["doctor", "--json"]);
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
        command.arg(inner.get_program()).args(inner.get_args());
        Findings::of(finish(&mut command, b""))
    };
    for below in ["etc", "etc/tokens", "var", "var/state"] {
        fs::set_permissions(host.path(below), fs::Permissions::from_mode(0o755)).unwrap();
    }
    as_nobody(&host)
        .finds("token", "failed", &["cannot be read (EACCES)"])
        .finds("tls", "ok", &[])
        .finds("server", "ok", &[]);
    fs::set_permissions(host.path("etc/tokens"), fs::Permissions::from_mode(0o700)).unwrap();
    as_nobody(&host).finds("files", "warn", &["cannot look at", "as root"]);
    fs::set_permissions(
        host.path("etc/config.toml"),
        fs::Permissions::from_mode(0o600),
    )
    .unwrap();
    as_nobody(&host).fails_only(&["configuration"]).finds(
        "configuration",
        "failed",
        &["ermission denied"],
    );
    assert_eq!(tenant.received().len(), 0);
}

/// Group and user of the account on the machines of these tests.
const ACCOUNT: u32 = 4365;

/// A user without any right.
const NOBODY: u32 = 65534;

/// Every line of the table of files, as the packages make them.
const INSTALLED: &str = "set -e
id=4365; e=/etc/sendmail365; s=/var/spool/sendmail365; v=/var/lib/sendmail365
cp /usr/sbin/sendmail365 /run/program
chown 0:$id /run/program; chmod 2755 /run/program
mount --bind /run/program /usr/sbin/sendmail365
mount -t tmpfs -o mode=0755 tmpfs /var/lib
chown 0:$id $e $e/config.toml $e/token.*; chmod 0750 $e
chmod 0640 $e/config.toml; chmod 0660 $e/token.*
install -d -o 0 -g $id -m 0750 $v $s
for n in breaker pace rounds visitors slot.0 slot.1; do install -o 0 -g $id -m 0660 /dev/null $v/$n; done
for n in tmp queue failed; do install -d -o $id -g $id -m 3770 $s/$n; done
install -o 0 -g $id -m 0660 /dev/null $s/runner.lock
";

/// A machine with the account and the links that the packages bring.
fn machine() -> Option<Machine> {
    let mut machine = Machine::with(&[])?;
    let host = &mut machine.host;
    let passwd = fs::read_to_string("/etc/passwd").unwrap();
    let line = format!("sendmail365:x:{ACCOUNT}:{ACCOUNT}::/:/usr/sbin/nologin\n");
    host.write("image/etc/passwd", passwd + &line);
    host.write(
        "image/etc/crontab",
        "* * * * * root /usr/sbin/sendmail365 -q\n",
    );
    std::os::unix::fs::symlink("../sbin/sendmail365", host.path("image/usr/bin/newaliases"))
        .unwrap();
    host.set("queue", "enabled", "true");
    host.set("paths", "state", "\"/var/lib/sendmail365\"");
    host.set("paths", "spool", "\"/var/spool/sendmail365\"");
    host.set("log", "file", "\"\"");
    host.set("endpoint", "ca_file", "\"/etc/sendmail365/ca.pem\"");
    Some(machine)
}

/// Sets the machine up, spoils it with a line of shell, and looks.
fn spoilt(machine: &Machine, line: &str) -> Findings {
    let ran = machine.shell(&format!("{INSTALLED}{line}\nsendmail365 doctor --json"));
    assert_eq!(machine.tenant.received().len(), 0);
    Findings::of(ran)
}

#[test]
fn an_installed_host_is_well_and_every_line_of_its_files_is_judged() {
    let Some(machine) = machine() else {
        return;
    };
    let findings = spoilt(&machine, "");
    findings.fails_only(&[]).skips(&[]);
    for name in [
        "files", "queue", "space", "hold", "links", "aliases", "sender",
    ] {
        findings.finds(name, "ok", &[]);
    }
    findings.finds("timer", "ok", &["/etc/crontab"]);
    for (line, parts) in [
        (
            "chmod 0755 /usr/sbin/sendmail365",
            &[
                "/usr/sbin/sendmail365",
                "has mode 0755, not 2755",
                "chmod 2755 /usr",
            ][..],
        ),
        (
            "chown 0:0 /usr/sbin/sendmail365",
            &[
                "has group 0",
                "chown root:sendmail365 /usr/sbin/sendmail365 && chmod 2755",
            ],
        ),
        (
            "chmod 0755 /etc/sendmail365",
            &["chmod 0750 /etc/sendmail365"],
        ),
        (
            "chmod 0644 $e/config.toml",
            &["chmod 0640 /etc/sendmail365/config.toml"],
        ),
        (
            "chmod 0600 $e/token.0",
            &["chmod 0660 /etc/sendmail365/token.0"],
        ),
        (
            "rm $e/token.lock",
            &["token.lock", "does not exist", "sendmail365 login"],
        ),
        (
            "chgrp 0 $v/breaker",
            &["has group 0", "chown root:sendmail365 /var/lib"],
        ),
        ("chmod 0755 $v", &["chmod 0750 /var/lib/sendmail365"]),
        ("chmod 0755 $s", &["chmod 0750 /var/spool/sendmail365"]),
        (
            "chown 0 $s/queue",
            &["chown sendmail365:sendmail365 /var/spool/sendmail365/queue && chmod 3770"],
        ),
        (
            "chmod 2770 $s/failed",
            &["chmod 3770 /var/spool/sendmail365/failed"],
        ),
        (
            "rmdir $s/tmp",
            &["install -d -o sendmail365", "/var/spool/sendmail365/tmp"],
        ),
        (
            "rm $s/runner.lock",
            &["/dev/null /var/spool/sendmail365/runner.lock"],
        ),
    ] {
        let findings = spoilt(&machine, line);
        findings.finds("files", "failed", parts);
        findings.finds("sender", "ok", &[]);
        assert_eq!(findings.with("failed")[0], "files", "{line}");
    }
}

/// By the group that the program is installed with, as for a message; a process that cannot have it is
/// told why.
#[test]
fn an_ordinary_user_of_an_installed_host_may_look_and_sees_no_more_than_is_his() {
    let Some(machine) = machine() else {
        return;
    };
    if !needs("setpriv") {
        return;
    }
    let look = |id: u32, options: &str| {
        let user = format!("setpriv --reuid={id} --regid={id} --clear-groups {options}");
        let line = format!("chmod 0755 /run\n{user} sendmail365 doctor --json");
        let ran = machine.shell(&format!("{INSTALLED}{line}"));
        assert_eq!(machine.tenant.leak_in(ran.stdout.as_bytes()), None);
        Findings::of(ran)
    };
    for id in [NOBODY, ACCOUNT] {
        let findings = look(id, "");
        findings.fails_only(&[]).skips(&[]);
        for name in ["files", "token", "sender", "queue"] {
            findings.finds(name, "ok", &[]);
        }
    }
    look(NOBODY, "--no-new-privs")
        .fails_only(&["configuration"])
        .finds(
            "configuration",
            "failed",
            &["may not use the settings", "as root"],
        )
        .finds("files", "warn", &["cannot look at", "more", "as root"])
        .finds("timer", "ok", &[]);
    assert_eq!(machine.tenant.received().len(), 0);
}

#[test]
fn a_host_without_account_timer_or_links_is_told_what_is_missing() {
    let Some(machine) = machine() else {
        return;
    };
    let host = &machine.host;
    host.write("image/etc/crontab", "");
    spoilt(&machine, "").fails_only(&["timer"]).finds(
        "timer",
        "failed",
        &["nothing runs the queue", "/etc/cron.d/sendmail365"],
    );
    let table = "* * * * * root /usr/sbin/sendmail365 -q\n";

    let systemctl = host.path("image/usr/bin/systemctl");
    for (says, code, crontab, (result, part)) in [
        ("active", 0, "", ("ok", "sendmail365-queue.timer is active")),
        (
            "inactive",
            3,
            "",
            ("failed", "systemctl enable --now sendmail365-queue.timer"),
        ),
        // Whoever took cron instead is served.
        ("inactive", 3, table, ("ok", "/etc/crontab")),
    ] {
        host.write("image/etc/crontab", crontab);
        let script = format!(
            "#!/bin/sh\n[ \"$*\" = 'is-active sendmail365-queue.timer' ] && echo {says}\nexit {code}\n"
        );
        fs::write(&systemctl, script).unwrap();
        fs::set_permissions(&systemctl, fs::Permissions::from_mode(0o755)).unwrap();
        spoilt(&machine, "mkdir -p /run/systemd/system").finds("timer", result, &[part]);
    }
    // What the unit may not write, it cannot run; what an administrator has added, it may.
    let units = "image/etc/systemd/system/sendmail365-queue.service";
    let added = host.path(&format!("{units}.d"));
    fs::create_dir_all(&added).unwrap();
    let open = |paths: &str| format!("[Service]\nReadWritePaths={paths}\n");
    host.write(units, open("/etc/sendmail365 -/var/lib/sendmail365"));
    spoilt(&machine, "mkdir -p /run/systemd/system").finds(
        "timer",
        "failed",
        &["may not write /var/spool/sendmail365", "systemctl edit"],
    );
    fs::write(added.join("override.conf"), open("/var/spool")).unwrap();
    spoilt(&machine, "mkdir -p /run/systemd/system").fails_only(&[]);
    fs::remove_dir_all(host.path("image/etc/systemd")).unwrap();

    // Where a profile keeps `systemctl` from being asked, the link of the timer tells.
    host.write("image/etc/crontab", "");
    fs::set_permissions(&systemctl, fs::Permissions::from_mode(0o644)).unwrap();
    let wanted = host.path("image/etc/systemd/system/timers.target.wants");
    fs::create_dir_all(&wanted).unwrap();
    std::os::unix::fs::symlink("/x", wanted.join("sendmail365-queue.timer")).unwrap();
    spoilt(&machine, "mkdir -p /run/systemd/system").finds("timer", "ok", &["is enabled"]);
    fs::remove_dir_all(wanted).unwrap();
    host.write("image/etc/crontab", table);

    // The timer of the host does not run a user's own queue.
    let own = "cp $e/config.toml ~/own.toml\nmkdir -p /run/systemd/system";
    let look_at_own = |line: &str| {
        let line = format!("{INSTALLED}{own}\n{line}\nsendmail365 doctor -C ~/own.toml --json");
        Findings::of(machine.shell(&line))
    };
    let table = "/var/spool/cron/crontabs/root";
    look_at_own(&format!("echo '#' >{table}"))
        .fails_only(&["timer"])
        .finds(
            "timer",
            "failed",
            &["not the host's", "-q -C ", "/own.toml"],
        );
    look_at_own(&format!(
        "echo \"* * * * * sendmail365 -q -C $HOME/own.toml\" >{table}"
    ))
    .fails_only(&[])
    .finds("timer", "ok", &["crontab of root"]);

    let first = host.path("image/usr/sbin/sendmail");
    fs::remove_file(&first).unwrap();
    if !fs::exists("/usr/sbin/sendmail").unwrap() {
        spoilt(&machine, "").fails_only(&["links"]).finds(
            "links",
            "failed",
            &["ln -sf sendmail365 /usr/sbin/sendmail"],
        );
    }
    std::os::unix::fs::symlink("/bin/true", &first).unwrap();
    spoilt(&machine, "").fails_only(&[]).finds(
        "links",
        "warn",
        &["/usr/sbin/sendmail leads elsewhere", "true"],
    );
    fs::remove_file(&first).unwrap();
    std::os::unix::fs::symlink("sendmail365", &first).unwrap();

    fs::create_dir_all(host.path("image/etc/php/9.9/cli")).unwrap();
    let ini = "sendmail_path = \"/usr/bin/msmtp -t\"\n";
    host.write("image/etc/php/9.9/cli/php.ini", ini);
    spoilt(&machine, "").fails_only(&[]).finds(
        "php",
        "warn",
        &["/usr/bin/msmtp -t", "/usr/sbin/sendmail -t -i"],
    );

    fs::remove_file(host.path("image/etc/passwd")).unwrap();
    let found = spoilt(&machine, "");
    found
        .fails_only(&[])
        .finds("account", "warn", &["stays root", "useradd --system"]);

    spoilt(&machine, "chmod 0644 $e/token.0; echo x >>$e/config.toml")
        .fails_only(&["configuration", "files"])
        .finds("files", "failed", &["chmod 0660 /etc/sendmail365/token.0"]);
}
