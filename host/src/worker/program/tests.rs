//! Real programs, run to their ends.

use std::path::Path;
use std::sync::Arc;

use nix::sys::stat::Mode;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;

use super::super::reporter::{BUDGET_BYTES, Report};
use super::*;
use crate::model::command::Token;
use crate::model::definition::Agent;
use crate::model::id::CommandId;
use crate::model::policy::Policy;
use crate::model::run::{Attachment, SessionRef};
use crate::model::scope::Scope;
use crate::model::time::Time;

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(100);

fn now() -> Time {
    Time::from_millis(1_000).unwrap()
}

fn shell(script: &str) -> Program {
    let agent = Agent { scope: Scope::Global, name: "triager".parse().unwrap() };
    let command = ["sh", "-c", script].map(str::to_owned).to_vec();
    Program {
        agent,
        command,
        env: Vec::new(),
        dir: None,
        timeout: LONG,
        interactive: false,
        visible: Vec::new(),
        user: None,
    }
}

fn order(prompt: &str) -> Order {
    let command_id = CommandId::mint(now(), [7; 10]);
    Order {
        held: Held { command_id, token: Token::mint([7; 32]) },
        run_id: RunId::mint(now(), [8; 10]),
        agent: Served { workspace_id: String::new(), name: "triager".parse().unwrap() },
        attempt: 2,
        dispatch: 3,
        prompt: prompt.to_owned(),
        task_id: None,
        terms: Terms::default(),
    }
}

fn failed(error: &str) -> Ending {
    Ending::failed(error)
}

/// A program on its way, as the worker's loop sees it.
struct Running {
    reports: mpsc::Receiver<Report>,
    budget: Arc<Semaphore>,
    wish: watch::Sender<Wish>,
    task: JoinSet<()>,
    lines: Vec<(Stream, String)>,
}

impl Running {
    fn start(program: Program, order: Order, patience: ProgramTimeouts) -> Self {
        let (sender, reports) = mpsc::channel(4);
        let budget = Arc::new(Semaphore::new(BUDGET_BYTES as usize));
        let held = order.held.clone();
        let reporter = ProgramReporter { held, budget: budget.clone(), reports: sender, now };
        let (wish, wished) = watch::channel(Wish::GoOn);
        let mut task = JoinSet::new();
        let argv = program.command.iter().map(OsString::from).collect();
        let task_of = Task {
            dir: program.dir.clone(),
            program,
            argv,
            is_apart: false,
            context: Context::of(&std::env::temp_dir(), &order, None).unwrap(),
            instead: Vec::new(),
            keeper: None,
            register: Arc::default(),
            order,
            patience,
            mouth: StdinMode::Plain,
        };
        task.spawn(async move {
            let ending = run(task_of, wished, &reporter).await;
            reporter.tell(ProgramEvent::Ended(ending)).await;
        });
        Self { reports, budget, wish, task, lines: Vec::new() }
    }

    fn script(script: &str) -> Self {
        Self::start(shell(script), order(""), ProgramTimeouts { timeout: LONG, grace: LONG })
    }

    async fn news(&mut self) -> ProgramEvent {
        let report = timeout(LONG, self.reports.recv()).await.expect("news within a minute");
        report.expect("an ending before the end").news
    }

    /// Waits for a line, so that what the program did before it is done.
    async fn line(&mut self, text: &str) {
        while !self.lines.iter().any(|(_, line)| line == text) {
            match self.news().await {
                ProgramEvent::Ended(ending) => panic!("{ending:?} before the line"),
                news => self.note(news),
            }
        }
    }

    fn note(&mut self, news: ProgramEvent) {
        if let ProgramEvent::Wrote(lines) = news {
            self.budget.add_permits(lines.iter().map(|line| line.weight).sum());
            self.lines.extend(lines.into_iter().map(|line| (line.item.stream, line.item.text)));
        }
    }

    async fn end(mut self) -> (Ending, Vec<(Stream, String)>) {
        loop {
            match self.news().await {
                ProgramEvent::Ended(ending) => return (ending, self.lines),
                news => self.note(news),
            }
        }
    }
}

