//! The rows: Microsoft's texts as they were seen, most specific first.

use super::suspects::{LOGON, SEND_AS, TOKEN};
use super::{Cause, Words, on};
use crate::outcome::Actor::{Host, Microsoft, Sender, Tenant};
use crate::outcome::Class::{Data, NoPermission, NoUser, Unavailable};

const LATER: &str = "try again later";
const SWITCH: &str = "Set-CASMailbox -Identity <mailbox> -SmtpClientAuthenticationDisabled $false, or Microsoft 365 \
    admin center, Users, Active users, the user, Mail, Manage email apps, Authenticated SMTP; wait up to an hour";
const PROXY_CHECK: &str = "this program signs in with OAuth only: check that no mail proxy on the \
    way changes AUTH, and that [smtp] host is Microsoft's";
const BLOCKED: &str = "see Restricted entities in the Microsoft Defender portal, change the \
    password, then release the sender there";
const SUPPORT: &str = "check the tenant for a compromised account, then ask Microsoft support";
const LOG_IN: &str = "see which policy in Entra admin center, Users, the user, Sign-in logs (the user's sign-in log), \
    and have the account excluded from it";

const BASIC: &str = "a user name and password arrived, not a token";
const BANNED: &str = "Microsoft has banned the address from which this host sends";
const BACK_END: &str = "a fault behind Microsoft's front end";

const SEND_AS_FIX: &str = "if [sender] rewrite is false, set it to true; else Add-RecipientPermission \
    -Identity <sender> -Trustee <mailbox> -AccessRights SendAs; \
    `sendmail365 explain SendAsDenied` lists other causes";
const FROM: Words = (
    Host,
    "the mailbox may not use the address in From",
    SEND_AS_FIX,
);
const OWN: Words = (
    Tenant,
    "the account may not use this sender",
    "the account that signs in has to own the mailbox that sends, or needs Send As: \
     Add-RecipientPermission -Identity <sender> -Trustee <account> -AccessRights SendAs; \
     `sendmail365 explain 5.7.60` lists other causes",
);
const ANONYMOUS: Words = (
    Host,
    "the server did not notice a sign-in",
    "check that no mail proxy on the way removes AUTH, and that [smtp] host is Microsoft's",
);
const NO_LOGON: Words = (
    Tenant,
    "the app has no permission on the mailbox",
    "Add-MailboxPermission -Identity <mailbox> -User <service principal> -AccessRights \
     FullAccess, or assign the role Application SMTP.SendAsApp; \
     `sendmail365 explain '430 4.2.0'` lists other causes",
);
const QUOTA: Words = (
    Microsoft,
    "the mailbox has reached its recipients a day (10,000 in 24 hours)",
    "wait up to 24 hours; check that the account is not abused",
);
const FULL: Words = (
    Tenant,
    "the sending mailbox is full; Sent Items keeps a copy of each message",
    "empty Sent Items or put a retention policy on it: Set-Mailbox -Identity <mailbox> \
     -RetentionPolicy <policy>",
);
const MANY: Words = (
    Sender,
    "too many recipients for one message of this mailbox",
    "send to fewer recipients at a time, or Set-Mailbox -Identity <mailbox> -RecipientLimits \
     1000",
);
const LARGE: Words = (
    Sender,
    "the message is larger than the mailbox may send",
    "send a link, or Set-Mailbox -Identity <mailbox> -MaxSendSize 150MB",
);

