//! Where the octets of a body are: in memory, or, while they are many, in another place.
//!
//! That place is brought by whoever reads the message. Whatever is wrong with it, the body comes whole:
//! it goes on in memory, and the reason is kept for the log.

use crate::outcome::{Class, Failure, Stage};
use std::fmt;
use std::ops::Deref;
use std::rc::Rc;

/// Most octets of a body in memory, if there is another place.
pub const IN_MEMORY_MAX: usize = 1024 * 1024;

/// Another place than memory.
pub trait Annex {
    /// Takes these octets behind the others; on an error none of them count.
    fn append(&mut self, octets: &[u8]) -> Result<(), Failure>;

    /// Copies everything back into memory.
    fn read_back(&self) -> Result<Vec<u8>, Failure>;

    /// Everything, where it is.
    fn octets(&self) -> Result<Rc<dyn AsRef<[u8]>>, Failure>;
}

/// Opens an annex when the first large body comes.
pub type OpenAnnex<'a> = &'a mut dyn FnMut() -> Result<Box<dyn Annex>, Failure>;

/// The octets of a body, wherever they are.
#[derive(Clone)]
pub struct Body(Place);

#[derive(Clone)]
enum Place {
    Memory(Vec<u8>),
    Annex(Rc<dyn AsRef<[u8]>>),
}

impl Deref for Body {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Place::Memory(octets) => octets,
            Place::Annex(octets) => (**octets).as_ref(),
        }
    }
}

impl From<Vec<u8>> for Body {
    fn from(octets: Vec<u8>) -> Body {
        Body(Place::Memory(octets))
    }
}

impl Default for Body {
    fn default() -> Body {
        Vec::new().into()
    }
}

impl AsRef<[u8]> for Body {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl<T: AsRef<[u8]> + ?Sized> PartialEq<T> for Body {
    fn eq(&self, other: &T) -> bool {
        **self == *other.as_ref()
    }
}

/// The size only: a body is nobody's business.
impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} octets", self.len())
    }
}

/// A body on its way in.
pub(super) struct Gathering<'a> {
    memory: Vec<u8>,
    annex: Option<Box<dyn Annex>>,
    open: Option<OpenAnnex<'a>>,
    /// Why the annex is of no use.
    shut: Option<Failure>,
    /// What was in the annex is lost.
    lost: bool,
}

