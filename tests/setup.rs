//! `setup`: settings written from flags or answers, and what it tells the tenant's administrator to do.

use crate::binary;
use crate::callers::machine::Machine;
use crate::host::{Host, Ran, finish};
use crate::tenant::{Fault, Setup, SignIn, Tenant};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

const CLIENT: &str = "11111111-2222-3333-4444-555555555555";
const TENANT: &str = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee";

/// Types answers into a terminal, each when its question is there.
const TYPIST: &str = r"
import json, os, pty, signal, sys
answers, command = json.loads(sys.argv[1]), sys.argv[2:]
signal.alarm(60)
child, terminal = pty.fork()
if child == 0:
    os.execv(command[0], command)
seen, at = b'', 0
while True:
    while answers and answers[0][0].encode() in seen[at:]:
        question, answer = answers.pop(0)
        at += seen[at:].index(question.encode()) + len(question.encode())
        os.write(terminal, answer.encode() + b'\n')
    try:
        part = os.read(terminal, 4096)
    except OSError:
        break
    if not part:
        break
    seen += part
sys.stdout.buffer.write(seen)
if answers:
    sys.stderr.write('never asked: %r' % (answers,))
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
";

fn setup(host: &Host, options: &[&str]) -> Ran {
    let words = ["setup"].into_iter().chain(options.iter().copied());
    host.run("sendmail365", words, "")
}

fn typed(host: &Host, options: &[&str], answers: &[(&str, &str)]) -> Ran {
    let words = ["setup"].into_iter().chain(options.iter().copied());
    let called = host.command("sendmail365", words);
    let mut command = Command::new("python3");
    let answers = serde_json::to_string(answers).unwrap();
    command.args(["-c", TYPIST, &answers]);
    command.arg(called.get_program()).args(called.get_args());
    finish(&mut command, b"")
}

/// A host with a tenant that nobody has told it the account of.
fn unnamed(tenant: &Tenant) -> Host {
    let host = Host::configured(&binary(), tenant);
    let text = fs::read_to_string(host.path("etc/config.toml")).unwrap();
    let (_, rest) = text.split_once("[endpoint]").unwrap();
    host.write(
        "etc/config.toml",
        format!(
            "# ours\n[endpoint] # as the network wants it\n{}",
            rest.trim_start()
        ),
    );
    host
}

fn config(host: &Host) -> String {
    fs::read_to_string(host.path("etc/config.toml")).unwrap()
}

fn mode(host: &Host, below: &str) -> u32 {
    fs::metadata(host.path(below)).unwrap().mode() & 0o7777
}

#[test]
fn from_flags_to_a_delivered_message() {
    let tenant = Tenant::with(Setup {
        sign_in: SignIn::After(1),
        ..Setup::default()
    });
    let host = unnamed(&tenant);
    let before = config(&host);
    let options = [
        "--mailbox",
        tenant.mailbox(),
        "--tenant",
        "contoso.test",
        "--client-id",
        tenant.client_id(),
        "--admin=ops@contoso.test",
    ];
    let ran = setup(&host, &options);
    ran.exits(0);
    let received = tenant.received();
    assert_eq!(received.len(), 1, "{ran:#?}");
    assert_eq!(received[0].recipients, ["ops@contoso.test"]);
    for part in [
        &format!("contoso.test is the tenant {}", tenant.tenant_id()),
        &format!("  + account.tenant = \"{}\"", tenant.tenant_id()),
        "  + recipients.admin = \"ops@contoso.test\"",
        "signed in as ",
        "Message-ID:",
    ] {
        assert!(ran.stdout.contains(part), "{part} in {ran:#?}");
    }
    // All that was there is there, to the letter and in its order.
    let after = config(&host);
    let mut lines = after.lines();
    for line in before.lines() {
        assert!(lines.any(|other| other == line), "{line} in {after}");
    }

    let again = setup(&host, &[&options[..], &["--no-login"]].concat());
    assert!(
        again.exits(0).stdout.contains("config.toml: no change"),
        "{again:#?}"
    );
    assert_eq!(config(&host), after);
    let nothing = setup(&host, &["--no-login"]);
    assert!(
        nothing.exits(0).stdout.contains("no change"),
        "{nothing:#?}"
    );

    // A change is shown as one, and touches no other line.
    let ran = setup(&host, &["--admin", "root@contoso.test", "--no-login"]);
    let shown = "  - recipients.admin = \"ops@contoso.test\"\n  + recipients.admin = \"root@contoso.test\"\n";
    assert!(ran.exits(0).stdout.contains(shown), "{ran:#?}");
    assert_eq!(
        config(&host),
        after.replace("ops@contoso.test", "root@contoso.test")
    );
}