/// Replies to AUTH.
#[rustfmt::skip]
pub(super) const AUTH: &[Cause] = &[
    on(&[535], &[], &["smtpclientauthentication is disabled for the tenant"])
        .hold((Tenant, "SMTP AUTH is off for the tenant and the mailbox has no exception", SWITCH)),
    on(&[535], &[], &["smtpclientauthentication is disabled for the mailbox"])
        .hold((Tenant, "SMTP AUTH is off for the mailbox", SWITCH)),
    on(&[535], &[], &["basic authentication is disabled"]).hold((Host, BASIC, PROXY_CHECK)),
    on(&[535], &[], &["user credentials were incorrect"]).hold((Host, BASIC, PROXY_CHECK)),
    on(&[535], &[], &["security defaults policy"]).hold((
        Tenant,
        "security defaults of the tenant lock the user",
        "Set-CASMailbox -Identity <mailbox> -SmtpClientAuthenticationDisabled $false, then look \
         at the user's sign-in log: Entra admin center, Users, the user, Sign-in logs",
    )),
    on(&[535], &[], &["did not meet the criteria"])
        .hold((Tenant, "a Conditional Access or authentication policy refused the sign-in", LOG_IN)),
    on(&[535], &[], &["account locked"]).hold((
        Tenant,
        "the account is locked",
        "unblock the user's sign-in in Entra admin center, Users, the user, Properties",
    )),
    on(&[535], &[], &["federated sts"]).defer((
        Tenant,
        "the organization's own federation server was not reached",
        "check the federation server (AD FS) and its HTTPS address",
    )),
    on(&[535], &[(5, 7, 139, 139)], &[])
        .hold((Tenant, "a setting of the tenant refused the sign-in", SWITCH)),
    on(&[504], &[], &[]).hold((
        Host,
        "the server does not take XOAUTH2 here",
        "check [smtp] host and port: smtp.office365.com, 587",
    )),
    on(&[501], &[(5, 5, 124, 124)], &[]).hold((
        Host,
        "the server cannot read the sign-in: wrong account or domain",
        "check [account] mailbox and user",
    )),
    on(&[501], &[(5, 5, 127, 127)], &[]).hold((
        Host,
        "the access token ends too soon",
        "run `sendmail365 login` if this stays",
    )).fresh_token(),
    on(&[500], &[], &[]).hold((
        Host,
        "the server did not understand AUTH, in one step or in two",
        "check that no mail proxy on the way cuts long lines, and [smtp] host",
    )),
    on(&[503], &[], &[]).hold((
        Host,
        "the server met AUTH out of turn",
        "check that no mail proxy on the way changes the dialogue, and [smtp] host",
    )),
];

/// Replies that may come at any time.
#[rustfmt::skip]
pub(super) const ANY: &[Cause] = &[
    on(&[535], &[], &[]).hold((
        Host,
        "the server does not take the token for this user: wrong audience or user, no SMTP \
         AUTH, or no permission on the mailbox",
        "check [account] mailbox and user: the server wants the name of the user who signed in; \
         `sendmail365 explain '535 5.7.3'` lists the other causes",
    )).fresh_token().or(TOKEN),
    on(&[], &[(5, 7, 30, 30)], &[])
        .hold((Host, "Microsoft has retired Basic authentication", PROXY_CHECK)),
    on(&[], &[(4, 7, 66, 66)], &[]).hold((
        Host,
        "the connection uses TLS 1.0 or 1.1",
        "this program speaks TLS 1.2 and 1.3: look for a TLS inspection on the way",
    )),
    on(&[421], &[(4, 3, 2, 2)], &[])
        .defer((Microsoft, "the server is going out of service for a while", LATER)),
    on(&[421], &[], &["submission rate"]).defer((
        Host,
        "the account sends more messages a minute than the server lets it",
        "try again later; lower per_minute under [limits]",
    )),
    on(&[421], &[(4, 4, 1, 2)], &[])
        .defer((Microsoft, "the server dropped an idle or slow connection", LATER)),
    on(&[451], &[(4, 7, 0, 0)], &[]).defer((
        Microsoft,
        "Microsoft's front end does not reach the mailbox server",
        "try again later; if it stays for hours, check [smtp] hello and ask Microsoft support",
    )),
    on(&[454], &[], &[])
        .defer((Microsoft, "the server cannot check sign-ins for the moment", LATER)),
];

/// Replies that are about this host and may come from its greeting on.
#[rustfmt::skip]
pub(super) const HOST: &[Cause] = &[
    on(&[], &[(5, 7, 708, 708)], &[])
        .hold((Tenant, "Microsoft takes no mail from this address of the host", SUPPORT)),
    on(&[], &[(5, 7, 800, 800)], &[])
        .hold((Tenant, "the domain in EHLO, envelope or From is banned", SUPPORT)),
    on(&[], &[(5, 7, 506, 506)], &[]).hold((
        Host,
        "the name in EHLO is the server's own",
        "set [smtp] hello to this host's name",
    )),
    on(&[], &[(5, 7, 508, 508)], &[]).hold((
        Host,
        "the network of this host sends more than Microsoft lets it",
        "wait, then try again; if it lasts, ask Microsoft support",
    )),
    on(&[], &[(5, 7, 511, 511)], &[])
        .hold((Host, BANNED, "forward the server's reply to delist@microsoft.com")),
    on(&[], &[(5, 7, 606, 649)], &[])
        .hold((Host, BANNED, "ask for its release at https://sender.office.com")),
];

