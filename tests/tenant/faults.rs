//! Everything that can go wrong, by name, and for how often.

use super::certificates::Flaw;
use std::time::Duration;

/// Something that goes wrong until [`recover`](super::Tenant::recover), or as often as said.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// Nobody listens on the port of the token endpoint.
    TokenEndpointDown,
    /// Nobody listens on the submission port.
    SubmissionDown,
    /// A certificate that must not be accepted.
    Certificate(Leg, Flaw),
    /// The token endpoint and its neighbours answer otherwise.
    Token(Answer),
    /// One of them answers otherwise.
    On(Door, Answer),
    /// The addresses that hand tokens to machines answer otherwise.
    Metadata(Answer),
    /// The submission server does something else at a stage.
    At(Stage, Act),

    /// EHLO keywords that are missing.
    NoStarttls,
    NoXoauth2,
    NoPipelining,
    No8bitmime,
    NoSmtputf8,
    NoSize,
    NoChunking,
    NoDsn,
    /// `SIZE` with this limit, which is also kept.
    Size(u64),
    /// `auth login xoauth2`, `starttls`, ...
    LowercaseKeywords,

    /// Replies of an attacker in the same segment as the 220 of STARTTLS, in clear.
    InjectAfterStarttls,
    /// Replies nobody asked for, behind the answer to EHLO inside TLS: all later ones are shifted.
    SurplusReplies(usize),
    /// The token is answered with a 334 challenge as Google does, then with 535.
    Challenge334,
    /// An initial response is refused with this code; two steps are fine.
    TwoStepOnly(u16),
    /// The next AUTH is refused, whatever the token.
    RejectOnce535,
    /// More recipients than this are answered with 452.
    RecipientLimit(usize),
    /// QUIT is never answered.
    SilentQuit,
    /// Nothing is read any more inside the message. Shows with messages of several megabytes,
    /// because the kernel's buffers take the smaller ones.
    ZeroWindow,
    /// The message is stored; then this instead of the 250.
    AcceptThen(Act),
    /// The message is stored; the connection ends without a reply.
    AcceptThenClose,
}

/// One of the two connections that a submission needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leg {
    Token,
    Submission,
}

/// One of the endpoints for signing in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    DeviceCode,
    Authorize,
    Token,
}

impl Door {
    /// The one that a path leads to.
    pub fn at(path: &str) -> Option<Door> {
        match path.rsplit('/').next()? {
            "devicecode" => Some(Door::DeviceCode),
            "authorize" => Some(Door::Authorize),
            "token" => Some(Door::Token),
            _ => None,
        }
    }
}

/// Where in the dialogue with the submission server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Greeting,
    Ehlo,
    Starttls,
    /// Between the ClientHello and its answer.
    Tls,
    EhloTls,
    Auth,
    /// The line with the token, when AUTH goes in two steps.
    AuthStep,
    Mail,
    /// Every RCPT.
    Rcpt,
    /// One RCPT, counted from 1.
    RcptNth(usize),
    Data,
    /// Inside the message, after its first octets.
    Body,
    /// After the message.
    End,
    Rset,
    Quit,
}

/// What the server does instead of answering as it should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// These octets. A reply of the class that the command succeeds with only changes the words of
    /// a success; any other one means that the command was not carried out.
    Reply(Vec<u8>),
    ReplyThenClose(Vec<u8>),
    /// Silence, until the client leaves or the tenant ends; two minutes at most.
    Stall,
    Close,
    /// TCP reset. A greeting cannot be replaced by one (nothing unread is there): that closes.
    Reset,
    /// Octets that are no SMTP.
    Garbage,
    /// A reply line without end, 400 MB of it.
    EndlessLine,
    /// A multi-line reply without end.
    EndlessReply,
    /// The right answer, one octet at a time; where there is an answer, so not at `Tls`, `Body`
    /// and `AuthStep`.
    Slowly(Duration),
}

impl Act {
    /// A reply of one line.
    pub fn reply(code: u16, text: &str) -> Act {
        Act::Reply(format!("{code} {text}\r\n").into_bytes())
    }
}

