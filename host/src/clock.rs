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

    /// How many seconds a wait of one minute takes, by a clock that is wrong by so many seconds from
    /// the start, until so many have passed.
    async fn waited(wrong_by: i64, until: u64) -> u64 {
        let begin = tokio::time::Instant::now();
        let start: Time = "2026-01-31T09:00:00Z".parse().unwrap();
        let now = || {
            let wrong_by = if begin.elapsed().as_secs() < until { wrong_by } else { 0 };
            Time::from_millis((start + begin.elapsed()).as_millis() + wrong_by * 1000).unwrap()
        };
        let lead = watch::Sender::new(0);
        wait(start + Duration::from_secs(60), now, lead.subscribe()).await;
        begin.elapsed().as_millis().div_ceil(1000) as u64
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_comes_right_is_noticed_within_a_slice() {
        assert_eq!(waited(0, 0).await, 60);
        // Behind when the wait begins, and right again before its end.
        for (wrong_by, until) in [(-8, 8), (-3600, 8), (-3600, 59)] {
            assert!((60..=61).contains(&waited(wrong_by, until).await), "{wrong_by} {until}");
        }
        // Ahead, and right again before its end; or not.
        assert_eq!(waited(30, 100).await, 30);
        assert_eq!(waited(30, 10).await, 30, "as long as was left when it began");
    }

    /// The clock goes back after the wait has begun.
    #[tokio::test(start_paused = true)]
    async fn a_clock_that_goes_back_makes_nobody_wait_longer() {
        let begin = tokio::time::Instant::now();
        let start: Time = "2026-01-31T09:00:00Z".parse().unwrap();
        let now = || {
            let back = if begin.elapsed().as_secs() >= 2 { 3600 } else { 0 };
            start + begin.elapsed() - Duration::from_secs(back)
        };
        let lead = watch::Sender::new(0);
        wait(start + Duration::from_secs(5), now, lead.subscribe()).await;
        assert!((5.0..5.5).contains(&begin.elapsed().as_secs_f64()), "{:?}", begin.elapsed());
    }
}
