//! What the server does not take is kept, and sent later: exit status, states, and the runner.

use crate::binary;
use crate::host::Host;
use crate::submission::MESSAGE;
use crate::tenant::{Act, Answer, Fault, Setup, Stage, Tenant};
use crate::token::expire;

fn at(stage: Stage, code: u16, text: &str) -> Fault {
    Fault::At(stage, Act::reply(code, text))
}

/// Runs the queue, due or not, with the outage forgotten.
fn run(host: &Host) {
    host.forget_troubles();
    host.sendmail(["-qf"], "").exits(0);
}

#[test]
fn mail_survives_a_dead_server_and_a_dead_token_endpoint() {
    let tenant = Tenant::start();
    let host = Host::with_queue(&binary(), &tenant);
    for fault in [
        Fault::SubmissionDown,
        Fault::NoStarttls,
        at(Stage::End, 451, "4.3.0 later"),
    ] {
        tenant.fault(fault);
        host.sendmail(["-t", "-i"], MESSAGE)
            .exits(0)
            .says("queued as ");
        assert_eq!(host.spooled("queue").len(), 1);
        tenant.recover();
        run(&host);
        assert_eq!(host.spooled("queue").len(), 0, "{}", host.log());
        host.forget_troubles();
    }
    assert_eq!(tenant.received().len(), 3);
    assert!(host.log().contains("event=queued") && host.spooled("failed").is_empty());
}

/// Retry-After of the token endpoint: nobody asks sooner, neither for this message nor for another.
#[test]
fn the_token_endpoint_is_left_alone_for_as_long_as_it_asks() {
    let tenant = Tenant::start();
    let host = Host::with_queue(&binary(), &tenant);
    expire(&host);
    tenant.fault(Fault::Token(Answer::Throttled(Some(1800))));
    host.sendmail(["-t", "-i"], MESSAGE).exits(0);
    let read = |below: &str| std::fs::read_to_string(host.path(below)).unwrap();
    let name = host.spooled("queue").pop().unwrap();
    let entry = read(&format!("var/spool/queue/{name}"));
    let number = |key: &str| -> u64 {
        let word = entry.split(' ').find_map(|word| word.strip_prefix(key));
        word.unwrap().parse().unwrap()
    };
    let wait = number("next=") - number("last=");
    assert!((1800..=2160).contains(&wait), "{wait} s: {entry}");
    // Another submission asks again after a minute at the earliest; the runner's word holds longer.
    let requests = tenant.token_requests().len();
    host.sendmail(["-t", "-i"], MESSAGE).exits(0);
    host.sendmail(["-q"], "");
    assert_eq!(tenant.token_requests().len(), requests, "{}", host.log());
    host.forget_troubles();
    host.sendmail(["-qf"], "").exits(75);
    let breaker = read("var/state/breaker");
    let times: Vec<u64> = breaker
        .split(' ')
        .filter_map(|word| word.parse().ok())
        .collect();
    assert_eq!(times[1] - times[0], 600, "{breaker}");
}

/// Hold: loud, kept, and sent once the cause is gone.
#[test]
fn credentials_and_policy_hold_a_message_and_lose_none() {
    let tenant = Tenant::start();
    let host = Host::with_queue(&binary(), &tenant);
    let off = "5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Mailbox.";
    tenant.fault(at(Stage::Auth, 535, off));
    let ran = host.sendmail(["-t", "-i"], MESSAGE);
    ran.exits(0).says("Set-CASMailbox").says("queued as ");
    assert!(host.log().contains("event=hold"), "{}", host.log());
    tenant.recover();
    run(&host);
    assert_eq!(
        (tenant.received().len(), host.spooled("queue").len()),
        (1, 0)
    );
}

