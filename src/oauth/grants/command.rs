//! `token_command`: what another program prints as a token.

use crate::oauth::answer::{Ask, Granted, Reply, object};
use crate::outcome::{Failure, Stage};
use crate::sys::command::{Ended, Trouble};
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

const BY_HAND: &str =
    "run the command of token_command under [account] by hand, as the account that sends";

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
    let body = as_answer(&ended.stdout);
    let unfit = |why: &str| {
        failed(ask)
            .told_as(&format!("{program} printed no access token"))
            .because(why)
            .fix(format!(
                "have token_command under [account] print the access token alone, or JSON with a member \
                 access_token; try it by hand: {program}"
            ))
            .with_reason("output")
    };
    match object(&body) {
        None if ended.stdout.trim_ascii().is_empty() => return Err(unfit("its output is empty")),
        None => return Err(unfit("its output is neither one word nor a JSON object")),
        Some(answer) if !holds_a_token(&answer) && !answer.contains_key("error") => {
            return Err(unfit(
                "the JSON in its output has no text in a member access_token",
            ));
        }
        Some(_) => {}
    }
    let granted = ask.read(Reply {
        status: 200,
        body,
        ..Reply::default()
    });
    // It ran with the rights and limits of whoever called: nothing of it speaks for the server.
    let of_the_caller = |failure: Failure| {
        let reason = format!("command-{}", failure.reason().unwrap_or("output"));
        failure.at(Stage::Token).with_reason(reason)
    };
    match granted {
        Ok(granted) => Ok(Granted {
            premature: granted.premature.map(of_the_caller),
            ..granted
        }),
        Err(failure) => Err(of_the_caller(failure)
            .told_as(&format!("{program} printed no access token"))
            .fix(BY_HAND)),
    }
}

fn holds_a_token(answer: &Map<String, Value>) -> bool {
    let token = answer.get("access_token").and_then(Value::as_str);
    token.is_some_and(|token| !token.is_empty())
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
    Zeroizing::new(Value::Object(answer).to_string().into_bytes())
}

/// Why it could not be run to its end.
pub(crate) fn not_run(ask: &Ask<'_>, program: &str, trouble: &Trouble) -> Failure {
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
    ask.failed(Failure::defer).fix(BY_HAND).at(Stage::Token)
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

    #[test]
    fn what_it_prints_is_not_told_of_a_server_that_was_not_asked() {
        for (text, why) in [
            ("", "its output is empty"),
            ("two words", "neither one word nor a JSON object"),
            ("{\"x\":1}", "no text in a member access_token"),
            (
                "{\"access_token\":\"\"}",
                "no text in a member access_token",
            ),
            ("{\"accessToken\":7}", "no text in a member access_token"),
            ("{\"access_token\":\"a b\"}", "octets that no token has"),
        ] {
            let failure = ran(true, text, "").err().unwrap();
            let told = failure.lines("sendmail").join("\n");
            assert!(told.contains(why), "{told}");
            assert!(!told.contains("login.microsoftonline.com"), "{told}");
        }
        let error = "{\"error\":\"invalid_grant\",\"error_description\":\"AADSTS700082: Old.\"}";
        let told = ran(true, error, "")
            .err()
            .unwrap()
            .lines("sendmail")
            .join("\n");
        assert!(told.contains("AADSTS700082: Old"), "{told}");
    }

    /// Whoever calls has the program in his hand: what he makes of it is no fault of the server's.
    #[test]
    fn nothing_that_it_does_keeps_others_from_the_server() {
        let later = "{\"access_token\":\"a\",\"not_before\":9999999999}";
        let premature = ran(true, later, "").ok().unwrap().premature.unwrap();
        let refused = "{\"error\":\"invalid_grant\",\"error_codes\":[700082]}";
        let failures = ["", "{}", "x y", "{\"access_token\":\"a b\"}", refused];
        let failures = failures.map(|text| ran(true, text, "").err().unwrap());
        let ended = ran(false, "", "").err().unwrap();
        for failure in failures.into_iter().chain([premature, ended]) {
            assert_eq!(failure.stage(), Some(Stage::Token), "{failure:?}");
            let reason = failure.reason().unwrap();
            assert!(!["user", "not-yet-valid"].contains(&reason), "{reason}");
        }
    }
}
