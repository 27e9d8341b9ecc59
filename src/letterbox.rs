//! The socket by which a process without rights of its own hands a message to one that has them.
//!
//! ```text
//! sender     SM365 1 NARGS NBYTES\n                 so many words, in so many octets
//!            word NUL word NUL ... word             what was typed, the name of the program first
//!            LENGTH octets ... LENGTH octets 0      the message in pieces of at most 64 KiB; a length
//!                                                   is four octets, the highest first
//! attendant  exit N\n                               the status that the sender ends with
//!            text to the end                        what it says on standard error
//! ```
//!
//! Who the sender is, the kernel tells. A message without its last length was cut off and counts for
//! nothing: a sender that is killed never leaves half a message.

mod pieces;
mod reply;
mod request;
mod sender;

pub use pieces::Pieces;
pub use reply::Reply;
pub use request::{Fault, Request};
pub use sender::{Unheard, hand_over, is_there};

/// Where the socket is.
pub const PATH: &str = "/run/sendmail365/submit";

/// Most octets of the words; the kernel's own limit for a command line is near it.
const WORDS_SIZE_MAX: usize = 2 * 1024 * 1024;

/// Most words.
const WORDS_MAX: usize = 20_000;

/// Most octets of a piece.
const PIECE_MAX: usize = 64 * 1024;