async fn carried_out(program: Program, prompt: &str) -> (Ending, Vec<String>) {
    let patience = ProgramTimeouts { timeout: program.timeout, grace: SHORT };
    let (ending, lines) = Running::start(program, order(prompt), patience).end().await;
    (ending, lines.into_iter().map(|(_, text)| text).collect())
}

/// A pipe by name, on which somebody waits until every process that holds it is gone.
fn fifo(folder: &Path) -> (String, oneshot::Receiver<String>) {
    let path = folder.join("fifo");
    nix::unistd::mkfifo(&path, Mode::S_IRWXU).unwrap();
    let name = path.to_str().unwrap().to_owned();
    let (sender, gone) = oneshot::channel();
    std::thread::spawn(move || sender.send(std::fs::read_to_string(path).unwrap()));
    (name, gone)
}

#[tokio::test]
async fn an_exit_is_told_by_its_kind() {
    for (script, wanted) in [
        ("exit 0", Ending::Completed),
        ("exit 3", failed("exit status 3")),
        ("kill -KILL $$", failed("killed by signal 9 (SIGKILL)")),
        ("kill -TERM $$", failed("killed by signal 15 (SIGTERM)")),
    ] {
        assert_eq!(carried_out(shell(script), "").await.0, wanted, "{script}");
    }
}

#[tokio::test]
async fn a_program_that_cannot_start_is_named() {
    let mut program = shell("");
    program.command = vec!["no-such-program".to_owned()];
    let missing = "cannot start `no-such-program`: No such file or directory (os error 2)";
    assert_eq!(carried_out(program.clone(), "").await, (failed(missing), vec![]));
    program.command = vec!["sh".to_owned()];
    program.dir = Some("/no/such/folder".into());
    let missing = "cannot start `sh` in /no/such/folder: No such file or directory (os error 2)";
    assert_eq!(carried_out(program.clone(), "").await, (failed(missing), vec![]));
    program.command = Vec::new();
    assert_eq!(carried_out(program, "").await.0, failed("the agent has no program"));
}

#[tokio::test]
async fn the_prompt_comes_on_stdin() {
    let prompt = "first line\n$(not a command) \"quoted\"\nlast";
    let (ending, lines) = carried_out(shell("cat; echo; echo done"), prompt).await;
    assert_eq!(ending, Ending::Completed);
    assert_eq!(lines, ["first line", "$(not a command) \"quoted\"", "last", "done"]);
}

#[tokio::test]
async fn a_prompt_that_nobody_reads_is_no_failure() {
    let prompt = "p".repeat(1024 * 1024);
    for script in ["exit 0", "exec 0<&-; echo working; sleep 0.05", "head -c 10 >/dev/null"] {
        assert_eq!(carried_out(shell(script), &prompt).await.0, Ending::Completed, "{script}");
    }
}

#[tokio::test]
async fn both_streams_are_lines_of_their_own() {
    let (_, mut lines) =
        Running::script("echo out; echo err >&2; printf 'more\\r\\nrest'").end().await;
    lines.sort_by_key(|(stream, _)| *stream == Stream::Stderr);
    let wanted = [
        (Stream::Stdout, "out"),
        (Stream::Stdout, "more"),
        (Stream::Stdout, "rest"),
        (Stream::Stderr, "err"),
    ];
    assert_eq!(lines, wanted.map(|(stream, text)| (stream, text.to_owned())));
}

#[tokio::test]
async fn a_large_output_arrives_whole_and_in_order() {
    let (ending, lines) = carried_out(shell("seq 1 750000"), "").await;
    assert_eq!(ending, Ending::Completed);
    assert_eq!(lines.iter().map(|line| line.len() + 1).sum::<usize>(), 5_138_895);
    assert!(lines.iter().zip(1..).all(|(line, n)| *line == n.to_string()));
}

