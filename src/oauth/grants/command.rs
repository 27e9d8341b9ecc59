//! `token_command`: what another program prints as a token.

use crate::oauth::answer::{Ask, Granted, Reply, object};
use crate::outcome::{Failure, Stage};
use crate::sys::command::{Ended, Trouble};
use serde_json::json;
use zeroize::Zeroizing;

/// The token of an output: alone on a line, or JSON as a token endpoint or a cloud's own tool
/// writes it.
pub(crate) fn read(
    ask: &Ask<'_>,
    program: &str,
    ran: Result<Ended, Trouble>,
) -> Result<Granted, Failure> {
    let ended = ran.map_err(|trouble| not_run(ask, program, &trouble))?;
    if !ended.success {
        let said = ask.shown(first_line(&ended.stderr).as_str());
        let why = match said.is_empty() {
            true => format!("{program} ended with {}", ended.status),
            false => format!("{program} ended with {}: {said}", ended.status),
        };
        return Err(failed(ask).because(why).with_reason("status"));
    }
    ask.read(Reply {
        status: 200,
        body: as_answer(&ended.stdout),
        ..Reply::default()
    })
    .map_err(|failure| {
        failure
            .told_as(&format!("{program} printed no access token"))
            .fix(format!(
                "have token_command under [account] print the access token alone, or JSON with a member \
                 access_token; try it by hand: {program}"
            ))
    })
}

/// The output as a token endpoint would have said it.
fn as_answer(output: &[u8]) -> Zeroizing<Vec<u8>> {
    let Some(mut answer) = object(output) else {
        let text = String::from_utf8_lossy(output);
        let token = text.trim();
        let word = !token.is_empty() && !token.contains(char::is_whitespace);
        let answer = match word && !token.starts_with(['{', '[', '<']) {
            true => Zeroizing::new(json!({ "access_token": token }).to_string().into_bytes()),
            false => Zeroizing::new(Vec::new()),
        };
        return answer;
    };
    // `az account get-access-token` and its kin write their own names.
    for (theirs, ours) in [("accessToken", "access_token"), ("token", "access_token")] {
        if let (false, Some(token)) = (answer.contains_key(ours), answer.remove(theirs)) {
            answer.insert(ours.to_owned(), token);
        }
    }
    Zeroizing::new(serde_json::Value::Object(answer).to_string().into_bytes())
}

fn not_run(ask: &Ask<'_>, program: &str, trouble: &Trouble) -> Failure {
    match trouble {
        Trouble::NotStarted(error) => failed(ask)
            .because(format!("{program} cannot be started: {error}"))
            .fix("name a program that is there and may be run in token_command under [account]")
            .with_os_error(error),
        Trouble::TimedOut(time) => failed(ask)
            .because(format!("{program} did not end in {} s", time.as_secs()))
            .with_reason("deadline"),
        Trouble::TooMuch => failed(ask)
            .because(format!("{program} printed more than any token has"))
            .with_reason("size"),
    }
}

fn failed(ask: &Ask<'_>) -> Failure {
    ask.failed(Failure::defer)
        .fix("run the command of token_command under [account] by hand, as the account that sends")
        .at(Stage::Token)
}

fn first_line(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let line = text.lines().map(str::trim).find(|line| !line.is_empty());
    line.unwrap_or_default().chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::answer::tests::asking;
    use crate::oauth::token::tests::account;
    use crate::outcome::Fate;

    fn ran(success: bool, stdout: &str, stderr: &str) -> Result<Granted, Failure> {
        let account = account();
        let ended = Ended {
            success,
            status: "exit status 3".to_owned(),
            stdout: Zeroizing::new(stdout.as_bytes().to_vec()),
            stderr: stderr.as_bytes().to_vec(),
        };
        read(&asking(&account), "/opt/token", Ok(ended))
    }

    #[test]
    fn a_token_is_read_in_each_shape() {
        for text in [
            "eyJ.at",
            "eyJ.at\n",
            "\n eyJ.at \r\n",
            "{\"access_token\":\"eyJ.at\",\"expires_in\":600}",
            "{\"accessToken\":\"eyJ.at\",\"expiresOn\":\"2026-01-01 00:00:00\"}\n",
            "{\"token\":\"eyJ.at\"}",
        ] {
            let granted = ran(true, text, "").unwrap_or_else(|failure| panic!("{failure:?}"));
            assert_eq!(granted.access_token.expose(), "eyJ.at", "{text}");
        }
    }

    #[test]
    fn whatever_else_it_prints_is_not_shown() {
        for text in [
            "",
            "two CANARY",
            "{\"x\":\"CANARY\"}",
            "[\"CANARY\"]",
            "{CANARY",
            "<CANARY>",
        ] {
            let failure = ran(true, text, "").err().unwrap();
            assert_eq!(failure.fate(), Fate::Defer, "{text}");
            let told = failure.lines("sendmail").join("\n");
            assert!(!told.contains("CANARY"), "{told}");
            assert!(
                told.contains("/opt/token printed no access token"),
                "{told}"
            );
        }
    }

    #[test]
    fn a_command_that_fails_is_told_with_its_first_words() {
        let failure = ran(false, "CANARY", "\nplease log in\nmore").err().unwrap();
        let told = failure.lines("sendmail").join("\n");
        assert!(told.contains("exit status 3: please log in"), "{told}");
        assert!(!told.contains("CANARY") && !told.contains("more"), "{told}");
    }
}
