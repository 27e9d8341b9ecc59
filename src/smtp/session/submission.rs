//! A message over a session: the envelope in flights, the body, and the reply that decides.

use super::{Flight, Session, show};
use crate::mail::dsn::Dsn;
use crate::outcome::{Class, Failure, Stage};
use crate::smtp::dialogue;
use crate::smtp::reach;
use crate::smtp::reply::Reply;
use crate::smtp::wire::Clock;
use crate::smtp::{Content, Direction, Envelope, Manner, Path, Receipt, Refusal, Verdict, Watch};
use lettre::transport::smtp::commands::Rset;

/// Commands that travel together at most; while their replies are not read yet they have to fit
/// into the buffers between us, or both sides wait for ever (RFC 2920 section 3.1).
const FLIGHT_MAX: usize = 200;

/// Most octets of a flight that leaves behind the end of a message: all of that has to be one TLS
/// record, or a connection that breaks leaves open whether the end arrived.
const AHEAD_MAX: usize = 3 * 1024;

impl Session {
    /// Submits the message, by default to all recipients or to none if one of them is refused.
    ///
    /// Nothing is accepted before the final dot has left. QUIT leaves with it, or after the reply
    /// where the server has no PIPELINING, unless another message follows; after an error no other
    /// one can, and `usable` says so.
    pub fn submit(
        &mut self,
        envelope: &Envelope<'_>,
        content: &Content<'_>,
        manner: Manner,
        watch: &mut Watch<'_>,
    ) -> Result<Receipt, Refusal> {
        let judged = reach::judge_addresses(envelope, &self.offers, manner)?;
        let named = Envelope {
            recipients: &reach::reachable(envelope.recipients, &judged),
            ..*envelope
        };
        match self.transact(&named, content, manner, watch) {
            Ok(receipt) => Ok(Receipt {
                verdicts: reach::completed(judged, receipt.verdicts),
                ..receipt
            }),
            Err(refusal) => Err(Refusal {
                verdicts: reach::completed(judged, refusal.verdicts),
                ..refusal
            }),
        }
    }

    fn transact(
        &mut self,
        envelope: &Envelope<'_>,
        content: &Content<'_>,
        manner: Manner,
        watch: &mut Watch<'_>,
    ) -> Result<Receipt, Refusal> {
        let commands = dialogue::commands(envelope, content, &self.offers)?;
        self.wire.yield_to_signals(None);
        let asked = match self.ahead.take() {
            Some(Flight(sent)) if sent != commands => Err(self.out_of_step()),
            ahead if self.offers.pipelining => {
                self.in_flights(envelope, &commands, (manner, ahead.is_some()), watch)
            }
            _ => self.one_by_one(envelope, &commands, manner, watch),
        };
        if asked.is_err() && self.over {
            self.wire.cut();
        }
        self.fit = false;
        let verdicts = asked?;
        let next = self.next.take();
        // Whoever was not taken may be asked for again before the next message.
        let smooth = manner.more && verdicts.iter().all(|one| *one == Verdict::Accepted);
        self.next = next.filter(|_| smooth);
        let sent = self.message(content, manner, watch);
        self.over = !manner.more || sent.is_err();
        self.fit = !self.over;
        if sent.is_err() {
            self.ahead = None;
            self.wire.cut();
        }
        Ok(Receipt { verdicts, ..sent? })
    }

    /// The commands for a message that comes after the next one, if they can leave behind its end.
    pub fn flight(&self, envelope: &Envelope<'_>, content: &Content<'_>) -> Option<Flight> {
        let manner = Manner::default();
        reach::judge_addresses(envelope, &self.offers, manner).ok()?;
        let commands = dialogue::commands(envelope, content, &self.offers).ok()?;
        let size: usize = commands.iter().map(String::len).sum();
        let fits = size <= AHEAD_MAX && commands.len() <= FLIGHT_MAX;
        (self.offers.pipelining && fits).then_some(Flight(commands))
    }

    /// Lets commands leave behind the end of the next message (RFC 2920 section 3.1): they save it a
    /// wait. The message they are for has to be the one after, on this session.
    pub fn follow_with(&mut self, flight: Option<Flight>) {
        self.next = flight;
    }

    /// Whether the commands of another message have left already.
    pub fn is_ahead(&self) -> bool {
        self.ahead.is_some()
    }

    fn out_of_step(&mut self) -> Refusal {
        self.over = true;
        Failure::new(Class::Software, "a message out of turn")
            .because("the server was told of another one")
            .at(Stage::Mail)
            .into()
    }

    /// Whether another message can be submitted on this session.
    pub fn usable(&self) -> bool {
        self.fit
    }

    /// Asks whether the mailbox may send as `sender`; nothing is sent.
    pub fn try_sender(&mut self, sender: &Path, watch: &mut Watch<'_>) -> Result<(), Failure> {
        dialogue::check(sender)?;
        let command = format!("MAIL FROM:<{}>\r\n", sender.text);
        let mut clock = Clock::stage(self.limits.mail);
        let reply = self.ask(Stage::Mail, &command, &mut clock, watch)?;
        let envelope = Envelope {
            sender: Some(sender),
            recipients: &[],
            dsn: &Dsn::default(),
        };
        dialogue::judge_mail(&envelope, &self.user, &reply)?;
        self.reset(watch);
        Ok(())
    }

