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

pub(super) use filter::exports::hillock::plugin::filter_rules;
pub(super) use filter::hillock::plugin::{diagnostics, envelope};
pub(super) use filter::{Filter, FilterPre};
pub(super) use source::exports::hillock::plugin::source as source_world;
pub(super) use source::hillock::plugin::{log, request, verify};
pub(super) use source::{WebhookSource, WebhookSourcePre};
pub(super) use template::exports::hillock::plugin::template as template_world;
pub(super) use template::{PromptTemplate, PromptTemplatePre};
