//! What lets a worker in: an API key, or the credential that a host gave it when it joined.
//!
//! A key that is named by `--key-file` comes first. Then the credential kept for the host, which is
//! this worker's own; then a token to get one with; and last any other API key there is. When an
//! administrator has given the worker another credential, that takes the place of a token.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use serde::Deserialize;
use serde_json::json;

use crate::cli::client::{Client, ClientError};
use crate::cli::target::{Key, KeySource};
use crate::cli::{Globals, output};
use crate::clock::Clock;
use crate::config::{Worker, machine_name};
use crate::model::id::WorkerId;
use crate::model::scope::Scope;
use crate::model::secret::Secret;
use crate::model::worker::{Approval, Bearer};
use crate::worker::credential::{Credential, Keep};
use crate::worker::identity::{self, Identity};

/// Who the worker is, and what it shows for it.
#[derive(Debug)]
pub struct Pass {
    /// Who it is.
    pub id: WorkerId,
    /// What it shows.
    pub key: String,
    /// The file that it is kept in, if it is a credential.
    pub kept_in: Option<PathBuf>,
    /// What keeps other processes from being this worker.
    _lock: Lock,
}

#[derive(Debug)]
enum Lock {
    Identity { _identity: Identity<WorkerId> },
    Credential { _keep: Keep },
}

/// What a host answers to a worker that joins.
#[derive(Deserialize)]
struct Joined {
    id: WorkerId,
    credential: String,
    approval: Approval,
}

/// The worker's pass, got with `token` when there is none yet.
///
/// # Errors
/// When there is nothing to show, the host does not take the token, or what it gives cannot be kept.
pub async fn obtain(
    globals: &Globals,
    data_dir: &Path,
    token: Option<String>,
    worker: &Worker,
) -> anyhow::Result<Pass> {
    if globals.key_file.is_some() {
        return with_key(globals, data_dir);
    }
    let host = globals.host_url()?.to_string();
    let Some(mut keep) = Keep::open(data_dir, &host, token.is_some())? else {
        return with_key(globals, data_dir);
    };
    let credential = match (keep.credential()?, token) {
        (Some(known), Some(given)) if given.starts_with(Bearer::CREDENTIAL) => {
            let rotated = Credential { credential: given.trim().to_owned(), ..known };
            keep.write(&rotated)?;
            rotated
        }
        (None, Some(given)) if given.starts_with(Bearer::CREDENTIAL) => bail!(
            "that is the credential of a worker, and none has joined {host} from here: use a token"
        ),
        (Some(credential), _) => credential,
        (None, Some(token)) => {
            let credential = join(globals, host, token, worker).await?;
            keep.write(&credential)?;
            credential
        }
        // It was to join and did not come to it.
        (None, None) => return with_key(globals, data_dir),
    };
    let Credential { id, credential: key, .. } = credential;
    let kept_in = Some(keep.path().to_owned());
    Ok(Pass { id, key, kept_in, _lock: Lock::Credential { _keep: keep } })
}

fn with_key(globals: &Globals, data_dir: &Path) -> anyhow::Result<Pass> {
    let key = globals.key()?.value;
    let key = String::from_utf8(key.expose().to_vec()).context("the API key is not text")?;
    let identity = identity::claim(data_dir, identity::WORKER, || Clock.worker_id())?;
    let id = identity.id.clone();
    Ok(Pass { id, key, kept_in: None, _lock: Lock::Identity { _identity: identity } })
}

async fn join(
    globals: &Globals,
    host: String,
    token: String,
    worker: &Worker,
) -> anyhow::Result<Credential> {
    let value = Secret::new(token.trim().as_bytes().to_vec()).context("the join token is empty")?;
    let key = Key { value, source: KeySource::Join };
    // The token says whose worker it becomes.
    let client = Client::with_key(&Globals { scope: Scope::Global, ..globals.clone() }, key)?;
    // The machine's, until the worker says itself what it is called: it has no identifier yet.
    let name = worker.name.clone().unwrap_or_else(machine_name);
    let answer = client.create(&["workers", "register"], &json!({ "name": name })).await;
    let answer = answer.map_err(|error| match error {
        ClientError::Unauthorized { url, .. } => anyhow!(
            "the host at {url} does not accept the token: it is unknown, used up, or too old. An \
             administrator makes another with `hillock worker token create`"
        ),
        error => error.into(),
    })?;
    let Joined { id, credential, approval } = answer.read()?;
    tell(&worker.called(&id), approval);
    Ok(Credential { host, id, credential })
}

fn tell(name: &str, approval: Approval) {
    match approval {
        Approval::Approved => output::remark(format!("Joined as `{name}`.")),
        Approval::Pending => output::remark(format!(
            "Joined as `{name}`, and waiting to be let in: an administrator has to run\n  \
             hillock worker approve {name}"
        )),
        Approval::Rejected => output::remark(format!("Joined as `{name}`, and was rejected.")),
    }
}
