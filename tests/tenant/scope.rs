//! Which resource a token is for: Microsoft's rules for the scope string.

use super::tokens::{GRAPH, OUTLOOK};

const RESOURCES: [&str; 3] = [OUTLOOK, "https://outlook.office365.com", GRAPH];
const OPENID: [&str; 4] = ["openid", "profile", "email", "offline_access"];
const PERMISSIONS: [&str; 6] = [
    "SMTP.Send",
    "IMAP.AccessAsUser.All",
    "POP.AccessAsUser.All",
    "Mail.Send",
    "Mail.ReadWrite",
    "User.Read",
];

/// What a token will be good for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    pub audience: String,
    pub permissions: Vec<String>,
    /// Whether a refresh token comes with it.
    pub offline: bool,
}

impl Grant {
    /// What the user consented to at sign-in; holds where a request names nothing.
    pub fn of_first_leg() -> Grant {
        Grant {
            audience: OUTLOOK.to_owned(),
            permissions: vec!["SMTP.Send".to_owned()],
            offline: true,
        }
    }

    /// As the answer writes it back.
    pub fn scope(&self) -> String {
        let full: Vec<String> = self
            .permissions
            .iter()
            .map(|name| format!("{}/{name}", self.audience))
            .collect();
        full.join(" ")
    }
}

/// Reads a v2 scope; an error is the number of Microsoft's text.
///
/// The first permission fixes the resource. A bare name is one of Graph when it comes first, and
/// one of the resource before it otherwise. Permissions of a second resource are left out without
/// a word: the request succeeds, and SMTP refuses the token.
pub fn grant(scope: &str) -> Result<Grant, u32> {
    let words: Vec<&str> = scope.split(' ').filter(|word| !word.is_empty()).collect();
    if words.is_empty() {
        return Ok(Grant::of_first_leg());
    }
    let offline = words.contains(&"offline_access");
    let mut audience = "";
    let mut permissions = Vec::new();
    for word in words.into_iter().filter(|word| !OPENID.contains(word)) {
        let (resource, permission) = match word.rsplit_once('/') {
            Some((resource, permission)) => (resource.trim_end_matches('/'), permission),
            None => (if audience.is_empty() { GRAPH } else { audience }, word),
        };
        let resource = *RESOURCES
            .iter()
            .find(|known| **known == resource)
            .ok_or(500_011_u32)?;
        if audience.is_empty() {
            audience = resource;
        }
        match permission {
            ".default" => permissions.push("SMTP.Send".to_owned()),
            _ if !PERMISSIONS.contains(&permission) => return Err(70_011),
            _ if resource == audience => permissions.push(permission.to_owned()),
            _ => {}
        }
    }
    if audience.is_empty() {
        audience = GRAPH;
        permissions.push("User.Read".to_owned());
    }
    Ok(Grant {
        audience: audience.to_owned(),
        permissions,
        offline,
    })
}

/// Reads a v1 resource.
pub fn grant_v1(resource: Option<&str>) -> Result<Grant, u32> {
    let mut grant = Grant::of_first_leg();
    if let Some(resource) = resource {
        if !RESOURCES.contains(&resource.trim_end_matches('/')) {
            return Err(500_011);
        }
        resource.clone_into(&mut grant.audience);
    }
    Ok(grant)
}

#[test]
fn the_first_permission_decides_what_a_token_is_for() {
    let audience = |scope: &str| grant(scope).map(|grant| grant.audience);
    let outlook = Ok(OUTLOOK.to_owned());
    let graph = Ok(GRAPH.to_owned());
    assert_eq!(
        audience("offline_access https://outlook.office.com/SMTP.Send"),
        outlook
    );
    assert_eq!(
        audience("https://outlook.office.com/SMTP.Send Mail.Send"),
        outlook
    );
    assert_eq!(audience(""), outlook);
    assert_eq!(audience("SMTP.Send"), graph);
    assert_eq!(
        audience("https://graph.microsoft.com/Mail.Send https://outlook.office.com/SMTP.Send"),
        graph
    );
    assert_eq!(audience("https://outlook.example/SMTP.Send"), Err(500_011));
    assert_eq!(
        audience("https://outlook.office.com/Smtp.send"),
        Err(70_011)
    );
}
