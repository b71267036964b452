//! One instance's state on the host's side.

use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

use super::complaint::Complaint;
use super::extension::Outside;
use super::guest_clock::{GuestClock, Present};
use super::limits::Meter;
use super::provenance::Provenance;
use super::signal::GuestState;
use crate::config::Limits;
use crate::model::name::Name;

/// What a store holds beside the guest's own memory.
pub(super) struct Guest {
    pub(super) component: Name,
    pub(super) meter: Meter,
    pub(super) table: ResourceTable,
    /// What an observer or an extension remembers.
    pub(super) notebook: GuestState,
    /// An extension's way to the outside, during a poll.
    pub(super) outside: Option<Outside>,
    pub(super) provenance: Provenance,
    /// What it writes to its standard error during a call.
    pub(super) complaint: Complaint,
    present: Present,
    wasi: WasiCtx,
}

impl Guest {
    pub(super) fn new(component: Name, limits: Limits) -> Self {
        let present = Present::new(GuestClock::of_a_check());
        let complaint = Complaint::default();
        Self {
            component,
            meter: Meter::new(limits),
            table: ResourceTable::new(),
            notebook: GuestState::default(),
            outside: None,
            provenance: Provenance::default(),
            wasi: empty_wasi(&present, &complaint),
            complaint,
            present,
        }
    }

    /// A call begins.
    pub(super) fn begin(&mut self, clock: GuestClock) {
        self.meter.reset();
        self.provenance = Provenance::default();
        self.complaint.clear();
        self.present.set(clock);
    }
}

/// A WASI without files, arguments, environment and network, and of streams with a standard error
/// alone. A guest may ask for anything that `wasm32-wasip2` can; there is nothing to be had.
fn empty_wasi(present: &Present, complaint: &Complaint) -> WasiCtx {
    WasiCtxBuilder::new()
        .stderr(complaint.clone())
        .wall_clock(present.clone())
        .monotonic_clock(present.clone())
        .secure_random(present.clone())
        .insecure_random(present.clone())
        // Asked for once in an instance's life, which may be longer than an event's.
        .insecure_random_seed(0)
        .allow_tcp(false)
        .allow_udp(false)
        .allow_ip_name_lookup(false)
        .build()
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}
