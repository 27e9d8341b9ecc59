//! Replies with several usual causes: what they are, likeliest first, and how to tell.

use crate::outcome::Actor::{Host, Microsoft, Sender, Tenant};
use crate::outcome::Suspect;

const LICENCES: &str =
    "Microsoft 365 admin center, Users, Active users, the user, Licenses and apps";

/// 535 without more.
pub(super) const TOKEN: &[Suspect] = &[
    Suspect {
        cause: "the token is for Microsoft Graph, not for Outlook: its audience (aud) is wrong, whatever its scp says",
        look: "scope under [endpoint]; this program names a wrong audience itself if the token can be read",
        cure: "leave scope under [endpoint] empty, or set it to exactly `https://outlook.office.com/SMTP.Send \
               offline_access`; then run `sendmail365 login`",
        actor: Host,
    },
    Suspect {
        cause: "the token belongs to somebody else than the user who is named, such as an administrator whose \
                browser was signed in",
        look: "`sendmail365 login` prints who signed in; compare it with user and mailbox under [account]",
        cure: "sign in as the mailbox's user in a private window, or set user under [account] to who signed in",
        actor: Host,
    },
    Suspect {
        cause: "the name that signs in is a shared mailbox, which nobody can sign in to for SMTP",
        look: "Get-Mailbox -Identity <mailbox> | fl RecipientTypeDetails",
        cure: "set user under [account] to the delegate who signs in, and let him send as the mailbox: \
               Add-RecipientPermission -Identity <mailbox> -Trustee <user> -AccessRights SendAs",
        actor: Tenant,
    },
    Suspect {
        cause: "app-only: Exchange does not know the application, or by the object id of its registration",
        look: "Get-ServicePrincipal | fl DisplayName,AppId,ObjectId: ObjectId has to be the one in Entra admin \
               center, Enterprise applications",
        cure: "New-ServicePrincipal -AppId <client id> -ObjectId <object id of the enterprise application> \
               -DisplayName <name>",
        actor: Tenant,
    },
    Suspect {
        cause: "app-only: the application has no permission on the mailbox, or no role",
        look: "Get-MailboxPermission -Identity <mailbox> -User <service principal>; Entra admin center, App \
               registrations, the application, API permissions: SMTP.SendAsApp with admin consent",
        cure: "Add-MailboxPermission -Identity <mailbox> -User <service principal> -AccessRights FullAccess and \
               Add-RecipientPermission -Identity <mailbox> -Trustee <service principal> -AccessRights SendAs; or, \
               without any API permission, New-ManagementRoleAssignment -Role 'Application SMTP.SendAsApp' \
               -App <client id> -CustomResourceScope <scope>",
        actor: Tenant,
    },
    Suspect {
        cause: "the mailbox has no licence, or is disabled",
        look: LICENCES,
        cure: "assign a licence with Exchange Online there",
        actor: Tenant,
    },
    Suspect {
        cause: "SMTP AUTH is off for the mailbox or the tenant, which shuts out OAuth too",
        look: "Get-CASMailbox -Identity <mailbox> | fl SmtpClientAuthenticationDisabled; empty means as \
               Get-TransportConfig | fl SmtpClientAuthenticationDisabled",
        cure: "Set-CASMailbox -Identity <mailbox> -SmtpClientAuthenticationDisabled $false; wait up to an hour",
        actor: Tenant,
    },
    Suspect {
        cause: "the token is cut, or has expired by Microsoft's clock",
        look: "`timedatectl` on this host; the refused token was replaced by a new one once already",
        cure: "correct the clock; then run `sendmail365 login`",
        actor: Host,
    },
    Suspect {
        cause: "Microsoft's fault: good tokens have been refused for weeks, and then taken again",
        look: "it worked, nothing was changed, and Microsoft 365 admin center, Health, Service health",
        cure: "wait, the mail stays in the queue; give Microsoft's support the server, time and session in brackets",
        actor: Microsoft,
    },
];

/// 5.7.60 and SendAsDenied.
pub(super) const SEND_AS: &[Suspect] = &[
    Suspect {
        cause: "the program that sends writes a From of its own, such as root@ this host, and it is not rewritten",
        look: "`sendmail365 --dry-run -t` shows sender and From as they leave; rewrite under [sender]",
        cure: "set rewrite = true under [sender]; the old address goes to Reply-To",
        actor: Host,
    },
    Suspect {
        cause: "an address is let through that the mailbox may not use",
        look: "allow_from under [sender]",
        cure: "take the address out of allow_from under [sender], or let the mailbox send as it: \
               Add-RecipientPermission -Identity <sender> -Trustee <mailbox> -AccessRights SendAs",
        actor: Host,
    },
    Suspect {
        cause: "the account that signs in is another than the mailbox, and lacks Send As; FullAccess does not \
                include it, nor does Send on Behalf",
        look: "Get-RecipientPermission -Identity <mailbox> -Trustee <user>",
        cure: "Add-RecipientPermission -Identity <mailbox> -Trustee <user> -AccessRights SendAs",
        actor: Tenant,
    },
    Suspect {
        cause: "the permission was given a moment ago",
        look: "it may take an hour to act, and the first messages may be refused",
        cure: "send the message again later",
        actor: Sender,
    },
];

/// 430 4.2.0, mailbox logon failure.
pub(super) const LOGON: &[Suspect] = &[
    Suspect {
        cause: "app-only: the application has no permission on the mailbox",
        look: "Get-MailboxPermission -Identity <mailbox> -User <service principal>",
        cure: "Add-MailboxPermission -Identity <mailbox> -User <service principal> -AccessRights FullAccess",
        actor: Tenant,
    },
    Suspect {
        cause: "app-only: Exchange has the application by the object id of its registration",
        look: "Get-ServicePrincipal | fl DisplayName,AppId,ObjectId: ObjectId has to be the one in Entra admin \
               center, Enterprise applications",
        cure: "Remove-ServicePrincipal -Identity <name>, then New-ServicePrincipal -AppId <client id> -ObjectId \
               <object id of the enterprise application> -DisplayName <name>",
        actor: Tenant,
    },
    Suspect {
        cause: "app-only: it has the role Application SMTP.SendAsApp and the API permission SMTP.SendAsApp, which \
                asks for the mailbox permission again",
        look: "Entra admin center, App registrations, the application, API permissions",
        cure: "remove the API permission SMTP.SendAsApp there, or give the mailbox permission",
        actor: Tenant,
    },
    Suspect {
        cause: "the role covers other mailboxes, or was given a moment ago",
        look: "Get-ManagementRoleAssignment -Role 'Application SMTP.SendAsApp' | fl; a new one may take two hours",
        cure: "add the mailbox to the group that the management scope names, then wait",
        actor: Tenant,
    },
    Suspect {
        cause: "the mailbox has no licence, or is disabled",
        look: LICENCES,
        cure: "assign a licence with Exchange Online there",
        actor: Tenant,
    },
];
