//! Words of an administrator to a worker.

use std::sync::Arc;
use std::time::Duration;

use super::super::audit::AuditEntry;
use super::super::commands::{Word, insert_control};
use super::super::sql::Tx;
use super::super::write::{Write, WriteError};
use super::super::{Store, StoreError};
use crate::model::audit::Author;
use crate::model::command::Control;
use crate::model::id::{CommandId, WorkerId};
use crate::model::scope::Scope;
use crate::model::time::Time;

/// How long a word waits for its worker.
const WORD_LIFE: Duration = Duration::from_secs(24 * 60 * 60);

/// Queues a word to a worker of this scope.
///
/// # Errors
/// When the store fails.
pub async fn tell(
    store: &Store,
    scope: &Scope,
    worker_id: &WorkerId,
    id: &CommandId,
    control: Control,
    now: Time,
) -> Result<(), StoreError> {
    let (scope, worker_id, id) = (scope.clone(), worker_id.clone(), id.clone());
    store.write(Tell { scope, worker_id, id, control, now, author: store.author() }).await
}

struct Tell {
    scope: Scope,
    worker_id: WorkerId,
    id: CommandId,
    control: Control,
    now: Time,
    author: Arc<Author>,
}

impl Tell {
    fn action(&self) -> &'static str {
        match self.control {
            Control::HealthCheck => "worker.check",
            Control::ConfigUpdate { .. } => "worker.configure",
            Control::Input { .. } | Control::Cancel { .. } => "worker.tell",
        }
    }
}

impl Write for Tell {
    type Output = ();
    const NAME: &'static str = "send_control_command";

    async fn apply(&self, tx: &mut Tx<'_>) -> Result<(), WriteError> {
        let word = Word {
            id: &self.id,
            workspace_id: self.scope.workspace_id(),
            run_id: None,
            worker_id: &self.worker_id,
            control: &self.control,
            expires_at: self.now + WORD_LIFE,
        };
        insert_control(tx, &word, self.now).await?;
        let entry = AuditEntry::new(self.action(), "worker", word.workspace_id, self.now);
        entry.on(self.worker_id.as_str()).record(tx, &self.author).await
    }
}
