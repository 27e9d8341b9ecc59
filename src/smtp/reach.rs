//! Who can be named to a server at all, before it is asked: an address that is not ASCII needs
//! SMTPUTF8 (RFC 6531 section 3.2).

use super::dialogue::Offers;
use super::{Envelope, Manner, Path, Refusal, Verdict};
use crate::outcome::{Class, Failure, Stage};

/// For each recipient whether it can be named, the verdict on those that cannot included; all of
/// them can, or nothing is sent. Where the manner allows it, one is enough.
pub(crate) fn judge_addresses(
    envelope: &Envelope<'_>,
    offers: &Offers,
    manner: Manner,
) -> Result<Vec<Verdict>, Refusal> {
    let beyond = |path: &&Path| path.utf8 && !offers.smtputf8;
    if let Some(sender) = envelope.sender.filter(beyond) {
        return Err(failure(sender).into());
    }
    let verdict = |path: &Path| match beyond(&path) {
        true => Verdict::Rejected(format!("5.6.7 {WHY}")),
        false => Verdict::Accepted,
    };
    let verdicts: Vec<Verdict> = envelope.recipients.iter().map(verdict).collect();
    let some_can = verdicts.contains(&Verdict::Accepted);
    match envelope.recipients.iter().find(beyond) {
        Some(path) if !(manner.partial && some_can) => Err(Refusal {
            failure: failure(path),
            verdicts,
        }),
        _ => Ok(verdicts),
    }
}

/// The recipients that can be named.
pub(crate) fn reachable(recipients: &[Path], judged: &[Verdict]) -> Vec<Path> {
    let both = recipients.iter().zip(judged);
    let can = both.filter(|(_, verdict)| **verdict == Verdict::Accepted);
    can.map(|(path, _)| path.clone()).collect()
}

/// The verdicts on all recipients, of those on the ones that were named; none stay none.
pub(crate) fn completed(judged: Vec<Verdict>, of_named: Vec<Verdict>) -> Vec<Verdict> {
    if of_named.is_empty() {
        return of_named;
    }
    let mut of_named = of_named.into_iter();
    let verdict = |judged| match judged {
        Verdict::Accepted => of_named.next().unwrap_or(judged),
        other => other,
    };
    judged.into_iter().map(verdict).collect()
}

const WHY: &str = "the address is not ASCII and the server does not offer SMTPUTF8";

fn failure(path: &Path) -> Failure {
    Failure::new(Class::Data, format!("cannot write to <{}>", path.text))
        .because(WHY)
        .fix("use the address's ASCII form")
        .with_reason("smtputf8")
        .at(Stage::Mail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::dsn::Dsn;

    fn path(text: &str) -> Path {
        Path {
            text: text.to_owned(),
            utf8: !text.is_ascii(),
        }
    }

    fn judged(to: &[&str], smtputf8: bool, partial: bool) -> Result<Vec<Verdict>, Refusal> {
        let recipients: Vec<Path> = to.iter().map(|text| path(text)).collect();
        let envelope = Envelope {
            sender: None,
            recipients: &recipients,
            dsn: &Dsn::default(),
        };
        let offers = Offers {
            smtputf8,
            ..Offers::default()
        };
        let manner = Manner {
            partial,
            more: false,
        };
        judge_addresses(&envelope, &offers, manner)
    }

    fn rejected() -> Verdict {
        Verdict::Rejected(format!("5.6.7 {WHY}"))
    }

    #[test]
    fn an_address_beyond_ascii_needs_smtputf8() {
        let to = ["a@x.test", "j\u{fc}rgen@x.test"];
        let all = judged(&to, true, false).unwrap();
        assert_eq!(all, [Verdict::Accepted, Verdict::Accepted]);
        let refusal = judged(&to, false, false).unwrap_err();
        assert_eq!(refusal.failure.class(), Class::Data);
        assert_eq!(refusal.failure.reason(), Some("smtputf8"));
        assert_eq!(refusal.verdicts, [Verdict::Accepted, rejected()]);
        let verdicts = judged(&to, false, true).unwrap();
        assert_eq!(verdicts, [Verdict::Accepted, rejected()]);
        let refusal = judged(&to[1..], false, true).unwrap_err();
        assert_eq!(refusal.verdicts, [rejected()]);
    }

    #[test]
    fn verdicts_find_their_recipients_again() {
        let judged = || vec![rejected(), Verdict::Accepted, rejected(), Verdict::Accepted];
        let paths = ["\u{fc}", "a", "\u{f6}", "b"].map(path);
        assert_eq!(reachable(&paths, &judged()), [path("a"), path("b")]);
        let later = Verdict::Deferred("450".to_owned());
        let all = completed(judged(), vec![later.clone(), Verdict::Accepted]);
        assert_eq!(all, [rejected(), later, rejected(), Verdict::Accepted]);
        assert_eq!(completed(judged(), Vec::new()), []);
    }
}
