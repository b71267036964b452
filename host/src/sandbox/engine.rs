//! The wasmtime engine: one per host, with fuel and epochs.
//!
//! Its instances have places that were reserved at the start, which makes them quick to be had and
//! takes terabytes of addresses. Where those are short (`RLIMIT_AS`, kernels with 39 bits of them,
//! gVisor), each is made when it is asked for, with as few addresses as it can do with.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::Linker;
use wasmtime::{Config, InstanceAllocationStrategy, PoolingAllocationConfig, Store};

use super::error::LoadError;
use super::guest::Guest;
use super::limits::{CORE_INSTANCES_MAX, MEMORIES_MAX, TABLE_ELEMENTS_MAX};
use super::pool::IDLE_MAX;
use super::registry::Kind;
use super::{CALLS_MAX, WAITING_CALLS_MAX, imports};
use crate::config::Limits;

/// How often a computing guest lets others have the thread.
const EPOCH: Duration = Duration::from_millis(10);
/// How deep a guest's calls may go, in bytes of stack.
const STACK_BYTES_MAX: usize = 512 * 1024;
/// A guest's stack and what the host's functions need on top of it.
const FIBER_BYTES: usize = 2 * 1024 * 1024;
/// How far a memory may grow in its place where addresses are short, in bytes.
const GROWTH_BYTES: u64 = 1024 * 1024;
/// What lies around a memory there, in bytes.
const GUARD_BYTES: u64 = 64 * 1024;

pub(super) struct Engine {
    engine: wasmtime::Engine,
    limits: Limits,
    linkers: HashMap<Kind, Linker<Guest>>,
    // Ends the ticking thread when the engine goes.
    _alive: Arc<()>,
}

impl Engine {
    pub(super) fn new(limits: Limits) -> Result<Self, LoadError> {
        let engine = pooled(limits).or_else(|error| {
            let short = wasmtime::Engine::new(&on_demand()).map_err(LoadError::Engine)?;
            let reason = format!("{error:#}");
            tracing::warn!(
                reason,
                "not enough address space for pooled component memory; allocating on demand"
            );
            Ok(short)
        })?;
        let linked = |kind| Ok((kind, imports::linker(&engine, kind)?));
        let linkers: wasmtime::Result<_> = Kind::ALL.into_iter().map(linked).collect();
        let linkers = linkers.map_err(LoadError::Engine)?;
        let alive = Arc::new(());
        tick(engine.clone(), Arc::downgrade(&alive));
        Ok(Self { engine, limits, linkers, _alive: alive })
    }

    pub(super) fn wasmtime(&self) -> &wasmtime::Engine {
        &self.engine
    }

    pub(super) fn limits(&self) -> Limits {
        self.limits
    }

    /// What components of this kind may import.
    pub(super) fn linker(&self, kind: Kind) -> &Linker<Guest> {
        &self.linkers[&kind]
    }

    /// A number that differs for engines that cannot share compiled components.
    pub(super) fn compatibility(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.engine.precompile_compatibility_hash().hash(&mut hasher);
        hasher.finish()
    }

    /// A store for one instance, with every limit set.
    pub(super) fn store(&self, guest: Guest) -> Store<Guest> {
        let mut store = Store::new(&self.engine, guest);
        store.limiter(|guest| &mut guest.meter);
        store.set_hostcall_fuel(self.limits.output_bytes);
        store.epoch_deadline_async_yield_and_update(1);
        store.set_epoch_deadline(1);
        // Instantiation runs the guest's code, too; `refuel` may only be used before a call.
        let _ = store.set_fuel(self.limits.fuel);
        store
    }

    /// Fills up the fuel before a call.
    pub(super) fn refuel(&self, store: &mut Store<Guest>) -> wasmtime::Result<()> {
        store.set_epoch_deadline(1);
        store.set_fuel(self.limits.fuel)
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("limits", &self.limits).finish_non_exhaustive()
    }
}

fn pooled(limits: Limits) -> wasmtime::Result<wasmtime::Engine> {
    let mut config = config();
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pooling(limits)));
    wasmtime::Engine::new(&config)
}

/// Code that checks the bounds itself instead of having four gigabytes around each memory.
fn on_demand() -> Config {
    let mut config = config();
    config
        .allocation_strategy(InstanceAllocationStrategy::OnDemand)
        .memory_reservation(0)
        .memory_reservation_for_growth(GROWTH_BYTES)
        .memory_guard_size(GUARD_BYTES)
        .guard_before_linear_memory(false);
    config
}

fn config() -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .consume_fuel(true)
        .epoch_interruption(true)
        .max_wasm_stack(STACK_BYTES_MAX)
        .async_stack_size(FIBER_BYTES);
    config
}

fn pooling(limits: Limits) -> PoolingAllocationConfig {
    // A pool of idle instances for each kind beside the calls that are under way.
    let idle = Kind::ALL.len() * IDLE_MAX;
    let instances = u32::try_from(CALLS_MAX + WAITING_CALLS_MAX + idle).unwrap_or(u32::MAX);
    let mut pooling = PoolingAllocationConfig::new();
    pooling
        .total_component_instances(instances)
        .total_core_instances(instances * 8)
        .total_memories(instances * 2)
        .total_tables(instances * 8)
        .total_stacks(instances)
        .max_core_instances_per_component(CORE_INSTANCES_MAX)
        .max_memories_per_component(MEMORIES_MAX)
        .max_tables_per_component(CORE_INSTANCES_MAX)
        .max_memory_size(limits.memory_bytes)
        .table_elements(TABLE_ELEMENTS_MAX)
        // Giving memory back is most of a fresh instance's cost: do it for several at once.
        .decommit_batch_size(16);
    pooling
}

/// Advances the epoch until the engine is gone.
fn tick(engine: wasmtime::Engine, alive: std::sync::Weak<()>) {
    std::thread::spawn(move || {
        while alive.strong_count() > 0 {
            std::thread::sleep(EPOCH);
            engine.increment_epoch();
        }
    });
}
