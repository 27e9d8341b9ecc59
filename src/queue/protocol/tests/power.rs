//! The steps of the protocols, as they were executed, with the power cut anywhere.

use super::*;

/// How much a disk may forget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Model {
    /// Nothing is durable without a sync of its own, in whatever order.
    Strict,
    /// Names and modes reach the disk in order, and every sync takes the earlier ones along.
    Ext4,
}

/// One thing that is on the disk as a whole or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Effect {
    Link(Room, String, usize),
    Unlink(Room, String),
    Move(Room, String, Room, String, usize),
    Data(usize, usize),
    Mode(usize),
}

/// What is found after the power is back.
#[derive(Debug, Clone, Default)]
struct Image {
    names: BTreeMap<(Room, String), usize>,
    /// File, and place of the write among all steps.
    data: BTreeSet<(usize, usize)>,
    modes: BTreeSet<usize>,
}

impl Image {
    fn apply(&mut self, effect: &Effect) {
        match effect.clone() {
            Effect::Link(room, name, file) => {
                self.names.insert((room, name), file);
            }
            Effect::Unlink(room, name) => {
                self.names.remove(&(room, name));
            }
            Effect::Move(from, old, to, new, file) => {
                self.names.remove(&(from, old));
                self.names.insert((to, new), file);
            }
            Effect::Data(file, place) => {
                self.data.insert((file, place));
            }
            Effect::Mode(file) => {
                self.modes.insert(file);
            }
        }
    }

    fn files_in(&self, wanted: Room) -> Vec<usize> {
        let named = self.names.iter();
        named
            .filter(|((room, _), _)| *room == wanted)
            .map(|(_, file)| *file)
            .collect()
    }
}

/// The effects of steps, each with whether it must have reached the disk.
fn effects(before: &Image, steps: &[Step], model: Model) -> Vec<(Effect, bool)> {
    let mut names = before.names.clone();
    let mut effects: Vec<(Effect, bool)> = Vec::new();
    for (place, step) in steps.iter().enumerate() {
        match step.clone() {
            Step::Create(file, room, name) => {
                names.insert((room, name.clone()), file);
                effects.push((Effect::Link(room, name, file), false));
            }
            Step::Write(file) => effects.push((Effect::Data(file, place), false)),
            Step::Mode(file) => effects.push((Effect::Mode(file), false)),
            Step::Rename(from, old, to, new) => {
                let file = names.remove(&(from, old.clone())).unwrap();
                names.insert((to, new.clone()), file);
                if model == Model::Strict {
                    effects.push((Effect::Link(to, new, file), false));
                    effects.push((Effect::Unlink(from, old), false));
                } else {
                    effects.push((Effect::Move(from, old, to, new, file), false));
                }
            }
            Step::Unlink(room, name) => effects.push((Effect::Unlink(room, name), false)),
            Step::Sync(label) => {
                for (effect, durable) in &mut effects {
                    *durable |= syncs(label, effect, model);
                }
            }
            Step::Said(_) => {}
        }
    }
    effects
}

fn syncs(label: Label, effect: &Effect, model: Model) -> bool {
    match effect {
        Effect::Data(file, _) => label == Label::File(*file),
        _ if model == Model::Ext4 => true,
        Effect::Mode(file) => label == Label::File(*file),
        Effect::Link(room, ..) | Effect::Unlink(room, _) => label == Label::Dir(*room),
        Effect::Move(..) => false,
    }
}

/// Every image that a power cut after these steps can leave.
fn images(before: &Image, steps: &[Step], model: Model) -> Vec<Image> {
    let effects = effects(before, steps, model);
    let open: Vec<usize> = (0..effects.len())
        .filter(|&place| !effects[place].1)
        .collect();
    let mut images = Vec::new();
    for subset in 0..1_u32 << open.len() {
        let kept = |place: usize| match open.iter().position(|&other| other == place) {
            Some(bit) => subset >> bit & 1 == 1,
            None => true,
        };
        let ordered = |&place: &usize| !matches!(effects[place].0, Effect::Data(..));
        let in_order: Vec<bool> = open.iter().copied().filter(ordered).map(kept).collect();
        if model == Model::Ext4 && in_order.windows(2).any(|pair| !pair[0] && pair[1]) {
            continue;
        }
        let mut image = before.clone();
        for (place, (effect, _)) in effects.iter().enumerate() {
            if kept(place) {
                image.apply(effect);
            }
        }
        images.push(image);
    }
    images
}

/// In how many of all images, at all points, a promise is broken.
fn broken(before: &Image, steps: &[Step], promise: impl Fn(&[Step], &Image) -> bool) -> usize {
    let mut broken = 0;
    for model in [Model::Strict, Model::Ext4] {
        for end in 0..=steps.len() {
            let images = images(before, &steps[..end], model);
            broken += images
                .iter()
                .filter(|image| !promise(&steps[..end], image))
                .count();
        }
    }
    broken
}

fn said(steps: &[Step], words: &'static str) -> bool {
    steps.contains(&Step::Said(words))
}

fn without(steps: &[Step], left_out: &Step) -> Vec<Step> {
    let place = steps.iter().position(|step| step == left_out).unwrap();
    let mut steps = steps.to_vec();
    steps.remove(place);
    steps
}