impl<'a> Gathering<'a> {
    pub(super) fn new(open: Option<OpenAnnex<'a>>) -> Gathering<'a> {
        Gathering {
            memory: Vec::new(),
            annex: None,
            open,
            shut: None,
            lost: false,
        }
    }

    pub(super) fn push(&mut self, octets: &[u8]) {
        self.memory.extend_from_slice(octets);
        if self.memory.len() > IN_MEMORY_MAX {
            self.move_out();
        }
    }

    #[cfg(test)]
    pub(super) fn in_memory(&self) -> usize {
        self.memory.len()
    }

    /// Forgets everything; it is too much.
    pub(super) fn discard(&mut self) {
        (self.memory, self.annex, self.open) = (Vec::new(), None, None);
    }

    /// The whole body, and why it is in memory though it is large.
    pub(super) fn finish(mut self) -> Result<(Body, Option<Failure>), Failure> {
        if self.annex.is_some() && !self.memory.is_empty() {
            self.move_out();
        }
        if let Some(annex) = &self.annex {
            match annex.octets() {
                Ok(octets) => return Ok((Body(Place::Annex(octets)), None)),
                Err(failure) => self.give_up(failure),
            }
        }
        match (self.lost, self.shut) {
            (true, shut) => Err(lost(shut)),
            (false, shut) => Ok((self.memory.into(), shut)),
        }
    }

    fn move_out(&mut self) {
        if let Some(open) = self.open.take() {
            match open() {
                Ok(annex) => self.annex = Some(annex),
                Err(failure) => self.shut = Some(failure),
            }
        }
        let Some(annex) = &mut self.annex else {
            return;
        };
        match annex.append(&self.memory) {
            Ok(()) => self.memory.clear(),
            Err(failure) => self.give_up(failure),
        }
    }

    fn give_up(&mut self, failure: Failure) {
        let Some(annex) = self.annex.take() else {
            return;
        };
        match annex.read_back() {
            Ok(mut octets) => {
                octets.append(&mut self.memory);
                self.memory = octets;
            }
            Err(_) => self.lost = true,
        }
        self.shut = Some(failure);
    }
}

fn lost(shut: Option<Failure>) -> Failure {
    let failure = Failure::new(Class::Io, "the message cannot be kept while it is read")
        .at(Stage::Stdin)
        .fix("nothing was sent; send it again once the disk of the queue works");
    match shut.as_ref().and_then(Failure::why) {
        Some(why) => failure.because(why),
        None => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::{Cell, RefCell};

    type Gathered = Result<(Body, Option<Failure>), Failure>;

    /// An annex that fails from a moment on.
    struct Shed {
        octets: RefCell<Vec<u8>>,
        appends_left: Cell<usize>,
        reads: bool,
        maps: bool,
    }

    impl Annex for Shed {
        fn append(&mut self, octets: &[u8]) -> Result<(), Failure> {
            if self
                .appends_left
                .replace(self.appends_left.get().saturating_sub(1))
                == 0
            {
                return Err(Failure::defer("full"));
            }
            self.octets.get_mut().extend_from_slice(octets);
            Ok(())
        }

        fn read_back(&self) -> Result<Vec<u8>, Failure> {
            match self.reads {
                true => Ok(self.octets.borrow().clone()),
                false => Err(Failure::defer("broken")),
            }
        }

        fn octets(&self) -> Result<Rc<dyn AsRef<[u8]>>, Failure> {
            match self.maps {
                true => Ok(Rc::new(self.octets.borrow().clone())),
                false => Err(Failure::defer("no memory")),
            }
        }
    }

    fn shed(appends: usize, reads: bool, maps: bool) -> Box<dyn Annex> {
        Box::new(Shed {
            octets: RefCell::default(),
            appends_left: Cell::new(appends),
            reads,
            maps,
        })
    }

    /// Three and a half times what memory holds, in odd pieces.
    fn gather(open: OpenAnnex<'_>) -> (Vec<u8>, Gathered) {
        let whole: Vec<u8> = (0..IN_MEMORY_MAX * 7 / 2)
            .map(|at| (at % 251) as u8)
            .collect();
        let mut gathering = Gathering::new(Some(open));
        for piece in whole.chunks(40_009) {
            gathering.push(piece);
        }
        (whole, gathering.finish())
    }

    #[test]
    fn a_large_body_is_kept_elsewhere_and_a_small_one_is_not() {
        let (whole, gathered) = gather(&mut || Ok(shed(usize::MAX, true, true)));
        let (body, shut) = gathered.unwrap();
        assert!(*body == *whole && shut.is_none());
        assert!(matches!(body.0, Place::Annex(_)));
        let mut never = || panic!("an annex for a small body");
        let mut gathering = Gathering::new(Some(&mut never));
        gathering.push(&whole[..IN_MEMORY_MAX]);
        let (body, shut) = gathering.finish().unwrap();
        assert!(*body == whole[..IN_MEMORY_MAX] && shut.is_none());
    }

    #[test]
    fn whatever_is_wrong_with_the_annex_the_body_comes_whole() {
        for (appends, maps) in [(0, true), (1, true), (2, true), (3, true), (9, false)] {
            let (whole, gathered) = gather(&mut || Ok(shed(appends, true, maps)));
            let (body, shut) = gathered.unwrap();
            assert!(*body == *whole && shut.is_some(), "{appends}");
        }
        let (whole, gathered) = gather(&mut || Err(Failure::defer("missing")));
        let (body, shut) = gathered.unwrap();
        assert!(*body == *whole);
        assert_eq!(shut.unwrap().what(), "missing");
    }

    #[test]
    fn what_cannot_be_read_back_is_a_failure_and_never_half_a_body() {
        for appends in 0..4 {
            let (_, gathered) = gather(&mut || Ok(shed(appends, false, true)));
            assert_eq!(gathered.unwrap_err().class(), Class::Io, "{appends}");
        }
    }

    #[test]
    fn no_text_shows_a_body() {
        assert_eq!(format!("{:?}", Body::from(b"secret".to_vec())), "6 octets");
    }
}
