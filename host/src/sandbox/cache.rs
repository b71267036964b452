//! Compiled components, kept so that a start does not compile them again.
//!
//! A compiled component is machine code: loading one means trusting it as this program is trusted.
//! wasmtime checks that it was made by the same version with the same settings, not who made it. So
//! files are loaded only from a folder below the data folder that nobody but this user can write,
//! under a name made of the component's digest and the engine's settings, where only [`Cache::load`]
//! has put them.
#![expect(
    unsafe_code,
    reason = "loading our own machine code; the module's header is the argument"
)]

use std::cell::Cell;
use std::fs::{self, DirBuilder, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use wasmtime::component::Component;

use super::engine::Engine;
use super::error::LoadError;
use crate::model::name::Name;

/// What tells of compiling: also where a program is asked to be quiet (see `telemetry`).
const COMPILING: &str = "hillock::compiling";
/// How long compiling may take, altogether, before that is said.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) struct Cache {
    dir: PathBuf,
    compatibility: u64,
    /// How long compiling has taken so far.
    compiled: Cell<Duration>,
}

impl Cache {
    /// Makes the folder if need be.
    pub(super) fn open(dir: &Path, engine: &Engine) -> Result<Self, LoadError> {
        let unusable = |reason: String| LoadError::Cache { path: dir.to_owned(), reason };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(|error| unusable(error.to_string()))?;
        let metadata = fs::metadata(dir).map_err(|error| unusable(error.to_string()))?;
        if metadata.uid() != nix::unistd::geteuid().as_raw() {
            return Err(unusable("it belongs to another user".to_owned()));
        }
        if metadata.mode() & 0o022 != 0 {
            return Err(unusable("others can write to it; chmod 700 mends that".to_owned()));
        }
        let (compatibility, compiled) = (engine.compatibility(), Cell::default());
        Ok(Self { dir: dir.to_owned(), compatibility, compiled })
    }

    /// The component of these bytes, compiled now if it never was.
    pub(super) fn load(
        &self,
        engine: &Engine,
        name: &Name,
        digest: &str,
        bytes: &[u8],
    ) -> Result<Component, LoadError> {
        let file = self.file(digest);
        if let Some(component) = kept(engine, &file) {
            return Ok(component);
        }
        // Binary only: text would be compiled as well where the engine has a parser for it.
        let compiled = self.told(name, || engine.wasmtime().precompile_component(bytes));
        let compiled = compiled.map_err(|error| LoadError::Invalid {
            component: name.clone(),
            reason: format!("{error:#}"),
        })?;
        if let Err(error) = self.keep(&file, &compiled) {
            tracing::warn!(component = %name, %error, "failed to cache a compiled component");
        }
        // SAFETY: `precompile_component` of this engine has just made these bytes.
        unsafe { Component::deserialize(engine.wasmtime(), &compiled) }.map_err(|error| {
            // What has just been compiled is refused for its size alone.
            LoadError::Oversized { component: name.clone(), reason: format!("{error:#}") }
        })
    }

    /// Compiles, and says so when that takes its time: on a slow machine a minute and more.
    fn told<T>(&self, name: &Name, compile: impl FnOnce() -> T) -> T {
        let begin = Instant::now();
        let patience = PATIENCE.saturating_sub(self.compiled.get());
        let compiled = std::thread::scope(|scope| {
            let (done, end) = channel::<()>();
            let watch = scope.spawn(move || {
                let is_long = end.recv_timeout(patience) == Err(RecvTimeoutError::Timeout);
                if is_long {
                    tracing::info!(
                        target: COMPILING, component = %name,
                        "component is still compiling"
                    );
                }
                is_long
            });
            let compiled = compile();
            drop(done);
            if watch.join().unwrap_or(false) {
                let ms = begin.elapsed().as_millis();
                let what = "compiled; the next start finds it so";
                tracing::info!(target: COMPILING, component = %name, ms, "{what}");
            }
            compiled
        });
        self.compiled.set(self.compiled.get() + begin.elapsed());
        compiled
    }

    fn file(&self, digest: &str) -> PathBuf {
        let digest = digest.replace(':', "-");
        self.dir.join(format!("{digest}-{:016x}.cwasm", self.compatibility))
    }

    fn keep(&self, file: &Path, compiled: &[u8]) -> std::io::Result<()> {
        let mut temporary = tempfile::Builder::new()
            .permissions(Permissions::from_mode(0o600))
            .tempfile_in(&self.dir)?;
        temporary.write_all(compiled)?;
        temporary.as_file().sync_all()?;
        temporary.persist(file)?;
        Ok(())
    }
}

fn kept(engine: &Engine, file: &Path) -> Option<Component> {
    if !file.exists() {
        return None;
    }
    // SAFETY: only `keep` writes into this folder, which `open` has found to be ours alone, and it
    // puts whole files there by renaming.
    match unsafe { Component::deserialize_file(engine.wasmtime(), file) } {
        Ok(component) => Some(component),
        Err(error) => {
            tracing::warn!(
                file = %file.display(), %error,
                "cached component not usable; compiling it again"
            );
            None
        }
    }
}
