//! One refresh for all processes, and nothing lost by it.
//!
//! A fresh token is read without a lock. Who needs a new one waits for the lock, looks again at every
//! turn and adopts what another has fetched meanwhile. A holder that was stopped costs the others three
//! seconds; then each refreshes for itself and writes nothing. A disk that cannot be written costs
//! nothing but the next refresh: the mail goes with the token in memory.
//!
//! The new refresh token is stored before the access token is used. An answer that does not fit the
//! account never replaces a good access token. Its refresh token is kept if it belongs to the person
//! whose token it was fetched with; another's is dropped, because Microsoft leaves the old one valid.
#![expect(clippy::disallowed_methods, reason = "edge: waits for the lock")]

use super::answer::Granted;
use super::owner;
use super::shelf::{self, Survey};
use super::slot::Slot;
use super::sought::Sought;
use super::stored::Stored;
use super::token::{AccessToken, Claims, Misfit};
use super::{Account, SignedIn};
use crate::outcome::{Class, Failure, Stage};
use crate::sys::file::error_name;
use crate::sys::privilege::raised;
use crate::sys::random;
use std::fs::{File, TryLockError};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The token slots of this host.
pub struct Store {
    dirs: Vec<PathBuf>,
    /// How long another process may hold the lock.
    patience: Duration,
}

/// How a sign-in came about.
pub(crate) struct Origin {
    /// The word that is kept: `import`, `device`, ...
    pub(crate) flow: &'static str,
    /// Whether a client secret was shown; none where the grant decides.
    pub(crate) with_secret: Option<bool>,
}

/// How the wait for the lock ended.
enum Turn {
    Mine(File),
    /// Another process fetched this meanwhile.
    Adopted(AccessToken),
    /// No lock to be had: refresh, and write nothing.
    Private,
}

impl Store {
    /// Slots in the first directory; in the others where that cannot be written.
    pub fn new(dirs: Vec<PathBuf>) -> Store {
        const PATIENCE: Duration = Duration::from_secs(3);
        Store {
            dirs,
            patience: PATIENCE,
        }
    }

    /// The cached token, or a new one.
    pub(crate) fn token(&self, sought: &Sought<'_>) -> Result<AccessToken, Failure> {
        let survey = Survey::of(&self.dirs);
        sought.report_bad_slots(&survey);
        if let Some(token) = sought.usable(&survey)? {
            return Ok(token);
        }
        match self.wait(sought)? {
            Turn::Adopted(token) => Ok(token),
            Turn::Private => self.renew(sought, &survey, false),
            Turn::Mine(_lock) => {
                let survey = Survey::of(&self.dirs);
                match sought.usable(&survey)? {
                    Some(token) => Ok(token),
                    None => self.renew(sought, &survey, true),
                }
            }
        }
    }

    /// Whether a sign-in of the account is stored, and its files are as they have to be.
    pub(crate) fn check(&self, account: &Account, owner: u32) -> Result<(), Failure> {
        raised(|| owner::judge(&self.dirs, owner))?;
        let survey = Survey::of(&self.dirs);
        if account.grant.is_a_persons() && survey.newest(account).is_none() {
            return Err(survey.missing(account));
        }
        match shelf::open_lock(&self.dirs) {
            Ok(_) => Ok(()),
            Err(error) => Err(Failure::hold("the lock of the stored sign-in is of no use")
                .because(&error)
                .fix("run `sendmail365 login` again, which makes token.lock")
                .with_os_error(&error)
                .at(Stage::Token)),
        }
    }

    /// What is kept of the account.
    pub(crate) fn stored(&self, account: &Account) -> Option<Stored> {
        let survey = Survey::of(&self.dirs);
        survey.newest(account).map(|(_, slot)| Stored::of(slot))
    }

    /// What is kept of the account, or why nothing of it can be seen.
    pub(crate) fn find(&self, account: &Account) -> Result<Stored, Failure> {
        let survey = Survey::of(&self.dirs);
        let newest = survey.newest(account).map(|(_, slot)| Stored::of(slot));
        newest.ok_or_else(|| survey.missing(account))
    }

