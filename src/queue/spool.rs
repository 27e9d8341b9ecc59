//! The spool directory: what comes in, what is there, what is put aside.
#![expect(clippy::disallowed_methods, reason = "edge: the spool")]

use super::caps::Caps;
use super::disk::{Rooms, facts, open_existing};
use super::entry::{Entry, Mark, Via};
use super::locked::{self, Locked, Passed};
use super::octets::{Stored, peek_uid};
use super::protocol::{self, Committed, Parcel, Room, Trouble};
use super::state::State;
use super::sweep::{Failed, in_use};
use super::trouble::{explain, explain_lock, wrong_owner};
use crate::outcome::{Class, Failure, QueueId, Stage};
use crate::sys::file::rename_no_replace;
use crate::sys::privilege::raised;
use crate::sys::random;
use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, Metadata, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt};
use std::path::{Path, PathBuf};

pub(super) const RUNNER_LOCK: &str = "runner.lock";

const NOT_QUEUED: &str = "the message cannot be queued";

const NOT_READ: &str = "the queue cannot be read";

/// A spool; nothing is opened before it is asked for something.
#[derive(Debug, Clone)]
pub struct Spool {
    root: PathBuf,
}

/// A message and its envelope on the way into the spool.
#[derive(Clone, Copy)]
pub struct Deposit<'a> {
    pub entry: &'a Entry,
    /// The message as it will be sent, in pieces, so that a large body is not copied.
    pub message: &'a [&'a [u8]],
}

/// What stands in queue/.
#[derive(Debug, Default)]
pub struct Listing {
    /// Oldest first.
    pub entries: Vec<Listed>,
    /// What no submission has put there: to be quarantined.
    pub strangers: Vec<Stranger>,
    /// Who owns the directory: the service account, or the user of a spool of his own.
    pub account: u32,
}

/// An entry as the directory shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    pub id: QueueId,
    /// Who handed the message in: the owner of the file, or whom the service account vouches for.
    pub uid: u32,
    pub size_bytes: u64,
    pub(super) owner: u32,
}

/// The name of something that does not belong in queue/.
#[derive(Debug)]
pub struct Stranger(OsString);

/// Why a message stands in failed/.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Refused for good.
    Refused,
    /// Too old.
    Expired,
    /// Not a file of ours, or of another version.
    Format,
    /// Not whole.
    Truncated,
    /// It ended the process that tried it.
    Poison,
    /// Sent, but that could not be recorded.
    Unrecorded,
    /// Its submission never ended.
    Interrupted,
}

/// The right to run the queue, until dropped.
#[derive(Debug)]
pub struct RunnerLock(#[expect(dead_code, reason = "held, not used")] File);

impl Reason {
    /// The word in the file's name and in the log.
    pub fn word(self) -> &'static str {
        match self {
            Reason::Refused => "refused",
            Reason::Expired => "expired",
            Reason::Format => "format",
            Reason::Truncated => "truncated",
            Reason::Poison => "poison",
            Reason::Unrecorded => "unrecorded",
            Reason::Interrupted => "interrupted",
        }
    }
}

impl Spool {
    /// The spool at `root`.
    pub fn new(root: impl Into<PathBuf>) -> Spool {
        Spool { root: root.into() }
    }

    /// Whether this user works the queue off for all: the service account, to whom it belongs.
    pub fn belongs_to(&self, uid: u32) -> bool {
        Rooms(&self.root).owner(Room::Queue) == Some(uid)
    }

    /// Where it is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The file of an entry, for messages.
    pub fn path(&self, id: &QueueId) -> PathBuf {
        self.rooms().path((Room::Queue, &id.to_string()))
    }

