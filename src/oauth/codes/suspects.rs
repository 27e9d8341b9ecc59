//! Numbers with several usual causes: what they are, likeliest first, and how to tell.

use crate::outcome::Actor::{Host, Tenant, User};
use crate::outcome::Suspect;

/// 70011, 28000 and their kind.
pub(super) const SCOPES: &[Suspect] = &[
    Suspect {
        cause: "a bare permission such as SMTP.Send stands first, which means Microsoft Graph",
        look: "scope under [endpoint]",
        cure: scope!(),
        actor: Host,
    },
    Suspect {
        cause: "the scope names Outlook and Microsoft Graph, or another second resource",
        look: "count the addresses in scope under [endpoint]: one request is for one resource",
        cure: "leave the one of Outlook, and offline_access",
        actor: Host,
    },
    Suspect {
        cause: "an application without a user asks for a permission by name",
        look: "scope under [endpoint] does not end in /.default",
        cure: "set scope under [endpoint] to https://outlook.office365.com/.default, or leave it empty",
        actor: Host,
    },
    Suspect {
        cause: "the scope is that of another cloud than the tenant's",
        look: "compare the hosts in authority and scope under [endpoint]",
        cure: "take both from the same cloud; examples in sendmail365.conf(5)",
        actor: Host,
    },
    Suspect {
        cause: "a letter or a separator is wrong",
        look: "scopes are separated by one blank, not by commas; the permission is SMTP.Send",
        cure: "correct scope under [endpoint]",
        actor: Host,
    },
];

/// 53003 and 530032.
pub(super) const BLOCKED: &[Suspect] = &[
    Suspect {
        cause: "a policy on authentication flows blocks the sign-in by a code on another device",
        look: concat!(
            user!("Sign-in logs"),
            ", the entry, tab Conditional Access: a policy with the condition Authentication flows"
        ),
        cure: concat!(
            with_a_browser!(),
            "; or exclude the account in ",
            policies!()
        ),
        actor: Tenant,
    },
    Suspect {
        cause: "a policy takes sign-ins from known addresses only",
        look: "the same entry: a policy with the condition Locations, and the address it was made from",
        cure: "add the address of this host in Entra admin center, Conditional Access, Named locations",
        actor: Tenant,
    },
    Suspect {
        cause: "a policy wants a compliant device or an approved application",
        look: "the same entry: a policy with the grant control Require device to be marked as compliant",
        cure: concat!("exclude the account in ", policies!()),
        actor: Tenant,
    },
    Suspect {
        cause: "the sign-in, or the user, counts as risky",
        look: "Entra admin center, Protection, Identity Protection, Risky users",
        cure: concat!("check and dismiss the risk, then ", login!()),
        actor: Tenant,
    },
    Suspect {
        cause: "a policy for workload identities keeps an application without a user out",
        look: "Entra admin center, Monitoring, Sign-in logs, Service principal sign-ins",
        cure: concat!(
            "exclude the application, or add the address of this host, in ",
            policies!()
        ),
        actor: Tenant,
    },
];

/// 7000218.
pub(super) const SECRET: &[Suspect] = &[
    Suspect {
        cause: "the application is not allowed to be a public client",
        look: concat!(
            registration!("Authentication"),
            ", Allow public client flows is No"
        ),
        cure: concat!(
            "set Allow public client flows to Yes in ",
            registration!("Authentication"),
            "; it acts within minutes"
        ),
        actor: Tenant,
    },
    Suspect {
        cause: "the application is confidential on purpose, and this host has no secret for it",
        look: concat!(
            registration!("Certificates & secrets"),
            " lists a secret or a certificate"
        ),
        cure: "make a secret of its own for this host, and name its file in client_secret_file under [account]",
        actor: Host,
    },
    Suspect {
        cause: "the redirect address is registered for the platform Web",
        look: concat!(registration!("Authentication"), ", Platform configurations"),
        cure: "register http://localhost under Mobile and desktop applications, and remove it from Web",
        actor: Tenant,
    },
    Suspect {
        cause: "client_id is that of another application",
        look: concat!(
            "compare client_id under [account] with ",
            registration!("Overview")
        ),
        cure: concat!("correct client_id under [account], then ", login!()),
        actor: Host,
    },
];

/// 700016 and its kind.
pub(super) const UNKNOWN: &[Suspect] = &[
    Suspect {
        cause: "client_id holds another id, such as the object id or the secret's",
        look: concat!(
            "compare client_id under [account] with Application (client) ID in ",
            registration!("Overview")
        ),
        cure: "correct client_id under [account]",
        actor: Host,
    },
    Suspect {
        cause: "tenant is not the one where the application is registered or was consented to",
        look: concat!(
            "compare tenant under [account] with Directory (tenant) ID in ",
            registration!("Overview")
        ),
        cure: "correct tenant under [account]",
        actor: Host,
    },
    Suspect {
        cause: "the tenant lives in another cloud",
        look: "authority under [endpoint]; each cloud has its own applications",
        cure: "register the application in the tenant's cloud, and set authority under [endpoint] to it",
        actor: Host,
    },
    Suspect {
        cause: "the application was deleted or disabled",
        look: concat!(
            enterprise!("Properties"),
            ", Enabled for users to sign in; App registrations, Deleted applications"
        ),
        cure: "enable it or restore it there",
        actor: Tenant,
    },
    Suspect {
        cause: "the account is a personal one and the application is for companies only",
        look: concat!(registration!("Overview"), ", Supported account types"),
        cure: "register an application for personal accounts, and set tenant under [account] to consumers",
        actor: User,
    },
];
