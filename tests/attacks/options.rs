//! Every option of every command, as the help lists them, with values that name what is not his, or
//! where something is to be written.

use super::{Field, PLAIN};
use std::net::TcpListener;
use std::path::PathBuf;

/// An option as the help spells it.
struct Spelled {
    /// The verb that it belongs to.
    verb: Option<String>,
    name: String,
    /// `=`, a blank, or nothing between it and its value.
    joint: Option<&'static str>,
}

impl Spelled {
    fn read(verb: Option<&str>, text: &str) -> Spelled {
        let cut = |at: usize, joint| Spelled {
            verb: verb.map(str::to_owned),
            name: text[..at].to_owned(),
            joint,
        };
        match (text.find('['), text.find('='), text.find(' ')) {
            (Some(at), ..) => cut(at, Some("")),
            (_, Some(at), _) => cut(at, Some("=")),
            (.., Some(at)) => cut(at, Some(" ")),
            _ => cut(text.len(), None),
        }
    }

    /// The words with this value, without a recipient.
    fn with(&self, value: &str) -> Vec<String> {
        let own = match self.joint {
            None => vec![self.name.clone()],
            Some(" ") => vec![self.name.clone(), value.to_owned()],
            Some(joint) => vec![format!("{}{joint}{value}", self.name)],
        };
        self.verb.iter().cloned().chain(own).collect()
    }
}

/// All options of the help, and the verbs.
fn spelled(help: &str) -> (Vec<Spelled>, Vec<String>) {
    let usage = help.lines().take_while(|line| !line.is_empty());
    let calls = usage.filter_map(|line| line.split_once("sendmail365 "));
    let verb = |(_, call): (&str, &str)| call.split(' ').next().unwrap().to_owned();
    let verbs: Vec<String> = calls
        .map(verb)
        .filter(|verb| !verb.starts_with('-'))
        .collect();
    let (mut found, mut section) = (Vec::new(), "");
    for line in help.lines() {
        match line.strip_prefix("  ") {
            None => section = line,
            Some(entry) if section.starts_with("Accepted without effect") => {
                let each = entry
                    .split(',')
                    .map(str::trim)
                    .filter(|one| !one.is_empty());
                found.extend(each.map(|one| Spelled::read(None, one)));
            }
            Some(entry) if entry.starts_with('-') && !section.starts_with("Modes") => {
                let spelling = entry.split("  ").next().unwrap();
                let verb = verbs
                    .iter()
                    .find(|verb| section.starts_with(&format!("{verb}:")));
                found.push(Spelled::read(verb.map(String::as_str), spelling));
            }
            _ => {}
        }
    }
    (found, verbs)
}

/// One shell runs them all, and says which is next: a namespace for each would take minutes.
const LOOP: &str = "while IFS= read -r -d '' count; do words=(); \
    while [ ${#words[@]} -lt $count ]; do IFS= read -r -d '' word; words+=(\"$word\"); done; \
    echo \"+ ${words[*]}\"; cd ~/out 2>/dev/null || cd \"$OUT\"; \
    printf 'To: a@example.com\\n\\nx\\n' | \"${words[@]}\" 2>&1; \
    status=$?; [ $status -lt 128 ] || echo \"DIED $status\"; done";

fn calls(field: &Field, calls: &[Vec<String>]) -> String {
    let mut stdin = Vec::new();
    for call in calls {
        for word in [&call.len().to_string()].into_iter().chain(call) {
            stdin.extend(word.bytes().filter(|&octet| octet != 0));
            stdin.push(0);
        }
    }
    let mut command = field.ann_shell(LOOP);
    command.env("OUT", field.out());
    let ran = crate::host::finish(&mut command, &stdin);
    field.told_nothing(&ran);
    assert!(ran.stdout.matches("+ ").count() >= calls.len(), "{ran:#?}");
    assert!(!ran.stdout.contains("DIED"), "{}", ran.stdout);
    ran.stdout
}