    /// Makes what is missing of a user's own spool, for that user alone.
    ///
    /// The host's spool comes with the package: a submission could not give it the right owners.
    pub fn prepare(&self) -> Result<(), Failure> {
        let blame = |path: &Path, error| explain("the queue cannot be made", path, &error);
        for room in [Room::Tmp, Room::Queue, Room::Failed] {
            let path = self.rooms().room(room);
            let made = raised(|| DirBuilder::new().recursive(true).mode(0o700).create(&path));
            made.map_err(|error| blame(&path, error))?;
        }
        let path = self.root.join(RUNNER_LOCK);
        match raised(|| crate::sys::file::create_new(&path)) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(blame(&path, error)),
            _ => Ok(()),
        }
    }

    /// Puts a message into the queue. On success it will be sent; on failure nothing of it is left.
    pub fn commit(
        &self,
        id: &QueueId,
        deposit: &Deposit<'_>,
        caps: &Caps,
    ) -> Result<Committed, Failure> {
        let origin = &deposit.entry.origin;
        let uid = match origin.via {
            // Its reader has a share of his own, and whoever wrote the message is not to use it up.
            Via::Notice => 0,
            _ => origin.uid,
        };
        self.room_in_queue(uid, size(deposit), caps)?;
        self.put(id, deposit, (Room::Queue, ""))
    }

    /// Keeps a copy of a message that was refused, for people to look at.
    pub fn keep_failed(
        &self,
        id: &QueueId,
        deposit: &Deposit<'_>,
        reason: Reason,
        caps: &Caps,
    ) -> Result<Committed, Failure> {
        self.room_in_failed(deposit.entry.origin.uid, size(deposit), caps)?;
        self.put(id, deposit, (Room::Failed, &format!(".{}", reason.word())))
    }

    /// What stands in queue/.
    pub fn list(&self) -> Result<Listing, Failure> {
        let path = self.rooms().room(Room::Queue);
        self.listing(&path)
            .map_err(|error| explain(NOT_READ, &path, &error))
    }

    /// One entry of the queue, if it is there.
    pub fn find(&self, id: &QueueId) -> Result<Option<Listed>, Failure> {
        let listing = self.list()?;
        Ok(listing.entries.into_iter().find(|listed| listed.id == *id))
    }

    /// Reads an entry without keeping others from it, for lists.
    pub fn read(&self, listed: &Listed) -> Result<Stored, Passed> {
        let path = self.rooms().path((Room::Queue, &listed.id.to_string()));
        let file = open_existing(&path, false).map_err(locked::not_opened)?;
        locked::read(&path, listed.owner, &file)
    }

    /// Whether another process works on an entry at this moment.
    ///
    /// Asking takes the entry in hand for an instant: only for one whose state says that an attempt
    /// was begun, or a runner that comes by would pass over it.
    pub fn in_hand(&self, listed: &Listed) -> bool {
        in_use(&self.rooms().path((Room::Queue, &listed.id.to_string())))
    }

    /// Takes an entry in hand.
    pub fn open_locked(&self, listed: &Listed) -> Result<Locked<'_>, Passed> {
        Locked::open(self.rooms(), listed)
    }

    /// Moves an entry that cannot be read to failed/.
    pub fn quarantine(&self, id: &QueueId, reason: Reason) -> Result<(), Failure> {
        let name = id.to_string();
        let aside = format!("{name}.{}", reason.word());
        let moved = protocol::set_aside(&mut self.rooms(), (Room::Queue, &name), &aside);
        moved.map_err(|error| self.rooms().not_aside(&error))
    }

    /// Puts a message back from failed/ into the queue, due now: refused recipients are pending
    /// again, those who have it keep it. `by` is who asks for it.
    pub fn resend(&self, failed: &Failed, by: u32, caps: &Caps) -> Result<QueueId, Failure> {
        self.room_to_resend(failed, by, caps)?;
        let path = self.rooms().path((Room::Failed, &failed.name));
        let what = format!("{} cannot be sent again", failed.name);
        let blame = |error: io::Error| explain(&what, &path, &error);
        let Some(id) = failed.id.clone() else {
            return Err(Failure::new(Class::Data, what).because("it never was in the queue"));
        };
        let file = open_existing(&path, true).map_err(blame)?;
        file.try_lock().map_err(|error| blame(error.into()))?;
        let stored = locked::read(&path, failed.owner, &file).map_err(|passed| {
            Failure::new(Class::Data, what.as_str())
                .because(format!(
                    "the file is no entry that can be read ({})",
                    passed.word()
                ))
                .fix(format!(
                    "look at {}, and send its text anew",
                    path.display()
                ))
                .at(Stage::Queue)
        })?;
        let line = State::default().line();
        let mut patches: Vec<(u64, &[u8])> = vec![(0, &line)];
        let refused = stored.entry.marked(Mark::Failed);
        let offsets = refused.filter_map(|(place, _)| stored.mark_offset(place));
        patches.extend(offsets.map(|offset| (offset, &b"-"[..])));
        let mut rooms = self.rooms();
        let from = (Room::Failed, failed.name.as_str());
        protocol::put_back(&mut rooms, &file, &patches, (from, &id.to_string())).map_err(blame)?;
        Ok(id)
    }

    /// Moves what is no entry to failed/.
    pub fn quarantine_stranger(&self, stranger: &Stranger) -> Result<(), Failure> {
        let from = self.rooms().room(Room::Queue).join(&stranger.0);
        let blame = |error| explain("a stray file cannot be put aside", &from, &error);
        let random = random::number()?;
        let aside = format!("stray-{random:016x}.{}", Reason::Format.word());
        let to = self.rooms().path((Room::Failed, &aside));
        raised(|| rename_no_replace(&from, &to)).map_err(blame)
    }

    /// The right to run the queue; none while another process has it.
    pub fn runner_lock(&self) -> Result<Option<RunnerLock>, Failure> {
        let path = self.root.join(RUNNER_LOCK);
        // Without the directories they are what has to be made first.
        let root = facts(&self.root)
            .map_err(|error| explain("the queue cannot be run", &self.root, &error))?;
        let blame = |error| explain_lock(&path, root.uid() != 0, &error);
        let file = open_existing(&path, true).map_err(blame)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(RunnerLock(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(blame(error)),
        }
    }

    /// The directories as the protocols see them.
    pub(super) fn rooms(&self) -> Rooms<'_> {
        Rooms(&self.root)
    }

    pub(super) fn listing(&self, path: &Path) -> io::Result<Listing> {
        raised(|| self.listed_in(path))
    }

    fn listed_in(&self, path: &Path) -> io::Result<Listing> {
        let account = fs::metadata(path)?.uid();
        let (mut entries, mut strangers) = (Vec::new(), Vec::new());
        for item in fs::read_dir(path)? {
            let item = item?;
            let metadata = match item.metadata() {
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                metadata => metadata?,
            };
            let name = item.file_name();
            let id = name.to_str().and_then(QueueId::parse);
            match id.filter(|_| metadata.is_file()) {
                Some(id) => entries.push(listed(id, &item.path(), &metadata, account)),
                None => strangers.push(Stranger(name)),
            }
        }
        entries.sort_by(|one, other| one.id.cmp(&other.id));
        Ok(Listing {
            entries,
            strangers,
            account,
        })
    }

    fn put(
        &self,
        id: &QueueId,
        deposit: &Deposit<'_>,
        (room, suffix): (Room, &str),
    ) -> Result<Committed, Failure> {
        let path = self.rooms().room(room);
        let metadata = facts(&path).map_err(|error| explain(NOT_QUEUED, &path, &error))?;
        if metadata.mode() & 0o002 != 0 {
            return Err(wrong_owner(NOT_QUEUED, &path));
        }
        let frame = deposit.entry.frame(deposit.message);
        let mut pieces = vec![frame.head.as_slice()];
        pieces.extend_from_slice(deposit.message);
        pieces.push(&frame.trailer);
        let parcel = Parcel {
            pieces: &pieces,
            // The runner comes by the group. In a spool of one's own that may be everybody's.
            mode: if metadata.mode() & 0o020 != 0 {
                0o660
            } else {
                0o600
            },
            room,
            suffix,
        };
        let mut another = || random::number().map(|random| id.renamed(random));
        let committed = protocol::commit(&mut self.rooms(), &parcel, id, &mut another);
        committed.map_err(|trouble| match trouble {
            Trouble::Disk(room, error) => explain(NOT_QUEUED, &self.rooms().room(room), &error),
            Trouble::Name(failure) => failure,
        })
    }
}

