//! Deliveries: the branches of specs are merged into a base, then the base moves forward to the result, together with
//! the user's checkout that is on the base.
//!
//! All functions block. Git itself is run by `git`.
//!
//! The files, the most basic first. A file may use only files that are listed before it:
//!
//! | file | what it is for |
//! | --- | --- |
//! | `index_file` | the file format of git's index |
//! | `checkout_state` | says why a delivery must not change a checkout, and which of its files have changes |
//! | `outcome` | the result of a step of a delivery |
//! | `journal` | what a delivery is about to change in a checkout, on the disk |
//! | `moves` | makes and undoes these changes |
//! | `plan` | plans how a checkout's files change from one commit to another |
//! | `recovery` | completes or undoes a delivery that was interrupted |
//! | `checkout_update` | moves a checkout together with its branch, or changes nothing |
//! | `deliver` | merges branches of specs into the commit of a base, and moves the base forward to the result |
//!
//! Invariants, besides those of `git`:
//! - [`fast_forward_base`] moves one of the user's branches, and the checkout that is on this branch. Nothing
//!   else of the user's is changed.
//! - A checkout and its branch are changed only under the repository's lock, and only after the journal is on
//!   the disk.
//! - A delivery may be killed at any point: then `recovery` completes or undoes it, and what the user changed
//!   meanwhile stays. While neither is possible, no other delivery into that checkout begins.

mod checkout_state;
mod checkout_update;
mod deliver;
mod index_file;
mod journal;
mod moves;
mod outcome;
mod plan;
mod recovery;
#[cfg(test)]
mod tests;

pub(crate) use self::deliver::{
    Candidate, Merged, base_contains, build_batch, fast_forward_base, lay_batch, merge_into_files, remove_lander,
};
pub(crate) use self::outcome::{DeliveryError, FastForward};
pub(crate) use self::recovery::{
    Recovered, Unfinished, interrupted_deliveries, recover_deliveries, settle_own_delivery,
};