#[tokio::test]
async fn a_program_waits_for_what_it_wrote_to_be_stored() {
    let mut running = Running::script("head -c 8000000 /dev/zero | tr '\\0' x; echo; echo done");
    let mut weight = 0;
    let mut unanswered = Vec::new();
    while let Ok(report) = timeout(Duration::from_millis(500), running.reports.recv()).await {
        match report.unwrap().news {
            ProgramEvent::Wrote(lines) => {
                weight += lines.iter().map(|line| line.weight).sum::<usize>();
                unanswered.push(ProgramEvent::Wrote(lines));
            }
            ProgramEvent::Started | ProgramEvent::Told(_) | ProgramEvent::Answered(_) => {}
            ProgramEvent::Ended(ending) => panic!("{ending:?} with {weight} bytes unanswered"),
        }
    }
    assert!(weight <= BUDGET_BYTES as usize, "{weight}");
    assert!(weight > BUDGET_BYTES as usize / 2, "{weight}");
    unanswered.into_iter().for_each(|news| running.note(news));
    let (ending, lines) = running.end().await;
    assert_eq!(ending, Ending::Completed);
    assert_eq!(lines.iter().map(|(_, line)| line.len()).sum::<usize>(), 8_000_000 + 4);
    assert_eq!(lines.last().unwrap().1, "done");
}

#[tokio::test]
async fn the_lightest_and_the_heaviest_read_fit_the_budget() {
    let patience = ProgramTimeouts { timeout: LONG, grace: LONG };
    let script =
        "head -c 100000 /dev/zero | tr '\\0' '\\n'; head -c 100000 /dev/zero | tr '\\0' '\\1'";
    let (ending, lines) = Running::start(shell(script), order(""), patience).end().await;
    assert_eq!(ending, Ending::Completed);
    assert_eq!(lines.iter().filter(|(_, line)| line.is_empty()).count(), 100_000);
}

#[tokio::test]
async fn a_canceled_program_may_clean_up() {
    let script = "trap 'echo cleaned; exit 0' TERM; echo up; while :; do sleep 0.01; done";
    let mut running = Running::script(script);
    running.line("up").await;
    running.wish.send_replace(Wish::EndWithin(LONG));
    let (ending, lines) = running.end().await;
    assert_eq!(ending, Ending::Canceled);
    assert_eq!(lines.last().unwrap().1, "cleaned");
}

#[tokio::test]
async fn a_program_that_ignores_sigterm_is_killed_after_its_grace() {
    let script = "trap '' TERM; echo up; while :; do sleep 0.01; done";
    let mut running = Running::script(script);
    running.line("up").await;
    running.wish.send_replace(Wish::EndWithin(SHORT));
    assert_eq!(running.end().await.0, Ending::Canceled);
}

#[tokio::test]
async fn a_grace_can_be_shortened() {
    let script = "trap 'echo asked' TERM; echo up; while :; do sleep 0.01; done";
    let mut running = Running::script(script);
    running.line("up").await;
    running.wish.send_replace(Wish::EndWithin(2 * LONG));
    running.line("asked").await;
    running.wish.send_replace(Wish::EndWithin(SHORT));
    assert_eq!(running.end().await.0, Ending::Canceled);
}

#[tokio::test]
async fn a_program_that_takes_too_long_fails() {
    let mut program = shell("exec sleep 1000");
    program.timeout = SHORT;
    assert_eq!(carried_out(program, "").await.0, failed("timed out after 100ms"));
}

#[tokio::test]
async fn the_whole_group_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let (fifo, gone) = fifo(folder.path());
    let script = format!("(trap '' TERM; echo up; while :; do sleep 0.01; done) 3>{fifo} & wait");
    let mut running = Running::script(&script);
    running.line("up").await;
    running.wish.send_replace(Wish::EndWithin(SHORT));
    assert_eq!(running.end().await.0, Ending::Canceled);
    assert_eq!(timeout(LONG, gone).await.unwrap().unwrap(), "");
}

#[tokio::test]
async fn an_aborted_task_leaves_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let (fifo, gone) = fifo(folder.path());
    let mut running = Running::script(&format!("(echo up; exec sleep 1000) 3>{fifo} & wait"));
    running.line("up").await;
    running.task.abort_all();
    assert_eq!(timeout(LONG, gone).await.unwrap().unwrap(), "");
}

