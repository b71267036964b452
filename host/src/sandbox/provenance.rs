//! Whose words a prompt holds: what its template says, and what it read when it says nothing.
//!
//! A template's word is taken: what it does with what it has read cannot be seen from outside. One
//! that says nothing is taken for the worst that it could have done.

use wasmtime::component::{HasSelf, Linker};

use super::bindings::provenance;
use super::guest::Guest;
use crate::model::content::Content;
use crate::model::envelope::Envelope;

pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    provenance::add_to_linker::<_, HasSelf<_>>(linker, |guest| guest)
}

/// What is known of the prompt of the call that is under way.
#[derive(Debug, Default)]
pub(super) struct Provenance {
    declared: Option<Content>,
    read_data: bool,
}

impl Provenance {
    /// The guest asks for what stands at a path.
    pub(super) fn reads(&mut self, path: &str) {
        self.read_data |= Envelope::is_senders(path);
    }

    /// The guest asks for the whole event.
    pub(super) fn reads_all(&mut self) {
        self.read_data = true;
    }

    fn declares(&mut self, content: Content) {
        self.declared = self.declared.max(Some(content));
    }

    /// What the prompt holds.
    pub(super) fn content(&self) -> Content {
        match (self.declared, self.read_data) {
            (Some(content), _) => content,
            (None, true) => Content::Unfenced,
            (None, false) => Content::Trusted,
        }
    }
}

impl provenance::Host for Guest {
    fn declare(&mut self, content: provenance::Content) -> wasmtime::Result<()> {
        self.meter.host_call()?;
        self.provenance.declares(match content {
            provenance::Content::Trusted => Content::Trusted,
            provenance::Content::Fenced => Content::Fenced,
            provenance::Content::Unfenced => Content::Unfenced,
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Limits;
    use crate::sandbox::guest_clock::GuestClock;

    /// An instance is used for several calls.
    #[test]
    fn a_call_begins_with_nothing_read() {
        let mut guest = Guest::new("t".parse().unwrap(), Limits::default());
        guest.provenance.reads_all();
        guest.begin(GuestClock::of_a_check());
        assert_eq!(guest.provenance.content(), Content::Trusted);
    }

    #[test]
    fn what_is_declared_counts_the_worst_first() {
        use Content::{Fenced, Trusted, Unfenced};
        for (paths, declared, content) in [
            (&[][..], &[][..], Trusted),
            (&["kind", "origin.digest", "dat", "database.x", ""], &[], Trusted),
            (&["data"], &[], Unfenced),
            (&["kind", "data.nothing"], &[], Unfenced),
            (&["data.x"], &[Trusted], Trusted),
            (&["data.x"], &[Fenced], Fenced),
            (&["data.x"], &[Fenced, Unfenced, Trusted], Unfenced),
            (&[], &[Unfenced], Unfenced),
        ] {
            let mut provenance = Provenance::default();
            paths.iter().for_each(|path| provenance.reads(path));
            declared.iter().for_each(|content| provenance.declares(*content));
            assert_eq!(provenance.content(), content, "{paths:?} {declared:?}");
        }
        let mut all = Provenance::default();
        all.reads_all();
        assert_eq!(all.content(), Unfenced);
    }
}
