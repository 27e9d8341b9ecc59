//! The octets of a token slot: one line, `v1 GENERATION SUM {json}`.
//!
//! A slot is overwritten in place, so a kill or a power loss can leave the beginning of the new line
//! over the rest of the old one. The sum covers generation and JSON; whatever is torn has a wrong
//! one. A shorter line leaves the end of the old text behind it: the first line end ends the record.

use super::Account;
use super::token::{AccessToken, RefreshToken};
use crate::sys::secret::Secret;
use ring::digest;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use zeroize::Zeroizing;

/// Octets of a slot at most.
pub(crate) const SIZE_MAX: usize = 64 * 1024;

/// Clocks of one host may be set back by so much before a token's dates mean nothing.
const SET_BACK_SECONDS: u64 = 300;

/// The longest rest after a renewal that failed; no token is renewed much earlier than that.
const REST_SECONDS_MAX: u64 = 300;

/// What a host keeps about its sign-in.
#[derive(Clone)]
pub(crate) struct Slot {
    /// None where nobody has to sign in.
    pub(crate) refresh_token: Option<RefreshToken>,
    /// None after a refresh whose access token was of no use.
    pub(crate) access_token: Option<Secret>,
    /// Seconds since 1970, by this host's clock.
    pub(crate) expires_at: u64,
    /// Seconds since 1970, by this host's clock.
    pub(crate) obtained_at: u64,
    /// The tenant as configured at the time.
    pub(crate) tenant: String,
    pub(crate) client: String,
    pub(crate) mailbox: String,
    /// The way of signing in: `import`, `device`, `certificate`, ...
    pub(crate) flow: String,
    /// Whether a client secret was shown; unknown in a slot of an older version.
    pub(crate) with_secret: Option<bool>,
    /// Seconds since 1970; a renewal that failed is not to be tried again before.
    pub(crate) resting_until: Option<u64>,
}

/// Why octets are no slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Made, and nobody has signed in yet.
    Empty,
    /// Written by another version of this program.
    Version,
    /// Torn or damaged.
    Corrupt,
}

impl Slot {
    /// Whether the access token is good for a submission that starts at `now`: it lasts longer than
    /// `margin` seconds.
    ///
    /// One from the future was dated by a clock that has been set back since; its end means nothing.
    pub(crate) fn fresh(&self, now: u64, margin: u64) -> Option<AccessToken> {
        let dated_right = self.obtained_at <= now.saturating_add(SET_BACK_SECONDS);
        self.unexpired(now.saturating_add(margin))
            .filter(|_| dated_right)
    }

    /// The access token, while a renewal that failed rests and the token has not ended.
    ///
    /// A rest that ends later than any begun now was written by a clock that was wrong.
    pub(crate) fn resting(&self, now: u64) -> Option<AccessToken> {
        let ends = now..=now.saturating_add(REST_SECONDS_MAX);
        self.resting_until
            .filter(|end| *end > now && ends.contains(end))
            .and_then(|_| self.unexpired(now))
    }

    /// The same sign-in, with a renewal that rests for so long.
    pub(crate) fn rested(&self, now: u64, wait: Duration) -> Slot {
        let rest = wait.as_secs().clamp(1, REST_SECONDS_MAX);
        Slot {
            resting_until: Some(now.saturating_add(rest)),
            ..self.clone()
        }
    }

    /// The access token, if it has not ended at `now`.
    pub(crate) fn unexpired(&self, now: u64) -> Option<AccessToken> {
        let secret = self
            .access_token
            .as_ref()
            .filter(|_| self.expires_at > now)?;
        Some(AccessToken::new(secret.clone()))
    }

    /// Whether the slot was written for this application and mailbox, by a person or by none.
    pub(crate) fn belongs_to(&self, account: &Account) -> bool {
        self.refresh_token.is_some() == account.grant.is_a_persons() && self.names(account)
    }

    /// Whether it is for this mailbox and application, be it a person's or the application's own.
    pub(crate) fn names(&self, account: &Account) -> bool {
        self.client.eq_ignore_ascii_case(&account.client_id)
            && self.mailbox.eq_ignore_ascii_case(&account.mailbox)
    }
}

