//! Identifiers: a type prefix and 32 hexadecimal digits.
//!
//! What happens gets a UUIDv7, so that identifiers sort by time. What is defined gets a hash of what
//! it is, so that a restart finds its history again. Minting takes its time and randomness from the
//! caller; `clock` has both.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::scope::Scope;
use super::time::Time;

/// How many digits an identifier has.
pub const DIGITS: usize = 32;
/// How many of them have to be said where their beginning will do: any less is a listing.
pub const DIGITS_MIN: usize = 4;
/// How many digits tell an identifier from others on one machine.
const ENDING: usize = 6;

/// The text is not an identifier of the expected type.
#[derive(Debug, thiserror::Error)]
#[error("`{text}` is not an identifier: expected `{prefix}` and 32 hexadecimal digits")]
pub struct InvalidId {
    text: String,
    prefix: &'static str,
}

fn minted(prefix: &str, now: Time, random: [u8; 10]) -> String {
    let ms = u64::try_from(now.as_millis()).unwrap_or(0);
    let uuid = uuid::Builder::from_unix_timestamp_millis(ms, &random).into_uuid();
    format!("{prefix}{}", uuid.simple())
}

/// The time in the digits of a UUIDv7.
fn minted_at(digits: &str) -> Option<Time> {
    let (ms, rest) = digits.split_at_checked(12)?;
    let ms = i64::from_str_radix(ms, 16).ok().filter(|_| rest.starts_with('7'))?;
    Time::from_millis(ms)
}

fn derived(prefix: &str, scope: &Scope, name: &str) -> String {
    let mut hash = Sha256::new();
    for part in [prefix, scope.workspace_id(), name] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    format!("{prefix}{}", hex::encode(&hash.finalize()[..16]))
}

fn parse(prefix: &'static str, text: &str) -> Result<String, InvalidId> {
    let digits = text.strip_prefix(prefix).unwrap_or("");
    let hex = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
    if digits.len() == DIGITS && digits.bytes().all(hex) {
        Ok(text.to_owned())
    } else {
        Err(InvalidId { text: text.chars().take(64).collect(), prefix })
    }
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[derive(Serialize, Deserialize, JsonSchema)]
        #[serde(try_from = "String", into = "String")]
        #[schemars(extend("pattern" = concat!("^", $prefix, "[0-9a-f]{32}$")))]
        pub struct $name(String);

        impl $name {
            /// A new identifier for something that happens at `now`.
            pub fn mint(now: Time, random: [u8; 10]) -> Self {
                Self(minted($prefix, now, random))
            }

            /// The identifier of the definition called `name` in `scope`, the same at every start.
            pub fn derive(scope: &Scope, name: &str) -> Self {
                Self(derived($prefix, scope, name))
            }

            /// When it was minted; none when it was derived.
            pub fn minted_at(&self) -> Option<Time> {
                minted_at(&self.0[$prefix.len()..])
            }

            /// Its last digits, which tell it from what is like it.
            pub fn ending(&self) -> &str {
                &self.0[self.0.len() - ENDING..]
            }

            /// The identifier as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                parse($prefix, text).map(Self)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

ids! {
    /// An event in the inbox.
    EventId = "evt_";
    /// A webhook endpoint.
    WebhookId = "wbh_";
    /// A trigger.
    TriggerId = "trg_";
    /// A run.
    RunId = "run_";
    /// A command: one attempt of a run.
    CommandId = "cmd_";
    /// A worker.
    WorkerId = "wrk_";
    /// An API key.
    KeyId = "key_";
    /// A job.
    JobId = "job_";
    /// An agent.
    AgentId = "agt_";
    /// A hook.
    HookId = "hok_";
    /// An observer.
    ObserverId = "obs_";
    /// An extension.
    ExtensionId = "ext_";
    /// A notice of something in the host's own life.
    NoticeId = "ntc_";
    /// A gathering of events: a burst or a batch.
    GatheringId = "gth_";
    /// A fire: one slot of one job.
    FireId = "fire_";
    /// A task.
    TaskId = "task_";
    /// A session.
    SessionId = "ses_";
    /// Something that a run is told while it works or afterwards.
    InputId = "inp_";
    /// A bootstrap token, with which workers register.
    BootstrapId = "btk_";
    /// A replica of the host.
    ReplicaId = "rpl_";
    /// A row of the audit.
    AuditId = "aud_";
}

impl FireId {
    /// The identifier of a job's slot, the same whoever computes it.
    pub fn of(job: &JobId, slot: Time) -> Self {
        Self::derive(&Scope::Global, &format!("{job} {}", slot.as_millis()))
    }
}

impl JobId {
    /// A number that is the job's own, evenly spread over all numbers.
    pub fn spread(&self) -> u64 {
        let hash = Sha256::digest(self.as_str().as_bytes());
        u64::from_be_bytes(std::array::from_fn(|i| hash[i]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minted_ids_sort_by_time_and_parse_back() {
        let at = |ms| Time::from_millis(ms).unwrap();
        let early = EventId::mint(at(1_000), [255; 10]);
        let late = EventId::mint(at(1_001), [0; 10]);
        assert!(early < late);
        assert_eq!(early.to_string().parse::<EventId>().unwrap(), early);
        assert!(early.to_string().parse::<RunId>().is_err());
        assert_eq!((early.minted_at(), late.minted_at()), (Some(at(1_000)), Some(at(1_001))));
        let zeros: EventId = format!("evt_{}", "0".repeat(32)).parse().unwrap();
        assert_eq!(zeros.minted_at(), None);
    }

    #[test]
    fn derived_ids_depend_on_scope_and_name_only() {
        let acme = Scope::parse("acme").unwrap();
        let id = TriggerId::derive(&Scope::Global, "triage");
        assert_eq!(id, TriggerId::derive(&Scope::Global, "triage"));
        assert_ne!(id, TriggerId::derive(&acme, "triage"));
        assert_ne!(id, TriggerId::derive(&Scope::Global, "triage2"));
    }
}
