//! Mail programs for people: git send-email, mailx of both kinds, mutt, Emacs.

use super::ALERTS;
use super::machine::{Letter, Machine, SUBJECT, decoded, text};
use crate::tenant::{Act, Fault, Stage};

/// Two commits whose lines are the hard text.
const SERIES: &str = r#"
set -e
git config --global user.name 'Jörg Größe'
git config --global user.email noreply@contoso.test
git config --global sendemail.confirm never
git init -q .
cp body first && git add first && git commit -q -m "$subject"
cp body second && git add second && git commit -q -m "$subject"
"#;

const SEND_SERIES: &str = "git send-email --quiet --root -2 --suppress-cc=all \
     --from='Jörg Größe <noreply@contoso.test>' --to=ann@example.com --bcc=hid@example.com";

#[test]
fn git_send_email_sends_a_series_and_stops_at_a_failure() {
    let Some(machine) = Machine::with(&["git"]) else {
        return;
    };
    let there = machine.shell("test -x \"$(git --exec-path)/git-send-email\"");
    if !there.status.success() {
        return crate::skipped("git send-email");
    }
    let series = format!("subject='{SUBJECT}'{SERIES}");
    machine.shell(&series).exits(0);
    let ran = machine.shell(SEND_SERIES);
    ran.exits(0);
    assert!(ran.stderr.is_empty(), "{ran:?}");
    let received = machine.wait_for(2);
    for (number, arrived) in received.iter().enumerate() {
        let letter = Letter {
            sender: ALERTS,
            subject: &format!("[PATCH {}/2] {SUBJECT}", number + 1),
            text: None,
            attached: false,
            ..Letter::default()
        };
        letter.is(arrived);
        let added: Vec<String> = text().lines().map(|line| format!("+{line}")).collect();
        let added = added.join("\n") + "\n\\ No newline at end of file\n";
        let patch = decoded(arrived);
        assert!(patch.contains(&added), "{patch}");
    }
    // Only the first is refused: the second would be taken, were it offered.
    machine
        .tenant
        .fault(Fault::At(Stage::Mail, Act::reply(550, "5.1.8 no")).once());
    let ran = machine.shell(SEND_SERIES);
    assert!(!ran.status.success(), "{ran:?}");
    ran.says("sendmail: ");
    assert_eq!(machine.tenant.received().len(), 0);
}

#[test]
fn s_nail_sends_and_keeps_what_failed() {
    let Some(machine) = Machine::with(&["s-nail"]) else {
        return;
    };
    let line = format!(
        "s-nail -r 'Jörg Größe <noreply@contoso.test>' -s '{SUBJECT}' -a attachment.bin \
         -b hid@example.com ann@example.com <body && echo sent"
    );
    Letter::default().is(&machine.sends(&line));
    let to_root = machine.sends("echo disk full | s-nail -s alert root && echo sent");
    assert_eq!(to_root.recipients, ["ops@example.com"]);
    machine.goes_offline();
    let ran = machine.shell(&line);
    ran.exits(4).says("message not sent");
    let kept = std::fs::read_to_string(machine.host.path("home/dead.letter")).unwrap();
    assert!(kept.contains("the end"), "{kept}");
}

/// Its dead.letter stays empty: it goes on reading where its mailer stopped, which is the end.
#[test]
fn bsd_mailx_sends_and_says_when_it_could_not() {
    let Some(machine) = Machine::with(&["bsd-mailx"]) else {
        return;
    };
    let line = format!(
        "bsd-mailx -r noreply@contoso.test -s '{SUBJECT}' -b hid@example.com \
         ann@example.com <body && echo sent"
    );
    let letter = Letter {
        name: None,
        attached: false,
        ..Letter::default()
    };
    letter.is(&machine.sends(&line));
    let to_root = machine.sends("echo disk full | bsd-mailx -s alert root && echo sent");
    assert_eq!(to_root.recipients, ["ops@example.com"]);
    machine.goes_offline();
    let ran = machine.shell(&line);
    ran.exits(1)
        .says("sendmail process failed with error code 75");
}

#[test]
fn mutt_sends_and_says_when_it_could_not() {
    let Some(machine) = Machine::with(&["mutt"]) else {
        return;
    };
    machine.host.write(
        "home/.muttrc",
        "set realname='Jörg Größe' from=noreply@contoso.test copy=no\n",
    );
    let line = format!(
        "mutt -s '{SUBJECT}' -b hid@example.com -a attachment.bin -- ann@example.com <body && echo sent"
    );
    let letter = Letter {
        sender: ALERTS,
        ..Letter::default()
    };
    letter.is(&machine.sends(&line));
    let extended = line.replace(
        "mutt -s",
        "mutt -e 'set use_envelope_from dsn_notify=failure,delay dsn_return=hdrs use_8bitmime' -s",
    );
    let arrived = machine.sends(&extended);
    Letter::default().is(&arrived);
    assert!(arrived.parameters.contains(&"RET=HDRS".to_owned()));
    let notify = ["NOTIFY=FAILURE,DELAY"];
    assert_eq!(arrived.recipient_parameters, [notify, notify]);
    machine.goes_offline();
    let ran = machine.shell(&line);
    assert!(!ran.status.success(), "{ran:?}");
    let shown = ran.stdout.clone() + &ran.stderr;
    assert!(
        shown.contains("Error sending message, child exited 75"),
        "{ran:?}"
    );
}

/// A letter written by a script: message-mode makes the MIME, mail-mode the plain header.
const WRITES: &str = r#"
(require 'message)
(setq inhibit-message t user-full-name "Jörg Größe" user-mail-address "noreply@contoso.test"
      mail-interactive t message-interactive t message-confirm-send nil
      send-mail-function 'sendmail-send-it
      message-send-mail-function 'message-send-mail-with-sendmail)
(defun letter ()
  (message-mail "ann@example.com" subject '(("Bcc" . "hid@example.com")))
  (message-goto-body)
  (insert-file-contents "body")
  (goto-char (point-max))
  (mml-attach-file "attachment.bin" "application/octet-stream" nil "attachment")
  (message-send)
  (princ "sent\n"))
(defun alert ()
  (mail nil "root" "alert")
  (mail-text)
  (insert "disk full\n")
  (mail-send)
  (princ "sent\n"))
"#;

#[test]
fn emacs_sends_and_says_when_it_could_not() {
    let Some(machine) = Machine::with(&["emacs"]) else {
        return;
    };
    let script = format!(";; -*- coding: utf-8 -*-\n(setq subject \"{SUBJECT}\")\n{WRITES}");
    machine.host.write("home/writes.el", script);
    let writes = |what: &str| format!("emacs --batch -Q -l writes.el -f {what}");
    Letter::default().is(&machine.sends(&writes("letter")));
    let to_root = machine.sends(&writes("alert"));
    assert_eq!(to_root.recipients, ["ops@example.com"]);
    machine.goes_offline();
    let ran = machine.shell(&writes("letter"));
    assert!(!ran.status.success(), "{ran:?}");
    assert!(ran.stderr.contains("failed with exit value 75"), "{ran:?}");
}
