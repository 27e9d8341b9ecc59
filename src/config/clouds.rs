//! Microsoft's clouds: who signs in where, what a token has to be for, and who takes the mail.

use crate::config::row::Complaint;
use crate::oauth::Audience;

/// One cloud; every member can be replaced by a setting.
#[derive(Debug, PartialEq, Eq)]
pub struct Cloud {
    pub name: &'static str,
    pub authority: &'static str,
    /// The resource of a person's token.
    resource: &'static str,
    /// The resource of an application's own token.
    app_resource: &'static str,
    pub smtp_host: &'static str,
    /// `-ExchangeEnvironmentName` of Connect-ExchangeOnline; empty where it is not needed.
    pub exchange: &'static str,
    /// The administrators' portal of Entra.
    pub portal: &'static str,
}

/// The clouds that there are; GCC without "High" lives in the global one.
pub const CLOUDS: [Cloud; 4] = [
    Cloud {
        name: "global",
        authority: "https://login.microsoftonline.com",
        resource: "https://outlook.office.com",
        app_resource: "https://outlook.office365.com",
        smtp_host: "smtp.office365.com",
        exchange: "",
        portal: "https://entra.microsoft.com",
    },
    Cloud {
        name: "gcc-high",
        authority: "https://login.microsoftonline.us",
        resource: "https://outlook.office365.us",
        app_resource: "https://outlook.office365.us",
        smtp_host: "smtp.office365.us",
        exchange: "O365USGovGCCHigh",
        portal: "https://entra.microsoft.us",
    },
    Cloud {
        name: "dod",
        authority: "https://login.microsoftonline.us",
        resource: "https://outlook.office365.us",
        app_resource: "https://outlook-dod.office365.us",
        smtp_host: "outlook-dod.office365.us",
        exchange: "O365USGovDoD",
        portal: "https://entra.microsoft.us",
    },
    Cloud {
        name: "china",
        authority: "https://login.partner.microsoftonline.cn",
        resource: "https://partner.outlook.cn",
        app_resource: "https://partner.outlook.cn",
        smtp_host: "smtp.partner.outlook.cn",
        exchange: "O365China",
        portal: "https://entra.microsoftonline.cn",
    },
];

impl Cloud {
    /// The cloud of this name.
    pub fn named(name: &str) -> Result<&'static Cloud, Complaint> {
        let found = CLOUDS.iter().find(|cloud| cloud.name == name);
        found.ok_or_else(|| {
            let names: Vec<&str> = CLOUDS.iter().map(|cloud| cloud.name).collect();
            format!("not one of {}", names.join(", "))
        })
    }

    /// The scope that is asked for unless a setting names another.
    pub fn scope(&self, for_person: bool) -> String {
        match for_person {
            true => format!("{}/SMTP.Send offline_access", self.resource),
            false => format!("{}/.default", self.app_resource),
        }
    }
}

/// Permissions that every resource has.
const OPENID: [&str; 4] = ["openid", "profile", "email", "offline_access"];

const DEFAULT_ONLY: &str = "has to be one resource with /.default for an application";

/// Why Microsoft would grant a useless token for this scope, or none.
///
/// A token is for one resource: that of the first permission. A bare permission is one of Microsoft
/// Graph, whose tokens SMTP refuses with nothing but `535 5.7.3`.
pub(crate) fn judge_scope(scope: &str, for_person: bool) -> Result<(), Complaint> {
    let words: Vec<&str> = scope.split_whitespace().collect();
    let mut permissions = words.iter().filter(|word| !OPENID.contains(word));
    let mut resource: Option<&str> = None;
    for permission in &mut permissions {
        let (host, name) = parts(permission)?;
        if resource.is_some_and(|other| !other.eq_ignore_ascii_case(host)) {
            return Err("names two resources; one token opens one of them only".to_owned());
        }
        if host.contains("graph.") || host.starts_with("00000003-0000-0000-c000") {
            return Err(
                "is one of Microsoft Graph, whose tokens SMTP refuses however right the rest is"
                    .to_owned(),
            );
        }
        if name != ".default" && !for_person {
            return Err(DEFAULT_ONLY.to_owned());
        }
        resource = Some(host);
    }
    match (resource, for_person) {
        (None, _) => Err("names no resource, hence that of Microsoft Graph".to_owned()),
        (Some(_), false) if words.len() != 1 => Err(DEFAULT_ONLY.to_owned()),
        (Some(_), true) if !words.contains(&"offline_access") => {
            Err("lacks offline_access, without which a sign-in ends within the hour".to_owned())
        }
        _ => Ok(()),
    }
}

