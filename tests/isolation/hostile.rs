//! A program that tries everything, in each way that programs are kept apart.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use super::{apart, is_root, path_without_bubblewrap};
use crate::harness::client::Answer;
use crate::harness::database::Database;
use crate::harness::folder::{Folder, SECRET};
use crate::harness::host::Host;
use crate::harness::process::{Process, given};
use crate::harness::wait;

const ATTACK: &str = include_str!("attack.py");
/// A user that nobody is.
const HOST: u32 = 65_503;
/// What must not be found, beside the host's own.
const MARKS: [&str; 6] = [
    "a-secret-of-another-program",
    "a-secret-in-a-file",
    "a-secret-in-the-configuration",
    "a-secret-of-the-service",
    "a-key-of-another-host",
    "a-secret-in-another-folder",
];
/// Where programs are that every user can run.
const EVERYBODYS_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// How many ways there are at least.
const WAYS_MIN: usize = 40;

/// How programs are kept apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Means {
    /// By bubblewrap alone, whoever the host is.
    Bubblewrap,
    /// The same, with a host that is not root.
    NotRoot,
    /// As other users, without bubblewrap.
    Users,
    /// Both.
    Both,
}

impl Means {
    fn has_users(self) -> bool {
        matches!(self, Self::Users | Self::Both)
    }

    /// Users that nobody is, the agent's and the other's; not those of a test beside this one, whose
    /// program would be the agent's own.
    fn users(self) -> [u32; 2] {
        if self == Self::Users { [65_501, 65_502] } else { [65_504, 65_505] }
    }
}

/// A host with two agents, whose folders are elsewhere.
struct Scene {
    folder: Folder,
    places: TempDir,
    means: Means,
}

impl Scene {
    async fn new(means: Means) -> Self {
        let places = TempDir::new().unwrap();
        set_mode(places.path(), 0o711);
        let folder = Folder::new(Database::sqlite(), &config(places.path(), means)).await;
        fs::create_dir_all(folder.path().join("automations.d")).unwrap();
        fs::create_dir_all(folder.path().join("creds")).unwrap();
        fs::create_dir_all(folder.path().join(".local/share/hillock")).unwrap();
        folder.write("automations.d/more.toml", &format!("# {}\n", MARKS[2]));
        folder.write("inbox.secret", MARKS[1]);
        folder.write("creds/key", MARKS[3]);
        folder.write(".local/share/hillock/admin.key", MARKS[4]);
        if means.has_users() {
            // As the warning at the start asks of who relies on users alone.
            set_mode(folder.path(), 0o700);
        }
        let scene = Self { folder, places, means };
        scene.make_places();
        scene
    }

    fn make_places(&self) {
        for (name, user) in ["agent", "other"].into_iter().zip(self.means.users()) {
            let place = self.places.path().join(name);
            fs::create_dir(&place).unwrap();
            set_mode(&place, 0o700);
            // Not by its command, whose arguments everybody on the machine may read.
            fs::write(place.join("mine"), MARKS[5]).unwrap();
            set_mode(&place.join("mine"), 0o600);
            let owner = match self.means {
                Means::NotRoot => HOST,
                means if means.has_users() => user,
                _ => continue,
            };
            give(&place, owner);
        }
        fs::write(self.places.path().join("attack.py"), ATTACK).unwrap();
        set_mode(&self.places.path().join("attack.py"), 0o644);
        if self.means == Means::NotRoot {
            give(self.folder.path(), HOST);
        }
    }

    /// The program where every user can start it.
    fn program(&self) -> PathBuf {
        let built = Path::new(env!("CARGO_BIN_EXE_hillock"));
        let here = self.places.path().join("hillock");
        if !here.exists() && fs::hard_link(built, &here).is_err() {
            fs::copy(built, &here).unwrap();
        }
        here
    }

    fn store(&self) -> PathBuf {
        self.folder.path().join("h.db")
    }

    /// A host that has inherited an open file, and has a service manager's credentials.
    async fn serve(&self) -> Host {
        let program = self.program();
        let mut command = match self.means {
            Means::NotRoot => {
                let mut command = Command::new("setpriv");
                command.args([format!("--reuid={HOST}"), format!("--regid={HOST}")]);
                command.args(["--clear-groups", "sh"]);
                command
            }
            _ => Command::new("sh"),
        };
        command.args(["-c", "exec 9<hillock.toml; exec \"$@\"", "sh"]).arg(program);
        command.args(["serve", "--config", "hillock.toml"]).env_clear().kill_on_drop(true);
        let path = match self.means {
            Means::Users => path_without_bubblewrap(self.places.path(), EVERYBODYS_PATH),
            _ => std::env::var("PATH").unwrap(),
        };
        let folder = self.folder.path();
        command.current_dir(folder).env("PATH", path).env("HOME", folder);
        command.env("GITHUB_WEBHOOK_SECRET", SECRET).env("OTHER_TOKEN", MARKS[0]);
        command.env("CREDENTIALS_DIRECTORY", folder.join("creds"));
        command.env("HILLOCK_DATA_DIR", self.folder.data_dir());
        command.env("HILLOCK_STORE_URL", format!("sqlite://{}", self.store().display()));
        command.env("HILLOCK_LISTEN", "127.0.0.1:0");
        Host::ready(&self.folder, Process::start(command, &folder.join("serve.log"))).await
    }

    /// What the program is told: where to look, and for what, backwards.
    fn told(&self, host: &Host) -> Value {
        let mut secrets: Vec<&str> = vec![&host.key, SECRET];
        secrets.extend(MARKS);
        let backwards = |secret: &&str| secret.chars().rev().collect::<String>();
        json!({
            "secrets": secrets.iter().map(backwards).collect::<Vec<_>>(),
            "folder": self.folder.path(),
            "data": self.folder.data_dir(),
            "store": self.store(),
            "other": self.places.path().join("other"),
            "credentials": self.folder.path().join("creds"),
            "program": self.program(),
            "host": host.process.id(),
            "address": host.address(),
            "inherited": ["9"],
        })
    }
}

