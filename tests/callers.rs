//! Real callers, each as its distribution ships it, on a machine where we are the sendmail.
//!
//! Every caller sends what gets spoilt on the way, and is asked what it believes. They run as root:
//! without the setgid bit, which comes with the packages, others cannot read the configuration.

mod daemons;
pub mod machine;
mod mailers;

use machine::{Letter, Machine, text};

/// The mailbox, which sends what names no sender of its own.
const ALERTS: &str = "alerts@contoso.test";

#[test]
fn php_mail_is_true_when_the_message_is_with_microsoft() {
    let Some(machine) = Machine::with(&["php"]) else {
        return;
    };
    let letter = Letter {
        sender: ALERTS,
        attached: false,
        ..Letter::default()
    };
    for form in ["four", "lf", "bare"] {
        letter.is(&machine.sends(&format!("php $scripts/mail.php {form}")));
    }
    let with_sender = Letter {
        sender: "noreply@contoso.test",
        ..letter
    };
    with_sender.is(&machine.sends("php $scripts/mail.php five"));
    machine.goes_offline();
    let ran = machine.shell("php $scripts/mail.php five");
    ran.exits(0).says("sendmail: ");
    assert_eq!(ran.stdout, "failed\n");
}

#[test]
fn phpmailer_sends_by_both_of_its_ways_and_as_wordpress_does() {
    let needed = ["php", "/usr/share/php/libphp-phpmailer"];
    let Some(machine) = Machine::with(&needed) else {
        return;
    };
    for (way, sender) in [
        ("sendmail", "noreply@contoso.test"),
        ("mail", "noreply@contoso.test"),
        ("wordpress", ALERTS),
    ] {
        let letter = Letter {
            sender,
            ..Letter::default()
        };
        letter.is(&machine.sends(&format!("php $scripts/phpmailer.php {way}")));
    }
    machine.goes_offline();
    for (way, says) in [
        ("sendmail", "Could not execute"),
        ("mail", "Could not instantiate mail function"),
    ] {
        let ran = machine.shell(&format!("php $scripts/phpmailer.php {way}"));
        assert!(
            ran.stdout.starts_with(&format!("failed: {says}")),
            "{ran:?}"
        );
    }
}

#[test]
fn symfony_mailer_sends_through_pipes_and_throws_our_reason() {
    let Some(machine) = Machine::with(&SYMFONY) else {
        return;
    };
    let ways = [
        "'sendmail://default?command=/usr/sbin/sendmail%20-t%20-oi'",
        "'native://default'",
    ];
    for way in ways {
        Letter::default().is(&machine.sends(&format!("php $scripts/symfony.php {way}")));
    }
    machine.goes_offline();
    for way in ways {
        let ran = machine.shell(&format!("php $scripts/symfony.php {way}"));
        let shown = "failed: Process failed with exit code 75: sendmail: ";
        assert!(ran.stdout.starts_with(shown), "{ran:?}");
    }
}

const SYMFONY: [&str; 2] = ["php", "/usr/share/php/Symfony/Component/Mailer"];

/// The default of Symfony, Swift, Laravel and Nextcloud is `sendmail -bs`.
#[test]
fn symfony_and_swift_send_over_bs_and_say_when_they_could_not() {
    let needed = ["php", SYMFONY[1], "/usr/share/php/Swift"];
    let Some(machine) = Machine::with(&needed) else {
        return;
    };
    let symfony = "php $scripts/symfony.php sendmail://default";
    let swift = "php $scripts/swift.php";
    Letter::default().is(&machine.sends(symfony));
    by_swift().is(&machine.sends(swift));
    let twice = machine.shell(&format!("{symfony} 2"));
    assert_eq!(twice.stdout, "sent\nsent\n", "{twice:?}");
    for arrived in machine.wait_for(2) {
        Letter::default().is(&arrived);
    }
    machine.goes_offline();
    for caller in [symfony, swift] {
        let ran = machine.shell(caller);
        assert!(ran.stdout.starts_with("failed: "), "{ran:?}");
    }
    assert_eq!(machine.tenant.received().len(), 0);
}

/// Swift writes two line ends before a boundary, of which the first is text.
fn by_swift() -> Letter<'static> {
    Letter {
        added: "\n",
        ..Letter::default()
    }
}

/// Without -i Swift doubles the dots that begin a line, and relies on us to undo it.
#[test]
fn swift_mailer_sends_with_and_without_i() {
    let Some(machine) = Machine::with(&["php", "/usr/share/php/Swift"]) else {
        return;
    };
    for options in ["-t", "-t -i"] {
        let line = format!("php $scripts/swift.php '/usr/sbin/sendmail {options}'");
        by_swift().is(&machine.sends(&line));
    }
}

#[test]
fn nodemailer_sends_and_its_bcc_stays_here() {
    let Some(machine) = Machine::with(&["node", "/usr/share/nodejs/nodemailer"]) else {
        return;
    };
    for arguments in ["", "-i -t"] {
        let line = format!("node $scripts/nodemailer.js {arguments}");
        let sender = if arguments.is_empty() {
            "noreply@contoso.test"
        } else {
            ALERTS
        };
        let letter = Letter {
            sender,
            ..Letter::default()
        };
        letter.is(&machine.sends(&line));
    }
    machine.goes_offline();
    let ran = machine.shell("node $scripts/nodemailer.js");
    assert_eq!(ran.stdout, "failed: Sendmail exited with code 75\n");
}

#[test]
fn the_mail_gem_of_ruby_sends() {
    let Some(machine) = Machine::with(&["ruby", "/usr/lib/ruby/vendor_ruby/mail.rb"]) else {
        return;
    };
    // It writes the line ends as CRLF first and the CR as `=0D` then.
    let letter = Letter {
        text: Some(text().replace('\n', "\r\n")),
        ..Letter::default()
    };
    letter.is(&machine.sends("ruby $scripts/gem.rb"));
}

#[test]
fn perls_email_sender_and_mime_lite_send() {
    let needed = [
        "perl",
        "/usr/share/perl5/Email/Sender.pm",
        "/usr/share/perl5/MIME/Lite.pm",
    ];
    let Some(machine) = Machine::with(&needed) else {
        return;
    };
    let single = Letter {
        attached: false,
        ..Letter::default()
    };
    single.is(&machine.sends("perl $scripts/sender.pl"));
    Letter::default().is(&machine.sends("perl $scripts/lite.pl"));
    machine.goes_offline();
    for script in ["sender.pl", "lite.pl"] {
        let ran = machine.shell(&format!("perl $scripts/{script}"));
        assert!(ran.stdout.starts_with("failed"), "{ran:?}");
    }
}

#[test]
fn python_hands_over_a_message_of_its_standard_library() {
    let Some(machine) = Machine::with(&["python3"]) else {
        return;
    };
    // What set_content() is given becomes whole lines.
    let letter = Letter {
        added: "\n",
        ..Letter::default()
    };
    letter.is(&machine.sends("python3 $scripts/message.py -f noreply@contoso.test"));
    let unnamed = Letter {
        sender: ALERTS,
        ..letter
    };
    unnamed.is(&machine.sends("python3 $scripts/message.py"));
    machine.goes_offline();
    let ran = machine.shell("python3 $scripts/message.py");
    assert!(ran.stdout.contains("exit status 75"), "{ran:?}");
}
