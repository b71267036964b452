//! What wit-bindgen makes of `wit/v0`, and the only place that asks it to.
//!
//! Each world has its own module and its own export macro. The macros are public, so the section
//! that describes a world's exports goes into the crate that calls the macro and not into this
//! one: a component exports the world it was written for and no other, however many are built
//! together. What worlds share is generated once, so that an event is the same type everywhere.

/// World `webhook-source`.
pub mod source {
    wit_bindgen::generate!({
        path: "../../wit/v0",
        world: "webhook-source",
        pub_export_macro: true,
        export_macro_name: "export_source",
        default_bindings_module: "::hillock_plugin_sdk::bindings::source",
    });
}

/// World `filter`.
pub mod filter {
    wit_bindgen::generate!({
        path: "../../wit/v0",
        world: "filter",
        pub_export_macro: true,
        export_macro_name: "export_filter",
        default_bindings_module: "::hillock_plugin_sdk::bindings::filter",
        with: {
            "hillock:plugin/log@0.1.0": crate::bindings::source::hillock::plugin::log,
        },
    });
}

/// World `prompt-template`.
pub mod template {
    wit_bindgen::generate!({
        path: "../../wit/v0",
        world: "prompt-template",
        pub_export_macro: true,
        export_macro_name: "export_template",
        default_bindings_module: "::hillock_plugin_sdk::bindings::template",
        with: {
            "hillock:plugin/log@0.1.0": crate::bindings::source::hillock::plugin::log,
            "hillock:plugin/envelope@0.1.0": crate::bindings::filter::hillock::plugin::envelope,
            "hillock:plugin/diagnostics@0.1.0": crate::bindings::filter::hillock::plugin::diagnostics,
        },
    });
}

/// World `hook-source`.
pub mod hook {
    wit_bindgen::generate!({
        path: "../../wit/v0",
        world: "hook-source",
        pub_export_macro: true,
        export_macro_name: "export_hook",
        default_bindings_module: "::hillock_plugin_sdk::bindings::hook",
        with: {
            "hillock:plugin/log@0.1.0": crate::bindings::source::hillock::plugin::log,
            "hillock:plugin/diagnostics@0.1.0": crate::bindings::filter::hillock::plugin::diagnostics,
        },
    });
}

/// World `observer-source`.
pub mod observer {
    wit_bindgen::generate!({
        path: "../../wit/v0",
        world: "observer-source",
        pub_export_macro: true,
        export_macro_name: "export_observer",
        default_bindings_module: "::hillock_plugin_sdk::bindings::observer",
        with: {
            "hillock:plugin/log@0.1.0": crate::bindings::source::hillock::plugin::log,
            "hillock:plugin/diagnostics@0.1.0": crate::bindings::filter::hillock::plugin::diagnostics,
            "hillock:plugin/activations@0.1.0": crate::bindings::hook::hillock::plugin::activations,
        },
    });
}

/// World `extension-source`.
pub mod extension {
    wit_bindgen::generate!({
        path: "../../wit/v0",
        world: "extension-source",
        pub_export_macro: true,
        export_macro_name: "export_extension",
        default_bindings_module: "::hillock_plugin_sdk::bindings::extension",
        with: {
            "hillock:plugin/log@0.1.0": crate::bindings::source::hillock::plugin::log,
            "hillock:plugin/diagnostics@0.1.0": crate::bindings::filter::hillock::plugin::diagnostics,
            "hillock:plugin/activations@0.1.0": crate::bindings::hook::hillock::plugin::activations,
            "hillock:plugin/state@0.1.0": crate::bindings::observer::hillock::plugin::state,
        },
    });
}

/// World `pre-fire-hook`.
pub mod pre_fire {
    wit_bindgen::generate!({
        path: "../../wit/v0",
        world: "pre-fire-hook",
        pub_export_macro: true,
        export_macro_name: "export_pre_fire",
        default_bindings_module: "::hillock_plugin_sdk::bindings::pre_fire",
        with: {
            "hillock:plugin/log@0.1.0": crate::bindings::source::hillock::plugin::log,
            "hillock:plugin/diagnostics@0.1.0": crate::bindings::filter::hillock::plugin::diagnostics,
        },
    });
}
