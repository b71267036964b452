//! Everything that a start would find, without one: what is wrong with a configuration in all its
//! stages at once, and what is right and may not be meant so.

use std::collections::HashSet;
use std::path::Path;

use anyhow::Context as _;
use tempfile::TempDir;

use super::DataDir;
use crate::activation::check::Checker;
use crate::config::definitions::Declared;
use crate::config::{Config, Draft, programs, secrets, unmade};
use crate::egress::{Network, System};
use crate::model::definition::{Agent, Definition, Plugin};
use crate::model::name::Name;
use crate::model::problem::Problems;
use crate::sandbox::{LoadError, Sandbox, WITH_PARTIALS};
use crate::store::backup;

/// What was found beside what is wrong in the files themselves.
#[derive(Clone, Debug, Default)]
pub struct Examined {
    /// What this machine lacks, with which no host starts here: secrets, programs, folders.
    pub lacking: Problems,
    /// What is no error, and may not be meant so.
    pub warnings: Problems,
}

/// Looks at what files say, in all stages; what is wrong with it is added to it.
///
/// # Errors
/// When components cannot be run at all.
pub async fn examine(draft: &mut Draft) -> anyhow::Result<Examined> {
    let Some(config) = draft.config.clone() else { return Ok(Examined::default()) };
    if let Err(error) = Network::open(config.egress.clone(), std::sync::Arc::new(System)) {
        draft.problems.add("egress.ca_file", format!("{:#}", anyhow::Error::new(error)));
    }
    ask_components(draft, &config).await?;
    let mut lacking = secrets::missing(&config.declared);
    if let Some(worker) = &config.worker {
        lacking.append(programs::missing(&worker.programs, &draft.programs_at));
    }
    lacking.append(folders(&config));
    let mut warnings = config.passed_over.clone();
    warnings.append(secrets::doubtful(&config.declared));
    warnings.append(unmade::events(&config.declared));
    warnings.append(idle(&config));
    Ok(Examined { lacking, warnings })
}

/// Adds what components say. Of the built-in ones, only those that are named are compiled.
async fn ask_components(draft: &mut Draft, config: &Config) -> anyhow::Result<()> {
    let broken = draft.broken.iter().map(|broken| &broken.declared);
    let all = config.declared.iter().chain(broken);
    let mut wanted: HashSet<Name> =
        all.flat_map(|one| one.definition.components()).cloned().collect();
    if !config.prompts.is_empty() {
        wanted.extend(WITH_PARTIALS.parse::<Name>());
    }
    if wanted.is_empty() && config.plugins.is_empty() {
        return Ok(());
    }
    let (plugins, data_dir, limits) =
        (config.plugins.clone(), config.data_dir.clone(), config.limits);
    // Compiling takes its time.
    let opening = move || {
        let cache = Cache::find(&data_dir)?;
        let opened =
            Sandbox::open_only(limits, &plugins, cache.path(), |name| wanted.contains(name));
        opened.map_err(anyhow::Error::from)
    };
    let (sandbox, faults) = tokio::task::spawn_blocking(opening).await??;
    let unloaded: Vec<&Plugin> =
        faults.iter().filter_map(|(i, _)| config.plugins.get(*i)).collect();
    let checker = Checker::new(std::sync::Arc::new(sandbox));
    let mut found = checker.problems(&config.declared, &config.prompts).await;
    found.append(checker.problems_beside(&draft.broken, &config.prompts).await);
    for problem in found.iter() {
        // That it is not there is said where it is defined.
        let names =
            |plugin: &&&Plugin| problem.reason.contains(&format!("no component `{}`", plugin.name));
        if !unloaded.iter().any(|plugin| names(&plugin)) {
            draft.problems.add(&*problem.path, &problem.reason);
        }
    }
    for (i, fault) in faults {
        let field = if matches!(fault, LoadError::Twice { .. }) { "name" } else { "path" };
        let reason = format!("{:#}", anyhow::Error::new(fault));
        draft.problems.add(format!("plugins[{i}].{field}"), reason);
    }
    Ok(())
}

/// Where compiled components are kept: the host's own folder, or one that goes when this is another
/// user's doing.
enum Cache {
    Kept(std::path::PathBuf),
    Passing(TempDir),
}

impl Cache {
    fn find(data_dir: &Path) -> anyhow::Result<Self> {
        let ours = nix::unistd::geteuid();
        let is_ours = |folder: &Path| {
            use std::os::unix::fs::MetadataExt as _;
            folder
                .metadata()
                .is_ok_and(|meta| meta.uid() == ours.as_raw() && meta.mode() & 0o022 == 0)
        };
        match DataDir::open(data_dir) {
            Ok(data_dir) if is_ours(data_dir.path()) => Ok(Self::Kept(data_dir.component_cache())),
            _ => Ok(Self::Passing(TempDir::new().context("cannot make a temporary folder")?)),
        }
    }

    fn path(&self) -> &Path {
        match self {
            Self::Kept(path) => path,
            Self::Passing(folder) => folder.path(),
        }
    }
}

/// Folders that a host would need and not make.
fn folders(config: &Config) -> Problems {
    let mut problems = Problems::default();
    let folder = backup::file(&config.store_url).and_then(Path::parent);
    if let Some(folder) = folder.filter(|folder| *folder != Path::new("") && !folder.is_dir()) {
        problems.add("store.url", format!("there is no folder {}", folder.display()));
    }
    if config.data_dir.exists() && !config.data_dir.is_dir() {
        let reason = format!("{} is not a folder", config.data_dir.display());
        problems.add("server.data_dir", reason);
    }
    problems
}

/// Agents that something fires for, and that no worker of this file serves.
fn idle(config: &Config) -> Problems {
    let mut problems = Problems::default();
    let served: HashSet<&Agent> =
        config.worker.iter().flat_map(|worker| &worker.programs).map(|one| &one.agent).collect();
    let elsewhere = "its runs wait until a worker elsewhere does";
    for Declared { path, definition, .. } in &config.declared {
        let Definition::Agent(profile) = definition else { continue };
        if !served.contains(&profile.agent) {
            let name = &profile.agent.name;
            let reason = format!("no [[worker.agents]] here serves `{name}`: {elsewhere}");
            problems.add(format!("{path}.name"), reason);
        }
    }
    problems
}