#[test]
fn without_a_terminal_one_error_names_every_flag_that_is_missing() {
    let host = Host::bare(&binary());
    for (options, missing) in [
        (&[][..], "--mailbox, --tenant, --client-id;"),
        (&["--mailbox=a@x.test"], "--tenant, --client-id;"),
        (
            &["--mailbox=a@x.test", "--grant=certificate"],
            "--tenant, --client-id, --certificate-file, --private-key-file;",
        ),
        (&["--grant=managed-identity"], "--mailbox;"),
        (
            &["--mailbox=a@x.test", "--grant=command"],
            "token_command under [account]",
        ),
    ] {
        let ran = setup(&host, options);
        ran.exits(64).in_two_lines().says(missing);
        assert!(!host.path("etc/config.toml").exists());
    }
    for (options, says) in [
        (&["--mailbox=@"][..], "the value of --mailbox is wrong"),
        (&["--grant=password"], "the value of --grant is wrong"),
        (&["--cloud=gcc"], "not one of global"),
        (&["--smtp-host=a b"], "--smtp-host"),
        (&["--nothing"], "unknown option"),
        (&["x"], "wrong words after setup"),
    ] {
        setup(&host, options).exits(64).in_two_lines().says(says);
    }
    // A setting that the grant has no use for is not written either.
    let ran = setup(
        &host,
        &[
            "--mailbox=a@x.test",
            "--tenant",
            TENANT,
            "--client-id",
            CLIENT,
            "--certificate-file=/c",
        ],
    );
    ran.exits(78).in_two_lines().says("has no use for it");
    assert!(!host.path("etc/config.toml").exists());
}

fn named(host: &Host, more: &[&str]) -> Ran {
    let options = [
        "--mailbox=alerts@contoso.com",
        "--tenant",
        TENANT,
        "--client-id",
        CLIENT,
        "--no-login",
    ];
    setup(host, &[&options[..], more].concat())
}

#[test]
fn a_new_file_is_the_shipped_one_and_its_users_alone() {
    let host = Host::bare(&binary());
    named(&host, &[]).exits(0);
    let shipped = include_str!("../packaging/config.toml");
    let wanted = shipped
        .replace("#mailbox = \"\"", "mailbox = \"alerts@contoso.com\"")
        .replace("#tenant = \"\"", &format!("tenant = \"{TENANT}\""))
        .replace("#client_id = \"\"", &format!("client_id = \"{CLIENT}\""));
    assert_eq!(config(&host), wanted);
    assert_eq!(mode(&host, "etc/config.toml"), 0o600);
    let left: Vec<_> = fs::read_dir(host.path("etc")).unwrap().collect();
    assert_eq!(left.len(), 2, "{left:?}");

    // A file that a group may read stays so; nobody may read more than before.
    fs::set_permissions(
        host.path("etc/config.toml"),
        fs::Permissions::from_mode(0o644),
    )
    .unwrap();
    named(&host, &["--admin=ops@contoso.com"]).exits(0);
    assert_eq!(mode(&host, "etc/config.toml"), 0o640);

    // A link leads to the file that is changed.
    fs::rename(host.path("etc/config.toml"), host.path("home/kept.toml")).unwrap();
    symlink(host.path("home/kept.toml"), host.path("etc/config.toml")).unwrap();
    named(&host, &["--admin=root@contoso.com"]).exits(0);
    assert!(host.path("etc/config.toml").is_symlink());
    assert!(config(&host).contains("root@contoso.com"));
}