fn config(places: &Path, means: Means) -> String {
    let users = |user: u32| match means.has_users() {
        true => format!("user = {user}\n"),
        false => String::new(),
    };
    let [agents, others] = means.users();
    let place = |name: &str| places.join(name).display().to_string();
    format!(
        r#"
# {mark}
endpoints = [
    {{ slug = "github", source = "github", secret_ref = "env:GITHUB_WEBHOOK_SECRET" }},
    {{ slug = "inbox", source = "github", secret_ref = "file:inbox.secret" }},
]
agents = [{{ name = "agent" }}, {{ name = "other" }}]

[[worker.agents]]
name = "agent"
dir = {agent:?}
command = ["python3", {attack:?}]
{agents_user}
[[worker.agents]]
name = "other"
dir = {other:?}
command = ["sh", "-c", "echo ready; exec sleep 600"]
env = ["OTHER_TOKEN"]
{others_user}"#,
        mark = MARKS[2],
        agent = place("agent"),
        attack = place("attack.py"),
        other = place("other"),
        agents_user = users(agents),
        others_user = users(others),
    )
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// Gives a folder and all that is in it to a user.
fn give(path: &Path, user: u32) {
    chown(path, Some(user), Some(user)).unwrap();
    if path.is_dir() {
        fs::read_dir(path).unwrap().flatten().for_each(|entry| give(&entry.path(), user));
    }
}

async fn task(host: &Host, agent: &str, message: &str) -> String {
    let asked = json!({ "agent": agent, "message": message });
    let answer: Answer = host.send(Method::POST, "tasks", &asked).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()["run_id"].as_str().unwrap().to_owned()
}

async fn attack(means: Means) {
    let scene = Scene::new(means).await;
    let mut host = scene.serve().await;
    let other = task(&host, "other", "wait").await;
    host.line(&other, "ready").await;
    let run = task(&host, "agent", &scene.told(&host).to_string()).await;
    host.run_with_status(&run, "completed").await;

    let lines: Vec<String> = host.logs(&run).await.into_iter().map(|(_, text)| text).collect();
    let tried = lines.first().and_then(|line| line.strip_prefix("tried ")?.parse::<usize>().ok());
    assert!(tried.is_some_and(|ways| ways >= WAYS_MIN), "{means:?}: {lines:?}");
    assert_eq!(lines[1..], [""; 0], "{means:?}");

    // Nothing has become of the host, the configuration or the other program, and nothing is left.
    assert_eq!(host.read("runs").await["items"].as_array().unwrap().len(), 2);
    assert_eq!(scene.folder.read("hillock.toml").unwrap(), config(scene.places.path(), means));
    assert_eq!(fs::read_dir(scene.folder.path().join("automations.d")).unwrap().count(), 1);
    assert_eq!(host.read(&format!("runs/{other}")).await["status"], "running");
    wait::within(Duration::from_secs(20), "the program to be gone", async || {
        given(&format!("HILLOCK_RUN_ID={run}")).is_empty().then_some(())
    })
    .await;
    host.process.kill().await;
}

#[tokio::test]
async fn a_hostile_program_gets_nothing_by_bubblewrap() {
    if apart("a hostile program within bubblewrap") {
        attack(Means::Bubblewrap).await;
    }
}

#[tokio::test]
async fn a_hostile_program_gets_nothing_of_a_host_that_is_not_root() {
    if is_root("a host that is not root") && apart("a hostile program of a host that is not root") {
        attack(Means::NotRoot).await;
    }
}

#[tokio::test]
async fn a_hostile_program_gets_nothing_as_another_user() {
    if is_root("a hostile program of another user") {
        attack(Means::Users).await;
    }
}

#[tokio::test]
async fn a_hostile_program_gets_nothing_as_another_user_within_bubblewrap() {
    if is_root("a hostile program of another user") && apart("the same within bubblewrap") {
        attack(Means::Both).await;
    }
}

/// Where nothing keeps programs away, whoever starts the host reads what that means; and it does not
/// start where that was not to be.
#[tokio::test]
async fn what_cannot_be_withheld_is_said_at_the_start() {
    let places = TempDir::new().unwrap();
    let config = "[worker]\nISOLATION\nagents = [{ name = \"agent\", command = [\"cat\"] }]\n";
    let path = path_without_bubblewrap(places.path(), &std::env::var("PATH").unwrap());
    let auto = config.replace("ISOLATION", "");
    let folder = Folder::new(Database::sqlite(), &auto).await.env("PATH", &path);
    let mut host = folder.serve().await;
    let said = wait::until("what programs can do to be said", async || {
        let said = host.process.written();
        said.contains("programs of `agent` can be administrators of this host").then_some(said)
    })
    .await;
    assert!(said.contains("admin.key"), "{said}");
    assert!(host.process.stop().await.success());

    folder.write("hillock.toml", &config.replace("ISOLATION", "isolation = \"required\""));
    let mut refused = folder.start("127.0.0.1:0");
    assert!(!refused.ended().await.success());
    assert!(
        refused.written().contains("worker.isolation is \"required\""),
        "{}",
        refused.written()
    );

    folder.write("hillock.toml", &config.replace("ISOLATION", "user = \"nobody-at-all\""));
    let mut refused = folder.start("127.0.0.1:0");
    assert!(!refused.ended().await.success());
    assert!(
        refused.written().contains("there is no user `nobody-at-all`"),
        "{}",
        refused.written()
    );
}