#[test]
fn a_message_refused_for_good_goes_back_and_a_copy_is_kept() {
    let tenant = Tenant::start();
    let host = Host::with_queue(&binary(), &tenant);
    tenant.fault(at(Stage::Rcpt, 550, "5.1.1 unknown"));
    host.sendmail(["-t", "-i"], MESSAGE)
        .exits(67)
        .in_two_lines();
    assert_eq!(
        (host.spooled("queue").len(), host.spooled("failed").len()),
        (0, 1)
    );
    tenant.recover();
    run(&host);
    assert_eq!(tenant.received().len(), 0, "a copy is never sent by itself");
}

/// S27, S28, S29: whoever is taken gets it at once, who is deferred later, who is refused is told of.
#[test]
fn a_partial_refusal_delivers_the_rest_and_tells_of_the_refused() {
    let tenant = Tenant::start();
    let host = Host::with_queue(&binary(), &tenant);
    tenant.fault(at(Stage::RcptNth(1), 550, "5.1.1 unknown"));
    tenant.fault(at(Stage::RcptNth(2), 450, "4.7.0 later"));
    let to = [
        "-i",
        "refused@example.com",
        "deferred@example.com",
        "taken@example.com",
    ];
    host.sendmail(to, MESSAGE).exits(0).says("queued as ");
    let first = tenant.received();
    assert_eq!(first.len(), 1, "{}", host.log());
    assert_eq!(first[0].recipients, ["taken@example.com"]);
    tenant.recover();
    run(&host);
    run(&host);
    let mut rest: Vec<Vec<String>> = tenant.received()[1..]
        .iter()
        .map(|one| one.recipients.clone())
        .collect();
    rest.sort();
    assert_eq!(
        rest,
        [vec!["alerts@contoso.test"], vec!["deferred@example.com"]],
        "{}",
        host.log()
    );
    let notice = tenant
        .received()
        .into_iter()
        .find(|one| one.recipients[0].starts_with("alerts"));
    let text = String::from_utf8_lossy(&notice.unwrap().data).into_owned();
    assert!(
        text.contains("refused@example.com") && text.contains("5.1.1"),
        "{text}"
    );
    assert_eq!(
        (host.spooled("queue").len(), host.spooled("failed").len()),
        (0, 1)
    );
}

/// S27: where nobody is left to wait for, nothing is called queued: neither to the caller nor in the log.
#[test]
fn refused_for_good_beside_others_is_not_called_queued() {
    let tenant = Tenant::start();
    let host = Host::with_queue(&binary(), &tenant);
    let to = |options: &[&str]| {
        tenant.recover();
        tenant.fault(at(Stage::RcptNth(1), 550, "5.1.1 unknown"));
        let to = ["-i", "refused@example.com", "taken@example.com"];
        host.sendmail([options, &to].concat(), MESSAGE)
    };
    let ran = to(&[]);
    let copy = host.spooled("failed").remove(0);
    let id = copy.trim_end_matches(".refused");
    ran.exits(0)
        .in_two_lines()
        .says("<refused@example.com> 550 5.1.1")
        .says(&format!("a copy is kept as {id}"));
    assert!(!ran.stderr.contains("queued"), "{ran:?}");
    to(&["-oem"]).exits(0).says("<refused@example.com> 550");
    to(&["-oeq"]).exits(0).silently();
    let log = host.log();
    assert!(!log.contains("event=queued"), "{log}");
    assert_eq!(log.matches("event=failed").count(), 3, "{log}");
    let took = tenant.received();
    assert!(
        took.iter()
            .all(|one| one.recipients == ["taken@example.com"])
    );
    assert_eq!(took.len(), 3, "{log}");
}

