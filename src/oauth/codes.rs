//! Microsoft's sign-in error numbers (AADSTS) in the words of an administrator.
//!
//! The numbers explain and never decide, with the few exceptions of `Branch`: Microsoft may change
//! them at any time. What becomes of the mail follows from HTTP status, `error` and `suberror`.

/// One cause, the numbers that stand for it, and its cure.
#[derive(Debug)]
pub struct Explanation {
    /// Numbers with this cause.
    pub numbers: &'static [u32],
    /// What Microsoft means.
    pub meaning: &'static str,
    /// What to do.
    pub cure: &'static str,
}

/// The few numbers that decide something, because `error` alone does not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Branch {
    /// The cause passes by itself.
    Transient,
    /// The same request came too often: nobody is to ask for a minute.
    Loop,
}

/// The explanation of a number, if it is one that this program can meet.
pub fn explain(number: u32) -> Option<&'static Explanation> {
    TABLE.iter().find(|row| row.numbers.contains(&number))
}

/// Where Microsoft explains a number.
pub fn lookup_url(number: u32) -> String {
    format!("https://login.microsoftonline.com/error?code={number}")
}

pub(crate) fn branch(number: u32) -> Option<Branch> {
    match number {
        50196 => Some(Branch::Loop),
        50033 | 50087 | 70012 | 90006 | 90012 | 90024 | 90033 | 90055 | 90090 => {
            Some(Branch::Transient)
        }
        _ => None,
    }
}

/// Meaning and cure of an OAuth `error` and `suberror` whose number is unknown or missing.
pub(crate) fn explain_word(error: &str, suberror: &str) -> Option<(&'static str, &'static str)> {
    let pair = match (error, suberror) {
        (_, "basic_action") => ("a second factor or another sign-in step is demanded", LOGIN),
        (_, "bad_token" | "token_expired") | ("invalid_grant", _) => {
            ("the stored sign-in is no longer accepted", LOGIN)
        }
        ("interaction_required" | "login_required", _) => {
            ("Microsoft wants to see the user again", LOGIN)
        }
        ("consent_required", _) => ("nobody has consented to SMTP.Send yet", LOGIN),
        ("invalid_client", _) => (
            "the application or its secret is not accepted",
            "check client_id and client_secret_file under [account]",
        ),
        ("unauthorized_client", _) => (
            "the application may not use this way of signing in",
            "check client_id and tenant under [account], and the registration in the Entra portal",
        ),
        ("invalid_scope" | "invalid_resource", _) => ("the scope is not accepted", SCOPE),
        ("access_denied", _) => (
            "a policy of the tenant, or the user, said no",
            "ask the tenant's administrator for the sign-in log of this account",
        ),
        _ => return None,
    };
    Some(pair)
}

/// For cures with something before or after it.
macro_rules! login {
    () => {
        "run `sendmail365 login --import FILE` with a new token, as root or as the user whose settings \
         these are"
    };
}

const LOGIN: &str = login!();
const CLOUD: &str = "set authority and scope or resource under [endpoint], and host under [smtp], for that \
    cloud; examples in sendmail365.conf(5)";
const SCOPE: &str = "set scope under [endpoint] to exactly \
    `https://outlook.office.com/SMTP.Send offline_access`, or leave it empty";
const SIGN_IN_LOG: &str =
    "ask the tenant's administrator to read the account's sign-in log in Entra";
const DEFECT: &str = "report this as a defect of sendmail365, with the numbers above";

const fn row(numbers: &'static [u32], meaning: &'static str, cure: &'static str) -> Explanation {
    Explanation {
        numbers,
        meaning,
        cure,
    }
}

