//! A message over a session: the envelope in flights, the body, and the reply that decides.

use super::{Session, show, show_reply};
use crate::mail::dsn::Dsn;
use crate::outcome::{Class, Failure, Stage};
use crate::smtp::body::Stuffing;
use crate::smtp::dialogue;
use crate::smtp::reach;
use crate::smtp::reply::Reply;
use crate::smtp::wire::Clock;
use crate::smtp::{Content, Direction, Envelope, Manner, Path, Receipt, Refusal, Verdict, Watch};
use lettre::transport::smtp::commands::{Quit, Rset};

/// Commands that travel together at most; while their replies are not read yet they have to fit
/// into the buffers between us, or both sides wait for ever (RFC 2920 section 3.1).
const FLIGHT_MAX: usize = 200;

/// Plain octets of one write while the message is sent.
const CHUNK: usize = 64 * 1024;

/// What surely fits into one TLS record (RFC 8446 section 5.1).
const RECORD: usize = 12 * 1024;

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
        let asked = if self.offers.pipelining {
            self.in_flights(envelope, &commands, manner, watch)
        } else {
            self.one_by_one(envelope, &commands, manner, watch)
        };
        if asked.is_err() && self.over {
            self.wire.cut();
        }
        self.fit = false;
        let verdicts = asked?;
        let sent = self.message(content, manner, watch);
        self.over = !manner.more || sent.is_err();
        self.fit = !self.over;
        if sent.is_err() {
            self.wire.cut();
        }
        Ok(Receipt { verdicts, ..sent? })
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

    /// MAIL, RCPT and DATA as few writes; every reply is read.
    fn in_flights(
        &mut self,
        envelope: &Envelope<'_>,
        commands: &[String],
        manner: Manner,
        watch: &mut Watch<'_>,
    ) -> Result<Vec<Verdict>, Refusal> {
        let count = envelope.recipients.len();
        let mut replies: Vec<Reply> = Vec::new();
        // Whatever goes wrong from here on, a 354 may be on its way.
        self.over = true;
        for flight in commands.chunks(FLIGHT_MAX) {
            let stage = stage_of(replies.len(), count);
            let mut clock = Clock::stage(self.limits.mail);
            self.ready(stage)?;
            self.put(stage, &flight.concat(), &mut clock)?;
            flight
                .iter()
                .for_each(|line| show(watch, Direction::Sent, line));
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

    /// The message, its end and QUIT, then the reply that decides.
    fn message(
        &mut self,
        content: &Content<'_>,
        manner: Manner,
        watch: &mut Watch<'_>,
    ) -> Result<Receipt, Failure> {
        let mut clock = Clock::pause(self.limits.body);
        let mut stuffing = Stuffing::new();
        let mut chunk = Vec::with_capacity(CHUNK + RECORD);
        self.ready(Stage::Body)?;
        let pieces = |octets| <[u8]>::chunks(octets, CHUNK / 2);
        for piece in pieces(content.header) {
            stuffing.push(piece, &mut chunk);
            self.pass_on(&mut chunk, CHUNK, &mut clock)?;
        }
        stuffing.end_line(&mut chunk);
        stuffing.push(b"\r\n", &mut chunk);
        for piece in pieces(content.body) {
            stuffing.push(piece, &mut chunk);
            self.pass_on(&mut chunk, CHUNK, &mut clock)?;
        }
        stuffing.end_line(&mut chunk);
        self.pass_on(&mut chunk, RECORD, &mut clock)?;
        stuffing.finish(&mut chunk);
        // Only PIPELINING lets a command leave before the reply to the end (RFC 2920 section 3.1).
        let quit_along = self.offers.pipelining && !manner.more;
        if quit_along {
            chunk.extend_from_slice(Quit.to_string().as_bytes());
        }
        // One record: if it does not leave whole, the server never sees the end of the message.
        self.pass_on(&mut chunk, 0, &mut clock)?;
        self.wire.yield_to_signals(Some(self.limits.grace));
        let size = content.header.len() + content.body.len();
        for line in [&format!("[message of {size} octets]"), "."] {
            show(watch, Direction::Sent, line);
        }
        if quit_along {
            show(watch, Direction::Sent, "QUIT");
            return self.confirmation(watch);
        }
        let confirmed = self.confirmation(watch);
        if manner.more {
            return confirmed;
        }
        // Whether it arrives or not, the reply stands.
        let quit = Quit.to_string();
        let mut clock = Clock::stage(self.limits.head_start);
        if self.wire.send(quit.as_bytes(), &mut clock).is_ok() {
            show(watch, Direction::Sent, &quit);
        }
        confirmed
    }

    /// Sends what has gathered if it is more than `most`.
    fn pass_on(
        &mut self,
        chunk: &mut Vec<u8>,
        most: usize,
        clock: &mut Clock,
    ) -> Result<(), Failure> {
        if chunk.len() <= most {
            return Ok(());
        }
        // A reply that is here before the final dot can only refuse.
        self.ready(Stage::Body)?;
        if let Err(broken) = self.wire.send(chunk, clock) {
            let refusal = self.wire.last_words().filter(Reply::negative);
            return Err(match refusal {
                Some(reply) => {
                    let reply = reply.without(&self.secret);
                    dialogue::judge_message(Stage::Body, &self.user, &reply)
                }
                None => broken.failure(Stage::Body, &self.context(None)),
            });
        }
        chunk.clear();
        Ok(())
    }

    fn confirmation(&mut self, watch: &mut Watch<'_>) -> Result<Receipt, Failure> {
        let mut clock = Clock::stage(self.limits.end);
        let reply = match self.wire.receive(&mut clock) {
            Ok(reply) => reply.without(&self.secret),
            Err(broken) => return Err(broken.unsure(&self.context(None))),
        };
        show_reply(watch, &reply);
        if reply.negative() {
            return Err(dialogue::judge_message(Stage::End, &self.user, &reply));
        }
        if reply.code() != 250 {
            return Err(Failure::unsure("the message may have been delivered")
                .because(format!(
                    "the server's last word makes no sense: {}",
                    reply.quote()
                ))
                .fix("look into Sent Items of the mailbox before sending it again")
                .at(Stage::End)
                .with_code(reply.code())
                .with_reason("garbage"));
        }
        Ok(Receipt {
            verdicts: Vec::new(),
            reply: reply.quote(),
            message_id: dialogue::message_id(&reply),
            peer: self.offers.name.clone(),
        })
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
