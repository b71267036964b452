//! Execution policies: under which restrictions an agent's program may run.
//!
//! ```text
//! draft of the agent ─┐
//! draft of the rule  ─┼─ narrow: the stricter of each field ─► draft ─ normalise ─► policy
//! policy_untrusted   ─┘   (the last only for untrusted prompts)      blanks filled
//! ```
//! Who says nothing at all about policies asks nothing of a worker: such a run has none, and any
//! worker may take it. A worker advertises what it can enforce ([`Enforces`]), and gets no command
//! whose policy asks for more. The values of each field are in order, the strictest first.

use std::collections::BTreeSet;
use std::fmt::Display;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::json;
use super::name::Name;
use super::problem::Problems;
use super::scope::Scope;
use super::words::words;

words! {
    /// Where a program runs.
    HostKind ("a place to run in") {
        /// Apart from its worker.
        Sandbox = "sandbox",
    }
}
words! {
    /// What a program may start.
    Security ("a security") {
        /// Nothing.
        Deny = "deny",
        /// What the worker's configuration names.
        Allowlist = "allowlist",
        /// Anything.
        Full = "full",
    }
}
words! {
    /// Whether somebody has to approve before the program starts.
    Ask ("a way to ask") {
        /// Each time.
        Always = "always",
        /// Once for each execution class.
        OnMiss = "on-miss",
        /// Never.
        Off = "off",
    }
}
words! {
    /// What stands between the program and the machine.
    RuntimeType ("a runtime type") {
        /// A WebAssembly sandbox.
        Wasm = "wasm",
        /// A kernel of its own, in user space.
        Gvisor = "gvisor",
        /// A container.
        Runc = "runc",
        /// A process group with limits.
        Process = "process",
    }
}
words! {
    /// What the program may do in its working folder.
    WorkspaceAccess ("an access to the workspace") {
        /// It sees nothing of it.
        None = "none",
        /// It reads.
        Ro = "ro",
        /// It reads and writes.
        Rw = "rw",
    }
}

/// What a program may use of the machine; what is absent is not limited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Resources {
    /// Processor time, in thousandths of a core.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_millis: Option<u32>,
    /// Memory, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// Graphics processors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu: Option<u32>,
}

/// How often a task's execution is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Attempts {
    /// How many attempts there are, the first included.
    pub attempts: u32,
    /// The wait between them, in milliseconds.
    pub delay_ms: u64,
}

/// The restrictions that a program runs under.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Policy {
    /// Where it runs.
    pub host: HostKind,
    /// What it may start.
    pub security: Security,
    /// Whether somebody has to approve first.
    pub ask: Ask,
    /// What stands between it and the machine.
    pub runtime_type: RuntimeType,
    /// What it may do in its working folder.
    pub workspace_access: WorkspaceAccess,
    /// Whether it reaches the network.
    pub network_enabled: bool,
    /// Whether it can be told more while it works.
    pub interactive: bool,
    /// What it may use of the machine.
    pub resources: Resources,
    /// How often it is tried.
    pub retry: Attempts,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            host: HostKind::Sandbox,
            security: Security::Allowlist,
            ask: Ask::Off,
            runtime_type: RuntimeType::Gvisor,
            workspace_access: WorkspaceAccess::Rw,
            network_enabled: true,
            interactive: false,
            resources: Resources::default(),
            retry: Attempts { attempts: 2, delay_ms: 0 },
        }
    }
}

/// A policy as somebody wrote it: what is absent is not spoken of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyDraft {
    /// See [`Policy::host`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostKind>,
    /// See [`Policy::security`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security: Option<Security>,
    /// See [`Policy::ask`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ask: Option<Ask>,
    /// See [`Policy::runtime_type`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime_type: Option<RuntimeType>,
    /// See [`Policy::workspace_access`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace_access: Option<WorkspaceAccess>,
    /// See [`Policy::network_enabled`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_enabled: Option<bool>,
    /// See [`Policy::interactive`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interactive: Option<bool>,
    /// See [`Policy::resources`].
    #[serde(default)]
    pub resources: Resources,
    /// See [`Policy::retry`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Attempts>,
}

/// What a worker can enforce.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Enforces {
    /// The places it can run programs in.
    pub host: BTreeSet<HostKind>,
    /// What it can keep programs from starting.
    pub security: BTreeSet<Security>,
    /// What it can put between a program and the machine.
    pub runtime_type: BTreeSet<RuntimeType>,
    /// How it can keep programs from their working folder.
    pub workspace_access: BTreeSet<WorkspaceAccess>,
    /// Whether it can keep a program from the network.
    pub network_off: bool,
    /// Whether it can tell a program more while it works.
    pub interactive: bool,
    /// Whether it can limit processor time.
    pub cpu: bool,
    /// Whether it can limit memory.
    pub memory: bool,
    /// How many graphics processors it can give away.
    pub gpu: u32,
}