#[rustfmt::skip]
const TABLE: &[Explanation] = &[
    row(&[16000, 50020, 50034, 51004],
        "the account does not exist in this tenant",
        "set tenant under [account] to the mailbox's own tenant, and sign in as the mailbox's user"),
    row(&[28002, 28003, 70011, 700023],
        "the scope is missing or malformed", SCOPE),
    row(&[1002012],
        "the scope of an application without a user has to end in /.default",
        "set scope under [endpoint] to https://outlook.office365.com/.default, or leave it empty"),
    row(&[28000, 700022],
        "the scope names more than one resource", SCOPE),
    row(&[50001, 500011],
        "the resource that the scope names is unknown in this tenant",
        "check authority and scope under [endpoint]; the tenant needs Exchange Online"),
    row(&[500021, 500022, 50002],
        "the company proxy restricts which tenants may be reached",
        "have the tenant allowed on the proxy"),
    row(&[500212, 500213],
        "a cross-tenant policy forbids the access",
        "have the tenant's administrator allow it in the cross-tenant access settings"),
    row(&[50011, 500110, 500111, 500112, 500113, 500114, 500115, 500116, 500117, 500118, 500119,
             70004, 900971],
        "the redirect address is not registered for the application",
        "add http://localhost under Mobile and desktop applications in the registration"),
    row(&[50012, 700027, 700030, 50006, 900384],
        "the signature of the certificate or assertion is not accepted",
        "set client_id under [account] to an application that needs no certificate"),
    row(&[50013, 500133, 700024, 50027, 50048],
        "the assertion is not valid at this time, malformed or not from this client",
        "check the clock of this host (NTP) and client_id under [account]"),
    row(&[50014],
        "the guest has not accepted the invitation yet",
        concat!("accept the invitation that was mailed, then ", login!())),
    row(&[50053],
        "the account is locked, or the address of this host counts as malicious", SIGN_IN_LOG),
    row(&[50055, 50144],
        "the password has expired",
        concat!("change the password, then ", login!())),
    row(&[50056, 50064, 50126],
        "the password typed at the sign-in was wrong", LOGIN),
    row(&[50057],
        "the user is disabled",
        "have the tenant's administrator enable the account and check its licence"),
    row(&[50058],
        "nobody is signed in", LOGIN),
    row(&[50059, 50128, 90019],
        "the request names no tenant", "set tenant under [account]"),
    row(&[50072, 50074, 50076, 50079, 50158],
        "a second factor is demanded",
        concat!("sign in elsewhere with the second factor, then ", login!(),
            "; if the demand returns, have the account excluded from the policy")),
    row(&[50078],
        "the second factor was shown too long ago",
        concat!(login!(), "; the tenant's administrator can lengthen the sign-in frequency")),
    row(&[50085, 50089, 50132, 50133],
        "the session has ended, or the password was changed", LOGIN),
    row(&[50097, 50129, 50155, 53000, 53001, 53002],
        "a policy wants a managed device, which this host cannot prove to be",
        "have the account excluded from the device policy"),
    row(&[50105],
        "the user is not assigned to the application",
        "assign the user under Enterprise applications, Users and groups"),
    row(&[50131],
        "a Conditional Access policy objects to place or risk of the sign-in", SIGN_IN_LOG),
    row(&[50134],
        "the browser reached another data centre than this host",
        "sign in with another browser or from another network"),
    row(&[50173],
        "the sign-in was revoked, by a new password or by an administrator", LOGIN),
    row(&[50194],
        "the application belongs to one tenant only",
        "set tenant under [account] to its id or domain, not to common or organizations"),
    row(&[50196],
        "the same request was made too often",
        "wait a minute; find what keeps asking, such as slots that cannot be written"),
    row(&[53003, 530032, 530034, 530035, 53011],
        "a policy of the tenant blocks the sign-in",
        "have the sign-in log read in Entra, and the account excluded from that policy"),
    row(&[53004, 53010],
        "the second factor cannot be registered from here",
        concat!("register it on a trusted device or network, then ", login!())),
    row(&[54005],
        "the code was used before", "sign in again and use each code once"),
    row(&[500208, 9002332, 90124, 90130, 90027],
        "the kind of account does not fit the tenant in the address",
        "set tenant to consumers for a personal account, else to the tenant's id or domain"),
    row(&[501481, 50147, 501491],
        "the proof key of the sign-in does not fit", DEFECT),
    row(&[65001],
        "nobody has consented to SMTP.Send for this application",
        concat!("have the administrator grant consent, or consent at a new sign-in and ", login!())),
    row(&[65002],
        "a client id of Microsoft's own cannot be used here",
        "register an application of your own and set its client_id"),
    row(&[65004],
        "consent was declined", concat!("accept at a new sign-in and ", login!())),
    row(&[65005, 650052, 650054, 650056, 650057],
        "the registration lacks the permission, or the tenant lacks the service",
        "add SMTP.Send (delegated) and offline_access under API permissions, then grant consent"),
    row(&[70000],
        "the refresh token is not valid for this application, or consent is missing", LOGIN),
    row(&[70001, 7000112, 700016, 700011],
        "the application is unknown or disabled in this tenant",
        "check client_id and tenant under [account], authority under [endpoint], and the application in Entra"),
    row(&[70002, 7000215],
        "the client secret is wrong",
        "put the secret's value, not its id, into client_secret_file"),
    row(&[7000222],
        "the client secret or certificate has expired",
        "make a new one in the registration and store it on this host"),
    row(&[7000218],
        "the registration wants a secret",
        "set Allow public client flows to Yes in the registration, or set client_secret_file"),
    row(&[700025],
        "the application is public and must not send a secret",
        "empty client_secret_file under [account]"),
    row(&[70003, 70005, 70007],
        "the server does not know this way of signing in", DEFECT),
    row(&[700005],
        "the code belongs to another tenant",
        concat!("set tenant under [account] to the mailbox's own, then ", login!())),
    row(&[70008, 700082],
        "the refresh token was not used for too long (90 days)",
        concat!(login!(), "; sendmail365-queue.timer keeps it alive")),
    row(&[700084],
        "a sign-in of a single-page application lasts 24 hours",
        "register the redirect address under Mobile and desktop applications, then sign in again"),
    row(&[70012],
        "Microsoft's servers for personal accounts have a fault", "wait, then send again"),
    row(&[70016],
        "the sign-in has not been finished in the browser yet", "finish it in the browser"),
    row(&[70018, 90119],
        "the code typed in the browser is wrong", "type the code that was shown last"),
    row(&[70019, 70020],
        "the code has expired", LOGIN),
    row(&[70021, 700211, 700212, 700213, 700229],
        "the federated credential does not match",
        "compare issuer, subject and audience of the federated credential with the token's"),
    row(&[90120],
        "the code was already approved or declined", LOGIN),
    row(&[70043],
        "the policy on sign-in frequency has ended the sign-in",
        concat!(login!(), "; lastingly, have the account excluded from that policy")),
    row(&[80001, 80002, 80005, 80007, 80012, 80013, 80014],
        "the agent that checks passwords on the company's own servers failed",
        "have the pass-through authentication agents, their clock and logon hours checked"),
    row(&[90002],
        "there is no such tenant in this cloud", "check tenant under [account] and authority under [endpoint]"),
    row(&[90004, 90013, 90014, 900144, 90023, 9002313, 90100],
        "the request is malformed or lacks a value",
        "check that client_id is set and that refresh token and secret were copied whole"),
    row(&[9001023],
        "this way of signing in does not work with common or consumers",
        "set tenant under [account] to the tenant's id or domain"),
    row(&[90006, 90012, 90024, 90033, 90090, 50033, 50087],
        "Microsoft's sign-in service has a passing fault", "wait, then send again"),
    row(&[90036, 50000],
        "Microsoft's sign-in service cannot issue a token",
        "if it lasts for an hour, give Microsoft's support the ids above"),
    row(&[90038, 900382, 900432, 1000104],
        "the tenant lives in another cloud", CLOUD),
    row(&[90055],
        "the tenant sends too many requests", "wait, then send again"),
    row(&[90056, 900561],
        "the address is not the token endpoint, or was asked in the wrong way",
        "empty token_url under [endpoint], or correct it"),
    row(&[90072],
        "the account is from outside the tenant and cannot show a second factor",
        "set tenant under [account] to the account's own tenant"),
    row(&[90094, 90095],
        "an administrator has to consent to the application",
        "have the tenant's administrator press Grant admin consent in the registration"),
    row(&[90099],
        "the application is not authorised in this tenant",
        "have the tenant's administrator consent to the application"),
    row(&[901002],
        "this endpoint does not take a resource",
        "empty resource under [endpoint], or name the v1 endpoint in token_url"),
    row(&[9002326],
        "the redirect address is registered for a single-page application",
        "register it under Mobile and desktop applications"),
    row(&[1000031],
        "the application is not available in this tenant",
        "have the tenant's administrator check the enterprise application"),
    row(&[51005],
        "Microsoft redirects the request to another server", "wait, then send again"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_number_has_two_explanations() {
        let mut numbers: Vec<u32> = TABLE
            .iter()
            .flat_map(|row| row.numbers.iter().copied())
            .collect();
        let count = numbers.len();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), count);
    }

    #[test]
    fn every_row_says_what_and_what_to_do_in_lower_case_without_a_dot() {
        for row in TABLE {
            for text in [row.meaning, row.cure] {
                assert!(text.len() > 8 && !text.ends_with('.'), "{text}");
            }
            assert!(row.cure.starts_with(char::is_lowercase), "{}", row.cure);
        }
    }

    #[test]
    fn the_codes_of_everyday_are_explained() {
        assert!(explain(700082).unwrap().cure.contains("login --import"));
        assert!(explain(7000215).unwrap().cure.contains("not its id"));
        assert!(
            explain(7000218)
                .unwrap()
                .cure
                .contains("public client flows")
        );
        assert!(explain(53003).unwrap().meaning.contains("policy"));
        assert!(explain(123_456).is_none());
    }

    #[test]
    fn numbers_that_decide_are_explained_too() {
        for number in [
            50196, 50033, 50087, 70012, 90006, 90012, 90024, 90033, 90055,
        ] {
            assert!(
                branch(number).is_some() && explain(number).is_some(),
                "{number}"
            );
        }
        assert_eq!(branch(700082), None);
    }
}