/// S55 with a queue: whoever can be named to the server gets it, the other one is told of; here and
/// in the runner.
#[test]
fn an_address_that_needs_smtputf8_fails_alone_where_it_is_missing() {
    let tenant = Tenant::start();
    let host = Host::with_queue(&binary(), &tenant);
    tenant.fault(Fault::NoSmtputf8);
    let to = |option| [option, "-i", "jörg@example.com", "taken@example.com"];
    host.sendmail(to("-odi"), MESSAGE).exits(0);
    let first = tenant.received();
    assert_eq!(first.len(), 1, "{}", host.log());
    assert_eq!(first[0].recipients, ["taken@example.com"]);
    run(&host);
    let notice = &tenant.received()[1..];
    assert_eq!(notice.len(), 1, "{}", host.log());
    assert_eq!(notice[0].recipients, ["alerts@contoso.test"]);
    let text = String::from_utf8_lossy(&notice[0].data).into_owned();
    assert!(
        text.contains("rg@example.com") && text.contains("Status: 5.6.7"),
        "{text}"
    );
    host.sendmail(to("-odq"), MESSAGE).exits(0);
    run(&host);
    run(&host);
    let rest: Vec<Vec<String>> = tenant.received()[2..]
        .iter()
        .map(|one| one.recipients.clone())
        .collect();
    assert_eq!(rest, [["taken@example.com"], ["alerts@contoso.test"]]);
    assert_eq!(
        (host.spooled("queue").len(), host.spooled("failed").len()),
        (0, 2)
    );
    host.sendmail(["-i", "jörg@example.com"], MESSAGE)
        .exits(65)
        .says("SMTPUTF8");
}

/// S46: unsure is kept, said, and not tried again at once.
#[test]
fn a_lost_final_reply_is_unsure() {
    let tenant = Tenant::start();
    let host = Host::with_queue(&binary(), &tenant);
    tenant.fault(Fault::AcceptThenClose);
    host.sendmail(["-t", "-i"], MESSAGE)
        .exits(0)
        .says("may have been")
        .says("queued as ");
    tenant.recover();
    host.forget_troubles();
    host.sendmail(["-q"], "").exits(0);
    assert_eq!(
        (tenant.received().len(), host.spooled("queue").len()),
        (1, 1)
    );
    assert!(host.log().contains("event=unsure"), "{}", host.log());
}

/// One connection for many, oldest first; the notices of -odq are not needed for it.
#[test]
fn the_runner_sends_many_messages_over_one_connection() {
    let tenant = Tenant::start();
    let host = Host::with_queue(&binary(), &tenant);
    for number in 0..4 {
        let message = format!("From: Alerts <alerts@contoso.test>\nSubject: {number}\n\nx\n");
        host.sendmail(["-odq", "-i", "ops@example.com"], message)
            .exits(0)
            .silently();
    }
    let before = tenant.connections().len();
    host.sendmail(["-q"], "").exits(0).silently();
    assert_eq!(tenant.connections().len() - before, 1);
    let received = tenant.received();
    let subjects: Vec<String> = received
        .iter()
        .map(|one| one.field("subject").join("").trim().to_owned())
        .collect();
    assert_eq!(subjects, ["0", "1", "2", "3"]);
    assert!(host.spooled("queue").is_empty() && host.spooled("tmp").is_empty());
}

/// R25: a dead server costs one connection attempt, and no entry an attempt of its own.
#[test]
fn a_dead_server_ends_the_pass_and_ages_nothing() {
    let tenant = Tenant::start();
    let host = Host::with_queue(&binary(), &tenant);
    for _ in 0..3 {
        host.sendmail(["-odq", "-i", "ops@example.com"], MESSAGE)
            .exits(0);
    }
    let before: Vec<Vec<u8>> = entries(&host);
    tenant.fault(Fault::SubmissionDown);
    host.sendmail(["-q"], "").exits(75).in_two_lines();
    assert!(entries(&host) == before, "an entry changed");
    tenant.recover();
    run(&host);
    assert_eq!(tenant.received().len(), 3);
}

fn entries(host: &Host) -> Vec<Vec<u8>> {
    let names = host.spooled("queue");
    names
        .iter()
        .map(|name| std::fs::read(host.path("var/spool/queue").join(name)).unwrap())
        .collect()
}