#[test]
fn no_option_reads_writes_or_redirects_what_the_caller_may_not() {
    let Some(field) = Field::new() else {
        return;
    };
    let hostile = TcpListener::bind("127.0.0.1:0").unwrap();
    hostile.set_nonblocking(true).unwrap();
    let hostile_address = format!("localhost:{}", hostile.local_addr().unwrap().port());
    let help = field
        .host
        .run(super::ANN, "sendmail365", ["--help"], "")
        .stdout;
    let (options, verbs) = spelled(&help);
    assert!(
        options.len() > 45 && verbs.len() >= 2,
        "{} {verbs:?}",
        options.len()
    );
    let out = field.out();
    let inside = |name: &str| out.join(name).to_str().unwrap().to_owned();
    let path = |path: &PathBuf| path.to_str().unwrap().to_owned();
    let treasures = field.treasures();
    let mut values = vec![
        hostile_address.clone(),
        inside("written"),
        format!("A{}", inside("aliases")),
        format!("Q{}", inside("queue")),
        format!("QueueDirectory={}", inside("spool")),
        format!("LogFile={}", inside("log")),
        format!("{hostile_address}\nBcc: x@y.test"),
        "../../../../etc/shadow".to_owned(),
    ];
    values.extend(treasures.iter().take(3).map(path));
    values.push(path(treasures.last().unwrap()));
    let sendmail = field.sendmail();
    let program = sendmail.replace("/sendmail", "/sendmail365");
    // What works the queue off comes while there is nothing of his in it.
    let mut all: Vec<Vec<String>> = Vec::new();
    for verb in &verbs {
        for rest in [
            &[][..],
            &["list"],
            &["show"],
            &["drop"],
            &["resend"],
            &["run"],
        ] {
            let words = [&program, verb].into_iter().cloned();
            let rest = rest.iter().map(|&word| word.to_owned());
            all.push(words.chain(rest).chain([field.letter.clone()]).collect());
        }
    }
    for mode in [
        "-bp", "-bpc", "-bv root", "-bi", "-bC", "-qf", "-qI1", "-bs", "--socket", "-bd",
    ] {
        let words = mode.split(' ').map(str::to_owned);
        all.push([sendmail.clone()].into_iter().chain(words).collect());
    }
    for option in &options {
        let usual: &[&str] = match option.verb {
            Some(_) => &[],
            None => &["-odq", "-i", "a@example.com"],
        };
        let values = match option.joint {
            None => &values[..1],
            Some(_) => &values[..],
        };
        for value in values {
            let first = match option.verb {
                Some(_) => &program,
                None => &sendmail,
            };
            let words = [first.clone()].into_iter().chain(option.with(value));
            all.push(
                words
                    .chain(usual.iter().map(|&word| word.to_owned()))
                    .collect(),
            );
        }
    }
    calls(&field, &all);
    assert!(hostile.accept().is_err(), "somebody else was asked");
    assert!(field.host.host.spooled("queue").contains(&field.letter));
    assert!(
        field.host.host.spooled("queue").len() > 100,
        "they were no submissions"
    );
    field.sweep();
    field.holds();
}

/// The same where the message is offered at once: only the tenant is ever connected to.
#[test]
fn no_option_sends_by_another_server() {
    let Some(field) = Field::new() else {
        return;
    };
    let hostile = TcpListener::bind("127.0.0.1:0").unwrap();
    hostile.set_nonblocking(true).unwrap();
    let address = format!("localhost:{}", hostile.local_addr().unwrap().port());
    let help = field
        .host
        .run(super::ANN, "sendmail365", ["--help"], "")
        .stdout;
    let (options, _) = spelled(&help);
    let out = field.out().join("x");
    let mut all = Vec::new();
    for option in options.iter().filter(|option| option.verb.is_none()) {
        let value = match option.name.as_str() {
            "-o" | "-O" => format!("Host={address}"),
            "-b" => "m".to_owned(),
            "-q" | "-C" | "--check" | "-I" | "--json" => continue,
            "-X" | "-D" => out.to_str().unwrap().to_owned(),
            _ => address.clone(),
        };
        let words = [field.sendmail()].into_iter().chain(option.with(&value));
        let usual = ["-v", "-i", "a@example.com"].map(str::to_owned);
        all.push(words.chain(usual).collect::<Vec<String>>());
    }
    for chunk in all.chunks(5) {
        std::fs::write(field.host.host.path("var/state/pace"), "").unwrap();
        calls(&field, chunk);
    }
    assert!(
        field.tenant.received().len() > 20,
        "{}",
        field.tenant.received().len()
    );
    assert!(hostile.accept().is_err(), "somebody else was asked");
    field.sweep();
    field.holds();
}

/// The fifth parameter of PHP's `mail()`, whose words come behind `-t -i`.
#[test]
fn what_a_web_page_appends_is_no_file() {
    let Some(field) = Field::new() else {
        return;
    };
    let out = field.out();
    let shell = out.join("shell.php");
    for extra in [
        format!("-OQueueDirectory={} -X{}", out.display(), shell.display()),
        format!("-X {} -C /etc/sendmail365/config.toml", shell.display()),
        format!("-be ${{run{{/bin/touch {}}}}}", shell.display()),
        format!("-oA{} -D{}", shell.display(), shell.display()),
    ] {
        let words = extra.split(' ').map(str::to_owned);
        let words = PLAIN.map(str::to_owned).into_iter().chain(words);
        field.attack(&mut field.ann([field.sendmail()].into_iter().chain(words)));
    }
    field.sweep();
    field.holds();
}
