//! argv\[0\] and argv into an invocation, as getopt reads them.
//!
//! Options end at the first recipient: callers append addresses that they do not trust without a
//! `--` before them, so a recipient `-Xfile` has to stay a recipient.

use super::commands::{Asked, VERBS, Verb};
use super::help::verb_usage;
use super::options::{Name, OPTIONS, Opt, Takes};
use super::wishes::{Mode, Wishes};
use super::{Invocation, Invoked, QueueJob, QueueWork, Submission, misuse, shown};
use crate::outcome::Failure;
use lexopt::{Arg, Parser};
use std::ffi::{OsStr, OsString};
use std::iter;
use std::os::unix::ffi::OsStrExt;

/// Reads a whole argv, the program's name first.
pub fn parse(argv: Vec<OsString>) -> Invoked {
    let mut words = argv.into_iter();
    let path = words.next();
    let name = path.as_deref().map_or(&b""[..], basename);
    let args: Vec<OsString> = words.collect();
    let (invocation, drain, quiet) = match name {
        b"sendmail365" if !args.first().is_some_and(|first| is_option(first)) => {
            (command(args), false, false)
        }
        _ if path.is_none() => {
            let failure = misuse("called without a name (argc is 0)");
            (Err(failure), false, false)
        }
        _ => sendmail(name, args),
    };
    let program = match name {
        b"" => "sendmail".to_owned(),
        name => shown(OsStr::from_bytes(name)),
    };
    let with_cure = |failure: Failure| match failure.cure() {
        Some(_) => failure,
        None => failure.fix(format!("see `{program} --help`")),
    };
    Invoked {
        drain: drain || invocation.is_err(),
        invocation: invocation.map_err(with_cure),
        program,
        quiet,
    }
}

fn basename(path: &OsStr) -> &[u8] {
    let octets = path.as_bytes();
    octets
        .rsplit(|&octet| octet == b'/')
        .next()
        .unwrap_or(octets)
}

fn is_option(word: &OsStr) -> bool {
    word.len() > 1 && word.as_bytes().starts_with(b"-")
}

/// The sendmail interface, and the values of `Invoked` that go with it: drain and quiet.
fn sendmail(name: &[u8], args: Vec<OsString>) -> (Result<Invocation, Failure>, bool, bool) {
    let mode = match name {
        b"mailq" => Mode::List,
        b"newaliases" => Mode::Aliases,
        _ => Mode::Deliver,
    };
    let mut wishes = Wishes {
        mode,
        ..Wishes::default()
    };
    let read = read_sendmail(&mut wishes, args);
    if name == b"sendmail365"
        && let Some(verb) = verb_behind_options(&wishes.submission)
    {
        let fix = format!("write `sendmail365 {verb} ...`, its options after it");
        let failure = misuse(format!("{verb} has to be the first word")).fix(fix);
        return (Err(failure), false, false);
    }
    let asks_quiet = wishes.submission.quiet;
    let invocation = read.and_then(|()| settle(wishes));
    let drain = matches!(
        &invocation,
        Ok(Invocation::Submit(_) | Invocation::Preview(_))
    );
    let quiet = asks_quiet
        && matches!(
            &invocation,
            Ok(Invocation::Submit(_) | Invocation::Preview(_)) | Err(_)
        );
    (invocation, drain, quiet)
}

/// A verb where addresses stand; with -i or -t it is one, for a person who types both means mail.
fn verb_behind_options(submission: &Submission) -> Option<&'static str> {
    let first = submission.recipients.first()?;
    let is_mail = submission.dot_is_text || submission.recipients_from_header;
    let mut verbs = VERBS.iter().map(|verb| verb.name);
    verbs.find(|&name| !is_mail && first == name)
}

fn read_sendmail(wishes: &mut Wishes, args: Vec<OsString>) -> Result<(), Failure> {
    let mut parser = parser(args);
    while wishes.answer.is_none() {
        let arg = match parser.next().map_err(misread)? {
            None => break,
            Some(Arg::Value(first)) => {
                let rest = parser.raw_args().map_err(misread)?;
                wishes.submission.recipients = iter::once(first).chain(rest).collect();
                break;
            }
            Some(option) => option,
        };
        let row = known(OPTIONS, &arg)?;
        take(row, &mut parser, wishes)?;
    }
    Ok(())
}

/// What the wishes mean together.
fn settle(wishes: Wishes) -> Result<Invocation, Failure> {
    if let Some(answer) = wishes.answer {
        return Ok(answer);
    }
    let submission = wishes.submission;
    let has_words = !submission.recipients.is_empty();
    let has_message = submission.recipients_from_header || wishes.dry_run;
    if wishes.json && wishes.mode != Mode::List {
        return Err(misuse("--json goes with -bp only"));
    }
    match wishes.mode {
        Mode::Deliver if !has_words && !submission.recipients_from_header => {
            if wishes.asks_version {
                return Ok(Invocation::Version);
            }
            Err(misuse("no recipients").because("neither an address nor -t was given"))
        }
        Mode::Deliver if wishes.dry_run => Ok(Invocation::Preview(submission)),
        Mode::Deliver => Ok(Invocation::Submit(submission)),
        Mode::Verify if has_message => Err(misuse("-t and --dry-run are for messages only")),
        Mode::Verify if !has_words => Err(misuse("no addresses for -bv")),
        Mode::Verify => Ok(Invocation::Verify(submission)),
        _ if has_message => Err(misuse("-t and --dry-run are for messages only")),
        _ if has_words => Err(misuse(
            "recipients go with a message only, not with this mode",
        )),
        Mode::Serve => Ok(Invocation::Serve(submission)),
        Mode::Run => Ok(Invocation::RunQueue(super::QueueRun {
            config: submission.config,
            verbose: submission.verbose,
            ..wishes.run
        })),
        Mode::Attend if submission.config.is_some() => Err(misuse("-C does not go with --socket")),
        Mode::Attend => Ok(Invocation::Attend),
        Mode::Version => Ok(Invocation::Version),
        Mode::Nothing => Ok(Invocation::Nothing),
        Mode::Aliases => Ok(Invocation::Aliases {
            config: submission.config,
        }),
        Mode::Check => Ok(Invocation::Check {
            config: submission.config,
        }),
        Mode::List => Ok(Invocation::Queue(QueueWork {
            config: submission.config,
            job: QueueJob::List {
                failed: false,
                verbose: submission.verbose,
                json: wishes.json,
            },
        })),
        Mode::Count => Ok(Invocation::Queue(QueueWork {
            config: submission.config,
            job: QueueJob::Count,
        })),
    }
}