/// L06: with the outage known, a submission commits at once and makes no connection.
#[test]
fn while_the_server_is_known_to_be_down_nobody_waits_for_it() {
    let tenant = Tenant::start();
    let host = Host::with_queue(&binary(), &tenant);
    tenant.fault(Fault::SubmissionDown);
    host.sendmail(["-t", "-i"], MESSAGE).exits(0);
    tenant.recover();
    let before = tenant.connections().len();
    host.sendmail(["-t", "-i"], MESSAGE)
        .exits(0)
        .says("queued as ");
    assert_eq!(tenant.connections().len(), before);
    run(&host);
    assert_eq!(tenant.received().len(), 2);
}

/// Q02: what cannot be kept is not taken, and both causes are told.
#[test]
fn without_a_spool_the_message_stays_with_the_caller() {
    let tenant = Tenant::start();
    let host = Host::with_queue(&binary(), &tenant);
    std::fs::remove_dir_all(host.path("var/spool")).unwrap();
    host.sendmail(["-t", "-i"], MESSAGE).exits(0).silently();
    tenant.fault(Fault::SubmissionDown);
    host.sendmail(["-t", "-i"], MESSAGE)
        .exits(75)
        .says("cannot be queued")
        .says("refused");
}

/// I16, S30: as many transactions as the server wants, on one connection, from one entry.
#[test]
fn more_recipients_than_a_transaction_takes_all_get_the_message_once() {
    let tenant = Tenant::start();
    let host = Host::with_queue(&binary(), &tenant);
    let list: Vec<String> = (0..1200)
        .map(|number| format!("r{number}@example.com"))
        .collect();
    let ran = host.sendmail(["-t", "-i"], format!("To: {}\n\nx\n", list.join(",\n ")));
    ran.exits(0).silently();
    let mut reached: Vec<String> = tenant
        .received()
        .into_iter()
        .flat_map(|one| one.recipients)
        .collect();
    reached.sort();
    let mut wanted = list.clone();
    wanted.sort();
    assert_eq!(reached, wanted, "{}", host.log());
    assert_eq!(tenant.received().len(), 3);
    assert!(host.spooled("queue").is_empty());
}

/// 200 processes at once, 20 of them killed, against a mailbox of three connections and 30 messages a
/// minute: one refresh, no limit is ever met, and every message whose sender saw 0 arrives once in
/// the end.
#[test]
fn two_hundred_processes_share_two_connections_and_lose_nothing() {
    let tenant = Tenant::with(Setup {
        connections_max: 3,
        per_minute: Some(30),
        ..Setup::default()
    });
    let mut host = Host::with_queue(&binary(), &tenant);
    crate::token::expire(&host);
    let requests = tenant.token_requests().len();
    let message = |number: usize| {
        format!(
            "From: Alerts <alerts@contoso.test>\nTo: ops@example.com\nSubject: n{number}\n\nx\n"
        )
    };
    let alone = crate::host::alone();
    let mut children: Vec<std::process::Child> = (0..200)
        .map(|number| {
            host.write(&format!("home/m{number}"), message(number));
            let input = std::fs::File::open(host.path(&format!("home/m{number}"))).unwrap();
            host.command("sendmail", ["-t", "-i"])
                .stdin(input)
                .stdout(std::process::Stdio::null())
                .stderr(std::process::Stdio::null())
                .spawn()
                .unwrap()
        })
        .collect();
    for child in children.iter_mut().skip(7).step_by(10) {
        let _ = child.kill();
    }
    // With the first message there is a token for all, and nobody hurries any more.
    crate::signals::until("the first message", || !tenant.received().is_empty());
    drop(alone);
    let promised: Vec<usize> = children
        .iter_mut()
        .enumerate()
        .filter_map(|(number, child)| child.wait().unwrap().success().then_some(number))
        .collect();
    assert!(promised.len() >= 180, "{}", promised.len());
    // The rest would take minutes at that rate, and nothing else would be seen of it.
    tenant.allow_any_rate();
    host.set("limits", "per_minute", "1000");
    for _ in 0..20 {
        if host.spooled("queue").is_empty() {
            break;
        }
        run(&host);
    }
    assert!(host.spooled("queue").is_empty(), "{}", host.log());
    let subjects: Vec<String> = tenant
        .received()
        .iter()
        .map(|one| one.field("subject").join("").trim().to_owned())
        .collect();
    for number in promised {
        let count = subjects
            .iter()
            .filter(|subject| **subject == format!("n{number}"))
            .count();
        assert_eq!(count, 1, "message {number}");
    }
    assert_eq!(tenant.token_requests().len() - requests, 1);
    let refused = tenant
        .connections()
        .iter()
        .any(|one| one.replies().iter().any(|line| line.starts_with("432")));
    assert!(!refused, "the mailbox's limit of connections was met");
}