#[test]
fn a_file_that_cannot_be_read_is_not_touched() {
    let host = Host::bare(&binary());
    for (text, says) in [
        (&b"[account]\nmailbix = \"a\"\n"[..], "config.toml:2"),
        (b"[account\n", "config.toml:1"),
        (b"# \xff\n", "not UTF-8"),
    ] {
        host.write("etc/config.toml", text);
        named(&host, &[])
            .exits(78)
            .in_two_lines()
            .says(says)
            .says("not touched");
        assert_eq!(fs::read(host.path("etc/config.toml")).unwrap(), text);
    }
    // Nor one that can be read, and not changed by itself.
    let text = "account = { user = 'a@x.test' }\n";
    host.write("etc/config.toml", text);
    named(&host, &[])
        .exits(78)
        .in_two_lines()
        .says("set it by hand");
    assert_eq!(config(&host), text);
    fs::remove_file(host.path("etc/config.toml")).unwrap();
    fs::create_dir(host.path("etc/config.toml")).unwrap();
    let ran = named(&host, &[]);
    ran.in_two_lines()
        .says("not a regular file")
        .says("move away what is there");
}

#[test]
fn another_grant_takes_the_files_of_the_old_one_out() {
    let host = Host::bare(&binary());
    let secret = [
        "--grant=client-secret",
        "--client-secret-file=/etc/x/secret",
    ];
    named(&host, &secret).exits(0);
    let certificate = [
        "--grant=certificate",
        "--certificate-file=/etc/x/c.pem",
        "--private-key-file=/etc/x/k.pem",
    ];
    let ran = named(&host, &certificate);
    let out = "  - account.client_secret_file = \"/etc/x/secret\"\n";
    assert!(ran.exits(0).stdout.contains(out), "{ran:#?}");
    assert!(config(&host).contains("\nclient_secret_file = \"\"\n"));
    assert!(
        named(&host, &certificate)
            .exits(0)
            .stdout
            .contains("no change")
    );
}

#[test]
fn a_tenant_that_nobody_can_be_asked_for_stays_as_it_was_given() {
    let tenant = Tenant::start();
    let host = unnamed(&tenant);
    let options = [
        "--mailbox=a@x.test",
        "--tenant=unknown.test",
        "--client-id=1",
        "--no-login",
    ];
    let ran = setup(&host, &options);
    assert!(
        ran.exits(0).stdout.contains("unknown.test stays as it is"),
        "{ran:#?}"
    );
    assert!(config(&host).contains("tenant = \"unknown.test\""));
    tenant.fault(Fault::TokenEndpointDown);
    let ran = setup(&host, &["--tenant=contoso.test", "--no-login"]);
    assert!(
        ran.exits(0).stdout.contains("contoso.test stays as it is"),
        "{ran:#?}"
    );
    assert!(config(&host).contains("tenant = \"contoso.test\""));
}

#[test]
fn an_address_is_written_without_its_name() {
    let host = Host::bare(&binary());
    let options = [
        "--mailbox=Alerts <a@x.test> ",
        "--tenant=t",
        "--client-id=1",
        "--no-login",
    ];
    let ran = setup(&host, &options);
    let line = "Set-CASMailbox -Identity 'a@x.test' ";
    assert!(ran.exits(0).stdout.contains(line), "{ran:#?}");
    assert!(config(&host).contains("\nmailbox = \"a@x.test\"\n"));
}

