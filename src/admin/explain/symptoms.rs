//! Failures without a code of Microsoft's: our own words for them, and what is seen of the network,
//! of tokens and of settings.

use crate::outcome::Actor::{self, Host, Sender, Tenant, User};
use crate::outcome::Fate::{self, Defer, Hold, Return, Unsure};

/// One symptom.
#[derive(Debug)]
pub(super) struct Symptom {
    pub(super) name: &'static str,
    /// Any of these; of each all parts, in lower case.
    pub(super) signs: &'static [&'static [&'static str]],
    pub(super) meaning: &'static str,
    pub(super) cure: &'static str,
    pub(super) actor: Actor,
    /// What becomes of the mail.
    pub(super) fate: Fate,
}

type Signs = &'static [&'static [&'static str]];

const fn row(
    (name, signs): (&'static str, Signs),
    (actor, fate): (Actor, Fate),
    meaning: &'static str,
    cure: &'static str,
) -> Symptom {
    Symptom {
        name,
        signs,
        meaning,
        cure,
        actor,
        fate,
    }
}

const SCOPE: &str = "leave scope and resource under [endpoint] empty, or set scope to exactly \
    `https://outlook.office.com/SMTP.Send offline_access` (another cloud has its own host); then run \
    `sendmail365 login`";
const LOGIN: &str = "run `sendmail365 login`, as root or as the user whose settings these are";
const CLOCK: &str = "set this host's clock: `timedatectl` shows it, NTP keeps it";
const REACH: &str = "let this host reach login.microsoftonline.com:443 and smtp.office365.com:587, directly or \
    by proxy under [endpoint]";
const SWITCH: &str = "Set-CASMailbox -Identity <mailbox> -SmtpClientAuthenticationDisabled $false, or Microsoft 365 \
    admin center, Users, Active users, the user, Mail, Manage email apps, Authenticated SMTP; wait up to an hour";

/// Words of this program that may hold a code which is not the cause.
#[rustfmt::skip]
pub(super) const OWN: &[Symptom] = &[
    row(("no sendmail", &[&["/sendmail: not found"], &["sendmail: command not found"], &["/sendmail: no such file"],
            &["/sendmail: inaccessible or not found"], &["/sendmail: permission denied"],
            &["could not execute mail delivery program"]]),
        (Host, Return),
        "the program that sends finds no sendmail where it looks, or may not run it",
        "`sendmail365 doctor` tells where the names lead; install sendmail365-mta, or link /usr/sbin/sendmail to \
         sendmail365; for PHP see its php.ini"),
    row(("token for another service", &[&["the token is for microsoft graph"], &["the token is for azure ad graph"]]),
        (Host, Hold),
        "the token opens Microsoft Graph, not Outlook: SMTP would answer 535 5.7.3", SCOPE),
    row(("token of another tenant", &[&["it belongs to tenant", "not to"]]), (Host, Hold),
        "who signed in belongs to another tenant than the configured one",
        "correct tenant under [account], or sign in as a user of that tenant: `sendmail365 login`"),
    row(("token of another user", &[&["the access token does not fit", "it belongs to"], &["it belongs to", "not to"]]),
        (User, Hold),
        "somebody else signed in than the mailbox's user, such as an administrator whose browser was open",
        "sign in as the mailbox's user in a private window: `sendmail365 login`; or, for a delegate with \
         Send As, set user under [account] to who signed in"),
    row(("token without SMTP.Send", &[&["which lacks smtp.send"]]), (Tenant, Hold),
        "the token opens Outlook, but does not permit sending",
        "add SMTP.Send (delegated) in Entra admin center, App registrations, the application, API permissions, then \
         run `sendmail365 login`"),
    row(("token not valid yet", &[&["the token granted is not valid yet"]]), (Host, Defer),
        "this host's clock is behind Microsoft's", CLOCK),
    row(("no sign-in", &[&["nobody has signed in on this host yet"]]), (Host, Hold),
        "nobody has signed in on this host yet", LOGIN),
    row(("sign-in of another account", &[&["the stored sign-in is for mailbox"]]), (Host, Hold),
        "the stored sign-in is for another mailbox or application than the configured ones",
        "correct mailbox and client_id under [account], or sign in again: `sendmail365 login`"),
    row(("stored sign-in", &[&["no other slot holds a sign-in"], &["was written by a newer version of sendmail365"],
            &["the lock of the stored sign-in is of no use"]]), (Host, Hold),
        "the files of the stored sign-in cannot be used", LOGIN),
    row(("answer lost", &[&["the message may have been delivered"], &["it may have been accepted already"]]),
        (Host, Unsure),
        "the connection broke after the whole message was sent, and nobody knows whether it was taken",
        "look into Sent Items of the mailbox before sending it again"),
    row(("certificate of another name", &[&["certificate", "is for another name"], &["certificate", "it is for", "not for"]]),
        (Host, Defer),
        "whoever answered is not the server that was meant",
        "check token_url under [endpoint], [smtp] host, DNS on this host, and what answers in the server's place"),
    row(("certificate of an authority", &[&["that of an authority (ca:true)"]]), (Host, Defer),
        "the certificate shown is no server's, but that of an authority",
        "if it is your server, give it a certificate without CA:TRUE; else something intercepts the connection"),
    row(("clear text before TLS", &[&["replies came in clear where tls had to begin"], &["reason=injected"]]),
        (Host, Defer),
        "something between this host and the server tampers with the connection; nothing secret was sent",
        "find what sits between this host and the server"),
    row(("message too large", &[&["the message is too large for the server"]]), (Sender, Return),
        "the message is larger than the server takes",
        "send a link in place of the attachment; message_size under [limits] refuses such a message sooner"),
    row(("address beyond ASCII", &[&["the server does not offer smtputf8"]]), (Sender, Return),
        "an address has letters beyond ASCII, and the server cannot take those",
        "use the ASCII form of the address"),
];

/// What the network, a token or a setting shows, in anybody's words.
#[rustfmt::skip]
pub(super) const SEEN: &[Symptom] = &[
    row(("audience Graph", &[&["00000003-0000-0000-c000-000000000000"], &["aud", "graph.microsoft.com"],
            &["aud", "graph.microsoft.us"], &["audience", "graph"], &["graph token"]]), (Host, Hold),
        "the token opens Microsoft Graph, and SMTP answers 535 5.7.3, whatever its scp says", SCOPE),
    row(("audience Azure AD Graph", &[&["00000002-0000-0000-c000-000000000000"], &["graph.windows.net"]]),
        (Host, Hold),
        "the token opens Azure AD Graph, and SMTP answers 535 5.7.3", SCOPE),
    row(("roles missing", &[&["roles", "missing"], &["roles", "absent"], &["no roles"], &["roles claim"],
            &["smtp.sendasapp"]]), (Tenant, Hold),
        "an application without a user has no role in its token: right if Exchange gives it a role, wrong if it is to \
         have an API permission",
        "either Entra admin center, App registrations, the application, API permissions: Office 365 Exchange Online, \
         Application, SMTP.SendAsApp with admin consent; or New-ManagementRoleAssignment -Role 'Application \
         SMTP.SendAsApp' -App <client id> -CustomResourceScope <scope>, not both"),
    row(("object id", &[&["new-serviceprincipal"], &["object id"], &["objectid"]]), (Tenant, Hold),
        "Exchange knows an application by the object id of the enterprise application, not of the registration",
        "Get-ServicePrincipal | fl DisplayName,AppId,ObjectId shows it; New-ServicePrincipal -AppId <client id> \
         -ObjectId <object id in Entra admin center, Enterprise applications> -DisplayName <name>"),
    row(("shared mailbox", &[&["shared mailbox"]]), (Tenant, Hold),
        "nobody signs in to a shared mailbox for SMTP: 535 5.7.3",
        "set user under [account] to a delegate who signs in, and Add-RecipientPermission -Identity <mailbox> -Trustee \
         <user> -AccessRights SendAs"),
    row(("SMTP AUTH switch", &[&["smtpclientauthenticationdisabled"], &["smtp auth", "disabled"], &["smtp auth", "off"]]),
        (Tenant, Hold),
        "SMTP AUTH is off for the tenant or the mailbox, which shuts out OAuth too", SWITCH),
    row(("authentication policy", &[&["allowbasicauthsmtp"]]), (Tenant, Hold),
        "an authentication policy of Exchange forbids Basic authentication over SMTP, which this program does not use",
        "nothing as long as OAuth works; if SMTP answers 535 all the same: Get-AuthenticationPolicy, and \
         Set-User -Identity <mailbox> -AuthenticationPolicy <policy>"),
    row(("security defaults", &[&["security defaults"]]), (Tenant, Hold),
        "security defaults block Basic authentication and ask for a second factor",
        "sign in with the second factor: `sendmail365 login`; and Set-CASMailbox -Identity <mailbox> \
         -SmtpClientAuthenticationDisabled $false"),
    row(("token cut", &[&["token", "truncated"], &["token", "cut off"], &["token", "too long"], &["token", "4096"]]), (Host, Hold),
        "a token is cut: access tokens may have more than 4,096 characters", LOGIN),
    row(("metadata service", &[&["169.254.169.254"], &["identity not found"], &["managed identity"]]), (Tenant, Hold),
        "the metadata service gave no token: the machine has no managed identity, or is not in Azure",
        "switch it on in Azure portal, Virtual machines, the machine, Identity; the service is never reached by way of a \
         proxy"),
    row(("no XOAUTH2", &[&["does not offer xoauth2"], &["after tls it offers auth"]]), (Host, Defer),
        "after TLS the server does not offer the sign-in with a token; nothing secret was sent",
        "check [smtp] host: smtp.office365.com, and what filters SMTP on the way"),
    row(("no STARTTLS", &[&["offers no tls"], &["starttls is missing"], &["starttls", "not offered"],
            &["starttls", "not supported"]]), (Host, Defer),
        "the server offers no TLS, or something on the way takes the offer out; nothing secret was sent",
        "check [smtp] host and port (smtp.office365.com, 587), and what filters SMTP on the way"),
    row(("no SMTP", &[&["this is not smtp"], &["no smtp from"], &["its reply has no end"], &["must not say"],
            &["it spoke before it was asked"], &["makes no sense"]]), (Host, Defer),
        "whoever answers does not speak SMTP as a server does",
        "check [smtp] host and port, and what filters SMTP on the way"),
    row(("unknown issuer", &[&["which this host does not trust"], &["unknown issuer"], &["unknownissuer"], &["unknown ca"],
            &["issuer unknown"], &["self signed certificate"], &["self-signed certificate"],
            &["unable to get local issuer certificate"], &["certificate verify failed"],
            &["certificate shown", "is not trusted"]]), (Host, Defer),
        "TLS shows a certificate of an authority that this host does not trust: an inspection, or an interception",
        "if a company proxy inspects TLS, name its CA certificate in ca_file under [endpoint], or have it exempt the \
         server; else update the package ca-certificates"),
    row(("certificate dates", &[&["is not valid yet"], &["not yet valid"], &["notvalidyet"], &["certificate has expired"],
            &["certificate", "has expired"], &["certificate", "expired"], &["certexpired"], &["clock skew"], &["clock"]]),
        (Host, Defer),
        "a date does not fit: this host's clock is wrong, or a certificate is out of date", CLOCK),
    row(("certificate name", &[&["hostname mismatch"], &["it is for", "not for"], &["notvalidforname"], &["certificate", "name mismatch"]]),
        (Host, Defer),
        "whoever answered is not the server that was meant",
        "check token_url under [endpoint], [smtp] host, DNS on this host, and what answers in the server's place"),
    row(("TLS broken off", &[&["during the tls handshake"], &["handshake failure"], &["protocol version"], &["no tls with"],
            &["tls with", "failed"], &["reset", "tls"]]), (Host, Defer),
        "TLS does not come about: something on the way inspects or blocks it, or speaks an old version",
        "have a firewall exempt login.microsoftonline.com:443 and smtp.office365.com:587 from inspection"),
    row(("captive portal", &[&["captive portal"], &["with a web page"], &["<html"], &["<!doctype html"], &["text/html"],
            &["that are no json object"], &["not-json"]]), (Host, Defer),
        "a captive portal, a filter or a proxy answered in Microsoft's place; the stored sign-in was not touched",
        REACH),
    row(("redirect", &[&["a redirect to"], &["redirect was not followed"], &["reason=\"redirect"]]), (Host, Defer),
        "something redirects the request, which is not followed because it holds the sign-in", REACH),
    row(("proxy", &[&["the proxy gives no way"], &["the proxy", "refuses"], &["the proxy", "gives no way"],
            &["proxy did not answer"], &["proxy authentication required"]]), (Host, Defer),
        "the proxy does not let this host through",
        "check proxy under [endpoint], and have the proxy allow login.microsoftonline.com:443 and \
         smtp.office365.com:587 without credentials"),
    row(("bad answer", &[&["does not answer as a web server does"], &["larger than any token answer"],
            &["answered without an access token"], &["octets that no token has"], 
            &["the answer is over"]]),
        (Host, Defer),
        "the answer of the token endpoint is no token answer: a proxy or a wrong address",
        "check token_url under [endpoint], and the proxies and filters on the way"),
    row(("token type", &[&["the token is of type"]]), (Host, Hold),
        "the token endpoint hands out tokens of a kind that SMTP does not take",
        "check token_url under [endpoint]"),
    row(("name not found", &[&["the name of", "was not found"], &["cannot find the address of"], &["nxdomain"],
            &["temporary failure in name resolution"], &["name or service not known"], &["could not resolve"],
            &["eai_again"], &["err=dns"], &["no address associated"], &["dns"]]), (Host, Defer),
        "the name of the server is not found: DNS does not answer, or this host is offline",
        "check /etc/resolv.conf and the network: `getent hosts smtp.office365.com`; then [smtp] host"),
    row(("network unreachable", &[&["network is unreachable"], &["no route to host"], &["enetunreach"], &["ehostunreach"],
            &["enetdown"]]), (Host, Defer),
        "this host has no way to the server: it is offline, or has an address family without a route",
        "check the network and its routes with `ip route`"),
    row(("connection refused", &[&["connection refused"], &["econnrefused"]]), (Host, Defer),
        "nobody listens there, or a firewall refuses: port 587 is the one, 465 is not offered",
        "check [smtp] host and port, and have the firewall let this host reach it"),
    row(("no answer in time", &[&["timed out"], &["timeout"], &["etimedout"], &["did not answer in"],
            &["no address answered in time"], &["it did not answer"], &["no answer from"], &["deadline"]]),
        (Host, Defer),
        "the server, or something on the way, says nothing",
        "check that this host's network and firewall let it reach smtp.office365.com:587 and \
         login.microsoftonline.com:443"),
    row(("connection lost", &[&["connection reset"], &["econnreset"], &["the connection was closed"], &["broken pipe"],
            &["epipe"], &["unexpected end of file"], &["unexpectedeof"], &["connection to", "failed"]]), (Host, Defer),
        "the connection broke before the whole message was sent, and nothing was delivered",
        "try again later; if it lasts, look for a firewall or a proxy that ends connections"),
    row(("connections busy", &[&["the connections to the server are busy"]]), (Host, Defer),
        "the connections that this host may use are all in use",
        "wait; connections under [limits] may be 3 if nothing else uses the mailbox"),
    row(("paced", &[&["the message is paced"]]), (Host, Defer),
        "this host has sent its messages of this minute",
        "wait; per_minute under [limits] may be 30 if nothing else uses the mailbox"),
    row(("disk full", &[&["the disk of", "is full"], &["no space left on device"], &["enospc"], &["quota", "used up"]]),
        (Host, Return),
        "the disk of the queue is full, and nothing more can be kept",
        "free some space, or inodes, on the disk of spool under [paths]"),
    row(("slow line", &[&["server down since"]]), (Host, Defer),
        "earlier messages did not reach the server, so nobody waits for it",
        "check the network; `sendmail365 queue list` shows when it is tried again"),
];

/// What is no failure, or tells nothing of one, where nothing else is found.
#[rustfmt::skip]
pub(super) const WAITING: &[Symptom] = &[
    row(("queued", &[&["queued as "], &["event=queued"]]), (Host, Defer),
        "the message waits in the queue of this host, and is tried again by itself",
        "`mailq` shows why and when; `sendmail365 status` shows what keeps the queue back"),
];