/// A host that sends nothing for months must still be signed in: the runner sees to the token.
#[test]
fn a_run_over_an_empty_queue_renews_a_token_that_ends_and_no_other() {
    let tenant = Tenant::start();
    let host = Host::with_queue(&binary(), &tenant);
    tenant.forget();
    let requests = || tenant.token_requests().len();
    host.sendmail(["-q"], "").exits(0).silently();
    assert_eq!(requests(), 0);
    expire(&host);
    for _ in 0..2 {
        host.sendmail(["-q"], "").exits(0).silently();
        assert_eq!(requests(), 1);
    }
    assert!(tenant.connections().is_empty());
}

#[test]
fn with_an_empty_queue_an_outage_is_no_error_and_a_lost_sign_in_is() {
    let tenant = Tenant::start();
    let host = Host::with_queue(&binary(), &tenant);
    expire(&host);
    tenant.fault(Fault::TokenEndpointDown);
    host.sendmail(["-q"], "").exits(0).silently();
    tenant.recover();
    tenant.fault(Fault::Token(Answer::Aadsts(700_082)));
    tenant.forget();
    // The second run knows of it and asks nobody.
    for _ in 0..2 {
        host.sendmail(["-q"], "").exits(75).in_two_lines();
        assert_eq!(tenant.token_requests().len(), 1);
    }
    assert!(host.log().contains("event=runner"), "{}", host.log());
}

/// The service account that the timer starts works for all; other users for themselves.
#[test]
fn the_owner_of_the_queue_works_it_off_for_all() {
    if !crate::is_root() {
        return;
    }
    use std::os::unix::process::CommandExt;
    let tenant = Tenant::start();
    let host = Host::with_queue(&binary(), &tenant);
    host.sendmail(["-odq", "-i", "ops@example.com"], MESSAGE)
        .exits(0);
    for (owner, sent) in [(4711, 0), (4712, 1)] {
        crate::make_accessible(&host.path("etc/tokens"), 4712);
        crate::make_accessible(&host.path("var"), 4712);
        std::os::unix::fs::chown(host.path("var/spool/queue"), Some(owner), None).unwrap();
        let mut command = host.command("sendmail", ["-q"]);
        command.uid(4712).gid(4712);
        crate::host::finish(&mut command, b"");
        assert_eq!(tenant.received().len(), sent, "{}", host.log());
    }
}

