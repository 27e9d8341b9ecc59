//! What Exchange Online has to be told: who may send as the mailbox, and that it may submit mail.

use super::steps::{Facts, Step, classic_permission, or};
use crate::admin::quote::{powershell, shell};

/// The group and the scope of the mailboxes that the application may send as.
const SENDERS: &str = "sendmail365 senders";

/// The name of the application's counterpart in Exchange.
const NAME: &str = "sendmail365";

pub(super) fn steps(facts: &Facts) -> Vec<Step> {
    match facts.grant.as_str() {
        _ if facts.tenant == "consumers" => Vec::new(),
        "delegated" => vec![delegated(facts)],
        "command" => vec![
            delegated(facts).words(
                "Whoever the tokens of the command belong to, a user or an application, has to have the \
                 right to send as the mailbox; `sendmail365 setup --grant certificate` shows the lines for \
                 an application.",
            ),
        ],
        _ => vec![least(facts), classic(facts)],
    }
}

/// The object id of the enterprise application, or what stands for it.
pub(super) fn object(facts: &Facts) -> &str {
    or(&facts.object, "OBJECT-ID-OF-THE-ENTERPRISE-APPLICATION")
}

fn delegated(facts: &Facts) -> Step {
    let mut lines = vec![connect(facts), submission(&facts.user)];
    if facts.user != facts.mailbox {
        lines.push(format!(
            "Add-RecipientPermission -Identity {} -Trustee {} -AccessRights SendAs",
            powershell(&facts.mailbox),
            powershell(&facts.user)
        ));
    }
    Step::new("Let the mailbox submit mail, in Exchange Online PowerShell").lines(lines)
}

/// App RBAC: no API permission, and no other mailbox than those of the group.
fn least(facts: &Facts) -> Step {
    let client = powershell(client(facts));
    let senders = powershell(SENDERS);
    let mut lines = vec![connect(facts), service_principal(facts)];
    lines.extend([
        format!("New-DistributionGroup -Name {senders} -Type Security"),
        format!(
            "Add-DistributionGroupMember -Identity {senders} -Member {}",
            powershell(&facts.mailbox)
        ),
        format!("$group = Get-DistributionGroup -Identity {senders}"),
        format!(
            "New-ManagementScope -Name {senders} -RecipientRestrictionFilter \
             \"MemberOfGroup -eq '$($group.DistinguishedName)'\""
        ),
        format!(
            "New-ManagementRoleAssignment -Name {} -Role 'Application SMTP.SendAsApp' -App {client} \
             -CustomResourceScope {senders}",
            powershell(NAME)
        ),
        submission(&facts.mailbox),
        format!(
            "Test-ServicePrincipalAuthorization -Identity {client} -Resource {}",
            powershell(&facts.mailbox)
        ),
    ]);
    Step::new("Let it send as this mailbox and no other, in Exchange Online PowerShell")
        .words(which_object(facts))
        .lines(lines)
        .words(
            "It takes from half an hour to two hours until this has an effect. The application must have \
             no API permission SMTP.SendAsApp: with it, Exchange asks for the permissions of the next \
             step instead.",
        )
}

fn classic(facts: &Facts) -> Step {
    let mailbox = powershell(&facts.mailbox);
    let lines = vec![
        connect(facts),
        format!("$sp = {}", service_principal(facts)),
        format!(
            "Add-MailboxPermission -Identity {mailbox} -User $sp.Identity -AccessRights FullAccess"
        ),
        format!(
            "Add-RecipientPermission -Identity {mailbox} -Trustee $sp.Identity -AccessRights SendAs"
        ),
        submission(&facts.mailbox),
    ];
    let step = Step::new("Or, in place of the step before, the classic way");
    let step = match facts.grant.as_str() {
        "managed-identity" => step.words(
            "An identity gets the application permission SMTP.SendAsApp of Office 365 Exchange Online by \
             the command line only:",
        ),
        _ => step
            .words("In the registration:")
            .list(&[
                "API permissions > Add a permission > APIs my organization uses > Office 365 Exchange \
                 Online > Application permissions: SMTP.SendAsApp; the delegated SMTP.Send of Microsoft \
                 Graph does not count",
                "API permissions > Grant admin consent",
            ])
            .words("Or the same by the Azure command line:"),
    };
    step.lines(classic_permission(facts))
        .words("Then in Exchange Online PowerShell:")
        .lines(lines)
}

/// Which of the two object ids is meant.
fn which_object(facts: &Facts) -> String {
    let known = match facts.object.is_empty() {
        true => format!(
            "It stands in the portal {} under Entra ID > Enterprise applications > the application > \
             Overview > Object ID, and `az ad sp show --id {} --query id --output tsv` prints it.",
            facts.cloud.portal,
            shell(client(facts)),
        ),
        false => format!("It is {}, as the application's token says.", facts.object),
    };
    format!(
        "The object id below is that of the enterprise application. {known} The one under App \
         registrations is another, and ends in 535 5.7.3."
    )
}

fn connect(facts: &Facts) -> String {
    let environment = match facts.cloud.exchange {
        "" => String::new(),
        name => format!(" -ExchangeEnvironmentName {name}"),
    };
    let tenant = powershell(or(&facts.tenant, "TENANT"));
    format!("Connect-ExchangeOnline -Organization {tenant}{environment}")
}

pub(super) fn service_principal(facts: &Facts) -> String {
    format!(
        "New-ServicePrincipal -AppId {} -ObjectId {} -DisplayName {}",
        powershell(client(facts)),
        powershell(object(facts)),
        powershell(NAME)
    )
}

/// SMTP AUTH of one mailbox, which goes before the tenant's.
fn submission(mailbox: &str) -> String {
    format!(
        "Set-CASMailbox -Identity {} -SmtpClientAuthenticationDisabled $false",
        powershell(mailbox)
    )
}

fn client(facts: &Facts) -> &str {
    let unknown = match facts.grant.as_str() {
        "managed-identity" => "APPLICATION-ID-OF-THE-IDENTITY",
        _ => "CLIENT-ID",
    };
    or(&facts.client_id, unknown)
}
