//! `explain`: every text of the table by the library, the ways to call it by the program, and our own
//! lines back again.

use crate::binary;
use crate::host::{Host, Ran, finish};
use crate::submission::{self, MESSAGE};
use crate::tenant::{Answer, Fault, Plan, Tenant};
use crate::token::{self, expire};
use sendmail365::admin::explain::explain;
use sendmail365::outcome::Fate;
use std::ffi::OsStr;
use std::fs;

/// One line of the table.
struct Row {
    text: String,
    meaning: Vec<String>,
    cure: Vec<String>,
    who: String,
    mail: String,
}

fn rows() -> Vec<Row> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/explanations.tsv");
    let table = fs::read_to_string(path).unwrap();
    let lines = table.lines().filter(|line| !line.starts_with('#'));
    let row = |line: &str| {
        let fields: Vec<&str> = line.split('\t').collect();
        let [text, meaning, cure, who, mail] = fields[..] else {
            panic!("not five fields: {line}");
        };
        let words = |field: &str| field.split('|').map(str::to_owned).collect();
        Row {
            text: unescaped(text),
            meaning: words(meaning),
            cure: words(cure),
            who: who.to_owned(),
            mail: mail.to_owned(),
        }
    };
    lines.map(row).collect()
}

fn unescaped(field: &str) -> String {
    let halves: Vec<String> = field
        .split("\\\\")
        .map(|part| {
            part.replace("\\r", "\r")
                .replace("\\n", "\n")
                .replace("\\t", "\t")
        })
        .collect();
    halves.join("\\")
}

fn mail(fate: Option<Fate>) -> &'static str {
    match fate {
        Some(Fate::Hold) => "hold",
        Some(Fate::Defer) => "defer",
        Some(Fate::Return) => "return",
        Some(Fate::Unsure) => "unsure",
        None => "none",
    }
}

