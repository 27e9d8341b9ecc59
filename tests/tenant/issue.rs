//! A token on its way to the client, and what faults make of it.

use super::grants::Ask;
use super::state::{Shared, SignedIn};
use super::tokens::Claims;
use super::{Answer, clock, tokens};
use serde_json::{Value, json};

/// A token about to be issued.
pub struct Issue {
    pub claims: Claims,
    pub signed_in: SignedIn,
}

impl Issue {
    /// The answer that carries it; `twist` is a fault that spoils it.
    pub fn answer(mut self, shared: &Shared, ask: &Ask, twist: Option<&Answer>) -> Value {
        if let Some(twist) = twist {
            spoil(shared, &mut self.claims, twist);
        }
        let token = match shared.setup.personal {
            true => tokens::opaque(),
            false => shared.mint.token(&self.claims),
        };
        let grant = &self.signed_in.grant;
        let mut ledger = shared.ledger();
        ledger.secrets.push(token.clone());
        if shared.setup.personal {
            ledger
                .opaque_tokens
                .insert(token.clone(), self.claims.clone());
        }
        let lifetime = self.claims.expires - clock::seconds();
        let mut answer = json!({ "token_type": "Bearer", "access_token": token });
        if ask.v1 {
            answer["scope"] = json!(grant.permissions.join(" "));
            answer["resource"] = json!(grant.audience);
            answer["expires_in"] = json!(lifetime.to_string());
            answer["ext_expires_in"] = json!(lifetime.to_string());
            answer["expires_on"] = json!(self.claims.expires.to_string());
            answer["not_before"] = json!(self.claims.not_before.to_string());
        } else {
            answer["scope"] = json!(grant.scope());
            answer["expires_in"] = json!(lifetime);
            answer["ext_expires_in"] = json!(lifetime);
        }
        if grant.offline {
            answer["refresh_token"] = json!(ledger.issue_refresh_token(self.signed_in.clone()));
        }
        if let Some(twist) = twist {
            disfigure(&mut answer, twist);
        }
        answer
    }
}

/// Faults that sit in the token.
fn spoil(shared: &Shared, claims: &mut Claims, twist: &Answer) {
    match twist {
        Answer::WrongUser => claims.user = Some("admin@contoso.test".to_owned()),
        Answer::WrongTenant => claims.tenant = clock::guid(),
        Answer::GraphAudience => shared.setup.cloud.graph().clone_into(&mut claims.audience),
        Answer::NoPermission if claims.user.is_none() => claims.roles.clear(),
        Answer::NoPermission => claims.scopes = vec!["User.Read".to_owned()],
        Answer::ExpiredToken => {
            claims.not_before -= 7_200;
            claims.expires = clock::seconds() - 3_600;
        }
        _ => {}
    }
}

/// Faults that sit in the answer around the token.
pub fn disfigure(answer: &mut Value, twist: &Answer) {
    let members = answer.as_object_mut().unwrap();
    let mut set = |name: &str, value: Value| members.insert(name.to_owned(), value);
    match twist {
        Answer::NoAccessToken => drop(members.remove("access_token")),
        Answer::NoRefreshToken => drop(members.remove("refresh_token")),
        Answer::NullRefreshToken => drop(set("refresh_token", Value::Null)),
        Answer::EmptyRefreshToken => drop(set("refresh_token", json!(""))),
        Answer::Member(name, "") => drop(members.remove(*name)),
        Answer::Member(name, text) => drop(set(name, serde_json::from_str(text).unwrap())),
        Answer::ExpiresIn("") => drop(members.remove("expires_in")),
        Answer::ExpiresIn(text) => drop(set("expires_in", serde_json::from_str(text).unwrap())),
        Answer::ExpiredToken => drop(set("expires_in", json!(3_599))),
        Answer::NotBeforeAhead => {
            set("not_before", json!((clock::seconds() + 3_600).to_string()));
        }
        Answer::TokenType(text) => drop(set("token_type", json!(text))),
        Answer::TokenWith(letter) => {
            let token = members["access_token"].as_str().unwrap().to_owned();
            let (left, right) = token.split_at(token.len() / 2);
            members.insert(
                "access_token".to_owned(),
                json!(format!("{left}{letter}{right}")),
            );
        }
        _ => {}
    }
}