    /// Stores what was granted in new files, if it fits the account; nothing is touched before.
    pub(crate) fn sign_in(
        &self,
        sought: &Sought<'_>,
        granted: Granted,
        origin: &Origin,
    ) -> Result<SignedIn, Failure> {
        sought.report_notes(&granted.notes);
        let claims = Claims::of(granted.access_token.expose()).unwrap_or_default();
        claims
            .check(sought.account)
            .map_err(|(_, failure)| failure)?;
        let account = sought.account;
        if account.grant.is_a_persons() && granted.refresh_token.is_none() {
            return Err(without_refresh_token(account));
        }
        let slot = Slot {
            with_secret: origin.with_secret,
            flow: origin.flow.to_owned(),
            ..sought.slot(granted)
        };
        self.create(sought, &slot)?;
        Ok(SignedIn {
            user: claims.user().map(str::to_owned),
            tenant: claims.tenant().map(str::to_owned),
            client: claims.client().map(str::to_owned),
        })
    }

    /// Waits for the lock, so that no refresh under way writes its older result over the new slots.
    fn create(&self, sought: &Sought<'_>, slot: &Slot) -> Result<(), Failure> {
        let _lock = shelf::open_lock(&self.dirs).ok().inspect(|file| {
            let begun = Instant::now();
            while let Err(TryLockError::WouldBlock) = file.try_lock() {
                if begun.elapsed() >= self.patience {
                    sought.warn("lock-bypass", |line| line);
                    break;
                }
                pause();
            }
        });
        let generation = Survey::of(&self.dirs).generation();
        let mut failure: Option<Failure> = None;
        for (place, dir) in self.dirs.iter().enumerate() {
            match raised(|| shelf::create(dir, generation, slot)) {
                Ok(()) => {
                    // Best effort: they matter only once the first directory cannot be written.
                    for other in self.dirs.iter().skip(place + 1) {
                        let _ = raised(|| shelf::prepare(other));
                    }
                    return Ok(());
                }
                Err(error) => {
                    let err = error_name(&error);
                    sought.warn("token-kept", |line| line.word("err", &err));
                    let why = format!("{}: {error}", dir.display());
                    failure = Some(match failure {
                        None => not_stored().because(why).with_err(err),
                        Some(first) => first.also(why),
                    });
                }
            }
        }
        Err(failure.unwrap_or_else(not_stored))
    }

    fn wait(&self, sought: &Sought<'_>) -> Result<Turn, Failure> {
        let lock = match shelf::open_lock(&self.dirs) {
            Ok(lock) => lock,
            Err(error) => {
                sought.warn("lock-missing", |line| line.word("err", &error_name(&error)));
                return Ok(Turn::Private);
            }
        };
        let begun = Instant::now();
        loop {
            match lock.try_lock() {
                Ok(()) => return Ok(Turn::Mine(lock)),
                Err(TryLockError::WouldBlock) if begun.elapsed() >= self.patience => {
                    sought.warn("lock-bypass", |line| line);
                    return Ok(Turn::Private);
                }
                Err(TryLockError::WouldBlock) => pause(),
                Err(TryLockError::Error(error)) => {
                    sought.warn("lock-missing", |line| line.word("err", &error_name(&error)));
                    return Ok(Turn::Private);
                }
            }
            if let Some(token) = sought.usable(&Survey::of(&self.dirs))? {
                return Ok(Turn::Adopted(token));
            }
        }
    }

    fn renew(
        &self,
        sought: &Sought<'_>,
        survey: &Survey,
        keep: bool,
    ) -> Result<AccessToken, Failure> {
        let stored = survey.newest(sought.account).map(|(_, slot)| slot);
        let granted = match (sought.renew)(stored) {
            Ok(granted) => granted,
            Err(failure) => {
                if let Some(stored) = stored.filter(|_| keep) {
                    self.rest(sought, survey, stored, &failure);
                }
                return sought.last_resort(stored, failure);
            }
        };
        sought.report_notes(&granted.notes);
        let claims = Claims::of(granted.access_token.expose()).unwrap_or_default();
        let rotated = granted.refresh_token.is_some();
        let token = AccessToken::new(granted.access_token.clone());
        let premature = granted.premature.clone();
        let premature = premature.map(|failure| (Misfit::Purpose, failure));
        let fits = claims
            .check(sought.account)
            .and(premature.map_or(Ok(()), Err));
        let new = sought.slot(granted);
        let renewed = match stored {
            Some(stored) => Slot {
                refresh_token: new
                    .refresh_token
                    .clone()
                    .or_else(|| stored.refresh_token.clone()),
                flow: stored.flow.clone(),
                with_secret: stored.with_secret,
                ..new
            },
            None => new,
        };
        match fits {
            Ok(()) => {
                if keep {
                    self.keep(sought, survey, &renewed);
                }
                sought.report_refresh(&claims);
                Ok(token)
            }
            Err((misfit, failure)) => {
                if let Some(stored) = stored
                    && keep
                    && rotated
                    && same_person(misfit, stored, &claims)
                {
                    let rotated = Slot {
                        refresh_token: renewed.refresh_token,
                        ..stored.clone()
                    };
                    self.keep(sought, survey, &rotated);
                }
                sought.last_resort(stored, failure)
            }
        }
    }

