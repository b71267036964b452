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
