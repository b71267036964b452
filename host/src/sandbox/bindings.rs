//! The worlds of `wit/v0`, generated. Interfaces that several worlds use are generated once.

mod source {
    wasmtime::component::bindgen!({
        path: "../wit/v0",
        world: "webhook-source",
        imports: { default: trappable },
        exports: { default: async },
        with: { "hillock:plugin/request.incoming": crate::sandbox::imports::Incoming },
    });
}

mod filter {
    wasmtime::component::bindgen!({
        path: "../wit/v0",
        world: "filter",
        imports: { default: trappable },
        exports: { default: async },
        with: {
            "hillock:plugin/log": super::source::hillock::plugin::log,
            "hillock:plugin/envelope.event": crate::model::envelope::Envelope,
        },
    });
}

mod template {
    wasmtime::component::bindgen!({
        path: "../wit/v0",
        world: "prompt-template",
        imports: { default: trappable },
        exports: { default: async },
        with: {
            "hillock:plugin/log": super::source::hillock::plugin::log,
            "hillock:plugin/envelope": super::filter::hillock::plugin::envelope,
            "hillock:plugin/diagnostics": super::filter::hillock::plugin::diagnostics,
        },
    });
}

mod hook {
    wasmtime::component::bindgen!({
        path: "../wit/v0",
        world: "hook-source",
        imports: { default: trappable },
        exports: { default: async },
        with: {
            "hillock:plugin/log": super::source::hillock::plugin::log,
            "hillock:plugin/diagnostics": super::filter::hillock::plugin::diagnostics,
        },
    });
}

mod observer {
    wasmtime::component::bindgen!({
        path: "../wit/v0",
        world: "observer-source",
        imports: { default: trappable },
        exports: { default: async },
        with: {
            "hillock:plugin/log": super::source::hillock::plugin::log,
            "hillock:plugin/diagnostics": super::filter::hillock::plugin::diagnostics,
            "hillock:plugin/activations": super::hook::hillock::plugin::activations,
        },
    });
}

mod extension {
    wasmtime::component::bindgen!({
        path: "../wit/v0",
        world: "extension-source",
        imports: { "hillock:plugin/http.fetch": async | trappable, default: trappable },
        exports: { default: async },
        with: {
            "hillock:plugin/log": super::source::hillock::plugin::log,
            "hillock:plugin/diagnostics": super::filter::hillock::plugin::diagnostics,
            "hillock:plugin/activations": super::hook::hillock::plugin::activations,
            "hillock:plugin/state": super::observer::hillock::plugin::state,
        },
    });
}

mod pre_fire {
    wasmtime::component::bindgen!({
        path: "../wit/v0",
        world: "pre-fire-hook",
        imports: { default: trappable },
        exports: { default: async },
        with: {
            "hillock:plugin/log": super::source::hillock::plugin::log,
            "hillock:plugin/diagnostics": super::filter::hillock::plugin::diagnostics,
        },
    });
}

pub(super) use extension::exports::hillock::plugin::extension as extension_world;
pub(super) use extension::hillock::plugin::{clock, http};
pub(super) use extension::{ExtensionSource, ExtensionSourcePre};
pub(super) use filter::exports::hillock::plugin::filter_rules;
pub(super) use filter::hillock::plugin::{diagnostics, envelope};
pub(super) use filter::{Filter, FilterPre};
pub(super) use hook::exports::hillock::plugin::hook as hook_world;
pub(super) use hook::hillock::plugin::activations;
pub(super) use hook::{HookSource, HookSourcePre};
pub(super) use observer::exports::hillock::plugin::observer as observer_world;
pub(super) use observer::hillock::plugin::state;
pub(super) use observer::{ObserverSource, ObserverSourcePre};
pub(super) use pre_fire::exports::hillock::plugin::pre_fire as pre_fire_world;
pub(super) use pre_fire::{PreFireHook, PreFireHookPre};
pub(super) use source::exports::hillock::plugin::source as source_world;
pub(super) use source::hillock::plugin::{log, request, verify};
pub(super) use source::{WebhookSource, WebhookSourcePre};
pub(super) use template::exports::hillock::plugin::template as template_world;
pub(super) use template::hillock::plugin::provenance;
pub(super) use template::{PromptTemplate, PromptTemplatePre};
