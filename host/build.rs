//! Builds the built-in components from `plugins/` and lists them for `sandbox/builtins.rs`.
//!
//! `HILLOCK_BUILTINS=DIR` takes components that were built elsewhere instead.

use std::env;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "wasm32-wasip2";
/// Each component's name, and the file that cargo makes of its crate.
const BUILTINS: [(&str, &str); 9] = [
    ("generic", "generic.wasm"),
    ("github", "github.wasm"),
    ("standard-webhooks", "standard_webhooks.wasm"),
    ("match", "match.wasm"),
    ("cel", "cel.wasm"),
    ("handlebars", "handlebars.wasm"),
    ("lifecycle", "lifecycle.wasm"),
    ("watch", "watch.wasm"),
    ("rss", "rss.wasm"),
];

fn main() {
    let root = Path::new(&variable("CARGO_MANIFEST_DIR")).join("..");
    let out = PathBuf::from(variable("OUT_DIR"));
    println!("cargo::rerun-if-env-changed=HILLOCK_BUILTINS");
    let built = match env::var_os("HILLOCK_BUILTINS") {
        Some(dir) => PathBuf::from(dir),
        None => build(&root, &out),
    };
    let mut list = String::from("pub(super) const BUILTINS: &[(&str, &[u8])] = &[\n");
    for (name, file) in BUILTINS {
        let path = built.join(file);
        println!("cargo::rerun-if-changed={}", path.display());
        if !path.is_file() {
            fail(&format!("the component `{name}` is not at {}", path.display()));
        }
        let _ = writeln!(list, "    ({name:?}, include_bytes!({path:?})),");
    }
    list.push_str("];\n");
    std::fs::write(out.join("builtins.rs"), list).expect("OUT_DIR can be written");
}

fn build(root: &Path, out: &Path) -> PathBuf {
    let plugins = root.join("plugins");
    for dir in ["plugins/Cargo.toml", "plugins/Cargo.lock", "plugins/.cargo", "wit"] {
        println!("cargo::rerun-if-changed={}", root.join(dir).display());
    }
    for (name, _) in BUILTINS.iter().chain(&[("path", ""), ("sdk", "")]) {
        println!("cargo::rerun-if-changed={}", plugins.join(name).display());
    }
    let target_dir = guest_target_dir(out);
    let status = Command::new(variable("CARGO"))
        .args(["build", "--release", "--locked", "--workspace", "--target", TARGET])
        .arg("--target-dir")
        .arg(&target_dir)
        .current_dir(&plugins)
        // What cargo says to a build script is meant for the host's target.
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .env_remove("CARGO_TARGET_DIR")
        .env_remove("CARGO_BUILD_TARGET")
        .env("RUSTFLAGS", remapped(root))
        .status();
    match status {
        Ok(status) if status.success() => target_dir.join(TARGET).join("release"),
        _ if !has_target() => fail(&format!("{TARGET} is missing: rustup target add {TARGET}")),
        _ => fail("the built-in components in plugins/ do not build; see above"),
    }
}

/// One folder for the guests of every profile, beside the host's own.
fn guest_target_dir(out: &Path) -> PathBuf {
    let target = out.ancestors().find(|dir| dir.join("CACHEDIR.TAG").is_file());
    target.unwrap_or(out).join("guests")
}

/// Panics name source files; a component tells nothing of the machine it was built on.
fn remapped(root: &Path) -> String {
    let home = env::var("CARGO_HOME")
        .or_else(|_| env::var("HOME").map(|home| format!("{home}/.cargo")))
        .unwrap_or_default();
    let root = root.canonicalize().unwrap_or_else(|_| root.to_owned());
    format!("--remap-path-prefix={home}=cargo --remap-path-prefix={}=hillock", root.display())
}

fn has_target() -> bool {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let printed =
        Command::new(rustc).args(["--print", "target-libdir", "--target", TARGET]).output();
    printed.is_ok_and(|out| Path::new(String::from_utf8_lossy(&out.stdout).trim()).is_dir())
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| fail(&format!("cargo does not set {name}")))
}

fn fail(reason: &str) -> ! {
    println!("cargo::error={reason}");
    std::process::exit(1)
}
