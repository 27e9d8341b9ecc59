//! Which resource a token is for: Microsoft's rules for the scope string.

use super::tokens::{GRAPH, OUTLOOK};

const OPENID: [&str; 4] = ["openid", "profile", "email", "offline_access"];
const PERMISSIONS: [&str; 6] = [
    "SMTP.Send",
    "IMAP.AccessAsUser.All",
    "POP.AccessAsUser.All",
    "Mail.Send",
    "Mail.ReadWrite",
    "User.Read",
];

/// A national cloud, which knows its own resources only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cloud {
    Global,
    GccHigh,
    Dod,
    China,
}

/// What a token will be good for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    pub audience: String,
    pub permissions: Vec<String>,
    /// Whether a refresh token comes with it.
    pub offline: bool,
}

impl Cloud {
    /// The resources that may send, the usual one first.
    pub fn outlook(self) -> &'static [&'static str] {
        match self {
            Cloud::Global => &[OUTLOOK, "https://outlook.office365.com"],
            Cloud::GccHigh => &["https://outlook.office365.us"],
            Cloud::Dod => &[
                "https://outlook.office365.us",
                "https://outlook-dod.office365.us",
            ],
            Cloud::China => &["https://partner.outlook.cn"],
        }
    }

    /// The resource that must not be accepted for SMTP.
    pub fn graph(self) -> &'static str {
        match self {
            Cloud::Global => GRAPH,
            Cloud::GccHigh => "https://graph.microsoft.us",
            Cloud::Dod => "https://dod-graph.microsoft.us",
            Cloud::China => "https://microsoftgraph.chinacloudapi.cn",
        }
    }

    fn resource(self, named: &str) -> Result<&'static str, u32> {
        let mut all = self.outlook().iter().copied().chain([self.graph()]);
        all.find(|known| *known == named.trim_end_matches('/'))
            .ok_or(500_011)
    }

    /// What the user consented to at sign-in; holds where a request names nothing.
    pub fn first_leg(self) -> Grant {
        Grant {
            audience: self.outlook()[0].to_owned(),
            permissions: vec!["SMTP.Send".to_owned()],
            offline: true,
        }
    }
}

impl Grant {
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

impl Cloud {
    /// Reads a v2 scope; an error is the number of Microsoft's text.
    ///
    /// The first permission fixes the resource. A bare name is one of Graph when it comes first,
    /// and one of the resource before it otherwise. Permissions of a second resource are left out
    /// without a word: the request succeeds, and SMTP refuses the token.
    pub fn grant(self, scope: &str) -> Result<Grant, u32> {
        let words: Vec<&str> = scope.split(' ').filter(|word| !word.is_empty()).collect();
        if words.is_empty() {
            return Ok(self.first_leg());
        }
        let offline = words.contains(&"offline_access");
        let mut audience = "";
        let mut permissions = Vec::new();
        for word in words.into_iter().filter(|word| !OPENID.contains(word)) {
            let (resource, permission) = match word.rsplit_once('/') {
                Some(pair) => pair,
                None if audience.is_empty() => (self.graph(), word),
                None => (audience, word),
            };
            let resource = self.resource(resource)?;
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
            audience = self.graph();
            permissions.push("User.Read".to_owned());
        }
        Ok(Grant {
            audience: audience.to_owned(),
            permissions,
            offline,
        })
    }

    /// Reads a v1 resource.
    pub fn grant_v1(self, resource: Option<&str>) -> Result<Grant, u32> {
        let mut grant = self.first_leg();
        if let Some(resource) = resource {
            self.resource(resource)?;
            resource.clone_into(&mut grant.audience);
        }
        Ok(grant)
    }
}

#[test]
fn the_first_permission_decides_what_a_token_is_for() {
    let audience = |scope: &str| Cloud::Global.grant(scope).map(|grant| grant.audience);
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
    let china = |scope: &str| Cloud::China.grant(scope).map(|grant| grant.audience);
    let of_china = "https://partner.outlook.cn";
    assert_eq!(
        china(&format!("{of_china}/SMTP.Send")),
        Ok(of_china.to_owned())
    );
    assert_eq!(china("https://outlook.office.com/SMTP.Send"), Err(500_011));
}
