//! Words that explanations of sign-in errors and of replies have in common: the rooms that hold the
//! tables do not know one another.

/// Who has to act before a failure ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// Entra, Exchange Online and their policies.
    Tenant,
    /// Settings, clock and network of this host.
    Host,
    /// The person whose account signs in.
    User,
    /// The person or the program that wrote the message.
    Sender,
    /// Nobody here: it passes by itself, or Microsoft's support helps.
    Microsoft,
}

impl Actor {
    /// The one word for programs.
    pub fn word(self) -> &'static str {
        match self {
            Actor::Tenant => "tenant",
            Actor::Host => "host",
            Actor::User => "user",
            Actor::Sender => "sender",
            Actor::Microsoft => "microsoft",
        }
    }

    /// The words for people.
    pub fn words(self) -> &'static str {
        match self {
            Actor::Tenant => "an administrator of the tenant",
            Actor::Host => "the administrator of this host",
            Actor::User => "the user of the mailbox",
            Actor::Sender => "whoever sent the message",
            Actor::Microsoft => "Microsoft",
        }
    }
}

/// One cause of a text that has several.
#[derive(Debug)]
pub struct Suspect {
    pub cause: &'static str,
    /// How to see whether it is this one.
    pub look: &'static str,
    pub cure: &'static str,
    pub actor: Actor,
}
