//! The rows: Microsoft's texts as they were seen, most specific first.

use super::{Cause, on};
use crate::outcome::Class;

const LATER: &str = "try again later";
const SWITCH: &str = "Set-CASMailbox -Identity <mailbox> -SmtpClientAuthenticationDisabled $false; \
    wait up to an hour";
const PROXY_CHECK: &str = "this program signs in with OAuth only: check that no mail proxy on the \
    way changes AUTH, and that [smtp] host is Microsoft's";
const SEND_AS: &str = "if [sender] rewrite is false, set it to true; else Add-RecipientPermission \
    -Identity <sender> -Trustee <mailbox> -AccessRights SendAs";
const OWN: &str = "the account that signs in has to own the mailbox that sends, or needs Send As: \
    Add-RecipientPermission -Identity <sender> -Trustee <account> -AccessRights SendAs";
const BLOCKED: &str = "see Restricted entities in the Microsoft Defender portal, change the \
    password, then release the sender there";
const SUPPORT: &str = "check the tenant for a compromised account, then ask Microsoft support";

const ANONYMOUS: &str = "the server did not notice a sign-in";
const ANONYMOUS_FIX: &str =
    "check that no mail proxy on the way removes AUTH, and that [smtp] host is Microsoft's";
const LOGON: &str = "the app has no permission on the mailbox";
const LOGON_FIX: &str = "Add-MailboxPermission -Identity <mailbox> -User <service principal> -AccessRights \
         FullAccess, or assign the role Application SMTP.SendAsApp";
const BACK_END: &str = "a fault behind Microsoft's front end";
const QUOTA: &str = "the mailbox has reached its recipients a day";
const QUOTA_FIX: &str = "wait up to 24 hours; check that the account is not abused";
const FULL: &str = "the sending mailbox is full; Sent Items keeps a copy of each message";
const FULL_FIX: &str = "empty Sent Items or put a retention policy on it: Set-Mailbox -Identity <mailbox> \
         -RetentionPolicy <policy>";
const MANY: &str = "too many recipients for one message of this mailbox";
const MANY_FIX: &str = "send to fewer recipients at a time, or Set-Mailbox -Identity <mailbox> -RecipientLimits \
         1000";
const LARGE: &str = "the message is larger than the mailbox may send";
const LARGE_FIX: &str = "send a link, or Set-Mailbox -Identity <mailbox> -MaxSendSize 150MB";
const FROM: &str = "the mailbox may not use the address in From";
const BASIC: &str = "a user name and password arrived, not a token";

/// Replies to AUTH.
pub(super) const AUTH: &[Cause] = &[
    on(
        &[535],
        &[],
        &["smtpclientauthentication is disabled for the tenant"],
    )
    .hold(
        "SMTP AUTH is off for the tenant and the mailbox has no exception",
        SWITCH,
    ),
    on(
        &[535],
        &[],
        &["smtpclientauthentication is disabled for the mailbox"],
    )
    .hold("SMTP AUTH is off for the mailbox", SWITCH),
    on(&[535], &[], &["basic authentication is disabled"]).hold(BASIC, PROXY_CHECK),
    on(&[535], &[], &["user credentials were incorrect"]).hold(BASIC, PROXY_CHECK),
    on(&[535], &[], &["security defaults policy"]).hold(
        "security defaults of the tenant lock the user",
        "Set-CASMailbox -Identity <mailbox> -SmtpClientAuthenticationDisabled $false, then look \
         at the user's sign-in log in Entra",
    ),
    on(&[535], &[], &["did not meet the criteria"]).hold(
        "a Conditional Access or authentication policy refused the sign-in",
        "see which policy in the user's sign-in log in Entra",
    ),
    on(&[535], &[], &["account locked"]).hold(
        "the account is locked",
        "unblock the user's sign-in in Entra",
    ),
    on(&[535], &[], &["federated sts"]).defer(
        "the organization's own federation server was not reached",
        "check the federation server (AD FS) and its HTTPS address",
    ),
    on(&[535], &[(5, 7, 139, 139)], &[])
        .hold("a setting of the tenant refused the sign-in", SWITCH),
    on(&[504], &[], &[]).hold(
        "the server does not take XOAUTH2 here",
        "check [smtp] host and port: smtp.office365.com, 587",
    ),
    on(&[501], &[(5, 5, 124, 124)], &[]).hold(
        "the server cannot read the sign-in: wrong account or domain",
        "check [account] mailbox and user",
    ),
    on(&[501], &[(5, 5, 127, 127)], &[])
        .hold(
            "the access token ends too soon",
            "run `sendmail365 login --import FILE` with a new token if this stays",
        )
        .fresh_token(),
    on(&[500], &[], &[]).hold(
        "the server did not understand AUTH, in one step or in two",
        "check that no mail proxy on the way cuts long lines, and [smtp] host",
    ),
    on(&[503], &[], &[]).hold(
        "the server met AUTH out of turn",
        "check that no mail proxy on the way changes the dialogue, and [smtp] host",
    ),
];