    /// MAIL, RCPT and DATA as few writes, unless they left before; every reply is read.
    fn in_flights(
        &mut self,
        envelope: &Envelope<'_>,
        commands: &[String],
        (manner, left): (Manner, bool),
        watch: &mut Watch<'_>,
    ) -> Result<Vec<Verdict>, Refusal> {
        let count = envelope.recipients.len();
        let mut replies: Vec<Reply> = Vec::new();
        // Whatever goes wrong from here on, a 354 may be on its way.
        self.over = true;
        for flight in commands.chunks(FLIGHT_MAX) {
            let stage = stage_of(replies.len(), count);
            let mut clock = Clock::stage(self.limits.mail);
            if !left {
                self.ready(stage)?;
                self.put(stage, &flight.concat(), &mut clock)?;
                flight
                    .iter()
                    .for_each(|line| show(watch, Direction::Sent, line));
            }
            for _ in flight {
                let stage = stage_of(replies.len(), count);
                if stage == Stage::Data {
                    clock = Clock::stage(self.limits.data);
                }
                match self.hear(stage, &mut clock, watch) {
                    Ok(reply) => replies.push(reply),
                    Err(lost) => return Err(self.cut_short(envelope, &replies, lost).into()),
                }
            }
        }
        let judged = self.judge_flight(envelope, &replies, manner);
        // After a negative reply to DATA the server takes commands: QUIT.
        self.over = !replies.last().is_some_and(Reply::negative);
        judged
    }

    fn judge_flight(
        &self,
        envelope: &Envelope<'_>,
        replies: &[Reply],
        manner: Manner,
    ) -> Result<Vec<Verdict>, Refusal> {
        let ([mail, rcpt @ ..], Some(data)) = (replies, replies.last()) else {
            return Err(Failure::new(Class::Software, "a flight without replies").into());
        };
        let rcpt = rcpt.get(..envelope.recipients.len()).unwrap_or_default();
        dialogue::judge_mail(envelope, &self.user, mail)?;
        let verdicts = dialogue::judge_recipients(envelope.recipients, rcpt, manner)?;
        self.judge_data(data)?;
        Ok(verdicts)
    }

    fn judge_data(&self, reply: &Reply) -> Result<(), Failure> {
        if reply.negative() {
            return Err(dialogue::judge_message(Stage::Data, &self.user, reply));
        }
        dialogue::expect(&[354], Stage::Data, reply, String::new)
    }

    /// The connection ended inside a flight: a refusal of the sender or a 421 said why.
    fn cut_short(&self, envelope: &Envelope<'_>, replies: &[Reply], lost: Failure) -> Failure {
        if let Some(last) = replies.last()
            && last.code() == 421
        {
            let stage = stage_of(replies.len() - 1, envelope.recipients.len());
            return dialogue::judge_message(stage, &self.user, last);
        }
        let refused = replies.first().filter(|reply| reply.negative());
        refused
            .and_then(|mail| dialogue::judge_mail(envelope, &self.user, mail).err())
            .unwrap_or(lost)
    }

    /// The way of servers without PIPELINING.
    fn one_by_one(
        &mut self,
        envelope: &Envelope<'_>,
        commands: &[String],
        manner: Manner,
        watch: &mut Watch<'_>,
    ) -> Result<Vec<Verdict>, Refusal> {
        let count = envelope.recipients.len();
        let mut replies: Vec<Reply> = Vec::new();
        let mut verdicts = Vec::new();
        for (place, command) in commands.iter().enumerate() {
            let stage = stage_of(place, count);
            if stage == Stage::Data {
                let rcpt = replies.get(1..).unwrap_or_default();
                match dialogue::judge_recipients(envelope.recipients, rcpt, manner) {
                    Ok(judged) => verdicts = judged,
                    Err(refusal) => {
                        self.reset(watch);
                        return Err(refusal);
                    }
                }
            }
            let mut clock = Clock::stage(match stage {
                Stage::Data => self.limits.data,
                _ => self.limits.mail,
            });
            let reply = match self.ask(stage, command, &mut clock, watch) {
                Ok(reply) => reply,
                Err(lost) => {
                    self.over = true;
                    return Err(self.cut_short(envelope, &replies, lost).into());
                }
            };
            match stage {
                Stage::Mail => dialogue::judge_mail(envelope, &self.user, &reply)?,
                Stage::Data => {
                    self.over = !reply.negative();
                    self.judge_data(&reply)?;
                }
                _ => {}
            }
            replies.push(reply);
        }
        Ok(verdicts)
    }

    fn reset(&mut self, watch: &mut Watch<'_>) {
        let mut clock = Clock::stage(self.limits.mail);
        // The transaction is dropped with the connection if this fails.
        self.over = self
            .ask(Stage::Rcpt, &Rset.to_string(), &mut clock, watch)
            .is_err();
    }
}

/// Which command of MAIL, RCPT and so on, DATA stands at a place.
fn stage_of(place: usize, recipients: usize) -> Stage {
    match place {
        0 => Stage::Mail,
        place if place <= recipients => Stage::Rcpt,
        _ => Stage::Data,
    }
}