/// What the token endpoint does instead of answering as it should.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// This status and body, as JSON.
    Raw(u16, String),
    /// An error of Microsoft's shape; the number decides `error`, status and `suberror`.
    Aadsts(u32),
    /// The same with another `error` than the number usually has.
    Worded(u32, &'static str),
    /// The same with the number written in another way.
    Numbered(u32, Numbers),
    /// An error in a shape that other services have: status, code and text.
    Shaped(Shape, u16, &'static str, &'static str),
    /// 200 with the page of a captive portal.
    Html200,
    /// A company proxy: 403 or 407 with HTML.
    Proxy(u16),
    /// 30x to this address.
    Redirect(u16, String),
    /// 429, with or without Retry-After.
    Throttled(Option<u32>),
    /// This status, with an error in the shape that the address has for it.
    Status(u16),
    /// 5xx with HTML.
    ServerError(u16),
    /// TCP reset after the request was read.
    Reset,
    Close,
    Stall,
    /// The right answer, one octet at a time.
    Slowly(Duration),
    /// The right answer, cut in the middle.
    CutBody,
    /// JSON without end, 100 MiB of it.
    EndlessBody,
    EndlessHeaders,

    /// The right answer with this in front: a byte order mark, blanks, empty lines.
    Behind(&'static str),
    /// The right answer, whose `Date` is so many seconds ahead.
    ClockAhead(i64),
    /// The right answer with this member, as JSON text; empty leaves it out.
    Member(&'static str, &'static str),
    NoAccessToken,
    NoRefreshToken,
    NullRefreshToken,
    EmptyRefreshToken,
    /// `expires_in` as this JSON text (`"3599"`, `1e30`, `-5`); empty leaves the member out.
    ExpiresIn(&'static str),
    /// `not_before` lies an hour ahead.
    NotBeforeAhead,
    TokenType(&'static str),
    /// This character inside the access token.
    TokenWith(char),
    /// A good token of somebody else.
    WrongUser,
    WrongTenant,
    GraphAudience,
    /// A good token that ended an hour ago.
    ExpiredToken,
    /// A good token without `SMTP.Send`.
    NoPermission,
}

/// How an error tells its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbers {
    /// `"error_codes": ["50173"]`.
    Text,
    /// In `error_description` alone.
    InTextOnly,
}

/// How an error is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `{"error", "error_description"}`, as IMDS.
    Flat,
    /// `{"statusCode", "message"}`, as App Service.
    AppService,
    /// `{"error": {"code", "message"}}`, as Graph and Service Fabric.
    Nested,
}

impl Fault {
    /// Once, then never again.
    pub fn once(self) -> Plan {
        self.times(1)
    }

    /// So many times, then never again.
    pub fn times(self, count: u32) -> Plan {
        Plan {
            left: Some(count),
            ..Plan::from(self)
        }
    }

    /// At this chance alone, counted from 1.
    pub fn nth(self, count: u32) -> Plan {
        self.after(count - 1).once()
    }

    /// Only after so many chances were passed by.
    pub fn after(self, count: u32) -> Plan {
        Plan {
            skip: count,
            ..Plan::from(self)
        }
    }

    /// The general form of what has a name of its own.
    fn act_at(&self, stage: Stage) -> Option<Act> {
        match self {
            Fault::At(at, act) if *at == stage => Some(act.clone()),
            Fault::SilentQuit if stage == Stage::Quit => Some(Act::Stall),
            Fault::RejectOnce535 if stage == Stage::Auth => {
                Some(Act::reply(535, "5.7.3 Authentication unsuccessful"))
            }
            _ => None,
        }
    }
}

/// A fault and how often it strikes.
#[derive(Clone, Debug)]
pub struct Plan {
    fault: Fault,
    skip: u32,
    left: Option<u32>,
}

impl Plan {
    /// Once, then never again.
    pub fn once(self) -> Plan {
        Plan {
            left: Some(1),
            ..self
        }
    }

    /// Whether it is about this fault.
    pub fn is(&self, fault: &Fault) -> bool {
        self.fault == *fault
    }
}

impl From<Fault> for Plan {
    fn from(fault: Fault) -> Plan {
        let left = (fault == Fault::RejectOnce535).then_some(1);
        Plan {
            fault,
            skip: 0,
            left,
        }
    }
}

/// The faults that are in force.
#[derive(Debug, Default)]
pub struct Schedule(Vec<Plan>);

impl Schedule {
    /// Puts a fault into force.
    pub fn add(&mut self, plan: Plan) {
        self.0.push(plan);
    }

    /// Ends all faults.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// What to do at a stage instead of the right thing; uses up one strike.
    pub fn act(&mut self, stage: Stage) -> Option<Act> {
        self.take(|fault| fault.act_at(stage))
    }

    /// Whether a fault without a value strikes now; uses up one strike.
    pub fn strikes(&mut self, wanted: &Fault) -> bool {
        self.take(|fault| (fault == wanted).then_some(())).is_some()
    }

    /// The first fault that `pick` likes and that strikes now; uses up one strike.
    pub fn take<T>(&mut self, pick: impl Fn(&Fault) -> Option<T>) -> Option<T> {
        for plan in &mut self.0 {
            let Some(picked) = pick(&plan.fault) else {
                continue;
            };
            if plan.skip > 0 {
                plan.skip -= 1;
            } else if plan.left != Some(0) {
                plan.left = plan.left.map(|left| left - 1);
                return Some(picked);
            }
        }
        None
    }
}