/// With a domain in its place nothing could tell a sign-in to another tenant any more.
#[test]
fn an_id_that_was_found_out_once_outlasts_a_run_without_the_network() {
    let tenant = Tenant::start();
    let host = unnamed(&tenant);
    let options = [
        "--mailbox=a@x.test",
        "--tenant=contoso.test",
        "--client-id=1",
        "--no-login",
    ];
    setup(&host, &options).exits(0);
    let before = config(&host);
    assert!(before.contains(tenant.tenant_id()));
    tenant.fault(Fault::TokenEndpointDown);
    let ran = setup(&host, &options);
    assert!(
        ran.exits(0).stdout.contains("contoso.test is not written"),
        "{ran:#?}"
    );
    assert_eq!(config(&host), before);
    // Another application may be another tenant's.
    let other = ["--tenant=contoso.test", "--client-id=2", "--no-login"];
    setup(&host, &other).exits(0);
    assert!(config(&host).contains("tenant = \"contoso.test\""));
}

/// The blocks of lines to copy.
fn blocks(text: &str) -> Vec<Vec<&str>> {
    let (_, text) = text.split_once("In the tenant:\n").unwrap();
    let mut blocks: Vec<Vec<&str>> = vec![Vec::new()];
    for line in text.lines() {
        match line.strip_prefix("        ") {
            Some(line) => blocks.last_mut().unwrap().push(line),
            None => blocks.push(Vec::new()),
        }
    }
    blocks.retain(|block| !block.is_empty());
    blocks
}

fn lines(block: &str) -> Vec<&str> {
    block.trim().lines().map(str::trim).collect()
}

#[track_caller]
fn shows(ran: &Ran, wanted: &[&str]) {
    let wanted: Vec<Vec<&str>> = wanted.iter().map(|block| lines(block)).collect();
    assert_eq!(blocks(&ran.exits(0).stdout), wanted, "{}", ran.stdout);
}

