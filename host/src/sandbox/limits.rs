//! The limits of one call, counted where the guest spends.

use wasmtime::ResourceLimiter;

use super::error::Limit;
use crate::config::Limits;
use crate::model::text::shortened;

/// What components of other languages need: Python's has 38 core instances and as many tables.
pub(super) const CORE_INSTANCES_MAX: u32 = 60;
pub(super) const MEMORIES_MAX: u32 = 4;
/// The most elements a table may have.
pub(super) const TABLE_ELEMENTS_MAX: usize = 20_000;

/// A limit as an error that ends the guest.
#[derive(Debug, thiserror::Error)]
#[error("exceeded its {0}")]
pub(super) struct Exceeded(pub(super) Limit);

/// What one call has used so far, and what it may.
#[derive(Debug)]
pub(super) struct Meter {
    pub(super) limits: Limits,
    log_lines: u32,
    log_bytes: usize,
    host_calls: u32,
    /// Linear memory in use by the instance, in bytes.
    pub(super) memory_bytes: usize,
}

impl Meter {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, log_lines: 0, log_bytes: 0, host_calls: 0, memory_bytes: 0 }
    }

    /// A new call begins in the same instance: its memory stays.
    pub(super) fn reset(&mut self) {
        *self = Self { memory_bytes: self.memory_bytes, ..Self::new(self.limits) };
    }

    /// Counts a call into the host.
    pub(super) fn host_call(&mut self) -> Result<(), Exceeded> {
        self.host_calls += 1;
        if self.host_calls > self.limits.host_calls {
            return Err(Exceeded(Limit::HostCalls(self.limits.host_calls)));
        }
        Ok(())
    }

    /// Counts a line for the log, and gives as much of it as a line may show.
    pub(super) fn log_line(&mut self, message: &str) -> Result<String, Exceeded> {
        const LINE_BYTES_MAX: usize = 4096;
        self.log_lines += 1;
        self.log_bytes = self.log_bytes.saturating_add(message.len());
        let Limits { log_lines, log_bytes, .. } = self.limits;
        if self.log_lines > log_lines || self.log_bytes > log_bytes {
            return Err(Exceeded(Limit::Log { lines: log_lines, bytes: log_bytes }));
        }
        Ok(shortened(message, LINE_BYTES_MAX))
    }
}

// Of instances, tables and memories the pooling allocator has no more than that; where there is
// none, this is all that bounds them.
impl ResourceLimiter for Meter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let grown = self.memory_bytes.saturating_sub(current).saturating_add(desired);
        if grown > self.limits.memory_bytes {
            return Err(Exceeded(Limit::Memory(self.limits.memory_bytes)).into());
        }
        self.memory_bytes = grown;
        Ok(true)
    }

    fn instances(&self) -> usize {
        CORE_INSTANCES_MAX as usize
    }

    fn tables(&self) -> usize {
        CORE_INSTANCES_MAX as usize
    }

    fn memories(&self) -> usize {
        MEMORIES_MAX as usize
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if desired > TABLE_ELEMENTS_MAX {
            return Err(Exceeded(Limit::Table(TABLE_ELEMENTS_MAX)).into());
        }
        Ok(true)
    }
}