#[tokio::test]
async fn a_child_that_holds_the_pipes_is_killed_after_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let (fifo, gone) = fifo(folder.path());
    let script = format!("(echo late; exec sleep 1000) 3>{fifo} & exit 4");
    let (ending, lines) = carried_out(shell(&script), "").await;
    assert_eq!((ending, lines), (failed("exit status 4"), vec!["late".to_owned()]));
    assert_eq!(timeout(LONG, gone).await.unwrap().unwrap(), "");
}

/// `setsid` takes the child out of the group, where no signal of the worker's reaches it.
#[tokio::test]
async fn a_child_out_of_reach_does_not_hold_up_the_end() {
    for writes in
        ["exec sleep 1000", "while :; do echo y; sleep 0.01; done", "exec yes $(seq 1000)"]
    {
        let (ending, lines) =
            carried_out(shell(&format!("setsid sh -c 'echo $$; {writes}' & sleep 0.05")), "").await;
        let escaped = nix::unistd::Pid::from_raw(lines[0].parse().unwrap());
        nix::sys::signal::kill(escaped, Signal::SIGKILL).unwrap();
        assert_eq!(ending, Ending::Completed, "{writes}");
    }
}

#[tokio::test]
async fn the_environment_is_an_allow_list() {
    let variables: Vec<String> = std::env::vars().map(|(name, _)| name).collect();
    assert!(variables.iter().any(|name| name == "CARGO_MANIFEST_DIR"), "cargo runs this test");
    let (_, without) = carried_out(shell("env"), "").await;
    assert!(!without.iter().any(|line| line.starts_with("CARGO")));
    assert!(without.iter().any(|line| line.starts_with("PATH=")));

    let mut program = shell("env");
    program.env = vec!["CARGO_PKG_NAME".to_owned(), "NOT_SET_ANYWHERE".to_owned()];
    let (_, with) = carried_out(program, "").await;
    let added: Vec<_> = with.iter().filter(|line| !without.contains(line)).collect();
    let named: Vec<_> = added.iter().filter(|line| !line.starts_with("HILLOCK_")).collect();
    assert_eq!(named, [&&"CARGO_PKG_NAME=hillock".to_owned()]);
}

#[tokio::test]
async fn a_program_knows_which_run_it_is() {
    let mut order = order("");
    let wanted = [
        "HILLOCK_AGENT=triager".to_owned(),
        "HILLOCK_ATTEMPT=2".to_owned(),
        format!("HILLOCK_COMMAND_ID={}", order.held.command_id),
        "HILLOCK_DISPATCH=3".to_owned(),
        format!("HILLOCK_RUN_ID={}", order.run_id),
        "HILLOCK_WORKSPACE_ID=acme".to_owned(),
    ];
    order.agent.workspace_id = "acme".to_owned();
    let patience = ProgramTimeouts { timeout: LONG, grace: LONG };
    let program = shell("env | grep ^HILLOCK_ | grep -v CONTEXT_DIR | sort");
    let (_, lines) = Running::start(program, order, patience).end().await;
    assert_eq!(lines.into_iter().map(|(_, line)| line).collect::<Vec<_>>(), wanted);
}