/// What a user's process meets may be the work of his limits: it keeps the others away for a minute
/// and never for the hour that the runner's word counts.
#[test]
fn a_user_who_runs_the_queue_speaks_for_himself() {
    if !crate::is_root() {
        return;
    }
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    let tenant = Tenant::start();
    let host = Host::with_queue(&binary(), &tenant);
    crate::make_accessible(&host.path("etc/tokens"), 4713);
    crate::make_accessible(&host.path("var"), 4713);
    let run = |words: &[&str], input: &str| {
        let mut command = host.command("sendmail", words);
        command.uid(4713).gid(4713);
        crate::host::finish(&mut command, input.as_bytes())
    };
    let queue = host.path("var/spool/queue");
    std::os::unix::fs::chown(&queue, Some(4712), Some(4713)).unwrap();
    std::fs::set_permissions(&queue, std::fs::Permissions::from_mode(0o3770)).unwrap();
    run(&["-odq", "-i", "ops@example.com"], MESSAGE).exits(0);
    tenant.fault(at(Stage::Auth, 535, "5.7.3 Authentication unsuccessful"));
    let ran = run(&["-qf"], "");
    assert!(
        ran.status.code() == Some(75) && ran.stderr.contains("5.7.3"),
        "{ran:#?} {}",
        host.log()
    );
    let breaker = std::fs::read_to_string(host.path("var/state/breaker")).unwrap();
    let words: Vec<&str> = breaker.split(' ').collect();
    let number = |at: usize| -> u64 { words[at].parse().unwrap() };
    assert_eq!((words[2], number(4) - number(3)), ("hold", 60), "{breaker}");
}

/// Whoever can be reached is, and the sender hears of the others.
#[test]
fn a_recipient_that_cannot_be_used_is_told_of_and_keeps_nobody_waiting() {
    let tenant = Tenant::start();
    let host = Host::with_queue(&binary(), &tenant);
    let header = "From: x@contoso.test\nTo: ops@example.com, b@@example.com\n\nx\n";
    for (words, input, named) in [
        (&["-t", "-i"][..], header, "b@@example.com"),
        (&["-i", "ops@example.com", ""], MESSAGE, "an empty argument"),
        (
            &["-i", "ops@example.com", "nosuchalias"],
            MESSAGE,
            "nosuchalias",
        ),
    ] {
        tenant.forget();
        host.sendmail(words, input).exits(0).silently();
        run(&host);
        let all = tenant.received();
        let to: Vec<&[String]> = all.iter().map(|one| &one.recipients[..]).collect();
        let to: Vec<&str> = to.iter().map(|one| one[0].as_str()).collect();
        assert_eq!(
            to,
            ["ops@example.com", "alerts@contoso.test"],
            "{}",
            host.log()
        );
        let notice = all[1].text();
        assert!(
            notice.contains(named) && !notice.contains("copy is kept"),
            "{notice}"
        );
    }
    // Nobody can be reached: the caller hears of it, as without a queue.
    host.sendmail(["-i", "b@@example.com"], MESSAGE).exits(65);
    host.sendmail(["-i", "nosuchalias"], MESSAGE).exits(67);
    assert_eq!(host.spooled("queue").len(), 0);
    let without = Host::with(&binary(), &tenant);
    without.sendmail(["-t", "-i"], header).exits(65);
    // Nor may one be forgotten because there is no room for the notice.
    tenant.forget();
    let away = host.path("var/spool/away");
    std::fs::rename(host.path("var/spool/queue"), &away).unwrap();
    host.sendmail(["-t", "-i"], header).exits(65).says("b@@");
    assert!(tenant.received().is_empty());
    std::fs::rename(away, host.path("var/spool/queue")).unwrap();
}

/// A bounce must not bounce: whoever asks for the null sender, or for silence, gets no notice.
#[test]
fn nobody_is_told_who_does_not_want_to_hear_of_it() {
    let tenant = Tenant::start();
    let host = Host::with_queue(&binary(), &tenant);
    for (words, notices) in [
        (&["-f", "<>"][..], 0),
        (&["-f", ""], 0),
        (&["-oeq"], 0),
        (&["-N", "never"], 0),
        (&["-N", "delay"], 0),
        (&["-N", "failure"], 1),
        (&["-f", "<>", "-N", "failure"], 1),
        (&["-oem"], 1),
    ] {
        tenant.forget();
        tenant.fault(at(Stage::RcptNth(1), 550, "5.1.1 unknown"));
        let to = [
            "-i",
            "refused@example.com",
            "ops@example.com",
            "no@such@one",
        ];
        let words: Vec<&str> = words.iter().chain(&to).copied().collect();
        host.sendmail(&words, MESSAGE).exits(0);
        tenant.recover();
        run(&host);
        let told = tenant.received().iter().any(|one| {
            one.recipients == ["alerts@contoso.test"] && one.text().contains("refused@example.com")
        });
        assert_eq!(usize::from(told), notices, "{words:?} {}", host.log());
        let first = &tenant.received()[0];
        assert_eq!(first.recipients, ["ops@example.com"]);
        assert_eq!(first.sender, "alerts@contoso.test");
    }
}

