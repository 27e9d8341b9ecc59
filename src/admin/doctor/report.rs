//! What the checks have found, as lines for people or as one JSON object for programs.

use crate::outcome::{Failure, printable};
use crate::sys::stdio;
use serde_json::{Value, json};

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Ok,
    /// Mail leaves, and something should be seen to.
    Warn,
    /// Mail does not leave, or not safely.
    Failed,
    /// It could not be asked.
    Skipped,
}

impl Verdict {
    /// The word in JSON.
    fn word(self) -> &'static str {
        match self {
            Verdict::Ok => "ok",
            Verdict::Warn => "warn",
            Verdict::Failed => "failed",
            Verdict::Skipped => "skipped",
        }
    }

    /// The word before a line, and its colour.
    fn mark(self) -> (&'static str, &'static str) {
        match self {
            Verdict::Ok => ("ok", "32"),
            Verdict::Warn => ("warn", "0"),
            Verdict::Failed => ("FAILED", "31"),
            Verdict::Skipped => ("-", "0"),
        }
    }
}

/// One finding; texts may hold what came from outside, which is escaped where it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Check {
    pub(super) name: &'static str,
    pub(super) verdict: Verdict,
    pub(super) what: String,
    why: Option<String>,
    /// What to do, one step a line.
    pub(super) fix: Vec<String>,
}

impl Check {
    pub(super) fn new(name: &'static str, verdict: Verdict, what: impl Into<String>) -> Check {
        Check {
            name,
            verdict,
            what: what.into(),
            why: None,
            fix: Vec::new(),
        }
    }

    pub(super) fn ok(name: &'static str, fact: impl Into<String>) -> Check {
        Check::new(name, Verdict::Ok, fact)
    }

    pub(super) fn warn(name: &'static str, what: impl Into<String>) -> Check {
        Check::new(name, Verdict::Warn, what)
    }

    pub(super) fn failed(name: &'static str, what: impl Into<String>) -> Check {
        Check::new(name, Verdict::Failed, what)
    }

    /// It could not be asked because of the check of that name.
    pub(super) fn skipped(name: &'static str, needed: &str) -> Check {
        Check::new(name, Verdict::Skipped, format!("skipped: needs {needed}"))
    }

    /// A failure with its cause and cure.
    pub(super) fn of(name: &'static str, failure: &Failure) -> Check {
        let check = Check::failed(name, failure.what());
        let check = match failure.why() {
            Some(why) => check.because(why),
            None => check,
        };
        match failure.cure() {
            Some(cure) => check.fix(cure),
            None => check,
        }
    }

    pub(super) fn because(mut self, why: impl Into<String>) -> Check {
        self.why = Some(why.into());
        self
    }

    /// Adds a step of the cure.
    pub(super) fn fix(mut self, step: impl Into<String>) -> Check {
        self.fix.push(step.into());
        self
    }

    /// Puts other steps in the place of the cure.
    pub(super) fn fixed_by(self, steps: Vec<String>) -> Check {
        Check { fix: steps, ..self }
    }

    /// The same, not bad enough to fail.
    pub(super) fn softened(self) -> Check {
        Check {
            verdict: Verdict::Warn,
            ..self
        }
    }

    fn text(&self, coloured: bool) -> String {
        let (mark, colour) = self.verdict.mark();
        let padding = " ".repeat(7 - mark.len());
        let mark = match coloured && matches!(self.verdict, Verdict::Ok | Verdict::Failed) {
            true => format!("\u{1b}[{colour}m{mark}\u{1b}[0m"),
            false => mark.to_owned(),
        };
        let mut line = format!("{}: {}", self.name, shown(&self.what));
        if let Some(why) = &self.why {
            line.push_str(&format!(": {}", shown(why)));
        }
        let mut text = format!("{mark}{padding}{line}\n");
        for step in &self.fix {
            text.push_str(&format!("         do: {}\n", shown(step)));
        }
        text
    }

    fn json(&self) -> Value {
        let fix: Vec<String> = self.fix.iter().map(|step| shown(step)).collect();
        json!({
            "name": self.name,
            "result": self.verdict.word(),
            "what": shown(&self.what),
            "why": self.why.as_deref().map(shown),
            "fix": (!fix.is_empty()).then(|| fix.join("\n")),
        })
    }
}

fn shown(text: &str) -> String {
    printable(text.as_bytes())
}

/// All findings so far.
pub(super) struct Report {
    checks: Vec<Check>,
    json: bool,
    coloured: bool,
}

impl Report {
    pub(super) fn new(json: bool) -> Report {
        Report {
            checks: Vec::new(),
            json,
            coloured: stdio::stdout_is_terminal(),
        }
    }

    /// Takes a finding; people see it at once.
    pub(super) fn add(&mut self, mut check: Check) {
        let bad = matches!(check.verdict, Verdict::Warn | Verdict::Failed);
        if bad && check.fix.is_empty() {
            let cure = "see what `sendmail365 explain TEXT` says to the text above";
            check.fix.push(cure.to_owned());
        }
        if !self.json {
            stdio::say(&check.text(self.coloured));
        }
        self.checks.push(check);
    }

    /// Takes several; the fact that all is well if there is none.
    pub(super) fn add_all(&mut self, found: Vec<Check>, else_ok: Check) {
        match found.is_empty() {
            true => self.add(else_ok),
            false => found.into_iter().for_each(|check| self.add(check)),
        }
    }

    /// The names of the checks that failed, each once.
    pub(super) fn failed(&self) -> Vec<&'static str> {
        let failed = self.checks.iter().filter(|c| c.verdict == Verdict::Failed);
        let mut names: Vec<&str> = failed.map(|check| check.name).collect();
        names.dedup();
        names
    }

    /// Prints the object that programs read.
    pub(super) fn close(&self) {
        if self.json {
            let checks: Vec<Value> = self.checks.iter().map(Check::json).collect();
            let whole = json!({"checks": checks, "ok": self.failed().is_empty()});
            stdio::say(&format!("{whole}\n"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_a_line_and_its_cure_the_lines_below() {
        let failure = Failure::defer("no way").because("\u{1b}[2J").fix("open it");
        let check = Check::of("tcp", &failure).fix("then try again");
        assert_eq!(
            check.text(false),
            "FAILED tcp: no way: \\x1b[2J\n         do: open it\n         do: then try again\n"
        );
        assert!(
            check
                .text(true)
                .starts_with("\u{1b}[31mFAILED\u{1b}[0m tcp")
        );
        let fix = check.json()["fix"].as_str().map(str::to_owned);
        assert_eq!(fix.as_deref(), Some("open it\nthen try again"));
        let skipped = Check::skipped("auth", "token");
        assert_eq!(skipped.text(true), "-      auth: skipped: needs token\n");
        assert_eq!(skipped.json()["why"], Value::Null);
    }

    #[test]
    fn a_warning_is_no_failure() {
        let mut report = Report::new(true);
        report.add(Check::warn("clock", "x"));
        assert!(report.failed().is_empty());
        assert_eq!(report.checks[0].fix.len(), 1, "a cure for everything");
        for _ in 0..2 {
            report.add(Check::failed("files", "x"));
        }
        assert_eq!(report.failed(), ["files"]);
    }
}
