//! What may be removed, and when: what has ended, and is due.

use std::collections::HashSet;

use super::{Book, Image, Violation};

/// What was removed when it was due.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gone {
    pub(crate) events: HashSet<String>,
    pub(crate) runs: HashSet<String>,
    pub(crate) attempts: u64,
}

impl Book {
    pub(super) fn removed(
        &mut self,
        table: &str,
        id: &str,
        before: &Image,
    ) -> Result<(), Violation> {
        if table == "gatherings" {
            self.gatherings.remove(id);
            return Ok(());
        }
        let Some(due) = self.due else { return Err(format!("{table}: {id} is lost")) };
        let is_due = |column: &str| before.number(column) <= due.as_millis();
        match table {
            "events" => {
                let settled = self.events.remove(id) == Some(true) && is_due("received_at");
                let open = self.runs.values().any(|run| run.is_open_of(id));
                must!(settled && !open, "{id} was removed: {before:?}, a run is open: {open}");
                self.event_ids.retain(|known| known != id);
                self.gone.events.insert(id.to_owned());
            }
            "decisions" => {
                must!(!self.held.contains(id), "{id} was held, and removed");
                self.decisions.remove(id);
            }
            "runs" => self.remove_run(id, is_due("ended_at"))?,
            "commands" => {
                let command = self.commands.remove(id).ok_or_else(|| format!("no {id}"))?;
                must!(command.state.is_terminal(), "{id} was removed: {command:?}");
                self.command_ids.retain(|known| known != id);
                self.gone.attempts += u64::from(command.kind == "run");
            }
            "tasks" => {
                let task = self.tasks.remove(id).ok_or_else(|| format!("no {id}"))?;
                let over = task.status.is_terminal() && task.runs.is_empty();
                must!(over && is_due("ended_at"), "{id} was removed: {task:?}");
                self.task_ids.retain(|known| known != id);
            }
            "sessions" => {
                let holder = self.sessions.remove(id).flatten();
                must!(holder.is_none(), "{id} was removed, and held by {holder:?}");
            }
            "run_inputs" => drop(self.inputs.remove(id)),
            "run_logs" | "run_events" => {
                let run = self.run(before.get("run_id"))?;
                must!(run.status.is_terminal(), "{table}: {id} was removed: {run:?}");
            }
            _ => return Err(format!("{table}: {id} is never removed")),
        }
        Ok(())
    }

    fn remove_run(&mut self, id: &str, due: bool) -> Result<(), Violation> {
        let run = self.runs.remove(id).ok_or_else(|| format!("no {id}"))?;
        let over = run.status.is_terminal() && run.live.is_empty();
        must!(over && due, "{id} was removed: {run:?}");
        self.run_ids.retain(|known| known != id);
        if let Some(task) = self.tasks.get_mut(&run.owner) {
            task.runs.retain(|known| known != id);
        }
        self.gone.runs.insert(id.to_owned());
        Ok(())
    }

    /// A token that is past its time is nobody's any more.
    pub(super) fn forget_token(&mut self, id: &str) -> Result<(), Violation> {
        let command = self.commands.get_mut(id).ok_or_else(|| format!("{id} was never made"))?;
        command.token = None;
        command.token_expires_at = 0;
        Ok(())
    }
}
