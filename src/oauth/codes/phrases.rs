//! What several cures say, spelled once.

/// How the mailbox's user signs in again.
macro_rules! login {
    () => {
        "run `sendmail365 login`, as root or as the user whose settings these are"
    };
}

/// The way round a policy against typing a code on another device.
macro_rules! with_a_browser {
    () => {
        "sign in with a browser, without a code: `sendmail365 login --browser`"
    };
}

/// A page of the application's registration.
macro_rules! registration {
    ($page:literal) => {
        concat!(
            "Entra admin center, App registrations, the application, ",
            $page
        )
    };
}

/// A page of the application in this tenant.
macro_rules! enterprise {
    ($page:literal) => {
        concat!(
            "Entra admin center, Enterprise applications, the application, ",
            $page
        )
    };
}

/// A page of the user who signs in.
macro_rules! user {
    ($page:literal) => {
        concat!("Entra admin center, Users, the user, ", $page)
    };
}

macro_rules! policies {
    () => {
        "Entra admin center, Conditional Access, Policies"
    };
}

/// What scope has to be.
macro_rules! scope {
    () => {
        "leave scope under [endpoint] empty, or set it to exactly \
         `https://outlook.office.com/SMTP.Send offline_access` (another cloud has its own host)"
    };
}
