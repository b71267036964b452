//! Time and randomness, the only place that takes them from the machine.
//!
//! Tests live through years: `HILLOCK_CLOCK_FILE` names a file that holds by how many milliseconds
//! the host's clock leads the machine's. Who waits for an instant waits by [`Clock::sleep_until`],
//! and wakes when the clock is put forward past it.
//!
//! The machine's clock may be put back and forward, too. So a wait is made of slices, each of which
//! looks at the clock anew, and ends at the latest when as much time has passed as was left when it
//! began: a clock that goes back makes nobody wait longer. Who wakes before the instant finds nothing
//! due and waits again.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

use tokio::sync::watch;

use crate::model::definition::DefinitionKind;
use crate::model::id::{
    AgentId, BootstrapId, CommandId, EventId, ExtensionId, GatheringId, HookId, InputId, JobId,
    KeyId, NoticeId, ObserverId, ReplicaId, RunId, SessionId, TaskId, TriggerId, WebhookId,
    WorkerId,
};
use crate::model::time::Time;

/// By how many milliseconds the clock leads the machine's.
static LEAD_MS: LazyLock<watch::Sender<i64>> = LazyLock::new(|| watch::Sender::new(0));
/// How often the file of a led clock is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);
/// How long a wait goes on without looking at the clock.
const SLICE: Duration = Duration::from_secs(1);

/// Where the host gets its time, its identifiers and its tokens from.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock;

macro_rules! mints {
    ($($(#[$doc:meta])* $name:ident: $id:ident;)*) => {$(
        $(#[$doc])*
        pub fn $name(self) -> $id {
            $id::mint(self.now(), self.random())
        }
    )*};
}

impl Clock {
    /// The present, to the millisecond.
    #[expect(clippy::disallowed_methods, reason = "this is where time comes from")]
    pub fn now(self) -> Time {
        let ms = chrono::Utc::now().timestamp_millis().saturating_add(*LEAD_MS.borrow());
        Time::from_millis(ms).unwrap_or(Time::EPOCH)
    }

    /// Waits until it is `instant`, and no longer than that takes from now by any clock.
    pub async fn sleep_until(self, instant: Time) {
        wait(instant, || self.now(), LEAD_MS.subscribe()).await;
    }

    /// Waits for `span`.
    pub async fn sleep(self, span: Duration) {
        self.sleep_until(self.now() + span).await;
    }

    /// Is led by the file that `HILLOCK_CLOCK_FILE` names, if it does, from now on and for as long
    /// as the future it returns is polled.
    pub fn follow_file(self) -> impl Future<Output = ()> {
        let path = crate::environment::var_os("HILLOCK_CLOCK_FILE").map(PathBuf::from);
        if let Some(path) = &path {
            tracing::warn!(path = %path.display(), "the clock is led by a file: this is for tests");
            read_lead(path);
        }
        async move {
            while let Some(path) = &path {
                tokio::time::sleep(LOOK_INTERVAL).await;
                read_lead(path);
            }
        }
    }

    /// Random bytes, fit for keys and tokens.
    pub fn random<const N: usize>(self) -> [u8; N] {
        rand::random()
    }

    /// A number from 0 to 1.
    pub fn dice(self) -> f64 {
        rand::random()
    }

    mints! {
        /// An identifier for a new event.
        event_id: EventId;
        /// An identifier for a new run.
        run_id: RunId;
        /// An identifier for a new command.
        command_id: CommandId;
        /// An identifier for a new worker.
        worker_id: WorkerId;
        /// An identifier for a new gathering.
        gathering_id: GatheringId;
        /// An identifier for a new API key.
        key_id: KeyId;
        /// An identifier for a new notice.
        notice_id: NoticeId;
        /// An identifier for a new agent.
        agent_id: AgentId;
        /// An identifier for a new endpoint.
        webhook_id: WebhookId;
        /// An identifier for a new trigger.
        trigger_id: TriggerId;
        /// An identifier for a new job.
        job_id: JobId;
        /// An identifier for a new hook.
        hook_id: HookId;
        /// An identifier for a new observer.
        observer_id: ObserverId;
        /// An identifier for a new extension.
        extension_id: ExtensionId;
        /// An identifier for a new task.
        task_id: TaskId;
        /// An identifier for a new session.
        session_id: SessionId;
        /// An identifier for a new run input.
        input_id: InputId;
        /// An identifier for a new bootstrap token.
        bootstrap_id: BootstrapId;
        /// An identifier for a new replica of the host.
        replica_id: ReplicaId;
    }

    /// An identifier for a new definition of this kind.
    pub fn definition_id(self, kind: DefinitionKind) -> String {
        match kind {
            DefinitionKind::Agent => self.agent_id().into(),
            DefinitionKind::Endpoint => self.webhook_id().into(),
            DefinitionKind::Trigger => self.trigger_id().into(),
            DefinitionKind::Job => self.job_id().into(),
            DefinitionKind::Hook => self.hook_id().into(),
            DefinitionKind::Observer => self.observer_id().into(),
            DefinitionKind::Extension => self.extension_id().into(),
        }
    }
}

async fn wait(instant: Time, now: impl Fn() -> Time, mut lead: watch::Receiver<i64>) {
    let (begin, whole) = (tokio::time::Instant::now(), instant.since(now()));
    loop {
        let left = instant.since(now()).min(whole.saturating_sub(begin.elapsed()));
        if left.is_zero() {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(left.min(SLICE)) => {}
            _ = lead.changed() => {}
        }
    }
}

fn read_lead(path: &Path) {
    let lead = std::fs::read_to_string(path).ok();
    if let Some(ms) = lead.and_then(|text| text.trim().parse().ok()) {
        LEAD_MS.send_if_modified(|lead| std::mem::replace(lead, ms) != ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// How long a wait of 400 ms takes, by a clock that is wrong by so many seconds while `is_wrong`
    /// says so of the time that has passed.
    async fn waited(wrong_by: i64, is_wrong: impl Fn(Duration) -> bool) -> Duration {
        let begin = tokio::time::Instant::now();
        let start: Time = "2026-01-31T09:00:00Z".parse().unwrap();
        let now = || {
            let wrong_by = if is_wrong(begin.elapsed()) { wrong_by } else { 0 };
            Time::from_millis((start + begin.elapsed()).as_millis() + wrong_by * 1000).unwrap()
        };
        let lead = watch::Sender::new(0);
        wait(start + 400 * MS, now, lead.subscribe()).await;
        begin.elapsed()
    }

    /// A wait for an hour, as it seems, is one for what is left.
    #[tokio::test]
    async fn a_clock_that_comes_right_is_noticed_within_a_slice() {
        let waited = waited(-3600, |passed| passed < 50 * MS).await;
        assert!((400 * MS..6 * SLICE).contains(&waited), "{waited:?}");
    }

    #[tokio::test]
    async fn a_clock_that_goes_back_makes_nobody_wait_longer() {
        let waited = waited(-3600, |passed| passed > 50 * MS).await;
        assert!((400 * MS..6 * SLICE).contains(&waited), "{waited:?}");
    }
}
