//! Replies as people bring them: out of a log, without their stage, or no more of them than a code.

use super::{ANY, AUTH, Cause, HOST, MESSAGE, RCPT, find, judge, without_addresses};
use crate::outcome::{Actor, Class, Fate, Stage, Suspect};
use crate::smtp::reply::Reply;

/// What a reply means.
#[derive(Debug)]
pub struct Explained {
    /// None if the table does not know the reply; stage and digit tell the rest.
    pub meaning: Option<&'static str>,
    pub cure: &'static str,
    pub actor: Actor,
    pub fate: Fate,
    /// It is about one recipient, and the others may fare better.
    pub one_recipient: bool,
    /// The usual causes in order, where there are several.
    pub suspects: &'static [Suspect],
}

/// The meaning of a reply, code first, from the stage where it came, or else from where Microsoft
/// says it; none if the text is no refusal.
pub fn explain(stage: Option<Stage>, text: &str) -> Option<Explained> {
    let reply = Reply::read(text).filter(Reply::negative)?;
    let stage = stage.unwrap_or_else(|| usual_stage(&reply));
    if find(stage, &reply).is_none()
        && let Some(cause) = by_codes_alone(&reply)
    {
        return Some(Explained::of(cause));
    }
    let judgement = judge(stage, &reply);
    let cause = find(stage, &reply);
    Some(Explained {
        meaning: judgement.why,
        cure: judgement.fix,
        actor: cause.map_or(usual_actor(judgement.fate), |cause| cause.actor),
        fate: judgement.fate,
        one_recipient: cause.is_some_and(about_one_recipient) || stage == Stage::Rcpt,
        suspects: cause.map_or(&[], |cause| cause.suspects),
    })
}

/// The meanings of an enhanced code without the code it came with: several where it comes with more
/// than one.
pub fn explain_enhanced(enhanced: [u16; 3], text: &str) -> Vec<Explained> {
    let [class, subject, detail] = enhanced;
    let codes: &[u16] = match enhanced {
        [5, 7, 3 | 139] => &[535],
        [5, 7, 4] => &[504],
        [5, 3, 3] => &[500],
        [5, 5, 1 | 2] => &[503],
        [4, 3, 2] => &[432, 421],
        [4, 7, 0] => &[451, 454],
        _ => &[],
    };
    if !codes.is_empty() {
        let replies = codes
            .iter()
            .map(|code| format!("{code} {class}.{subject}.{detail} {text}"));
        return replies.filter_map(|reply| explain(None, &reply)).collect();
    }
    let text = without_addresses(&text.to_lowercase());
    let fits = |cause: &&'static Cause| {
        cause.covers(enhanced) && cause.texts.iter().all(|part| text.contains(part))
    };
    // What needs a code besides is the worse guess.
    let sure = rows().filter(fits).find(|cause| cause.codes.is_empty());
    let row = sure.or_else(|| rows().find(fits));
    row.map(Explained::of).into_iter().collect()
}

/// The meaning of a reply of which there are words only.
pub fn explain_words(text: &str) -> Option<Explained> {
    let text = without_addresses(&text.to_lowercase());
    let fits = |cause: &&'static Cause| {
        !cause.texts.is_empty() && cause.texts.iter().all(|part| text.contains(part))
    };
    rows().find(fits).map(Explained::of)
}

impl Explained {
    fn of(cause: &'static Cause) -> Explained {
        Explained {
            meaning: Some(cause.why),
            cure: cause.fix,
            actor: cause.actor,
            fate: cause.fate,
            one_recipient: about_one_recipient(cause),
            suspects: cause.suspects,
        }
    }
}

fn rows() -> impl Iterator<Item = &'static Cause> {
    [AUTH, MESSAGE, HOST, ANY, RCPT].into_iter().flatten()
}

/// Meaning and cure of every row.
#[cfg(test)]
pub(crate) fn all() -> impl Iterator<Item = (&'static str, &'static str)> {
    rows().map(|cause| (cause.why, cause.fix))
}

