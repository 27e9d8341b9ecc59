//! What an administrator of the tenant does about a refusal: the way through the portal, and the lines of
//! PowerShell with the ids that are meant.

use crate::config::Config;
use crate::oauth::Claims;

/// Who is refused, as the tenant knows him.
pub(super) struct Tenancy<'a> {
    pub(super) config: &'a Config,
    pub(super) claims: Option<&'a Claims>,
}

impl Tenancy<'_> {
    /// The application's id, as the token has it; a managed identity has none in the settings.
    fn client(&self) -> String {
        let told = self.claims.and_then(Claims::client).map(str::to_owned);
        quoted(&told.unwrap_or_else(|| self.config.account.client_id.clone()))
    }

    fn mailbox(&self) -> String {
        quoted(&self.config.account.mailbox)
    }

    /// How the mailbox's permissions name the one who signs in.
    fn trustee(&self) -> String {
        let object = self.claims.and_then(Claims::object);
        match (self.is_a_persons(), object) {
            (true, _) => quoted(&self.config.account.user),
            (false, Some(object)) => quoted(object),
            (false, None) => "<object id of the enterprise application>".to_owned(),
        }
    }

    fn is_a_persons(&self) -> bool {
        self.config.account.grant.is_a_persons()
    }

    /// The session that the other lines of PowerShell are for.
    pub(super) fn connect(&self) -> String {
        let tenant = quoted(&self.config.account.tenant);
        match (self.config.cloud.exchange, self.is_a_persons()) {
            ("", true) => "PowerShell: Connect-ExchangeOnline".to_owned(),
            ("", false) => format!("PowerShell: Connect-ExchangeOnline -Organization {tenant}"),
            (cloud, _) => {
                format!("PowerShell: Connect-ExchangeOnline -ExchangeEnvironmentName {cloud}")
            }
        }
    }

    /// Switches SMTP AUTH on for the mailbox, which outdoes the tenant's switch.
    pub(super) fn switch_on(&self) -> String {
        let signs_in = match self.is_a_persons() {
            true => quoted(&self.config.account.user),
            false => self.mailbox(),
        };
        format!(
            "PowerShell: Set-CASMailbox -Identity {signs_in} -SmtpClientAuthenticationDisabled $false"
        )
    }

    /// Makes the application known to Exchange, with the object id of the enterprise application.
    fn service_principal(&self) -> String {
        format!(
            "PowerShell: New-ServicePrincipal -AppId {} -ObjectId {} -DisplayName sendmail365",
            self.client(),
            self.trustee()
        )
    }

    fn full_access(&self) -> String {
        format!(
            "PowerShell: Add-MailboxPermission -Identity {} -User {} -AccessRights FullAccess",
            self.mailbox(),
            self.trustee()
        )
    }

    /// Lets whoever signs in send as the mailbox.
    pub(super) fn send_as(&self) -> String {
        format!(
            "PowerShell: Add-RecipientPermission -Identity {} -Trustee {} -AccessRights SendAs",
            self.mailbox(),
            self.trustee()
        )
    }

    /// The usual causes of a bare `535 5.7.3`, the likeliest first.
    pub(super) fn refused(&self) -> Vec<String> {
        let mut steps = Vec::new();
        if self.is_a_persons() {
            steps.push(format!(
                "run `sendmail365 login` and sign in as {}; see that the user has a licence with a mailbox",
                self.config.account.user
            ));
            steps.push(self.connect());
            steps.push(self.switch_on());
            return steps;
        }
        steps.push(self.connect());
        steps.push(self.service_principal());
        steps.push(self.full_access());
        steps.push(self.send_as());
        steps.push(self.switch_on());
        if self.claims.is_some_and(|claims| claims.roles().is_none()) {
            steps.extend(self.without_roles());
        }
        steps
    }

    /// What a token without roles may need, and how to tell which it is.
    pub(super) fn without_roles(&self) -> Vec<String> {
        vec![
            format!(
                "with App RBAC this is right: PowerShell: Test-ServicePrincipalAuthorization -Identity {} \
                 -Resource {} has to list Application SMTP.SendAsApp",
                self.client(),
                self.mailbox()
            ),
            format!(
                "else: {} > App registrations > {} > API permissions > Office 365 Exchange Online > \
                 Application permissions > SMTP.SendAsApp, then Grant admin consent",
                self.config.cloud.portal,
                self.client()
            ),
        ]
    }
}

/// An id as PowerShell takes it for one word; text from outside stays a text.
fn quoted(text: &str) -> String {
    let plain = |octet: u8| octet.is_ascii_alphanumeric() || b"-._@+".contains(&octet);
    match !text.is_empty() && !text.starts_with(['-', '@']) && text.bytes().all(plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', "''")),
    }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn an_id_from_outside_stays_one_word_of_the_command() {
        assert_eq!(quoted("alerts@contoso.com"), "alerts@contoso.com");
        assert_eq!(quoted("o'neil@x.test; rm"), "'o''neil@x.test; rm'");
        assert_eq!(quoted(""), "''");
        assert_eq!(quoted("-Force"), "'-Force'");
    }
}