impl PolicyDraft {
    /// Reads a policy from JSON, or from TOML by way of it; `path` is where it stands.
    pub fn read(value: &serde_json::Value, path: &str, problems: &mut Problems) -> Option<Self> {
        read::draft(value, path, problems)
    }

    /// The stricter of both in each field; where only one speaks, it.
    pub fn narrow(self, other: Self) -> Self {
        Self {
            host: stricter(self.host, other.host),
            security: stricter(self.security, other.security),
            ask: stricter(self.ask, other.ask),
            runtime_type: stricter(self.runtime_type, other.runtime_type),
            workspace_access: stricter(self.workspace_access, other.workspace_access),
            network_enabled: stricter(self.network_enabled, other.network_enabled),
            interactive: stricter(self.interactive, other.interactive),
            resources: Resources {
                cpu_millis: stricter(self.resources.cpu_millis, other.resources.cpu_millis),
                memory_bytes: stricter(self.resources.memory_bytes, other.resources.memory_bytes),
                gpu: stricter(self.resources.gpu, other.resources.gpu),
            },
            retry: match (self.retry, other.retry) {
                (Some(a), Some(b)) => Some(Attempts {
                    attempts: a.attempts.min(b.attempts),
                    delay_ms: a.delay_ms.max(b.delay_ms),
                }),
                (a, b) => a.or(b),
            },
        }
    }

    /// The policy, with the defaults where nothing is said.
    pub fn normalize(self) -> Policy {
        let d = Policy::default();
        Policy {
            host: self.host.unwrap_or(d.host),
            security: self.security.unwrap_or(d.security),
            ask: self.ask.unwrap_or(d.ask),
            runtime_type: self.runtime_type.unwrap_or(d.runtime_type),
            workspace_access: self.workspace_access.unwrap_or(d.workspace_access),
            network_enabled: self.network_enabled.unwrap_or(d.network_enabled),
            interactive: self.interactive.unwrap_or(d.interactive),
            resources: self.resources,
            retry: self.retry.unwrap_or(d.retry),
        }
    }

    /// What all of these together come to; none when nobody says anything.
    pub fn settle(drafts: impl IntoIterator<Item = Option<Self>>) -> Option<Policy> {
        drafts.into_iter().flatten().reduce(Self::narrow).map(Self::normalize)
    }
}

/// The smaller: what is stricter comes first in the order of its type.
fn stricter<T: Ord>(a: Option<T>, b: Option<T>) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

impl Policy {
    /// What tells execution classes apart: everything but the retry.
    pub fn class_id(
        policy: Option<&Self>,
        scope: &Scope,
        agent: &Name,
        lane: Option<&Name>,
    ) -> String {
        let policy = policy.map(|policy| Self { retry: Self::default().retry, ..policy.clone() });
        let key = json::sorted(json!([scope.workspace_id(), agent, lane, policy]));
        hex::encode(&Sha256::digest(key.to_string())[..16])
    }
}

impl Enforces {
    /// Why a worker cannot enforce a policy; none when it can.
    pub fn unmet(&self, policy: &Policy) -> Option<String> {
        let lacks = |field: &str, value: &dyn Display| Some(format!("{field} = {value}"));
        let Resources { cpu_millis, memory_bytes, gpu } = policy.resources;
        match policy {
            p if !self.host.contains(&p.host) => lacks("host", &p.host),
            p if !self.security.contains(&p.security) => lacks("security", &p.security),
            p if !self.runtime_type.contains(&p.runtime_type) => {
                lacks("runtime_type", &p.runtime_type)
            }
            p if !self.workspace_access.contains(&p.workspace_access) => {
                lacks("workspace_access", &p.workspace_access)
            }
            p if !p.network_enabled && !self.network_off => lacks("network_enabled", &false),
            p if p.interactive && !self.interactive => lacks("interactive", &true),
            _ if cpu_millis.is_some() && !self.cpu => lacks("resources.cpu", &"a limit"),
            _ if memory_bytes.is_some() && !self.memory => lacks("resources.memory", &"a limit"),
            _ if gpu.unwrap_or(0) > self.gpu => lacks("resources.gpu", &gpu.unwrap_or(0)),
            _ => None,
        }
    }
}

mod read;
#[cfg(test)]
mod tests;
