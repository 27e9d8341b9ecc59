//! `cargo run --example demo`: a message on its way from a caller to Microsoft 365, without either.
//!
//! ```text
//! cargo run --example demo                     a sample message, as PHP's mail() writes it
//! cargo run --example demo < message           that message
//! cargo run --example demo -- login            the sign-in with a code on another device, then the sample
//! cargo run --example demo -- --keep           the tenant stays up for commands by hand
//! ```
#![allow(
    clippy::disallowed_methods,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "a demonstration that shares the parts of the tests"
)]

#[path = "../host.rs"]
mod host;
#[path = "mod.rs"]
mod tenant;

use host::Host;
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;
use tenant::{Setup, SignIn, Tenant};

/// What `mail($to, $subject, $body, $headers)` of PHP 8 hands over: CRLF header, LF body.
const SAMPLE: &str = "To: ops@contoso.test\r\n\
    Subject: Disk almost full on web1\r\n\
    From: Monitoring <root@web1.example.org>\r\n\
    Bcc: audit@example.com\r\n\
    \r\n\
    /var is at 97 %.\n\
    .\n\
    A line with a lone dot is text.\n\r\n";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let asked = |wanted: &str| arguments.iter().any(|word| word == wanted);
    let (keep, by_code) = (asked("--keep"), asked("login"));
    let mut words = arguments.iter();
    if let Some(unknown) = words.find(|word| !["--keep", "login"].contains(&word.as_str())) {
        eprintln!("demo: unknown word {unknown}\ndemo: there are login and --keep");
        return ExitCode::from(64);
    }
    let Some(binary) = build() else {
        eprintln!("demo: cannot build sendmail365\ndemo: run `cargo build` and read what it says");
        return ExitCode::FAILURE;
    };
    let message = piped_in().unwrap_or_else(|| SAMPLE.as_bytes().to_vec());

    heading("A simulated Microsoft 365 tenant starts on loopback");
    let tenant = Tenant::with(Setup {
        sign_in: SignIn::Person,
        ..Setup::default()
    });
    println!("token endpoint   {}", tenant.token_url());
    println!(
        "submission       {}:{}, STARTTLS",
        tenant.smtp_host(),
        tenant.smtp_port()
    );
    println!("mailbox          {}", tenant.mailbox());

    let host = Host::configured(&binary, &tenant);
    if by_code {
        sign_in_by_code(&host, &tenant);
    } else {
        heading("The administrator signs in: sendmail365 login --import -");
        let token = tenant.refresh_token();
        let signed_in = host.run("sendmail365", ["login", "--import", "-"], token);
        print!("{}{}", signed_in.stdout, signed_in.stderr);
    }

    heading("A caller hands a message to sendmail -t -i");
    print!("{}", shown(&message));
    let ran = host.sendmail(["-t", "-i"], &message);

    heading("The dialogue, the token left out");
    print!("{}", tenant.dialogue());

    let received = tenant.received();
    for delivered in &received {
        heading("The envelope");
        println!("MAIL FROM  <{}>", delivered.sender);
        for recipient in &delivered.recipients {
            println!("RCPT TO    <{recipient}>");
        }
        heading("The message as it arrived");
        print!("{}", shown(&delivered.data));
    }

    heading("The log");
    print!("{}", host.log());
    heading("What the caller sees");
    print!("{}{}", ran.stdout, ran.stderr);
    let code = ran.status.code().unwrap_or(1);
    println!("exit status {code}");
    if keep {
        stay(&host);
    }
    // A demonstration that did not deliver has not shown what it is for.
    match (code, received.is_empty()) {
        (0, true) => ExitCode::FAILURE,
        (code, _) => ExitCode::from(u8::try_from(code).unwrap_or(1)),
    }
}

/// The administrator at his terminal, and the person with a telephone.
fn sign_in_by_code(host: &Host, tenant: &Tenant) {
    heading("The administrator signs in: sendmail365 login");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            tenant.wait_for_polls(2);
            let code = tenant.user_code(1);
            let user = tenant.user();
            println!("\n-- {user} opens the page on a telephone, types {code} and agrees");
            tenant.approve(&code);
        });
        let mut command = host.command("sendmail365", ["login"]);
        if let Err(error) = command.stdin(Stdio::null()).status() {
            eprintln!("demo: {error}");
        }
    });
}

/// Builds the program beside this one, since running an example does not.
fn build() -> Option<PathBuf> {
    let folder = std::env::current_exe().ok()?.parent()?.parent()?.to_owned();
    let cargo = std::env::var_os("CARGO").unwrap_or("cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--locked", "--bin", "sendmail365"]);
    if folder.ends_with("release") {
        command.arg("--release");
    }
    let built = command
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .ok()?
        .success();
    let binary = folder.join("sendmail365");
    (built && binary.exists()).then_some(binary)
}

fn piped_in() -> Option<Vec<u8>> {
    let mut stdin = io::stdin().lock();
    let mut message = Vec::new();
    if !stdin.is_terminal() {
        stdin.read_to_end(&mut message).ok()?;
    }
    Some(message).filter(|message| !message.is_empty())
}

fn heading(text: &str) {
    println!("\n== {text}");
}

/// A message for the eye: line ends as line ends, other control characters escaped.
fn shown(message: &[u8]) -> String {
    let text = String::from_utf8_lossy(message).replace("\r\n", "\n");
    let escaped: String = text
        .chars()
        .map(|character| match character {
            '\n' | '\t' => character.to_string(),
            other if other.is_control() => other.escape_default().to_string(),
            other => other.to_string(),
        })
        .collect();
    escaped
        .lines()
        .map(|line| format!("    {line}\n"))
        .collect()
}

fn stay(host: &Host) {
    let config = host.path("etc/config.toml");
    let program = |name: &str| host.path("usr/sbin").join(name);
    let show = |path: &Path| path.display().to_string();
    let (sendmail, config) = (show(&program("sendmail")), show(&config));
    heading("The tenant stays up. Try by hand, in another terminal");
    println!("printf 'To: you@example.com\\n\\nhello\\n' | {sendmail} -C {config} -t -i -v");
    println!("printf 'Subject: local name\\n\\nhello\\n' | {sendmail} -C {config} -i root");
    println!("{sendmail} --help");
    println!("cat {config} {}", show(&host.path("var/log")));
    match io::stdin().is_terminal() {
        true => {
            println!("\nEnter ends it.");
            let _ = io::stdin().read_line(&mut String::new());
        }
        false => {
            println!("\nIt ends after an hour, or with Ctrl-C.");
            std::thread::sleep(Duration::from_secs(3600));
        }
    }
}
