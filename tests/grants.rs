//! Every way to a token, from an empty root to a message that the server took.

use crate::binary;
use crate::host::{Host, Ran, finish};
use crate::installed::{ACCOUNT, ANN, Installed, SERVICE, own};
use crate::submission::MESSAGE;
use crate::tenant::{Answer, AppPermission, Fault, Metadata, Setup, Tenant, UserAssigned};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

fn keys(name: &str) -> String {
    format!("{}/tests/data/keys/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// A host whose application signs in by itself.
fn application(tenant: &Tenant, grant: &str) -> Host {
    let mut host = Host::configured(&binary(), tenant);
    host.set("account", "grant", &format!("{grant:?}"));
    host
}

/// Puts a file where only root can read it, and names it in the settings.
fn give(host: &mut Host, key: &str, name: &str, content: impl AsRef<[u8]>) {
    host.write(&format!("etc/{name}"), content);
    let path = host.path(&format!("etc/{name}"));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    host.set("account", key, &format!("{path:?}"));
}

/// The same, by its secret.
fn secretive(tenant: &Tenant) -> Host {
    let mut host = application(tenant, "client-secret");
    let secret = tenant.client_secret();
    give(&mut host, "client_secret_file", "client-secret", secret);
    host
}

fn certified(tenant: &Tenant, certificate: &str, key: &str) -> Host {
    let mut host = application(tenant, "certificate");
    let read = |name| fs::read(keys(name)).unwrap();
    give(&mut host, "certificate_file", "app.pem", read(certificate));
    give(&mut host, "private_key_file", "app.key", read(key));
    host
}

fn login(host: &Host) -> Ran {
    host.run("sendmail365", ["login"], "")
}

fn expire(host: &Host) {
    let path = host.path("etc/tokens");
    for name in ["token.0", "token.1"] {
        fs::write(path.join(name), "").unwrap();
    }
}

/// What is checked without the network is right once it has been tried.
fn checked(host: &Host) {
    host.sendmail(["--check"], "").exits(0).silently();
}

/// Signs in without anybody, sends, and sends again with the token that was kept.
#[track_caller]
fn delivers(host: &Host, tenant: &Tenant) {
    let ran = login(host);
    ran.exits(0);
    assert!(ran.stdout.contains("nobody has to sign in"), "{ran:#?}");
    let asked = tenant.token_requests().len() + tenant.metadata_requests().len();
    for _ in 0..2 {
        host.sendmail(["-t", "-i"], MESSAGE).exits(0).silently();
    }
    assert_eq!(tenant.received().len(), 2);
    let later = tenant.token_requests().len() + tenant.metadata_requests().len();
    assert_eq!(asked, later, "the token is kept");
    checked(host);
}

#[test]
fn a_client_secret_from_an_empty_root_to_a_delivered_message() {
    let tenant = Tenant::start();
    let host = secretive(&tenant);
    delivers(&host, &tenant);
    let form = &tenant.token_requests()[0].form;
    assert_eq!(form["grant_type"], "client_credentials");
    assert_eq!(form["scope"], "https://outlook.office365.com/.default");
    host.write("etc/client-secret", "not-the-secret");
    let ran = login(&host);
    ran.exits(75)
        .says("AADSTS7000215")
        .says("client_secret_file");
    host.sendmail(["-t", "-i"], MESSAGE).exits(0).silently();
}

/// The mark and the line ends are what an editor of Windows leaves.
#[test]
fn a_secret_from_windows_is_the_same_secret() {
    let tenant = Tenant::start();
    let host = secretive(&tenant);
    let secret = fs::read_to_string(host.path("etc/client-secret")).unwrap();
    host.write(
        "etc/client-secret",
        format!("\u{feff}{}\r\n", secret.trim()),
    );
    delivers(&host, &tenant);
}

#[test]
fn a_certificate_from_an_empty_root_to_a_delivered_message() {
    for (certificate, key) in [
        ("certificate.pem", "key.pem"),
        ("certificate.pem", "key-pkcs1.pem"),
    ] {
        let tenant = Tenant::start();
        let host = certified(&tenant, certificate, key);
        delivers(&host, &tenant);
        let form = &tenant.token_requests()[0].form;
        assert!(form["client_assertion"].len() > 500 && !form.contains_key("client_secret"));
    }
}

#[test]
fn of_a_chain_the_certificate_of_the_key_is_the_applications_own() {
    let chain = fs::read_to_string(keys("chain.pem")).unwrap();
    let tenant = || {
        Tenant::with(Setup {
            certificate: chain.clone(),
            ..Setup::default()
        })
    };
    let first = tenant();
    delivers(&certified(&first, "chain.pem", "key.pem"), &first);

    // Root first, as some authorities hand it out, and with the mark that editors of Windows leave.
    let tenant = tenant();
    let blocks = chain.split_inclusive("-----END CERTIFICATE-----\n");
    let mut blocks: Vec<&str> = blocks.collect();
    blocks.reverse();
    let host = certified(&tenant, "chain.pem", "key.pem");
    let path = host.path("etc/app.pem");
    assert!(path.exists());
    fs::write(path, format!("\u{feff}{}", blocks.concat())).unwrap();
    delivers(&host, &tenant);
}

#[test]
fn where_ps256_is_not_understood_rs256_is_tried_once() {
    let tenant = Tenant::with(Setup {
        assertion_algorithms: vec!["RS256"],
        ..Setup::default()
    });
    let host = certified(&tenant, "certificate.pem", "key.pem");
    delivers(&host, &tenant);
    let algorithms: Vec<String> = tenant
        .token_requests()
        .iter()
        .map(|request| header_of(&request.form["client_assertion"]))
        .collect();
    assert_eq!(algorithms.len(), 2);
    assert!(algorithms[0].contains("PS256") && algorithms[1].contains("RS256"));
}

fn header_of(assertion: &str) -> String {
    let header = assertion.split('.').next().unwrap();
    String::from_utf8(URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap()
}

/// Somebody else's implementation of RFC 7515 and RFC 8017 finds the signature good.
#[test]
fn an_assertion_is_accepted_by_openssl() {
    if !crate::needs("openssl") {
        return;
    }
    for (algorithms, padding) in [
        (
            vec!["PS256"],
            &[
                "-sigopt",
                "rsa_padding_mode:pss",
                "-sigopt",
                "rsa_pss_saltlen:32",
            ][..],
        ),
        (vec!["RS256"], &[]),
    ] {
        let tenant = Tenant::with(Setup {
            assertion_algorithms: algorithms,
            ..Setup::default()
        });
        let host = certified(&tenant, "certificate.pem", "key.pem");
        login(&host).exits(0);
        let assertion = tenant.token_requests().pop().unwrap().form["client_assertion"].clone();
        let (signed, signature) = assertion.rsplit_once('.').unwrap();
        host.write("signed", signed);
        host.write("signature", URL_SAFE_NO_PAD.decode(signature).unwrap());
        let path = |name| host.path(name).display().to_string();
        let public = openssl(&["x509", "-in", &keys("certificate.pem"), "-noout", "-pubkey"]);
        host.write("public", public);
        let (public, signature, signed) = (path("public"), path("signature"), path("signed"));
        let mut arguments = vec!["dgst", "-sha256", "-verify", &public];
        arguments.extend(padding);
        arguments.extend(["-signature", &signature, &signed]);
        assert_eq!(openssl(&arguments).trim(), "Verified OK");
        let der = openssl_octets(&["x509", "-in", &keys("certificate.pem"), "-outform", "der"]);
        host.write("der", der);
        let hash = openssl_octets(&["dgst", "-sha256", "-binary", &path("der")]);
        assert!(header_of(&assertion).contains(&URL_SAFE_NO_PAD.encode(hash)));
        for name in ["signed", "signature", "public", "der"] {
            fs::remove_file(host.path(name)).unwrap();
        }
    }
}

fn openssl_octets(arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("openssl").args(arguments).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    output.stdout
}

fn openssl(arguments: &[&str]) -> String {
    String::from_utf8(openssl_octets(arguments)).unwrap()
}

#[test]
fn a_key_that_cannot_sign_is_a_fault_of_the_settings_in_plain_words() {
    let tenant = Tenant::start();
    for (certificate, key, why) in [
        (
            "certificate.pem",
            "key-encrypted.pem",
            "protected by a passphrase",
        ),
        (
            "certificate.pem",
            "key-encrypted-pkcs1.pem",
            "protected by a passphrase",
        ),
        (
            "certificate-1024.pem",
            "key-1024.pem",
            "less than 2048 bits",
        ),
        ("certificate-ec.pem", "key-ec.pem", "no RSA key"),
        (
            "certificate.pem",
            "key-other.pem",
            "belongs to another certificate",
        ),
        ("certificate.pem", "certificate.pem", "holds no private key"),
        ("key.pem", "key.pem", "no block BEGIN CERTIFICATE"),
    ] {
        let host = certified(&tenant, certificate, key);
        let ran = host.sendmail(["-t", "-i"], MESSAGE);
        ran.exits(78).in_two_lines().says(why);
        host.sendmail(["--check"], "").exits(78).says(why);
    }
    // As Windows, the Azure portal and ssh-keygen write them.
    let ssh = "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n";
    for (name, content, why, cure) in [
        (
            "app.pem",
            &b"\x30\x82\x03\x00x"[..],
            "binary",
            "x509 -inform DER",
        ),
        (
            "app.key",
            b"\x30\x82\x09\x00x",
            "binary",
            "pkcs12 -nocerts -nodes",
        ),
        (
            "app.key",
            ssh.as_bytes(),
            "OpenSSH",
            "ssh-keygen -p -m PKCS8",
        ),
    ] {
        let host = certified(&tenant, "certificate.pem", "key.pem");
        host.write(&format!("etc/{name}"), content);
        let ran = host.sendmail(["--check"], "");
        ran.exits(78).in_two_lines().says(why).says(cure);
        assert!(ran.stderr.contains(&format!("etc/{name}:")), "{ran:#?}");
    }
    assert_eq!(tenant.token_requests().len(), 0);
}

#[test]
fn a_certificate_that_is_not_registered_is_explained() {
    let tenant = Tenant::start();
    let host = certified(&tenant, "certificate-other.pem", "key-other.pem");
    let ran = login(&host);
    ran.exits(75).says("AADSTS700027").in_two_lines();
    assert!(ran.stderr.contains("trace id"), "{ran:#?}");
}

fn identity(tenant: &Tenant, kind: Metadata) -> Host {
    let mut host = application(tenant, "managed-identity");
    host.set("account", "client_id", "\"\"");
    host.set("account", "tenant", "\"\"");
    let base = tenant.metadata(kind);
    let url = match kind {
        Metadata::Imds => format!("{base}/metadata/identity/oauth2/token?api-version=2018-02-01"),
        Metadata::AppService => format!("{base}/msi/token/"),
        Metadata::Arc => format!("{base}/metadata/identity/oauth2/token"),
    };
    host.set("endpoint", "token_url", &format!("{url:?}"));
    host
}

#[test]
fn a_virtual_machine_from_an_empty_root_to_a_delivered_message() {
    let tenant = Tenant::start();
    let host = identity(&tenant, Metadata::Imds);
    delivers(&host, &tenant);
    let asked = &tenant.metadata_requests()[0];
    assert_eq!(asked.fields["metadata"], "true");
    assert!(
        asked
            .target
            .ends_with("&resource=https%3A%2F%2Foutlook.office365.com")
    );
}

#[test]
fn a_user_assigned_identity_is_chosen_by_its_client_id() {
    let chosen = UserAssigned::new("mail");
    let tenant = Tenant::with(Setup {
        system_assigned: false,
        user_assigned: vec![UserAssigned::new("other"), chosen.clone()],
        ..Setup::default()
    });
    let mut host = identity(&tenant, Metadata::Imds);
    host.set("account", "client_id", &format!("{:?}", chosen.client_id));
    delivers(&host, &tenant);
}

#[test]
fn app_service_from_an_empty_root_to_a_delivered_message() {
    let tenant = Tenant::start();
    let mut host = identity(&tenant, Metadata::AppService);
    give(
        &mut host,
        "client_secret_file",
        "client-secret",
        tenant.identity_header(),
    );
    delivers(&host, &tenant);
    assert!(
        tenant.metadata_requests()[0]
            .target
            .contains("api-version=2019-08-01")
    );
}

/// The agent's files lie in one folder only, hence a root of mounts of its own.
#[test]
fn azure_arc_from_an_empty_root_to_a_delivered_message() {
    if !crate::is_root() || !crate::needs("unshare") {
        return;
    }
    let tenant = Tenant::start();
    let host = identity(&tenant, Metadata::Arc);
    let folder = "/var/opt/azcmagent/tokens";
    let run = |link: &str, content: &str, path: &str| {
        tenant.arc_content(Path::new(path), "CANARY-proof");
        let script = format!(
            "mount -t tmpfs none /var/opt && mkdir -p {folder} && {link} && shift 0 && exec \"$@\""
        );
        let plain = host.command("sendmail365", ["login"]);
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", &script, "sh"]);
        command.arg(plain.get_program()).args(plain.get_args());
        command.env("CONTENT", content);
        finish(&mut command, b"")
    };
    let key = format!("{folder}/a.key");
    let write = format!("printf %s \"$CONTENT\" > {key}");
    for (link, content, path, why) in [
        (
            write.clone(),
            "x".repeat(5000),
            key.clone(),
            "no file of the agent's",
        ),
        (
            format!("printf secret > /var/opt/x && ln -s /var/opt/x {key}"),
            String::new(),
            key.clone(),
            "a.key",
        ),
        (
            write.clone(),
            "x".to_owned(),
            "/etc/hostname".to_owned(),
            "outside the agent's folder",
        ),
        (
            write.clone(),
            "x".to_owned(),
            format!("{folder}/b.key"),
            "b.key",
        ),
    ] {
        let ran = run(&link, &content, &path);
        ran.exits(75).in_two_lines().says(why);
        assert_eq!(
            tenant.metadata_requests().last().unwrap().status,
            401,
            "nothing is sent"
        );
    }
    let ran = run(&write, "CANARY-proof", &key);
    ran.exits(0);
    host.sendmail(["-t", "-i"], MESSAGE).exits(0).silently();
    assert_eq!(tenant.received().len(), 1);
}

#[test]
fn a_service_of_the_host_is_asked_past_the_proxy_and_again_while_it_is_busy() {
    let tenant = Tenant::start();
    let mut host = identity(&tenant, Metadata::Imds);
    host.set("endpoint", "proxy", "\"http://127.0.0.1:9\"");
    tenant.fault(Fault::Metadata(Answer::Status(429)).once());
    login(&host).exits(0);
    assert_eq!(tenant.metadata_requests().len(), 2);
    host.set("endpoint", "token_url", "\"http://127.0.0.1:9/x\"");
    login(&host)
        .exits(75)
        .says("managed-identity on Azure hosts only");
}

#[test]
fn a_service_of_the_host_that_asks_for_time_gets_it() {
    let tenant = Tenant::start();
    let host = identity(&tenant, Metadata::Imds);
    tenant.fault(Fault::Metadata(Answer::Throttled(Some(40))).once());
    login(&host).exits(75).says("to be asked again in 40 s");
    assert_eq!(tenant.metadata_requests().len(), 1);
}

/// Neither a proxy, which is never asked, nor a person's sign-in is the cure here.
#[test]
fn what_a_service_of_the_host_refuses_has_a_cure_of_its_own() {
    let tenant = Tenant::with(Setup {
        system_assigned: false,
        ..Setup::default()
    });
    let host = identity(&tenant, Metadata::Imds);
    login(&host)
        .exits(75)
        .in_two_lines()
        .says("Identity not found")
        .says("managed identity in the Azure portal");
    tenant.fault(Fault::Metadata(Answer::Proxy(403)).once());
    login(&host)
        .exits(75)
        .in_two_lines()
        .says("managed-identity on Azure hosts only");
    let mut host = identity(&tenant, Metadata::AppService);
    give(&mut host, "client_secret_file", "client-secret", "wrong");
    login(&host)
        .exits(75)
        .in_two_lines()
        .says("IDENTITY_HEADER");
}

#[test]
fn a_federated_token_from_an_empty_root_to_a_delivered_message() {
    let tenant = Tenant::start();
    let mut host = application(&tenant, "federated");
    give(
        &mut host,
        "federated_token_file",
        "client-secret",
        tenant.federated_token() + "\n",
    );
    delivers(&host, &tenant);
    host.write("etc/client-secret", "two words");
    login(&host)
        .exits(75)
        .in_two_lines()
        .says("does not hold one token");
    fs::remove_file(host.path("etc/client-secret")).unwrap();
    login(&host).exits(75).says("federated_token_file");
    let ran = host.sendmail(["--check"], "");
    ran.exits(78).in_two_lines().says("federated_token_file");
    // As Kubernetes projects it: a link to a link, exchanged as a whole.
    host.write("etc/client-secret.new", tenant.federated_token());
    std::os::unix::fs::symlink(
        host.path("etc/client-secret.new"),
        host.path("etc/client-secret"),
    )
    .unwrap();
    login(&host).exits(0);
    fs::remove_file(host.path("etc/client-secret.new")).unwrap();
}

#[test]
fn a_command_from_an_empty_root_to_a_delivered_message() {
    let tenant = Tenant::start();
    let mut host = application(&tenant, "command");
    host.write("etc/client-secret", tenant.access_token());
    let path = host.path("etc/client-secret");
    host.set(
        "account",
        "token_command",
        &format!("[\"/bin/cat\", {path:?}]"),
    );
    delivers(&host, &tenant);
    host.set(
        "account",
        "token_command",
        "[\"/bin/sh\", \"-c\", \"echo go away >&2; exit 4\"]",
    );
    login(&host)
        .exits(75)
        .in_two_lines()
        .says("exit status: 4: go away");
    host.set("account", "token_command", "[\"/no/such\"]");
    login(&host)
        .exits(75)
        .in_two_lines()
        .says("cannot be started");
    let ran = host.sendmail(["--check"], "");
    ran.exits(78)
        .in_two_lines()
        .says("/no/such cannot be started");
    host.set("account", "token_command", "[\"cat\"]");
    login(&host).exits(78).says("whole path");
}

/// A child of an ordinary user's process is his to trace: he could read the token that it prints, or
/// have a false one stored for all.
#[test]
fn a_command_of_the_hosts_never_runs_as_an_ordinary_user() {
    let tenant = Tenant::start();
    let Some(mut host) = Installed::with(&tenant) else {
        return;
    };
    let ran_as = host.host.path("var/ran-as");
    let token = host.host.path("etc/client-secret");
    fs::write(&token, tenant.access_token()).unwrap();
    own(&token, 0, ACCOUNT, 0o640);
    own(&host.host.path("var"), 0, ACCOUNT, 0o775);
    let script = format!("id -u >> {}; cat {}", ran_as.display(), token.display());
    host.set("account", "grant", "\"command\"");
    host.set(
        "account",
        "token_command",
        &format!("[\"/bin/sh\", \"-c\", {script:?}]"),
    );
    let ran = host.sendmail(ANN, ["-t", "-i"], MESSAGE);
    ran.exits(0)
        .says("queued as")
        .says("account sendmail365 only");
    assert!(!ran_as.exists(), "it ran");
    host.sendmail(SERVICE, ["-qf"], "").exits(0);
    assert_eq!(tenant.received().len(), 1);
    host.sendmail(ANN, ["-t", "-i"], MESSAGE)
        .exits(0)
        .silently();
    assert_eq!(tenant.received().len(), 2, "the token is kept for all");
    let ran_as = fs::read_to_string(&ran_as).unwrap();
    assert_eq!(ran_as, format!("{ACCOUNT}\n"));
}

/// T01, T03 and T08 for a grant that needs nobody: what is lost is fetched again.
#[test]
fn an_application_needs_no_stored_token() {
    let tenant = Tenant::start();
    let host = secretive(&tenant);
    host.sendmail(["-t", "-i"], MESSAGE).exits(0).silently();
    assert!(host.log().contains("event=lock-missing"), "{}", host.log());
    login(&host).exits(0);
    for content in ["", "v1 1 0000 torn"] {
        tenant.forget();
        expire(&host);
        for name in ["token.0", "token.1"] {
            host.write(&format!("etc/tokens/{name}"), content);
        }
        for _ in 0..2 {
            host.sendmail(["-t", "-i"], MESSAGE).exits(0).silently();
        }
        assert_eq!(tenant.token_requests().len(), 1, "{content:?}");
    }
}

/// A person's sign-in is not used for an application, nor the other way round.
#[test]
fn another_grant_does_not_use_what_is_stored_for_the_first() {
    let tenant = Tenant::start();
    let mut host = Host::with(&binary(), &tenant);
    host.set("account", "grant", "\"client-secret\"");
    give(
        &mut host,
        "client_secret_file",
        "client-secret",
        tenant.client_secret(),
    );
    tenant.forget();
    host.sendmail(["-t", "-i"], MESSAGE).exits(0).silently();
    assert_eq!(tenant.token_requests().len(), 1);
    login(&host).exits(0);
    host.set("account", "grant", "\"delegated\"");
    host.sendmail(["-t", "-i"], MESSAGE)
        .exits(75)
        .says("run `sendmail365 login`");
}

#[test]
fn what_microsoft_lets_an_application_lack_shows_at_the_server_with_its_cure() {
    for (setup, part) in [
        (
            Setup {
                app_permission: AppPermission::Nothing,
                ..Setup::default()
            },
            "5.7.3",
        ),
        (
            Setup {
                service_principal: false,
                ..Setup::default()
            },
            "5.7.3",
        ),
        (
            Setup {
                mailbox_permission: false,
                ..Setup::default()
            },
            "Add-MailboxPermission",
        ),
    ] {
        let tenant = Tenant::with(setup);
        let host = secretive(&tenant);
        host.sendmail(["-t", "-i"], MESSAGE).exits(75).says(part);
    }
    let tenant = Tenant::with(Setup {
        app_permission: AppPermission::Rbac,
        ..Setup::default()
    });
    let host = secretive(&tenant);
    delivers(&host, &tenant);
}

#[test]
fn nobody_is_asked_to_sign_in_where_nobody_has_to() {
    let tenant = Tenant::start();
    let host = secretive(&tenant);
    for way in [&["--browser"][..], &["--paste"], &["--import", "-"]] {
        let arguments = ["login"].iter().chain(way);
        let ran = host.run("sendmail365", arguments, "");
        ran.exits(64).says("nobody has to sign in");
    }
}