    /// Has everybody use the token that is there for a while, instead of asking in vain once a message.
    fn rest(&self, sought: &Sought<'_>, survey: &Survey, stored: &Slot, failure: &Failure) {
        const USUAL: Duration = Duration::from_secs(60);
        let token = stored.unexpired(sought.now);
        if token.is_some_and(|token| !sought.was_refused(&token)) {
            let wait = failure.retry_after().unwrap_or(USUAL);
            self.keep(sought, survey, &stored.rested(sought.now, wait));
        }
    }

    /// Writes a slot, in the first directory that can be written. Only under the lock.
    fn keep(&self, sought: &Sought<'_>, seen: &Survey, slot: &Slot) {
        let survey = Survey::of(&self.dirs);
        if survey.generation() != seen.generation() {
            // A sign-in that would not wait for the lock has been here: its slots are newer.
            sought.warn("token-kept", |line| line.word("reason", "replaced"));
            return;
        }
        for dir in 0..self.dirs.len() {
            match survey.overwrite(dir, slot, sought.account) {
                Ok(()) => return,
                Err(error) => {
                    sought.warn("token-kept", |line| line.word("err", &error_name(&error)))
                }
            }
        }
    }
}

/// Without one the sign-in would end with its access token, within the hour.
fn without_refresh_token(account: &Account) -> Failure {
    Failure::new(Class::Unavailable, "the sign-in is not kept")
        .because(format!(
            "Microsoft granted no refresh token for {}",
            account.mailbox
        ))
        .fix("empty scope under [endpoint], or add offline_access to it, then sign in again")
        .at(Stage::Token)
        .with_reason("no-refresh-token")
}

fn not_stored() -> Failure {
    Failure::new(Class::CannotCreate, "the sign-in cannot be stored")
        .fix(
            "run it as root, or as the user whose settings these are, and see that the file system can be \
             written",
        )
        .at(Stage::Token)
}

/// Whether a rotated refresh token that came with an unfit access token is the successor of ours.
fn same_person(misfit: Misfit, stored: &Slot, claims: &Claims) -> bool {
    let before = stored
        .access_token
        .as_ref()
        .and_then(|token| Claims::of(token.expose()));
    misfit == Misfit::Purpose || before.is_some_and(|before| before.same_person(claims))
}