impl Listed {
    /// Whether the file is this user's own, to remove and to put elsewhere.
    pub fn is_file_of(&self, uid: u32) -> bool {
        self.owner == uid
    }
}

impl Stranger {
    /// Its name, which may hold anything.
    pub fn name(&self) -> String {
        self.0.to_string_lossy().into_owned()
    }
}

fn listed(id: QueueId, path: &Path, metadata: &Metadata, account: u32) -> Listed {
    let owner = metadata.uid();
    Listed {
        id,
        uid: submitter(path, owner, account),
        size_bytes: metadata.len(),
        owner,
    }
}

/// Who handed in the message of a file. One that the service account or root owns may have been
/// written for somebody else; then the file says for whom, and nobody else can have written it.
pub(super) fn submitter(path: &Path, owner: u32, account: u32) -> u32 {
    let vouched = owner == account || owner == 0;
    let uid = vouched.then(|| peek(path).ok().flatten()).flatten();
    uid.unwrap_or(owner)
}

fn peek(path: &Path) -> io::Result<Option<u32>> {
    let mut start = [0; 640];
    let size = open_existing(path, false)?.read_at(&mut start, 0)?;
    Ok(start.get(..size).and_then(peek_uid))
}

fn size(deposit: &Deposit<'_>) -> u64 {
    let message: u64 = deposit.message.iter().map(|piece| piece.len() as u64).sum();
    let envelope = deposit.entry.frame(&[]);
    message + (envelope.head.len() + envelope.trailer.len()) as u64
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::queue::entry::{Origin, Recipient, Via};
    use crate::queue::octets::Damage;
    use crate::sys::clock;
    use crate::sys::quiet::Quiet;
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, chown, symlink};
    use std::time::{Duration, UNIX_EPOCH};

    /// A spool of its own for one test.
    pub(crate) struct Scratch {
        pub(crate) spool: Spool,
        _quiet: Quiet,
    }

    impl Scratch {
        pub(crate) fn new() -> Scratch {
            let random = random::number().unwrap();
            let root = std::env::temp_dir().join(format!("sendmail365-spool-{random:016x}"));
            let spool = Spool::new(root);
            spool.prepare().unwrap();
            Scratch {
                spool,
                _quiet: Quiet::new(),
            }
        }

        /// Commits the usual message.
        pub(crate) fn commit(&self, number: u64) -> QueueId {
            self.commit_with(number, &Caps::default()).unwrap().id
        }

        /// Commits the usual message as the user who runs the tests, who is answered.
        pub(crate) fn commit_own(&self, number: u64) -> u32 {
            let uid = fs::metadata(&self.spool.root).unwrap().uid();
            self.commit_of(uid, number, &Caps::default()).unwrap();
            uid
        }

        fn commit_with(&self, number: u64, caps: &Caps) -> Result<Committed, Failure> {
            self.commit_of(33, number, caps)
        }

        fn commit_of(&self, uid: u32, number: u64, caps: &Caps) -> Result<Committed, Failure> {
            let deposit = Deposit {
                entry: &entry(uid),
                message: &[b"Subject: x\r\n", b"\r\n", b"hi\r\n"],
            };
            self.spool.commit(&id(number), &deposit, caps)
        }

        /// The names in a directory.
        pub(crate) fn names(&self, room: &str) -> Vec<String> {
            let items = fs::read_dir(self.spool.root.join(room)).unwrap();
            let name = |item: io::Result<fs::DirEntry>| item.unwrap().file_name();
            let mut names: Vec<String> = items
                .map(|item| name(item).into_string().unwrap())
                .collect();
            names.sort();
            names
        }

        pub(crate) fn path(&self, room: &str, name: impl ToString) -> PathBuf {
            self.spool.root.join(room).join(name.to_string())
        }

        pub(crate) fn write(&self, room: &str, name: &str, octets: &[u8]) {
            fs::write(self.path(room, name), octets).unwrap();
        }

        pub(crate) fn octets(&self, room: &str, name: &str) -> Vec<u8> {
            fs::read(self.path(room, name)).unwrap()
        }

        fn listed(&self, number: u64) -> Listed {
            self.spool.find(&id(number)).unwrap().unwrap()
        }

        fn passed(&self, listed: &Listed) -> String {
            self.spool.open_locked(listed).unwrap_err().word()
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.spool.root);
        }
    }

    pub(crate) fn id(number: u64) -> QueueId {
        QueueId::new(UNIX_EPOCH + Duration::from_secs(1_795_320_387), number)
    }

    pub(crate) fn entry(uid: u32) -> Entry {
        Entry {
            origin: Origin {
                uid,
                user: "www-data".to_owned(),
                pid: 7,
                host: "h".to_owned(),
                via: Via::Direct,
            },
            sender: None,
            recipients: ["a@x.test", "b@x.test"].map(Recipient::pending).into(),
            dsn: None,
            state: State::default(),
        }
    }

    fn now() -> u64 {
        clock::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
    }

    #[test]
    fn a_message_comes_out_of_the_queue_as_it_went_in() {
        let scratch = Scratch::new();
        scratch.commit(2);
        scratch.commit(1);
        let listing = scratch.spool.list().unwrap();
        let ids: Vec<&QueueId> = listing.entries.iter().map(|listed| &listed.id).collect();
        assert_eq!(ids, [&id(1), &id(2)]);
        assert!(listing.strangers.is_empty() && scratch.names("tmp").is_empty());
        let locked = scratch.spool.open_locked(&listing.entries[0]).unwrap();
        assert_eq!(locked.stored.entry, entry(33));
        assert_eq!(locked.stored.header(), b"Subject: x\r\n");
        assert_eq!(locked.stored.body(), b"hi\r\n");
        assert_eq!(
            scratch.spool.read(&listing.entries[1]).unwrap().body(),
            b"hi\r\n"
        );
    }

    #[test]
    fn the_runner_may_write_what_others_commit_and_nobody_else_in_a_spool_of_ones_own() {
        let scratch = Scratch::new();
        let queue = scratch.path("queue", "");
        for (directory, file) in [(0o3770, 0o660), (0o700, 0o600), (0o755, 0o600)] {
            fs::set_permissions(&queue, Permissions::from_mode(directory)).unwrap();
            let id = scratch.commit(file);
            let mode = fs::metadata(scratch.path("queue", id)).unwrap().mode();
            assert_eq!(u64::from(mode & 0o7777), file);
        }
    }

    #[test]
    fn marks_and_state_are_found_by_the_next_run() {
        let scratch = Scratch::new();
        scratch.commit(1);
        let state = State {
            attempts: 3,
            reply: "451 later".to_owned(),
            ..State::default()
        };
        let listed = scratch.listed(1);
        let mut locked = scratch.spool.open_locked(&listed).unwrap();
        locked.write_state(&state).unwrap();
        locked.mark(&[(1, Mark::Done)]).unwrap();
        let written = locked.stored.entry.clone();
        drop(locked);
        let locked = scratch.spool.open_locked(&listed).unwrap();
        assert_eq!(locked.stored.entry, written);
        assert_eq!(locked.stored.entry.state, state);
        let pending: Vec<usize> = written
            .marked(Mark::Pending)
            .map(|(place, _)| place)
            .collect();
        assert_eq!(pending, [0]);
        locked.remove().unwrap();
        assert_eq!(scratch.passed(&listed), "gone");
    }

    #[test]
    fn an_entry_is_in_one_hand_at_a_time() {
        let scratch = Scratch::new();
        scratch.commit(1);
        let listed = scratch.listed(1);
        let locked = scratch.spool.open_locked(&listed).unwrap();
        assert_eq!(scratch.passed(&listed), "busy");
        drop(locked);
        assert!(scratch.spool.open_locked(&listed).is_ok());
    }

    #[test]
    fn one_runner_at_a_time() {
        let scratch = Scratch::new();
        let lock = scratch.spool.runner_lock().unwrap();
        assert!(lock.is_some() && scratch.spool.runner_lock().unwrap().is_none());
        drop(lock);
        assert!(scratch.spool.runner_lock().unwrap().is_some());
    }

    #[test]
    fn an_entry_with_a_second_name_or_another_owner_is_left_alone() {
        let scratch = Scratch::new();
        let path = scratch.path("queue", scratch.commit(1));
        fs::hard_link(&path, scratch.path("failed", "other")).unwrap();
        let listed = scratch.listed(1);
        assert_eq!(scratch.passed(&listed), "changed");
        fs::remove_file(scratch.path("failed", "other")).unwrap();
        let other = Listed {
            owner: listed.owner + 1,
            ..listed.clone()
        };
        assert_eq!(scratch.passed(&other), "changed");
        fs::remove_file(&path).unwrap();
        symlink("/etc/passwd", &path).unwrap();
        assert_eq!(scratch.passed(&listed), "ELOOP");
    }

    #[test]
    fn a_second_name_that_a_kill_left_in_tmp_does_not_strand_the_entry() {
        let scratch = Scratch::new();
        let id = scratch.commit(1);
        fs::hard_link(scratch.path("queue", &id), scratch.path("tmp", &id)).unwrap();
        assert!(scratch.spool.open_locked(&scratch.listed(1)).is_ok());
        assert!(scratch.names("tmp").is_empty());
    }

    #[test]
    fn damage_goes_aside_and_blocks_nobody() {
        let scratch = Scratch::new();
        for number in 1..=2 {
            let path = scratch.path("queue", scratch.commit(number));
            File::options()
                .write(true)
                .open(path)
                .unwrap()
                .set_len(900 - 300 * number)
                .unwrap();
        }
        let listed = scratch.listed(1);
        let passed = scratch.spool.open_locked(&listed).unwrap_err();
        assert!(matches!(passed, Passed::Damaged(Damage::Truncated)));
        scratch
            .spool
            .quarantine(&listed.id, Reason::Truncated)
            .unwrap();
        let failed = scratch.spool.failed().unwrap();
        assert_eq!(
            (&failed[0].id, failed[0].reason.as_str()),
            (&Some(id(1)), "truncated")
        );
        assert_eq!(scratch.spool.list().unwrap().entries.len(), 1);
    }

    #[test]
    fn a_damaged_state_costs_the_count_and_not_the_mail() {
        let scratch = Scratch::new();
        let path = scratch.path("queue", scratch.commit(1));
        let file = File::options().write(true).open(path).unwrap();
        file.write_all_at(&[0; 512], 0).unwrap();
        let listed = scratch.listed(1);
        let mut locked = scratch.spool.open_locked(&listed).unwrap();
        assert_eq!(locked.stored.entry, entry(33));
        locked.write_state(&State::default()).unwrap();
    }

    #[test]
    fn what_no_submission_wrote_is_put_aside() {
        let scratch = Scratch::new();
        fs::create_dir(scratch.path("queue", id(1))).unwrap();
        symlink("/etc/passwd", scratch.path("queue", id(2))).unwrap();
        scratch.write("queue", "core", b"x");
        let listing = scratch.spool.list().unwrap();
        assert_eq!((listing.entries.len(), listing.strangers.len()), (0, 3));
        for stranger in &listing.strangers {
            scratch.spool.quarantine_stranger(stranger).unwrap();
        }
        assert!(scratch.names("queue").is_empty());
        assert_eq!(scratch.names("failed").len(), 3);
    }

    #[test]
    fn an_entry_that_failed_is_kept_with_its_reason() {
        let scratch = Scratch::new();
        scratch.commit(1);
        let listed = scratch.listed(1);
        scratch
            .spool
            .open_locked(&listed)
            .unwrap()
            .fail(Reason::Expired)
            .unwrap();
        let deposit = Deposit {
            entry: &entry(33),
            message: &[b"\r\n"],
        };
        scratch
            .spool
            .keep_failed(&id(2), &deposit, Reason::Refused, &Caps::default())
            .unwrap();
        let failed = scratch.spool.failed().unwrap();
        let mut reasons: Vec<&str> = failed.iter().map(|failed| failed.reason.as_str()).collect();
        reasons.sort();
        assert_eq!(reasons, ["expired", "refused"]);
        assert!(scratch.names("queue").is_empty());
    }

    #[test]
    fn a_message_sent_again_goes_only_to_those_who_do_not_have_it() {
        let scratch = Scratch::new();
        scratch.commit(1);
        let mut locked = scratch.spool.open_locked(&scratch.listed(1)).unwrap();
        let tried = State {
            attempts: 30,
            ..State::default()
        };
        locked.write_state(&tried).unwrap();
        locked.mark(&[(0, Mark::Done), (1, Mark::Failed)]).unwrap();
        locked.fail(Reason::Refused).unwrap();
        let failed = scratch.spool.failed().unwrap();
        assert_eq!(
            scratch
                .spool
                .resend(&failed[0], 0, &Caps::default())
                .unwrap(),
            id(1)
        );
        let entry = scratch.spool.read(&scratch.listed(1)).unwrap().entry;
        let marks: Vec<Mark> = entry
            .recipients
            .iter()
            .map(|recipient| recipient.mark)
            .collect();
        assert_eq!(
            (marks, entry.state),
            (vec![Mark::Done, Mark::Pending], State::default())
        );
        assert!(scratch.names("failed").is_empty());
    }

    #[test]
    fn what_cannot_be_sent_again_stays_where_it_is() {
        let scratch = Scratch::new();
        scratch.write("failed", "stray-1.format", b"x");
        scratch.write("failed", &format!("{}.truncated", id(1)), b"SM365Q1 ");
        for failed in scratch.spool.failed().unwrap() {
            assert_eq!(
                scratch
                    .spool
                    .resend(&failed, 0, &Caps::default())
                    .unwrap_err()
                    .class(),
                Class::Data
            );
        }
        assert_eq!(scratch.names("failed").len(), 2);
    }

    #[test]
    fn a_cap_that_is_reached_leaves_no_file() {
        let scratch = Scratch::new();
        let caps = Caps {
            entries: 4,
            ..Caps::default()
        };
        scratch.commit_with(1, &caps).unwrap();
        let failure = scratch.commit_with(2, &caps).unwrap_err();
        assert_eq!(
            (failure.class(), failure.reason()),
            (Class::TryAgain, Some("cap-share"))
        );
        assert_eq!(
            (scratch.names("queue").len(), scratch.names("tmp").len()),
            (1, 0)
        );
    }

    /// Files of others can only be made by root.
    #[test]
    fn the_submitter_is_the_owner_unless_the_account_vouches_for_another() {
        let scratch = Scratch::new();
        let path = scratch.path("queue", scratch.commit(1));
        assert_eq!(scratch.listed(1).uid, 33);
        if chown(&path, Some(1234), None).is_ok() {
            assert_eq!(scratch.listed(1).uid, 1234);
            chown(scratch.path("queue", ""), Some(1234), None).unwrap();
            assert_eq!(scratch.listed(1).uid, 33);
        }
    }

    #[test]
    fn a_spool_that_is_missing_or_wrong_owner_is_named_with_its_cure() {
        let scratch = Scratch::new();
        let queue = scratch.path("queue", "");
        fs::set_permissions(&queue, Permissions::from_mode(0o777)).unwrap();
        let failure = scratch.commit_with(1, &Caps::default()).unwrap_err();
        assert_eq!(
            (failure.reason(), failure.stage()),
            (Some("mode"), Some(Stage::Queue))
        );
        assert!(
            failure
                .cure()
                .unwrap()
                .contains("sendmail365:sendmail365 with mode 3770")
        );
        fs::set_permissions(&queue, Permissions::from_mode(0o700)).unwrap();
        for room in ["tmp", "queue"] {
            fs::remove_dir(scratch.path(room, "")).unwrap();
            let failure = scratch.commit_with(1, &Caps::default()).unwrap_err();
            assert_eq!(
                (failure.class(), failure.err()),
                (Class::TryAgain, Some("ENOENT"))
            );
            assert!(failure.why().unwrap().contains(room), "{failure:?}");
        }
        assert!(scratch.spool.list().is_err());
    }

    #[test]
    fn a_draft_is_swept_when_its_writer_is_gone_for_36_hours() {
        let scratch = Scratch::new();
        for name in ["left", "written"] {
            scratch.write("tmp", name, b"x");
        }
        let linked = scratch.commit(1);
        fs::hard_link(
            scratch.path("queue", &linked),
            scratch.path("tmp", "linked"),
        )
        .unwrap();
        let writer = File::open(scratch.path("tmp", "written")).unwrap();
        writer.try_lock().unwrap();
        assert!(
            scratch
                .spool
                .sweep_tmp(now() + 35 * 3600)
                .unwrap()
                .is_empty()
        );
        let mut swept = scratch.spool.sweep_tmp(now() + 37 * 3600).unwrap();
        swept.sort();
        assert_eq!(swept, ["left", "linked"]);
        assert_eq!(scratch.names("tmp"), ["written"]);
        assert_eq!(scratch.names("failed"), ["left.interrupted"]);
        assert_eq!(scratch.names("queue"), [linked.to_string()]);
    }
}