/// The steps of a commit as it runs.
fn commit_steps() -> Vec<Step> {
    let scratch = Scratch::new();
    let mut spy = Spy::new(&scratch, &[]);
    assert!(commit_on(&mut spy).unwrap().durable);
    spy.steps.push(Step::Said("exit 0"));
    spy.steps
}

/// No half entry is ever seen in queue/, and after exit 0 there is a whole one.
fn keeps_what_exit_0_says(all: &[Step]) -> impl Fn(&[Step], &Image) -> bool {
    let writes: Vec<usize> = (0..all.len())
        .filter(|&at| matches!(all[at], Step::Write(_)))
        .collect();
    move |steps, image| {
        let queued = image.files_in(Room::Queue);
        let whole = |file: &usize| {
            image.modes.contains(file) && writes.iter().all(|at| image.data.contains(&(*file, *at)))
        };
        queued.iter().all(whole) && (!said(steps, "exit 0") || queued.len() == 1)
    }
}

#[test]
fn no_power_cut_loses_a_message_after_exit_0() {
    let steps = commit_steps();
    assert_eq!(
        broken(&Image::default(), &steps, keeps_what_exit_0_says(&steps)),
        0
    );
}

#[test]
fn each_sync_of_a_commit_is_needed() {
    for label in [Label::File(0), Label::Dir(Room::Queue)] {
        let steps = without(&commit_steps(), &Step::Sync(label));
        let broken = broken(&Image::default(), &steps, keeps_what_exit_0_says(&steps));
        assert!(
            broken > 0,
            "{label:?} is synced in vain, or the model is blind"
        );
    }
}

#[test]
fn the_order_of_the_syncs_is_needed() {
    let mut steps = commit_steps();
    let synced = steps
        .iter()
        .position(|step| *step == Step::Sync(Label::File(0)))
        .unwrap();
    let sync = steps.remove(synced);
    steps.insert(steps.len() - 1, sync);
    assert!(broken(&Image::default(), &steps, keeps_what_exit_0_says(&steps)) > 0);
}

/// A queue with one entry, and the steps of its delivery as the runner takes them.
fn delivery_steps() -> (Image, Vec<Step>) {
    let scratch = Scratch::new();
    let name = scratch.commit(1).to_string();
    let path = scratch.spool.rooms().path((Room::Queue, &name));
    let file = crate::sys::file::open_existing(&path, true).unwrap();
    let file = (file, Label::File(0));
    let mut spy = Spy::new(&scratch, &[]);
    record(&mut spy, &file, &[(0, b"state")]).unwrap();
    spy.steps.push(Step::Said("sent"));
    record(&mut spy, &file, &[(600, b"D"), (610, b"D")]).unwrap();
    spy.steps.push(Step::Said("moved on"));
    spy.unlink((Room::Queue, &name)).unwrap();
    let names = BTreeMap::from([((Room::Queue, name), 0)]);
    let before = Image {
        names,
        ..Image::default()
    };
    (before, spy.steps)
}

/// Nothing is sent before the attempt is recorded, nothing is gone before it is sent, and nothing
/// that was sent comes back unmarked once the runner has moved on.
fn keeps_what_was_delivered(all: &[Step]) -> impl Fn(&[Step], &Image) -> bool {
    let writes: Vec<usize> = (0..all.len())
        .filter(|&at| matches!(all[at], Step::Write(_)))
        .collect();
    let (attempt, marks) = (writes[0], writes[1..].to_vec());
    move |steps, image| {
        let there = !image.files_in(Room::Queue).is_empty();
        let written = |at: &usize| image.data.contains(&(0, *at));
        let recorded = !there || !said(steps, "sent") || written(&attempt);
        let marked = !there || !said(steps, "moved on") || marks.iter().all(written);
        recorded && marked && (there || said(steps, "sent"))
    }
}

#[test]
fn no_power_cut_sends_a_message_again_once_the_runner_has_moved_on() {
    let (before, steps) = delivery_steps();
    assert_eq!(broken(&before, &steps, keeps_what_was_delivered(&steps)), 0);
}

#[test]
fn each_sync_of_a_delivery_is_needed() {
    let (before, steps) = delivery_steps();
    let sync = Step::Sync(Label::File(0));
    let no_first = without(&steps, &sync);
    let last = steps.iter().rposition(|step| *step == sync).unwrap();
    let mut no_last = steps.clone();
    no_last.remove(last);
    for steps in [no_first, no_last] {
        assert!(broken(&before, &steps, keeps_what_was_delivered(&steps)) > 0);
    }
}

#[test]
fn what_was_put_aside_does_not_come_back() {
    let scratch = Scratch::new();
    let name = scratch.commit(1).to_string();
    let mut spy = Spy::new(&scratch, &[]);
    set_aside(&mut spy, (Room::Queue, &name), "aside").unwrap();
    spy.steps.push(Step::Said("aside"));
    let names = BTreeMap::from([((Room::Queue, name), 0)]);
    let before = Image {
        names,
        ..Image::default()
    };
    let promise = |steps: &[Step], image: &Image| {
        let aside = image.files_in(Room::Queue).is_empty() && image.files_in(Room::Failed) == [0];
        aside || !said(steps, "aside")
    };
    assert_eq!(broken(&before, &spy.steps, promise), 0);
    for room in [Room::Queue, Room::Failed] {
        let steps = without(&spy.steps, &Step::Sync(Label::Dir(room)));
        assert!(broken(&before, &steps, promise) > 0);
    }
}