/// The line of a slot; none if it would be too long.
pub(crate) fn encode(generation: u64, slot: &Slot) -> Option<Zeroizing<Vec<u8>>> {
    let fields = Written {
        refresh_token: slot.refresh_token.as_ref().map(RefreshToken::expose),
        access_token: slot.access_token.as_ref().map(Secret::expose),
        expires_at: slot.expires_at,
        obtained_at: slot.obtained_at,
        tenant: &slot.tenant,
        client: &slot.client,
        mailbox: &slot.mailbox,
        flow: &slot.flow,
        with_secret: slot.with_secret,
        resting_until: slot.resting_until,
    };
    // Room from the start: a buffer that grows leaves copies behind that nobody wipes.
    let mut json = Zeroizing::new(Vec::with_capacity(SIZE_MAX));
    serde_json::to_writer(&mut *json, &fields).ok()?;
    let mut line = Zeroizing::new(Vec::with_capacity(SIZE_MAX));
    line.extend_from_slice(format!("v1 {generation} {} ", sum(generation, &json)).as_bytes());
    line.extend_from_slice(&json);
    line.push(b'\n');
    (line.len() <= SIZE_MAX).then_some(line)
}

/// Generation and content of a slot.
pub(crate) fn decode(octets: &[u8]) -> Result<(u64, Slot), Fault> {
    if octets.is_empty() {
        return Err(Fault::Empty);
    }
    let end = octets
        .iter()
        .position(|&octet| octet == b'\n')
        .ok_or(Fault::Corrupt)?;
    let line = octets.get(..end).ok_or(Fault::Corrupt)?;
    let mut parts = line.splitn(4, |&octet| octet == b' ');
    match parts.next() {
        Some(b"v1") => {}
        Some([b'v', digits @ ..]) if is_number(digits) => return Err(Fault::Version),
        _ => return Err(Fault::Corrupt),
    }
    let generation = parts
        .next()
        .filter(|text| is_number(text))
        .ok_or(Fault::Corrupt)?;
    let generation = std::str::from_utf8(generation).map_err(|_| Fault::Corrupt)?;
    let generation: u64 = generation.parse().map_err(|_| Fault::Corrupt)?;
    let (written, json) = parts.next().zip(parts.next()).ok_or(Fault::Corrupt)?;
    if written != sum(generation, json).as_bytes() {
        return Err(Fault::Corrupt);
    }
    Ok((generation, from_json(json).ok_or(Fault::Corrupt)?))
}

/// The slot that a JSON object of our own describes.
fn from_json(json: &[u8]) -> Option<Slot> {
    let fields: Read = serde_json::from_slice(json).ok()?;
    let refresh_token = match fields.refresh_token.map(Zeroizing::new) {
        Some(text) => Some(RefreshToken::new(&text)?),
        None => None,
    };
    Some(Slot {
        refresh_token,
        access_token: fields
            .access_token
            .filter(|text| !text.is_empty())
            .map(Secret::new),
        expires_at: fields.expires_at,
        obtained_at: fields.obtained_at,
        tenant: fields.tenant,
        client: fields.client,
        mailbox: fields.mailbox,
        flow: fields.flow,
        with_secret: fields.with_secret,
        resting_until: fields.resting_until,
    })
}

#[derive(Serialize)]
struct Written<'a> {
    refresh_token: Option<&'a str>,
    access_token: Option<&'a str>,
    expires_at: u64,
    obtained_at: u64,
    tenant: &'a str,
    client: &'a str,
    mailbox: &'a str,
    flow: &'a str,
    with_secret: Option<bool>,
    resting_until: Option<u64>,
}

#[derive(Deserialize)]
struct Read {
    refresh_token: Option<String>,
    access_token: Option<String>,
    expires_at: u64,
    obtained_at: u64,
    tenant: String,
    client: String,
    mailbox: String,
    flow: String,
    with_secret: Option<bool>,
    resting_until: Option<u64>,
}

fn is_number(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(u8::is_ascii_digit)
}