#[tokio::test]
async fn a_program_gets_what_came_with_its_run() {
    let mut order = order("");
    let scope = Scope::Global;
    order.terms = Terms {
        session: Some(SessionRef::of(&scope, "ticket 42".parse().unwrap())),
        system_prompt: Some("Be\0brief.".to_owned()),
        attachments: vec![Attachment {
            name: "a.txt".to_owned(),
            media_type: None,
            url: None,
            text: Some("é\0".to_owned()),
        }],
        spawned_by: Some(serde_json::json!({"user": "u1"})),
        policy: Some(Policy::default()),
        ..Terms::default()
    };
    let session = order.terms.session.clone().unwrap().id;
    let patience = ProgramTimeouts { timeout: LONG, grace: LONG };
    let script = "env | grep -E '^HILLOCK_(SES|SYS|ATTACH|SPAWN|POLICY)' | sort";
    let (_, lines) = Running::start(shell(script), order, patience).end().await;
    let lines: Vec<String> = lines.into_iter().map(|(_, line)| line).collect();
    let policy = serde_json::to_string(&Policy::default()).unwrap();
    let wanted = [
        r#"HILLOCK_ATTACHMENTS=[{"name":"a.txt","text":"é\u0000"}]"#.to_owned(),
        format!("HILLOCK_POLICY={policy}"),
        "HILLOCK_SESSION=ticket 42".to_owned(),
        format!("HILLOCK_SESSION_ID={session}"),
        r#"HILLOCK_SPAWNED_BY={"user":"u1"}"#.to_owned(),
        "HILLOCK_SYSTEM_PROMPT=Be\u{fffd}brief.".to_owned(),
    ];
    assert_eq!(lines, wanted);
}

#[tokio::test]
async fn what_comes_with_a_run_is_in_its_folder_whatever_its_size() {
    let patience = ProgramTimeouts { timeout: LONG, grace: LONG };
    let script = r#"cd "$HILLOCK_CONTEXT_DIR" && stat -c %a . system_prompt && ls
                    wc -c < system_prompt; cat spawned_by.json; echo
                    echo "${HILLOCK_SYSTEM_PROMPT+set}"; pwd"#;
    for (bytes, variable) in [(131_008, "set"), (131_009, ""), (4 * 1024 * 1024, "")] {
        let mut order = order("");
        order.terms.system_prompt = Some("x".repeat(bytes));
        order.terms.spawned_by = Some(serde_json::json!({ "user": "y".repeat(200_000) }));
        let (ending, lines) = Running::start(shell(script), order, patience).end().await;
        assert_eq!(ending, Ending::Completed);
        let text: Vec<_> = lines.into_iter().map(|(_, line)| line).collect();
        let folder = std::path::PathBuf::from(text.last().unwrap());
        assert!(folder.file_name().unwrap().to_str().unwrap().starts_with("hillock-run-"));
        assert!(!folder.exists(), "it goes with its program");
        let spawned_by = serde_json::json!({ "user": "y".repeat(200_000) }).to_string();
        assert_eq!(
            text[..5],
            ["700", "600", "spawned_by.json", "system_prompt", &bytes.to_string()]
        );
        assert_eq!(text[5..text.len() - 2].concat(), spawned_by);
        assert_eq!(text[text.len() - 2], variable);
    }
}

/// The test's own environment has these; cargo sets them.
#[tokio::test]
async fn what_a_program_was_given_in_confidence_does_not_come_back() {
    let name = "CARGO_PKG_DESCRIPTION";
    let value = std::env::var(name).unwrap();
    assert!(value.len() >= 8, "{value}");
    let script = r#"key=$CARGO_PKG_DESCRIPTION; echo "it is $key!"; echo "$key" >&2
                    printf '{"type":"a","text":"%s"}\n' "$key""#;
    let mut program = shell(script);
    program.env = vec![name.to_owned()];
    let patience = ProgramTimeouts { timeout: LONG, grace: LONG };
    let mut running = Running::start(program, order(""), patience);
    let mut events = Vec::new();
    let ending = loop {
        match running.news().await {
            ProgramEvent::Told(told) => {
                events.extend(told.into_iter().map(|event| event.item.data))
            }
            ProgramEvent::Ended(ending) => break ending,
            news => running.note(news),
        }
    };
    assert_eq!(ending, Ending::Completed);
    let mut lines: Vec<_> = running.lines.iter().map(|(_, line)| &**line).collect();
    lines.sort_unstable();
    assert_eq!(
        lines,
        ["[redacted:CARGO_PKG_DESCRIPTION]", "it is [redacted:CARGO_PKG_DESCRIPTION]!"]
    );
    let wanted = serde_json::json!({"type": "a", "text": "[redacted:CARGO_PKG_DESCRIPTION]"});
    assert_eq!(events, [wanted]);
}