/// The verbs of sendmail365.
fn command(args: Vec<OsString>) -> Result<Invocation, Failure> {
    let mut words = args.into_iter();
    let name = words.next().ok_or_else(|| misuse("nothing to do"))?;
    let verb = VERBS.iter().find(|verb| name == *verb.name);
    let verb = verb.ok_or_else(|| {
        misuse(format!("unknown command {}", shown(&name))).fix(
            "to send: `sendmail365 -i ADDRESS` or `sendmail365 -i -t`, the message on standard \
             input; see `sendmail365 --help`",
        )
    })?;
    let asked = read_command(verb, words.collect())?;
    if asked.help {
        return Ok(Invocation::Help);
    }
    if !(verb.fits)(&asked.operands) {
        return Err(misuse(format!("wrong words after {}", verb.name))
            .fix(format!("usage: {}", verb_usage(verb))));
    }
    (verb.settle)(asked)
}

/// Options of a verb may stand anywhere: a person types them, no program appends words.
fn read_command(verb: &Verb, args: Vec<OsString>) -> Result<Asked, Failure> {
    let mut asked = Asked::default();
    let mut parser = parser(args);
    while let Some(arg) = parser.next().map_err(misread)? {
        if let Arg::Value(operand) = arg {
            asked.operands.push(operand);
            continue;
        }
        let row = known(verb.options, &arg)?;
        take(row, &mut parser, &mut asked)?;
    }
    Ok(asked)
}

fn parser(args: Vec<OsString>) -> Parser {
    let mut parser = Parser::from_args(args);
    // getopt keeps the sign: the value of `-f=a` is `=a`.
    parser.set_short_equals(false);
    parser
}