/// Replies that may come at any time.
pub(super) const ANY: &[Cause] = &[
    on(&[535], &[], &[])
        .hold(
            "the server does not take the token for this user: wrong user or audience, no SMTP \
             AUTH, or no permission on the mailbox",
            "check [account] mailbox and user; Get-CASMailbox -Identity <mailbox> | fl \
             SmtpClientAuthenticationDisabled; app-only: New-ServicePrincipal with the object id \
             of the enterprise application, Add-MailboxPermission",
        )
        .fresh_token(),
    on(&[], &[(5, 7, 30, 30)], &[]).hold("Microsoft has retired Basic authentication", PROXY_CHECK),
    on(&[], &[(4, 7, 66, 66)], &[]).hold(
        "the connection uses TLS 1.0 or 1.1",
        "this program speaks TLS 1.2 and 1.3: look for a TLS inspection on the way",
    ),
    on(&[421], &[(4, 3, 2, 2)], &[]).defer("the server is going out of service for a while", LATER),
    on(&[421], &[(4, 4, 1, 2)], &[]).defer("the server dropped an idle or slow connection", LATER),
    on(&[451], &[(4, 7, 0, 0)], &[]).defer(
        "Microsoft's front end does not reach the mailbox server",
        "try again later; if it stays for hours, check [smtp] hello and ask Microsoft support",
    ),
    on(&[454], &[], &[]).defer("the server cannot check sign-ins for the moment", LATER),
];

/// Replies that are about this host and may come from its greeting on.
pub(super) const HOST: &[Cause] = &[
    on(&[], &[(5, 7, 708, 708)], &[]).hold(
        "Microsoft takes no mail from this address of the host",
        SUPPORT,
    ),
    on(&[], &[(5, 7, 800, 800)], &[])
        .hold("the domain in EHLO, envelope or From is banned", SUPPORT),
    on(&[], &[(5, 7, 506, 506)], &[]).hold(
        "the name in EHLO is the server's own",
        "set [smtp] hello to this host's name",
    ),
];