/// What stops a message for more recipients than one transaction takes is told as it is.
#[test]
fn a_message_for_many_says_what_really_stops_it() {
    let tenant = Tenant::start();
    let host = Host::with_queue(&binary(), &tenant);
    let to: Vec<String> = (0..1001)
        .map(|number| format!("u{number}@example.com"))
        .collect();
    let words: Vec<&str> = ["-i"]
        .into_iter()
        .chain(to.iter().map(String::as_str))
        .collect();
    tenant.fault(Fault::SubmissionDown);
    let ran = host.sendmail(&words, MESSAGE);
    ran.exits(0).says("Connection refused").says("queued as ");
    assert!(!ran.stderr.contains("1001"), "{ran:#?}");
    assert!(!host.log().contains("no queue"), "{}", host.log());
}

/// Many messages, one connection, and one wait for each: the commands of the next leave behind the
/// last dot.
#[test]
fn the_next_message_is_announced_behind_the_last_dot() {
    let tenant = Tenant::start();
    let host = Host::with_queue(&binary(), &tenant);
    let queue = |count: usize| {
        for number in 0..count {
            let to = format!("u{number}@example.com");
            host.sendmail(["-odq", "-i", &to], MESSAGE).exits(0);
        }
    };
    let mut turns = Vec::new();
    for count in [1, 4] {
        queue(count);
        tenant.forget();
        run(&host);
        let connections = tenant.connections();
        assert_eq!((connections.len(), tenant.received().len()), (1, count));
        turns.push(connections[0].turns());
    }
    assert_eq!(turns[1] - turns[0], 3, "{turns:?} {}", tenant.dialogue());
    // Whatever becomes of the second, the others get theirs, and nobody anything twice.
    for (fault, delivered) in [
        (at(Stage::End, 451, "4.3.0 later"), 4),
        (at(Stage::End, 452, "4.3.1 full"), 4),
        (at(Stage::End, 554, "5.6.0 no"), 3),
        (at(Stage::Rcpt, 550, "5.1.1 unknown"), 3),
        (at(Stage::Mail, 451, "4.7.0 later"), 4),
        (at(Stage::Data, 451, "4.7.0 later"), 4),
        (at(Stage::End, 421, "4.3.2 going down"), 4),
        (Fault::At(Stage::Mail, Act::Close), 4),
        (Fault::At(Stage::Data, Act::Close), 4),
        (Fault::At(Stage::Body, Act::Close), 4),
    ] {
        queue(4);
        tenant.forget();
        let label = format!("{fault:?}");
        tenant.fault(fault.after(1).once());
        host.forget_troubles();
        host.sendmail(["-qf"], "");
        tenant.recover();
        for _ in 0..3 {
            run(&host);
        }
        assert!(host.spooled("queue").is_empty(), "{label} {}", host.log());
        let all = tenant.received();
        let mut to: Vec<&str> = all.iter().map(|one| one.recipients[0].as_str()).collect();
        to.retain(|to| to.starts_with('u'));
        to.sort_unstable();
        let count = to.len();
        to.dedup();
        assert_eq!((to.len(), count), (delivered, delivered), "{label}");
    }
}

