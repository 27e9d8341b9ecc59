//! Microsoft's errors of sign-in: number, OAuth error, status and text.

mod table;

use super::clock;
use serde_json::{Value, json};
use table::{CLAIMS, ERRORS};

/// A request that is refused: the number of Microsoft's text, and what differs from the usual.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// 0 where Microsoft gives no number.
    pub code: u32,
    /// `error`, where one number has several.
    pub word: Option<&'static str>,
    /// What is wrong in this case, behind the text of the number.
    pub detail: String,
}

impl Refusal {
    /// With another `error` than the number usually has.
    pub fn worded(code: u32, word: &'static str) -> Refusal {
        Refusal {
            word: Some(word),
            ..Refusal::from(code)
        }
    }

    /// With what is wrong in this case.
    pub fn detailed(code: u32, detail: impl Into<String>) -> Refusal {
        Refusal {
            detail: detail.into(),
            ..Refusal::from(code)
        }
    }

    /// `error`, `suberror` and text.
    fn row(&self) -> (&'static str, &'static str, String) {
        let (_, error, suberror, text) = ERRORS
            .iter()
            .find(|(number, ..)| *number == self.code)
            .copied()
            .unwrap_or((0, "invalid_grant", "", "The request was refused."));
        let text = match self.detail.as_str() {
            "" => text.to_owned(),
            detail => format!("{text} [{detail}]"),
        };
        (self.word.unwrap_or(error), suberror, text)
    }

    /// `error`.
    pub fn error(&self) -> &'static str {
        self.row().0
    }

    /// First line of `error_description`.
    pub fn line(&self) -> String {
        let (_, _, text) = self.row();
        match self.code {
            0 => text,
            code => format!("AADSTS{code}: {text}"),
        }
    }

    /// Status and body, in the shape that Microsoft gives them.
    pub fn answer(&self, correlation_id: Option<&str>) -> (u16, String) {
        let (status, body) = self.members(correlation_id);
        (status, body.to_string())
    }

    /// The same before the body is written.
    pub fn members(&self, correlation_id: Option<&str>) -> (u16, Value) {
        let (error, suberror, _) = self.row();
        let trace = clock::guid();
        let correlation = correlation_id.map_or_else(clock::guid, str::to_owned);
        let stamp = clock::error_stamp();
        let mut body = json!({
            "error": error,
            "error_description": format!(
                "{}\r\nTrace ID: {trace}\r\nCorrelation ID: {correlation}\r\n\
                 Timestamp: {stamp}",
                self.line()
            ),
            "timestamp": stamp,
            "trace_id": trace,
            "correlation_id": correlation,
        });
        if self.code != 0 {
            body["error_codes"] = json!([self.code]);
            body["error_uri"] = json!(format!(
                "https://login.microsoftonline.com/error?code={}",
                self.code
            ));
        }
        if !suberror.is_empty() {
            body["suberror"] = json!(suberror);
        }
        if CLAIMS.contains(&self.code) {
            // What the next interactive request has to pass back.
            body["claims"] = json!(
                r#"{"access_token":{"capolids":{"essential":true,"values":["5b1e1c51-c0de"]}}}"#
            );
        }
        let status = match error {
            "invalid_client" => 401,
            "temporarily_unavailable" => 503,
            "server_error" => 500,
            _ => 400,
        };
        (status, body)
    }
}

impl From<u32> for Refusal {
    fn from(code: u32) -> Refusal {
        Refusal {
            code,
            word: None,
            detail: String::new(),
        }
    }
}
