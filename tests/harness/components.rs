//! The hostile components of `tests/guests`, built once.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

const TARGET: &str = "wasm32-wasip2";

/// The folder of the built components.
pub(crate) fn folder() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(build)
}

/// `[[plugins]]` of `hillock.toml` for all of them.
pub(crate) fn plugins() -> String {
    let plugin = |name: &str| {
        let file = folder().join(name.replace('-', "_")).with_extension("wasm");
        format!("[[plugins]]\nname = {name:?}\npath = {file:?}\nversion = \"0.1.0\"\n\n")
    };
    ["hostile-filter", "hostile-source", "hostile-template"].map(plugin).concat()
}

/// The same folder as `tests/run` builds into, so that there is nothing left to do after it.
fn build() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let built = root.join("target/test-guests");
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--release", "--locked", "--workspace", "--target", TARGET])
        .arg("--target-dir")
        .arg(&built)
        .current_dir(root.join("tests/guests"))
        .status()
        .unwrap();
    assert!(status.success(), "tests/guests does not build: rustup target add {TARGET}?");
    built.join(TARGET).join("release")
}