fn known<W>(table: &'static [Opt<W>], arg: &Arg) -> Result<&'static Opt<W>, Failure> {
    let row = table.iter().find(|row| match (row.name, arg) {
        (Name::Short(letter), Arg::Short(typed)) => letter == *typed,
        (Name::Long(word), Arg::Long(typed)) => word == *typed,
        _ => false,
    });
    row.ok_or_else(|| {
        let typed = match arg {
            Arg::Short(letter) => format!("-{letter}"),
            Arg::Long(word) => format!("--{word}"),
            Arg::Value(word) => return misuse(format!("unknown word {}", shown(word))),
        };
        misuse(format!("unknown option {}", shown(OsStr::new(&typed))))
    })
}

fn take<W>(row: &Opt<W>, parser: &mut Parser, wishes: &mut W) -> Result<(), Failure> {
    match (&row.takes, row.name) {
        (Takes::Value(value_name, wish), name) => {
            let missing = |_| misuse(format!("option {name} without its {value_name}"));
            let value = parser.value().map_err(missing)?;
            wish(wishes, value)
        }
        (Takes::Glued(_, wish), _) => wish(wishes, parser.optional_value()),
        (Takes::Nothing(wish), Name::Short(_)) => {
            wish(wishes);
            Ok(())
        }
        (Takes::Nothing(wish), name @ Name::Long(_)) => match parser.optional_value() {
            Some(_) => Err(misuse(format!("option {name} takes no value"))),
            None => {
                wish(wishes);
                Ok(())
            }
        },
    }
}

fn misread(error: lexopt::Error) -> Failure {
    misuse("the options cannot be read").because(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Way;
    use crate::cli::{Delivery, Doctor, Explain, Login, Submission};
    use crate::cli::{QueuePart, QueueRun, Trial};
    use crate::mail::dsn::{Envid, Notify, Ret};
    use crate::outcome::{Class, Stage};
    use std::os::unix::ffi::OsStringExt;
    use std::path::PathBuf;

    /// Words as a shell splits them, with `''` for quotes.
    fn words(line: &str) -> Vec<OsString> {
        let split = line.split(' ').filter(|word| !word.is_empty());
        split
            .map(|word| OsString::from(word.replace('\'', "")))
            .collect()
    }

    fn called(line: &str) -> Invoked {
        parse(words(line))
    }

    fn submission(line: &str) -> Submission {
        match called(&format!("sendmail {line}")).invocation {
            Ok(Invocation::Submit(submission)) => submission,
            other => panic!("{line}: {other:?}"),
        }
    }

    fn failure(line: &str) -> Failure {
        let failure = called(line).invocation.expect_err(line);
        assert_eq!(failure.class(), Class::Usage, "{line}");
        assert_eq!(failure.stage(), Some(Stage::Argv), "{line}");
        assert!(failure.cure().is_some(), "{line}");
        failure
    }

    fn work(job: QueueJob) -> Invocation {
        Invocation::Queue(QueueWork { config: None, job })
    }

    fn listed() -> Invocation {
        work(QueueJob::List {
            failed: false,
            verbose: false,
            json: false,
        })
    }

    /// The part of a submission that callers rely on, in one line.
    fn digest(submission: &Submission) -> String {
        let word = |word: &OsString| word.to_string_lossy().into_owned();
        let mut text = vec![];
        if submission.recipients_from_header {
            text.push("-t".to_owned());
        }
        if submission.dot_is_text {
            text.push("-i".to_owned());
        }
        text.extend(
            submission
                .sender
                .iter()
                .map(|sender| format!("-f{}", word(sender))),
        );
        text.extend(
            submission
                .full_name
                .iter()
                .map(|name| format!("-F{}", word(name))),
        );
        text.extend(submission.recipients.iter().map(word));
        text.join(" ")
    }

    /// What programs in the wild pass, and what we make of it.
    const CALLERS: &[(&str, &str, &str)] = &[
        ("PHP mail()", "-t -i", "-t -i"),
        (
            "PHP mail(), 5th parameter",
            "-t -i -f b@x.test",
            "-t -i -fb@x.test",
        ),
        (
            "Debian cron",
            "-FCronDaemon -i -B8BITMIME -oem joe",
            "-i -FCronDaemon joe",
        ),
        (
            "cronie",
            "-FCronDaemon -i -odi -oem -oi -t -f root",
            "-t -i -froot -FCronDaemon",
        ),
        ("anacron", "-FAnacron -odi x@x.test", "-FAnacron x@x.test"),
        ("atd", "-i joe", "-i joe"),
        (
            "git send-email",
            "-i l@x.test ann@x.test hid@x.test",
            "-i l@x.test ann@x.test hid@x.test",
        ),
        (
            "git, envelopeSender",
            "-f jo@x.test -i l@x.test jo@x.test",
            "-i -fjo@x.test l@x.test jo@x.test",
        ),
        (
            "git post-receive-email",
            "-t -f git@x.test",
            "-t -fgit@x.test",
        ),
        (
            "s-nail",
            "-i -- u@x.test cc@x.test bcc@x.test",
            "-i u@x.test cc@x.test bcc@x.test",
        ),
        (
            "s-nail -r",
            "-i -f from@x.test -- u@x.test",
            "-i -ffrom@x.test u@x.test",
        ),
        ("bsd-mailx", "-i -t", "-t -i"),
        (
            "bsd-mailx -r",
            "-i -t -f from@x.test",
            "-t -i -ffrom@x.test",
        ),
        (
            "mutt",
            "-oem -oi -- u@x.test cc@x.test",
            "-i u@x.test cc@x.test",
        ),
        (
            "mutt with DSN",
            "-oem -oi -B8BITMIME -f me@x.test -N failure,delay -R hdrs -- u@x.test",
            "-i -fme@x.test u@x.test",
        ),
        ("Emacs", "-oi -oep -odi -t", "-t -i"),
        (
            "Symfony, -t cut out",
            "-oi -ff@x.test -- t@x.test b@x.test",
            "-i -ff@x.test t@x.test b@x.test",
        ),
        (
            "Symfony native",
            "-i -ff@x.test -- t@x.test b@x.test",
            "-i -ff@x.test t@x.test b@x.test",
        ),
        ("Swift -t", "-t -frp@x.test", "-t -frp@x.test"),
        ("Swift -t -i", "-t -i -frp@x.test", "-t -i -frp@x.test"),
        (
            "PHPMailer isSendmail()",
            "-t -i -oi -ff@x.test -t",
            "-t -i -ff@x.test",
        ),
        (
            "PHPMailer isMail(), WordPress",
            "-t -i -ff@x.test",
            "-t -i -ff@x.test",
        ),
        ("MediaWiki", "-t -i -f wiki@x.test", "-t -i -fwiki@x.test"),
        (
            "nodemailer",
            "-i -f f@x.test t@x.test c@x.test",
            "-i -ff@x.test t@x.test c@x.test",
        ),
        (
            "nodemailer, args",
            "-i -i -t t@x.test c@x.test",
            "-t -i t@x.test c@x.test",
        ),
        (
            "Ruby mail",
            "-i -f env@x.test -- t@x.test b@x.test",
            "-i -fenv@x.test t@x.test b@x.test",
        ),
        (
            "GitLab",
            "-i -f gitlab@x.test -- t@x.test",
            "-i -fgitlab@x.test t@x.test",
        ),
        (
            "Email::Sender",
            "-i -f env@x.test -- t@x.test",
            "-i -fenv@x.test t@x.test",
        ),
        (
            "Mail::Mailer, mdadm, sudo, logwatch, debsecan, bts, nmudiff",
            "-t",
            "-t",
        ),
        ("Request Tracker", "-oi -t -f '<>'", "-t -i -f<>"),
        (
            "Request Tracker, documented",
            "-oi -t -ODeliveryMode=b -OErrorMode=m -f rt@x.test",
            "-t -i -frt@x.test",
        ),
        ("fail2ban", "-f fail2ban root", "-ffail2ban root"),
        (
            "fail2ban xarf",
            "abuse@x.test abuse2@x.test",
            "abuse@x.test abuse2@x.test",
        ),
        ("unattended-upgrades, apt-listchanges", "-oi -t", "-t -i"),
        ("logcheck via mime-construct", "-oi logcheck", "-i logcheck"),
        (
            "Evolution",
            "-i -f me@x.test -- t@x.test b@x.test",
            "-i -fme@x.test t@x.test b@x.test",
        ),
        ("Claws Mail, stg mail", "-t -i", "-t -i"),
        ("formail, rsnaptar", "-t -oi", "-t -i"),
        ("bashbug", "-i -t", "-t -i"),
        (
            "quilt",
            "-f me@x.test l@x.test b@x.test",
            "-fme@x.test l@x.test b@x.test",
        ),
        (
            "msmtp in php.ini",
            "--read-recipients --from=a@x.test",
            "-t -fa@x.test",
        ),
    ];

    #[test]
    fn every_known_caller_is_understood() {
        for (caller, line, wanted) in CALLERS {
            let found = submission(line);
            assert_eq!(digest(&found), *wanted, "{caller}");
            assert_eq!(found.notes, [""; 0], "{caller}");
        }
        // Symfony, Swift, Laravel and Nextcloud; Pine and MH; check_mailq.
        for line in ["-bs", "-bs -odb -oem", "-bs -odb -oem -om", "-ba"] {
            let invoked = called(&format!("sendmail {line}"));
            assert!(
                matches!(invoked.invocation, Ok(Invocation::Serve(_))),
                "{line}"
            );
            assert!(!invoked.drain);
        }
        assert_eq!(called("/usr/bin/mailq").invocation.ok(), Some(listed()));
    }

    #[test]
    fn options_end_at_the_first_recipient() {
        assert_eq!(
            digest(&submission("-i root -Xfile -t --help -- -f")),
            "-i root -Xfile -t --help -- -f"
        );
        assert_eq!(digest(&submission("-- -t -i")), "-t -i");
        assert_eq!(submission("-- -t").recipients, ["-t"]);
        assert_eq!(submission("- -i").recipients, ["-", "-i"]);
        assert_eq!(submission("'' -i").recipients, ["", "-i"]);
    }

    #[test]
    fn a_value_is_glued_or_the_next_word_whatever_it_looks_like() {
        assert_eq!(digest(&submission("-f -t root")), "-f-t root");
        assert_eq!(digest(&submission("-f -- root")), "-f-- root");
        assert_eq!(digest(&submission("-f=a root")), "-f=a root");
        assert_eq!(digest(&submission("-tif a")), "-t -i -fa");
        assert_eq!(digest(&submission("-itfa")), "-t -i -fa");
        assert_eq!(submission("-f '' root").sender, Some(OsString::new()));
        assert_eq!(
            failure("sendmail -t -f").what(),
            "option -f without its address"
        );
        assert_eq!(
            failure("sendmail --from").what(),
            "option --from without its address"
        );
    }

    #[test]
    fn the_last_sender_wins() {
        assert_eq!(digest(&submission("-t -fa -r b --from c")), "-t -fc");
        assert!(submission("-t -f a --read-envelope-from").sender_from_header);
        assert_eq!(submission("-t -f a --read-envelope-from").sender, None);
        assert!(!submission("-t --read-envelope-from -f a").sender_from_header);
    }

    #[test]
    fn the_dot_rule_is_switched_by_every_spelling() {
        for on in [
            "-i",
            "-oi",
            "-o i",
            "-oitrue",
            "-OIgnoreDots",
            "-O ignoredots=True",
        ] {
            assert!(submission(&format!("-t {on}")).dot_is_text, "{on}");
        }
        for off in ["-v", "-om", "-i -oifalse", "-i -OIgnoreDots=false"] {
            assert!(!submission(&format!("-t {off}")).dot_is_text, "{off}");
        }
    }

    #[test]
    fn when_to_send_and_what_to_print_are_read() {
        let rows = [
            ("-t", Delivery::Default),
            ("-t -odb", Delivery::Background),
            ("-t -odi", Delivery::Now),
            ("-t -od f", Delivery::Default),
            ("-t -odq", Delivery::QueueOnly),
            ("-t -ODeliveryMode=deferred", Delivery::QueueOnly),
        ];
        for (line, delivery) in rows {
            assert_eq!(submission(line).delivery, delivery, "{line}");
        }
        assert!(submission("-t -oeq").quiet);
        assert!(submission("-t -e q").quiet);
        assert!(submission("-t -OErrorMode=quiet").quiet);
        assert!(!submission("-t -eq -oem").quiet);
        for (line, quiet) in [
            ("-t -oeq", true),
            ("-oeq -Z a@x.test", true),
            ("-oeq", true),
            ("-Z -oeq a@x.test", false),
            ("-oeq -bp", false),
            ("-oeq -bv a@x.test", false),
        ] {
            assert_eq!(called(&format!("sendmail {line}")).quiet, quiet, "{line}");
        }
        assert!(submission("-t -B 8bitmime").notes.is_empty());
    }

    #[test]
    fn wishes_for_notifications_are_valid_or_noted() {
        let all = Notify::On {
            success: true,
            failure: true,
            delay: true,
        };
        assert_eq!(
            submission("-t -Nsuccess,DELAY,failure").dsn.notify,
            Some(all)
        );
        assert_eq!(submission("-t -N never").dsn.notify, Some(Notify::Never));
        assert_eq!(submission("-t -R hdrs -Rfull").dsn.ret, Some(Ret::Full));
        assert_eq!(submission("-t -V a+2Bb").dsn.envid, Envid::parse("a+2Bb"));
        let bad = [
            "-N never,delay",
            "-N ''",
            "-R all",
            "-V a=b",
            "-V a+2b",
            "-V ''",
            "-B BINARYMIME",
        ];
        for option in bad {
            let found = submission(&format!("-t {option}"));
            assert_eq!(found.dsn, Default::default(), "{option}");
            assert_eq!(found.notes, [option.replace("''", "").trim_end()]);
        }
        let long = format!("-t -V {}", "a".repeat(101));
        assert_eq!(submission(&long).dsn.envid, None);
    }

    #[test]
    fn files_that_the_caller_names_are_noted_and_nothing_else() {
        let found = submission("-t -X/tmp/x -D d -oA/etc/a -oQ/tmp -OQueueDirectory=/tmp -XV");
        let notes = [
            "-X /tmp/x",
            "-D d",
            "-o A/etc/a",
            "-o Q/tmp",
            "-O QueueDirectory=/tmp",
            "-X V",
        ];
        assert_eq!(found.notes, notes);
        assert_eq!(digest(&found), "-t");
        assert_eq!(submission("-t -apSECRET -auUSER").notes, ["-a", "-a"]);
    }

    #[test]
    fn notes_are_escaped_cut_and_few() {
        let mut argv = words("sendmail -t");
        argv.push(OsString::from_vec(b"-X\n\xff\x1b".repeat(50)));
        argv.extend(vec![OsString::from("-Xx"); 5000]);
        let Ok(Invocation::Submit(found)) = parse(argv).invocation else {
            panic!("refused");
        };
        assert_eq!(found.notes.len(), 16);
        assert!(found.notes[0].starts_with("-X \\x0a\\xff\\x1b-X"));
        assert!(found.notes[0].len() < 250);
    }

    #[test]
    fn options_of_other_mailers_are_accepted() {
        let line = "-m -om -n -U -G -h 25 -L tag -p SMTP:host -A c -M xvalue -Ac -o7 -o8 -oo -os \
                    -oT1h -or5m -s -c -T -x -E -Ev -J -d -d0.1 -d21.12 -v -OMaxHopCount=3 root";
        assert_eq!(digest(&submission(line)), "root");
        assert!(submission("-nv root").no_aliases);
        assert!(submission("-nv root").verbose);
        assert_eq!(
            submission("-C my.toml -t").config,
            Some(PathBuf::from("my.toml"))
        );
    }

    #[test]
    fn a_message_for_nobody_is_refused() {
        for line in [
            "sendmail",
            "sendmail -i",
            "sendmail -f a",
            "send-mail --",
            "sendmail --dry-run",
        ] {
            assert_eq!(failure(line).what(), "no recipients", "{line}");
        }
        assert!(parse(Vec::new()).invocation.is_err());
    }

    fn runs(line: &str) -> QueueRun {
        match called(line).invocation {
            Ok(Invocation::RunQueue(run)) => run,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn a_run_of_the_queue_is_limited_by_its_filters() {
        assert!(runs("sendmail -qf").at_once);
        let of_a_person = QueueRun {
            progress: true,
            ..QueueRun::default()
        };
        assert_eq!(runs("sendmail365 queue run"), of_a_person);
        assert!(runs("sendmail -q -v").verbose && !runs("sendmail -q").verbose);
        let filters = runs("sendmail -qI42 -q!Rjoe -qSx").filters;
        let seen: Vec<(QueuePart, &str, bool)> = filters
            .iter()
            .map(|filter| (filter.part, filter.text.as_str(), filter.negated))
            .collect();
        assert_eq!(
            seen,
            [
                (QueuePart::Id, "42", false),
                (QueuePart::Recipient, "joe", true),
                (QueuePart::Sender, "x", false),
            ]
        );
    }

    #[test]
    fn unknown_options_are_refused_and_named() {
        assert_eq!(failure("sendmail -Z").what(), "unknown option -Z");
        assert_eq!(failure("sendmail -ti-").what(), "unknown option --");
        assert_eq!(
            failure("sendmail --no-such").what(),
            "unknown option --no-such"
        );
        assert_eq!(
            failure("sendmail --check=1").what(),
            "option --check takes no value"
        );
        assert_eq!(
            failure("sendmail --help=1").what(),
            "option --help takes no value"
        );
        assert_eq!(
            failure("/usr/lib/sendmail -Z root").lines("sendmail"),
            [
                "sendmail: unknown option -Z",
                "sendmail: see `sendmail --help`"
            ]
        );
        let argv = vec![
            "sendmail".into(),
            OsString::from_vec(b"--\xff\x1b[2J".repeat(300)),
        ];
        let failure = parse(argv).invocation.expect_err("not an option");
        assert!(failure.what().is_ascii() && failure.what().len() < 300);
    }

    #[test]
    fn modes_without_a_message_take_neither_recipients_nor_t() {
        let modes = ["-q", "-qf"];
        for mode in modes.iter().chain(&["-q15m", "-qI42", "-q!Rjoe", "-qSx"]) {
            runs(&format!("sendmail -v {mode}"));
            failure(&format!("sendmail {mode} root"));
            failure(&format!("sendmail -t {mode}"));
        }
        for mode in [
            "-bV", "-bh", "-bH", "-bs", "-ba", "-bi", "-I", "-bC", "--check", "-bp", "-bpc", "-bP",
        ] {
            failure(&format!("sendmail {mode} root"));
            failure(&format!("sendmail {mode} -t"));
            failure(&format!("sendmail {mode} --dry-run"));
        }
        for line in ["-bv", "-bv -t root", "-bv --dry-run root"] {
            failure(&format!("sendmail {line}"));
        }
    }

    #[test]
    fn modes_that_will_never_be_are_refused() {
        for mode in [
            "-bt", "-bd", "-bD", "-bl", "-bz", "-b ''", "-bpx", "-qp", "-qG", "-qL", "-qQ",
        ] {
            failure(&format!("sendmail {mode}"));
        }
        for mode in ["-qI", "-q!R", "-qx", "-q15x", "-q!f", "-Q", "-Qspam"] {
            failure(&format!("sendmail {mode}"));
        }
        let lines = failure("sendmail -bd -q15m").lines("sendmail");
        assert!(lines[0].contains("there is no daemon"), "{lines:?}");
        assert!(lines[0].contains("sendmail365-queue.timer"), "{lines:?}");
    }

    #[test]
    fn wrong_words_after_a_verb_show_the_options_that_it_takes() {
        let cure = |line| failure(line).cure().unwrap_or_default().to_owned();
        assert_eq!(
            cure("sendmail365 login x"),
            "usage: sendmail365 login [-C file] [--import=file] [--browser] [--paste]"
        );
        assert_eq!(
            cure("sendmail365 test"),
            "usage: sendmail365 test [-C file] address"
        );
    }

    #[test]
    fn the_last_mode_wins_over_the_name() {
        let aliases = || Invocation::Aliases { config: None };
        for line in ["newaliases", "sendmail -I", "mailq -bi"] {
            assert_eq!(called(line).invocation.ok(), Some(aliases()), "{line}");
        }
        assert_eq!(called("newaliases -bp").invocation.ok(), Some(listed()));
        assert_eq!(runs("mailq -q"), QueueRun::default());
        assert_eq!(digest(&submission("-q -bm root")), "root");
        assert!(called("mailq -bm root").invocation.is_ok());
    }

    #[test]
    fn help_and_version_are_answered_whatever_follows() {
        for line in [
            "sendmail --help -Z",
            "sendmail365 --help",
            "mailq --help",
            "sendmail365 login --help",
        ] {
            assert_eq!(
                called(line).invocation.ok(),
                Some(Invocation::Help),
                "{line}"
            );
        }
        let versions = [
            "sendmail --version",
            "sendmail -bV",
            "sendmail -d0.1",
            "sendmail365 --version",
        ];
        for line in versions {
            assert_eq!(
                called(line).invocation.ok(),
                Some(Invocation::Version),
                "{line}"
            );
        }
        assert_eq!(
            called("sendmail -bh").invocation.ok(),
            Some(Invocation::Nothing)
        );
        assert_eq!(digest(&submission("-d0.1 root")), "root");
    }

    #[test]
    fn a_check_takes_the_settings_that_it_is_to_check() {
        let config = || Some(PathBuf::from("f"));
        let check = || Invocation::Check { config: config() };
        for line in ["sendmail365 --check -C f", "sendmail -C f -bC"] {
            assert_eq!(called(line).invocation.ok(), Some(check()), "{line}");
        }
        let wishes = || Submission {
            config: config(),
            no_aliases: true,
            recipients: words("root joe"),
            ..Submission::default()
        };
        let verify = called("sendmail -C f -n -bv root joe").invocation.ok();
        assert_eq!(verify, Some(Invocation::Verify(wishes())));
        let preview = called("sendmail --dry-run -n -Cf root joe").invocation.ok();
        assert_eq!(preview, Some(Invocation::Preview(wishes())));
    }

    #[test]
    fn messages_stand_under_the_name_of_the_call() {
        for (path, program) in [
            ("sendmail", "sendmail"),
            ("/usr/sbin/sendmail", "sendmail"),
            ("/usr/bin/mailq", "mailq"),
            ("./sendmail365", "sendmail365"),
            ("", "sendmail"),
            ("/", "sendmail"),
            ("x/\n\u{1b}", "\\x0a\\x1b"),
        ] {
            assert_eq!(parse(vec![path.into()]).program, program);
        }
        assert_eq!(parse(Vec::new()).program, "sendmail");
        assert!(parse(vec!["a".repeat(9999).into()]).program.len() < 70);
    }

    #[test]
    fn a_caller_that_may_be_writing_a_message_is_read_to_the_end() {
        let drained = [
            "sendmail -t",
            "sendmail",
            "sendmail -Z",
            "sendmail -t -bz",
            "sendmail --dry-run root",
            "sendmail --dry-run -t -Z",
            "sendmail -q15m -t",
            "sendmail -bp root",
            "sendmail -bd",
            "sendmail -qp",
            "mailq -t",
        ];
        for line in drained
            .iter()
            .chain(&["sendmail365 -Z", "send-mail -f", "other -Q", "''"])
            .chain(&[
                "sendmail365",
                "sendmail365 nope",
                "sendmail365 root",
                "sendmail365 queue x",
            ])
        {
            assert!(called(line).drain, "{line}");
        }
        assert!(parse(Vec::new()).drain);
        let left = ["mailq", "sendmail -bs", "sendmail -q"];
        let answered = [
            "sendmail --help",
            "sendmail -d0.1",
            "sendmail -bv root",
            "sendmail -bh",
            "newaliases",
        ];
        for line in left
            .iter()
            .chain(&answered)
            .chain(&["sendmail365 queue", "sendmail365 login"])
        {
            assert!(!called(line).drain, "{line}");
        }
    }

    #[test]
    fn sendmail365_takes_a_verb_or_options() {
        let import = called("sendmail365 login --import - -C my.toml")
            .invocation
            .ok();
        let login = Login {
            config: Some("my.toml".into()),
            way: Way::Import("-".into()),
        };
        assert_eq!(import, Some(Invocation::Login(login)));
        assert!(matches!(
            called("sendmail365 -t -i").invocation,
            Ok(Invocation::Submit(_))
        ));
        assert!(matches!(
            called("sendmail login").invocation,
            Ok(Invocation::Submit(_))
        ));
        for (line, way) in [
            ("login", Way::Device),
            ("login --paste", Way::Paste),
            ("login --browser", Way::Browser),
        ] {
            let login = Login { config: None, way };
            let invocation = called(&format!("sendmail365 {line}")).invocation.ok();
            assert_eq!(invocation, Some(Invocation::Login(login)), "{line}");
        }
        for json in [false, true] {
            let line = if json { "doctor --json" } else { "doctor" };
            let doctor = Doctor { config: None, json };
            let invocation = called(&format!("sendmail365 {line}")).invocation.ok();
            assert_eq!(invocation, Some(Invocation::Doctor(doctor)), "{line}");
        }
    }

    #[test]
    fn the_verbs_of_a_new_host_take_what_is_typed() {
        let status = |json| Invocation::Status { config: None, json };
        let trial = Trial {
            config: Some("f".into()),
            addresses: vec!["a@x.test".into()],
        };
        for (line, wanted) in [
            ("status", status(false)),
            ("status --json", status(true)),
            ("test -C f a@x.test", Invocation::Test(trial)),
        ] {
            let invocation = called(&format!("sendmail365 {line}")).invocation.ok();
            assert_eq!(invocation, Some(wanted), "{line}");
        }
        let given = |key, text: &str| crate::cli::Given {
            section: "account",
            key,
            text: text.to_owned(),
        };
        let setup = crate::cli::Setup {
            config: Some("f".into()),
            given: vec![given("mailbox", "a@x.test"), given("tenant", "x.test")],
            yes: true,
            no_login: false,
            no_test: true,
        };
        let line = "sendmail365 setup --tenant=y --mailbox a@x.test --tenant x.test --yes \
                    --no-test -C f";
        let invocation = called(line).invocation.ok();
        assert_eq!(invocation, Some(Invocation::Setup(setup)));
        let explain = |words: &[&str], json| {
            let words = words.iter().map(OsString::from).collect();
            Invocation::Explain(Explain { words, json })
        };
        for (line, asked) in [
            ("explain 550 5.7.60", explain(&["550", "5.7.60"], false)),
            ("explain -C f --json -", explain(&["-"], true)),
            ("explain -- -x", explain(&["-x"], false)),
        ] {
            let invocation = called(&format!("sendmail365 {line}")).invocation;
            assert_eq!(invocation.ok(), Some(asked), "{line}");
        }
    }

    #[test]
    fn the_queue_is_listed_shown_and_tended() {
        let id = || "42".to_owned();
        let list = |failed, verbose, json| {
            work(QueueJob::List {
                failed,
                verbose,
                json,
            })
        };
        let all = [
            ("sendmail -bp", listed()),
            ("sendmail -bp -v --json", list(false, true, true)),
            ("sendmail -bpc", work(QueueJob::Count)),
            ("mailq -bP", work(QueueJob::Count)),
            ("sendmail365 queue", listed()),
            (
                "sendmail365 queue --failed list -v",
                list(true, true, false),
            ),
            (
                "sendmail365 queue show 42 --body",
                work(QueueJob::Show {
                    id: id(),
                    body: true,
                    json: false,
                }),
            ),
            (
                "sendmail365 queue resend 42",
                work(QueueJob::Resend { id: id() }),
            ),
            (
                "sendmail365 queue drop 42",
                work(QueueJob::Drop { id: id() }),
            ),
        ];
        for (line, wanted) in all {
            assert_eq!(called(line).invocation.ok(), Some(wanted), "{line}");
        }
        for line in ["sendmail --json root", "sendmail -bpc --json", "mailq -t"] {
            failure(line);
        }
    }

    #[test]
    fn a_verb_behind_options_is_no_recipient() {
        for line in ["-C f login --import t", "-v test a@x.test", "-C f doctor"] {
            let failure = failure(&format!("sendmail365 {line}"));
            assert!(
                failure.what().ends_with("has to be the first word"),
                "{line}"
            );
        }
        for line in [
            "sendmail365 -i -C f test",
            "sendmail365 -t queue",
            "sendmail -C f test",
        ] {
            let invocation = called(line).invocation;
            assert!(matches!(invocation, Ok(Invocation::Submit(_))), "{line}");
        }
    }

    #[test]
    fn a_verb_used_wrongly_is_refused() {
        for line in [
            "",
            "root",
            "-",
            "login x",
            "login --import",
            "login --import f --paste",
        ] {
            failure(&format!("sendmail365 {line}"));
        }
        for line in [
            "login --json",
            "doctor x",
            "test",
            "test a b",
            "queue x",
            "queue show",
            "queue drop 42 --json",
            "queue run --json",
            "queue --body",
            "queue show 42 --failed",
            "explain",
        ] {
            failure(&format!("sendmail365 {line}"));
        }
        assert_eq!(failure("sendmail365 status -t").what(), "unknown option -t");
        let failure = failure("sendmail365 root@x.test");
        assert_eq!(failure.what(), "unknown command root@x.test");
        assert!(
            failure
                .cure()
                .is_some_and(|cure| cure.starts_with("to send: "))
        );
    }

    #[test]
    fn words_that_are_not_utf8_are_kept_byte_for_byte() {
        let odd = || OsString::from_vec(b"\xff\n@x".to_vec());
        let argv = vec!["sendmail".into(), "-F".into(), odd(), "-i".into(), odd()];
        let Ok(Invocation::Submit(found)) = parse(argv).invocation else {
            panic!("refused");
        };
        assert_eq!(found.full_name, Some(odd()));
        assert_eq!(found.recipients, [odd()]);
    }

    /// getopt of POSIX over the same rows, written down without looking at lexopt.
    fn getopt(args: &[OsString], wishes: &mut Wishes) -> Result<(), ()> {
        let mut next = 0;
        while wishes.answer.is_none() {
            let Some(word) = args.get(next) else { break };
            let word = word.as_bytes();
            if word == b"--" || word.len() < 2 || word[0] != b'-' {
                next += usize::from(word == b"--");
                wishes.submission.recipients = args[next..].to_vec();
                break;
            }
            next += 1;
            match word.strip_prefix(b"--") {
                Some(long) => getopt_long(long, args, &mut next, wishes)?,
                None => getopt_cluster(&word[1..], args, &mut next, wishes)?,
            }
        }
        Ok(())
    }

    fn getopt_cluster(
        cluster: &[u8],
        args: &[OsString],
        next: &mut usize,
        wishes: &mut Wishes,
    ) -> Result<(), ()> {
        for (at, letter) in cluster.iter().enumerate() {
            let name = Name::Short(char::from(*letter));
            let row = OPTIONS
                .iter()
                .find(|row| letter.is_ascii() && row.name == name);
            let rest = &cluster[at + 1..];
            let glued = (!rest.is_empty()).then(|| OsString::from_vec(rest.to_vec()));
            match &row.ok_or(())?.takes {
                Takes::Nothing(wish) => wish(wishes),
                Takes::Glued(_, wish) => return wish(wishes, glued).map_err(drop),
                Takes::Value(_, wish) => {
                    let value = match glued {
                        Some(value) => value,
                        None => {
                            *next += 1;
                            args.get(*next - 1).ok_or(())?.clone()
                        }
                    };
                    return wish(wishes, value).map_err(drop);
                }
            }
        }
        Ok(())
    }

    fn getopt_long(
        word: &[u8],
        args: &[OsString],
        next: &mut usize,
        wishes: &mut Wishes,
    ) -> Result<(), ()> {
        let mut parts = word.splitn(2, |octet| *octet == b'=');
        let name = parts.next().ok_or(())?;
        let glued = parts.next().map(|value| OsString::from_vec(value.to_vec()));
        let is_row =
            |row: &&Opt<Wishes>| matches!(row.name, Name::Long(long) if long.as_bytes() == name);
        match (&OPTIONS.iter().find(is_row).ok_or(())?.takes, glued) {
            (Takes::Nothing(wish), None) => wish(wishes),
            (Takes::Value(_, wish), Some(value)) => wish(wishes, value).map_err(drop)?,
            (Takes::Value(_, wish), None) => {
                *next += 1;
                wish(wishes, args.get(*next - 1).ok_or(())?.clone()).map_err(drop)?;
            }
            _ => return Err(()),
        }
        Ok(())
    }

    fn xorshift(state: &mut u64) -> usize {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        (*state >> 16) as usize
    }

    const PIECES: &[&[u8]] = &[
        b"-",
        b"-",
        b"-",
        b"--",
        b"-o",
        b"-b",
        b"-q",
        b"-f",
        b"=",
        b"a@x",
        b"root",
        b"",
        b" ",
        b"0.1",
        b"\xff",
        b"\xc3",
        b"\xa9",
        b"\n",
        b"\0",
        b"--from",
        b"--from=",
        b"--read-recipients",
        b"--check",
        b"--help",
        b"--dry-run",
        b"odb",
        b"IgnoreDots=",
        b"p",
        b"s",
        b"never",
        b"+2B",
        b"~",
        b"Z",
        b"\xe2\x82\xac",
    ];

    fn random_word(state: &mut u64) -> OsString {
        let mut word = Vec::new();
        for _ in 0..xorshift(state) % 5 {
            match xorshift(state) % 2 {
                0 => word.extend_from_slice(PIECES[xorshift(state) % PIECES.len()]),
                _ => match OPTIONS[xorshift(state) % OPTIONS.len()].name {
                    Name::Short(letter) => word.push(letter as u8),
                    Name::Long(long) => word.extend_from_slice(long.as_bytes()),
                },
            }
        }
        if xorshift(state).is_multiple_of(2) {
            word.insert(0, b'-');
        }
        OsString::from_vec(word)
    }

    #[test]
    fn any_command_line_is_read_as_getopt_reads_it() {
        let (mut state, mut good) = (0x9e37_79b9_7f4a_7c15, 0);
        for _ in 0..60_000 {
            let count = xorshift(&mut state) % 6;
            let args: Vec<OsString> = (0..count).map(|_| random_word(&mut state)).collect();
            let (mut ours, mut theirs) = (Wishes::default(), Wishes::default());
            let read = read_sendmail(&mut ours, args.clone()).is_ok();
            assert_eq!(read, getopt(&args, &mut theirs).is_ok(), "{args:?}");
            if read {
                assert_eq!(ours, theirs, "{args:?}");
                good += 1;
            }
        }
        assert!(good > 10_000, "{good}");
    }

    #[test]
    fn no_command_line_makes_the_parser_panic_or_speak_octets_from_outside() {
        const NAMES: &[&str] = &[
            "sendmail",
            "sendmail365",
            "mailq",
            "newaliases",
            "/x/",
            "\u{1b}",
        ];
        let mut state = 88_172_645_463_325_252;
        for _ in 0..60_000 {
            let count = xorshift(&mut state) % 6;
            let mut argv = vec![OsString::from(NAMES[xorshift(&mut state) % NAMES.len()])];
            if xorshift(&mut state).is_multiple_of(2) {
                argv.push(VERBS[xorshift(&mut state) % VERBS.len()].name.into());
            }
            argv.extend((0..count).map(|_| random_word(&mut state)));
            let invoked = parse(argv.clone());
            let text = match &invoked.invocation {
                Err(failure) => format!("{}{failure:?}", failure.what()),
                Ok(Invocation::Submit(submission)) => submission.notes.concat(),
                Ok(_) => String::new(),
            };
            let printable = |text: &str| text.bytes().all(|octet| matches!(octet, b' '..=b'~'));
            assert!(
                printable(&text) && printable(&invoked.program),
                "{argv:?}: {text}"
            );
        }
    }
}
