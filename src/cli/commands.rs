//! The verbs of sendmail365, once: parser and help are read out of these rows.

mod setup;

use super::options::{Kind, Name, Opt, Takes, opt};
use super::{
    Doctor, Explain, Invocation, Login, QueueJob, QueueRun, QueueWork, Setup, Trial, Way, misuse,
    shown,
};
use crate::outcome::Failure;
use std::ffi::OsString;
use std::path::PathBuf;

/// One verb: `sendmail365 VERB [options] [operands]`.
pub(super) struct Verb {
    pub(super) name: &'static str,
    /// The operands as the help shows them.
    pub(super) operands: &'static str,
    pub(super) fits: fn(&[OsString]) -> bool,
    pub(super) options: &'static [Opt<Asked>],
    pub(super) does: &'static str,
    pub(super) settle: fn(Asked) -> Result<Invocation, Failure>,
}

/// What was typed after a verb.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Asked {
    pub(super) operands: Vec<OsString>,
    pub(super) help: bool,
    config: Option<PathBuf>,
    import: Option<PathBuf>,
    browser: bool,
    paste: bool,
    json: bool,
    failed: bool,
    body: bool,
    verbose: bool,
    setup: Setup,
}

/// The verbs.
pub(super) const VERBS: &[Verb] = &[
    Verb {
        name: "login",
        operands: "",
        fits: <[OsString]>::is_empty,
        options: &[CONFIG, HELP, IMPORT, BROWSER, PASTE],
        does: "Sign in with a code on another device, and store it.",
        settle: login,
    },
    Verb {
        name: "doctor",
        operands: "",
        fits: <[OsString]>::is_empty,
        options: &[CONFIG, HELP, JSON],
        does: "Check everything in order, and tell what to do.",
        settle: |asked| {
            Ok(Invocation::Doctor(Doctor {
                config: asked.config,
                json: asked.json,
            }))
        },
    },
    Verb {
        name: "status",
        operands: "",
        fits: <[OsString]>::is_empty,
        options: &[CONFIG, HELP, JSON],
        does: "Show account, sign-in, queue and what ends soon.",
        settle: |asked| {
            Ok(Invocation::Status {
                config: asked.config,
                json: asked.json,
            })
        },
    },
    Verb {
        name: "test",
        operands: "address",
        fits: |operands| operands.len() == 1,
        options: &[CONFIG, HELP],
        does: "Send one message and show the way it took.",
        settle: |asked| {
            Ok(Invocation::Test(Trial {
                config: asked.config,
                addresses: asked.operands,
            }))
        },
    },
    Verb {
        name: "queue",
        operands: "[list | show id | resend id | drop id | run]",
        fits: fits_queue,
        options: &[CONFIG, HELP, JSON, FAILED, BODY, VERBOSE],
        does: "Look after the queue.",
        settle: queue,
    },
    Verb {
        name: "setup",
        operands: "",
        fits: <[OsString]>::is_empty,
        options: setup::OPTIONS,
        does: "Write the settings, show what to set up, sign in, send a test.",
        settle: setup::settle,
    },
    Verb {
        name: "explain",
        operands: "text ...",
        fits: |operands| !operands.is_empty(),
        options: &[CONFIG, HELP, JSON],
        does: "Explain an AADSTS code, a reply or a line of a log.",
        // Settings that are broken must not keep anybody from it, so none are read.
        settle: |asked| {
            Ok(Invocation::Explain(Explain {
                words: asked.operands,
                json: asked.json,
            }))
        },
    },
];

const CONFIG: Opt<Asked> = opt(
    Name::Short('C'),
    Kind::Works,
    Takes::Value("file", |asked, value| {
        asked.config = Some(value.into());
        Ok(())
    }),
    "Read the settings from file.",
);
const HELP: Opt<Asked> = opt(
    Name::Long("help"),
    Kind::Works,
    Takes::Nothing(|asked| asked.help = true),
    "Print the help.",
);
const IMPORT: Opt<Asked> = opt(
    Name::Long("import"),
    Kind::Works,
    Takes::Value("file", |asked, value| {
        asked.import = Some(value.into());
        Ok(())
    }),
    "Take the token from file, raw or JSON; - is stdin.",
);
const BROWSER: Opt<Asked> = opt(
    Name::Long("browser"),
    Kind::Works,
    Takes::Nothing(|asked| asked.browser = true),
    "Sign in with a browser on this host.",
);
const PASTE: Opt<Asked> = opt(
    Name::Long("paste"),
    Kind::Works,
    Takes::Nothing(|asked| asked.paste = true),
    "Sign in with a browser elsewhere.",
);
const JSON: Opt<Asked> = opt(
    Name::Long("json"),
    Kind::Works,
    Takes::Nothing(|asked| asked.json = true),
    "Print JSON.",
);
const FAILED: Opt<Asked> = opt(
    Name::Long("failed"),
    Kind::Works,
    Takes::Nothing(|asked| asked.failed = true),
    "List what failed instead of what waits.",
);
const BODY: Opt<Asked> = opt(
    Name::Long("body"),
    Kind::Works,
    Takes::Nothing(|asked| asked.body = true),
    "Show the body too.",
);
const VERBOSE: Opt<Asked> = opt(
    Name::Short('v'),
    Kind::Works,
    Takes::Nothing(|asked| asked.verbose = true),
    "List the next try and the attempts too.",
);

fn login(asked: Asked) -> Result<Invocation, Failure> {
    let way = match (asked.import, asked.browser, asked.paste) {
        (None, false, false) => Way::Device,
        (None, true, false) => Way::Browser,
        (None, false, true) => Way::Paste,
        (Some(import), false, false) => Way::Import(import),
        _ => {
            return Err(misuse(
                "only one of --import, --browser and --paste is possible",
            ));
        }
    };
    let config = asked.config;
    Ok(Invocation::Login(Login { config, way }))
}

fn queue(asked: Asked) -> Result<Invocation, Failure> {
    let Asked {
        json,
        failed,
        body,
        verbose,
        ..
    } = asked;
    let mut words = asked.operands.iter();
    let job = words
        .next()
        .and_then(|word| word.to_str())
        .unwrap_or("list");
    // An id is ASCII; whatever else was typed matches none.
    let id = words.next().map(|word| shown(word)).unwrap_or_default();
    for (given, option, goes_with) in [
        (json, "--json", &["list", "show"][..]),
        (failed, "--failed", &["list"]),
        (verbose, "-v", &["list"]),
        (body, "--body", &["show"]),
    ] {
        if given && !goes_with.contains(&job) {
            let with = goes_with.join(" and ");
            return Err(misuse(format!("{option} goes with queue {with} only")));
        }
    }
    let job = match job {
        "show" if json && body => {
            return Err(misuse("only one of --json and --body is possible"));
        }
        "show" => QueueJob::Show { id, body, json },
        "resend" => QueueJob::Resend { id },
        "drop" => QueueJob::Drop { id },
        "run" => {
            return Ok(Invocation::RunQueue(QueueRun {
                config: asked.config,
                progress: true,
                ..QueueRun::default()
            }));
        }
        _ => QueueJob::List {
            failed,
            verbose,
            json,
        },
    };
    let config = asked.config;
    Ok(Invocation::Queue(QueueWork { config, job }))
}

fn fits_queue(operands: &[OsString]) -> bool {
    match operands {
        [] => true,
        [job] => job == "list" || job == "run",
        [job, _] => job == "show" || job == "resend" || job == "drop",
        _ => false,
    }
}