/// Resource and name of a permission.
fn parts(permission: &str) -> Result<(&str, &str), Complaint> {
    let bare = || {
        format!(
            "holds the bare permission {}, which Microsoft takes for one of Graph; write it with its \
             resource in front",
            crate::outcome::printable(permission.as_bytes())
        )
    };
    let (resource, name) = permission.rsplit_once('/').ok_or_else(bare)?;
    let host = resource
        .strip_prefix("https://")
        .map(|rest| rest.split('/').next().unwrap_or(rest));
    match host {
        Some(host) if !host.is_empty() && !name.is_empty() => Ok((host, name)),
        Some(_) => Err("holds a permission without a name".to_owned()),
        // An application's id in place of its address.
        None if !resource.is_empty() && !name.is_empty() && !resource.contains("://") => {
            Ok((resource, name))
        }
        None => Err("has to begin with https://".to_owned()),
    }
}

/// Scope or resource as the grant asks for it.
pub(crate) fn audience(
    cloud: &Cloud,
    scope: Option<&String>,
    resource: Option<&String>,
    for_person: bool,
) -> Result<Audience, Complaint> {
    if let Some(resource) = resource {
        return match resource.starts_with("https://") && !resource.contains("graph.") {
            true => Ok(Audience::Resource(resource.clone())),
            false => {
                Err("has to be Outlook's address, such as https://partner.outlook.cn".to_owned())
            }
        };
    }
    let scope = scope.cloned().unwrap_or_else(|| cloud.scope(for_person));
    judge_scope(&scope, for_person)?;
    Ok(Audience::Scope(scope))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_clouds_own_scopes_are_right() {
        for cloud in &CLOUDS {
            for for_person in [true, false] {
                let scope = cloud.scope(for_person);
                assert_eq!(judge_scope(&scope, for_person), Ok(()), "{scope}");
            }
            assert!(cloud.authority.starts_with("https://"));
            assert_eq!(Cloud::named(cloud.name), Ok(cloud));
        }
        assert!(Cloud::named("gcc").is_err());
    }

    #[test]
    fn what_would_yield_a_useless_token_is_refused_with_the_reason() {
        for (scope, for_person, part) in [
            (
                "SMTP.Send offline_access",
                true,
                "bare permission SMTP.Send",
            ),
            (
                "offline_access SMTP.Send https://outlook.office.com/SMTP.Send",
                true,
                "bare",
            ),
            (
                "https://outlook.office.com/SMTP.Send Mail.Send offline_access",
                true,
                "bare",
            ),
            (
                "https://outlook.office.com/SMTP.Send https://outlook.office365.com/SMTP.Send offline_access",
                true,
                "two resources",
            ),
            (
                "https://graph.microsoft.com/Mail.Send offline_access",
                true,
                "Graph",
            ),
            ("https://graph.microsoft.com/.default", false, "Graph"),
            ("offline_access openid", true, "no resource"),
            ("", true, "no resource"),
            (
                "https://outlook.office.com/SMTP.Send",
                true,
                "offline_access",
            ),
            (
                "https://outlook.office365.com/SMTP.Send",
                false,
                "/.default",
            ),
            (
                "https://outlook.office365.com/.default offline_access",
                false,
                "/.default",
            ),
            (
                "http://outlook.office.com/SMTP.Send offline_access",
                true,
                "https://",
            ),
            ("https:///SMTP.Send offline_access", true, "without a name"),
        ] {
            let why = judge_scope(scope, for_person).unwrap_err();
            assert!(why.contains(part), "{scope}: {why}");
        }
        for (scope, for_person) in [
            ("offline_access https://outlook.office.com/SMTP.Send", true),
            (
                "openid https://OUTLOOK.office.com/SMTP.Send https://outlook.office.com/User.Read offline_access",
                true,
            ),
            ("https://outlook.office.com/.default offline_access", true),
            ("https://outlook.sovcloud.example//.default", false),
            ("00000002-0000-0ff1-ce00-000000000000/.default", false),
        ] {
            assert_eq!(judge_scope(scope, for_person), Ok(()), "{scope}");
        }
    }
}