/// First 16 hex digits of SHA-256 over `v1 GENERATION {json}`.
fn sum(generation: u64, json: &[u8]) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(format!("v1 {generation} ").as_bytes());
    context.update(json);
    let digest = context.finish();
    digest
        .as_ref()
        .iter()
        .take(8)
        .map(|octet| format!("{octet:02x}"))
        .collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::oauth::token::tests::account;

    /// A slot of the usual account.
    pub(crate) fn slot(refresh_token: &str, access_token: &str, expires_at: u64) -> Slot {
        let account = account();
        Slot {
            refresh_token: RefreshToken::new(refresh_token),
            access_token: Some(Secret::new(access_token.to_owned())),
            expires_at,
            obtained_at: 0,
            tenant: account.tenant,
            client: account.client_id,
            mailbox: account.mailbox,
            flow: "import".to_owned(),
            with_secret: None,
            resting_until: None,
        }
    }

    fn line(generation: u64, slot: &Slot) -> Vec<u8> {
        encode(generation, slot).unwrap().to_vec()
    }

    #[test]
    fn a_slot_comes_back_as_it_was_written() {
        let (generation, back) = decode(&line(7, &slot("0.rt~+/=", "at\"\\", 99)))
            .ok()
            .unwrap();
        assert_eq!((generation, back.expires_at), (7, 99));
        assert_eq!(back.refresh_token.as_ref().unwrap().expose(), "0.rt~+/=");
        assert_eq!(back.access_token.as_ref().unwrap().expose(), "at\"\\");
        assert!(back.belongs_to(&account()));
    }

    #[test]
    fn what_an_older_longer_line_left_behind_is_ignored() {
        let mut octets = line(8, &slot("rt", "at", 1));
        octets.extend_from_slice(b"rest of an older slot\n");
        assert!(decode(&octets).is_ok());
    }

    #[test]
    fn every_single_flipped_bit_is_noticed() {
        let whole = line(12, &slot("rt", "at", 1));
        for place in 0..whole.len() {
            for bit in 0..8 {
                let mut octets = whole.clone();
                octets[place] ^= 1 << bit;
                assert!(decode(&octets).is_err(), "bit {bit} of octet {place}");
            }
        }
    }

    #[test]
    fn a_torn_slot_is_never_mistaken_for_a_newer_one() {
        let old = line(9, &slot("old-refresh-token", "old", 1));
        for text in ["new", "a-much-longer-new-refresh-token"] {
            let new = line(11, &slot(text, "new", 2));
            for size in 0..new.len() {
                let mut torn = old.clone();
                torn.resize(torn.len().max(size), 0);
                torn[..size].copy_from_slice(&new[..size]);
                // All but the line end, over an old end in the same place, is the whole new slot.
                let generation = decode(&torn).map_or(9, |(generation, _)| generation);
                assert!(generation == 9 || torn[..new.len()] == new[..], "{size}");
            }
        }
    }

    #[test]
    fn other_versions_are_told_from_damage() {
        let fault = |octets: &[u8]| decode(octets).err();
        assert_eq!(fault(b""), Some(Fault::Empty));
        assert_eq!(fault(b"v2 1 whatever\n"), Some(Fault::Version));
        assert_eq!(fault(b"v10 \n"), Some(Fault::Version));
        for octets in [
            &b"v1"[..],
            b"\n",
            b"v1 \n",
            b"v1 1 0 {}",
            b"v1 +1 0 {}\n",
            b"vx 1\n",
            &[0; 900],
        ] {
            assert_eq!(fault(octets), Some(Fault::Corrupt));
        }
    }

    #[test]
    fn a_slot_that_cannot_be_read_again_is_not_written() {
        assert!(encode(1, &slot("rt", &"a".repeat(SIZE_MAX), 1)).is_none());
    }

    #[test]
    fn a_token_is_fresh_until_the_margin_before_its_end() {
        let slot = slot("rt", "at", 1000);
        assert!(slot.fresh(699, 300).is_some());
        assert!(slot.fresh(700, 300).is_none());
        assert!(slot.unexpired(999).is_some());
        assert!(slot.unexpired(1000).is_none());
    }

    #[test]
    fn a_token_dated_in_the_future_is_not_fresh() {
        let mut slot = slot("rt", "at", 9000);
        slot.obtained_at = 5000;
        assert!(slot.fresh(4700, 300).is_some());
        assert!(slot.fresh(1000, 300).is_none());
    }

    #[test]
    fn a_renewal_rests_for_minutes_only_and_not_beyond_the_token() {
        let minute = Duration::from_secs(60);
        let rested = slot("rt", "at", 1100).rested(1000, minute);
        assert!(rested.resting(1059).is_some());
        assert!(rested.resting(1060).is_none());
        assert!(
            slot("rt", "at", 1030)
                .rested(1000, minute)
                .resting(1030)
                .is_none()
        );
        let hour = slot("rt", "at", 9000).rested(1000, minute * 60);
        assert_eq!(hour.resting_until, Some(1300));
        assert!(hour.resting(900).is_none(), "a clock that was set back");
        let octets = line(1, &rested);
        let (_, back) = decode(&octets).ok().unwrap();
        assert_eq!(back.resting_until, Some(1060));
    }
}
