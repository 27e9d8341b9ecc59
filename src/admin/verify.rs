//! `-bv`: what becomes of addresses, without a message.

use crate::cli::Submission;
use crate::mail::address::{Address, Fault};
use crate::mail::aliases::Unresolved;
use crate::mail::envelope::Recipients;
use crate::mail::recipients::{self, Collected};
use crate::outcome::{Class, Failure, Outcome, Stage, printable};
use crate::submit::{Desk, LocalNames};
use crate::sys::stdio;
use std::fmt::Display;
use std::os::unix::ffi::OsStrExt;

/// Prints a line for each recipient that an address leads to; fails if one leads nowhere.
pub fn verify(wishes: &Submission, desk: &Desk<'_>) -> Result<Outcome, Failure> {
    let names = LocalNames::read(wishes.no_aliases, desk)?;
    let mut judged = Judged::default();
    for word in &wishes.recipients {
        let argument = [word.as_bytes().to_vec()];
        let Collected { addresses, faults } = recipients::from_arguments(&argument);
        let is_list = addresses.len() > 1 || !faults.is_empty();
        for fault in faults {
            tell(fault.element(), "undeliverable", fault.reason());
            judged.faults.push(fault);
        }
        for address in addresses {
            let given = match is_list {
                true => address.to_string().into_bytes(),
                false => word.as_bytes().trim_ascii().to_vec(),
            };
            judged.follow(&given, address, &names);
        }
    }
    judged.outcome()
}

#[derive(Default)]
struct Judged {
    deliverable: usize,
    faults: Vec<Fault>,
    unresolved: Vec<Unresolved>,
}

impl Judged {
    fn follow(&mut self, given: &[u8], address: Address, names: &LocalNames<'_>) {
        let resolved = names.resolve(vec![address]);
        let found = Recipients::new(resolved.addresses, names.ours());
        for recipient in found.iter().flatten() {
            match recipient.wire() {
                Ok(_) => {
                    tell(given, "deliverable", recipient);
                    self.deliverable += 1;
                }
                Err(fault) => {
                    tell(given, "undeliverable", &fault);
                    self.faults.push(fault);
                }
            }
        }
        for fault in resolved.faults.into_iter().chain(resolved.passed_over) {
            tell(given, "undeliverable", &fault);
            self.unresolved.push(fault);
        }
    }

    fn outcome(self) -> Result<Outcome, Failure> {
        match recipients::refusal(&self.faults, &self.unresolved, Stage::Argv) {
            Some(failure) => Err(failure.as_class(Class::NoUser)),
            None if self.deliverable == 0 => Err(Failure::new(Class::Usage, "no address")
                .because("the words hold none")
                .fix("name the addresses to look at: `sendmail -bv root`")
                .at(Stage::Argv)),
            None => Ok(Outcome::Done),
        }
    }
}

fn tell(given: &[u8], verdict: &str, result: impl Display) {
    let result = printable(result.to_string().as_bytes());
    stdio::say(&format!("{}... {verdict}: {result}\n", printable(given)));
}