/// Replies to MAIL, RCPT, DATA and the message.
pub(super) const MESSAGE: &[Cause] = &[
    on(&[530], &[], &[]).hold(ANONYMOUS, ANONYMOUS_FIX),
    on(&[], &[(5, 7, 57, 57)], &[]).hold(ANONYMOUS, ANONYMOUS_FIX),
    on(&[], &[(5, 7, 60, 60)], &[]).refuse(
        Class::NoPermission,
        "the account may not use this sender",
        OWN,
    ),
    on(&[], &[], &["sendasdenied"]).refuse(Class::NoPermission, FROM, SEND_AS),
    on(&[], &[(5, 2, 252, 252)], &[]).refuse(Class::NoPermission, FROM, SEND_AS),
    on(&[], &[], &["mailbox logon failure"]).hold(LOGON, LOGON_FIX),
    on(&[430], &[(4, 2, 0, 0)], &["logonfailure"]).hold(LOGON, LOGON_FIX),
    on(&[432], &[], &[]).defer(
        "more than 3 connections use the mailbox at once",
        "try again in some minutes; send over fewer connections at a time, or give each \
         application a mailbox of its own",
    ),
    on(&[451], &[(4, 3, 111, 111)], &[]).defer(BACK_END, LATER),
    on(&[], &[], &["submissionquotaexceeded"]).hold(QUOTA, QUOTA_FIX),
    on(&[], &[], &["submission quota exceeded"]).hold(QUOTA, QUOTA_FIX),
    on(&[], &[(5, 1, 90, 90)], &[]).hold(QUOTA, QUOTA_FIX),
    on(&[], &[(5, 7, 232, 233), (5, 7, 236, 236)], &[]).hold(
        "the tenant has reached its external recipients a day",
        "wait up to 24 hours; send from a domain of your own, not onmicrosoft.com, and check the \
         number of licences",
    ),
    on(&[], &[(0, 2, 121, 122)], &[]).defer(
        "the recipient gets more mail an hour than it may",
        "try again in an hour; send less to this address",
    ),
    on(&[], &[(5, 2, 2, 2)], &[]).hold(FULL, FULL_FIX),
    on(&[], &[], &["mapiexceptionshutoffquotaexceeded"]).hold(FULL, FULL_FIX),
    on(&[], &[], &["mapiexceptionquotaexceeded"]).hold(FULL, FULL_FIX),
    on(&[], &[(5, 1, 8, 8)], &[]).hold("Microsoft blocks the sender for spam", BLOCKED),
    on(&[], &[(5, 7, 501, 503)], &[]).hold("Microsoft has banned the sender for spam", BLOCKED),
    on(&[], &[(5, 7, 705, 705)], &[]).hold("the tenant sends more than Microsoft lets it", SUPPORT),
    on(&[], &[(5, 7, 750, 750)], &[]).refuse(
        Class::Unavailable,
        "the domain in From is not one of the tenant's",
        "add the domain in the Microsoft 365 admin center; if [sender] rewrite is false, set it to \
         true",
    ),
    on(&[], &[(4, 7, 500, 699), (4, 7, 850, 899)], &[]).defer(
        "Microsoft slows this host down for suspicious activity",
        "wait; check that the account is not abused",
    ),
    on(&[], &[(4, 4, 5, 5)], &[]).defer("the server is congested", LATER),
    on(&[], &[(5, 4, 5, 5)], &[]).hold("the server is congested", "wait, then try again"),
    on(&[], &[(4, 4, 7, 7)], &[]).defer("the message expired at the server", LATER),
    on(&[451], &[(4, 4, 0, 999)], &[]).defer(BACK_END, LATER),
    on(&[450], &[(4, 7, 0, 999)], &[]).defer(BACK_END, LATER),
    on(&[452], &[(4, 5, 3, 3)], &[]).defer(
        "too many recipients for one message",
        "send to fewer recipients at a time",
    ),
    on(&[], &[(5, 5, 3, 3)], &[]).refuse(Class::Unavailable, MANY, MANY_FIX),
    on(&[], &[], &["resolver.adr.reciplimit"]).refuse(Class::Unavailable, MANY, MANY_FIX),
    on(&[552], &[], &[]).refuse(Class::Unavailable, LARGE, LARGE_FIX),
    on(&[], &[(5, 3, 4, 4)], &[]).refuse(Class::Unavailable, LARGE, LARGE_FIX),
    on(&[], &[(5, 1, 20, 20)], &[]).refuse(
        Class::Data,
        "From names several addresses and there is no Sender",
        "put one address into From, or add a Sender field",
    ),
    on(&[], &[(5, 7, 512, 512)], &[]).refuse(
        Class::Data,
        "the message has no valid From",
        "put one valid address into From (RFC 5322 section 3.6.2)",
    ),
    on(&[], &[(5, 6, 0, 0)], &[]).refuse(
        Class::Data,
        "the server cannot read the message: broken MIME, or a rule ran out of time",
        "send the message with a well-formed MIME structure",
    ),
    on(&[], &[(5, 6, 11, 11)], &[]).refuse(
        Class::Data,
        "a server on the way refuses line feeds that stand alone",
        "end every line of the message in CRLF",
    ),
    on(&[], &[(5, 1, 3, 3)], &[]).refuse(
        Class::NoUser,
        "the address is malformed",
        "correct the recipient's address",
    ),
    on(&[], &[(5, 1, 7, 7)], &[]).refuse(
        Class::NoUser,
        "the address is malformed",
        "correct the address",
    ),
    on(&[], &[(5, 1, 1, 1), (5, 1, 10, 10), (5, 4, 1, 1)], &[]).refuse(
        Class::NoUser,
        "there is no such recipient",
        "correct the recipient's address",
    ),
    on(&[], &[], &["transport.rules.rejectmessage"]).refuse(
        Class::Unavailable,
        "a mail flow rule of the tenant refuses the message",
        "find the rule with Get-TransportRule",
    ),
    on(&[], &[(5, 7, 1, 1)], &["unable to relay"]).refuse(
        Class::Unavailable,
        "this server does not take mail for that recipient from us",
        "check [smtp] host: smtp.office365.com",
    ),
    on(&[], &[(5, 7, 1, 1)], &[]).refuse(
        Class::Unavailable,
        "a policy of the server refuses the message",
        "check [smtp] host, and the tenant's rules with Get-TransportRule",
    ),
    on(&[], &[(5, 7, 703, 703)], &[]).refuse(
        Class::Unavailable,
        "a recipient is on the tenant's block list; nobody gets the message",
        "Get-TenantAllowBlockListItems -ListType Sender, then remove the entry",
    ),
    on(&[], &[(5, 4, 6, 6), (5, 4, 14, 14)], &[]).refuse(
        Class::Unavailable,
        "the message goes round in a loop",
        "check forwarding and connectors of the recipient's domain",
    ),
    on(&[], &[(5, 4, 300, 300)], &[]).refuse(
        Class::Unavailable,
        "the message expired at the server",
        "check the recipient's domain, then send the message again",
    ),
];
