//! What observers and extensions remember.

use wasmtime::component::{HasSelf, Linker};

use super::Result;
use crate::sandbox::bindings::state;
use crate::sandbox::guest::Guest;

pub(super) fn link(linker: &mut Linker<Guest>) -> Result<()> {
    state::add_to_linker::<_, HasSelf<_>>(linker, |guest| guest)
}

impl state::Host for Guest {
    fn get(&mut self, key: String) -> Result<Option<String>> {
        self.meter.host_call()?;
        Ok(self.notebook.get(&key))
    }

    fn set(&mut self, key: String, value: String) -> Result<()> {
        self.meter.host_call()?;
        Ok(self.notebook.set(key, value)?)
    }

    fn remove(&mut self, key: String) -> Result<()> {
        self.meter.host_call()?;
        self.notebook.remove(&key);
        Ok(())
    }
}