/// 5 to 100 ms, so that waiting processes do not come in step.
fn pause() {
    let random = random::number().unwrap_or(45);
    std::thread::sleep(Duration::from_millis(5 + random % 96));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::Grant;
    use crate::oauth::slot;
    use crate::oauth::slot::tests::slot as slot_of;
    use crate::oauth::sought::Renewal;
    use crate::oauth::token::RefreshToken;
    use crate::oauth::token::tests::{account, jwt};
    use crate::outcome::Fate;
    use crate::sys::log::{Journal, Log};
    use crate::sys::secret::Secret;
    use serde_json::json;
    use std::cell::{Cell, RefCell};
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::Path;
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};

    const NOW: u64 = 1_800_000_000;

    /// Two directories, a log and a store over them; removed at the end.
    struct Place {
        root: PathBuf,
        store: Store,
        log: Log,
    }

    impl Place {
        fn new() -> Place {
            let name = format!("sendmail365-store-{:x}", random::number().unwrap());
            let root = std::env::temp_dir().join(name);
            let dirs = vec![root.join("etc"), root.join("var")];
            for dir in &dirs {
                fs::create_dir_all(dir).unwrap();
            }
            let mut store = Store::new(dirs);
            store.patience = Duration::from_millis(150);
            Place {
                log: Log::new(None, Some(root.join("log"))),
                root,
                store,
            }
        }

        /// A place whose slots hold this, `token.1` as the newer one.
        fn holding(slot: &Slot) -> Place {
            let place = Place::new();
            shelf::create(place.etc(), 0, slot).unwrap();
            place
        }

        fn etc(&self) -> &Path {
            &self.store.dirs[0]
        }

        fn path(&self, name: &str) -> PathBuf {
            self.etc().join(name)
        }

        fn log(&self) -> String {
            fs::read_to_string(self.root.join("log")).unwrap_or_default()
        }

        fn ask(
            &self,
            refused: Option<&AccessToken>,
            refresh: &dyn Fn(Option<&Slot>) -> Renewal,
        ) -> Result<AccessToken, Failure> {
            self.with(&account(), refused, refresh, |sought| {
                self.store.token(sought)
            })
        }

        fn import(
            &self,
            token: &str,
            refresh: &dyn Fn(Option<&Slot>) -> Renewal,
        ) -> Result<SignedIn, Failure> {
            let mut granted = refresh(None)?;
            granted.refresh_token = granted.refresh_token.or(RefreshToken::new(token));
            let origin = Origin {
                flow: "import",
                with_secret: Some(false),
            };
            self.with(&account(), None, refresh, |sought| {
                self.store.sign_in(sought, granted, &origin)
            })
        }

        fn with<T>(
            &self,
            account: &Account,
            refused: Option<&AccessToken>,
            refresh: &dyn Fn(Option<&Slot>) -> Renewal,
            job: impl FnOnce(&Sought<'_>) -> T,
        ) -> T {
            let journal = Journal::new(&self.log, "test", 0, "root");
            job(&Sought {
                account,
                journal: &journal,
                now: NOW,
                refused,
                margin: 300,
                renew: refresh,
            })
        }

        /// The refresh token that the next job would use.
        fn kept(&self) -> String {
            let survey = Survey::of(&self.store.dirs);
            survey
                .newest(&account())
                .map(|(_, slot)| slot.refresh_token.as_ref().unwrap().expose().to_owned())
                .unwrap_or_default()
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.root);
        }
    }

    fn refresh_token_of(stored: Option<&Slot>) -> String {
        let token = stored.and_then(|slot| slot.refresh_token.as_ref());
        token.unwrap().expose().to_owned()
    }

    fn granted(access_token: &str, refresh_token: Option<&str>) -> Granted {
        Granted {
            access_token: Secret::new(access_token.to_owned()),
            refresh_token: refresh_token.and_then(RefreshToken::new),
            expires_at: NOW + 3600,
            premature: None,
            notes: Vec::new(),
        }
    }

    fn down(_: Option<&Slot>) -> Renewal {
        Err(Failure::defer("down").at(Stage::TokenHttp).with_code(503))
    }

    fn never(_: Option<&Slot>) -> Renewal {
        panic!("nobody had to ask")
    }

    fn text(token: &AccessToken) -> &str {
        token.secret().expose()
    }

    fn good(result: Result<AccessToken, Failure>) -> String {
        result
            .map(|token| text(&token).to_owned())
            .map_err(|failure| failure.lines("t"))
            .unwrap()
    }

    fn stale() -> Slot {
        slot_of("rt-1", "at-1", NOW - 5)
    }

    #[test]
    fn a_fresh_token_is_used_without_asking() {
        let place = Place::holding(&slot_of("rt", "at", NOW + 301));
        assert_eq!(good(place.ask(None, &never)), "at");
    }

    #[test]
    fn a_stale_token_is_renewed_once_and_the_new_sign_in_stored_first() {
        let place = Place::holding(&stale());
        let answer = |stored: Option<&Slot>| {
            assert_eq!(refresh_token_of(stored), "rt-1");
            Ok(granted("at-2", Some("rt-2")))
        };
        assert_eq!(good(place.ask(None, &answer)), "at-2");
        assert_eq!(place.kept(), "rt-2");
        assert_eq!(good(place.ask(None, &never)), "at-2");
        assert!(
            place
                .log()
                .contains("event=refresh uid=0 user=root reason=expired"),
            "{}",
            place.log()
        );
    }

    #[test]
    fn an_answer_without_refresh_token_keeps_the_old_one() {
        let place = Place::holding(&stale());
        assert_eq!(
            good(place.ask(None, &|_| Ok(granted("at-2", None)))),
            "at-2"
        );
        assert_eq!(place.kept(), "rt-1");
    }

    #[test]
    fn fifty_at_once_ask_once() {
        let mut place = Place::holding(&stale());
        place.store.patience = Duration::from_secs(60);
        let asked = AtomicUsize::new(0);
        let barrier = Barrier::new(50);
        std::thread::scope(|scope| {
            for _ in 0..50 {
                scope.spawn(|| {
                    let answer = |_: Option<&Slot>| {
                        asked.fetch_add(1, Ordering::SeqCst);
                        Ok(granted("at-2", Some("rt-2")))
                    };
                    barrier.wait();
                    assert_eq!(good(place.ask(None, &answer)), "at-2");
                });
            }
        });
        assert_eq!(asked.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn a_stopped_holder_costs_others_a_bounded_wait_and_nothing_is_written() {
        let place = Place::holding(&stale());
        let lock = fs::File::open(place.path("token.lock")).unwrap();
        lock.try_lock().unwrap();
        assert_eq!(
            good(place.ask(None, &|_| Ok(granted("at-2", Some("rt-2"))))),
            "at-2"
        );
        assert_eq!(place.kept(), "rt-1");
        assert!(place.log().contains("event=lock-bypass"), "{}", place.log());
    }

    #[test]
    fn who_waits_adopts_what_the_holder_fetched() {
        let mut place = Place::holding(&stale());
        place.store.patience = Duration::from_secs(20);
        let lock = fs::File::open(place.path("token.lock")).unwrap();
        lock.try_lock().unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| good(place.ask(None, &never)));
            let survey = Survey::of(&place.store.dirs);
            survey
                .overwrite(0, &slot_of("rt-2", "at-2", NOW + 3600), &account())
                .unwrap();
            assert_eq!(waiting.join().unwrap(), "at-2");
        });
    }

    #[test]
    fn without_a_lock_the_mail_goes_and_nothing_is_written() {
        let place = Place::holding(&stale());
        fs::remove_file(place.path("token.lock")).unwrap();
        assert_eq!(
            good(place.ask(None, &|_| Ok(granted("at-2", Some("rt-2"))))),
            "at-2"
        );
        assert_eq!(place.kept(), "rt-1");
        assert!(
            place.log().contains("event=lock-missing"),
            "{}",
            place.log()
        );
    }

    #[test]
    fn a_refused_token_is_replaced_once_and_a_replaced_one_is_adopted() {
        let place = Place::holding(&slot_of("rt-1", "at-1", NOW + 3600));
        let refused = AccessToken::new(Secret::new("at-1".to_owned()));
        assert_eq!(
            good(place.ask(Some(&refused), &|_| Ok(granted("at-2", Some("rt-2"))))),
            "at-2"
        );
        assert!(place.log().contains("reason=rejected"), "{}", place.log());
        assert_eq!(good(place.ask(Some(&refused), &never)), "at-2");
    }

    #[test]
    fn a_refused_token_is_no_last_resort() {
        let place = Place::holding(&slot_of("rt-1", "at-1", NOW + 3600));
        let refused = AccessToken::new(Secret::new("at-1".to_owned()));
        assert_eq!(
            place.ask(Some(&refused), &down).err().unwrap().code(),
            Some("503")
        );
    }

    #[test]
    fn a_failing_endpoint_does_not_stop_mail_while_the_old_token_lasts() {
        let place = Place::holding(&slot_of("rt-1", "at-1", NOW + 100));
        assert_eq!(good(place.ask(None, &down)), "at-1");
        assert!(place.log().contains("event=refresh"), "{}", place.log());
        assert!(place.log().contains("code=503"), "{}", place.log());
        let place = Place::holding(&stale());
        assert_eq!(place.ask(None, &down).err().unwrap().code(), Some("503"));
    }

    #[test]
    fn a_dead_sign_in_is_kept_for_the_day_it_works_again() {
        let place = Place::holding(&stale());
        let dead = |_: Option<&Slot>| Err(Failure::hold("no").with_code("AADSTS700082"));
        assert_eq!(place.ask(None, &dead).err().unwrap().fate(), Fate::Hold);
        assert_eq!(place.kept(), "rt-1");
    }

    #[test]
    fn a_kill_in_any_octet_of_a_write_loses_no_sign_in() {
        let old = slot::encode(
            1,
            &slot_of("rt-1", "a-much-longer-old-access-token", NOW - 5),
        )
        .unwrap();
        let kept = slot::encode(2, &slot_of("rt-2", "at-2", NOW - 5)).unwrap();
        let new = slot::encode(3, &slot_of("rt-3", "at-3", NOW + 3600)).unwrap();
        let place = Place::holding(&stale());
        fs::write(place.path("token.1"), &*kept).unwrap();
        for size in 0..=new.len() {
            let mut torn = old.to_vec();
            torn.resize(torn.len().max(size), 0);
            torn[..size].copy_from_slice(&new[..size]);
            fs::write(place.path("token.0"), &torn).unwrap();
            let expected = if slot::decode(&torn).is_ok_and(|(generation, _)| generation == 3) {
                "rt-3"
            } else {
                "rt-2"
            };
            assert_eq!(place.kept(), expected, "after {size} octets");
        }
        assert_eq!(place.kept(), "rt-3");
    }

    #[test]
    fn one_bad_slot_is_logged_and_the_other_used() {
        let place = Place::holding(&slot_of("rt", "at", NOW + 3600));
        let mut octets = fs::read(place.path("token.1")).unwrap();
        octets[40] ^= 1;
        fs::write(place.path("token.1"), octets).unwrap();
        assert_eq!(good(place.ask(None, &never)), "at");
        assert!(
            place.log().contains("event=token-slot-bad"),
            "{}",
            place.log()
        );
        assert!(
            place.log().contains("slot=1 reason=corrupt"),
            "{}",
            place.log()
        );
    }

    #[test]
    fn every_reason_for_no_token_is_told_with_its_cure() {
        let spoilt = |spoil: &dyn Fn(PathBuf)| {
            let place = Place::holding(&stale());
            spoil(place.path("token.0"));
            spoil(place.path("token.1"));
            let failure = place.ask(None, &never).err().unwrap();
            assert_eq!(
                (failure.fate(), failure.stage()),
                (Fate::Hold, Some(Stage::Token))
            );
            assert!(
                failure.cure().unwrap().contains("sendmail365"),
                "{failure:?}"
            );
            failure.reason().unwrap().to_owned()
        };
        let beside = |path: &Path| PathBuf::from(format!("{}.other", path.display()));
        let write = |text: &'static str| move |path: PathBuf| fs::write(path, text).unwrap();
        assert_eq!(spoilt(&write("")), "no-token");
        assert_eq!(spoilt(&|path| fs::remove_file(path).unwrap()), "no-token");
        assert_eq!(spoilt(&write("v1 1 0123 {}\n")), "corrupt");
        assert_eq!(spoilt(&write("v2 1 whatever\n")), "version");
        assert_eq!(
            spoilt(&|path| {
                fs::rename(&path, beside(&path)).unwrap();
                symlink(beside(&path), &path).unwrap();
            }),
            "type"
        );
        assert_eq!(
            spoilt(&|path| fs::hard_link(&path, beside(&path)).unwrap()),
            "type"
        );
        assert_eq!(
            spoilt(&|path| {
                fs::remove_file(&path).unwrap();
                fs::create_dir(&path).unwrap();
            }),
            "type"
        );
    }

    #[test]
    fn another_accounts_sign_in_is_not_used() {
        let place = Place::holding(&slot_of("rt", "at", NOW + 3600));
        let mut other = account();
        other.mailbox = "other@contoso.com".to_owned();
        let failure = place
            .with(&other, None, &never, |sought| place.store.token(sought))
            .err()
            .unwrap();
        assert_eq!(failure.reason(), Some("other-account"));
        assert!(
            failure.why().unwrap().contains("alerts@contoso.com"),
            "{failure:?}"
        );
    }

    #[test]
    fn after_a_change_of_the_grant_the_old_sign_in_is_not_told_as_anothers() {
        let place = Place::holding(&slot_of("rt", "at", NOW + 3600));
        let mut applications = account();
        applications.grant = Grant::ClientSecret(Secret::new("s3".to_owned()));
        let missing = place.store.find(&applications).err().unwrap();
        assert_eq!(missing.reason(), Some("no-token"));
        applications.mailbox = "other@contoso.com".to_owned();
        let missing = place.store.find(&applications).err().unwrap();
        assert_eq!(missing.reason(), Some("other-account"));
    }

    #[test]
    fn a_slot_that_cannot_be_written_sends_the_sign_in_to_the_second_directory() {
        let place = Place::holding(&stale());
        shelf::prepare(&place.store.dirs[1]).unwrap();
        // A symbolic link in place of the slot to be written stands for every failing write.
        fs::remove_file(place.path("token.0")).unwrap();
        symlink("/dev/full", place.path("token.0")).unwrap();
        assert_eq!(
            good(place.ask(None, &|_| Ok(granted("at-2", Some("rt-2"))))),
            "at-2"
        );
        assert!(place.log().contains("event=token-kept"), "{}", place.log());
        assert_eq!(place.kept(), "rt-2");
        assert_eq!(good(place.ask(None, &never)), "at-2");
    }

    #[test]
    fn a_newer_programs_slot_is_never_overwritten() {
        let place = Place::holding(&stale());
        fs::write(place.path("token.0"), "v2 9 whatever\n").unwrap();
        assert_eq!(
            good(place.ask(None, &|_| Ok(granted("at-2", Some("rt-2"))))),
            "at-2"
        );
        assert_eq!(
            fs::read_to_string(place.path("token.0")).unwrap(),
            "v2 9 whatever\n"
        );
        assert_eq!(place.kept(), "rt-1");
    }

    #[test]
    fn a_token_for_another_service_is_refused_and_its_refresh_token_kept() {
        let place = Place::holding(&slot_of("rt-1", "at-1", NOW + 100));
        let graph = || jwt(json!({"aud": "https://graph.microsoft.com"}));
        let answer = |_: Option<&Slot>| Ok(granted(&graph(), Some("rt-2")));
        assert_eq!(good(place.ask(None, &answer)), "at-1");
        assert_eq!(place.kept(), "rt-2");
        let place = Place::holding(&stale());
        let failure = place.ask(None, &answer).err().unwrap();
        assert_eq!(
            (failure.fate(), failure.reason()),
            (Fate::Hold, Some("audience"))
        );
        assert_eq!(place.kept(), "rt-2");
    }

    #[test]
    fn a_cached_token_for_another_service_is_renewed() {
        let graph = jwt(json!({"aud": "https://graph.microsoft.com"}));
        let place = Place::holding(&slot_of("rt-1", &graph, NOW + 3600));
        assert_eq!(
            good(place.ask(None, &|_| Ok(granted("at-2", None)))),
            "at-2"
        );
    }

    #[test]
    fn another_persons_answer_replaces_nothing() {
        let mine = jwt(json!({"upn": "alerts@contoso.com", "tid": "t"}));
        let place = Place::holding(&slot_of("rt-1", &mine, NOW - 5));
        let theirs = |_: Option<&Slot>| {
            Ok(granted(
                &jwt(json!({"upn": "joe@contoso.com", "tid": "t"})),
                Some("rt-joe"),
            ))
        };
        assert_eq!(
            place.ask(None, &theirs).err().unwrap().reason(),
            Some("user")
        );
        assert_eq!(place.kept(), "rt-1");
    }

    #[test]
    fn the_successor_of_a_wrong_persons_refresh_token_is_not_lost() {
        let joe = |expiry: u64| jwt(json!({"upn": "joe@contoso.com", "tid": "t", "exp": expiry}));
        let place = Place::holding(&slot_of("rt-joe-1", &joe(1), NOW - 5));
        let failure = place
            .ask(None, &|_| Ok(granted(&joe(2), Some("rt-joe-2"))))
            .err()
            .unwrap();
        assert_eq!(
            (failure.fate(), failure.reason()),
            (Fate::Hold, Some("user"))
        );
        assert_eq!(place.kept(), "rt-joe-2");
    }

    #[test]
    fn an_import_makes_private_files_and_is_used_at_once() {
        let place = Place::new();
        place
            .import("rt-1", &|_| Ok(granted("at-1", Some("rt-2"))))
            .unwrap();
        assert_eq!(place.kept(), "rt-2");
        assert_eq!(good(place.ask(None, &never)), "at-1");
        for name in ["token.0", "token.1", "token.lock"] {
            let mode = fs::metadata(place.path(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o117, 0, "{name} {mode:o}");
        }
        let files = fs::read_dir(place.etc()).unwrap().count();
        assert_eq!(files, 3, "nothing temporary is left");
    }

    #[test]
    fn an_import_that_fails_touches_nothing() {
        let place = Place::holding(&slot_of("rt-1", "at-1", NOW + 3600));
        assert!(place.import("rt-bad", &down).is_err());
        let joe = |_: Option<&Slot>| {
            Ok(granted(
                &jwt(json!({"upn": "joe@contoso.com"})),
                Some("rt-joe"),
            ))
        };
        assert_eq!(
            place.import("rt-joe", &joe).err().unwrap().reason(),
            Some("user")
        );
        assert_eq!(place.kept(), "rt-1");
        assert_eq!(good(place.ask(None, &never)), "at-1");
    }

    #[test]
    fn an_import_replaces_damaged_slots_and_other_accounts() {
        let place = Place::holding(&slot_of("rt-1", "at-1", NOW + 3600));
        fs::write(place.path("token.0"), "v2 9 whatever\n").unwrap();
        let log = place.path("token.1");
        fs::remove_file(&log).unwrap();
        symlink("/dev/null", &log).unwrap();
        place
            .import("rt-7", &|_| Ok(granted("at-7", None)))
            .unwrap();
        assert_eq!(place.kept(), "rt-7");
        assert_eq!(Survey::of(&place.store.dirs).bad().count(), 0);
    }

    #[test]
    fn an_import_during_a_refresh_is_not_overwritten_by_its_older_answer() {
        let place = Place::holding(&stale());
        let answer = |_: Option<&Slot>| {
            let generation = Survey::of(&place.store.dirs).generation();
            shelf::create(
                place.etc(),
                generation,
                &slot_of("rt-imported", "at-9", NOW + 3600),
            )
            .unwrap();
            Ok(granted("at-2", Some("rt-2")))
        };
        assert_eq!(good(place.ask(None, &answer)), "at-2");
        assert_eq!(place.kept(), "rt-imported");
    }

    #[test]
    fn no_secret_reaches_the_log() {
        let place = Place::holding(&slot_of("CANARY-1", "CANARY-2", NOW + 100));
        let turn = Cell::new(0);
        let answer = |_: Option<&Slot>| {
            turn.set(turn.get() + 1);
            if turn.get() == 1 {
                down(None)
            } else {
                Ok(granted("CANARY-3", Some("CANARY-4")))
            }
        };
        place.ask(None, &answer).unwrap();
        let refused = AccessToken::new(Secret::new("CANARY-2".to_owned()));
        place.ask(Some(&refused), &answer).unwrap();
        assert!(place.log().lines().count() >= 2);
        assert!(!place.log().contains("CANARY"), "{}", place.log());
    }

    #[test]
    fn the_new_sign_in_is_on_the_disk_before_the_token_is_handed_out() {
        let place = Place::holding(&stale());
        let seen = RefCell::new(Vec::new());
        for turn in 2..12 {
            let refused = AccessToken::new(Secret::new(format!("at-{}", turn - 1)));
            let answer = |stored: Option<&Slot>| {
                seen.borrow_mut().push(refresh_token_of(stored));
                Ok(granted(&format!("at-{turn}"), Some(&format!("rt-{turn}"))))
            };
            good(place.ask(Some(&refused), &answer));
            assert_eq!(place.kept(), format!("rt-{turn}"));
        }
        let expected: Vec<String> = (1..11).map(|turn| format!("rt-{turn}")).collect();
        assert_eq!(*seen.borrow(), expected);
    }

    #[test]
    fn an_applications_token_of_another_tenant_is_renewed_by_itself() {
        let mut application = account();
        application.grant = Grant::ClientSecret(Secret::new("s".to_owned()));
        application.tenant = "99999999-2222-3333-4444-555555555555".to_owned();
        let before = jwt(json!({"tid": "11111111-2222-3333-4444-555555555555"}));
        let mut slot = slot_of("rt", &before, NOW + 3600);
        slot.refresh_token = None;
        let place = Place::holding(&slot);
        let answer = |_: Option<&Slot>| Ok(granted("at-2", None));
        let token = place.with(&application, None, &answer, |sought| {
            place.store.token(sought)
        });
        assert_eq!(good(token), "at-2");
    }

    /// In its last minutes a token is still good: one asks in vain for all, and not each for himself.
    #[test]
    fn a_renewal_that_failed_rests_while_the_old_token_lasts() {
        let place = Place::holding(&slot_of("rt-1", "at-1", NOW + 100));
        assert_eq!(good(place.ask(None, &down)), "at-1");
        assert_eq!(good(place.ask(None, &never)), "at-1");
        assert_eq!(place.kept(), "rt-1");
        let refused = AccessToken::new(Secret::new("at-1".to_owned()));
        let answer = |_: Option<&Slot>| Ok(granted("at-2", Some("rt-2")));
        assert_eq!(good(place.ask(Some(&refused), &answer)), "at-2");
        assert_eq!(good(place.ask(None, &never)), "at-2");
    }
}