/// Replies to RCPT that mean something else there than to a message.
#[rustfmt::skip]
pub(super) const RCPT: &[Cause] = &[
    on(&[], &[(5, 2, 2, 2)], &[]).refuse(NoUser, (
        Sender,
        "the recipient's mailbox is full",
        "tell the recipient in another way, then send the message again",
    )),
    // RFC 5321 section 4.5.3.1.10 takes it for a 452.
    on(&[552], &[], &["too many recipients"]).defer((
        Sender,
        "too many recipients for one message",
        "send to fewer recipients at a time",
    )),
];

/// Replies to MAIL, RCPT, DATA and the message.
#[rustfmt::skip]
pub(super) const MESSAGE: &[Cause] = &[
    on(&[530], &[], &[]).hold(ANONYMOUS),
    on(&[], &[(5, 7, 57, 57)], &[]).hold(ANONYMOUS),
    on(&[], &[(5, 7, 64, 64)], &[]).hold((
        Host,
        "the server takes this host for a stranger, as one for incoming mail or for a connector does",
        "check [smtp] host: smtp.office365.com",
    )),
    on(&[], &[(5, 7, 139, 139)], &[])
        .hold((Tenant, "a setting of the tenant refused the sign-in", SWITCH)),
    on(&[503], &[], &[]).hold((
        Host,
        "the server met a command out of turn",
        "check that no mail proxy on the way changes the dialogue, and [smtp] host",
    )),
    on(&[], &[(5, 7, 60, 60)], &[]).refuse(NoPermission, OWN).or(SEND_AS),
    on(&[], &[], &["sendasdenied"]).refuse(NoPermission, FROM).or(SEND_AS),
    on(&[], &[(5, 2, 252, 252)], &[]).refuse(NoPermission, FROM).or(SEND_AS),
    on(&[], &[], &["mailbox logon failure"]).hold(NO_LOGON).or(LOGON),
    on(&[430], &[(4, 2, 0, 0)], &["logonfailure"]).hold(NO_LOGON).or(LOGON),
    on(&[432], &[], &[]).defer((
        Host,
        "more than 3 connections use the mailbox at once",
        "try again in some minutes; lower connections under [limits], or give each \
         application a mailbox of its own",
    )),
    on(&[451], &[(4, 3, 111, 111)], &[]).defer((Microsoft, BACK_END, LATER)),
    on(&[], &[], &["submissionquotaexceeded"]).hold(QUOTA),
    on(&[], &[], &["submission quota exceeded"]).hold(QUOTA),
    on(&[], &[(5, 1, 90, 90)], &[]).hold(QUOTA),
    on(&[], &[(5, 7, 232, 233), (5, 7, 236, 236)], &[]).hold((
        Tenant,
        "the tenant has reached its external recipients a day",
        "wait up to 24 hours; send from a domain of your own, not onmicrosoft.com, and check the \
         number of licences in Microsoft 365 admin center, Billing, Licenses",
    )),
    on(&[], &[(0, 2, 121, 122)], &[]).defer((
        Sender,
        "the recipient gets more mail an hour than it may",
        "try again in an hour; send less to this address",
    )),
    on(&[], &[(5, 2, 2, 2)], &[]).hold(FULL),
    on(&[], &[], &["mapiexceptionshutoffquotaexceeded"]).hold(FULL),
    on(&[], &[], &["mapiexceptionquotaexceeded"]).hold(FULL),
    on(&[], &[(5, 1, 8, 8)], &[]).hold((Tenant, "Microsoft blocks the sender for spam", BLOCKED)),
    on(&[], &[(5, 7, 501, 503)], &[])
        .hold((Tenant, "Microsoft has banned the sender for spam", BLOCKED)),
    on(&[], &[(5, 7, 705, 705)], &[])
        .hold((Tenant, "the tenant sends more than Microsoft lets it", SUPPORT)),
    on(&[], &[(5, 7, 750, 750)], &[]).refuse(Unavailable, (
        Tenant,
        "the domain in From is not one of the tenant's",
        "add the domain in Microsoft 365 admin center, Settings, Domains; if [sender] rewrite is \
         false, set it to true",
    )),
    on(&[], &[(4, 7, 500, 699), (4, 7, 850, 899)], &[]).defer((
        Microsoft,
        "Microsoft slows this host down for suspicious activity",
        "wait; check that the account is not abused",
    )),
    on(&[], &[(4, 4, 5, 5)], &[]).defer((Microsoft, "the server is congested", LATER)),
    on(&[], &[(5, 4, 5, 5)], &[])
        .hold((Microsoft, "the server is congested", "wait, then try again")),
    on(&[], &[(4, 4, 7, 7)], &[]).defer((Microsoft, "the message expired at the server", LATER)),
    on(&[451], &[(4, 4, 0, 999)], &[]).defer((Microsoft, BACK_END, LATER)),
    on(&[450], &[(4, 7, 0, 999)], &[]).defer((Microsoft, BACK_END, LATER)),
    on(&[452], &[(4, 5, 3, 3)], &[]).defer((
        Sender,
        "too many recipients for one message",
        "send to fewer recipients at a time",
    )),
    on(&[], &[(5, 5, 3, 3)], &[]).refuse(Unavailable, MANY),
    on(&[], &[], &["resolver.adr.reciplimit"]).refuse(Unavailable, MANY),
    on(&[552], &[], &[]).refuse(Unavailable, LARGE),
    on(&[], &[(5, 3, 4, 4)], &[]).refuse(Unavailable, LARGE),
    on(&[], &[(5, 1, 20, 20)], &[]).refuse(Data, (
        Sender,
        "From names several addresses and there is no Sender",
        "put one address into From, or add a Sender field",
    )),
    on(&[], &[(5, 7, 512, 512)], &[]).refuse(Data, (
        Sender,
        "the message has no valid From",
        "put one valid address into From (RFC 5322 section 3.6.2)",
    )),
    on(&[], &[(5, 6, 0, 0)], &[]).refuse(Data, (
        Sender,
        "the server cannot read the message: broken MIME, or a rule ran out of time",
        "send the message with a well-formed MIME structure",
    )),
    on(&[], &[(5, 6, 11, 11)], &[]).refuse(Data, (
        Sender,
        "a server on the way refuses line feeds that stand alone",
        "end every line of the message in CRLF",
    )),
    on(&[], &[(5, 1, 3, 3)], &[]).refuse(NoUser, (
        Sender,
        "the address is malformed",
        "correct the recipient's address",
    )),
    on(&[], &[(5, 1, 7, 7)], &[])
        .refuse(NoUser, (Sender, "the address is malformed", "correct the address")),
    on(&[], &[(5, 1, 1, 1), (5, 1, 10, 10), (5, 4, 1, 1)], &[]).refuse(NoUser, (
        Sender,
        "there is no such recipient",
        "correct the recipient's address",
    )),
    on(&[], &[], &["transport.rules.rejectmessage"]).refuse(Unavailable, (
        Tenant,
        "a mail flow rule of the tenant refuses the message",
        "find the rule with Get-TransportRule",
    )),
    on(&[], &[(5, 7, 1, 1)], &["unable to relay"]).refuse(Unavailable, (
        Host,
        "this server does not take mail for that recipient from us",
        "check [smtp] host: smtp.office365.com",
    )),
    on(&[], &[(5, 7, 1, 1)], &[]).refuse(Unavailable, (
        Tenant,
        "a policy of the server refuses the message",
        "check [smtp] host, and the tenant's rules with Get-TransportRule",
    )),
    on(&[], &[(5, 7, 703, 703)], &[]).refuse(Unavailable, (
        Tenant,
        "a recipient is on the tenant's block list; nobody gets the message",
        "Get-TenantAllowBlockListItems -ListType Sender, then remove the entry",
    )),
    on(&[], &[(5, 4, 6, 6), (5, 4, 14, 14)], &[]).refuse(Unavailable, (
        Tenant,
        "the message goes round in a loop",
        "check forwarding and connectors of the recipient's domain",
    )),
    on(&[], &[(5, 4, 300, 300)], &[]).refuse(Unavailable, (
        Sender,
        "the message expired at the server",
        "check the recipient's domain, then send the message again",
    )),
];