/// Emacs and others take any text on standard error for a failure, and their user sends it again.
#[test]
fn who_asks_for_errors_only_hears_nothing_of_a_message_that_waits() {
    let tenant = Tenant::start();
    let host = Host::with_queue(&binary(), &tenant);
    tenant.fault(Fault::SubmissionDown);
    for words in [
        &["-oi", "-f", "alerts@contoso.test", "-oep", "-odi", "-t"][..],
        &["-FCronDaemon", "-i", "-odi", "-oem", "-oi", "-t"],
        &["-ep", "-t", "-i"],
    ] {
        host.sendmail(words, MESSAGE).exits(0).silently();
        host.forget_troubles();
    }
    assert_eq!(host.spooled("queue").len(), 3);
    assert!(host.log().contains("event=queued"));
    host.sendmail(["-t", "-i"], MESSAGE)
        .exits(0)
        .says("queued as ");
    host.forget_troubles();
    tenant.recover();
    // What only an administrator can end is told, and so is a failure.
    tenant.fault(at(Stage::Auth, 535, "5.7.3 Authentication unsuccessful"));
    let ran = host.sendmail(["-oem", "-t", "-i"], MESSAGE);
    ran.exits(0).says("5.7.3").says("queued as ");
    host.forget_troubles();
    tenant.recover();
    tenant.fault(at(Stage::Rcpt, 550, "5.1.1 unknown"));
    host.sendmail(["-oem", "-t", "-i"], MESSAGE)
        .exits(67)
        .in_two_lines();
}

/// A person sees how far it is; nobody else does, and nothing on the side of sendmail.
#[test]
fn progress_is_shown_on_a_terminal_only() {
    if !crate::needs("script") {
        return;
    }
    let tenant = Tenant::start();
    let host = Host::with_queue(&binary(), &tenant);
    let ran = |name: &str, words: &[&str], terminal: bool| {
        for number in 0..3 {
            let to = format!("u{number}@example.com");
            host.sendmail(["-odq", "-i", &to], MESSAGE).exits(0);
        }
        host.forget_troubles();
        let inner = host.command(name, words);
        let words = [inner.get_program()].into_iter().chain(inner.get_args());
        let words: Vec<&str> = words.map(|word| word.to_str().unwrap()).collect();
        let mut command = std::process::Command::new(if terminal { "script" } else { "env" });
        match terminal {
            true => command.args(["-qec", &words.join(" "), "/dev/null"]),
            false => command.args(&words),
        };
        let ran = crate::host::finish(&mut command, b"");
        ran.exits(0);
        assert!(host.spooled("queue").is_empty(), "{}", host.log());
        ran.stdout + &ran.stderr
    };
    let shown = ran("sendmail365", &["queue", "run"], true);
    assert!(
        shown.contains("\r1 of 3: 1 sent, 0 failed\r2 of 3"),
        "{shown:?}"
    );
    assert_eq!(ran("sendmail365", &["queue", "run"], false), "");
    assert_eq!(ran("sendmail", &["-q"], true), "");
    assert!(ran("sendmail", &["-q", "-v"], false).contains(">>> MAIL FROM:<"));
}

/// A PHP worker must not hang: whatever stage the server falls silent at, 30 waits of a second each
/// are all it gets while the queue can send the message later.
#[test]
fn a_silent_server_holds_a_caller_no_longer_than_30_waits() {
    if !crate::needs("strace") {
        return;
    }
    let tenant = Tenant::start();
    let host = Host::with_queue(&binary(), &tenant);
    tenant.fault(Fault::At(Stage::Greeting, Act::Stall));
    let trace = host.path("trace");
    let inner = host.command("sendmail", ["-t", "-i"]);
    let mut command = std::process::Command::new("strace");
    command.args(["-f", "-qq", "-e", "trace=recvfrom", "-o"]);
    command.arg(&trace).arg("--");
    command.arg(inner.get_program()).args(inner.get_args());
    let ran = crate::host::finish(&mut command, MESSAGE.as_bytes());
    ran.exits(0)
        .says("did not answer in time")
        .says("queued as ");
    let trace = std::fs::read_to_string(trace).unwrap();
    let waits = trace.matches("EAGAIN").count();
    assert!((1..=35).contains(&waits), "{waits} waits");
}