#[test]
fn every_text_of_the_table_yields_cause_cure_who_and_what_becomes_of_the_mail() {
    let rows = rows();
    assert!(rows.len() >= 300, "{}", rows.len());
    let mut wrong = Vec::new();
    for row in &rows {
        let found = explain(&row.text);
        let Some(report) = found.first() else {
            wrong.push(format!("{}: nothing is found", row.text));
            continue;
        };
        let lacks = |text: &str, words: &[String]| words.iter().any(|word| !text.contains(word));
        let right = report.known
            && !lacks(&report.meaning, &row.meaning)
            && !lacks(&report.cure, &row.cure)
            && report.actor.word() == row.who
            && mail(report.fate) == row.mail;
        if !right {
            wrong.push(format!("{}: {report:#?}", row.text));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        rows.len(),
        wrong.join("\n")
    );
}

/// Runs the program as a person does, without any settings; `-` is given the text.
fn explained<I>(words: I, stdin: &str) -> Ran
where
    I: IntoIterator,
    I::Item: AsRef<OsStr>,
{
    let host = Host::bare(&binary());
    let mut command = host.bare_command("sendmail365");
    command.arg("explain").args(words);
    finish(&mut command, stdin.as_bytes())
}

#[test]
fn a_code_is_explained_in_one_fact_a_line() {
    let ran = explained(["700082"], "");
    ran.exits(0);
    assert_eq!(ran.stderr, "");
    let begins = ["AADSTS700082: ", "who: ", "do: ", "mail: ", "see: "];
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!(lines.len(), begins.len(), "{ran:#?}");
    for (line, begin) in lines.iter().zip(begins) {
        assert!(line.starts_with(begin), "{line}");
    }
    assert_eq!(lines[1], "who: the user of the mailbox");
    assert_eq!(
        lines[4],
        "see: https://login.microsoftonline.com/error?code=700082"
    );
    let same = explained(["AADSTS700082:", "The", "refresh", "token"], "");
    assert_eq!(same.stdout, ran.stdout);
}

#[test]
fn a_bare_535_is_explained_by_its_usual_causes_in_order() {
    let reply = "535 5.7.3 Authentication unsuccessful [AM0PR02CA0134.eurprd02.prod.outlook.com \
                 2024-07-11T11:46:49.042Z 08DCA18218166FB4]";
    let ran = explained(["-"], reply);
    ran.exits(0);
    let mut rest = ran.stdout.as_str();
    for part in [
        "\n1. ",
        "Microsoft Graph",
        "\n2. ",
        "somebody else",
        "\n3. ",
        "shared mailbox",
        "\n4. ",
        "object id",
        "\n5. ",
        "permission on the mailbox",
        "\n6. ",
        "licence",
        "\n7. ",
        "SMTP AUTH is off",
        "\n8. ",
        "cut, or has expired",
        "\n9. ",
        "Microsoft's fault",
        "\nmail: waits in the queue",
        "\nserver: AM0PR02CA0134",
        "\ntimestamp: 2024-07-11T11:46:49.042Z",
        "\nsession id: 08DCA18218166FB4",
    ] {
        let (_, after) = rest
            .split_once(part)
            .unwrap_or_else(|| panic!("no {part:?} in order: {ran:#?}"));
        rest = after;
    }
    let causes = ran
        .stdout
        .lines()
        .filter(|line| line.starts_with("   look: "))
        .count();
    assert_eq!(causes, 9);
}

#[test]
fn json_has_a_line_for_each_explanation() {
    let text =
        "535 5.7.3 no and then AADSTS50196: x. Trace ID: 0d1e2f3a-4b5c-4d6e-8f70-112233445566";
    let ran = explained(["--json", "-"], text);
    ran.exits(0);
    let objects: Vec<serde_json::Value> = ran
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(objects.len(), 2, "{ran:#?}");
    let number = &objects[0];
    assert_eq!(number["code"], "AADSTS50196");
    assert_eq!(number["known"], true);
    assert_eq!(number["who"], "host");
    assert_eq!(number["mail"], "hold");
    assert_eq!(
        number["see"],
        "https://login.microsoftonline.com/error?code=50196"
    );
    assert_eq!(
        number["ids"]["trace_id"],
        "0d1e2f3a-4b5c-4d6e-8f70-112233445566"
    );
    assert!(number["meaning"].as_str().unwrap().contains("too often"));
    assert!(number["cure"].as_str().unwrap().contains("wait a minute"));
    assert_eq!(number["causes"], serde_json::json!([]));
    let reply = &objects[1];
    assert_eq!(reply["causes"].as_array().unwrap().len(), 9);
    for key in ["cause", "look", "cure", "who"] {
        assert!(reply["causes"][0][key].is_string(), "{key}");
    }
}

#[test]
fn an_unknown_code_says_its_first_line_its_ids_and_where_to_look_it_up() {
    let text = "AADSTS998877: Something new happened.\r\nTrace ID: 0d1e2f3a-4b5c-4d6e-8f70-112233445566\r\n\
                Correlation ID: a1b2c3d4-0000-4000-8000-00000000c0de\r\nTimestamp: 2026-01-01 00:00:00Z";
    let ran = explained(["-"], text);
    ran.exits(69)
        .says("AADSTS998877 is not known to this version");
    for line in [
        "text: AADSTS998877: Something new happened.\n",
        "trace id: 0d1e2f3a-4b5c-4d6e-8f70-112233445566\n",
        "correlation id: a1b2c3d4-0000-4000-8000-00000000c0de\n",
        "timestamp: 2026-01-01 00:00:00Z\n",
        "see: https://login.microsoftonline.com/error?code=998877\n",
    ] {
        assert!(ran.stdout.contains(line), "no {line:?} in {ran:#?}");
    }
    assert_eq!(ran.stderr.lines().count(), 2, "{ran:#?}");
    let reply = explained(["550 5.9.9 Something new"], "");
    reply
        .exits(69)
        .says("Email non-delivery reports in Exchange Online");
    assert!(
        reply.stdout.contains("\ntext: 550 5.9.9 Something new\n"),
        "{reply:#?}"
    );
}

#[test]
fn a_text_that_holds_nothing_known_is_not_shown_again() {
    for text in [
        "hello world",
        "",
        "s3cr3t-word",
        "eyJ0eXAiOiJKV1QiLCJub25jZSI6IkNBTkFSWQ",
    ] {
        let ran = explained(["-"], text);
        ran.exits(65).in_two_lines();
        assert!(text.is_empty() || !ran.stderr.contains(text), "{ran:#?}");
    }
}

/// Every run is searched for the canary, too.
#[test]
fn no_secret_that_is_pasted_is_shown() {
    let token = format!("eyJ0eXAiOiJKV1QiCANARY.{}", "CANARYa1".repeat(20));
    for (text, status) in [
        (
            format!("AADSTS998877: bad {token} in refresh_token=0.CANARY&x=1"),
            69,
        ),
        (
            format!(
                "{{\"error\":\"invalid_new\",\"error_description\":\"x {token}\",\"device_code\":\"CANARY\"}}"
            ),
            69,
        ),
        (format!("550 5.9.9 AUTH XOAUTH2 CANARY {token}"), 69),
        (
            "AADSTS998877: client_secret=CANARY, trace_id: CANARY1 Bearer CANARY2"
                .replace("trace_id: CANARY1 ", ""),
            69,
        ),
        (
            format!("id: event=hold uid=0 reason=\"x {token}\" fix=\"client_secret: CANARY\""),
            0,
        ),
        (
            format!("AADSTS700082 trace_id={token} correlation_id={token}"),
            0,
        ),
    ] {
        for option in [&["-"][..], &["--json", "-"]] {
            let ran = explained(option, &text);
            ran.exits(status);
        }
    }
    let ran = explained(["AADSTS998877: bad refresh_token=0.abc&x=1"], "");
    assert!(
        ran.stdout
            .contains("text: AADSTS998877: bad refresh_token=[cut]&x=1\n"),
        "{ran:#?}"
    );
}

#[test]
fn neither_settings_nor_the_network_are_needed() {
    let host = Host::bare(&binary());
    host.write("etc/config.toml", "this is [not TOML");
    let ran = host.run("sendmail365", ["explain", "535", "5.7.139"], "");
    ran.exits(0);
    assert!(ran.stdout.contains("Set-CASMailbox"), "{ran:#?}");
    let mut command = host.bare_command("sendmail365");
    command.args(["explain", "HTTP 407"]);
    assert!(
        finish(&mut command, b"")
            .exits(0)
            .stdout
            .contains("proxy under [endpoint]")
    );
}

#[test]
fn what_reaches_the_terminal_is_printable() {
    let ran = explained(["-"], "550 5.9.9 \u{1b}[2J\u{7}new \u{fc}");
    ran.exits(69);
    let harmless = |text: &str| {
        text.bytes()
            .all(|octet| matches!(octet, b' '..=b'~' | b'\n'))
    };
    assert!(harmless(&ran.stdout) && harmless(&ran.stderr), "{ran:#?}");
    assert!(ran.stdout.contains("\\x1b[2J"), "{ran:#?}");
}

#[test]
fn standard_input_is_read_within_bounds_and_need_not_be_utf_8() {
    let host = Host::bare(&binary());
    let mut command = host.bare_command("sendmail365");
    command.args(["explain", "-"]);
    let text = [&b"\xff\xfe AADSTS700082 \xff"[..], &b" x".repeat(200_000)].concat();
    let ran = finish(&mut command, &text);
    assert!(
        ran.exits(0).stdout.starts_with("AADSTS700082: "),
        "{ran:#?}"
    );
    assert!(ran.read_all, "the writer was left alone");
}

/// What becomes of a message, by the event of its line in the log and by `mail:` of an explanation.
const EVENTS: [(&str, &str); 4] = [
    (
        "event=hold",
        "mail: waits in the queue and is tried every hour",
    ),
    (
        "event=queued",
        "mail: waits in the queue and is tried again soon",
    ),
    ("event=unsure", "mail: may have been delivered"),
    ("event=refused", "mail: goes back"),
];

/// Replies that no table has.
const UNKNOWN: [&str; 5] = ["S02", "S08", "S32", "S33", "S45"];

#[test]
fn our_own_lines_are_explained_with_what_became_of_the_mail() {
    let tenant = Tenant::start();
    tenant.allow_any_rate();
    let host = Host::with_queue(&binary(), &tenant);
    let server = [
        submission::before_the_message(),
        submission::envelope(),
        submission::after_the_message(),
    ];
    let server = server.into_iter().flatten().map(|row| (row.id, row.faults));
    let endpoint = token::refusals()
        .into_iter()
        .map(|row| (row.id, vec![row.fault]));
    let numbers = [700_082, 53003, 7_000_218, 90033, 50196, 7_000_215].map(|number| {
        let plan: Plan = Fault::Token(Answer::Aadsts(number)).into();
        ("AADSTS", vec![plan])
    });
    let mut wrong = Vec::new();
    let mut tried = 0;
    for (id, faults) in server.chain(endpoint).chain(numbers) {
        expire(&host);
        host.forget_troubles();
        let begin = host.log().len();
        for fault in faults {
            tenant.fault(fault);
        }
        let ran = host.sendmail(["-t", "-i"], MESSAGE);
        tenant.recover();
        let log = host.log()[begin..].to_owned();
        let line = log
            .lines()
            .rfind(|line| EVENTS.iter().any(|(event, _)| line.contains(event)));
        let Some(line) = line.filter(|_| !ran.stderr.is_empty()) else {
            continue;
        };
        tried += 1;
        let (_, mail) = EVENTS
            .iter()
            .find(|(event, _)| line.contains(event))
            .unwrap();
        for text in [ran.stderr.as_str(), line] {
            let told = explained(["-"], text);
            let known = told.status.code() == Some(0) || UNKNOWN.contains(&id);
            if !known || !told.stdout.contains(mail) {
                wrong.push(format!("{id}: {mail}\n{text}\n{told:#?}"));
            }
        }
    }
    assert!(tried > 60, "{tried}");
    assert!(
        wrong.is_empty(),
        "{} of {tried}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