#[test]
fn the_lines_for_people_who_sign_in_are_complete() {
    let host = Host::bare(&binary());
    let registration = format!(
        "az login --tenant {TENANT} --allow-no-subscriptions
        client={CLIENT}
        az ad app update --id \"$client\" --sign-in-audience AzureADMyOrg --is-fallback-public-client true --public-client-redirect-uris http://localhost https://login.microsoftonline.com/common/oauth2/nativeclient
        graph=00000003-0000-0000-c000-000000000000
        scope() {{ az ad sp show --id \"$graph\" --query \"oauth2PermissionScopes[?value=='$1'].id\" --output tsv; }}
        az ad app permission add --id \"$client\" --api \"$graph\" --api-permissions \"$(scope SMTP.Send)=Scope\" \"$(scope offline_access)=Scope\"
        az ad app permission admin-consent --id \"$client\""
    );
    let exchange = format!(
        "Connect-ExchangeOnline -Organization '{TENANT}'
        Set-CASMailbox -Identity 'alerts@contoso.com' -SmtpClientAuthenticationDisabled $false"
    );
    let ran = named(&host, &[]);
    shows(&ran, &[&registration, &exchange]);
    let words = ran.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [
        "Allow public client flows: Yes",
        "SMTP.Send and offline_access",
        "Grant admin consent",
        CLIENT,
    ] {
        assert!(words.contains(part), "{part}");
    }

    // A delegate of a shared mailbox, whose name and mailbox try to break out.
    let ran = named(
        &host,
        &[
            "--mailbox=o'neill@contoso.com",
            "--user=$(id)@contoso.com",
            "--tenant=t';id;'",
            "--cloud=gcc-high",
        ],
    );
    // No such tenant can be configured at all.
    ran.exits(64).says("--tenant");
    let ran = named(
        &host,
        &[
            "--mailbox=o'neill@contoso.com",
            "--user=j$x@contoso.com",
            "--cloud=gcc-high",
        ],
    );
    let registration = registration
        .replace(
            "az login",
            "az cloud set --name AzureUSGovernment\naz login",
        )
        .replace("microsoftonline.com", "microsoftonline.us");
    let exchange = format!(
        "Connect-ExchangeOnline -Organization '{TENANT}' -ExchangeEnvironmentName O365USGovGCCHigh
        Set-CASMailbox -Identity 'j$x@contoso.com' -SmtpClientAuthenticationDisabled $false
        Add-RecipientPermission -Identity 'o''neill@contoso.com' -Trustee 'j$x@contoso.com' -AccessRights SendAs"
    );
    shows(&ran, &[&registration, &exchange]);
    assert!(ran.stdout.contains("https://entra.microsoft.us"));

    // Personal accounts have no administrator and no Exchange of their own.
    let ran = named(
        &host,
        &[
            "--tenant=consumers",
            "--cloud=global",
            "--user=",
            "--mailbox=me@outlook.com",
        ],
    );
    let found = blocks(&ran.exits(0).stdout).concat().join("\n");
    assert!(
        found.contains("PersonalMicrosoftAccount") && !found.contains("Connect-Exchange"),
        "{found}"
    );
}

/// What both ways of an application have in common, with its object id.
fn least(object: &str, client: &str) -> String {
    format!(
        "Connect-ExchangeOnline -Organization '{TENANT}'
        New-ServicePrincipal -AppId '{client}' -ObjectId '{object}' -DisplayName 'sendmail365'
        New-DistributionGroup -Name 'sendmail365 senders' -Type Security
        Add-DistributionGroupMember -Identity 'sendmail365 senders' -Member 'alerts@contoso.com'
        $group = Get-DistributionGroup -Identity 'sendmail365 senders'
        New-ManagementScope -Name 'sendmail365 senders' -RecipientRestrictionFilter \"MemberOfGroup -eq '$($group.DistinguishedName)'\"
        New-ManagementRoleAssignment -Name 'sendmail365' -Role 'Application SMTP.SendAsApp' -App '{client}' -CustomResourceScope 'sendmail365 senders'
        Set-CASMailbox -Identity 'alerts@contoso.com' -SmtpClientAuthenticationDisabled $false
        Test-ServicePrincipalAuthorization -Identity '{client}' -Resource 'alerts@contoso.com'"
    )
}

fn classic(object: &str, client: &str) -> String {
    format!(
        "Connect-ExchangeOnline -Organization '{TENANT}'
        $sp = New-ServicePrincipal -AppId '{client}' -ObjectId '{object}' -DisplayName 'sendmail365'
        Add-MailboxPermission -Identity 'alerts@contoso.com' -User $sp.Identity -AccessRights FullAccess
        Add-RecipientPermission -Identity 'alerts@contoso.com' -Trustee $sp.Identity -AccessRights SendAs
        Set-CASMailbox -Identity 'alerts@contoso.com' -SmtpClientAuthenticationDisabled $false"
    )
}

const OBJECT: &str = "OBJECT-ID-OF-THE-ENTERPRISE-APPLICATION";

#[test]
fn the_lines_for_an_application_are_complete_in_both_ways() {
    let host = Host::bare(&binary());
    let registration = format!(
        "az login --tenant {TENANT} --allow-no-subscriptions
        client={CLIENT}
        az ad app update --id \"$client\" --sign-in-audience AzureADMyOrg"
    );
    let permission = format!(
        "client={CLIENT}
        exchange=00000002-0000-0ff1-ce00-000000000000
        role=$(az ad sp show --id \"$exchange\" --query \"appRoles[?value=='SMTP.SendAsApp'].id\" --output tsv)
        az ad app permission add --id \"$client\" --api \"$exchange\" --api-permissions \"$role=Role\"
        az ad app permission admin-consent --id \"$client\""
    );
    let name = Command::new("hostname").output().unwrap();
    let name = String::from_utf8(name.stdout).unwrap();
    let key = "'/etc/my keys/k.pem'";
    let make = format!(
        "umask 077
        openssl req -x509 -newkey rsa:3072 -sha256 -days 730 -nodes -subj /CN={} -keyout {key} -out /etc/c.pem",
        name.trim()
    );
    let upload = format!("az ad app credential reset --id {CLIENT} --append --cert @/etc/c.pem");
    let ran = named(
        &host,
        &[
            "--grant=certificate",
            "--certificate-file=/etc/c.pem",
            "--private-key-file=/etc/my keys/k.pem",
        ],
    );
    let (least, classic) = (least(OBJECT, CLIENT), classic(OBJECT, CLIENT));
    shows(
        &ran,
        &[&registration, &make, &upload, &least, &permission, &classic],
    );
    let words = ran.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [
        "Enterprise applications > the application > Overview > Object ID",
        "The one under App registrations is another",
        "Office 365 Exchange Online > Application permissions: SMTP.SendAsApp",
        "must have no API permission",
    ] {
        assert!(words.contains(part), "{part} in {words}");
    }

    let ran = named(
        &host,
        &["--grant=client-secret", "--client-secret-file=/etc/s"],
    );
    let secret = format!(
        "umask 077
        az ad app credential reset --id {CLIENT} --append --display-name {} --query password --output tsv > /etc/s",
        name.trim()
    );
    shows(
        &ran,
        &[&registration, &secret, &least, &permission, &classic],
    );
    let ran = named(
        &host,
        &["--grant=federated", "--federated-token-file=/run/token"],
    );
    shows(&ran, &[&registration, &least, &permission, &classic]);
    assert!(ran.stdout.contains("api://AzureADTokenExchange"));
}

#[test]
fn the_lines_for_a_managed_identity_are_complete() {
    let host = Host::bare(&binary());
    let ran = setup(
        &host,
        &[
            "--grant=managed-identity",
            "--mailbox=alerts@contoso.com",
            "--tenant",
            TENANT,
            "--no-login",
        ],
    );
    let client = "APPLICATION-ID-OF-THE-IDENTITY";
    let identity = "az vm identity assign --resource-group GROUP --name MACHINE
        az ad sp list --display-name MACHINE --query \"[].{application:appId,object:id}\" --output table";
    let permission = format!(
        "exchange=00000002-0000-0ff1-ce00-000000000000
        resource=$(az ad sp show --id \"$exchange\" --query id --output tsv)
        role=$(az ad sp show --id \"$exchange\" --query \"appRoles[?value=='SMTP.SendAsApp'].id\" --output tsv)
        object={OBJECT}
        az rest --method POST --url https://graph.microsoft.com/v1.0/servicePrincipals/\"$object\"/appRoleAssignments --body \"{{\\\"principalId\\\":\\\"$object\\\",\\\"resourceId\\\":\\\"$resource\\\",\\\"appRoleId\\\":\\\"$role\\\"}}\""
    );
    shows(
        &ran,
        &[
            identity,
            &least(OBJECT, client),
            &permission,
            &classic(OBJECT, client),
        ],
    );
}

/// Nothing that is shown for a shell is anything but words to it.
#[test]
fn a_shell_can_read_every_block_for_it() {
    let host = Host::bare(&binary());
    let all = [
        named(&host, &[]),
        named(
            &host,
            &[
                "--grant=client-secret",
                "--client-secret-file=/etc/a'b $(id)",
            ],
        ),
        named(
            &host,
            &[
                "--grant=certificate",
                "--client-secret-file=",
                "--certificate-file=/c;id",
                "--private-key-file=/k`id`",
            ],
        ),
    ];
    for ran in all {
        for block in blocks(&ran.exits(0).stdout) {
            if block[0].starts_with("Connect-") {
                continue;
            }
            let mut command = Command::new("/bin/sh");
            Ran::of(command.args(["-n", "-c", &block.join("\n")]))
                .exits(0)
                .silently();
        }
    }
}

/// An application whose token is at hand is named with its real object id.
#[test]
fn a_token_at_hand_tells_the_object_id() {
    let tenant = Tenant::start();
    let mut host = Host::configured(&binary(), &tenant);
    host.write("etc/client-secret", tenant.client_secret());
    let file = host.path("etc/client-secret").display().to_string();
    host.set("account", "grant", "\"client-secret\"");
    host.set("account", "client_secret_file", &format!("{file:?}"));
    let ran = setup(&host, &["--no-test"]);
    ran.exits(0);
    let told = ran
        .stdout
        .rsplit_once("for Exchange:\n\n        New-ServicePrincipal -AppId '");
    let told = told.unwrap_or_else(|| panic!("{ran:#?}")).1;
    let object = told.split('\'').nth(2).unwrap();
    assert!(object.len() == 36, "{told}");
    let again = setup(&host, &["--no-login"]);
    let line = format!("-ObjectId '{object}'");
    assert_eq!(
        again.exits(0).stdout.matches(&line).count(),
        2,
        "{again:#?}"
    );
    assert!(!again.stdout.contains(OBJECT));
}

#[test]
fn on_a_terminal_it_asks_until_the_message_is_delivered() {
    if !crate::needs("python3") {
        return;
    }
    let tenant = Tenant::start();
    let host = unnamed(&tenant);
    let ran = typed(
        &host,
        &[],
        &[
            ("The mailbox that sends: ", "not an address"),
            ("The mailbox that sends: ", tenant.mailbox()),
            ("federated or command [delegated]: ", ""),
            ("gcc-high, dod or china [global]: ", ""),
            ("or a domain of it [contoso.test]: ", ""),
            ("The application (client) id: ", tenant.client_id()),
            ("if not the mailbox [alerts@contoso.test]: ", ""),
            ("nobody is an answer [nobody]: ", ""),
            ("Write this? [Y/n] ", ""),
            ("to be tried now? [Y/n] ", "y"),
            ("Send a test message to alerts@contoso.test? [Y/n] ", ""),
        ],
    );
    ran.exits(0);
    assert_eq!(ran.stderr, "", "{ran:#?}");
    assert_eq!(tenant.received().len(), 1, "{ran:#?}");
    let text = config(&host);
    assert!(
        text.contains(&format!("tenant = \"{}\"", tenant.tenant_id())),
        "{text}"
    );
    assert!(
        !text.contains("user") && !text.contains("admin") && !text.contains("grant"),
        "{text}"
    );
    // How the application is registered stands before the question for its id.
    let (before, _) = ran
        .stdout
        .split_once("The application (client) id: ")
        .unwrap();
    assert!(
        before.contains("client=$(az ad app create --display-name sendmail365 "),
        "{before}"
    );

    // What is there is what Enter takes, and nothing changes by it.
    let enter = [
        "sends [alerts",
        "command [",
        "china [",
        "of it [",
        "id [",
        "mailbox [",
        "nobody]",
    ];
    let mut answers: Vec<(&str, &str)> = enter.iter().map(|&question| (question, "")).collect();
    answers.push(("to be tried now? [Y/n] ", "n"));
    let again = typed(&host, &[], &answers);
    assert!(
        again.exits(0).stdout.contains("config.toml: no change"),
        "{again:#?}"
    );
    assert_eq!(config(&host), text);
}

#[test]
fn a_no_and_an_end_of_the_answers_write_nothing() {
    if !crate::needs("python3") {
        return;
    }
    let host = Host::bare(&binary());
    let options = [
        "--mailbox=a@x.test",
        "--tenant",
        TENANT,
        "--client-id",
        CLIENT,
        "--grant=delegated",
        "--cloud=global",
        "--user=",
        "--admin=",
    ];
    let ran = typed(&host, &options, &[("Write this? [Y/n] ", "no")]);
    assert!(
        ran.exits(64).stdout.contains("nothing was written"),
        "{ran:#?}"
    );
    let ran = typed(&host, &options, &[("Write this? [Y/n] ", "\u{4}")]);
    assert!(ran.exits(64).stdout.contains("the input ended"), "{ran:#?}");
    assert!(!host.path("etc/config.toml").exists());
    // Nobody is asked who does not want to be.
    let ran = typed(
        &host,
        &[&options[..], &["--yes", "--no-login"]].concat(),
        &[],
    );
    assert!(!ran.exits(0).stdout.contains("[Y/n]"), "{ran:#?}");
    assert!(host.path("etc/config.toml").exists());
}

/// The file of the host is read by the account that runs its queue, and by nobody else.
#[test]
fn the_hosts_file_belongs_to_root_and_its_account_and_a_users_to_him() {
    let Some(machine) = Machine::with(&["setpriv"]) else {
        return;
    };
    let host = &machine.host;
    let home = host.path("home/ann").display().to_string();
    for (file, lines) in [
        (
            "passwd",
            format!(
                "sendmail365:x:4365:4365::/nonexistent:/usr/sbin/nologin\nann:x:4366:4366::{home}:/bin/sh\n"
            ),
        ),
        ("group", "sendmail365:x:4365:\n".to_owned()),
    ] {
        let there = fs::read_to_string(Path::new("/etc").join(file)).unwrap();
        host.write(&format!("image/etc/{file}"), there + &lines);
    }
    fs::create_dir(&home).unwrap();
    crate::make_accessible(Path::new(&home), 4366);
    let words = format!(
        "sendmail365 setup --mailbox=a@contoso.com --tenant={TENANT} --client-id={CLIENT} --no-login"
    );
    let shown = |path: &str| format!("stat -c 'is %u:%g %a' {path}");
    // All the way: root writes the file, and the account goes to the network.
    let ran = machine
        .shell("sendmail365 setup --admin=ops@contoso.test && cat /etc/sendmail365/config.toml");
    assert!(
        ran.exits(0).stdout.contains("admin = \"ops@contoso.test\""),
        "{ran:#?}"
    );
    assert_eq!(machine.tenant.received().len(), 1, "{ran:#?}");
    assert_eq!(ran.stderr.replace('\r', "").trim(), "", "{ran:#?}");
    // Keys and secrets of the host are for its account as well.
    let files = "--certificate-file=/etc/c.pem --private-key-file=/etc/k.pem";
    let ran = machine.shell(&format!("{words} --grant=certificate {files}"));
    let made = blocks(&ran.exits(0).stdout)[1].clone();
    assert_eq!(
        made[2..],
        [
            "chgrp sendmail365 /etc/k.pem /etc/c.pem",
            "chmod 0640 /etc/k.pem /etc/c.pem"
        ]
    );
    // As a package left it, and where there is none.
    for before in ["chmod 0600 $file", "rm $file"] {
        let file = "file=/etc/sendmail365/config.toml";
        let stat = shown("$file");
        let ran = machine.shell(&format!("{file}; {before}; {words} && {stat}"));
        assert!(ran.exits(0).stdout.contains("is 0:4365 640\n"), "{ran:#?}");
    }
    let own = format!("{home}/.config/sendmail365/config.toml");
    let as_ann = format!("setpriv --reuid=4366 --regid=4366 --clear-groups {words}");
    let ran = machine.shell(&format!("{as_ann} && {}", shown(&own)));
    assert!(
        ran.exits(0).stdout.contains("is 4366:4366 600\n"),
        "{ran:#?}"
    );
    // Who has no home has nothing of his own, and the host's is not shown to him.
    let as_nobody = format!("setpriv --reuid=4242 --regid=4365 --clear-groups {words}");
    let ran = machine.shell(&as_nobody);
    ran.exits(77).in_two_lines().says("by root only");
    // Of a file of his that root changes he stays the owner.
    let ran = machine.shell(&format!(
        "{words} -C {own} --admin=b@contoso.com && {}",
        shown(&own)
    ));
    assert!(
        ran.exits(0).stdout.contains("is 4366:4366 600\n"),
        "{ran:#?}"
    );
}