/// The row of a reply of which a person has kept the codes and not the words.
fn by_codes_alone(reply: &Reply) -> Option<&'static Cause> {
    let enhanced = reply.enhanced()?;
    let bare = reply.lines().count() == 1 && reply.lines().all(|line| !line.trim().contains(' '));
    let named =
        |cause: &&'static Cause| cause.codes.contains(&reply.code()) && cause.covers(enhanced);
    rows().filter(|_| bare).find(named)
}

fn about_one_recipient(cause: &Cause) -> bool {
    cause.class == Class::NoUser
}

/// Where Microsoft says it: at the sign-in, if a row for that fits, else to a message.
fn usual_stage(reply: &Reply) -> Stage {
    let text = without_addresses(&reply.folded());
    let at_sign_in = AUTH
        .iter()
        .any(|cause| cause.fits(reply.code(), reply.enhanced(), &text));
    match at_sign_in || reply.code() == 535 {
        true => Stage::Auth,
        false => Stage::End,
    }
}

fn usual_actor(fate: Fate) -> Actor {
    match fate {
        Fate::Return => Actor::Sender,
        Fate::Hold => Actor::Host,
        Fate::Defer | Fate::Unsure => Actor::Microsoft,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_without_its_stage_is_judged_where_microsoft_says_it() {
        for (text, fate) in [
            ("535 5.7.3 Authentication unsuccessful", Fate::Hold),
            ("535", Fate::Hold),
            ("504 5.7.4 Unrecognized authentication type", Fate::Hold),
            ("503 5.5.2 Send hello first", Fate::Hold),
            ("550 5.7.60 no", Fate::Return),
            ("432 4.3.2 busy", Fate::Defer),
            ("550 5.7.30 Basic authentication", Fate::Hold),
            ("430 4.2.0", Fate::Hold),
        ] {
            let explained = explain(None, text).unwrap();
            assert_eq!(explained.fate, fate, "{text}");
            assert!(explained.meaning.is_some(), "{text}");
        }
        assert!(explain(None, "235 2.7.0 welcome").is_none());
        assert!(explain(None, "no reply").is_none());
    }

    #[test]
    fn a_stage_that_is_known_decides() {
        let fate = |stage| explain(Some(stage), "550 5.1.1 no").unwrap().fate;
        assert_eq!(fate(Stage::Auth), Fate::Hold);
        assert_eq!(fate(Stage::Greeting), Fate::Defer);
        assert_eq!(fate(Stage::Rcpt), Fate::Return);
        assert!(
            explain(Some(Stage::Rcpt), "550 x").unwrap().one_recipient
                && !explain(Some(Stage::End), "550 x").unwrap().one_recipient
        );
    }

    #[test]
    fn an_enhanced_code_alone_is_enough_where_it_is_the_only_one() {
        for (enhanced, part) in [
            ([5, 7, 3], "does not take the token"),
            ([5, 7, 60], "may not use this sender"),
            ([4, 7, 66], "TLS 1.0"),
            ([5, 7, 506], "the name in EHLO"),
            ([5, 7, 139], "a setting of the tenant"),
            ([4, 5, 3], "too many recipients"),
            ([5, 1, 10], "no such recipient"),
        ] {
            let found = explain_enhanced(enhanced, "");
            let [only] = found.as_slice() else {
                panic!("{enhanced:?}: {found:?}");
            };
            let meaning = only.meaning.unwrap();
            assert!(meaning.contains(part), "{enhanced:?}: {meaning}");
        }
        assert_eq!(explain_enhanced([4, 3, 2], "").len(), 2);
        assert!(explain_enhanced([5, 9, 9], "").is_empty());
        let off = explain_enhanced(
            [5, 7, 139],
            "SmtpClientAuthentication is disabled for the Mailbox",
        );
        assert!(off[0].meaning.unwrap().contains("off for the mailbox"));
    }

    #[test]
    fn words_alone_are_enough_where_the_table_has_words() {
        let meaning = |text| explain_words(text).and_then(|found| found.meaning);
        assert!(
            meaning("x SendAsDenied y")
                .unwrap()
                .contains("address in From")
        );
        assert!(
            meaning("mailbox logon failure")
                .unwrap()
                .contains("no permission")
        );
        assert_eq!(meaning("all is well"), None);
        assert_eq!(meaning("<SendAsDenied@x.test> unknown"), None);
    }
}
