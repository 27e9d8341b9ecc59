//! The protocols on a real directory, with every call failing once.

use super::*;

#[test]
fn whatever_call_fails_the_answer_is_the_truth_and_nothing_is_left() {
    let (_, calls) = try_commit(&Scratch::new(), &[]);
    assert_eq!(calls, 9, "create, 3 writes, mode, sync, open, rename, sync");
    for call in 0..calls {
        for error in [EIO, ENOSPC, EROFS] {
            for fault in [Fault::Undone(error), Fault::Done(error)] {
                let scratch = Scratch::new();
                let (result, _) = try_commit(&scratch, &[(call, fault)]);
                assert!(result.is_err(), "{call} {fault:?}: {result:?}");
                assert!(queued(&scratch).is_empty(), "{call} {fault:?}");
                // A file that was made and denied is swept later.
                let litter = usize::from(call == 0 && fault == Fault::Done(error));
                assert_eq!(scratch.names("tmp").len(), litter, "{call} {fault:?}");
            }
        }
    }
}

#[test]
fn whatever_two_calls_fail_the_answer_is_the_truth() {
    for first in 0..10 {
        for second in first + 1..12 {
            let scratch = Scratch::new();
            let faults = [first, second].map(|call| (call, Fault::Undone(EIO)));
            let (result, _) = try_commit(&scratch, &faults);
            assert_eq!(
                queued(&scratch).len(),
                usize::from(result.is_ok()),
                "{faults:?}"
            );
        }
    }
}

#[test]
fn an_entry_that_can_be_neither_synced_nor_withdrawn_is_owned_up_to() {
    let scratch = Scratch::new();
    let (_, calls) = try_commit(&Scratch::new(), &[]);
    let faults = [calls - 1, calls].map(|call| (call, Fault::Undone(EIO)));
    let committed = try_commit(&scratch, &faults).0.unwrap();
    assert!(!committed.durable);
    assert_eq!(queued(&scratch), [committed.id.to_string()]);
}

#[test]
fn a_failed_sync_is_not_tried_again() {
    let scratch = Scratch::new();
    for sync in [5, 8] {
        let mut spy = Spy::new(&scratch, &[(sync, Fault::Undone(EIO))]);
        assert!(commit_on(&mut spy).is_err());
        let syncs = spy
            .steps
            .iter()
            .filter(|step| matches!(step, Step::Sync(_)));
        assert_eq!(
            (syncs.count(), spy.calls),
            (usize::from(sync == 8), sync + 2)
        );
    }
}

#[test]
fn a_name_that_is_taken_becomes_another_one() {
    let scratch = Scratch::new();
    let rename = 7;
    let (result, _) = try_commit(&scratch, &[(rename, Fault::Undone(EEXIST))]);
    let committed = result.unwrap();
    assert_eq!(
        (committed.durable, &committed.id),
        (true, &id(1).renamed(101))
    );
    assert_eq!(queued(&scratch), [committed.id.to_string()]);

    let faults = [7, 8, 9, 10, 11].map(|call| (call, Fault::Undone(EEXIST)));
    let (result, _) = try_commit(&scratch, &faults);
    assert!(result.is_err());
    assert_eq!((queued(&scratch).len(), scratch.names("tmp").len()), (1, 0));
}

#[test]
fn nothing_in_failed_is_written_over() {
    let scratch = Scratch::new();
    for number in 1..=3 {
        let name = scratch.commit(number).to_string();
        set_aside(&mut scratch.spool.rooms(), (Room::Queue, &name), "same").unwrap();
    }
    assert_eq!(scratch.names("failed"), ["same", "same.2", "same.3"]);
}
